-- What threads and the channels between them do. It prints one number.
--
--     eco benches/lua/threads.lua speed|messages|round-trips|memory
--
-- speed: how much faster two threads compute than one; messages: small ones a second from one thread to another; round-trips:
-- a second, a question and its answer; memory: bytes a waiting thread takes.

local eco = require 'eco'
local file = require 'eco.file'
local thread = require 'eco.thread'
local time = require 'eco.time'

local what = arg[1]

local function clock() return time.now(true) end

local function compute(count)
    local x = 0
    for i = 1, count do x = x + i % 7 end
    return x
end

local questions = {}

questions['speed'] = function()
    local count = 4e7
    local start = clock()
    assert(thread.spawn(compute, count)):join()
    local one = clock() - start
    start = clock()
    local a, b = assert(thread.spawn(compute, count)), assert(thread.spawn(compute, count))
    a:join()
    b:join()
    return 2 * one / (clock() - start)
end

questions['messages'] = function()
    local count, ch = 1e6, thread.channel(1000)
    local sender = assert(thread.spawn(function()
        for i = 1, count do ch:send(i, 'some text', true) end
        ch:close()
    end))
    local start, seen = clock(), 0
    for _ in ch do seen = seen + 1 end
    sender:join()
    assert(seen == count)
    return count / (clock() - start)
end

questions['round-trips'] = function()
    local count, asked, answered = 1e5, thread.channel(), thread.channel()
    local server = assert(thread.spawn(function()
        for n in asked do answered:send(n) end
    end))
    local start = clock()
    for i = 1, count do
        asked:send(i)
        assert(answered:recv() == i)
    end
    local rate = count / (clock() - start)
    asked:close()
    server:join()
    return rate
end

questions['memory'] = function()
    local function resident()
        return tonumber(file.readfile('/proc/self/statm', '*a'):match('%d+ (%d+)')) * 4096
    end
    local gate, ready, threads = thread.channel(), thread.channel(), {}
    local function start()
        threads[#threads + 1] = assert(thread.spawn(function()
            ready:send(true)
            gate:recv()
        end))
        ready:recv()
    end
    for _ = 1, 10 do start() end
    local before, count = resident(), 100
    for _ = 1, count do start() end
    local grown = resident() - before
    gate:close()
    for _, t in ipairs(threads) do t:join() end
    return grown / count
end

eco.run(function() print(('%.3f'):format(questions[what]())) end)
eco.loop()
