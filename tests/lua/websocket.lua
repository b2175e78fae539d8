-- `eco.websocket`: handshakes, frames, messages, and peers that do what they must not.

local eco = require 'eco'
local hanging = require 'hanging'
local log = require 'eco.log'
local socket = require 'eco.socket'
local time = require 'eco.time'
local websocket = require 'eco.websocket'
local wire = require 'wire'

local frame = wire.frame
local KEY = '\x37\xfa\x21\x3d'

log.set_path(T.path('log'))
log.err('the log opens its file')

local function client(port, opts)
    return assert(websocket.connect('ws://127.0.0.1:' .. port .. '/chat', opts))
end

-- body(end of ours, socket of the peer, the peer's frame function), with ours as server and as client.
local function both(what, body, opts)
    case(what .. ', server', function()
        wire.serve(wire.upgraded(function(ws)
            T.ws = ws
            -- For as long as the case takes.
            while not T.over do eco.sleep(0.005) end
        end, opts), function(port)
            T.ws, T.over = nil, nil
            local peer = wire.connect(port)
            local ws = T.await(function() return T.ws end)
            local ok, message = xpcall(body, debug.traceback, ws, peer, function(first, payload) return frame(first, payload or '', KEY) end, 'server')
            T.over = true
            peer:close()
            T.ws = nil
            if not ok then error(message, 0) end
        end)
    end)
    case(what .. ', client', function()
        local peer, done
        wire.listen(function(sock)
            wire.accept(sock)
            peer = sock
            while not done do eco.sleep(0.005) end
        end, function(port)
            local ws = client(port, opts)
            T.await(function() return peer end)
            local ok, message = xpcall(body, debug.traceback, ws, peer, function(first, payload) return frame(first, payload or '') end, 'client')
            done = true
            ws.hc:close()
            if not ok then error(message, 0) end
        end)
    end)
end

-- The payload of a frame from one of our ends.
local function read_frame(peer, from)
    local first, second = peer:readfull(2, 5):byte(1, 2)
    local length = second & 0x7f
    if length == 126 then
        length = string.unpack('>I2', peer:readfull(2, 5))
    elseif length == 127 then
        length = string.unpack('>I8', peer:readfull(8, 5))
    end
    T.eq(second & 0x80 ~= 0, from == 'client', 'masked')
    local key = from == 'client' and peer:readfull(4, 5)
    local payload = length > 0 and peer:readfull(length, 5) or ''
    if key then
        payload = frame(first, payload, key):sub(-#payload)
        payload = length > 0 and payload or ''
    end
    return first, payload, key
end

case('upgrade: what is refused, in this order', function()
    local function attempt(change)
        local added = {}
        local con = {
            resp = { head_sent = false },
            sock = {},
            discard_body = function() return true end,
            add_header = function(_, name, value) added[name] = value end,
        }
        local req = {
            method = 'GET',
            major_version = 1,
            minor_version = 1,
            headers = { upgrade = 'h2c, WebSocket', connection = 'keep-alive, Upgrade', ['sec-websocket-version'] = '13', ['sec-websocket-key'] = wire.KEY },
        }
        change(con, req, req.headers)
        local ws, err = websocket.upgrade(con, req)
        T.eq(ws, nil)
        return err, added
    end
    local steps = {
        { 'bad http version', function(_, req) req.minor_version = 0 end },
        { 'response header already sent', function(con) con.resp.head_sent = true end },
        { 'no body', function(con) con.discard_body = function() return nil, 'no body' end end },
        { 'not found "upgrade" request header', function(_, _, h) h.upgrade = nil end },
        { 'bad "upgrade" request header:h2c', function(_, _, h) h.upgrade = 'h2c' end },
        { 'not found "connection" request header', function(_, _, h) h.connection = nil end },
        { 'bad "connection" request header: close', function(_, _, h) h.connection = 'close' end },
        { 'not found "sec-websocket-version" request header', function(_, _, h) h['sec-websocket-version'] = nil end },
        { 'bad "sec-websocket-version" request header: 8', function(_, _, h) h['sec-websocket-version'] = '8' end },
        { 'not found "sec-websocket-key" request header', function(_, _, h) h['sec-websocket-key'] = nil end },
        { 'bad "sec-websocket-key" request header', function(_, _, h) h['sec-websocket-key'] = 'AAAA' end },
        { 'bad http method', function(_, req) req.method = 'POST' end },
    }
    for i = 1, #steps do
        -- The steps behind are wrong as well; a header is missing and bad at different steps.
        local err, added = attempt(function(...)
            for j = #steps, i, -1 do steps[j][2](...) end
        end)
        T.eq(err, steps[i][1])
        T.eq(added['sec-websocket-version'], steps[i][1]:find('version" request header: ') and '13' or nil)
    end
    T.raises('not a stream', attempt, function() end)
    T.raises('option max_payload_len', websocket.upgrade, {}, {}, { max_payload_len = -1 })
    T.raises('option ping_interval', websocket.upgrade, {}, {}, { ping_interval = 'x' })
end)

case('upgrade: the answer', function()
    local opts = {}
    wire.serve(function(con, req)
        local ws = assert(websocket.upgrade(con, req, opts))
        T.eq(ws.sock, con.sock)
        T.eq(ws.opts, opts)
        T.eq(ws.masking, nil)
        T.eq(opts.max_payload_len, 65535)
        ws:send_text(ws.protocol or '-')
        T.eq({ ws:recv(5) }, { nil, 'closed', 1006, '' })
    end, function(port)
        local peer, head = wire.connect(port)
        T.eq(peer:readfull(3, 5), '\x81\x01-')
        for _, line in ipairs { 'Sec-Websocket-Accept: ' .. wire.ACCEPT, 'Upgrade: websocket', 'Connection: upgrade' } do
            assert(head:find(line, 1, true), line)
        end
        assert(not head:find('[Cc]ontent%-[Ll]ength') and not head:find('Websocket%-Protocol'), head)
        peer:close()
        for _, try in ipairs {
            { nil, 'soap, wamp', 'soap' },
            { 'wamp', 'soap, wamp', 'wamp' },
            { { 'x', 'wamp', 'soap' }, 'soap, wamp', 'soap' },
            { { 'x' }, 'soap, wamp', nil },
        } do
            opts.protocols = try[1]
            local sock = assert(socket.connect_tcp('127.0.0.1', port))
            sock:send((wire.REQUEST:gsub('\r\n\r\n', '\r\nSec-WebSocket-Protocol: ' .. try[2] .. '\r\n\r\n')))
            local answer = sock:readuntil('\r\n\r\n', 5)
            T.eq(answer:match('Sec%-Websocket%-Protocol: (%S+)'), try[3])
            T.eq(sock:readfull(2 + #(try[3] or '-'), 5):sub(3), try[3] or '-')
            sock:close()
        end
    end)
end)

case('connect: the request', function()
    local head
    wire.listen(function(sock)
        head = wire.accept(sock, 'Sec-WebSocket-Protocol: b\r\nX-Mine: 1\r\nX-Mine: 2\r\n')
        sock:read('a', 5)
    end, function(port)
        local opts = {
            headers = { ['X-One-Two'] = 3, upgrade = 'no', Connection = 'no', ['sec-websocket-KEY'] = 'no', ['sec-websocket-extensions'] = 'no' },
            protocols = { 'a', 'b' },
            origin = 'http://here',
        }
        local ws = assert(websocket.connect('ws://u:p@127.0.0.1:' .. port .. '/a/b?c=d#e', opts))
        T.eq({ ws.protocol, ws.headers['x-mine'], ws.masking, ws.opts == opts, opts.max_payload_len }, { 'b', '1, 2', true, true, 65535 })
        T.eq(ws.hc:sock(), ws.sock)
        for _, line in ipairs {
            '^GET /a/b%?c=d HTTP/1.1\n', '\nHost: 127.0.0.1:' .. port .. '\n', '\nUpgrade: websocket\n', '\nConnection: Upgrade\n',
            '\nSec%-Websocket%-Version: 13\n', '\nSec%-Websocket%-Protocol: a, b\n', '\nOrigin: http://here\n', '\nX%-One%-Two: 3\n',
            '\nUser%-Agent: Lua%-eco/',
        } do
            assert(head:find(line), line .. ' in ' .. head)
        end
        assert(not head:find('no\n') and not head:find('Extensions'), head)
        T.eq(opts.headers.upgrade, 'no')
        local first = head:match('Key: (%S+)')
        T.eq(#first, 24)
        ws.hc:close()
        ws = assert(websocket.connect('http://127.0.0.1:' .. port, { protocols = 'b' }))
        assert(head:find('^GET / HTTP') and head:match('Key: (%S+)') ~= first, head)
        ws.hc:close()
    end)
end)

case('connect: what fails', function()
    T.fails('invalid url', websocket.connect('nonsense'))
    for _, bad in ipairs { 'ws://', 'ws:///a', 'ws://127.0.0.1:70000/', 'ws://127.0.0.1:0', 'ws://[::1]80/', 'ws://a:b/', 'ws://a b/', 'ws://a/\n', '1ws://a' } do
        T.fails('invalid url', websocket.connect(bad))
    end
    T.fails('unsupported scheme: ftp', websocket.connect('ftp://127.0.0.1/'))
    T.fails('unsupported proxy', websocket.connect('ws://127.0.0.1/', { proxy = 'socks://127.0.0.1' }))
    T.raises('invalid http header', websocket.connect, 'ws://127.0.0.1/', { headers = { x = 'a\r\nb: c' } })
    T.raises('invalid http header', websocket.connect, 'ws://127.0.0.1/', { headers = { ['a b'] = 1 } })
    T.raises('option frame_timeout', websocket.connect, 'ws://127.0.0.1/', { frame_timeout = -1 })
    local unused = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = unused:getsockname().port
    unused:close()
    T.fails(('connect "127.0.0.1 %d" fail: Connection refused'):format(port), websocket.connect('ws://127.0.0.1:' .. port))
    local good = 'HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n'
    for _, try in ipairs {
        { 'invalid http status line', 'SSH-2.0-OpenSSH\r\n' },
        { 'invalid http header', good .. 'nonsense\r\n\r\n' },
        { 'http response head too large', good .. ('x: y\r\n'):rep(4000) .. '\r\n' },
        { 'closed', good },
        { 'closed', '' },
        { 'connect fail with status code: 404', 'HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx' },
        { 'connect fail with status code: 200', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n' },
        { 'bad "upgrade" response header', good:gsub('websocket', 'h2c') .. '\r\n' },
        { 'bad "connection" response header', good:gsub('Connection: Upgrade\r\n', '') .. '\r\n' },
        { 'bad "sec-websocket-accept" response header', good:gsub('ACCEPT', wire.ACCEPT) .. '\r\n' },
        { 'bad "sec-websocket-accept" response header', good .. 'Sec-WebSocket-Accept: more\r\n\r\n' },
        { 'bad "sec-websocket-protocol" response header', good .. 'Sec-WebSocket-Protocol: c\r\n\r\n' },
        { 'bad "sec-websocket-extensions" response header', good .. 'Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n' },
    } do
        wire.listen(function(sock)
            local key = sock:readuntil('\r\n\r\n', 5):match('Key: (%S+)')
            local base64, sha1 = require 'eco.encoding.base64', require 'eco.hash.sha1'
            local accept = base64.encode(sha1.sum(key .. '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'))
            sock:send((try[2]:gsub('ACCEPT', (accept:gsub('%%', '%%%%')))))
        end, function(to)
            T.fails(try[1], websocket.connect('ws://127.0.0.1:' .. to, { protocols = { 'a', 'b' }, timeout = 5 }))
        end)
    end
end)

case('connect: a handshake that never ends', function()
    wire.listen(function(sock) sock:read('a', 5) end, function(port)
        T.took(0.2, 1, function() T.fails('timeout', websocket.connect('ws://127.0.0.1:' .. port, { timeout = 0.2 })) end)
    end)
    -- A byte now and then does not prolong it.
    wire.listen(function(sock)
        for byte in ('HTTP/1.1 101 x\r\n'):gmatch('.') do
            if not sock:send(byte) then return end
            eco.sleep(0.05)
        end
    end, function(port)
        local start = time.now()
        T.fails('timeout', websocket.connect('ws://127.0.0.1:' .. port, { timeout = 0.3 }))
        assert(time.now() - start < 0.7 * T.slow)
    end)
end)

case('connect: closing the coroutine ends one that hangs', function()
    local function ends(held, url, opts)
        local co = eco.run(websocket.connect, url, opts)
        eco.sleep(0.05)
        T.eq({ url, coroutine.close(co) }, { url, true })
        for _, sock in ipairs(held) do
            sock:close()
        end
    end
    local host, _, held, servers = hanging.unnamed()
    ends(held, 'ws://' .. host, { dns = { nameservers = servers, hosts = '/dev/null', resolv_conf = '/dev/null' } })
    local port
    host, port, held = hanging.full()
    ends(held, ('ws://%s:%d'):format(host, port))
    for _, scheme in ipairs { 'ws', 'wss' } do
        host, port, held = hanging.silent()
        ends(held, ('%s://%s:%d'):format(scheme, host, port), { insecure = true })
    end
    host, port, held = hanging.silent()
    ends(held, 'ws://there', { proxy = ('http://%s:%d'):format(host, port) })
end)

case('connect: through a Unix socket, and through a proxy', function()
    local path = T.path('ws')
    local listener = assert(socket.listen_unix(path))
    T.all(function()
        local sock = assert(listener:accept())
        wire.accept(sock)
        sock:send(frame(0x81, 'hi'))
        sock:close()
        listener:close()
    end, function()
        local ws = assert(websocket.connect('ws://there/', { unix = path }))
        T.eq({ ws:recv(5) }, { 'hi', 'text' })
        T.eq({ ws:recv(5) }, { nil, 'closed', 1006, '' })
    end)
    T.fails('connect "' .. path .. '" fail: ', websocket.connect('ws://there/', { unix = path }))
    local asked
    wire.listen(function(sock)
        asked = sock:readuntil('\r\n\r\n', 5)
        if asked:find('refuse') then
            return sock:send('HTTP/1.1 403 No\r\n\r\n')
        end
        sock:send('HTTP/1.1 200 Connected\r\n\r\n')
        wire.accept(sock)
        sock:send(frame(0x81, 'hi'))
    end, function(port)
        local proxy = 'http://user:word@127.0.0.1:' .. port
        local ws = assert(websocket.connect('ws://there:81/', { proxy = proxy }))
        T.eq(asked, 'CONNECT there:81 HTTP/1.1\r\nHost: there:81\r\nProxy-Authorization: Basic dXNlcjp3b3Jk')
        T.eq({ ws:recv(5) }, { 'hi', 'text' })
        ws.hc:close()
        T.fails('proxy: status code: 403', websocket.connect('ws://refuse/', { proxy = proxy }))
    end)
end)

both('recv_frame: every frame as it is', function(ws, peer, of)
    for _, try in ipairs {
        { of(0x81, 'text'), { 'text', 'text', nil } },
        { of(0x82, '\0\xff'), { '\0\xff', 'binary', nil } },
        { of(0x01, 'a'), { 'a', 'text', 'again' } },
        { of(0x89, 'x'), { 'x', 'ping', nil } },
        { of(0x00, 'b'), { 'b', 'continuation', 'again' } },
        { of(0x80, 'c'), { 'c', 'continuation', nil } },
        { of(0x8a, ''), { '', 'pong', nil } },
        { of(0x02, ''), { '', 'binary', 'again' } },
        { of(0x80, ''), { '', 'continuation', nil } },
        { of(0x81, ('x'):rep(126)), { ('x'):rep(126), 'text', nil } },
        { of(0x81, ('x'):rep(65535)), { ('x'):rep(65535), 'text', nil } },
        { of(0x88, '\x03\xe8bye'), { 'bye', 'close', 1000 } },
    } do
        peer:send(try[1])
        local results = table.pack(ws:recv_frame(5))
        T.eq(results.n, 3)
        T.eq({ results[1], results[2], results[3] }, try[2])
    end
    T.eq({ ws:recv_frame(5) }, { nil, nil, 'failed to receive the first 2 bytes: closed' })
end)

both('recv_frame: a close frame without a code', function(ws, peer, of)
    peer:send(of(0x88))
    T.eq(table.pack(ws:recv_frame(5)), { '', 'close', nil, n = 3 })
end)

both('recv_frame: timeouts lose nothing', function(ws, peer, of)
    local bytes = of(0x82, ('x'):rep(300))
    for at = 1, #bytes - 1 do
        peer:send(bytes:sub(at, at))
        if at < 12 or at > #bytes - 3 then
            local results = table.pack(ws:recv_frame(0.005))
            T.eq({ results.n, results[1], results[2] }, { 3 })
            local stage = at < 2 and 'failed to receive the first 2 bytes' or at < 4 and 'failed to receive the 2 byte payload length'
                or 'failed to read masking-len and payload'
            T.eq(results[3], stage .. ': timeout', at)
        end
    end
    peer:send(bytes:sub(-1))
    T.eq({ ws:recv_frame(5) }, { ('x'):rep(300), 'binary' })
end)

both('recv: messages, with control frames answered', function(ws, peer, of, side)
    local bytes = of(0x01, 'a\xe2') .. of(0x89, 'one') .. of(0x00, '') .. of(0x8a, 'late') .. of(0x80, '\x82\xac') .. of(0x82, '\xff')
    peer:send(bytes)
    T.eq(table.pack(ws:recv(5)), { 'a€', 'text', n = 2 })
    T.eq((select(2, read_frame(peer, side))), 'one')
    T.eq({ ws:recv(5) }, { '\xff', 'binary' })
    -- Byte by byte.
    eco.run(function()
        for byte in bytes:gmatch('.') do
            peer:send(byte)
            eco.sleep(0)
        end
    end)
    T.eq({ ws:recv(5) }, { 'a€', 'text' })
    T.eq({ ws:recv(5) }, { '\xff', 'binary' })
    local first, payload = read_frame(peer, side)
    T.eq({ first, payload }, { 0x8a, 'one' })
    -- The timeout is for all of a message.
    peer:send(of(0x01, 'begun'))
    local start = time.now()
    local stop
    local feeder = eco.run(function()
        while not stop do
            peer:send(of(0x00, '.'))
            eco.sleep(0.02)
        end
    end)
    T.eq(table.pack(ws:recv(0.2)), { nil, 'timeout', n = 2 })
    assert(time.now() - start < 1 * T.slow)
    stop = true
    T.await(function() return coroutine.status(feeder) == 'dead' end)
    peer:send(of(0x80, '!'))
    assert(ws:recv(5):find('^begun%.+!$'))
    peer:send(of(0x88, '\x0f\xa0because'))
    T.eq(table.pack(ws:recv(5)), { nil, 'closed', 4000, 'because', n = 4 })
    first, payload = read_frame(peer, side)
    T.eq({ first, payload }, { 0x88, '\x0f\xa0' })
    T.fails('closed', peer:read(1, 5))
end)

both('recv: the end without a close frame', function(ws, peer, of)
    peer:send(of(0x01, 'x') .. of(0x80, 'cut'):sub(1, -2))
    peer:close()
    T.eq(table.pack(ws:recv(5)), { nil, 'closed', 1006, '', n = 4 })
end)

-- What a peer must not do: what the script hears, and what the peer is told.
local VIOLATIONS = {
    { 'bad RSV1, RSV2, or RSV3 bits', 1002, function(of) return of(0xc1, '') end },
    { 'bad RSV1, RSV2, or RSV3 bits', 1002, function(of) return of(0xa1, '') end },
    { 'bad RSV1, RSV2, or RSV3 bits', 1002, function(of) return of(0x99, '') end },
    { 'reserved non-control frames', 1002, function(of) return of(0x83, 'x') end },
    { 'reserved non-control frames', 1002, function(of) return of(0x07, '') end },
    { 'reserved control frames', 1002, function(of) return of(0x8b, '') end },
    { 'reserved control frames', 1002, function(of) return of(0x8f, '') end },
    { 'fragmented control frame', 1002, function(of) return of(0x09, '') end },
    { 'too long payload for control frame', 1002, function(of) return of(0x89, ('x'):rep(126)) end },
    { 'too long payload for control frame', 1002, function(of) return of(0x88, ('x'):rep(65536)) end },
    { 'payload len too large', 1002, function(of) return (of(0x82, ('x'):rep(65536)):gsub('\0\0\0\0\0\1\0\0', '\xff\0\0\0\0\1\0\0')) end },
    { 'payload len in more bytes than needed', 1002, function(of) return (of(0x82, ('x'):rep(126)):gsub('\0\x7e', '\0\x7d', 1)) end },
    { 'exceeding max payload len', 1009, function(of) return of(0x82, ('x'):rep(65536)) end },
    { 'continuation frame without a message', 1002, function(of) return of(0x80, 'x') end },
    { 'continuation frame without a message', 1002, function(of) return of(0x00, '') end },
    { 'message inside of another', 1002, function(of) return of(0x01, 'x') .. of(0x81, 'x') end },
    { 'message inside of another', 1002, function(of) return of(0x01, 'x') .. of(0x89, '') .. of(0x02, 'x') end },
    { 'text is not UTF-8', 1007, function(of) return of(0x81, '\xff') end },
    { 'text is not UTF-8', 1007, function(of) return of(0x01, '\xe2') .. of(0x80, '') end },
    { 'text is not UTF-8', 1007, function(of) return of(0x88, '\x03\xe8\xff') end },
    { 'close frame with a body must carry a 2-byte status code', 1002, function(of) return of(0x88, 'x') end },
    { 'bad status code in close frame', 1002, function(of) return of(0x88, '\x03\xe7') end },
}

for _, try in ipairs(VIOLATIONS) do
    for _, method in ipairs { 'recv', 'recv_frame' } do
        both(try[1] .. ' (' .. method .. ')', function(ws, peer, of, side)
            local told
            T.all(function()
                -- A peer that reads on until the end, as peers do.
                peer:send(try[3](of))
                repeat
                    local first, payload = read_frame(peer, side)
                    if first == 0x88 then told = string.unpack('>I2', payload) end
                until told
                T.fails('closed', peer:read(1, 5))
                peer:close()
            end, function()
                local results
                repeat
                    results = table.pack(ws[method](ws, 5))
                until results[1] == nil
                T.eq(results.n, method == 'recv' and 2 or 3)
                T.eq(results[results.n], try[1])
                -- And again.
                results = table.pack(ws[method](ws, 5))
                T.eq(results[results.n], try[1])
                T.fails('a close frame was sent', ws:send_text('x'))
            end)
            T.eq(told, try[2])
        end)
    end
end

case('masked and unmasked', function()
    wire.serve(wire.upgraded(function(ws)
        T.eq({ ws:recv(5) }, { nil, 'frame is not masked' })
    end), function(port)
        local peer = wire.connect(port)
        peer:send(frame(0x81, 'x'))
        T.eq(peer:read('a', 5), '\x88\x02\x03\xea')
        peer:close()
    end)
    wire.listen(function(sock)
        wire.accept(sock)
        sock:send(frame(0x81, 'x', KEY))
        sock:read('a', 5)
    end, function(port)
        local ws = client(port)
        T.eq({ ws:recv(5) }, { nil, 'frame is masked' })
    end)
end)

case('a peer that never closes after a violation holds nobody for long', function()
    wire.serve(wire.upgraded(function(ws)
        T.took(1, 3, function() T.eq({ ws:recv(30) }, { nil, 'reserved non-control frames' }) end)
        T.done = true
    end), function(port)
        T.done = nil
        local peer = wire.connect(port)
        peer:send(frame(0x83, 'x', KEY))
        T.await(function() return T.done end)
        peer:close()
    end)
end)

case('a client that goes after any byte leaves nothing', function()
    local ended = 0
    wire.serve(wire.upgraded(function(ws)
        local results
        repeat
            results = { ws:recv(5) }
        until not results[1]
        T.eq(results, { nil, 'closed', 1006, '' })
        ended = ended + 1
    end), function(port)
        local bytes = frame(0x01, 'ab', KEY) .. frame(0x8a, 'p', KEY) .. frame(0x80, ('c'):rep(126), KEY)
        for cut = 0, #bytes do
            local peer = wire.connect(port)
            peer:send(bytes:sub(1, cut))
            peer:close()
            T.await(function() return ended == cut + 1 end)
        end
    end)
end)

both('sending: bytes written, and what is refused', function(ws, peer, _, side)
    local extra = side == 'client' and 4 or 0
    for _, try in ipairs {
        { 2, 'send_text' }, { 4, 'send_text', 'hi' }, { 5, 'send_binary', 123 }, { 2, 'send_binary', false }, { 6, 'send_ping', true },
        { 2, 'send_pong' }, { 127, 'send_text', ('x'):rep(125) }, { 130, 'send_text', ('x'):rep(126) }, { 65539, 'send_text', ('x'):rep(65535) },
        { 4, 'send_frame', false, 1, 'ab' }, { 2, 'send_frame', true, 0 }, { 4, 'send_frame', true, 5, 'ab' },
    } do
        local count = ws[try[2]](ws, table.unpack(try, 3))
        T.eq(count, try[1] + extra)
        local first, payload, key = read_frame(peer, side)
        T.eq(#payload, try[1] == 130 and 126 or try[1] == 65539 and 65535 or try[1] - 2)
        if key then
            T.last, T.same = key, T.same or key == T.last
        end
        assert(first, try[2])
    end
    assert(not T.same, 'the same mask twice')
    T.fails('payload too big', ws:send_text(('x'):rep(65536)))
    T.fails('too much payload for control frame', ws:send_ping(('x'):rep(126)))
    T.fails('fragmented control frame', ws:send_frame(false, 9, 'x'))
    T.fails('text is not UTF-8', ws:send_text('\xff'))
    T.raises('out of range', ws.send_frame, ws, true, 16)
    T.raises('number expected', ws.send_frame, ws, true, 'x')
    for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536, -1, 1 << 32 } do
        T.fails('bad status code', ws:send_close(code))
        T.fails('bad status code', ws:close(code))
    end
    T.fails('bad status code', ws:send_close('x'))
    T.raises('no integer representation', ws.send_close, ws, 1000.5)
    T.fails('too much payload for control frame', ws:send_close(1000, ('x'):rep(124)))
    T.fails('text is not UTF-8', ws:close(1000, '\xff'))
    T.eq(ws:send_close(4999, 'why'), 7 + extra)
    local first, payload = read_frame(peer, side)
    T.eq({ first, payload }, { 0x88, '\x13\x87why' })
    T.fails('a close frame was sent', ws:send_close())
    T.fails('a close frame was sent', ws:send_binary('x'))
end)

both('close: the handshake', function(ws, peer, of, side)
    T.all(function()
        T.eq(table.pack(ws:close(1001, 'going')), { true, n = 1 })
        T.eq({ ws:recv(1) }, { nil, 'closed', 1001, '' })
        T.eq(ws:close(), true)
    end, function()
        peer:send(of(0x81, 'dropped') .. of(0x01, 'dropped too'))
        local first, payload = read_frame(peer, side)
        T.eq({ first, payload }, { 0x88, '\x03\xe9going' })
        peer:send(of(0x88, '\x03\xe9'))
        T.fails('closed', peer:read(1, 5))
    end)
end)

both('close: a peer that does not answer', function(ws, peer, of)
    T.took(0.1, 1, function() T.fails('timeout', ws:close(nil, nil, 0.1)) end)
    assert(ws.sock:closed())
    assert(peer and of)
end)

both('close: while another coroutine receives', function(ws, peer, of, side)
    T.all(function()
        T.eq({ ws:recv(10) }, { 'last words', 'text' })
        T.eq({ ws:recv(10) }, { nil, 'closed', 1000, '' })
        assert(ws.sock:closed())
    end, function()
        eco.sleep(0.01)
        T.raises('another coroutine is already waiting', ws.recv, ws)
        T.eq(ws:close(), true)
        local first = read_frame(peer, side)
        T.eq(first, 0x88)
        peer:send(of(0x81, 'last words') .. of(0x88, '\x03\xe8'))
    end)
end)

both('close: while another coroutine receives in vain', function(ws)
    T.all(function()
        T.took(0.1, 1, function() T.eq({ ws:recv(30) }, { nil, 'timeout' }) end)
    end, function()
        eco.sleep(0.01)
        T.eq(ws:close(1000, nil, 0.1), true)
    end)
end)

both('a variable that is closed', function(ws, peer, of, side)
    T.all(function()
        local first = read_frame(peer, side)
        T.eq(first, 0x88)
        peer:send(of(0x88))
        T.fails('closed', peer:read(1, 5))
    end, function()
        do
            local closing<close> = ws
            assert(closing)
        end
        assert(ws.sock:closed())
    end)
end)

both('waits end when the stream is closed, and with their coroutine', function(ws)
    local receiver = eco.run(function() ws:recv() end)
    eco.sleep(0.01)
    coroutine.close(receiver)
    receiver = eco.run(function() ws:recv_frame() end)
    eco.sleep(0.01)
    coroutine.close(receiver)
    T.all(function()
        T.eq({ ws:recv() }, { nil, 'canceled' })
    end, function()
        eco.sleep(0.01)
        ws.sock.rd:cancel()
    end)
    T.all(function()
        T.eq({ ws:recv_frame() }, { nil, nil, 'failed to receive the first 2 bytes: canceled' })
    end, function()
        eco.sleep(0.01)
        ws.sock:close()
    end)
    T.fails('failed to send frame: ', ws:send_text('x'))
    T.eq(ws:recv(1), nil)
end)

both('pings while nothing is heard', function(ws, peer, of, side)
    T.all(function()
        local first, payload = read_frame(peer, side)
        T.eq({ first, payload }, { 0x89, '' })
        peer:send(of(0x8a, ''))
        first = read_frame(peer, side)
        T.eq(first, 0x89)
        peer:send(of(0x81, 'here'))
        first = read_frame(peer, side)
        T.eq(first, 0x89)
        -- No answer.
    end, function()
        T.eq({ ws:recv(10) }, { 'here', 'text' })
        T.took(0.15, 2, function() T.eq({ ws:recv(10) }, { nil, 'ping timeout' }) end)
        assert(ws.sock:closed())
    end)
end, { ping_interval = 0.1, ping_timeout = 0.1 })

both('a frame that does not go on', function(ws, peer, of)
    peer:send(of(0x82, ('x'):rep(1000)):sub(1, 500))
    T.took(0.1, 1, function() T.eq({ ws:recv(10) }, { nil, 'timeout' }) end)
    T.took(0.1, 1, function() T.eq({ ws:recv_frame() }, { nil, nil, 'failed to read masking-len and payload: timeout' }) end)
end, { frame_timeout = 0.1 })

both('a message of endless fragments', function(ws, peer, of)
    local stop
    peer:send(of(0x02, ''))
    T.all(function()
        for _ = 1, 100 do
            if not peer:send(of(0x00, ('x'):rep(100))) then break end
        end
        stop = true
    end, function()
        T.eq({ ws:recv(10) }, { nil, 'exceeding max payload len' })
    end)
    assert(stop)
end, { max_message_len = 5000, max_payload_len = 1000 })
both('many coroutines send at once, to a peer that takes its time', function(ws, peer, _, side)
    local senders, sent = T.gather(), 0
    for i = 1, 8 do
        senders:run(function()
            for j = 1, 5 do
                assert(ws:send_binary(string.char(i, j):rep(20000)))
                sent = sent + 1
            end
        end)
    end
    eco.sleep(0.05)
    local seen = {}
    for _ = 1, 40 do
        local first, length, key = peer:readfull(2, 5), string.unpack('>I2', peer:readfull(2, 5)), side == 'client' and peer:readfull(4, 5)
        T.eq({ first:byte() , length }, { 0x82, 40000 })
        local payload = peer:readfull(length, 5)
        local head = key and frame(0, payload:sub(1, 4), key):sub(-4) or payload:sub(1, 4)
        local i, j = head:byte(1, 2)
        T.eq(head:rep(10000) == payload or (key and frame(0, payload:sub(-4), key):sub(-4) == head), true)
        -- Each one's frames come in their order.
        T.eq(j, (seen[i] or 0) + 1)
        seen[i] = j
    end
    senders:wait()
    T.eq(sent, 40)
end)

both('a send that gives up leaves the stream in step', function(ws, peer, _, side)
    local frames, err = 0, nil
    repeat
        local ok
        ok, err = ws:send_binary(('x'):rep(60000))
        frames = frames + (ok and 1 or 0)
    until not ok
    T.eq(err, 'failed to send frame: timeout')
    -- One that waits for its turn is ended, too, with its coroutine.
    local first = eco.run(function() ws:send_binary(('y'):rep(60000)) end)
    local second = eco.run(function() ws:send_binary('z') end)
    eco.sleep(0.01)
    coroutine.close(first)
    coroutine.close(second)
    local group = T.gather()
    group:run(function()
        eco.sleep(0.02)
        T.eq(ws:send_text('at last'), side == 'client' and 13 or 9)
    end)
    -- Whatever had begun went out as a whole: frames follow frames.
    local count = 0
    while true do
        local opcode, second_byte = peer:readfull(2, 5):byte(1, 2)
        local length = second_byte & 0x7f
        if length == 126 then length = string.unpack('>I2', peer:readfull(2, 5)) end
        if side == 'client' then peer:readfull(4, 5) end
        peer:readfull(length, 5)
        if opcode == 0x81 then
            T.eq(length, 7)
            break
        end
        T.eq(opcode, 0x82)
        assert(length == 60000 or length == 1, length)
        count = count + (length > 1 and 1 or 0)
    end
    group:wait()
    assert(count >= frames and count <= frames + 2, count .. ' of ' .. frames)
end, { send_timeout = 0.5 })

both('a flood of pings from a peer that does not read', function(ws, peer, of, side)
    local ping = of(0x89, ('p'):rep(125))
    local flood = ping:rep(1000)
    local sent = 0
    local flooder = eco.run(function()
        while peer:send(flood) do sent = sent + 1000 end
    end)
    local before = collectgarbage('count')
    -- No more is taken in than is answered: it ends by the time of the call, or because nobody takes the answers.
    local start = time.now()
    local data, why = ws:recv(0.3)
    T.eq({ data, why }, { nil, 'timeout' })
    assert(time.now() - start < 2 * T.slow)
    assert(collectgarbage('count') - before < 2000)
    T.await(function() return coroutine.status(flooder) == 'suspended' end)
    assert(sent < 200000, sent)
    coroutine.close(flooder)
    assert(side)
end)

log.set_path('')
