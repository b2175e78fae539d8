-- Fills a table that ends with the session, in a transaction, and reads it row by row.
--
--     eco examples/mysql.lua [PORT [HOST [USER [PASSWORD]]]]
--
-- Needs a MariaDB or MySQL server with a database `test`, on this machine unless told otherwise; without one it says so.

local mysql = require 'eco.mysql'

local db, err = mysql.open {
    port = tonumber(arg and arg[1]) or 3306,
    host = arg and arg[2] or '127.0.0.1',
    user = arg and arg[3],
    password = arg and arg[4],
    database = 'test',
    timeout = 10,
}
if not db then
    print('no connection:', err)
    return
end

assert(db:exec('create temporary table host(id int auto_increment primary key, name text)'))
print(db:transaction(function(t)
    local insert<close> = assert(t:prepare('insert into host(name) values (?)'))
    for _, name in ipairs { 'ap', 'modem', 'printer' } do
        assert(insert:exec(name))
    end
    return 'three hosts'
end))
for row, failure in db:rows('select id, name from host where id < ? order by name', 10) do
    assert(row, failure)
    print(row.id, row.name)
end
print(db:query('select nothing'))
db:close()
