-- CPU time of sleeping coroutines, started and finished.      usage: sleepers.lua COUNT
-- Prints milliseconds of user and system time.

local eco = require 'eco'
local count = tonumber(arg[1])
local main, running = coroutine.running(), count
local start = os.clock()

for i = 1, count do
    eco.run(function()
        eco.sleep(0.3 + i * 7919 % 1000 / 2000)
        running = running - 1
        if running == 0 then eco._resume(main) end
    end)
end
coroutine.yield()
print(('%.2f'):format((os.clock() - start) * 1000))
