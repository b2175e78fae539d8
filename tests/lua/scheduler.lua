-- Module `eco`: coroutines, order, timers, cancellation, memory.

local eco = require 'eco'
local time = require 'eco.time'

case('constants and keys', function()
    T.eq(type(eco.VERSION), 'string')
    T.eq(eco.VERSION, ('%d.%d.%d'):format(eco.VERSION_MAJOR, eco.VERSION_MINOR, eco.VERSION_PATCH))
    T.eq(eco.VERSION_MAJOR, 5)
    T.eq(eco.READ, 1)
    T.eq(eco.WRITE, 4)
    T.eq(require 'eco', eco)
    T.eq(package.loaded.eco, eco)
end)

case('run starts at once, passes arguments and gives the thread', function()
    local seen
    local co = eco.run(function(...)
        seen = table.pack(...)
        eco.sleep(0)
    end, 1, nil, 'x', nil)
    T.eq(seen, { 1, nil, 'x', n = 4 })
    T.eq(type(co), 'thread')
    T.eq(coroutine.status(co), 'suspended')
    T.eq(type(eco.run(function() return 1, 2 end)), 'thread')
end)

case('run wants a function', function()
    T.raises('function expected', eco.run, 1)
    T.raises('function expected', eco.run)
    T.raises('function expected', eco.run, setmetatable({}, { __call = print }))
end)

