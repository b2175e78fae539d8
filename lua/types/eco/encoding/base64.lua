---@meta eco.encoding.base64

---Bytes as Base64 text.
---@class eco.encoding.base64
local base64 = {}

---With padding, without line breaks.
---@param data string|number
---@return string
---@nodiscard
function base64.encode(data) end

---@param text string|number  with padding, without blanks
---@return string? data
---@return string? problem  'input is malformed'
---@return_overload nil, string
---@nodiscard
function base64.decode(text) end

return base64
