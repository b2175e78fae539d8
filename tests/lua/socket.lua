-- Module `eco.socket`: helpers, constructors, options, TCP.

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'

-- A listener on a free port of the loopback, and the port.
local function listen(options)
    local server = assert(socket.listen_tcp('127.0.0.1', 0, options))
    return server, server:getsockname().port
end

-- Both ends of a connection.
local function pair()
    local server<close>, port = listen()
    local client, accepted
    T.all(function() accepted = assert(server:accept(5)) end, function() client = assert(socket.connect_tcp('127.0.0.1', port)) end)
    return client, accepted
end

-- Emulators pass SO_ERROR on in the numbers of the machine they run on.
local function refused(...)
    T.fails(T.emulated and '' or 'Connection refused', ...)
end

case('constants', function()
    T.eq({ socket.AF_UNSPEC, socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET }, { 0, 1, 2, 10, 16, 17 })
    T.eq({ socket.IPPROTO_ICMP, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMPV6 }, { 1, 6, 17, 58 })
    T.eq({ socket.ETH_P_ALL, socket.ETH_P_IP, socket.ETH_P_ARP, socket.ETH_P_IPV6, socket.ETH_P_PPP_SES }, { 3, 0x800, 0x806, 0x86dd, 0x8864 })
    T.eq({ socket.ARPHRD_ETHER, socket.ARPHRD_LOOPBACK, socket.ARPOP_REPLY, socket.ICMP_ECHO, socket.ICMPV6_ECHO_REPLY }, { 1, 772, 2, 8, 129 })
    T.eq({ socket.PACKET_MR_PROMISC, socket.IFF_TUN, socket.IFF_TAP, socket.IFF_NO_PI }, { 1, 1, 2, 0x1000 })
    assert(rawget(socket, 'AF_INET') and rawget(socket, 'SOCK_STREAM') and rawget(socket, 'IPPROTO_TCP'))
end)

case('address helpers', function()
    for text, expected in pairs {
        ['127.0.0.1'] = { true, false }, ['::1'] = { false, true }, ['127.1'] = { false, false },
        ['fe80::1%eth0'] = { false, false }, [''] = { false, false }, ['256.0.0.1'] = { false, false },
        ['::ffff:1.2.3.4'] = { false, true }, ['1.2.3.4 '] = { false, false },
    } do
        T.eq({ socket.is_ipv4_address(text), socket.is_ipv6_address(text) }, expected, text)
        T.eq(socket.is_ip_address(text), expected[1] or expected[2], text)
    end
    T.raises('string expected', socket.is_ip_address, {})
    local loopback = string.unpack('=I4', '\127\0\0\1')
    T.eq(socket.inet_aton('127.0.0.1'), loopback)
    T.eq(socket.inet_aton('127.1'), loopback)
    T.eq(socket.inet_aton('x'), 0)
    T.eq(socket.inet_ntoa(loopback), '127.0.0.1')
    T.eq(socket.inet_ntoa(loopback | 1 << 40), '127.0.0.1')
    T.eq(socket.inet_pton(socket.AF_INET, '1.2.3.4'), '\1\2\3\4')
    T.eq(socket.inet_pton(socket.AF_INET6, '::1'), ('\0'):rep(15) .. '\1')
    T.eq(socket.inet_pton(socket.AF_INET, '::1'), nil)
    T.raises('family must be AF_INET or AF_INET6', socket.inet_pton, 99, '')
    T.eq(socket.inet_ntop(socket.AF_INET, '\1\2\3\4surplus'), '1.2.3.4')
    T.eq(socket.inet_ntop(socket.AF_INET6, ('\0'):rep(15) .. '\1'), '::1')
    T.raises('address too short', socket.inet_ntop, socket.AF_INET, '\1')
    T.raises('family must be AF_INET or AF_INET6', socket.inet_ntop, 99, '')
    T.eq(socket.if_nametoindex('lo'), 1)
    T.eq(socket.if_nametoindex('absent'), nil)
    T.eq({ socket.if_indextoname(1), socket.if_indextoname(99999) }, { 'lo', '' })
    T.eq(socket.htons(0x1234), string.unpack('=I2', '\x12\x34'))
    T.eq(socket.ntohl(socket.htonl(0x12345678)), 0x12345678)
    T.eq(socket.ntohs(socket.htons(0x12345)), 0x2345)
end)

