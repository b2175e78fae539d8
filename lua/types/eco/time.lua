---@meta eco.time

---The clock, sleeping and timers; all times in seconds.
---@class eco.time
---@field CLOCK_REALTIME 0
---@field CLOCK_MONOTONIC 1
---@field TFD_TIMER_ABSTIME 1
local time = {}

---@class eco.time.Timer: userdata
---@field cb fun(timer: eco.time.Timer, ...)
---@field flags 0|1       1 for dates
---@field tfd? integer    -1, nil once closed
local timer = {}

---Sets or moves the timer. Raises for anything but a number of at least 0.
---@param delay number  a date for timers of `time.on`
---@return true? set
---@return string? problem
---@return_overload nil, string
function timer:set(delay) end

---The callback does not run, even if it was due.
function timer:cancel() end

---Cancels for good.
function timer:close() end

---Seconds since the epoch.
---@return number
---@nodiscard
function time.now() end

---@async
---@param delay number
function time.sleep(delay) end

---A timer that is not set yet.
---@param callback fun(timer: eco.time.Timer, ...)
---@param ... any  passed to the callback
---@return eco.time.Timer? timer
---@return string? problem
---@return_overload nil, string
function time.timer(callback, ...) end

---@param delay number
---@param callback fun(timer: eco.time.Timer, ...)
---@param ... any  passed to the callback
---@return eco.time.Timer? timer
---@return string? problem
---@return_overload nil, string
function time.at(delay, callback, ...) end

---@param date number  seconds since the epoch
---@param callback fun(timer: eco.time.Timer, ...)
---@param ... any  passed to the callback
---@return eco.time.Timer? timer
---@return string? problem
---@return_overload nil, string
function time.on(date, callback, ...) end

---@param clock integer
---@return integer? fd
---@return string? problem
---@return_overload nil, string
function time.timerfd_create(clock) end

---@param fd integer
---@param flags integer
---@param delay number
---@param interval? number
---@return true? set
---@return string? problem
---@return_overload nil, string
function time.timerfd_settime(fd, flags, delay, interval) end

return time
