-- What tostring says of objects: the name of their kind, and what they hold.

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local sys = require 'eco.sys'
local time = require 'eco.time'

local function told(object, pattern)
    local text = tostring(object)
    assert(text:find('^' .. pattern .. '$'), text)
end

case('sockets', function()
    local server<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = server:getsockname().port
    T.eq(tostring(server), ('eco.socket (tcp, fd %d, 127.0.0.1:%d)'):format(server:getfd(), port))
    local client, accepted
    T.all(function() accepted = assert(server:accept(5)) end, function() client = assert(socket.connect_tcp('127.0.0.1', port)) end)
    T.eq(tostring(client), ('eco.socket (tcp, fd %d, 127.0.0.1:%d to 127.0.0.1:%d)'):format(client:getfd(), client:getsockname().port, port))
    client:close()
    accepted:close()
    T.eq(tostring(client), 'eco.socket (closed)')

    local datagram<close> = assert(socket.udp6())
    T.eq(tostring(datagram), ('eco.socket (udp6, fd %d, [::]:0)'):format(datagram:getfd()))
    local named<close> = assert(socket.listen_unix('\0eco-kinds'))
    T.eq(tostring(named), ('eco.socket (unix, fd %d, @eco-kinds)'):format(named:getfd()))
    local nameless<close> = assert(socket.unix())
    T.eq(tostring(nameless), ('eco.socket (unix, fd %d)'):format(nameless:getfd()))
    local netlink<close> = assert(socket.netlink(0))
    T.eq(tostring(netlink), ('eco.socket (netlink, fd %d, port 0)'):format(netlink:getfd()))
end)

case('files and processes', function()
    local path = T.path('kinds')
    local f = assert(file.open(path, file.O_CREAT | file.O_RDWR, 420))
    if not T.emulated then T.eq(tostring(f), ('eco.file (fd %d, %s)'):format(f.fd, path)) end
    f:close()
    T.eq(tostring(f), 'eco.file (closed)')
    local w<close> = assert(file.inotify())
    T.eq(tostring(w), ('eco.inotify (fd %d)'):format(w.fd))
    local child<close> = assert(sys.exec('true'))
    T.eq(tostring(child), ('eco.process (pid %d)'):format(child.pid))
    child:wait()
    local s = assert(sys.signal(sys.SIGUSR1, function() end))
    T.eq(tostring(s), 'eco.signal (signal ' .. sys.SIGUSR1 .. ')')
    s:close()
    T.eq(tostring(s), ('eco.signal (signal %d, closed)'):format(sys.SIGUSR1))
end)

case('waiting', function()
    local timer = time.timer(function() end)
    T.eq(tostring(timer), 'eco.timer (not set)')
    timer:set(10)
    T.eq(tostring(timer), 'eco.timer (set)')
    timer:close()
    T.eq(tostring(timer), 'eco.timer (closed)')

    local channel = require 'eco.channel'.new(3)
    channel:send('x')
    T.eq(tostring(channel), 'eco.channel (1 of 3)')
    channel:close()
    T.eq(tostring(channel), 'eco.channel (1 of 3, closed)')

    local mutex, group, condition = sync.mutex(), sync.waitgroup(), sync.cond()
    T.eq(tostring(mutex), 'eco.mutex (free, 0 waiting)')
    mutex:lock()
    group:add(2)
    for _ = 1, 2 do
        eco.run(function()
            mutex:lock()
            mutex:unlock()
            group:done()
        end)
    end
    eco.run(condition.wait, condition)
    eco.sleep(0.01)
    T.eq(tostring(mutex), 'eco.mutex (locked, 2 waiting)')
    T.eq(tostring(group), 'eco.waitgroup (2 to be done, 0 waiting)')
    T.eq(tostring(condition), 'eco.cond (1 waiting)')
    mutex:unlock()
    condition:close()
    group:wait()
    T.eq(tostring(condition), 'eco.cond (0 waiting, closed)')
end)

case('bytes', function()
    local buffer = eco.buffer(100)
    T.eq(tostring(buffer), 'eco.buffer (0 of 100 bytes)')
    local f<close> = assert(file.open('/dev/zero'))
    f:read2b(buffer, 7)
    T.eq(tostring(buffer), 'eco.buffer (7 of 100 bytes)')
    told(require 'eco.bufio'.new(f), 'eco%.bufio %(0 bytes of eco%.file %(.*%)%)')
    local gzip = require 'eco.encoding.gzip'
    told(gzip.compressor(), 'eco%.gzip%.compressor: 0x%x+')
    told(gzip.decompressor(), 'eco%.gzip%.decompressor: 0x%x+')
    told(require 'eco.hash.hmac'.new(require 'eco.hash.md5', 'key'), 'eco%.hmac: 0x%x+')
end)

case('what stands on sockets', function()
    local http = require 'eco.http.server'
    local seen
    local server<close> = assert(http.serve('127.0.0.1', 0, nil, function(con)
        seen = tostring(con)
        con:send('x')
    end))
    told(server, 'eco%.http%.server %(0 connections, eco%.socket %(tcp, fd %d+, 127%.0%.0%.1:%d+%)%)')
    local client = require 'eco.http.client'.new()
    assert(client:get(('http://127.0.0.1:%d/'):format(server:getsockname().port), { reuse = 5 }))
    T.eq(tostring(client), 'eco.http.client (1 idle connections)')
    assert(seen:find('^eco%.http%.connection %(of 127%.0%.0%.1:%d+%)$'), seen)
    client:close()

    T.eq(tostring(require 'eco.mqtt'.new { ipaddr = '127.0.0.2' }), 'eco.mqtt (127.0.0.2, not connected)')
    local nl<close> = assert(require 'eco.nl'.open())
    told(nl, 'eco%.nlsocket %(eco%.socket %(netlink, fd %d+, port 0%)%)')
end)

case('threads', function()
    local thread = require 'eco.thread'
    local channel = thread.channel(4)
    channel:send(1)
    T.eq(tostring(channel), 'eco.thread.channel (1 held)')
    channel:close()
    T.eq(tostring(channel), 'eco.thread.channel (1 held, closed)')
    local one = assert(thread.spawn({ name = 'one' }, function() end))
    one:join()
    T.eq(tostring(one), 'eco.thread.thread (one, ended)')
    local pool<close> = assert(thread.pool(2))
    T.eq(tostring(pool), 'eco.thread.pool (2 threads)')
end)
