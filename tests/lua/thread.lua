-- Module `eco.thread`.

local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'
local thread = require 'eco.thread'
local time = require 'eco.time'

-- Waits until a thread's function has got there.
local function started(f, ...)
    local ready = thread.channel()
    local t = assert(thread.spawn(f, ready, ...))
    assert(ready:recv(30))
    return t
end

case('a function runs in a state of its own, and gives its results', function()
    mark = 'here'
    local offset = 10
    local t = assert(thread.spawn(function(a, b, ...)
        return a + b + offset, mark, select('#', ...), { list = { 1, 2, { 3 } } }
    end, 1, 2, nil, nil))
    local sum, seen, count, results = t:join()
    T.eq({ sum, seen, count }, { 13, nil, 2 })
    T.eq(results, { list = { 1, 2, { 3 } } })
    mark = nil
    -- Whoever asks again gets them again.
    T.eq({ t:join(1) }, { 13, nil, 2, { list = { 1, 2, { 3 } } } })
    T.eq(t:is_running(), false)
    T.eq(select('#', assert(thread.spawn(function() end)):join()), 0)
end)

case('modules and their functions pass by name', function()
    local t = assert(thread.spawn(function()
        time.sleep(0.001)
        return eco.count(), file.access('/dev/null'), string.rep('x', 3)
    end))
    T.eq({ t:join() }, { 1, true, 'xxx' })
end)

case('threads run at the same time', function()
    local a, b = thread.channel(), thread.channel()
    local t = assert(thread.spawn(function()
        for i = 1, 1000 do b:send(a:recv() + i) end
    end))
    local sum = 0
    for i = 1, 1000 do
        a:send(i)
        sum = sum + b:recv()
    end
    T.eq(sum, 1001000)
    t:join()
    assert(thread.cores() >= 1)
end)

case('errors tell what failed, where, and with what value', function()
    local t = assert(thread.spawn({ name = 'faulty' }, function()
        local function inner() error('boom') end
        inner()
    end))
    local ok, err = t:join()
    T.eq(ok, nil)
    assert(tostring(err):find('thread.lua:%d+: boom'), tostring(err))
    T.eq(err.message, tostring(err))
    assert(err.traceback:find('inner', 1, true), err.traceback)
    T.eq(err.value, nil)
    local _, again = assert(thread.spawn(function() error({ code = 7 }) end)):join()
    T.eq(again.value, { code = 7 })
    T.eq(again.message, '(error object is a table value)')
    -- An error value that cannot be sent is left out.
    local _, last = assert(thread.spawn(function() error(coroutine.create(print)) end)):join()
    T.eq(last.value, nil)
end)

case('an error in another coroutine of the thread ends it', function()
    local t = assert(thread.spawn(function()
        eco.run(function()
            eco.sleep(0.001)
            error('elsewhere')
        end)
        eco.sleep(1000)
    end))
    local ok, err = t:join(30)
    T.eq(ok, nil)
    assert(err.message:find('elsewhere', 1, true))
end)

case('a hook of the thread may deal with such an error', function()
    local t = assert(thread.spawn(function()
        local seen
        eco.set_panic_hook(function(message)
            seen = message
            return true
        end)
        eco.run(error, 'mine', 0)
        return seen:match('^[^\n]*')
    end))
    T.eq({ t:join() }, { 'mine' })
end)

case('results that cannot be sent are an error', function()
    local ok, err = assert(thread.spawn(function() return coroutine.create(print) end)):join()
    T.eq(ok, nil)
    assert(err.message:find('cannot encode', 1, true), err.message)
    T.raises('cannot encode', thread.spawn, print, coroutine.create(print))
end)

case('a thread ends when nothing is left to do in it', function()
    local done = thread.channel()
    local t = assert(thread.spawn(function()
        eco.run(function()
            eco.sleep(0.02)
            done:send('late')
        end)
        return 'early'
    end))
    T.eq({ t:join() }, { 'early' })
    T.eq({ done:try_recv() }, { 'late' })
end)

case('join can be bounded, and canceled', function()
    local t = started(function(ready)
        ready:send(true)
        eco.sleep(1000)
    end)
    T.eq({ t:join(0) }, { nil, 'timeout' })
    T.eq({ T.took(0.01, 5, t.join, t, 0.01) }, { nil, 'timeout' })
    assert(t:is_running())
    t:cancel()
    local ok, err = t:join()
    T.eq({ ok, err.message }, { nil, 'canceled' })
    t:cancel()
end)

