-- Raw connections to database servers, as `sql.lua` wants them: streams, limits of time, whose turn it is, what becomes of
-- calls that are given up. A driver gives sessions, which serve one call at a time:
--
--   session:execute(limit, discard, statement, ...)   rows, affected rows, last id; or nil, message, problem
--   session:prepare(limit, sql)                        a statement; or nil, …
--   session:forget(statement)                          nobody has it any more
--   session:begin(limit, statement, ...)               true; or nil, …: `part` gives the rows
--   session:part(limit)                                rows, whether there may be more; or nil, …
--   session:cancel(deadline)                           has the server end what it does; true, or nil and a message
--   session:interrupt()                                ends what is under way
--   session:abort()                                    wakes who waits
--   session:close(deadline)
--
-- `busy` is true while an answer is due, `dead` once the session is of no use. A statement is SQL or what `prepare` gave.

local eco = require 'eco'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local time = require 'eco.time'

local D = {}

-- How long the end of what was given up may take.
local PATIENCE = 5

local CLOSED = 'connection is closed'

-- ---- time ---------------------------------------------------------------------------

function D.deadline(limit)
    return limit and time.now(true) + limit
end

-- Seconds until then, at least a moment; nil for ever.
function D.left(deadline)
    return deadline and math.max(deadline - time.now(true), 1e-6)
end

function D.is_over(deadline)
    return deadline ~= nil and time.now(true) >= deadline
end

local deadline_of, left = D.deadline, D.left

-- ---- streams ------------------------------------------------------------------------

-- A socket that is connected to a path, or else to a host; or nil and a message.
function D.dial(path, host, port, deadline)
    if path then
        if path:find('\0', 1, true) then
            return nil, 'NUL byte in an option'
        end
        return socket.connect_unix(path)
    end
    if host == 'localhost' then
        host = '127.0.0.1'
    end
    -- What is no name at all raises.
    local done, sock, err = pcall(socket.connect_tcp, host, port, { connect_timeout = left(deadline) })
    if not done then
        return nil, sock
    elseif not sock then
        return nil, err
    end
    sock:setoption('tcp_nodelay', true)
    -- A machine that is gone is noticed within two minutes.
    sock:setoption('keepalive', true)
    sock:setoption('tcp_keepidle', 60)
    sock:setoption('tcp_keepintvl', 15)
    sock:setoption('tcp_keepcnt', 4)
    return sock
end

-- TLS over a socket, which stays open where that fails; or nil and a message.
function D.tls(sock, config, deadline)
    local found, ssl = pcall(require, 'eco.ssl')
    if not found then
        return nil, 'TLS needs the package lua-eco-ssl'
    end
    local settings = {}
    for name, value in pairs(type(config.ssl) == 'table' and config.ssl or {}) do
        settings[name] = value
    end
    if not settings.insecure and settings.server_name == nil then
        settings.server_name = config.host
    end
    settings.timeout = left(deadline)
    local done, stream, err = pcall(ssl.client, sock, settings)
    if not done then
        return nil, stream
    end
    return stream, err
end

-- ---- options ------------------------------------------------------------------------

local kinds = {
    host = 'string', user = 'string', password = 'string', database = 'string', unix = 'string', charset = 'string',
    cleartext = 'boolean', text = 'boolean', settings = 'table', timeout = 'number', connect_timeout = 'number',
}

local function check(ok, name, what)
    if not ok then
        error(("option '%s' must be %s"):format(name, what), 0)
    end
end

local KNOWN = 'host port user password database unix charset cleartext text settings timeout connect_timeout max_message_size ssl lunet'

local function check_config(config)
    eco._options(config, KNOWN, 1, 'open', true)
    for name, kind in pairs(kinds) do
        check(config[name] == nil or type(config[name]) == kind, name, 'a ' .. kind)
    end
    local port, size, ssl = config.port, config.max_message_size, config.ssl
    check(port == nil or math.type(port) == 'integer' and port > 0 and port < 65536, 'port', 'from 1 to 65535')
    check(size == nil or math.type(size) == 'integer' and size >= 1024 and size <= 0x40000000, 'max_message_size',
        'from 1024 to 1073741824')
    check(ssl == nil or type(ssl) == 'boolean' or type(ssl) == 'table', 'ssl', 'a boolean or a table')
end

