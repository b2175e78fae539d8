---@meta eco.websocket

---WebSockets (RFC 6455), both ends.
---@class eco.websocket
local websocket = {}

---@class eco.websocket.Options
---@field max_payload_len? integer  bytes of one frame, 65535 by default
---@field max_message_len? integer  bytes of one message in `recv`, `max_payload_len` by default
---@field frame_timeout? number     seconds in which a kilobyte must come of what has begun, 30 by default
---@field send_timeout? number      seconds of a send that does not get on, 60 by default
---@field ping_interval? number     seconds of silence after which `recv` sends a ping; 0, the default: never
---@field ping_timeout? number      seconds after which it fails then, `ping_interval` by default
---@field deflate? boolean|eco.websocket.Deflate  pack messages, by the package lua-eco-gzip

---@class eco.websocket.Deflate
---@field takeover? boolean  messages refer to earlier ones; true
---@field level? integer     1 to 9; 6
---@field min_size? integer  smaller messages are sent as they are; 64

---@class eco.websocket.ServerOptions: eco.websocket.Options
---@field protocols? string|string[]  subprotocols spoken

---@class eco.websocket.ClientOptions: eco.websocket.Options, eco.ssl.Options
---@field headers? table<string, string|number>
---@field protocols? string|string[]  subprotocols offered
---@field origin? string
---@field timeout? number             seconds for the answer of the server, 30 by default
---@field proxy? string               'http://[user:password@]host[:port]'
---@field unix? string                path of a Unix socket
---@field nameservers? (string|table)[]

---@class eco.websocket.Socket
---@field sock table
---@field opts eco.websocket.Options
---@field protocol? string
---@field deflate? true               messages are packed
---@field masking? true               of clients
---@field headers? table<string, string>  of the answer, of clients
---@field hc? table                   of clients: `hc:close()` closes the stream, `hc:sock()` gives it
local ws = {}

---The next message. After 'closed' come code and reason of the peer.
---@param timeout? number
---@return string? data
---@return 'text'|'binary'|string kind  or why there is none
---@return integer? code
---@return string? reason
function ws:recv(timeout) end

---@param data? any
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function ws:send_text(data) end

---@param data? any
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function ws:send_binary(data) end

---Sends a close frame, waits for the peer's, and closes the stream.
---@param code? integer
---@param reason? string
---@param timeout? number  seconds, 5 by default
---@return true?
---@return string? problem
---@return_overload nil, string
function ws:close(code, reason, timeout) end

---The next frame as it is.
---@param timeout? number
---@return string? data
---@return 'text'|'binary'|'continuation'|'ping'|'pong'|'close'|nil kind
---@return 'again'|integer|string|nil extra  whether a message goes on, the code of a close frame, or why there is no frame
function ws:recv_frame(timeout) end

---@param fin any
---@param opcode integer  0 to 15
---@param payload? any
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function ws:send_frame(fin, opcode, payload) end

---@param data? any
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function ws:send_ping(data) end

---@param data? any
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function ws:send_pong(data) end

---@param code? integer
---@param reason? string
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function ws:send_close(code, reason) end

---In a handler of eco.http.server. When it fails, nothing was sent.
---@param con eco.http.server.Connection
---@param req eco.http.server.Request
---@param opts? eco.websocket.ServerOptions
---@return eco.websocket.Socket?
---@return string? problem
---@return_overload nil, string
function websocket.upgrade(con, req, opts) end

---@param uri string
---@param opts? eco.websocket.ClientOptions
---@return eco.websocket.Socket?
---@return string? problem
---@return_overload nil, string
function websocket.connect(uri, opts) end

return websocket
