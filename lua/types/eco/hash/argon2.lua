---@meta eco.hash.argon2

local argon2 = {}

---Waits while other threads work.
---@param password string
---@param options? { memory?: integer, passes?: integer, lanes?: integer }  KiB, 65536; 2; 1
---@return string? hash, string? err  a PHC string
function argon2.hash(password, options) end

---@param password string
---@param hash string
---@return boolean? same, string? err
---@return_overload nil, string
function argon2.verify(password, hash) end

return argon2
