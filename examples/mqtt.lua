-- Subscribes, publishes to itself in every quality of service, and says farewell.
--
--     eco examples/mqtt.lua [PORT [HOST]]
--
-- Needs a broker, such as Mosquitto, on this machine unless told otherwise; without one it says so.

local eco = require 'eco'
local mqtt = require 'eco.mqtt'

local client = mqtt.new {
    port = tonumber(arg and arg[1]) or 1883,
    ipaddr = arg and arg[2] or '127.0.0.1',
    clean_session = true,
}

client:on {
    conack = function(answer)
        print('connected:', answer.reason)
        -- Whoever waits for answers does so in a coroutine of its own: `run` has to read them.
        eco.run(function()
            assert(client:subscribe { { topic = 'eco/example', qos = mqtt.QOS2 }, wait = 5 })
            for qos = mqtt.QOS0, mqtt.QOS2 do
                assert(client:publish('eco/example', 'message ' .. qos, qos, false, { wait = 5 }))
            end
            client:disconnect()
        end)
    end,
    publish = function(message)
        print(message.topic, message.payload, 'quality of service ' .. message.qos)
    end,
    error = function(text)
        print('the connection ended:', text)
    end,
}

client:run()
