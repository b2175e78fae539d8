-- `eco.mysql` and `lunet.mysql` with a MariaDB server of their own.

local eco = require 'eco'
local file = require 'eco.file'
local mysql = require 'eco.mysql'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

local function run(...)
    local out, err, problem, status = sys.sh({ ... }, 60 * T.slow, true)
    if not status or status.status ~= 0 then
        error(('%s: %s %s %s'):format(table.concat({ ... }, ' '), problem, out, err))
    end
    return out
end

local is_root = run('id', '-u'):match '^0'
local me = run('id', '-un'):gsub('%s+$', '')
local folder = run('mktemp', '-d', '/tmp/eco-mysql-XXXXXX'):gsub('%s+$', '')
local USER = is_root and 'mysql' or me

local port = T.free_port()
for _, name in ipairs { 'server.pem', 'server.key', 'ca.pem' } do
    assert(file.writefile(folder .. '/' .. name, assert(file.readfile(T.path(name)))))
end
if is_root then run('chown', '-R', 'mysql', folder) end
run('mariadb-install-db', '--no-defaults', '--datadir=' .. folder .. '/data', '--user=' .. USER, '--auth-root-authentication-method=normal',
    '--skip-test-db', '--innodb-log-file-size=4M')

local server

local function start()
    server = assert(sys.exec('/usr/sbin/mariadbd', '--no-defaults', '--datadir=' .. folder .. '/data', '--user=' .. USER,
        '--port=' .. port, '--bind-address=127.0.0.1', '--socket=' .. folder .. '/socket', '--pid-file=' .. folder .. '/pid',
        '--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=8M', '--innodb-log-file-size=4M', '--log-error=' .. folder .. '/log',
        '--max-allowed-packet=64M', '--ssl-cert=' .. folder .. '/server.pem', '--ssl-key=' .. folder .. '/server.key'))
end

local function open(options)
    local config = { unix = folder .. '/socket', user = 'root' }
    for name, value in pairs(options or {}) do config[name] = value end
    if config.unix == '' then config.unix = nil end
    return mysql.open(config)
end

local function ready()
    return T.await(function()
        local db = open()
        return db and (db:close() or true)
    end)
end

local function stop()
    if not server then return end
    server:stop(20 * T.slow)
    server:close()
    server = nil
end

