-- For c/starve.c: coroutines that wait, each behind a pcall of its own.

local eco, time, sync, channel, sys, file, socket

local function prepare()
    eco = require 'eco'
    time = require 'eco.time'
    sync = require 'eco.sync'
    channel = require 'eco.channel'
    sys = require 'eco.sys'
    file = require 'eco.file'
    socket = require 'eco.socket'
end

local function protected(f)
    eco.run(function() pcall(f) end)
end

local function coroutines()
    local server, client
    protected(function()
        server = assert(socket.listen_tcp('127.0.0.1', 0))
        local accepted<close> = assert(server:accept(0.05))
        accepted:send(assert(accepted:read('l', 0.05)))
    end)
    protected(function()
        client = assert(socket.connect_tcp('127.0.0.1', server:getsockname().port))
        client:send('hello\n')
        assert(client:read('a', 0.05))
    end)
    local cond, ch, mutex = sync.cond(), channel.new(), sync.mutex()
    protected(function() cond:wait(0.01) end)
    protected(function() eco.sleep(0.001) cond:signal({}) end)
    protected(function() ch:recv(0.01) end)
    protected(function() ch:send('x', 0.01) ch:send('y', 0.01) end)
    protected(function() mutex:lock(0.01) eco.sleep(0.001) mutex:unlock() end)
    protected(function() mutex:lock(0.01) mutex:unlock() end)
    protected(function() time.at(0.001, function() end) end)
    protected(function()
        local process<close> = assert(sys.exec('echo', 'x'))
        process:read_stdout('a', 1)
        process:wait(1)
    end)
    protected(function() eco.sleep(0.002) eco.yield() end)
    eco.loop()
    if server then server:close() end
    if client then client:close() end
end

return prepare, coroutines
