---@meta eco.sync

---Waiting for other coroutines. Timeouts are seconds: nil is for ever, 0 or
---less fails at once.
---@class eco.sync
local sync = {}

---@class eco.sync.Cond: userdata
---@field closed boolean
---@field waiters true[]  one per waiter
---@field efd? integer    -1, nil once closed
local cond = {}

---@async
---@param timeout? number
---@return any value  what was signalled, true for nil and false
---@return 'timeout'|'closed'|nil problem
function cond:wait(timeout) end

---Wakes the longest waiting coroutine.
---@param value? any
---@return boolean woken  false: nobody waits, nothing is remembered
function cond:signal(value) end

---Wakes all.
---@return integer woken
function cond:broadcast() end

---Everybody gets `nil, 'closed'`, now and later.
function cond:close() end

---@class eco.sync.WaitGroup: userdata
---@field counter integer
local waitgroup = {}

---Raises below zero. Coming down to zero this way wakes nobody.
---@param delta integer
function waitgroup:add(delta) end

---One less; at zero wakes all. Raises below zero.
function waitgroup:done() end

---@async
---@param timeout? number
---@return true? reached
---@return 'timeout'? problem
function waitgroup:wait(timeout) end

---@class eco.sync.Mutex: userdata
---@field locked boolean
---@field nwaiters integer
local mutex = {}

---@async
---@param timeout? number
---@return true? locked
---@return 'timeout'? problem
function mutex:lock(timeout) end

---Hands the mutex to the longest waiting coroutine. Raises when it is not locked.
function mutex:unlock() end

---@return eco.sync.Cond
---@nodiscard
function sync.cond() end

---@return eco.sync.WaitGroup
---@nodiscard
function sync.waitgroup() end

---@return eco.sync.Mutex
---@nodiscard
function sync.mutex() end

return sync
