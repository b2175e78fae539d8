-- Every call that may wait, in a loop where it returns at once: a timer of 10 ms goes on ticking.

local eco = require 'eco'
local time = require 'eco.time'
local file = require 'eco.file'
local sys = require 'eco.sys'
local sync = require 'eco.sync'
local channel = require 'eco.channel'
local socket = require 'eco.socket'
local dns = require 'eco.dns'
local net = require 'eco.net'
local http_client = require 'eco.http.client'

-- At least so many ticks in so many seconds. The seconds are processor time: a machine that is busy otherwise
-- takes that from the loop as well as from the timer.
local TICKS, SECONDS = T.sanitized and 8 or 20, 0.4
-- Calls that wait for the kernel use little of it.
local LIMIT = 1

local function fair(name, call)
    case(name, function()
        local count, done = 0, false
        local ticker = time.timer(function(tmr)
            count = count + 1
            tmr:set(0.01)
        end)
        ticker:set(0.01)
        local start, used = time.now(true), os.clock()
        while not done do
            call()
            done = os.clock() - used > SECONDS or time.now(true) - start > LIMIT
        end
        used = os.clock() - used
        ticker:close()
        local wanted = TICKS * used / SECONDS / T.slow // 1
        assert(count >= wanted, ('%d ticks in %.2f s, %d wanted'):format(count, used, wanted))
    end)
end

local path = T.path('data')
assert(file.writefile(path, ('x'):rep(100000)))

local listener = assert(socket.listen_tcp('127.0.0.1', 0))
local port = listener:getsockname().port
local client = assert(socket.connect_tcp('127.0.0.1', port))
local accepted = assert(listener:accept())
local closed = assert(socket.tcp())
closed:close()

local zero = assert(file.open('/dev/zero'))
local null = assert(file.open('/dev/null', file.O_WRONLY))
local empty = assert(file.open('/dev/null'))
local io_null = assert(eco.io(null.fd))
local ended = assert(sys.exec('true'))
ended:wait()
local buffer = eco.buffer(4096)
local full = eco.buffer(1)
zero:read2b(full, 1)

local mutex, cond, group = sync.mutex(), sync.cond(), sync.waitgroup()
local queue, shut = channel.new(10), channel.new()
shut:close()

local udp = assert(socket.listen_udp('127.0.0.1', 0))
local udp_port = udp:getsockname().port

-- The scheduler itself.
fair('eco.sleep(0)', function() eco.sleep(0) end)
fair('eco.yield', function() eco.yield() end)

-- Handles that are ready.
fair('io:wait', function() io_null:wait(eco.WRITE) end)
fair('rd:wait', function() empty.rd:wait() end)
fair('wr:wait', function() null.wr:wait() end)
fair('rd:read', function() zero:read(1) end)
fair('rd:read, much', function() zero:read(1 << 16) end)
fair('rd:readfull', function() zero:readfull(10) end)
fair('rd:readfull, much', function() zero:readfull(1 << 22) end)
fair('rd:read2b', function()
    zero:read2b(buffer, 4096)
    buffer:clear()
end)
fair('rd:read2b into a full buffer', function() zero:read2b(full, 1) end)
fair('rd:read at the end', function() empty:read(1) end)
fair("rd:read('a') at the end", function() empty:read('a') end)
fair('wr:write', function() null:write('x') end)
fair('wr:sendfile of a missing file', function() null.wr:sendfile(path .. '-', 0, 1) end)

-- Sockets.
fair('s:send and s:read', function()
    client:send('x')
    accepted:read(1)
end)
fair('s:send', function()
    client:send('x')
    accepted:read('a', 1e-9)
end)
fair('s:sendfile', function()
    client:sendfile(path, 10)
    accepted:readfull(10)
end)
fair('s:readuntil', function()
    client:send('x\n')
    accepted:readuntil('\n')
end)
fair('s:sendto and s:recvfrom', function()
    udp:sendto('x', '127.0.0.1', udp_port)
    udp:recvfrom(1)
end)
fair('s:sendto', function() udp:sendto('x', '127.0.0.1', 9) end)
fair('s:connect and s:accept', function()
    local outgoing<close> = assert(socket.connect_tcp('127.0.0.1', port))
    local incoming<close> = assert(listener:accept())
    assert(incoming and outgoing)
end)
fair('reads of a closed socket', function() closed:read(1) end)
fair('writes to a closed socket', function() closed:send('x') end)
fair('accept of a closed socket', function() closed:accept() end)
fair('recvfrom of a closed socket', function() closed:recvfrom(1) end)
fair('connect of a closed socket', function() closed:connect('127.0.0.1', 1) end)
fair('a refused connect_tcp', function() socket.connect_tcp('127.0.0.1', 1) end)
fair('connect_udp', function()
    local s<close> = socket.connect_udp('127.0.0.1', 9)
    assert(s)
end)
fair('a refused connect_unix', function() socket.connect_unix(path .. '-') end)

