-- lunet.sqlite3, lunet.sqlite3_tx and lunet.db.

local eco = require 'eco'
local lunet = require 'lunet'
local sqlite3 = require 'lunet.sqlite3'
local tx = require 'lunet.sqlite3_tx'
local db = require 'lunet.db'

local ENDLESS = 'with recursive n(i) as (values(1) union all select i + 1 from n where i < 3000000) select count(*) as n from n'

-- Runs functions as coroutines of lunet and waits until all have ended well.
local function all(...)
    local left, failure = select('#', ...), nil
    for _, f in ipairs { ... } do
        lunet.spawn(function()
            local ok, err = xpcall(f, debug.traceback)
            if not ok then failure = failure or err end
            left = left - 1
        end)
    end
    T.await(function() return left == 0 or failure end)
    if failure then error(failure, 0) end
end

local function pack(...) return table.pack(...) end

case('calls outside of coroutines say so', function()
    for name, f in pairs {
        ['db.open'] = sqlite3.open, ['db.close'] = sqlite3.close, ['db.query'] = sqlite3.query, ['db.exec'] = sqlite3.exec,
        ['db.query_params'] = sqlite3.query_params, ['db.exec_params'] = sqlite3.exec_params,
    } do
        local results
        all(function()
            results = pack(pcall(table.sort, { 1, 2 }, function() f({}, 'x') end))
        end)
        T.eq(results, { n = 2, false, name .. ' called in non-yieldable context' })
    end
end)

case('results have lunet\'s shapes', function()
    all(function()
        T.raises('db.open requires params table', sqlite3.open)
        T.raises('db.open requires params table', sqlite3.open, 1)
        local opened = pack(sqlite3.open({}))
        T.eq(opened.n, 2)
        T.eq(opened[2], nil)
        local conn = opened[1]
        T.eq(pack(sqlite3.open({ path = '/nowhere/x' })), { n = 2, nil, 'unable to open database file' })
        T.eq(pack(sqlite3.exec(conn, 'create table t(id integer primary key, a); insert into t(a) values (1)')),
            { n = 2, { affected_rows = 1, last_insert_id = 1 } })
        T.eq(pack(sqlite3.exec_params(conn, 'insert into t(a) values (?)', 'x')), { n = 2, { affected_rows = 1, last_insert_id = 2 } })
        T.eq(pack(sqlite3.query(conn, 'select a from t order by id')), { n = 2, { { a = 1 }, { a = 'x' } } })
        T.eq(pack(sqlite3.query_params(conn, 'select a from t where id = ?', 1)), { n = 2, { { a = 1 } } })
        T.eq(pack(sqlite3.query(conn, 'select 1 where 0')), { n = 2, {} })
        T.eq(pack(sqlite3.query(conn, 'selct')), { n = 2, nil, 'near "selct": syntax error' })
        T.eq(pack(sqlite3.query(conn, 'select ?', 1, 2)), { n = 2, nil, 'parameter count mismatch: got 2, expected 1' })
        for _, name in ipairs { 'query', 'exec', 'query_params', 'exec_params' } do
            local f = sqlite3[name]
            T.eq(pack(f()), { n = 2, nil, 'db.' .. name .. ' requires connection and sql string' })
            T.eq(pack(f(conn)), { n = 2, nil, 'db.' .. name .. ' requires connection and sql string' })
            T.eq(pack(f(conn, {})), { n = 2, nil, 'db.' .. name .. ' requires connection and sql string' })
            T.eq(pack(f({}, 'select 1')), { n = 2, nil, 'db.' .. name .. ' requires a valid connection' })
            T.eq(pack(f(nil, 'select 1')), { n = 2, nil, 'db.' .. name .. ' requires a valid connection' })
        end
        T.eq(pack(sqlite3.close()), { n = 1, 'db.close requires a connection' })
        T.eq(pack(sqlite3.close({})), { n = 1, 'db.close requires a valid connection' })
        T.eq(pack(sqlite3.close(conn)), { n = 1, nil })
        T.eq(pack(sqlite3.close(conn)), { n = 1, nil })
        T.eq(pack(sqlite3.query(conn, 'select 1')), { n = 2, nil, 'connection is closed' })
    end)
    T.eq(pack(sqlite3.escape("it's")), { n = 1, "it''s" })
    T.eq(sqlite3.escape(5), '5')
    T.raises('bad argument #1', sqlite3.escape)
end)

