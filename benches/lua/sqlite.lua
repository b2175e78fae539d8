-- Prints how many rows a second 16 coroutines select by their key on 4 connections; makes the file first if it is not
-- there. Or, with `latency`, the 99th percentile of how long sleeps of 10 ms take while a query of 2 s runs, in ms.
--
--     eco benches/lua/sqlite.lua FILE SECONDS|latency

local eco = require 'eco'
local time = require 'eco.time'
local sqlite3 = require 'eco.sqlite3'

local path, seconds = arg[1], tonumber(arg[2])

if not seconds then
    local db <close> = assert(sqlite3.open())
    local late, done = {}, false
    eco.run(function()
        local _, err = db:within(2):query('with recursive n(i) as (values(1) union all select i + 1 from n) select count(*) from n')
        assert(err == 'timeout', err)
        done = true
    end)
    while not done do
        local start = time.now(true)
        eco.sleep(0.01)
        late[#late + 1] = (time.now(true) - start) * 1000
    end
    table.sort(late)
    print(('%.2f'):format(late[math.ceil(#late * 0.99)]))
    return
end

do
    local db <close> = assert(sqlite3.open(path))
    if not db:query('select 1 from item limit 1') then
        assert(db:exec([[
            create table item(id integer primary key, name text, value real);
            with recursive n(i) as (values(1) union all select i + 1 from n where i < 10000)
            insert into item select i, 'item ' || i, i / 7.0 from n]]))
    end
end

local SQL = 'select id, name, value from item where id = ?'
local count, stop, running = 0, time.now(true) + seconds, 0
for c = 1, 4 do
    local db = assert(sqlite3.open(path))
    local left = 4
    for seed = 1, 4 do
        running = running + 1
        eco.run(function()
            local id = c * seed
            while time.now(true) < stop do
                for _ = 1, 100 do
                    id = (id * 1103515245 + 12345) % 10000
                    local row = assert(db:query(SQL, id + 1))[1]
                    assert(row.id == id + 1)
                    count = count + 1
                end
            end
            left, running = left - 1, running - 1
            if left == 0 then db:close() end
        end)
    end
end
while running > 0 do eco.sleep(0.01) end
print(('%.0f'):format(count / seconds))
