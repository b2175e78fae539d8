-- Calls the object of `ubus_own.lua` and prints calls per second: `ubus_call.lua SOCKET FLIGHT SECONDS`.

local eco = require 'eco'
local time = require 'eco.time'
local ubus = require 'eco.ubus'

local con = assert(ubus.connect(arg[1]))
local flight, seconds = tonumber(arg[2]), tonumber(arg[3])
local count, running = 0, flight
local start = time.now(true)

local function caller()
    local message = { text = 'hello', number = 7 }
    while time.now(true) - start < seconds do
        for _ = 1, 8 do
            local result = assert(con:call('lua', 'echo', message))
            assert(result.text == 'hello' and result.number == 7)
        end
        count = count + 8
    end
    running = running - 1
    if running == 0 then
        print(('%.0f'):format(count / (time.now(true) - start)))
        con:close()
    end
end

for _ = 1, flight do
    eco.run(caller)
end
