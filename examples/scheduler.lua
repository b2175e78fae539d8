-- Coroutines, sleeping and waiting for descriptors.
--
--     eco examples/scheduler.lua
--
-- It prints what three coroutines do side by side, and ends when all have ended.

local eco = require 'eco'

local function worker(name, pause)
    for round = 1, 3 do
        eco.sleep(pause)
        print(('%s: round %d, %d coroutines alive'):format(name, round, eco.count()))
    end
end

eco.run(worker, 'quick', 0.02)
eco.run(worker, 'slow', 0.05)

-- Standard input is read by a coroutine of its own; at most for a tenth of a second here.
eco.run(function()
    local reader = assert(eco.reader(0))
    local line, problem = reader:read('l', 0.1)
    print('standard input: ' .. (line or problem))
end)

eco.loop()
