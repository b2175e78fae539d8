-- eco.tasks: what each coroutine waits for, since when, and where.

local eco = require 'eco'
local channel = require 'eco.channel'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local sys = require 'eco.sys'
local time = require 'eco.time'

local here = debug.getinfo(1, 'S').short_src

-- Runs `f` until it waits, and gives what eco.tasks tells of it; `line` is where it waits.
local function told(f, ...)
    local co = eco.run(f, ...)
    for _, task in ipairs(eco.tasks()) do
        if task.thread == co then return task, co end
    end
    error('not in the list')
end

-- The line after that of the function's beginning.
local function first_line(f)
    return here .. ':' .. debug.getinfo(f, 'S').linedefined + 1
end

local function check(expected, f, ...)
    local task, co = told(f, ...)
    for key, value in pairs(expected) do T.eq(task[key], value, key) end
    T.eq(task.state, 'waiting')
    T.eq(task.where, first_line(f))
    assert(task.waited >= 0 and task.waited < 5 * T.slow, task.waited)
    return co, task
end

case('sleepers, locks, channels, conditions', function()
    local sleeper, task = check({ waits = 'timer', call = 'sleep' }, function()
        eco.sleep(100)
    end)
    assert(task.timeout > 90 and task.timeout <= 100, task.timeout)
    eco.sleep(0.02)
    for _, later in ipairs(eco.tasks()) do
        if later.thread == sleeper then assert(later.waited > 0.01 and later.timeout < task.timeout) end
    end
    coroutine.close(sleeper)

    local mutex = sync.mutex()
    mutex:lock()
    check({ waits = 'lock', call = 'lock', object = 'eco.mutex' }, function()
        mutex:lock()
        mutex:unlock()
    end)
    mutex:unlock()

    local ch = channel.new()
    local _, bounded = check({ waits = 'channel', call = 'recv', object = 'eco.channel' }, function()
        ch:recv(50)
    end)
    assert(bounded.timeout > 40 and bounded.timeout <= 50)
    ch:close()

    local cond = sync.cond()
    check({ waits = 'condition', call = 'wait' }, function()
        cond:wait()
    end)
    cond:signal()
    T.settle()
end)

case('descriptors, children, the pool', function()
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    check({ waits = 'fd', fd = a:getfd(), events = 'r' }, function()
        a:read(1)
    end)
    b:close()
    T.settle()
    a:close()

    local child = sys.exec('sleep', '100')
    check({ waits = 'child', call = 'wait', object = 'eco.child' }, function()
        child:wait()
    end)
    child:kill(sys.SIGKILL)
    T.settle()
    child:close()

    local synced = check({ waits = 'pool' }, function()
        file.sync()
    end)
    T.await(function() return coroutine.status(synced) == 'dead' end)
    T.settle()
end)

case('those that do not wait', function()
    local function of(co)
        for _, task in ipairs(eco.tasks()) do
            if task.thread == co then return task end
        end
    end
    T.eq(of(coroutine.running()).state, 'running')
    local ready = eco.run(function() eco.yield() end)
    T.eq(of(ready).state, 'ready')
    T.eq(of(ready).waits, nil)
    local bare = eco.run(function() coroutine.yield() end)
    T.eq(of(bare).state, 'suspended')
    T.eq(of(bare).where, here .. ':' .. debug.getinfo(1, 'l').currentline - 2)
    eco.resume(bare)
    T.eq(of(bare).state, 'ready')
    T.settle()
    T.eq(of(bare), nil)
end)

case('coroutines of the script, and timers', function()
    local inner = coroutine.create(function() eco.sleep(20) end)
    assert(coroutine.resume(inner))
    local callback = function() end
    local timer = time.at(30, callback)
    local seen = {}
    for _, task in ipairs(eco.tasks()) do
        if task.thread == inner then seen.inner = task.waits end
        if task.callback == callback then
            seen.timer, seen.where = task.waits, task.where
            assert(task.timeout > 25 and task.timeout <= 30, task.timeout)
        end
    end
    T.eq(seen, { inner = 'timer', timer = 'timer', where = here .. ':' .. debug.getinfo(callback, 'S').linedefined })
    timer:cancel()
    coroutine.close(inner)
end)

case('dump_on takes a signal or nothing', function()
    T.eq({ eco.dump_on(nil) }, { true })
    T.fails('Invalid argument', eco.dump_on(sys.SIGKILL))
    T.fails('Invalid argument', eco.dump_on(9999))
    T.raises('not a signal', eco.dump_on, -1)
    T.raises('number expected', eco.dump_on, 'USR1')
    T.eq({ eco.dump_on(nil) }, { true })
end)
