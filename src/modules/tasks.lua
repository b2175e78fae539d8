-- Completes the list of `eco.tasks`, and gives it as text when that is asked for. What a coroutine waits for is told by the call
-- that has parked it: by its name, and by the object it works on.

local tasks, as_text = ...
local debug = require 'debug'

local KINDS = {
    mutex = 'lock',
    cond = 'condition',
    waitgroup = 'waitgroup',
    channel = 'channel',
    child = 'child',
    thread = 'thread',
}

-- The first object in the frame of the call.
local function object_of(co)
    local n = 1
    local name, value = debug.getlocal(co, 0, n)
    while name do
        local meta = type(value) == 'userdata' and debug.getmetatable(value)
        if meta and meta.__name then
            return (meta.__name:gsub('^struct (.-) %*$', '%1'):gsub('^eco_', 'eco.'))
        end
        n = n + 1
        name, value = debug.getlocal(co, 0, n)
    end
end

-- The innermost Lua function, of the script rather than of a module of ours.
local function place_of(co)
    local level, ours = 0, nil
    local info = debug.getinfo(co, level, 'Sl')
    while info do
        if info.currentline > 0 then
            local place = info.short_src .. ':' .. info.currentline
            if not info.source:find('^=[%l%d.]+$') or info.source == '=stdin' then return place end
            ours = ours or place
        end
        level = level + 1
        info = debug.getinfo(co, level, 'Sl')
    end
    return ours
end

for _, task in ipairs(tasks) do
    local co, callback = task.thread, task.callback
    task.waited = task.waited and task.waited / 1e9
    task.timeout = task.timeout and task.timeout / 1e9
    if callback then
        local info = debug.getinfo(callback, 'S')
        task.where = info.linedefined > 0 and info.short_src .. ':' .. info.linedefined or nil
    else
        local status = coroutine.status(co)
        if status ~= 'suspended' then task.state = status end
        task.where = place_of(co)
        if task.state == 'waiting' then
            local info = debug.getinfo(co, 0, 'n')
            task.call = info and info.name
            task.object = object_of(co)
            local kind = KINDS[(task.object or ''):match('^eco%.(%a+)')]
            if not task.waits or task.waits == 'pool' and kind == 'thread' then task.waits = kind or task.object or 'event' end
        end
    end
end

if not as_text then return tasks end

local lines = { ('eco: %d %s'):format(#tasks, #tasks == 1 and 'coroutine' or 'coroutines and timers') }
for n, task in ipairs(tasks) do
    local what = task.waits
    if task.fd then what = ('fd %d (%s)'):format(task.fd, task.events) end
    if task.call then what = ('%s in %s'):format(what, task.call) end
    if task.waited then what = ('%s for %.1f s'):format(what, task.waited) end
    if task.timeout then what = ('%s, %.1f s left'):format(what, task.timeout) end
    lines[n + 1] = ('  %-10s%s%s'):format(task.state, task.where or '?', what and ': ' .. what or '')
end
return table.concat(lines, '\n') .. '\n'
