-- Pings on this machine; what others send meanwhile is in net-tun.lua.

local eco = require 'eco'
local file = require 'eco.file'
local net = require 'eco.net'
local socket = require 'eco.socket'

local function permitted(family, protocol)
    for _, kind in ipairs { socket.SOCK_DGRAM, socket.SOCK_RAW } do
        local s = socket.socket(family, kind, protocol)
        if s then
            s:close()
            return true
        end
    end
end

local four = permitted(socket.AF_INET, socket.IPPROTO_ICMP)
local probe = socket.listen_udp('::1', 0, { ipv6 = true })
if probe then probe:close() end
local six = probe and permitted(socket.AF_INET6, socket.IPPROTO_ICMPV6)

local function check(is_permitted, ping, ...)
    local seconds, err = ping(...)
    if is_permitted then
        assert(math.type(seconds) == 'float' and seconds > 0 and seconds < 5, err)
    else
        T.fails('Permission denied', seconds, err)
    end
end

file.writefile(T.path('hosts'), '127.0.0.1 me\n::1 me\n')
local hosts = { hosts = T.path('hosts') }

case('addresses and names', function()
    check(four, net.ping, '127.0.0.1')
    check(four, net.ping, 'me', { dns = hosts })
    check(four, net.ping, '127.0.0.1', { data = '', timeout = 1 })
    check(four, net.ping, '127.0.0.1', { data = ('x'):rep(20000) .. '\0' })
    if probe then
        check(six, net.ping6, '::1')
        check(six, net.ping6, 'me', { dns = hosts, data = 'odd' })
    end
    if four then
        T.fails('Message too long', net.ping('127.0.0.1', { data = ('x'):rep(70000) }))
    end
end)

case('what does not resolve', function()
    local refused = assert(socket.listen_udp('127.0.0.1', 0))
    local port = refused:getsockname().port
    refused:close()
    local empty<close> = assert(socket.listen_udp('127.0.0.1', 0))
    eco.run(function()
        local request, peer = empty:recvfrom(512)
        while request do
            empty:sendto(request:sub(1, 2) .. '\x81\x80\0\1\0\0\0\0\0\0' .. request:sub(13, -12), peer.ipaddr, peer.port)
            request, peer = empty:recvfrom(512)
        end
    end)
    for _, ping in ipairs { net.ping, net.ping6 } do
        T.fails('resolve "a.test" fail: recv from "127.0.0.1:' .. port .. '" fail: Connection refused',
            ping('a.test', { nameservers = { { '127.0.0.1', port } } }))
        T.fails('resolve "a.test" fail: not found', ping('a.test', { nameservers = { { '127.0.0.1', empty:getsockname().port } } }))
        T.fails('resolve "." fail: bad name', ping '.')
    end
    T.fails('resolve "::1" fail: not found', net.ping '::1')
    T.fails('resolve "127.0.0.1" fail: not found', net.ping6 '127.0.0.1')
    T.fails('resolve "127.0.0.1%lo" fail: ', net.ping('127.0.0.1%lo', { nameservers = { { '127.0.0.1', port } } }))
end)

case('misuse', function()
    for _, ping in ipairs { net.ping, net.ping6 } do
        for _, host in ipairs { 1, {}, true } do T.raises('string expected', ping, host) end
        T.raises('string expected', ping)
        for _, limit in ipairs { 0, -1, 0 / 0, '1' } do T.raises('timeout out of range', ping, '127.0.0.1', { timeout = limit }) end
        for _, data in ipairs { 1, {}, true } do T.raises('data: string expected', ping, '127.0.0.1', { data = data }) end
        local message = T.raises('timeout', function() ping('127.0.0.1', { timeout = 0 }) end)
        assert(message:find('net.lua:', 1, true), message)
    end
end)

case('many at once, and one that is given up', function()
    local group = T.gather()
    for _ = 1, 50 do
        group:run(function() check(four, net.ping, '127.0.0.1', { data = tostring(math.random()) }) end)
    end
    group:wait()
    local waiting = eco.run(net.ping, '203.0.113.1', { timeout = 5 })
    eco.sleep(0.01)
    coroutine.close(waiting)
end)
