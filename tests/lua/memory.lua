-- Memory ends, inside native code too: calls fail, the process goes on.

local eco, time, sync, sys, file = require 'eco', require 'eco.time', require 'eco.sync', require 'eco.sys', require 'eco.file'
local url = require 'eco.http.url'
local cond = sync.cond()

-- Runs the function, which must end in want of memory, then gives back what it has put into `kept`.
local function exhausts(what, f, release)
    case(what, function()
        -- In pieces: what is left of the last case need not be in one.
        local kept, reserve = {}, {}
        for i = 1, 500 do reserve[i] = ('x'):rep(2000) .. i end
        local ok, message, reason = pcall(f, kept)
        reserve = nil
        collectgarbage()
        local text = tostring(ok and reason or message)
        for i = #kept, 1, -1 do
            local one = kept[i]
            kept[i] = nil
            release(one)
        end
        kept = nil
        collectgarbage()
        collectgarbage()
        assert(text:find('not enough memory', 1, true), text)
        assert(not (ok and message), 'no result')
        -- And all is well again.
        T.eq(#('x'):rep(20000), 20000)
        eco.sleep(0.001)
    end)
end

exhausts('timers', function(kept)
    while true do kept[#kept + 1] = time.at(1000, print) end
end, function(timer) timer:cancel() end)

exhausts('dates', function(kept)
    local date = time.now() + 1000
    while true do kept[#kept + 1] = time.on(date, print) end
end, function(timer) timer:close() end)

-- Not by eco.run: an error in the last of them would be nobody's to catch.
local function crowd(wait)
    return function(kept)
        while true do
            local co = coroutine.create(wait)
            kept[#kept + 1] = co
            local ok, message = coroutine.resume(co)
            if not ok then error(message, 0) end
        end
    end
end

local function close(co)
    coroutine.close(co)
end

exhausts('sleepers', crowd(function() eco.sleep(1000) end), close)
exhausts('those who yield', crowd(function() eco.yield() end), close)

exhausts('waiters', crowd(function() cond:wait() end), close)
exhausts('waiters with a timeout', crowd(function() cond:wait(1000) end), close)

for _, format in ipairs { 'a', 'l', 'L' } do
    exhausts('an endless stream, format ' .. format, function()
        local process<close> = sys.exec('cat', '/dev/zero')
        local data, message = process:read_stdout(format)
        process:kill()
        process:wait()
        return data, message
    end)
end

exhausts('an endless file', function()
    local zero<close> = file.open('/dev/zero')
    return zero:read('a')
end)

exhausts('readfull', function()
    local process<close> = sys.exec('cat', '/dev/zero')
    local data, message = eco.reader(process.stdout_fd):readfull(1 << 30)
    process:kill()
    process:wait()
    return data, message
end)

exhausts('a buffer', function()
    local process<close> = sys.exec('cat', '/dev/zero')
    local reader, buffer = eco.reader(process.stdout_fd), eco.buffer(1 << 30)
    local count, message
    repeat count, message = reader:read2b(buffer, 1 << 20) until not count
    process:kill()
    process:wait()
    return count, message
end)

exhausts('resumptions', function()
    -- Each is queued, and void at once.
    local co = coroutine.create(function() while true do coroutine.yield() end end)
    for _ = 1, 1000000 do
        eco.resume(co)
        coroutine.resume(co)
    end
    error('not enough memory was needed for this, as it should be')
end)

-- Three times as long when it is escaped.
exhausts('escaping', function(kept)
    local text = (' '):rep(500000)
    while true do kept[#kept + 1] = url.escape(text) end
end, function() end)
