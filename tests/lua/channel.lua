-- Module `eco.channel`.

local channel = require 'eco.channel'
local eco = require 'eco'

case('capacity', function()
    T.eq(channel.new().capacity, 1)
    T.eq(channel.new(0).capacity, 1)
    T.eq(channel.new(-3).capacity, 1)
    T.eq(channel.new(7).capacity, 7)
    T.raises('capacity must be an integer', channel.new, 1.5)
    T.raises('capacity must be an integer', channel.new, 'x')
    T.raises('capacity must be an integer', channel.new, {})
end)

case('values arrive in order', function()
    local ch = channel.new(3)
    local order = {}
    T.all(function()
        for i = 1, 50 do T.eq(ch:send(i), true) end
        ch:close()
    end, function()
        while true do
            local value = ch:recv()
            if value == nil then break end
            order[#order + 1] = value
        end
    end)
    T.eq(#order, 50)
    for i = 1, 50 do T.eq(order[i], i) end
end)

case('non-blocking cases do not yield', function()
    local ch = channel.new(2)
    local others = false
    eco.run(function() eco.sleep(0) others = true end)
    ch:send(1)
    ch:send(false)
    T.eq(ch:length(), 2)
    T.eq(ch:recv(), 1)
    T.eq(ch:recv(), false)
    T.eq(ch:length(), 0)
    T.eq(others, false)
    eco.sleep(0)
end)

case('timeouts', function()
    local ch = channel.new()
    T.fails('timeout', ch:recv(0))
    T.fails('timeout', ch:recv(-1))
    T.took(0.01, 1, function() T.fails('timeout', ch:recv(0.01)) end)
    ch:send('x')
    T.fails('timeout', ch:send('y', 0))
    T.took(0.01, 1, function() T.fails('timeout', ch:send('y', 0.01)) end)
    T.eq(ch:length(), 1)
    T.eq(ch:recv(0), 'x')
end)

case('nil is not transported', function()
    local ch = channel.new()
    T.eq(ch:send(nil), true)
    T.eq(ch:length(), 0)
end)

case('close wakes everybody', function()
    local full, empty = channel.new(), channel.new()
    full:send('kept')
    local raised, ended = 0, 0
    for _ = 1, 3 do
        eco.run(function()
            local ok, message = pcall(full.send, full, 'x')
            T.eq(ok, false)
            assert(message:find('sending on closed channel', 1, true))
            raised = raised + 1
        end)
        eco.run(function()
            T.eq(table.pack(empty:recv()), { n = 1 })
            ended = ended + 1
        end)
    end
    T.eq(select('#', full:close()), 0)
    empty:close()
    full:close()
    T.eq({ raised, ended }, { 0, 0 })
    eco.sleep(0)
    T.eq({ raised, ended }, { 3, 3 })
    T.raises('sending on closed channel', full.send, full, 1)
    T.eq(full.closed, true)
    T.eq(full:recv(), 'kept')
    T.eq(table.pack(full:recv()), { n = 1 })
    T.eq(table.pack(full:recv(0)), { n = 1 })
end)

case('many producers and consumers', function()
    local ch, sum, count = channel.new(4), 0, 0
    local producers, consumers = T.gather(), T.gather()
    for p = 1, 10 do
        producers:run(function()
            for i = 1, 100 do ch:send((p - 1) * 100 + i) if i % 7 == 0 then eco.sleep(0) end end
        end)
        consumers:run(function()
            while true do
                local value = ch:recv()
                if not value then break end
                sum, count = sum + value, count + 1
            end
        end)
    end
    producers:wait()
    ch:close()
    consumers:wait()
    T.eq({ count, sum }, { 1000, 500500 })
end)

case('a receiver that is gone loses no value', function()
    local ch = channel.new()
    local gone = eco.run(function() ch:recv() error('must not run') end)
    coroutine.close(gone)
    local got
    eco.run(function() got = ch:recv(1) end)
    ch:send('value')
    eco.sleep(0.01)
    T.eq(got, 'value')
end)

case('a sender that timed out sends nothing', function()
    local ch = channel.new()
    ch:send(1)
    T.fails('timeout', ch:send(2, 0.005))
    T.eq(ch:recv(), 1)
    T.fails('timeout', ch:recv(0.005))
end)

case('a burst through a large channel is linear', function()
    local ch = channel.new(50000)
    for i = 1, 50000 do ch:send(i) end
    for i = 1, 50000 do T.eq(ch:recv(), i) end
end)

case('unreachable channels are collected', function()
    local weak = setmetatable({}, { __mode = 'k' })
    for _ = 1, 20 do
        local ch = channel.new()
        ch:send({})
        weak[ch] = true
    end
    T.settle()
    T.eq(next(weak), nil)
end)

case('a chosen coroutine that is closed passes its turn on', function()
    -- A send that lets others run first, because this coroutine has had its share, would not find it closed.
    eco.sleep(0)
    local ch, got, sent = channel.new(), nil, nil
    local gone = eco.run(function() ch:recv() error('must not run') end)
    eco.run(function() got = ch:recv(1) end)
    ch:send('value')
    coroutine.close(gone)
    eco.sleep(0.01)
    T.eq(got, 'value')
    ch:send(1)
    gone = eco.run(function() ch:send(2) error('must not run') end)
    eco.run(function() sent = ch:send(3, 1) end)
    T.eq(ch:recv(), 1)
    coroutine.close(gone)
    eco.sleep(0.01)
    T.eq(sent, true)
    T.eq(ch:recv(0), 3)
end)

case('the limit restarts when somebody else was faster', function()
    local ch, got = channel.new(), nil
    eco.run(function() got = table.pack(ch:recv(0.03 * T.slow)) end)
    eco.sleep(0.02 * T.slow)
    ch:send(1)
    T.eq(ch:recv(), 1)
    eco.sleep(0.02 * T.slow)
    T.eq(got, nil)
    eco.sleep(0.03 * T.slow)
    T.eq(got, { nil, 'timeout', n = 2 })
end)

case('values keep their order while the channel grows', function()
    for capacity = 1, 20 do
        local ch, sent, received = channel.new(capacity), 0, 0
        for round = 1, 50 do
            for _ = 1, round * 7919 % (capacity + 1) do
                if ch:length() < capacity then
                    sent = sent + 1
                    ch:send(sent)
                end
            end
            T.eq(#ch.buf, ch:length())
            for _ = 1, round * 104729 % (capacity + 1) do
                if ch:length() > 0 then
                    received = received + 1
                    T.eq(ch:recv(), received)
                end
            end
        end
    end
end)
