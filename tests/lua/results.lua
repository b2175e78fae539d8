-- Every function of every module gives exactly as many results as its documentation says, on success and on failure:
-- `table.insert(list, f:read('l'))` and `print(f(...))` depend on it.

local eco = require 'eco'
local argon2 = require 'eco.hash.argon2'
local asio = require 'asio'
local bit = require 'bit'
local bufio = require 'eco.bufio'
local channel = require 'eco.channel'
local cli = require 'eco.cli'
local dns = require 'eco.dns'
local file = require 'eco.file'
local gzip = require 'eco.encoding.gzip'
local hex = require 'eco.encoding.hex'
local http = require 'eco.http.server'
local http_client = require 'eco.http.client'
local log = require 'eco.log'
local luv = require 'luv'
local net = require 'eco.net'
local packet = require 'eco.packet'
local mqtt = require 'eco.mqtt'
local mysql = require 'eco.mysql'
local postgres = require 'eco.postgres'
local raw_file = require 'eco.internal.file'
local raw = require 'eco.internal.socket'
local raw_sync = require 'eco.internal.sync'
local raw_sys = require 'eco.internal.sys'
local raw_time = require 'eco.internal.time'
local serial = require 'eco.serial'
local shared = require 'eco.shared'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local sqlite3 = require 'eco.sqlite3'
local sys = require 'eco.sys'
local termios = require 'eco.termios'
local thread = require 'eco.thread'
local time = require 'eco.time'
local uci = require 'eco.uci'
local url = require 'eco.http.url'
local websocket = require 'eco.websocket'
local wire = require 'wire'

-- Functions that were called, by module; the rest is complained about at the end.
local called = {}

-- f(...) gives `count` results, the first of them not nil (unless there is none).
local function gives(count, f, ...)
    called[f] = true
    local results = table.pack(f(...))
    if results.n ~= count or count > 0 and results[1] == nil then
        error(('%d results (%s, %s), expected %d'):format(results.n, tostring(results[1]), tostring(results[2]), count), 2)
    end
    return table.unpack(results, 1, results.n)
end

-- f(...) gives nil and a message, and nothing else.
local function fails(f, ...)
    called[f] = true
    local results = table.pack(f(...))
    if results.n ~= 2 or results[1] ~= nil or type(results[2]) ~= 'string' then
        error(('%d results (%s, %s), expected nil and a message'):format(results.n, tostring(results[1]), tostring(results[2])), 2)
    end
end

-- f(...) gives one nil.
local function gives_nil(f, ...)
    called[f] = true
    local results = table.pack(f(...))
    if results.n ~= 1 or results[1] ~= nil then
        error(('%d results, expected one nil'):format(results.n), 2)
    end
end

-- Names of functions of `t` that were never called, but for those named.
local function all_called(t, but)
    for name, f in pairs(t) do
        local excused = (' ' .. (but or '') .. ' '):find(' ' .. name .. ' ', 1, true)
        if type(f) == 'function' and not called[f] and not excused then
            error(name .. ' was not called', 2)
        end
    end
end

local function pair()
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
end

local function close(...)
    for _, it in ipairs { ... } do it:close() end
end

case('eco', function()
    gives(1, eco.run, function() end)
    gives(0, eco.sleep, 0)
    gives(0, eco.yield)
    gives(1, eco.count)
    gives(1, eco.all)
    gives(1, eco.tasks)
    gives(1, eco.dump_on)
    fails(eco.dump_on, 9999)
    gives(0, eco.set_panic_hook, nil)
    gives(0, eco.set_watchdog_timeout, T.watchdog)
    gives(1, eco.io, 0)
    fails(eco.io, -1)
    gives(1, eco.reader, 0)
    fails(eco.reader, -1)
    gives(1, eco.writer, 1)
    fails(eco.writer, -1)
    gives(1, eco.buffer)
    gives(0, eco._set_sigchld_hook, nil)
    gives(1, eco._kind, {}, 'kind')
    gives(0, eco._options, {}, 'size', 1, 'f')
    local co = eco.run(function() coroutine.yield() end)
    gives(0, eco.resume, co)
    gives(0, eco._resume, eco.run(function() coroutine.yield() end))
    eco.sleep(0.001)
    all_called(eco, 'loop unloop init _init dump')
end)

case('buffers', function()
    local buffer = eco.buffer(100)
    local f<close> = assert(file.open('/dev/zero'))
    gives(1, f.read2b, f, buffer, 50)
    local full = eco.buffer(1)
    gives(1, f.read2b, f, full, 50)
    fails(f.read2b, f, full, 50)
    gives(1, buffer.data, buffer)
    gives(1, buffer.pull, buffer, 3)
    gives(1, buffer.discard, buffer, 3)
    gives(1, buffer.size, buffer)
    gives(1, buffer.len, buffer)
    gives(1, buffer.index, buffer, 0, '\0')
    gives_nil(buffer.index, buffer, 0, 'x')
    gives(1, buffer.find, buffer, 0, '\0\0')
    gives_nil(buffer.find, buffer, 0, 'x')
    gives(0, buffer.clear, buffer)
end)

case('readers and writers', function()
    local a, b = pair()
    local rd, wr, io = a.rd, b.wr, eco.io(a:getfd())
    gives(1, wr.write, wr, 'one\ntwo\n--rest')
    gives(1, rd.wait, rd)
    gives(1, io.wait, io, eco.READ)
    gives(1, rd.read, rd, 'l')
    gives(1, rd.read, rd, 'L')
    gives(2, rd.readuntil, rd, '--')
    gives(1, rd.read, rd, 2)
    gives(1, rd.readfull, rd, 2)
    fails(rd.read, rd, 'l', 0.001)
    fails(rd.read, rd, 1, 0.001)
    fails(rd.read, rd, 'a', 0.001)
    fails(rd.readfull, rd, 5, 0.001)
    fails(rd.readuntil, rd, 'x', 0.001)
    fails(rd.read2b, rd, eco.buffer(), 5, 0.001)
    fails(rd.wait, rd, 0.001)
    fails(io.wait, io, eco.READ, 0.001)
    b:send('some data')
    gives(1, rd.readuntil, rd, '--')
    b:send('some data')
    gives(1, rd.read2b, rd, eco.buffer(), 5)
    gives(1, wr.wait, wr)
    gives(0, rd.cancel, rd)
    gives(0, wr.cancel, wr)
    gives(0, io.cancel, io)
    assert(file.writefile(T.path('sent'), 'content'))
    gives(1, wr.sendfile, wr, T.path('sent'), 0, 7)
    fails(wr.sendfile, wr, T.path('absent'), 0, 7)
    gives(0, b.close, b)
    gives(1, rd.read, rd, 'a')
    fails(rd.read, rd, 'a')
    fails(rd.read, rd, 'l')
    close(a)
    fails(rd.read, rd, 'l')
    fails(wr.write, wr, 'x')
end)

case('dns', function()
    gives(1, dns.query, '192.0.2.1')
    gives(1, dns.query, 'localhost')
    fails(dns.query, '.')
    gives(1, dns.resolve, 'localhost')
    fails(dns.resolve, '')
    gives(1, dns.type_name, 1)
    gives(0, dns.flush)
    all_called(dns)
end)

