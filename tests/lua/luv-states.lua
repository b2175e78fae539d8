-- Luv: fibers, timers, idle watchers, threads, the codec, what programs for Lua 5.1 use, by the sections of its contract.

local eco = require 'eco'
local luv = require 'luv'
local time = require 'eco.time'

local create = luv.fiber.create

-- Runs a function as a fiber.
local function fiber(f, ...)
    return create(f, ...):join()
end

case('1: the table', function()
    for name, members in pairs {
        fiber = 'create yield', thread = 'spawn create', timer = 'create', idle = 'create', pipe = 'create',
        fs = 'open unlink mkdir rmdir readdir stat lstat rename sendfile chmod chown utime link symlink readlink cwd chdir exepath',
        net = 'tcp udp getaddrinfo', process = 'spawn', codec = 'encode decode',
    } do
        for member in members:gmatch('%S+') do
            T.eq(type(luv[name][member]), 'function', name .. '.' .. member)
        end
        T.eq(getmetatable(luv[name]), luv[name])
        T.eq(luv[name].__name, 'luv_' .. name)
        assert(rawequal(luv.codec.decode(luv.codec.encode(luv[name])), luv[name]))
    end
    for name in ('self sleep hrtime mem_total mem_free cpu_info interface_addresses'):gmatch('%S+') do
        T.eq(type(luv[name]), 'function', name)
    end
    assert(rawequal(luv.codec.decode(luv.codec.encode(luv)), luv))
    T.eq(getmetatable(luv), luv)
    T.eq(luv.__name, 'luv')
    T.eq(type(debug.getregistry()['luv:lib:decoder']), 'function')
    T.eq(luv.fiber.yield, coroutine.yield)
    T.eq(luv.nothing, nil)
    for name, object in pairs {
        fiber = create(print), timer = luv.timer.create(), idle = luv.idle.create(), pipe = luv.pipe.create(), ['net.tcp'] = luv.net.tcp(),
    } do
        assert(tostring(object):find('^userdata<luv%.' .. name:gsub('%.', '%%.') .. '>: 0x%x+$'), tostring(object))
    end
    assert(tostring(luv.self()):find('^userdata<luv%.%a+>: 0x'))
    for _, stream in ipairs { luv.stdin, luv.stdout, luv.stderr } do
        assert(tostring(stream):find('^userdata<luv.pipe>'))
    end
end)

