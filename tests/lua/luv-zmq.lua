-- ØMQ for Luv, by section 12 of its contract.

local eco = require 'eco'
local luv = require 'luv'
local sys = require 'eco.sys'
local zmq = luv.zmq

local create = luv.fiber.create

-- What a call gives that fails.
local function refused(text, ...)
    local first, message = ...
    if first ~= false and first ~= -1 or type(message) ~= 'string' or not message:find(T.text(text), 1, true) then
        error(('%s, %s instead of a refusal: %s'):format(first, message, text), 2)
    end
end

local function pair(context, kind, other, address)
    local a, b = context:socket(kind), context:socket(other)
    T.eq(a:bind(address), 0)
    T.eq(b:connect(address), 0)
    return a, b
end

case('the table', function()
    for name, value in pairs {
        PAIR = 0, PUB = 1, SUB = 2, REQ = 3, REP = 4, DEALER = 5, ROUTER = 6, PULL = 7, PUSH = 8, IO_THREADS = 1, MAX_SOCKETS = 2,
        RATE = 8, RECOVERY_IVL = 9, SNDBUF = 11, RCVBUF = 12, RCVMORE = 13, FD = 14, EVENTS = 15, TYPE = 16, LINGER = 17,
        RECONNECT_IVL = 18, BACKLOG = 19, RECONNECT_IVL_MAX = 21, SNDHWM = 23, RCVHWM = 24, RCVTIMEO = 27, SNDTIMEO = 28,
        ROUTER_BEHAVIOR = 33, TCP_KEEPALIVE = 34, TCP_KEEPALIVE_CNT = 35, TCP_KEEPALIVE_IDLE = 36, TCP_KEEPALIVE_INTVL = 37,
        AFFINITY = 4, IDENTITY = 5, SUBSCRIBE = 6, UNSUBSCRIBE = 7, TCP_ACCEPT_FILTER = 38, IPV4ONLY = 31,
        MORE = 1, DONTWAIT = 1, SNDMORE = 2, POLLIN = 1, POLLOUT = 2, POLLERR = 4, STREAMER = 1, FORWARDER = 2, QUEUE = 3,
    } do
        T.eq(zmq[name], value, name)
    end
    for _, name in ipairs { 'MAXMSGSIZE', 'MULTICAST_HOPS', 'LAST_ENDPOINT' } do T.eq(zmq[name], nil, name) end
    T.eq(zmq.__name, 'luv_zmq')
    T.eq(getmetatable(zmq), zmq)
    assert(rawequal(luv.codec.decode(luv.codec.encode(zmq)), zmq))
    assert(rawequal(require 'luv.zmq', zmq))
    local context = zmq.create()
    local socket = context:socket(zmq.PAIR)
    assert(tostring(context):find('^userdata<luv%.zmq%.ctx>: 0x%x+$'))
    assert(tostring(socket):find('^userdata<luv%.zmq%.socket>: 0x%x+$'))
    T.raises('cannot encode userdata', luv.codec.encode, socket)
    for _, kind in ipairs { -1, 99, 1 << 40 } do T.raises('unknown type', context.socket, context, kind) end
    T.raises('number expected', context.socket, context)
    for _, threads in ipairs { -1, 5000 } do T.raises('out of range', zmq.create, threads) end
    T.raises('number expected', zmq.create, 'many')
    socket:close()
end)

case('messages of all kinds', function()
    local context = zmq.create()
    local a, b = pair(context, zmq.PAIR, zmq.PAIR, 'inproc://kinds')
    for _, text in ipairs { '', 'x', 'a\0b', ('x'):rep(30), ('y'):rep(1000000) } do
        local sent, same = a:send(text)
        T.eq(sent, a)
        T.eq(same, text)
        T.eq(b:recv(), text)
        T.eq(b:send(text), b)
        T.eq(a:recv(), text)
    end
    a:send(42)
    T.eq(b:recv(), '42')
    T.raises('string expected', a.send, a)
    T.raises('string expected', a.send, a, {})
    -- Parts.
    a:send('one', zmq.SNDMORE)
    a:send('two', zmq.SNDMORE)
    a:send('three')
    for text, more in pairs { one = 1 } do
        T.eq(b:recv(), text)
        T.eq(b:getsockopt('RCVMORE'), more)
    end
    T.eq(b:recv(), 'two')
    T.eq(b:getsockopt(zmq.RCVMORE), 1)
    T.eq(b:recv(), 'three')
    T.eq(b:getsockopt('RCVMORE'), 0)
    refused('Resource temporarily unavailable', b:recv(zmq.DONTWAIT))
    a:close()
    b:close()
end)

