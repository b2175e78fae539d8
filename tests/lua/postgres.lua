-- `eco.postgres` by bytes: a server of the test's own, which breaks off, stalls, lies and says nonsense.

local eco = require 'eco'
local postgres = require 'eco.postgres'
local socket = require 'eco.socket'

local pack = string.pack

local function message(kind, body)
    return kind .. pack('>I4', #body + 4) .. body
end

local OK = message('R', '\0\0\0\0')
local READY = message('Z', 'I')
local HELLO = OK .. message('S', 'server_version\0' .. '15\0') .. message('K', '\0\0\0\1\0\0\0\2') .. READY

local function columns(...)
    local body = pack('>I2', select('#', ...))
    for _, column in ipairs { ... } do
        body = body .. column[1] .. '\0' .. pack('>I4I2I4i2i4I2', 0, 0, column[2], -1, -1, 0)
    end
    return message('T', body)
end

local function row(...)
    local body = pack('>I2', select('#', ...))
    for i = 1, select('#', ...) do
        local value = select(i, ...)
        body = body .. (value and pack('>s4', value) or '\xff\xff\xff\xff')
    end
    return message('D', body)
end

local function problem(severity, text)
    return message('E', 'S' .. severity .. '\0V' .. severity .. '\0C42000\0M' .. text .. '\0\0')
end

local function read_startup(peer)
    local length = string.unpack('>I4', (assert(peer:readfull(4))))
    return peer:readfull(length - 4)
end

local function read_message(peer)
    local head = peer:readfull(5)
    if not head then return nil end
    local length = string.unpack('>I4', head, 2)
    return head:sub(1, 1), length > 4 and peer:readfull(length - 4) or ''
end

-- f(port) beside a server whose sessions are serve(peer, number).
local function beside(serve, f)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    local peers, stopped = {}, false
    eco.run(function()
        while not stopped do
            local peer = listener:accept()
            if not peer then break end
            peers[#peers + 1] = peer
            local number = #peers
            eco.run(function()
                serve(peer, number)
                peer:close()
            end)
        end
    end)
    local ok, err = xpcall(f, debug.traceback, listener:getsockname().port)
    stopped = true
    listener:close()
    for _, peer in ipairs(peers) do peer:close() end
    if not ok then error(err, 0) end
end

local function open(port, options)
    local config = { host = '127.0.0.1', port = port, user = 'u', password = 'p', timeout = 5 * T.slow }
    for name, value in pairs(options or {}) do config[name] = value end
    return postgres.open(config)
end

-- A session that greets, and answers every statement with these bytes.
local function answering(bytes, then_close)
    return function(peer)
        read_startup(peer)
        peer:send(HELLO)
        while true do
            local kind = read_message(peer)
            if not kind or kind == 'X' then break end
            if kind == 'Q' or kind == 'S' or kind == 'H' then
                peer:send(bytes)
                if then_close then break end
            end
        end
    end
end

local ANSWER = columns({ 'a', 23 }, { 'b', 25 }) .. row('1', 'x') .. row('2', nil) .. message('C', 'SELECT 2\0') .. READY

case('an answer in one piece, and byte by byte', function()
    local ROWS = { { a = 1, b = 'x' }, { a = 2 } }
    beside(answering(ANSWER), function(port)
        local db<close> = assert(open(port))
        T.eq(db:query 'select', ROWS)
        T.eq(db:exec 'select', { affected_rows = 2, last_insert_id = 0 })
        T.eq(db:problem(), nil)
    end)
    beside(function(peer)
        read_startup(peer)
        for byte in HELLO:gmatch '[%z\1-\255]' do
            peer:send(byte)
            eco.yield()
        end
        read_message(peer)
        for byte in ANSWER:gmatch '[%z\1-\255]' do
            peer:send(byte)
            eco.yield()
        end
        read_message(peer)
    end, function(port)
        local db<close> = assert(open(port))
        T.eq(db:query 'select', ROWS)
    end)
end)

case('an answer that breaks off anywhere', function()
    local cut
    beside(function(peer) answering(ANSWER:sub(1, cut), true)(peer) end, function(port)
        for length = 0, #ANSWER - 1 do
            cut = length
            local db = assert(open(port))
            T.fails('closed', db:query 'select')
            T.fails('connection is closed', db:query 'select')
            T.eq(db:close(), true)
        end
    end)
    beside(function(peer)
        read_startup(peer)
        peer:send(HELLO:sub(1, cut))
    end, function(port)
        for length = 0, #HELLO - 1 do
            cut = length
            T.fails('closed', open(port))
        end
    end)
end)

case('a server that stalls', function()
    local function stall(peer, bytes)
        read_startup(peer)
        peer:send(bytes)
        while peer:read(1000) do end
    end
    beside(function(peer, number)
        if number % 2 == 1 then return stall(peer, HELLO .. ANSWER:sub(1, 60)) end
        -- Cancel requests get an answer, which changes nothing.
        peer:read(16)
    end, function(port)
        local db = assert(open(port))
        T.took(0.05, 2, function() T.fails('timeout', db:within(0.05):query 'select') end)
        T.eq(db:close(), true)
        T.fails('connection is closed', db:query 'select')
    end)
    beside(function(peer) stall(peer, HELLO:sub(1, -2)) end, function(port)
        T.took(0.05, 2, function() T.fails('timeout', open(port, { connect_timeout = 0.05 })) end)
    end)
    -- One that takes nothing: the request is larger than what lies on the way.
    beside(function(peer)
        read_startup(peer)
        peer:send(HELLO)
        eco.sleep(T.slow)
    end, function(port)
        local db = assert(open(port))
        T.took(0.1, 2, function() T.fails('timeout', db:within(0.1):query('select $1', ('x'):rep(20000000))) end)
        T.fails('connection is closed', db:query 'select')
    end)
end)

case('nonsense', function()
    local long = columns({ 'a', 23 })
    for bytes, text in pairs {
        [long .. row('1', '2')] = 'malformed message of the server',
        [row('1')] = 'malformed message of the server',
        [long .. message('D', '\0\1\0\0\0\9x')] = 'malformed message of the server',
        [long .. message('D', '\0\1\xff\xff\xff\xfex')] = 'malformed message of the server',
        [message('T', '\0\2a\0')] = 'malformed message of the server',
        [message('Z', 'X')] = 'malformed message of the server',
        [message('Z', '')] = 'malformed message of the server',
        [message('?', 'x')] = 'malformed message of the server',
        [message('E', 'Mtext')] = 'malformed message of the server',
        ['D\0\0\0\3'] = 'malformed message of the server',
        ['D\x7f\xff\xff\xff'] = 'message of the server too large',
        ['HTTP/1.1 400 Bad Request\r\n\r\n'] = 'message of the server too large',
        [problem('FATAL', 'going down')] = 'going down',
        [problem('ERROR', 'no') .. message('Z', 'I')] = 'no',
        [message('E', '\0') .. READY] = 'unknown error',
    } do
        beside(answering(bytes), function(port)
            local db<close> = assert(open(port))
            T.fails(text, db:query 'select')
            if text == 'no' or text == 'unknown error' then
                T.fails(text, db:query 'select')
            else
                T.fails('connection is closed', db:query 'select')
            end
            local rows<close>, said = nil, nil
            for one, err in db:rows 'select' do said = one or err end
            assert(type(said) == 'string')
        end)
    end
    -- Values that are none of their types stay texts.
    beside(answering(columns({ 'a', 23 }, { 'b', 701 }, { 'c', 17 }) .. row('x', 'y', 'z') .. message('C', 'SELECT 1\0') .. READY), function(port)
        local db<close> = assert(open(port))
        T.eq(db:query 'select', { { a = 'x', b = 'y', c = 'z' } })
    end)
end)

case('authentication', function()
    local function refused(text, bytes, options)
        beside(function(peer)
            read_startup(peer)
            peer:send(bytes)
            while read_message(peer) do peer:send(bytes) end
        end, function(port) T.fails(text, open(port, options)) end)
    end
    local function ask(kind, data) return message('R', pack('>I4', kind) .. (data or '')) end
    refused('in clear text', ask(3))
    refused('authentication of kind 7', ask(7))
    refused('no way of authentication that is known', ask(10, 'SCRAM-SHA-1\0\0'))
    refused('no way of authentication that is known', ask(10))
    refused('malformed', ask(11, 'r=x,s=AAAA,i=1'))
    refused('the server does not know the password', ask(12, 'v=x'))
    refused('malformed', 'R\0\0\0\5\0')
    refused('no such user', problem('FATAL', 'no such user'))
    -- SCRAM: a foreign nonce, no rounds, too many, a server that cannot prove itself, or does not.
    for text, answers in pairs {
        ['malformed challenge'] = function() return ask(11, 'r=other,s=AAAA,i=1') end,
        ['malformed challenge '] = function(nonce) return ask(11, 'r=' .. nonce .. 'x,s=AAAA,i=0') end,
        ['malformed challenge of'] = function(nonce) return ask(11, 'r=' .. nonce .. 'x,s=AAAA,i=2000000000') end,
        ['the server does not know the password'] = function(nonce) return ask(11, 'r=' .. nonce .. 'x,s=AAAA,i=300') .. ask(12, 'v=AAAA') end,
        ['the server did not prove'] = function(nonce) return ask(11, 'r=' .. nonce .. 'x,s=AAAA,i=1') .. OK .. READY end,
    } do
        beside(function(peer)
            read_startup(peer)
            peer:send(ask(10, 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'))
            local _, body = read_message(peer)
            peer:send(answers(body:match 'r=(.*)$'))
            while read_message(peer) do end
        end, function(port) T.fails(text, open(port)) end)
    end
    T.fails('NUL byte in an option', open(1, { user = 'a\0b' }))
    T.fails('NUL byte in an option', open(1, { settings = { ['a\0'] = 'b' } }))
    T.fails('NUL byte in an option', open(1, { unix = '/tmp/\0' }))
end)

case('TLS that the server does not speak', function()
    for text, answer in pairs { ['the server does not speak TLS'] = 'N', ['TLS'] = 'E', ['closed'] = '' } do
        beside(function(peer)
            peer:readfull(8)
            if answer ~= '' then
                peer:send(answer)
                peer:read(1)
            end
        end, function(port) T.fails(text, open(port, { ssl = true })) end)
    end
end)

case('misuse', function()
    T.raises("bad argument #1 to 'open'", postgres.open, 1)
    T.raises("option 'port' must be", postgres.open, { port = 70000 })
    T.raises("option 'host' must be", postgres.open, { host = 1 })
    T.raises("option 'ssl' must be", postgres.open, { ssl = 'yes' })
    T.raises("option 'timeout' must be", postgres.open, { timeout = 'soon' })
    T.raises("option 'max_message_size' must be", postgres.open, { max_message_size = 1 })
    T.raises('postgres://', postgres.open, 'mysql://x')
    T.raises('string expected', postgres.escape)
    beside(answering(ANSWER), function(port)
        local db<close> = assert(open(port))
        T.raises('string expected', db.query, db)
        T.raises('string expected', db.exec, db, {})
        T.raises('number expected', db.within, db, 'x')
        T.raises('function expected', db.transaction, db)
        T.raises('invalid transaction mode', db.transaction, db, print, 'sometimes')
        local many = {}
        for i = 1, 65536 do many[i] = 1 end
        T.fails('too many parameters', db:query('select', table.unpack(many)))
        T.eq(#db:query 'select', 2)
    end)
end)

case('a second coroutine waits for its turn', function()
    beside(answering(ANSWER), function(port)
        local db<close> = assert(open(port))
        local group = T.gather()
        for _ = 1, 50 do
            group:run(function()
                for _ = 1, 5 do T.eq(#db:query 'select', 2) end
            end)
        end
        group:wait()
    end)
end)