-- Names.
fair('dns.query of an address', function() dns.query('192.0.2.1') end)
fair('dns.query of a bad name', function() dns.query('.') end)
fair('dns.query of the hosts file', function() dns.query('localhost') end)
fair('dns.resolve of an address', function() dns.resolve('::1') end)
fair('dns.resolve of localhost', function() dns.resolve('localhost') end)

-- Of light threads, and in one.
local asio = require 'asio'
local ends = {}
local holder
for at = 8100, 8200 do
    holder = asio.server('127.0.0.1', at, function(con) ends[2] = con end)
    if holder then
        asio.spawn_light_thread(function() ends[1] = asio.connect('127.0.0.1', at) end)
        break
    end
end
T.await(function() return ends[1] and ends[2] end)
asio.destroy_server(holder)

local function light(name, call)
    local done, problem
    asio.spawn_light_thread(function()
        local ok, err = pcall(fair, name, call)
        done, problem = true, not ok and err
    end)
    T.await(function() return done end)
    if problem then error(problem, 0) end
end

fair('asio.addr_to_str', function() asio.addr_to_str(('\0'):rep(64)) end)
fair('asio.server of no address', function() asio.server('no address', 1, print) end)
fair('con:get_original_dst', function() ends[1]:get_original_dst() end)
light('asio.sleep', function() asio.sleep(0) end)
light('asio.connect, refused', function() asio.connect('127.0.0.1', 1) end)
light('con:read of nothing', function() ends[1]:read(0) end)
light('con:write and con:read', function()
    ends[1]:write('x')
    ends[2]:read(1)
end)
light('con:write and con:read_some', function()
    ends[1]:write('x')
    ends[2]:read_some()
end)
ends[1]:close()
light('calls of a closed connection', function() ends[1]:read(1) end)
light('calls of a broken connection', function() ends[2]:read(1) end)

local luv = require 'luv'
local luv_listener, luv_ends = luv.net.tcp(), { luv.net.tcp(), luv.net.tcp() }
luv_listener:bind('127.0.0.1', 0)
luv_listener:listen()
luv_ends[1]:connect('127.0.0.1', luv_listener:getsockname().port)
luv_listener:accept(luv_ends[2])
luv_listener:close()
local done_fiber = luv.fiber.create(function() end)
done_fiber:join()
fair('luv: a stream', function()
    luv_ends[1]:write('x')
    luv_ends[2]:read()
end)
luv_ends[2]:close()
fair('luv: a closed stream', function() luv_ends[2]:read() end)
fair('luv: a fiber that has ended', function() done_fiber:join() end)
fair('luv: an address', function() luv.net.getaddrinfo('127.0.0.1') end)
fair('luv: a file that is none', function() luv.fs.stat(path .. '-') end)
luv_ends[1]:close()

fair('net.ping of a bad name', function() net.ping '.' end)

-- Files.
fair('file.open', function()
    local f<close> = assert(file.open(path))
    assert(f)
end)
fair('file.open of nothing', function() file.open(path .. '-') end)
fair('file.readfile', function() file.readfile(path) end)
fair('file.readfile of nothing', function() file.readfile(path .. '-') end)
fair('file.writefile', function() file.writefile(path .. '2', 'x') end)
fair('file.stat', function() file.stat(path) end)
fair('f:read of a plain file', function()
    local f<close> = assert(file.open(path))
    while f:read(10) do end
end)
fair('f:flock', function()
    zero:flock(file.LOCK_SH)
    zero:flock(file.LOCK_UN)
end)
fair('file.dir', function()
    for _ in file.dir('/proc/self') do end
end)

