-- The functions of lunet's drivers over a module of ours: what waits does so as lunet's calls do.
--
-- Called with what the modules of lunet share, our module, and what is the driver's own: `escape(text)`, and
-- `config(table)`, which gives what our `open` takes.

return function(I, module, own)
    local M = {}

    -- Connections of this driver, by what scripts hold of them.
    local known = setmetatable({}, { __mode = 'k' })
    local conn_type = { __name = 'lunet connection', __metatable = false }

    local function pair(value, err)
        if value == nil then return nil, err end
        return value, nil
    end

    function M.open(cfg)
        local co = I.enter('db.open')
        local config = own.config(cfg)
        if not config then error('db.open requires params table', 2) end
        local db, err = I.call(co, module.open, config)
        if not db then return nil, err end
        local conn = setmetatable({}, conn_type)
        known[conn] = db
        return conn, nil
    end

    function M.close(...)
        local co = I.enter('db.close')
        if select('#', ...) == 0 then return 'db.close requires a connection' end
        local db = known[(...)]
        if not db then return 'db.close requires a valid connection' end
        I.call(co, db.finish, db)
        return nil
    end

    local function call(name, method)
        name = 'db.' .. name
        return function(...)
            local co = I.enter(name)
            local conn, sql = ...
            if select('#', ...) < 2 or type(sql) ~= 'string' and type(sql) ~= 'number' then
                return nil, name .. ' requires connection and sql string'
            end
            local db = conn ~= nil and known[conn]
            if not db then return nil, name .. ' requires a valid connection' end
            return pair(I.call(co, db[method], db, select(2, ...)))
        end
    end

    M.query, M.exec = call('query', 'query'), call('exec', 'exec')
    M.query_params, M.exec_params = call('query_params', 'query'), call('exec_params', 'exec')

    function M.escape(text)
        if type(text) ~= 'string' and type(text) ~= 'number' then
            error(("bad argument #1 to 'escape' (string expected, got %s)"):format(text == nil and 'no value' or type(text)), 2)
        end
        return (own.escape(tostring(text)))
    end

    -- For `lunet.db`: whether a connection is one of this driver's.
    function M.knows(conn)
        return conn ~= nil and known[conn] ~= nil
    end

    return M
end
