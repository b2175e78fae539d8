---@meta lunet.postgres

local postgres = {}

---@param cfg table  host, port, user, password, database
---@return lunet.connection? conn, string? err
---@return_overload nil, string
function postgres.open(cfg) end

---@param conn lunet.connection
---@return string? err
function postgres.close(conn) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string|boolean>[]? rows, string? err
function postgres.query(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return table<string, integer|number|string|boolean>[]? rows, string? err
function postgres.query_params(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function postgres.exec(conn, sql, ...) end

---@param conn lunet.connection
---@param sql string
---@param ... any
---@return lunet.changes?, string? err
---@return_overload nil, string
function postgres.exec_params(conn, sql, ...) end

---@param text string
---@return string
function postgres.escape(text) end

return postgres
