-- The modules of lunet: coroutines, sockets, datagrams, files, signals.

local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'
local time = require 'eco.time'
local lunet = require 'lunet'
local socket = require 'lunet.socket'
local udp = require 'lunet.udp'
local fs = require 'lunet.fs'
local signal = require 'lunet.signal'

local port = 21000 + sys.getpid() % 30000

-- Runs functions as coroutines of lunet and waits until all have ended well.
local function all(...)
    local left, failure = select('#', ...), nil
    for _, f in ipairs { ... } do
        lunet.spawn(function()
            local ok, err = xpcall(f, debug.traceback)
            if not ok then failure = failure or err end
            left = left - 1
        end)
    end
    T.await(function() return left == 0 or failure end)
    if failure then error(failure, 0) end
end

local function pack(...) return table.pack(...) end

local function listen()
    local l, err
    repeat
        port = port + 1
        all(function() l, err = socket.listen('tcp', '127.0.0.1', port) end)
        assert(l or err == 'failed to listen: address already in use', err)
    until l
    return l
end

-- Two ends of a connection.
local function connection()
    local l = listen()
    local client, server
    all(function() client = assert(socket.connect('127.0.0.1', port)) end, function() server = assert(socket.accept(l)) end)
    return client, server, l
end

case('calls outside of coroutines say so', function()
    for name, f in pairs {
        ['lunet.sleep'] = lunet.sleep, ['socket.listen'] = socket.listen, ['socket.accept'] = socket.accept, ['socket.connect'] = socket.connect,
        ['socket.read'] = socket.read, ['socket.write'] = socket.write, ['socket.getpeername'] = socket.getpeername, ['udp.bind'] = udp.bind,
        ['udp.send'] = udp.send, ['udp.recv'] = udp.recv, ['udp.close'] = udp.close, ['fs.open'] = fs.open, ['fs.close'] = fs.close,
        ['fs.read'] = fs.read, ['fs.write'] = fs.write, ['fs.fstat'] = fs.stat, ['fs.scandir'] = fs.scandir, ['signal.wait'] = signal.wait,
    } do
        local seen
        -- A comparison made by C: nothing may wait there.
        all(function()
            table.sort({ 1, 2 }, function()
                seen = table.pack(pcall(f))
                return false
            end)
        end)
        T.eq(seen[2], name .. ' called in non-yieldable context')
    end
end)

