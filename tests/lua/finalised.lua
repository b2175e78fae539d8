-- Values of native code end when the collector says so, and never before: not by way of their metatables, nor by a
-- `__gc` called by hand. What was collected answers every use with an error.

local eco = require 'eco'
local channel = require 'eco.channel'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local serial = require 'eco.serial'
local sys = require 'eco.sys'
local termios = require 'eco.termios'
local time = require 'eco.time'
local uci = require 'eco.uci'

-- Everything native that scripts get hold of, and a use of it that works.
local function values(keep)
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    local f = assert(file.open('/dev/null', file.O_RDWR))
    local process = assert(sys.exec('true'))
    local _, folder = file.dir('/')
    local device = assert(serial.pty())
    for _, it in ipairs { a, b, f, process, device } do keep[#keep + 1] = it end
    return {
        { eco.buffer(10), function(it) return it:len() == 0 end },
        { eco.io(0), function(it) return not pcall(it.wait, it, 0) end },
        { f.rd, function(it) return it:read('a') == '' end },
        { f.wr, function(it) return it:write('x') == 1 end },
        { time.timer(print), function(it) it:cancel() return true end },
        { sync.cond(), function(it) return it:broadcast() == 0 end },
        { sync.mutex(), function(it) return it:lock() end },
        { sync.waitgroup(), function(it) return it:wait() end },
        { channel.new(2), function(it) return it:send('x') end },
        { a.sock, function(it) return it:getfd() > 2 end },
        { process.child, function(it) return it:wait() == process.pid end },
        { assert(termios.tcgetattr(device.fd)), function(it) return it:get_ospeed() >= 0 end },
        { device.closing, function(it) return it:broadcast() == 0 end },
        { uci.cursor(), function(it) return it:get_confdir() == '/etc/config' end },
        { folder, function(it) return next({ file.dir('/') }) ~= nil and type(it) == 'userdata' end },
        { debug.getregistry()['eco.core'], function() return eco.count() >= 0 end },
    }
end

local function close(keep)
    for _, it in ipairs(keep) do it:close() end
end

case('metatables are closed', function()
    local keep = {}
    for _, entry in ipairs(values(keep)) do
        local it, works = table.unpack(entry)
        T.eq(type(it), 'userdata')
        T.eq(getmetatable(it), false)
        assert(not pcall(setmetatable, it, {}))
        assert(works(it), it)
    end
    close(keep)
end)

case('a finaliser called by hand does nothing', function()
    local keep = {}
    for _, entry in ipairs(values(keep)) do
        local it, works = table.unpack(entry)
        local finaliser = debug.getmetatable(it).__gc
        finaliser(it)
        finaliser()
        pcall(finaliser, it)
        coroutine.wrap(finaliser)(it)
        collectgarbage('stop')
        finaliser(it)
        collectgarbage('restart')
        setmetatable({}, { __gc = function() finaliser(it) end })
        collectgarbage()
        collectgarbage()
        setmetatable({}, { __gc = finaliser })
        collectgarbage()
        assert(works(it), it)
    end
    close(keep)
end)

case('nor does it while somebody waits', function()
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    local buffer, cond = eco.buffer(100), sync.cond()
    local count, woken
    local function finalise(it) debug.getmetatable(it).__gc(it) end
    T.all(function()
        count = a.rd:read2b(buffer, 50, 5)
    end, function()
        woken = cond:wait(5)
    end, function()
        eco.sleep(0.001)
        for _, it in ipairs { buffer, a.rd, a.sock, cond } do
            finalise(it)
            finalise(it)
        end
        b:send('hello')
        cond:signal()
    end)
    T.eq(count, 5)
    T.eq(buffer:data(), 'hello')
    T.eq(woken, true)
    close { a, b }
end)

case('what was collected says so', function()
    for place in ipairs(values({})) do
        local keep, seen = {}, nil
        do
            -- Older than what it holds: finalised after it.
            local holder = setmetatable({}, { __gc = function(holder)
                if seen then return end
                local it = holder.it
                seen = { pcall(function() return it.anything end) }
                seen.again = { pcall(function() local again<close> = it end) }
                seen.text = tostring(it)
                seen.closed = getmetatable(it)
            end })
            holder.it = values(keep)[place][1]
            -- The core lives as long as the state, a child's record as long as the child.
            local name = tostring(holder.it)
            if name:find('eco_runtime') or name:find('eco.child') then seen = { closed = false } end
        end
        close(keep)
        keep = nil
        collectgarbage()
        collectgarbage()
        assert(seen, place)
        T.eq(seen.closed, false)
        if #seen > 0 then
            T.eq(seen[1], false)
            assert(seen[2]:find('the object was collected', 1, true), seen[2])
            T.eq(seen.again, { true })
            assert(seen.text:find('^finalised object: '), seen.text)
        end
    end
end)

case('a buffer that is emptied by a finaliser while it is read', function()
    local buffer = eco.buffer(100000)
    local f<close> = assert(file.open('/dev/zero'))
    for _ = 1, 300 do
        buffer:clear()
        assert(f:read2b(buffer, 50000))
        setmetatable({}, { __gc = function() buffer:clear() end })
        local data = buffer:pull(40000)
        assert(#data == 40000 or #data == 0)
    end
end)
