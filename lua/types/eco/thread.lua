---@meta eco.thread

---What ended a thread.
---@class eco.thread.error
---@field message string
---@field traceback string
---@field value any  the error value, if it was no string and can be sent

---A thread with a Lua state of its own.
---@class eco.thread.thread
local handle = {}

---@async
---@param timeout? number
---@return any ...  what its function returned
---@overload fun(self: eco.thread.thread, timeout?: number): nil, eco.thread.error|string
function handle:join(timeout) end

function handle:cancel() end

---@return boolean
---@nodiscard
function handle:is_running() end

---@return string
---@nodiscard
function handle:name() end

---A queue of messages that threads share.
---@class eco.thread.channel
---@overload fun(): any ...
local channel = {}

---@async
---@param ... any
---@return true?
---@return string? problem
---@return_overload nil, string
function channel:send(...) end

---@async
---@param timeout number
---@param ... any
---@return true?
---@return string? problem
---@return_overload nil, string
function channel:send_within(timeout, ...) end

---@param ... any
---@return true?
---@return string? problem
---@return_overload nil, string
function channel:try_send(...) end

---@async
---@param timeout? number
---@return any ...
function channel:recv(timeout) end

---@return any ...
function channel:try_recv() end

---@return integer
---@nodiscard
function channel:length() end

---@return integer?
---@nodiscard
function channel:capacity() end

---@return boolean
---@nodiscard
function channel:is_closed() end

function channel:close() end

---Threads that run functions.
---@class eco.thread.pool
local pool = {}

---@async
---@param f function
---@param ... any
---@return any ...  what it returned
function pool:run(f, ...) end

function pool:close() end

---@class eco.thread.limits
---@field memory? integer  bytes that the state may take
---@field stack? integer  bytes of the C stack

---@class eco.thread.options : eco.thread.limits
---@field name? string

---Lua states in threads of their own.
---@class eco.thread
local thread = {}

---@param options eco.thread.options
---@param f function
---@param ... any
---@return eco.thread.thread?
---@return string? problem
---@overload fun(f: function, ...: any): eco.thread.thread?, string?
function thread.spawn(options, f, ...) end

---@return eco.thread.thread
---@nodiscard
function thread.self() end

---@return integer
---@nodiscard
function thread.cores() end

---@param capacity? integer
---@return eco.thread.channel
---@nodiscard
function thread.channel(capacity) end

---@param size? integer
---@param options? eco.thread.limits
---@return eco.thread.pool?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function thread.pool(size, options) end

return thread
