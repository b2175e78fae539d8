-- What not every context uses: the rest of `context`, `timer`, functions of older Lua.

local I = ...

local native, pending, expire, timers = I.native, I.pending, I.expire, I.timers
local context, timer = I.M.context, I.M.timer
local enter, wait, await, hold, new_id, begin = I.enter, I.wait, I.await, I.hold, I.new_id, I.begin
local milliseconds, bad, target, timed_out, complete = I.milliseconds, I.bad, I.target, I.timed_out, I.complete
local error, type, select, tostring, tonumber = error, type, select, tostring, tonumber
local pack, unpack = table.pack, table.unpack

-- Calls `f(...)` in a coroutine of its own at a later turn.
local function later(f, ...)
    local id, arguments = new_id(), pack(...)
    await(function() f(unpack(arguments, 1, arguments.n)) end, id)
    native.turn(id, 0)
end

I.later = later

function context.create(...)
    local handle = native.create(...)
    -- The host waits for its end.
    hold(0)
    return handle
end

function context.destroy(handle, reason)
    if handle == nil or type(handle) == 'string' then
        handle, reason = native.self, handle or reason
    end
    native.destroy(target(handle, 'destroy', 'destroy'), reason == nil and 'context destroyed' or tostring(reason))
end

-- Queries without an answer, by session: whom they went to.
local asked = {}

local function unanswered(id)
    native.forget(asked[id], id)
    asked[id] = nil
    timed_out(id)
end

local function first_only(ok, value)
    return ok, value
end

local function ask(handle, ms, callback, ...)
    local co = not callback and enter()
    local id = new_id()
    local number = native.send(handle, id, ...)
    if number then return false, number end
    asked[id] = handle
    if callback then
        await(callback, id, ms, unanswered)
        return true, id
    elseif I.form() then
        return wait(co, id, ms, unanswered)
    end
    return first_only(wait(co, id, ms, unanswered))
end

-- The same with the callback among the values, if there is one.
local function ask_all(handle, ms, ...)
    local count = select('#', ...)
    if count == 0 then error('no data to be sent', 3) end
    local callback = select(count, ...)
    if type(callback) ~= 'function' then return ask(handle, ms, nil, ...) end
    if count == 1 then error('no data to be sent', 3) end
    local values = pack(...)
    return ask(handle, ms, callback, unpack(values, 1, count - 1))
end

function context.query(handle, ...)
    handle = target(handle, 'query to', 'query')
    if I.form() then return ask_all(handle, nil, ...) end
    local data, timeout, callback = ...
    if select('#', ...) == 0 or type(data) == 'function' then error('no data to be sent', 2) end
    local is_timed = type(timeout) ~= 'function'
    if not is_timed then timeout, callback = nil, timeout end
    if callback == nil then return ask(handle, milliseconds(timeout, 3, 'query'), nil, data) end
    if type(callback) ~= 'function' then bad(4, 'query', 'function', callback) end
    return ask(handle, milliseconds(timeout, 3, 'query'), function(ok, value)
        callback(ok, value, handle, data, timeout)
    end, data)
end

function context.timed_query(handle, seconds, ...)
    handle = target(handle, 'query to', 'timed_query')
    return ask_all(handle, milliseconds(seconds, 2, 'timed_query'), ...)
end

function I.answer(from, id, ...)
    local handle = asked[id]
    if not handle then return end
    asked[id] = nil
    -- Another one has answered for it.
    if handle ~= from then native.forget(handle, id) end
    return complete(id, ...)
end

-- The wait with a callback for the end of a handle.
local ends = {}

