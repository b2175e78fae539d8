-- Luv: files, streams, datagrams, names, programs, by the sections of its contract.

local eco = require 'eco'
local luv = require 'luv'
local file = require 'eco.file'
local sys = require 'eco.sys'

local fs = luv.fs
local create = luv.fiber.create

local function fiber(f, ...)
    return create(f, ...):join()
end

-- Runs a body in the thread's own state, or what the test has for that, and in a fiber.
local function both(f)
    f()
    fiber(f)
end

-- A failure of fs is false, the words, the number.
local function fails(text, number, ...)
    T.eq(table.pack(...), table.pack(false, text, number))
end

-- The numbers are those of libuv.
local ENOENT, EEXIST, ENOTEMPTY, EBADF, ENOTDIR, EINVAL = 34, 47, 53, 9, 27, 18

case('5: paths', function()
    both(function()
        local folder, name = T.path 'folder', T.path 'folder/name'
        T.eq(table.pack(fs.mkdir(folder)), table.pack(0))
        fails('file already exists', EEXIST, fs.mkdir(folder, '755'))
        T.eq(table.pack(fs.readdir(folder)), table.pack({}))
        local f = fs.open(name, 'w', '600')
        T.eq(f:close(), 0)
        T.eq(fs.readdir(folder), { 'name' })
        fails('directory not empty', ENOTEMPTY, fs.rmdir(folder))
        T.eq(fs.rename(name, name .. '2'), 0)
        T.eq(fs.link(name .. '2', name), 0)
        T.eq(fs.stat(name).nlink, 2)
        T.eq(fs.unlink(name), 0)
        T.eq(fs.symlink('name2', name), 0)
        T.eq(fs.symlink('name2', name .. '3', 'r'), 0)
        T.raises("Unknown file open flag: 'x'", fs.symlink, 'a', 'b', 'x')
        T.eq(table.pack(fs.readlink(name)), table.pack('name2'))
        fails('invalid argument', EINVAL, fs.readlink(name .. '2'))
        local link, target = fs.lstat(name), fs.stat(name)
        T.eq(link.is_symbolic_link, true)
        T.eq(target.is_symbolic_link, false)
        T.eq(target.is_file, true)
        for _, field in ipairs { 'dev', 'ino', 'mode', 'nlink', 'uid', 'gid', 'rdev', 'size', 'atime', 'mtime', 'ctime', 'blksize', 'blocks' } do
            T.eq(math.type(target[field]), 'integer', field)
        end
        for _, field in ipairs { 'is_directory', 'is_character_device', 'is_block_device', 'is_fifo', 'is_socket' } do
            T.eq(target[field], false, field)
        end
        T.eq(fs.stat(folder).is_directory, true)
        T.eq(fs.stat('/dev/null').is_character_device, true)
        -- Modes are digits of octal numbers.
        T.eq(fs.chmod(name, '640'), 0)
        T.eq(fs.stat(name).mode & 511, 416)
        T.eq(fs.chmod(name, 600), 0)
        T.eq(fs.stat(name).mode & 511, 384)
        for _, mode in ipairs { '8', 'x', 1.5, '10000', {} } do T.raises('octal number expected', fs.chmod, name, mode) end
        T.eq(fs.chown(name, target.uid, target.gid), 0)
        T.eq(fs.utime(name, 1000.25, 2000), 0)
        T.eq(fs.stat(name).atime, 1000)
        T.eq(fs.stat(name).mtime, 2000)
        for _, entry in ipairs { 'name', 'name2', 'name3' } do T.eq(fs.unlink(folder .. '/' .. entry), 0) end
        T.eq(fs.rmdir(folder), 0)
        for _, call in ipairs { fs.unlink, fs.rmdir, fs.readdir, fs.stat, fs.lstat, fs.readlink } do
            fails('no such file or directory', ENOENT, call(folder))
            fails('invalid argument', EINVAL, call('a\0b'))
            T.raises('string expected', call, nil)
            T.raises('string expected', call, {})
        end
        fails('no such file or directory', ENOENT, fs.rename(folder, name))
        fails('no such file or directory', ENOENT, fs.link(folder, name))
        fails('no such file or directory', ENOENT, fs.chmod(folder, '644'))
        fails('no such file or directory', ENOENT, fs.chown(folder, 0, 0))
        fails('no such file or directory', ENOENT, fs.utime(folder, 0, 0))
        fails('not a directory', ENOTDIR, fs.stat('/dev/null/x'))
        fails('no such file or directory', ENOENT, fs.open(folder, 'r'))
    end)
end)

