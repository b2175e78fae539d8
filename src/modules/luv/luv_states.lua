-- States: fibers, the threads they run in, and what either waits for.

local I = ...

local eco = require 'eco'
local time = require 'eco.time'

local native = I.native
local fibers, drain, ready, pending, halt = native.fibers, native.drain, native.ready, native.pending, native.halt
local pack, unpack, select, type, pcall, error = table.pack, table.unpack, select, type, pcall, error
local running, status, close, create = coroutine.running, coroutine.status, coroutine.close, coroutine.create
local bare_yield, bare_resume = coroutine.yield, coroutine.resume
local yield, settle = native.yield, native.settle
local tointeger = math.tointeger

local registry = debug.getregistry()

-- Types, tables, arguments

local function unencodable()
    error('cannot encode userdata', 0)
end

-- The methods of a type, and what makes a value of it.
local function class(name)
    local methods = {}
    local type = { __name = name, __index = methods, __codec = unencodable }
    function type:__tostring()
        return ('userdata<%s>: %p'):format(name, self)
    end
    return methods, function(self) return setmetatable(self, type) end, type
end

-- Tables that are the same in every state, by their names.
local named = {}

local function library(name, members)
    named[name] = members
    members.__name = name
    function members.__codec() return 'luv:lib:decoder', name end
    return setmetatable(members, members)
end

registry['luv:lib:decoder'] = function(name)
    return named[name] or name == 'luv_zmq' and I.luv.zmq or error('no table of luv: ' .. tostring(name), 0)
end

-- Refuses an argument of another type; `name` is the function that got it.
local function want(kind, value, position, name)
    local found = type(value)
    if found == kind or kind == 'string' and found == 'number' then return value end
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(position, name, kind, value == nil and 'no value' or found), 3)
end

-- A number cut to an integer, `default` for nil.
local function integer(value, default, position, name)
    if value == nil and default then return default end
    local number = tonumber(value)
    local cut = number and number == number and tointeger(number < 0 and math.ceil(number) or math.floor(number))
    if cut then return cut end
    error(("bad argument #%d to '%s' (number expected, got %s)"):format(position, name, value == nil and 'no value' or type(value)), 3)
end

-- Running

-- The coroutine that is the thread's own state, if it is one; and whether it is suspended.
local main
local is_suspended = false
-- Fibers run: the thread's own state is suspended, or a coroutine of `eco.run` has waited for something here.
local is_open, is_foreign = false, false
-- The loop runs in which it is suspended, and what came of what it waits for.
local is_looping, outcome = false, nil
-- Calls in a row that needed no suspension: now and then others have their turn.
local immediate = 0
-- The coroutine that runs them, if there is one, and whether it has something to do.
local driver
local is_driving = false
-- The error of a fiber that the thread's own state is to get.
local failure
-- Idle watchers that are started.
local idles = {}

local run_fibers

local function drive()
    if is_driving or not is_open then return end
    is_driving = true
    driver = driver or eco.run(run_fibers)
    eco.resume(driver)
end

-- A fiber yields that the loop has resumed.
native.hooks.drive = drive

-- Ends the suspension of the thread's own state.
local function go_on()
    halt(true)
    if is_looping then eco.unloop(true) end
end

local function fail(value)
    if not is_suspended then error(value, 0) end
    failure = failure or { value }
    go_on()
end

-- A ticket is the wait of a coroutine for something here.

