---@meta lunet.signal

local signal = {}

---@param name 'INT'|'TERM'|'HUP'|'QUIT'
---@return string? name
---@return string? problem
---@return_overload nil, string
function signal.wait(name) end

return signal
