-- A router's agent: publishes telemetry and answers commands over MQTT 5.
--
--     eco examples/fleet/agent.lua BROKER [NAME [CA]]
--
-- With a CA file the connection is TLS. What an agent of the simulation and one on a router have in common is in
-- `start`: `simulate.lua` runs a thousand of them in one process.

local eco = require 'eco'
local mqtt = require 'eco.mqtt'

local M = {}

-- Commands by name: each gets the words after it and gives text.
M.commands = {
    echo = function(words)
        return words
    end,
    uptime = function()
        local file<close> = assert(io.open('/proc/uptime'))
        return (file:read('a'):match('%S+'))
    end,
}

-- What the agent measures.
function M.measure(agent)
    local file<close> = assert(io.open('/proc/loadavg'))
    return ('{"name":"%s","number":%d,"load":%s}'):format(agent.name, agent.number, file:read('a'):match('%S+'))
end

local function answer(agent, message)
    local properties = message.properties
    local name, words = message.payload:match('^(%S+)%s*(.*)$')
    local command = M.commands[name]
    local ok, text = pcall(command or error, words)
    if not command then
        ok, text = false, 'unknown command'
    end
    if properties.response_topic then
        agent.client:publish(properties.response_topic, tostring(text), 1, false, {
            properties = {
                correlation_data = properties.correlation_data,
                user_properties = { status = ok and 'done' or 'failed' },
            },
        })
    end
end

-- Publishes until the broker has acknowledged it, over as many connections as that takes.
local function report(agent)
    agent.number = agent.number + 1
    local text = agent.measure(agent)
    while not agent.stopped do
        if agent.client:publish('fleet/telemetry/' .. agent.name, text, 1, false, { wait = 60 }) then
            agent.acknowledged = agent.number
            return
        end
        eco.sleep(0.5 + math.random())
    end
end

-- Starts an agent with these options of mqtt.new, and `name`, `interval`, `measure`.
function M.start(options)
    local agent = {
        name = options.name,
        measure = options.measure or M.measure,
        number = 0,
        acknowledged = 0,
    }
    options.version = 5
    options.id = 'agent-' .. agent.name
    options.reconnect = options.reconnect or { min = 1, max = 60 }
    options.will = { topic = 'fleet/status/' .. agent.name, payload = 'lost', qos = 1, retain = true }
    options.properties = { session_expiry_interval = 3600 }
    local client = mqtt.new(options)
    agent.client = client
    client:on {
        conack = function(data)
            if data.rc ~= 0 then return end
            agent.connections = (agent.connections or 0) + 1
            client:publish('fleet/status/' .. agent.name, 'here', 1, true)
            if agent.connections == 1 then
                client:subscribe('fleet/commands/' .. agent.name, 1)
            end
        end,
        publish = function(message)
            answer(agent, message)
        end,
        error = function(text)
            agent.problem = text
        end,
    }
    eco.run(client.run, client)
    eco.run(function()
        -- Not all at once.
        eco.sleep(math.random() * (options.interval or 10))
        while not agent.stopped do
            report(agent)
            eco.sleep(options.interval or 10)
        end
    end)
    return agent
end

function M.stop(agent)
    agent.stopped = true
    agent.client:disconnect()
end

if ... ~= 'agent' then
    local broker, name, ca = table.unpack(arg or {})
    if not broker then
        print('eco examples/fleet/agent.lua BROKER [NAME [CA]]')
        return
    end
    local agent = M.start {
        ipaddr = broker,
        name = name or assert(io.open('/proc/sys/kernel/hostname')):read('l'),
        ssl = ca and true,
        ca = ca,
    }
    agent.client:on('error', print)
end

return M
