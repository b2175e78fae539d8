-- Sessions with a PostgreSQL server: connecting, passwords, what is sent and what comes of it. Given what all databases
-- share: what scripts see, and raw connections.

local native, objects, shared = ...

local database = shared()

local eco = require 'eco'

local pack = string.pack

-- Rows that an iterator asks for at a time.
local PART = 256

-- How long a statement that was given up may take to end.
local PATIENCE = 5

-- Rounds of SCRAM until others get their turn, and at most.
local ROUNDS, MOST_ROUNDS = 128, 10000000

local SYNC = 'S\0\0\0\4'

local function message(kind, body)
    return kind .. pack('>I4', #body + 4) .. body
end

local left = database.left

-- ---- connecting -------------------------------------------------------------------

local function user_of(config)
    local user = config.user
    if not user or user == '' then
        user = os.getenv 'PGUSER' or os.getenv 'USER' or os.getenv 'LOGNAME' or 'root'
    end
    return user
end

-- Asks for TLS: the stream over it, or nil and a message.
local function secure(sock, config, deadline)
    local ok, err = sock:send(pack('>I4I4', 8, 80877103), left(deadline))
    local answer
    if ok then
        answer, err = sock:read(1, left(deadline))
    end
    if not answer then
        return nil, err
    elseif answer ~= 'S' then
        return nil, 'the server does not speak TLS'
    end
    return database.tls(sock, config, deadline)
end

-- A stream to the server.
local function dial(config, deadline)
    local path = config.unix
    local host, port = config.host, config.port
    if not path and host:sub(1, 1) == '/' then
        path = ('%s/.s.PGSQL.%d'):format(host, port)
    end
    local sock, err = database.dial(path, host, port, deadline)
    if not sock then
        return nil, err
    end
    if config.ssl and not path then
        local stream
        stream, err = secure(sock, config, deadline)
        if not stream then
            sock:close()
            return nil, err
        end
        return stream, path
    end
    return sock, path
end

local authenticate = {}

-- A password as it is.
authenticate[3] = function(session, config)
    if not (config.ssl or config.cleartext or session.is_local) then
        return nil, 'the server asks for the password in clear text'
    end
    return message('p', (config.password or '') .. '\0')
end

-- Its MD5.
authenticate[5] = function(_, config, data)
    return message('p', native.md5(user_of(config), config.password or '', data:sub(1, 4)) .. '\0')
end

-- SASL.
authenticate[10] = function(session, _, data)
    if not ('\0' .. data):find('\0SCRAM-SHA-256\0', 1, true) then
        return nil, 'the server offers no way of authentication that is known'
    end
    local nonce, err = native.nonce()
    if not nonce then
        return nil, err
    end
    session.scram = { nonce = nonce, bare = 'n=,r=' .. nonce }
    return message('p', 'SCRAM-SHA-256\0' .. pack('>s4', 'n,,' .. session.scram.bare))
end

authenticate[11] = function(session, config, data, deadline)
    local scram, password = session.scram, config.password or ''
    if not scram or scram.signature then
        return nil, 'malformed message of the server'
    end
    local count, both, first = native.challenge(data, scram.nonce, password)
    if not count or count > MOST_ROUNDS then
        return nil, 'malformed challenge of the server'
    end
    local last, key = first, first
    count = count - 1
    while count > 0 do
        local some = math.min(count, ROUNDS)
        last, key = native.rounds(password, last, key, some)
        count = count - some
        eco.yield()
        if database.is_over(deadline) then
            return nil, 'timeout'
        end
    end
    local final = 'c=biws,r=' .. both
    local proof
    proof, scram.signature = native.prove(key, scram.bare .. ',' .. data .. ',' .. final)
    return message('p', final .. ',p=' .. proof)
end

authenticate[12] = function(session, _, data)
    if not session.scram or data ~= 'v=' .. (session.scram.signature or '') then
        return nil, 'the server does not know the password'
    end
    session.scram.verified = true
    return ''
end

local function startup(config)
    local parts = {}
    local function add(name, value)
        value = tostring(value)
        if name:find('\0', 1, true) or value:find('\0', 1, true) then
            return false
        end
        parts[#parts + 1] = name .. '\0' .. value .. '\0'
        return true
    end
    local ok = add('user', user_of(config)) and add('client_encoding', 'UTF8')
    if config.database and config.database ~= '' then
        ok = ok and add('database', config.database)
    end
    for name, value in pairs(config.settings or {}) do
        ok = ok and add(name, value)
    end
    if not ok or (config.password or ''):find('\0', 1, true) then
        return nil, 'NUL byte in an option'
    end
    local body = pack('>I4', 0x30000) .. table.concat(parts) .. '\0'
    return pack('>I4', #body + 4) .. body
end

-- Until the server is ready.
local function greet(session, config, deadline)
    local link = session.link
    while true do
        local kind, code, data = link:run(left(deadline), 0)
        if not kind then
            return nil, code
        elseif kind == 'E' then
            return nil, code.message or 'unknown error', code
        elseif kind == 'Z' then
            if session.scram and not session.scram.verified then
                return nil, 'the server did not prove that it knows the password'
            end
            return true
        elseif kind == 'R' then
            local method = authenticate[code]
            if not method then
                return nil, ('the server asks for authentication of kind %d, which is not known'):format(code)
            end
            local answer, err = method(session, config, data, deadline)
            if not answer then
                return nil, err
            end
            link:put(answer)
        end
    end
end

local session = {}
session.__index = session

-- A session, or nil and a message.
local function open(config, deadline)
    local first, problem = startup(config)
    if not first then
        return nil, problem
    end
    local stream, path = dial(config, deadline)
    if not stream then
        return nil, path
    end
    local self = setmetatable({
        config = config,
        stream = stream,
        is_local = path ~= nil,
        link = native.link(config.max_message_size or 0x4000000, not config.text),
        garbage = {},
        serial = 0,
    }, session)
    self.link:attach(stream.rd, stream.wr)
    self.link:put(first)
    local ok, err
    ok, err, problem = greet(self, config, deadline)
    if not ok then
        stream:close()
        return nil, err, problem
    end
    self.scram = nil
    return self
end

-- ---- statements -------------------------------------------------------------------

-- Waits for the end of what was asked: rows and tag, or nil and what is wrong.
function session:finish(limit, mode)
    self.busy = true
    local kind, status, rows, problem, tag
    repeat
        kind, status, rows, problem, tag = self.link:run(limit, mode)
        if not kind then
            if self.dead then
                return nil, 'connection is closed'
            end
            self.dead = status ~= 'timeout'
            return nil, status
        elseif kind == 'E' then
            self.dead = true
            return nil, status.message or 'unknown error', status
        end
    until kind == 'Z'
    self.busy, self.parts = false, false
    self.failed = status == 'E'
    if problem then
        return nil, problem.message or 'unknown error', problem
    end
    return rows or {}, tag or ''
end

-- Closes statements that nobody has any more.
function session:sweep()
    for place, name in ipairs(self.garbage) do
        self.link:put(message('C', 'S' .. name .. '\0'))
        self.garbage[place] = nil
    end
end

local function number(text)
    return math.tointeger(tonumber(text or 0)) or 0
end

-- Rows, or with `discard` none, and what came of it.
function session:execute(limit, discard, statement, ...)
    self:sweep()
    local ok, err
    if type(statement) == 'table' then
        ok, err = self.link:execute(statement.name, nil, 0, ...)
    elseif select('#', ...) == 0 then
        ok, err = self.link:query(statement)
    else
        ok, err = self.link:execute('', statement, 0, ...)
    end
    if not ok then
        return nil, err
    end
    local rows, tag, problem = self:finish(limit, discard and 1 or 0)
    if not rows then
        return nil, tag, problem
    end
    if tag == 'ROLLBACK' and type(statement) == 'string' then
        local word = statement:lower():match '^%s*(%l+)'
        if word == 'commit' or word == 'end' then
            return nil, 'the transaction was rolled back after an error'
        end
    end
    return rows, number(tag:match '(%d+)$'), number(tag:match '^INSERT (%d+) ')
end

function session:prepare(limit, sql)
    self:sweep()
    self.serial = self.serial + 1
    local name = 'eco' .. self.serial
    local ok, err = self.link:prepare(name, sql)
    if not ok then
        return nil, err
    end
    local rows, problem
    rows, err, problem = self:finish(limit, 1)
    if not rows then
        return nil, err, problem
    end
    return { name = name }
end

function session:forget(statement)
    self.garbage[#self.garbage + 1] = statement.name
end

function session:begin(_, statement, ...)
    self:sweep()
    local ok, err
    if type(statement) == 'table' then
        ok, err = self.link:execute(statement.name, nil, PART, ...)
    else
        ok, err = self.link:execute('', statement, PART, ...)
    end
    if not ok then
        return nil, err
    end
    self.busy, self.parts = true, true
    return true
end

-- Rows, and whether there may be more; or nil and what is wrong.
function session:part(limit)
    if self.suspended then
        self.link:more(PART)
    end
    self.suspended = false
    local kind, rows, problem = self.link:run(limit, 2)
    if kind == 's' then
        self.suspended = true
        return rows, true
    elseif not kind then
        if self.dead then
            return nil, 'connection is closed'
        end
        self.dead = rows ~= 'timeout'
        return nil, rows
    elseif kind == 'E' then
        problem = rows
        local severity = problem.severity
        if severity == 'FATAL' or severity == 'PANIC' then
            self.dead = true
            return nil, problem.message or 'unknown error', problem
        end
    end
    self.link:put(SYNC)
    local ok, err, late = self:finish(limit, 1)
    if problem then
        return nil, problem.message or 'unknown error', problem
    elseif not ok then
        return nil, err, late
    end
    return rows, false
end

-- Asks the server to give up what it does for us: true, or nil and a message.
function session:cancel(deadline)
    local stream, err = dial(self.config, deadline)
    if not stream then
        return nil, err
    end
    local process, secret = self.link:key()
    local ok
    ok, err = stream:send(pack('>I4I4I4I4', 16, 80877102, process, secret), left(deadline))
    if ok then
        -- The server closes when it has passed it on.
        stream:read(1, left(deadline))
    end
    stream:close()
    return ok and true, err
end

-- Ends what is under way; the session is dead where that fails.
function session:interrupt()
    local deadline = database.deadline(PATIENCE)
    if not self.busy then
        return
    elseif self.dead or self.link:is_writing() then
        self.dead = true
        return
    end
    if not self.suspended and not self:cancel(deadline) then
        self.dead = true
        return
    end
    if self.parts then
        self.link:put(SYNC)
    end
    self.suspended = false
    self:finish(left(deadline), 1)
    self.dead = self.dead or self.busy
end

function session:close(deadline)
    if not self.dead and not self.busy then
        self.stream:send('X\0\0\0\4', left(deadline))
    end
    self.dead = true
    self.stream:close()
end

function session:abort()
    self.link:cancel()
end

local MODES = {
    ['READ COMMITTED'] = 'ISOLATION LEVEL READ COMMITTED', ['REPEATABLE READ'] = 'ISOLATION LEVEL REPEATABLE READ',
    SERIALIZABLE = 'ISOLATION LEVEL SERIALIZABLE', ['READ ONLY'] = 'READ ONLY',
}

local M = objects {
    name = 'postgres',
    commit = 'COMMIT',
    rollback = 'ROLLBACK',
    methods = database.methods,
    open = database.opener('postgres', { host = 'localhost', port = 5432, connect_timeout = 10 }, open),
    begin = function(mode)
        if mode == nil then
            return 'BEGIN'
        end
        local words = type(mode) == 'string' and MODES[mode:upper()]
        if not words then
            error('invalid transaction mode: ' .. tostring(mode), 3)
        end
        return 'BEGIN ' .. words
    end,
}

function M.escape(text)
    if type(text) ~= 'string' and type(text) ~= 'number' then
        error(("bad argument #1 to 'escape' (string expected, got %s)"):format(text == nil and 'no value' or type(text)), 2)
    end
    return (tostring(text):gsub("['\\]", { ["'"] = "''", ['\\'] = '\\\\' }))
end

-- What a parameter for a `bytea` is.
function M.bytea(bytes)
    return '\\x' .. bytes:gsub('[%s%S]', function(byte) return ('%02x'):format(byte:byte()) end)
end

return M
