---@meta eco.ubus

---OpenWrt's message bus.
---@class eco.ubus
---@field STATUS_OK integer
---@field STATUS_INVALID_COMMAND integer
---@field STATUS_INVALID_ARGUMENT integer
---@field STATUS_METHOD_NOT_FOUND integer
---@field STATUS_NOT_FOUND integer
---@field STATUS_NO_DATA integer
---@field STATUS_PERMISSION_DENIED integer
---@field STATUS_TIMEOUT integer
---@field STATUS_NOT_SUPPORTED integer
---@field STATUS_UNKNOWN_ERROR integer
---@field STATUS_CONNECTION_FAILED integer
---@field ARRAY integer
---@field TABLE integer
---@field STRING integer
---@field INT64 integer
---@field INT32 integer
---@field INT16 integer
---@field INT8 integer
---@field BOOLEAN integer
---@field DOUBLE integer
local ubus = {}

---@param path? string  `/var/run/ubus/ubus.sock` unless given
---@param auto_reconnect? boolean
---@return eco.ubus.Connection?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function ubus.connect(path, auto_reconnect) end

---@param status integer
---@return string
---@nodiscard
function ubus.strerror(status) end

---@param object string
---@param method string
---@param params? table
---@param timeout? number|false
---@return table? result
---@return string|table|nil problem  or the next part of the result
---@return table? ...
function ubus.call(object, method, params, timeout) end

---@param event string
---@param params? table
---@return true?
---@return string? problem
---@return_overload nil, string
function ubus.send(event, params) end

---@return table<integer, string>? paths  by id
---@return string? problem
---@return_overload nil, string
---@nodiscard
function ubus.objects() end

---@param path string
---@return table<string, table<string, integer>>? methods
---@return string? problem
---@return_overload nil, string
---@nodiscard
function ubus.signatures(path) end

---A call that is being served.
---@class eco.ubus.Request: userdata

---An object or a subscription of ours.
---@class eco.ubus.Handle: userdata

---@alias eco.ubus.Method { [1]: fun(req: eco.ubus.Request, msg: table, con: eco.ubus.Connection): integer?, [2]?: table<string, integer> }

---@class eco.ubus.Connection
---@field closed? true
---@field connection_lost boolean
local con = {}

---@param object string
---@param method string
---@param params? table
---@param timeout? number|false  seconds, 30 unless given; false, 0 or less: for ever
---@return table? result
---@return string|table|nil problem  or the next part of the result
---@return table? ...
function con:call(object, method, params, timeout) end

---As `call`, with descriptors.
---@param object string
---@param method string
---@param params? table
---@param timeout? number|false
---@param fd? integer  goes along with the call; stays the script's
---@return integer|false|nil fd  that came with the answer; the script's
---@return table|string|nil result  or a message
---@return table? ...
function con:call_fd(object, method, params, timeout, fd) end

---@param path string
---@param methods table<string, eco.ubus.Method>
---@return eco.ubus.Handle?
---@return string? problem
---@return_overload nil, string
function con:add(path, methods) end

---@param req eco.ubus.Request
---@param msg? table
---@return true?
---@return string? problem
---@return_overload nil, string
function con:reply(req, msg) end

---@param req eco.ubus.Request
---@return integer|false fd  that came with the call; the script's
function con:take_fd(req) end

---@param req eco.ubus.Request
---@param fd integer  goes to the caller with the end of the call; stays the script's
---@return true?
---@return string? problem
---@return_overload nil, string
function con:reply_fd(req, fd) end

---@param pattern string  with `*` at the end: all events that begin so
---@param callback fun(name: string, msg: table, con: eco.ubus.Connection)
---@return true?
---@return string? problem
---@return_overload nil, string
function con:listen(pattern, callback) end

---@param event string
---@param params? table
---@return true?
---@return string? problem
---@return_overload nil, string
function con:send(event, params) end

---@param path string
---@param callback fun(method: string, msg: table, con: eco.ubus.Connection)
---@param auto? boolean  whether the object may be missing, and come and go
---@return eco.ubus.Handle?
---@return string? problem
---@return_overload nil, string
function con:subscribe(path, callback, auto) end

---@param handle eco.ubus.Handle
---@return true?
---@return string? problem
---@return_overload nil, string
function con:unsubscribe(handle) end

---@param handle eco.ubus.Handle  of an object
---@param method string
---@param params? table
---@return true?
---@return string? problem
---@return_overload nil, string
function con:notify(handle, method, params) end

---@return table<integer, string>? paths  by id
---@return string? problem
---@return_overload nil, string
---@nodiscard
function con:objects() end

---@param path string
---@return table<string, table<string, integer>>? methods
---@return string? problem
---@return_overload nil, string
---@nodiscard
function con:signatures(path) end

function con:close() end

return ubus
