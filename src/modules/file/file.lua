-- Objects and walks of eco.file, over the native parts.
local eco, internal, parts = ...
local file = setmetatable({}, { __index = internal })

local object = {}
object.__index = object

-- Passes on the results of a call that is no tail call then: where it waits,
-- the frame keeps the file open.
local function exactly(...)
    return ...
end

local function forward(field, name)
    object[name] = function(self, ...)
        local stream = self[field]
        return exactly(stream[name](stream, ...))
    end
end

for _, name in ipairs { 'read', 'readfull', 'readuntil', 'read2b' } do
    forward('rd', name)
end
forward('wr', 'write')

function object:lseek(offset, whence)
    return parts.seek(self.fd, offset, whence, self.rd)
end

function object:stat()
    return internal.fstat(self.fd)
end

-- flock(2) itself would block the thread: tries at growing intervals, with up
-- to a fifth more so that those who wait do not all try at once.
function object:flock(operation, timeout)
    local pause = 0.001
    while true do
        local locked, problem, busy = parts.flock(self.fd, operation)
        if locked then
            return true
        elseif not busy or timeout and timeout <= 0 then
            return nil, problem
        end
        local time = pause * (1 + os.clock() % 0.001 * 200)
        if timeout then
            time = math.min(time, timeout)
            timeout = timeout - time
        end
        eco.sleep(time)
        pause = math.min(pause * 2, 0.05)
    end
end

function object:close()
    local fd = self.fd
    if fd >= 0 then
        self.fd = -1
        parts.close(fd, self.rd, self.wr)
    end
end

object.__gc = object.close
object.__close = object.close

eco._kind(object, 'eco.file', function(self)
    if self.fd < 0 then
        return 'closed'
    end
    return ('fd %d, %s'):format(self.fd, internal.readlink('/proc/self/fd/' .. self.fd) or '?')
end)

-- Opening never waits. What a blocking open would wait for, a reader of a FIFO
-- or the end of a lease, is tried again at growing intervals.
local function open(path, flags, mode)
    local pause = 0.001
    parts.turn()
    while true do
        local fd, problem, later = parts.open(path, flags | internal.O_CLOEXEC | internal.O_NONBLOCK, mode)
        if fd or not later or flags & internal.O_NONBLOCK ~= 0 or not coroutine.isyieldable() then
            return fd, problem
        end
        eco.sleep(pause)
        pause = math.min(pause * 2, 0.05)
    end
end

function file.open(path, flags, mode)
    -- First what closes the file when anything below raises.
    local self = setmetatable({ fd = -1, rd = false, wr = false }, object)
    flags = flags or 0
    local fd, problem = open(path, flags, mode)
    if not fd then
        return nil, problem
    end
    self.fd = fd
    self.rd, problem = eco.reader(fd)
    self.wr = self.rd and eco.writer(fd)
    if not self.rd then
        return nil, problem
    end
    if flags & (internal.O_NONBLOCK | internal.O_WRONLY | internal.O_RDWR) == 0 then
        parts.expect(fd)
    end
    return self
end

function file.close(target)
    if getmetatable(target) == object then
        target:close()
        return true
    end
    return internal.close(target)
end

function file.flock(target, operation, timeout)
    if getmetatable(target) == object then
        return target:flock(operation, timeout)
    end
    return internal.flock(target, operation)
end

-- The C library takes a NUL for the end of a name: a name with one inside is none.
local function is_no_name(path)
    return type(path) == 'string' and path:find('\0', 1, true)
end

local function outcome(ok, problem)
    if ok then
        return ok
    end
    return nil, problem
end

function file.unlink(path)
    if is_no_name(path) then
        return nil, 'Invalid argument'
    end
    return outcome(os.remove(path))
end

file.rmdir = file.unlink

function file.rename(from, to)
    if is_no_name(from) or is_no_name(to) then
        return nil, 'Invalid argument'
    end
    return outcome(os.rename(from, to))
end