case('either side of each transport comes first', function()
    local context = zmq.create(2)
    local path = T.path('zmq.sock')
    for _, address in ipairs { 'tcp://127.0.0.1:' .. T.free_port(), 'ipc://' .. path, 'inproc://late' } do
        for _, first in ipairs { 'bind', 'connect' } do
            local pull, push = context:socket(zmq.PULL), context:socket(zmq.PUSH)
            local a, b = push, pull
            if first == 'connect' then a, b = pull, push end
            local name = address .. first
            if not address:find('inproc') then name = address end
            T.eq(first == 'bind' and push:bind(name) or pull:connect(name), 0)
            local got = {}
            local receiver = create(function()
                for i = 1, 10 do got[i] = pull:recv() end
            end):ready()
            luv.sleep(0.01)
            T.eq(first == 'bind' and pull:connect(name) or push:bind(name), 0)
            for i = 1, 10 do assert(push:send('tick: ' .. i)) end
            receiver:join()
            T.eq(#got, 10)
            T.eq(got[10], 'tick: 10')
            if first == 'bind' then T.eq(push:getsockopt('LAST_ENDPOINT'), name) end
            a:close()
            b:close()
            -- The address is free a little later.
            luv.sleep(0.05)
        end
    end
    local all = context:socket(zmq.REP)
    T.eq(all:bind('tcp://*:' .. T.free_port()), 0)
    assert(all:getsockopt('LAST_ENDPOINT'):find('^tcp://0%.0%.0%.0:'))
    all:close()
end)

case('addresses that are none, and taken ones', function()
    local context = zmq.create()
    local a, b = context:socket(zmq.PAIR), context:socket(zmq.PAIR)
    for _, name in ipairs { 'bind', 'connect' } do
        refused('Invalid argument', a[name](a, 'nothing'))
        refused('Protocol not supported', a[name](a, 'what://x'))
        T.raises('string expected', a[name], a)
        T.raises('string expected', a[name], a, {})
    end
    refused('Invalid argument', a:bind('inproc://a\0b'))
    T.eq(a:bind('inproc://taken'), 0)
    refused('Address already in use', b:bind('inproc://taken'))
    a:close()
    b:close()
end)

case('requests and replies take turns', function()
    local context = zmq.create()
    local rep, req = pair(context, zmq.REP, zmq.REQ, 'inproc://turns')
    local text = 'Operation cannot be accomplished in current state'
    refused(text, req:recv())
    refused(text, rep:send('early'))
    for i = 1, 3 do
        assert(req:send('question ' .. i))
        refused(text, req:send('again'))
        T.eq(rep:recv(), 'question ' .. i)
        refused(text, rep:recv())
        assert(rep:send('answer ' .. i))
        T.eq(req:recv(), 'answer ' .. i)
    end
    rep:close()
    req:close()
end)

case('subscribers get what begins as they want', function()
    local context = zmq.create()
    local pub, sub = pair(context, zmq.PUB, zmq.SUB, 'inproc://topics')
    pub:send('nobody wants this')
    T.eq(sub:setsockopt('SUBSCRIBE', 'news.'), true)
    T.eq(sub:setsockopt(zmq.SUBSCRIBE, 'mail'), true)
    local got
    local waiting = create(function() got = sub:recv() end):ready()
    luv.sleep(0.01)
    pub:send('new')
    pub:send('weather')
    pub:send('news.today')
    waiting:join()
    T.eq(got, 'news.today')
    T.eq(sub:setsockopt('UNSUBSCRIBE', 'news.'), true)
    luv.sleep(0.01)
    pub:send('news.late')
    pub:send('mail for you')
    T.eq(sub:recv(), 'mail for you')
    refused('Operation not supported', sub:send('x'))
    refused('Operation not supported', pub:recv())
    pub:close()
    sub:close()
end)

case('work goes to each in turn, and comes from each', function()
    local context = zmq.create()
    local push = context:socket(zmq.PUSH)
    push:bind('inproc://work')
    local pulls = {}
    for i = 1, 3 do
        pulls[i] = context:socket(zmq.PULL)
        pulls[i]:connect('inproc://work')
    end
    for i = 1, 6 do push:send(tostring(i)) end
    for i = 1, 3 do
        T.eq(pulls[i]:recv(), tostring(i))
        T.eq(pulls[i]:recv(), tostring(i + 3))
        pulls[i]:close()
    end
    push:close()
    local pull = context:socket(zmq.PULL)
    pull:bind('inproc://results')
    local pushes = {}
    for i = 1, 3 do
        pushes[i] = context:socket(zmq.PUSH)
        pushes[i]:connect('inproc://results')
        for _ = 1, 2 do pushes[i]:send(tostring(i)) end
    end
    local seen = ''
    for _ = 1, 6 do seen = seen .. pull:recv() end
    T.eq(seen, '123123')
    for i = 1, 3 do pushes[i]:close() end
    pull:close()
end)

case('routers know their peers by name', function()
    local context = zmq.create()
    local router = context:socket(zmq.ROUTER)
    router:bind('inproc://router')
    local dealers = {}
    for _, name in ipairs { 'ann', 'bob' } do
        local dealer = context:socket(zmq.DEALER)
        T.eq(dealer:setsockopt('IDENTITY', name), true)
        T.eq(dealer:getsockopt('IDENTITY'), name)
        dealer:connect('inproc://router')
        dealers[name] = dealer
        dealer:send('I am ' .. name)
    end
    for _ = 1, 2 do
        local name = router:recv()
        T.eq(router:getsockopt('RCVMORE'), 1)
        T.eq(router:recv(), 'I am ' .. name)
        router:send(name, zmq.SNDMORE)
        router:send('hello ' .. name)
    end
    for name, dealer in pairs(dealers) do
        T.eq(dealer:recv(), 'hello ' .. name)
        dealer:close()
    end
    T.eq(router:setsockopt('ROUTER_BEHAVIOR', 1), true)
    refused('', router:send('nobody', zmq.SNDMORE))
    router:close()
end)

case('a full queue suspends who sends, and nobody else', function()
    local context = zmq.create()
    local push, pull = context:socket(zmq.PUSH), context:socket(zmq.PULL)
    for _, name in ipairs { 'SNDHWM', 'RCVHWM' } do
        T.eq(push:getsockopt(name), 1000)
        push:setsockopt(name, 2)
        pull:setsockopt(name, 2)
    end
    push:bind('inproc://full')
    local sent, ticks = 0, 0
    local sender = create(function()
        for i = 1, 100 do
            assert(push:send(tostring(i)))
            sent = i
        end
    end):ready()
    local ticker = create(function()
        for _ = 1, 5 do
            luv.sleep(0.001)
            ticks = ticks + 1
        end
    end)
    ticker:join()
    -- Without a peer there is no queue at all.
    T.eq(sent, 0)
    T.eq(ticks, 5)
    pull:connect('inproc://full')
    luv.sleep(0.01)
    assert(sent >= 2 and sent <= 8, sent)
    refused('Resource temporarily unavailable', push:send('x', zmq.DONTWAIT))
    for i = 1, 100 do T.eq(pull:recv(), tostring(i)) end
    sender:join()
    T.eq(sent, 100)
    push:close()
    pull:close()
end)

case('one socket is waited on in both directions, and no event is lost', function()
    local context = zmq.create()
    local echo = luv.thread.spawn(function()
        local router = context:socket(luv.zmq.ROUTER)
        -- Otherwise it drops what does not fit.
        router:setsockopt('ROUTER_BEHAVIOR', 1)
        router:setsockopt('RCVHWM', 3)
        router:setsockopt('SNDHWM', 3)
        router:bind('inproc://echo')
        while true do
            local name, text = router:recv(), router:recv()
            router:send(name, luv.zmq.SNDMORE)
            router:send(text)
            if text == 'end' then break end
        end
        router:close()
    end)
    local dealer = context:socket(zmq.DEALER)
    dealer:setsockopt('RCVHWM', 3)
    dealer:setsockopt('SNDHWM', 3)
    dealer:connect('inproc://echo')
    local count = T.emulated and 300 or 5000
    local got = 0
    local receiver = create(function()
        repeat
            local text = dealer:recv()
            got = got + 1
            assert(text == tostring(got) or text == 'end', text)
        until text == 'end'
    end):ready()
    local sender = create(function()
        for i = 1, count do
            assert(dealer:send(tostring(i)))
            if i % 97 == 0 then luv.sleep(0.0001) end
        end
        dealer:send('end')
    end):ready()
    T.took(0, 20, receiver.join, receiver)
    sender:join()
    echo:join()
    T.eq(got, count + 1)
    dealer:close()
end)

case('a call that does not wait sees what others have done', function()
    local context = zmq.create()
    for i = 1, 50 do
        local a, b = context:socket(zmq.PAIR), context:socket(zmq.PAIR)
        local address = 'inproc://seen' .. i
        refused('Resource temporarily unavailable', a:send('x', zmq.DONTWAIT))
        a:bind(address)
        b:connect(address)
        T.eq(a:send('x', zmq.DONTWAIT), a)
        T.eq(b:recv(zmq.DONTWAIT), 'x')
        a:close()
        b:close()
    end
end)

case('those who wait first are first', function()
    local context = zmq.create()
    local a, b = pair(context, zmq.PAIR, zmq.PAIR, 'inproc://order')
    local seen, fibers = {}, {}
    for i = 1, 4 do
        fibers[i] = create(function()
            local text = b:recv()
            seen[#seen + 1] = i .. text
        end):ready()
    end
    luv.sleep(0.01)
    for i = 1, 4 do a:send('.' .. i) end
    for i = 1, 4 do fibers[i]:join() end
    T.eq(seen, { '1.1', '2.2', '3.3', '4.4' })
    a:close()
    b:close()
end)

case('calls that need not wait leave others their turn', function()
    local context = zmq.create()
    local a, b = pair(context, zmq.PAIR, zmq.PAIR, 'inproc://fair')
    local turns, is_over = 0, false
    local other = create(function()
        while not is_over do
            turns = turns + 1
            luv.sleep(0)
        end
    end):ready()
    create(function()
        for _ = 1, 2000 do
            a:send('x')
            b:recv()
        end
    end):join()
    is_over = true
    other:join()
    assert(turns > 20, turns)
    a:close()
    b:close()
end)

case('closing wakes who waits', function()
    local context = zmq.create()
    local a, b = pair(context, zmq.PAIR, zmq.PAIR, 'inproc://close')
    local push = context:socket(zmq.PUSH)
    local results = {}
    local fibers = {
        create(function() results[1] = { b:recv() } end):ready(),
        create(function() results[2] = { b:recv() } end):ready(),
        create(function() results[3] = { push:send('x') } end):ready(),
    }
    luv.sleep(0.01)
    T.eq(#results, 0)
    T.eq(b:close(), b)
    T.eq(push:close(), push)
    for _, fiber in ipairs(fibers) do T.took(0, 1, fiber.join, fiber) end
    refused('operation canceled', table.unpack(results[1]))
    refused('Socket operation on non-socket', table.unpack(results[2]))
    refused('operation canceled', table.unpack(results[3]))
    T.eq(b:close(), b)
    for _, call in ipairs {
        function() return b:recv() end, function() return b:send('x') end, function() return b:bind('inproc://x') end,
        function() return b:connect('inproc://x') end, function() return b:getsockopt('TYPE') end, function() return b:setsockopt('LINGER', 0) end,
        function() return b:recv(zmq.DONTWAIT) end, function() return b:send('x', zmq.DONTWAIT) end,
    } do
        refused('Socket operation on non-socket', call())
    end
    a:close()
end)

case('a context that ends wakes who waits, in every thread', function()
    local context = zmq.create()
    local a, b = pair(context, zmq.PAIR, zmq.PAIR, 'inproc://term')
    local thread = luv.thread.spawn(function()
        local socket = context:socket(luv.zmq.PULL)
        socket:bind('inproc://thread')
        return socket:recv()
    end)
    local push = context:socket(zmq.PUSH)
    push:connect('inproc://thread')
    local result, other
    local fibers = {
        create(function() result = { b:recv() } end):ready(),
        create(function() other = { context:socket(zmq.PUSH):send('x') } end):ready(),
    }
    luv.sleep(0.05)
    T.eq(context:term(), context)
    for _, fiber in ipairs(fibers) do T.took(0, 5, fiber.join, fiber) end
    local text = 'Context was terminated'
    refused(text, table.unpack(result))
    refused(text, table.unpack(other))
    refused(text, T.took(0, 5, thread.join, thread))
    refused(text, a:send('x'))
    refused(text, context:socket(zmq.PAIR))
    T.eq(context:term(), context)
    for _, socket in ipairs { a, b, push } do socket:close() end
end)

case('waits end at the socket\'s limits of time', function()
    local context = zmq.create()
    local a, b = context:socket(zmq.PAIR), context:socket(zmq.PAIR)
    a:setsockopt('RCVTIMEO', 50)
    a:setsockopt('SNDTIMEO', 50)
    refused('Resource temporarily unavailable', T.took(0.05, 1, a.recv, a))
    refused('Resource temporarily unavailable', T.took(0.05, 1, a.send, a, 'x'))
    for _, name in ipairs { 'RCVTIMEO', 'SNDTIMEO' } do
        T.eq(a:getsockopt(name), 50)
        T.eq(a:setsockopt(name, 0), true)
    end
    refused('Resource temporarily unavailable', a:recv())
    refused('Resource temporarily unavailable', a:send('x'))
    -- What was not sent is not kept.
    a:bind('inproc://limits')
    b:connect('inproc://limits')
    refused('Resource temporarily unavailable', b:recv(zmq.DONTWAIT))
    a:send('later')
    T.eq(b:recv(), 'later')
    a:close()
    b:close()
end)

case('options', function()
    local context = zmq.create()
    local socket = context:socket(zmq.DEALER)
    for name, value in pairs {
        RATE = 50, RECOVERY_IVL = 500, SNDBUF = 5000, RCVBUF = 6000, LINGER = 7, RECONNECT_IVL = 8, BACKLOG = 9, RECONNECT_IVL_MAX = 10,
        SNDHWM = 11, RCVHWM = 12, RCVTIMEO = 13, SNDTIMEO = 14, MULTICAST_HOPS = 3, TCP_KEEPALIVE = 1, TCP_KEEPALIVE_CNT = 2,
        TCP_KEEPALIVE_IDLE = 3, TCP_KEEPALIVE_INTVL = 4, AFFINITY = 1, MAXMSGSIZE = 1 << 40, IDENTITY = 'me', IPV4ONLY = false,
    } do
        T.eq(socket:setsockopt(name, value), true, name)
        T.eq(socket:getsockopt(name), value, name)
        if zmq[name] then T.eq(socket:getsockopt(zmq[name]), value, name) end
    end
    T.eq(socket:getsockopt('TYPE'), zmq.DEALER)
    T.eq(socket:getsockopt('EVENTS'), 0)
    T.eq(math.type(socket:getsockopt('FD')), 'integer')
    T.eq(socket:setsockopt('TCP_ACCEPT_FILTER', '127.0.0.0/8'), true)
    refused('Invalid argument', socket:setsockopt('TCP_ACCEPT_FILTER', 'nonsense'))
    refused('Invalid argument', socket:setsockopt('LINGER', -5))
    refused('Invalid argument', socket:setsockopt('IDENTITY', ('x'):rep(300)))
    refused('Invalid argument', socket:setsockopt('SUBSCRIBE', 'x'))
    for _, name in ipairs { 'RCVMORE', 'FD', 'EVENTS', 'TYPE', 'LAST_ENDPOINT' } do
        T.raises('readonly option', socket.setsockopt, socket, name, 1)
    end
    for _, name in ipairs { 'SUBSCRIBE', 'UNSUBSCRIBE', 'TCP_ACCEPT_FILTER' } do
        T.raises('writeonly option', socket.getsockopt, socket, name)
        T.raises('writeonly option', socket.getsockopt, socket, zmq[name])
        T.raises('string expected', socket.setsockopt, socket, name)
    end
    for _, call in ipairs { socket.getsockopt, socket.setsockopt } do
        T.raises('bad argument #1', call, socket, 'NOTHING', 1)
        T.raises('bad argument #1', call, socket, nil, 1)
        for _, number in ipairs { 0, 22, 99, -1, 1 << 40 } do T.raises('invalid option', call, socket, number, 1) end
    end
    T.raises('boolean expected', socket.setsockopt, socket, 'IPV4ONLY', 1)
    T.raises('number expected', socket.setsockopt, socket, 'LINGER')
    T.raises('out of range', socket.setsockopt, socket, 'LINGER', 1 << 31)
    socket:close()
end)

case('contexts pass to threads, and from them', function()
    local encode, decode = luv.codec.encode, luv.codec.decode
    local context = zmq.create()
    assert(rawequal(decode(encode(context)), context))
    T.eq(getmetatable(context).__codec(context), 'luv:zmq:decoder')
    T.eq(type(debug.getregistry()['luv:zmq:decoder']), 'function')
    -- As argument, as upvalue, in a table, and as a result.
    local thread = luv.thread.spawn(function(argument, list)
        assert(argument == context and list[1] == context)
        local socket = argument:socket(luv.zmq.PAIR)
        socket:connect('inproc://passed')
        socket:send('from the thread')
        socket:close()
        return argument, luv.zmq.create()
    end, context, { context })
    local socket = context:socket(zmq.PAIR)
    socket:bind('inproc://passed')
    T.eq(socket:recv(), 'from the thread')
    socket:close()
    for i = 1, 2 do
        local same, new = thread:join()
        assert(rawequal(same, context))
        assert(new ~= context)
        -- Its thread is gone, and it works.
        local a, b = pair(new, zmq.PAIR, zmq.PAIR, 'inproc://new' .. i)
        a:send('x')
        T.eq(b:recv(), 'x')
        a:close()
        b:close()
        new = nil
        collectgarbage()
    end
    thread = nil
    -- Nobody but the thread holds it.
    local function spawn()
        local own = zmq.create()
        return luv.thread.spawn(function()
            local a, b = own:socket(luv.zmq.PAIR), own:socket(luv.zmq.PAIR)
            a:bind('inproc://own')
            b:connect('inproc://own')
            a:send('alone')
            return b:recv()
        end)
    end
    local threads = {}
    for i = 1, 8 do
        threads[i] = spawn()
        collectgarbage()
    end
    for i = 1, 8 do T.eq(threads[i]:join(), 'alone') end
    -- A string alone does not keep one.
    local text = encode(zmq.create())
    collectgarbage()
    collectgarbage()
    T.raises('the context is gone', decode, text)
    T.raises('the context is gone', debug.getregistry()['luv:zmq:decoder'], -1)
    T.raises('', debug.getregistry()['luv:zmq:decoder'], 'x')
    T.raises('', debug.getregistry()['luv:zmq:decoder'])
    T.raises('cannot encode userdata', luv.thread.spawn, function() end, context:socket(zmq.PAIR))
    collectgarbage()
end)

case('what was sent goes out, though nobody is there yet', function()
    local port = T.free_port()
    local thread = luv.thread.spawn(function()
        local push = luv.zmq.create():socket(luv.zmq.PUSH)
        push:connect('tcp://127.0.0.1:' .. port)
        for i = 1, 10 do push:send('tick: ' .. i) end
        push:close()
    end)
    luv.sleep(0.05)
    local context = zmq.create()
    local pull = context:socket(zmq.PULL)
    T.eq(pull:bind('tcp://127.0.0.1:' .. port), 0)
    for i = 1, 10 do T.eq(pull:recv(), 'tick: ' .. i) end
    thread:join()
    pull:close()
end)

case('sockets that nobody has any more are closed', function()
    local context = zmq.create()
    local first = context:socket(zmq.PAIR)
    first:bind('inproc://collected')
    first = nil
    collectgarbage()
    collectgarbage()
    T.await(function()
        local second = context:socket(zmq.PAIR)
        local done = second:bind('inproc://collected') == 0
        second:close()
        return done
    end)
    for _ = 1, 200 do context:socket(zmq.PUSH) end
    collectgarbage()
end)

case('a child does without its parent\'s contexts', function()
    -- It leaves them as they are, which would be reported.
    if T.sanitized then return end
    local context = zmq.create()
    local a, b = pair(context, zmq.PAIR, zmq.PAIR, 'inproc://child')
    a:send('for the parent')
    local pid = assert(sys.fork())
    if pid == 0 then
        -- Its state closes, and waits for nothing.
        os.exit(7, true)
    end
    T.await(function()
        local found, status = assert(sys.waitpid(pid))
        if found ~= 0 then T.eq(status, { exited = true, status = 7 }) end
        return found ~= 0
    end)
    T.eq(b:recv(), 'for the parent')
    a:close()
    b:close()
end)
