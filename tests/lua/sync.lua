-- Module `eco.sync`: condition variable, waitgroup, mutex.

local eco = require 'eco'
local sync = require 'eco.sync'
local time = require 'eco.time'

case('a condition hands its data to the waiter', function()
    local cond = sync.cond()
    T.eq(cond.closed, false)
    T.eq(math.type(cond.efd), 'integer')
    local order, got = {}, {}
    for i = 1, 3 do
        eco.run(function() got[i] = cond:wait() order[#order + 1] = i end)
    end
    T.eq(cond:signal('first'), true)
    T.eq(#order, 0)
    T.eq(cond:signal(false), true)
    T.eq(cond:signal(), true)
    T.eq(cond:signal('lost'), false)
    eco.sleep(0)
    T.eq(order, { 1, 2, 3 })
    T.eq(got, { 'first', true, true })
    T.fails('timeout', cond:wait(0.001))
end)

case('a signal without waiter is not remembered', function()
    local cond = sync.cond()
    T.eq(cond:signal(1), false)
    T.eq(cond:broadcast(), 0)
    T.fails('timeout', cond:wait(0.005))
end)

case('timeouts of wait', function()
    local cond = sync.cond()
    local others = 0
    eco.run(function() others = 1 end)
    T.took(0, 0.2, function()
        T.fails('timeout', cond:wait(0))
        T.fails('timeout', cond:wait(-1))
    end)
    T.took(0.01, 1, function() T.fails('timeout', cond:wait(0.01)) end)
    T.raises('', cond.wait, cond, {})
    T.eq(cond:signal(), false)
end)

case('broadcast wakes all', function()
    local cond = sync.cond()
    local woke = 0
    for _ = 1, 5 do
        eco.run(function() T.eq(cond:wait(), true) woke = woke + 1 end)
    end
    T.eq(cond:broadcast(), 5)
    T.eq(cond:broadcast(), 0)
    T.eq(woke, 0)
    eco.sleep(0)
    T.eq(woke, 5)
end)

case('close wakes all with a message', function()
    local cond = sync.cond()
    local woke = 0
    for _ = 1, 3 do
        eco.run(function() T.fails('closed', cond:wait()) woke = woke + 1 end)
    end
    T.eq(select('#', cond:close()), 0)
    cond:close()
    eco.sleep(0)
    T.eq(woke, 3)
    T.eq({ cond.closed, cond:signal(), cond:broadcast() }, { true, false, 0 })
    T.eq(cond.efd, nil)
    T.fails('closed', cond:wait(0))
    do
        local closing<close> = sync.cond()
    end
end)

case('a signal beats a timeout that passes before the waiter runs', function()
    local cond = sync.cond()
    local got
    eco.run(function() got = table.pack(cond:wait(0.005)) end)
    T.eq(cond:signal('data'), true)
    local busy = time.now() + 0.02
    while time.now() < busy do end
    eco.sleep(0)
    T.eq(got, { 'data', n = 1 })
end)

case('a close beats a signal that the waiter has not seen yet', function()
    local cond = sync.cond()
    local got
    eco.run(function() got = table.pack(cond:wait()) end)
    cond:signal('data')
    cond:close()
    eco.sleep(0)
    T.eq(got, { nil, 'closed', n = 2 })
end)

case('a waiter that is gone takes no signal', function()
    local cond = sync.cond()
    local got
    local gone = eco.run(function() cond:wait() error('must not run') end)
    eco.run(function() got = cond:wait(5) end)
    coroutine.close(gone)
    cond:signal('x')
    eco.sleep(0)
    if got == nil then
        -- The dead waiter may have been chosen; the next signal must reach the live one.
        cond:signal('x')
        eco.sleep(0)
    end
    T.eq(got, 'x')
end)

case('waitgroup', function()
    local group = sync.waitgroup()
    T.eq(group:wait(), true)
    T.eq(group.counter, 0)
    T.eq(select('#', group:add(2)), 0)
    T.eq(group.counter, 2)
    T.fails('timeout', group:wait(0))
    T.fails('timeout', group:wait(0.005))
    local woke = 0
    for _ = 1, 3 do
        eco.run(function() T.eq(group:wait(5), true) woke = woke + 1 end)
    end
    T.eq(select('#', group:done()), 0)
    eco.sleep(0)
    T.eq(woke, 0)
    group:done()
    T.eq(woke, 0)
    eco.sleep(0)
    T.eq(woke, 3)
    T.raises('negative wait group counter', group.done, group)
    T.raises('negative waitgroup counter', group.add, group, -1)
    T.eq(group.counter, 0)
    -- reusable
    group:add(1)
    eco.run(function() eco.sleep(0.002) group:done() end)
    T.eq(group:wait(), true)
end)

case('mutex excludes and hands over in order', function()
    local mutex = sync.mutex()
    T.eq({ mutex.locked, mutex.nwaiters }, { false, 0 })
    local inside, order = 0, {}
    local group = T.gather()
    for i = 1, 5 do
        group:run(function()
            T.eq(mutex:lock(), true)
            inside = inside + 1
            T.eq(inside, 1)
            order[#order + 1] = i
            eco.sleep(0.001)
            inside = inside - 1
            mutex:unlock()
        end)
    end
    T.eq({ mutex.locked, mutex.nwaiters }, { true, 4 })
    group:wait()
    T.eq(order, { 1, 2, 3, 4, 5 })
    T.eq({ mutex.locked, mutex.nwaiters }, { false, 0 })
end)

case('nobody barges in during a hand-over', function()
    local mutex = sync.mutex()
    mutex:lock()
    local order = {}
    eco.run(function() mutex:lock() order[#order + 1] = 'waiter' mutex:unlock() end)
    mutex:unlock()
    T.eq(mutex.locked, true)
    T.fails('timeout', mutex:lock(0))
    mutex:lock()
    order[#order + 1] = 'newcomer'
    mutex:unlock()
    T.eq(order, { 'waiter', 'newcomer' })
end)

case('mutex timeouts and misuse', function()
    local mutex = sync.mutex()
    T.raises('unlock of unlocked mutex', mutex.unlock, mutex)
    T.eq(mutex:lock(0), true)
    T.fails('timeout', mutex:lock(0))
    T.fails('timeout', mutex:lock(-1))
    T.took(0.01, 1, function() T.fails('timeout', mutex:lock(0.01)) end)
    T.eq(select('#', mutex:unlock()), 0)
    T.eq(mutex:lock(), true)
    mutex:unlock()
end)

case('a hand-over that races with a timeout is not lost', function()
    local mutex = sync.mutex()
    mutex:lock()
    local got
    eco.run(function() got = table.pack(mutex:lock(0.005)) end)
    mutex:unlock()
    local busy = time.now() + 0.02
    while time.now() < busy do end
    eco.sleep(0)
    T.eq(got, { true, n = 1 })
    mutex:unlock()
    T.eq(mutex:lock(0), true)
end)

case('a hand-over to a dead coroutine is not lost', function()
    local mutex = sync.mutex()
    mutex:lock()
    local gone = eco.run(function() mutex:lock() error('must not run') end)
    coroutine.close(gone)
    mutex:unlock()
    T.eq(mutex:lock(1), true)
    mutex:unlock()
end)

case('every contender gets the lock', function()
    local mutex, turns = sync.mutex(), 0
    local group = T.gather()
    for i = 1, 100 do
        group:run(function()
            for _ = 1, 3 do
                if mutex:lock(i % 3 == 0 and 0.0001 or nil) then
                    eco.sleep(0)
                    turns = turns + 1
                    mutex:unlock()
                end
            end
        end)
    end
    group:wait()
    assert(turns >= 200, turns)
    T.eq(mutex.locked, false)
end)

case('unreachable objects are collected', function()
    local weak = setmetatable({}, { __mode = 'k' })
    for _ = 1, 20 do
        local cond, mutex, group = sync.cond(), sync.mutex(), sync.waitgroup()
        weak[cond], weak[mutex], weak[group] = true, true, true
        cond:wait(0.0001)
        mutex:lock()
        mutex:unlock()
        group:wait()
    end
    T.settle()
    T.eq(next(weak), nil)
end)

case('ten thousand waiters on conditions need no descriptors', function()
    local conds, woke = {}, 0
    local group = T.gather()
    for i = 1, 10000 do
        conds[i] = assert(sync.cond())
        group:run(function() conds[i]:wait() woke = woke + 1 end)
    end
    for i = 1, 10000 do conds[i]:signal() end
    group:wait()
    T.eq(woke, 10000)
end)

case('a signalled coroutine that is closed passes the signal on, with its data', function()
    local cond, got = sync.cond(), nil
    local gone = eco.run(function() cond:wait() error('must not run') end)
    eco.run(function() got = cond:wait(1) end)
    T.eq(cond:signal('data'), true)
    coroutine.close(gone)
    eco.sleep(0.01)
    T.eq(got, 'data')
    -- Nobody is left to take this one; its data must not stay anchored.
    gone = eco.run(function() cond:wait() error('must not run') end)
    cond:signal({})
    coroutine.close(gone)
end)

case('a closed coroutine passes the mutex on', function()
    local mutex, got = sync.mutex(), nil
    mutex:lock()
    local gone = eco.run(function() mutex:lock() error('must not run') end)
    eco.run(function() got = mutex:lock(1) mutex:unlock() end)
    mutex:unlock()
    coroutine.close(gone)
    eco.sleep(0.01)
    T.eq({ got, mutex.locked }, { true, false })
end)

case('a coroutine resumed from outside during a hand-over can lock again', function()
    local mutex, log = sync.mutex(), {}
    mutex:lock()
    local waiter = eco.run(function()
        log[1] = tostring((mutex:lock()))
        log[2] = tostring((mutex:lock(1)))
        mutex:unlock()
    end)
    mutex:unlock()
    coroutine.resume(waiter)
    eco.sleep(0.01)
    T.eq(log, { 'nil', 'true' })
    T.eq(mutex.locked, false)
end)

case('an early resumption does not end a wait', function()
    local cond, got = sync.cond(), nil
    local waiter = eco.run(function() got = cond:wait() end)
    eco._resume(waiter)
    eco.sleep(0.001)
    T.eq(got, nil)
    T.eq(#cond.waiters, 1)
    cond:signal('now')
    eco.sleep(0.001)
    T.eq(got, 'now')
end)
