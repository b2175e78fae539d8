---@meta eco.ssl

---TLS 1.2 and 1.3, client and server.
---@class eco.ssl
---@field VERSION string       of Mbed TLS
---@field TLS13 boolean        whether TLS 1.3 is spoken
---@field OK integer
---@field ERROR integer
---@field WANT_READ integer
---@field WANT_WRITE integer
---@field INSECURE integer
---@field read lightuserdata   for eco.reader
---@field write lightuserdata  for eco.writer
local ssl = {}

---@class eco.ssl.Identity
---@field cert string  path or PEM text
---@field key string   path or PEM text

---@class eco.ssl.Options: eco.socket.ListenOptions, eco.socket.ConnectOptions
---@field ca? string             path or PEM text; a server with it requires certificates of its clients
---@field cert? string           path or PEM text
---@field key? string            path or PEM text
---@field insecure? boolean      neither chain nor name is verified
---@field server_name? string    of clients; by default the host dialled
---@field names? table<string, eco.ssl.Identity>  of servers, by SNI
---@field alpn? string[]
---@field min_version? '1.2'|'1.3'
---@field max_version? '1.2'|'1.3'
---@field ciphers? string|string[]
---@field timeout? number        seconds for the handshake, 15 by default
---@field session? string        what `session()` of an earlier connection gave
---@field tickets? boolean       false: a server remembers nobody
---@field ticket_lifetime? integer
---@field session_cache? integer
---@field ctx? eco.ssl.Context

---@class eco.ssl.Context
local context = {}

---@param fd integer
---@param insecure? boolean
---@return eco.ssl.Session? session
---@return string? message
function context:new(fd, insecure) end

---No further sessions.
function context:free() end

---@param path string
---@return boolean
function context:load_ca_cert_file(path) end

---@param path string
---@return boolean
function context:load_cert_file(path) end

---@param path string
---@return boolean
function context:load_key_file(path) end

---@param list string|string[]
---@return boolean
function context:set_ciphers(list) end

---@param required boolean
function context:require_validation(required) end

---Takes certificates, names and authorities from another context.
---@param other eco.ssl.Context
function context:adopt(other) end

---@class eco.ssl.Session
local session = {}

---@return true|integer|nil result
---@return string? message
function session:handshake() end

---@param name string
---@return boolean
function session:set_server_name(name) end

---@return lightuserdata
function session:pointer() end

function session:free() end

---@class eco.ssl.Connection: eco.bufio.Source
---@field sock table
---@field ssock eco.ssl.Session
---@field rd table
---@field wr table
---@field closed? true
---@field ctx eco.ssl.Context
---@field keep_ctx boolean
local connection = {}

---@param format integer|'l'|'L'|'a'
---@param timeout? number
---@return string? data
---@return string? message
function connection:read(format, timeout) end

connection.recv = connection.read

---@param size integer
---@param timeout? number
---@return string? data
---@return string? message
function connection:readfull(size, timeout) end

connection.recvfull = connection.readfull

---@param needle string
---@param timeout? number
---@return string? data
---@return true|string|nil found  or a message
function connection:readuntil(needle, timeout) end

---@param buffer table
---@param size integer
---@param timeout? number
---@return integer? count
---@return string? message
function connection:read2b(buffer, size, timeout) end

---@param data string|number
---@param timeout? number
---@return integer? sent
---@return string? message
function connection:send(data, timeout) end

connection.write = connection.send

---@param path string
---@param len integer
---@param offset? integer
---@param timeout? number
---@return integer? sent
---@return string? message
function connection:sendfile(path, len, offset, timeout) end

function connection:close() end

---@return integer
function connection:getfd() end

---@return string? protocol
function connection:alpn() end

---@return string? version
function connection:version() end

---@return string? suite
function connection:cipher() end

---@return string? der
---@return string? subject
function connection:peer_certificate() end

---@return string? session
function connection:session() end

---@class eco.ssl.Server
---@field sock table
---@field ctx eco.ssl.Context
---@field insecure? boolean
---@field closed? true
local server = {}

---@return eco.ssl.Connection? connection
---@return table|string peer  or a message
function server:accept() end

---@param opts eco.ssl.Options
---@return true? ok
---@return string? message
function server:reload(opts) end

function server:close() end

---@param host string
---@param port integer|number
---@param opts? eco.ssl.Options
---@return eco.ssl.Connection? connection
---@return string? message
function ssl.connect(host, port, opts) end

---@param ip string?
---@param port integer|number
---@param opts? eco.ssl.Options
---@return eco.ssl.Server? server
---@return string? message
function ssl.listen(ip, port, opts) end

---@param sock table
---@param opts eco.ssl.Options
---@return eco.ssl.Connection? connection
---@return string? message
function ssl.client(sock, opts) end

---@param sock table
---@param opts eco.ssl.Options|eco.ssl.Context
---@return eco.ssl.Connection? connection
---@return string? message
function ssl.server(sock, opts) end

---@param opts? eco.ssl.Options
---@return eco.ssl.Context? context
---@return string? message
function ssl.client_context(opts) end

---@param opts? eco.ssl.Options
---@return eco.ssl.Context? context
---@return string? message
function ssl.server_context(opts) end

---@param is_server? boolean
---@return eco.ssl.Context
function ssl.context(is_server) end

return ssl
