-- The drivers under one name: `open` looks at `cfg.driver`, the rest at whose connection it is given.

local I = ...

local NAMES = { sqlite = 'sqlite3', sqlite3 = 'sqlite3', mysql = 'mysql', postgres = 'postgres' }

local M = {}
local drivers, last = {}, nil

local function driver(name)
    local found = drivers[name]
    if not found then
        found = require('lunet.' .. name)
        drivers[name] = found
    end
    return found
end

function M.open(cfg)
    I.enter('db.open')
    if type(cfg) ~= 'table' and type(cfg) ~= 'string' then error('db.open requires params table', 2) end
    local name = type(cfg) == 'table' and cfg.driver
    if not name then name = 'sqlite3' end
    if not NAMES[name] then return nil, 'unknown database driver: ' .. tostring(name) end
    local ok, found = pcall(driver, NAMES[name])
    if not ok then return nil, ("no database driver '%s': package lua-eco-lunet-%s"):format(name, NAMES[name]) end
    last = found
    return found.open(cfg)
end

-- The driver of a connection; any has the right words for what is none.
local function of(conn)
    for _, found in pairs(drivers) do
        if found.knows(conn) then return found end
    end
    return driver('sqlite3')
end

for _, name in ipairs { 'close', 'query', 'exec', 'query_params', 'exec_params' } do
    M[name] = function(...)
        I.enter('db.' .. name)
        return of((...))[name](...)
    end
end

function M.escape(text)
    return (last or driver('sqlite3')).escape(text)
end

return M
