-- `eco.mysql` by bytes: a server of the test's own, which breaks off, stalls, lies and says nonsense; and the ways of
-- authentication that MariaDB lacks.

local eco = require 'eco'
local mysql = require 'eco.mysql'
local sha256 = require 'eco.hash.sha256'
local socket = require 'eco.socket'

local pack = string.pack

local SALT = 'abcdefghijklmnopqrst'
local OK = '\0\0\0\2\0\0\0'
local END = '\xfe\0\0\2\0'

local function packet(number, body)
    return pack('<I3B', #body, number) .. body
end

local function greeting(plugin, capabilities)
    capabilities = capabilities or 0xffffffff & ~(1 << 11)
    return packet(0, '\n8.0\0' .. pack('<I4', 7) .. SALT:sub(1, 8) .. '\0' .. pack('<I2BI2I2B', capabilities & 0xffff, 45, 2, capabilities >> 16, 21)
        .. ('\0'):rep(10) .. SALT:sub(9) .. '\0' .. plugin .. '\0')
end

local function column(number, name, kind)
    return packet(number, pack('<s1s1s1s1s1s1B', 'def', '', '', '', name, '', 12) .. pack('<I2I4BI2BI2', 45, 0, kind, 0, 0, 0))
end

local function problem(number, text)
    return packet(number, '\xff\40\4#42000' .. text)
end

local function read_packet(peer)
    local head = peer:readfull(4)
    if not head then return nil end
    local length, number = string.unpack('<I3B', head)
    return length > 0 and peer:readfull(length) or '', number
end

-- f(port) beside a server whose sessions are serve(peer).
local function beside(serve, f)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    local peers = {}
    eco.run(function()
        while true do
            local peer = listener:accept()
            if not peer then break end
            peers[#peers + 1] = peer
            eco.run(function()
                serve(peer)
                peer:close()
            end)
        end
    end)
    local ok, err = xpcall(f, debug.traceback, listener:getsockname().port)
    listener:close()
    for _, peer in ipairs(peers) do peer:close() end
    if not ok then error(err, 0) end
end

local function open(port, options)
    local config = { host = '127.0.0.1', port = port, user = 'u', password = 'p', timeout = 5 * T.slow }
    for name, value in pairs(options or {}) do config[name] = value end
    return mysql.open(config)
end

local HELLO = greeting 'mysql_native_password'
local PREPARED = packet(1, '\0\1\0\0\0\0\0\0\0\0\0\0')
local ANSWER = packet(1, '\2') .. column(2, 'a', 3) .. column(3, 'b', 254) .. packet(4, END)
    .. packet(5, '\0\0\1\0\0\0\1x') .. packet(6, '\0\8\2\0\0\0') .. packet(7, END)
local ROWS = { { a = 1, b = 'x' }, { a = 2 } }

-- A session that greets, prepares everything, and answers with these bytes.
local function answering(bytes, then_close)
    return function(peer)
        peer:send(HELLO)
        read_packet(peer)
        peer:send(packet(2, OK))
        while true do
            local request = read_packet(peer)
            local command = request and request:byte()
            if not command or command == 1 then break end
            if command == 0x16 then
                peer:send(PREPARED)
            elseif command == 0x17 then
                peer:send(bytes)
                if then_close then break end
            end
        end
    end
end

case('an answer in one piece, and byte by byte', function()
    beside(answering(ANSWER), function(port)
        local db<close> = assert(open(port))
        T.eq(db:query 'select', ROWS)
        T.eq(db:exec 'select', { affected_rows = 0, last_insert_id = 0 })
        for row in db:rows 'select' do T.eq(row, table.remove(ROWS, 1)) end
        ROWS = { { a = 1, b = 'x' }, { a = 2 } }
    end)
    local function slowly(peer, bytes)
        for i = 1, #bytes do
            peer:send(bytes:sub(i, i))
            eco.yield()
        end
    end
    beside(function(peer)
        slowly(peer, HELLO)
        read_packet(peer)
        slowly(peer, packet(2, OK))
        read_packet(peer)
        slowly(peer, PREPARED)
        read_packet(peer)
        slowly(peer, ANSWER)
        read_packet(peer)
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
    beside(function(peer) peer:send(HELLO:sub(1, cut)) end, function(port)
        for length = 0, #HELLO - 1 do
            cut = length
            T.fails('closed', open(port))
        end
    end)
end)

case('a server that stalls', function()
    beside(answering(ANSWER:sub(1, 60)), function(port)
        local db = assert(open(port))
        T.took(0.05, 2, function() T.fails('timeout', db:within(0.05):query 'select') end)
        -- What is under way cannot be ended here.
        T.eq(db:close(), true)
        T.fails('connection is closed', db:query 'select')
    end)
    beside(function(peer)
        peer:send(HELLO)
        while peer:read(1000) do end
    end, function(port)
        T.took(0.05, 2, function() T.fails('timeout', open(port, { connect_timeout = 0.05 })) end)
    end)
end)

case('nonsense', function()
    local head = packet(1, '\1') .. column(2, 'a', 3) .. packet(3, END)
    for bytes, text in pairs {
        [head .. packet(4, '\0\0\1\0\0')] = 'malformed packet of the server',
        [head .. packet(4, '\0\0\1\0\0\0\0')] = 'malformed packet of the server',
        [head .. packet(4, '')] = 'malformed packet of the server',
        [head .. packet(9, '\0\0\1\0\0\0')] = 'malformed packet of the server',
        [packet(1, '\1') .. packet(2, 'x')] = 'malformed packet of the server',
        [packet(1, '\1') .. column(2, 'a', 3) .. packet(3, 'x')] = 'malformed packet of the server',
        [packet(1, '\xfd\xff\xff\xff')] = 'malformed packet of the server',
        [packet(1, '\0')] = 'malformed packet of the server',
        [packet(1, '\xff')] = 'malformed packet of the server',
        ['\0\0\0\1'] = 'malformed packet of the server',
        -- The server wants a file.
        [packet(1, '\xfb/etc/passwd')] = 'malformed packet of the server',
        ['\xff\xff\xff\1'] = 'packet of the server too large',
        [problem(1, 'no')] = 'no',
    } do
        beside(answering(bytes), function(port)
            local db<close> = assert(open(port, { max_message_size = 100000 }))
            T.fails(text, db:query 'select')
            T.fails(text == 'no' and 'no' or 'connection is closed', db:query 'select')
        end)
    end
    for _, bytes in ipairs { 'HTTP/1.1 400 Bad Request\r\n\r\n', packet(0, '\9old'), packet(0, ''), packet(1, '\n') } do
        beside(function(peer) peer:send(bytes) end, function(port)
            local db, err = open(port)
            assert(not db and type(err) == 'string')
        end)
    end
    beside(function(peer) peer:send(packet(0, '\xff\16\4Too many connections')) end, function(port)
        T.fails('Too many connections', open(port))
    end)
end)

case('statements that cannot be prepared', function()
    local text
    beside(function(peer)
        peer:send(HELLO)
        read_packet(peer)
        peer:send(packet(2, OK))
        while true do
            local request = read_packet(peer)
            if not request then break end
            if request:byte() == 0x16 then
                peer:send(packet(1, '\xff' .. pack('<I2', 1295) .. '#HY000not supported yet'))
            elseif request:byte() == 3 then
                text = request:sub(2)
                peer:send(packet(1, '\1') .. column(2, 'a', 8) .. packet(3, END) .. packet(4, '\0011') .. packet(5, '\xfb') .. packet(6, END))
            end
        end
    end, function(port)
        local db<close> = assert(open(port))
        T.eq(db:query 'help', { { a = 1 }, {} })
        T.eq(text, 'help')
        T.fails('parameter count mismatch: expected 0, got 1', db:query('help', 1))
    end)
end)

case('authentication', function()
    local function xor(a, b)
        local out = {}
        for i = 1, #a do out[i] = string.char(a:byte(i) ~ b:byte(i)) end
        return table.concat(out)
    end
    local function sum(data) return sha256.sum(data) end
    local KEPT = sum(sum 'p')

    -- caching_sha2_password: the answer proves the password; a digest that was forgotten needs the password itself.
    local remembers = true
    local function serve(peer)
        peer:send(greeting 'caching_sha2_password')
        local answer = read_packet(peer)
        local place = answer:find('caching_sha2_password', 1, true)
        local proof = answer:sub(place - 32, place - 1)
        if sum(xor(proof, sum(KEPT .. SALT))) ~= KEPT then
            peer:send(problem(2, 'Access denied'))
        elseif remembers then
            peer:send(packet(2, '\1\3') .. packet(3, OK))
        else
            peer:send(packet(2, '\1\4'))
            if read_packet(peer) == 'p\0' then peer:send(packet(4, OK)) end
        end
        peer:read(100)
    end
    beside(serve, function(port)
        local db<close> = assert(open(port))
        T.fails('Access denied', open(port, { password = 'wrong' }))
        remembers = false
        T.fails('the first login needs TLS or a Unix socket', open(port))
        local other<close> = assert(open(port, { cleartext = true }))
    end)

    -- Other ways.
    local function refused(text, options, ...)
        local packets = { ... }
        beside(function(peer)
            peer:send(packets[1])
            for i = 2, #packets do
                read_packet(peer)
                peer:send(packets[i])
            end
            peer:read(1000)
        end, function(port) T.fails(text, open(port, options)) end)
    end
    refused('authentication by sha256_password', nil, HELLO, packet(2, '\xfesha256_password\0' .. SALT .. '\0'))
    refused('in clear text', nil, HELLO, packet(2, '\xfemysql_clear_password\0'))
    refused('old password', nil, HELLO, packet(2, '\xfe'))
    refused('malformed packet', nil, HELLO, packet(2, '\1x'))
    refused('Access denied', nil, HELLO, packet(2, '\xfemysql_native_password\0' .. SALT .. '\0'), problem(4, 'Access denied'))
    refused('does not speak TLS', { ssl = true }, HELLO)
    T.fails('NUL byte in an option', open(1, { user = 'a\0b' }))
    T.fails('NUL byte in an option', open(1, { database = 'a\0b' }))
    T.fails('unknown character set', open(1, { charset = "x'" }))
end)

case('misuse', function()
    T.raises("bad argument #1 to 'open'", mysql.open)
    T.raises("option 'port' must be", mysql.open, { port = '3306' })
    T.raises('mysql://', mysql.open, 'postgres://x')
    T.raises('string expected', mysql.escape)
    beside(answering(ANSWER), function(port)
        local db<close> = assert(open(port))
        T.raises('string expected', db.query, db)
        T.raises('invalid transaction mode', db.transaction, db, print, 'sometimes')
    end)
end)
