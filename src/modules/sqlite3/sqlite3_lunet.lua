-- What is SQLite's own of `lunet.sqlite3`.

local I, sqlite3, facade = ...

return facade()(I, sqlite3, {
    config = function(cfg)
        if type(cfg) == 'string' then return { path = cfg } end
        if type(cfg) ~= 'table' then return nil end
        local path = cfg.path
        return { path = type(path) == 'number' and tostring(path) or path }
    end,
    escape = function(text)
        return (text:gsub("'", "''"))
    end,
})
