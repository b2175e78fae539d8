---@meta lunet.db

local db = {}

---@param cfg table|string  with the field `driver`: sqlite3, mysql or postgres
---@return lunet.connection? conn, string? err
---@return_overload nil, string
function db.open(cfg) end

---@param conn lunet.connection
---@return string? err
function db.close(conn) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string>[]? rows, string? err
function db.query(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string>[]? rows, string? err
function db.query_params(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function db.exec(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function db.exec_params(conn, sql, ...) end

---@param text string
---@return string
function db.escape(text) end

return db
