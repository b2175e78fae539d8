-- What happens when no descriptor is left: every constructor says so, and all goes on once some are free again.

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local sys = require 'eco.sys'
local time = require 'eco.time'

-- Opens the null device until nothing more can be opened, but for `spare` descriptors.
local function exhaust(spare)
    local held = {}
    while true do
        local f = file.open('/dev/null')
        if not f then break end
        held[#held + 1] = f
    end
    for _ = 1, spare or 0 do table.remove(held):close() end
    return setmetatable(held, { __close = function() for _, f in ipairs(held) do f:close() end end })
end

-- What a first use may need for good is there before the shortage.
local warm<close> = assert(sys.exec('true'))
warm:wait()
assert(sys.signal(sys.SIGUSR1, function() end)):close()

case('constructors fail with a message', function()
    local held<close> = exhaust()
    T.fails('Too many open files', file.open('/dev/null'))
    T.fails('Too many open files', file.inotify())
    T.fails('Too many open files', socket.tcp())
    T.fails('Too many open files', socket.listen_tcp('127.0.0.1', 0))
    T.fails('Too many open files', socket.connect_tcp('127.0.0.1', 1))
    T.fails('Too many open files', socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
    T.fails('Too many open files', sys.exec('true'))
    T.eq({ sys.sh('true') }, { nil, nil, T.text('Too many open files') })
    T.fails('Too many open files', sys.signalfd(sys.SIGUSR1))
    T.fails('Too many open files', time.timerfd_create(0))
    T.fails('Too many open files', file.readfile('/etc/passwd'))
    for _ in file.dir('/') do error('nothing can be listed') end
end)

case('half a process leaves nothing behind', function()
    for spare = 1, 3 do
        local held<close> = exhaust(spare)
        local process, message = sys.exec('true')
        T.eq(process, nil)
        assert(message:find(T.text('Too many open files'), 1, true), message)
        table.remove(held):close()
    end
end)

case('what needs no descriptor still works', function()
    local held<close> = exhaust()
    eco.sleep(0.001)
    local cond = assert(sync.cond())
    T.all(function() T.eq(cond:wait(5), true) end, function() cond:signal() end)
    local fired = false
    local timer = time.at(0.001, function() fired = true end)
    if timer then
        eco.sleep(0.02 * T.slow)
        T.eq(fired, true)
    end
    local ran = false
    eco.run(function() eco.sleep(0) ran = true end)
    eco.sleep(0.001)
    T.eq(ran, true)
end)

case('a listener goes on after a shortage', function()
    local server<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local client<close> = assert(socket.tcp())
    local accepted, message
    do
        local held<close> = exhaust()
        assert(client:connect('127.0.0.1', server:getsockname().port))
        accepted, message = server:accept(5)
        T.eq(accepted, nil)
        assert(message:find(T.text('Too many open files'), 1, true), message)
    end
    accepted = assert(server:accept(5))
    T.eq(client:send('hello'), 5)
    T.eq(accepted:read(5, 5), 'hello')
    accepted:close()
end)

case('all is as before', function()
    T.eq({ sys.sh('echo fine') }, { 'fine\n', '' })
    local f<close> = assert(file.open('/dev/null'))
end)
