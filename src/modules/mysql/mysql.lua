-- Sessions with a server of MySQL or MariaDB: connecting, passwords, what is sent and what comes of it. Given the native
-- functions, and what all databases share: what scripts see, and raw connections.

local native, objects, shared = ...

local database = shared()

local pack = string.pack

-- Rows that an iterator asks for at a time.
local PART = 256

-- How long a statement that was given up may take to end.
local PATIENCE = 5

-- Statements that are kept prepared by their text.
local KEPT = 32

local QUIT, QUERY, PREPARE, CLOSE, FETCH = 1, 3, 0x16, 0x19, 0x1c

-- Bits of the server's state.
local MORE, CURSOR, LAST = 8, 0x40, 0x80

-- Capabilities: long passwords and flags, protocol of 4.1, transactions, 20 bytes of salt, several results, ways of
-- authentication; a database, TLS.
local OURS, WITH_DATABASE, TLS = 1 | 4 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 18 | 1 << 19, 8, 1 << 11

local UTF8MB4 = 45

-- No command of the prepared protocol.
local UNSUPPORTED = 1295

local left = database.left

-- ---- connecting -------------------------------------------------------------------

-- What proves the password, by the name of the way; nil and a message where there is none.
local function proof(self, plugin, salt)
    local config = self.config
    local password = config.password or ''
    if plugin == 'caching_sha2_password' then
        return password == '' and '' or native.caching_sha2(password, salt)
    elseif plugin == 'mysql_clear_password' then
        if not (self.secure or config.cleartext) then
            return nil, 'the server asks for the password in clear text'
        end
        return password .. '\0'
    elseif plugin == 'mysql_native_password' then
        return password == '' and '' or native.native(password, salt)
    end
    return nil, ('the server asks for authentication by %s, which is not known'):format(plugin)
end

-- Another way of authentication, or the next step of one: what is to be sent, or nil and a message.
local function go_on(self, kind, data)
    if kind == 'switch' then
        local plugin, salt = data:match '^([^\0]*)\0(.*)$'
        if not plugin then
            return nil, 'the server asks for an old password'
        end
        self.plugin = plugin
        return proof(self, plugin, salt:sub(1, 20))
    elseif self.plugin ~= 'caching_sha2_password' then
        return nil, 'malformed packet of the server'
    elseif data == '\3' then
        return false
    elseif not (self.secure or self.config.cleartext) then
        return nil, 'the server does not remember the password: the first login needs TLS or a Unix socket'
    end
    return (self.config.password or '') .. '\0'
end