case('net', function()
    -- Whether pings are permitted differs.
    for _, ping in ipairs { net.ping, net.ping6 } do
        called[ping] = true
        local results = table.pack(ping(ping == net.ping and '127.0.0.1' or '::1', { timeout = 0.2 }))
        T.eq(results.n, results[1] and 1 or 2)
        fails(ping, '.')
    end
    all_called(net)
end)

case('time', function()
    gives(1, time.now)
    gives(0, time.sleep, 0)
    local timer = gives(1, time.timer, print)
    gives(1, timer.set, timer, 10)
    gives(0, timer.cancel, timer)
    gives(0, timer.close, timer)
    fails(timer.set, timer, 1)
    close((gives(1, time.at, 10, print)), (gives(1, time.on, time.now() + 10, print)))
    local fd = gives(1, raw_time.timerfd_create, raw_time.CLOCK_MONOTONIC)
    fails(raw_time.timerfd_create, 99)
    gives(1, raw_time.timerfd_settime, fd, 0, 1)
    fails(raw_time.timerfd_settime, -1, 0, 1)
    file.close(fd)
    all_called(time)
    all_called(raw_time)
end)

case('sync', function()
    local cond, mutex, group = gives(1, sync.cond), gives(1, sync.mutex), gives(1, sync.waitgroup)
    gives(1, cond.signal, cond)
    gives(1, cond.broadcast, cond)
    fails(cond.wait, cond, 0.001)
    fails(cond.wait, cond, 0)
    eco.run(function() cond:signal() end)
    eco.run(function() eco.sleep(0) cond:signal({}) end)
    gives(1, cond.wait, cond, 1)
    gives(0, cond.close, cond)
    fails(cond.wait, cond)
    gives(1, mutex.lock, mutex)
    fails(mutex.lock, mutex, 0.001)
    fails(mutex.lock, mutex, 0)
    gives(0, mutex.unlock, mutex)
    gives(0, group.add, group, 1)
    fails(group.wait, group, 0.001)
    gives(0, group.done, group)
    gives(1, group.wait, group)
    local fd = gives(1, raw_sync.eventfd, 0)
    file.close(fd)
    all_called(sync)
    all_called(raw_sync)
end)

case('channel', function()
    local ch = gives(1, channel.new, 1)
    gives(1, ch.send, ch, 'x')
    fails(ch.send, ch, 'y', 0.001)
    gives(1, ch.length, ch)
    gives(1, ch.recv, ch)
    fails(ch.recv, ch, 0.001)
    gives(0, ch.close, ch)
    gives_nil(ch.recv, ch)
    all_called(channel)
end)

case('file', function()
    local path, absent = T.path('file'), T.path('absent')
    gives(1, file.writefile, path, 'one\ntwo\n12 x')
    fails(file.writefile, T.scratch, 'x')
    gives(1, file.readfile, path)
    gives(1, file.readfile, path, 'l')
    gives_nil(file.readfile, path, 'n')
    fails(file.readfile, absent)
    fails(file.readfile, T.scratch)
    gives(1, file.access, path)
    gives(1, file.access, absent)
    gives(1, file.stat, path)
    fails(file.stat, absent)
    gives(1, file.lstat, path)
    fails(file.lstat, absent)
    gives(1, file.mkdir, T.path('folder'))
    fails(file.mkdir, T.path('folder'))
    gives(1, file.chmod, path, 420)
    fails(file.chmod, absent, 420)
    gives(1, file.chown, path)
    fails(file.chown, absent)
    gives(1, file.readlink, '/proc/self/exe')
    fails(file.readlink, path)
    gives(3, file.statvfs, path)
    fails(file.statvfs, absent)
    gives(1, file.dirname, path)
    gives(1, file.basename, path)
    gives(0, file.sync)
    gives(4, file.dir, T.scratch)
    gives(5, file.dir, absent)
    gives(0, file.walk, T.scratch, function() end)
    gives(1, file.rename, path, path .. '2')
    fails(file.rename, absent, path)
    gives(1, file.rename, path .. '2', path)
    fails(file.unlink, absent)
    gives(1, file.rmdir, T.path('folder'))
    fails(file.rmdir, T.path('folder'))

    local f = gives(1, file.open, path, file.O_RDWR)
    fails(file.open, absent)
    local lines = {}
    table.insert(lines, f:read('l'))
    T.eq(lines, { 'one' })
    gives(1, f.read, f, 'L')
    gives(1, f.read, f, 2)
    gives(1, f.readfull, f, 1)
    gives(1, f.readuntil, f, 'y')
    fails(f.readuntil, f, 'y')
    fails(f.read, f, 'l')
    fails(f.readfull, f, 1)
    gives(1, f.lseek, f, 4, file.SEEK_SET)
    fails(f.lseek, f, -1, file.SEEK_SET)
    gives(2, f.readuntil, f, '\n')
    gives(1, f.write, f, 'x')
    gives(1, f.stat, f)
    gives(1, f.flock, f, file.LOCK_EX)
    local other<close> = assert(file.open(path))
    fails(other.flock, other, file.LOCK_EX, 0)
    fails(other.flock, other, file.LOCK_EX, 0.001)
    fails(f.flock, f, 0)
    gives(1, file.flock, f, file.LOCK_UN)
    local reading<close> = assert(file.open(path))
    fails(reading.write, reading, 'x')
    gives(0, f.close, f)
    fails(f.stat, f)
    fails(f.lseek, f, 0, 0)
    fails(f.flock, f, file.LOCK_EX)
    gives(1, file.close, assert(file.open(path)))
    fails(file.close, -1)

    local fd = gives(1, raw_file.open, path, file.O_RDWR)
    fails(raw_file.open, absent)
    gives(1, raw_file.read, fd, 3)
    fails(raw_file.read, -1, 3)
    gives(1, raw_file.write, fd, 'x')
    fails(raw_file.write, -1, 'x')
    gives(1, raw_file.lseek, fd, 0, 0)
    fails(raw_file.lseek, -1, 0, 0)
    gives(1, raw_file.fstat, fd)
    fails(raw_file.fstat, -1)
    gives(1, raw_file.flock, fd, file.LOCK_SH)
    called[raw_file.flock] = true
    T.eq(table.pack(raw_file.flock(-1, file.LOCK_SH)), { nil, 9, n = 2 })
    gives(1, raw_file.close, fd)
    fails(raw_file.close, -1)
    gives(1, file.unlink, path)

    local watcher = gives(1, file.inotify)
    local wd = gives(1, watcher.add, watcher, T.scratch)
    fails(watcher.add, watcher, absent)
    file.writefile(path, 'x')
    gives(1, watcher.wait, watcher, 1)
    repeat until not watcher:wait(0.001)
    fails(watcher.wait, watcher, 0.001)
    gives(1, watcher.del, watcher, wd)
    fails(watcher.del, watcher, 99)
    gives(0, watcher.close, watcher)
    fails(watcher.wait, watcher)
    fd = gives(1, raw_file.inotify_init)
    wd = gives(1, raw_file.inotify_add_watch, fd, path, 1)
    fails(raw_file.inotify_add_watch, fd, absent, 1)
    gives(1, raw_file.inotify_rm_watch, fd, wd)
    fails(raw_file.inotify_rm_watch, fd, 99)
    gives(1, raw_file.inotify_parse_event, '')
    file.close(fd)
    all_called(file)
    all_called(raw_file)
end)

