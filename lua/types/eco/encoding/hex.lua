---@meta eco.encoding.hex

---Bytes as hexadecimal text.
---@class eco.encoding.hex
local hex = {}

---Lower-case digits.
---@param data string
---@param separator? string  between the bytes
---@return string
---@nodiscard
function hex.encode(data, separator) end

---@param text string  digits of either case, nothing else
---@return string? data
---@return string? problem  'input is malformed'
---@return_overload nil, string
---@nodiscard
function hex.decode(text) end

---Lines of offset, sixteen bytes and their text.
---@param data string
---@return string
---@nodiscard
function hex.dump(data) end

return hex