-- What `scheme://user:password@host:port/database?option=value` says.
local function parse(text, scheme)
    local function decoded(part)
        return (part:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
    end
    local config = {}
    local authority, path, query = text:match('^' .. scheme .. '://([^/?]*)/?([^?]*)%??(.*)$')
    if not authority then
        error(('a table or %s://user:password@host:port/database expected'):format(scheme), 0)
    end
    local login, place = authority:match '^(.*)@(.*)$'
    if login then
        local user, password = login:match '^([^:]*):?(.*)$'
        config.user, config.password = decoded(user), decoded(password)
    end
    place = place or authority
    local host, port = place:match '^%[(.*)%]:?(%d*)$'
    if not host then
        host, port = place:match '^([^:]*):?(%d*)$'
    end
    check(host, 'host', 'a name or an address')
    config.host = host ~= '' and decoded(host) or nil
    config.port = tonumber(port)
    config.database = path ~= '' and decoded(path) or nil
    for key, value in query:gmatch '([^&=]+)=([^&]*)' do
        value = decoded(value)
        if value == 'true' or value == 'false' then
            config[key] = value == 'true'
        elseif kinds[key] == 'number' or key == 'max_message_size' then
            config[key] = tonumber(value) or value
        else
            config[key] = value
        end
    end
    return config
end

-- ---- turns --------------------------------------------------------------------------

local raw = {}
raw.__index = raw

local function bury(self)
    if not self.closed then
        self.closed = true
        self.session:close()
    end
end

-- Ends what a call left behind, whatever became of its coroutine; then it is the turn of the next one.
local function clean_up(self, mutex)
    local session = self.session
    local done = pcall(session.interrupt, session)
    if not done or session.dead then
        session.dead = true
        bury(self)
    end
    mutex:unlock()
end

local function leave(self, mutex)
    local session = self.session
    if session.dead then
        bury(self)
    elseif session.busy then
        eco.run(clean_up, self, mutex)
        return
    end
    mutex:unlock()
end

-- Calls that fail at once are fair to others, too.
local function fail(message)
    if coroutine.isyieldable() then
        eco.yield()
    end
    return nil, message
end

local READING = 'the connection is reading rows'

-- Waits for the turn of a call: what is to be unlocked after it, or nil and a message.
local function enter(self, deadline, transaction)
    local mutex = self.mutex
    if self.closed then
        return fail(CLOSED)
    elseif transaction then
        if self.transaction ~= transaction then
            return fail 'the transaction has ended'
        end
        mutex = transaction.mutex
    end
    local reading = self.reading
    if reading and reading.by[1] == coroutine.running() then
        return fail(READING)
    end
    local ok, err = mutex:lock(left(deadline))
    if not ok then
        return nil, err
    elseif self.closed or transaction and self.transaction ~= transaction then
        mutex:unlock()
        return nil, self.closed and CLOSED or 'the transaction has ended'
    end
    return mutex
end

local leaving = {
    __close = function(turn)
        if turn.mutex then
            leave(turn.raw, turn.mutex)
        end
    end,
}

-- Calls `work(self, deadline, turn, …)` in its turn.
local function call(self, limit, transaction, work, ...)
    local deadline = deadline_of(limit)
    local mutex, err = enter(self, deadline, transaction)
    if not mutex then
        return nil, err
    end
    local turn<close> = setmetatable({ raw = self, mutex = mutex }, leaving)
    return work(self, deadline, turn, ...)
end

-- ---- calls --------------------------------------------------------------------------

local function query(self, deadline, _, ...)
    local rows, err, problem = self.session:execute(left(deadline), false, ...)
    if not rows then
        self.problem = problem
        return nil, err
    end
    return rows
end

local function exec(self, deadline, _, ...)
    local rows, affected, last = self.session:execute(left(deadline), true, ...)
    if not rows then
        self.problem = last
        return nil, affected
    end
    return { affected_rows = affected, last_insert_id = last }
end

function raw:query(limit, transaction, ...)
    return call(self, limit, transaction, query, ...)
end

function raw:exec(limit, transaction, ...)
    return call(self, limit, transaction, exec, ...)
end

-- Statements and cursors, as `drop` gets them, also from the collector.
local statements, cursors = {}, {}

function statements:__gc()
    if not self.raw.closed then
        self.raw.session:forget(self)
    end
end

local function prepare(self, deadline, _, sql)
    local statement, err, problem = self.session:prepare(left(deadline), sql)
    if not statement then
        self.problem = problem
        return nil, err
    end
    statement.raw = self
    return setmetatable(statement, statements)
end

function raw:prepare(limit, transaction, sql)
    return call(self, limit, transaction, prepare, sql)
end

-- A connection knows of its cursor what is to be unlocked and who reads, but keeps neither.
local weak = { __mode = 'v' }

local function stop_reading(self, reading)
    if reading and self.reading == reading then
        self.reading = nil
        leave(self, reading.mutex)
    end
end

function cursors:__gc()
    stop_reading(self.raw, self.reading)
end

-- Rows; the connection is the cursor's as long as there may be more.
local function cursor(self, deadline, turn, ...)
    local session = self.session
    local rows, more, problem = session:begin(left(deadline), ...)
    if rows then
        rows, more, problem = session:part(left(deadline))
    end
    if not rows then
        self.problem = problem
        return nil, more
    elseif not more then
        return rows
    end
    local reading = { mutex = turn.mutex, by = setmetatable({ coroutine.running() }, weak) }
    self.reading, turn.mutex = reading, nil
    return rows, setmetatable({ raw = self, reading = reading }, cursors)
end

function raw:cursor(limit, transaction, ...)
    return call(self, limit, transaction, cursor, ...)
end

function raw:fetch(limit, _, handle)
    local reading = handle.reading
    if self.reading ~= reading then
        return nil, self.closed and CLOSED or 'rows are closed'
    end
    -- Also when the coroutine is closed meanwhile.
    self.reading = nil
    local turn<close> = setmetatable({ raw = self, mutex = reading.mutex }, leaving)
    local rows, more, problem = self.session:part(limit)
    if not rows then
        self.problem = problem
        return nil, more
    elseif not more or self.closed then
        return rows
    end
    self.reading, turn.mutex = reading, nil
    return rows, true
end

function raw:drop(_, _, handle)
    if getmetatable(handle) == statements then
        setmetatable(handle, nil)
        if not self.closed then
            self.session:forget(handle)
        end
    else
        stop_reading(self, handle.reading)
    end
    return true
end

-- ---- transactions -------------------------------------------------------------------

local transactions = {}
transactions.__index = transactions

local function begin(self, deadline, turn, sql)
    local ok, err, problem = self.session:execute(left(deadline), true, sql)
    if not ok then
        self.problem = problem
        return nil, err
    end
    local transaction = setmetatable({ raw = self, mutex = sync.mutex(), outer = turn.mutex }, transactions)
    self.transaction, turn.mutex = transaction, nil
    return transaction
end

function raw:begin(limit, _, sql)
    return call(self, limit, nil, begin, sql)
end

-- Takes back what was done; the connection is given up where that fails.
local function roll_back(self)
    local session = self.session
    if session.dead then
        return nil, CLOSED
    end
    local ok, err = session:execute(PATIENCE, true, 'ROLLBACK')
    session.dead = session.dead or not ok
    return ok, err
end

-- The connection is everybody's again.
local function let_go(self, transaction)
    if self.transaction == transaction then
        self.transaction = nil
        leave(self, transaction.outer)
    end
end

local function finish(self, deadline, _, transaction, sql)
    local ok, err, problem
    if sql == 'ROLLBACK' then
        ok, err = roll_back(self)
    else
        ok, err, problem = self.session:execute(left(deadline), true, sql)
        if not ok and not self.session.busy then
            roll_back(self)
        end
    end
    if self.session.busy then
        self.session.dead = true
    end
    if not ok then
        self.problem = problem
        return nil, err
    end
    return true
end

function raw:finish(limit, transaction, sql)
    stop_reading(self, self.reading)
    local guard<close> = setmetatable({}, { __close = function() let_go(self, transaction) end })
    return call(self, limit or self.limit, transaction, finish, transaction, sql)
end

-- Its coroutine is gone: `tidy` does the rest.
function transactions:leave()
    self.left = true
end

function raw:tidy()
    local transaction = self.transaction
    if not transaction or not transaction.left then
        return true
    end
    return self:finish(nil, transaction, 'ROLLBACK')
end

-- ---- ends ---------------------------------------------------------------------------

-- What connections have besides.
D.methods = {}

-- Has the server end what other coroutines wait for: true, or nil and a message.
function D.methods:cancel()
    return self.raw:cancel(self.limit)
end

-- What the server said of the last statement that failed.
function D.methods:problem()
    return self.raw.problem
end

function raw:cancel(limit)
    if self.closed then
        return fail(CLOSED)
    elseif not self.session.busy then
        return true
    end
    return self.session:cancel(deadline_of(limit or PATIENCE))
end

function raw:close(limit, _, at_once)
    if self.closed then
        return true
    end
    if not at_once then
        local ok, err = self.mutex:lock(limit)
        if not ok then
            return nil, err
        end
        self.mutex:unlock()
        if self.closed then
            return true
        end
    end
    self.closed = true
    local session = self.session
    if session.busy then
        session.dead = true
        session:abort()
    end
    local transaction, reading = self.transaction, self.reading
    self.transaction, self.reading = nil, nil
    -- Whoever waits for them learns that the connection is closed.
    if reading then
        reading.mutex:unlock()
    end
    if transaction then
        transaction.outer:unlock()
    end
    session:close(deadline_of(limit or PATIENCE))
    return true
end

-- What `open` of a driver is, from a function that gives a session, or nil and a message.
function D.opener(scheme, defaults, open)
    return function(config)
        if type(config) == 'string' then
            config = parse(config, scheme)
        elseif type(config) ~= 'table' then
            error(("bad argument #1 to 'open' (table expected, got %s)"):format(type(config)), 3)
        end
        local whole = {}
        for name, value in pairs(defaults) do
            whole[name] = value
        end
        for name, value in pairs(config) do
            whole[name] = value
        end
        check_config(whole)
        local session, err = open(whole, deadline_of(whole.connect_timeout))
        if not session then
            return nil, err
        end
        return setmetatable({ session = session, mutex = sync.mutex(), limit = whole.timeout }, raw), whole.timeout
    end
end

return D
