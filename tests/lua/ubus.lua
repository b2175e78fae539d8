-- eco.ubus: calls, objects, events, subscriptions, and everything that may go wrong, through a daemon of the test.

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local time = require 'eco.time'
local ubus = require 'eco.ubus'

local FOLDER = os.getenv('UBUS_FOLDER')
local PATH = FOLDER .. '/ubus'

local function daemon(word)
    local s<close> = assert(socket.connect_unix(FOLDER .. '/control'))
    assert(s:send(word .. '\n'))
    assert(s:read('l', 10) == 'done')
end

daemon('start')

-- ... are exactly these values.
local function gives(values, ...)
    values.n = values.n or #values
    T.eq(table.pack(...), values)
end

local function none(message, ...)
    gives({ n = 2, nil, message }, ...)
end

-- A case with two connections, which are closed behind it.
local function two(what, f)
    case(what, function()
        local before = eco.count()
        local a, b = assert(ubus.connect(PATH)), assert(ubus.connect(PATH))
        f(a, b)
        a:close()
        b:close()
        T.await(function() return eco.count() == before end)
    end)
end

-- Counts calls of what it gives.
local function counter()
    local c = { n = 0 }
    function c.call(...)
        c.n = c.n + 1
        c.last = table.pack(...)
    end
    function c.await(n) T.await(function() return c.n >= n end) end
    return c
end

case('the module', function()
    T.eq(ubus.STATUS_OK, 0)
    T.eq(ubus.STATUS_CONNECTION_FAILED, 10)
    T.eq({ ubus.ARRAY, ubus.TABLE, ubus.STRING, ubus.INT64, ubus.INT32, ubus.INT16, ubus.INT8, ubus.BOOLEAN, ubus.DOUBLE },
        { 1, 2, 3, 4, 5, 6, 7, 7, 8 })
    local texts = { [0] = 'Success', 'Invalid command', 'Invalid argument', 'Method not found', 'Not found', 'No response',
        'Permission denied', 'Request timed out', 'Operation not supported', 'Unknown error', 'Connection failed',
        'Out of memory', 'Parsing message data failed', 'System error', 'Unknown error: 14' }
    for code, text in pairs(texts) do T.eq(ubus.strerror(code), text) end
    T.eq(ubus.strerror(-1), 'Unknown error: -1')
    T.eq(ubus.strerror('4'), 'Not found')
    T.eq(ubus.strerror(math.mininteger), 'Unknown error: ' .. math.mininteger)
    T.raises('number expected, got nil', ubus.strerror, nil)
    T.raises('number has no integer representation', ubus.strerror, 1.5)
    T.raises("bad argument #1 to 'connect' (string expected, got table)", ubus.connect, {})
    none('failed to connect to ubus', ubus.connect(T.path('nobody')))
    none('failed to connect to ubus', ubus.connect(('x'):rep(300)))
    for _, name in ipairs { 'call', 'send', 'objects', 'signatures' } do
        if not file.access('/var/run/ubus/ubus.sock') then
            none('failed to connect to ubus', ubus[name]('a', 'b'))
        end
    end
end)

