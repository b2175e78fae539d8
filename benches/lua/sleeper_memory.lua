-- Memory of a sleeping coroutine.      usage: sleeper_memory.lua COUNT
-- Prints two figures in bytes a coroutine: growth of resident memory, and growth of the Lua heap within it.

local eco = require 'eco'
local count = tonumber(arg[1])

local function resident()
    collectgarbage()
    collectgarbage()
    local pages = io.open('/proc/self/statm'):read('a'):match('^%d+ (%d+)')
    return tonumber(pages) * 4096, collectgarbage('count') * 1024
end

local function sleeper()
    eco.sleep(1000)
end

eco.run(eco.sleep, 0)
eco.sleep(0.01)
local memory, heap = resident()
for _ = 1, count do eco.run(sleeper) end
eco.sleep(0)
local memory_after, heap_after = resident()
print(('%.0f %.0f'):format((memory_after - memory) / count, (heap_after - heap) / count))
os.exit(0)
