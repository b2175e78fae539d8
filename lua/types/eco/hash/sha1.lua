---@meta eco.hash.sha1

---SHA-1 digests, 20 bytes.
---@class eco.hash.sha1: eco.hash.digest
local sha1 = {}

---@param data string|number
---@return string digest
---@nodiscard
function sha1.sum(data) end

---@return eco.hash.context
---@nodiscard
function sha1.new() end

return sha1
