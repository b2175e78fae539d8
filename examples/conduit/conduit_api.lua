-- The API: which handler a request is for, who asks, and what is answered.

local http_codes = { [200] = 'OK', [201] = 'Created' }

local argon2 = require 'eco.hash.argon2'
local json = require 'eco.encoding.json'
local log = require 'eco.log'
local random = require 'conduit_random'
local shapes = require 'conduit_shapes'
local store = require 'conduit_store'
local tokens = require 'conduit_tokens'

local M = {}

-- Ends a handler with an answer other than its own.
local refusal = {}

---@return never
local function refuse(status, ...)
    error(setmetatable({ status = status, strings = { ... } }, refusal), 0)
end

local function is_text(value)
    return type(value) == 'string'
end

local function is_blank(value)
    return not is_text(value) or not value:find('%S')
end

-- The object of a body, such as `user` of `{"user":{…}}`.
local function object(request, name)
    local body = request.body()
    local value = type(body) == 'table' and body[name]
    if type(value) ~= 'table' then refuse(422, 'body Invalid request body') end
    for key, item in pairs(value) do
        if item == json.null then value[key] = nil end
    end
    return value
end

-- Refuses fields that break a rule: `rules` are pairs of a field and its function, which gives a problem or nil.
local function check(value, fields, rules)
    for _, field in ipairs(fields) do
        local problem = rules[field](value[field])
        if problem then refuse(422, field .. ' ' .. problem) end
    end
end

local function not_blank(value)
    if is_blank(value) then return "can't be blank" end
end

local user_rules = {
    email = function(value)
        if is_blank(value) then return "can't be blank" end
        if #value > 254 or not value:find('^[%w._%+-]+@[%w.-]+%.[%w]+$') then return 'is invalid' end
    end,
    username = function(value)
        if is_blank(value) then return "can't be blank" end
        if #value > 50 then return 'is too long (maximum is 50 characters)' end
        if not value:find('^[%w_]+$') then return 'is invalid' end
    end,
    password = function(value)
        if is_blank(value) then return "can't be blank" end
        if #value < 8 then return 'is too short (minimum is 8 characters)' end
        if #value > 1024 then return 'is too long (maximum is 1024 characters)' end
    end,
    bio = function(value) if not is_text(value) then return 'is invalid' end end,
    image = function(value) if not is_text(value) then return 'is invalid' end end,
}

local article_rules = { title = not_blank, description = not_blank, body = not_blank }

-- Who asks: nil for nobody.
local function asker(request)
    local kind, token = (request.headers.authorization or ''):match('^(%a+) +(%S+)$')
    if kind ~= 'Token' and kind ~= 'Bearer' then return nil end
    local id = tokens.read(token)
    return id and store.row('select id, username, email, bio, image from users where id = ?', id)
end

local function id_of(user)
    return user and user.id or 0
end

local function taken(err)
    local field = err:match('UNIQUE constraint failed: users%.(%a+)')
    if field then refuse(422, field .. ' has already been taken') end
end

local routes = {}

