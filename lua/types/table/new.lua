---@meta table.new

---An empty table with room for so many, 65536 of each at most.
---@param elements integer
---@param pairs integer
---@return table
local function new(elements, pairs) end

return new
