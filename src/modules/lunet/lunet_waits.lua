-- What the modules of lunet share: who may wait, parking and resuming, texts of errors.

local native, text = ...

local eco = require 'eco'

-- `text` gives libuv's words for those of this system.
local M = { native = native, text = text }

-- The text alone, whatever it is the end of.
function M.connect_text(message)
    return M.text(tostring(message):match('[^:]+$'):gsub('^ ', ''))
end

-- Errors of coroutines end nothing but them.
local function report(prefix, co, err)
    local ok, text = pcall(tostring, err)
    io.stderr:write(prefix, ok and text or '(error object is a ' .. type(err) .. ' value)', '\n')
    coroutine.close(co)
end

-- The coroutine that runs the script itself counts as no coroutine.
do
    local co, is_main = coroutine.running()
    local level, last = 1, nil
    while not is_main do
        local info = debug.getinfo(co, level, 'S')
        if not info then break end
        if info.what ~= 'C' then last = info.what end
        level = level + 1
    end
    M.main = last == 'main' and co or nil
end

-- The running coroutine, if it may wait.
function M.enter(name)
    local co, is_main = coroutine.running()
    if is_main or co == M.main then
        error(name .. ' must be called from coroutine', 0)
    elseif not coroutine.isyieldable() then
        error(name .. ' called in non-yieldable context', 0)
    end
    return co
end

-- A ticket is a wait of a coroutine: `deliver` ends it, once.

function M.ticket(co)
    return { co = co }
end

function M.deliver(ticket, ...)
    if ticket.n then return end
    ticket.n = select('#', ...)
    for i = 1, ticket.n do ticket[i] = select(i, ...) end
    local co = ticket.co
    -- Running: it has not begun to wait.
    if coroutine.status(co) ~= 'suspended' then return end
    local ok, err = coroutine.resume(co)
    if not ok then report('[lunet] coroutine error: ', co, err) end
end

-- Waits that were over before they began, since anybody really waited.
local immediate = 0

local function give_way(ticket)
    eco.yield()
    M.deliver(ticket)
end

-- The values that were delivered. Whoever resumes the coroutine meanwhile gets it back.
function M.wait(ticket)
    if ticket.n then
        immediate = immediate + 1
        if immediate < 32 then
            return table.unpack(ticket, 1, ticket.n)
        end
        -- Others have their turn.
        local turn = M.ticket(ticket.co)
        eco.run(give_way, turn)
        M.wait(turn)
        return table.unpack(ticket, 1, ticket.n)
    end
    immediate = 0
    repeat coroutine.yield() until ticket.n
    return table.unpack(ticket, 1, ticket.n)
end

local function work(ticket, f, ...)
    M.deliver(ticket, f(...))
end

-- Calls `f(...)`, which may wait as the scheduler's functions do; its results.
function M.call(co, f, ...)
    local ticket = M.ticket(co)
    eco.run(work, ticket, f, ...)
    return M.wait(ticket)
end

function M.spawn(fn)
    local co = coroutine.create(fn)
    local ok, err = coroutine.resume(co)
    if not ok then report('Coroutine error: ', co, err) end
end

-- An integer of any number, cut towards zero; nil for none.
function M.integer(value)
    local number = tonumber(value)
    if not number or number ~= number or number >= 2 ^ 63 or number < -2 ^ 63 then return nil end
    return math.tointeger(number < 0 and math.ceil(number) or math.floor(number))
end

-- A queue of values, each with what it weighs, and the sum of that.
local queue = {}
queue.__index = queue

function M.queue()
    return setmetatable({ first = 1, last = 0, weight = 0, weights = {} }, queue)
end

function queue:push(value, weight)
    self.last = self.last + 1
    self[self.last], self.weights[self.last] = value, weight
    self.weight = self.weight + weight
end

function queue:pop()
    local first, weights = self.first, self.weights
    local value = self[first]
    if value == nil then return nil end
    self.weight = self.weight - weights[first]
    self[first], weights[first] = nil, nil
    self.first = first + 1
    return value
end

local trace = os.getenv('LUNET_TRACE')
if trace and trace ~= '' and trace ~= '0' then
    M.trace = require 'lunet.internal.trace' (M, trace == 'verbose')
end

return M
