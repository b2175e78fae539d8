---@meta luv.zmq

---ØMQ for Luv: `luv.zmq`.
---A failure is `false` and a message; here it is nil, for `assert` and `if` take that away from what is left.
---@class luv.zmq
---@field PAIR integer
---@field PUB integer
---@field SUB integer
---@field REQ integer
---@field REP integer
---@field DEALER integer
---@field ROUTER integer
---@field PULL integer
---@field PUSH integer
---@field IO_THREADS integer
---@field MAX_SOCKETS integer
---@field RATE integer
---@field RECOVERY_IVL integer
---@field SNDBUF integer
---@field RCVBUF integer
---@field RCVMORE integer
---@field FD integer
---@field EVENTS integer
---@field TYPE integer
---@field LINGER integer
---@field RECONNECT_IVL integer
---@field RECONNECT_IVL_MAX integer
---@field BACKLOG integer
---@field SNDHWM integer
---@field RCVHWM integer
---@field RCVTIMEO integer
---@field SNDTIMEO integer
---@field ROUTER_BEHAVIOR integer
---@field TCP_KEEPALIVE integer
---@field TCP_KEEPALIVE_CNT integer
---@field TCP_KEEPALIVE_IDLE integer
---@field TCP_KEEPALIVE_INTVL integer
---@field AFFINITY integer
---@field IDENTITY integer
---@field SUBSCRIBE integer
---@field UNSUBSCRIBE integer
---@field TCP_ACCEPT_FILTER integer
---@field IPV4ONLY integer
---@field MORE integer
---@field DONTWAIT integer
---@field SNDMORE integer
---@field POLLIN integer
---@field POLLOUT integer
---@field POLLERR integer
---@field STREAMER integer
---@field FORWARDER integer
---@field QUEUE integer
local zmq = {}

---Passes to other threads.
---@class luv.zmq.Context
local context = {}

---@class luv.zmq.Socket
local socket = {}

---@param threads? integer for input and output
---@return luv.zmq.Context
function zmq.create(threads) end

---@param type integer
---@return luv.zmq.Socket?
---@return string? problem
function context:socket(type) end

---From now on calls on its sockets fail, in every thread.
---@return luv.zmq.Context self
function context:term() end

---@param address string
---@return 0|-1
---@return string? problem
function socket:bind(address) end

---@param address string
---@return 0|-1
---@return string? problem
function socket:connect(address) end

---@async
---@param message string
---@param flags? integer SNDMORE, DONTWAIT
---@return luv.zmq.Socket? self
---@return string message or what went wrong
function socket:send(message, flags) end

---@async
---@param flags? integer DONTWAIT
---@return string? message
---@return string? problem
function socket:recv(flags) end

---@param option string|integer
---@param value string|integer|boolean
---@return boolean done
---@return string? problem
function socket:setsockopt(option, value) end

---@param option string|integer
---@return string|integer|boolean value
---@return string? problem
function socket:getsockopt(option) end

---@return luv.zmq.Socket self
function socket:close() end

return zmq