-- Processes.
fair('sys.exec', function()
    local p<close> = sys.exec('true')
    assert(p)
end)
fair('sys.exec of nothing', function() sys.exec(path .. '-') end)
fair('p:wait of one that has ended', function() ended:wait(0) end)
fair('sys.waitpid', function() sys.waitpid(-1) end)

-- What coroutines wait for among themselves.
fair('mutex', function()
    mutex:lock()
    mutex:unlock()
end)
fair('cond:wait(0)', function() cond:wait(0) end)
fair('waitgroup:wait', function() group:wait() end)
fair('channel', function()
    queue:send(1)
    queue:recv()
end)
fair('recv of a closed channel', function() shut:recv() end)
fair('recv(0) of an empty channel', function() queue:recv(0) end)

-- WebSockets, with all they need at hand.
do
    local websocket, wire = require 'eco.websocket', require 'wire'
    local peer
    eco.run(function()
        peer = listener:accept()
        wire.accept(peer)
    end)
    local ws = assert(websocket.connect('ws://127.0.0.1:' .. port))
    fair('ws:recv', function()
        peer:send('\x81\1x')
        ws:recv()
    end)
    fair('ws:recv_frame', function()
        peer:send('\x81\1x')
        ws:recv_frame()
    end)
    fair('ws:recv of many', function()
        if ws:recv(0.001) == nil then peer:send(('\x81\1x'):rep(1000)) end
    end)
    fair('ws:send_text', function()
        ws:send_text('x')
        peer:readfull(7)
    end)
    fair('ws:send_text of too much', function() ws:send_text(('x'):rep(65536)) end)
    fair('ws:send_close of nothing', function() ws:send_close(1) end)
    ws:close(1000, nil, 0.01)
    fair('ws:recv of a closed one', function() ws:recv() end)
    fair('ws:recv_frame of a closed one', function() ws:recv_frame() end)
    fair('ws:send_text of a closed one', function() ws:send_text('x') end)
    fair('ws:close of a closed one', function() ws:close() end)
    fair('a refused websocket.connect', function() websocket.connect('ws://127.0.0.1:1') end)
    fair('websocket.connect of nonsense', function() websocket.connect('x') end)
    peer:close()
end

-- HTTP.
fair('http.get of no URL', function() http_client.get(':') end)
fair('http.form', function() http_client.form() end)

-- MQTT, with a server that takes everything and says nothing.
do
    local mqtt = require 'eco.mqtt'
    local fresh = mqtt.new()
    fair('publish without a connection', function() fresh:publish('t', 'p') end)
    fair('subscribe without a connection', function() fresh:subscribe('t') end)
    fair('unsubscribe without a connection', function() fresh:unsubscribe('t') end)
    fair('disconnect without a connection', function() fresh:disconnect() end)
    local peer
    eco.run(function()
        peer = listener:accept()
        peer:send('\x20\2\0\0')
        while peer:read(65536) do end
    end)
    local subscriber = mqtt.new { port = port, max_pending = 10, max_packet_size = 1000 }
    eco.run(subscriber.run, subscriber)
    T.await(function() return subscriber.connected end)
    fair('publish', function() subscriber:publish('t', 'p') end)
    fair('subscribe, too often', function() subscriber:subscribe('t') end)
    for _ = 1, 10 do
        subscriber:publish('t', 'p', 1)
    end
    fair('publish, too much', function() subscriber:publish('t', 'p', 1, false, { wait = 0.001 }) end)
    subscriber:close()
    fair('a refused run', function()
        fresh:set('port', 1)
        fresh:run()
    end)
    T.await(function() return not subscriber.sock end)
    peer:close()
end

-- A database's connection that is closed.
do
    eco.run(function()
        local peer = listener:accept()
        peer:read(1000)
        peer:send('R\0\0\0\8\0\0\0\0Z\0\0\0\5I')
        peer:read(1000)
        peer:close()
    end)
    local db = assert(require 'eco.postgres'.open { host = '127.0.0.1', port = port, user = 'u' })
    db:close()
    fair('a query on a closed connection', function() db:query 'select 1' end)
    fair('db:cancel of a closed connection', function() db:cancel() end)
end

