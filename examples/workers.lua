-- A pool of workers fed through a channel, with a waitgroup, a mutex and a condition variable.
--
--     eco examples/workers.lua
--
-- It prints the sum of the squares of 1 to 20, computed by four workers.

local channel = require 'eco.channel'
local eco = require 'eco'
local sync = require 'eco.sync'

local jobs, results = channel.new(4), channel.new(4)
local group, output, finished = sync.waitgroup(), sync.mutex(), sync.cond()

-- Everything that a channel gives until it is closed.
local function values(from)
    return function() return from:recv() end
end

for worker = 1, 4 do
    group:add(1)
    eco.run(function()
        local done = 0
        for number in values(jobs) do
            eco.sleep(0.001)
            results:send(number * number)
            done = done + 1
        end
        output:lock()
        print(('worker %d did %d jobs'):format(worker, done))
        output:unlock()
        group:done()
    end)
end

eco.run(function()
    local sum = 0
    for square in values(results) do
        sum = sum + square
    end
    finished:signal(sum)
end)

eco.run(function()
    for number = 1, 20 do
        jobs:send(number)
    end
    jobs:close()
    group:wait()
    results:close()
end)

print('sum: ' .. finished:wait(5))