case('sys', function()
    gives(1, sys.uptime)
    gives(1, sys.getpid)
    gives(1, sys.getppid)
    gives(1, sys.get_nprocs)
    gives(1, sys.strerror, 2)
    gives(1, sys.getpwnam, 'root')
    fails(sys.getpwnam, 'nobody by that name')
    gives(1, sys.kill, sys.getpid(), 0)
    fails(sys.kill, 1 << 30, 0)
    fails(sys.waitpid, 1 << 30)
    gives(1, sys.prctl, sys.PR_SET_PDEATHSIG, 0)
    fails(sys.prctl, 0, 0)
    gives(1, sys.sigprocmask, sys.SIG_UNBLOCK, sys.SIGUSR2)
    fails(sys.sigprocmask, 99, sys.SIGUSR2)
    local fd = gives(1, sys.signalfd, sys.SIGUSR2)
    fails(sys.signalfd, 999)
    file.close(fd)

    local process = gives(1, sys.exec, 'echo', 'x')
    local lines = {}
    table.insert(lines, process:read_stdout('l'))
    T.eq(lines, { 'x' })
    gives(1, process.read_stderr, process, 'a')
    fails(process.read_stdout, process, 'l')
    fails(process.read_stderr, process, 'l')
    gives(2, process.wait, process)
    fails(process.wait, process, 0.001)
    fails(process.signal, process, sys.SIGTERM)
    fails(process.kill, process)
    fails(process.stop, process)
    gives(0, process.close, process)
    process = assert(sys.exec('sleep', '10'))
    fails(process.read_stdout, process, 'l', 0.001)
    fails(process.wait, process, 0.001)
    gives(1, process.signal, process, 0)
    gives(2, process.stop, process)
    close(process)
    process = assert(sys.exec('sleep', '10'))
    gives(1, process.kill, process)
    process:wait()
    close(process)
    gives(2, sys.sh, 'true')
    T.eq(table.pack(sys.sh('sleep 10', 0.01)), { nil, nil, 'timeout', n = 3 })
    gives(4, sys.sh, 'true', 10, true)

    local pids = {}
    table.insert(pids, sys.spawn(function() end))
    gives(1, sys.spawn, function() end)
    local _, child = gives(2, sys.spawn, function() end, true)
    child:wait()
    close(child)
    local listener = gives(1, sys.signal, sys.SIGUSR1, print)
    gives(0, listener.close, listener)
    fails(sys.signal, 999, print)
    local pid, out, err = gives(3, raw_sys.exec, 'true')
    file.close(out)
    file.close(err)
    assert(pid)
    pid = gives(1, raw_sys.fork)
    if pid == 0 then sys.kill(sys.getpid(), sys.SIGKILL) end
    local ended, status
    repeat
        eco.sleep(0.001)
        ended, status = gives(2, sys.waitpid, pid)
    until ended == pid
    assert(status.signaled)
    all_called(sys)
    all_called(raw_sys)
end)

case('sockets', function()
    for name in ('tcp tcp6 udp udp6 unix unix_dgram'):gmatch('%S+') do
        close((gives(1, socket[name])))
    end
    for name in ('icmp icmp6'):gmatch('%S+') do
        called[socket[name]] = true
        local results = table.pack(socket[name]())
        T.eq(results.n, results[1] and 1 or 2)
        if results[1] then results[1]:close() end
    end
    close((gives(1, socket.netlink, 0)))
    close((gives(1, socket.socket, socket.AF_INET, socket.SOCK_STREAM)))
    fails(socket.socket, 99, 99)
    fails(socket.netlink, 99)
    close(gives(2, socket.socketpair, socket.AF_UNIX, socket.SOCK_STREAM))
    fails(socket.socketpair, socket.AF_INET, socket.SOCK_STREAM)

    local server = gives(1, socket.listen_tcp, '127.0.0.1', 0)
    local name = gives(1, server.getsockname, server)
    fails(server.getpeername, server)
    fails(server.accept, server, 0.001)
    fails(socket.listen_tcp, '127.0.0.1', name.port)
    local client = gives(1, socket.connect_tcp, '127.0.0.1', name.port)
    local accepted = gives(2, server.accept, server)
    gives(1, client.getpeername, client)
    gives(1, client.setoption, client, 'tcp_nodelay', true)
    gives(1, client.getfd, client)
    gives(1, client.closed, client)
    gives(1, client.send, client, 'one\ntwo\n--rest')
    gives(1, client.write, client, '')
    local lines = {}
    table.insert(lines, accepted:read('l'))
    gives(1, accepted.recv, accepted, 'L')
    gives(2, accepted.readuntil, accepted, '--')
    gives(1, accepted.readfull, accepted, 2)
    gives(1, accepted.recvfull, accepted, 2)
    fails(accepted.read, accepted, 'l', 0.001)
    fails(accepted.readfull, accepted, 1, 0.001)
    fails(accepted.readuntil, accepted, 'x', 0.001)
    assert(file.writefile(T.path('sent'), 'content'))
    gives(1, client.sendfile, client, T.path('sent'))
    fails(client.sendfile, client, T.path('absent'))
    gives(1, client.shutdown, client, 'write')
    close(client, server)
    gives(1, accepted.read, accepted, 'a')
    fails(accepted.read, accepted, 'a')
    gives(0, accepted.close, accepted)
    fails(accepted.send, accepted, 'x')
    fails(accepted.read, accepted, 1)
    fails(accepted.getsockname, accepted)
    fails(socket.connect_tcp, '127.0.0.1', name.port)
    local bare = socket.tcp()
    gives(1, bare.bind, bare, '127.0.0.1', 0)
    fails(bare.shutdown, bare, 'both')
    gives(1, bare.listen, bare)
    fails(bare.bind, bare, '127.0.0.1', 0)
    close(bare)
    fails(bare.listen, bare)
    fails(bare.connect, bare, '127.0.0.1', 1)

    local udp = gives(1, socket.listen_udp, '127.0.0.1', 0)
    fails(socket.listen_udp, '127.0.0.1', udp:getsockname().port)
    local sender = gives(1, socket.connect_udp, '127.0.0.1', udp:getsockname().port)
    gives(1, sender.connect, sender, '127.0.0.1', udp:getsockname().port)
    sender:send('x')
    gives(2, udp.recvfrom, udp, 10)
    fails(udp.recvfrom, udp, 10, 0.001)
    gives(1, udp.sendto, udp, 'x', '127.0.0.1', sender:getsockname().port)
    close(udp, sender)
    fails(udp.sendto, udp, 'x', '127.0.0.1', 1)
    fails(udp.recvfrom, udp, 1)

    local unix = gives(1, socket.listen_unix, T.path('socket'))
    fails(socket.listen_unix, T.path('socket'))
    close((gives(1, socket.connect_unix, T.path('socket'))), unix)
    fails(socket.connect_unix, T.path('absent'))
    called[socket.open_tun], called[raw.open_tun] = true, true
    local tun = table.pack(socket.open_tun('results-that-are-too-many\0' and 'lo'))
    T.eq(tun.n, 2)
    if tun[1] then tun[1]:close() end

    gives(1, raw.is_ipv4_address, 'x')
    gives(1, raw.is_ipv6_address, 'x')
    gives(1, raw.is_ip_address, 'x')
    gives(1, raw.inet_aton, '127.0.0.1')
    gives(1, raw.inet_ntoa, 1)
    gives(1, raw.inet_pton, socket.AF_INET, '127.0.0.1')
    gives_nil(raw.inet_pton, socket.AF_INET, 'x')
    gives(1, raw.inet_ntop, socket.AF_INET, 'abcd')
    gives(1, raw.if_nametoindex, 'lo')
    gives_nil(raw.if_nametoindex, 'absent')
    gives(1, raw.if_indextoname, 1)
    for swap in ('htonl ntohl htons ntohs'):gmatch('%S+') do gives(1, raw[swap], 1) end
    all_called(socket)

    local handle = gives(1, raw.socket, socket.AF_INET, socket.SOCK_STREAM)
    fails(raw.socket, 99, 99)
    gives(1, handle.bind, handle, '127.0.0.1', 0)
    fails(handle.accept, handle)
    gives(1, handle.listen, handle)
    fails(handle.accept, handle)
    gives(1, handle.getsockname, handle)
    gives_nil(handle.getoption, handle, 'error')
    gives(1, handle.setoption, handle, 'reuseaddr', true)
    gives(1, handle.getfd, handle)
    gives(1, handle.closed, handle)
    gives(0, handle.close, handle)
    fails(handle.bind, handle, '127.0.0.1', 0)
    close(gives(2, raw.socketpair, socket.AF_UNIX, socket.SOCK_STREAM))
    all_called(raw)
end)

