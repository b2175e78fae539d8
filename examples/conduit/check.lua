-- Asks a running Conduit for everything its API has, and tells what came of it.
--
--     API_URL=http://127.0.0.1:8080/api eco examples/conduit/check.lua

local http = require 'eco.http.client'
local json = require 'eco.encoding.json'

local api = os.getenv('API_URL') or 'http://localhost:8080/api'
local passed, failed = 0, 0

local function ask(method, path, token, body, kind)
    local headers = { ['content-type'] = kind or 'application/json' }
    if token then headers.authorization = 'Token ' .. token end
    if type(body) == 'table' then body = json.encode(body) end
    local answer, err = http.request(method, api .. path, body, { headers = headers })
    if not answer then return { code = 0, text = tostring(err), headers = {} } end
    return { code = answer.code, text = answer.body or '', value = json.decode(answer.body or '') or {}, headers = answer.headers }
end

local function check(what, ok, answer)
    if ok then
        passed = passed + 1
    else
        failed = failed + 1
        print(('FAIL: %s: %s %s'):format(what, answer and answer.code, answer and answer.text))
    end
    return answer
end

local function status(what, code, ...)
    local answer = ask(...)
    return check(what, answer.code == code, answer)
end

-- An error: its status and its string.
local function refused(what, code, text, ...)
    local answer = ask(...)
    local errors = answer.value and answer.value.errors
    check(what, answer.code == code and errors and errors.body[1] == text, answer)
end

-- Names that no other run has used.
local mark = ('%x%04x'):format(os.time(), math.random(0, 0xffff))
local function person(name)
    return { username = name .. mark, email = name .. mark .. '@example.com', password = 'password of ' .. name }
end

local ann, bob = person 'ann', person 'bob'

-- Users
local answer = status('register', 201, 'POST', '/users', nil, { user = ann })
local user = answer.value.user or {}
local token = user.token
check('a user is shown whole', user.username == ann.username and user.email == ann.email and user.bio == '' and user.image == nil and token, answer)
check('answers are JSON, for other sites, too', (answer.headers['content-type'] or '') == 'application/json; charset=utf-8'
    and answer.headers['access-control-allow-origin'] == '*', answer)
answer = status('register another', 201, 'POST', '/users', nil, { user = bob })
local other = answer.value.user and answer.value.user.token
refused('register: no body', 422, 'body Invalid request body', 'POST', '/users', nil, 'x')
refused('register: not said to be JSON', 422, 'body Invalid request body', 'POST', '/users', nil, { user = ann }, 'text/plain')
local function bad(what, field, value, text)
    local new = person 'carl'
    new[field] = value
    refused('register: ' .. what, 422, text, 'POST', '/users', nil, { user = new })
end
bad('no name', 'username', nil, "username can't be blank")
bad('a name with blanks', 'username', 'a b', 'username is invalid')
bad('a long name', 'username', ('x'):rep(51), 'username is too long (maximum is 50 characters)')
bad('no address', 'email', '', "email can't be blank")
bad('an address that is none', 'email', 'x@y', 'email is invalid')
bad('no password', 'password', nil, "password can't be blank")
bad('a short password', 'password', '1234567', 'password is too short (minimum is 8 characters)')
bad('a password that is a table', 'password', {}, "password can't be blank")
bad('a taken name', 'username', ann.username, 'username has already been taken')
bad('a taken address', 'email', ann.email, 'email has already been taken')
answer = status('login', 200, 'POST', '/users/login', nil, { user = { email = ann.email, password = ann.password } })
check('login gives a token', answer.value.user and answer.value.user.token, answer)
refused('login: wrong password', 422, 'email or password is invalid', 'POST', '/users/login', nil, { user = { email = ann.email, password = 'wrong password' } })
refused('login: nobody', 422, 'email or password is invalid', 'POST', '/users/login', nil, { user = { email = 'no' .. ann.email, password = 'wrong password' } })
refused('login: no password', 422, "password can't be blank", 'POST', '/users/login', nil, { user = { email = ann.email } })
answer = status('current user', 200, 'GET', '/user', token)
check('current user is who asks', answer.value.user and answer.value.user.email == ann.email, answer)
refused('current user: nobody', 401, 'body authentication required', 'GET', '/user')
refused('current user: a token of others', 401, 'body authentication required', 'GET', '/user', ((token or ''):gsub('.$', function(c) return c == 'A' and 'B' or 'A' end)))
refused('current user: no algorithm', 401, 'body authentication required', 'GET', '/user', 'eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoxfQ.')
answer = status('change the user', 200, 'PUT', '/user', token, { user = { bio = 'writes <b>', image = 'https://example.com/a.png', password = 'another password' } })
check('changes are shown', answer.value.user and answer.value.user.bio == 'writes <b>' and answer.value.user.image == 'https://example.com/a.png', answer)
status('the new password is good', 200, 'POST', '/users/login', nil, { user = { email = ann.email, password = 'another password' } })
status('the old one is not', 422, 'POST', '/users/login', nil, { user = { email = ann.email, password = ann.password } })
refused('change the user: a taken name', 422, 'username has already been taken', 'PUT', '/user', token, { user = { username = bob.username } })
refused('change the user: nobody', 401, 'body authentication required', 'PUT', '/user', nil, { user = { bio = '' } })

