-- Both ends of WebSockets for tests: frames by hand, a server of ours, peers that do as they like.

local eco = require 'eco'
local http = require 'eco.http.server'
local socket = require 'eco.socket'
local websocket = require 'eco.websocket'

local M = {}

M.KEY, M.ACCEPT = 'dGhlIHNhbXBsZSBub25jZQ==', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
M.REQUEST = 'GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: '
    .. M.KEY .. '\r\n\r\n'

-- Few values at once: a Lua that checks itself copies its stack at every call.
local function masked(payload, key)
    local mask = string.unpack('<I4', key)
    local padded = payload .. ('\0'):rep(-#payload % 4)
    local pieces = {}
    for i = 1, #padded, 4 do
        pieces[#pieces + 1] = string.pack('<I4', string.unpack('<I4', padded, i) ~ mask)
    end
    return table.concat(pieces):sub(1, #payload)
end

-- The bytes of a frame; with a key those of a client.
function M.frame(first, payload, key)
    local length = #payload
    local mask = key and 0x80 or 0
    local head
    if length < 126 then
        head = string.pack('BB', first, mask | length)
    elseif length < 65536 then
        head = string.pack('>BBI2', first, mask | 126, length)
    else
        head = string.pack('>BBI8', first, mask | 127, length)
    end
    if not key then
        return head .. payload
    end
    return head .. key .. (key == '\0\0\0\0' and payload or masked(payload, key))
end

-- Runs body(port) beside a server of ours.
function M.serve(handler, body, options)
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    eco.run(http.listen, '127.0.0.1', 0, options, handler)
    socket.listen_tcp = listen_tcp
    local ok, message = xpcall(body, debug.traceback, listener:getsockname().port)
    listener:close()
    eco.sleep(0.02)
    if not ok then error(message, 0) end
end

-- Runs body(port) beside whatever handler(sock) does to each connection.
function M.listen(handler, body)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0, { tcp_nodelay = true }))
    local socks = {}
    eco.run(function()
        while true do
            local sock = listener:accept()
            if not sock then return end
            socks[#socks + 1] = sock
            sock:setoption('tcp_nodelay', true)
            eco.run(function()
                handler(sock)
                sock:close()
            end)
        end
    end)
    local ok, message = xpcall(body, debug.traceback, listener:getsockname().port)
    listener:close()
    for _, sock in ipairs(socks) do sock:close() end
    eco.sleep(0.02)
    if not ok then error(message, 0) end
end

-- Answers the handshake of a client of ours by hand, and gives the head of its request.
function M.accept(sock, extra)
    local head, key = {}, nil
    repeat
        local line = assert(sock:read('l', 5))
        head[#head + 1] = line
        key = line:match('^Sec%-Websocket%-Key: (.*)$') or key
    until line == ''
    local base64, sha1 = require 'eco.encoding.base64', require 'eco.hash.sha1'
    local accept = base64.encode(sha1.sum(key .. '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'))
    sock:send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: '
        .. accept .. '\r\n' .. (extra or '') .. '\r\n')
    return table.concat(head, '\n')
end

-- A connection to a server of ours with the handshake done.
function M.connect(port)
    local sock = assert(socket.connect_tcp('127.0.0.1', port))
    sock:setoption('tcp_nodelay', true)
    sock:send(M.REQUEST)
    local head = {}
    repeat
        head[#head + 1] = assert(sock:read('l', 5))
    until head[#head] == ''
    assert(head[1] == 'HTTP/1.1 101 Switching Protocols', head[1])
    return sock, table.concat(head, '\n')
end

-- A handler that upgrades and calls body(ws, con, req).
function M.upgraded(body, opts)
    return function(con, req)
        local given = {}
        for name, value in pairs(opts or {}) do given[name] = value end
        local ws, err = websocket.upgrade(con, req, given)
        if not ws then
            return con:send_error(400, nil, err)
        end
        return body(ws, con, req)
    end
end

-- Echoes messages until it ends.
function M.echo(ws)
    while true do
        local data, kind = ws:recv()
        if not data then return end
        if not ws['send_' .. kind](ws, data) then return end
    end
end

return M
