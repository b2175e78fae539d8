-- What every module of a database gives to scripts: connections, statements, iterators of rows, transactions.
--
-- A driver is a table:
--   name, commit, rollback       SQL of the two ends of a transaction
--   open(config)                 waits; a raw connection and the limit of its calls, or nil and a message
--   begin(mode)                  SQL of the beginning of a transaction; raises for a mode it does not know
--   again                        optional: see `pass`
--   methods                      optional: more methods of connections
-- Methods of a raw connection wait; their arguments begin with the limit in seconds or nil, and the transaction that
-- the call is part of or nil. All give nil and a message when they fail:
--   query(limit, transaction, source, ...)    an array of rows; the source is SQL, or what `prepare` gave
--   exec(limit, transaction, source, ...)     a table of affected_rows and last_insert_id
--   cursor(limit, transaction, sql, ...)      the first rows, and what `fetch` takes if there are more
--   fetch(limit, transaction, cursor)         the next rows, and true if there are more
--   prepare(limit, transaction, sql)          a statement
--   drop(limit, transaction, statement)       true; for cursors, too
--   begin(limit, nil, sql)                    a transaction, which holds the connection: calls that are no part of it
--                                             wait; `leave()` of it lets go at once, and has what was done taken back
--   finish(limit, transaction, sql)           true; lets go in any case, and takes everything back when it fails
--   tidy(limit)                               has what was left taken back; true
--   close(limit, nil, at_once)                true; waits for the calls before it, or ends them

local driver = ...

local eco = require 'eco'

local again = driver.again

-- A call may give `again` and where it is, instead of its results: it goes on when it is made to.
local function pass(raw, limit, first, ...)
    if first == again and again then return pass(raw, limit, raw:resume(limit, nil, (...))) end
    return first, ...
end

-- What a call gives that needs not wait: others have their turn all the same.
local function at_once(...)
    if coroutine.isyieldable() then eco.yield() end
    return ...
end

local connection, statement = {}, {}
local connection_type = { __index = connection, __name = driver.name .. ' connection', __metatable = false }
local statement_type = { __index = statement, __name = driver.name .. ' statement', __metatable = false }

local function check_sql(sql, name)
    if type(sql) ~= 'string' and type(sql) ~= 'number' then
        error(("bad argument #1 to '%s' (string expected, got %s)"):format(name, type(sql)), 3)
    end
end

-- The transaction that a call is part of: also one of the running coroutine that is made on the connection itself.
local function transaction_of(self)
    local part_of = self.part_of
    if part_of then return part_of end
    local shared = self.shared
    return shared.holder and shared.holder == coroutine.running() and shared.transaction or nil
end

-- The same connection with other properties.
local function view(self, limit, transaction)
    return setmetatable({ raw = self.raw, shared = self.shared, limit = limit, part_of = transaction }, connection_type)
end

function connection:within(seconds)
    if type(seconds) ~= 'number' then
        error(("bad argument #1 to 'within' (number expected, got %s)"):format(type(seconds)), 2)
    end
    return view(self, seconds, self.part_of)
end

function connection:query(sql, ...)
    check_sql(sql, 'query')
    local raw, limit = self.raw, self.limit
    return pass(raw, limit, raw:query(limit, transaction_of(self), sql, ...))
end

function connection:exec(sql, ...)
    check_sql(sql, 'exec')
    local raw, limit = self.raw, self.limit
    return pass(raw, limit, raw:exec(limit, transaction_of(self), sql, ...))
end

local function first(rows, err)
    if not rows then return nil, err end
    return rows[1]
end

function connection:query_row(sql, ...)
    check_sql(sql, 'query_row')
    return first(self:query(sql, ...))
end

connection.query_params, connection.exec_params = connection.query, connection.exec

-- Iterators: what is fetched together, place in it, and where the rest is.

local function close_cursor(cursor)
    local handle = cursor.handle
    cursor.finished, cursor.handle, cursor.rows = true, nil, nil
    -- In a coroutine that is being closed nothing waits: it is dropped when it is collected.
    if handle and coroutine.isyieldable() then
        local raw, limit = cursor.raw, cursor.limit
        pass(raw, limit, raw:drop(limit, transaction_of(cursor), handle))
    end
end

local cursor_type = { __close = close_cursor, __name = driver.name .. ' rows', __metatable = false }

local function fetched(cursor, rows, handle)
    if not rows then
        cursor.finished, cursor.handle = true, nil
        return false, handle
    end
    cursor.rows, cursor.place, cursor.handle = rows, 1, handle and (cursor.handle or handle)
    cursor.finished = not handle
    return rows[1]
end