-- Profiles
answer = status('profile', 200, 'GET', '/profiles/' .. ann.username)
check('profile is shown', answer.value.profile and answer.value.profile.following == false and answer.value.profile.bio == 'writes <b>', answer)
refused('profile: nobody', 404, 'body Profile not found', 'GET', '/profiles/nobody' .. mark)
for _ = 1, 2 do
    answer = status('follow', 200, 'POST', '/profiles/' .. ann.username .. '/follow', other)
    check('followed', answer.value.profile and answer.value.profile.following == true, answer)
end
answer = ask('GET', '/profiles/' .. ann.username, other)
check('profile tells who follows', answer.value.profile and answer.value.profile.following == true, answer)
refused('follow oneself', 422, 'body You cannot follow yourself', 'POST', '/profiles/' .. ann.username .. '/follow', token)
refused('follow: nobody asks', 401, 'body authentication required', 'POST', '/profiles/' .. ann.username .. '/follow')

-- Articles
local tag = 'tag' .. mark
local written = { title = 'Wie man   Über -- Ärger, spricht! ', description = 'what', body = 'text "with" \n lines', tagList = { tag, 'lua', tag } }
answer = status('create an article', 201, 'POST', '/articles', token, { article = written })
local article = answer.value.article or {}
local slug = article.slug or 'none'
check('an article is shown whole', article.title == written.title and article.body == written.body and #(article.tagList or {}) == 2
    and article.favorited == false and article.favoritesCount == 0 and article.author.username == ann.username
    and article.createdAt:find('^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.000Z$'), answer)
check('a slug is plain', slug:find('^[a-z0-9-]+%-%x%x%x%x%x%x%x%x$') and not slug:find('--', 1, true), answer)
refused('create: nobody', 401, 'body authentication required', 'POST', '/articles', nil, { article = written })
refused('create: no title', 422, "title can't be blank", 'POST', '/articles', token, { article = { title = ' ', description = 'x', body = 'x' } })
refused('create: no text', 422, "body can't be blank", 'POST', '/articles', token, { article = { title = 'x', description = 'x' } })
local slugs = {}
for i = 1, 3 do
    answer = ask('POST', '/articles', token, { article = { title = 'Number ' .. i, description = 'd', body = 'b' } })
    slugs[i] = answer.value.article and answer.value.article.slug
