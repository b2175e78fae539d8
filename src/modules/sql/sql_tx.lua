-- `transaction` of lunet's drivers, called with the driver's module and what is its own: `begin(mode)` gives SQL, or
-- nil and a message; `after`, if there is any, is SQL that follows the end.

return function(db, own)
    local M = {}

    local failure = {}
    failure.__index = failure
    failure.__name = 'lunet transaction error'

    function failure:__tostring()
        return self.message
    end

    function failure.__concat(a, b)
        return tostring(a) .. tostring(b)
    end

    local function err(message, poisoned)
        return setmetatable({ message = tostring(message), poisoned = poisoned or false }, failure)
    end

    local function reason_of(value)
        if value == nil then return 'transaction aborted' end
        return getmetatable(value) == failure and value.message or value
    end

    -- What is run on the connection, and why it failed.
    local function run(conn, sql)
        local _, message = db.exec(conn, sql)
        return message
    end

    local function raising(f, conn)
        return function(sql, ...)
            local result, message = f(conn, sql, ...)
            if result == nil then error(err(message), 0) end
            return result
        end
    end

    function M.transaction(conn, fn, mode)
        if conn == nil then return nil, err('transaction requires a connection') end
        if type(fn) ~= 'function' then return nil, err('transaction requires a function') end
        local sql, message = own.begin(mode)
        if not sql then return nil, err(message) end
        message = run(conn, sql)
        if message then return nil, err(message, true) end
        local query = raising(db.query, conn)
        local t = { query = query, exec = raising(db.exec, conn) }
        function t.query_row(...)
            return query(...)[1]
        end
        local ok, first, second = pcall(fn, t)
        local result
        if ok and first ~= nil then
            message = run(conn, 'COMMIT')
            result = message and err(message, true)
        else
            if ok then first = second end
            result = err(reason_of(first))
            message = run(conn, 'ROLLBACK')
            if message then
                result.message = result.message .. ' (ROLLBACK also failed: ' .. message .. ')'
                result.poisoned = true
            end
        end
        message = own.after and run(conn, own.after)
        if message then
            result = result or err(message)
            result.poisoned = true
        end
        if result then return nil, result end
        return first, second
    end

    return M
end