case('several coroutines may join one thread', function()
    local gate = thread.channel()
    local t = assert(thread.spawn(function() return gate:recv() end))
    local seen = 0
    local function join()
        T.eq({ t:join() }, { 'go' })
        seen = seen + 1
    end
    T.all(join, join, join, function()
        eco.sleep(0.01)
        gate:send('go')
    end)
    T.eq(seen, 3)
end)

case('a thread that is canceled closes its variables', function()
    local path = T.path('closed')
    local t = started(function(ready)
        local handler<close> = setmetatable({}, { __close = function() file.writefile(path, 'closed') end })
        ready:send(true)
        eco.sleep(1000)
    end)
    t:cancel()
    t:join()
    T.eq(file.readfile(path, '*a'), 'closed')
end)

case('a thread that computes can be canceled, whatever it catches', function()
    for _, body in ipairs {
        function(ready) ready:send(true) while true do end end,
        function(ready)
            ready:send(true)
            while true do pcall(function() while true do end end) end
        end,
        function(ready)
            ready:send(true)
            while true do eco.loop() end
        end,
    } do
        local t = started(body)
        eco.sleep(0.02)
        t:cancel()
        local ok, err = t:join(30)
        T.eq({ ok, err.message }, { nil, 'canceled' })
    end
end)

case('a thread that was canceled before it began does not begin', function()
    for _ = 1, 20 do
        local t = assert(thread.spawn(function() while true do eco.sleep(1000) end end))
        t:cancel()
        local ok, err = t:join(30)
        T.eq({ ok, err.message }, { nil, 'canceled' })
    end
end)

case('a thread knows itself', function()
    T.eq(thread.self():name(), 'main')
    T.eq(thread.self(), thread.self())
    T.raises('cannot join itself', thread.self().join, thread.self())
    T.raises('cannot be canceled', thread.self().cancel, thread.self())
    local t = assert(thread.spawn({ name = 'worker' }, function()
        local own = thread.self()
        return own:name(), own, pcall(own.join, own)
    end))
    local name, own, ok, message = t:join()
    T.eq({ name, ok }, { 'worker', false })
    assert(own == t and message:find('cannot join itself', 1, true))
    -- A thread may end itself.
    local _, err = assert(thread.spawn(function()
        thread.self():cancel()
        eco.sleep(1000)
    end)):join(30)
    T.eq(err.message, 'canceled')
end)

case('handles pass to other threads', function()
    local first = assert(thread.spawn(function() return 'first' end))
    local second = assert(thread.spawn(function() return first:join() end))
    T.eq({ second:join() }, { 'first' })
end)

