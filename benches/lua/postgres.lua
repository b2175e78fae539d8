-- Prints how many rows a second 16 coroutines select by their key on some connections to a server of PostgreSQL: of the
-- accounts that pgbench makes.
--
--     eco benches/lua/postgres.lua FOLDER PORT CONNECTIONS SECONDS

local eco = require 'eco'
local time = require 'eco.time'

local postgres = require 'eco.postgres'

local folder, port, connections, seconds = arg[1], tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])

local SQL = 'select abalance from pgbench_accounts where aid = $1'
local count, running = 0, 0
local statements, dbs = {}, {}
for c = 1, connections do
    dbs[c] = assert(postgres.open { host = folder, port = port, user = 'postgres', database = 'postgres' })
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