start()
local finished, problem = xpcall(function()

ready()
do
    local db<close> = assert(open())
    assert(db:exec 'create database test')
end

case('values of every type', function()
    local db<close> = assert(open { database = 'test' })
    assert(db:exec [[create temporary table v(
        a tinyint, b tinyint unsigned, c smallint, d mediumint, e int unsigned, f bigint, g bigint unsigned, h float, i double,
        j decimal(10, 2), k date, l datetime(3), m time(6), n year, o char(5), p varchar(20), q text, r blob, s bit(9),
        t enum('x', 'y'), u timestamp null, v datetime)]])
    assert(db:exec([[insert into v values (-128, 255, -32768, -8388608, 4294967295, -9223372036854775808, 18446744073709551615, 0.5, 0.1,
        -12.50, '2024-02-29', '2024-02-29 01:02:03.5', '-838:59:58.999999', 2024, 'ab', 'é', ?, ?, 257, 'y', '2001-01-01 00:00:00', '0000-00-00 00:00:00')]],
        ('t'):rep(300), 'a\0b\255'))
    local expected = {
        a = -128, b = 255, c = -32768, d = -8388608, e = 4294967295, f = math.mininteger, g = '18446744073709551615', h = 0.5, i = 0.1,
        j = '-12.50', k = '2024-02-29', l = '2024-02-29 01:02:03.500', m = '-838:59:58.999999', n = '2024', o = 'ab', p = 'é',
        q = ('t'):rep(300), r = 'a\0b\255', s = '\1\1', t = 'y', u = '2001-01-01 00:00:00', v = '0000-00-00 00:00:00',
    }
    T.eq(db:query 'select * from v', { expected })
    -- The same as texts: what cannot be prepared goes that way.
    T.eq({ db.raw.session:text(5, false, 'select * from v') }, { { expected }, 0, 0 })
    assert(db:exec 'delete from v')
    assert(db:exec 'insert into v values ()')
    T.eq(db:query 'select * from v', { {} })
    -- As parameters.
    for _, value in ipairs { 0, -1, math.maxinteger, math.mininteger, 0.1, 1 / 3, -5e-324, 1.7976931348623157e308, '', 'é\n\'"\\', 'a\0b' } do
        T.eq(db:query_row('select ? as v', value), { v = value })
    end
    T.eq(db:query_row('select ? as a, ? as b, ? as c', 3.0, true, false), { a = 3, b = 1, c = 0 })
    T.eq(db:query_row('select ? as a, ? as b, ? as c', nil, 'x', nil), { b = 'x' })
    T.eq(db:query_row('select ? as a, ? as b', setmetatable({}, { __tostring = function() return 'mine' end }), {}), { a = 'mine' })
    T.eq(db:query_row("select '" .. mysql.escape [[it's \]] .. "' as v"), { v = [[it's \]] })
    T.eq(db:query 'select 1 as a, 2 as a', { { a = 2 } })
    for _, length in ipairs { 250, 251, 65535, 65536, 0xfffffb, 0xffffff, 0x1000000, 20000000 } do
        local row = assert(db:query_row('select ? as v, ? as n', ('x'):rep(length), 5))
        assert(#row.v == length and row.n == 5, length)
    end
    local many = {}
    for i = 1, 1000 do many[i] = i end
    local list = ('?,'):rep(999) .. '?'
    T.eq(db:query_row('select greatest(' .. list .. ') as v', table.unpack(many)), { v = 1000 })
    T.fails('parameter count mismatch: expected 1, got 2', db:query('select ?', 1, 2))
    T.fails('parameter count mismatch: expected 1, got 0', db:query 'select ?')
    T.eq(db:query_row "select '?' as v", { v = '?' })
end)

case('statements, and what comes of them', function()
    local db<close> = assert(open { database = 'test' })
    assert(db:exec 'create temporary table t(a int auto_increment primary key, b varchar(10) unique)')
    T.eq(db:exec("insert into t(b) values (?), ('two')", 'one'), { affected_rows = 2, last_insert_id = 1 })
    T.eq(db:exec 'select * from t', { affected_rows = 0, last_insert_id = 0 })
    T.eq(db:query 'select * from t where false', {})
    T.eq(db:query "update t set b = 'zwei' where a = 2", {})
    T.fails("near 'selct 1'", db:query 'selct 1')
    T.eq({ db:problem().number, db:problem().code }, { 1064, '42000' })
    T.fails('Duplicate entry', db:exec('insert into t(b) values (?)', 'one'))
    T.fails('near', db:query 'select 1; select 2')
    T.fails('Query was empty', db:query '')
    local statement<close> = assert(db:prepare 'select b from t where a = ?')
    T.eq(statement:query(1), { { b = 'one' } })
    T.eq(statement:query(2), { { b = 'zwei' } })
    T.fails('parameter count mismatch: expected 1, got 0', statement:query())
    T.eq(statement:close(), true)
    T.fails('statement is closed', statement:query(1))
    T.fails('Unknown column', db:prepare 'select nothing')
    -- More texts than are kept, and what they are kept for.
    for i = 1, 100 do T.eq(db:query_row(('select %d + ? as v'):format(i), 1), { v = i + 1 }) end
    assert(db:exec 'create database other')
    assert(db:exec 'create table here(a int)')
    assert(db:exec 'create table other.here(b int)')
    assert(db:exec 'insert into here values (1)')
    assert(db:exec 'insert into other.here values (2)')
    T.eq(db:query_row 'select * from here', { a = 1 })
    assert(db:exec 'use other')
    T.eq(db:query_row 'select * from here', { b = 2 })
    assert(db:exec 'drop database other')
    -- A procedure gives rows, and then an end.
    assert(db:exec 'create procedure test.p() begin select 1 as a; select 2 as b; end')
    T.eq(db:query 'call test.p()', { { b = 2 } })
    T.eq(db:query_row 'select 3 as c', { c = 3 })
    local last
    for row in db:rows 'call test.p()' do last = row end
    assert(last)
    T.eq(db:query_row 'select 4 as d', { d = 4 })
    -- Files of ours are no business of the server's.
    T.fails('', db:exec "load data local infile '/etc/passwd' into table test.here")
end)

case('many rows, whole and one by one', function()
    local db<close> = assert(open { database = 'test' })
    local SQL = 'select seq as a, concat(\'text \', seq) as b from seq_1_to_100000 where seq <= ?'
    local rows = assert(db:query(SQL, 100000))
    T.eq({ #rows, rows[1], rows[100000] }, { 100000, { a = 1, b = 'text 1' }, { a = 100000, b = 'text 100000' } })
    rows = nil
    for _, count in ipairs { 0, 1, 255, 256, 257, 10000 } do
        local last = 0
        for row, err in db:rows(SQL, count) do
            assert(row, err)
            last = last + 1
            T.eq(row.a, last)
        end
        T.eq(last, count)
    end
    for row in db:rows(SQL, 100000) do
        if row.a == 2 then T.fails('the connection is reading rows', db:query 'select 1') end
        if row.a == 300 then break end
    end
    T.eq(db:query_row 'select 1 as a', { a = 1 })
    local said
    for row, err in db:rows 'selct' do said = row or err end
    assert(said:find("near 'selct'", 1, true), said)
    local small<close> = assert(open { max_message_size = 65536 })
    T.fails('packet of the server too large', small:query "select repeat('x', 70000) as v")
    T.fails('connection is closed', small:query 'select 1')
end)

case('transactions', function()
    local db<close> = assert(open { database = 'test' })
    local other<close> = assert(open { database = 'test' })
    assert(db:exec 'create table if not exists kept(a int) engine=innodb')
    local function count() return other:query_row('select count(*) as n from kept').n end
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
    T.eq(count(), 1)
    local inside = false
    local co = eco.run(function()
        db:transaction(function(t)
            assert(t:exec 'insert into kept values (5)')
            inside = true
            t:query 'select sleep(10)'
        end)
    end)
    T.await(function() return inside end)
    eco.sleep(0.05)
    coroutine.close(co)
    T.took(0, 5, function() T.eq(db:query_row 'select 1 as a', { a = 1 }) end)
    T.eq(count(), 1)
    T.fails('READ ONLY', db:transaction(function(t) return t:exec 'insert into kept values (6)' end, 'read only'))
end)

case('limits of time and cancelling', function()
    local db<close> = assert(open { database = 'test', timeout = 30 })
    T.took(0.1, 2, function() T.fails('timeout', db:within(0.1):query 'select sleep(20)') end)
    T.took(0, 4, function() T.eq(db:query_row 'select 1 as a', { a = 1 }) end)
    T.all(function()
        -- What sleeps is woken, what works is ended.
        db:query 'select sleep(20)'
    end, function()
        eco.sleep(0.05)
        T.took(0.05, 2, function() T.fails('timeout', db:within(0.05):query 'select 1') end)
        T.eq(db:cancel(), true)
    end)
    T.eq(db:query_row 'select 2 as a', { a = 2 })
    local co = eco.run(function() db:query 'select sleep(20)' end)
    eco.sleep(0.05)
    coroutine.close(co)
    T.took(0, 5, function() T.eq(db:query_row 'select 3 as a', { a = 3 }) end)
    local busy = assert(open())
    T.all(function()
        T.fails('connection is closed', busy:query 'select sleep(20)')
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
        T.eq(#db:query "select seq, repeat('x', 50) as v from seq_1_to_30000", 30000)
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
    assert(db:exec "create user native@'127.0.0.1' identified by 'geheim %s'")
    assert(db:exec "create user empty@'127.0.0.1'")
    assert(db:exec "create user encrypted@'127.0.0.1' identified by 'geheim %s' require ssl")
    local function at(user, more)
        local config = { unix = '', host = '127.0.0.1', port = port, user = user, password = 'geheim %s' }
        for name, value in pairs(more or {}) do config[name] = value end
        return open(config)
    end
    local one<close> = assert(at('native', { charset = 'latin1' }))
    T.eq(one:query_row 'select current_user() as u, @@character_set_client as c', { u = 'native@127.0.0.1', c = 'latin1' })
    local two<close> = assert(at('empty', { password = '' }))
    T.eq(two:query_row 'select 1 as a', { a = 1 })
    local three<close> = assert(at('encrypted', { ssl = { ca = T.path 'ca.pem', server_name = 'localhost' } }))
    assert(three:query_row("show status like 'Ssl_cipher'").Value ~= '')
    T.fails('Access denied', at('native', { password = 'wrong' }))
    T.fails('Access denied', at 'encrypted')
    T.fails('Unknown database', open { database = 'absent' })
    T.fails('certificate', at('encrypted', { ssl = { ca = T.path 'other.pem', server_name = 'localhost' } }))
    T.fails('unknown character set', at('native', { charset = 'a;b' }))
    local four<close> = assert(mysql.open(('mysql://native:geheim%%20%%25s@127.0.0.1:%d?timeout=5'):format(port)))
    T.eq(four:query_row 'select 1 as a', { a = 1 })
    T.fails('Connection refused', at('native', { port = T.free_port() }))
end)

case('lunet', function()
    local lunet, driver, tx = require 'lunet', require 'lunet.mysql', require 'lunet.mysql_tx'
    local done
    lunet.spawn(function()
        local ok, err = xpcall(function()
            T.raises('db.open requires params table', driver.open)
            local conn, failure = driver.open { unix = folder .. '/socket', database = 'test' }
            T.eq(failure, nil)
            T.eq(select('#', driver.query(conn, 'select 1 as a')), 2)
            T.eq(driver.query_params(conn, 'select ? as a, ? as b', 0.1, true), { { a = 0.1, b = 1 } })
            T.eq(driver.exec(conn, 'create temporary table t(a int auto_increment primary key) engine=innodb'), { affected_rows = 0, last_insert_id = 0 })
            T.eq(driver.exec_params(conn, 'insert into t values (?)', 5), { affected_rows = 1, last_insert_id = 5 })
            T.fails('mysql_stmt_prepare failed: ', driver.query(conn, 'selct'))
            T.fails('mysql_stmt_execute failed: ', driver.exec(conn, 'insert into t values (5)'))
            T.fails('db.query requires connection and sql string', driver.query(conn))
            T.fails('db.exec requires a valid connection', driver.exec({}, 'select 1'))
            T.eq(driver.escape [[a'b\c]], [[a\'b\\c]])
            for _, sql in ipairs { 'BEGIN', 'ROLLBACK', 'START TRANSACTION', 'COMMIT' } do
                T.eq(driver.exec(conn, sql), { affected_rows = 0, last_insert_id = 0 })
            end
            T.eq({ tx.transaction(conn, function(t)
                T.eq(t.exec('insert into t values (6)').affected_rows, 1)
                return t.query_row('select count(*) as n from t').n, 'two'
            end) }, { 2, 'two' })
            local _, wrong = tx.transaction(conn, function(t)
                t.exec 'delete from t'
                t.query 'select nothing'
            end)
            assert(tostring(wrong):find('Unknown column', 1, true) and wrong.poisoned == false)
            T.eq(driver.query(conn, 'select count(*) as n from t'), { { n = 2 } })
            T.eq(driver.query(conn, 'select @@autocommit as c'), { { c = 1 } })
            T.eq(driver.close(conn), nil)
            T.fails('connection is closed', driver.query(conn, 'select 1'))
        end, debug.traceback)
        done = ok or err
    end)
    T.eq(T.await(function() return done end), true)
end)

case('a server that dies', function()
    local db<close> = assert(open())
    local other<close> = assert(open())
    local id = db:query_row('select connection_id() as p').p
    T.all(function()
        assert(not db:query 'select sleep(20)')
    end, function()
        eco.sleep(0.05)
        assert(other:query(('kill %d'):format(id)))
    end)
    T.fails('connection is closed', db:query 'select 1')
    T.all(function()
        T.took(0, 10, function() assert(not other:query 'select sleep(30)') end)
    end, function()
        eco.sleep(0.05)
        run('kill', '-STOP', tostring(server.pid))
        local late<close> = assert(socket.connect_unix(folder .. '/socket'))
        T.fails('timeout', open { connect_timeout = 0.1 })
        server:kill()
    end)
end)

end, debug.traceback)
stop()
run('rm', '-rf', folder)
if not finished then error(problem, 0) end
