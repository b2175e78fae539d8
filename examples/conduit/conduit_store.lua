-- The database: a few connections, each lent to one coroutine at a time, and the steps that bring a file up to date.

local sqlite3 = require 'lunet.sqlite3'
local transactions = require 'lunet.sqlite3_tx'
local schema = require 'conduit_schema'
local sync = require 'eco.sync'

local M = {}

local free, returned = {}, sync.cond()

local function take()
    while #free == 0 do returned:wait() end
    return table.remove(free)
end

local function give(conn, ...)
    free[#free + 1] = conn
    returned:signal()
    return ...
end

-- Every row of a result; raises when the database fails, which is answered 500.
function M.query(sql, ...)
    local conn = take()
    local rows, err = give(conn, sqlite3.query(conn, sql, ...))
    if not rows then error('database: ' .. err, 0) end
    return rows
end

function M.row(sql, ...)
    return M.query(sql, ...)[1]
end

-- What was changed; or nil and why not, as for a name that is taken.
function M.exec(sql, ...)
    local conn = take()
    return give(conn, sqlite3.exec(conn, sql, ...))
end

-- Runs `f(t)`: all of it is kept, or nothing, and then nil and why.
function M.transaction(f)
    local conn = take()
    local first, second = give(conn, transactions.transaction(conn, f, 'IMMEDIATE'))
    if first == nil then return nil, tostring(second) end
    return first, second
end

local function migrate(conn)
    local version = assert(sqlite3.query(conn, 'pragma user_version'))[1].user_version
    if version > #schema then return nil, 'the file is of a later version' end
    for step = version + 1, #schema do
        local ok, err = transactions.transaction(conn, function(t)
            t.exec(schema[step])
            t.exec('pragma user_version = ' .. step)
            return true
        end, 'EXCLUSIVE')
        if not ok then return nil, tostring(err) end
    end
    return true
end

function M.open(path, count)
    -- A database in memory is one connection's own.
    if path == ':memory:' then count = 1 end
    for number = 1, count do
        local conn, err = sqlite3.open { path = path }
        if not conn then return nil, err end
        local ok
        ok, err = sqlite3.exec(conn, 'pragma foreign_keys = on; pragma journal_mode = wal; pragma synchronous = normal')
        if ok and number == 1 then ok, err = migrate(conn) end
        if not ok then return nil, err end
        free[number] = conn
    end
    return true
end

return M
