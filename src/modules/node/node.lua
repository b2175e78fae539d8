-- What a context is made of: coroutines, who waits for what, messages. A context that only waits has this and no
-- more: the rest is loaded when it is used.
--
-- `native` is the Rust part. In a context of its own the state's roots are resumed here, and blocking calls park
-- a root with whatever it has resumed. With `eco`, the scheduler's coroutines wait instead.

local native, eco = ...

local create, resume, running = coroutine.create, coroutine.resume, coroutine.running
local status, yield, isyieldable, close = coroutine.status, coroutine.yield, coroutine.isyieldable, coroutine.close
local error, type, select, tostring, setmetatable = error, type, select, tostring, setmetatable
local pack, unpack, remove, concat = table.pack, table.unpack, table.remove, table.concat
local tonumber, integer = tonumber, native.integer

local NOT_YIELDABLE = 'attempt to yield across a C-call boundary'
local TIMEOUT = 213

-- What the parts share.
local I = { native = native, NOT_YIELDABLE = NOT_YIELDABLE }

-- Numbers of what was begun, and who is told of their ends: a coroutine, or a function for a new one. `expire`
-- has what is to be done when time is up.
local last, pending, expire = 0, {}, {}
-- How many things keep the context alive.
local active = 0

local hold, enter, park, wake, begin

if eco then
    I.active = 0
    native.chunk('host')(I, eco)
    hold, enter, park, wake, begin = I.hold, I.enter, I.park, I.wake, I.begin
else
    -- Coroutines that were made here, and those that others have resumed, by these.
    local weak = { __mode = 'k' }
    local roots, resumers = setmetatable({}, weak), setmetatable({}, weak)
    -- What roots yield: they wait, or have nothing to do.
    local PARK, IDLE = native, pending
    local idle

    function hold(change)
        active = active + change
    end

    function enter()
        local co = running()
        repeat
            if not isyieldable(co) then error(NOT_YIELDABLE, 3) end
            if roots[co] then return co end
            co = resumers[co]
        until not co
        error(NOT_YIELDABLE, 3)
    end

    function park()
        return yield(PARK)
    end

    local function after(co, ok, what)
        if ok and what == PARK then return end
        if ok and what == IDLE then
            if idle then close(co) else idle = co end
            return
        end
        if ok then what = 'attempt to yield from root coroutine' end
        native.error(what, co)
        close(co)
    end

    function wake(co, ...)
        return after(co, resume(co, ...))
    end

    local function loop(f, ...)
        f(...)
        return loop(yield(IDLE))
    end

    function begin(f, ...)
        local co = idle
        idle = nil
        if not co then
            co = create(loop)
            roots[co] = true
        end
        return after(co, resume(co, f, ...))
    end

    I.PARK, I.roots, I.resumers = PARK, roots, resumers
    I.library = pack(create, resume, running, status, yield, close)
    for name in pairs(coroutine) do
        if name ~= 'create' and name ~= 'running' and name ~= 'isyieldable' then coroutine[name] = nil end
    end
end

local function new_id()
    last = last + 1
    return last
end

-- Tells whoever waits for it that something has ended.
local function complete(id, ...)
    local waiter = pending[id]
    if not waiter then return end
    pending[id] = nil
    hold(-1)
    if expire[id] then
        expire[id] = nil
        native.untimer(id)
    end
    if type(waiter) == 'function' then return begin(waiter, ...) end
    return wake(waiter, ...)
end

local function timed_out(id)
    complete(id, false, TIMEOUT)
end

-- `waiter` is told of the end of `id`; after so many milliseconds `late(id)` is called instead.
local function await(waiter, id, ms, late)
    pending[id] = waiter
    hold(1)
    if ms then
        expire[id] = late or timed_out
        native.timer(id, ms, 0)
    end
end

-- The same for the running coroutine, which `enter` gave: the results.
local function wait(co, id, ms, late)
    await(co, id, ms, late)
    return park(co)
end

local function bad(index, name, expected, value)
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(index, name, expected,
        value == nil and 'no value' or type(value)), 3)
end

