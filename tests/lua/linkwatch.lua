-- The example `linkwatch`, beside a message bus and in a network of the test's own, with traffic in it.

local eco = require 'eco'
local file = require 'eco.file'
local ip = require 'eco.ip'
local json = require 'eco.encoding.json'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local ubus = require 'eco.ubus'
local linkwatching = require 'linkwatching'

local BUS = os.getenv('UBUS_FOLDER') .. '/ubus'
local get = linkwatching.exchange
local quiet = linkwatching.traffic()
linkwatching.daemon('start')

local function by_name(state)
    local found = {}
    for _, link in ipairs(state.links) do found[link.name] = link end
    return found
end

-- A browser's stream: `next()` gives the next state that it was sent.
local function stream(port)
    local s = assert(socket.connect_tcp('127.0.0.1', port))
    assert(s:send('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'))
    local browser = { socket = s }
    function browser.next()
        while true do
            local line = s:read('l', 10)
            if not line then return nil end
            local data = line:match('^data: ?(.*)$')
            if data then return assert(json.decode(data)) end
        end
    end
    return browser
end

local OPTIONS = "\toption interval '0.5'\n\toption clients '2'\n\tlist host 'router.lan'\n\tlist host 'localhost'\n\tlist ignore 'lo'\n"

local function with_service(body)
    linkwatching.configure(T, OPTIONS)
    local service = linkwatching.start(T)
    local errors
    eco.run(function() errors = service:read_stderr('a') end)
    linkwatching.ready(T, linkwatching.port)
    local bus = assert(ubus.connect(BUS))
    T.await(function() return bus:call('linkwatch', 'status') end)
    bus:close()
    local ok, message = xpcall(body, debug.traceback, service)
    if not ok then
        service:kill()
        T.await(function() return errors end)
        error(message .. '\nthe service said: ' .. errors, 0)
    end
    -- It is still there, and has complained of nothing.
    T.eq(service:signal(sys.SIGTERM), true)
    local _, status = service:wait(10)
    T.eq(status, { signaled = true, status = sys.SIGTERM })
    T.await(function() return errors end)
    -- Records are there, too, where there is no system log.
    T.eq((errors:gsub('%u%l%l [^\n]* linkwatch%[%d+%]: [^\n]*\n', '')), '')
    service:close()
end

case('links and their rates, in a stream', function()
    with_service(function()
        local browser = stream(linkwatching.port)
        local wan
        for _ = 1, 4 do
            local links = by_name(browser.next())
            T.eq(links.lo, nil)
            wan = links.wan
        end
        T.eq({ wan.up, wan.running, wan.kind, wan.alias }, { true, true, 'veth', '<b id="evil">fibre</b>' })
        T.eq(wan.addresses[1], '10.7.0.1/24')
        -- 1042 bytes a hundredth of a second, whatever else goes on here.
        assert(wan.tx_rate > 10000 / T.slow and wan.tx_rate < 300000, wan.tx_rate)
        -- What the kernel counts is between two looks.
        local before = by_name(browser.next()).wan.tx_bytes
        local now = ip.link.get('wan').stats.tx_bytes
        T.await(function() return by_name(browser.next()).wan.tx_bytes >= now end)
        assert(before <= now)
        browser.socket:close()
    end)
end)

