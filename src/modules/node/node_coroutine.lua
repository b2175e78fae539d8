-- `coroutine`: what waits for a call of the engine's is parked with all that it has resumed.

local I = ...

local M, PARK = coroutine, I.PARK
local roots, resumers = I.roots, I.resumers
-- Those that wait for a call of the engine's.
local parked = setmetatable({}, { __mode = 'k' })
local create, resume, running, status, yield, close = table.unpack(I.library)
local type, error = type, error

local again

-- What a coroutine of the script's gives to who has resumed it, unless it is parked: then that is, too.
local function pass(co, ok, ...)
    if ok and (...) == PARK then
        parked[co] = true
        return again(co, yield(PARK))
    end
    resumers[co] = nil
    return ok, ...
end

function again(co, ...)
    parked[co] = nil
    return pass(co, resume(co, ...))
end

function M.resume(co, ...)
    if type(co) ~= 'thread' or status(co) ~= 'suspended' then return resume(co, ...) end
    if roots[co] or parked[co] then return false, 'cannot resume non-suspended coroutine' end
    resumers[co] = running()
    return pass(co, resume(co, ...))
end

function M.yield(...)
    if roots[running()] then error('attempt to yield from root coroutine', 2) end
    return yield(...)
end

function M.status(co)
    if parked[co] or (roots[co] and status(co) == 'suspended') then return 'normal' end
    return status(co)
end

function M.close(co)
    if parked[co] or roots[co] then error('cannot close a ' .. M.status(co) .. ' coroutine', 2) end
    return close(co)
end

local step = M.resume

local function results(co, ok, ...)
    if ok then return ... end
    if status(co) == 'dead' then close(co) end
    error((...), 0)
end

function M.wrap(f)
    local co = create(f)
    return function(...) return results(co, step(co, ...)) end
end
