---@meta lunet.mysql_tx

local transactions = {}

---@param conn lunet.connection
---@param f fun(t: lunet.transaction): any, any
---@return any first, any second  what `f` gives; or nil and a lunet.transaction_error
function transactions.transaction(conn, f) end

return transactions
