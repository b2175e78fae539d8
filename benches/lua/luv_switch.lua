-- Switches of Luv's fibers by coroutine.yield().      usage: luv_switch.lua FIBERS SWITCHES
-- Prints switches per second. The loop of each fiber is that of yield.lua.

local luv = require 'luv'
local now = require 'eco.time'.now
local count, switches = tonumber(arg[1]), tonumber(arg[2])
local rounds = switches // count

local yield = coroutine.yield
local start
local function work()
    yield()
    start = start or now()
    for _ = 1, rounds do yield() end
end

local fibers = {}
for i = 1, count do fibers[i] = luv.fiber.create(work):ready() end
for i = 1, count do fibers[i]:join() end
print(('%.0f'):format(rounds * count / (now() - start)))
