---@meta lunet.socket

---@class lunet.socket.handle: userdata

local socket = {}

---@param proto 'tcp'|'unix'
---@param host string  an address of IPv4, or a path
---@param port? integer|number
---@return lunet.socket.handle? listener
---@return string? problem
---@return_overload nil, string
function socket.listen(proto, host, port) end

---@param listener lunet.socket.handle
---@return lunet.socket.handle?
---@return string? problem
---@return_overload nil, string
function socket.accept(listener) end

---@param host string  an address of IPv4, or a path
---@param port? integer|number
---@return lunet.socket.handle?
---@return string? problem
---@return_overload nil, string
function socket.connect(host, port) end

---@param handle lunet.socket.handle
---@return string? data  nil alone is the end
---@return string? problem
function socket.read(handle) end

---@param handle lunet.socket.handle
---@param data string|number
---@return string? problem
function socket.write(handle, data) end

---@param handle lunet.socket.handle
---@return string? problem
function socket.close(handle) end

---@param handle lunet.socket.handle
---@return string? name
---@return string? problem
---@return_overload nil, string
function socket.getpeername(handle) end

---@param size number
function socket.set_read_buffer_size(size) end

return socket
