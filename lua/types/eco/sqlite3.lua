---@meta eco.sqlite3

local sqlite3 = {}

---@alias eco.sqlite3.row table<string, integer|number|string>
---@class eco.sqlite3.changes
---@field affected_rows integer
---@field last_insert_id integer

---@class eco.sqlite3.options
---@field path? string  default: :memory:
---@field readonly? boolean
---@field timeout? number  seconds that a call may take
---@field busy_timeout? number  seconds that a lock is waited for, default 5
---@field max_result? integer  bytes that the rows of a call may take

---@class eco.sqlite3.connection
local connection = {}

---@param sql string
---@param ... any  parameters
---@return eco.sqlite3.row[]?, string? err
---@return_overload nil, string
function connection:query(sql, ...) end

---@param sql string
---@param ... any
---@return eco.sqlite3.row[]?, string? err
---@return_overload nil, string
function connection:query_params(sql, ...) end

---@param sql string
---@param ... any
---@return eco.sqlite3.row? first, string? err
function connection:query_row(sql, ...) end

---@param sql string
---@param ... any
---@return eco.sqlite3.changes?, string? err
---@return_overload nil, string
function connection:exec(sql, ...) end

---@param sql string
---@param ... any
---@return eco.sqlite3.changes?, string? err
---@return_overload nil, string
function connection:exec_params(sql, ...) end

---An iterator; a failure is one more turn of the loop: false and a message.
---@param sql string
---@param ... any
---@return fun(...): eco.sqlite3.row|false|nil, string?
function connection:rows(sql, ...) end

---@param sql string
---@return eco.sqlite3.statement?, string? err
---@return_overload nil, string
function connection:prepare(sql) end

---Kept when `f` returns, taken back when it raises or returns nil and a reason.
---@param f fun(t: eco.sqlite3.connection): any?, any?, any?
---@param mode? "deferred"|"immediate"|"exclusive"
---@return any ...  what `f` gives, or true; or nil and why it was taken back
function connection:transaction(f, mode) end

---@param seconds number
---@return eco.sqlite3.connection  the same one; its calls have that limit
function connection:within(seconds) end

---Ends what is under way.
---@return boolean?, string? err
---@return_overload nil, string
function connection:close() end

---Closes when the calls before it are done.
---@return boolean?, string? err
---@return_overload nil, string
function connection:finish() end

---@class eco.sqlite3.statement
local statement = {}

---@param ... any
---@return eco.sqlite3.row[]?, string? err
---@return_overload nil, string
function statement:query(...) end

---@param ... any
---@return eco.sqlite3.row? first, string? err
function statement:query_row(...) end

---@param ... any
---@return eco.sqlite3.changes?, string? err
---@return_overload nil, string
function statement:exec(...) end

---@param ... any
---@return fun(...): eco.sqlite3.row|false|nil, string?
function statement:rows(...) end

---@return boolean?, string? err
---@return_overload nil, string
function statement:close() end

---@param options? string|eco.sqlite3.options  a path, or options
---@return eco.sqlite3.connection?, string? err
---@return_overload nil, string
function sqlite3.open(options) end

return sqlite3
