-- Timers: once, again and again, at a date, cancelled.
--
--     eco examples/timers.lua
--
-- It prints five lines within a third of a second.

local time = require 'eco.time'

local start = time.now()

local function say(_, what)
    print(('%.1f s: %s'):format(time.now() - start, what))
end

time.at(0.1, say, 'once')
time.on(start + 0.3, say, 'at a date')

local left = 3
time.at(0.05, function(timer)
    say(timer, 'again')
    left = left - 1
    if left > 0 then
        timer:set(0.05)
    end
end)

assert(time.at(0.2, say, 'never')):cancel()

time.sleep(0.32)
