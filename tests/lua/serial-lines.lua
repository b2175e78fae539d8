-- Modem lines, breaks and draining of `eco.serial`, on a pseudo-terminal to which c/lines.c gives them.

local eco = require 'eco'
local file = require 'eco.file'
local serial = require 'eco.serial'
local time = require 'eco.time'

local DTR, RTS, CTS, DCD, RI, DSR = 2, 4, 32, 64, 128, 256

local state = {}

-- Changes what the driver says.
local function set(changes)
    for name, value in pairs(changes) do state[name] = value end
    local s = state
    local data = ('iiiiiiii'):pack(s.bits, s.cts, s.dsr, s.ri, s.dcd, s.unsent, s.milliseconds, s.breaks)
    assert(file.writefile('lines', data))
end

local function get()
    local s = state
    s.bits, s.cts, s.dsr, s.ri, s.dcd, s.unsent, s.milliseconds, s.breaks = ('iiiiiiii'):unpack(assert(file.readfile('lines')))
    return s
end

local function open(options)
    set { bits = 0, cts = 0, dsr = 0, ri = 0, dcd = 0, unsent = 0, milliseconds = 0, breaks = 0 }
    local device = assert(serial.pty())
    local port = assert(serial.open(device.path, options))
    return port, setmetatable({ device = device }, { __close = function()
        port:close()
        device:close()
    end })
end

case('lines are read and set', function()
    local port, guard<close> = open { dtr = true, rts = false }
    T.eq(get().bits, DTR)
    set { bits = DTR | CTS | RI }
    T.eq(port:lines(), { dtr = true, rts = false, cts = true, ri = true, dsr = false, dcd = false })
    T.eq(port:set_lines { rts = true, dtr = false }, true)
    T.eq(get().bits, RTS | CTS | RI)
    T.eq(port:set_lines { dtr = true }, true)
    T.eq(port:set_lines {}, true)
    T.eq(get().bits, DTR | RTS | CTS | RI)
    set { bits = DSR | DCD }
    T.eq(port:lines(), { dtr = false, rts = false, cts = false, ri = false, dsr = true, dcd = true })
    assert(guard)
end)

case('a change is waited for', function()
    local port, guard<close> = open()
    assert(port:lines())
    T.fails('timeout', T.took(0.05, 2, port.wait_lines, port, nil, 0.05))
    T.all(function()
        local lines, edges = T.took(0.04, 2, port.wait_lines, port, nil, 5)
        T.eq(edges, { cts = 1 })
        T.eq(lines.cts, true)
        -- Without a limit, and for one of them.
        lines, edges = port:wait_lines('dcd')
        T.eq(edges, { dcd = 1 })
        T.eq(lines.dcd, true)
        T.eq(lines.cts, false)
    end, function()
        eco.sleep(0.05)
        set { bits = CTS, cts = 1 }
        eco.sleep(0.05)
        set { bits = 0, cts = 2 }
        eco.sleep(0.05)
        set { bits = DCD, dcd = 1 }
    end)
    assert(guard)
end)

case('what came and went between two looks is told', function()
    local port, guard<close> = open()
    assert(port:lines())
    set { ri = 6, dsr = 1, bits = DSR }
    local lines, edges = port:wait_lines({ 'ri', 'dsr', 'cts' }, 1)
    T.eq(edges, { ri = 6, dsr = 1 })
    T.eq(lines.ri, false)
    T.fails('timeout', port:wait_lines(nil, 0.03))
    -- Counters begin anew.
    set { ri = 0x7fffffff }
    assert(port:wait_lines('ri', 1))
    set { ri = -0x80000000 }
    T.eq(select(2, port:wait_lines('ri', 1)), { ri = 1 })
    assert(guard)
end)

case('what happened before the script looked is no change', function()
    local port, guard<close> = open()
    set { bits = CTS, cts = 1 }
    T.fails('timeout', port:wait_lines(nil, 0.03))
    -- What it was told counts, also when that was long ago.
    set { bits = 0, cts = 2 }
    T.eq(select(2, port:wait_lines(nil, 1)), { cts = 1 })
    assert(guard)
end)

case('a driver without counters', function()
    local port, guard<close> = open()
    set { cts = -1 }
    T.fails('Inappropriate ioctl for device', port:counters())
    assert(port:lines())
    T.fails('timeout', port:wait_lines(nil, 0.03))
    set { bits = DCD | RI }
    T.eq(select(2, port:wait_lines({ 'dcd' }, 1)), { dcd = 1 })
    assert(guard)
end)