case('constructors', function()
    for _, make in ipairs { 'tcp', 'tcp6', 'udp', 'udp6', 'unix', 'unix_dgram' } do
        local s<close> = assert(socket[make]())
        T.eq(math.type(s:getfd()), 'integer', make)
        T.eq(s:closed(), false)
        local flags = tonumber(file.readfile('/proc/self/fdinfo/' .. s:getfd()):match('flags:%s*(%d+)'), 8)
        T.eq(flags & file.O_NONBLOCK ~= 0 or T.emulated, true)
        T.eq(flags & file.O_CLOEXEC ~= 0 or T.emulated, true)
    end
    local netlink<close> = assert(socket.netlink(0))
    T.eq(netlink:getsockname().family, socket.AF_NETLINK)
    T.raises('', socket.socket)
    T.raises('', socket.socket, 'x', 1)
    T.fails('', socket.socket(99, 1))
    T.fails('Operation not supported', socket.socketpair(socket.AF_INET, socket.SOCK_STREAM))
    local a<close>, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    local closing_b<close> = b
    T.eq(a:send('x'), 1)
    T.eq(b:read(1), 'x')
end)

case('close is idempotent and final', function()
    local s = assert(socket.tcp())
    T.eq(select('#', s:close()), 0)
    s:close()
    T.eq({ s:closed(), s:getfd() }, { true, -1 })
    for name, arguments in pairs {
        read = { 1 }, send = { 'x' }, accept = {}, recvfrom = { 1 }, bind = { '127.0.0.1', 0 }, listen = {},
        connect = { '127.0.0.1', 1 }, setoption = { 'reuseaddr', true }, getsockname = {}, sendto = { 'x', '127.0.0.1', 1 },
        sendfile = { '/etc/passwd' },
    } do
        local results = table.pack(s[name](s, table.unpack(arguments)))
        T.eq(results[1], nil, name)
        assert(tostring(results[2]):find('Bad file descriptor', 1, true), name .. ': ' .. tostring(results[2]))
    end
end)

case('a dropped socket is closed by the collector', function()
    for _ = 1, 50 do
        socket.tcp()
        listen()
    end
end)

case('options', function()
    local s<close> = assert(socket.tcp())
    for name, value in pairs {
        reuseaddr = true, reuseport = true, keepalive = true, broadcast = false, sndbuf = 10000, rcvbuf = 10000,
        tcp_keepidle = 10, tcp_keepintvl = 5, tcp_keepcnt = 3, tcp_fastopen = 5, tcp_nodelay = true,
    } do
        T.eq(s:setoption(name, value), true, name)
    end
    T.raises("unsupported option 'what'", s.setoption, s, 'what', 1)
    T.raises('boolean expected', s.setoption, s, 'reuseaddr', 1)
    T.raises('number expected', s.setoption, s, 'sndbuf', {})
    T.raises('ifname too long', s.setoption, s, 'bindtodevice', ('x'):rep(16))
    T.fails('No such device', s:setoption('bindtodevice', 'absent'))
    local six<close> = assert(socket.tcp6())
    T.eq(six:setoption('ipv6_v6only', true), true)
    local udp<close> = assert(socket.udp())
    T.fails('Protocol not available', udp:setoption('tcp_nodelay', true))
    T.eq(udp:setoption('ip_add_membership', { multiaddr = '224.0.0.251', interface = '127.0.0.1' }), true)
    T.eq(udp:setoption('ip_drop_membership', { multiaddr = '224.0.0.251', interface = '127.0.0.1' }), true)
    T.raises('multiaddr: not a valid IP address', udp.setoption, udp, 'ip_add_membership', { multiaddr = 'x' })
    T.raises('interface: not a valid IP address', udp.setoption, udp, 'ip_add_membership', { multiaddr = '224.0.0.251', interface = 'x' })
    T.raises('multiaddr: not a valid IPv6 address', six.setoption, six, 'ipv6_add_membership', { multiaddr = 'x' })
    T.fails("failed to set socket option 'device': No such device", socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, { device = 'absent' }))
    T.raises('boolean expected', socket.socket, socket.AF_INET, socket.SOCK_STREAM, 0, { reuseaddr = 1 })
    local server<close> = listen { reuseaddr = true, tcp_nodelay = true, keepalive = true, tcp_keepidle = 9, backlog = 5, reuseport = true }
end)

