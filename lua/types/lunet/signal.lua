---@meta lunet.signal

local signal = {}

---@param name 'INT'|'TERM'|'HUP'|'QUIT'
---@return string? name
---@return string? problem
function signal.wait(name) end

return signal
