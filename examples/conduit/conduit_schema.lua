-- The tables, as steps: `pragma user_version` tells how many a database has taken. Steps are only ever added.

return {
    [[
    create table users(
        id integer primary key,
        username text not null unique,
        email text not null unique,
        password_hash text not null,
        bio text,
        image text,
        created_at text not null default (datetime('now')),
        updated_at text not null default (datetime('now'))
    );
    create table articles(
        id integer primary key,
        slug text not null unique,
        title text not null,
        description text not null,
        body text not null,
        author_id integer not null references users(id) on delete cascade,
        created_at text not null default (datetime('now')),
        updated_at text not null default (datetime('now'))
    );
    create table tags(
        id integer primary key,
        name text not null unique
    );
    create table article_tags(
        article_id integer not null references articles(id) on delete cascade,
        tag_id integer not null references tags(id) on delete cascade,
        primary key(article_id, tag_id)
    ) without rowid;
    create table favorites(
        user_id integer not null references users(id) on delete cascade,
        article_id integer not null references articles(id) on delete cascade,
        created_at text not null default (datetime('now')),
        primary key(user_id, article_id)
    ) without rowid;
    create table follows(
        follower_id integer not null references users(id) on delete cascade,
        followed_id integer not null references users(id) on delete cascade,
        created_at text not null default (datetime('now')),
        primary key(follower_id, followed_id)
    ) without rowid;
    create table comments(
        id integer primary key,
        body text not null,
        article_id integer not null references articles(id) on delete cascade,
        author_id integer not null references users(id) on delete cascade,
        created_at text not null default (datetime('now')),
        updated_at text not null default (datetime('now'))
    );
    ]],
    [[
    create index articles_by_author on articles(author_id);
    create index articles_by_tag on article_tags(tag_id, article_id);
    create index favorites_by_article on favorites(article_id);
    create index comments_by_article on comments(article_id);
    create index follows_by_followed on follows(followed_id);
    ]],
    [[
    create trigger users_updated after update of username, email, password_hash, bio, image on users begin
        update users set updated_at = datetime('now') where id = new.id;
    end;
    create trigger articles_updated after update of slug, title, description, body on articles begin
        update articles set updated_at = datetime('now') where id = new.id;
    end;
    create trigger comments_updated after update of body on comments begin
        update comments set updated_at = datetime('now') where id = new.id;
    end;
    ]],
}
