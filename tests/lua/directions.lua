-- Readers and writers over a stream that may have to wait in the other direction (c/contrary.c).

local eco = require 'eco'
local socket = require 'eco.socket'
local contrary = require 'contrary'

local function pair()
    local near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    local fd = near:getfd()
    local read, write, context = contrary.callbacks(fd)
    return near, far, eco.reader(fd, read, context), eco.writer(fd, write, context)
end

-- Leaves no room on the way.
local function fill(sock)
    while sock:send(('.'):rep(4096), 0.01) do end
end

-- Takes all that is under way.
local function drain(sock)
    while sock:read(65536, 0.01) do end
end

case('a read that has to write waits for room', function()
    local near, far<close>, reader = pair()
    fill(near)
    local got
    eco.run(function() got = { reader:read(100) } end)
    far:send('data')
    eco.sleep(0.02)
    T.eq(got, nil)
    drain(far)
    T.await(function() return got end)
    T.eq(got, { 'data' })
end)

case('a write that has to read waits for bytes, and tries again with its own', function()
    local near, far<close>, _, writer = pair()
    local got
    eco.run(function() got = { writer:write(('x'):rep(2500)) } end)
    eco.sleep(0.01)
    T.eq(got, nil)
    for _ = 1, 3 do
        far:send('t')
        eco.sleep(0.005)
    end
    T.await(function() return got end)
    T.eq(got, { 2500 })
    T.eq(#far:readfull(2500), 2500)
    near:close()
end)

case('a read that finds the other direction taken says by whom, and loses nothing', function()
    local near, far<close>, reader = pair()
    fill(near)
    local got, room
    eco.run(function() got = { reader:read(100) } end)
    eco.run(function() room = { eco.io(near:getfd()):wait(eco.WRITE) } end)
    eco.sleep(0.005)
    far:send('data')
    T.await(function() return got end)
    T.eq(got, { nil, 'another coroutine is already waiting for write on this file descriptor' })
    drain(far)
    T.await(function() return room end)
    T.eq(reader:read(100, 1), 'data')
end)

case('who goes on after a turn keeps its direction', function()
    local near, far<close> = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    local first, second = eco.reader(near:getfd()), eco.reader(near:getfd())
    for _ = 1, 17 do far:send(('x'):rep(10)) end
    local got
    eco.run(function() got = { first:readfull(171) } end)
    T.raises('already waiting for read', second.read, second, 1)
    far:send('y')
    T.await(function() return got end)
    T.eq(#got[1], 171)
end)
