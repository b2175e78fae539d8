-- What each coroutine waits for: the list that `eco --dump-on SIGUSR1` writes when that signal comes.
--
--     eco examples/tasks.lua
--
-- It prints the list as text on standard error when the signal comes, and, made by hand, on standard output.

local eco = require 'eco'
local sync = require 'eco.sync'
local sys = require 'eco.sys'

local function print_tasks()
    for _, task in ipairs(eco.tasks()) do
        local waits = task.waits and ('%s, for %.2f s'):format(task.waits, task.waited or 0) or ''
        print(('%-10s %-28s %s'):format(task.state, task.where, waits))
    end
end

eco.run(function()
    local mutex = sync.mutex()
    mutex:lock()
    local waiter = eco.run(function() mutex:lock() end)
    local child = assert(sys.exec('sleep', '60'))
    local other = eco.run(function() child:wait() end)

    eco.sleep(0.05)
    print_tasks()

    child:kill()
    coroutine.close(waiter)
    coroutine.close(other)
end)

eco.loop()
