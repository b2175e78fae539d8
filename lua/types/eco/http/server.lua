---@meta eco.http.server

---HTTP/1.1 server: one coroutine per connection.
---@class eco.http.server
---@field STATUS_CONTINUE 100
---@field STATUS_SWITCHING_PROTOCOLS 101
---@field STATUS_PROCESSING 102
---@field STATUS_OK 200
---@field STATUS_CREATED 201
---@field STATUS_ACCEPTED 202
---@field STATUS_NON_AUTHORITATIVE_INFORMATION 203
---@field STATUS_NO_CONTENT 204
---@field STATUS_RESET_CONTENT 205
---@field STATUS_PARTIAL_CONTENT 206
---@field STATUS_MULTI_STATUS 207
---@field STATUS_ALREADY_REPORTED 208
---@field STATUS_IM_USED 226
---@field STATUS_MULTIPLE_CHOICES 300
---@field STATUS_MOVED_PERMANENTLY 301
---@field STATUS_FOUND 302
---@field STATUS_SEE_OTHER 303
---@field STATUS_NOT_MODIFIED 304
---@field STATUS_USE_PROXY 305
---@field STATUS_TEMPORARY_REDIRECT 307
---@field STATUS_PERMANENT_REDIRECT 308
---@field STATUS_BAD_REQUEST 400
---@field STATUS_UNAUTHORIZED 401
---@field STATUS_PAYMENT_REQUIRED 402
---@field STATUS_FORBIDDEN 403
---@field STATUS_NOT_FOUND 404
---@field STATUS_METHOD_NOT_ALLOWED 405
---@field STATUS_NOT_ACCEPTABLE 406
---@field STATUS_PROXY_AUTHENTICATION_REQUIRED 407
---@field STATUS_REQUEST_TIMEOUT 408
---@field STATUS_CONFLICT 409
---@field STATUS_GONE 410
---@field STATUS_LENGTH_REQUIRED 411
---@field STATUS_PRECONDITION_FAILED 412
---@field STATUS_PAYLOAD_TOO_LARGE 413
---@field STATUS_URI_TOO_LONG 414
---@field STATUS_UNSUPPORTED_MEDIA_TYPE 415
---@field STATUS_RANGE_NOT_SATISFIABLE 416
---@field STATUS_EXPECTATION_FAILED 417
---@field STATUS_MISDIRECTED_REQUEST 421
---@field STATUS_UNPROCESSABLE_ENTITY 422
---@field STATUS_LOCKED 423
---@field STATUS_FAILED_DEPENDENCY 424
---@field STATUS_UPGRADE_REQUIRED 426
---@field STATUS_PRECONDITION_REQUIRED 428
---@field STATUS_TOO_MANY_REQUESTS 429
---@field STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE 431
---@field STATUS_UNAVAILABLE_FOR_LEGAL_REASONS 451
---@field STATUS_INTERNAL_SERVER_ERROR 500
---@field STATUS_NOT_IMPLEMENTED 501
---@field STATUS_BAD_GATEWAY 502
---@field STATUS_SERVICE_UNAVAILABLE 503
---@field STATUS_GATEWAY_TIMEOUT 504
---@field STATUS_HTTP_VERSION_NOT_SUPPORTED 505
---@field STATUS_VARIANT_ALSO_NEGOTIATES 506
---@field STATUS_INSUFFICIENT_STORAGE 507
---@field STATUS_LOOP_DETECTED 508
---@field STATUS_NOT_EXTENDED 510
---@field STATUS_NETWORK_AUTHENTICATION_REQUIRED 511
local server = {}

---@class eco.http.server.Options
---@field docroot? string          base of `serve_file`, '.' by default
---@field index? string            file for '/', 'index.html' by default
---@field http_keepalive? number   idle seconds between requests, 30 by default; 0 turns keep-alive off
---@field charset? string|false    of files of `text/…`, 'utf-8' by default
---@field gzip? boolean            prefer `<file>.gz` for clients that take gzip
---@field cert? string             with `key`: serve TLS
---@field key? string
---@field ca? string
---@field insecure? boolean
---@field ctx? eco.ssl.Context     serve TLS with this context
---@field names? table<string, eco.ssl.Identity>
---@field handshake_timeout? number  seconds for a TLS handshake, 15 by default
---@field ssl? boolean             set by `listen` when it serves TLS
---@field max_connections? number       served at once, 256 by default
---@field max_peer_connections? number  of one address at once, 128 by default
---@field max_request_line? number      bytes of the first line of a request, 8192 by default
---@field max_head? number              bytes of a request head, 16384 by default
---@field max_headers? number           header lines, 100 by default
---@field max_body? number              bytes of a request body, 1 MiB by default
---@field max_buffered? number          bytes of bodies that `read_body` holds at once, 8 MiB by default
---@field max_drain? number             bytes of an unread body read away to keep a connection, 256 KiB by default
---@field max_linger? number            bytes read away at the end of a connection, 32 MiB by default
---@field head_timeout? number          seconds a whole request head may take, 10 by default
---@field body_timeout? number          seconds in which a kilobyte of a body must come, 30 by default
---@field send_timeout? number          seconds in which a client must take a kilobyte, 60 by default
---@field linger_timeout? number        seconds of silence before a connection is closed upon the peer, 5 by default
---@field linger_time? number           seconds until that at most, 30 by default
---@field reuseaddr? boolean
---@field reuseport? boolean
---@field ipv6? boolean
---@field ipv6_v6only? boolean
---@field mark? integer
---@field device? string
---@field backlog? integer
---@field tcp_nodelay? boolean
---@field keepalive? boolean
---@field tcp_keepidle? integer
---@field tcp_keepcnt? integer
---@field tcp_keepintvl? integer
---@field tcp_fastopen? integer

