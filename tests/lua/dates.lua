-- Dates that do not fit 32 bits: signed ones end in January 2038.

local eco = require 'eco'
local file = require 'eco.file'
local time = require 'eco.time'

-- Noon of 20 June 2099.
local LATE = 4085640000

case('file times', function()
    local path = T.path('late')
    assert(os.execute(('touch -d @%d %s'):format(LATE, path)))
    T.eq(file.stat(path).mtime, LATE)
    T.eq(file.lstat(path).mtime, LATE)
end)

case('a timer for such a date stays set, and costs nothing', function()
    local fired
    local timer = assert(time.on(LATE, function() fired = true end))
    eco.sleep(0)
    local before = os.clock()
    eco.sleep(0.3)
    local spent = os.clock() - before
    timer:cancel()
    T.eq(fired, nil)
    assert(spent < 0.15, spent)
end)

case('a raw timer for such a date stays set', function()
    local fd = assert(time.timerfd_create(time.CLOCK_REALTIME))
    T.eq(time.timerfd_settime(fd, time.TFD_TIMER_ABSTIME, LATE), true)
    T.fails('timeout', eco.reader(fd):wait(0.05))
    T.eq(time.timerfd_settime(fd, 0, LATE, 1e10), true)
    T.fails('timeout', eco.reader(fd):wait(0.05))
    file.close(fd)
end)

case('dates of Lua itself', function()
    T.eq(os.time { year = 2099, month = 6, day = 20, hour = 12 }, LATE)
    T.eq(os.date('!%Y-%m-%d %H:%M:%S', LATE), '2099-06-20 12:00:00')
end)