case('others', function()
    gives(1, hex.encode, 'x')
    gives(1, hex.decode, '78')
    fails(hex.decode, '7')
    gives(1, hex.dump, 'x')
    all_called(hex)

    local a, b = pair()
    local reader = gives(1, bufio.new, a.rd)
    b:send('one\ntwo\n--rest and more\n1234567')
    gives(1, reader.readline, reader)
    gives(1, reader.read, reader, 'l')
    gives(2, reader.readuntil, reader, '--')
    gives(1, reader.peek, reader, 2)
    gives(1, reader.discard, reader, 2)
    gives(1, reader.read, reader, 2)
    gives(1, reader.readfull, reader, 2)
    gives(1, reader.read, reader, 'L')
    fails(reader.readline, reader, 0.001)
    fails(reader.readfull, reader, 100, 0.001)
    fails(reader.peek, reader, 100, 0.001)
    close(b)
    gives(1, reader.readall, reader)
    fails(reader.readall, reader)
    fails(reader.read, reader, 'l')
    fails(reader.discard, reader, 1)
    close(a)
    fails(bufio.new, -1)

    log.set_path(T.path('log'))
    for name in ('debug info notice warn err'):gmatch('%S+') do gives(0, log[name], 'x') end
    gives(0, log.log, log.INFO, 'x')
    gives(0, log.set_level, log.INFO)
    gives(0, log.set_flags, log.FLAG_LF)
    gives(0, log.set_roll_size, 1000)
    gives(0, log.set_roll_count, 1)
    gives(0, log.set_ident, 'x')
    gives(0, log.set_path, '')
    all_called(log)

    gives(2, url.escape, 'x') -- and how many characters changed, as gsub does
    gives(2, url.unescape, 'x')
    gives(1, url.parse, 'http://a/')
    fails(url.parse, ':')
    all_called(url)

    gives(1, cli.parse_args, {}, {})
    fails(cli.parse_args, {}, { '--unknown' })
    all_called(cli)
end)

case('packet', function()
    local mac, ip = '00:01:02:03:04:05', '10.0.0.1'
    local segment = gives(1, packet.tcp, 1, 2, 3, 4, nil, 5, ip, ip)
    local whole = gives(1, packet.ether, mac, mac, 0x800, gives(1, packet.ip, ip, ip, 6, segment))
    local pkt = gives(1, packet.from_ether, whole)
    fails(gives(1, gives(1, pkt.next, pkt).next, pkt:next()).next, pkt:next():next())
    fails(packet.from_ether, '')
    gives(1, packet.from_ip, pkt.data)
    fails(packet.from_ip, '')
    gives(1, packet.from_ip6, ('\0'):rep(40))
    fails(packet.from_ip6, '')
    gives(1, packet.from_icmp, gives(1, packet.icmp, 8, 0, 1, 1))
    fails(packet.from_icmp, '')
    gives(1, packet.from_icmp6, gives(1, packet.icmp6, 128, 0, 1, 1))
    fails(packet.from_icmp6, '')
    gives(1, packet.from_radiotap, '\0\0\8\0\0\0\0\0\xd4' .. ('\0'):rep(9))
    fails(packet.from_radiotap, '')
    gives(1, packet.udp, 1, 2)
    gives(1, packet.arp, 1)
    pkt.proto = 1
    fails(pkt.next, pkt)
    all_called(packet)
end)

case('uci', function()
    local path = T.path('uci_results')
    assert(file.mkdir(path))
    assert(file.writefile(path .. '/results', "config a 'b'\n\toption c 'd'\n"))
    local c = gives(1, uci.cursor, path, path .. '/saved')
    all_called(uci)
    local function refused(f, ...)
        local results = table.pack(f(c, ...))
        T.eq({ results.n, results[1], type(results[2]) }, { 2, false, 'string' })
    end
    gives(1, c.load, c, 'results')
    refused(c.load, 'absent')
    gives(1, c.get, c, 'results.b.c')
    gives(2, c.get, c, 'results.b')
    fails(c.get, c, 'results.x')
    gives(1, c.get_all, c, 'results')
    fails(c.get_all, c, 'absent')
    gives(1, c.each, c, 'results')
    gives(1, c.foreach, c, 'results', function() end)
    gives(1, c.foreach, c, 'absent', function() end)
    gives(1, c.add, c, 'results', 'a')
    fails(c.add, c, 'results', '')
    gives(1, c.set, c, 'results.b.e=f')
    refused(c.set, 'results')
    gives(1, c.rename, c, 'results.b.e=g')
    refused(c.rename, 'results.b.e=g')
    gives(1, c.reorder, c, 'results.b=1')
    refused(c.reorder, 'results')
    gives(1, c.delete, c, 'results.b.g')
    refused(c.delete, 'results.b.g')
    for _, name in ipairs { 'save', 'revert', 'commit' } do
        gives(1, c[name], c, 'results')
        refused(c[name], 'absent')
    end
    gives(1, c.list_configs, c)
    gives(1, c.get_confdir, c)
    gives(1, c.get_savedir, c)
    gives(1, c.set_savedir, c, '/absent')
    gives(1, c.set_confdir, c, '/absent')
    refused(c.set_confdir, 'a\0')
    refused(c.list_configs)
    gives(1, c.unload, c, 'results')
    gives(1, c.unload, c, 'results')
    gives(0, c.close, c)
end)

