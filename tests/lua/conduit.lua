-- The example `conduit`: its own check, and what that cannot see.

local http = require 'eco.http.client'
local json = require 'eco.encoding.json'
local sqlite3 = require 'eco.sqlite3'
local sys = require 'eco.sys'
local conduiting = require 'conduiting'

case('the API', function()
    local process, url = conduiting.start(T)
    local words = table.move(T.interpreter, 1, #T.interpreter, 1, {})
    words[#words + 1] = os.getenv('CONDUIT') .. '/check.lua'
    local check = assert(sys.exec('env', 'API_URL=' .. url .. '/api', table.unpack(words)))
    local told = check:read_stdout('a', 120)
    check:wait(10)
    check:close()
    assert(told:find('RESULTS: %d+ passed, 0 failed\n$'), told)

    -- Many at once.
    local new = { user = { username = 'many', email = 'many@example.com', password = 'a long password' } }
    local body, json_only = json.encode(new), { headers = { ['content-type'] = 'application/json' } }
    local created, refused = 0, 0
    local group = T.gather()
    for _ = 1, 8 do
        group:run(function()
            local answer = assert(http.post(url .. '/api/users', body, json_only))
            created = created + (answer.code == 201 and 1 or 0)
            refused = refused + (answer.code == 422 and 1 or 0)
        end)
    end
    group:wait(60)
    T.eq({ created, refused }, { 1, 7 })

    -- The page, and what is not of it.
    local page = assert(http.get(url .. '/'))
    T.eq({ page.code, page.headers['content-type'] }, { 200, 'text/html; charset=utf-8' })
    T.eq(assert(http.get(url .. '/article/any')).body, page.body)
    assert(assert(http.get(url .. '/page.js')).body:find('use strict'))
    T.eq(assert(http.get(url .. '/none.js')).code, 404)
    T.eq(assert(http.get(url .. '/../main.lua')).code, 403)
    T.eq(assert(http.get(url .. '/%2e%2e/main.lua')).code, 403)
    T.eq(assert(http.get(url .. '/api/articles')).headers.connection, 'close')

    -- What the tables hold, after the process was killed in the middle of nothing.
    conduiting.stop(process)
    local db<close> = assert(sqlite3.open(T.path('conduit.db')))
    T.eq(db:query_row('pragma user_version').user_version, 3)
    T.eq(db:query_row('pragma integrity_check').integrity_check, 'ok')
    T.eq(db:query_row("select count(*) as n from users where password_hash like '$argon2id$v=19$m=65536,t=2,p=1$%'").n,
        db:query_row('select count(*) as n from users').n)
    T.eq(db:query_row('select count(*) as n from articles').n, 0)
    T.eq(db:query_row('select count(*) as n from comments').n, 0)
end)

case('a database of a later version is left alone', function()
    do
        local db<close> = assert(sqlite3.open(T.path('conduit.db')))
        assert(db:exec('pragma user_version = 99'))
    end
    local words = table.move(T.interpreter, 1, #T.interpreter, 1, {})
    words[#words + 1] = os.getenv('CONDUIT') .. '/main.lua'
    local process = assert(sys.exec('env', 'LUNET_LISTEN=127.0.0.1:1', 'CONDUIT_DATABASE=' .. T.path('conduit.db'), table.unpack(words)))
    local told = process:read_stderr('a', 60)
    local _, status = process:wait(10)
    process:close()
    assert(told:find('Database initialization failed: the file is of a later version\n', 1, true), told)
    T.eq(status, { exited = true, status = 1 })
end)