-- Gzip.
do
    local gzip = require 'eco.encoding.gzip'
    local text = ('some text '):rep(100)
    local packed, compressor, decompressor = gzip.compress(text), gzip.compressor(1), gzip.decompressor()
    fair('gzip.compress', function() gzip.compress(text) end)
    fair('gzip.decompress', function() gzip.decompress(packed) end)
    fair('compressor:update', function() compressor:update(text) end)
    fair('decompressor:write and read', function()
        decompressor:write(packed)
        decompressor:read()
    end)
    -- Messages of WebSockets.
    local deflate = require 'eco.internal.deflate'
    local packer, unpacker = deflate.packer(1), deflate.unpacker()
    fair('packer:pack', function() packer:pack(text, 2) end)
    fair('unpacker:read', function() unpacker:read() end)
end

-- Serial ports.
do
    local serial = require 'eco.serial'
    local device = assert(serial.pty())
    local port = assert(serial.open(device.path))
    local shut = assert(serial.open(device.path, { exclusive = false }))
    shut:close()
    fair('port:read and write', function()
        device:write('x')
        port:read(1)
    end)
    fair('port:settings', function() port:settings() end)
    fair('port:configure', function() port:configure { stop_bits = 2 } end)
    fair('port:configure, refused', function() port:configure { parity = 'odd' } end)
    fair('port:lines, where there are none', function() port:lines() end)
    fair('port:wait_lines, where there are none', function() port:wait_lines() end)
    fair('port:set_lines', function() port:set_lines {} end)
    fair('port:counters, where there are none', function() port:counters() end)
    fair('port:pending', function() port:pending() end)
    fair('port:flush', function() port:flush() end)
    fair('port:drain', function() port:drain() end)
    fair('a closed port', function()
        shut:settings()
        shut:read(1)
        shut:drain()
    end)
    fair('serial.open', function()
        local again<close> = serial.open(device.path, { exclusive = false })
        assert(again)
    end)
    fair('serial.open of nothing', function() serial.open('/absent') end)
    fair('serial.pty', function()
        local other<close> = serial.pty()
        assert(other)
    end)
    fair('serial.list', function() serial.list() end)
    device:close()
    fair('a port without a device', function() port:read(1) end)
    fair('a write without a device', function() port:write('x') end)
    port:close()
end

-- Databases.
do
    local sqlite3, argon2 = require 'eco.sqlite3', require 'eco.hash.argon2'
    local db, shut = assert(sqlite3.open()), assert(sqlite3.open())
    local statement = assert(db:prepare('select 1'))
    shut:close()
    fair('db:query', function() db:query('select 1') end)
    fair('db:query, wrong', function() db:query('x') end)
    fair('db:query, closed', function() shut:query('select 1') end)
    fair('db:rows, closed', function() for _ in shut:rows('select 1') do end end)
    fair('db:transaction, closed', function() shut:transaction(print) end)
    fair('db:close, closed', function() shut:close() end)
    statement:close()
    fair('a closed statement', function() statement:query() end)
    fair('sqlite3.open of nothing', function() sqlite3.open('a\0b') end)
    fair('argon2.verify of no hash', function() argon2.verify('x', 'x') end)
    db:close()
end

-- Threads.
do
    local thread = require 'eco.thread'
    local open, bounded, shut = thread.channel(), thread.channel(1), thread.channel()
    bounded:send('x')
    shut:close()
    fair('thread channel:send and recv', function()
        open:send('x')
        open:recv()
    end)
    fair('thread channel:try_send, full', function() bounded:try_send('x') end)
    fair('thread channel:try_recv, empty', function() open:try_recv() end)
    fair('thread channel:send, closed', function() shut:send('x') end)
    fair('thread channel:recv, closed', function() shut:recv() end)
    local t = assert(thread.spawn(function() return 'done' end))
    t:join()
    fair('thread:join, ended', function() t:join() end)
end

do
    -- The engine keeps those of its own.
    T.once['anon_inode:[eventpoll]'] = 2
    T.once['anon_inode:[eventfd]'] = 3
    require 'node-lua'
    fair('node-lua context.send, nobody', function() context.send(4000000000, 1) end)
    fair('node-lua context.wait, nobody', function() context.wait(4000000000) end)
    fair('node-lua tcp.listen, refused', function() tcp.listen('no address', 1) end)
    fair('node-lua tcp.write by number, nobody', function() tcp.write(1, 'x', true) end)
end
