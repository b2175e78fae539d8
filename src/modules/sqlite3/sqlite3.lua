-- What is SQLite's own of `eco.sqlite3`.

local native, objects = ...

local MODES = { DEFERRED = true, IMMEDIATE = true, EXCLUSIVE = true }

local function number(config, name, default)
    local value = config[name]
    if value == nil then return default end
    if type(value) ~= 'number' or value ~= value or value < 0 then
        error(("option '%s' must be a number from 0 on"):format(name), 4)
    end
    return value
end

local driver = { name = 'sqlite3', again = native.again, commit = 'COMMIT', rollback = 'ROLLBACK' }

local function opened(limit, raw, err)
    if not raw then return nil, err end
    return raw, limit
end

function driver.open(config)
    if type(config) == 'string' then config = { path = config } end
    if config == nil then config = {} end
    if type(config) ~= 'table' then
        error(("bad argument #1 to 'open' (string or table expected, got %s)"):format(type(config)), 3)
    end
    require 'eco'._options(config, 'path readonly timeout busy_timeout max_result', 1, 'open', true)
    local path = config.path
    if path == nil then path = ':memory:' end
    if type(path) ~= 'string' then error("option 'path' must be a string", 3) end
    if path:find('\0', 1, true) then return nil, 'unable to open database file' end
    local limit = config.timeout ~= nil and number(config, 'timeout') or nil
    local patience = math.min(number(config, 'busy_timeout', 5) * 1000, 0x7fffffff) // 1 | 0
    local size = number(config, 'max_result', math.maxinteger)
    size = size >= 2 ^ 62 and math.maxinteger or size // 1 | 0
    return opened(limit, native.open(limit, nil, path, config.readonly, patience, size))
end

function driver.begin(mode)
    if mode == nil then mode = 'DEFERRED' end
    local name = type(mode) == 'string' and mode:upper()
    if not MODES[name] then
        error(('invalid transaction mode: %s (expected DEFERRED, IMMEDIATE or EXCLUSIVE)'):format(tostring(mode)), 3)
    end
    return 'BEGIN ' .. name
end

return objects(driver)
