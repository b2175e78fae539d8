---@meta lunet.udp

---@class lunet.udp.handle: userdata

local udp = {}

---@param host string
---@param port integer|number
---@return lunet.udp.handle?
---@return string? problem
---@return_overload nil, string
function udp.bind(host, port) end

---@param handle lunet.udp.handle
---@param host string
---@param port integer|number
---@param data string|number
---@return true?
---@return string? problem
---@return_overload nil, string
function udp.send(handle, host, port, data) end

---@param handle lunet.udp.handle
---@return string? data
---@return string? host
---@return integer|string|nil port  or the problem, without data
function udp.recv(handle) end

---@param handle lunet.udp.handle
---@return true?
---@return string? problem
---@return_overload nil, string
function udp.close(handle) end

---@param handle lunet.udp.handle
---@return string? host
---@return integer? port
---@return string? problem
---@return_overload nil, string
function udp.getsockname(handle) end

return udp