case('bind, listen, addresses', function()
    local s<close> = assert(socket.tcp())
    T.eq(s:bind('127.0.0.1', 0), s)
    T.eq(s:listen(), s)
    local address = s:getsockname()
    T.eq({ address.family, address.ipaddr, math.type(address.port) }, { socket.AF_INET, '127.0.0.1', 'integer' })
    T.fails('Transport endpoint is not connected', s:getpeername())
    local other<close> = assert(socket.tcp())
    T.fails('Address already in use', other:bind('127.0.0.1', address.port))
    T.fails('Address already in use', socket.listen_tcp('127.0.0.1', address.port))
    T.raises('not a valid IPv4 address', other.bind, other, 'x', 0)
    T.raises('', other.bind, other, '127.0.0.1')
    local six<close> = assert(socket.tcp6())
    T.raises('not a valid IPv6 address', six.bind, six, '127.0.0.1', 0)
    T.eq(six:bind('::1', 0), six)
    T.eq(six:getsockname().ipaddr, '::1')
    T.raises('not a valid IPv4 address', socket.listen_tcp, '::1', 0)
    for _, text in ipairs { '', '.', '999.0.0.1', '1.2.3', '1', 'a b', 'a\0b', 'a..b', '::1%lo', 'fe80::x', ('a'):rep(64) .. '.test', ('a.'):rep(128), 5 } do
        T.raises('not a valid IP address', socket.connect_tcp, text, 1)
        T.raises('not a valid IP address', socket.connect_udp, text, 1)
    end
    T.raises('string expected', socket.connect_tcp)
    local any<close> = assert(socket.listen_tcp(nil, 0))
    T.eq(any:getsockname().ipaddr, '0.0.0.0')
end)

case('connect and accept', function()
    local server<close>, port = listen()
    local accepted, peer, client
    T.all(function() accepted, peer = server:accept() end, function() client = assert(socket.connect_tcp('127.0.0.1', port)) end)
    T.eq({ peer.family, peer.ipaddr, peer.port }, { socket.AF_INET, '127.0.0.1', client:getsockname().port })
    T.eq(client:getpeername().port, port)
    T.eq(accepted:getpeername(), peer)
    for _, name in ipairs { 'sock', 'rd', 'wr', 'mutex' } do
        assert(client[name] ~= nil, name)
        assert(accepted[name] ~= nil, name)
    end
    client:close()
    accepted:close()
    T.fails('timeout', server:accept(0.01))
end)

case('connection refused', function()
    local server, port = listen()
    server:close()
    refused(socket.connect_tcp('127.0.0.1', port))
    local s<close> = assert(socket.tcp())
    refused(s:connect('127.0.0.1', port))
end)

case('IPv6 and dual stack', function()
    local server<close> = assert(socket.listen_tcp('::1', 0, { ipv6 = true }))
    T.all(function() local s<close>, peer = assert(server:accept(5)) T.eq(peer.ipaddr, '::1') end,
        function() local s<close> = assert(socket.connect_tcp('::1', server:getsockname().port)) end)
    local dual<close> = assert(socket.listen_tcp(nil, 0, { ipv6 = true }))
    T.all(function() local s<close>, peer = assert(dual:accept(5)) T.eq(peer.ipaddr, '::ffff:127.0.0.1') end,
        function() local s<close> = assert(socket.connect_tcp('127.0.0.1', dual:getsockname().port)) end)
    local only<close> = assert(socket.listen_tcp(nil, 0, { ipv6 = true, ipv6_v6only = true }))
    refused(socket.connect_tcp('127.0.0.1', only:getsockname().port))
end)

case('reading', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    client:send('line one\r\nline two\n12345until--rest')
    T.eq(server:read('l', 5), 'line one')
    T.eq(server:read('L'), 'line two\n')
    T.eq(server:readfull(5), '12345')
    T.eq({ server:readuntil('--') }, { 'until', true })
    T.eq(server:recv(100), 'rest')
    client:send('full')
    T.eq(server:recvfull(4), 'full')
    T.fails('timeout', server:read(1, 0.01))
    T.raises('expected size must be greater than 0', server.read, server, 0)
    T.raises('invalid format', server.read, server, '4')
    client:send('last')
    client:close()
    T.eq(server:read('a'), 'last')
    T.fails('closed', server:read('a'))
    T.fails('closed', server:read(1))
    T.fails('closed', server:readuntil('x'))
end)

