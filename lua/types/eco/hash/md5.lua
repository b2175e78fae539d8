---@meta eco.hash.md5

---MD5 digests, 16 bytes.
---@class eco.hash.md5: eco.hash.digest
local md5 = {}

---@param data string|number
---@return string digest
---@nodiscard
function md5.sum(data) end

---@return eco.hash.context
---@nodiscard
function md5.new() end

return md5