local function next_row(cursor)
    local rows, raw, limit = cursor.rows, cursor.raw, cursor.limit
    if not rows then
        if cursor.finished then return nil end
        local parameters = cursor.parameters
        return fetched(cursor, pass(raw, limit,
            raw:cursor(limit, transaction_of(cursor), cursor.sql, table.unpack(parameters, 1, parameters.n))))
    end
    local place = cursor.place + 1
    local row = rows[place]
    if row then
        cursor.place = place
        return row
    elseif cursor.finished then
        cursor.rows = nil
        return nil
    end
    return fetched(cursor, pass(raw, limit, raw:fetch(limit, transaction_of(cursor), cursor.handle)))
end

local function iterate(self, sql, ...)
    local cursor = setmetatable({
        raw = self.raw, shared = self.shared, limit = self.limit, part_of = self.part_of,
        sql = sql, parameters = table.pack(...),
    }, cursor_type)
    return next_row, cursor, nil, cursor
end

function connection:rows(sql, ...)
    check_sql(sql, 'rows')
    return iterate(self, sql, ...)
end

-- Prepared statements.

function connection:prepare(sql)
    check_sql(sql, 'prepare')
    local raw, limit = self.raw, self.limit
    local handle, err = pass(raw, limit, raw:prepare(limit, transaction_of(self), sql))
    if not handle then return nil, err end
    return setmetatable({
        raw = raw, shared = self.shared, limit = limit, part_of = self.part_of, handle = handle, sql = sql,
    }, statement_type)
end

function statement:query(...)
    if not self.handle then return at_once(nil, 'statement is closed') end
    local raw, limit = self.raw, self.limit
    return pass(raw, limit, raw:query(limit, transaction_of(self), self.handle, ...))
end

function statement:query_row(...)
    return first(self:query(...))
end

function statement:exec(...)
    if not self.handle then return at_once(nil, 'statement is closed') end
    local raw, limit = self.raw, self.limit
    return pass(raw, limit, raw:exec(limit, transaction_of(self), self.handle, ...))
end

function statement:rows(...)
    return iterate(self, self.sql, ...)
end

function statement:close()
    local handle = self.handle
    if not handle then return at_once(true) end
    self.handle = nil
    local raw, limit = self.raw, self.limit
    return pass(raw, limit, raw:drop(limit, transaction_of(self), handle))
end

statement_type.__close = function(self)
    if coroutine.isyieldable() then self:close() end
end

-- Transactions.

local function tidy(raw)
    pass(raw, nil, raw:tidy())
end

-- Whoever runs in a transaction may be closed in the middle.
local guard_type = {
    __close = function(guard)
        local shared, transaction = guard.shared, guard.transaction
        if shared.transaction == transaction then shared.holder, shared.transaction = nil, nil end
        if guard.ended then return end
        transaction:leave()
        eco.run(tidy, guard.raw)
    end,
}

local function text_of(err)
    return type(err) == 'string' and err or tostring(err)
end

function connection:transaction(fn, mode)
    if type(fn) ~= 'function' then
        error(("bad argument #1 to 'transaction' (function expected, got %s)"):format(type(fn)), 2)
    end
    local raw, limit, shared = self.raw, self.limit, self.shared
    local sql = driver.begin(mode)
    if transaction_of(self) then return at_once(nil, 'a transaction is under way') end
    local transaction, err = pass(raw, limit, raw:begin(limit, nil, sql))
    if not transaction then return nil, err end
    local guard <close> = setmetatable({ raw = raw, shared = shared, transaction = transaction }, guard_type)
    shared.holder, shared.transaction = coroutine.running(), transaction
    local results = table.pack(pcall(fn, view(self, limit, transaction)))
    local failed = not results[1] or (results.n > 1 and results[2] == nil)
    -- How it ends is not left open: an end has no limit but the driver's own.
    local ended, message = pass(raw, nil, raw:finish(nil, transaction, failed and driver.rollback or driver.commit))
    guard.ended = true
    if failed then
        local reason = results[results[1] and 3 or 2]
        if reason == nil then reason = 'transaction aborted' end
        if not ended then reason = text_of(reason) .. ' (ROLLBACK also failed: ' .. message .. ')' end
        return nil, reason
    elseif not ended then
        return nil, message
    elseif results.n == 1 then
        return true
    end
    return table.unpack(results, 2, results.n)
end

function connection:close()
    local raw, shared = self.raw, self.shared
    if shared.closed then return at_once(true) end
    shared.closed = true
    return pass(raw, nil, raw:close(nil, nil, true))
end

-- Waits for the calls before it.
function connection:finish()
    local raw, shared = self.raw, self.shared
    if shared.closed then return at_once(true) end
    shared.closed = true
    return pass(raw, nil, raw:close())
end

connection_type.__close = function(self)
    if coroutine.isyieldable() then self:close() end
end

for name, method in pairs(driver.methods or {}) do connection[name] = method end

local M = {}

function M.open(config)
    local raw, limit = driver.open(config)
    if not raw then return at_once(nil, limit) end
    return setmetatable({ raw = raw, shared = {}, limit = limit }, connection_type)
end

return M