-- A stream that may wait, for what is no plain file; else one of `io`.
local function open_stream(path, mode, flags)
    if is_no_name(path) then
        return nil, path .. ': Invalid argument'
    end
    local info = internal.stat(path)
    if not info or info.type == 'REG' or info.type == 'DIR' or not coroutine.isyieldable() then
        return io.open(path, mode)
    end
    local stream, problem = file.open(path, flags)
    if not stream then
        return nil, path .. ': ' .. problem
    end
    return stream
end

function file.readfile(path, format)
    local stream<close>, problem = open_stream(path, 'r', internal.O_RDONLY)
    if not stream then
        return nil, problem
    end
    local data, failure = stream:read(format or '*a')
    if data == nil and failure then
        return nil, failure
    end
    return data
end

function file.writefile(path, data, append)
    local stream<close>, problem = open_stream(path, append and 'a' or 'w', internal.O_WRONLY)
    if not stream then
        return nil, problem
    end
    local ok
    ok, problem = stream:write(data)
    if ok and io.type(stream) then
        ok, problem = stream:close()
    end
    if not ok then
        return nil, path .. ': ' .. problem
    end
    return true
end

-- Visits one folder; false when the callback stops the walk. `above` holds the
-- folders on the way here, so that a link back up is not followed.
local function visit(folder, callback, above)
    local prefix = folder:sub(-1) == '/' and folder or folder .. '/'
    for name, info in internal.dir(folder) do
        local path = prefix .. name
        local answer = callback(path, name, info)
        if answer == false then
            return false
        end
        if info.type == 'DIR' and answer ~= internal.SKIP then
            local id = info.dev .. ':' .. info.ino
            if not above[id] then
                above[id] = true
                if visit(path, callback, above) == false then
                    return false
                end
                above[id] = nil
            end
        end
    end
end

function file.walk(root, callback)
    if type(root) ~= 'string' then
        error('root path must be a string', 2)
    end
    local info = internal.stat(root)
    if info then
        visit(root, callback, { [info.dev .. ':' .. info.ino] = true })
    end
end

local IN_IGNORED = 0x8000

local watcher = {}
watcher.__index = watcher

function watcher:add(path, mask)
    local wd, problem = internal.inotify_add_watch(self.fd, path, mask or internal.IN_ALL_EVENTS)
    if not wd then
        return nil, problem
    end
    self.watchs[wd] = path
    return wd
end

function watcher:del(wd)
    local ok, problem = internal.inotify_rm_watch(self.fd, wd)
    if not ok then
        return nil, problem
    end
    self.watchs[wd] = nil
    return true
end

-- The next queued event as the script sees it.
local function take(self)
    local events = self.events
    while events[self.next] do
        local event = events[self.next]
        self.next = self.next + 1
        local path = self.watchs[event.wd]
        if event.mask & IN_IGNORED ~= 0 then
            -- The kernel has dropped the watch.
            self.watchs[event.wd] = nil
        end
        if event.mask & internal.IN_Q_OVERFLOW ~= 0 then
            self.overflows = self.overflows + 1
        elseif path then
            if event.name then
                path = (path:sub(-1) == '/' and path or path .. '/') .. event.name
            end
            return { name = path, mask = event.mask }
        end
    end
end

function watcher:wait(timeout)
    while true do
        local event = take(self)
        if event then
            return event
        end
        local data, problem = self.rd:read(4096, timeout)
        if not data then
            return nil, problem
        end
        self.events, self.next = internal.inotify_parse_event(data), 1
    end
end

function watcher:close()
    local fd = self.fd
    if fd >= 0 then
        self.fd = -1
        parts.close(fd, self.rd)
        self.events = {}
    end
end

watcher.__gc = watcher.close
watcher.__close = watcher.close

eco._kind(watcher, 'eco.inotify', function(self)
    return self.fd < 0 and 'closed' or 'fd ' .. self.fd
end)

function file.inotify()
    local self = setmetatable({ fd = -1, rd = false, watchs = {}, events = {}, next = 1, overflows = 0 }, watcher)
    local fd, problem = internal.inotify_init()
    if not fd then
        return nil, problem
    end
    self.fd = fd
    self.rd, problem = eco.reader(fd)
    if not self.rd then
        return nil, problem
    end
    return self
end

return file
