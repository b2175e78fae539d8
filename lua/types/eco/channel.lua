---@meta eco.channel

---Bounded queues that carry values from coroutine to coroutine.
---@class eco.channel
local channel = {}

---@class eco.channel.Channel: userdata
---@field capacity integer
---@field closed boolean
---@field buf any[]  a copy of the values held, oldest first
local ch = {}

---Waits while the channel is full. Raises when it is closed, or closed meanwhile.
---@async
---@param value any       nil is not sent
---@param timeout? number  seconds; 0 or less fails at once
---@return true? sent
---@return 'timeout'? problem
function ch:send(value, timeout) end

---Waits while the channel is empty; nil alone means closed and empty.
---@async
---@param timeout? number  seconds; 0 or less fails at once
---@return any value
---@return 'timeout'? problem
function ch:recv(timeout) end

---@return integer held
---@nodiscard
function ch:length() end

---Wakes everybody; values held can still be received.
function ch:close() end

---@param capacity? integer  1 when missing or less
---@return eco.channel.Channel
---@nodiscard
function channel.new(capacity) end

return channel
