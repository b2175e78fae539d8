local eco = ...

-- Bytes received and not consumed stay in `buffer`, also when a call fails, so
-- nothing is lost by a timeout. Its memory is taken as it fills: the capacity
-- only bounds what one call may ask for.
local CAPACITY = 0x7fffffff
local DEFAULT_SIZE = 4096

local methods = {}
local metatable = eco._kind({ __index = methods }, 'eco.bufio', function(self)
    return ('%d bytes of %s'):format(self.buffer:len(), tostring(self.source))
end)

-- Reads once, at least one byte; `want` more would be welcome.
local function fill(self, want, timeout)
    if self.ended then return nil, self.eof end
    local count, message = self.source:read2b(self.buffer, math.max(want, self.size), timeout)
    if count then return count end
    if message == 'eof' or message == 'closed' then
        self.ended, message = true, self.eof
    end
    return nil, message
end

-- Waits until `count` bytes are there.
local function gather(self, count, timeout)
    local buffer = self.buffer
    while buffer:len() < count do
        local got, message = fill(self, count - buffer:len(), timeout)
        if not got then return nil, message end
    end
    return true
end

-- Argument 1 of method `name` as a count of bytes.
local function size_argument(value, name)
    local count = math.type(value) and math.tointeger(value)
    if not count or count < 0 or count > CAPACITY then
        error(("bad argument #1 to '%s' (size expected, got %s)"):format(name, tostring(value)), 3)
    end
    return count
end

function methods:readline(timeout, skip)
    local buffer, scanned = self.buffer, 0
    while true do
        local at = buffer:index(scanned, '\n')
        if at then
            if not skip then return buffer:pull(at + 1) end
            local line = buffer:pull(at)
            buffer:discard(1)
            return line
        end
        scanned = buffer:len()
        local got, message = fill(self, 0, timeout)
        if not got then return nil, message end
    end
end

function methods:readall(timeout)
    local buffer = self.buffer
    while true do
        local got, message = fill(self, buffer:len(), timeout)
        if not got then
            if self.ended and buffer:len() > 0 then return buffer:pull() end
            return nil, message
        end
    end
end

function methods:readfull(count, timeout)
    count = size_argument(count, 'readfull')
    local ok, message = gather(self, count, timeout)
    if not ok then return nil, message end
    return self.buffer:pull(count)
end

function methods:readuntil(needle, timeout)
    if type(needle) ~= 'string' or needle == '' or #needle > 256 then
        error("bad argument #1 to 'readuntil' (needle length must be 1~256 bytes)", 2)
    end
    local buffer = self.buffer
    while true do
        local at = buffer:find(0, needle)
        if at then
            local data = buffer:pull(at)
            buffer:discard(#needle)
            return data, true
        end
        -- The tail may be the beginning of the needle.
        local certain = buffer:len() - (#needle - 1)
        if certain > 1 then return buffer:pull(certain) end
        local got, message = fill(self, 0, timeout)
        if not got then
            if self.ended and buffer:len() > 0 then return buffer:pull() end
            return nil, message
        end
    end
end

function methods:peek(count, timeout)
    count = size_argument(count, 'peek')
    local ok, message = gather(self, count, timeout)
    if not ok then return nil, message end
    return self.buffer:data(0, count)
end

function methods:discard(count, timeout)
    count = size_argument(count, 'discard')
    local buffer = self.buffer
    while true do
        count = count - buffer:discard(count)
        if count == 0 then return true end
        local got, message = fill(self, 0, timeout)
        if not got then return nil, message end
    end
end

function methods:read(format, timeout)
    if math.type(format) == 'integer' then
        return methods.readfull(self, size_argument(format, 'read'), timeout)
    end
    if format == 'l' or format == '*l' then
        return methods.readline(self, timeout, true)
    elseif format == 'L' or format == '*L' then
        return methods.readline(self, timeout)
    elseif format == 'a' or format == '*a' then
        return methods.readall(self, timeout)
    end
    error("bad argument #1 to 'read' (invalid format)", 2)
end

local function read2b_of(object)
    return object.read2b
end

local function new(source, options)
    if math.type(source) == 'integer' then
        local reader, message = eco.reader(source)
        if not reader then return nil, message end
        source = reader
    else
        local ok, method = pcall(read2b_of, source)
        if not ok or not method then error('invalid argument', 2) end
    end
    eco._options(options, 'size eof_error', 2, 'new')
    local size, eof = options, 'eof'
    if type(options) == 'table' then
        size, eof = options.size, options.eof_error or eof
    end
    if size == nil then size = DEFAULT_SIZE end
    if math.type(size) ~= 'integer' or size <= 0 or size > CAPACITY then
        error("bad argument #2 to 'new' (size must be positive)", 2)
    end
    return setmetatable({
        source = source,
        buffer = eco.buffer(CAPACITY),
        size = size,
        eof = eof,
        ended = false
    }, metatable)
end

return { new = new }
