-- Packed messages of WebSockets (RFC 7692): what is agreed on, the bytes, what is forgotten, and peers that do what they must not.

local eco = require 'eco'
local log = require 'eco.log'
local websocket = require 'eco.websocket'
local wire = require 'wire'
local deflate = require 'eco.internal.deflate'

log.set_path(T.path('log'))
log.err('the log opens its file')

local NAME = 'permessage-deflate'
local REQUEST = wire.REQUEST
local HELLO = '\xf2\x48\xcd\xc9\xc9\x07\x00'

-- A connection to a server of ours that agreed to `offer`.
local function connect(port, offer)
    wire.REQUEST = REQUEST:gsub('\r\n\r\n$', '\r\nSec-WebSocket-Extensions: ' .. (offer or NAME) .. '\r\n\r\n')
    local sock, head = wire.connect(port)
    wire.REQUEST = REQUEST
    return sock, head:match('Sec%-Websocket%-Extensions: (.*)\n')
end

-- The next frame of a server: first byte and payload.
local function frame(sock)
    local first, length = string.unpack('BB', (assert(sock:readfull(2, 5 * T.slow))))
    if length > 125 then
        length = string.unpack(length == 126 and '>I2' or '>I8', (assert(sock:readfull(length == 126 and 2 or 8, 5))))
    end
    return first, length > 0 and assert(sock:readfull(length, 5)) or ''
end

case('offers and answers', function()
    T.eq(deflate.offer(true), NAME)
    T.eq(deflate.offer { takeover = false }, NAME .. '; client_no_context_takeover; server_no_context_takeover')
    local SERVER, CLIENT = '; server_no_context_takeover', '; client_no_context_takeover'
    for _, row in ipairs {
        { NAME, true, NAME, true, true },
        { ' x-webkit-deflate-frame, ' .. NAME .. '; client_max_window_bits', true, NAME, true, true },
        { NAME .. SERVER, true, NAME .. SERVER, false, true },
        { NAME .. CLIENT, true, NAME .. CLIENT, true, false },
        { NAME, { takeover = false }, NAME .. SERVER .. CLIENT, false, false },
        { NAME .. '; server_max_window_bits="15" ; client_max_window_bits=8', true, NAME .. '; server_max_window_bits=15', true, true },
        -- What cannot be taken, and what can instead.
        { NAME .. '; server_max_window_bits=10, ' .. NAME .. SERVER, true, NAME .. SERVER, false, true },
        { NAME .. '; server_max_window_bits=10', true },
        { '', true }, { 'deflate', true }, { NAME .. '; x', true }, { NAME .. '=1', true }, { NAME .. SERVER .. SERVER, true },
        { NAME .. SERVER .. '=1', true }, { NAME .. '; server_max_window_bits', true }, { NAME .. '; server_max_window_bits=7', true },
        { NAME .. '; server_max_window_bits=015', true }, { NAME .. '; client_max_window_bits=16', true }, { NAME .. '; other_max_window_bits=9', true },
    } do
        local agreed, answer = deflate.answer(row[1], row[2])
        T.eq({ answer, agreed and agreed.send, agreed and agreed.receive }, { row[3], row[4], row[5] }, row[1])
    end
    for _, row in ipairs {
        { NAME, true, true, true },
        { NAME .. SERVER, true, true, false },
        { NAME .. CLIENT, true, false, true },
        { NAME .. '; server_max_window_bits=9', true, true, true },
        { NAME .. SERVER .. CLIENT, { takeover = false }, false, false },
        { NAME .. SERVER, { takeover = false }, false, false },
        { NAME, { takeover = false } }, { NAME .. ', ' .. NAME, true }, { NAME .. '; client_max_window_bits=15', true },
        { NAME .. '; client_max_window_bits', true }, { 'x', true }, { NAME .. '; y', true },
    } do
        local agreed = deflate.agreed(row[1], row[2])
        T.eq({ agreed and agreed.send, agreed and agreed.receive }, { row[3], row[4] }, row[1])
    end
end)

