-- eco.sqlite3: values, statements, transactions, turns on a connection, limits, and what hostile callers do.

local eco = require 'eco'
local sys = require 'eco.sys'
local time = require 'eco.time'
local sqlite3 = require 'eco.sqlite3'

local ENDLESS = 'with recursive n(i) as (values(1) union all select i + 1 from n) select count(*) from n'
local NUMBERS = 'with recursive n(i) as (values(1) union all select i + 1 from n where i < ?) select i, \'row \' || i as name from n'

local function memory(options)
    return assert(sqlite3.open(options))
end

case('values come back as they were', function()
    local db<close> = memory()
    local function value(v) return assert(db:query_row('select ? as v, typeof(?1) as t', v)) end
    for _, v in ipairs { 0, 1, -1, math.maxinteger, math.mininteger, 0.5, -1e300, '', 'x', 'a\0b', ('z'):rep(100000), '\xff\xfe' } do
        T.eq(value(v).v, v)
    end
    T.eq(value(3.0), { v = 3, t = 'integer' })
    T.eq(value(true), { v = 1, t = 'integer' })
    T.eq(value(false), { v = 0, t = 'integer' })
    T.eq(value(nil), { t = 'null' })
    T.eq(value(0 / 0), { t = 'null' })
    T.eq(value({}), { t = 'null' })
    T.eq(value(print), { t = 'null' })
    T.eq(value(setmetatable({}, { __tostring = function() return 'me' end })), { v = 'me', t = 'text' })
    T.raises('no text', db.query, db, 'select ?', setmetatable({}, { __tostring = function() error('no text') end }))
    T.eq(db:query_row("select x'00ff00' as b"), { b = '\0\xff\0' })
    T.eq(db:query_row('select 1 as a, 2 as a, null as b'), { a = 2 })
    T.eq(db:query('select 1 as a union all select null union all select \'x\''), { { a = 1 }, {}, { a = 'x' } })
end)

case('what statements give', function()
    local db<close> = memory()
    T.eq(db:exec('create table t(id integer primary key, v); insert into t(v) values (1), (2)'),
        { affected_rows = 2, last_insert_id = 2 })
    T.eq(db:exec('insert into t(v) values (?); insert into t(v) values (9)', 3), { affected_rows = 1, last_insert_id = 3 })
    T.eq(db:query('update t set v = v + 1; delete from t'), {})
    T.eq(db:query('select v from t'), { { v = 2 }, { v = 3 }, { v = 4 } })
    T.eq(db:query_row('select v from t where id = 77'), nil)
    T.eq(db:query(''), {})
    T.eq(db:query(' -- nothing'), {})
    T.eq(select('#', db:query('select 1')), 1)
    T.eq(db:query('select * from t where id = 1'), { { id = 1, v = 2 } })
    assert(db:exec('alter table t add column w default 5'))
    T.eq(db:query('select * from t where id = 1'), { { id = 1, v = 2, w = 5 } })
    T.eq(select('#', db:exec('select 1')), 1)
    T.fails('near "selct": syntax error', db:query('selct'))
    T.fails('no such table: none', db:exec('insert into none values (1)'))
    T.fails('parameter count mismatch: got 1, expected 2', db:query('select ?, ?', 1))
    T.fails('parameter count mismatch: got 3, expected 2', db:query('select ?, ?', nil, nil, nil))
    T.eq(db:query('select ? as a, ? as b'), { {} })
    T.fails('UNIQUE constraint failed: t.id', db:exec('insert into t(id) values (1)'))
    T.eq(db:query_row('select count(*) as n from t where v = ?', 2).n, 1)
    T.fails('unrecognized token', db:query('select \1'))
    T.raises('bad argument #1', db.query, db)
    T.raises('bad argument #1', db.exec, db, {})
    T.raises('bad argument #1', sqlite3.open, 1)
    T.raises('timeout', sqlite3.open, { timeout = -1 })
    T.fails('unable to open database file', sqlite3.open('/nowhere/x.db'))
    T.fails('unable to open database file', sqlite3.open('a\0b'))
    local path = T.path('readonly.db')
    assert(sqlite3.open(path)):close()
    local locked<close> = memory { path = path, readonly = true }
    T.fails('attempt to write a readonly database', locked:exec('create table t(a)'))
end)

