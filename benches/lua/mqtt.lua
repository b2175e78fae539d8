-- Messages per second: mqtt.lua PORT QOS COUNT. What benches/mqtt/ does in Rust: COUNT messages of 64 bytes, until all are
-- acknowledged; without a quality of service, until a last one is, which the broker reads behind them.

local eco = require 'eco'
local mqtt = require 'eco.mqtt'
local time = require 'eco.time'

local port, qos, count = math.tointeger(arg[1]), math.tointeger(arg[2]), math.tointeger(arg[3])

local function body()
    local client = mqtt.new { port = port, id = 'contender', max_inflight = 20 }
    client:on {
        error = function(text)
            if text ~= 'closed' then error(text) end
        end,
        conack = function()
            eco.run(function()
                local start = time.now(true)
                local payload = ('x'):rep(64)
                for _ = 1, count do
                    assert(client:publish('bench/topic', payload, qos))
                end
                -- Acknowledgements come in order.
                assert(client:publish('bench/topic', 'end', 1, false, { wait = 60 }))
                print(('%.0f'):format(count / (time.now(true) - start)))
                client:disconnect()
            end)
        end,
    }
    client:run()
end

eco.run(body)
if not _G.eco then
    assert(eco.loop())
end
