-- What is SQLite's own of `lunet.sqlite3_tx`.

local db, transactions = ...

local MODES = { DEFERRED = true, IMMEDIATE = true, EXCLUSIVE = true }

return transactions()(db, {
    begin = function(mode)
        if mode == nil then mode = 'DEFERRED' end
        local name = type(mode) == 'string' and mode:upper()
        if not MODES[name] then
            return nil, ('invalid transaction mode: %s (expected DEFERRED, IMMEDIATE or EXCLUSIVE)'):format(tostring(mode))
        end
        return 'BEGIN ' .. name
    end,
})
