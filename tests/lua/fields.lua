-- Objects that are tables in 4.x take a script's fields here too.

local eco = require 'eco'
local channel = require 'eco.channel'
local sync = require 'eco.sync'
local time = require 'eco.time'

local makers = {
    { function() return time.timer(print) end, 'cancel', 'cb', 'flags', 'tfd' },
    { sync.cond, 'broadcast', 'closed', 'efd', 'waiters' },
    { sync.mutex, 'lock', 'locked', 'nwaiters' },
    { sync.waitgroup, 'wait', 'counter' },
    { channel.new, 'length', 'capacity', 'closed', 'buf' },
}

case('fields of a script', function()
    for _, maker in ipairs(makers) do
        local it, other = maker[1](), maker[1]()
        T.eq(it.count, nil)
        it.count = 1
        it.count = it.count + 1
        it[1], it[it] = 'first', 'itself'
        T.eq({ it.count, it[1], it[it], other.count, other[1] }, { 2, 'first', 'itself' })
        other.count = 'mine'
        T.eq(it.count, 2)
        it.count = nil
        T.eq(it.count, nil)
        T.eq(other.count, 'mine')
    end
end)

case('a method may be replaced', function()
    for _, maker in ipairs(makers) do
        local it, other, name = maker[1](), maker[1](), maker[2]
        local method = it[name]
        it[name] = function() return 'replaced' end
        T.eq(it[name](it), 'replaced')
        T.eq(other[name], method)
        it[name] = nil
        T.eq(it[name], method)
    end
end)

case('what tells the state stays', function()
    for _, maker in ipairs(makers) do
        local it = maker[1]()
        for i = 3, #maker do
            local before = it[maker[i]]
            local message = T.raises(("field '%s' cannot be set"):format(maker[i]), function() it[maker[i]] = 'x' end)
            assert(message:find('^fields.lua:%d+: '), message)
            T.eq(it[maker[i]], before)
        end
        assert(not pcall(function() it[nil] = 1 end))
    end
end)

case('they go with the object', function()
    for _, maker in ipairs(makers) do
        local gone = setmetatable({}, { __mode = 'v' })
        do
            local it = maker[1]()
            it.self, it.data = it, {}
            gone[1], gone[2] = it, it.data
        end
        collectgarbage()
        collectgarbage()
        T.eq(#gone, 0)
    end
end)

case('a timer with a field, in its callback', function()
    local seen = {}
    local timer = time.timer(function(self)
        self.count = self.count + 1
        seen[#seen + 1] = self.count
        if self.count < 3 then self:set(0.001) end
    end)
    timer.count = 0
    timer:set(0.001)
    eco.sleep(0.05 * T.slow)
    T.eq(seen, { 1, 2, 3 })
end)
