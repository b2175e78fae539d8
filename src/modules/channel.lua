-- An error cannot be raised from a wait that the scheduler ends: it is raised here.
local send = ...

return function(channel, value, timeout)
    local sent, problem = send(channel, value, timeout)
    if sent then
        return true
    end
    if problem == 'closed' then
        error('sending on closed channel', 2)
    end
    return nil, problem
end