case('counters', function()
    local port, guard<close> = open()
    set { cts = 1, dsr = 2, ri = 3, dcd = 4 }
    T.eq(port:counters(), {
        cts = 1, dsr = 2, ri = 3, dcd = 4, received = 7, sent = 0, frame = 0, overrun = 0, parity = 0xffffffff, breaks = 0,
        buffer_overrun = 0,
    })
    assert(guard)
end)

case('several may wait, and closing wakes them', function()
    local port, guard<close> = open()
    assert(port:lines())
    local group, woken = T.gather(), 0
    for _, name in ipairs { 'cts', 'dsr', 'ri', 'dcd' } do
        group:run(function()
            T.fails('canceled', T.took(0.02, 2, port.wait_lines, port, name, name == 'ri' and 10 or nil))
            woken = woken + 1
        end)
    end
    eco.sleep(0.03)
    port:close()
    group:wait()
    T.eq(woken, 4)
    T.fails('Bad file descriptor', port:wait_lines())
    assert(guard)
end)

case('a coroutine that waits can be closed', function()
    local port, guard<close> = open()
    local co = eco.run(function() port:wait_lines() end)
    eco.sleep(0.01)
    assert(coroutine.close(co))
    assert(guard)
end)

case('only lines of the other end are waited for', function()
    local port, guard<close> = open()
    for _, names in ipairs { 'dtr', '', 'CTS', 1, true, {}, { 'cts', 'rts' }, { {} }, { false } } do
        T.raises('lines to wait for are', port.wait_lines, port, names)
    end
    for _, levels in ipairs { 1, 'dtr', true } do
        T.raises('lines must be a table', port.set_lines, port, levels)
    end
    T.raises('lines must be a table', port.set_lines, port)
    T.raises("unknown option 'cts'", port.set_lines, port, { cts = true })
    T.raises("option 'dtr' must be a boolean", port.set_lines, port, { dtr = 1 })
    assert(guard)
end)

case('a break lasts as long as it is to', function()
    local port, guard<close> = open()
    T.eq(T.took(0.25, 2, port.send_break, port), true)
    T.eq(get().breaks, 1)
    local co = eco.run(function() T.eq(T.took(0.1, 2, port.send_break, port, 0.1), true) end)
    eco.sleep(0.03)
    T.eq(get().breaks, -2)
    T.await(function() return coroutine.status(co) == 'dead' end)
    T.eq(get().breaks, 2)
    for _, seconds in ipairs { 'x', 0, -1, 0 / 0, math.huge, {} } do
        T.raises('seconds must be a positive number', port.send_break, port, seconds)
    end
    assert(guard)
end)

case('a break ends with whoever sends it', function()
    local port, guard<close> = open()
    local co = eco.run(function() port:send_break(1000) end)
    eco.sleep(0.01)
    T.eq(get().breaks, -1)
    assert(coroutine.close(co))
    T.eq(get().breaks, 1)
    T.all(function()
        T.fails('canceled', port:send_break(1000))
    end, function()
        eco.sleep(0.01)
        T.eq(get().breaks, -2)
        port:close()
    end)
    -- The device is not left in it.
    T.eq(get().breaks, 2)
    assert(guard)
end)

case('draining waits for what is not sent, and for the device', function()
    local port, guard<close> = open()
    T.eq(T.took(0, 1, port.drain, port), true)
    set { unsent = 100, milliseconds = 200 }
    T.eq(select(2, port:pending()), 100)
    T.fails('timeout', T.took(0.05, 2, port.drain, port, 0.05))
    T.all(function()
        T.eq(T.took(0.23, 3, port.drain, port, 5), true)
    end, function()
        eco.sleep(0.04)
        set { unsent = 0 }
    end)
    -- The loop goes on while the device sends.
    local ticks = 0
    local timer
    timer = time.at(0.01, function() ticks = ticks + 1 timer:set(0.01) end)
    T.eq(T.took(0.2, 2, port.drain, port), true)
    timer:cancel()
    timer:close()
    assert(ticks >= 3, ticks)
    assert(guard)
end)

case('draining is given up', function()
    local port, guard<close> = open()
    -- A thread goes on with it meanwhile.
    set { milliseconds = 700 }
    T.fails('timeout', T.took(0.02, 0.6, port.drain, port, 0.02))
    T.all(function()
        T.fails('canceled', T.took(0.01, 0.6, port.drain, port))
    end, function()
        eco.sleep(0.02)
        port:close()
    end)
    T.fails('Bad file descriptor', port:drain())
    assert(guard)
end)

case('many at a time', function()
    local port, guard<close> = open()
    set { milliseconds = 5 }
    local group = T.gather()
    for _ = 1, 20 do
        group:run(function() T.eq(port:drain(), true) end)
    end
    group:wait()
    assert(guard)
end)