case('links that come and go', function()
    with_service(function()
        local con<close> = assert(ubus.connect(BUS))
        local heard = {}
        assert(con:subscribe('linkwatch', function(method, message)
            heard[#heard + 1] = ('%s %s %s %s'):format(method, message.action, message.name, message.up)
        end))
        local browser = stream(linkwatching.port)
        browser.next()
        assert(ip.link.add('guest', { kind = 'bridge' }))
        T.await(function() return by_name(browser.next()).guest end)
        assert(ip.link.set('guest', { up = true }))
        T.await(function() return by_name(browser.next()).guest.up end)
        assert(ip.link.del('guest'))
        T.await(function() return not by_name(browser.next()).guest end)
        T.await(function() return #heard >= 3 end)
        T.eq({ heard[1], heard[2], heard[#heard] }, { 'link add guest false', 'link change guest true', 'link remove guest true' })
        browser.socket:close()
    end)
end)

case('methods on the bus', function()
    with_service(function()
        local con<close> = assert(ubus.connect(BUS))
        local state = con:call('linkwatch', 'status')
        T.eq(by_name(state).wan.addresses[1], '10.7.0.1/24')
        T.eq(con:call('linkwatch', 'link', { name = 'wan' }).name, 'wan')
        T.fails('Not found', con:call('linkwatch', 'link', { name = 'lo' }))
        T.fails('Invalid argument', con:call('linkwatch', 'link', { name = 5 }))
        T.fails('Not found', con:call('linkwatch', 'link'))
        T.eq(con:call('linkwatch', 'reload'), { ok = true })
    end)
end)

case('the bus may be started anew', function()
    with_service(function()
        linkwatching.daemon('stop')
        T.eq(get(linkwatching.port, 'GET / HTTP/1.1', 'Host: localhost'):match('^HTTP/1.1 (%d+)'), '200')
        linkwatching.daemon('start')
        T.await(function()
            local con<close> = assert(ubus.connect(BUS))
            return con:call('linkwatch', 'status')
        end)
    end)
end)

case('a new configuration drops no browser', function()
    with_service(function(service)
        local browser = stream(linkwatching.port)
        T.eq(browser.next().interval, 0.5)
        -- Another port, other links: the stream goes on, new browsers come to the new port only.
        linkwatching.configure(T, OPTIONS:gsub("'lo'", "'uplink'"):gsub("'0.5'", "'0.6'") .. "\toption port '8099'\n")
        service:signal(sys.SIGHUP)
        linkwatching.ready(T, 8099)
        T.await(function()
            local state = browser.next()
            local links = by_name(state)
            return state.interval == 0.6 and links.lo and not links.uplink
        end)
        T.fails('Connection refused', socket.connect_tcp('127.0.0.1', linkwatching.port))
        T.eq(get(8099, 'GET /state HTTP/1.1', 'Host: localhost'):match('^HTTP/1.1 (%d+)'), '200')
        -- One that makes no sense is told of and not taken: the old one stays in force.
        local con<close> = assert(ubus.connect(BUS))
        local taken = assert(socket.listen_tcp('127.0.0.1', 8077, { reuseaddr = true }))
        for options, problem in pairs {
            ["\toption port 'x'\n"] = 'linkwatch: option port: "x" is no number from 1 to 65535',
            ["\toption port '80.5'\n"] = 'linkwatch: option port: not an integer',
            ["\toption interval '0'\n"] = 'linkwatch: option interval: "0" is no number from 0.5 to 60',
            ["\toption listen 'lan'\n"] = 'linkwatch: option listen: "lan" is no address',
            ["\toption port '8077'\n"] = 'cannot listen at 127.0.0.1, port 8077: ' .. T.text('Address already in use'),
            ["\toption 'port\n"] = 'linkwatch: uci: Parse error (EOF with unterminated \') at line 2, byte 14',
        } do
            linkwatching.configure(T, options)
            T.eq(con:call('linkwatch', 'reload'), { ok = false, problem = problem })
        end
        taken:close()
        assert(file.unlink(T.path('config/linkwatch')))
        T.eq(con:call('linkwatch', 'reload').problem, 'linkwatch: uci: Entry not found')
        T.eq(browser.next().interval, 0.6)
        T.eq(get(8099, 'GET /state HTTP/1.1', 'Host: localhost'):match('^HTTP/1.1 (%d+)'), '200')
        browser.socket:close()
    end)
end)

case('hostile requests', function()
    with_service(function()
        local port = linkwatching.port
        local function status(...)
            return tonumber(get(port, ...):match('^HTTP/1.1 (%d+)'))
        end
        for _, host in ipairs { 'localhost', 'LOCALHOST:8088', 'router.lan', '127.0.0.1', '192.168.1.1:8088', '[::1]:8088' } do
            T.eq(status('GET / HTTP/1.1', 'Host: ' .. host), 200, host)
        end
        -- Names that lead here from elsewhere, and pages of other sites.
        for _, host in ipairs { 'evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '1.2.3.4.5' } do
            T.eq(status('GET /state HTTP/1.1', 'Host: ' .. host), 403, host)
        end
        for _, host in ipairs { '::1', '[localhost]', 'a b' } do
            T.eq(status('GET /state HTTP/1.1', 'Host: ' .. host), 400, host)
        end
        T.eq(status('GET /events HTTP/1.1', 'Host: localhost', 'Origin: http://evil.example'), 403)
        T.eq(status('GET /events HTTP/1.1', 'Host: localhost', 'Origin: null'), 403)
        T.eq(status('GET /state HTTP/1.1', 'Host: localhost', 'Sec-Fetch-Site: cross-site'), 403)
        T.eq(status('GET /state HTTP/1.1', 'Host: localhost:8088', 'Origin: http://localhost:8088'), 200)
        -- Nothing but the page, and nothing but looking at it.
        for _, path in ipairs { '/page', '/index.html', '/../linkwatch.lua', '/%2e%2e/linkwatch.lua', '/..%2flinkwatch.lua', '/linkwatch.lua', '/page.js/',
            '//etc/passwd', '/%00' } do
            local code = status('GET ' .. path .. ' HTTP/1.1', 'Host: localhost')
            assert(code == 403 or code == 404, path)
        end
        for _, method in ipairs { 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'NONSENSE' } do
            T.eq(status(method .. ' / HTTP/1.1', 'Host: localhost'), 405, method)
        end
        T.eq(status('HEAD / HTTP/1.1', 'Host: localhost'), 200)
        T.eq(status('HEAD /events HTTP/1.1', 'Host: localhost'), 405)
        T.eq(status('POST / HTTP/1.1', 'Host: localhost', 'Content-Length: 1000000000'), 413)
        T.eq(status('GET /' .. ('x'):rep(5000) .. ' HTTP/1.1', 'Host: localhost'), 414)
        T.eq(status('GET / HTTP/1.1', 'Host: localhost', 'X: ' .. ('x'):rep(10000)), 431)
        T.eq(status('GET / HTTP/1.1'), 400)
        T.eq(status('\0\1\2'), 400)
        local head = get(port, 'GET / HTTP/1.1', 'Host: localhost'):lower()
        for _, line in ipairs { "content-security-policy: default-src 'none'; script-src 'self'", 'x-content-type-options: nosniff', 'content-type: text/html' } do
            assert(head:find(line, 1, true), line)
        end
        -- More browsers than there may be; one that has gone makes room.
        local first, second = stream(port), stream(port)
        first.next()
        second.next()
        T.eq(status('GET /events HTTP/1.1', 'Host: localhost'), 503)
        first.socket:close()
        T.await(function()
            local third = stream(port)
            local state = third.next()
            third.socket:close()
            return state
        end)
        second.socket:close()
    end)
end)

case('what keeps it from starting', function()
    local function refused(options, message)
        linkwatching.configure(T, options)
        local service = linkwatching.start(T)
        T.eq(service:read_stderr('a', 10), message .. '\n')
        local _, status = service:wait(10)
        T.eq(status, { exited = true, status = 1 })
        service:close()
    end
    refused("\toption listen 'x'\n", 'linkwatch: option listen: "x" is no address')
    local taken = assert(socket.listen_tcp('127.0.0.1', 8088, { reuseaddr = true }))
    refused(OPTIONS, 'cannot listen at 127.0.0.1, port 8088: ' .. T.text('Address already in use'))
    taken:close()
    linkwatching.daemon('stop')
    refused(OPTIONS, 'failed to connect to ubus')
end)

quiet()
eco.sleep(0.05)