case('run nests', function()
    local order = {}
    eco.run(function()
        order[#order + 1] = 'outer'
        eco.run(function()
            order[#order + 1] = 'inner'
            eco.sleep(0)
            order[#order + 1] = 'inner again'
        end)
        order[#order + 1] = 'outer again'
    end)
    T.eq(order, { 'outer', 'inner', 'outer again' })
    T.settle()
    T.eq(#order, 4)
end)

case('sleep never ends early', function()
    for _, delay in ipairs { 0.001, 0.0025, 0.0101, 0.03 } do
        T.took(delay, delay + 0.5, eco.sleep, delay)
    end
    T.eq(select('#', eco.sleep(0)), 0)
    T.eq(select('#', eco.sleep(0.001)), 0)
end)

case('sleep checks its argument', function()
    T.raises('delay must be greater than or equal to 0', eco.sleep, -1)
    T.raises('delay must be greater than or equal to 0', eco.sleep, -0.001)
    T.raises('delay must be greater than or equal to 0', eco.sleep, 0 / 0)
    T.raises('number expected', eco.sleep)
    T.raises('number expected', eco.sleep, {})
end)

case('sleep(0) lets others run', function()
    local order = {}
    T.all(function()
        for i = 1, 3 do order[#order + 1] = 'a' .. i eco.sleep(0) end
    end, function()
        for i = 1, 3 do order[#order + 1] = 'b' .. i eco.sleep(0) end
    end)
    T.eq(table.concat(order, ' '), 'a1 b1 a2 b2 a3 b3')
end)

case('yield lets every other ready coroutine run first', function()
    local order = {}
    T.all(function()
        for i = 1, 3 do order[#order + 1] = 'a' .. i eco.yield() end
    end, function()
        for i = 1, 3 do order[#order + 1] = 'b' .. i eco.yield() end
    end, function()
        for i = 1, 3 do order[#order + 1] = 'c' .. i eco.yield() end
    end)
    T.eq(table.concat(order, ' '), 'a1 b1 c1 a2 b2 c2 a3 b3 c3')
    T.eq(select('#', eco.yield()), 0)
end)

case('yielding for ever starves neither timers nor I/O', function()
    local stop, slept, read = false, false, false
    local sys = require 'eco.sys'
    local process<close> = sys.exec('sh', '-c', 'echo hello')
    local group = T.gather()
    for _ = 1, 3 do
        group:run(function()
            while not stop do eco.yield() end
        end)
    end
    group:run(function() eco.sleep(0.01) slept = true end)
    group:run(function() T.eq(process:read_stdout('l', 10), 'hello') read = true end)
    group:run(function()
        local deadline = time.now() + 10 * T.slow
        while not (slept and read) and time.now() < deadline do eco.yield() end
        stop = true
    end)
    group:wait(20)
    T.eq({ slept, read }, { true, true })
    process:wait(5)
end)

case('yield works across pcall, metamethods, iterators and close', function()
    local order = {}
    local object = setmetatable({}, {
        __index = function(_, key) eco.yield() return key .. '!' end,
        __add = function() eco.sleep(0.001) return 'sum' end,
        __close = function() eco.yield() order[#order + 1] = 'closed' end,
        __call = function(_, x) eco.sleep(0) return x end,
    })
    T.eq(object.key, 'key!')
    T.eq(object + 1, 'sum')
    T.eq(object(7), 7)
    do
        local closing<close> = object
        eco.yield()
    end
    T.eq(order, { 'closed' })
    T.eq({ pcall(function() eco.yield() error('x', 0) end) }, { false, 'x' })
    for i in function(_, i) eco.yield() i = (i or 0) + 1 if i < 4 then return i end end do
        order[#order + 1] = i
    end
    T.eq(order, { 'closed', 1, 2, 3 })
end)

case('equal expiry wakes in the order of sleeping', function()
    local order = {}
    local group = T.gather()
    for i = 1, 50 do
        group:run(function() eco.sleep(0.02) order[#order + 1] = i end)
    end
    group:wait()
    for i = 1, 50 do T.eq(order[i], i) end
end)

case('earlier expiry wakes first', function()
    local order = {}
    local group = T.gather()
    for _, delay in ipairs { 0.09, 0.03, 0.06 } do
        group:run(function() eco.sleep(delay) order[#order + 1] = delay end)
    end
    group:wait()
    T.eq(order, { 0.03, 0.06, 0.09 })
end)

case('a long callback does not delay the timers behind it by its own length', function()
    local woke
    local start = time.now()
    local group = T.gather()
    group:run(function() eco.sleep(0.08) woke = time.now() - start end)
    group:run(function()
        eco.sleep(0.001)
        local busy = time.now() + 0.06
        while time.now() < busy do end
    end)
    group:wait()
    assert(woke >= 0.079 and (T.slow > 1 or woke < 0.125), woke)
end)

case('a sleep beyond 25 days is a sleep', function()
    local woke = false
    local co = eco.run(function() eco.sleep(3e6) woke = true end)
    local other = eco.run(function() eco.sleep(1e300) woke = true end)
    eco.sleep(0.01)
    T.eq(woke, false)
    eco._resume(co)
    eco._resume(other)
end)

case('count and all know the live coroutines', function()
    local before = eco.count()
    local threads = {}
    for i = 1, 5 do
        threads[i] = eco.run(function() eco.sleep(0.01) end)
    end
    local parked = eco.run(function() coroutine.yield() end)
    T.eq(eco.count(), before + 6)
    local known = {}
    for _, co in ipairs(eco.all()) do
        T.eq(type(co), 'thread')
        known[co] = true
    end
    T.eq(#eco.all(), before + 6)
    for _, co in ipairs(threads) do assert(known[co]) end
    assert(known[parked] and known[coroutine.running()])
    eco._resume(parked)
    eco.sleep(0.05 * T.slow)
    T.eq(eco.count(), before)
end)

case('_resume queues, first come first served', function()
    local order = {}
    local a = eco.run(function() coroutine.yield() order[#order + 1] = 'a' end)
    local b = eco.run(function() coroutine.yield() order[#order + 1] = 'b' end)
    T.eq(select('#', eco._resume(b)), 0)
    eco._resume(a)
    T.eq(#order, 0)
    eco.sleep(0)
    T.eq(order, { 'b', 'a' })
    T.raises('thread expected', eco._resume, 1)
    T.raises('thread expected', eco._resume)
end)

case('a bare yield gives no values and its resumption none', function()
    local got
    local co = eco.run(function() got = table.pack(coroutine.yield()) end)
    eco._resume(co)
    eco.sleep(0)
    T.eq(got, { n = 0 })
end)

case('an early resumption ends a sleep once', function()
    local woke = 0
    local co = eco.run(function()
        eco.sleep(0.03)
        woke = woke + 1
        coroutine.yield()
        woke = woke + 1
    end)
    eco._resume(co)
    eco.sleep(0)
    T.eq(woke, 1)
    -- The sleep's own timer would wake it here, had it not been discarded.
    eco.sleep(0.06)
    T.eq(woke, 1)
    eco._resume(co)
    eco.sleep(0)
    T.eq(woke, 2)

    co = eco.run(function() eco.sleep(0.03) woke = 10 coroutine.yield() woke = 11 end)
    T.eq(coroutine.resume(co), true)
    T.eq(woke, 10)
    eco.sleep(0.06)
    T.eq(woke, 10)
    eco._resume(co)
    eco.sleep(0)
    T.eq(woke, 11)
end)

case('a turn that somebody else ended does not come', function()
    local step = 0
    local co = eco.run(function()
        eco.yield(1, 2)
        step = 1
        coroutine.yield()
        step = 2
        eco.yield()
        step = 3
    end)
    T.eq(coroutine.resume(co), true)
    T.eq(step, 1)
    eco.sleep(0.01)
    T.eq(step, 1)
    eco._resume(co)
    eco.sleep(0)
    T.eq(step, 2)
    -- In the queue for its turn, and once more: resumed once.
    eco._resume(co)
    eco.sleep(0.01)
    T.eq(step, 3)
    T.eq(coroutine.status(co), 'dead')
end)

case('a closed coroutine is not woken', function()
    local co = eco.run(function() eco.sleep(0.01) error('must not run') end)
    T.eq(coroutine.close(co), true)
    eco.sleep(0.03)
    T.eq(coroutine.status(co), 'dead')
end)

case('closing a waiting coroutine closes its variables', function()
    local closed = false
    local co = eco.run(function()
        local guard<close> = setmetatable({}, { __close = function() closed = true end })
        eco.sleep(100)
    end)
    coroutine.close(co)
    T.eq(closed, true)
end)

case('blocking inside a user-made coroutine suspends that coroutine', function()
    local before = eco.count()
    local steps = {}
    local inner = coroutine.create(function()
        steps[#steps + 1] = 'in'
        eco.sleep(0.01)
        steps[#steps + 1] = 'woken'
        return 'result'
    end)
    T.eq({ coroutine.resume(inner) }, { true })
    steps[#steps + 1] = 'back'
    T.eq(eco.count(), before)
    eco.sleep(0.05 * T.slow)
    T.eq(steps, { 'in', 'back', 'woken' })
    T.eq(coroutine.status(inner), 'dead')
end)

case('unloop and set_watchdog_timeout check their arguments', function()
    T.raises('timeout must be in range [0, 5000]', eco.set_watchdog_timeout, -1)
    T.raises('timeout must be in range [0, 5000]', eco.set_watchdog_timeout, 5001)
    T.raises('number has no integer representation', eco.set_watchdog_timeout, 1.5)
    T.raises('number expected', eco.set_watchdog_timeout, 'x')
    T.eq(select('#', eco.set_watchdog_timeout(0)), 0)
    eco.set_watchdog_timeout(T.watchdog)
    T.raises('function expected', eco.set_panic_hook, 1)
    T.eq(select('#', eco.set_panic_hook(nil)), 0)
end)

case('_init is for children only', function()
    T.raises('only allowed in child process after fork()', eco._init)
end)

case('a finished coroutine is collected', function()
    local weak = setmetatable({}, { __mode = 'k' })
    for _ = 1, 10 do
        weak[eco.run(function() eco.sleep(0) end)] = true
        weak[eco.run(function() end)] = true
    end
    T.settle()
    collectgarbage()
    T.eq(next(weak), nil)
end)

case('an unfinished coroutine is not collected', function()
    local woke = 0
    for _ = 1, 10 do
        eco.run(function() eco.sleep(0.02) woke = woke + 1 end)
    end
    collectgarbage()
    collectgarbage()
    eco.sleep(0.1 * T.slow)
    T.eq(woke, 10)
end)

case('equal bursts reach a plateau', function()
    local function burst()
        local group = T.gather()
        for i = 1, 300 do
            group:run(function()
                eco.sleep(i % 3 / 1000)
                local co = coroutine.wrap(function() eco.sleep(0.001) end)
                co()
                eco.yield()
            end)
        end
        group:wait()
        eco.sleep(0.005)
        T.settle()
        return collectgarbage('count')
    end
    for _ = 1, 3 do burst() end
    -- A machine with other work has more of them at once now and then, which tables
    -- remember; what is lost is lost by every ten.
    local before, after
    for _ = 1, 6 do
        before = burst()
        for _ = 1, 10 do burst() end
        after = burst()
        if after - before < 16 then return end
    end
    error(('%.1f KB grew to %.1f KB'):format(before, after))
end)

case('ten thousand coroutines sleep and wake', function()
    local woke = 0
    local group = T.gather()
    for i = 1, 10000 do
        group:run(function() eco.sleep(0.05 + (i * 7919 % 100) / 10000) woke = woke + 1 end)
    end
    group:wait(20)
    T.eq(woke, 10000)
end)
