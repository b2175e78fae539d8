-- Calls, notifications and subscriptions without end: prints resident memory by progress. `ubus_soak.lua SOCKET CALLS`.

local eco = require 'eco'
local file = require 'eco.file'
local ubus = require 'eco.ubus'

local function ignore() end

local total, flight = tonumber(arg[2]), 64
local owner, user = assert(ubus.connect(arg[1])), assert(ubus.connect(arg[1]))
local news = assert(owner:add('soak', {
    echo = { function(request, message) owner:reply(request, message) end, { n = ubus.INT32 } },
}))
assert(user:subscribe('soak', ignore))

local function resident()
    collectgarbage()
    collectgarbage()
    local pages = file.readfile('/proc/self/statm'):match('%d+ (%d+)')
    return ('%d KB resident, %.0f KB in Lua'):format(pages * 4, collectgarbage('count'))
end

local calls, running, step = 0, flight, total // 10
local function caller()
    while calls < total do
        calls = calls + 1
        local n = calls
        assert(user:call('soak', 'echo', { n = n }).n == n)
        if n % 16 == 0 then owner:notify(news, 'tick', { n = n }) end
        if n % 256 == 0 then
            assert(user:unsubscribe(assert(user:subscribe('soak', ignore))))
        end
        if n % step == 0 then print(n, resident()) end
    end
    running = running - 1
    if running == 0 then
        owner:close()
        user:close()
    end
end

for _ = 1, flight do
    eco.run(caller)
end
