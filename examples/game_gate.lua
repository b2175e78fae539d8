-- A gate for players: it takes connections and frames, an agent in a Lua state of its own thinks about each player's
-- messages, on all cores, and answers through the gate's socket. Here the players are contexts, too.
--
--     eco examples/game_gate.lua [PORT]

local PLAYERS, ROUNDS = 8, 5

local role, number = ...
local FRAMES = { read_head_bytes = 2, write_head_bytes = 2 }

if role == 'agent' then
    local score = 0
    while true do
        local _, message = context.recv(context.parent)
        score = score + assert(tonumber(tostring(message)))
        tcp.write(math.tointeger(number), 'score ' .. score)
    end
elseif role == 'player' then
    local ok, socket = tcp.connect('127.0.0.1', number)
    assert(ok, socket)
    socket:set_rwopt(FRAMES)
    local answer
    for round = 1, ROUNDS do
        socket:write(tostring(round))
        ok, answer = socket:read(10)
        assert(ok, answer)
    end
    context.send(context.parent, tostring(answer))
    socket:close()
    return
end

require 'node-lua'
local eco = require 'eco'

eco.run(function()
    local port = tonumber(role) or 9901
    local ok, listener = tcp.listen('127.0.0.1', port)
    assert(ok, ok or context.strerror(listener))

    listener:accept(function(_, socket)
        socket:set_rwopt(FRAMES)
        socket:set_wshared(true)
        local agent = context.create(arg[0], 'agent', socket:fd())
        socket:read(function(read, message)
            if read then return context.send(agent, message) end
            context.destroy(agent, 'the player has left')
            socket:close()
        end)
    end)

    for _ = 1, PLAYERS do context.create(arg[0], 'player', port) end
    for _ = 1, PLAYERS do
        local _, score, player = context.recv(0, 10)
        print(('player %d: %s'):format(player, score))
    end
    listener:close()
end)
