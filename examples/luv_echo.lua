-- Luv: an echo server of fibers, a client in a thread of its own.
--
--     eco examples/luv_echo.lua
--
-- It prints what the client was told, how often a timer fired meanwhile, and ends.

local luv = require 'luv'

local server = luv.net.tcp()
assert(server:bind('127.0.0.1', 0) == 0)
server:listen()
local port = server:getsockname().port

local function serve(client)
    while true do
        local n, data = client:read()
        if not n then break end
        client:write('you said: ' .. data)
    end
    client:close()
end

local acceptor = luv.fiber.create(function()
    while true do
        local client = luv.net.tcp()
        if not server:accept(client) then break end
        luv.fiber.create(serve, client):ready()
    end
end):ready()

-- The function and its upvalue pass to the thread.
local client = luv.thread.spawn(function(words)
    local answers = {}
    local socket = luv.net.tcp()
    assert(socket:connect('127.0.0.1', port))
    for i, word in ipairs(words) do
        socket:write(word)
        local _, answer = socket:read()
        answers[i] = answer
        luv.sleep(0.02)
    end
    socket:close()
    return answers
end, { 'hello', 'world' })

local timer = luv.timer.create()
local ticks = 0
local ticker = luv.fiber.create(function()
    timer:start(5, 5)
    for _ = 1, 3 do
        timer:wait()
        ticks = ticks + 1
    end
    timer:stop()
end):ready()

for _, answer in ipairs(client:join()) do print(answer) end
ticker:join()
print(ticks .. ' ticks')
server:close()
acceptor:join()
