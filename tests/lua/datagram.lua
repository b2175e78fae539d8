-- Module `eco.socket`: UDP, Unix, netlink and packet sockets.

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'

case('UDP', function()
    local server<close> = assert(socket.listen_udp('127.0.0.1', 0))
    local port = server:getsockname().port
    local client<close> = assert(socket.connect_udp('127.0.0.1', port))
    T.eq(client:send('ping'), 4)
    local data, peer = server:recvfrom(100, 5)
    T.eq({ data, peer.ipaddr, peer.port }, { 'ping', '127.0.0.1', client:getsockname().port })
    T.eq(server:sendto('pong', peer.ipaddr, peer.port), 4)
    T.eq(client:recv(100, 5), 'pong')
    T.fails('timeout', server:recvfrom(1, 0.01))
    server:sendto('long datagram', peer.ipaddr, peer.port)
    T.eq(client:recvfrom(4, 5), 'long')
    -- An empty datagram is one.
    T.eq(server:sendto('', peer.ipaddr, peer.port), 0)
    T.eq(client:recvfrom(10, 5), '')
    T.fails('Message too long', server:sendto(('x'):rep(70000), peer.ipaddr, peer.port))
    T.raises('must be greater than 0', server.recvfrom, server, 0)
    T.raises('not a valid IPv4 address', server.sendto, server, 'x', 'nowhere', 1)
    -- The failed call has left no lock behind.
    T.eq(server:sendto('again', peer.ipaddr, peer.port), 5)
    T.eq(client:recv(100, 5), 'again')
end)

case('UDP: refused, cancelled', function()
    local gone = assert(socket.listen_udp('127.0.0.1', 0))
    local port = gone:getsockname().port
    gone:close()
    local client<close> = assert(socket.connect_udp('127.0.0.1', port))
    client:send('x')
    T.fails('Connection refused', client:recv(10, 5))
    local server = assert(socket.listen_udp('127.0.0.1', 0))
    local woke
    eco.run(function() woke = table.pack(server:recvfrom(10)) end)
    eco.sleep(0)
    server:close()
    eco.sleep(0)
    T.eq(woke, { nil, 'canceled', n = 2 })
end)

case('UDP over IPv6', function()
    local server<close> = assert(socket.listen_udp('::1', 0, { ipv6 = true }))
    local client<close> = assert(socket.udp6())
    T.eq(client:sendto('six', '::1', server:getsockname().port), 3)
    local data, peer = server:recvfrom(10, 5)
    T.eq({ data, peer.family, peer.ipaddr }, { 'six', socket.AF_INET6, '::1' })
end)

case('Unix streams', function()
    local path = T.path('stream')
    local server = assert(socket.listen_unix(path))
    T.eq(server:getsockname(), { family = socket.AF_UNIX, path = path })
    T.fails('Address already in use', socket.listen_unix(path))
    T.eq(file.access(path), true)
    local client, accepted, peer
    T.all(function() accepted, peer = assert(server:accept(5)) end, function() client = assert(socket.connect_unix(path, T.path('local'))) end)
    T.eq(peer, { family = socket.AF_UNIX, path = T.path('local') })
    client:send('hello\n')
    T.eq(accepted:read('l'), 'hello')
    accepted:close()
    T.fails('closed', client:read(1))
    client:close()
    T.eq(file.access(T.path('local')), false)
    T.eq(file.access(path), true)
    server:close()
    T.eq(file.access(path), false)
    T.fails('No such file or directory', socket.connect_unix(path))
    T.raises('path too long', socket.listen_unix, ('x'):rep(108))
end)

case('abstract names', function()
    local name = '\0eco-test-' .. require 'eco.sys'.getpid()
    local server<close> = assert(socket.listen_unix(name))
    T.eq(server:getsockname().path, name)
    T.all(function()
        local s<close>, peer = assert(server:accept(5))
        T.eq(peer.path, '')
    end, function() local c<close> = assert(socket.connect_unix(name)) end)
    local auto<close> = assert(socket.unix())
    auto:bind('')
    assert(auto:getsockname().path:find('^%z%x%x%x%x%x$'))
end)

case('Unix datagrams', function()
    local a<close>, b = assert(socket.unix_dgram()), assert(socket.unix_dgram())
    local closing_b<close> = b
    T.eq(a:bind(T.path('a')), a)
    T.eq(b:sendto('anonymous', T.path('a')), 9)
    local data, peer = a:recvfrom(100, 5)
    T.eq({ data, peer }, { 'anonymous', { family = 0 } })
    b:bind(T.path('b'))
    b:sendto('named', T.path('a'))
    data, peer = a:recvfrom(100, 5)
    T.eq({ data, peer.path }, { 'named', T.path('b') })
    T.eq(a:sendto('back', peer.path), 4)
    T.eq(b:recvfrom(100, 5), 'back')
    b:close()
    T.eq(file.access(T.path('b')), false)
end)

case('socket pairs', function()
    local a<close>, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    local closing_b<close> = b
    a:send('one')
    a:send('two')
    T.eq(b:recv(100), 'one')
    T.eq(b:recvfrom(100), 'two')
end)

case('netlink', function()
    local s<close> = assert(socket.netlink(0))
    T.eq(s:bind(0, 0), s)
    assert(s:getsockname().pid ~= 0)
    -- RTM_GETLINK, dump
    s:sendto(string.pack('=I4I2I2I4I4I1xI2i4I4I4', 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0), 0, 0)
    local data, peer = s:recvfrom(8192, 5)
    T.eq({ peer.family, peer.pid }, { socket.AF_NETLINK, 0 })
    T.eq(select(2, string.unpack('=I4I2', data)), 16)
end)

case('packet addresses', function()
    local s, message = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(socket.ETH_P_ALL))
    if not s then
        T.eq(message, 'Operation not permitted')
        return
    end
    local guard<close> = s
    T.eq(s:bind { ifname = 'lo' }, s)
    local address = s:getsockname()
    T.eq({ address.family, address.ifname, address.ifindex }, { socket.AF_PACKET, 'lo', 1 })
    T.fails("device 'absent' not exists", s:bind { ifname = 'absent' })
    T.fails("no device with ifindex '99999'", s:bind { ifindex = 99999 })
    T.raises('', s.bind, s, 'lo')
    local udp<close> = assert(socket.udp())
    udp:sendto('see me', '127.0.0.1', 9)
    local frame = assert(s:recvfrom(2000, 5))
    assert(#frame > 14)
end)

case('other families have no addresses', function()
    local s = socket.socket(31, socket.SOCK_RAW, 0)
    if s then
        T.raises('invalid domain', s.bind, s, 1)
        s:close()
    end
end)

case('tun', function()
    T.raises('device name too long', socket.open_tun, ('x'):rep(16))
    local tun, name = socket.open_tun()
    if not tun then
        T.eq(type(name), 'string')
        return
    end
    assert(name:find('^tun'))
    T.fails('Invalid argument', tun:write('x'))
    T.fails('Input/output error', tun:write('\x45'))
    tun:close()
    T.eq(tun:closed(), true)
end)
