---@meta lunet.mysql

local mysql = {}

---@param cfg table  host, port, user, password, database, charset
---@return lunet.connection? conn, string? err
---@return_overload nil, string
function mysql.open(cfg) end

---@param conn lunet.connection
---@return string? err
function mysql.close(conn) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string>[]? rows, string? err
function mysql.query(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string>[]? rows, string? err
function mysql.query_params(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function mysql.exec(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function mysql.exec_params(conn, sql, ...) end

---@param text string
---@return string
function mysql.escape(text) end

return mysql
