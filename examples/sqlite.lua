-- A log of measurements in SQLite: several coroutines write, one reads, and a slow question keeps nobody waiting.
--
--     eco examples/sqlite.lua

local eco = require 'eco'
local sqlite3 = require 'eco.sqlite3'

local db <close> = assert(sqlite3.open())
assert(db:exec('create table sample(source text, value real)'))

local insert <close> = assert(db:prepare('insert into sample values (?, ?)'))
local left = 3
for source = 1, 3 do
    eco.run(function()
        for i = 1, 100 do assert(insert:exec('sensor ' .. source, i * source / 10)) end
        left = left - 1
    end)
end
while left > 0 do eco.sleep(0.001) end

for row in db:rows('select source, count(*) as n, max(value) as top from sample group by source order by source') do
    print(('%s: %d values, at most %.1f'):format(row.source, row.n, row.top))
end

local ok, err = db:transaction(function(t)
    assert(t:exec('delete from sample'))
    return nil, 'changed my mind'
end)
print(ok, err, assert(db:query_row('select count(*) as n from sample')).n)

local slow = 'with recursive n(i) as (values(1) union all select i + 1 from n) select count(*) from n'
print(db:within(0.05):query(slow))
