---@meta eco.ssh

---What a server's key is checked with.
---@class eco.ssh.host
---@field host string
---@field port integer
---@field key string
---@field fingerprint string  SHA256:…

---@class eco.ssh.options
---@field password? string
---@field key? string  path of a private key
---@field public_key? string  path of its public half
---@field passphrase? string
---@field known_hosts? string|string[]
---@field host_key? string|fun(host: eco.ssh.host): boolean
---@field insecure? boolean

---@class eco.ssh.session
---@field disconnected boolean
local session = {}

---@param command string
---@param timeout? number  seconds for all of it, 30
---@param max_output? integer  bytes, 16 MiB
---@return string? output
---@return integer|string status  or what went wrong
---@return string? signal
function session:exec(command, timeout, max_output) end

---@param source string
---@param dest? string  a local path
---@return string|integer|nil content  or how many bytes were written
---@return string? problem
function session:scp_recv(source, dest) end

---@param data string
---@param dest string
---@return true?
---@return string? problem
---@return_overload nil, string
function session:scp_send(data, dest) end

---@param source string  a local path
---@param dest string
---@return true?
---@return string? problem
---@return_overload nil, string
function session:scp_sendfile(source, dest) end

---@param reason? integer
---@param description? string
---@return true?
---@return string? problem
---@return_overload nil, string
function session:disconnect(reason, description) end

function session:free() end

---Commands and files on SSH servers.
---@class eco.ssh
local ssh = {}

---@param ipaddr string
---@param port integer|number
---@param username string
---@param password? string|eco.ssh.options
---@return eco.ssh.session?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function ssh.new(ipaddr, port, username, password) end

return ssh