case('termios', function()
    local terminal = assert(serial.pty())
    local fd = terminal.fd
    local attr = gives(1, termios.tcgetattr, fd)
    fails(termios.tcgetattr, -1)
    gives(1, termios.tcsetattr, fd, termios.TCSANOW, attr)
    fails(termios.tcsetattr, fd, 99, attr)
    gives(1, termios.tcflush, fd, termios.TCIFLUSH)
    fails(termios.tcflush, -1, termios.TCIFLUSH)
    gives(1, termios.tcflow, fd, termios.TCOON)
    fails(termios.tcflow, fd, 99)
    gives(0, attr.set_flag, attr, 'i', 1)
    gives(0, attr.clr_flag, attr, 'i', 1)
    gives(1, attr.get_flag, attr, 'i')
    gives(0, attr.set_cc, attr, 0, 1)
    gives(0, attr.set_cc, attr, 31, 1)
    gives(1, attr.get_cc, attr, 0)
    gives(1, attr.get_ispeed, attr)
    gives(1, attr.get_ospeed, attr)
    for _, method in ipairs { attr.set_ispeed, attr.set_ospeed, attr.set_speed } do
        gives(1, method, attr, termios.B9600)
        gives(1, method, attr, 0)
        fails(method, attr, -1)
    end
    gives(1, attr.clone, attr)
    all_called(termios)
    close(terminal)
end)

case('serial', function()
    local device = gives(1, serial.pty)
    fails(serial.open, device.path, { parity = 'odd' })
    local port = gives(1, serial.open, device.path)
    fails(serial.open, device.path)
    fails(serial.open, '/absent')
    gives(1, serial.list)
    gives(1, serial.list, '/absent')
    gives(1, port.settings, port)
    gives(1, port.configure, port, { speed = 9600 })
    gives(1, port.configure, port)
    fails(port.configure, port, { parity = 'even' })
    gives(1, port.set_lines, port, {})
    fails(port.set_lines, port, { dtr = true })
    fails(port.lines, port)
    fails(port.wait_lines, port)
    fails(port.counters, port)
    device:write('one\ntwo three')
    gives(1, port.read, port, 'l', 1)
    gives(1, port.readfull, port, 3, 1)
    gives(2, port.readuntil, port, ' ', 1)
    gives(1, port.read2b, port, eco.buffer(10), 10, 1)
    fails(port.read, port, 1, 0.001)
    fails(port.readfull, port, 1, 0.001)
    fails(port.readuntil, port, 'x', 0.001)
    fails(port.read2b, port, eco.buffer(10), 10, 0.001)
    gives(1, port.write, port, 'x')
    gives(2, port.pending, port)
    gives(1, port.flush, port)
    gives(1, port.drain, port)
    gives(1, port.drain, port, 1)
    -- The emulator knows no breaks.
    if T.emulated then
        fails(port.send_break, port, 0.001)
    else
        gives(1, port.send_break, port, 0.001)
    end
    gives(0, port.close, port)
    for _, name in ipairs { 'settings', 'configure', 'lines', 'wait_lines', 'counters', 'flush', 'pending', 'drain', 'send_break' } do
        fails(port[name], port)
    end
    fails(port.read, port, 1)
    fails(port.write, port, 'x')
    gives(0, port.close, port)
    all_called(getmetatable(port).__index, '__gc __close __tostring')
    all_called(serial)
    close(device)
end)

case('shared', function()
    local name = 'results-' .. sys.getpid()
    local dict = gives(1, shared.new, name, 1000)
    fails(shared.new, name, 1000)
    fails(shared.get, name .. 'x')
    gives(1, dict.set, dict, 'a', 1)
    fails(dict.set, dict, 'a', {})
    gives(1, dict.get, dict, 'a')
    gives(0, dict.get, dict, 'b')
    gives(1, dict.incr, dict, 'a', 1)
    gives(0, dict.incr, dict, 'b', 1)
    gives(1, dict.ttl, dict, 'a')
    gives(0, dict.ttl, dict, 'b')
    gives(1, dict.expire, dict, 'a', 1)
    gives(0, dict.expire, dict, 'b', 1)
    gives(1, dict.del, dict, 'a')
    gives(1, dict.get_keys, dict)
    gives(0, dict.flush_all, dict)
    gives(1, shared.get, name):close()
    gives(0, dict.close, dict)
    for _, method in ipairs { 'set', 'get', 'del', 'incr', 'ttl', 'expire', 'get_keys', 'flush_all' } do
        fails(dict[method], dict, 'a', 1)
    end
    all_called(shared)
end)

case('databases', function()
    local db = gives(1, sqlite3.open)
    fails(sqlite3.open, '/nowhere/x')
    gives(1, db.exec, db, 'create table t(a)')
    gives(1, db.exec_params, db, 'insert into t values (?)', 1)
    gives(1, db.query, db, 'select a from t')
    gives(1, db.query_params, db, 'select a from t')
    gives(1, db.query_row, db, 'select a from t')
    gives_nil(db.query_row, db, 'select a from t where a = 2')
    gives(4, db.rows, db, 'select a from t')
    for _, name in ipairs { 'query', 'query_row', 'exec', 'prepare' } do fails(db[name], db, 'x') end
    local s = gives(1, db.prepare, db, 'select ?')
    gives(1, s.query, s, 1)
    gives(1, s.query_row, s, 1)
    gives(1, s.exec, s, 1)
    gives(4, s.rows, s, 1)
    fails(s.query, s, 1, 2)
    gives(1, s.close, s)
    gives(2, db.transaction, db, function() return 1, 2 end)
    gives(1, db.transaction, db, function() end)
    fails(db.transaction, db, function() error('x', 0) end)
    gives(1, db.within, db, 1)
    gives(1, db.finish, db)
    gives(1, db.close, db)
    all_called(sqlite3)
    fails(argon2.verify, 'x', 'x')
    gives(1, argon2.verify, 'x', gives(1, argon2.hash, 'x', { memory = 8, passes = 1 }))
    all_called(argon2)
end)

case('thread', function()
    local ch = gives(1, thread.channel, 1)
    gives(1, ch.send, ch, 'x')
    fails(ch.try_send, ch, 'x')
    fails(ch.send_within, ch, 0.001, 'x')
    gives(1, ch.recv, ch)
    fails(ch.recv, ch, 0.001)
    fails(ch.try_recv, ch)
    gives(1, ch.try_send, ch, 1, 2)
    gives(2, ch.try_recv, ch)
    gives(1, ch.send_within, ch, 1, 'x')
    gives(1, ch, ch)
    gives(1, ch.length, ch)
    gives(1, ch.capacity, ch)
    gives(1, ch.is_closed, ch)
    gives(0, ch.close, ch)
    fails(ch.send, ch, 1)
    fails(ch.recv, ch)
    gives(1, thread.cores)
    gives(1, thread.self)
    local t = gives(1, thread.spawn, function() return 1, 2, 3 end)
    gives(1, t.is_running, t)
    gives(1, t.name, t)
    gives(3, t.join, t)
    gives(0, t.cancel, t)
    local pool = gives(1, thread.pool, 1)
    gives(2, pool.run, pool, function() return 1, 2 end)
    gives(0, pool.close, pool)
    fails(pool.run, pool, print)
    all_called(thread)
end)

