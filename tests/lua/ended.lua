-- Coroutines that end while they wait, and what is left of them.

local eco, time, sync, channel = require 'eco', require 'eco.time', require 'eco.sync', require 'eco.channel'
local file, sys = require 'eco.file', require 'eco.sys'

local function resident()
    return tonumber(file.readfile('/proc/self/statm'):match('^%d+ (%d+)')) * 4096
end

case('coroutine.close does what it did', function()
    T.raises('coroutine expected', coroutine.close)
    T.raises('coroutine expected', coroutine.close, 'x')
    T.raises('cannot close a running coroutine', coroutine.close, coroutine.running())
    local outer = coroutine.running()
    coroutine.wrap(function() T.raises('cannot close a normal coroutine', coroutine.close, outer) end)()
    T.eq(table.pack(coroutine.close(coroutine.create(print))), { true, n = 1 })
    local closed
    local co = coroutine.create(function()
        local handler<close> = setmetatable({}, { __close = function(_, message) closed = tostring(message) end })
        coroutine.yield()
    end)
    coroutine.resume(co)
    T.eq(table.pack(coroutine.close(co)), { true, n = 1 })
    T.eq(closed, 'nil')
    co = coroutine.create(function()
        local handler<close> = setmetatable({}, { __close = function() error('in the handler', 0) end })
        eco.sleep(1000)
    end)
    coroutine.resume(co)
    T.eq(table.pack(coroutine.close(co)), { false, 'in the handler', n = 2 })
    T.eq(table.pack(coroutine.close(co)), { true, n = 1 })
    co = coroutine.create(error)
    coroutine.resume(co, 'failed')
    T.eq(table.pack(coroutine.close(co)), { false, 'failed', n = 2 })
end)

case('a closed coroutine is forgotten at once', function()
    local before = eco.count()
    local ch, cond, mutex, group = channel.new(), sync.cond(), sync.mutex(), sync.waitgroup()
    local process<close> = sys.exec('sleep', '1000')
    local reader = assert(eco.reader(process.stdout_fd))
    mutex:lock()
    group:add(1)
    local waits = {
        function() eco.sleep(1000) end,
        function() eco.yield() end,
        coroutine.yield,
        function() ch:recv() end,
        function() ch:recv(1000) end,
        function() cond:wait() end,
        function() cond:wait(1000) end,
        function() mutex:lock(1000) end,
        function() group:wait(1000) end,
        function() reader:read(1, 1000) end,
        function() process:wait(1000) end,
        file.sync,
    }
    for number, wait in ipairs(waits) do
        local gone = setmetatable({}, { __mode = 'k' })
        local co = eco.run(wait)
        gone[co] = true
        T.eq(eco.count(), before + 1, 'wait ' .. number)
        T.eq(coroutine.close(co), true)
        co = nil
        collectgarbage()
        collectgarbage()
        T.eq(next(gone), nil, 'wait ' .. number)
        T.eq(eco.count(), before, 'wait ' .. number)
    end
    T.eq(cond:signal(), false)
    T.eq(ch:send(1), true)
    local got
    eco.run(function() got = reader:read(1, 0.001) end)
    eco.sleep(0.01)
    T.eq(got, nil)
    process:kill()
    process:wait(10)
end)

case('a turn of a closed coroutine goes to the next', function()
    local mutex = sync.mutex()
    mutex:lock()
    local locked
    local first = eco.run(function() mutex:lock() locked = 'first' end)
    eco.run(function() mutex:lock() locked = 'second' mutex:unlock() end)
    mutex:unlock()
    coroutine.close(first)
    eco.sleep(0)
    eco.sleep(0)
    T.eq(locked, 'second')
end)

