-- Coroutines and sleeping.

local I = ...

local time = require 'eco.time'

local M = {}

function M.spawn(fn)
    if type(fn) ~= 'function' then
        error(("bad argument #1 to 'spawn' (function expected, got %s)"):format(type(fn)), 2)
    end
    I.spawn(fn)
end

local function wake(_, ticket)
    I.deliver(ticket)
end

function M.sleep(ms)
    local co = I.enter('lunet.sleep')
    local number = I.integer(ms)
    if not number then
        error(("bad argument #1 to 'sleep' (number expected, got %s)"):format(type(ms)), 2)
    elseif number < 0 then
        error('lunet.sleep duration must be >= 0', 0)
    end
    local ticket = I.ticket(co)
    time.at(number / 1000, wake, ticket)
    I.wait(ticket)
end

if I.trace then I.trace.count('TIMER', M, { 'sleep' }, 'wake') end

return M
