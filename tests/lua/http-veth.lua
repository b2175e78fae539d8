-- Answers to uploads that are refused reach the client over a link that can lose them: a veth pair between two
-- network namespaces, where data that comes after a close is answered with a reset at once.

local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'

local ours, theirs = 'eco-a-' .. sys.getpid(), 'eco-b-' .. sys.getpid()

local function run(...)
    local process = assert(sys.exec(...))
    local output = process:read_stdout('a', 120) or ''
    local errors = process:read_stderr('a', 120) or ''
    local _, status = process:wait(120)
    process:close()
    return status and status.exited and status.status == 0, output, errors
end

local function ip(...)
    local ok, _, errors = run('ip', ...)
    assert(ok, errors)
end

local server

local function clean()
    if server then
        server:kill(9)
        server:wait(5)
        server:close()
    end
    for _, name in ipairs { ours, theirs } do run('ip', 'netns', 'del', name) end
end

local function build()
    ip('netns', 'add', ours)
    ip('netns', 'add', theirs)
    ip('link', 'add', 'veth-a', 'netns', ours, 'type', 'veth', 'peer', 'name', 'veth-b', 'netns', theirs)
    for name, link, address in ('%s veth-a 10.9.0.1 %s veth-b 10.9.0.2'):format(ours, theirs):gmatch('(%S+) (%S+) (%S+)') do
        ip('-n', name, 'addr', 'add', address .. '/24', 'dev', link)
        ip('-n', name, 'link', 'set', link, 'up')
    end
    file.writefile(T.path('server.lua'), [[
        local http = require 'eco.http.server'
        local log = require 'eco.log'
        log.set_path('server.log')
        assert(http.listen('10.9.0.1', 8080, { max_body = 1000, reuseaddr = true }, function(con)
            local data = con:read_body()
            if data then con:send(#data) end
        end))
    ]])
    server = assert(sys.exec('ip', 'netns', 'exec', ours, table.unpack(T.interpreter), T.path('server.lua')))
    file.writefile(T.path('large'), ('x'):rep(5 << 20))
    for _ = 1, 200 do
        if run('ip', 'netns', 'exec', theirs, 'curl', '-s', '-d', 'small', 'http://10.9.0.1:8080/') then return end
        eco.sleep(0.02)
    end
    error('the server does not answer')
end

-- Statuses that curl saw, counted.
local function curl(times, ...)
    local seen = {}
    for _ = 1, times do
        local ok, output, errors = run('ip', 'netns', 'exec', theirs, 'curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '30',
            ...)
        output = ok and output or output .. errors
        seen[output] = (seen[output] or 0) + 1
    end
    return seen
end

local PYTHON = [[
import http.client, sys
data = b'x' * (5 << 20)
seen = {}
for _ in range(60):
    try:
        connection = http.client.HTTPConnection('10.9.0.1', 8080, timeout=30)
        connection.request('POST', '/', body=iter([data]) if sys.argv[1] == 'chunked' else data, encode_chunked=sys.argv[1] == 'chunked',
            headers={'Transfer-Encoding': 'chunked'} if sys.argv[1] == 'chunked' else {})
        result = str(connection.getresponse().status)
    except Exception as error:
        result = repr(error)
    seen[result] = seen.get(result, 0) + 1
print(seen)
]]

local ok, why = xpcall(function()
    build()
    case('curl: 5 MB to a limit of 1 000 bytes is 413 in 60 of 60 tries', function()
        local url, body = 'http://10.9.0.1:8080/', '@' .. T.path('large')
        T.eq(curl(60, '-H', 'Expect:', '--data-binary', body, url), { ['413'] = 60 })
        T.eq(curl(10, '--data-binary', body, url), { ['413'] = 10 })
        T.eq(curl(30, '-H', 'Expect:', '-H', 'Transfer-Encoding: chunked', '--data-binary', body, url), { ['413'] = 30 })
    end)
    case('http.client: the same', function()
        file.writefile(T.path('client.py'), PYTHON)
        for _, kind in ipairs { 'length', 'chunked' } do
            local _, output, errors = run('ip', 'netns', 'exec', theirs, 'python3', T.path('client.py'), kind)
            T.eq(output .. errors, "{'413': 60}\n")
        end
    end)
end, debug.traceback)
clean()
if not ok then error(why, 0) end
