-- Prints how many rows a second 16 coroutines select by their key, by prepared statements on some connections to a server:
-- of the accounts that pgbench makes, or of `bench.accounts` in MariaDB.
--
--     eco benches/lua/select.lua postgres|mysql SOCKET CONNECTIONS SECONDS

local eco = require 'eco'
local time = require 'eco.time'

local driver, place, connections, seconds = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])

local settings = {
    postgres = { host = place:match '^(.*)/', port = tonumber(place:match '%d+$'), user = 'postgres', database = 'postgres' },
    mysql = { unix = place, user = 'root', database = 'bench' },
}
local tables = { postgres = 'pgbench_accounts where aid = $1', mysql = 'accounts where aid = ?' }
local SQL = 'select abalance from ' .. tables[driver]
local count, running = 0, 0
local statements, dbs = {}, {}
for c = 1, connections do
    dbs[c] = assert(require('eco.' .. driver).open(settings[driver]))
    statements[c] = assert(dbs[c]:prepare(SQL))
end
local stop = time.now(true) + seconds
for i = 1, 16 do
    running = running + 1
    local statement = statements[i % connections + 1]
    eco.run(function()
        local id = i
        while time.now(true) < stop do
            id = (id * 1103515245 + 12345) % 100000
            assert(assert(statement:query(id + 1))[1].abalance == 0)
            count = count + 1
        end
        running = running - 1
    end)
end
while running > 0 do eco.sleep(0.01) end
for _, db in ipairs(dbs) do db:close() end
print(('%.0f'):format(count / seconds))