---@class eco.http.server.Request
---@field method string
---@field raw_path string          the target as it came
---@field path string              decoded and normalised, without query
---@field query_string string      undecoded, '' when there is none
---@field query table<string, string>
---@field headers table<string, string>  lower-case names
---@field major_version 1
---@field minor_version 0|1
---@field form table

---@class eco.http.server.Address
---@field family integer
---@field ipaddr string
---@field port integer

---The response so far; `code`, `status` and `headers` can be set.
---@class eco.http.server.Response
---@field code integer
---@field status? string
---@field headers table<string, string>
---@field head_sent boolean
---@field chunked boolean
---@field data string
---@field major_version 1
---@field minor_version 0|1
---@field [string] any

---One connection; handlers may keep fields of their own in it.
---@class eco.http.server.Connection
---@field sock table
---@field peer eco.http.server.Address
---@field options eco.http.server.Options
---@field body_remain integer
---@field resp eco.http.server.Response
---@field formed boolean
---@field [string] any
local con = {}

---@return eco.http.server.Address
function con:remote_addr() end

---Replaces a header; nil removes it.
---@param name string
---@param value? string|number
function con:add_header(name, value) end

---@param code integer  100 to 999
---@param reason? string
---@return true
function con:set_status(code, reason) end

---Buffers a piece of the body.
---@param ... any
---@return true
function con:send(...) end

---@return true?
---@return string? problem
---@return_overload nil, string
function con:flush() end

---@param code integer
---@param reason? string
---@param content? string
---@return true
function con:send_error(code, reason, content) end

---@param code integer  300 to 308
---@param location string
---@return true
function con:redirect(code, location) end

---@param path string
---@param count? integer
---@param offset? integer
---@return true?
---@return string? problem
---@return_overload nil, string
function con:send_file(path, count, offset) end

---@param count? integer
---@param timeout? number
---@return string?
---@return string? problem
---@return_overload nil, string
function con:read_body(count, timeout) end

---@return true?
---@return string? problem
---@return_overload nil, string
function con:discard_body() end

---@param req eco.http.server.Request
---@param timeout? number
---@return 'header'|'body'|'end'|nil event
---@return table|string|nil data
function con:read_formdata(req, timeout) end

---@param req eco.http.server.Request
---@return true?
---@return string? problem
---@return_overload nil, string
function con:serve_file(req) end

---One of server-sent events; a line end in data or comment begins another line.
---@class eco.http.server.Event
---@field data? any
---@field event? string    its type, 'message' for the browser when there is none
---@field id? string|integer
---@field retry? integer   milliseconds until the browser connects anew
---@field comment? string  for nobody: shows proxies that the connection lives

---Sends an event and flushes; the first one sends the head.
---@param event string|eco.http.server.Event
---@return true?
---@return string? problem
---@return_overload nil, string
function con:send_event(event) end

---Serves until something goes wrong.
---@param ipaddr? string
---@param port integer|number
---@param options? eco.http.server.Options
---@param handler fun(con: eco.http.server.Connection, req: eco.http.server.Request): any?, any?
---@return true? none  nil, always
---@return string problem
function server.listen(ipaddr, port, options, handler) end

---A server that accepts in a coroutine of its own.
---@class eco.http.server.Server
local object = {}

---Accepts no more; requests that are being handled are answered first.
---@async
---@param timeout? number  seconds, 5 when missing
---@return true? done
---@return string? problem
---@return_overload nil, string
function object:close(timeout) end

---@return eco.socket.Address? address
---@return string? problem
---@return_overload nil, string
function object:getsockname() end

---Connections that are open.
---@return integer
function object:count() end

---@param ipaddr? string
---@param port integer|number
---@param options? eco.http.server.Options
---@param handler fun(con: eco.http.server.Connection, req: eco.http.server.Request): any?, any?
---@return eco.http.server.Server? server
---@return string? problem
---@return_overload nil, string
function server.serve(ipaddr, port, options, handler) end

return server
