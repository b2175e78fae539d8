-- The other side of a fleet: takes the telemetry of all agents and sends commands.
--
--     eco examples/fleet/collector.lua BROKER [ID [GROUP [CA]]]
--
-- A collector with an ID of its own gets everything, also what came while it was away. Collectors of one GROUP share the
-- work: each report goes to one of those that are there (`$share`). A line such as `NAME uptime` on standard input is a
-- command for that agent; its answer is printed.

local eco = require 'eco'
local mqtt = require 'eco.mqtt'
local sync = require 'eco.sync'

local M = {}

-- Starts a collector, perhaps of a `group`; `telemetry(name, payload)` and `status(name, payload)` are called with what comes.
function M.start(options)
    local collector = { asked = {}, count = 0 }
    options.version = 5
    options.id = options.id or ('collector-%08x'):format(math.random(0, 0xffffffff))
    options.reconnect = options.reconnect or { min = 1, max = 60 }
    options.properties = { session_expiry_interval = 3600, receive_maximum = 1000 }
    local client = mqtt.new(options)
    collector.client = client
    collector.answers = 'fleet/answers/' .. options.id
    local first = true
    client:on {
        conack = function(data)
            -- A broker that was restarted may have forgotten that a session belongs to a group.
            if data.rc == 0 and (first or options.group) then
                first = false
                local prefix = options.group and '$share/' .. options.group .. '/' or ''
                client:subscribe(prefix .. 'fleet/telemetry/+', 1, 'fleet/status/+', 1, collector.answers, 1)
            end
        end,
        suback = function()
            collector.ready = true
        end,
        publish = function(message)
            local kind, name = message.topic:match('^fleet/(%w+)/(.+)$')
            if kind == 'telemetry' and options.telemetry then
                options.telemetry(name, message.payload)
            elseif kind == 'status' and options.status then
                options.status(name, message.payload)
            elseif kind == 'answers' then
                local asked = collector.asked[message.properties.correlation_data]
                if asked then
                    asked.answer = message
                    asked.condition:signal()
                end
            end
        end,
        error = options.problem,
    }
    eco.run(client.run, client)
    return collector
end

-- Sends a command and waits for the answer: its text, or nil and a message.
function M.ask(collector, name, command, timeout)
    collector.count = collector.count + 1
    local id = tostring(collector.count)
    local asked = { condition = sync.cond() }
    collector.asked[id] = asked
    local ok, err = collector.client:publish('fleet/commands/' .. name, command, 1, false, {
        wait = timeout,
        properties = { response_topic = collector.answers, correlation_data = id, message_expiry_interval = math.ceil(timeout) },
    })
    if ok and not asked.answer then
        ok, err = asked.condition:wait(timeout)
    end
    collector.asked[id] = nil
    if asked.answer then
        return asked.answer.payload
    end
    return nil, err
end

if ... ~= 'collector' then
    local broker, id, group, ca = table.unpack(arg or {})
    if not broker then
        print('eco examples/fleet/collector.lua BROKER [ID [GROUP [CA]]]')
        return
    end
    local collector = M.start {
        ipaddr = broker,
        id = id,
        group = group,
        ssl = ca and true,
        ca = ca,
        telemetry = print,
        status = print,
        problem = print,
    }
    local input = assert(eco.reader(0))
    for line in input.read, input, 'l' do
        local name, command = line:match('^(%S+)%s+(.+)$')
        if name then
            print(name, M.ask(collector, name, command, 10))
        end
    end
    collector.client:disconnect()
end

return M
