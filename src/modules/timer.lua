-- The function of a coroutine that calls a timer's callback. Receives the callback and its arguments.

local call = table.pack(...)

return function()
    return call[1](table.unpack(call, 2, call.n))
end