case('spawn starts at once and gives nothing', function()
    local seen = {}
    T.eq(pack(lunet.spawn(function(...)
        seen[#seen + 1] = select('#', ...)
        lunet.sleep(1)
        seen[#seen + 1] = 'woke'
    end)), { n = 0 })
    T.eq(seen, { 0 })
    T.await(function() return #seen == 2 end)
    T.raises('function expected', lunet.spawn)
    T.raises('function expected', lunet.spawn, {})
end)

case('sleep counts milliseconds', function()
    all(function()
        local before = time.now()
        T.eq(pack(lunet.sleep(20)), { n = 0 })
        assert(time.now() - before >= 0.02)
        before = time.now()
        lunet.sleep(0.9)
        lunet.sleep('0')
        assert(time.now() - before < 0.5 * T.slow)
        T.eq(select(2, pcall(lunet.sleep, -1)), 'lunet.sleep duration must be >= 0')
        T.raises('number expected', lunet.sleep)
        T.raises('number expected', lunet.sleep, 0 / 0)
    end)
end)

case('coroutines made by hand may wait', function()
    local steps = {}
    local co = coroutine.create(function()
        steps[1] = 'begun'
        lunet.sleep(5)
        steps[2] = 'woke'
        coroutine.yield('own')
        steps[3] = 'end'
    end)
    T.eq(pack(coroutine.resume(co)), { true, n = 1 })
    -- Whoever resumes it early gets it back.
    T.eq(pack(coroutine.resume(co, 'early')), { true, n = 1 })
    T.eq(steps, { 'begun' })
    T.await(function() return steps[2] end)
    T.eq(coroutine.resume(co), true)
    T.eq(steps[3], 'end')
end)

case('a coroutine that is closed while it waits is left alone', function()
    local co = coroutine.create(function() lunet.sleep(5) error('must not run') end)
    coroutine.resume(co)
    coroutine.close(co)
    time.sleep(0.02)
end)

case('echo over TCP', function()
    local client, server, l = connection()
    T.eq(type(client), 'userdata')
    all(function()
        T.eq(pack(socket.write(client, 'some\0bytes')), { n = 1 })
        T.eq(pack(socket.write(client, 12)), { n = 1 })
        T.eq(pack(socket.getpeername(client)), { '127.0.0.1:' .. port, nil, n = 2 })
    end, function()
        local got = ''
        while #got < 12 do got = got .. assert(socket.read(server)) end
        T.eq(got, 'some\0bytes12')
    end)
    all(function() T.eq(pack(socket.close(client)), { nil, n = 1 }) end)
    all(function()
        T.eq(pack(socket.read(server)), { n = 2 })
        T.eq(pack(socket.read(server)), { n = 2 })
    end)
    -- Closing twice is harmless; what is closed says so.
    T.eq(pack(socket.close(client)), { nil, n = 1 })
    all(function()
        T.eq(pack(socket.read(client)), { nil, 'socket closed', n = 2 })
        T.eq(pack(socket.write(client, 'x')), { 'socket closed', n = 1 })
        T.eq(pack(socket.getpeername(client)), { nil, 'socket closed', n = 2 })
    end)
    socket.close(server)
    socket.close(l)
end)

case('reads give a chunk', function()
    local client, server, l = connection()
    T.eq(pack(socket.set_read_buffer_size(10)), { nil, n = 1 })
    socket.set_read_buffer_size('none')
    socket.set_read_buffer_size(-1)
    all(function() socket.write(client, ('x'):rep(25)) end)
    all(function()
        local sizes = {}
        for i = 1, 3 do sizes[i] = #socket.read(server) end
        T.eq(sizes, { 10, 10, 5 })
    end)
    socket.set_read_buffer_size(4096)
    for _, h in ipairs { client, server, l } do socket.close(h) end
end)

case('wrong handles and arguments', function()
    local client, server, l = connection()
    all(function()
        for _, bad in ipairs { 1, 'x', {}, io.stdout } do
            T.eq(pack(socket.accept(bad)), { nil, 'invalid listener handle', n = 2 })
            T.eq(pack(socket.read(bad)), { nil, 'invalid socket handle', n = 2 })
            T.eq(pack(socket.write(bad, 'x')), { 'invalid socket handle', n = 1 })
            T.eq(pack(socket.getpeername(bad)), { nil, 'invalid socket handle', n = 2 })
            T.eq(pack(socket.close(bad)), { 'invalid socket handle', n = 1 })
            T.eq(pack(udp.recv(bad)), { nil, nil, 'invalid udp handle', n = 3 })
            T.eq(pack(udp.send(bad, '127.0.0.1', 1, 'x')), { nil, 'invalid udp handle', n = 2 })
            T.eq(pack(udp.close(bad)), { nil, 'invalid udp handle', n = 2 })
            T.eq(pack(udp.getsockname(bad)), { nil, nil, 'invalid udp handle', n = 3 })
        end
        T.eq(pack(socket.accept(client)), { nil, 'not a listening socket', n = 2 })
        T.eq(pack(socket.read(l)), { nil, 'invalid client socket handle', n = 2 })
        T.eq(pack(socket.write(l, 'x')), { 'invalid client socket handle', n = 1 })
        T.eq(pack(socket.write(client, {})), { 'data must be a string', n = 1 })
        T.eq(pack(socket.listen('sctp', '127.0.0.1', 1)), { nil, 'only tcp and unix are supported', n = 2 })
        local refused = 'binding to non-loopback addresses requires --dangerously-skip-loopback-restriction flag'
        for _, host in ipairs { '0.0.0.0', '127.0.0.2', '192.168.1.1', '::', '' } do
            T.eq(pack(socket.listen('tcp', host, 0)), { nil, refused, n = 2 })
        end
        for _, bad in ipairs { 0, -1, 65536, 'x' } do
            T.eq(pack(socket.listen('tcp', '127.0.0.1', bad)), { nil, 'port must be between 1 and 65535', n = 2 })
            T.eq(pack(socket.connect('127.0.0.1', bad)), { nil, 'port must be between 1 and 65535', n = 2 })
        end
        T.eq(pack(socket.listen('tcp', '::1', 1)), { nil, 'invalid host or port', n = 2 })
        for _, host in ipairs { '::1', 'example.org', '', '127.0.0.256' } do
            T.eq(pack(socket.connect(host, 80)), { nil, 'invalid host or port', n = 2 })
        end
        T.eq(pack(socket.listen('tcp', '127.0.0.1', port)), { nil, 'failed to listen: address already in use', n = 2 })
        T.eq(pack(socket.connect(T.path('nobody'))), { nil, 'no such file or directory', n = 2 })
        T.eq(pack(socket.connect('/' .. ('x'):rep(200))), { nil, 'failed to start connect: invalid argument', n = 2 })
        T.eq(pack(socket.listen('unix', ('x'):rep(200))), { nil, 'failed to bind unix socket: name too long', n = 2 })
        T.eq(pack(socket.listen('unix', T.path('none/x'))), { nil, 'failed to bind unix socket: no such file or directory', n = 2 })
    end)
    for _, h in ipairs { client, server, l } do socket.close(h) end
    all(function()
        local handle, err = socket.connect('127.0.0.1', port)
        -- The emulator hands on the host's number of a socket's pending error.
        T.eq(handle, nil)
        assert(err == 'connection refused' or T.emulated, err)
    end)
end)

case('one waits for each thing', function()
    local client, server, l = connection()
    local results = {}
    local function wait(name, f, ...)
        local arguments = table.pack(...)
        lunet.spawn(function() results[name] = pack(f(table.unpack(arguments))) end)
    end
    wait('accept', socket.accept, l)
    wait('read', socket.read, server)
    all(function()
        T.eq(pack(socket.accept(l)), { nil, 'another accept already in progress', n = 2 })
        T.eq(pack(socket.read(server)), { nil, 'another read already in progress', n = 2 })
    end)
    -- Nobody reads: at last the kernel takes no more.
    wait('write', socket.write, client, ('x'):rep(50 << 20))
    all(function() T.eq(pack(socket.write(client, 'x')), { 'another write already in progress', n = 1 }) end)
    T.await(function() return results.read end)
    T.eq(results.write, nil)
    -- Closing resumes whoever waits before it returns.
    socket.close(client)
    T.eq(results.write, { 'socket closed', n = 1 })
    wait('last', socket.read, server)
    socket.close(l)
    T.eq(results.accept, { nil, 'listener closed', n = 2 })
    socket.close(server)
    assert(results.last)
    all(function() T.eq(pack(socket.accept(l)), { nil, 'listener closed', n = 2 }) end)
end)

case('a reader is woken by close', function()
    local client, server, l = connection()
    local result
    lunet.spawn(function() result = pack(socket.read(server)) end)
    socket.close(server)
    T.eq(result, { nil, 'socket closed', n = 2 })
    socket.close(client)
    socket.close(l)
end)

case('who was not accepted sees the end', function()
    local l = listen()
    local client
    all(function() client = assert(socket.connect('127.0.0.1', port)) end)
    time.sleep(0.05)
    socket.close(l)
    all(function() T.eq(pack(socket.read(client)), { n = 2 }) end)
    socket.close(client)
end)

case('connections that nobody accepts wait in order', function()
    local l = listen()
    local clients = {}
    all(function()
        for i = 1, 20 do
            clients[i] = assert(socket.connect('localhost', port))
            socket.write(clients[i], tostring(i))
        end
    end)
    all(function()
        for i = 1, 20 do
            local s = assert(socket.accept(l))
            T.eq(socket.read(s), tostring(i))
            socket.close(s)
        end
    end)
    for _, client in ipairs(clients) do socket.close(client) end
    socket.close(l)
end)

case('echo over a Unix socket', function()
    local path = T.path('socket')
    assert(file.writefile(path, ''))
    all(function()
        -- A plain file in its place is not a socket's to remove.
        T.eq(pack(socket.listen('unix', path)), { nil, 'failed to bind unix socket: address already in use', n = 2 })
    end)
    os.remove(path)
    for _ = 1, 2 do
        local l, client, server
        all(function() l = assert(socket.listen('unix', path)) end)
        all(function() client = assert(socket.connect(path)) end, function() server = assert(socket.accept(l)) end)
        all(function()
            socket.write(client, 'hello')
            T.eq(socket.read(server), 'hello')
            T.eq(pack(socket.getpeername(server)), { 'unix', nil, n = 2 })
        end)
        for _, h in ipairs { client, server, l } do socket.close(h) end
    end
end)

case('listening takes the place of a socket that was left', function()
    local path = T.path('left')
    local left = assert(require 'eco.internal.socket')
    local raw = assert(left.socket(sys.AF_UNIX or 1, require 'eco.socket'.SOCK_STREAM))
    T.eq(raw:bind(path) ~= nil, true)
    raw:close()
    T.eq(file.lstat(path) and file.lstat(path).type or 'SOCK', 'SOCK')
    all(function() socket.close(assert(socket.listen('unix', path))) end)
end)

case('a peer that is gone', function()
    local client, server, l = connection()
    socket.close(server)
    all(function()
        T.eq(socket.read(client), nil)
        local err
        for _ = 1, 100 do
            err = socket.write(client, ('x'):rep(10000))
            if err then break end
            lunet.sleep(1)
        end
        assert(err == 'broken pipe' or err == 'connection reset by peer', err)
    end)
    socket.close(client)
    socket.close(l)
end)

case('calls that return at once let others run', function()
    local client, server, l = connection()
    local ticks, done = 0, false
    all(function()
        socket.close(client)
        local stop = time.now() + 0.3
        while time.now() < stop do socket.read(server) end
        done = true
    end, function()
        while not done do
            lunet.sleep(1)
            ticks = ticks + 1
        end
    end)
    assert(ticks > 20 / T.slow, ticks)
    socket.close(server)
    socket.close(l)
end)

case('datagrams', function()
    local a, b, host, at
    all(function()
        a, b = assert(udp.bind('127.0.0.1', 0)), assert(udp.bind('127.0.0.1', 0))
        host, at = udp.getsockname(b)
        T.eq(host, '127.0.0.1')
        T.eq(pack(udp.send(a, '127.0.0.1', at, 'one')), { true, nil, n = 2 })
        udp.send(a, '127.0.0.1', at, '')
        udp.send(a, '127.0.0.1', at, 2)
        local data, from, from_port = udp.recv(b)
        T.eq({ data, from, from_port }, { 'one', '127.0.0.1', select(2, udp.getsockname(a)) })
        -- Empty ones are dropped.
        T.eq((udp.recv(b)), '2')
        -- They wait until somebody wants them.
        for i = 1, 100 do udp.send(a, '127.0.0.1', at, tostring(i)) end
        lunet.sleep(20)
        for i = 1, 100 do T.eq((udp.recv(b)), tostring(i)) end
        T.eq(pack(udp.send(a, '127.0.0.1', at, ('x'):rep(70000))), { nil, 'failed to send: message too long', n = 2 })
        for _, bad in ipairs { '::1', 'localhost', 1 } do
            T.eq(pack(udp.send(a, bad, at, 'x')), { nil, 'invalid host or port', n = 2 })
        end
        T.eq(pack(udp.send(a, '127.0.0.1', 0, 'x')), { nil, 'invalid host or port', n = 2 })
        T.eq(pack(udp.bind('nowhere', 1)), { nil, 'invalid host or port', n = 2 })
        T.eq(pack(udp.bind('127.0.0.1', at)), { nil, 'failed to bind: address already in use', n = 2 })
    end)
    local results = {}
    lunet.spawn(function() results[1] = pack(udp.recv(b)) end)
    all(function()
        T.eq(pack(udp.recv(b)), { nil, nil, 'recv already pending', n = 3 })
        T.eq(pack(udp.close(b)), { true, nil, n = 2 })
        T.eq(results[1], { nil, nil, 'udp closed', n = 3 })
        T.eq(pack(udp.recv(b)), { nil, nil, 'invalid udp handle', n = 3 })
        T.eq(pack(udp.close(b)), { nil, 'invalid udp handle', n = 2 })
        udp.close(a)
    end)
end)

case('datagrams over IPv6', function()
    if not file.access('/proc/net/if_inet6') then return end
    all(function()
        local a, err = udp.bind('::1', 0)
        if not a then
            T.eq(err, 'failed to bind: address not available')
            return
        end
        local host, at = udp.getsockname(a)
        T.eq(host, '::1')
        udp.send(a, '::1', at, 'self')
        T.eq(pack(udp.recv(a)), { 'self', '::1', at, n = 3 })
        udp.close(a)
    end)
end)

case('files', function()
    local path = T.path('file')
    all(function()
        local fd = assert(fs.open(path, 'w'))
        T.eq(math.type(fd), 'integer')
        T.eq(pack(fs.write(fd, 'some\0text')), { 9, nil, n = 2 })
        T.eq(pack(fs.write(fd, 5)), { 1, nil, n = 2 })
        T.eq(pack(fs.read(fd, 1)), { nil, 'bad file descriptor', n = 2 })
        T.eq(pack(fs.close(fd)), { nil, n = 1 })
        T.eq(pack(fs.close(fd)), { 'bad file descriptor', n = 1 })
        fd = assert(fs.open(path, 'r'))
        T.eq(pack(fs.read(fd, 4)), { 'some', nil, n = 2 })
        T.eq(pack(fs.read(fd, 1 << 40)), { '\0text5', nil, n = 2 })
        T.eq(pack(fs.read(fd, 10)), { '', nil, n = 2 })
        T.eq(pack(fs.read(fd, 0)), { '', nil, n = 2 })
        T.eq(pack(fs.write(fd, 'x')), { nil, 'bad file descriptor', n = 2 })
        fs.close(fd)
        fd = assert(fs.open(path, 'a+'))
        fs.write(fd, 'end')
        fs.close(fd)
        T.eq(file.readfile(path), 'some\0text5end')
        T.eq(pack(fs.open(path, 'x')), { nil, 'file already exists', n = 2 })
        fd = assert(fs.open(path, 'r+'))
        fs.write(fd, 'S')
        T.eq(fs.read(fd, 3), 'ome')
        fs.close(fd)
        local info = assert(fs.stat(path))
        T.eq({ info.size, info.mode & 4095, info.mode & 61440, info.nlink }, { 13, 420, 32768, 1 })
        for _, name in ipairs { 'dev', 'uid', 'gid', 'rdev', 'ino', 'blksize', 'blocks', 'flags', 'gen', 'atim', 'mtim', 'ctim', 'birthtim' } do
            assert(type(info[name]) == 'number', name)
        end
        T.eq(pack(fs.open(T.path('none'), 'r')), { nil, 'no such file or directory', n = 2 })
        T.eq(pack(fs.open(T.scratch, 'w')), { nil, 'illegal operation on a directory', n = 2 })
        T.eq(pack(fs.open(path, 'z')), { nil, 'fs.open invalid mode', n = 2 })
        T.eq(pack(fs.open(path .. '\0x', 'w')), { nil, 'invalid argument', n = 2 })
        T.eq(pack(fs.stat(T.path('none'))), { nil, 'no such file or directory', n = 2 })
        T.eq(pack(fs.open(path)), { nil, 'fs.open requires path and mode', n = 2 })
        T.eq(pack(fs.close()), { 'fs.close requires 1 integer fd', n = 1 })
        T.eq(pack(fs.close(-1)), { 'bad file descriptor', n = 1 })
        T.eq(pack(fs.read(1)), { nil, 'fs.read requires fd and length', n = 2 })
        T.eq(pack(fs.write(1)), { nil, 'fs.write requires fd and data', n = 2 })
        T.eq(pack(fs.stat()), { nil, 'fs.fstat requires path', n = 2 })
        T.eq(pack(fs.scandir()), { nil, 'fs.scandir requires path', n = 2 })
    end)
    os.remove(path)
end)

case('folders', function()
    local folder = T.path('folder')
    file.mkdir(folder)
    assert(file.writefile(folder .. '/file', ''))
    file.mkdir(folder .. '/sub')
    os.execute(("ln -s nowhere '%s/link'; mkfifo '%s/fifo'"):format(folder, folder))
    all(function()
        local found = {}
        for _, entry in ipairs(assert(fs.scandir(folder))) do found[entry.name] = entry.type end
        T.eq(found, { file = 'file', sub = 'dir', link = 'link', fifo = 'fifo' })
        T.eq(pack(fs.scandir(folder .. '/file')), { nil, 'not a directory', n = 2 })
        T.eq(pack(fs.scandir(folder .. '/none')), { nil, 'no such file or directory', n = 2 })
    end)
    os.execute(("rm -r '%s'"):format(folder))
end)

case('a slow file holds up its coroutine alone', function()
    local path = T.path('fifo')
    os.execute('mkfifo ' .. path)
    local ticks, got = 0, nil
    all(function()
        -- Waits for a writer, on another thread.
        local fd = assert(fs.open(path, 'r'))
        got = fs.read(fd, 100)
        fs.close(fd)
    end, function()
        for _ = 1, 10 do
            lunet.sleep(2)
            ticks = ticks + 1
        end
        T.eq(got, nil)
        local fd = assert(fs.open(path, 'r+'))
        fs.write(fd, 'late')
        lunet.sleep(20)
        fs.close(fd)
    end)
    T.eq({ ticks, got }, { 10, 'late' })
    os.remove(path)
end)

case('signals', function()
    local got = {}
    for i = 1, 2 do
        lunet.spawn(function() got[i] = pack(signal.wait('HUP')) end)
    end
    all(function() T.eq(pack(signal.wait('KILL')), { nil, 'unsupported signal name', n = 2 }) end)
    sys.kill(sys.getpid(), sys.SIGHUP)
    T.await(function() return got[1] and got[2] end)
    T.eq(got, { { 'HUP', nil, n = 2 }, { 'HUP', nil, n = 2 } })
    lunet.spawn(function() got[3] = signal.wait('TERM') end)
    sys.kill(sys.getpid(), sys.SIGTERM)
    T.await(function() return got[3] end)
end)
