local thread, Error = ...

-- What a thread of a pool runs: each job in a coroutine of its own, so that one that waits keeps none from running.
local function work(jobs)
    local eco = require 'eco'

    -- A coroutine that a job has left behind failed: that is no reason to end others.
    eco.set_panic_hook(function(message)
        io.stderr:write(message, '\n')
        return true
    end)

    local function failure(value)
        local ok, text = pcall(tostring, value)
        text = ok and type(text) == 'string' and text or type(value)
        return { text, debug.traceback(nil, 2), type(value) ~= 'string' and value or nil }
    end

    local function answer(reply, ok, ...)
        if ok then
            -- Results that cannot be sent are an error.
            local sent, problem = pcall(reply.send, reply, true, ...)
            if not sent then reply:send(false, problem) end
            return
        end
        local failed = ...
        if not pcall(reply.send, reply, false, table.unpack(failed, 1, 3)) then
            reply:send(false, failed[1], failed[2])
        end
    end

    local function run(reply, f, ...)
        answer(reply, xpcall(f, failure, ...))
    end

    local function take(reply, ...)
        if reply then eco.run(run, reply, ...) end
        return reply
    end

    while take(jobs:recv()) do end
end

local Pool = {}
Pool.__index = Pool
require 'eco'._kind(Pool, 'eco.thread.pool', function(self) return self.size .. (self.closed and ' threads, closed' or ' threads') end)

-- Starts what threads are missing.
local function fill(pool)
    for i = 1, pool.size do
        local worker = pool.workers[i]
        if not worker or not worker:is_running() then
            local problem
            worker, problem = thread.spawn({ name = 'pool-' .. i, memory = pool.memory, stack = pool.stack }, work, pool.jobs)
            if not worker then return nil, problem end
            pool.workers[i] = worker
        end
    end
    return true
end

local function finish(pool, ok, ...)
    if ok then return ... end
    local message, traceback, value = ...
    if ok == nil then
        if message == 'closed' and not pool.closed then fill(pool) end
        message = message == 'closed' and 'the thread has ended' or message
    end
    return nil, setmetatable({ message = message, traceback = traceback, value = value }, Error)
end

function Pool:run(f, ...)
    if type(f) ~= 'function' then
        error(("bad argument #1 to 'run' (function expected, got %s)"):format(type(f)), 2)
    end
    if not coroutine.isyieldable() then error('attempt to yield from outside a coroutine', 2) end
    if self.closed then return nil, 'closed' end
    local filled, problem = fill(self)
    if not filled then return nil, problem end
    local reply = thread.channel(1)
    self.jobs:send(reply, f, ...)
    return finish(self, reply:recv())
end

function Pool:close()
    self.closed = true
    self.jobs:close()
end

Pool.__close = Pool.close
Pool.__gc = Pool.close

function thread.pool(size, options)
    if size == nil then size = thread.cores() end
    if math.type(size) ~= 'integer' or size < 1 or size > 1024 then
        error("bad argument #1 to 'pool' (out of range)", 2)
    end
    options = options or {}
    require 'eco'._options(options, 'memory stack', 2, 'pool', true)
    local pool = setmetatable({
        size = size, memory = options.memory, stack = options.stack, jobs = thread.channel(), workers = {},
    }, Pool)
    local filled, problem = fill(pool)
    if not filled then
        pool:close()
        return nil, problem
    end
    return pool
end
