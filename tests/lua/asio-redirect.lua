-- The transparent proxy of `examples/proxy` between network namespaces: a client behind a router whose netfilter redirects,
-- a server elsewhere that has the proxy's other part, and behind that a host that echoes. IPv4 and IPv6.

local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'

local id = sys.getpid()
local client, router, server = 'eco-c-' .. id, 'eco-r-' .. id, 'eco-s-' .. id
local started = {}

local function run(...)
    local process<close> = assert(sys.exec(...))
    local output = process:read_stdout('a', 60) or ''
    local errors = process:read_stderr('a', 60) or ''
    local _, status = process:wait(60)
    return status and status.exited and status.status == 0, output, errors
end

local function must(...)
    local ok, output, errors = run(...)
    assert(ok, table.concat({ ... }, ' ') .. ': ' .. output .. errors)
    return output
end

local function ip(text)
    local words = { 'ip' }
    for word in text:gmatch('%S+') do words[#words + 1] = word end
    must(table.unpack(words))
end

local function within(namespace, ...)
    return 'ip', 'netns', 'exec', namespace, ...
end

-- A script of eco's in a namespace, which goes on.
local function start(namespace, path, ...)
    local words = { within(namespace, table.unpack(T.interpreter)) }
    for _, word in ipairs { path, ... } do words[#words + 1] = word end
    local process = assert(sys.exec(table.unpack(words)))
    started[#started + 1] = process
    return process
end

local function script(name, text)
    assert(file.writefile(T.path(name), text))
    return T.path(name)
end

-- A script of eco's in a namespace; gives what it prints.
local function ask(namespace, text)
    local words = { within(namespace, table.unpack(T.interpreter)) }
    words[#words + 1] = script('ask.lua', text)
    return must(table.unpack(words))
end

local function clean()
    for _, process in ipairs(started) do
        process:kill(9)
        process:wait(5)
        process:close()
    end
    for _, name in ipairs { client, router, server } do run('ip', 'netns', 'del', name) end
end

-- The echoing host is one of the world's: 198.51.100.1 and 2001:db8:1::1.
local function build()
    for _, name in ipairs { client, router, server } do
        ip('netns add ' .. name)
        ip(('-n %s link set lo up'):format(name))
    end
    ip(('link add eth0 netns %s type veth peer name br-lan netns %s'):format(client, router))
    ip(('link add wan netns %s type veth peer name eth0 netns %s'):format(router, server))
    for _, line in ipairs {
        client .. ' eth0 192.168.1.2/24 fd01::2/64', router .. ' br-lan 192.168.1.1/24 fd01::1/64',
        router .. ' wan 203.0.113.1/24 fd02::1/64', server .. ' eth0 203.0.113.2/24 fd02::2/64',
    } do
        local name, link, four, six = line:match('(%S+) (%S+) (%S+) (%S+)')
        ip(('-n %s addr add %s dev %s'):format(name, four, link))
        ip(('-n %s addr add %s dev %s nodad'):format(name, six, link))
        ip(('-n %s link set %s up'):format(name, link))
    end
    ip(('-n %s addr add 198.51.100.1/32 dev lo'):format(server))
    ip(('-n %s addr add 2001:db8:1::1/128 dev lo nodad'):format(server))
    ip(('-n %s route add default via 192.168.1.1'):format(client))
    ip(('-n %s -6 route add default via fd01::1'):format(client))
    local rules = assert(file.readfile(os.getenv('PROXY') .. '/proxy.nft'))
    rules = rules .. [[
        chain watched {
            type nat hook prerouting priority dstnat - 2; policy accept;
            tcp dport 21234 redirect to :7001
        }
    ]]
    assert(file.writefile(T.path('rules.nft'), 'table inet fw4 {\n' .. rules .. '}\n'))
    must(within(router, 'nft', '-f', T.path('rules.nft')))
end

local PRELUDE = [[
    local eco, socket = require 'eco', require 'eco.socket'
]]

case('between namespaces', function()
    local gone<close> = setmetatable({}, { __close = clean })
    build()
    start(server, script('echo.lua', PRELUDE .. [[
        local listener = assert(socket.listen_tcp('::', 8080, { ipv6 = true, reuseaddr = true }))
        while true do
            local con, peer = listener:accept()
            eco.run(function()
                con:send('hello ' .. peer.ipaddr .. '\n')
                repeat
                    local data = con:read(65536)
                until not data or not con:send(data)
                con:close()
            end)
        end
    ]]))
    local proxy = os.getenv('PROXY') .. '/proxy.lua'
    start(server, proxy, 'server', '203.0.113.2', '9000')
    start(router, proxy, 'router', '7000', '203.0.113.2', '9000')
    for _, path in ipairs { '198.51.100.1', '2001:db8:1::1' } do
        -- Without the proxy there is no way there; with it, the server's part is who connects.
        local output
        T.await(function()
            local words = { within(client, table.unpack(T.interpreter)) }
            words[#words + 1] = script('client.lua', PRELUDE .. ('local target = %q\n'):format(path) .. [[
                local con<close> = assert(socket.connect_tcp(target, 8080, { connect_timeout = 2 }))
                local hello = assert(con:read('l', 5))
                local data = {}
                for i = 0, 255 do data[#data + 1] = string.char(i) end
                data = table.concat(data):rep(800)
                eco.run(function() con:send(data) end)
                assert(con:readfull(#data, 60) == data)
                print(hello)
            ]])
            local ok
            ok, output = run(table.unpack(words))
            return ok
        end)
        assert(output == ('hello %s\n'):format(path:find(':') and path or '::ffff:198.51.100.1'), output)
    end
    -- What a part cannot reach closes the connection, and it goes on.
    T.eq(ask(client, PRELUDE .. [[
        local con<close> = assert(socket.connect_tcp('198.51.100.1', 80))
        print(select(2, con:read(1)))
    ]]), 'closed\n')
end)

case('original destinations, and addresses that lead nowhere', function()
    local gone<close> = setmetatable({}, { __close = clean })
    build()
    -- By listeners of one family and of both.
    for _, listen in ipairs { '0.0.0.0', '::' } do
        local watcher = start(router, script('watch.lua', ([[
            local asio = require 'asio'
            local holder = asio.server('%s', 7001, function(con)
                asio.spawn_light_thread(function()
                    local address = con:get_original_dst()
                    con:write(#address .. ' ' .. asio.addr_to_str(address) .. ' ' .. address:byte(1, 1) .. '\n')
                    con:close()
                end)
            end)
            asio.run()
        ]]):format(listen)))
        for _, target in ipairs(listen == '::' and { '8.8.8.8', '2001:db8:2::7' } or { '8.8.8.8' }) do
            local text = PRELUDE .. ('local target = %q\n'):format(target) .. [[
                local con
                for _ = 1, 100 do
                    con = socket.connect_tcp(target, 21234, { connect_timeout = 2 })
                    if con then break end
                    eco.sleep(0.05)
                end
                print(con:read('l', 5))
            ]]
            local family = target:find(':') and 10 or 2
            local words = ('128 %s:21234 %d\n'):format(target, family)
            assert(ask(client, text) == (string.pack('=I2', 1) == '\1\0' and words or words:gsub('%d+\n$', '0\n')))
        end
        watcher:kill(9)
        watcher:wait(5)
    end
    -- Nobody has a way to these.
    local said = ask(server, [[
        local asio = require 'asio'
        asio.spawn_light_thread(function()
            for _, target in ipairs { '0.0.0.1', '192.0.2.1', '2001:db8:9::1' } do print(asio.connect(target, 80)) end
        end)
        asio.run()
    ]])
    for line in said:gmatch('[^\n]+') do
        assert(line:find('^nil\tNetwork unreachable$') or line:find('^nil\tNetwork is unreachable$') or line:find('^nil\tInvalid argument$'), said)
    end
    T.eq(select(2, said:gsub('\n', '')), 3)
end)