end
check('no tags are an empty array', answer.text:find('"tagList":%[%]'), answer)
status('articles', 200, 'GET', '/articles')
answer = status('articles, five', 200, 'GET', '/articles?limit=5')
check('no more than five', #answer.value.articles <= 5 and answer.value.articlesCount >= 4, answer)
answer = ask('GET', '/articles?limit=2&offset=1&author=' .. ann.username)
check('pages, newest first', #answer.value.articles == 2 and answer.value.articlesCount == 4 and answer.value.articles[1].title == 'Number 2', answer)
answer = ask('GET', '/articles?tag=' .. tag)
check('by tag', answer.value.articlesCount == 1 and answer.value.articles[1].slug == slug, answer)
answer = ask('GET', "/articles?author=x'%20or%20'1'='1")
check('nothing is an empty array', answer.text:find('"articles":%[%]') and answer.value.articlesCount == 0, answer)
answer = status('article by slug', 200, 'GET', '/articles/' .. slug)
check('it is the one', answer.value.article and answer.value.article.slug == slug, answer)
refused('no such article', 404, 'body Article not found', 'GET', '/articles/none-' .. mark)
answer = status('feed', 200, 'GET', '/articles/feed?limit=3', other)
check('feed of whom one follows', #answer.value.articles == 3 and answer.value.articlesCount == 4 and answer.value.articles[1].author.following == true, answer)
answer = ask('GET', '/articles/feed', token)
check('feed of nobody', answer.value.articlesCount == 0, answer)
refused('feed: nobody asks', 401, 'body authentication required', 'GET', '/articles/feed')
for _ = 1, 2 do
    answer = status('favorite', 200, 'POST', '/articles/' .. slug .. '/favorite', other)
    check('counted once', answer.value.article and answer.value.article.favorited == true and answer.value.article.favoritesCount == 1, answer)
end
answer = ask('GET', '/articles?favorited=' .. bob.username)
check('by favorite', answer.value.articlesCount == 1 and answer.value.articles[1].favorited == false, answer)
answer = status('no favorite', 200, 'DELETE', '/articles/' .. slug .. '/favorite', other)
check('no longer counted', answer.value.article and answer.value.article.favorited == false and answer.value.article.favoritesCount == 0, answer)
answer = status('change an article', 200, 'PUT', '/articles/' .. slug, token, { article = { body = 'other text' } })
check('the slug stays', answer.value.article and answer.value.article.slug == slug and answer.value.article.body == 'other text', answer)
answer = status('change the title', 200, 'PUT', '/articles/' .. slug, token, { article = { title = 'New', tagList = {} } })
check('a new slug, no tags', answer.value.article and answer.value.article.slug:find('^new%-') and #answer.value.article.tagList == 0, answer)
slug = answer.value.article and answer.value.article.slug or slug
refused('change: another author', 403, 'body You are not the author', 'PUT', '/articles/' .. slug, other, { article = { body = 'x' } })
refused('delete: another author', 403, 'body You are not the author', 'DELETE', '/articles/' .. slug, other)

-- Comments
answer = status('add a comment', 200, 'POST', '/articles/' .. slug .. '/comments', other, { comment = { body = 'first' } })
local comment = answer.value.comment or {}
check('a comment is shown whole', math.type(comment.id) == 'integer' and comment.body == 'first' and comment.author.username == bob.username, answer)
ask('POST', '/articles/' .. slug .. '/comments', token, { comment = { body = 'second' } })
answer = status('comments', 200, 'GET', '/articles/' .. slug .. '/comments')
check('newest first', #answer.value.comments == 2 and answer.value.comments[1].body == 'second', answer)
refused('an empty comment', 422, "body can't be blank", 'POST', '/articles/' .. slug .. '/comments', token, { comment = { body = '' } })
refused('a comment of nobody', 401, 'body authentication required', 'POST', '/articles/' .. slug .. '/comments', nil, { comment = { body = 'x' } })
refused('delete the comment of another', 403, 'body You are not the author', 'DELETE', ('/articles/%s/comments/%s'):format(slug, comment.id), token)
refused('delete no comment', 404, 'body Comment not found', 'DELETE', '/articles/' .. slug .. '/comments/999999999', token)
answer = status('delete a comment', 204, 'DELETE', ('/articles/%s/comments/%s'):format(slug, comment.id), other)
check('nothing is said', answer.text == '', answer)

-- Tags, and the rest
answer = status('tags', 200, 'GET', '/tags')
local sorted, has = true, false
for i, name in ipairs(answer.value.tags) do
    sorted = sorted and (i == 1 or answer.value.tags[i - 1] < name)
    has = has or name == tag
end
check('tags are sorted', sorted and has, answer)
status('delete an article', 204, 'DELETE', '/articles/' .. slug, token)
status('it is gone', 404, 'GET', '/articles/' .. slug)
answer = status('do not follow', 200, 'DELETE', '/profiles/' .. ann.username .. '/follow', other)
check('not followed', answer.value.profile and answer.value.profile.following == false, answer)
answer = status('options', 204, 'OPTIONS', '/articles')
check('what other sites may do', answer.headers['access-control-allow-methods'] == 'GET, POST, PUT, DELETE, OPTIONS', answer)
refused('no such thing', 404, 'body Not found', 'GET', '/none')
refused('no such method', 404, 'body Not found', 'PATCH', '/articles')
for _, left in ipairs(slugs) do ask('DELETE', '/articles/' .. left, token) end

print(('RESULTS: %d passed, %d failed'):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
