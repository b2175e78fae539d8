-- Waiting for signals.

local I = ...

local sys = require 'eco.sys'

local M = {}

local NUMBERS = { INT = sys.SIGINT, TERM = sys.SIGTERM, HUP = sys.SIGHUP, QUIT = sys.SIGQUIT }
-- By name: the listener, and the tickets of those who wait.
local armed = {}

function M.wait(name)
    local co = I.enter('signal.wait')
    local number = NUMBERS[name]
    if not number then return nil, 'unsupported signal name' end
    local waiting = armed[name]
    if not waiting then
        waiting = {}
        local listener, err = sys.signal(number, function()
            armed[name] = nil
            waiting.listener:close()
            for _, ticket in ipairs(waiting) do I.deliver(ticket, name, nil) end
        end)
        if not listener then return nil, I.text(err) end
        waiting.listener = listener
        armed[name] = waiting
    end
    local ticket = I.ticket(co)
    waiting[#waiting + 1] = ticket
    return I.wait(ticket)
end

if I.trace then I.trace.count('SIGNAL', M, { 'wait' }, 'fire') end

return M