local function park(list)
    local ticket = { co = running() }
    list[#list + 1] = ticket
    repeat bare_yield() until ticket.done
end

local function wake(ticket)
    ticket.done = true
    local co = ticket.co
    if fibers[co] then
        ready(co)
        drive()
    elseif status(co) ~= 'dead' then
        eco.resume(co)
    end
end

-- Wakes all that wait.
local function rouse(list)
    for i = 1, #list do
        local ticket = list[i]
        list[i] = nil
        wake(ticket)
    end
end

-- Those who wait for idle watchers: nothing is ready any more.
local function rouse_idle()
    for idle in pairs(idles) do
        local list = idle.waiters
        idle.waiters = {}
        rouse(list)
    end
end

local function is_idle_awaited()
    for idle in pairs(idles) do
        if idle.waiters[1] then return true end
    end
    return false
end

-- What the driver does, as long as there are fibers.
function run_fibers()
    repeat
        bare_yield()
        local is_over
        repeat
            local ok, err = pcall(drain)
            if not ok then fail(err) end
            if is_suspended and (failure or outcome) then
                go_on()
                is_over = true
            elseif pending() then
                is_over = false
            elseif is_idle_awaited() then
                -- What else is ready runs, and what has come is seen.
                eco.yield()
                if not pending() then rouse_idle() end
                is_over = not is_open
            else
                is_over = true
            end
        until is_over
        is_driving = false
    until next(fibers) == nil
    driver = nil
end

-- What came of it, which ends the suspension.
local function take()
    local ended, failed = outcome, failure
    outcome, failure, is_suspended, is_open = nil, nil, false, is_foreign
    return ended, failed
end

-- Suspends the thread's own state: calls `f(...)` in a coroutine, and runs fibers and the loop until it has ended.
local function suspend(f, ...)
    if is_suspended then error('the state is suspended already', 0) end
    is_suspended, is_open = true, true
    local helper = eco.run(function(...)
        outcome = pack(pcall(f, ...))
        go_on()
    end, ...)
    immediate = outcome and immediate + 1 or 0
    if not outcome or pending() or immediate == 16 then
        if pending() or immediate == 16 or is_idle_awaited() then drive() end
        is_looping = true
        eco.loop()
        is_looping = false
    end
    if immediate == 16 then immediate = 0 end
    halt(false)
    local outcome, failed = take()
    if not outcome then close(helper) end
    if not outcome and not failed and coroutine.isyieldable() then
        -- After SIGINT nobody comes back to this.
        eco.resume(main)
        bare_yield()
    end
    if failed then
        error(failed[1], 0)
    elseif not outcome then
        error('deadlock: nothing left to wait for', 0)
    elseif not outcome[1] then
        error(outcome[2], 0)
    end
    return unpack(outcome, 2, outcome.n)
end

-- Coroutines that a coroutine has resumed: by whom, as long as it waits for them.
local inner = setmetatable({}, { __mode = 'k' })
-- What such a one yields to have a call made where it was resumed.
local CALL = {}

local function answer(ok, ...)
    if ok then return ... end
    error((...), 0)
end

-- The coroutine that runs the script is the thread's own state: the outermost function of it is a main chunk.
local kinds = setmetatable({}, { __mode = 'k' })

local function is_script(co)
    local known = kinds[co]
    if known == nil then
        local level, what = 0, nil
        while true do
            local info = debug.getinfo(co, level, 'S')
            if not info then break end
            if info.what ~= 'C' then what = info.what end
            level = level + 1
        end
        known = what == 'main'
        kinds[co] = known
    end
    return known
end

-- Calls `f(...)`, which may wait, so that only the running state waits.
local function block(f, ...)
    local co, is_main = running()
    if fibers[co] then
        return f(...)
    elseif is_main or co == main then
        return suspend(f, ...)
    elseif inner[co] then
        return answer(bare_yield(CALL, f, ...))
    elseif not main and is_script(co) then
        main = co
        return suspend(f, ...)
    end
    -- A coroutine of `eco.run`.
    if not is_foreign then
        is_foreign, is_open = true, true
        if pending() then drive() end
    end
    return f(...)
end

-- Coroutines inside of states

local function pass(co, ...)
    local ok, mark = ...
    if ok and mark == CALL then
        return pass(co, bare_resume(co, pcall(block, select(3, ...))))
    end
    return ...
end

local function leave(co, outer, ...)
    inner[co] = outer
    return ...
end

local function resume(co, ...)
    if type(co) ~= 'thread' then return bare_resume(co, ...) end
    local outer = inner[co]
    inner[co] = running()
    return leave(co, outer, pass(co, bare_resume(co, ...)))
end

local function unwrap(co, ok, ...)
    if ok then return ... end
    if status(co) == 'dead' then close(co) end
    error((...), 0)
end

coroutine.yield = yield
coroutine.resume = resume

function coroutine.wrap(f)
    local co = create(f)
    return function(...) return unwrap(co, resume(co, ...)) end
end

-- Fibers

local Fiber, new_fiber = class 'luv.fiber'

local function finish(fiber, ...)
    local is_awaited = fiber.joiners[1] ~= nil
    fiber.results = pack(...)
    fibers[fiber.co] = nil
    rouse(fiber.joiners)
    -- The driver ends with the last one.
    if next(fibers) == nil then drive() end
    -- The thread's own state gets the error in any case.
    if not ... and (is_suspended or not is_awaited) then fail((select(2, ...))) end
end

local function body(fiber)
    fiber.co = running()
    bare_yield()
    local arguments = fiber.arguments
    fiber.arguments = nil
    finish(fiber, pcall(fiber.f, unpack(arguments, 1, arguments.n)))
end

local function start(fiber)
    if fiber.co then return end
    local co = eco.run(body, fiber)
    fibers[co] = fiber
    ready(co)
    drive()
end

function Fiber:ready()
    start(self)
    return self
end

local function join(fiber)
    if not fiber.results then
        if fiber.co == running() then error('a fiber cannot join itself', 0) end
        start(fiber)
        park(fiber.joiners)
    end
    local results = fiber.results
    if not results[1] then error(results[2], 0) end
    return settle(unpack(results, 2, results.n))
end

function Fiber:join()
    return block(join, self)
end

local function new(f, ...)
    want('function', f, 1, 'create')
    return new_fiber { f = f, arguments = pack(...), joiners = {} }
end

-- Threads

local Thread, new_thread = class 'luv.thread'

local own = new_thread {}

-- Beside the bytes there is what they name and must not go before they are read.
local function enter(...)
    require 'luv'
    return debug.getregistry()['luv:thread'](...)
end

local function encode(...)
    I.passed = {}
    local ok, bytes = pcall(native.encode, ...)
    local passed = I.passed
    I.passed = nil
    if not ok then error(bytes, 0) end
    return bytes, unpack(passed)
end

local function call(f, ...)
    return f(...)
end

-- The whole life of a thread but for what is around it.
registry['luv:thread'] = function(bytes, ...)
    main = running()
    local luv = I.luv
    luv.stdin, luv.stdout, luv.stderr = nil, nil, nil
    return encode(call(native.decode(bytes)))
end

local function spawn(f, ...)
    want('function', f, 1, 'spawn')
    local handle, problem = require 'eco.thread'.spawn({ name = 'luv' }, enter, encode(f, ...))
    if not handle then error(I.text(problem), 2) end
    return new_thread { handle = handle }
end

local function join_thread(thread)
    if not thread.handle or thread == own then error('a thread cannot join itself', 0) end
    local bytes, problem = thread.handle:join()
    if bytes then return bytes end
    local traceback = type(problem) == 'table' and problem.traceback
    error(traceback and traceback ~= '' and problem.message .. '\n' .. traceback or tostring(problem), 0)
end

local function results(_, ...)
    return ...
end

function Thread:join()
    -- Its handle keeps what the bytes name.
    return results(self, native.decode(block(join_thread, self)))
end

local function self()
    local co = running()
    while co do
        if fibers[co] then return fibers[co] end
        co = inner[co]
    end
    return own
end

-- Timers

local Timer, new_timer = class 'luv.timer'

-- In a coroutine of its own.
local function fire(timer, self)
    if self.interval > 0 then
        local now = native.hrtime()
        self.due = self.due + self.interval * 1000000
        if self.due < now then self.due = now end
        timer:set((self.due - now) / 1e9)
    end
    local list = self.waiters
    self.waiters = {}
    rouse(list)
end

local function set(timer, milliseconds)
    timer.due = native.hrtime() + milliseconds * 1000000
    timer.timer:set(milliseconds / 1000)
end

local LONGEST = 1 << 40

local function milliseconds(value, position)
    return math.max(0, math.min(integer(value, 0, position, 'start'), LONGEST))
end

function Timer:start(delay, interval)
    delay, interval = milliseconds(delay, 1), milliseconds(interval, 2)
    self.interval = interval
    self.timer = self.timer or time.timer(fire, self)
    set(self, delay)
    return 0
end

function Timer:again()
    if not self.timer then return -1 end
    if self.interval > 0 then set(self, self.interval) end
    return 0
end

function Timer:stop()
    if self.timer then self.timer:cancel() end
    return 0
end

local function await(object)
    park(object.waiters)
    return 0
end

function Timer:wait()
    return block(await, self)
end

-- Idle watchers

local Idle, new_idle = class 'luv.idle'

function Idle:start()
    idles[self] = true
    if self.waiters[1] then drive() end
    return 0
end

function Idle:stop()
    idles[self] = nil
    return 0
end

local function await_idle(idle)
    if idles[idle] then drive() end
    return await(idle)
end

function Idle:wait()
    return block(await_idle, self)
end

local function sleep(seconds)
    want('number', seconds, 1, 'sleep')
    block(eco.sleep, seconds)
    return seconds
end

I.class, I.library, I.want, I.integer, I.block, I.park, I.wake = class, library, want, integer, block, park, wake

local luv = library('luv', {
    self = self, sleep = sleep, hrtime = native.hrtime,
    fiber = library('luv_fiber', { create = new, yield = yield }),
    thread = library('luv_thread', { spawn = spawn, create = spawn }),
    timer = library('luv_timer', { create = function() return new_timer { waiters = {}, interval = 0 } end }),
    idle = library('luv_idle', { create = function() return new_idle { waiters = {} } end }),
    codec = library('luv_codec', { encode = native.encode, decode = native.decode }),
})
I.luv = luv

registry['luv:parts'] = I

-- Replaced by that of ØMQ, which this loads.
registry['luv:zmq:decoder'] = function(address)
    return luv.zmq and registry['luv:zmq:decoder'](address)
end

-- ØMQ is a package of its own, loaded when it is first used.
function luv.__index(_, name)
    if name ~= 'zmq' then return nil end
    local found, zmq = pcall(require, 'luv.zmq')
    if not found then error('luv.zmq needs the package lua-eco-zmq: ' .. tostring(zmq), 2) end
    luv.zmq = zmq
    return zmq
end
