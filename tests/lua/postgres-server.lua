-- `eco.postgres` and `lunet.postgres` with a PostgreSQL server of their own.

local eco = require 'eco'
local file = require 'eco.file'
local postgres = require 'eco.postgres'
local sys = require 'eco.sys'

local function run(...)
    local out, err, problem, status = sys.sh({ ... }, 60 * T.slow, true)
    if not status or status.status ~= 0 then
        error(('%s: %s %s %s'):format(table.concat({ ... }, ' '), problem, out, err))
    end
    return out
end

local PROGRAMS = run('sh', '-c', 'ls -d /usr/lib/postgresql/*/bin | tail -n 1'):gsub('%s+$', '')
local is_root = run('id', '-u'):match '^0'
local folder = run('mktemp', '-d', '/tmp/eco-postgres-XXXXXX'):gsub('%s+$', '')

-- The server refuses to be root's.
local function as_user(...)
    if is_root then return 'runuser', '-u', 'postgres', '--', ... end
    return ...
end

local port = T.free_port()
for _, name in ipairs { 'server.pem', 'server.key' } do
    assert(file.writefile(folder .. '/' .. name, assert(file.readfile(T.path(name)))))
    run('chmod', '600', folder .. '/' .. name)
end
if is_root then run('chown', '-R', 'postgres', folder) end
run(as_user(PROGRAMS .. '/initdb', '-D', folder .. '/data', '--no-sync', '--no-locale', '-E', 'UTF8', '-A', 'trust', '-U', 'postgres'))
assert(file.writefile(folder .. '/data/pg_hba.conf', [[
local all all trust
hostssl all encrypted 127.0.0.1/32 scram-sha-256
host all scram 127.0.0.1/32 scram-sha-256
host all md5 127.0.0.1/32 md5
host all plain 127.0.0.1/32 password
]]))

local server

local function start()
    server = assert(sys.exec(as_user(PROGRAMS .. '/postgres', '-D', folder .. '/data', '-p', tostring(port),
        '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=' .. folder, '-c', 'fsync=off',
        '-c', 'shared_buffers=8MB', '-c', 'max_connections=20', '-c', 'log_min_messages=panic', '-c', 'log_statement=none',
        '-c', 'ssl=on', '-c', 'ssl_cert_file=' .. folder .. '/server.pem', '-c', 'ssl_key_file=' .. folder .. '/server.key')))
end

local UNIX = { host = folder, port = port, user = 'postgres', database = 'postgres' }

local function open(options)
    local config = {}
    for name, value in pairs(UNIX) do config[name] = value end
    for name, value in pairs(options or {}) do config[name] = value end
    return postgres.open(config)
end

local function pid() return tonumber(file.readfile(folder .. '/data/postmaster.pid'):match '%d+') end

local function ready()
    return T.await(function()
        local db = open()
        return db and (db:close() or true)
    end)
end

local function stop()
    if not server then return end
    -- Fast: the sessions are ended.
    run('kill', '-INT', tostring(pid()))
    server:wait(10 * T.slow)
    server:close()
    server = nil
end

