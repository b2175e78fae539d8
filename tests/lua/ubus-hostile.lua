-- eco.ubus before a daemon that sends nonsense: nothing crashes, hangs or leaks, and whoever waits is told.

local eco = require 'eco'
local socket = require 'eco.socket'
local ubus = require 'eco.ubus'

local PATH = T.path('hostile')

local function header(kind, seq, peer, body)
    return (">BBI2I4"):pack(0, kind, seq, peer) .. (">I4"):pack(#body + 4) .. body
end

local function pad(text)
    return text .. ('\0'):rep(-#text % 4)
end

local function attribute(id, payload)
    return pad((">I4"):pack(id << 24 | #payload + 4) .. payload)
end

local function entry(kind, name, value)
    return pad((">I4"):pack((0x80 | kind) << 24 | 4 + #pad((">s2"):pack(name) .. '\0') + #value) .. pad((">s2"):pack(name) .. '\0') .. value)
end

local HELLO = header(0, 0, 0x06b51fa1, '')
local STATUS, DATA, INVOKE = 1, 2, 5

-- Runs `serve` with the one connection that `client` makes.
local function against(serve, client)
    os.remove(PATH)
    local listener = assert(socket.listen_unix(PATH))
    local group = T.gather()
    group:run(function()
        local s = listener:accept(5 * T.slow)
        if s then
            serve(s)
            s:close()
        end
    end)
    client()
    listener:close()
    group:wait()
end

local function send(s, bytes)
    s:send(bytes, 5 * T.slow)
end

case('the hello, cut at every byte', function()
    for length = 0, #HELLO - 1 do
        against(function(s) send(s, HELLO:sub(1, length)) end, function()
            T.fails('failed to connect to ubus', ubus.connect(PATH))
        end)
    end
    for _, bytes in ipairs {
        '\1' .. HELLO:sub(2), header(1, 0, 5000, ''), header(0, 0, 1, ''), header(0, 0, 0, ''), ('\xff'):rep(1000),
        HELLO:sub(1, 8) .. '\0\0\0\3', HELLO:sub(1, 8) .. '\x7f\xff\xff\xff', 'HTTP/1.1 400 Bad Request\r\n\r\n',
    } do
        against(function(s) send(s, bytes) end, function()
            T.fails('failed to connect to ubus', ubus.connect(PATH))
        end)
    end
end)

-- What a whole answer to a call looks like: the object, its result, its end.
local ID = 0x409eb227
local function answer(lookup, invoke)
    return header(DATA, lookup, 0, attribute(2, 'x\0') .. attribute(3, (">I4"):pack(ID)) .. attribute(5, '\0\0\0\1') .. attribute(6, ''))
        .. header(STATUS, lookup, 0, attribute(1, '\0\0\0\0'))
        .. header(DATA, invoke, ID, attribute(3, (">I4"):pack(ID)) .. attribute(7, entry(3, 'text', 'hi\0') .. entry(5, 'n', '\0\0\0\7')))
        .. header(STATUS, invoke, ID, attribute(1, '\0\0\0\0') .. attribute(3, (">I4"):pack(ID)))
end

-- Calls while the daemon answers with `bytes`; gives what comes of it.
local function call(bytes, wait)
    local results
    against(function(s)
        send(s, HELLO)
        if s:read(1, 5 * T.slow) then
            send(s, bytes)
            if wait then eco.sleep(wait) end
        end
    end, function()
        local con<close> = assert(ubus.connect(PATH))
        results = table.pack(con:call('x', 'm', {}, 2 * T.slow))
    end)
    return table.unpack(results, 1, results.n)
end

case('an answer, cut at every byte', function()
    local whole = answer(1, 2)
    -- All of it comes before the second request is made, but messages are taken one by one.
    T.eq({ call(whole) }, { { text = 'hi', n = 7 } })
    for length = 0, #whole - 1, T.slow > 1 and 7 or 1 do
        T.fails('closed', call(whole:sub(1, length)))
    end
end)

case('lengths that lie', function()
    local whole = answer(1, 2)
    local seed = 12345
    local function random(n)
        seed = (seed * 1103515245 + 12345) & 0x7fffffff
        return seed >> 8 & 0xffff | 0, (seed >> 8) % n
    end
    for _ = 1, T.slow > 1 and 30 or 300 do
        local bytes = whole
        for _ = 1, 3 do
            local value, place = random(#whole)
            bytes = bytes:sub(1, place) .. string.char(value & 255) .. bytes:sub(place + 2)
        end
        local result, why = call(bytes)
        assert(type(result) == 'table' or type(why) == 'string')
    end
end)

case('messages nobody asked for', function()
    local pieces = {}
    for kind = 0, 13 do
        for _, seq in ipairs { 0, 1, 2, 77 } do
            for _, body in ipairs { '', attribute(3, (">I4"):pack(ID)), attribute(1, '\0\0\0\0'), attribute(13, 'x'), attribute(127, ''), '\0\0\0\0', ('\xff'):rep(40) } do
                if not (kind == STATUS and seq == 1) then
                    pieces[#pieces + 1] = header(kind, seq, ID, body)
                end
            end
        end
    end
    local result, why = call(table.concat(pieces) .. answer(1, 2))
    assert(type(result) == 'table' or type(why) == 'string')
end)

case('endless attributes and results', function()
    -- A lookup with a hundred thousand objects.
    local one = header(DATA, 1, 0, attribute(2, 'x\0') .. attribute(3, (">I4"):pack(ID)))
    local result, why = call(one:rep(T.slow > 1 and 5000 or 100000) .. header(STATUS, 1, 0, attribute(1, '\0\0\0\4')))
    T.eq({ result, why }, { nil, 'not found' })
    -- The largest message, made of empty attributes.
    call(header(DATA, 1, 0, ('\0\0\0\4'):rep(262143)))
    -- More results than are kept.
    local lookup = answer(1, 2):sub(1, #header(DATA, 1, 0, attribute(2, 'x\0') .. attribute(3, (">I4"):pack(ID)) .. attribute(5, '\0\0\0\1') .. attribute(6, ''))
        + #header(STATUS, 1, 0, attribute(1, '\0\0\0\0')))
    local big = header(DATA, 2, ID, attribute(3, (">I4"):pack(ID)) .. attribute(7, entry(3, 'text', ('x'):rep(1000000) .. '\0')))
    T.fails('msg too long', call(lookup .. big:rep(20) .. header(STATUS, 2, ID, attribute(1, '\0\0\0\0'))))
    -- Nested deeper than anybody reads.
    local deep = ''
    for _ = 1, 1000 do deep = entry(2, 'd', deep) end
    local nested = call(lookup .. header(DATA, 2, ID, attribute(3, (">I4"):pack(ID)) .. attribute(7, deep)) .. header(STATUS, 2, ID, attribute(1, '\0\0\0\0')))
    local depth = 0
    while nested do
        depth, nested = depth + 1, nested.d
    end
    assert(depth > 100 and depth < 200, depth)
end)

case('a daemon that says nothing more', function()
    against(function(s)
        send(s, HELLO)
        eco.sleep(0.3)
    end, function()
        local con<close> = assert(ubus.connect(PATH))
        T.fails('timeout', con:call('x', 'm', {}, 0.05))
        local waiter
        local co = eco.run(function() waiter = table.pack(con:objects()) end)
        eco.sleep(0.02)
        con:close()
        T.await(function() return coroutine.status(co) == 'dead' end)
        T.eq(waiter, { n = 2, nil, 'closed' })
    end)
end)