local function login(self, deadline)
    local config, link = self.config, self.link
    local kind, capabilities, salt, plugin, version, id = link:run(left(deadline))
    if kind ~= 'greeting' then
        return nil, kind and capabilities.message or capabilities
    end
    self.version, self.id = version, id
    local flags = (OURS | (config.database ~= '' and WITH_DATABASE or 0)) & capabilities
    local head = pack('<I4I4Bc23', flags, 0x1000000, UTF8MB4, '')
    if config.ssl and not self.path then
        if capabilities & TLS == 0 then
            return nil, 'the server does not speak TLS'
        end
        flags = flags | TLS
        head = pack('<I4I4Bc23', flags, 0x1000000, UTF8MB4, '')
        local ok, err = self.stream:send(pack('<I3B', #head, 1) .. head, left(deadline))
        if not ok then
            return nil, err
        end
        local stream
        stream, err = database.tls(self.stream, config, deadline)
        if not stream then
            return nil, err
        end
        self.stream, self.secure = stream, true
        link:attach(stream.rd, stream.wr)
        link:count(2)
    end
    local answer = proof(self, plugin, salt)
    -- What is not known, or not wanted, may be replaced by the server.
    if not answer then
        plugin = 'mysql_native_password'
        answer = proof(self, plugin, salt)
    end
    self.plugin = plugin
    link:put(head .. config.user .. '\0' .. pack('<s1', answer)
        .. (flags & WITH_DATABASE ~= 0 and config.database .. '\0' or '') .. plugin .. '\0')
    while true do
        local data
        kind, data = link:run(left(deadline))
        if kind == 'done' then
            return true
        elseif kind == 'problem' then
            return nil, data.message
        elseif not kind then
            return nil, data
        end
        local err
        answer, err = go_on(self, kind, data)
        if answer == nil then
            return nil, err
        elseif answer then
            link:put(answer)
        end
    end
end

local session = {}
session.__index = session

-- A session, or nil and a message.
local function open(config, deadline)
    for _, name in ipairs { 'user', 'database', 'password' } do
        if config[name]:find('\0', 1, true) then
            return nil, 'NUL byte in an option'
        end
    end
    if config.charset:find '[^%w_]' then
        return nil, 'unknown character set'
    end
    local path = config.unix or config.host:find '^/' and config.host or nil
    local stream, err = database.dial(path, config.host, config.port, deadline)
    if not stream then
        return nil, err
    end
    local self = setmetatable({
        config = config,
        stream = stream,
        path = path,
        secure = path ~= nil,
        link = native.link(config.max_message_size or 0x4000000),
        kept = {},
        order = {},
        garbage = {},
    }, session)
    self.link:attach(stream.rd, stream.wr)
    local ok
    ok, err = login(self, deadline)
    if ok and config.charset ~= 'utf8mb4' then
        ok, err = self:text(left(deadline), true, 'SET NAMES ' .. config.charset)
    end
    if not ok then
        self.stream:close()
        return nil, err
    end
    return self
end

-- ---- statements -------------------------------------------------------------------

-- What came next; or nil, message, problem.
function session:answer(limit, discard)
    self.busy = true
    local kind, state, rows, affected, id = self.link:run(limit, discard)
    if not kind then
        if self.dead then
            return nil, 'connection is closed'
        end
        self.dead = state ~= 'timeout'
        return nil, state
    elseif kind == 'problem' then
        self.busy = false
        return nil, state.message, state
    end
    return kind, state, rows, affected, id
end

-- Rows, affected rows and last id of the last result there is; or nil, message, problem.
function session:finish(limit, discard)
    local rows, affected, id = nil, 0, 0
    local kind, state, more, count, last
    repeat
        kind, state, more, count, last = self:answer(limit, discard)
        if not kind then
            return nil, state, more
        elseif kind == 'rows' then
            rows = more
        elseif kind == 'done' then
            affected, id = count, last
        end
    until state & MORE == 0
    self.busy = false
    return rows or {}, affected, id
end

function session:labelled(label, err, problem)
    if problem and self.config.lunet then
        err = label .. ' failed: ' .. err
    end
    return nil, err, problem
end

-- Closes statements that nobody has any more.
function session:sweep()
    for place, id in ipairs(self.garbage) do
        self.link:command(CLOSE, pack('<I4', id))
        self.garbage[place] = nil
    end
end

-- Statements are prepared for the database and the settings there were.
function session:forget_kept()
    for _, sql in ipairs(self.order) do
        self:forget(self.kept[sql])
    end
    self.kept, self.order = {}, {}
end

function session:text(limit, discard, sql)
    local ok, err = self.link:command(QUERY, sql)
    if not ok then
        return nil, err
    end
    local rows, affected, id = self:finish(limit, discard)
    if not rows then
        return self:labelled('mysql_query', affected, id)
    end
    return rows, affected, id
end

function session:prepare(limit, sql)
    self:sweep()
    local ok, err = self.link:command(PREPARE, sql)
    if not ok then
        return nil, err
    end
    local kind, id, parameters = self:answer(limit)
    if not kind then
        return self:labelled('mysql_stmt_prepare', id, parameters)
    end
    self.busy = false
    return { id = id, parameters = parameters }
end

function session:forget(statement)
    self.garbage[#self.garbage + 1] = statement.id
end

-- The statement of a text, prepared; false when that is not possible; or nil, message, problem.
function session:statement_of(limit, sql)
    local statement = self.kept[sql]
    if statement then
        return statement
    end
    local err, problem
    statement, err, problem = self:prepare(limit, sql)
    if not statement then
        if problem and problem.number == UNSUPPORTED then
            return false
        end
        return nil, err, problem
    end
    local order = self.order
    if #order >= KEPT then
        local oldest = table.remove(order, 1)
        self:forget(self.kept[oldest])
        self.kept[oldest] = nil
    end
    order[#order + 1] = sql
    self.kept[sql] = statement
    return statement
end

local function matches(statement, count)
    if statement.parameters ~= count then
        return nil, ('parameter count mismatch: expected %d, got %d'):format(statement.parameters, count)
    end
    return true
end

-- Rows, or with `discard` none, and what came of it.
function session:execute(limit, discard, source, ...)
    local deadline = database.deadline(limit)
    self:sweep()
    local statement, err, problem = source, nil, nil
    if type(source) == 'string' then
        statement, err, problem = self:statement_of(limit, source)
        if statement == nil then
            return nil, err, problem
        elseif not statement then
            if select('#', ...) > 0 then
                return nil, 'parameter count mismatch: expected 0, got ' .. select('#', ...)
            end
            return self:text(left(deadline), discard, source)
        end
    end
    local ok
    ok, err = matches(statement, select('#', ...))
    if ok then
        ok, err = self.link:execute(statement.id, false, ...)
    end
    if not ok then
        return nil, err
    end
    local rows, affected, id = self:finish(left(deadline), discard)
    if not rows then
        return self:labelled('mysql_stmt_execute', affected, id)
    end
    if type(source) == 'string' then
        local word, rest = source:lower():match '^%s*(%l+)%s*(%l*)'
        if word == 'use' or word == 'set' and rest ~= 'autocommit' then
            self:forget_kept()
        end
    end
    return rows, affected, id
end

function session:begin(limit, source, ...)
    local statement, err, problem = source, nil, nil
    self:sweep()
    if type(source) == 'string' then
        statement, err, problem = self:statement_of(limit, source)
        if not statement then
            return nil, err or 'this statement gives no rows', problem
        end
    end
    local ok
    ok, err = matches(statement, select('#', ...))
    if ok then
        ok, err = self.link:execute(statement.id, true, ...)
    end
    if not ok then
        return nil, err
    end
    self.cursor, self.more = statement.id, false
    return true
end

-- Rows, and whether there may be more; or nil and what is wrong.
function session:part(limit)
    local deadline = database.deadline(limit)
    local kind, state, rows
    repeat
        if self.more then
            self.link:command(FETCH, pack('<I4I4', self.cursor, PART))
        end
        kind, state, rows = self:answer(left(deadline))
        if not kind then
            return nil, state, rows
        end
        self.more = kind == 'rows' and state & CURSOR ~= 0 and state & LAST == 0
    until not self.more or #rows > 0
    if state & MORE ~= 0 then
        local ok, err, problem = self:finish(left(deadline), true)
        if not ok then
            return nil, err, problem
        end
    end
    self.busy = false
    return rows or {}, self.more
end

-- Has the server end what it does for us: true, or nil and a message.
function session:cancel(deadline)
    local other, err = open(self.config, deadline)
    if not other then
        return nil, err
    end
    local ok
    ok, err = other:text(left(deadline), true, 'KILL QUERY ' .. self.id)
    other:close(deadline)
    return ok and true, err
end

-- Ends what is under way; the session is dead where that fails.
function session:interrupt()
    if not self.busy or self.dead then
        return
    end
    local deadline = database.deadline(PATIENCE)
    if self.link:is_writing() or not self:cancel(deadline) then
        self.dead = true
        return
    end
    self:finish(left(deadline), true)
    self.dead = self.dead or self.busy
end

function session:abort()
    self.link:cancel()
end

function session:close(deadline)
    if not self.dead and not self.busy then
        self.stream:send('\1\0\0\0' .. string.char(QUIT), left(deadline))
    end
    self.dead = true
    self.stream:close()
end

local MODES = { ['READ ONLY'] = 'START TRANSACTION READ ONLY', ['CONSISTENT SNAPSHOT'] = 'START TRANSACTION WITH CONSISTENT SNAPSHOT' }

local M = objects {
    name = 'mysql',
    commit = 'COMMIT',
    rollback = 'ROLLBACK',
    methods = database.methods,
    open = database.opener('mysql', {
        host = 'localhost', port = 3306, user = 'root', password = '', database = '', charset = 'utf8mb4', connect_timeout = 10,
    }, open),
    begin = function(mode)
        if mode == nil then
            return 'BEGIN'
        end
        return type(mode) == 'string' and MODES[mode:upper()] or error('invalid transaction mode: ' .. tostring(mode), 3)
    end,
}

function M.escape(text)
    if type(text) ~= 'string' and type(text) ~= 'number' then
        error(("bad argument #1 to 'escape' (string expected, got %s)"):format(text == nil and 'no value' or type(text)), 2)
    end
    return (tostring(text):gsub("['\\]", '\\%0'))
end

return M