start()
local finished, problem = xpcall(function()

ready()

case('values of every type', function()
    local db<close> = assert(open())
    T.eq(db:query([[select 1 as a, null as b, 1.5::float8 as c, true as d, false as e, 'x' as f, 9223372036854775807 as g,
        1.25::numeric as h, '\x0001ff'::bytea as i, (-32768)::smallint as j, date '2024-02-29' as k, '{1,2}'::int[] as l, '' as m]]),
        { { a = 1, c = 1.5, d = true, e = false, f = 'x', g = math.maxinteger, h = 1.25, i = '\0\1\255', j = -32768,
            k = '2024-02-29', l = '{1,2}', m = '' } })
    local row = assert(db:query_row [[select 'NaN'::float8 as a, 'Infinity'::float8 as b, '-Infinity'::numeric as c, 1e300::float8 as d]])
    assert(row.a ~= row.a and row.b == math.huge and row.c == -math.huge and row.d == 1e300)
    -- As parameters.
    for _, value in ipairs { 0, -1, math.maxinteger, math.mininteger } do
        T.eq(db:query_row('select $1::bigint as v', value).v, value)
    end
    for _, value in ipairs { 0.1, 1 / 3, -5e-324, 1.7976931348623157e308, math.huge, -math.huge } do
        T.eq(db:query_row('select $1::float8 as v', value).v, value)
    end
    T.eq(db:query_row('select $1::int as v', 3.0).v, 3)
    T.eq(db:query_row('select $1::boolean as a, $2::boolean as b', true, false), { a = true, b = false })
    T.eq(db:query_row('select $1::text as a, $2::text as b, $3::text as c', nil, 'é\n\'"\\', nil), { b = 'é\n\'"\\' })
    T.eq(db:query_row('select $1::text as a', setmetatable({}, { __tostring = function() return 'mine' end })), { a = 'mine' })
    T.eq(db:query_row('select $1::text is null as a', {}), { a = true })
    local bytes = {}
    for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
    bytes = table.concat(bytes)
    T.eq(db:query_row('select $1::bytea as v', postgres.bytea(bytes)).v, bytes)
    T.eq(db:query_row("select '" .. postgres.escape [[it's]] .. "' as v").v, "it's")
    -- Of one name the last counts.
    T.eq(db:query 'select 1 as a, 2 as a', { { a = 2 } })
    T.eq(db:query 'select 1 as a, null as a', { {} })
    T.fails('target lists can have at most', db:query('select ' .. ('1,'):rep(1700):sub(1, -2)))
    T.fails('NUL byte in a statement', db:query 'select 1\0')
    T.fails('NUL byte in a statement', db:query('select $1\0', 1))
    T.fails('0x00', db:query('select $1::text', 'a\0b'))
    T.fails('parameter', db:query('select $1::int', 1, 2))
end)

case('statements, and what comes of them', function()
    local db<close> = assert(open())
    T.eq(db:exec 'create temp table t(a int primary key, b text)', { affected_rows = 0, last_insert_id = 0 })
    T.eq(db:exec("insert into t values ($1, $2), (2, 'two')", 1, 'one'), { affected_rows = 2, last_insert_id = 0 })
    T.eq(db:exec 'select * from t', { affected_rows = 2, last_insert_id = 0 })
    T.eq(db:query 'select * from t where false', {})
    T.eq(db:query "update t set b = 'zwei' where a = 2", {})
    T.eq(db:query '', {})
    T.eq(db:query "insert into t values (3, 'x') returning a, b", { { a = 3, b = 'x' } })
    -- Several without parameters: the last one counts.
    T.eq(db:query 'select 1 as a; select 2 as b', { { b = 2 } })
    T.eq(db:query 'select 1 as a; delete from t where a = 3', {})
    T.fails('cannot insert multiple commands', db:query('select 1; select $1::int', 2))
    T.fails('syntax error at or near "selct"', db:query 'selct 1')
    local said = db:problem()
    T.eq({ said.code, said.severity, said.position }, { '42601', 'ERROR', '1' })
    T.fails('duplicate key value', db:exec('insert into t values ($1)', 1))
    T.eq(db:problem().constraint, 't_pkey')
    T.fails('COPY', db:exec 'copy t from stdin')
    T.fails('COPY', db:query('copy t from stdin', table.unpack({}, 1, 0)))
    T.eq(db:query_row 'select 1 as a', { a = 1 })
    local statement<close> = assert(db:prepare 'select b from t where a = $1')
    T.eq(statement:query(1), { { b = 'one' } })
    T.eq(statement:query(2), { { b = 'zwei' } })
    T.eq(statement:exec(2), { affected_rows = 1, last_insert_id = 0 })
    T.fails('bind message supplies 0 parameters', statement:query())
    T.eq(statement:close(), true)
    T.fails('statement is closed', statement:query(1))
    T.fails('does not exist', db:prepare 'select nothing')
    T.eq(db:query_row 'select count(*) as n from pg_prepared_statements', { n = 0 })
end)

case('many rows, whole and one by one', function()
    local db<close> = assert(open())
    local SQL = [[select g as a, 'text ' || g as b from generate_series(1, $1) g]]
    local rows = assert(db:query(SQL, 100000))
    T.eq({ #rows, rows[1], rows[100000] }, { 100000, { a = 1, b = 'text 1' }, { a = 100000, b = 'text 100000' } })
    rows = nil
    for _, count in ipairs { 0, 1, 255, 256, 257, 10000 } do
        local sum, last = 0, 0
        for row, err in db:rows(SQL, count) do
            assert(row, err)
            last = last + 1
            T.eq(row.a, last)
            sum = sum + 1
        end
        T.eq(sum, count)
    end
    -- What is left is not waited for.
    T.took(0, 2, function()
        for row in db:rows('select generate_series(1, $1) as a', 100000000) do
            if row.a == 300 then break end
            if row.a == 2 then T.fails('the connection is reading rows', db:query 'select 1') end
        end
    end)
    T.eq(db:query_row 'select 1 as a', { a = 1 })
    local said
    for row, err in db:rows 'select 10 / (300 - g) as a from generate_series(1, 1000) g' do
        if not row then said = err end
    end
    T.eq(said, 'division by zero')
    for row, err in db:rows 'selct' do said = row or err end
    T.eq(said, 'syntax error at or near "selct"')
    -- A single value of 20 MiB.
    T.eq(#db:query_row("select repeat('x', 20971520) as v").v, 20971520)
    local small<close> = assert(open { max_message_size = 65536 })
    T.fails('message of the server too large', small:query "select repeat('x', 70000) as v")
    T.fails('connection is closed', small:query 'select 1')
end)

case('transactions', function()
    local db<close> = assert(open())
    local other<close> = assert(open())
    assert(db:exec 'create table if not exists kept(a int)')
    assert(db:exec 'truncate kept')
    local function count() return other:query_row('select count(*)::int as n from kept').n end
    T.eq({ db:transaction(function(t)
        assert(t:exec 'insert into kept values (1)')
        T.eq(count(), 0)
        T.fails('a transaction is under way', db:transaction(print))
        return 'done', 2
    end) }, { 'done', 2 })
    T.eq(count(), 1)
    T.fails('not wanted', db:transaction(function(t)
        assert(t:exec 'insert into kept values (2)')
        return nil, 'not wanted'
    end))
    T.fails('raised', db:transaction(function(t)
        assert(t:exec 'insert into kept values (3)')
        error('raised', 0)
    end))
    -- An error that nobody looked at.
    T.fails('rolled back after an error', db:transaction(function(t)
        assert(t:exec 'insert into kept values (4)')
        T.fails('division by zero', t:query 'select 1 / 0')
        T.fails('current transaction is aborted', t:query 'select 1')
    end))
    T.eq(count(), 1)
    -- Others wait for its end.
    local order, begun = {}, false
    T.all(function()
        assert(db:transaction(function(t)
            begun = true
            assert(t:query 'select pg_sleep(0.05)')
            order[#order + 1] = 'transaction'
        end))
    end, function()
        T.await(function() return begun end)
        assert(db:query 'select 1')
        order[#order + 1] = 'other'
    end)
    T.eq(order, { 'transaction', 'other' })
    -- One whose coroutine is closed.
    local inside = false
    local co = eco.run(function()
        db:transaction(function(t)
            assert(t:exec 'insert into kept values (5)')
            inside = true
            t:query 'select pg_sleep(10)'
        end)
    end)
    T.await(function() return inside end)
    eco.sleep(0.02)
    coroutine.close(co)
    T.took(0, 5, function() T.eq(db:query_row 'select 1 as a', { a = 1 }) end)
    T.eq(count(), 1)
    for row in db:rows 'select 1 as a' do T.eq(row.a, 1) end
    T.eq(db:transaction(function(t)
        T.eq(t:query_row "select current_setting('transaction_isolation') as v", { v = 'serializable' })
    end, 'serializable'), true)
end)

case('limits of time and cancelling', function()
    local db<close> = assert(open { timeout = 30 })
    T.took(0.1, 2, function() T.fails('timeout', db:within(0.1):query 'select pg_sleep(20)') end)
    T.took(0, 2, function() T.eq(db:query_row 'select 1 as a', { a = 1 }) end)
    -- Waiting for the turn counts.
    T.all(function()
        T.fails('canceling statement due to user request', db:query 'select pg_sleep(20)')
    end, function()
        eco.sleep(0.02)
        T.took(0.05, 2, function() T.fails('timeout', db:within(0.05):query 'select 1') end)
        T.eq(db:cancel(), true)
    end)
    T.eq(db:query_row 'select 2 as a', { a = 2 })
    -- A coroutine that is closed leaves a connection that can be used.
    local co = eco.run(function() db:query 'select pg_sleep(20)' end)
    eco.sleep(0.05)
    coroutine.close(co)
    T.took(0, 5, function() T.eq(db:query_row 'select 3 as a', { a = 3 }) end)
    -- Closing wakes whoever waits.
    local busy = assert(open())
    T.all(function()
        T.fails('connection is closed', busy:query 'select pg_sleep(20)')
    end, function()
        T.fails('connection is closed', busy:query 'select 1')
    end, function()
        eco.sleep(0.05)
        T.eq(busy:close(), true)
        T.eq(busy:close(), true)
    end)
    -- Others have their turn while rows come.
    local turns, stopped = 0, false
    T.all(function()
        T.eq(#db:query "select g, repeat('x', 50) as v from generate_series(1, 30000) g", 30000)
        stopped = true
    end, function()
        while not stopped do
            eco.yield()
            turns = turns + 1
        end
    end)
    assert(turns >= 10, turns)
end)

case('passwords and TLS', function()
    local db<close> = assert(open())
    assert(db:exec "set password_encryption = 'scram-sha-256'")
    for _, user in ipairs { 'scram', 'plain', 'encrypted' } do
        assert(db:exec(("create role %s login password 'geheim %%s'"):format(user)))
    end
    assert(db:exec "set password_encryption = 'md5'; create role md5 login password 'geheim %s'")
    for user, more in pairs { scram = {}, md5 = {}, plain = { cleartext = true }, encrypted = { ssl = { ca = T.path 'ca.pem', server_name = 'localhost' } } } do
        local config = { host = '127.0.0.1', user = user, password = 'geheim %s' }
        for name, value in pairs(more) do config[name] = value end
        local one<close> = assert(open(config))
        T.eq(one:query_row 'select current_user::text as u, ssl as s from pg_stat_ssl where pid = pg_backend_pid()',
            { u = user, s = user == 'encrypted' })
        config.password = 'wrong'
        T.fails('password authentication failed', open(config))
    end
    T.fails('the server asks for the password in clear text', open { host = '127.0.0.1', user = 'plain', password = 'geheim %s' })
    T.fails('certificate', open { host = '127.0.0.1', user = 'encrypted', password = 'geheim %s', ssl = { server_name = 'localhost', ca = T.path 'other.pem' } })
    local one<close> = assert(postgres.open(('postgres://scram:geheim%%20%%25s@127.0.0.1:%d/postgres?timeout=5'):format(port)))
    T.eq(one:query_row 'select current_database()::text as d', { d = 'postgres' })
    T.fails('does not exist', open { database = 'absent' })
    T.fails('Connection refused', open { host = '127.0.0.1', port = T.free_port() })
    local named<close> = assert(open { settings = { application_name = 'mine' } })
    T.eq(named:query_row "select current_setting('application_name') as n", { n = 'mine' })
end)

case('lunet', function()
    local lunet, driver, tx = require 'lunet', require 'lunet.postgres', require 'lunet.postgres_tx'
    T.raises('db.open must be called from coroutine', function()
        local main = require 'lunet.internal.waits'.main
        if main ~= coroutine.running() then error('db.open must be called from coroutine', 0) end
        driver.open {}
    end)
    local done
    lunet.spawn(function()
        local ok, err = xpcall(function()
            T.raises('db.open requires params table', driver.open)
            local conn, failure = driver.open { host = folder, port = port, user = 'postgres' }
            T.eq(failure, nil)
            T.eq(select('#', driver.query(conn, 'select 1 as a')), 2)
            T.eq(driver.query(conn, [[select 1 as a, true as b, '\x01'::bytea as c]]), { { a = 1, b = true, c = '\\x01' } })
            T.eq(driver.query_params(conn, 'select $1::float8 as a', 0.1), { { a = 0.1 } })
            T.eq(driver.exec(conn, 'create temp table t(a int)'), { affected_rows = 0, last_insert_id = 0 })
            T.eq(driver.exec_params(conn, 'insert into t values ($1)', 5), { affected_rows = 1, last_insert_id = 0 })
            T.fails('division by zero', driver.query(conn, 'select 1 / 0'))
            T.fails('db.query requires connection and sql string', driver.query(conn))
            T.fails('db.exec requires a valid connection', driver.exec({}, 'select 1'))
            T.eq(driver.escape [[a'b\c]], [[a''b\\c]])
            T.eq({ tx.transaction(conn, function(t)
                T.eq(t.exec('insert into t values (6)').affected_rows, 1)
                return t.query_row('select count(*) as n from t').n, 'two'
            end) }, { 2, 'two' })
            local _, wrong = tx.transaction(conn, function(t)
                t.exec 'delete from t'
                t.query 'select nothing'
            end)
            assert(tostring(wrong):find('does not exist', 1, true) and wrong.poisoned == false)
            T.eq(driver.query(conn, 'select count(*) as n from t'), { { n = 2 } })
            T.eq(driver.close(conn), nil)
            T.fails('connection is closed', driver.query(conn, 'select 1'))
        end, debug.traceback)
        done = ok or err
    end)
    T.eq(T.await(function() return done end), true)
end)

case('a server that dies, and comes back', function()
    local db<close> = assert(open())
    local idle<close> = assert(open())
    local id = db:query_row('select pg_backend_pid() as p').p
    T.all(function()
        T.fails('terminating connection due to administrator command', db:query 'select pg_sleep(20)')
    end, function()
        eco.sleep(0.05)
        assert(idle:query('select pg_terminate_backend($1)', id))
    end)
    T.fails('connection is closed', db:query 'select 1')
    local killed<close> = assert(open())
    id = killed:query_row('select pg_backend_pid() as p').p
    -- One that is stopped answers nothing; one that is killed says nothing.
    run('kill', '-STOP', tostring(id))
    T.took(0.1, 2, function() T.fails('timeout', killed:within(0.1):query 'select 1') end)
    run('kill', '-KILL', tostring(id))
    T.took(0, 10, function() assert(not killed:query 'select 1') end)
    T.await(function() return not idle:query 'select 1' end)
    ready()
end)

end, debug.traceback)
stop()
run('rm', '-rf', folder)
if not finished then error(problem, 0) end
