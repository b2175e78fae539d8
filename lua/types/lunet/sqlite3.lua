---@meta lunet.sqlite3

local sqlite3 = {}

---@class lunet.connection

---@class lunet.changes
---@field affected_rows integer
---@field last_insert_id integer

---@param cfg { path?: string }|string
---@return lunet.connection? conn, string? err
---@return_overload nil, string
function sqlite3.open(cfg) end

---@param conn lunet.connection
---@return string? err
function sqlite3.close(conn) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string>[]? rows, string? err
function sqlite3.query(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string>[]? rows, string? err
function sqlite3.query_params(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function sqlite3.exec(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function sqlite3.exec_params(conn, sql, ...) end

---@param text string
---@return string
function sqlite3.escape(text) end

---Whether it is a connection of this driver.
---@param value any
---@return boolean
function sqlite3.knows(value) end

return sqlite3