-- A timeout in milliseconds, nil for none.
local function milliseconds(seconds, index, name)
    if seconds == nil then return nil end
    local number = tonumber(seconds)
    if not number then bad(index, name, 'number', seconds) end
    if not (number >= 0.001) then return nil end
    return integer((number < 1e12 and number * 1000 or 1e15) // 1)
end

local shipped = native.shipped

-- context

local context = {
    self = native.self, parent = native.parent, winos = false, name = native.name, ncpu = native.ncpu,
}

-- The handle that a script names.
local function target(handle, what, name, is_any)
    local number = integer(tonumber(handle))
    if not number then bad(1, name, 'number', handle) end
    if number < 0 or number >= 0xffffffff or number == 0 and not is_any then
        error(('attempt to %s an illegal context:0x%08x'):format(what, number & 0xffffffff), 3)
    end
    return number
end

-- Who waits for messages of a handle, 0 for any: numbers of waits; a callback.
local waiting, callbacks = {}, {}

local function first_waiting(handle)
    local ids = waiting[handle]
    local id = ids and remove(ids, 1)
    if id and handle ~= 0 and not ids[1] then waiting[handle] = nil end
    return id
end

-- The number of a wait, or a callback and what it was set for.
local function receiver(from)
    local id = first_waiting(from)
    if id then return id end
    local callback = callbacks[from]
    if callback then return nil, callback, from end
    id = first_waiting(0)
    return id, not id and callbacks[0], 0
end

local function message(from, session, ...)
    local id, callback, handle = receiver(from)
    while eco and not id and not callback and I.has_rested() do id, callback, handle = receiver(from) end
    if id then
        if shipped then return complete(id, true, from, session, ...) end
        return complete(id, true, (...), from, session)
    elseif callback then
        if shipped then return begin(callback, true, from, session, ...) end
        return begin(callback, true, (...), from, session, handle)
    elseif session > 0 then
        native.refuse(from, session)
    end
end

function context.send(handle, ...)
    handle = target(handle, 'send to', 'send')
    if select('#', ...) == 0 then error("bad argument #2 to 'send' (value expected)", 2) end
    if eco then I.rest() end
    local number = native.send(handle, -1, ...)
    if number then return false, number end
    return true
end

function context.reply(handle, session, ...)
    handle = target(handle, 'reply to', 'reply')
    local number = integer(session)
    if not number then bad(2, 'reply', 'number', session) end
    number = native.reply(handle, number, ...)
    if number then return false, number end
    return true
end

function context.recv(handle, ...)
    handle = target(handle, 'recv from', 'recv', true)
    local value = ...
    if type(value) == 'function' then
        if not callbacks[handle] then hold(1) end
        callbacks[handle] = value
        return
    elseif value == nil and select('#', ...) > 0 then
        if callbacks[handle] then hold(-1) end
        callbacks[handle] = nil
        return
    end
    local ms = milliseconds(value, 2, 'recv')
    local co, id = enter(true), new_id()
    local ids = waiting[handle]
    if not ids then
        ids = {}
        waiting[handle] = ids
    end
    ids[#ids + 1] = id
    return wait(co, id, ms, ms and function()
        for i = 1, #ids do
            if ids[i] == id then remove(ids, i) break end
        end
        if not ids[1] and waiting[handle] == ids then waiting[handle] = nil end
        complete(id, false, TIMEOUT, 0, id)
    end)
end

local function line(...)
    local parts = pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    native.print(concat(parts, '\t', 1, parts.n) .. '\n')
end

-- Which form of calls is meant: `context.api`.
function I.form(is_shipped)
    if is_shipped ~= nil then shipped = is_shipped end
    return shipped
end

-- What runs by its number; sockets that are watched, and who is told that one can be read.
local timers, watched = {}, {}

local function fire(id)
    local entry = timers[id]
    if entry then
        if entry.once then
            timers[id] = nil
            hold(-1)
        end
        return begin(entry.callback, unpack(entry, 1, entry.n))
    end
    local late = expire[id]
    if late then
        expire[id] = nil
        return late(id)
    end
    native.untimer(id)
end

I.complete, I.await, I.wait, I.enter, I.new_id, I.hold, I.begin = complete, await, wait, enter, new_id, hold, begin
I.milliseconds, I.bad, I.target, I.timed_out, I.line = milliseconds, bad, target, timed_out, line
I.pending, I.expire, I.timers, I.watched = pending, expire, timers, watched

-- Tables that are filled when something is looked for in them that they have not, and by what.
local owners = {}

local function fill(name)
    local single
    for each, owner in pairs(owners) do
        if owner == name then
            setmetatable(each, nil)
            owners[each] = nil
            single = each
        end
    end
    if not single then return end
    local found, a, b = native.chunk(name)
    if type(found) == 'function' then return found(I, a, b) end
    for key, value in pairs(found) do
        if single[key] == nil then single[key] = value end
    end
end

local metatable = {
    __index = function(self, key) fill(owners[self]) return self[key] end,
    __pairs = function(self) fill(owners[self]) return next, self end,
}

local function part(name, each)
    owners[each] = name
    return setmetatable(each, metatable)
end

local M = {
    context = part('more', context), timer = part('more', {}), tcp = part('tcp', {}), udp = part('tcp', {}),
    buffer = part('buffer', {}),
}
I.M, I.fill = M, fill
for name, value in pairs(M) do
    _G[name] = value
    package.loaded[name] = value
end

-- What scripts for older Lua take for granted.
_G.unpack, loadstring = unpack, loadstring or load
bit32 = bit32 or part('compat', {})
if not eco then
    part('coroutine', coroutine)
    for _, name in ipairs { 'io', 'os', 'math', 'utf8', 'debug' } do
        local library = part(name, {})
        _G[name], package.loaded[name] = library, library
    end
end
table.maxn = table.maxn or function(t) fill('more') return I.maxn(t) end
function module(...) fill('more') return I.module(...) end
function package.seeall(made) setmetatable(made, { __index = _G }) end

function I.dispatch(kind, a, ...)
    if kind == 1 then message(a, ...)
    elseif kind == 2 then
        if I.answer then I.answer(a, ...) end
    elseif kind == 3 then complete(a, ...)
    elseif kind == 4 then fire(a)
    elseif kind == 5 then
        local serve = watched[a]
        if serve then serve(a) end
    elseif kind == 6 then begin(a, ...)
    elseif kind == 7 and eco then
        native.retire()
        return nil
    end
    if eco then return kind end
    return active > 0
end

package.loaded['node-lua'] = M
if eco then return setmetatable(M, { __call = I.main }) end
print = line
return I.dispatch
