-- The cases of wscases.lua against our server, our client, and `ws` of Node as the yardstick of the cases themselves.

local eco = require 'eco'
local log = require 'eco.log'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local websocket = require 'eco.websocket'
local wire = require 'wire'
local cases = require 'wscases'

log.set_path(T.path('log'))
log.err('the log opens its file')

-- Frames of large messages are "masked" with zeros: masks are checked elsewhere, and slow by hand.
local KEY, ZEROS = '\x37\xfa\x21\x3d', '\0\0\0\0'
local LIMITS = { max_payload_len = 8 << 20 }

-- Reads a frame: first byte and payload, or nil and why not.
local function read_frame(sock, masked)
    local head, err = sock:readfull(2, 10)
    if not head then return nil, err end
    local first, second = head:byte(1, 2)
    local length = second & 0x7f
    if length > 125 then
        local size = length == 126 and 2 or 8
        length = string.unpack('>I' .. size, sock:readfull(size, 10))
    end
    local key = masked and sock:readfull(4, 10)
    local payload = length > 0 and assert(sock:readfull(length, 10)) or ''
    if masked and length > 0 and length < 200000 then
        payload = wire.frame(first, payload, key):sub(-length)
    elseif masked and length > 0 then
        -- Enough to know it by: its ends.
        payload = { length, wire.frame(0, payload:sub(1, 8), key):sub(-8) }
    end
    return first, payload
end

local function same(payload, expected)
    if type(payload) == 'table' then
        return payload[1] == #expected and payload[2] == expected:sub(1, 8)
    end
    return payload == expected
end

-- Runs a case over a connection; `masked` says whether the end under test masks.
local function run(it, sock, masked)
    local key = not masked and (it.large and ZEROS or KEY) or nil
    local parts = {}
    for i, frame in ipairs(it.frames) do
        parts[i] = wire.frame(frame[1], frame[2], key)
    end
    local bytes = table.concat(parts)
    if it.cut then bytes = bytes:sub(1, -it.cut) end
    local writer = eco.run(function()
        if not it.chop then
            return sock:send(bytes, 10)
        end
        for at = 1, #bytes, it.chop do
            if not sock:send(bytes:sub(at, at + it.chop - 1), 10) then return end
        end
    end)
    local place = 1
    while true do
        local first, payload = read_frame(sock, masked)
        assert(first, ('%s: %s instead of a frame'):format(it.name, payload))
        if first == 0x88 then
            local code = payload == '' and 1005 or string.unpack('>I2', payload)
            T.eq(code, it.ending, it.name)
            break
        end
        local expected = it.expected[place]
        assert(expected, it.name .. ': a frame more')
        -- An echo in fragments is no less right.
        T.eq(first, expected[1], it.name)
        assert(same(payload, expected[2]), ('%s: frame %d differs'):format(it.name, place))
        place = place + 1
    end
    T.eq(place - 1, #it.expected, it.name)
    -- And then nothing.
    if it.ending ~= 1000 and it.ending ~= 1005 and not masked then
        sock:close()
    end
    T.await(function() return coroutine.status(writer) == 'dead' end)
end

case('our server', function()
    wire.serve(wire.upgraded(wire.echo, LIMITS), function(port)
        for _, it in ipairs(cases) do
            local sock = wire.connect(port)
            run(it, sock, false)
            sock:close()
        end
    end)
end)

case('our client', function()
    local it, done, failure
    wire.listen(function(sock)
        wire.accept(sock)
        local ok, message = xpcall(run, debug.traceback, it, sock, true)
        failure, done = not ok and message, true
    end, function(port)
        for _, each in ipairs(cases) do
            it, done = each, false
            wire.echo(assert(websocket.connect('ws://127.0.0.1:' .. port, { max_payload_len = 8 << 20 })))
            T.await(function() return done end)
            assert(not failure, failure)
        end
    end)
end)

case('ws', function()
    local process = assert(sys.exec('env', 'NODE_PATH=/usr/share/nodejs', 'node', '-e', [[
        const { WebSocketServer } = require('ws')
        const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
        server.on('listening', () => console.log(server.address().port))
        server.on('connection', peer => {
            peer.on('error', () => {})
            peer.on('message', (data, isBinary) => peer.send(data, { binary: isBinary }))
        })
    ]]))
    local port = assert(tonumber((assert(process:read_stdout('l', 20 * T.slow)))))
    for _, it in ipairs(cases) do
        -- It looks at a text when it is whole.
        if not it.early then
            local sock = wire.connect(port)
            run(it, sock, false)
            sock:close()
        end
    end
    process:kill(sys.SIGTERM)
    process:wait(5)
    process:close()
end)
log.set_path('')