case('closing handlers find the scheduler as it is after the end of the wait', function()
    local order = {}
    local co
    co = eco.run(function()
        local handler<close> = setmetatable({}, { __close = function()
            order[#order + 1] = 'closing'
            T.raises('attempt to yield', eco.sleep, 0)
            eco.run(function() eco.sleep(0) order[#order + 1] = 'another' end)
            T.raises('cannot close a running coroutine', coroutine.close, co)
        end })
        eco.sleep(1000)
    end)
    coroutine.close(co)
    T.eq(order, { 'closing' })
    eco.sleep(0.001)
    T.eq(order, { 'closing', 'another' })
end)

case('400 000 closed waiting coroutines leave nothing', function()
    local many = T.slow > 1 and 20000 or 400000
    local function burst()
        local threads = {}
        for i = 1, many do threads[i] = eco.run(eco.sleep, 1000) end
        for i = 1, many do coroutine.close(threads[i]) end
    end
    eco.set_watchdog_timeout(0)
    local heap, before = collectgarbage('count'), nil
    for round = 1, 3 do
        burst()
        collectgarbage()
        collectgarbage()
        assert(collectgarbage('count') - heap < 1000, collectgarbage('count') - heap)
        eco.sleep(0.001)
        before = before or resident()
    end
    eco.set_watchdog_timeout(T.watchdog)
    -- The C library keeps what was freed; every burst gets the same again.
    assert(T.sanitized or resident() - before < 64e6, resident() - before)
end)

case('as many timers leave nothing', function()
    local many = T.slow > 1 and 20000 or 200000
    local heap, before = collectgarbage('count'), nil
    eco.set_watchdog_timeout(0)
    for round = 1, 3 do
        local timers = {}
        for i = 1, many do timers[i] = time.at(1000, print) end
        assert(eco.count() >= many)
        for i = 1, many do timers[i]:cancel() end
        timers = nil
        collectgarbage()
        collectgarbage()
        eco.sleep(0.001)
        -- The registry keeps its size.
        assert(collectgarbage('count') - heap < 8000, collectgarbage('count') - heap)
        before = before or resident()
    end
    eco.set_watchdog_timeout(T.watchdog)
    assert(T.sanitized or resident() - before < 64e6, resident() - before)
end)

case('count and all know timers that are set', function()
    local before = eco.count()
    local ran
    local timer = time.timer(function() ran = coroutine.running() end)
    T.eq(eco.count(), before)
    timer:set(0.02)
    local date = time.on(time.now() + 1000, print)
    T.eq(eco.count(), before + 2)
    local all = eco.all()
    T.eq(#all, before + 2)
    local known = {}
    for _, co in ipairs(all) do
        T.eq(type(co), 'thread')
        assert(coroutine.status(co) ~= 'dead')
        known[co] = true
    end
    T.eq(#eco.all(), before + 2)
    for _, co in ipairs(eco.all()) do assert(known[co], 'a thread is made once') end
    date:cancel()
    T.eq(eco.count(), before + 1)
    while not ran do eco.sleep(0.005) end
    assert(known[ran], 'the callback runs in the thread that all() gave')
    T.eq(eco.count(), before)
end)

case('a timer goes off whatever was done to its thread', function()
    local before = {}
    for _, co in ipairs(eco.all()) do before[co] = true end
    local calls = 0
    local timer
    timer = time.at(0.01, function(self, one, two)
        T.eq({ self == timer, one, two }, { true, 1, 2 })
        calls = calls + 1
    end, 1, 2)
    for _, co in ipairs(eco.all()) do
        if not before[co] then coroutine.close(co) end
    end
    while calls == 0 do eco.sleep(0.005) end
    timer:set(0.01)
    for _, co in ipairs(eco.all()) do
        if not before[co] then assert(coroutine.resume(co)) end
    end
    T.eq(calls, 2)
    while calls == 2 do eco.sleep(0.005) end
    timer:set(0.01)
    for _, co in ipairs(eco.all()) do
        if not before[co] then eco.resume(co) end
    end
    eco.sleep(0.05 * T.slow)
    T.eq(calls, 5)
end)

case('resuming a coroutine that has ended raises at the call', function()
    local ended = eco.run(print and function() end)
    T.raises('cannot resume dead coroutine', eco.resume, ended)
    T.raises('cannot resume dead coroutine', eco._resume, ended)
    local failed = coroutine.create(error)
    coroutine.resume(failed, 'x')
    T.raises('cannot resume dead coroutine', eco.resume, failed)
    local closed = eco.run(eco.sleep, 1000)
    coroutine.close(closed)
    T.raises('cannot resume dead coroutine', eco.resume, closed)
    local fresh, ran = coroutine.create(function() ran = true end), false
    eco.resume(fresh)
    eco.sleep(0)
    T.raises('cannot resume dead coroutine', eco.resume, fresh)
    T.raises('thread expected', eco.resume, print)
end)

case('a race between a wake-up and the end is nobody\'s fault', function()
    for _, delay in ipairs { 0, 0.001, 0.003 } do
        local sleeper, woken = nil, 0
        local group = T.gather()
        -- Both orders, with the same deadline.
        group:run(function() eco.sleep(delay) pcall(eco.resume, sleeper) end)
        sleeper = group:run(function() eco.sleep(delay) woken = woken + 1 end)
        group:run(function() eco.sleep(delay) pcall(eco.resume, sleeper) pcall(eco.resume, sleeper) end)
        group:wait()
        T.eq(woken, 1)
    end
    -- Queued twice: it ends in between.
    local count = 0
    local co = eco.run(function() coroutine.yield() count = count + 1 end)
    eco.resume(co)
    eco.resume(co)
    coroutine.resume(co)
    eco.sleep(0)
    T.eq(count, 1)
    -- Closed in between.
    co = eco.run(coroutine.yield)
    eco.resume(co)
    coroutine.close(co)
    eco.sleep(0)
end)
