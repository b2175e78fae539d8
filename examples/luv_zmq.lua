-- ØMQ between threads of Luv: a ventilator, two workers, and a sink.
--
--     eco examples/luv_zmq.lua
--
-- It prints how many of a hundred numbers each worker got, and the sum of their squares. Without libzmq it says so.

local luv = require 'luv'

local found, zmq = pcall(require, 'luv.zmq')
if not found then
    print(zmq)
    return
end

local context = zmq.create()

local tasks = context:socket(zmq.PUSH)
tasks:bind('inproc://tasks')
local results = context:socket(zmq.PULL)
results:bind('inproc://results')

-- The context passes to the thread with the function.
local function work()
    local from, to = context:socket(luv.zmq.PULL), context:socket(luv.zmq.PUSH)
    from:connect('inproc://tasks')
    to:connect('inproc://results')
    to:send('ready')
    local count = 0
    while true do
        local number = tonumber(from:recv())
        if not number then break end
        count = count + 1
        to:send(tostring(number * number))
    end
    from:close()
    to:close()
    return count
end

local workers = { luv.thread.spawn(work), luv.thread.spawn(work) }
for _ = 1, #workers do results:recv() end

local ventilator = luv.fiber.create(function()
    for number = 1, 100 do tasks:send(tostring(number)) end
    for _ = 1, #workers do tasks:send('end') end
end):ready()

local sum = 0
for _ = 1, 100 do sum = sum + assert(math.tointeger(results:recv())) end
ventilator:join()
for i, worker in ipairs(workers) do print('worker ' .. i .. ': ' .. worker:join()) end
print('sum: ' .. sum)
tasks:close()
results:close()