case('both ends of ours', function()
    for _, how in ipairs { { true, true }, { { takeover = false }, true }, { true, { takeover = false, level = 9, min_size = 0 } }, { { level = 1 }, nil } } do
        wire.serve(wire.upgraded(wire.echo, { deflate = how[1], max_payload_len = 1 << 20 }), function(port)
            local ws <close> = assert(websocket.connect(('ws://127.0.0.1:%d/'):format(port), { deflate = how[2], max_payload_len = 1 << 20 }))
            T.eq(ws.deflate, how[2] and true)
            local words = {}
            for number = 1, 4000 do words[number] = number * number % 1000 end
            for _, text in ipairs { '', 'x', ('ü'):rep(40), table.concat(words, ' '), table.concat(words, ',') } do
                for _, kind in ipairs { 'text', 'binary', 'text' } do
                    local sent = assert(ws['send_' .. kind](ws, text))
                    assert(not how[2] or #text < 64 or sent < #text * 0.7, sent)
                    T.eq(table.pack(ws:recv(10)), { text, kind, n = 2 })
                end
            end
            -- What does not get shorter goes as it is.
            local noise = {}
            for place = 1, 500 do noise[place] = string.char(math.random(0, 255)) end
            noise = table.concat(noise)
            for _ = 1, 2 do
                assert(ws:send_binary(noise))
                T.eq(ws:recv(10), noise)
            end
            assert(ws:send_text(('after '):rep(50)))
            T.eq(ws:recv(10), ('after '):rep(50))
            T.eq(ws:close(), true)
        end)
    end
end)

case('a message refers to those before it, unless that is not agreed', function()
    for _, takeover in ipairs { true, false } do
        wire.serve(wire.upgraded(wire.echo, { deflate = { takeover = takeover } }), function(port)
            local ws <close> = assert(websocket.connect(('ws://127.0.0.1:%d/'):format(port), { deflate = true }))
            local text = {}
            for number = 1, 100 do text[number] = number * number % 1000 end
            text = table.concat(text, ' ')
            local first, second = ws:send_text(text), ws:send_text(text)
            T.eq(second < first // 2, takeover)
            T.eq(ws:recv(5), text)
            T.eq(ws:recv(5), text)
        end)
    end
end)

case('by bytes', function()
    local got = {}
    wire.serve(wire.upgraded(function(ws)
        while true do
            local data, kind = ws:recv()
            got[#got + 1] = data or kind
            if not data then return end
        end
    end, { deflate = true }), function(port)
        local sock, answer = connect(port)
        T.eq(answer, NAME)
        local key = '\1\2\3\4'
        for _, each in ipairs {
            { 0xc1, HELLO }, { 0xc1, '\xf2\x00\x11\x00\x00' },
            { 0x41, HELLO:sub(1, 3) }, { 0x89, 'ping' }, { 0x00, '' }, { 0x80, HELLO:sub(4) },
            { 0x81, 'plain' }, { 0xc2, '\0' }, { 0xc1, '\xf3\x48\xcd\xc9\xc9\x07\x00\x00' }, { 0x88, '\3\xe8' },
        } do
            sock:send(wire.frame(each[1], each[2], key))
        end
        T.eq({ frame(sock) }, { 0x8a, 'ping' })
        T.eq({ frame(sock) }, { 0x88, '\3\xe8' })
        T.await(function() return #got == 7 end)
        T.eq(got, { 'Hello', 'Hello', 'Hello', 'plain', '', 'Hello', 'closed' })
        sock:close()
    end)
end)

case('frames of packed messages', function()
    local got = {}
    wire.serve(wire.upgraded(function(ws)
        repeat
            local result = table.pack(ws:recv_frame())
            T.eq(result.n, 3)
            got[#got + 1] = ('%s %s %s'):format(result[1], result[2], result[3])
        until result[2] == 'close' or not result[2]
    end, { deflate = true }), function(port)
        local sock = connect(port)
        local packer = deflate.packer(6)
        local text = ('ü€'):rep(3)
        sock:send(wire.frame(0x41, packer:pack(text:sub(1, 3), 1) .. '\0\0\xff\xff', 'abcd'))
        sock:send(wire.frame(0x80, packer:pack(text:sub(4), 1), 'abcd'))
        sock:send(wire.frame(0xc2, packer:pack('\xff', 1), 'abcd'))
        sock:send(wire.frame(0x88, '', 'abcd'))
        T.await(function() return #got == 4 end)
        T.eq(got, { text:sub(1, 3) .. ' text again', text:sub(4) .. ' continuation nil', '\xff binary nil', ' close nil' })
        sock:close()
    end)
end)

case('peers that do what they must not', function()
    local function pack(data)
        return deflate.packer(9):pack(data, 1)
    end
    local bomb = pack(('\0'):rep(1 << 20))
    assert(#bomb < 2000)
    for _, row in ipairs {
        { 1009, 'exceeding max payload len', { 0xc2, bomb } },
        { 1009, 'exceeding max payload len', { 0xc2, pack(('x'):rep(65536)) } },
        { 1007, 'input is malformed', { 0xc2, '\x07\x07' } },
        { 1007, 'text is not UTF-8', { 0xc1, pack('\xff') } },
        { 1007, 'text is not UTF-8', { 0xc1, pack('\xe2\x82') } },
        { 1002, 'bad RSV1, RSV2, or RSV3 bits', { 0x41, HELLO }, { 0xc0, '' } },
        { 1002, 'bad RSV1, RSV2, or RSV3 bits', { 0xc9, '' } },
        { 1002, 'bad RSV1, RSV2, or RSV3 bits', { 0xe1, HELLO } },
    } do
        local result
        wire.serve(wire.upgraded(function(ws)
            result = table.pack(ws:recv(5))
            T.eq(ws.sock:getfd(), -1)
        end, { deflate = true }), function(port)
            local sock = connect(port)
            for place = 3, #row do
                sock:send(wire.frame(row[place][1], row[place][2], 'abcd'))
            end
            local first, payload = frame(sock)
            T.eq({ first, (string.unpack('>I2', payload)) }, { 0x88, row[1] }, row[2])
            sock:send(wire.frame(0x88, payload, 'abcd'))
            sock:close()
            T.await(function() return result end)
            T.eq(result, { nil, row[2], n = 2 })
        end)
    end
    -- Exactly the limit is none too many.
    wire.serve(wire.upgraded(wire.echo, { deflate = true }), function(port)
        local sock = connect(port)
        sock:send(wire.frame(0xc2, pack(('x'):rep(65535)), 'abcd'))
        local first, payload = frame(sock)
        T.eq(first, 0xc2)
        assert(#payload < 1000)
        sock:close()
    end)
end)

case('a send that is given up does not spoil those behind it', function()
    -- One like no other, and yet shorter when it is packed.
    local function text(name)
        local words = { name }
        for place = 2, 1000 do words[place] = tostring(math.random(0, 1 << 40)) end
        words[#words + 1] = ' of ' .. name
        return table.concat(words, ' ')
    end
    local done
    wire.serve(wire.upgraded(function(ws)
        -- Until the stream takes no more, and more wait.
        ws.sock:setoption('sndbuf', 4096)
        local writers = {}
        for number = 1, 40 do
            writers[number] = eco.run(function() ws:send_text(text(number)) end)
        end
        eco.sleep(0.1)
        local count = 0
        for number = 1, 40 do
            if coroutine.status(writers[number]) == 'suspended' then
                count = count + 1
                if count % 2 == 1 then coroutine.close(writers[number]) end
            end
        end
        assert(count > 1, 'nobody waits')
        T.await(function() return done == 'reading' end)
        assert(ws:send_text(text('end')))
        T.await(function() return done == true end)
    end, { deflate = true }), function(port)
        local ws <close> = assert(websocket.connect(('ws://127.0.0.1:%d/'):format(port), { deflate = true, rcvbuf = 4096 }))
        eco.sleep(0.3)
        done = 'reading'
        local numbers, data, kind = {}, nil, nil
        repeat
            data, kind = ws:recv(5 * T.slow)
            assert(data, kind)
            numbers[#numbers + 1] = data:match('^%w+ ')
            assert(data:match('^%w+') == data:match('%w+$'))
        until data:find('^end')
        assert(#numbers < 40)
        done = true
    end)
end)

case('one coroutine receives; options are checked', function()
    wire.serve(wire.upgraded(wire.echo, { deflate = true }), function(port)
        local url = ('ws://127.0.0.1:%d/'):format(port)
        T.raises('deflate.level must be', websocket.connect, url, { deflate = { level = 10 } })
        T.raises('deflate.min_size must be', websocket.connect, url, { deflate = { min_size = 'x' } })
        for _, level in ipairs { 0, 10, -1, 1 << 32 } do
            T.raises('bad argument #1', deflate.packer, level)
        end
        T.raises('bad argument #2', function() deflate.packer(1):pack('x', 3) end)
        local ws <close> = assert(websocket.connect(url, { deflate = true }))
        local waiting = eco.run(ws.recv, ws)
        eco.yield()
        T.raises('another coroutine is already waiting', ws.recv, ws)
        coroutine.close(waiting)
        T.eq(ws:recv(0.01), nil)
        assert(ws:send_text(('still there '):rep(9)))
        T.eq(ws:recv(5), ('still there '):rep(9))
    end)
end)

case('without the package messages are as they are', function()
    local loaded, preload = package.loaded['eco.internal.deflate'], package.preload['eco.internal.deflate']
    package.loaded['eco.internal.deflate'] = nil
    package.preload['eco.internal.deflate'] = function() error('not installed') end
    wire.serve(wire.upgraded(wire.echo, { deflate = true }), function(port)
        local ws <close> = assert(websocket.connect(('ws://127.0.0.1:%d/'):format(port), { deflate = true }))
        T.eq(ws.deflate, nil)
        ws:send_text(('x'):rep(100))
        T.eq(ws:recv(5), ('x'):rep(100))
    end)
    package.loaded['eco.internal.deflate'], package.preload['eco.internal.deflate'] = loaded, preload
end)
log.set_path('')
