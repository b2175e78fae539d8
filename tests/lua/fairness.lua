-- Every call that may wait, in a loop where it returns at once: a timer of 10 ms goes on ticking.

local eco = require 'eco'
local time = require 'eco.time'
local file = require 'eco.file'
local sys = require 'eco.sys'
local sync = require 'eco.sync'
local channel = require 'eco.channel'
local socket = require 'eco.socket'

-- At least so many ticks in so many seconds. The seconds are processor time: a machine that is busy otherwise
-- takes that from the loop as well as from the timer.
local TICKS, SECONDS = T.sanitized and 8 or 30, 0.4
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