case('channels keep the order, and what comes twice is the same', function()
    local ch = thread.channel()
    T.eq(ch:send(1, nil, 'x', nil), true)
    ch:send()
    ch:send(ch, { ch })
    T.eq(#ch, 3)
    T.eq(table.pack(ch:recv()), { 1, nil, 'x', nil, n = 4 })
    T.eq(select('#', ch:recv()), 0)
    local same, holder = ch:recv()
    assert(same == ch and holder[1] == ch)
    T.eq({ ch:try_recv() }, { nil, 'empty' })
    local own = thread.channel()
    T.eq({ own:recv(0) }, { nil, 'timeout' })
    T.eq({ T.took(0.01, 5, own.recv, own, 0.01) }, { nil, 'timeout' })
end)

case('channels may be bounded', function()
    local ch = thread.channel(2)
    T.eq({ ch:capacity(), thread.channel():capacity() }, { 2 })
    ch:send('a')
    T.eq({ ch:try_send('b') }, { true })
    T.eq({ ch:try_send('c') }, { nil, 'full' })
    T.eq({ ch:send_within(0, 'c') }, { nil, 'timeout' })
    T.eq({ T.took(0.01, 5, ch.send_within, ch, 0.01, 'c') }, { nil, 'timeout' })
    local sent
    eco.run(function() sent = ch:send('c') end)
    eco.yield()
    T.eq(sent, nil)
    T.eq({ ch:recv(), ch:recv(), ch:recv() }, { 'a', 'b', 'c' })
    T.await(function() return sent end)
end)

case('a closed channel gives what is left, then ends', function()
    local ch = thread.channel()
    for i = 1, 3 do ch:send(i) end
    ch:close()
    T.eq(ch:is_closed(), true)
    T.eq({ ch:send(4) }, { nil, 'closed' })
    T.eq({ ch:try_send(4) }, { nil, 'closed' })
    local seen = {}
    for value in ch do seen[#seen + 1] = value end
    T.eq(seen, { 1, 2, 3 })
    T.eq({ ch:recv() }, { nil, 'closed' })
    T.eq({ ch:try_recv() }, { nil, 'closed' })
end)

case('closing wakes who waits, in every thread', function()
    local empty, full = thread.channel(), thread.channel(1)
    full:send('x')
    local threads = {}
    for i = 1, 2 do
        threads[i] = started(function(ready)
            ready:send(true)
            local results = { empty:recv() }
            local more = { full:send('y') }
            return results, more
        end)
    end
    local here
    eco.run(function() here = { empty:recv() } end)
    eco.sleep(0.01)
    empty:close()
    full:close()
    for _, t in ipairs(threads) do
        T.eq({ t:join() }, { { nil, 'closed' }, { nil, 'closed' } })
    end
    T.await(function() return here end)
    T.eq(here, { nil, 'closed' })
end)

case('whoever waits for a thread that has died is woken', function()
    for _, how in ipairs { 'cancel', 'error', 'return' } do
        local ch = thread.channel(1)
        local t = assert(thread.spawn(function(how)
            ch:recv()
            if how == 'error' then error('dies') end
            if how == 'cancel' then eco.sleep(1000) end
        end, how))
        ch:send('begin')
        if how == 'cancel' then
            eco.run(function()
                eco.sleep(0.01)
                t:cancel()
            end)
        end
        T.await(function() return #ch == 0 end)
        T.eq({ ch:recv(30) }, { nil, 'closed' })
        ch:try_send('x')
        T.eq({ ch:send_within(30, 'y') }, { nil, 'closed' })
        t:join()
        -- It is not closed: another thread may be given it.
        T.eq({ ch:recv() }, { 'x' })
        local other = assert(thread.spawn(function() ch:send('again') end))
        T.eq({ ch:recv(30) }, { 'again' })
        other:join()
    end
end)

case('a coroutine that is closed passes its turn on', function()
    local ch = thread.channel()
    local seen
    local first = eco.run(function() seen = { 'first', ch:recv() } end)
    eco.run(function() seen = { 'second', ch:recv() } end)
    local t = assert(thread.spawn(function() ch:send('x') end))
    -- The first is chosen, but does not run.
    while #ch == 0 do end
    coroutine.close(first)
    T.await(function() return seen end)
    T.eq(seen, { 'second', 'x' })
    t:join()
end)

case('ending a thread at any step of an exchange loses nothing of others', function()
    local steps = T.slow > 1 and 4 or 25
    for step = 1, steps do
        local jobs, results = thread.channel(1), thread.channel(2)
        local function serve()
            for job in jobs do results:send(job) end
        end
        local victim, other = assert(thread.spawn(serve)), assert(thread.spawn(serve))
        eco.run(function()
            eco.sleep(step * 0.0002)
            victim:cancel()
        end)
        local seen, count = {}, 0
        local producer = assert(thread.spawn(function()
            for i = 1, 100 do jobs:send(i) end
            jobs:close()
        end))
        local reader = eco.run(function()
            for result in results do
                assert(not seen[result], 'twice')
                seen[result], count = true, count + 1
            end
        end)
        other:join()
        victim:join()
        producer:join()
        results:close()
        T.await(function() return coroutine.status(reader) == 'dead' end)
        -- At most what the victim had in its hands is missing.
        assert(count >= 99, ('step %d: %d'):format(step, count))
    end
end)

case('a pool runs functions on several threads', function()
    local pool<close> = assert(thread.pool(3))
    local seen, names = {}, {}
    local jobs = {}
    for i = 1, 30 do
        jobs[i] = function()
            local square, name = pool:run(function(n)
                eco.sleep(0.002)
                return n * n, thread.self():name()
            end, i)
            seen[i], names[name] = square, true
        end
    end
    T.all(table.unpack(jobs))
    for i = 1, 30 do T.eq(seen[i], i * i) end
    for name in pairs(names) do assert(name:find('^pool%-[123]$'), name) end
    local ok, err = pool:run(function() error('job') end)
    assert(ok == nil and err.message:find('job', 1, true) and err.traceback:find('error', 1, true))
    local _, valued = pool:run(function() error({ 1 }) end)
    T.eq(valued.value, { 1 })
    local _, unsent = pool:run(function() return coroutine.create(print) end)
    assert(unsent.message:find('cannot encode', 1, true), unsent.message)
    T.eq(select('#', pool:run(function() end)), 0)
    T.raises('function expected', pool.run, pool, 1)
    pool:close()
    T.eq({ pool:run(print) }, { nil, 'closed' })
end)

case('a pool gets over threads that end', function()
    local pool<close> = assert(thread.pool(1))
    local ok, err = pool:run(function()
        thread.self():cancel()
        eco.sleep(1000)
    end)
    T.eq({ ok, tostring(err) }, { nil, 'the thread has ended' })
    T.eq({ pool:run(function() return 'well' end) }, { 'well' })
end)

case('memory of a thread may be limited', function()
    local t = assert(thread.spawn({ memory = 2 << 20 }, function()
        local hoard = {}
        for i = 1, 1e7 do hoard[i] = ('x'):rep(100) .. i end
    end))
    local ok, err = t:join()
    T.eq({ ok, err.message }, { nil, 'not enough memory' })
    T.eq({ assert(thread.spawn({ memory = 4 << 20, stack = 128 << 10 }, function() return 'fits' end)):join() }, { 'fits' })
    T.raises('a size is too small', thread.spawn, { memory = 1 }, print)
    T.raises('a size is too small', thread.spawn, { stack = 'x' }, print)
end)

case('signals and children belong to the thread that asked', function()
    local t = started(function(ready)
        local got = thread.channel()
        local s = assert(sys.signal(sys.SIGUSR1, function() got:send('signal') end))
        ready:send(true)
        local word = got:recv()
        s:close()
        local p = assert(sys.exec('sh', '-c', 'exit 3'))
        local _, status = p:wait()
        return word, status.status
    end)
    sys.kill(sys.getpid(), sys.SIGUSR1)
    T.eq({ t:join(30) }, { 'signal', 3 })
end)

case('a forked child has none of its parent\'s threads', function()
    local ch = thread.channel()
    local t = started(function(ready)
        ready:send(true)
        eco.sleep(1000)
    end)
    local path = T.path('forked')
    local _, process = sys.spawn(function()
        local result = { ch:recv() }
        local joined = { t:join() }
        file.writefile(path, ('%s %s %s'):format(result[2], joined[2], t:is_running()))
        -- What threads of the parent held, nobody frees here: that is not looked for.
        sys.kill(sys.getpid(), sys.SIGKILL)
    end, true)
    process:wait(30)
    T.eq(file.readfile(path, '*a'), 'closed canceled false')
    t:cancel()
    t:join()
end)

case('misuse', function()
    T.raises('function expected', thread.spawn)
    T.raises('function expected', thread.spawn, {}, 1)
    T.raises('out of range', thread.channel, 0)
    T.raises('number expected', thread.channel, 'x')
    T.raises('out of range', thread.pool, 0)
    T.raises('eco.thread.channel expected', thread.channel().send, {})
    T.raises('outside a coroutine', coroutine.wrap(function() end) and function()
        local done, message
        local co = coroutine.create(function() end)
        coroutine.resume(co)
        -- No coroutine can wait in a callback of the C library.
        table.sort({ 2, 1 }, function() done, message = pcall(thread.channel().recv, thread.channel()) end)
        error(message:gsub('across a C%-call boundary', 'outside a coroutine'), 0)
    end)
end)

case('what nobody holds goes, and memory stays flat', function()
    local function round(count)
        for _ = 1, count do
            local ch = thread.channel()
            local t = assert(thread.spawn(function() for i = 1, 50 do ch:send(i, 'some text') end end))
            local sum = 0
            for _ = 1, 50 do sum = sum + ch:recv() end
            T.eq(sum, 1275)
            t:join()
        end
        collectgarbage()
        collectgarbage()
    end
    local function resident()
        return tonumber(file.readfile('/proc/self/statm', '*a'):match('%d+ (%d+)')) * 4096
    end
    local rounds = T.slow > 1 and 3 or 30
    round(rounds)
    local before = resident()
    round(rounds)
    round(rounds)
    local grown = resident() - before
    assert(T.sanitized or grown < 3 << 20, grown)
end)