case('prepared statements and rows one by one', function()
    local db<close> = memory()
    assert(db:exec('create table t(a, b)'))
    local insert<close> = assert(db:prepare('insert into t values (?, ?)'))
    for i = 1, 1000 do assert(insert:exec(i, 'row ' .. i)) end
    T.fails('parameter count mismatch', insert:exec(1))
    local find = assert(db:prepare('select b from t where a = ?'))
    T.eq(find:query_row(500), { b = 'row 500' })
    T.eq(find:query(501), { { b = 'row 501' } })
    T.eq(find:query(0), {})
    local count = 0
    for row, err in db:rows('select a from t order by a') do
        assert(row, err)
        count = count + 1
        assert(row.a == count)
        -- Nothing that is collected closes it.
        if count % 50 == 0 then collectgarbage() end
        if count % 300 == 0 then T.eq(find:query_row(count).b, 'row ' .. count) end
    end
    T.eq(count, 1000)
    for row in find:rows(7) do T.eq(row.b, 'row 7') end
    for _ in db:rows('select 1 where 0') do error('no row') end
    for row in db:rows('select a from t') do
        if row.a == 300 then break end
    end
    -- A read that goes on would be in the way.
    assert(db:exec('drop table t'))
    local failures = {}
    for row, err in db:rows('select a from t') do failures[#failures + 1] = { row, err } end
    T.eq(failures, { { false, 'no such table: t' } })
    T.fails('no such table: t', db:prepare('select * from t'))
    T.fails('there is no statement', db:prepare(' '))
    T.eq(find:close(), true)
    T.eq(find:close(), true)
    T.fails('statement is closed', find:query(1))
end)

case('a transaction is kept or taken back', function()
    local db<close> = memory()
    assert(db:exec('create table t(a unique)'))
    local function count() return db:query_row('select count(*) as n from t').n end
    T.eq({ db:transaction(function(t) assert(t:exec('insert into t values (1)')) return 'x', 2 end) }, { 'x', 2 })
    T.eq(db:transaction(function(t) assert(t:exec('insert into t values (2)')) end, 'immediate'), true)
    T.eq(count(), 2)
    T.fails('because', db:transaction(function(t) t:exec('insert into t values (3)') return nil, 'because' end))
    T.fails('aborted', db:transaction(function(t) t:exec('insert into t values (3)') return nil end))
    T.fails('UNIQUE', db:transaction(function(t)
        assert(t:exec('insert into t values (3)'))
        assert(t:exec('insert into t values (1)'))
    end))
    local problem = {}
    T.eq(select(2, db:transaction(function() error(problem) end)), problem)
    T.eq(count(), 2)
    local kept
    db:transaction(function(t)
        kept = t
        -- The connection in the same coroutine is part of it.
        assert(db:exec('insert into t values (3)'))
        T.fails('a transaction is under way', db:transaction(print))
        T.eq(t:query_row('select count(*) as n from t').n, 3)
        return nil
    end)
    T.eq(count(), 2)
    T.fails('the transaction has ended', kept:query('select 1'))
    T.raises('bad argument #1', db.transaction, db)
    T.raises('invalid transaction mode: X', db.transaction, db, print, 'X')
    T.fails('no transaction is active', db:transaction(function(t) t:exec('rollback') end))
    T.eq(count(), 2)
end)

case('others wait until a transaction has ended', function()
    local db<close> = memory()
    assert(db:exec('create table t(a)'))
    local order = {}
    T.all(function()
        db:transaction(function(t)
            t:exec('insert into t values (1)')
            eco.sleep(0.03)
            order[#order + 1] = 'transaction'
            return nil
        end)
    end, function()
        eco.sleep(0.005)
        T.eq(db:query_row('select count(*) as n from t').n, 0)
        order[#order + 1] = 'other'
    end)
    T.eq(order, { 'transaction', 'other' })
end)

case('a coroutine that is closed in a transaction leaves nothing behind', function()
    local db<close> = memory()
    assert(db:exec('create table t(a)'))
    local inside
    local co = coroutine.create(function()
        db:transaction(function(t)
            assert(t:exec('insert into t values (1)'))
            inside = true
            while true do eco.sleep(10) end
        end)
    end)
    local waited
    T.all(function()
        assert(coroutine.resume(co))
        T.await(function() return inside end)
        local group = T.gather()
        group:run(function() waited = db:query_row('select count(*) as n from t').n end)
        eco.sleep(0.01)
        T.eq(waited, nil)
        coroutine.close(co)
        group:wait()
    end)
    T.eq(waited, 0)
end)

case('time is limited, and nobody else notices', function()
    local db<close> = memory { timeout = 5 }
    local other<close> = memory()
    local ticks, stop = 0, false
    T.all(function()
        while not stop do
            eco.sleep(0.005)
            ticks = ticks + 1
        end
    end, function()
        T.took(0.1, 0.5, function() T.fails('timeout', db:within(0.1):query(ENDLESS)) end)
        T.eq(db:query_row('select 1 as a').a, 1)
        T.took(0.1, 0.5, function() T.fails('timeout', db:within(0.1):exec(ENDLESS)) end)
        for row, err in db:within(0.05):rows(ENDLESS) do T.eq({ row, err }, { false, 'timeout' }) end
        -- In the queue, too.
        local group = T.gather()
        group:run(function() T.fails('timeout', db:within(0.2):query(ENDLESS)) end)
        T.took(0.05, 0.15, function() T.fails('timeout', db:within(0.05):query('select 1')) end)
        T.eq(other:query_row('select 2 as a').a, 2)
        group:wait()
        -- What runs is stopped, whoever else has no more time.
        for _ = 1, 3 do
            group:run(function() T.fails('timeout', db:within(0.05):query(ENDLESS)) end)
            group:run(function()
                -- Its turn may come in the very moment.
                local rows, err = db:within(0.05):query('select 1')
                assert(rows or err == 'timeout', err)
            end)
        end
        group:wait()
        T.eq(db:query_row('select 1 as a').a, 1)
        stop = true
    end)
    assert(ticks > 10, ticks)
end)

case('a statement that is cut short takes its transaction back', function()
    local db<close> = memory()
    assert(db:exec('create table t(a)'))
    local _, err = db:transaction(function(t)
        assert(t:exec('insert into t values (1)'))
        T.fails('timeout', t:within(0.02):exec('insert into t ' .. ENDLESS))
    end)
    T.eq(err, 'cannot commit - no transaction is active')
    T.eq(db:query_row('select count(*) as n from t').n, 0)
end)

case('a connection serves in order, many at once', function()
    local db<close> = memory()
    assert(db:exec('create table t(n integer primary key, a)'))
    local group = T.gather()
    for i = 1, 500 do
        group:run(function() assert(db:exec('insert into t(a) values (?)', i)) end)
    end
    group:wait()
    T.eq(db:query_row('select count(*) as n, sum(n = a) as same from t'), { n = 500, same = 500 })
    -- More than one thread serves in a row, from other coroutines each time.
    local total = 0
    for _ = 1, 8 do
        group:run(function()
            for _ = 1, 100 do
                local one = db:query_row('select 1 as a').a
                total = total + one
            end
        end)
    end
    group:wait()
    T.eq(total, 800)
end)

case('several connections share a file', function()
    local path = T.path('shared.db')
    local a<close> = memory(path)
    local b<close> = memory { path = path, busy_timeout = 0.05 }
    assert(a:exec('create table t(v)'))
    local c<close> = memory { path = path, busy_timeout = 5 }
    T.all(function()
        assert(a:transaction(function(t)
            assert(t:exec('insert into t values (1)'))
            T.took(0.05, 0.4, function() T.fails('database is locked', b:exec('insert into t values (2)')) end)
            eco.sleep(0.05)
        end, 'immediate'))
    end, function()
        eco.sleep(0.01)
        assert(c:exec('insert into t values (3)'))
        T.eq(c:query_row('select group_concat(v) as v from t'), { v = '1,3' })
    end)
    -- Waiting for a lock ends with its limit.
    assert(a:exec('begin immediate'))
    T.took(0.05, 0.4, function() T.fails('timeout', c:within(0.05):exec('insert into t values (4)')) end)
    assert(a:exec('rollback'))
    T.eq(c:query_row('select count(*) as n from t').n, 2)
end)

case('results of any size', function()
    local db<close> = memory()
    local rows = assert(db:query(NUMBERS, 100000))
    T.eq(#rows, 100000)
    T.eq(rows[99999], { i = 99999, name = 'row 99999' })
    rows = nil
    local count = 0
    for row in db:rows(NUMBERS, 5000) do count = count + row.i end
    T.eq(count, 5000 * 5001 // 2)
    local small<close> = memory { max_result = 10000 }
    T.fails('result too large', small:query(NUMBERS, 1000))
    T.fails('result too large', small:query('select zeroblob(20000)'))
    T.eq(#small:query(NUMBERS, 100), 100)
    T.fails('string or blob too big', db:query('select zeroblob(2000000000)'))
    local columns = {}
    for i = 1, 2000 do columns[i] = i .. ' as c' .. i end
    T.eq(db:query_row('select ' .. table.concat(columns, ',')).c2000, 2000)
    T.fails('too many columns', db:query('select 1 as a, ' .. table.concat(columns, ',')))
    local many = table.pack(db:query_row('select ' .. ('?,'):rep(199) .. '?', table.unpack(columns, 1, 200)))
    T.eq(many[1]['?'], '200 as c200')
end)

case('statements nested deep are refused', function()
    local db<close> = memory()
    for _, sql in ipairs {
        'select ' .. ('('):rep(20000) .. '1' .. (')'):rep(20000),
        'select ' .. ('not '):rep(20000) .. '1',
        'select ' .. ('abs('):rep(20000) .. '1' .. (')'):rep(20000),
        'select 1' .. (' union all select 1'):rep(20000),
        'select * from ' .. ('(select * from '):rep(2000) .. '(select 1)' .. (')'):rep(2000),
        'with ' .. ('a as (with '):rep(2000) .. 'select 1' .. (')'):rep(2000),
    } do
        local rows, err = db:query(sql)
        assert(not rows and err, sql:sub(1, 30))
    end
    local sql = 'select * from ' .. ('(select * from '):rep(40) .. '(select 1 as a)' .. (')'):rep(40)
    T.eq(db:query(sql), { { a = 1 } })
end)

case('closing ends what is under way', function()
    local db = memory()
    local group, ended = T.gather(), {}
    group:run(function()
        T.fails('interrupted', db:query(ENDLESS))
        ended[1] = true
    end)
    group:run(function()
        T.fails('connection is closed', db:query('select 1'))
        ended[2] = true
    end)
    eco.sleep(0.01)
    T.took(0, 0.5, function() T.eq(db:close(), true) end)
    group:wait()
    T.eq(ended, { true, true })
    T.fails('connection is closed', db:query('select 1'))
    T.fails('connection is closed', db:prepare('select 1'))
    T.fails('connection is closed', db:transaction(print))
    for row, err in db:rows('select 1') do T.eq({ row, err }, { false, 'connection is closed' }) end
    T.eq(db:close(), true)
end)

case('finishing waits for a transaction under way', function()
    local db = memory()
    assert(db:exec('create table t(a)'))
    local kept
    T.all(function()
        kept = db:transaction(function(t)
            eco.sleep(0.02)
            return assert(t:exec('insert into t values (1)'))
        end)
    end, function()
        eco.sleep(0.005)
        T.eq(db:finish(), true)
        T.await(function() return kept end)
        T.eq(kept.affected_rows, 1)
        T.fails('connection is closed', db:query('select 1'))
    end)
    -- Closing does not: not even for one that has just begun.
    db = memory()
    T.all(function()
        T.fails('connection is closed', db:transaction(function(t)
            eco.sleep(0.02)
            return t:query('select 1')
        end))
    end, function()
        eco.sleep(0.005)
        T.eq(db:close(), true)
    end)
end)

case('what is collected in the middle of work', function()
    for _ = 1, 20 do
        local db = memory()
        local co = coroutine.create(function() db:query(ENDLESS) end)
        coroutine.resume(co)
        coroutine.close(co)
        for row in memory():rows(NUMBERS, 1000) do
            if row.i > 300 then break end
        end
        memory():prepare('select 1')
    end
    T.settle()
    -- Every thread that worked for them is free again.
    local db<close> = memory()
    T.eq(db:query_row('select 1 as a').a, 1)
end)

case('outside of a coroutine of the loop', function()
    local db = memory()
    T.raises('attempt to yield', function()
        table.sort({ 1, 2, 3 }, function() return db:query('select 1') end)
    end)
    T.eq(db:query_row('select 1 as a').a, 1)
    db:close()
    T.raises('number expected', db.within, db, 'x')
end)