case('5: files', function()
    both(function()
        local name = T.path 'file'
        T.raises("Unknown file open flag: 'rw'", fs.open, name, 'rw')
        T.raises("Unknown file open flag: 'nil'", fs.open, name)
        local f = fs.open(name, 'w+')
        assert(tostring(f):find('^userdata<luv.file>: 0x'))
        T.eq(table.pack(f:write('some text')), table.pack(9))
        -- Without an offset it is the start of the file.
        T.eq(f:write('more'), 4)
        T.eq(f:write('!', 9), 1)
        T.eq(table.pack(f:read()), table.pack(10, 'more text!'))
        T.eq(table.pack(f:read()), table.pack(0, ''))
        T.eq(table.pack(f:read(4, 0)), table.pack(4, 'more'))
        T.eq(table.pack(f:read(100, 5)), table.pack(5, 'text!'))
        T.eq(table.pack(f:read(0)), table.pack(0, ''))
        T.raises('out of range', f.read, f, -1)
        T.raises('number expected', f.read, f, 'x')
        T.raises('string expected', f.write, f)
        T.eq(f:sync(), 0)
        T.eq(f:datasync(), 0)
        T.eq(f:truncate(4), 0)
        T.eq(f:stat().size, 4)
        T.eq(f:chmod('644'), 0)
        T.eq(f:chown(f:stat().uid, f:stat().gid), 0)
        T.eq(f:utime(5, 6.5), 0)
        T.eq(f:stat().mtime, 6)
        T.eq(f:truncate(), 0)
        T.eq(f:stat().size, 0)
        T.eq(f:close(), 0)
        -- A closed one is no other's descriptor.
        for _, method in ipairs { 'read', 'stat', 'sync', 'datasync', 'truncate', 'close' } do
            fails('bad file descriptor', EBADF, f[method](f))
        end
        fails('bad file descriptor', EBADF, f:write('x'))
        fails('bad file descriptor', EBADF, f:chmod('644'))
        -- What appends, appends.
        f = fs.open(name, 'a')
        f:write('one ')
        f:write('two')
        fails('bad file descriptor', EBADF, f:read())
        f:close()
        f = fs.open(name, 'a+')
        T.eq(f:write('!'), 1)
        T.eq(select(2, f:read(100, 0)), 'one two!')
        local from = fs.open(name, 'r')
        local to = fs.open(name .. '2', 'w+')
        T.eq(table.pack(fs.sendfile(to, from)), table.pack(8))
        T.eq(fs.sendfile(to, from, 4, 3), 3)
        T.eq(select(2, to:read(100, 0)), 'one two!two')
        local appending = fs.open(name .. '2', 'a')
        T.eq(fs.sendfile(appending, from, 0), 8)
        T.eq(appending:stat().size, 19)
        appending:close()
        T.raises('luv.file expected', fs.sendfile, to, name)
        T.raises('luv.file expected', fs.sendfile, 1, from)
        for _, open in ipairs { f, from, to } do open:close() end
        fails('bad file descriptor', EBADF, fs.sendfile(to, from))
        fs.unlink(name)
        fs.unlink(name .. '2')
    end)
    -- Those that are collected are closed: the leak check sees it.
    fs.open('/dev/null', 'r')
    collectgarbage()
end)

