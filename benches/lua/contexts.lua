-- What contexts of node-lua do. It prints one number.
--
--     NODE_LUA_API=shipped eco benches/lua/contexts.lua speed|messages|round-trips|broadcast|processor|memory
--
-- speed: how much faster two contexts compute than one; messages: small ones a second from one context to another; round-trips:
-- a second, a query and its answer; broadcast: of 1 KB to 1000 sockets of 100 contexts, sends a second; processor: seconds to make 10 000
-- contexts, ask each once, and end them; memory: bytes that each takes meanwhile.

local what, number = ...

if not context then require 'node-lua' end
context.api('shipped')

local roles = {}

function roles.compute()
    local _, from, session, count = context.recv(0)
    local x = 0
    for i = 1, count do x = x + i % 7 end
    context.reply(from, session, x)
end

function roles.sink()
    local count = 0
    while true do
        local _, from, session, value = context.recv(0)
        count = count + 1
        if session > 0 then return context.reply(from, session, count) end
    end
end

function roles.source()
    local _, from, session, to, count = context.recv(0)
    for i = 1, count do context.send(to, i, 'some text', true) end
    local _, seen = context.query(to, 'end')
    context.reply(from, session, seen)
end

function roles.asker()
    local _, from, session, to, count = context.recv(0)
    for i = 1, count do context.query(to, i) end
    context.send(to, 0)
    context.reply(from, session, true)
end

-- Ten sockets each, both ends of them; it reads what it is sent.
function roles.holder()
    -- First of all: what comes to who does not receive is dropped.
    local _, from, session = context.recv(0)
    local path = '/tmp/contexts-' .. number .. '-' .. context.self
    local ok, listener = tcp.listens(path)
    assert(ok, listener)
    local fds, kept = {}, {}
    for i = 1, 10 do
        local _, client = tcp.connects(path)
        local _, server = listener:accept()
        server:set_wshared(true)
        client:read(function() end)
        fds[i], kept[i] = server:fd(), { client, server }
    end
    listener:close()
    context.reply(from, session, fds)
    context.suspend()
end

if roles[what] and context.parent ~= 0 then return roles[what]() end

local eco = require 'eco'
local time = require 'eco.time'

local function clock() return time.now(true) end

local function create(role, ...) return context.create(arg[0], role, ...) end

-- A script of its own: what it weighs is measured. The environment says which form of calls is meant.
local ECHO = [[
while true do
    local _, from, session, value = context.recv(0)
    if session > 0 then context.reply(from, session, value) end
    if value == 0 then return end
end
]]
local path = os.tmpname()
assert(io.open(path, 'w')):write(ECHO):close()
local function echo() return context.create(path) end

local questions = {}

questions['speed'] = function()
    local count = 4e7
    local function run(contexts)
        local all, left = {}, contexts
        for i = 1, contexts do all[i] = create('compute') end
        eco.sleep(0.05)
        local start = clock()
        for i = 1, contexts do context.query(all[i], count, function() left = left - 1 end) end
        while left > 0 do eco.sleep(0.001) end
        return clock() - start
    end
    local one = run(1)
    return 2 * one / run(2)
end

questions['messages'] = function()
    local count, sink, source = 1000000, create('sink'), create('source')
    eco.sleep(0.05)
    local start = clock()
    local ok, seen = context.query(source, sink, count)
    assert(ok and seen == count + 1)
    return count / (clock() - start)
end

questions['round-trips'] = function()
    local count, other, asker = 300000, echo(), create('asker')
    eco.sleep(0.05)
    local start = clock()
    assert(context.query(asker, other, count))
    return count / (clock() - start)
end

questions['broadcast'] = function()
    local fds, rounds, data = {}, 50, buffer.new(('x'):rep(1024))
    for _ = 1, 100 do
        local _, found = context.query(create('holder', math.tointeger(os.time())), 'where')
        for _, fd in ipairs(found) do fds[#fds + 1] = fd end
    end
    local used = 0
    for _ = 1, rounds do
        local start = clock()
        for i = 1, #fds do tcp.write(fds[i], data) end
        used = used + clock() - start
        -- They read it meanwhile.
        eco.sleep(0.05)
    end
    return #fds * rounds / used
end

local COUNT = 10000

local function resident()
    local file<close> = assert(io.open('/proc/self/statm'))
    return tonumber(file:read('a'):match('%d+ (%d+)')) * 4096
end

local function many(finish)
    local before, start, all = resident(), os.clock(), {}
    for i = 1, COUNT do all[i] = echo() end
    for i = 1, COUNT do assert(context.query(all[i], i)) end
    local after = resident()
    if finish then
        for i = 1, COUNT do context.send(all[i], 0) end
        for i = 1, COUNT do context.wait(all[i]) end
    end
    return os.clock() - start, (after - before) / COUNT
end

questions['processor'] = function() return (many(true)) end
questions['memory'] = function() return (select(2, many(false))) end

eco.run(function()
    local value = questions[what]()
    print(value)
    os.remove(path)
    os.exit(0, true)
end)