case('node-lua', function()
    T.once['anon_inode:[eventpoll]'] = 2
    T.once['anon_inode:[eventfd]'] = 3
    require 'node-lua'
    local path = T.path('answers.lua')
    assert(file.writefile(path, [[
        context.api('shipped')
        local _, from, session = context.recv(0)
        context.reply(from, session, 1, 2, 3)
        context.suspend()
    ]]))
    context.api('shipped')
    local child = gives(1, context.create, path)
    gives(4, context.query, child, 'x')
    gives(2, context.query, child, 'x')
    gives(1, context.send, child, 1)
    gives(2, context.wait, child, 0.001)
    gives(0, context.destroy, child)
    gives(2, context.wait, child)
    gives(2, context.send, child, 1)
    gives(2, context.reply, child, 1, 1)
    gives(4, context.recv, 0, 0.001)
    gives(0, context.recv, 0, print)
    gives(0, context.recv, 0, nil)
    gives(0, timer.sleep, 0.001)
    gives(0, timer.close, gives(1, timer.timeout, 10, print))
    gives(0, timer.close, gives(1, timer.loop, 10, 10, print))
    gives(0, timer.loop, 0, 0, print)
    local b = gives(1, buffer.new, 'data')
    gives(1, b.split, b, 1)
    gives(0, b.find, b, 'none')
    gives(2, b.unpack, b, 'b')
    gives(2, tcp.listen, 'no address', 1)
    gives(2, udp.open, 'no address', 1)
    gives(2, tcp.connect, '127.0.0.1', 1)
    context.api('seed')
end)