case('5: where the process is', function()
    local before = fs.cwd()
    T.eq(select('#', fs.chdir(T.scratch)), 0)
    T.eq(fs.cwd(), file.readlink('/proc/self/cwd'))
    fs.chdir(before)
    T.raises('no such file or directory', fs.chdir, T.path 'nowhere')
    assert(fs.exepath():find '^/')
end)

-- A listener on a free port.
local function listen()
    local server = luv.net.tcp()
    T.eq(server:bind('127.0.0.1', 0), 0)
    T.eq(select('#', server:listen()), 0)
    return server, server:getsockname().port
end

-- Both ends of a connection.
local function pair()
    local server, port = listen()
    local client, peer = luv.net.tcp(), luv.net.tcp()
    local waiting = create(function() return server:accept(peer) end):ready()
    T.eq(table.pack(client:connect('127.0.0.1', port)), table.pack(client, '127.0.0.1'))
    local a, b = waiting:join()
    assert(rawequal(a, server) and rawequal(b, peer))
    T.eq(server:close(), server)
    return client, peer
end

case('6: connections', function()
    both(function()
        local a, b = pair()
        T.eq(a:write('hello'), 0)
        T.eq(table.pack(b:read()), table.pack(5, 'hello'))
        T.eq(a:write('0123456789'), 0)
        T.eq(table.pack(b:read(4)), table.pack(4, '0123'))
        T.eq(table.pack(b:read(100)), table.pack(6, '456789'))
        T.eq(b:write(12), 0)
        T.eq(table.pack(a:read()), table.pack(2, '12'))
        T.eq(a:write(''), 0)
        T.eq(table.pack(a:start()), table.pack(true))
        T.eq(table.pack(a:stop()), table.pack(true))
        for _, s in ipairs { a, b } do
            T.eq(s:readable(), true)
            T.eq(s:writable(), true)
            T.eq(s:nodelay(true), 0)
            T.eq(s:keepalive(true, 60), 0)
            T.eq(s:keepalive(false), 0)
        end
        local here, there = a:getsockname(), b:getpeername()
        T.eq(here, there)
        T.eq(here.family, 2)
        T.eq(here.address, '127.0.0.1')
        T.eq(table.pack(a:shutdown()), table.pack(0))
        T.eq(a:shutdown(), a)
        T.eq(a:writable(), false)
        -- The end is a single nil, again and again.
        T.eq(table.pack(b:read()), table.pack(nil))
        T.eq(table.pack(b:read()), table.pack(nil))
        T.eq(b:readable(), false)
        -- The other way goes on.
        T.eq(b:write('still'), 0)
        T.eq(table.pack(a:read()), table.pack(5, 'still'))
        T.eq(a:close(), a)
        T.eq(a:close(), a)
        T.eq(table.pack(a:read()), table.pack(nil, 'attempt to read from a closed stream'))
        T.eq(table.pack(a:write('x')), table.pack(false, 'write: bad file descriptor'))
        T.eq(table.pack(a:start()), table.pack(false, 'read start: bad file descriptor'))
        T.eq(table.pack(a:stop()), table.pack(false, 'read stop: bad file descriptor'))
        T.eq(a:shutdown(), a)
        T.eq(a:readable(), false)
        T.eq(a:writable(), false)
        T.eq(a:nodelay(true), -1)
        b:close()
    end)
end)

