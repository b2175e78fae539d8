-- Coroutine switches by eco._resume(co) and coroutine.yield().      usage: resume.lua COROUTINES SWITCHES
-- Each coroutine wakes the next one of a ring and parks itself. Prints switches per second.

local eco = require 'eco'
local now = require 'eco.time'.now
local count, switches = tonumber(arg[1]), tonumber(arg[2])
local rounds = switches // count

local function main()
    local self = coroutine.running()
    local resume, yield, ring = eco._resume, coroutine.yield, {}
    local running = count
    local function work(index)
        yield()
        local partner = ring[index % count + 1]
        for _ = 1, rounds do
            resume(partner)
            yield()
        end
        running = running - 1
        if running == 0 then
            resume(self)
        else
            resume(partner)
        end
    end
    for index = 1, count do ring[index] = eco.run(work, index) end
    local start = now()
    resume(ring[1])
    yield()
    print(('%.0f'):format(rounds * count / (now() - start)))
end

if coroutine.isyieldable() then
    main()
else
    eco.run(main)
    eco.loop()
end
