-- node-lua from a state of the scheduler's: its calls one by one, with contexts that answer.

local eco = require 'eco'
local node = require 'node-lua'

context.api('shipped')

local function script(name, text)
    local path = T.path(name)
    local file = assert(io.open(path, 'w'))
    file:write(text)
    file:close()
    return path
end

-- Answers with what it is asked; ends when it is told to.
local echo = script('echo.lua', [[
    context.api('shipped')
    while true do
        local values = table.pack(context.recv(0))
        local from, session = values[2], values[3]
        if session > 0 then context.reply(from, session, table.unpack(values, 4, values.n)) end
        if values[4] == 'end' then return end
    end
]])

-- Runs its argument, a piece of Lua, and sends what it gives.
local runner = script('runner.lua', [[
    context.api('shipped')
    local _, from, session, text, a, b = context.recv(context.parent)
    local result = table.pack(pcall(assert(load(text)), a, b))
    context.reply(from, session, table.unpack(result, 1, result.n))
]])

local function run(text, ...)
    local child = context.create(runner)
    local result = table.pack(context.query(child, text, ...))
    context.wait(child)
    return table.unpack(result, 1, result.n)
end

local function stop(child)
    context.destroy(child)
    context.wait(child)
end

-- The engine keeps those of its own.
T.once['anon_inode:[eventpoll]'] = 2
T.once['anon_inode:[eventfd]'] = 3
stop(context.create(echo))
timer.sleep(0.001)

case('the module', function()
    for _, name in ipairs { 'context', 'tcp', 'udp', 'timer', 'buffer' } do
        T.eq(node[name], _G[name])
        T.eq(require(name), _G[name])
    end
    T.eq({ context.self, context.parent, context.winos }, { 1, 0, false })
    T.eq(math.type(context.ncpu), 'integer')
    T.eq(context.thread(), 0)
    T.eq(context.api(), 'shipped')
    T.raises('seed or shipped expected', context.api, 'other')
    T.eq(context.strerror(12), 'connection refused')
    T.eq(context.strerror(213), 'timeout')
    T.eq(context.strerror(-1), 'unknown error')
    T.eq(context.strerror(0), 'success')
    T.eq(context.strerror(999), 'Unknown system error')
end)

