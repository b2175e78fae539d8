-- Module `eco.time`.

local eco = require 'eco'
local file = require 'eco.file'
local time = require 'eco.time'

case('constants and clock', function()
    T.eq({ time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.TFD_TIMER_ABSTIME }, { 0, 1, 1 })
    T.eq(math.type(time.now()), 'float')
    assert(math.abs(time.now() - os.time()) < 2)
    local first = time.now()
    assert(time.now() - first < 0.5)
    local listed = {}
    for key in pairs(time) do listed[key] = true end
    T.eq(listed.now, nil)
end)

case('sleep', function()
    T.took(0.01, 0.5, time.sleep, 0.01)
    T.raises('delay must be greater than or equal to 0', time.sleep, -1)
    T.raises('number expected', time.sleep, {})
end)

case('a timer fires once per setting, with its arguments', function()
    local calls = {}
    local timer = time.timer(function(...) calls[#calls + 1] = table.pack(...) end, 'a', nil, 3)
    eco.sleep(0.005)
    T.eq(#calls, 0)
    T.eq(timer:set(0.01), true)
    eco.sleep(0.05 * T.slow)
    T.eq(#calls, 1)
    T.eq(calls[1].n, 4)
    T.eq({ calls[1][2], calls[1][3], calls[1][4] }, { 'a', nil, 3 })
    assert(rawequal(calls[1][1], timer))
    T.eq(timer:set(0), true)
    eco.sleep(0.05 * T.slow)
    T.eq(#calls, 2)
end)

case('at and on', function()
    local fired = {}
    local start = time.now()
    local function note(_, name) fired[#fired + 1] = name fired[name] = time.now() - start end
    time.at(0.03, note, 'at')
    time.on(start + 0.06 * T.slow, note, 'on')
    time.on(start - 100, note, 'past')
    eco.sleep(0.12 * T.slow)
    T.eq({ fired[1], fired[2], fired[3] }, { 'past', 'at', 'on' })
    assert(fired.at >= 0.0299, fired.at)
    assert(fired.on >= 0.0599, fired.on)
end)

case('argument errors', function()
    T.raises('assertion failed!', time.timer)
    T.raises('', time.timer, 1)
    T.raises('', time.at, 'x', print)
    T.raises('', time.at, 1, 2)
    T.raises('delay must be non-negative', time.at, -1, print)
    T.raises('', time.on, nil, print)
    local timer = time.timer(print)
    T.raises('delay must be a number', timer.set, timer)
    T.raises('delay must be a number', timer.set, timer, {})
    T.raises('delay must be non-negative', timer.set, timer, -1)
end)

case('set while armed replaces the expiry', function()
    local calls = 0
    local timer = time.at(0.01, function() calls = calls + 1 end)
    timer:set(0.04)
    eco.sleep(0.025)
    if T.slow == 1 then T.eq(calls, 0) end
    eco.sleep(0.05 * T.slow)
    T.eq(calls, 1)
end)

case('re-arming inside the callback repeats', function()
    local calls = 0
    time.at(0.002, function(timer)
        calls = calls + 1
        if calls < 5 then timer:set(0.002) end
    end)
    eco.sleep(0.1 * T.slow)
    T.eq(calls, 5)
end)

case('a callback may yield and be overlapped', function()
    local running, most, ended = 0, 0, 0
    local timer
    timer = time.timer(function()
        assert(coroutine.isyieldable())
        running = running + 1
        most = math.max(most, running)
        eco.sleep(0.03)
        running = running - 1
        ended = ended + 1
    end)
    timer:set(0.001)
    eco.sleep(0.01)
    timer:set(0.001)
    eco.sleep(0.1 * T.slow)
    T.eq({ most, ended }, { 2, 2 })
end)

case('cancel', function()
    local calls = 0
    local timer = time.timer(function() calls = calls + 1 end)
    timer:cancel()
    timer:set(0.01)
    T.eq(select('#', timer:cancel()), 0)
    eco.sleep(0.03)
    T.eq(calls, 0)
    timer:set(0.01)
    timer:cancel()
    timer:set(0.01)
    eco.sleep(0.05 * T.slow)
    T.eq(calls, 1)
end)

case('cancel wins over an expiry that is already pending', function()
    local calls = 0
    local timer = time.at(0.002, function() calls = calls + 1 end)
    local busy = time.now() + 0.01
    while time.now() < busy do end
    timer:cancel()
    eco.sleep(0.01)
    T.eq(calls, 0)
    timer:set(0.002)
    busy = time.now() + 0.01
    while time.now() < busy do end
    timer:close()
    eco.sleep(0.01)
    T.eq(calls, 0)
end)

case('close', function()
    local timer = time.at(10, function() error('must not run') end)
    T.eq(timer.tfd == nil, false)
    T.eq(math.type(timer.tfd), 'integer')
    T.eq(select('#', timer:close()), 0)
    T.eq(timer.tfd, nil)
    timer:close()
    timer:cancel()
    T.fails('closed', timer:set(1))
end)

case('a pending timer that the script dropped still fires', function()
    local fired = false
    time.at(0.02, function() fired = true end)
    collectgarbage()
    collectgarbage()
    eco.sleep(0.06 * T.slow)
    T.eq(fired, true)
end)

case('idle timers are collected', function()
    local weak = setmetatable({}, { __mode = 'k' })
    for _ = 1, 20 do
        local timer
        timer = time.timer(function() return timer end)
        weak[timer] = true
        local fired = time.at(0.001, function() end)
        weak[fired] = true
    end
    eco.sleep(0.02 * T.slow)
    T.settle()
    T.settle()
    T.eq(next(weak), nil)
end)

case('timers fire in order', function()
    local order = {}
    for i = 20, 1, -1 do
        time.at(0.01 + i * 0.002, function() order[#order + 1] = i end)
    end
    eco.sleep(0.1 * T.slow)
    for i = 1, 20 do T.eq(order[i], i) end
end)

case('raw timer descriptors', function()
    local fd = assert(time.timerfd_create(time.CLOCK_MONOTONIC))
    T.eq(time.timerfd_settime(fd, 0, 0.01), true)
    local reader = eco.reader(fd)
    T.took(0.009, 1, function() T.eq(#reader:read(8), 8) end)
    T.eq(time.timerfd_settime(fd, 0, 0.005, 0.005), true)
    T.eq(#reader:read(8), 8)
    T.eq(#reader:read(8), 8)
    file.close(fd)
    T.fails('Bad file descriptor', time.timerfd_settime(fd, 0, 1))
    T.fails('Invalid argument', time.timerfd_create(9999))
end)

case('a thousand timers', function()
    local fired = 0
    for i = 1, 1000 do
        time.at(0.001 + i % 10 / 1000, function() fired = fired + 1 end)
    end
    eco.sleep(0.3 * T.slow)
    T.eq(fired, 1000)
end)