case('http.server', function()
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    assert(file.writefile(T.path('page.txt'), 'content'))
    local problem
    local handlers = {
        ['/plain'] = function(con, req)
            gives(1, con.remote_addr, con)
            gives(0, con.add_header, con, 'x', 'y')
            gives(1, con.set_status, con, 200)
            gives(1, con.send, con, 'x')
            gives(1, con.flush, con)
            gives(1, con.read_body, con)
            gives(1, con.discard_body, con)
            fails(con.read_formdata, con, req)
        end,
        ['/file'] = function(con)
            fails(con.send_file, con, T.path('absent'))
            gives(1, con.send_file, con, T.path('page.txt'))
        end,
        ['/page.txt'] = function(con, req) gives(1, con.serve_file, con, req) end,
        ['/absent'] = function(con, req) gives(1, con.serve_file, con, req) end,
        ['/events'] = function(con) gives(1, con.send_event, con, 'x') end,
        ['/moved'] = function(con) gives(1, con.redirect, con, 302, '/') end,
        ['/wrong'] = function(con) gives(1, con.send_error, con, 418) end,
        ['/form'] = function(con, req)
            gives(2, con.read_formdata, con, req)
            gives(2, con.read_formdata, con, req)
            gives(1, con.read_formdata, con, req)
        end,
    }
    eco.run(http.listen, '127.0.0.1', 0, { docroot = T.scratch }, function(con, req)
        local ok, message = xpcall(handlers[req.path], debug.traceback, con, req)
        problem = problem or not ok and req.path .. ': ' .. message
    end)
    socket.listen_tcp = listen_tcp
    local form = '--b\r\na: b\r\n\r\nx\r\n--b--\r\n'
    for path in pairs(handlers) do
        local client = assert(socket.connect_tcp('127.0.0.1', listener:getsockname().port))
        local is_form = path == '/form'
        client:send(('%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'):format(is_form and 'POST' or 'GET', path))
        client:send(is_form and ('Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s'):format(#form, form) or '\r\n')
        assert(client:read('a', 5), path)
        close(client)
    end
    close(listener)
    assert(not problem, problem)
    fails(http.listen, '127.0.0.1', 1, { docroot = T.scratch, device = 'absent' }, print)
end)

case('websocket', function()
    local upgraded
    fails(websocket.upgrade, {}, { major_version = 1, minor_version = 0 })
    fails(websocket.connect, 'ws://127.0.0.1:1/')
    wire.serve(function(con, req)
        upgraded = gives(1, websocket.upgrade, con, req)
        repeat local data, why = upgraded:recv(10) until not data and why ~= 'timeout'
    end, function(port)
        local ws = gives(1, websocket.connect, 'ws://127.0.0.1:' .. port)
        for _, name in ipairs { 'send_text', 'send_binary', 'send_ping', 'send_pong' } do
            gives(1, ws[name], ws, 'x')
            fails(ws[name], ws, ('x'):rep(70000))
        end
        gives(1, ws.send_frame, ws, false, 1, 'x')
        fails(ws.send_frame, ws, false, 9)
        gives(1, upgraded.send_text, upgraded, 'x')
        gives(2, ws.recv, ws, 5)
        fails(ws.recv, ws, 0.001)
        gives(1, upgraded.send_text, upgraded, 'x')
        -- The answer to the ping came before.
        gives(3, ws.recv_frame, ws, 5)
        local results = table.pack(ws:recv_frame(0.001))
        T.eq({ results.n, results[1], results[2], type(results[3]) }, { 3, nil, nil, 'string' })
        fails(ws.close, ws, 1)
        gives(1, ws.send_close, ws, 1000)
        fails(ws.send_close, ws)
        called[ws.recv] = true
        T.eq(table.pack(ws:recv(5)).n, 4)
        ws = gives(1, websocket.connect, 'ws://127.0.0.1:' .. port)
        gives(1, ws.close, ws)
        fails(ws.close, ws, 1)
        all_called(getmetatable(ws).__index)
        all_called(websocket)
    end)
end)

case('http.client', function()
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    eco.run(http.listen, '127.0.0.1', 0, nil, function(con) con:send('page') end)
    socket.listen_tcp = listen_tcp
    local page = ('http://127.0.0.1:%d/'):format(listener:getsockname().port)
    local stream = { stream = true }
    for _, options in ipairs { {}, { reuse = true } } do
        local client = gives(1, http_client.new, options)
        gives(1, client.request, client, 'GET', page)
        gives(1, client.get, client, page)
        gives(1, client.post, client, page, 'x')
        gives(1, client.sock, client)
        gives(0, client.close, client)
        fails(client.sock, client)
        fails(client.get, client, ':')
    end
    gives(1, http_client.request, 'GET', page)
    gives(1, http_client.get, page)
    gives(1, http_client.post, page, 'x')
    fails(http_client.get, ':')
    fails(http_client.post, page, {})
    fails(http_client.get, 'http://127.0.0.1:1/')
    local resp = gives(1, http_client.get, page, stream)
    gives(1, resp.read, resp, 2)
    gives(1, resp.read, resp)
    gives_nil(resp.read, resp)
    gives_nil(resp.read, resp)
    resp = gives(1, http_client.get, page, stream)
    gives(0, resp.close, resp)
    gives_nil(resp.read, resp)
    local form = gives(1, http_client.form)
    gives(1, form.add, form, 'a', 'b')
    gives(1, form.add_file, form, 'a', T.path('page.txt'))
    fails(form.add_file, form, 'a', T.path('absent'))
    gives(1, http_client.body_with_file, T.path('page.txt'))
    fails(http_client.body_with_file, T.path('absent'))
    all_called(http_client)
    close(listener)
end)

case('mqtt', function()
    local client = gives(1, mqtt.new)
    gives(0, client.set, client, 'keepalive', 10)
    gives(0, client.on, client, 'error', function() end)
    fails(client.publish, client, 't', 'p')
    fails(client.subscribe, client, 't')
    fails(client.unsubscribe, client, 't')
    gives(1, client.disconnect, client)
    gives(0, client.close, client)
    local listener<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    client = gives(1, mqtt.new, { port = listener:getsockname().port, version = 5, max_pending = 1 })
    local peer
    eco.run(function()
        peer = listener:accept()
        peer:send('\x20\3\0\0\0')
        while peer:read(4096) do end
    end)
    local ended
    eco.run(function()
        gives(0, client.run, client)
        ended = true
    end)
    T.await(function() return client.connected end)
    gives(1, client.publish, client, 't', 'p')
    gives(1, client.publish, client, 't', 'p', 1)
    fails(client.publish, client, 't', 'p', 1, false, { wait = 0.01 })
    gives(1, client.subscribe, client, 't')
    fails(client.unsubscribe, client, 't')
    gives(1, client.auth, client, 0x18)
    gives(1, client.disconnect, client, 4)
    gives(0, client.close, client)
    T.await(function() return ended end)
    peer:close()
    fails(client.auth, client)
    all_called({ publish = client.publish, subscribe = client.subscribe,
        unsubscribe = client.unsubscribe, auth = client.auth, run = client.run, close = client.close, on = client.on,
        set = client.set, disconnect = client.disconnect })
    all_called(mqtt)
end)

case('postgres', function()
    local listener<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = listener:getsockname().port
    local READY = 'Z\0\0\0\5I'
    eco.run(function()
        while true do
            local peer = listener:accept()
            if not peer then break end
            eco.run(function()
                peer:read(1000)
                peer:send('R\0\0\0\8\0\0\0\0' .. READY)
                while true do
                    local request = peer:read(1000)
                    if not request then break end
                    -- Rows in parts end with what was asked for; all else with the exchange.
                    local flush = request:find('H\0\0\0\4', 1, true)
                    peer:send(request:find 'wrong' and 'E\0\0\0\12C1\0Mno\0\0' .. (flush and '' or READY)
                        or 'C\0\0\0\6x\0' .. (flush and '' or READY))
                end
                peer:close()
            end)
        end
    end)
    local options = { host = '127.0.0.1', port = port, user = 'u', password = '' }
    local db = gives(1, postgres.open, options)
    gives(1, db.within, db, 5)
    gives(1, db.query, db, 'right')
    fails(db.query, db, 'wrong')
    gives(1, db.problem, db)
    gives(1, db.exec, db, 'right')
    fails(db.exec, db, 'wrong')
    T.eq(select('#', db:query_row 'right'), 1)
    fails(db.query_row, db, 'wrong')
    gives(4, db.rows, db, 'right')
    local statement = gives(1, db.prepare, db, 'right')
    fails(db.prepare, db, 'wrong')
    gives(1, statement.query, statement)
    gives(1, statement.exec, statement)
    T.eq(select('#', statement:query_row()), 1)
    gives(1, statement.close, statement)
    fails(statement.query, statement)
    gives(2, db.transaction, db, function() return 1, 2 end)
    gives(1, db.transaction, db, function() end)
    fails(db.transaction, db, function() return nil, 'no' end)
    gives(1, db.cancel, db)
    gives(1, db.finish, db)
    gives(1, db.close, db)
    fails(db.query, db, 'right')
    fails(db.cancel, db)
    options.port = 1
    fails(postgres.open, options)
    gives(1, postgres.escape, 'a')
    gives(1, postgres.bytea, 'a')
    all_called(postgres)
end)

case('mysql', function()
    local listener<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = listener:getsockname().port
    local function packet(number, body) return string.pack('<I3B', #body, number) .. body end
    eco.run(function()
        while true do
            local peer = listener:accept()
            if not peer then break end
            eco.run(function()
                peer:send(packet(0, '\n8\0' .. ('\1'):rep(12) .. '\0\xff\xff\33\2\0\0\0\21' .. ('\0'):rep(10) .. ('\1'):rep(12) .. '\0'))
                peer:read(1000)
                peer:send(packet(2, '\0\0\0\2\0\0\0'))
                while true do
                    local request = peer:read(1000)
                    if not request then break end
                    -- What is closed is not answered.
                    local prepare = request:byte(5) == 0x16 or request:byte(14) == 0x16
                    peer:send(request:find 'wrong' and packet(1, '\xff\40\4#42000no') or prepare
                        and packet(1, '\0\1\0\0\0\0\0\0\0\0\0\0') or packet(1, '\0\0\0\2\0\0\0'))
                end
                peer:close()
            end)
        end
    end)
    local options = { host = '127.0.0.1', port = port }
    local db = gives(1, mysql.open, options)
    gives(1, db.query, db, 'right')
    fails(db.query, db, 'wrong')
    gives(1, db.problem, db)
    gives(1, db.exec, db, 'right')
    gives(4, db.rows, db, 'right')
    local statement = gives(1, db.prepare, db, 'right')
    gives(1, statement.query, statement)
    gives(1, statement.close, statement)
    gives(1, db.transaction, db, function() end)
    gives(1, db.cancel, db)
    gives(1, db.finish, db)
    gives(1, db.close, db)
    fails(db.query, db, 'right')
    options.port = 1
    fails(mysql.open, options)
    gives(1, mysql.escape, 'a')
    all_called(mysql)
end)

case('encoding.gzip', function()
    local packed = gives(1, gzip.compress, 'x')
    gives(1, gzip.decompress, packed)
    fails(gzip.decompress, 'x')
    local compressor = gives(1, gzip.compressor)
    gives(1, compressor.update, compressor, 'x')
    gives(1, compressor.finish, compressor)
    local decompressor = gives(1, gzip.decompressor)
    gives(0, decompressor.write, decompressor, packed)
    gives(1, decompressor.read, decompressor)
    gives(1, decompressor.started, decompressor)
    gives(1, decompressor.ended, decompressor)
    decompressor = gzip.decompressor()
    decompressor:write('x')
    fails(decompressor.read, decompressor)
    local next_piece = gives(1, gzip.reader, function() return table.remove { packed } end)
    gives(1, next_piece)
    all_called(gzip)
end)

case('bit', function()
    for _, name in ipairs { 'tobit', 'bnot', 'bswap', 'band', 'bor', 'bxor', 'tohex' } do gives(1, bit[name], 5) end
    for _, name in ipairs { 'lshift', 'rshift', 'arshift', 'rol', 'ror' } do gives(1, bit[name], 5, 1) end
    all_called(bit)
end)

case('asio', function()
    local taken<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = taken:getsockname().port
    taken:close()
    fails(asio.server, 'no address', port, print)
    local accepted
    local holder = gives(1, asio.server, '127.0.0.1', port, function(con) accepted = con end)
    gives(1, asio.addr_to_str, ('\0'):rep(64))
    local problem
    local function body()
        gives(0, asio.sleep, 0)
        local con = gives(1, asio.connect, '127.0.0.1', port)
        while not accepted do asio.sleep(0.001) end
        gives(1, con.write, con, 'hello')
        gives(1, accepted.read_some, accepted)
        gives(1, con.write, con, 'hello')
        gives(1, accepted.read, accepted, 5)
        gives(1, accepted.read, accepted, 0)
        gives_nil(accepted.get_original_dst, accepted)
        con:close()
        fails(accepted.read, accepted, 1)
        local data, err = gives(2, accepted.read_some, accepted)
        T.eq(data, '')
        assert(err)
        fails(accepted.write, accepted, 'x')
        gives(0, accepted.close, accepted)
        for _, name in ipairs { 'read', 'read_some', 'write' } do fails(accepted[name], accepted, 'x') end
        gives(0, accepted.close, accepted)
        gives(0, asio.destroy_server, holder)
        fails(asio.connect, '127.0.0.1', port)
    end
    gives(1, asio.spawn_light_thread, function()
        local ok, err = pcall(body)
        if not ok then
            problem = err
            asio.destory_server(holder)
        end
    end)
    gives(0, asio.run_once)
    gives(0, asio.run)
    assert(not problem, problem)
    gives(0, asio.destory_server, holder)
    all_called(asio)
end)

case('luv', function()
    local path = T.path 'luv'
    gives(1, luv.self)
    gives(1, luv.sleep, 0)
    for _, name in ipairs { 'hrtime', 'mem_total', 'mem_free', 'cpu_info', 'interface_addresses' } do gives(1, luv[name]) end
    local fiber = gives(1, luv.fiber.create, function() return 1, nil end)
    gives(1, fiber.ready, fiber)
    gives(2, fiber.join, fiber)
    local thread = gives(1, luv.thread.spawn, function() return 1, nil end)
    gives(2, thread.join, thread)
    called[luv.thread.create] = true
    local timer, idle = gives(1, luv.timer.create), gives(1, luv.idle.create)
    for _, name in ipairs { 'start', 'wait', 'again', 'stop' } do gives(1, timer[name], timer) end
    for _, name in ipairs { 'start', 'wait', 'stop' } do gives(1, idle[name], idle) end
    gives(1, luv.codec.decode, gives(1, luv.codec.encode, 1))
    gives(0, luv.codec.decode, luv.codec.encode())

    local fs = luv.fs
    local function refused(f, ...)
        called[f] = true
        local results = table.pack(f(...))
        assert(results.n == 3 and results[1] == false and type(results[2]) == 'string' and math.type(results[3]) == 'integer')
    end
    gives(1, fs.mkdir, path)
    gives(1, fs.readdir, path)
    local name = path .. '/a'
    local file = gives(1, fs.open, name, 'w+')
    gives(1, file.write, file, 'x')
    gives(2, file.read, file)
    for _, method in ipairs { 'stat', 'sync', 'datasync', 'truncate' } do gives(1, file[method], file) end
    gives(1, file.chmod, file, '644')
    gives(1, file.chown, file, -1, -1)
    gives(1, file.utime, file, 1, 1)
    gives(1, fs.sendfile, file, file)
    gives(1, file.close, file)
    for _, method in ipairs { 'read', 'stat', 'sync', 'close' } do refused(file[method], file) end
    gives(1, fs.chmod, name, '644')
    gives(1, fs.chown, name, -1, -1)
    gives(1, fs.utime, name, 1, 1)
    gives(1, fs.stat, name)
    gives(1, fs.lstat, name)
    gives(1, fs.link, name, name .. '2')
    gives(1, fs.rename, name .. '2', name .. '3')
    gives(1, fs.symlink, name, name .. '2')
    gives(1, fs.readlink, name .. '2')
    for _, entry in ipairs { name, name .. '2', name .. '3' } do gives(1, fs.unlink, entry) end
    gives(1, fs.rmdir, path)
    for _, f in ipairs { fs.stat, fs.unlink, fs.rmdir, fs.readdir, fs.readlink, fs.lstat } do refused(f, path) end
    refused(fs.open, path, 'r')
    gives(1, fs.exepath)
    gives(0, fs.chdir, gives(1, fs.cwd))

    local server, client, peer = gives(1, luv.net.tcp), luv.net.tcp(), luv.net.tcp()
    gives(1, server.bind, server, '127.0.0.1', 0)
    gives(0, server.listen, server)
    local port = gives(1, server.getsockname, server).port
    gives(2, client.connect, client, '127.0.0.1', port)
    gives(2, server.accept, server, peer)
    gives(1, client.getpeername, client)
    for _, method in ipairs { 'nodelay', 'keepalive' } do gives(1, client[method], client, false) end
    for _, method in ipairs { 'readable', 'writable', 'start', 'stop' } do gives(1, client[method], client) end
    gives(1, client.write, client, 'x')
    gives(2, peer.read, peer)
    gives(1, client.shutdown, client)
    gives_nil(peer.read, peer)
    for _, s in ipairs { server, client, peer } do gives(1, s.close, s) end
    fails(peer.read, peer)
    fails(peer.accept, peer, luv.net.tcp())
    fails(client.connect, client, '127.0.0.1', port)
    T.eq(select('#', peer:write('x')), 2)
    T.eq(select('#', luv.net.tcp():bind('x', 1)), 2)
    gives(2, luv.net.getaddrinfo, '127.0.0.1')
    gives(2, luv.net.getaddrinfo, '::1')

    local a, b = gives(1, luv.net.udp), luv.net.udp()
    gives(0, a.bind, a, '127.0.0.1', 0)
    gives(1, b.send, b, '127.0.0.1', a.source:getsockname().port, 'x')
    gives(3, a.recv, a)
    gives(1, a.membership, a, '224.0.0.5', '127.0.0.1', 'join')
    gives(1, a.close, a)
    gives(2, a.recv, a)
    b:close()

    local pipe = gives(1, luv.pipe.create)
    gives(0, pipe.bind, pipe, path)
    pipe:listen()
    local other = luv.pipe.create()
    gives(2, other.connect, other, path)
    pipe:close()
    other:close()
    local null = luv.pipe.create()
    gives(0, null.open, null, luv.fs.open('/dev/null', 'r+'))
    null:close()

    gives(3, luv.process.spawn, 'true')
    local process = gives(1, luv.process.spawn, 'sleep', { '1000', detach = true })
    gives(0, process.kill, process, 9)
    for _, members in ipairs { luv.fiber, luv.timer, luv.idle, luv.fs, luv.net, luv.pipe, luv.process, luv.codec } do
        called[members.__codec] = true
        called[members.yield or 0] = true
        all_called(members)
    end
end)