two('calls', function(a, b)
    local handle = assert(a:add('test', {
        echo = { function(req, msg, con)
            assert(con == a)
            a:reply(req, msg)
        end, { text = ubus.STRING, n = ubus.INT32, list = ubus.ARRAY, flag = ubus.BOOLEAN, big = ubus.INT64 } },
        none = { function() end },
        several = { function(req)
            for i = 1, 3 do gives({ true }, a:reply(req, { i = i })) end
        end },
        status = { function(_, msg) return msg.code end },
        both = { function(req) a:reply(req, { lost = true }) return ubus.STATUS_TIMEOUT end },
        text = { function() return 'no number' end },
        slow = { function(req, msg)
            eco.sleep(msg.time)
            a:reply(req, { time = msg.time })
        end },
        nested = { function(req) a:reply(req, assert(a:call('test', 'echo', { text = 'inner' }))) end },
    }))
    T.eq(type(handle), 'userdata')
    gives({ { text = 'hi', n = 7 } }, b:call('test', 'echo', { text = 'hi', n = 7 }))
    gives({ { text = 'hi' } }, a:call('test', 'echo', { text = 'hi' }))
    gives({ {} }, b:call('test', 'none'))
    gives({ { i = 1 }, { i = 2 }, { i = 3 } }, b:call('test', 'several'))
    gives({ {} }, b:call('test', 'text'))
    gives({ { text = 'inner' } }, b:call('test', 'nested'))
    for code, text in pairs { [4] = 'Not found', [-5] = 'Unknown error: -5', [1000] = 'Unknown error: 1000' } do
        none(text, b:call('test', 'status', { code = code }))
    end
    none('Request timed out', b:call('test', 'both'))
    none('Method not found', b:call('test', 'absent'))
    none('not found', b:call('absent', 'echo'))
    -- What a method declares is what it gets.
    none('Invalid argument', b:call('test', 'echo', { text = 5 }))
    none('Invalid argument', b:call('test', 'echo', { n = 1 << 40 }))
    none('Invalid argument', b:call('test', 'echo', { list = 'x' }))
    gives({ { undeclared = 1.5 } }, b:call('test', 'echo', { undeclared = 1.5 }))

    T.took(0.05, 1, function() none('timeout', b:call('test', 'slow', { time = 0.3 }, 0.05)) end)
    gives({ { time = 0.01 } }, b:call('test', 'slow', { time = 0.01 }, 0))
    gives({ { time = 0.01 } }, b:call('test', 'slow', { time = 0.01 }, false))
    gives({ { time = 0.01 } }, b:call('test', 'slow', { time = 0.01 }, -1))
    -- Completion order is free.
    local order = {}
    local group = T.gather()
    for _, seconds in ipairs { 0.15, 0.1, 0.05 } do
        group:run(function()
            T.eq(b:call('test', 'slow', { time = seconds }).time, seconds)
            order[#order + 1] = seconds
        end)
    end
    group:wait()
    T.eq(order, { 0.05, 0.1, 0.15 })

    T.raises("bad argument #1 to 'call' (string expected, got no value)", function() b:call() end)
    T.raises("bad argument #2 to 'call' (string expected, got nil)", function() b:call('test', nil) end)
    T.raises("bad argument #3 to 'call' (table expected, got number)", function() b:call('test', 'echo', 5) end)
    T.raises("bad argument #4 to 'call' (number expected, got table)", function() b:call('test', 'echo', {}, {}) end)
    T.raises("bad argument #1 to 'reply' (userdata expected, got nil)", function() b:reply(nil, {}) end)
    T.raises("bad argument #2 to 'reply' (table expected, got string)", function() b:reply(handle, 'x') end)
    none('No response', b:reply(handle, {}))
end)

two('an object comes back under another number', function(a, b)
    assert(a:add('moving', { where = { function(req) a:reply(req, { at = 'a' }) end } }))
    gives({ { at = 'a' } }, b:call('moving', 'where'))
    a:close()
    T.await(function() return select(2, b:call('moving', 'where')) == 'not found' end)
    local c<close> = assert(ubus.connect(PATH))
    assert(c:add('moving', { where = { function(req) c:reply(req, { at = 'c' }) end },
        missing = { function() return ubus.STATUS_NOT_FOUND end } }))
    gives({ { at = 'c' } }, b:call('moving', 'where'))
    local d<close> = assert(ubus.connect(PATH))
    gives({ { at = 'c' } }, d:call('moving', 'where'))
    none('Not found', d:call('moving', 'missing'))
    gives({ { at = 'c' } }, d:call('moving', 'where'))
end)

two('values', function(a, b)
    assert(a:add('echo', { echo = { function(req, msg) a:reply(req, msg) end } }))
    local function same(value)
        gives({ { v = value } }, b:call('echo', 'echo', { v = value }))
    end
    for _, value in ipairs { true, false, 0, 1, -1, 2147483647, 2147483648, -2147483648, -2147483649, math.maxinteger,
        math.mininteger, 0.0, -0.0, 1.0, 1.5, 1e300, math.huge, -math.huge, '', 'text', '\xff\xfe', ('x'):rep(100000),
        {}, { 1, 2, 3 }, { { {} } }, { a = { b = { c = 1 } } }, { 'a', true, 1.5, {} } } do
        same(value)
    end
    local nan = b:call('echo', 'echo', { v = 0 / 0 }).v
    assert(nan ~= nan)
    gives({ { v = 'cut' } }, b:call('echo', 'echo', { v = 'cut\0here' }))
    gives({ { cut = 1 } }, b:call('echo', 'echo', { ['cut\0here'] = 1 }))
    gives({ { ['1'] = 'a', ['2'] = 'b' } }, b:call('echo', 'echo', { 'a', 'b' }))
    gives({ { v = { ['1'] = 'a', ['3'] = 'c' } } }, b:call('echo', 'echo', { v = { [1] = 'a', [3] = 'c' } }))
    gives({ { v = { ['1'] = 'a', x = 'b' } } }, b:call('echo', 'echo', { v = { 'a', x = 'b' } }))
    gives({ { v = { ['1.5'] = 'a' } } }, b:call('echo', 'echo', { v = { [1.5] = 'a' } }))
    gives({ { v = { 'odd' } } }, b:call('echo', 'echo', { v = { [true] = 'odd' } }))
    gives({ { kept = 1 } }, b:call('echo', 'echo', { kept = 1, f = print, t = coroutine.create(print), u = io.stdout }))
    gives({ {} }, b:call('echo', 'echo', { [('n'):rep(65536)] = 1 }))
    gives({ {} }, b:call('echo', 'echo', {}))
    gives({ {} }, b:call('echo', 'echo'))
    local reversed = {}
    for i = 100, 1, -1 do reversed[i] = i end
    same(reversed)
    local shared = { 1 }
    gives({ { v = { { 1 }, { 1 } } } }, b:call('echo', 'echo', { v = { shared, shared } }))
    local metatable = setmetatable({ 1 }, { __pairs = error, __len = error, __index = error })
    gives({ { v = { 1 } } }, b:call('echo', 'echo', { v = metatable }))

    local circle = {}
    circle.x = { circle }
    T.raises('circular reference in table', function() b:call('echo', 'echo', circle) end)
    T.raises('circular reference in table', function() b:send('x', circle) end)
    local deep = {}
    for _ = 1, 127 do deep = { deep } end
    same(deep)
    for _ = 1, 1000 do deep = { deep } end
    none('Invalid argument', b:call('echo', 'echo', { v = deep }))
    none('msg too long', b:call('echo', 'echo', { v = ('x'):rep(1048576) }))
    none('msg too long', b:call('echo', 'echo', { v = { ('x'):rep(600000), ('x'):rep(600000) } }))
    none('Invalid argument', b:call('echo', 'echo', { v = ('x'):rep(1048576 - 24) }))
    gives({ {} }, b:call('echo', 'echo'))
    local long = ('x'):rep(1000000)
    gives({ { v = long } }, b:call('echo', 'echo', { v = long }))
end)

two('objects and signatures', function(a, b)
    local before = a:objects()
    local handle = assert(a:add('one', { m = { print, { text = ubus.STRING, odd = 77 } }, plain = { print } }))
    assert(a:add('two', {}))
    local names = {}
    for id, path in pairs(b:objects()) do
        assert(math.type(id) == 'integer' and id >= 0)
        if not before[id] then names[#names + 1] = path end
    end
    table.sort(names)
    T.eq(names, { 'one', 'two' })
    gives({ { m = { text = 3, odd = 77 }, plain = {} } }, b:signatures('one'))
    gives({ {} }, b:signatures('two'))
    none('Not found', b:signatures('three'))
    none('object exists', b:add('one', {}))
    none('object exists', a:add('one', {}))
    none('object exists', b:add('on*', {}))
    T.raises("bad argument #1 to 'add' (string expected, got no value)", function() a:add() end)
    T.raises("bad argument #1 to 'for iterator' (table expected, got nil)", function() a:add('x') end)
    T.raises('assertion failed!', function() a:add('x', { m = {} }) end)
    T.raises('assertion failed!', function() a:add('x', { m = print }) end)
    T.raises('assertion failed!', function() a:add('x', { m = { print, 'x' } }) end)
    T.raises('(number expected, got string)', function() a:add('x', { m = { print, { a = 'x' } } }) end)
    T.raises("bad argument #1 to 'signatures' (string expected, got no value)", function() a:signatures() end)
    T.eq(type(handle), 'userdata')
    -- Methods may be replaced: the callback is looked up when it is called.
    local methods = { m = { function(req) a:reply(req, { version = 1 }) end } }
    assert(a:add('changing', methods))
    gives({ { version = 1 } }, b:call('changing', 'm'))
    methods.m[1] = function(req) a:reply(req, { version = 2 }) end
    gives({ { version = 2 } }, b:call('changing', 'm'))
end)

two('events', function(a, b)
    local exact, prefix, all, twice = counter(), counter(), counter(), counter()
    gives({ true }, a:listen('test.event', exact.call))
    gives({ true }, a:listen('test.*', prefix.call))
    gives({ true }, a:listen('*', all.call))
    gives({ true }, a:listen('test.event', twice.call))
    gives({ true }, b:send('test.event', { n = 1 }))
    for _, c in ipairs { exact, prefix, all, twice } do
        c.await(1)
        T.eq(c.last, { n = 3, 'test.event', { n = 1 }, a })
    end
    gives({ true }, b:send('test.other'))
    prefix.await(2)
    T.eq(prefix.last[2], {})
    gives({ true }, b:send('nobody'))
    all.await(3)
    T.eq({ exact.n, prefix.n, all.n }, { 1, 2, 3 })
    -- Not to those who send.
    gives({ true }, a:send('test.event'))
    gives({ true }, b:send('test.last'))
    prefix.await(3)
    T.eq(exact.n, 1)
    -- Order, and the daemon's own events.
    local seen = {}
    gives({ true }, a:listen('ubus.object.*', function(name, msg) seen[#seen + 1] = { name, msg.path, math.type(msg.id) } end))
    local c = assert(ubus.connect(PATH))
    assert(c:add('coming', {}))
    c:close()
    T.await(function() return #seen == 2 end)
    T.eq(seen, { { 'ubus.object.add', 'coming', 'integer' }, { 'ubus.object.remove', 'coming', 'integer' } })

    none('Permission denied', a:send('ubus.mine'))
    none('Permission denied', a:listen('', print))
    T.raises("bad argument #1 to 'send' (string expected, got no value)", function() a:send() end)
    T.raises("bad argument #2 to 'send' (table expected, got string)", function() a:send('x', 'y') end)
    T.raises("bad argument #1 to 'listen' (string expected, got nil)", function() a:listen(nil, print) end)
    T.raises("bad argument #2 to 'listen' (function expected, got no value)", function() a:listen('x') end)
end)

two('subscriptions', function(a, b)
    local handle = assert(a:add('source', {}))
    local first, second, auto = counter(), counter(), counter()
    local one = assert(b:subscribe('source', first.call))
    local two = assert(b:subscribe('source', second.call))
    gives({ true }, a:notify(handle, 'tick', { n = 1 }))
    first.await(1)
    second.await(1)
    T.eq(first.last, { n = 3, 'tick', { n = 1 }, b })
    gives({ true }, b:unsubscribe(one))
    none('not found', b:unsubscribe(one))
    none('not found', b:unsubscribe(nil))
    none('not found', b:unsubscribe(handle))
    gives({ true }, a:notify(handle, 'tick'))
    second.await(2)
    T.eq(first.n, 1)
    none('invalid object', a:notify(two, 'tick'))
    none('invalid object', b:notify(handle, 'tick'))
    none('invalid object', a:notify(io.stdout, 'tick'))
    none('Invalid argument', a:subscribe('source', print))
    none('not found', b:subscribe('absent', print))
    T.raises("bad argument #2 to 'notify' (string expected, got no value)", function() a:notify(5) end)
    T.raises("bad argument #1 to 'notify' (userdata expected, got number)", function() a:notify(5, 'x') end)
    T.raises("bad argument #3 to 'notify' (table expected, got number)", function() a:notify(handle, 'x', 5) end)
    none('msg too long', a:notify(handle, 'x', { ('x'):rep(1100000) }))

    -- An object that goes, and comes back.
    local waiting = assert(b:subscribe('later', auto.call, true))
    local c = assert(ubus.connect(PATH))
    local later = assert(c:add('later', {}))
    T.await(function()
        c:notify(later, 'one')
        return auto.n > 0
    end)
    local plain = assert(b:subscribe('later', first.call))
    c:close()
    T.await(function()
        local ok, why = b:unsubscribe(plain)
        if ok then plain = assert(b:subscribe('source', print)) end
        return why == 'invalid subscriber' or ok
    end)
    local d<close> = assert(ubus.connect(PATH))
    later = assert(d:add('later', {}))
    local before = auto.n
    T.await(function()
        d:notify(later, 'two')
        return auto.n > before
    end)
    gives({ true }, b:unsubscribe(waiting))
    before = auto.n
    d:notify(later, 'three')
    gives({ true }, b:send('turn'))
    eco.sleep(0.02)
    T.eq(auto.n, before)
end)

two('a subscription whose object is gone', function(a, b)
    assert(a:add('gone', {}))
    local handle = assert(b:subscribe('gone', print))
    local seen = counter()
    b:listen('ubus.object.remove', seen.call)
    a:close()
    seen.await(1)
    none('invalid subscriber', b:unsubscribe(handle))
    none('not found', b:unsubscribe(handle))
end)

two('requests that outlive their callback', function(a, b)
    local kept
    assert(a:add('late', { m = { function(req) kept = req a:reply(req, { 'in time' }) end } }))
    gives({ { ['1'] = 'in time' } }, b:call('late', 'm'))
    none('No response', a:reply(kept, { 'late' }))
    none('No response', b:reply(kept, { 'wrong connection' }))
    gives({ { ['1'] = 'in time' } }, b:call('late', 'm'))
end)

two('close', function(a, b)
    assert(a:add('slow', { m = { function(req)
        eco.sleep(0.2)
        gives({ n = 0 }, a:reply(req, {}))
    end } }))
    local results, group = {}, T.gather()
    for i = 1, 3 do
        group:run(function() results[i] = table.pack(b:call('slow', 'm', nil, i == 1 and 0 or 10)) end)
    end
    group:run(function() results[4] = table.pack(b:subscribe('absent', print, true)) end)
    eco.sleep(0.02)
    local start = time.now(true)
    gives({ n = 0 }, b:close())
    gives({ n = 0 }, b:close())
    T.eq(b.closed, true)
    group:wait()
    assert(time.now(true) - start < 0.15 * T.slow)
    for i = 1, 3 do T.eq(results[i], { n = 2, nil, 'closed' }) end
    T.eq(type(results[4][1]), 'userdata')
    for _, name in ipairs { 'call', 'send', 'reply', 'listen', 'add', 'subscribe', 'unsubscribe', 'notify', 'objects', 'signatures',
        'call_fd', 'take_fd', 'reply_fd' } do
        gives({ n = 0 }, b[name](b))
    end
    none('closed', b.ctx:notify(results[4][1], 'x', {}))
    none('closed', b.ctx:unsubscribe(results[4][1]))
    a:close()
    eco.sleep(0.25 * T.slow)
end)

case('closed by callbacks, and by <close>', function()
    local before = eco.count()
    do
        local a<close> = assert(ubus.connect(PATH))
        local b<close> = assert(ubus.connect(PATH))
        assert(a:add('closing', { m = { function() a:close() end } }))
        none('timeout', b:call('closing', 'm', {}, 0.1))
        assert(b:listen('close', function() b:close() end))
        local c<close> = assert(ubus.connect(PATH))
        assert(c:send('close'))
        T.await(function() return b.closed end)
    end
    T.await(function() return eco.count() == before end)
end)

two('closed coroutines', function(a, b)
    assert(a:add('sleeper', { m = { function(req) eco.sleep(0.05) a:reply(req, { done = true }) end } }))
    for _ = 1, 20 do
        local co = eco.run(function() b:call('sleeper', 'm') end)
        eco.sleep(0)
        assert(coroutine.close(co))
    end
    gives({ { done = true } }, b:call('sleeper', 'm'))
    for _ = 1, 20 do
        local co
        co = eco.run(function() b:call('sleeper', 'm') end)
        eco.sleep(0.001)
        coroutine.close(co)
    end
    gives({ { done = true } }, b:call('sleeper', 'm'))
    eco.sleep(0.1)
end)

two('descriptors', function(a, b)
    local content = T.path('passed')
    assert(file.writefile(content, 'what was passed'))
    assert(a:add('files', {
        read = { function(req)
            local fd = a:take_fd(req)
            if not fd then return ubus.STATUS_INVALID_ARGUMENT end
            T.eq(a:take_fd(req), false)
            a:reply(req, { text = assert(file.read(fd, 100)) })
            file.close(fd)
        end },
        open = { function(req)
            local f<close> = assert(file.open(content))
            gives({ true }, a:reply_fd(req, f.fd))
        end },
        ignore = { function() end },
    }))
    local f<close> = assert(file.open(content))
    gives({ false, { text = 'what was passed' } }, b:call_fd('files', 'read', {}, nil, f.fd))
    none('Invalid argument', b:call_fd('files', 'read'))
    local fd, result = b:call_fd('files', 'open')
    T.eq(math.type(fd), 'integer')
    T.eq(result, {})
    T.eq(file.read(fd, 100), 'what was passed')
    file.close(fd)
    -- Descriptors that nobody takes are closed: the case looks for leaks.
    for _ = 1, 20 do
        f:lseek(0, file.SEEK_SET)
        gives({ {} }, b:call('files', 'open'))
        gives({ false, {} }, b:call_fd('files', 'ignore', {}, 5, f.fd))
    end
    none('not found', b:call_fd('absent', 'm', {}, 5, f.fd))
    T.raises("bad argument #5 to 'call_fd' (number expected, got string)", function() b:call_fd('files', 'm', {}, 5, 'x') end)
    none('Bad file descriptor', b:call_fd('files', 'm', {}, 5, 999))
    collectgarbage()
    collectgarbage()
end)

two('many calls in flight', function(a, b)
    assert(a:add('load', { echo = { function(req, msg)
        if msg.n % 7 == 0 then eco.sleep(0) end
        a:reply(req, msg)
    end } }))
    local group, done = T.gather(), 0
    for i = 1, 64 do
        group:run(function()
            for j = 1, 20 do
                local n = i * 1000 + j
                T.eq(b:call('load', 'echo', { n = n }).n, n)
                done = done + 1
            end
        end)
    end
    group:wait(30)
    T.eq(done, 64 * 20)
end)

two('memory stays flat', function(a, b)
    assert(a:add('load', { echo = { function(req, msg) a:reply(req, msg) end } }))
    local handle = assert(a:add('news', {}))
    local heard = counter()
    assert(b:subscribe('news', heard.call))
    local function round(count)
        for i = 1, count do
            assert(b:call('load', 'echo', { n = i, text = 'hello' }).n == i)
            a:notify(handle, 'n', { n = i })
            if i % 50 == 0 then
                local s = assert(b:subscribe('news', print))
                b:unsubscribe(s)
            end
        end
        collectgarbage()
        collectgarbage()
        return collectgarbage('count')
    end
    round(300)
    local before = round(300)
    local after = round(T.slow > 1 and 500 or 3000)
    assert(after < before + 30, ('%.1f KB, then %.1f KB'):format(before, after))
end)

two('a daemon that does not read is waited for', function(a, b)
    local heard = counter()
    local handle = assert(a:add('flood', {}))
    assert(b:subscribe('flood', heard.call))
    local text = ('x'):rep(60000)
    for _ = 1, 100 do gives({ true }, a:notify(handle, 'n', { text = text })) end
    heard.await(1)
end)

case('the daemon goes', function()
    local con = assert(ubus.connect(PATH))
    local other = assert(ubus.connect(PATH))
    local handle = assert(other:add('mine', { slow = { function(req)
        eco.sleep(0.1)
        none('No response', other:reply(req, {}))
    end } }))
    local subscription = assert(con:subscribe('mine', print, true))
    local result
    local waiter = eco.run(function() result = table.pack(con:call('mine', 'slow')) end)
    eco.sleep(0.02)
    daemon('stop')
    T.await(function() return result end)
    T.eq(result, { n = 2, nil, 'closed' })
    T.await(function() return con.connection_lost and other.connection_lost end)
    T.eq(con.closed, nil)
    none('not found', con:call('mine', 'slow'))
    none('not found', con:subscribe('mine', print))
    for _, f in ipairs {
        function() return con:send('x') end, function() return con:listen('x', print) end,
        function() return con:add('x', {}) end, function() return con:subscribe('x', print, true) end,
        function() return con:objects() end, function() return con:signatures('x') end,
    } do
        none('Invalid argument', f())
    end
    gives({ true }, other:notify(handle, 'x'))
    gives({ true }, con:unsubscribe(subscription))
    eco.sleep(0.15 * T.slow)
    con:close()
    other:close()
    T.eq(coroutine.status(waiter), 'dead')
    none('failed to connect to ubus', ubus.connect(PATH))
    daemon('start')
end)

daemon('stop')
