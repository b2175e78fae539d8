-- Clients as scripts see them: options, events, requests, connecting and connecting again. Packets are the business of
-- the link, a native object.

local native = ...

local eco = require 'eco'
local sync = require 'eco.sync'
local time = require 'eco.time'

local pack = string.pack

local M = {
    QOS0 = 0,
    QOS1 = 1,
    QOS2 = 2,
    SUBACK_FAILURE = 0x80,
    CONNACK_ACCEPTED = 0,
    CONNACK_REFUSED_PROTOCOL_VERSION = 1,
    CONNACK_REFUSED_IDENTIFIER_REJECTED = 2,
    CONNACK_REFUSED_SERVER_UNAVAILABLE = 3,
    CONNACK_REFUSED_BAD_USER_NAME_OR_PASSWORD = 4,
    CONNACK_REFUSED_NOT_AUTHORIZED = 5,
}

-- Types of packets, with their flags where there are any.
local CONNECT, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 4, 5, 6, 7
local SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH = 8, 10, 14, 15
local WILL = 0

local FULL = 'too many messages under way'

-- ---- options ----------------------------------------------------------------------

local function expecting(ok, name, what)
    if not ok then
        error(('expecting %s to be %s'):format(name, what), 0)
    end
end

local function is_qos(qos)
    return qos == nil or math.type(qos) == 'integer' and qos >= 0 and qos <= 2
end

local function integer(low, high)
    return function(name, value)
        expecting(math.type(value) == 'integer', name, 'an integer')
        if value < low or value > high then
            error(('expecting %s to be an integer from %d to %d'):format(name, low, high), 0)
        end
    end
end

local function seconds(name, value)
    expecting(type(value) == 'number' and value > 0, name, 'a number of seconds')
end

-- Numbers of 3.x came as floats.
local function whole(name, value)
    expecting(math.tointeger(type(value) == 'number' and value), name, 'an integer')
end

local article = { string = 'a string', boolean = 'a boolean', table = 'a table' }

local checks = {
    port = function(name, value)
        expecting(math.type(value) == 'integer', name, 'an integer')
    end,
    mark = whole,
    keepalive = function(name, value)
        whole(name, value)
        if value < 5 then
            error('keepalive cannot be less than 5', 0)
        end
    end,
    will = function(name, will)
        expecting(type(will) == 'table', name, 'a table')
        if will.message ~= nil then
            will.payload = will.message
        end
        expecting(type(will.topic) == 'string', 'will.topic', 'a string')
        expecting(type(will.payload) == 'string', 'will.payload', 'a string')
        expecting(will.retain == nil or type(will.retain) == 'boolean', 'will.retain', 'a boolean')
        expecting(is_qos(will.qos), 'will.qos', '0 or 1 or 2')
    end,
    version = function(name, value)
        expecting(value == 4 or value == 5, name, '4 or 5')
    end,
    reconnect = function(name, value)
        if type(value) == 'table' then
            for _, limit in ipairs { 'min', 'max' } do
                if value[limit] ~= nil then
                    seconds('reconnect.' .. limit, value[limit])
                end
            end
        else
            expecting(type(value) == 'boolean', name, 'a boolean or a table')
        end
    end,
    websocket = function(name, value)
        expecting(type(value) == 'boolean' or type(value) == 'string', name, 'a boolean or a path')
    end,
    max_inflight = integer(1, 65535),
    max_pending = integer(1, 65535),
    max_pending_bytes = integer(1, 0x7fffffff),
    max_packet_size = integer(2, 0x10000004),
    topic_aliases = integer(0, 65535),
    connect_timeout = seconds,
    ping_timeout = seconds,
}

for kind, names in pairs {
    string = 'ipaddr ca cert key device id username password',
    boolean = 'ssl insecure clean_session',
    table = 'properties',
} do
    for name in names:gmatch('%S+') do
        checks[name] = function(_, value)
            expecting(type(value) == kind, name, article[kind])
        end
    end
end

