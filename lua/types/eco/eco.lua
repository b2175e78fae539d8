---@meta eco

---The scheduler: coroutines, sleeping, the loop, handles.
---@class eco
---@field VERSION string
---@field VERSION_MAJOR integer
---@field VERSION_MINOR integer
---@field VERSION_PATCH integer
---@field READ 1
---@field WRITE 4
local eco = {}

---Waits for an fd that something else reads and writes.
---@class eco.Io: userdata
local io = {}

---@async
---@param events integer  `eco.READ`, `eco.WRITE` or both
---@param timeout? number
---@return true? ready
---@return string? problem
---@return_overload nil, string
function io:wait(events, timeout) end

---The waiting call returns `nil, 'canceled'`.
function io:cancel() end

---@class eco.Reader: userdata, eco.bufio.Source
local reader = {}

---@async
---@param timeout? number
---@return true? ready
---@return string? problem
---@return_overload nil, string
function reader:wait(timeout) end

---A number of bytes at most, `'l'` or `'L'` a line, `'a'` everything.
---@async
---@param format integer|'l'|'L'|'a'|'*l'|'*L'|'*a'
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function reader:read(format, timeout) end

---@async
---@param count integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function reader:readfull(count, timeout) end

---What comes before `needle`, piece by piece.
---@async
---@param needle string  1 to 256 bytes
---@param timeout? number
---@return string? data
---@return true|string|nil found  true with the last piece, or the problem
function reader:readuntil(needle, timeout) end

---@async
---@param buffer eco.Buffer
---@param count integer
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function reader:read2b(buffer, count, timeout) end

---The waiting call returns `nil, 'canceled'`.
function reader:cancel() end

---@class eco.Writer: userdata
local writer = {}

---@async
---@param timeout? number
---@return true? ready
---@return string? problem
---@return_overload nil, string
function writer:wait(timeout) end

---Writes all of it.
---@async
---@param data string|number
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function writer:write(data, timeout) end

---@async
---@param path string
---@param offset integer
---@param length integer
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function writer:sendfile(path, offset, length, timeout) end

---The waiting call returns `nil, 'canceled'`.
function writer:cancel() end

---Bytes in memory; positions count from 0.
---@class eco.Buffer: userdata
local buffer = {}

---@param start? integer
---@param count? integer
---@return string
function buffer:data(start, count) end

---@param count? integer
---@return string
function buffer:pull(count) end

---@param count? integer
---@return integer dropped
function buffer:discard(count) end

---@return integer capacity
function buffer:size() end

---@return integer used
function buffer:len() end

function buffer:clear() end

---@param position integer
---@param character string
---@return integer? position
function buffer:index(position, character) end

---@param start integer
---@param needle string
---@return integer? position
function buffer:find(start, needle) end

---Runs `f(...)` in a new coroutine until it first waits.
---@param f function
---@param ... any
---@return thread
function eco.run(f, ...) end

---@async
---@param delay number  seconds, 0 or more
function eco.sleep(delay) end

---Lets every other ready coroutine run first.
---@async
function eco.yield() end

---Coroutines of `eco.run` that have not ended.
---@return integer
---@nodiscard
function eco.count() end

---@return thread[]
---@nodiscard
function eco.all() end

---A coroutine, or a timer that is set.
---@class eco.Task
---@field thread? thread                nil for a timer
---@field state 'running'|'normal'|'ready'|'waiting'|'suspended'
---@field waits? 'fd'|'timer'|'lock'|'condition'|'waitgroup'|'channel'|'child'|'pool'|'thread'|'event'|string
---@field fd? integer
---@field events? 'r'|'w'|'rw'
---@field call? string                  the function that waits
---@field object? string                the kind of its first object
---@field waited? number                seconds so far
---@field timeout? number               seconds left
---@field where? string                 `file:line`
---@field callback? function            of a timer

---What each coroutine waits for.
---@return eco.Task[]
---@nodiscard
function eco.tasks() end

---Writes the same as text to standard error.
function eco.dump() end

---`eco.dump()` whenever a signal comes; nil ends it.
---@param signal? integer
---@return true? done
---@return string? problem
---@return_overload nil, string
function eco.dump_on(signal) end

---@param hook? fun(message: string, traceback: string)
function eco.set_panic_hook(hook) end

---@param limit integer  milliseconds, 0 to 5000; 0 is off
function eco.set_watchdog_timeout(limit) end

---Runs until nothing can wake anybody, or `eco.unloop()`.
---@return true? ended
---@return string? problem
---@return_overload nil, string
function eco.loop() end

---Stops the running loop.
---@param inner? boolean  only the innermost one
function eco.unloop(inner) end

---@param fd integer
---@return eco.Io? io
---@return string? problem
---@return_overload nil, string
function eco.io(fd) end

---@param fd integer
---@param read? lightuserdata     a native read function
---@param context? lightuserdata
---@return eco.Reader? reader
---@return string? problem
---@return_overload nil, string
function eco.reader(fd, read, context) end

---@param fd integer
---@param write? lightuserdata    a native write function
---@param context? lightuserdata
---@return eco.Writer? writer
---@return string? problem
---@return_overload nil, string
function eco.writer(fd, write, context) end

---@param size? integer  4096 when missing
---@return eco.Buffer
---@nodiscard
function eco.buffer(size) end

---Queues a coroutine: ends a sleep or a bare `coroutine.yield()`.
---@param co thread
function eco.resume(co) end

---@param co thread
function eco._resume(co) end

---In a forked child: forgets what the parent waited for.
function eco.init() end

function eco._init() end

---@param hook? fun(pid: integer, status: table)
function eco._set_sigchld_hook(hook) end

return eco
