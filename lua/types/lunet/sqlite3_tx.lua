---@meta lunet.sqlite3_tx

local transactions = {}

---@class lunet.transaction
---@field query fun(sql: string, ...): table[]
---@field query_row fun(sql: string, ...): table?
---@field exec fun(sql: string, ...): lunet.changes

---@class lunet.transaction_error
---@field message string
---@field poisoned boolean

---@param conn lunet.connection
---@param f fun(t: lunet.transaction): any, any
---@param mode? "DEFERRED"|"IMMEDIATE"|"EXCLUSIVE"
---@return any first, any second  what `f` gives; or nil and a lunet.transaction_error
function transactions.transaction(conn, f, mode) end

return transactions