function context.wait(handle, ...)
    handle = target(handle, 'wait', 'wait')
    if handle == native.self then error("can't wait self to die away", 2) end
    local timeout, callback = ...
    local count = select('#', ...)
    local is_timed = type(timeout) ~= 'function'
    if not is_timed then timeout, callback = nil, timeout end
    if callback ~= nil and type(callback) ~= 'function' then bad(3, 'wait', 'function', callback) end
    local ms = milliseconds(timeout, 2, 'wait')
    local co
    if callback or count > 0 and timeout == nil then
        local old = ends[handle]
        if old and pending[old] then
            native.unwait(handle, old)
            pending[old] = nil
            if expire[old] then native.untimer(old) end
            expire[old] = nil
            hold(-1)
        end
        ends[handle] = nil
        if not callback then return end
    else
        co = enter()
    end
    local id = new_id()
    local number = native.wait(handle, id)
    if co and number then return false, 210 end
    local late = ms and function()
        native.unwait(handle, id)
        timed_out(id)
    end
    if co then return wait(co, id, ms, late) end
    ends[handle] = id
    await(function(ok, found)
        if ends[handle] == id then ends[handle] = nil end
        if is_timed and count > 1 then return callback(ok, found, handle, timeout) end
        return callback(ok, found, handle)
    end, id, ms, late)
    if number then native.turn(id, number) end
end

context.strerror = native.strerror
context.thread = native.thread

context.log = I.line

function context.run(f, ...)
    if type(f) ~= 'function' then bad(1, 'run', 'function', f) end
    later(f, ...)
end

function context.suspend()
    local co = enter()
    while true do wait(co, new_id()) end
end

-- Which form of calls is meant; the one from now on.
function context.api(name)
    if name ~= nil and name ~= 'seed' and name ~= 'shipped' then
        error("bad argument #1 to 'api' (seed or shipped expected)", 2)
    end
    local is_shipped
    if name then is_shipped = name == 'shipped' end
    return I.form(is_shipped) and 'shipped' or 'seed'
end

-- timer

function timer.sleep(seconds)
    local ms = milliseconds(seconds, 1, 'sleep')
    if seconds == nil then bad(1, 'sleep', 'number', seconds) end
    wait(enter(), new_id(), ms or 1, complete)
end

-- The values before the callback, which is the last one.
local function with_callback(name, first, ...)
    local values = pack(...)
    local callback = values[values.n]
    if type(callback) ~= 'function' then bad(first + math.max(values.n, 1) - 1, name, 'function', callback) end
    values.callback, values.n = callback, values.n - 1
    return values
end

local function start(entry, ms, repeated)
    local id = new_id()
    timers[id] = entry
    hold(1)
    native.timer(id, ms, repeated)
    return id
end

function timer.timeout(seconds, ...)
    local ms = milliseconds(seconds, 1, 'timeout')
    if seconds == nil then bad(1, 'timeout', 'number', seconds) end
    local entry = with_callback('timeout', 2, ...)
    entry.once = true
    return start(entry, ms or 1, 0)
end

function timer.loop(interval, repeated, ...)
    local ms = milliseconds(interval, 1, 'loop')
    local again = milliseconds(repeated, 2, 'loop')
    if interval == nil then bad(1, 'loop', 'number', interval) end
    local entry = with_callback('loop', 3, ...)
    if not ms and not again then return end
    entry.once = not again
    return start(entry, ms or 1, again or 0)
end

function timer.close(id)
    if id ~= nil and timers[id] then
        timers[id] = nil
        hold(-1)
        native.untimer(id)
    end
end

-- Calls `f()` so much later; that does not keep the context alive.
function I.after(ms, f)
    local id = new_id()
    expire[id] = f
    native.timer(id, ms, 0)
end

function I.maxn(t)
    local most = 0
    for key in pairs(t) do
        if type(key) == 'number' and key > most then most = key end
    end
    return most
end

-- `module(name, ...)`: the rest of the chunk defines what `require` gives.
function I.module(name, ...)
    local made = package.loaded[name]
    if type(made) ~= 'table' then made = {} end
    package.loaded[name] = made
    local place = _G
    local parent, leaf = name:match('^(.*%.)([^.]*)$')
    for word in (parent or ''):gmatch('[^.]+') do
        place[word] = place[word] or {}
        place = place[word]
    end
    place[leaf or name] = made
    made._M, made._NAME, made._PACKAGE = made, name, parent or ''
    for i = 1, select('#', ...) do (select(i, ...))(made) end
    debug.setupvalue(debug.getinfo(2, 'f').func, 1, made)
end