case('sending', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    T.eq(client:send(''), 0)
    T.eq(client:write(42), 2)
    T.eq(server:read(5), '42')
    T.raises('string expected', client.send, client)
    T.raises('string expected', client.send, client, {})
    -- A raised error leaves no lock behind.
    T.eq(client:send('x', 1), 1)
    local big = ('0123456789'):rep(500000)
    T.all(function() T.eq(client:send(big), #big) end, function()
        T.eq(server:readfull(1), 'x')
        assert(server:readfull(#big) == big)
    end)
end)

case('concurrent senders do not mix', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    local size, group = 300000, T.gather()
    for i = 1, 5 do
        group:run(function() T.eq(client:send(tostring(i):rep(size)), size) end)
    end
    local runs = {}
    for _ = 1, 5 do
        local text = server:readfull(size)
        assert(text == text:sub(1, 1):rep(size), 'mixed')
        runs[text:sub(1, 1)] = true
    end
    group:wait()
    T.eq(runs, { ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true, ['5'] = true })
end)

case('a slow reader times the sender out', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    T.took(0.05, 2, function() T.fails('timeout', client:send(('x'):rep(20000000), 0.05)) end)
    -- and the other direction still works
    T.eq(server:send('back'), 4)
    T.eq(client:read(10), 'back')
end)

case('a trickle is not a timeout', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    local pause, limit = 0.02 * (T.slow > 1 and 4 or 1), 0.15 * (T.slow > 1 and 4 or 1)
    T.all(function() T.eq(server:readfull(10, limit), '0123456789') end, function()
        for c in ('0123456789'):gmatch('.') do client:send(c) eco.sleep(pause) end
    end)
end)

case('the answer of a peer that has left still arrives', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    client:send('question\n')
    T.eq(server:read('l'), 'question')
    server:send('answer')
    server:close()
    T.eq(client:read('a'), 'answer')
    -- The peer is gone: the first send may still be taken by the kernel.
    client:send('x')
    eco.sleep(0.01)
    local sent, message = client:send('x')
    T.eq(sent, nil)
    assert(message == 'Broken pipe' or message == 'Connection reset by peer', message)
end)

case('a reset is reported', function()
    local client, server<close> = pair()
    server:send(('x'):rep(100000))
    eco.sleep(0.01)
    -- Closing with unread data resets the connection.
    client:close()
    eco.sleep(0.01)
    T.fails('Connection reset by peer', server:read(1))
end)

case('close wakes whoever waits', function()
    local server, port = listen()
    local client = assert(socket.connect_tcp('127.0.0.1', port))
    local accepted = assert(server:accept())
    local woke = {}
    eco.run(function() woke.read = select(2, accepted:read(1)) end)
    eco.run(function() woke.accept = select(2, server:accept()) end)
    eco.run(function() woke.send = select(2, accepted:send(('x'):rep(50000000))) end)
    eco.run(function() woke.queued = select(2, accepted:send('x')) end)
    eco.sleep(0.01)
    accepted:close()
    server:close()
    T.eq(woke, {})
    eco.sleep(0.01)
    T.eq(woke, { read = 'canceled', accept = 'canceled', send = 'canceled', queued = 'Bad file descriptor' })
    client:close()
end)

case('a second waiter raises', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    eco.run(function() client:read(1) end)
    T.raises('another coroutine is already waiting on this I/O object', client.read, client, 1)
    local listener<close> = listen()
    eco.run(function() listener:accept() end)
    T.raises('another coroutine is already waiting', listener.accept, listener)
    local reader = eco.reader(client:getfd())
    T.raises('another coroutine is already waiting for read on this file descriptor', reader.read, reader, 1)
    client:close()
    listener:close()
    eco.sleep(0)
end)

case('full duplex', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    local data = ('abcdefghij'):rep(100000)
    T.all(
        function() T.eq(client:send(data), #data) end, function() assert(client:readfull(#data) == data) end,
        function() T.eq(server:send(data), #data) end, function() assert(server:readfull(#data) == data) end)
end)

case('sendfile', function()
    local client<close>, server = pair()
    local closing_server<close> = server
    local path = T.path('page')
    file.writefile(path, ('0123456789'):rep(100000))
    T.all(function() T.eq(client:sendfile(path), 1000000) end, function() T.eq(#server:readfull(1000000), 1000000) end)
    T.eq(client:sendfile(path, 5, 3), 5)
    T.eq(server:readfull(5), '34567')
    T.eq(client:sendfile(path, nil, 999995), 5)
    T.eq(server:readfull(5), '56789')
    T.eq(client:sendfile(path, nil, 2000000), 0)
    T.fails('No such file or directory', client:sendfile('/absent'))
    T.fails('Invalid argument', client:sendfile(T.scratch, 10))
    T.raises('len must be great than 0', client.sendfile, client, path, 0)
    T.raises('offset must be greater than or equal to 0', client.sendfile, client, path, 1, -1)
    T.fails('closed', client:sendfile(path, 100, 999995))
    T.eq(server:readfull(5), '56789')
    T.fails('timeout', client:sendfile('/dev/zero', 50000000, 0, 0.05))
end)

case('many connections one after the other leave nothing', function()
    local server<close>, port = listen()
    local stop = false
    local group = T.gather()
    group:run(function()
        while not stop do
            local c = server:accept(0.5 * T.slow)
            if c then
                eco.run(function()
                    c:send(c:read('l', 5) .. '\n')
                    c:close()
                end)
            end
        end
    end)
    for i = 1, 100 do
        local c<close> = assert(socket.connect_tcp('127.0.0.1', port))
        c:send(i .. '\n')
        T.eq(c:read('l', 5), tostring(i))
        T.fails('closed', c:read('l', 5))
    end
    stop = true
    group:wait()
end)

case('the raw module', function()
    local raw = require 'eco.internal.socket'
    local s = assert(raw.socket(socket.AF_INET, socket.SOCK_STREAM))
    assert(tostring(s):find('^struct eco_socket %*: 0x'), tostring(s))
    T.eq(s:bind('127.0.0.1', 0), true)
    T.eq(s:listen(5), true)
    T.fails('', s:accept())
    T.eq(s:getoption('error'), nil)
    T.raises("unsupported option 'x'", s.getoption, s, 'x')
    local c = assert(raw.socket(socket.AF_INET, socket.SOCK_STREAM))
    local connected = c:connect('127.0.0.1', s:getsockname().port)
    T.eq(type(connected), 'boolean')
    local accepted, peer
    T.eq(eco.io(s:getfd()):wait(eco.READ, 5), true)
    accepted, peer = s:accept()
    T.eq(peer.ipaddr, '127.0.0.1')
    for _, x in ipairs { s, c, accepted } do
        x:close()
        T.eq({ x:closed(), x:getfd() }, { true, -1 })
    end
    T.fails('closed', s:accept())
end)

case('connect gives up when closed', function()
    -- A full backlog leaves a connection attempt hanging.
    local server<close>, port = listen { backlog = 0 }
    local fillers = {}
    for i = 1, 4 do
        fillers[i] = assert(socket.tcp())
        eco.run(function() fillers[i]:connect('127.0.0.1', port) end)
    end
    eco.sleep(0.01)
    local result
    local s = assert(socket.tcp())
    local co = eco.run(function() result = table.pack(s:connect('127.0.0.1', port)) end)
    if coroutine.status(co) ~= 'dead' then
        s:close()
        eco.sleep(0.01)
        T.eq(result, { nil, 'canceled', n = 2 })
    end
    s:close()
    for _, filler in ipairs(fillers) do filler:close() end
end)

case('connecting to a Unix socket waits for room', function()
    local path = T.path('full')
    local server<close> = assert(socket.listen_unix(path, { backlog = 1 }))
    local waiting, connected = {}, 0
    local group = T.gather()
    for i = 1, 8 do
        group:run(function()
            local s = assert(socket.connect_unix(path))
            connected = connected + 1
            waiting[i] = s
        end)
    end
    eco.sleep(0.1)
    assert(connected < 8, connected)
    for _ = 1, 8 do assert(server:accept(10)):close() end
    group:wait()
    T.eq(connected, 8)
    for _, s in ipairs(waiting) do s:close() end
end)

case('a socket closed while it waits for room', function()
    local path = T.path('full')
    os.remove(path)
    local server<close> = assert(socket.listen_unix(path, { backlog = 0 }))
    local filled = {}
    for i = 1, 8 do
        eco.run(function()
            local s = assert(socket.unix())
            filled[i] = s
            s:connect(path)
        end)
    end
    eco.sleep(0.02)
    for _, s in ipairs(filled) do s:close() end
    T.settle()
end)

case('cancel of a reader or writer ends accept, recvfrom and send', function()
    local server<close>, port = listen()
    local udp = assert(socket.listen_udp('127.0.0.1', 0))
    local client = assert(socket.connect_tcp('127.0.0.1', port))
    local accepted = assert(server:accept())
    local woke = {}
    eco.run(function() woke.accept = { server:accept() } end)
    eco.run(function() woke.recvfrom = { udp:recvfrom(10) } end)
    eco.run(function() woke.send = { accepted:send(('x'):rep(50000000)) } end)
    eco.sleep(0.01)
    T.eq(woke, {})
    server.rd:cancel()
    udp.rd:cancel()
    accepted.wr:cancel()
    T.await(function() return woke.accept and woke.recvfrom and woke.send end)
    local canceled = { nil, 'canceled' }
    T.eq(woke, { accept = canceled, recvfrom = canceled, send = canceled })
    -- Nothing is left of it.
    local again = assert(socket.connect_tcp('127.0.0.1', port))
    local next<close> = assert(server:accept())
    again:close()
    client:close()
    accepted:close()
    udp:close()
end)

case('sockets fill buffers', function()
    local client<close>, server = pair()
    local buffer = eco.buffer(8)
    client:send('one\ntwo\n')
    T.eq(server:read2b(buffer, 3), 3)
    T.eq(buffer:pull(), 'one')
    local lines = require 'eco.bufio'.new(server)
    T.eq(lines:read('l'), '')
    T.eq(lines:read('l'), 'two')
    T.fails('timeout', server:read2b(buffer, 3, 0.001))
    server:close()
    T.fails('Bad file descriptor', server:read2b(buffer, 3))
end)

case('waiting across a C call says so', function()
    local client<close>, server = pair()
    local function across(wait)
        local reason
        table.sort({ 2, 1 }, function()
            reason = select(2, pcall(wait))
            return true
        end)
        return reason
    end
    for _, wait in ipairs {
        function() server:read(1) end, function() eco.sleep(0.001) end, function() eco.yield() end,
        function() require 'eco.sync'.cond():wait() end, function() require 'eco.sys'.sh('true') end,
    } do
        local reason = across(wait)
        assert(reason:find('attempt to yield across a C-call boundary', 1, true), reason)
    end
    server:close()
end)

case('limits of connect and sendto are options', function()
    for _, name in ipairs { 'connect_timeout', 'sendto_timeout' } do
        for _, wrong in ipairs { -1, 'x', 0 / 0, {} } do
            T.raises('seconds expected', socket.socket, socket.AF_INET, socket.SOCK_DGRAM, 0, { [name] = wrong })
        end
    end
    local near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    local path = T.path('full')
    local receiver<close> = assert(socket.unix_dgram())
    assert(receiver:bind(path))
    local sender = assert(socket.unix_dgram())
    assert(sender:setoption('sendto_timeout', 0.02))
    T.took(0.02, 2, function()
        local sent, problem
        repeat sent, problem = sender:sendto('x', path) until not sent
        T.eq(problem, 'timeout')
    end)
    sender:close()
    near:close()
    far:close()

    -- A full backlog makes connecting wait.
    local place = T.path('backlog')
    local server<close> = assert(socket.listen_unix(place, { backlog = 0 }))
    local waiting = {}
    for i = 1, 3 do
        local s = assert(socket.unix())
        s:setoption('connect_timeout', 0.05)
        waiting[i] = s
    end
    local answers = {}
    for i, s in ipairs(waiting) do answers[i] = { s:connect(place) } end
    T.eq(answers[#answers], { nil, 'timeout' })
    for _, s in ipairs(waiting) do s:close() end
    assert(server)
end)

case('shutdown ends one direction', function()
    local server<close> = socket.listen_tcp('127.0.0.1', 0)
    local client<close> = socket.connect_tcp('127.0.0.1', server:getsockname().port)
    local peer<close> = server:accept()
    client:send('the question')
    T.eq({ client:shutdown('write') }, { true })
    T.eq(peer:read('a'), 'the question')
    T.fails('Broken pipe', client:send('more'))
    peer:send('the answer')
    T.eq(client:read(100), 'the answer')
    -- A reader that waits learns of it.
    eco.run(function() client:shutdown('both') end)
    T.fails('closed', client:read(1))
    T.raises("'read', 'write' or 'both' expected", client.shutdown, client, 'all')
    T.raises("'read', 'write' or 'both' expected", client.shutdown, client)
    local fresh<close> = socket.tcp()
    T.fails('Transport endpoint is not connected', fresh:shutdown('write'))
    fresh:close()
    T.fails('Bad file descriptor', fresh:shutdown('write'))
end)