case('queries and their answers', function()
    local child = context.create(echo)
    local b = buffer.new('shared')
    local sent = { 1, 2.5, -0.0, math.mininteger, 'a\0b', true, { x = { y = { 'z' } }, [1.5] = false, [true] = 1 } }
    local got = table.pack(context.query(child, nil, b, table.unpack(sent)))
    T.eq(got.n, 2 + 1 + #sent)
    T.eq({ got[1], got[2], tostring(got[3]) }, { true, nil, 'shared' })
    T.eq(math.type(got[5]), 'float')
    T.eq(1 / got[6], -math.huge)
    T.eq(math.type(got[7]), 'integer')
    T.eq({ table.unpack(got, 4, got.n) }, sent)
    -- What a context does to a buffer, the others do not see.
    b:append('!')
    T.eq(tostring(got[3]), 'shared')
    T.eq({ context.timed_query(child, 10, 'x') }, { true, 'x' })
    local results
    local ok, session = context.query(child, 'y', 'z', function(...) results = table.pack(...) end)
    T.eq(ok, true)
    T.eq(session > 0, true)
    T.await(function() return results end)
    T.eq({ table.unpack(results, 1, results.n) }, { true, 'y', 'z' })
    T.eq({ context.send(child, 'end') }, { true })
    -- It may have ended by then.
    T.eq(({ [true] = 0, [false] = 210 })[context.wait(child)] ~= nil, true)
    T.eq({ context.send(child, 1) }, { false, 210 })
    T.eq({ context.query(child, 1) }, { false, 210 })
    T.eq({ context.query(child, 1, print) }, { false, 210 })
    T.eq({ context.reply(child, 1, 1) }, { false, 210 })
    T.eq({ context.wait(child) }, { false, 210 })
    context.destroy(child)
end)

case('what does not pass', function()
    local child = context.create(echo)
    for _, value in ipairs { print, coroutine.create(print), io.stdout, function() end } do
        T.raises('transfer data type not supported', context.send, child, value, 1)
        T.raises('attempt to pack a ' .. type(value) .. ' value', context.send, child, { value })
        T.raises('attempt to pack a ' .. type(value) .. ' value', context.query, child, { { x = value } })
    end
    local t = {}
    t.t = t
    T.raises('too deep(257, limit 256) while packing table', context.send, child, t)
    local deep = {}
    for _ = 1, 255 do deep = { deep } end
    local ok, back = context.query(child, deep)
    for _ = 1, 255 do back = back[1] end
    T.eq({ ok, back }, { true, {} })
    T.raises('too deep(257, limit 256) while packing table', context.send, child, { deep })
    T.raises('value expected', context.send, child)
    T.raises('no data to be sent', context.query, child)
    T.raises('no data to be sent', context.query, child, print)
    T.raises('no data to be sent', context.timed_query, child, 1)
    for _, bad in ipairs { { 'send', 'send to' }, { 'query', 'query to' }, { 'reply', 'reply to' }, { 'wait', 'wait' },
        { 'destroy', 'destroy' } } do
        local name, what = bad[1], bad[2]
        T.raises('attempt to ' .. what .. ' an illegal context:0x00000000', context[name], 0, 1, 1)
        T.raises('attempt to ' .. what .. ' an illegal context:0xffffffff', context[name], 0xffffffff, 1, 1)
        T.raises('number expected', context[name], {}, 1, 1)
    end
    T.raises('attempt to recv from an illegal context:0xffffffff', context.recv, -1)
    T.raises("can't wait self to die away", context.wait, context.self)
    T.eq({ context.send(4000000000, 1) }, { false, 210 })
    T.eq({ context.wait(4000000000) }, { false, 210 })
    stop(child)
end)

case('a replier that sends a bad type', function()
    local child = context.create(script('bad.lua', [[
        context.api('shipped')
        local _, from, session = context.recv(0)
        local ok, err = pcall(context.reply, from, session, print)
        _, from, session = context.recv(0)
        context.reply(from, session, ok, err)
    ]]))
    T.eq({ context.query(child, 1) }, { false, 211 })
    local _, ok, err = context.query(child, 1)
    T.eq(ok, false)
    T.eq(err:find('transfer data type not supported', 1, true) ~= nil, true)
    context.wait(child)
end)

case('queries nobody answers', function()
    local child = context.create(script('mute.lua', [[
        context.api('shipped')
        context.recv(0)
        timer.sleep(0.02)
    ]]))
    -- Taken, and then it ends; not taken; late.
    T.eq({ context.query(child, 1) }, { false, 212 })
    child = context.create(script('deaf.lua', [[ timer.sleep(0.05) ]]))
    T.eq({ context.query(child, 1) }, { false, 212 })
    context.wait(child)
    child = context.create(script('slow.lua', [[
        context.api('shipped')
        while true do
            local _, from, session, seconds = context.recv(0)
            timer.sleep(seconds)
            context.reply(from, session, 'late')
        end
    ]]))
    T.took(0.02, 5, function() T.eq({ context.timed_query(child, 0.02, 0.06) }, { false, 213 }) end)
    timer.sleep(0.08)
    T.eq({ context.timed_query(child, 10, 0.001) }, { true, 'late' })
    stop(child)
end)

case('an answer from somebody else', function()
    local child = context.create(script('forwards.lua', [[
        context.api('shipped')
        local _, from, session, other = context.recv(0)
        context.send(other, from, session)
        context.suspend()
    ]]))
    local other = context.create(script('answers.lua', [[
        context.api('shipped')
        local _, _, _, from, session = context.recv(0)
        context.reply(from, session, 'from another')
    ]]))
    T.eq({ context.query(child, other) }, { true, 'from another' })
    stop(child)
    context.wait(other)
end)

case('receiving: from whom, how long, by whom', function()
    local function sender(text)
        return context.create(script('sender.lua', [[
            context.send(context.parent, ...)
        ]]), text)
    end
    T.took(0.02, 5, function()
        local got = table.pack(context.recv(0, 0.02))
        T.eq({ got.n, got[1], got[2], got[3] }, { 4, false, 213, 0 })
    end)
    local a = sender('for anybody')
    T.eq({ context.recv(0) }, { true, a, -1, 'for anybody' })
    context.wait(a)
    local seen = {}
    context.recv(0, function(...) seen[#seen + 1] = { ... } end)
    a = sender('for the callback')
    context.wait(a)
    T.await(function() return seen[1] end)
    T.eq(seen[1], { true, a, -1, 'for the callback' })
    -- A coroutine comes before the callback, and the one for a sender before that for any.
    local other
    context.recv(a + 1, function(_, from) other = from end)
    local b = sender('x')
    context.wait(b)
    T.await(function() return other end)
    T.eq({ other, #seen }, { b, 1 })
    context.recv(a + 1, nil)
    context.recv(0, nil)
    -- Nobody: dropped.
    context.wait(sender('dropped'))
    timer.sleep(0.005)
    T.eq({ context.recv(0, 0.01) }, { false, 213, 0, select(4, context.recv(0, 0.01)) - 1 })
    -- To itself.
    context.run(function(...) context.send(context.self, ...) end, 1, 'self')
    T.eq({ context.recv(context.self) }, { true, 1, -1, 1, 'self' })
end)

case('the order of one sender', function()
    local child = context.create(script('many.lua', [[
        for i = 1, 1000 do context.send(context.parent, i) end
    ]]))
    for i = 1, 1000 do
        T.eq({ context.recv(child) }, { true, child, -1, i })
    end
    context.wait(child)
end)

case('what comes during calls that do not wait is received after them', function()
    local ended = context.create(script('ends.lua', ''))
    context.wait(ended)
    local child = context.create(script('steady.lua', [[
        for i = 1, 20 do
            timer.sleep(0.001)
            context.send(context.parent, i)
        end
    ]]))
    -- Others have their turn meanwhile, now and then.
    local start = os.clock()
    while os.clock() - start < 0.1 * T.slow do context.send(ended, 'to nobody') end
    for i = 1, 20 do
        T.eq({ context.recv(child) }, { true, child, -1, i })
    end
    context.wait(child)
end)

case('the other form of calls', function()
    context.api('seed')
    local child = context.create(echo)
    T.eq({ context.query(child, 'one') }, { true, 'one' })
    T.eq({ context.query(child, 'one', 5) }, { true, 'one' })
    local results
    context.query(child, 'two', 7.5, function(...) results = table.pack(...) end)
    T.await(function() return results end)
    T.eq({ table.unpack(results, 1, results.n) }, { true, 'two', child, 'two', 7.5 })
    stop(child)
    child = context.create(script('talks.lua', [[ context.send(context.parent, 'data', 'lost') timer.sleep(0.03)
        context.send(context.parent, 'again') timer.sleep(0.02) ]]))
    T.eq({ context.recv(child) }, { true, 'data', child, -1 })
    results = nil
    context.recv(child, function(...) results = { ... } end)
    T.await(function() return results end)
    T.eq(results, { true, 'again', child, -1, child })
    context.recv(child, nil)
    context.wait(child)
    T.eq({ context.query(child, 1, 0.01) }, { false, 210 })
    child = context.create(script('sleeps.lua', [[ context.recv(0) context.suspend() ]]))
    T.eq({ context.query(child, 1, 0.01) }, { false, 213 })
    stop(child)
    T.raises('function expected', context.query, 1, 1, 1, 'x')
    context.api('shipped')
end)

case('waiting for ends', function()
    local child = context.create(echo)
    T.took(0.02, 5, function() T.eq({ context.wait(child, 0.02) }, { false, 213 }) end)
    local first, second
    context.wait(child, function() first = true end)
    context.wait(child, 100, function(...) second = table.pack(...) end)
    context.destroy(child, 'with a message')
    T.await(function() return second end)
    T.eq({ second.n, second[1], second[2], second[3], second[4] }, { 4, true, 0, child, 100 })
    T.eq(first, nil)
    local late
    context.wait(child, function(...) late = table.pack(...) end)
    T.await(function() return late end)
    T.eq({ late.n, late[1], late[2], late[3] }, { 3, true, 0, child })
    child = context.create(echo)
    context.wait(child, function() first = true end)
    context.wait(child, nil)
    local timed
    context.wait(child, 0.01, function(...) timed = { ... } end)
    T.await(function() return timed end)
    T.eq(timed, { false, 213, child, 0.01 })
    stop(child)
    T.eq(first, nil)
end)

case('creating', function()
    T.raises('lua file is needed to initialize lua context', context.create)
    T.raises('lua file is needed to initialize lua context', context.create, nil)
    T.raises('string expected', context.create, echo, {})
    local words = {}
    for i = 1, 511 do words[i] = i end
    local child = context.create(script('counts.lua', [[
        context.api('shipped')
        local _, from, session = context.recv(0)
        context.reply(from, session, select('#', ...), type(...), package.path, context.name:sub(-3))
    ]]), table.unpack(words))
    T.eq({ context.query(child, 1) }, { true, 511, 'string', package.path, '511' })
    words[512] = 1
    T.raises('too many arguments to initialize lua context', context.create, echo, table.unpack(words))
    context.wait(child)
    -- Libraries of the host are found.
    T.eq({ run('return require "eco.encoding.hex" ~= nil, package.loaded["node-lua"] == require "node-lua"') },
        { true, true, true, true })
end)

case('timers', function()
    T.took(0.02, 5, function() T.eq(select('#', timer.sleep(0.02)), 0) end)
    local log = {}
    local id = timer.timeout(0.02, 'a', 'b', function(...) log[#log + 1] = { ... } end)
    T.eq(math.type(id), 'integer')
    T.await(function() return log[1] end)
    T.eq(log, { { 'a', 'b' } })
    local ticks = 0
    id = timer.loop(0.001, 0.002, 5, function(n) ticks = ticks + n end)
    T.await(function() return ticks >= 20 end)
    T.eq(select('#', timer.close(id)), 0)
    local seen = ticks
    timer.sleep(0.02)
    T.eq(ticks, seen)
    timer.close(id)
    timer.close(99999)
    timer.close(nil)
    local once = 0
    timer.loop(0.001, 0, function() once = once + 1 end)
    timer.sleep(0.02)
    T.eq(once, 1)
    T.eq(select('#', timer.loop(0, 0, print)), 0)
    -- Ticks do not wait for a callback that waits.
    local inside = 0
    id = timer.loop(0.001, 0.001, function() inside = inside + 1 timer.sleep(0.05) end)
    T.await(function() return inside > 3 end)
    timer.close(id)
    timer.sleep(0.06)
    local cancelled = timer.timeout(0.01, function() log.never = true end)
    timer.close(cancelled)
    timer.sleep(0.02)
    T.eq(log.never, nil)
    for _, f in ipairs { timer.sleep, timer.timeout, timer.loop } do T.raises('number expected', f, 'x') end
    T.raises('function expected', timer.timeout, 1)
    T.raises('function expected', timer.loop, 1, 1, 'x')
    T.raises('attempt to yield across a C-call boundary', string.gsub, 'x', 'x', function() timer.sleep(0.01) end)
end)

case('buffers', function()
    local b = buffer.new()
    T.eq({ #b, b:length(), tostring(b), b:valid(), b:unfill() }, { 0, 0, '', true, 32 })
    T.eq({ b:append('hello'), b:append(' '), b:append(buffer.new('world')), b:append(7) }, { true, true, true, true })
    T.eq(b:tostring(), 'hello world7')
    local copy = buffer.new(b)
    T.eq(tostring(b:split(5)), 'hello')
    T.eq({ tostring(b), tostring(copy) }, { ' world7', 'hello world7' })
    T.eq({ copy:find('world'), copy:find(), copy:find('7') }, { 7, 1, 12 })
    T.eq(select('#', copy:find('none')), 0)
    T.eq(buffer.new('a\0b'):find('b'), 3)
    T.eq({ copy:remove(6, 1), tostring(copy) }, { 1, 'helloworld7' })
    T.eq({ copy:remove(-1), tostring(copy) }, { 1, 'helloworld' })
    T.eq({ copy:remove(100), copy:remove(1, -5), copy:remove(1, 2), tostring(copy) }, { 0, 0, 2, 'lloworld' })
    T.eq({ copy:remove(math.mininteger, 1), copy:remove(math.maxinteger, 1) }, { 1, 0 })
    T.eq({ copy:remove(), #copy, copy:clear() }, { 7, 0, true })
    T.eq(tostring(b:split()), ' world7')
    T.eq({ tostring(b:split(3)), tostring(b:split(-3)), #b }, { '', '', 0 })
    T.eq(buffer.new(100):unfill(), 100)
    T.eq({ tostring(buffer.new(100, 'x')), buffer.new(100, 'x'):unfill() }, { 'x', 99 })
    T.raises('unexpected argument type', buffer.new, {})
    T.raises('unexpected argument type', buffer.new, true)
    T.raises('out of range', buffer.new, -1)
    T.raises('out of range', buffer.new, 0x80000000)
    T.raises('string expected', buffer.append, b, {})
    T.raises('buffer expected', buffer.append, 'x', 'y')
    b = buffer.new('x')
    T.eq(select('#', b:release()), 0)
    T.eq({ b:valid(), #b, tostring(b), b:append('x'), b:clear(), b:unfill(), #b:split(3) }, { false, 0, '', false, false, 0, 0 })
    T.eq(select('#', b:find('x')), 0)
    T.eq(buffer.new('y'):append(b), false)
    T.raises('invalid lbuffer to pack', b.pack, b, 'i4', 1)
    T.raises('invalid lbuffer to unpack', b.unpack, b, 'i4')
    b = buffer.new()
    T.eq({ b:pack('<i4s1', 7, 'seven'), #b, buffer.packsize('<i4'), b:packsize('<i4') }, { true, 10, 4, 4 })
    T.eq({ b:unpack('<i4s1') }, { 7, 'seven', 11 })
    T.eq({ b:unpack('s1', 5) }, { 'seven', 11 })
    T.raises('data string too short', b.unpack, b, 'i8', 9)
    local own = buffer.new('ab')
    T.eq({ own:append(own), tostring(own) }, { true, 'abab' })
end)

local port

local function listen(third)
    port = T.free_port()
    local ok, listener = tcp.listen('127.0.0.1', port, third)
    assert(ok, listener)
    return listener
end

local function pair()
    local listener = listen()
    local ok, client = tcp.connect('127.0.0.1', port)
    assert(ok, client)
    local server
    ok, server = tcp.accept(listener)
    assert(ok, server)
    listener:close()
    return client, server
end

case('connections', function()
    local listener = listen(128)
    T.eq({ tcp.listen('127.0.0.1', port) }, { false, 5 })
    T.eq({ tcp.listen('no address', port) }, { false, 18 })
    T.took(0.02, 5, function() T.eq({ listener:accept(0.02) }, { false, 213 }) end)
    -- The next connection after a timeout is not lost.
    local ok, client = tcp.connect('127.0.0.1', port, 5)
    T.eq(ok, true)
    local server
    ok, server = listener:accept(5)
    T.eq(ok, true)
    T.eq({ client:remote_addr(), client:remote_port(), select('#', client:remote_addr()) }, { '127.0.0.1', port, 1 })
    T.eq({ client:local_addr() }, { '127.0.0.1', false })
    T.eq({ server:remote_port(), server:local_port() }, { client:local_port(), port })
    T.eq(select('#', client:write('hello')), 0)
    client:write(' ')
    T.eq({ client:write('', true) }, { true, 0 })
    timer.sleep(0.01)
    local _, got = server:read()
    T.eq(tostring(got), 'hello ')
    T.took(0.02, 5, function() T.eq({ server:read(0.02) }, { false, 213 }) end)
    T.eq({ server:write(buffer.new('back'), true) }, { true, 0 })
    _, got = client:read(5)
    T.eq(tostring(got), 'back')
    client:set_nodelay(true)
    T.eq({ client:close(), client:close(), client:is_closed(), tcp.is_closed(client), tcp.is_closed('x') },
        { true, false, true, true, false })
    for _ = 1, 2 do T.eq({ server:read() }, { false, 1 }) end
    T.eq({ math.tointeger(server:fd()) // 1000000, tcp.fd_src(server:fd()), tcp.fd('x') }, { 1, 1 })
    server:close()
    T.raises('attempt to read data on a invalid or closed socket', tcp.read, server)
    T.raises('attempt to send data on a invalid or closed socket', tcp.write, server, 'x')
    T.raises('attempt to perform on a invalid or closed socket', tcp.set_rwopt, server, {})
    T.raises('attempt to perform on a invalid or closed socket', tcp.local_addr, server)
    T.raises('attempt to perform accept on a invalid or closed listen socket', tcp.accept, server)
    T.eq(tcp.get_rwopt(server), {})
    listener:close()
    T.raises('attempt to perform accept on a invalid or closed listen socket', tcp.accept, listener)
    local ok, errno = tcp.connect('127.0.0.1', port)
    -- The emulator has the numbers of errors wrong.
    T.eq({ ok, T.emulated and 12 or errno }, { false, 12 })
    T.eq({ tcp.connect('no.such.host.invalid', 80, 20) }, { false, 34 })
    ok, listener = tcp.listen('127.0.0.1', port)
    ok, client = tcp.connect('localhost', port)
    T.eq(ok, true)
    client:close()
    listener:close()
end)

case('close wakes whoever waits', function()
    local listener = listen()
    local accepted, read
    context.run(function() accepted = table.pack(listener:accept()) end)
    T.settle()
    listener:close()
    T.await(function() return accepted end)
    T.eq({ accepted[1], accepted[2] }, { false, 204 })
    local client, server = pair()
    context.run(function() read = table.pack(client:read()) end)
    T.settle()
    client:close()
    T.await(function() return read end)
    T.eq({ read[1], read[2] }, { false, 203 })
    server:close()
end)

case('callbacks of connections', function()
    local log = {}
    local listener
    port = T.free_port()
    tcp.listen('127.0.0.1', port, function(ok, socket, address, at)
        listener = socket
        log.listen = { ok, address, at }
    end)
    T.await(function() return log.listen end)
    T.eq(log.listen, { true, '127.0.0.1', port })
    local servers = {}
    listener:accept(function(ok, socket, from)
        T.eq({ ok, from }, { true, listener })
        servers[#servers + 1] = socket
        socket:read(function(ok, data, from)
            T.eq(from, socket)
            log[#log + 1] = ok and tostring(data) or data
        end)
    end)
    local client
    tcp.connect('127.0.0.1', port, 5, function(ok, socket, ...)
        client = socket
        log.connect = { ok, ... }
    end)
    T.await(function() return log.connect end)
    T.eq(log.connect, { true, '127.0.0.1', port, 5 })
    client:write('data', function(ok, errno, socket, data)
        log.write = { ok, errno, socket == client, data }
    end)
    T.await(function() return log.write and log[1] end)
    T.eq(log.write, { true, 0, true, 'data' })
    T.eq(log[1], 'data')
    -- Many at once are all taken.
    local others = {}
    for i = 1, 20 do others[i] = select(2, tcp.connect('127.0.0.1', port)) end
    T.await(function() return #servers == 21 end)
    client:close()
    T.await(function() return log[2] end)
    T.eq({ log[1], log[2], log[3] }, { 'data', 1 })
    local refused
    tcp.connect('127.0.0.1', 1, function(...) refused = { ... } end)
    T.await(function() return refused end)
    if T.emulated then refused[2] = 12 end
    T.eq(refused, { false, 12, '127.0.0.1', 1 })
    for _, socket in ipairs(servers) do socket:close() end
    for _, socket in ipairs(others) do socket:close() end
    listener:close()
end)

case('paths', function()
    local path = T.path('socket')
    local ok, listener = tcp.listens(path)
    T.eq(ok, true)
    listener:close()
    script('socket', 'in the way')
    ok, listener = tcp.listens(path)
    T.eq(ok, true)
    local client, server
    ok, client = tcp.connects(path)
    T.eq(ok, true)
    ok, server = listener:accept()
    server:write('x')
    T.eq(tostring(select(2, client:read())), 'x')
    client:set_nodelay(true)
    T.raises('attempt to perform on a unix domain socket', tcp.remote_addr, client)
    client:close()
    server:close()
    listener:close()
    T.eq({ tcp.connects(path) }, { false, 34 })
    local long = ('x'):rep(300)
    T.raises('listen sock name invalid(too long)', tcp.listens, long)
    T.raises('connect sock name invalid(too long)', tcp.connects, long)
    T.raises('listen host invalid(too long)', tcp.listen, long, 1)
    T.raises('connect host invalid(too long)', tcp.connect, long, 1)
end)

case('IPv6', function()
    local ok, listener = tcp.listen6('::1', port)
    if not ok then return end
    local client, server
    ok, client = tcp.connect6('::1', port)
    T.eq(ok, true)
    ok, server = listener:accept()
    T.eq({ server:local_addr() }, { '::1', true })
    client:close()
    server:close()
    listener:close()
end)

case('frames', function()
    for _, order in ipairs { 'L', 'B' } do
        for _, bytes in ipairs { 1, 2, 4 } do
            local client, server = pair()
            local options = { read_head_endian = order, read_head_bytes = bytes, write_head_endian = order, write_head_bytes = bytes }
            client:set_rwopt(options)
            server:setopt(options)
            local sizes = { 1, 200, 255 }
            if bytes > 1 then sizes[4] = 40000 end
            for _, size in ipairs(sizes) do client:write(('x'):rep(size)) end
            for _, size in ipairs(sizes) do
                local ok, data = server:read()
                T.eq({ ok, ok and #data }, { true, size })
            end
            client:close()
            server:close()
        end
    end
    local client, server = pair()
    T.eq(client:get_rwopt(), { read_head_endian = 'L', read_head_bytes = 0, read_head_max = 0,
        write_head_endian = 'L', write_head_bytes = 0, write_head_max = 0 })
    for key, values in pairs {
        read_head_endian = { 'X', 1 }, write_head_endian = { '' }, read_head_bytes = { 3, 5, -1, 'x', {} },
        write_head_bytes = { 8 }, read_head_max = { -1, 'x', 2 ^ 40 }, write_head_max = { {} },
    } do
        for _, value in ipairs(values) do
            T.raises(("option table error, field '%s' not correct"):format(key), client.set_rwopt, client, { [key] = value })
        end
    end
    for _, options in ipairs { { read_head_max = 1 }, { read_head_bytes = 1, read_head_max = 256 } } do
        T.raises("field 'read_head_bytes' and 'read_head_max' not match", client.set_rwopt, client, options)
    end
    T.raises("field 'write_head_bytes' and 'write_head_max' not match", client.set_rwopt, client,
        { write_head_bytes = 2, write_head_max = 65536 })
    client:set_rwopt { write_head_bytes = 1, write_head_max = 5 }
    T.raises('attempt to send data(length 6) too long(max 5)', client.write, client, '123456')
    T.raises("field 'write_head_bytes' set failed, option table already frozen", client.set_rwopt, client, { write_head_bytes = 1 })
    client:set_rwopt { read_head_bytes = 2 }
    T.eq(client:get_rwopt().read_head_max, 65535)
    -- A head that says too much.
    server:set_rwopt { read_head_bytes = 1, read_head_max = 3 }
    client:write('123')
    client:write('1234')
    T.eq(tostring(select(2, server:read())), '123')
    for _ = 1, 2 do T.eq({ server:read() }, { false, 21 }) end
    T.raises('already frozen', server.set_rwopt, server, { read_head_bytes = 1 })
    T.raises('bad argument #2', tcp.write, client, {})
    T.raises('bad argument #2', tcp.set_rwopt, client, 1)
    client:close()
    server:close()
end)

case('writing by number', function()
    local client, server = pair()
    local fd = server:fd()
    T.eq({ tcp.write(fd, 'x', true) }, { false, 205 })
    server:set_rwopt { write_head_bytes = 2, write_head_max = 10 }
    server:set_wshared(true)
    T.raises('already frozen', server.set_rwopt, server, { write_head_bytes = 1 })
    T.eq({ tcp.write(fd, 'x', true) }, { true, 0 })
    T.eq({ tcp.write(fd, ('x'):rep(11), true) }, { false, 206 })
    T.eq({ run('return tcp.write(...)', fd, 'from there') }, { true, true })
    client:set_rwopt { read_head_bytes = 2 }
    T.eq(tostring(select(2, client:read())), 'x')
    T.eq(tostring(select(2, client:read())), 'from there')
    T.eq({ run('return tcp.write(..., "x", true)', fd) }, { true, true, true, 0 })
    server:close()
    T.eq({ run('return tcp.write(..., "x", true)', fd) }, { true, true, false, 205 })
    T.raises('invalid shared socket fd', tcp.write, 0, 'x')
    T.raises('invalid shared socket fd', tcp.write, -5, 'x')
    client:close()
end)

case('more than goes at once', function()
    local client, server = pair()
    local block = buffer.new(('x'):rep(1 << 20))
    local sent = 0
    context.run(function()
        for _ = 1, 8 do
            local ok, errno = client:write(block, true)
            assert(ok, errno)
            sent = sent + 1
        end
        client:close()
    end)
    local got = 0
    while true do
        local ok, data = server:read()
        if not ok then T.eq(data, 1) break end
        T.eq(#data <= 65536, true)
        got = got + #data
    end
    T.eq({ sent, got }, { 8, 8 << 20 })
    server:close()
end)

case('unreferenced sockets are closed', function()
    local client, server = pair()
    client = nil
    collectgarbage()
    collectgarbage()
    T.eq({ server:read(5) }, { false, 1 })
    server:close()
end)

case('datagrams', function()
    local ok, a = udp.open('127.0.0.1', 0)
    T.eq(ok, true)
    local b
    udp.open('127.0.0.1', 0, function(ok, socket, ...)
        T.eq({ ok, ... }, { true, '127.0.0.1', 0 })
        b = socket
    end)
    T.await(function() return b end)
    local log = {}
    b:read(function(...) log[#log + 1] = table.pack(...) end)
    T.eq({ a:write('hello', '127.0.0.1', b:local_port(), true) }, { true, 0 })
    T.await(function() return log[1] end)
    local got = log[1]
    T.eq({ got.n, got[1], tostring(got[2]), got[3], got[4], got[5], got[6] },
        { 6, true, 'hello', '127.0.0.1', a:local_port(), false, b })
    local told
    a:write(buffer.new('again'), '127.0.0.1', b:local_port(), function(...) told = { ... } end)
    T.await(function() return told and log[2] end)
    T.eq({ told[1], told[2], told[3], told[5], told[6] }, { true, 0, a, '127.0.0.1', b:local_port() })
    T.eq({ a:remote_addr(), a:remote_port() }, { 'unknown address', -1 })
    T.eq({ udp.write(a:fd(), 'x', '127.0.0.1', 1, true) }, { false, 209 })
    a:set_wshared(true)
    T.eq({ udp.write(a:fd(), 'x', '127.0.0.1', b:local_port(), true) }, { true, 0 })
    T.eq({ a:write('x', 'no address', 1, true) }, { false, 18 })
    T.raises('function expected', udp.read, a)
    T.raises('udp open host invalid(too long)', udp.open, ('x'):rep(300), 1)
    T.raises('udp send host invalid(too long)', udp.write, a, 'x', ('x'):rep(300), 1)
    T.await(function() return log[3] end)
    T.eq({ a:close(), a:close(), b:close(), udp.is_closed(a) }, { true, false, true, true })
    T.raises('attempt to read data on a invalid or closed socket', udp.read, a, print)
    local c
    ok, c = udp.open()
    T.eq({ ok, c:local_addr() }, { true, '0.0.0.0', false })
    c:close()
end)

case('errors end a callback, not the context', function()
    local child = context.create(script('fails.lua', [[
        context.api('shipped')
        context.recv(0, function(_, from, session, what)
            if what == 'fail' then error(setmetatable({}, { __tostring = function() error 'twice' end })) end
            context.reply(from, session, what)
        end)
    ]]))
    T.eq({ context.send(child, 'fail') }, { true })
    T.eq({ context.query(child, 'alive') }, { true, 'alive' })
    stop(child)
end)

case('values of a hostile script', function()
    for _, text in ipairs {
        'context.reply(1, math.maxinteger, 1) context.reply(1, 1, 1) context.reply(1, -1, 1)',
        'timer.close(1) timer.close(-1) timer.close({}) timer.close(math.huge)',
        'tcp.write(1000001, "x") tcp.write(math.maxinteger, "x")',
        'for _, f in pairs(tcp) do pcall(f) pcall(f, 1, 2, 3) pcall(f, {}, {}, {}) pcall(f, buffer.new(), 1) end',
        'for _, f in pairs(udp) do pcall(f, {}, {}) pcall(f, 1, {}) pcall(f, "x", "y") end',
        'for _, f in pairs(buffer) do pcall(f) pcall(f, 1, 2, 3) pcall(f, {}, {}, {}) pcall(f, "x", -1) end',
        'setmetatable(_G, { __index = error, __newindex = error }) timer.sleep(0.001)',
        'coroutine.close(coroutine.create(print)) coroutine.wrap(coroutine.wrap)(print)',
        'string.rep, table.concat, debug.traceback = nil timer.sleep(0.001)',
    } do
        T.eq({ run(text) }, { true, true })
    end
    T.eq(context.live, nil)
end)
