-- Coroutine switches by eco.yield().      usage: yield.lua COROUTINES SWITCHES
-- Prints switches per second. The loop of each coroutine is that of c/switch.c.

local eco = require 'eco'
local now = require 'eco.time'.now
local count, switches = tonumber(arg[1]), tonumber(arg[2])
local rounds = switches // count

local function main()
    local self = coroutine.running()
    local yield, running = eco.yield, count
    local function work()
        yield()
        for _ = 1, rounds do yield() end
        running = running - 1
        if running == 0 then eco._resume(self) end
    end
    for _ = 1, count do eco.run(work) end
    local start = now()
    coroutine.yield()
    print(('%.0f'):format(rounds * count / (now() - start)))
end

if coroutine.isyieldable() then
    main()
else
    eco.run(main)
    eco.loop()
end
