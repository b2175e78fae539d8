-- Arguments that fit no number or name of the system are errors, never cut to one that does.

local eco = require 'eco'
local file = require 'eco.file'
local log = require 'eco.log'
local raw_file = require 'eco.internal.file'
local raw_sync = require 'eco.internal.sync'
local raw_time = require 'eco.internal.time'
local socket = require 'eco.socket'
local raw = require 'eco.internal.socket'
local serial = require 'eco.serial'
local termios = require 'eco.termios'
local sys = require 'eco.sys'

local BIG = 1 << 32

-- f(...) raises an error about argument `index`.
local function refused(index, f, ...)
    local message = T.raises('bad argument #' .. index, f, ...)
    assert(message:find('range') or message:find('invalid mode') or message:find('cannot be caught'), message)
end

case('ports', function()
    local s<close> = assert(socket.tcp())
    for _, port in ipairs { 65536, -1, BIG, BIG + 80, math.mininteger } do
        refused(2, s.bind, s, '127.0.0.1', port)
        refused(2, s.connect, s, '127.0.0.1', port)
        refused(2, socket.listen_tcp, '127.0.0.1', port)
        refused(2, socket.listen_udp, '127.0.0.1', port)
        refused(2, socket.connect_tcp, '127.0.0.1', port)
        refused(2, socket.connect_udp, '127.0.0.1', port)
        local udp = assert(socket.udp())
        refused(3, function() udp:sendto('x', '127.0.0.1', port) end)
        udp:close()
    end
    assert(s:bind('127.0.0.1', 0))
end)

case('costs of a password, limits of a database', function()
    local argon2, sqlite3 = require 'eco.hash.argon2', require 'eco.sqlite3'
    for _, value in ipairs { 0, -1, BIG, math.mininteger, 0.5 } do
        refused(2, argon2.hash, 'x', { memory = value })
        refused(2, argon2.hash, 'x', { passes = value })
        refused(2, argon2.hash, 'x', { lanes = value })
    end
    for _, name in ipairs { 'timeout', 'busy_timeout', 'max_result' } do
        for _, value in ipairs { -1, -math.huge, 0 / 0, 'x', {} } do
            T.raises("option '" .. name .. "' must be a number", sqlite3.open, { [name] = value })
        end
        assert(sqlite3.open { [name] = math.huge }):close()
    end
    T.raises("option 'path' must be a string", sqlite3.open, { path = 5 })
end)

case('descriptors', function()
    for _, fd in ipairs { BIG, -BIG, BIG + 1, math.maxinteger } do
        refused(1, eco.io, fd)
        refused(1, eco.reader, fd)
        refused(1, eco.writer, fd)
        refused(1, raw_file.close, fd)
        refused(1, raw_file.read, fd, 1)
        refused(1, raw_file.write, fd, 'x')
        refused(1, raw_file.lseek, fd, 0, 0)
        refused(1, raw_file.fstat, fd)
        refused(1, raw_file.flock, fd, 1)
        refused(1, raw_file.inotify_rm_watch, fd, 1)
        refused(1, raw_time.timerfd_settime, fd, 0, 1)
        refused(1, termios.tcgetattr, fd)
        refused(1, termios.tcflush, fd, 0)
        refused(1, termios.tcflow, fd, 0)
    end
    -- No descriptor at all is a failure of the call, as ever.
    T.fails('Bad file descriptor', eco.io(-1))
    T.fails('Bad file descriptor', raw_file.fstat(-1))
end)

case('modes and flags', function()
    local path = T.path('file')
    assert(file.writefile(path, 'x'))
    for _, mode in ipairs { -1, 1 << 12, BIG, BIG + 438 } do
        refused(2, file.chmod, path, mode)
        refused(2, file.mkdir, T.path('folder'), mode)
        refused(3, raw_file.open, path, 0, mode)
    end
    refused(2, raw_file.open, path, BIG)
    refused(2, file.chown, path, BIG)
    refused(3, file.chown, path, -1, BIG)
    refused(3, raw_file.lseek, 0, 0, BIG)
    refused(2, raw_file.flock, 0, BIG)
    T.eq(file.stat(path).mode & 438, file.stat(path).mode)
    assert(not file.stat(T.path('folder')))
    local watcher<close> = assert(file.inotify())
    refused(3, raw_file.inotify_add_watch, watcher.fd, path, BIG)
    T.eq(file.chmod(path, 384), true)
    T.eq(file.chown(path, -1, -1), true)
end)

case('signals and processes', function()
    for _, signal in ipairs { BIG, BIG + 15, -BIG } do
        refused(2, sys.kill, sys.getpid(), signal)
        refused(1, sys.signalfd, signal)
        refused(2, sys.sigprocmask, sys.SIG_BLOCK, signal)
    end
    refused(1, sys.kill, BIG + 1, 0)
    refused(1, sys.waitpid, BIG)
    refused(1, sys.signalfd, sys.SIGKILL)
    refused(2, sys.signalfd, sys.SIGUSR1, sys.SIGSTOP)
    refused(1, sys.strerror, BIG)
    T.raises('the signal cannot be caught', sys.signal, sys.SIGKILL, print)
    T.raises('the signal cannot be caught', sys.signal, sys.SIGSTOP, print)
    T.fails('Invalid argument', sys.kill(sys.getpid(), 1000))
    T.fails('Invalid argument', sys.signal(1000, print))
end)

