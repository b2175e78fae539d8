---@meta eco.hash.sha256

---SHA-256 digests, 32 bytes.
---@class eco.hash.sha256: eco.hash.digest
local sha256 = {}

---@param data string|number
---@return string digest
---@nodiscard
function sha256.sum(data) end

---@return eco.hash.context
---@nodiscard
function sha256.new() end

return sha256
