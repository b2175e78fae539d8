-- `eco.websocket` and `ws` of Node, both ways round.

local eco = require 'eco'
local log = require 'eco.log'
local sys = require 'eco.sys'
local websocket = require 'eco.websocket'
local wire = require 'wire'

log.set_path(T.path('log'))
log.err('the log opens its file')

local function node(script, ...)
    return assert(sys.exec('env', 'NODE_PATH=/usr/share/nodejs', 'node', '-e', script, ...))
end

for _, deflate in ipairs { false, true, { takeover = false } } do
case('their client' .. (deflate and ', packed' or ''), function()
    local ended, packed
    wire.serve(wire.upgraded(function(ws)
        T.eq(ws.protocol, 'chat')
        packed = ws.deflate or false
        ws:send_ping('are you there')
        while true do
            local data, kind, code, reason = ws:recv(20 * T.slow)
            if not data then
                ended = { kind, code, reason }
                return
            end
            ws['send_' .. kind](ws, data)
        end
    end, { max_payload_len = 2 << 20, protocols = { 'other', 'chat' }, deflate = deflate }), function(port)
        local process = node([[
            const WebSocket = require('ws')
            const peer = new WebSocket(process.argv[1], ['soap', 'chat'], { origin: 'http://here' })
            const sizes = [0, 1, 125, 126, 65535, 65536, 1 << 20]
            const told = []
            let at = 0
            const next = () => {
                if (at == sizes.length * 2) {
                    peer.send('fra', { fin: false })
                    peer.ping('inside')
                    peer.send('gments', { fin: true })
                    return
                }
                const text = at % 2 == 0, size = sizes[at >> 1]
                peer.send(text ? 'ü'.repeat(size >> 1) : Buffer.alloc(size, 0xff))
            }
            peer.on('ping', data => told.push('ping ' + data))
            peer.on('pong', data => told.push('pong ' + data))
            peer.on('open', () => { told.push(peer.protocol); next() })
            peer.on('message', (data, binary) => {
                if (at == sizes.length * 2) {
                    told.push('message ' + data)
                    return peer.close(4001, 'that was it')
                }
                const text = at % 2 == 0, size = sizes[at >> 1]
                const good = text ? data.toString() == 'ü'.repeat(size >> 1) && !binary : binary && data.equals(Buffer.alloc(size, 0xff))
                if (!good) told.push('differs at ' + at)
                at++
                next()
            })
            peer.on('close', (code, reason) => { told.push('close ' + code + ' ' + reason); console.log(told.join('\n')) })
            peer.on('error', error => told.push('error ' + error))
        ]], ('ws://127.0.0.1:%d/'):format(port))
        local told, errors = process:read_stdout('a', 30 * T.slow), process:read_stderr('a', 5)
        process:wait(5)
        process:close()
        T.eq(told, 'chat\nping are you there\npong inside\nmessage fragments\nclose 4001 \n', errors)
        T.await(function() return ended end)
        T.eq(ended, { 'closed', 4001, 'that was it' })
        T.eq(packed, deflate and true)
    end)
end)
end