-- Adds a handler: `:name` in a path stands for one part. `who` is 'user' where nobody is refused, else 'anybody'.
local function route(method, path, who, handler)
    local parts = {}
    for part in path:gmatch('[^/]+') do parts[#parts + 1] = part end
    routes[#routes + 1] = { method = method, parts = parts, who = who, handler = handler }
end

-- Users

route('POST', 'users', 'anybody', function(request)
    local user = object(request, 'user')
    check(user, { 'username', 'email', 'password' }, user_rules)
    local hash, err = argon2.hash(user.password)
    if not hash then error('password: ' .. err, 0) end
    local changes
    changes, err = store.exec('insert into users(username, email, password_hash) values (?, ?, ?)', user.username, user.email, hash)
    if not changes then
        taken(err)
        refuse(500, 'body User creation failed: ' .. err)
    end
    return 201, shapes.user { id = changes.last_insert_id, username = user.username, email = user.email }
end)

route('POST', 'users/login', 'anybody', function(request)
    local user = object(request, 'user')
    check(user, { 'email' }, { email = not_blank })
    check(user, { 'password' }, { password = not_blank })
    local row = store.row('select * from users where email = ?', user.email)
    -- As long for those who are not there.
    local hash = row and row.password_hash or M.nobody
    if not argon2.verify(user.password, hash) or not row then refuse(422, 'email or password is invalid') end
    return 200, shapes.user(row)
end)

route('GET', 'user', 'user', function(_, user)
    return 200, shapes.user(user)
end)

route('PUT', 'user', 'user', function(request, user)
    local wanted = object(request, 'user')
    local sets, values = {}, {}
    local function set(column, value)
        sets[#sets + 1], values[#values + 1] = column .. ' = ?', value
    end
    for _, field in ipairs { 'email', 'username', 'password', 'bio', 'image' } do
        local value = wanted[field]
        if value ~= nil then
            check(wanted, { field }, user_rules)
            if field == 'password' then
                local hash, err = argon2.hash(value)
                if not hash then error('password: ' .. err, 0) end
                set('password_hash', hash)
            else
                set(field, value)
            end
        end
    end
    if #sets > 0 then
        values[#values + 1] = user.id
        local changes, err = store.exec('update users set ' .. table.concat(sets, ', ') .. ' where id = ?', table.unpack(values))
        if not changes then
            taken(err)
            error('database: ' .. err, 0)
        end
    end
    return 200, shapes.user(store.row('select * from users where id = ?', user.id))
end)

-- Profiles

local function profile(username, user)
    local row = store.row([[
        select id, username, bio, image,
            exists(select 1 from follows where follower_id = ? and followed_id = users.id) as following
        from users where username = ?]], id_of(user), username)
    if not row then refuse(404, 'body Profile not found') end
    return row
end

route('GET', 'profiles/:username', 'anybody', function(_, user, username)
    return 200, shapes.profile(profile(username, user))
end)

route('POST', 'profiles/:username/follow', 'user', function(_, user, username)
    local row = profile(username, user)
    if row.id == user.id then refuse(422, 'body You cannot follow yourself') end
    assert(store.exec('insert or ignore into follows(follower_id, followed_id) values (?, ?)', user.id, row.id))
    row.following = 1
    return 200, shapes.profile(row)
end)

route('DELETE', 'profiles/:username/follow', 'user', function(_, user, username)
    local row = profile(username, user)
    assert(store.exec('delete from follows where follower_id = ? and followed_id = ?', user.id, row.id))
    row.following = 0
    return 200, shapes.profile(row)
end)

-- Articles

-- Two parameters: who asks, twice.
local ARTICLE = [[
    select a.id, a.slug, a.title, a.description, a.body, a.created_at, a.updated_at, a.author_id, u.username, u.bio, u.image,
        (select group_concat(name, char(31)) from (select t.name from article_tags l join tags t on t.id = l.tag_id
            where l.article_id = a.id order by t.name)) as tags,
        (select count(*) from favorites f where f.article_id = a.id) as favorites,
        exists(select 1 from favorites f where f.article_id = a.id and f.user_id = ?) as favorited,
        exists(select 1 from follows f where f.followed_id = a.author_id and f.follower_id = ?) as following
    from articles a join users u on u.id = a.author_id]]

local function article(slug, user)
    local row = store.row(ARTICLE .. ' where a.slug = ?', id_of(user), id_of(user), slug)
    if not row then refuse(404, 'body Article not found') end
    return row
end

local function own_article(slug, user)
    local row = article(slug, user)
    if row.author_id ~= user.id then refuse(403, 'body You are not the author') end
    return row
end

local function shown(slug, user)
    return { article = shapes.article(article(slug, user)) }
end

local function slug_of(title)
    local slug = title:lower():gsub('[^%w%s-]', ''):gsub('[%s-]+', '-'):gsub('^%-', ''):gsub('%-$', '')
    return slug .. '-' .. random.hex(4)
end

-- The names of an article's tags, each once.
local function tag_list(value)
    if value == nil then return nil end
    if type(value) ~= 'table' then refuse(422, 'tagList is invalid') end
    local names, known = {}, {}
    for _, name in ipairs(value) do
        if not is_text(name) or name:find('%c') or #name > 100 then refuse(422, 'tagList is invalid') end
        if name:find('%S') and not known[name] then names[#names + 1], known[name] = name, true end
    end
    return names
end

local function set_tags(t, id, names)
    t.exec('delete from article_tags where article_id = ?', id)
    for _, name in ipairs(names) do
        t.exec('insert or ignore into tags(name) values (?)', name)
        t.exec('insert into article_tags(article_id, tag_id) select ?, id from tags where name = ?', id, name)
    end
end

local function number(text, default, low, high)
    local value = text and text:find('^%d+$') and math.tointeger(tonumber(text)) or default
    return math.max(low, math.min(value, high))
end

-- Articles that meet conditions, newest first; and how many there are.
local function articles(request, user, conditions, values)
    local where = #conditions > 0 and ' where ' .. table.concat(conditions, ' and ') or ''
    local query = request.query
    local limit, offset = number(query.limit, 20, 1, 100), number(query.offset, 0, 0, math.maxinteger)
    local total = store.row('select count(*) as n from articles a' .. where, table.unpack(values)).n
    local all = { id_of(user), id_of(user), table.unpack(values) }
    all[#all + 1], all[#all + 2] = limit, offset
    local rows = store.query(ARTICLE .. where .. ' order by a.id desc limit ? offset ?', table.unpack(all))
    return 200, { articles = shapes.each(rows, shapes.article), articlesCount = total }
end

route('GET', 'articles', 'anybody', function(request, user)
    local conditions, values, query = {}, {}, request.query
    local function only(value, condition)
        if value then conditions[#conditions + 1], values[#values + 1] = condition, value end
    end
    only(query.tag, 'exists(select 1 from article_tags l join tags t on t.id = l.tag_id where l.article_id = a.id and t.name = ?)')
    only(query.author, 'a.author_id = (select id from users where username = ?)')
    only(query.favorited, 'exists(select 1 from favorites f join users w on w.id = f.user_id where f.article_id = a.id and w.username = ?)')
    return articles(request, user, conditions, values)
end)

route('GET', 'articles/feed', 'user', function(request, user)
    return articles(request, user, { 'a.author_id in (select followed_id from follows where follower_id = ?)' }, { user.id })
end)

route('GET', 'articles/:slug', 'anybody', function(_, user, slug)
    return 200, shown(slug, user)
end)

route('POST', 'articles', 'user', function(request, user)
    local wanted = object(request, 'article')
    check(wanted, { 'title', 'description', 'body' }, article_rules)
    local names = tag_list(wanted.tagList) or {}
    local slug = slug_of(wanted.title)
    local ok, err = store.transaction(function(t)
        local id = t.exec('insert into articles(slug, title, description, body, author_id) values (?, ?, ?, ?, ?)',
            slug, wanted.title, wanted.description, wanted.body, user.id).last_insert_id
        set_tags(t, id, names)
        return true
    end)
    if not ok then
        log.err('article: ' .. err)
        refuse(500, 'body Failed to create article')
    end
    return 201, shown(slug, user)
end)

route('PUT', 'articles/:slug', 'user', function(request, user, slug)
    local row = own_article(slug, user)
    local wanted = object(request, 'article')
    local names = tag_list(wanted.tagList)
    local sets, values = {}, {}
    for _, field in ipairs { 'title', 'description', 'body' } do
        if wanted[field] ~= nil then
            check(wanted, { field }, article_rules)
            sets[#sets + 1], values[#values + 1] = field .. ' = ?', wanted[field]
        end
    end
    if wanted.title and wanted.title ~= row.title then
        slug = slug_of(wanted.title)
        sets[#sets + 1], values[#values + 1] = 'slug = ?', slug
    end
    local ok, err = store.transaction(function(t)
        if #sets > 0 then
            values[#values + 1] = row.id
            t.exec('update articles set ' .. table.concat(sets, ', ') .. ' where id = ?', table.unpack(values))
        end
        if names then set_tags(t, row.id, names) end
        return true
    end)
    if not ok then error('database: ' .. err, 0) end
    return 200, shown(slug, user)
end)

route('DELETE', 'articles/:slug', 'user', function(_, user, slug)
    assert(store.exec('delete from articles where id = ?', own_article(slug, user).id))
    return 204
end)

route('POST', 'articles/:slug/favorite', 'user', function(_, user, slug)
    assert(store.exec('insert or ignore into favorites(user_id, article_id) values (?, ?)', user.id, article(slug, user).id))
    return 200, shown(slug, user)
end)

route('DELETE', 'articles/:slug/favorite', 'user', function(_, user, slug)
    assert(store.exec('delete from favorites where user_id = ? and article_id = ?', user.id, article(slug, user).id))
    return 200, shown(slug, user)
end)

-- Comments

-- A parameter: who asks.
local COMMENT = [[
    select c.id, c.body, c.created_at, c.updated_at, c.author_id, u.username, u.bio, u.image,
        exists(select 1 from follows f where f.followed_id = c.author_id and f.follower_id = ?) as following
    from comments c join users u on u.id = c.author_id]]

route('GET', 'articles/:slug/comments', 'anybody', function(_, user, slug)
    local rows = store.query(COMMENT .. ' where c.article_id = ? order by c.id desc', id_of(user), article(slug, user).id)
    return 200, { comments = shapes.each(rows, shapes.comment) }
end)

route('POST', 'articles/:slug/comments', 'user', function(request, user, slug)
    local id = article(slug, user).id
    local wanted = object(request, 'comment')
    if is_blank(wanted.body) then refuse(422, "body can't be blank") end
    local changes = assert(store.exec('insert into comments(body, article_id, author_id) values (?, ?, ?)', wanted.body, id, user.id))
    return 200, { comment = shapes.comment(store.row(COMMENT .. ' where c.id = ?', user.id, changes.last_insert_id)) }
end)

route('DELETE', 'articles/:slug/comments/:id', 'user', function(_, user, slug, id)
    local row = store.row(COMMENT .. ' where c.article_id = ? and c.id = ?', user.id, article(slug, user).id,
        math.tointeger(tonumber(id:match('^%d+$'))) or 0)
    if not row then refuse(404, 'body Comment not found') end
    if row.author_id ~= user.id then refuse(403, 'body You are not the author') end
    assert(store.exec('delete from comments where id = ?', row.id))
    return 204
end)

route('GET', 'tags', 'anybody', function()
    return 200, { tags = shapes.each(store.query('select name from tags order by name'), function(row) return row.name end) }
end)

-- Requests

local function find(method, path)
    local parts = {}
    for part in path:gmatch('[^/]+') do parts[#parts + 1] = part end
    for _, candidate in ipairs(routes) do
        if candidate.method == method and #candidate.parts == #parts then
            local values, fits = {}, true
            for i, part in ipairs(candidate.parts) do
                if part:sub(1, 1) == ':' then
                    values[#values + 1] = parts[i]
                elseif part ~= parts[i] then
                    fits = false
                    break
                end
            end
            if fits then return candidate, values end
        end
    end
end

local function answer(con, status, value)
    con:set_status(status, http_codes[status])
    con:add_header('access-control-allow-origin', '*')
    con:add_header('access-control-allow-methods', 'GET, POST, PUT, DELETE, OPTIONS')
    con:add_header('access-control-allow-headers', 'Content-Type, Authorization')
    con:add_header('access-control-max-age', '86400')
    if not value then return end
    local text = assert(json.encode(value))
    con:add_header('content-type', 'application/json; charset=utf-8')
    con:add_header('content-length', #text)
    con:send(text)
end

local function answer_errors(con, status, strings)
    answer(con, status, { errors = { body = strings } })
end

-- The body, read once, if it is said to be JSON.
local function body_reader(con, req)
    local read, value
    return function()
        if not read then
            read = true
            local text = con:read_body()
            local kind = req.headers['content-type'] or ''
            if text and kind:lower():find('application/json', 1, true) then value = json.decode(text) end
        end
        return value
    end
end

local function run(con, req, path)
    local found, values = find(req.method, path)
    if not found then refuse(404, 'body Not found') end
    local request = { headers = req.headers, query = req.query, body = body_reader(con, req) }
    local user = asker(request)
    if found.who == 'user' and not user then refuse(401, 'body authentication required') end
    return found.handler(request, user, table.unpack(values))
end

local function serve_page(con, req)
    if req.method ~= 'GET' and req.method ~= 'HEAD' then
        return answer_errors(con, 404, { 'body Not found' })
    end
    con:add_header('content-security-policy', "default-src 'none'; script-src 'self'; style-src 'self'; img-src * data:; connect-src 'self'")
    con:add_header('x-content-type-options', 'nosniff')
    -- Any other path is the page's own.
    if not req.path:find('%.%w+$') then
        con:add_header('content-type', 'text/html; charset=utf-8')
        return con:send_file(con.options.docroot .. '/index.html')
    end
    return con:serve_file(req)
end

function M.handle(con, req)
    if req.method == 'OPTIONS' then return answer(con, 204) end
    if req.raw_path:find('..', 1, true) and not req.path:find('^/api/') then
        return answer_errors(con, 403, { 'body Forbidden' })
    end
    local path = req.path:match('^/api/(.*)$')
    if not path then return serve_page(con, req) end
    local ok, status, value = pcall(run, con, req, path)
    if ok then
        answer(con, status, value)
    elseif getmetatable(status) == refusal then
        ---@cast status any
        answer_errors(con, status.status, status.strings)
    else
        log.err(req.method .. ' ' .. req.path .. ': ' .. tostring(status))
        answer_errors(con, 500, { 'body Internal server error' })
    end
end

function M.configure(config)
    tokens.configure(config.secret)
    M.nobody = assert(argon2.hash(random.hex(16)))
end

return M