case('a close waits for the statement in progress', function()
    local conn
    all(function() conn = assert(sqlite3.open({})) end)
    all(function()
        T.eq(sqlite3.query(conn, ENDLESS), { { n = 3000000 } })
    end, function()
        sqlite3.close(conn)
        T.eq({ sqlite3.query(conn, 'select 1') }, { nil, 'connection is closed' })
    end)
end)

case('transactions', function()
    all(function()
        local conn = assert(sqlite3.open(T.path('tx.db')))
        assert(sqlite3.exec(conn, 'create table t(a unique)'))
        local function count() return sqlite3.query(conn, 'select count(*) as n from t')[1].n end
        T.eq(pack(tx.transaction(conn, function(t)
            T.eq(t.exec('insert into t values (?)', 1).affected_rows, 1)
            T.eq(t.query_row('select a from t'), { a = 1 })
            T.eq(t.query_row('select a from t where a = 2'), nil)
            T.eq(t.query('select a from t'), { { a = 1 } })
            return 'one', 'two', 'three'
        end)), { n = 2, 'one', 'two' })
        local result, err = tx.transaction(conn, function(t)
            t.exec('insert into t values (2)')
            t.exec('insert into t values (1)')
        end, 'IMMEDIATE')
        T.eq(result, nil)
        T.eq(err.message, 'UNIQUE constraint failed: t.a')
        T.eq(err.poisoned, false)
        T.eq(tostring(err), err.message)
        T.eq('so: ' .. err, 'so: ' .. err.message)
        T.eq(select(2, tx.transaction(conn, function() return nil, 'reason' end)).message, 'reason')
        T.eq(select(2, tx.transaction(conn, function() end)).message, 'transaction aborted')
        T.eq(count(), 1)
        _, err = tx.transaction(conn, function() sqlite3.exec(conn, 'rollback') end)
        T.eq(err.message, 'transaction aborted (ROLLBACK also failed: cannot rollback - no transaction is active)')
        T.eq(err.poisoned, true)
        _, err = tx.transaction(conn, function() sqlite3.exec(conn, 'rollback') return true end)
        T.eq({ err.message, err.poisoned }, { 'cannot commit - no transaction is active', true })
        T.eq(select(2, tx.transaction()).message, 'transaction requires a connection')
        T.eq(select(2, tx.transaction(conn)).message, 'transaction requires a function')
        T.eq(select(2, tx.transaction(conn, print, 'X')).message,
            'invalid transaction mode: X (expected DEFERRED, IMMEDIATE or EXCLUSIVE)')
        sqlite3.close(conn)
        _, err = tx.transaction(conn, print)
        T.eq({ err.message, err.poisoned }, { 'connection is closed', true })
    end)
end)

case('the drivers under one name', function()
    all(function()
        local conn = assert(db.open({ driver = 'sqlite' }))
        T.eq(pack(db.query(conn, 'select 1 as a')), { n = 2, { { a = 1 } } })
        T.eq(pack(db.exec(conn, 'select 1')).n, 2)
        T.eq(pack(sqlite3.query(conn, 'select 1 as a')), { n = 2, { { a = 1 } } })
        T.eq(pack(db.query({}, 'select 1')), { n = 2, nil, 'db.query requires a valid connection' })
        T.eq(pack(db.close()), { n = 1, 'db.close requires a connection' })
        T.eq(pack(db.close(conn)), { n = 1, nil })
        T.raises('db.open requires params table', db.open)
        T.fails('unknown database driver: x', db.open({ driver = 'x' }))
    end)
    T.eq(db.escape("a'b"), "a''b")
end)
