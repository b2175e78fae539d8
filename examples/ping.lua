-- How far hosts are: pings all that are named, or this machine, at once.
--
--     eco examples/ping.lua [HOST…]
--
-- It prints a line for each: its round trip, or why there was none.

local eco = require 'eco'
local net = require 'eco.net'
local sync = require 'eco.sync'

local hosts = #arg > 0 and arg or { '127.0.0.1', 'localhost' }
local group = sync.waitgroup()

for _, host in ipairs(hosts) do
    group:add(1)
    eco.run(function()
        local seconds, problem = net.ping(host, { timeout = 2 })
        print(host, seconds and ('%.3f ms'):format(seconds * 1000) or problem)
        group:done()
    end)
end

group:wait()
