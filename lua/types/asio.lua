---@meta asio

---LuaAsio: light threads and connections.
---@class asio
local asio = {}

---@class asio.Holder a server lives as long as this is referred to

---@class asio.Connection
local connection = {}

---Runs `f(...)` until it first waits.
---@param f fun(...)
---@return thread
function asio.spawn_light_thread(f, ...) end

---@param ip string an address of IPv4 or IPv6
---@param port integer|number
---@param handler fun(con: asio.Connection)
---@return asio.Holder? holder
---@return string? problem
---@return_overload nil, string
function asio.server(ip, port, handler) end

---@param holder asio.Holder
function asio.destroy_server(holder) end

---@param holder asio.Holder
function asio.destory_server(holder) end

---@async
---@param host string
---@param port integer|number|string
---@param prefers_v6? boolean
---@return asio.Connection? con
---@return string? problem
---@overload fun(address: string): asio.Connection?, string?
function asio.connect(host, port, prefers_v6) end

---@param address string a `struct sockaddr_storage`
---@return string
function asio.addr_to_str(address) end

---@async
---@param seconds number
function asio.sleep(seconds) end

---Returns when there is neither a server nor a thread that waits.
function asio.run() end

---@param seconds? number
function asio.run_once(seconds) end

---Exactly that many bytes.
---@async
---@param size integer
---@return string? data
---@return string? problem
---@return_overload nil, string
function connection:read(size) end

---What there is, up to 10240 bytes.
---@async
---@return string? data `''` when something failed
---@return string? problem
function connection:read_some() end

---@async
---@param data string
---@return true? done
---@return string? problem
---@return_overload nil, string
function connection:write(data) end

function connection:close() end

---Where the connection was to go before netfilter redirected it.
---@return string? address
function connection:get_original_dst() end

return asio