case('6: much data, and two at a time', function()
    local a, b = pair()
    local data = ('0123456789'):rep(200000)
    local writer = create(function() return a:write(data) end):ready()
    local reader = create(function()
        local pieces, total = {}, 0
        while total < #data do
            local n, piece = b:read(65536)
            T.eq(n, #piece)
            pieces[#pieces + 1], total = piece, total + n
        end
        return table.concat(pieces)
    end)
    T.eq(reader:join() == data, true)
    T.eq(writer:join(), 0)
    -- Who came first reads first.
    local order = {}
    local readers = {}
    for i = 1, 3 do
        readers[i] = create(function()
            local n, piece = b:read(1)
            order[#order + 1] = i .. piece
        end):ready()
    end
    luv.sleep(0.002)
    a:write('abc')
    for i = 1, 3 do readers[i]:join() end
    T.eq(table.concat(order, ' '), '1a 2b 3c')
    -- Closing wakes who reads, in turn.
    for i = 1, 2 do readers[i] = create(function() return b:read() end):ready() end
    luv.sleep(0.002)
    b:close()
    for i = 1, 2 do T.eq(table.pack(readers[i]:join()), table.pack(nil, 'attempt to read from a closed stream')) end
    -- A broken connection.
    local n, text
    for _ = 1, 100 do
        n, text = a:write('x')
        if n ~= 0 then break end
        luv.sleep(0.001)
    end
    T.eq(n, -1)
    assert(text == 'broken pipe' or text == 'connection reset by peer', text)
    a:close()
end)

case('6: refusals', function()
    both(function()
        local server, port = listen()
        local other = luv.net.tcp()
        -- It may come from either of the two.
        local bound, text = other:bind('127.0.0.1', port)
        if bound == 0 then
            T.raises('listen: address already in use', other.listen, other)
        else
            T.eq(table.pack(bound, text), table.pack(-1, 'address already in use'))
        end
        other:close()
        server:close()
        -- The emulator has the numbers of errors wrong.
        local refused = not T.emulated and 'connection refused' or ''
        local client = luv.net.tcp()
        T.fails(refused, client:connect('127.0.0.1', port))
        -- It may try again.
        T.fails(refused, client:connect('127.0.0.1', port))
        T.eq(table.pack(client:connect('localhost', port)), table.pack(nil, 'invalid argument'))
        T.eq(table.pack(client:connect('127.0.0.1', 70000)), table.pack(nil, 'invalid argument'))
        T.eq(table.pack(client:bind('nowhere', 1)), table.pack(-1, 'invalid argument'))
        T.eq(table.pack(client:read()), table.pack(false, 'read: socket is not connected'))
        T.eq(table.pack(client:write('x')), table.pack(false, 'write: socket is not connected'))
        T.eq(table.pack(client:accept(luv.net.tcp())), table.pack(nil, 'invalid argument'))
        T.raises('getsockname: ', client.getsockname, client)
        T.raises('getpeername: ', client.getpeername, client)
        T.raises('listen: ', client.listen, client)
        T.raises('boolean expected', client.nodelay, client, 1)
        T.raises('boolean expected', client.keepalive, client)
        T.raises('number expected', client.keepalive, client, true)
        T.raises('luv.net.tcp expected', client.accept, client, luv.pipe.create())
        T.raises('luv.net.tcp expected', client.accept, client)
        T.eq(client:nodelay(true), 0)
        T.raises('the stream is in use', client.accept, client, client)
        T.raises('string expected', client.write, client)
        T.raises('out of range', client.read, client, -1)
        client:close()
    end)
end)

case('6: accepting', function()
    local server, port = listen()
    -- Those that come meanwhile are not lost.
    local clients = {}
    for i = 1, 3 do
        clients[i] = luv.net.tcp()
        clients[i]:connect('127.0.0.1', port)
        clients[i]:write('client ' .. i)
    end
    for i = 1, 3 do
        local peer = luv.net.tcp()
        T.eq(table.pack(server:accept(peer)), table.pack(server, peer))
        T.eq(select(2, peer:read()), 'client ' .. i)
        peer:close()
        clients[i]:close()
    end
    -- Closing wakes who accepts.
    local waiting = create(function() return server:accept(luv.net.tcp()) end):ready()
    luv.sleep(0.002)
    server:close()
    local none, text = waiting:join()
    T.eq(none, nil)
    T.eq(text, 'operation canceled')
    -- Sockets that are collected are closed: the leak check sees it.
    listen()
    collectgarbage()
end)

case('6: names', function()
    both(function()
        T.eq(table.pack(luv.net.getaddrinfo('127.0.0.1')), table.pack('127.0.0.1', 0))
        T.eq(table.pack(luv.net.getaddrinfo('localhost', '8080')), table.pack('127.0.0.1', 8080))
        T.eq(table.pack(luv.net.getaddrinfo(nil, '80')), table.pack('127.0.0.1', 80))
        T.eq(table.pack(luv.net.getaddrinfo('::1', '1', { family = 'INET6', socktype = 'DGRAM', protocol = 'UDP' })), table.pack('::1', 1))
        T.eq(luv.net.getaddrinfo('::1'), false)
        T.eq(table.pack(luv.net.getaddrinfo('127.0.0.1', 'no such service')), table.pack(false, 'unknown service'))
        T.raises('getaddrinfo: provide either node or service', luv.net.getaddrinfo)
        T.raises('unsupported family: X', luv.net.getaddrinfo, 'a', nil, { family = 'X' })
        T.raises('unsupported socktype: X', luv.net.getaddrinfo, 'a', nil, { socktype = 'X' })
        T.raises('unsupported protocol: X', luv.net.getaddrinfo, 'a', nil, { protocol = 'X' })
    end)
end)

case('6: datagrams', function()
    both(function()
        local a, b = luv.net.udp(), luv.net.udp()
        T.eq(select('#', a:bind('127.0.0.1', 0)), 0)
        local port = a.source:getsockname().port
        T.eq(b:send('127.0.0.1', port, 'hello'), 0)
        local data, host, from = a:recv()
        T.eq(table.pack(data, host), table.pack('hello', '127.0.0.1'))
        T.eq(a:send(host, from, ''), 0)
        T.eq((b:recv()), '')
        T.eq(table.pack(b:send('nowhere', 1, 'x')), table.pack(false, 'invalid argument'))
        T.raises('invalid argument', b.bind, b, 'nowhere', 1)
        T.raises('join or leave expected', b.membership, b, '224.0.0.1', nil, 'x')
        T.eq(b:membership('127.0.0.1', nil, 'join'), false)
        T.eq(b:membership('224.1.2.3', '127.0.0.1', 'join'), 0)
        T.eq(b:membership('224.1.2.3', '127.0.0.1', 'leave'), 0)
        local waiting = create(function() return a:recv() end):ready()
        luv.sleep(0.002)
        T.eq(a:close(), a)
        T.eq((waiting:join()), false)
        T.eq((a:recv()), false)
        b:close()
    end)
end)

case('7: pipes', function()
    both(function()
        local path = T.path 'socket'
        local server = luv.pipe.create()
        T.eq(select('#', server:bind(path)), 0)
        server:listen()
        local client, peer = luv.pipe.create(nil, false), luv.pipe.create()
        T.eq(table.pack(client:connect(path)), table.pack(client, path))
        T.eq(server:accept(peer), server)
        T.eq(client:write('hello'), 0)
        T.eq(table.pack(peer:read()), table.pack(5, 'hello'))
        T.eq(peer:shutdown(), 0)
        T.eq(table.pack(client:read()), table.pack(nil))
        for _, s in ipairs { server, client, peer } do s:close() end
        T.eq(table.pack(luv.pipe.create():connect(path)), table.pack(nil, 'no such file or directory'))
        T.raises('no such file or directory', server.bind, luv.pipe.create(), T.path 'none/socket')
        -- A descriptor, and a file, which gives it away.
        local name = T.path 'fifo'
        os.execute('mkfifo ' .. name)
        local f = fs.open(name, 'r+')
        local fifo = luv.pipe.create()
        T.eq(select('#', fifo:open(f)), 0)
        fails('bad file descriptor', EBADF, f:close())
        T.eq(fifo:write('through'), 0)
        T.eq(table.pack(fifo:read()), table.pack(7, 'through'))
        T.eq(fifo:readable(), true)
        T.raises('in use', fifo.open, fifo, 1)
        T.raises('number expected', server.open, luv.pipe.create(), 'x')
        T.raises('bad file descriptor', server.open, luv.pipe.create(), 12345)
        fifo:close()
        T.eq(table.pack(fifo:read()), table.pack(nil, 'attempt to read from a closed stream'))
        fs.unlink(name)
    end)
end)

case('8: programs', function()
    both(function()
        local process, status, signal = luv.process.spawn('sh', { '-c', 'exit 7' })
        assert(tostring(process):find('^userdata<luv.process>: 0x'))
        T.eq(table.pack(status, signal), table.pack(7, 0))
        T.eq(table.pack(select(2, luv.process.spawn('sh', { '-c', 'kill -9 $$' }))), table.pack(0, 9))
        T.eq(table.pack(select(2, luv.process.spawn('true'))), table.pack(0, 0))
        -- In the emulator's vfork the parent does not see what the child writes.
        local missing = T.emulated and 127 or -1
        T.eq(table.pack(select(2, luv.process.spawn('no-such-program', {}))), table.pack(missing, 0))
        T.eq(table.pack(select(2, luv.process.spawn('true', { cwd = T.path 'nowhere' }))), table.pack(missing, 0))
        T.raises('no such process', process.kill, process, 15)
        -- Streams, folder, environment.
        local name = T.path 'output'
        local f, out = fs.open(name, 'w+'), luv.pipe.create()
        out:open(f)
        T.eq(select(2, luv.process.spawn('sh', {
            '-c', 'pwd; echo "$A/$HOME/$1"; cat; echo err >&2', 'sh', 'arg ument',
            cwd = '/', env = { A = 'b', PATH = os.getenv 'PATH' }, stdout = out, stderr = out,
        })), 0)
        out:close()
        T.eq(file.readfile(name), '/\nb//arg ument\nerr\n')
        fs.unlink(name)
        -- One that is detached is not waited for, and leads a session.
        local detached = luv.process.spawn('sleep', { '1000', detach = true })
        T.eq(select('#', detached:kill(9)), 0)
        T.raises('string expected', luv.process.spawn)
        T.raises('table expected', luv.process.spawn, 'true', 1)
        T.raises('is no open stream', luv.process.spawn, 'true', { stdin = luv.net.tcp() })
        T.raises('is no open stream', luv.process.spawn, 'true', { stdout = 1 })
        T.raises('arguments must be strings', luv.process.spawn, 'true', { {} })
    end)
    -- Fibers go on meanwhile.
    local over = false
    local waiting = create(function()
        luv.process.spawn('sleep', { '0.05' })
        over = true
    end):ready()
    luv.sleep(0.001)
    T.eq(over, false)
    waiting:join()
end)

case('eco.sys: streams, folder and session of a program', function()
    local p = assert(sys.exec({ 'sh', '-c', 'pwd; cat', stdin = false, cwd = '/', session = true }))
    T.eq(p:read_stdout('a'), '/\n')
    p:wait()
    p:close()
    p = assert(sys.exec { 'no-such-program', stderr = false })
    -- The emulator does not show what vfork shares.
    T.eq(p.problem, not T.emulated and T.text 'No such file or directory' or nil)
    T.eq(select(2, p:wait()).status, 127)
    p:close()
    T.raises('neither a descriptor nor false', sys.exec, { 'true', stdin = 'x' })
    T.raises('neither a descriptor nor false', sys.exec, { 'true', stdin = true })
    T.fails('Bad file descriptor', sys.exec { 'true', stdout = 12345 })
    T.fails('Invalid argument', sys.exec { 'true', cwd = 'a\0b' })
end)