case('their server', function()
    local process = node([[
        const { WebSocketServer } = require('ws')
        const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true, handleProtocols: names => [...names].pop() })
        server.on('listening', () => console.log(server.address().port))
        server.on('connection', (peer, request) => {
            peer.on('error', () => {})
            peer.send(JSON.stringify([request.url, request.headers.origin, request.headers['x-mine'], peer.protocol]))
            peer.on('pong', data => peer.send('pong ' + data))
            peer.on('message', (data, binary) => {
                if (data == 'ping me') return peer.ping('me')
                if (data == 'close me') return peer.close(4002, 'as you like')
                if (data == 'drop me') return peer.terminate()
                if (data == 'pieces') {
                    peer.send('pie', { fin: false })
                    peer.ping('between')
                    return peer.send('ces', { fin: true })
                }
                peer.send(data, { binary })
            })
            peer.on('close', (code, reason) => console.log('close ' + code + ' ' + reason))
        })
    ]])
    local port = assert(tonumber((assert(process:read_stdout('l', 20 * T.slow)))))
    local deflate
    local function connect()
        local ws = assert(websocket.connect(('ws://127.0.0.1:%d/a?b=c'):format(port), {
            protocols = { 'one', 'two' }, origin = 'http://here', headers = { ['X-Mine'] = 1 }, max_payload_len = 2 << 20,
            deflate = deflate,
        }))
        T.eq(ws.deflate, deflate and true)
        T.eq(ws.protocol, 'two')
        T.eq(ws:recv(10), '["/a?b=c","http://here","1","two"]')
        return ws
    end
    local ws
    for _, how in ipairs { true, { takeover = false }, false } do
        deflate = how or nil
        ws = connect()
        for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 1 << 20 } do
            local text, bytes = ('ü'):rep(size // 2), ('\xff'):rep(size)
            assert(ws:send_text(text))
            local data, kind = ws:recv(10)
            assert(data == text and kind == 'text', size)
            assert(ws:send_binary(bytes))
            data, kind = ws:recv(10)
            assert(data == bytes and kind == 'binary', size)
        end
        if how then
            T.eq(ws:close(4003, 'done'), true)
            T.eq(process:read_stdout('l', 10), 'close 4003 done')
        end
    end
    ws:send_text('ping me')
    T.eq({ ws:recv(10) }, { 'pong me', 'text' })
    ws:send_text('pieces')
    T.eq({ ws:recv(10) }, { 'pieces', 'text' })
    T.eq({ ws:recv(10) }, { 'pong between', 'text' })
    ws:send_frame(false, 1, 'in ')
    ws:send_frame(false, 0, 'frag')
    ws:send_frame(true, 0, 'ments')
    T.eq({ ws:recv(10) }, { 'in fragments', 'text' })
    T.eq(ws:close(4003, 'done'), true)
    T.eq(process:read_stdout('l', 10), 'close 4003 done')
    ws = connect()
    ws:send_text('close me')
    T.eq({ ws:recv(10) }, { nil, 'closed', 4002, 'as you like' })
    T.eq(process:read_stdout('l', 10), 'close 4002 ')
    ws = connect()
    ws:send_text('drop me')
    T.eq({ ws:recv(10) }, { nil, 'closed', 1006, '' })
    T.eq(process:read_stdout('l', 10), 'close 1006 ')
    -- What they refuse.
    ws = connect()
    ws:send_frame(true, 3, 'x')
    T.eq({ ws:recv(10) }, { nil, 'closed', 1002, '' })
    process:kill(sys.SIGTERM)
    process:wait(5)
    process:close()
end)

-- Given as the curl to use; the pieces of a stream as they come.
case('server-sent events, as curl sees them', function()
    local ticket
    wire.serve(function(con, req)
        local last = tonumber(req.headers['last-event-id']) or 0
        T.eq(con:send_event { retry = 1500 }, true)
        con:send_event('plain')
        con:send_event { id = last + 1, event = 'tick', data = 'one\ntwo\r\nthree\rfour\n' }
        con:send_event { comment = '' }
        con:send_event { comment = 'still\nhere', data = 5 }
        con:send_event { id = 'x' }
        for _, bad in ipairs { { id = 'a\nb' }, { id = 'a\0b' }, { event = 'a\rb' }, { retry = -1 }, { retry = 'x' }, { retry = 1.5 } } do
            T.raises('of an event', con.send_event, con, bad)
        end
        ticket = true
    end, function(port)
        local process = assert(sys.exec('curl', '-sSN', '-i', '--max-time', '20', '-H', 'Last-Event-ID: 41', 'http://127.0.0.1:' .. port))
        local output = process:read_stdout('a', 20)
        process:wait(5)
        process:close()
        assert(ticket, output)
        assert(output:find('\r\nContent-Type: text/event-stream\r\n', 1, true), output)
        assert(output:find('\r\nCache-Control: no-store\r\n', 1, true), output)
        T.eq(output:match('\r\n\r\n(.*)$'), 'retry: 1500\n\ndata: plain\n\nevent: tick\nid: 42\n'
            .. 'data: one\ndata: two\ndata: three\ndata: four\ndata: \n\n: \n\ndata: 5\n: still\n: here\n\nid: x\n\n')
    end)
end)

case('an event for a browser that has gone', function()
    local socket = require 'eco.socket'
    local gone
    wire.serve(function(con)
        repeat
            local ok, err = con:send_event('x')
            eco.sleep(0.005)
            gone = not ok and err
        until gone
    end, function(port)
        local sock = assert(socket.connect_tcp('127.0.0.1', port))
        sock:send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
        sock:readuntil('data: x', 5)
        sock:close()
        T.await(function() return gone end)
        assert(gone:find('Broken pipe') or gone:find('reset'), gone)
    end)
end)
log.set_path('')