case('2: fibers run first in, first out, all that are ready, when their thread waits', function()
    local seen = {}
    local function work(name)
        for i = 1, 3 do
            seen[#seen + 1] = name .. i
            coroutine.yield()
        end
    end
    local a, b = create(work, 'a'), create(work, 'b')
    T.eq(a:ready(), a)
    a:ready()
    b:ready():ready()
    T.eq(#seen, 0)
    b:join()
    a:join()
    T.eq(table.concat(seen, ' '), 'a1 b1 a2 b2 a3 b3')
    -- One that is ready before another waits is before it, those that become so meanwhile come after.
    seen = {}
    local c = create(function()
        seen[#seen + 1] = 'c'
        create(function() seen[#seen + 1] = 'd' end):ready()
        coroutine.yield()
        seen[#seen + 1] = 'c again'
    end)
    c:join()
    T.eq(table.concat(seen, ' '), 'c d c again')
end)

case('2: yield gives its own arguments', function()
    T.eq(table.pack(fiber(function() return coroutine.yield(1, nil, 'x', nil) end)), table.pack(1, nil, 'x', nil))
    T.eq(select('#', fiber(function() return luv.fiber.yield() end)), 0)
    -- Also after a wait that the scheduler has ended.
    T.eq(table.pack(fiber(function()
        luv.sleep(0.001)
        return coroutine.yield('after', nil, 'sleep')
    end)), table.pack('after', nil, 'sleep'))
end)

case('2: who only yields keeps the loop from polling', function()
    local timer = luv.timer.create()
    local fired, stopped = false, false
    local waiter = create(function()
        timer:start(1)
        timer:wait()
        fired = true
    end):ready()
    local busy = create(function()
        local stop = time.now() + 0.02
        while time.now() < stop do coroutine.yield() end
        stopped = not fired
    end)
    busy:join()
    waiter:join()
    T.eq(stopped, true)
end)

case('2: a call that waits parks its fiber alone, and gives the same everywhere', function()
    local order = {}
    local slow = create(function()
        T.eq(luv.sleep(0.02), 0.02)
        order[#order + 1] = 'slow'
    end):ready()
    local quick = create(function()
        luv.sleep(0.001)
        order[#order + 1] = 'quick'
    end):ready()
    T.eq(luv.sleep(0.005), 0.005)
    T.eq(table.concat(order, ' '), 'quick')
    slow:join()
    quick:join()
    T.eq(table.concat(order, ' '), 'quick slow')
end)

case('2: coroutines inside of fibers', function()
    local seen = {}
    local other = create(function()
        for i = 1, 3 do
            seen[#seen + 1] = 'other'
            coroutine.yield()
        end
    end):ready()
    fiber(function()
        local me = luv.self()
        local co = coroutine.create(function(a)
            T.eq(luv.self(), me)
            local b = coroutine.yield(a + 1)
            -- The whole fiber waits.
            T.eq(luv.sleep(0.001), 0.001)
            local nested = coroutine.wrap(function()
                luv.sleep(0.001)
                T.raises('a fiber cannot join itself', me.join, me)
                coroutine.yield('nested')
                error('inside', 0)
            end)
            T.eq(nested(), 'nested')
            T.raises('inside', nested)
            return b, nil
        end)
        T.eq(table.pack(coroutine.resume(co, 1)), table.pack(true, 2))
        T.eq(table.pack(coroutine.resume(co, 5)), table.pack(true, 5, nil))
        T.eq(coroutine.status(co), 'dead')
        T.eq((coroutine.resume(co)), false)
        -- In the middle of what cannot yield.
        T.eq(pcall(table.sort, { 1, 2, 3 }, function() coroutine.yield() end), false)
    end)
    other:join()
    T.raises('bad argument #1', coroutine.resume, 1)
    local co = coroutine.wrap(function(...) return select('#', ...), ... end)
    T.eq(table.pack(co(nil, 2, nil)), table.pack(3, nil, 2, nil))
    T.raises('dead', co)
end)

case('2: an error of a fiber', function()
    local value = { 'mine' }
    local failing = create(function()
        coroutine.yield()
        error(value)
    end)
    local ok, err = pcall(failing.join, failing)
    T.eq(ok, false)
    assert(rawequal(err, value))
    -- Again, for everybody.
    ok, err = pcall(failing.join, failing)
    assert(not ok and rawequal(err, value))
    fiber(function()
        local ok, err = pcall(failing.join, failing)
        assert(not ok and rawequal(err, value))
    end)
    failing:ready()
    T.eq(fiber(function() luv.sleep(0.001) return 'goes on' end), 'goes on')
end)

case('3: fibers', function()
    for _, value in ipairs { 1, 'x', {}, false } do
        T.raises(('function expected, got %s'):format(type(value)), luv.fiber.create, value)
    end
    T.raises('bad argument #1', luv.fiber.create)
    local f = create(function(...) return select('#', ...), ... end, nil, 'a', nil)
    T.eq(table.pack(f:join()), table.pack(3, nil, 'a', nil))
    T.eq(table.pack(f:join()), table.pack(3, nil, 'a', nil))
    T.eq(f:ready(), f)
    -- Several wait for one that runs already, each gets the same.
    local target = create(function()
        luv.sleep(0.005)
        return 'x', nil
    end)
    local joiners = {}
    for i = 1, 3 do
        joiners[i] = create(function() return target:join() end):ready()
    end
    for i = 1, 3 do T.eq(table.pack(joiners[i]:join()), table.pack('x', nil)) end
    local me
    me = create(function() return pcall(me.join, me) end)
    T.eq(table.pack(me:join()), table.pack(false, 'a fiber cannot join itself'))
    -- Those that nobody started are collected.
    local weak = setmetatable({}, { __mode = 'v' })
    weak[1] = create(print)
    collectgarbage()
    T.eq(weak[1], nil)
end)

case('4: timers', function()
    local timer = luv.timer.create()
    T.eq(timer:again(), -1)
    T.eq(timer:stop(), 0)
    T.eq(timer:start(20, 10), 0)
    T.took(0.02, 1, function() T.eq(table.pack(timer:wait()), table.pack(0)) end)
    -- The next one comes by the clock, however late this one was seen.
    T.took(0, 1, timer.wait, timer)
    -- All who wait are woken by one firing.
    local woken = 0
    local waiters = {}
    for i = 1, 3 do
        waiters[i] = create(function()
            timer:wait()
            woken = woken + 1
        end):ready()
    end
    for i = 1, 3 do waiters[i]:join() end
    T.eq(woken, 3)
    T.eq(timer:again(), 0)
    T.took(0.009, 1, timer.wait, timer)
    -- Whoever waits for one that was stopped waits on, until it is started.
    T.eq(timer:stop(), 0)
    local over = false
    local waiter = create(function()
        timer:wait()
        over = true
    end):ready()
    luv.sleep(0.03)
    T.eq(over, false)
    T.eq(timer:start(), 0)
    waiter:join()
    T.eq(over, true)
    -- It does not repeat: again has no effect.
    T.eq(timer:again(), 0)
    T.eq(timer:start(1.9, 2.9), 0)
    timer:wait()
    timer:stop()
    T.raises('number expected', timer.start, timer, 'soon')
    T.eq(timer:start(-5), 0)
    timer:wait()
end)

case('4: idle watchers', function()
    local idle, timer = luv.idle.create(), luv.timer.create()
    T.eq(idle:start(), 0)
    timer:start(5, 5)
    local count = { 0, 0 }
    local over = false
    local watchers = {}
    for i = 1, 2 do
        watchers[i] = create(function()
            while not over do
                T.eq(table.pack(idle:wait()), table.pack(0))
                count[i] = count[i] + 1
            end
        end):ready()
    end
    fiber(function() for _ = 1, 3 do timer:wait() end end)
    over = true
    for i = 1, 2 do watchers[i]:join() end
    timer:stop()
    assert(count[1] > 3, count[1])
    T.eq(count[1], count[2])
    T.eq(idle:wait(), 0)
    -- Nothing comes of one that is stopped.
    T.eq(idle:stop(), 0)
    local woken = false
    local waiter = create(function()
        idle:wait()
        woken = true
    end):ready()
    luv.sleep(0.01)
    T.eq(woken, false)
    idle:start()
    waiter:join()
    idle:stop()
    -- Who is ready comes first.
    idle:start()
    local order = {}
    local busy = create(function()
        for _ = 1, 5 do
            order[#order + 1] = 'busy'
            coroutine.yield()
        end
    end)
    waiter = create(function()
        idle:wait()
        order[#order + 1] = 'idle'
    end):ready()
    busy:ready()
    waiter:join()
    idle:stop()
    T.eq(table.concat(order, ' '), 'busy busy busy busy busy idle')
end)

case('4: sleeping', function()
    T.took(0.015, 1, luv.sleep, 0.0155)
    T.eq(luv.sleep(0), 0)
    T.raises('number expected, got no value', luv.sleep)
    T.raises('must be greater', luv.sleep, -1)
end)

case('9: threads', function()
    local upvalue, shared = { deep = { 1, 2 } }, luv.codec
    local thread = luv.thread.spawn(function(a, b, ...)
        local luv = require 'luv'
        assert(shared == luv.codec and upvalue.deep[2] == 2)
        assert(luv.stdin == nil and luv.stdout == nil and luv.stderr == nil)
        assert(tostring(luv.self()):find('luv.thread', 1, true))
        upvalue.deep = nil
        -- Fibers, timers and threads inside.
        local f = luv.fiber.create(function()
            local timer = luv.timer.create()
            timer:start(1)
            timer:wait()
            return luv.thread.create(function(x) return x + 1 end, a):join()
        end)
        assert(not pcall(luv.self().join, luv.self()))
        return f:join(), b, select('#', ...), nil
    end, 41, { 'x' }, nil, nil)
    assert(tostring(thread):find('^userdata<luv.thread>: 0x'))
    T.eq(table.pack(thread:join()), table.pack(42, { 'x' }, 2, nil))
    T.eq(table.pack(thread:join()), table.pack(42, { 'x' }, 2, nil))
    T.eq(upvalue.deep[1], 1)
    -- Only who joins waits, and several may.
    local slow = luv.thread.spawn(function()
        require 'luv'.sleep(0.02)
        return 'slow'
    end)
    local ticks = 0
    local joiners = {}
    for i = 1, 2 do joiners[i] = create(function() return slow:join() end):ready() end
    local ticker = create(function()
        for _ = 1, 3 do
            luv.sleep(0.001)
            ticks = ticks + 1
        end
    end)
    ticker:join()
    T.eq(ticks, 3)
    for i = 1, 2 do T.eq(joiners[i]:join(), 'slow') end
    -- Globals are those of the thread, paths are inherited.
    secret = 'ours'
    package.path = package.path .. ';/nowhere/?.lua'
    T.eq(luv.thread.spawn(function() return secret, package.path:find('/nowhere/?.lua', 1, true) ~= nil end):join(), nil)
    T.eq(select(2, luv.thread.spawn(function() return secret, package.path:find('/nowhere/?.lua', 1, true) ~= nil end):join()), true)
    package.path = package.path:gsub(';/nowhere/%?%.lua', '')
    secret = nil
    -- The table is a global there.
    T.eq(luv.thread.spawn(function() return type(luv.timer.create) end):join(), 'function')
end)

case('9: errors of threads', function()
    local failing = luv.thread.spawn(function() error('from inside') end)
    local text = T.raises('from inside', failing.join, failing)
    assert(text:find('stack traceback:', 1, true), text)
    T.raises('from inside', failing.join, failing)
    local other = luv.thread.spawn(function() return print end)
    T.raises('attempt to persist a C function', other.join, other)
    for _, value in ipairs { print, coroutine.create(print), luv.net.tcp(), luv.timer.create(), io.stdout } do
        assert(not pcall(luv.thread.spawn, function() end, value))
        assert(not pcall(luv.thread.spawn, function() return value end))
    end
    T.raises('function expected', luv.thread.spawn, 1)
    -- An error of a fiber in it comes out of where its own state waits.
    local thread = luv.thread.spawn(function()
        local f = luv.fiber.create(function() error('of a fiber', 0) end):ready()
        local ok, err = pcall(luv.sleep, 10)
        assert(not ok)
        return err, luv.sleep(0.001)
    end)
    T.eq(table.pack(thread:join()), table.pack('of a fiber', 0.001))
    -- Nothing can end that wait.
    thread = luv.thread.spawn(function() return luv.timer.create():wait() end)
    T.raises('deadlock: nothing left to wait for', thread.join, thread)
end)

case('10: values', function()
    local encode, decode = luv.codec.encode, luv.codec.decode
    local function round(...) return decode(encode(...)) end
    local values = table.pack(nil, true, false, 1, -1, 1.0, 0.1, math.huge, math.mininteger, '', 'a\0b', ('x'):rep(1000), nil)
    T.eq(table.pack(round(table.unpack(values, 1, values.n))), values)
    T.eq(select('#', round()), 0)
    T.eq(math.type(round(1.0)), 'float')
    local cycle = { 1, 2, name = 'x' }
    cycle.self, cycle[cycle] = cycle, 'key'
    local a, b = round(cycle, cycle)
    assert(rawequal(a, b) and rawequal(a.self, a) and a[a] == 'key' and a[2] == 2)
    T.eq(getmetatable((round(setmetatable({}, { __index = print })))), nil)
    -- Functions: upvalues are copied, nil ones keep their place, the globals are the globals.
    local none, count = nil, 5
    local function f(x)
        count = count + x
        return count, none, type(print)
    end
    local g, h = round(f, f)
    assert(rawequal(g, h) and g ~= f)
    T.eq(table.pack(g(1)), table.pack(6, nil, 'function'))
    T.eq(table.pack(f(10)), table.pack(15, nil, 'function'))
    assert(round(_G) == _G)
    local function recursive(n) return n == 0 and 'end' or recursive(n - 1) end
    T.eq(round(recursive)(3), 'end')
end)

case('10: what cannot be encoded', function()
    local encode = luv.codec.encode
    T.raises("attempt to persist a C function 'print'", encode, print)
    T.raises("attempt to persist a C function '(null)'", encode, string.gmatch('', ''))
    T.raises("cannot encode a `thread'", encode, coroutine.create(print))
    T.raises('cannot encode userdata', encode, io.stdout)
    T.raises('cannot encode userdata', encode, { { luv.pipe.create() } })
    T.raises('cannot encode userdata', encode, require 'eco.thread'.channel())
    T.raises('__codec must return either a function or a string', encode, setmetatable({}, { __codec = function() return 1 end }))
    T.raises('own words', encode, setmetatable({}, { __codec = function() error('own words') end }))
end)

case('10: hooks', function()
    local encode, decode = luv.codec.encode, luv.codec.decode
    local Point = {}
    local by_function = setmetatable({ 1, 2 }, { __codec = function(self)
        return function(payload) return { 'made', payload[2], payload } end, { self[1], self[2] }
    end })
    T.eq(decode(encode(by_function))[2], 2)
    -- By a name in the registry, which comes before the globals.
    local by_name = setmetatable({}, { __codec = function() return 'test_decoder', 'payload' end })
    T.raises("failed to find a valid decoder for `test_decoder'", decode, encode(by_name))
    test_decoder = function(x) return 'global ' .. x end
    T.eq(decode(encode(by_name)), 'global payload')
    debug.getregistry().test_decoder = function(x) return 'registry ' .. x end
    T.eq(decode(encode(by_name)), 'registry payload')
    debug.getregistry().test_decoder, test_decoder = nil, nil
    -- References into payloads, and to what a hook has made.
    local inside = { 'inside' }
    local hooked = setmetatable({}, { __codec = function() return function(p) return { p = p } end, { inside } end })
    local a, b, c, d = decode(encode(inside, hooked, hooked, inside))
    assert(rawequal(a, d) and rawequal(b, c) and rawequal(b.p[1], a))
    assert(Point)
end)

case('10: hostile bytes', function()
    local encode, decode = luv.codec.encode, luv.codec.decode
    local up = { 1 }
    local whole = encode({ a = { 1, 2.5, 'text', true }, f = function() return up end }, nil, up)
    for length = 0, #whole - 1 do
        local ok, err = pcall(decode, whole:sub(1, length))
        assert(not ok and type(err) == 'string', length)
    end
    T.raises('bad code', decode, '')
    T.raises('bad code', decode, whole .. 'x')
    T.raises('bad code', decode, ('\xff'):rep(100))
    for _, value in ipairs { 1, true, {}, print } do T.raises('string expected', decode, value) end
    T.raises('string expected', decode)
    -- Data whose bytes were changed is read or refused. (Bytecode is believed.)
    local data = encode({ 1, 2, { 'x', y = { 1.5 } } }, 'text', nil)
    local random = 12345
    for _ = 1, 2000 do
        random = (random * 1103515245 + 12345) & 0x7fffffff
        local place = random // 65536 % #data + 1
        local byte = random // 256 % 256
        -- No hooks, functions or pointers.
        if byte < 11 or byte > 17 then
            pcall(decode, data:sub(1, place - 1) .. string.char(byte) .. data:sub(place + 1))
        end
    end
end)

case('11: utilities', function()
    local a = luv.hrtime()
    luv.sleep(0.002)
    local b = luv.hrtime()
    T.eq(math.type(a), 'integer')
    assert(b - a >= 1900000 and b - a < 10e9 * T.slow)
    local total, free = luv.mem_total(), luv.mem_free()
    assert(math.type(total) == 'integer' and math.type(free) == 'integer' and 0 < free and free < total)
    local cpus = luv.cpu_info()
    assert(#cpus >= 1)
    for _, cpu in ipairs(cpus) do
        T.eq(type(cpu.model), 'string')
        T.eq(math.type(cpu.speed), 'integer')
        for _, name in ipairs { 'user', 'nice', 'sys', 'idle', 'irq' } do T.eq(math.type(cpu.times[name]), 'integer') end
    end
    for _, entry in ipairs(luv.interface_addresses()) do
        assert(require 'eco.socket'.is_ip_address(entry.address), entry.address)
        T.eq(type(entry.name), 'string')
        if entry.name == 'lo' then T.eq(entry.is_internal, true) end
    end
    fiber(function() assert(tostring(luv.self()):find('luv.fiber', 1, true)) end)
end)

case('14: modules of Lua 5.1', function()
    local chunk = assert(load([[
        local before = function() return shared end
        shared = 'global'
        module('luvtest.inner', package.seeall)
        shared = 'of the module'
        function after() return shared, type(print), _NAME, _PACKAGE end
        return before, after, _M
    ]], '=chunk', 't', _G))
    local before, after, inner = chunk()
    -- Closures made before keep what they had.
    T.eq(before(), 'global')
    T.eq(table.pack(after()), table.pack('of the module', 'function', 'luvtest.inner', 'luvtest.'))
    T.eq(shared, 'global')
    assert(inner == luvtest.inner and inner == package.loaded['luvtest.inner'] and inner == require 'luvtest.inner' and inner._M == inner)
    -- Functions of a module find it where it is, and the globals where it is not.
    T.eq((luv.codec.decode(luv.codec.encode(after)))(), 'of the module')
    T.eq(luv.thread.spawn(function(f) return (select(2, f())) end, after):join(), 'function')
    T.raises('name conflict', load "string = string; module('string.rep.x')")
    luvtest, shared, package.loaded['luvtest.inner'] = nil, nil, nil
    local function reads() return hidden end
    setfenv(reads, { hidden = 'seen' })
    T.eq(reads(), 'seen')
    T.eq(getfenv(reads).hidden, 'seen')
    assert(getfenv(1) == _G)
    T.eq(hidden, nil)
    T.eq(unpack { 1, 2 }, 1)
    T.eq(loadstring 'return 7' (), 7)
end)