-- Refuses names of options with a slip in them. Sockets and TLS get what they know.
local known
local function refuse(opts, name)
    if not known then
        local names = { require 'eco.socket'._options, 'server_name alpn min_version max_version ciphers ctx tls_timeout timeout' }
        for option in pairs(checks) do
            names[#names + 1] = option
        end
        known = table.concat(names, ' ')
    end
    eco._options(opts, known, 1, name)
end

-- What the link is made with, once.
local fixed = { version = true, max_inflight = true, max_pending = true, max_pending_bytes = true }

local function check(name, value)
    assert(type(name) == 'string', 'assertion failed! names of options are strings')
    local f = checks[name]
    if f and value ~= nil then
        f(name, value)
    end
end

-- ---- events -----------------------------------------------------------------------

local reasons = {
    [0] = 'connection accepted',
    'connection refused: unacceptable protocol version',
    'connection refused: identifier rejected',
    'connection refused: server unavailable',
    'connection refused: bad user name or password',
    'connection refused: not authorised',
}

-- Reason codes of version 5 from 0x80 on.
local failures = {}
for code, text in ([[
80 unspecified error
81 malformed packet
82 protocol error
83 implementation specific error
84 unsupported protocol version
85 client identifier not valid
86 bad user name or password
87 not authorised
88 server unavailable
89 server busy
8a banned
8b server shutting down
8c bad authentication method
8d keep alive timeout
8e session taken over
8f topic filter invalid
90 topic name invalid
91 packet identifier in use
92 packet identifier not found
93 receive maximum exceeded
94 topic alias invalid
95 packet too large
96 message rate too high
97 quota exceeded
98 administrative action
99 payload format invalid
9a retain not supported
9b QoS not supported
9c use another server
9d server moved
9e shared subscriptions not supported
9f connection rate exceeded
a0 maximum connect time
a1 subscription identifiers not supported
a2 wildcard subscriptions not supported
]]):gmatch('(%x+) ([^\n]+)') do
    failures[tonumber(code, 16)] = text
end

local function reason(code)
    return failures[code] or ('reason code 0x%02x'):format(code)
end

local function fire(self, event, data)
    local handler = self.handlers[event]
    if handler then
        handler(data, self)
    end
end

-- ---- writing ----------------------------------------------------------------------

local function broadcast(condition)
    if condition then
        condition:broadcast()
    end
end

local function flush(self)
    local link, ws = self.link, self.ws
    if ws then
        for bytes in link.take, link do
            if not ws:send_binary(bytes) then
                link:cancel(1)
                break
            end
        end
    else
        local ok, err = link:flush()
        if ok == nil then
            link:cancel(err == 'timeout' and 2 or 1)
        end
    end
    self.flushing = false
    broadcast(self.drained)
end

-- Sees to what the stream did not take; when that is much, until it has.
local function see_to(self, much)
    if not self.flushing then
        self.flushing = true
        eco.run(flush, self)
    end
    -- It may have been done at once.
    if much and self.flushing then
        self.drained = self.drained or sync.cond()
        self.drained:wait()
    end
end

local function send(self, first, body)
    local sent, much = self.link:send(first, body)
    if not sent then
        return nil, much
    end
    if much ~= nil then
        see_to(self, much)
    end
    return true
end

local function is_runner(self)
    return coroutine.running() == self.runner
end

-- ---- waiting for answers ----------------------------------------------------------

local forgetting = {
    __close = function(waiter)
        waiter.owner[waiter.key] = nil
        if waiter.link then
            waiter.link:ignore(waiter.key)
        end
    end,
}

-- What waits for owner[key] to be answered: made before anything can come.
local function expect(owner, key, link)
    local waiter = setmetatable({ owner = owner, key = key, link = link, condition = sync.cond() }, forgetting)
    owner[key] = waiter
    return waiter
end

-- Waits for it: the answer, or nil and a message.
local function await(waiter, limit)
    if waiter.answer == nil and not waiter.problem then
        local ok, err = waiter.condition:wait(limit)
        waiter.problem = waiter.problem or not ok and err or 'canceled'
    end
    if waiter.answer ~= nil then
        return waiter.answer
    end
    return nil, waiter.problem
end

local function answer(owner, key, value, problem)
    local waiter = owner[key]
    if waiter then
        waiter.answer, waiter.problem = value, problem
        waiter.condition:signal()
    end
end

-- How long a call's `wait` is: true is for ever.
local function limit_of(self, wait)
    if not wait then
        return
    end
    if is_runner(self) then
        error('a handler of run cannot wait for an answer that run has to read', 0)
    end
    if wait ~= true then
        seconds('wait', wait)
        return wait
    end
end

-- ---- methods ----------------------------------------------------------------------

local methods = {}

function methods:set(name, value)
    check(name, value)
    refuse({ [name] = true }, 'set')
    if fixed[name] and self.link then
        error(name .. ' cannot be changed after the first run', 2)
    end
    self.opts[name], self.session = value, nil
    if name == 'keepalive' and self.connected then
        self.link:keepalive(value or 30)
    end
end

function methods:on(event, ...)
    local count = select('#', ...)
    if count == 0 and type(event) == 'table' then
        for name, handler in pairs(event) do
            self:on(name, handler)
        end
        return
    end
    if count ~= 1 then
        error('invalid args: expected only one or two arguments', 2)
    end
    local handler = ...
    expecting(type(event) == 'string', 'event', 'a string')
    expecting(type(handler) == 'function', 'func', 'a function')
    self.handlers[event] = handler
end

function methods:publish(topic, payload, qos, retain, opts)
    assert(type(topic) == 'string' and type(payload) == 'string')
    assert(retain == nil or type(retain) == 'boolean')
    local link = self.link
    if not self.connected and not (self.keeps and link and qos and qos ~= 0) then
        return native.settle(nil, 'unconnected')
    end
    if not opts then
        local serial, much = link:publish(topic, payload, qos, retain)
        if serial then
            if much ~= nil then
                see_to(self, much)
            end
            return true
        elseif much ~= FULL or is_runner(self) then
            return nil, much
        end
        opts = {}
    end
    local properties, wait = opts.properties, opts.wait
    local limit = limit_of(self, wait)
    local deadline = limit and time.now(true) + limit
    while true do
        local serial, much = link:publish(topic, payload, qos, retain, properties, wait)
        if serial then
            if wait and serial > 0 then
                local waiter<close> = expect(self.awaited, serial, link)
                if much ~= nil then
                    see_to(self, false)
                end
                local code, err = await(waiter, deadline and math.max(deadline - time.now(true), 0.001))
                if not code then
                    return nil, err
                elseif code >= 0x80 then
                    return nil, reason(code)
                end
            elseif much ~= nil then
                see_to(self, much)
            end
            return true
        elseif much ~= FULL or is_runner(self) then
            return nil, much
        end
        -- Others may have run meanwhile.
        if not link:room() then
            self.room = self.room or sync.cond()
            local ok, err = self.room:wait(deadline and math.max(deadline - time.now(true), 0.001))
            if not ok then
                return nil, err
            end
        end
        if not self.connected and not self.keeps then
            return native.settle(nil, 'unconnected')
        end
    end
end

local function variable(number)
    local text = ''
    while number >= 0x80 do
        text, number = text .. string.char(number & 0x7f | 0x80), number >> 7
    end
    return text .. string.char(number)
end

-- The bytes of properties behind their length, where the version has them.
local function properties_of(self, properties, place)
    if self.version == 5 then
        local bytes = self.link:properties(properties, place)
        return variable(#bytes) .. bytes
    end
    return ''
end

local function options_of(filter)
    if type(filter) ~= 'table' then
        return filter or 0
    end
    return (filter.qos or 0) | (filter.no_local and 4 or 0) | (filter.retain_as_published and 8 or 0)
        | (filter.retain_handling or 0) << 4
end

-- Sends a request about topics; their options are in a second list.
local function request(self, kind, topics, options, opts)
    if not self.connected then
        return native.settle(nil, 'unconnected')
    end
    local limit = limit_of(self, opts.wait)
    local properties = properties_of(self, opts.properties, kind == SUBSCRIBE and SUBSCRIBE or UNSUBSCRIBE)
    local id, serial = self.link:request()
    if not id then
        return nil, serial
    end
    local parts = { pack('>I2', id), properties }
    for place, topic in ipairs(topics) do
        parts[#parts + 1] = pack('>s2', topic)
        if options then
            parts[#parts + 1] = string.char(options[place])
        end
    end
    local entry = { seq = serial, topics = topics, options = options, kind = kind, properties = opts.properties }
    entry.answers = {}
    self.requests[id] = entry
    local waiter<close> = expect(entry.answers, 1)
    local ok, err = send(self, kind << 4 | 2, table.concat(parts))
    if not ok then
        self.requests[id] = nil
        self.link:answered(id)
        return nil, err
    end
    if not opts.wait then
        return true
    end
    return await(waiter, limit)
end

local function check_topics(topics, what)
    for place, topic in ipairs(topics) do
        local name = place == 1 and what or what .. ' #' .. place
        if type(topic) ~= 'string' or topic == '' then
            error(('expecting %s to be a non-empty string'):format(name), 0)
        end
    end
    for place, topic in ipairs(topics) do
        if #topic <= 65535 and native.is_filter(topic) == false or #topic > 65535 then
            error(('expecting %s to be a valid topic filter'):format(place == 1 and what or what .. ' #' .. place), 0)
        end
    end
end

-- subscribe { 'topic', { topic = 'other', qos = 1, no_local = true }, properties = { … }, wait = 5 }
local function listed(self, kind, list)
    local topics, options = {}, {}
    for place, filter in ipairs(list) do
        if type(filter) == 'table' then
            expecting(is_qos(filter.qos), 'qos #' .. place, '0 or 1 or 2')
            local handling = filter.retain_handling or 0
            expecting(is_qos(handling), 'retain_handling', '0 or 1 or 2')
            topics[place], options[place] = filter.topic or false, options_of(filter)
            if self.version ~= 5 and options[place] > 2 then
                error('options of subscriptions need version 5', 0)
            end
        else
            topics[place], options[place] = filter, 0
        end
    end
    if #topics == 0 then
        error('expecting topic to be a non-empty string', 0)
    end
    check_topics(topics, 'topic')
    return request(self, kind, topics, kind == SUBSCRIBE and options or nil, list)
end

function methods:subscribe(topic, qos, ...)
    if type(topic) == 'table' then
        return listed(self, SUBSCRIBE, topic)
    end
    local count = select('#', ...)
    local topics, options = { topic or false }, { qos or 0 }
    check_topics(topics, 'topic')
    expecting(is_qos(qos), 'qos', '0 or 1 or 2')
    if count % 2 ~= 0 then
        error('expecting topic and qos to appear in pairs', 2)
    end
    local more = { ... }
    for place = 1, count // 2 do
        local name, level = more[place * 2 - 1], more[place * 2]
        if type(name) ~= 'string' or name == '' then
            error(('expecting topic #%d to be a non-empty string'):format(place + 1), 2)
        end
        expecting(is_qos(level), 'qos #' .. place + 1, '0 or 1 or 2')
        topics[place + 1], options[place + 1] = name, level or 0
    end
    check_topics(topics, 'topic')
    return request(self, SUBSCRIBE, topics, options, {})
end

function methods:unsubscribe(topic, ...)
    if type(topic) == 'table' then
        return listed(self, UNSUBSCRIBE, topic)
    end
    local topics = { topic or false, ... }
    for place = 1, select('#', ...) do
        topics[place + 1] = topics[place + 1] or false
    end
    check_topics(topics, 'topic')
    return request(self, UNSUBSCRIBE, topics, nil, {})
end

-- The end of a packet that may leave both out.
local function notice(self, code, properties, place)
    if self.version ~= 5 or not code and not properties then
        return ''
    end
    return string.char(code or 0) .. properties_of(self, properties, place)
end

function methods:disconnect(code, properties)
    self.stopped = true
    if not self.connected then
        broadcast(self.pause)
        if self.keeps then
            broadcast(self.dialling)
        end
        return native.settle(true)
    end
    local body = notice(self, code, properties, DISCONNECT)
    local ok, err = send(self, DISCONNECT << 4, body)
    if not ok then
        return nil, err
    end
    return 2 + #body
end

function methods:auth(code, properties)
    if self.version ~= 5 then
        error('authentication exchanges need version 5', 2)
    elseif not self.sock then
        return native.settle(nil, 'unconnected')
    end
    return send(self, AUTH << 4, notice(self, code, properties, AUTH))
end

function methods:close()
    self.stopped, self.closed = true, true
    broadcast(self.pause)
    broadcast(self.dialling)
    if self.sock then
        self.link:cancel()
        self.sock:close()
    end
end

-- ---- connections ------------------------------------------------------------------

-- The body of CONNECT.
local function greeting(self)
    local opts = self.opts
    local version = self.version
    if not opts.id then
        opts.id = ('lua-eco-%07x'):format(math.random(0, 0xfffffff))
    end
    local will = opts.will
    local flags = (opts.clean_session and 2 or 0) | (opts.password and 0x40 or 0) | (opts.username and 0x80 or 0)
    local parts = { pack('>s2', opts.id) }
    if will then
        flags = flags | 4 | (will.qos or 0) << 3 | (will.retain and 0x20 or 0)
        if not native.is_name(will.topic) then
            error('expecting will.topic to be a valid topic name', 0)
        end
        parts[2] = properties_of(self, will.properties, WILL)
        parts[3] = pack('>s2s2', will.topic, will.payload)
    end
    for _, name in ipairs { 'username', 'password' } do
        if opts[name] then
            parts[#parts + 1] = pack('>s2', opts[name])
        end
    end
    local keepalive = math.tointeger(opts.keepalive or 30)
    return pack('>s2BBI2', 'MQTT', version, flags, keepalive) .. properties_of(self, opts.properties, CONNECT)
        .. table.concat(parts)
end

-- Bytes of a WebSocket that nobody has looked at: more are not read meanwhile.
local MUCH = 65536

-- Reads a WebSocket: packets begin and end anywhere in its messages.
local function pump(self, ws)
    local link = self.link
    while self.ws == ws do
        local data, kind = ws:recv()
        if self.ws ~= ws then
            return
        end
        local held = link:feed(kind == 'binary' and data or nil)
        if kind ~= 'binary' or not held then
            return link:feed()
        end
        while held > MUCH and self.ws == ws do
            self.hungry = self.hungry or sync.cond()
            self.hungry:wait()
            held = self.ws == ws and link:feed '' or 0
        end
    end
end

-- A WebSocket to the server and the stream it is over, or nil and a message.
local function dial_websocket(opts, host, port)
    local found, websocket = pcall(require, 'eco.websocket')
    if not found then
        return nil, 'WebSockets need the package lua-eco-websocket'
    end
    local path = opts.websocket == true and '/mqtt' or opts.websocket
    opts.protocols, opts.max_payload_len = 'mqtt', opts.max_packet_size or 0x10000004
    opts.max_message_len = opts.max_payload_len
    local ws, err = websocket.connect(('%s://%s:%d%s'):format(opts.ssl and 'wss' or 'ws',
        host:find(':', 1, true) and '[' .. host .. ']' or host, port, path), opts)
    if not ws then
        return nil, err
    elseif ws.protocol ~= 'mqtt' then
        ws.sock:close()
        return nil, 'the server does not speak MQTT over WebSockets'
    end
    return ws.sock, ws
end

-- A stream to the server, and the WebSocket over it, if that was asked for; or nil and a message.
local function dial(self)
    local opts = {}
    for name, value in pairs(self.opts) do
        opts[name] = value
    end
    opts.session = self.session or opts.session
    local host = opts.ipaddr or '127.0.0.1'
    local port = opts.port or opts.ssl and 8883 or 1883
    if opts.websocket then
        return dial_websocket(opts, host, port)
    end
    if opts.ssl then
        local found, ssl = pcall(require, 'eco.ssl')
        if not found then
            return nil, 'TLS needs the package lua-eco-ssl'
        end
        return ssl.connect(host, port, opts)
    end
    return require 'eco.socket'.connect_tcp(host, port, opts)
end

local giving_up = {
    __close = function(attempt)
        attempt.client.dialling = nil
        if attempt.run then
            coroutine.close(attempt.run)
        end
        if attempt.stream then
            attempt.stream:close()
        end
    end,
}

-- The same, in a coroutine of its own: `close` does not wait for what takes long.
local function dial_until_closed(self)
    local over = sync.cond()
    local attempt<close> = setmetatable({ client = self }, giving_up)
    local done, stream, ws
    self.dialling = over
    attempt.run = eco.run(function()
        done, stream, ws = pcall(dial, self)
        attempt.stream = done and stream or nil
        over:signal()
    end)
    if done == nil then
        over:wait()
    else
        native.settle()
    end
    attempt.stream = nil
    if done == false then
        error(stream, 0)
    elseif not done then
        return nil, 'canceled'
    end
    return stream, ws
end

-- The link outlives connections: it keeps what is not acknowledged.
local function link_of(self)
    local opts = self.opts
    if not self.link then
        local properties = opts.version == 5 and opts.properties or {}
        self.version = opts.version or 4
        -- A server of version 5 says how many it takes; brokers of version 4 that limit it take 20.
        self.link = native.link(self.version, opts.max_inflight or self.version == 5 and 100 or 20, opts.max_pending or 1000,
            opts.max_pending_bytes or 0x100000, properties.receive_maximum or 65535)
    end
    return self.link
end

local ending = {
    __close = function(guard)
        local self = guard.client
        self.connected = false
        self.link:detach()
        if self.sock then
            self.sock:close()
            self.sock, self.ws = nil, nil
        end
        broadcast(self.hungry)
        self.flushing = false
        broadcast(self.drained)
        broadcast(self.room)
        for id, entry in pairs(self.requests) do
            answer(entry.answers, 1, nil, 'closed')
            self.requests[id] = nil
        end
        if not self.keeps then
            for serial in pairs(self.awaited) do
                answer(self.awaited, serial, nil, 'closed')
            end
        end
    end,
}

-- Asks again for what was subscribed to.
local function restore(self)
    for topic, subscription in pairs(self.subscriptions) do
        request(self, SUBSCRIBE, { topic }, { subscription.options }, { properties = subscription.properties })
    end
end

local receivers = {}

function receivers.publish(self, message)
    fire(self, 'publish', message)
end

function receivers.conack(self, rc, present, properties)
    local text = reasons[rc] or self.version == 5 and 'connection refused: ' .. reason(rc)
        or 'connection refused: unknown reason code ' .. rc
    if rc == 0 then
        self.connected, self.accepted = true, true
        if self.opts.ssl then
            -- The next handshake is shorter.
            self.session = self.sock:session() or self.session
        end
        if properties and properties.assigned_client_identifier then
            self.opts.id = properties.assigned_client_identifier
        end
        -- Who hears the messages comes before them.
        if not present and self.keeps then
            restore(self)
        end
        local resumed, much = self.link:resume(present)
        if not resumed then
            fire(self, 'error', much)
        elseif much ~= nil then
            see_to(self, false)
        end
        broadcast(self.room)
    end
    fire(self, 'conack', { rc = rc, reason = text, session_present = present, properties = properties })
end

function receivers.suback(self, id, codes, properties)
    local entry = self.requests[id]
    self.requests[id] = nil
    local problem
    if not entry or #codes ~= #entry.topics then
        problem = ('SUBACK return code count mismatch: expecting %d, got %d'):format(entry and #entry.topics or 0, #codes)
    end
    local results = {}
    for place, topic in ipairs(not problem and entry.topics or {}) do
        local rc = codes:byte(place)
        if self.version == 4 and rc > 2 and rc ~= 0x80 then
            problem = ('SUBACK for topic "%s" with invalid return code %d'):format(topic, rc)
            break
        end
        results[place] = { rc = rc, topic = topic }
    end
    local answers = entry and entry.answers or {}
    if problem then
        answer(answers, 1, nil, problem)
        fire(self, 'error', problem)
        return
    end
    for place, result in ipairs(results) do
        if result.rc < 0x80 then
            self.subscriptions[result.topic] = { options = entry.options[place], properties = entry.properties }
        end
    end
    answer(answers, 1, results)
    fire(self, 'suback', { results = results, rc = results[1].rc, topic = results[1].topic, properties = properties })
end

function receivers.unsuback(self, id, codes)
    local entry = self.requests[id]
    self.requests[id] = nil
    if not entry then
        return
    end
    local results = {}
    for place, topic in ipairs(entry.topics) do
        results[place] = { rc = codes:byte(place) or 0, topic = topic }
        self.subscriptions[topic] = nil
    end
    answer(entry.answers, 1, results)
    for _, topic in ipairs(entry.topics) do
        fire(self, 'unsuback', topic)
    end
end

receivers['end'] = function(self, serial, code)
    answer(self.awaited, serial, code)
end

function receivers.room(self)
    broadcast(self.room)
end

function receivers.flush(self, much)
    see_to(self, much)
    if self.ws then
        eco.yield()
    end
end

function receivers.error(self, text)
    fire(self, 'error', text)
end

function receivers.auth(self, rc, properties)
    fire(self, 'auth', { rc = rc, properties = properties })
end

-- One connection; whether the server accepted it.
local function connection(self)
    local opts = self.opts
    local link = link_of(self)
    local body = greeting(self)
    self.accepted = false
    local stream, err = dial_until_closed(self)
    if not stream then
        fire(self, 'error', (err == 'canceled' and '' or 'network: ') .. err)
        return
    end
    self.sock, self.ws = stream, opts.websocket and err or nil
    local guard<close> = setmetatable({ client = self }, ending)
    if self.closed or self.stopped and self.keeps then
        fire(self, 'error', 'canceled')
        return
    end
    link:attach(not self.ws and stream.rd or nil, stream.wr, opts.connect_timeout or 3, opts.ping_timeout or 3, opts.max_packet_size or 0x10000004)
    link:keepalive(opts.keepalive or 30)
    if self.version == 5 then
        link:most_aliases(opts.topic_aliases or 0, opts.properties and opts.properties.topic_alias_maximum or 0)
    end
    if self.ws then
        eco.run(pump, self, self.ws)
    end
    local sent
    sent, err = send(self, CONNECT << 4, body)
    if not sent then
        fire(self, 'error', err)
        return
    end
    local receive = link.receive
    while true do
        local what, a, b, c = receive(link)
        if self.hungry then
            self.hungry:broadcast()
        end
        if what == 'publish' then
            fire(self, 'publish', a)
        elseif what == 'disconnect' then
            fire(self, 'disconnect', { rc = a, reason = a == 0 and 'normal disconnection' or reason(a), properties = b })
            fire(self, 'error', 'disconnected by the server: ' .. (a == 0 and 'normal disconnection' or reason(a)))
            return
        elseif what then
            receivers[what](self, a, b, c)
        else
            fire(self, 'error', a)
            if a == 'wait CONACK timeout' or a == 'wait PINGRESP timeout' then
                fire(self, 'error', 'canceled')
            end
            return
        end
    end
end

local running = {
    __close = function(guard)
        local self = guard.client
        self.runner, self.keeps = nil, nil
        for serial in pairs(self.awaited) do
            answer(self.awaited, serial, nil, 'closed')
        end
        broadcast(self.room)
    end,
}

function methods:run()
    if self.runner then
        error('the client runs already', 2)
    end
    self.runner = coroutine.running()
    self.stopped, self.closed = false, false
    local reconnect = self.opts.reconnect
    self.keeps = reconnect and true or nil
    local guard<close> = setmetatable({ client = self }, running)
    local low = type(reconnect) == 'table' and reconnect.min or 1
    local high = type(reconnect) == 'table' and reconnect.max or 120
    local pause = low
    while true do
        connection(self)
        if not reconnect or self.stopped then
            return
        end
        if self.accepted then
            pause = low
        end
        -- A fleet must not come back at one moment.
        self.pause = self.pause or sync.cond()
        self.pause:wait(pause * (0.5 + math.random() / 2))
        if self.stopped then
            return
        end
        pause = math.min(pause * 2, high)
    end
end

-- ---- clients ----------------------------------------------------------------------

local waits = { wait_for_puback = PUBACK, wait_for_pubrec = PUBREC, wait_for_pubrel = PUBREL, wait_for_pubcomp = PUBCOMP }
local asks = { wait_for_suback = SUBSCRIBE, wait_for_unsuback = UNSUBSCRIBE }

-- What is under way, as tables by numbers of packets.
local function view(self, name)
    local entries = {}
    if waits[name] then
        for id, serial in pairs(self.link and self.link:waiting(waits[name]) or {}) do
            entries[id] = { seq = serial }
        end
    elseif asks[name] then
        for id, entry in pairs(self.requests) do
            if entry.kind == asks[name] then
                entries[id] = entry
            end
        end
    elseif name == 'mid' or name == 'tx_seq' then
        local id, serial = 0, 0
        if self.link then
            id, serial = self.link:last()
        end
        return name == 'mid' and id or serial
    else
        return nil
    end
    return entries
end

local metatable = eco._kind({
    __index = function(self, name)
        return methods[name] or view(self, name)
    end,
}, 'eco.mqtt', function(self)
    return ('%s, %s'):format(self.opts.ipaddr or '127.0.0.1', self.connected and 'connected' or 'not connected')
end)

function M.new(opts)
    opts = opts == nil and {} or opts
    expecting(type(opts) == 'table', 'opts', 'a table')
    refuse(opts, 'new')
    for name, value in pairs(opts) do
        check(name, value)
    end
    return setmetatable({
        opts = opts,
        handlers = {},
        requests = {},
        awaited = {},
        subscriptions = {},
    }, metatable)
end

return M
