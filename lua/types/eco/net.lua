---@meta eco.net

---Round trips to other hosts.
---@class eco.net
local net = {}

---@class eco.net.Options
---@field timeout? number seconds to wait for the reply; 5 unless given
---@field data? string what the packet carries; `'hello'` unless given
---@field device? string
---@field mark? integer
---@field nameservers? (string|table)[]
---@field dns? eco.dns.Options

---One echo over IPv4.
---@async
---@param host string
---@param options? eco.net.Options
---@return number? seconds
---@return string? problem
---@return_overload nil, string
function net.ping(host, options) end

---One echo over IPv6.
---@async
---@param host string
---@param options? eco.net.Options
---@return number? seconds
---@return string? problem
---@return_overload nil, string
function net.ping6(host, options) end

return net
