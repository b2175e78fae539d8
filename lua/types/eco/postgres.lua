---@meta eco.postgres

local postgres = {}

---@alias eco.postgres.row table<string, integer|number|string|boolean>

---@class eco.postgres.changes
---@field affected_rows integer
---@field last_insert_id integer

---What the server said of a statement that failed.
---@class eco.postgres.problem
---@field message string
---@field code string  SQLSTATE
---@field severity string
---@field detail? string
---@field hint? string
---@field position? string
---@field schema? string
---@field table? string
---@field column? string
---@field constraint? string

---@class eco.postgres.options
---@field host? string  default: localhost
---@field port? integer|number
---@field unix? string  path of a Unix socket
---@field user? string
---@field password? string
---@field database? string
---@field settings? table<string, string>  of the server, for the session
---@field text? boolean  values of bytea stay texts
---@field ssl? boolean|table  TLS, with options of `ssl.client`
---@field timeout? number  seconds that a call may take
---@field connect_timeout? number  default: 10
---@field cleartext? boolean  give the password as it is
---@field max_message_size? integer  default: 64 MiB

---@class eco.postgres.connection
local connection = {}

---@param sql string
---@param ... any  parameters
---@return eco.postgres.row[]?, string? err
---@return_overload nil, string
function connection:query(sql, ...) end

---@param sql string
---@param ... any
---@return eco.postgres.row[]?, string? err
---@return_overload nil, string
function connection:query_params(sql, ...) end

---@param sql string
---@param ... any
---@return eco.postgres.row? first, string? err
function connection:query_row(sql, ...) end

---@param sql string
---@param ... any
---@return eco.postgres.changes?, string? err
---@return_overload nil, string
function connection:exec(sql, ...) end

---@param sql string
---@param ... any
---@return eco.postgres.changes?, string? err
---@return_overload nil, string
function connection:exec_params(sql, ...) end

---An iterator; a failure is one more turn of the loop: false and a message.
---@param sql string
---@param ... any
---@return fun(...): eco.postgres.row|false|nil, string?
function connection:rows(sql, ...) end

---@param sql string
---@return eco.postgres.statement?, string? err
---@return_overload nil, string
function connection:prepare(sql) end

---Kept when `f` returns, taken back when it raises or returns nil and a reason.
---@param f fun(t: eco.postgres.connection): any?, any?, any?
---@param mode? "read committed"|"repeatable read"|"serializable"|"read only"
---@return any ...  what `f` gives, or true; or nil and why it was taken back
function connection:transaction(f, mode) end

---@param seconds number
---@return eco.postgres.connection  the same one; its calls have that limit
function connection:within(seconds) end

---Ends the statement that another coroutine waits for.
---@return boolean?, string? err
---@return_overload nil, string
function connection:cancel() end

---@return eco.postgres.problem?  of the last statement that failed
function connection:problem() end

---Ends what is under way.
---@return boolean?, string? err
---@return_overload nil, string
function connection:close() end

---Closes when the calls before it are done.
---@return boolean?, string? err
---@return_overload nil, string
function connection:finish() end

---@class eco.postgres.statement
local statement = {}

---@param ... any
---@return eco.postgres.row[]?, string? err
---@return_overload nil, string
function statement:query(...) end

---@param ... any
---@return eco.postgres.row? first, string? err
function statement:query_row(...) end

---@param ... any
---@return eco.postgres.changes?, string? err
---@return_overload nil, string
function statement:exec(...) end

---@param ... any
---@return fun(...): eco.postgres.row|false|nil, string?
function statement:rows(...) end

---@return boolean?, string? err
---@return_overload nil, string
function statement:close() end

---@param options string|eco.postgres.options  options, or postgres://user:password@host:port/database
---@return eco.postgres.connection?, string? err
---@return_overload nil, string
function postgres.open(options) end

---For between single quotes.
---@param text string
---@return string
function postgres.escape(text) end

---The parameter for a `bytea`.
---@param bytes string
---@return string
function postgres.bytea(bytes) end

return postgres
