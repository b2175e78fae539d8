-- `eco.mqtt` against a broker that sends exactly what a case says: the protocol by bytes, hostile servers, waiting.

local eco = require 'eco'
local hanging = require 'hanging'
local mqtt = require 'eco.mqtt'
local socket = require 'eco.socket'
local time = require 'eco.time'

local pack, unpack = string.pack, string.unpack

-- ---- a broker -----------------------------------------------------------------------

local function variable(number)
    local text = ''
    while number >= 0x80 do
        text, number = text .. string.char(number & 0x7f | 0x80), number >> 7
    end
    return text .. string.char(number)
end

local function packet(first, ...)
    local body = table.concat { ... }
    return string.char(first) .. variable(#body) .. body
end

local peer = {}
peer.__index = peer

-- The next packet: its first byte and its body.
function peer:read(limit)
    local first = self.sock:readfull(1, (limit or 5) * T.slow)
    if not first then return end
    local length, shift = 0, 0
    repeat
        local byte = self.sock:readfull(1, 5 * T.slow):byte()
        length, shift = length | (byte & 0x7f) << shift, shift + 7
    until byte < 0x80
    return first:byte(), length > 0 and self.sock:readfull(length, 5 * T.slow) or ''
end

-- Insists on a packet of that first byte; gives its body.
function peer:expect(wanted, limit)
    local first, body = self:read(limit)
    T.eq(('%02x'):format(first or 0), ('%02x'):format(wanted))
    return body
end

function peer:send(...)
    return assert(self.sock:send(table.concat { ... }))
end

-- Takes a connection of the client.
function peer:greet(present, rest)
    local body = self:expect(0x10)
    self:send(packet(0x20, string.char(present and 1 or 0, 0), rest or ''))
    return body
end

-- A client and a broker that runs f(peer, connection number) for each connection.
local function with_broker(options, f, body)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    local group, problem = T.gather(), nil
    local closing = false
    local taker = eco.run(function()
        for number = 1, math.huge do
            local sock = listener:accept()
            if not sock then return end
            group:run(function()
                local ok, err = xpcall(f, debug.traceback, setmetatable({ sock = sock }, peer), number)
                sock:close()
                problem = problem or not ok and not closing and err
            end)
        end
    end)
    options.port = listener:getsockname().port
    options.id = options.id or 'test'
    local client = mqtt.new(options)
    local events = {}
    client:on {
        error = function(text) events[#events + 1] = 'error: ' .. text end,
        conack = function(data) events[#events + 1] = ('conack %d %s'):format(data.rc, data.session_present) end,
        publish = function(data) events[#events + 1] = ('publish %s %s %d'):format(data.topic, data.payload, data.qos) end,
    }
    body(client, events)
    closing = true
    listener:close()
    group:wait()
    if problem then error(problem, 0) end
end

-- Runs the client against a broker of one connection; gives its events.
local function session(options, f)
    local events
    with_broker(options, f, function(client, list)
        T.eq(table.pack(client:run()), { n = 0 })
        T.eq(client.connected and true or false, false)
        T.eq(client.sock, nil)
        events = list
    end)
    return events
end

-- ---- options and arguments ----------------------------------------------------------

case('constants', function()
    T.eq({ mqtt.QOS0, mqtt.QOS1, mqtt.QOS2, mqtt.SUBACK_FAILURE }, { 0, 1, 2, 0x80 })
    for value, name in pairs { [0] = 'ACCEPTED', 'REFUSED_PROTOCOL_VERSION', 'REFUSED_IDENTIFIER_REJECTED',
        'REFUSED_SERVER_UNAVAILABLE', 'REFUSED_BAD_USER_NAME_OR_PASSWORD', 'REFUSED_NOT_AUTHORIZED' } do
        T.eq(mqtt['CONNACK_' .. name], value)
    end
end)

case('options are checked, in new and in set', function()
    T.raises('expecting opts to be a table', mqtt.new, 1)
    for _, row in ipairs {
        { 'ipaddr', 1, 'expecting ipaddr to be a string' },
        { 'port', 'x', 'expecting port to be an integer' },
        { 'port', 1883.0, 'expecting port to be an integer' },
        { 'ssl', 1, 'expecting ssl to be a boolean' },
        { 'ca', 1, 'expecting ca to be a string' },
        { 'cert', {}, 'expecting cert to be a string' },
        { 'key', true, 'expecting key to be a string' },
        { 'insecure', 'yes', 'expecting insecure to be a boolean' },
        { 'mark', 'x', 'expecting mark to be an integer' },
        { 'device', 1, 'expecting device to be a string' },
        { 'id', 1, 'expecting id to be a string' },
        { 'keepalive', 5.5, 'expecting keepalive to be an integer' },
        { 'keepalive', 4, 'keepalive cannot be less than 5' },
        { 'clean_session', 1, 'expecting clean_session to be a boolean' },
        { 'username', 1, 'expecting username to be a string' },
        { 'password', 1, 'expecting password to be a string' },
        { 'will', 'x', 'expecting will to be a table' },
        { 'will', {}, 'expecting will.topic to be a string' },
        { 'will', { topic = 't' }, 'expecting will.payload to be a string' },
        { 'will', { topic = 't', payload = 'p', retain = 1 }, 'expecting will.retain to be a boolean' },
        { 'will', { topic = 't', payload = 'p', qos = 3 }, 'expecting will.qos to be 0 or 1 or 2' },
        { 'version', 3, 'expecting version to be 4 or 5' },
        { 'reconnect', 1, 'expecting reconnect to be a boolean or a table' },
        { 'reconnect', { min = 0 }, 'expecting reconnect.min to be a number of seconds' },
        { 'max_inflight', 0, 'expecting max_inflight to be an integer from 1 to 65535' },
        { 'max_pending', 65536, 'expecting max_pending to be an integer from' },
        { 'ping_timeout', 0, 'expecting ping_timeout to be a number of seconds' },
        { 'properties', 1, 'expecting properties to be a table' },
    } do
        T.raises(row[3], mqtt.new, { [row[1]] = row[2] })
        local client = mqtt.new()
        T.raises(row[3], client.set, client, row[1], row[2])
        T.eq(client.opts[row[1]], nil)
        T.eq(table.pack(client:set(row[1], nil)), { n = 0 })
    end
    T.raises('assertion failed!', mqtt.new, { 'x' })
    local opts = { keepalive = 5.0, anything = 1 }
    local client = mqtt.new(opts)
    assert(rawequal(client.opts, opts))
    local will = { topic = 't', message = 'old', payload = 'new' }
    client:set('will', will)
    T.eq(will.payload, 'old')
end)

case('handlers', function()
    local client = mqtt.new()
    T.eq(table.pack(client:on('error', print)), { n = 0 })
    T.eq(client.handlers, { error = print })
    client:on { error = type, publish = print }
    T.eq(client.handlers, { error = type, publish = print })
    for _, count in ipairs { 0, 2, 3 } do
        T.raises('invalid args: expected only one or two arguments', client.on, client, 'x', table.unpack({}, 1, count))
    end
    T.raises('expecting event to be a string', client.on, client, 1, print)
    T.raises('expecting func to be a function', client.on, client, 'x', 1)
end)

case('without a connection', function()
    local client = mqtt.new()
    T.fails('unconnected', client:publish('t', 'p'))
    T.fails('unconnected', client:publish('t', 'p', 9))
    T.fails('unconnected', client:subscribe('t'))
    T.fails('unconnected', client:unsubscribe('t'))
    T.eq(table.pack(client:disconnect()), { n = 1, true })
    T.eq(table.pack(client:close()), { n = 0 })
    T.eq(table.pack(client:close()), { n = 0 })
    T.eq(client.connected, nil)
    T.eq({ client.mid, client.tx_seq }, { 0, 0 })
    T.eq(client.wait_for_puback, {})
    for _, bad in ipairs { { 1, 'p' }, { 't', 1 }, { 't' }, { 't', 'p', 0, 1 } } do
        T.raises('assertion failed!', client.publish, client, table.unpack(bad))
    end
end)

case('arguments of subscribe and unsubscribe are checked first', function()
    local client = mqtt.new()
    for _, row in ipairs {
        { 'expecting topic to be a non-empty string', '' },
        { 'expecting topic to be a non-empty string', 1 },
        { 'expecting topic to be a non-empty string' },
        { 'expecting qos to be 0 or 1 or 2', 't', 3 },
        { 'expecting qos to be 0 or 1 or 2', 't', 1.0 },
        { 'expecting topic and qos to appear in pairs', 't', 0, 'u' },
        { 'expecting topic #2 to be a non-empty string', 't', 0, '', 0 },
        { 'expecting qos #3 to be 0 or 1 or 2', 't', 0, 'u', nil, 'v', 4, n = 7 },
        { 'expecting topic to be a valid topic filter', 'a#' },
        { 'expecting topic #2 to be a valid topic filter', 'a', 0, 'b\0', 0 },
        { 'expecting topic to be a valid topic filter', ('x'):rep(65536) },
        { 'expecting topic to be a valid topic filter', '\xff' },
    } do
        T.raises(row[1], client.subscribe, client, table.unpack(row, 2, row.n or #row))
    end
    for _, row in ipairs {
        { 'expecting topic to be a non-empty string', '' },
        { 'expecting topic #2 to be a non-empty string', 'a', '' },
        { 'expecting topic #3 to be a non-empty string', 'a', 'b', 1 },
        { 'expecting topic to be a valid topic filter', '#/a' },
    } do
        T.raises(row[1], client.unsubscribe, client, table.unpack(row, 2))
    end
end)

-- ---- connecting ---------------------------------------------------------------------

case('CONNECT, by bytes', function()
    local function greeting(options)
        local body
        T.eq(session(options, function(p) body = p:greet(false, options.version == 5 and '\0') end), { 'conack 0 false', 'error: closed' })
        return body
    end
    T.eq(greeting {}, '\0\4MQTT\4\0\0\30\0\4test')
    T.eq(greeting { keepalive = 60, clean_session = true }, '\0\4MQTT\4\2\0\60\0\4test')
    T.eq(greeting { username = 'u', password = 'pw' }, '\0\4MQTT\4\xc0\0\30\0\4test\0\1u\0\2pw')
    T.eq(greeting { password = 'pw' }, '\0\4MQTT\4\x40\0\30\0\4test\0\2pw')
    T.eq(greeting { will = { topic = 'w', payload = 'gone', qos = 2, retain = true } },
        '\0\4MQTT\4\x34\0\30\0\4test\0\1w\0\4gone')
    T.eq(greeting { version = 5 }, '\0\4MQTT\5\0\0\30\0\0\4test')
end)

case('the id is made once and kept', function()
    local ids = {}
    local client = mqtt.new { port = 1 }
    for place = 1, 2 do
        client:run()
        ids[place] = client.opts.id
    end
    assert(ids[1]:find('^lua%-eco%-%x%x%x%x%x%x%x$'), ids[1])
    T.eq(ids[1], ids[2])
end)

case('what cannot be sent in CONNECT raises before anything is opened', function()
    for _, options in ipairs {
        { keepalive = 65536 }, { id = ('x'):rep(65536) }, { username = ('x'):rep(65536) },
        { will = { topic = 'a/#', payload = '' } }, { will = { topic = 't', payload = ('x'):rep(65536) } },
    } do
        options.port = 1
        local client = mqtt.new(options)
        assert(not pcall(client.run, client))
        -- It can be run again.
        client.opts = { port = 1 }
        client:run()
    end
end)

case('connecting fails', function()
    local events = {}
    local client = mqtt.new { port = 1 }
    client:on('error', function(text) events[#events + 1] = text end)
    client:run()
    T.eq(#events, 1)
    assert(events[1]:find('^network: '), events[1])
end)

case('refusals are told, and end when the server closes, or soon', function()
    for rc, reason in pairs { 'connection refused: unacceptable protocol version', 'connection refused: identifier rejected',
        'connection refused: server unavailable', 'connection refused: bad user name or password',
        'connection refused: not authorised', [200] = 'connection refused: unknown reason code 200' } do
        local told
        with_broker({}, function(p)
            p:expect(0x10)
            p:send(packet(0x20, '\0', string.char(rc)))
        end, function(client, events)
            client:on('conack', function(data)
                told = data
                T.fails('unconnected', client:publish('t', 'p'))
            end)
            client:run()
            T.eq(events, { 'error: closed' })
            T.eq(told, { rc = rc, reason = reason, session_present = false })
        end)
    end
    T.took(0.2, 2, session, { ping_timeout = 0.2 }, function(p)
        p:expect(0x10)
        p:send(packet(0x20, '\0\5'))
        T.eq(p:read(), nil)
    end)
end)

case('a server that says nothing, or stops inside a packet', function()
    T.eq(T.took(0.2, 2, session, { connect_timeout = 0.2 }, function(p)
        p:expect(0x10)
        T.eq(p:read(), nil)
    end), { 'error: wait CONACK timeout', 'error: canceled' })
    T.eq(T.took(4.9, 8, session, {}, function(p)
        p:greet()
        p:send('\x30')
        T.eq(p:read(8), nil)
    end), { 'conack 0 false', 'error: network: timeout' })
end)

case('close wakes run', function()
    with_broker({}, function(p)
        p:greet()
        T.eq(p:read(), nil)
    end, function(client, events)
        client:on('conack', function()
            eco.run(function() client:close() end)
        end)
        client:run()
        T.eq(events, { 'error: canceled' })
        T.eq(client.connected, false)
    end)
end)

-- Where connecting hangs: options, and what is to be closed afterwards.
local prepared = {}

for _, option in ipairs { 'ssl', 'websocket' } do
    prepared[option] = function()
        local host, port, held = hanging.silent()
        return { ipaddr = host, port = port, [option] = true, insecure = true }, held
    end
end

function prepared.tcp()
    local host, port, held = hanging.full()
    return { ipaddr = host, port = port }, held
end

function prepared.name()
    local host, _, held, servers = hanging.unnamed()
    return { ipaddr = host, dns = { nameservers = servers, hosts = '/dev/null', resolv_conf = '/dev/null', cache = false } }, held
end

case('close and disconnect end a connect that hangs', function()
    for name, prepare in pairs(prepared) do
        for _, method in ipairs { 'close', 'disconnect' } do
            local options, held = prepare()
            options.reconnect = true
            local client, problem = mqtt.new(options), nil
            client:on('error', function(text) problem = text end)
            local group = T.gather()
            T.took(0.05, 1, function()
                group:run(client.run, client)
                eco.sleep(0.05)
                T.took(0, 0.5, client[method], client)
                group:wait()
            end)
            T.eq({ name, problem, client.sock }, { name, 'canceled' })
            for _, sock in ipairs(held) do
                sock:close()
            end
        end
    end
end)

case('a run that is closed while it connects leaves nothing behind', function()
    local options, held = prepared.tcp()
    local client = mqtt.new(options)
    local run = eco.run(client.run, client)
    eco.sleep(0.05)
    T.eq(coroutine.close(run), true)
    for _, sock in ipairs(held) do
        sock:close()
    end
end)

case('only one run at a time', function()
    with_broker({}, function(p)
        p:greet()
        T.eq(p:read(), nil)
    end, function(client)
        client:on('conack', function()
            T.raises('runs already', client.run, client)
            client:close()
        end)
        client:run()
    end)
end)

case('an error in a handler escapes run and leaves nothing behind', function()
    with_broker({}, function(p)
        p:greet()
        T.eq(p:read(), nil)
    end, function(client)
        client:on('conack', function() error('mine') end)
        T.raises('mine', client.run, client)
        T.eq(client.sock, nil)
        T.eq(client.connected, false)
    end)
end)

-- ---- messages -----------------------------------------------------------------------

case('publishing, by bytes', function()
    local seen = {}
    with_broker({}, function(p)
        p:greet()
        for _ = 1, 3 do
            local first, body = p:read()
            seen[#seen + 1] = ('%02x'):format(first) .. body
        end
        p:send(packet(0x40, '\0\1'), packet(0x50, '\0\2'))
        T.eq(p:expect(0x62), '\0\2')
        -- Once more: it may be lost.
        p:send(packet(0x50, '\0\2'))
        T.eq(p:expect(0x62), '\0\2')
        p:send(packet(0x70, '\0\2'))
        -- Numbers that were never used.
        p:send(packet(0x40, '\0\9'), packet(0x50, '\0\9'), packet(0x70, '\xff\xff'), packet(0x40, '\0\1'))
        T.eq(p:expect(0xe0), '')
    end, function(client, events)
        local waits
        client:on('conack', function()
            T.eq(table.pack(client:publish('a', 'zero')), { n = 1, true })
            T.eq(table.pack(client:publish('a', 'one', 1, true)), { n = 1, true })
            T.eq(table.pack(client:publish('a', '', 2, false)), { n = 1, true })
            T.eq({ client.mid, client.tx_seq }, { 2, 2 })
            waits = { client.wait_for_puback, client.wait_for_pubrec, client.wait_for_pubcomp }
            eco.run(function()
                T.await(function() return not next(client.wait_for_pubcomp) and not next(client.wait_for_pubrec) end)
                T.eq(client:disconnect(), 2)
            end)
        end)
        client:run()
        T.eq(waits, { { { seq = 1 } }, { [2] = { seq = 2 } }, {} })
        T.eq(events, { 'error: closed' })
    end)
    T.eq(seen, { '30\0\1azero', '33\0\1a\0\1one', '34\0\1a\0\2' })
end)

case('topics that nobody can publish to, and other misuse', function()
    with_broker({}, function(p)
        p:greet()
        T.eq(p:read(), nil)
    end, function(client)
        client:on('conack', function()
            for _, topic in ipairs { '', 'a/+', '#', 'a\0b', '\xff', ('x'):rep(65536) } do
                T.raises('valid topic name', client.publish, client, topic, 'p')
            end
            for _, qos in ipairs { 3, -1, '1', true, 0.5 } do
                T.raises('assertion failed!', client.publish, client, 't', 'p', qos)
            end
            T.raises('version 5', client.publish, client, 't', 'p', 0, false, { properties = {} })
            T.raises('handler', client.publish, client, 't', 'p', 1, false, { wait = true })
            T.raises('handler', client.subscribe, client, { 't', wait = true })
            client:close()
        end)
        client:run()
    end)
end)

case('receiving: answers, duplicates, unknown numbers', function()
    T.eq(session({}, function(p)
        p:greet()
        p:send(packet(0x30, '\0\1azero'), packet(0x32, '\0\1a\0\5one'))
        T.eq(p:expect(0x40), '\0\5')
        p:send(packet(0x34, '\0\1a\0\5two'))
        T.eq(p:expect(0x50), '\0\5')
        p:send(packet(0x3c, '\0\1a\0\5two'))
        T.eq(p:expect(0x50), '\0\5')
        p:send(packet(0x62, '\0\5'))
        T.eq(p:expect(0x70), '\0\5')
        -- Known or not.
        p:send(packet(0x62, '\0\6'))
        T.eq(p:expect(0x70), '\0\6')
        -- Free again.
        p:send(packet(0x34, '\0\1a\0\5new'))
        T.eq(p:expect(0x50), '\0\5')
    end), {
        'conack 0 false', 'publish a zero 0', 'publish a one 1', 'publish a two 2', 'publish a new 2', 'error: closed',
    })
end)

case('a message in every piece it can come in', function()
    local bytes = packet(0x33, '\0\3a/b\0\7', ('x'):rep(200))
    T.eq(session({}, function(p)
        p:greet()
        for cut = 1, #bytes - 1, 7 do
            p:send(bytes:sub(1, cut))
            eco.sleep(0.001)
            p:send(bytes:sub(cut + 1))
            T.eq(p:expect(0x40), '\0\7')
        end
    end)[3], 'publish a/b ' .. ('x'):rep(200) .. ' 1')
end)

case('all fields of a message', function()
    local told
    with_broker({}, function(p)
        p:greet()
        p:send(packet(0x3b, '\0\3a/b\0\7bin\0ary\xff'))
        T.eq(p:expect(0x40), '\0\7')
    end, function(client)
        client:on('publish', function(message, from)
            assert(from == client)
            told = message
        end)
        client:run()
    end)
    T.eq(told, { topic = 'a/b', payload = 'bin\0ary\xff', qos = 1, dup = true, retain = true })
end)

case('subscribing and unsubscribing, by bytes', function()
    local told = {}
    with_broker({}, function(p)
        p:greet()
        T.eq(p:expect(0x82), '\0\1\0\1a\2')
        p:send(packet(0x90, '\0\1\2'))
        T.eq(p:expect(0x82), '\0\2\0\1a\0\0\3b/#\1\0\1+\0')
        p:send(packet(0x90, '\0\2\0\x80\0'))
        T.eq(p:expect(0xa2), '\0\3\0\1a\0\1c')
        p:send(packet(0xb0, '\0\3'))
        T.eq(p:expect(0x82), '\0\4\0\1a\0')
        -- Wrong count, wrong code, unknown number.
        p:send(packet(0x90, '\0\4\0\0'))
        T.eq(p:expect(0x82), '\0\5\0\1a\0')
        p:send(packet(0x90, '\0\5\7'), packet(0x90, '\0\9\0'), packet(0xb0, '\0\9'))
    end, function(client, events)
        client:on {
            conack = function()
                T.eq(table.pack(client:subscribe('a', 2)), { n = 1, true })
                T.eq(client.wait_for_suback[1].topics, { 'a' })
            end,
            suback = function(data)
                told[#told + 1] = data
                if #told == 1 then
                    T.eq(client.wait_for_suback, {})
                    assert(client:subscribe('a', nil, 'b/#', 1, '+', nil))
                else
                    T.eq(table.pack(client:unsubscribe('a', 'c')), { n = 1, true })
                end
            end,
            unsuback = function(topic)
                told[#told + 1] = topic
                if topic == 'c' then client:subscribe('a') end
            end,
            error = function(text)
                events[#events + 1] = text
                if #events == 1 then client:subscribe('a') end
            end,
        }
        client:run()
        T.eq(events, {
            'SUBACK return code count mismatch: expecting 1, got 2',
            'SUBACK for topic "a" with invalid return code 7',
            'closed',
        })
    end)
    T.eq(told, {
        { results = { { rc = 2, topic = 'a' } }, rc = 2, topic = 'a' },
        { results = { { rc = 0, topic = 'a' }, { rc = 128, topic = 'b/#' }, { rc = 0, topic = '+' } }, rc = 0, topic = 'a' },
        'a', 'c',
    })
end)

-- ---- waiting ------------------------------------------------------------------------

case('publish can wait for its acknowledgement', function()
    with_broker({}, function(p)
        p:greet()
        p:expect(0x32)
        eco.sleep(0.05)
        p:send(packet(0x40, '\0\1'))
        p:expect(0x34)
        p:send(packet(0x50, '\0\2'))
        p:expect(0x62)
        eco.sleep(0.05)
        p:send(packet(0x70, '\0\2'))
        p:expect(0x32)
        p:expect(0x32)
    end, function(client)
        client:on('conack', function()
            eco.run(function()
                T.took(0.04, 2, function()
                    T.eq(table.pack(client:publish('t', 'p', 1, false, { wait = 2 })), { n = 1, true })
                end)
                T.took(0.04, 2, function() T.eq(client:publish('t', 'p', 2, false, { wait = true }), true) end)
                T.eq(client:publish('t', 'p', 0, false, { wait = 0.001 }), true)
            end)
        end)
        local problem
        client:on('conack', function()
            eco.run(function()
                local ok, err = pcall(function()
                    assert(client:publish('t', 'p', 1, false, { wait = 2 }))
                    assert(client:publish('t', 'p', 2, false, { wait = true }))
                    T.took(0.05, 1, function()
                        T.fails('timeout', client:publish('t', 'p', 1, false, { wait = 0.05 }))
                    end)
                    -- The connection ends meanwhile.
                    T.fails('closed', client:publish('t', 'p', 1, false, { wait = 5 }))
                end)
                problem = ok or err
            end)
        end)
        client:run()
        T.await(function() return problem end)
        T.eq(problem, true)
        -- They are not lost: the next connection begins with them.
        T.eq(client.wait_for_puback, { [3] = { seq = 3 }, [4] = { seq = 4 } })
    end)
end)

case('a coroutine that waits can be closed', function()
    with_broker({}, function(p)
        p:greet()
        p:expect(0x32)
        p:send(packet(0x40, '\0\1'))
        T.eq(p:expect(0xe0), '')
    end, function(client)
        client:on('conack', function()
            local waiter = coroutine.create(function() client:publish('t', 'p', 1, false, { wait = true }) end)
            coroutine.resume(waiter)
            coroutine.close(waiter)
            eco.run(function()
                T.await(function() return not next(client.wait_for_puback) end)
                client:disconnect()
            end)
        end)
        client:run()
        T.eq(next(client.awaited), nil)
    end)
end)

case('requests can be waited for', function()
    with_broker({}, function(p)
        p:greet()
        T.eq(p:expect(0x82), '\0\1\0\1a\1\0\1b\0')
        p:send(packet(0x90, '\0\1\1\x80'))
        T.eq(p:expect(0xa2), '\0\2\0\1a')
        p:send(packet(0xb0, '\0\2'))
        p:expect(0x82)
    end, function(client)
        local done
        client:on('conack', function()
            eco.run(function()
                local results = table.pack(client:subscribe { { topic = 'a', qos = 1 }, 'b', wait = 2 })
                T.eq(results, { n = 1, { { rc = 1, topic = 'a' }, { rc = 128, topic = 'b' } } })
                T.eq(client:unsubscribe { 'a', wait = 2 }, { { rc = 0, topic = 'a' } })
                T.fails('closed', client:subscribe { 'a', wait = true })
                done = true
            end)
        end)
        client:run()
        T.await(function() return done end)
    end)
    local client = mqtt.new()
    T.raises('non-empty', client.subscribe, client, {})
    T.raises('expecting topic #2 to be a non-empty string', client.subscribe, client, { 'a', { qos = 1 } })
    T.raises('need version 5', client.subscribe, client, { { topic = 'a', no_local = true } })
end)

case('the window: messages wait for acknowledgements, senders for room', function()
    with_broker({ max_inflight = 2, max_pending = 3 }, function(p)
        p:greet()
        for number = 1, 2 do
            T.eq(p:expect(0x32), ('\0\1t\0%c%d'):format(number, number))
        end
        T.eq(p:read(0.1), nil)
        p:send(packet(0x40, '\0\2'))
        T.eq(p:expect(0x32), '\0\1t\0\0033')
        p:send(packet(0x40, '\0\1'))
        for number = 4, 6 do
            T.eq(p:expect(0x32), ('\0\1t\0%c%d'):format(number, number))
            p:send(packet(0x40, '\0', string.char(number)))
        end
        p:send(packet(0x40, '\0\3'))
        p:expect(0xe0)
    end, function(client)
        client:on('conack', function()
            for number = 1, 3 do
                assert(client:publish('t', tostring(number), 1))
            end
            -- Who would have to read the acknowledgements cannot wait for them.
            T.fails('too many messages under way', client:publish('t', '4', 1))
            eco.run(function()
                T.fails('timeout', client:publish('t', '4', 1, false, { wait = 0.02 }))
                for number = 4, 6 do
                    assert(client:publish('t', tostring(number), 1))
                end
                T.await(function() return not next(client.wait_for_puback) end)
                client:disconnect()
            end)
        end)
        client:run()
    end)
end)

case('a stream that takes nothing holds senders back, and close ends that', function()
    local sent, ended = 0, nil
    with_broker({}, function(p)
        p:greet()
        T.await(function() return ended end)
    end, function(client)
        local payload = ('x'):rep(100000)
        client:on('conack', function()
            eco.run(function()
                while client:publish('t', payload) do
                    sent = sent + 1
                end
                ended = true
            end)
            eco.run(function()
                local before
                repeat
                    before = sent
                    eco.sleep(0.1)
                until sent == before
                T.eq(ended, nil)
                client:close()
            end)
        end)
        client:run()
        T.await(function() return ended end)
    end)
    assert(sent < 500, sent)
end)

-- ---- keepalive ----------------------------------------------------------------------

case('pings, also while a handler is busy; their answers are seen', function()
    local pings = {}
    with_broker({ ping_timeout = 0.3 }, function(p)
        p:greet()
        p:send(packet(0x30, '\0\1tp'))
        while true do
            local first = p:read(3)
            if first ~= 0xc0 then break end
            pings[#pings + 1] = true
            p:send('\xd0\0')
        end
    end, function(client, events)
        client:on('publish', function()
            -- A fifth of a second between packets.
            client.link:keepalive(0.2)
            eco.sleep(1)
            eco.run(function() client:disconnect() end)
        end)
        client:run()
        T.eq(events, { 'conack 0 false', 'error: closed' })
    end)
    assert(#pings >= 3 or T.slow > 1, #pings)
end)

case('a ping that nobody answers ends the connection', function()
    T.eq(session({ ping_timeout = 0.1, keepalive = 5 }, function(p)
        p:greet()
        p:expect(0xc0, 8)
        -- Any packet would do.
        p:send(packet(0x30, '\0\1tp'))
        p:expect(0xc0, 8)
        T.eq(p:read(5), nil)
    end), { 'conack 0 false', 'publish t p 0', 'error: wait PINGRESP timeout', 'error: canceled' })
end)

-- ---- hostile servers ----------------------------------------------------------------

case('what is malformed ends the connection with the reason', function()
    for _, row in ipairs {
        { '\x30\xff\xff\xff\xff', 'malformed remaining length' },
        { '\x31\xff\xff\xff\x80\x01', 'malformed remaining length' },
        { packet(0x41, '\0\1'), 'malformed PUBACK packet: invalid flags 0x01' },
        { packet(0x60, '\0\1'), 'malformed PUBREL packet: invalid flags 0x00' },
        { packet(0x5f), 'malformed PUBREC packet: invalid flags 0x0f' },
        { packet(0x40, '\0'), 'malformed PUBACK packet: remaining length must be 2' },
        { packet(0x70, '\0\1\0'), 'malformed PUBCOMP packet: remaining length must be 2' },
        { packet(0xb0), 'malformed UNSUBACK packet: remaining length must be 2' },
        { packet(0xd0, '\0'), 'malformed PINGRESP packet: remaining length must be 0' },
        { packet(0x90, '\0\1'), 'malformed SUBACK packet: remaining length must be at least 3' },
        { packet(0x36, '\0\1tx'), 'malformed PUBLISH packet: invalid qos' },
        { packet(0x30), 'malformed PUBLISH packet: missing topic length' },
        { packet(0x30, '\0\0x'), 'malformed PUBLISH packet: empty topic name' },
        { packet(0x30, '\0\9t'), 'malformed PUBLISH packet: truncated topic name' },
        { packet(0x32, '\0\1t'), 'malformed PUBLISH packet: missing packet id' },
        { packet(0x32, '\0\1t\0\0'), 'malformed PUBLISH packet: invalid packet id' },
        { packet(0x30, '\0\2a\0'), 'malformed PUBLISH packet: invalid topic name' },
        { packet(0x30, '\0\1+'), 'malformed PUBLISH packet: invalid topic name' },
    } do
        T.eq(session({}, function(p)
            p:greet()
            p:send(row[1])
            T.eq(p:read(), nil)
        end), { 'conack 0 false', 'error: ' .. row[2] })
    end
end)

case('before CONNACK nothing else may come', function()
    for _, first in ipairs { 0x00, 0x30, 0x40, 0xd0, 0xe0, 0xf0 } do
        T.eq(session({}, function(p)
            p:expect(0x10)
            p:send(string.char(first, 0))
            T.eq(p:read(), nil)
        end), { 'error: expecting CONNACK but received ' .. (first >> 4) })
    end
    T.eq(session({}, function(p)
        p:expect(0x10)
        p:send(packet(0x20, '\0\0\0'))
        T.eq(p:read(), nil)
    end), { 'error: malformed CONNACK packet: remaining length must be 2' })
end)

case('what is odd is told, and the connection goes on', function()
    local events = session({}, function(p)
        p:greet()
        p:send(packet(0x20, '\0\0'))
        for _, first in ipairs { 0x00, 0x10, 0x80, 0xa0, 0xc0, 0xe0, 0xf0 } do
            p:send(string.char(first, 0))
        end
        p:send(packet(0x30, '\0\1tp'))
    end)
    T.eq(events, {
        'conack 0 false', 'error: unexpecting CONNACK received', 'error: unknown packet type 0', 'error: unknown packet type 1',
        'error: unknown packet type 8', 'error: unknown packet type 10', 'error: unknown packet type 12',
        'error: unknown packet type 14', 'error: unknown packet type 15', 'publish t p 0', 'error: closed',
    })
end)

case('truncated at every byte', function()
    local bytes = packet(0x20, '\0\0') .. packet(0x33, '\0\3a/b\0\7payload') .. packet(0x90, '\0\1\0') .. packet(0x62, '\0\7')
    for cut = 0, #bytes do
        local events = session({}, function(p)
            p:expect(0x10)
            p:send(bytes:sub(1, cut))
            -- Not reset: what was sent arrives before the end.
            p.sock:read(100, 0.001)
        end)
        local last = events[#events]
        assert(last == 'error: closed' or last == 'error: network: closed', last)
    end
end)

case('sizes: a lie costs nothing, a limit is kept', function()
    collectgarbage()
    T.eq(session({ max_packet_size = 1000 }, function(p)
        p:greet()
        p:send(packet(0x30, '\0\1t', ('x'):rep(994)))
        p:send(packet(0x30, '\0\1t', ('x'):rep(995)))
        T.eq(p:read(), nil)
    end)[3], 'error: packet too large')
    local before = collectgarbage('count')
    T.eq(session({}, function(p)
        p:greet()
        p:send('\x30\xff\xff\xff\x7f\0\1t')
        eco.sleep(0.05)
    end), { 'conack 0 false', 'error: network: closed' })
    assert(collectgarbage('count') < before + 1000)
    local big = ('x'):rep(3000000)
    local payload
    with_broker({}, function(p)
        p:greet()
        p:send(packet(0x30, '\0\1t', big))
    end, function(client)
        client:on('publish', function(message) payload = message.payload end)
        client:run()
    end)
    assert(payload == big)
end)

case('floods: of acknowledgements, of messages; others have their turn', function()
    local turns, count = 0, 0
    with_broker({}, function(p)
        p:greet()
        local acks = packet(0x40, '\0\1'):rep(5000) .. packet(0x62, '\0\1'):rep(5000)
        local messages = packet(0x30, '\0\1tp'):rep(5000)
        eco.run(function() while p.sock:read(65536) do end end)
        for _ = 1, 5 do
            p:send(acks, messages)
        end
        T.await(function() return count == 25000 end)
    end, function(client)
        local going = true
        eco.run(function()
            while going do
                turns = turns + 1
                eco.sleep(0)
            end
        end)
        client:on('publish', function() count = count + 1 end)
        client:run()
        going = false
    end)
    T.eq(count, 25000)
    assert(turns > 100, turns)
end)

case('a server that takes no answers gets no more of them', function()
    local stalled
    with_broker({}, function(p)
        p.sock:setoption('rcvbuf', 4096)
        p:greet()
        local messages = packet(0x32, '\0\1t\0\1'):rep(20000)
        for _ = 1, 300 do
            local _, err = p.sock:send(messages, 0.5 * T.slow)
            if err then
                stalled = err
                break
            end
        end
        assert(p.sock:read(10000))
    end, function(client)
        client:on('error', function() end)
        eco.run(function()
            T.await(function() return stalled end)
            client:close()
        end)
        client:run()
    end)
    T.eq(stalled, 'timeout')
end)

case('every number at once, never released', function()
    local count = 0
    with_broker({}, function(p)
        p:greet()
        eco.run(function() while p.sock:read(65536) do end end)
        local parts = {}
        for id = 1, 65535 do
            parts[id] = '\x34\5\0\1t' .. pack('>I2', id)
            if id % 5000 == 0 then eco.sleep(0) end
        end
        p:send(table.concat(parts))
        T.await(function() return count == 65535 end)
    end, function(client)
        client:on('publish', function() count = count + 1 end)
        client:run()
        local unreleased = client.wait_for_pubrel
        T.eq({ unreleased[1].seq, unreleased[65535].seq }, { 0, 0 })
    end)
    T.eq(count, 65535)
end)

-- ---- sessions -----------------------------------------------------------------------

case('what was not acknowledged is sent again, where the session is known', function()
    with_broker({}, function(p, number)
        if number == 1 then
            p:greet()
            T.eq(p:expect(0x32), '\0\1t\0\1one')
            T.eq(p:expect(0x34), '\0\1t\0\2two')
            T.eq(p:expect(0x34), '\0\1t\0\3three')
            p:send(packet(0x50, '\0\2'))
            p:expect(0x62)
            p:send(packet(0x34, '\0\1i\0\7in'))
            p:expect(0x50)
        else
            p:greet(true)
            T.eq(p:expect(0x3a), '\0\1t\0\1one')
            T.eq(p:expect(0x62), '\0\2')
            T.eq(p:expect(0x3c), '\0\1t\0\3three')
            -- Delivered before the connection broke.
            p:send(packet(0x3c, '\0\1i\0\7in'))
            T.eq(p:expect(0x50), '\0\7')
            p:send(packet(0x62, '\0\7'))
            T.eq(p:expect(0x70), '\0\7')
        end
    end, function(client, events)
        client:on('conack', function(data)
            if not data.session_present then
                client:publish('t', 'one', 1)
                client:publish('t', 'two', 2)
                client:publish('t', 'three', 2)
            end
        end)
        client:run()
        client:run()
        T.eq(events, { 'publish i in 2', 'error: closed', 'error: closed' })
    end)
end)

case('a lost session: what may not have arrived is sent as new', function()
    with_broker({}, function(p, number)
        p:greet()
        if number == 1 then
            p:expect(0x32)
            p:expect(0x34)
            p:send(packet(0x50, '\0\2'))
            p:expect(0x62)
        else
            T.eq(p:expect(0x32), '\0\1t\0\1one')
            p:send(packet(0x40, '\0\1'))
            T.eq(p:read(0.05), nil)
        end
    end, function(client)
        client:on('conack', function()
            if client.tx_seq == 0 then
                client:publish('t', 'one', 1)
                client:publish('t', 'two', 2)
            end
        end)
        client:run()
        client:run()
        T.eq({ client.wait_for_puback, client.wait_for_pubcomp }, { {}, {} })
    end)
end)

-- ---- connecting again ---------------------------------------------------------------

case('reconnect: sessions, subscriptions and messages come back', function()
    local done
    with_broker({ reconnect = { min = 0.02, max = 0.1 } }, function(p, number)
        if number == 1 then
            p:greet()
            T.eq(p:expect(0x82), '\0\1\0\1a\1')
            p:send(packet(0x90, '\0\1\1'))
            T.eq(p:expect(0x32), '\0\1t\0\2first')
        elseif number == 2 then
            -- Refused in between.
            p:expect(0x10)
            p:send(packet(0x20, '\0\3'))
        elseif number == 3 then
            p:greet(true)
            T.eq(p:expect(0x3a), '\0\1t\0\2first')
            p:send(packet(0x40, '\0\2'))
        else
            p:greet()
            local request = p:expect(0x82)
            T.eq(request:sub(3), '\0\1a\1')
            -- Kept while there was no connection.
            T.eq(p:expect(0x32), '\0\1t\0\3second')
            p:send(packet(0x40, '\0\3'), packet(0x90, request:sub(1, 2), '\1'))
            p:expect(0xe0)
        end
    end, function(client, events)
        local first = true
        client:on('conack', function(data)
            events[#events + 1] = data.rc
            if first then
                first = false
                client:subscribe('a', 1)
                eco.run(function()
                    T.await(function() return next(client.subscriptions) end)
                    assert(client:publish('t', 'first', 1, false, { wait = true }))
                    T.await(function() return not client.connected end)
                    T.fails('unconnected', client:publish('t', 'lost'))
                    assert(client:publish('t', 'second', 1, false, { wait = true }))
                    client:disconnect()
                    done = true
                end)
            end
        end)
        client:run()
        T.await(function() return done end)
        T.eq(events, { 0, 'error: closed', 3, 'error: closed', 0, 'error: closed', 0, 'error: closed' })
    end)
end)

case('reconnect ends by close, also while it waits', function()
    local client = mqtt.new { port = 1, reconnect = { min = 60 } }
    eco.run(function()
        eco.sleep(0.05)
        client:close()
    end)
    T.took(0.04, 2, client.run, client)
end)

-- ---- version 5 ----------------------------------------------------------------------

case('5: CONNECT and CONNACK with properties', function()
    local told
    with_broker({
        version = 5,
        properties = { session_expiry_interval = 60, receive_maximum = 10, user_properties = { { 'a', '1' }, { 'a', '2' } } },
        will = { topic = 'w', payload = 'p', properties = { will_delay_interval = 5, content_type = 'text' } },
        id = '',
    }, function(p)
        T.eq(p:greet(false, '\22' .. '\x12\0\4name' .. '\x21\0\1' .. '\x27\0\0\0\x64' .. '\x26\0\1k\0\1v'),
            '\0\4MQTT\5\4\0\30' .. '\x16' .. '\x11\0\0\0\60' .. '\x21\0\10' .. '\x26\0\1a\0\0011' .. '\x26\0\1a\0\0012'
            .. '\0\0' .. '\x0c' .. '\3\0\4text' .. '\x18\0\0\0\5' .. '\0\1w\0\1p')
        p:expect(0x32)
        -- One at a time.
        T.eq(p:read(0.05), nil)
        p:send(packet(0x40, '\0\1'))
        p:expect(0x32)
    end, function(client)
        client:on('conack', function(data)
            told = data
            T.eq(client.opts.id, 'name')
            T.fails('packet too large', client:publish('t', ('x'):rep(100)))
            client:publish('t', '1', 1)
            client:publish('t', '2', 1)
        end)
        client:run()
    end)
    T.eq(told, {
        rc = 0, reason = 'connection accepted', session_present = false,
        properties = {
            assigned_client_identifier = 'name', receive_maximum = 1, maximum_packet_size = 100,
            user_properties = { { 'k', 'v' } },
        },
    })
end)

case('5: messages with properties, aliases both ways', function()
    local told = {}
    with_broker({ version = 5, topic_aliases = 5, properties = { topic_alias_maximum = 2 } }, function(p)
        p:greet(false, '\3\x22\0\1')
        T.eq(p:expect(0x30), '\0\1t\3\x23\0\1one')
        T.eq(p:expect(0x30), '\0\0\3\x23\0\1two')
        T.eq(p:expect(0x30), '\0\1u\0three')
        T.eq(p:expect(0x32), '\0\1t\0\1\13\8\0\5reply\9\0\2id' .. 'four')
        p:send(packet(0x40, '\0\1\x10'))
        p:send(packet(0x30, '\0\1x\3\x23\0\2a'), packet(0x30, '\0\0\3\x23\0\2b'))
        p:send(packet(0x30, '\0\1y\4\x0b\1\x0b\2c'))
    end, function(client)
        client:on {
            conack = function()
                client:publish('t', 'one')
                client:publish('t', 'two')
                client:publish('u', 'three')
                client:publish('t', 'four', 1, false, { properties = { response_topic = 'reply', correlation_data = 'id' } })
            end,
            publish = function(message) told[#told + 1] = message end,
        }
        client:run()
    end)
    T.eq({ told[1].topic, told[1].payload, told[2].topic, told[2].payload }, { 'x', 'a', 'x', 'b' })
    T.eq(told[1].properties, { topic_alias = 2 })
    T.eq(told[3].properties, { subscription_identifier = { 1, 2 } })
end)

case('5: reasons of failures', function()
    with_broker({ version = 5 }, function(p)
        p:greet(false, '\0')
        p:expect(0x32)
        p:send(packet(0x40, '\0\1\x87'))
        p:expect(0x34)
        p:send(packet(0x50, '\0\2\x97\0'))
        T.eq(p:expect(0x82), '\0\3\2\x0b\7\0\1a\x2d')
        p:send(packet(0x90, '\0\3\0\x87'))
        p:expect(0xa2)
        p:send(packet(0xb0, '\0\4\0\x11'))
        p:send(packet(0xe0, '\x8b\0'))
        T.eq(p:read(), nil)
    end, function(client, events)
        local done
        client:on {
            conack = function()
                eco.run(function()
                    T.fails('not authorised', client:publish('t', 'p', 1, false, { wait = true }))
                    T.fails('quota exceeded', client:publish('t', 'p', 2, false, { wait = true }))
                    T.eq(client:subscribe {
                        { topic = 'a', qos = 1, no_local = true, retain_as_published = true, retain_handling = 2 },
                        properties = { subscription_identifier = 7 }, wait = true,
                    }, { { rc = 0x87, topic = 'a' } })
                    T.eq(client:unsubscribe { 'a', wait = true }, { { rc = 0x11, topic = 'a' } })
                    done = true
                end)
            end,
            disconnect = function(data) events[#events + 1] = data end,
        }
        client:run()
        assert(done)
        T.eq(events, { { rc = 0x8b, reason = 'server shutting down', properties = {} },
            'error: disconnected by the server: server shutting down' })
    end)
end)

case('5: the server learns why the connection ends', function()
    for _, row in ipairs {
        { packet(0x30, '\0\1t\5p'), 'malformed PUBLISH packet: invalid properties', 0x81 },
        { packet(0x30, '\0\1t\3\x23\0\9p'), 'invalid topic alias', 0x94 },
        { packet(0x30, '\0\0\3\x23\0\1p'), 'unknown topic alias', 0x94 },
        { packet(0x30, '\0\0\0p'), 'malformed PUBLISH packet: empty topic name', 0x94 },
        { packet(0x20, '\0\0\0'), 'unexpecting CONNACK received', 0x82 },
        { packet(0x80), 'unknown packet type 8', 0x82 },
        { packet(0x34, '\0\1t\0\1\0') .. packet(0x34, '\0\1t\0\2\0'), 'too many messages that are not released', 0x93 },
    } do
        local events = session({ version = 5, properties = { topic_alias_maximum = 1, receive_maximum = 1 } }, function(p)
            p:greet(false, '\0')
            p:send(row[1])
            local first, body
            repeat first, body = p:read() until first ~= 0x50
            T.eq({ first, body }, { 0xe0, string.char(row[3]) })
        end)
        T.eq(events[#events], 'error: ' .. row[2])
    end
end)

case('5: authentication in steps, disconnecting with a reason', function()
    local steps = {}
    with_broker({ version = 5, properties = { authentication_method = 'x' } }, function(p)
        p:expect(0x10)
        p:send(packet(0xf0, '\x18\9\x15\0\1x\x16\0\2hi'))
        T.eq(p:expect(0xf0), '\x18\9\x15\0\1x\x16\0\2ho')
        p:send(packet(0x20, '\0\0\0'))
        T.eq(p:expect(0xe0), '\4\5\x1f\0\2by')
    end, function(client)
        client:on {
            auth = function(data)
                steps[#steps + 1] = data
                assert(client:auth(0x18, { authentication_method = 'x', authentication_data = 'ho' }))
            end,
            conack = function()
                T.raises('not one of this packet', client.disconnect, client, 4, { topic_alias = 1 })
                T.raises('invalid value of property reason_string', client.auth, client, 4, { reason_string = 1 })
                T.eq(client:disconnect(4, { session_expiry_interval = nil, reason_string = 'by' }), 9)
            end,
        }
        client:run()
    end)
    T.eq(steps, { { rc = 0x18, properties = { authentication_method = 'x', authentication_data = 'hi' } } })
end)

case('5: keep alive of the server', function()
    session({ version = 5 }, function(p)
        p:greet(false, '\3\x13\0\1')
        local start = time.now()
        p:expect(0xc0)
        assert(time.now() - start < 3 * T.slow)
    end)
end)
