-- Messages through a pair of ØMQ sockets between two threads of Luv, by the loops of its document.
-- usage: luv_zmq.lua COUNT      Prints messages per second.

local luv = require 'luv'
local zmq = luv.zmq.create(1)
local count = math.tointeger(arg[1])

local start = luv.hrtime()
local producer = luv.thread.create(function()
    local pub = zmq:socket(luv.zmq.PAIR)
    pub:bind('inproc://#1')
    for i = 1, count do pub:send('tick: ' .. i) end
    pub:send('STOP')
    assert(pub:recv() == 'OK')
    pub:close()
end)
local consumer = luv.thread.create(function()
    local sub = zmq:socket(luv.zmq.PAIR)
    sub:connect('inproc://#1')
    while true do
        local message = sub:recv()
        if message == 'STOP' then
            sub:send('OK')
            break
        end
    end
    sub:close()
end)
consumer:join()
producer:join()
print(('%.0f'):format(count / ((luv.hrtime() - start) / 1e9)))