case('sockets', function()
    local s<close> = assert(socket.tcp())
    refused(1, raw.socket, BIG + 2, 1)
    refused(2, raw.socket, 2, BIG + 1)
    refused(3, raw.socket, 2, 1, BIG)
    refused(1, s.listen, s, BIG)
    for _, value in ipairs { BIG, -BIG, math.maxinteger } do
        refused(2, s.setoption, s, 'sndbuf', value)
        refused(2, s.setoption, s, 'mark', value)
    end
    refused(2, s.setoption, s, 'packet_add_membership', { ifindex = BIG + 1 })
    refused(2, s.setoption, s, 'ipv6_add_membership', { multiaddr = 'ff02::1', interface = BIG })
    refused(2, raw.open_tun, 'x', 1 << 16)
    refused(1, raw_sync.eventfd, BIG)
    refused(1, raw_sync.eventfd, -1)
    refused(1, raw_time.timerfd_create, BIG)
    refused(1, log.set_level, BIG + 3)
    refused(1, log.set_flags, BIG)
end)

case('terminals', function()
    local device<close> = assert(serial.pty())
    local attr = assert(termios.tcgetattr(device.fd))
    for _, number in ipairs { BIG, -BIG, math.maxinteger } do
        refused(2, termios.tcsetattr, device.fd, number, attr)
        refused(2, termios.tcflush, device.fd, number)
        refused(2, termios.tcflow, device.fd, number)
        -- As methods count them: the object is none.
        refused(2, function() attr:set_flag('c', number) end)
        refused(2, function() attr:clr_flag('c', number) end)
        T.fails('Invalid argument', attr:set_speed(number))
        T.raises('must be bauds', serial.open, device.path, { speed = number })
    end
    T.fails('Invalid argument', serial.open(device.path .. '\0'))
end)

case('a name with a NUL is no name', function()
    local path = T.path('named')
    assert(file.writefile(path, 'kept'))
    local bad = path .. '\0.txt'
    T.fails('Invalid argument', file.open(bad))
    T.fails('Invalid argument', file.stat(bad))
    T.fails('Invalid argument', file.lstat(bad))
    T.fails('Invalid argument', file.readlink(bad))
    T.fails('Invalid argument', file.statvfs(bad))
    T.fails('Invalid argument', file.chmod(bad, 0))
    T.fails('Invalid argument', file.chown(bad, 0, 0))
    T.fails('Invalid argument', file.mkdir(bad))
    T.eq(file.access(bad), false)
    T.fails('Invalid argument', file.readfile(bad))
    T.fails('Invalid argument', file.writefile(bad, 'lost'))
    T.fails('Invalid argument', file.writefile(bad, 'lost', true))
    T.fails('Invalid argument', file.unlink(bad))
    T.fails('Invalid argument', file.rmdir(bad))
    T.fails('Invalid argument', file.rename(bad, path .. '2'))
    T.fails('Invalid argument', file.rename(path, bad))
    T.fails('Invalid argument', sys.getpwnam('root\0'))
    local watcher<close> = assert(file.inotify())
    T.fails('Invalid argument', watcher:add(bad))
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    T.fails('Invalid argument', a:sendfile(bad, 1))
    a:close()
    b:close()
    T.fails('Invalid argument', socket.listen_unix(bad))
    T.fails('Invalid argument', socket.connect_unix(bad))
    T.fails('Invalid argument', raw.open_tun('tun\0x'))
    local s<close> = assert(socket.tcp())
    T.fails('Invalid argument', s:setoption('bindtodevice', 'lo\0'))
    T.eq(socket.if_nametoindex('lo\0'), nil)
    T.eq(socket.is_ipv4_address('127.0.0.1\0'), false)
    T.raises('string contains zeros', sys.exec, 'true\0')
    for _ in file.dir(T.scratch .. '\0') do error('nothing is listed') end
    T.eq(file.readfile(path), 'kept')
    T.eq(file.access(path .. '2'), false)
end)

case('threads', function()
    local thread = require 'eco.thread'
    for _, capacity in ipairs { 0, -1, math.mininteger } do
        refused(1, thread.channel, capacity)
        T.raises('out of range', thread.pool, capacity)
    end
    T.raises('a size is too small', thread.spawn, { memory = -1 }, print)
    T.raises('a size is too small', thread.spawn, { stack = 0 }, print)
end)

case('databases', function()
    for _, name in ipairs { 'postgres', 'mysql' } do
        local open = require('eco.' .. name).open
        for _, port in ipairs { 0, 65536, -1, BIG, BIG + 80, math.mininteger, 1.5 } do
            T.raises("option 'port' must be from 1 to 65535", open, { port = port })
        end
        T.raises("option 'max_message_size' must be", open, { max_message_size = BIG })
        T.fails('NUL byte in an option', open { user = 'a\0b' })
        T.fails('NUL byte in an option', open { unix = 'a\0b' })
    end
end)

case('node-lua', function()
    T.once['anon_inode:[eventpoll]'] = 2
    T.once['anon_inode:[eventfd]'] = 3
    require 'node-lua'
    for _, handle in ipairs { 'x', {}, 1.5, 0 / 0, 2 ^ 70 } do
        for _, name in ipairs { 'send', 'query', 'reply', 'wait', 'recv' } do
            T.raises('number expected', context[name], handle, 1, 1)
        end
    end
    for _, port in ipairs { -1, 65536, 2 ^ 40 } do
        T.raises('out of range', tcp.listen, '127.0.0.1', port)
        T.raises('out of range', tcp.connect, '127.0.0.1', port)
        T.raises('out of range', udp.open, '127.0.0.1', port)
    end
    T.raises('number expected', tcp.listen, '127.0.0.1', {})
    T.raises('string expected', tcp.listen, {}, 1)
    T.raises('function expected', tcp.listen, '127.0.0.1', 1, 1, 1)
    T.raises('number expected', context.recv, 0, {})
    T.raises('function expected', context.run, 1)
end)
