-- Messages between contexts of node-lua that come and go: prints resident memory and descriptors by progress.
--
--     NODE_LUA_API=shipped NODE_LUA_QUIET=1 eco benches/lua/contexts_soak.lua [MESSAGES]

if not context then require 'node-lua' end
context.api('shipped')

-- Sends a pair of messages back and forth with each that asks, until it is told to end or is ended.
if context.parent ~= 0 then
    while true do
        local _, from, session, value, text = context.recv(0)
        if session < 0 then return end
        context.reply(from, session, value + 1, text)
    end
end

local eco = require 'eco'

local PAIRS, EACH = 16, 250
local total = tonumber((...)) or 1000000

local function count(command)
    local pipe<close> = assert(io.popen(command))
    return tonumber(pipe:read('a'):match('%d+'))
end

local pid = assert(io.open('/proc/self/stat')):read('a'):match('%d+')

local function told()
    collectgarbage()
    collectgarbage()
    local statm<close> = assert(io.open('/proc/self/statm'))
    local pages = tonumber(statm:read('a'):match('%d+ (%d+)'))
    return ('%d KB resident, %d descriptors'):format(pages * 4, count('ls /proc/' .. pid .. '/fd | wc -l'))
end

local function round()
    local all, left = {}, PAIRS
    for i = 1, PAIRS do
        all[i] = context.create(arg[0])
        eco.run(function()
            for n = 1, EACH do
                local ok, value, text = context.query(all[i], n, 'some text')
                assert(ok and value == n + 1 and text == 'some text', value)
            end
            -- Half of them end by themselves.
            if i % 2 == 0 then context.send(all[i], 0) else context.destroy(all[i]) end
            context.wait(all[i])
            left = left - 1
        end)
    end
    while left > 0 do eco.sleep(0.001) end
end

eco.run(function()
    local messages, step = 0, total // 10
    local next_step = step
    while messages < total do
        round()
        messages = messages + 2 * PAIRS * EACH
        if messages >= next_step then
            next_step = next_step + step
            print(messages, told())
        end
    end
    os.exit(0, true)
end)
