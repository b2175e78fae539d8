-- `eco.mqtt` with Mosquitto and its clients: both versions, sessions, broken connections, restarts of the broker.

local eco = require 'eco'
local file = require 'eco.file'
local mqtt = require 'eco.mqtt'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

local MOSQUITTO = '/usr/sbin/mosquitto'
assert(file.access(MOSQUITTO, 'x'))

-- A broker of the case's own; f(port, broker) may stop and start it.
local function with_mosquitto(settings, f)
    local port = T.free_port()
    local conf = T.path('mosquitto.conf')
    assert(file.writefile(conf, ('listener %d 127.0.0.1\nlog_type error\nuser root\n%s\n'):format(port, settings)))
    local broker = {}
    function broker.start()
        broker.process = assert(sys.exec(MOSQUITTO, '-c', conf))
        T.await(function()
            local probe = socket.connect_tcp('127.0.0.1', port)
            return probe and (probe:close() or true)
        end)
    end
    function broker.stop()
        broker.process:stop(10)
        broker.process:close()
    end
    broker.start()
    local ok, err = xpcall(f, debug.traceback, port, broker)
    broker.stop()
    if not ok then error(err, 0) end
end

local OPEN = 'allow_anonymous true'

-- Runs a client as a coroutine until f(client) has ended.
local function with_client(options, f)
    options.ipaddr = options.ipaddr or '127.0.0.1'
    local client = mqtt.new(options)
    client.messages, client.problems = {}, {}
    client:on {
        publish = function(message) table.insert(client.messages, message) end,
        error = function(text) table.insert(client.problems, text) end,
    }
    local group = T.gather()
    group:run(client.run, client)
    T.await(function() return client.connected end)
    local ok, err = xpcall(f, debug.traceback, client)
    client:close()
    group:wait()
    if not ok then error(err, 0) end
end

local function command(...)
    local process = assert(sys.exec(...))
    local output = process:read_stdout('a', 30)
    local errors = process:read_stderr('a', 30)
    local _, status = assert(process:wait(30))
    process:close()
    return output, errors, status.status
end

local function payloads(client)
    local list = {}
    for place, message in ipairs(client.messages) do
        list[place] = message.payload
    end
    return list
end

for _, version in ipairs { 4, 5 } do
    local name = version == 4 and '3.1.1' or '5'
    local word = version == 4 and 'mqttv311' or 'mqttv5'

    case(name .. ': from and to the programs, in every quality of service', function()
        with_mosquitto(OPEN, function(port)
            with_client({ port = port, version = version, clean_session = true }, function(client)
                T.eq(#client:subscribe { { topic = 'in/#', qos = 2 }, wait = 5 }, 1)
                local sub = assert(sys.exec('mosquitto_sub', '-p', tostring(port), '-V', word, '-t', 'out/#', '-q', '2', '-C', '4',
                    '-W', '20', '-F', '%t %q %p'))
                -- Until it is there.
                T.await(function()
                    assert(client:publish('out/probe', 'probe', 1, true, { wait = 5 }))
                    return true
                end)
                for qos = 0, 2 do
                    local _, errors, status = command('mosquitto_pub', '-p', tostring(port), '-V', word, '-t', 'in/' .. qos,
                        '-m', 'message ' .. qos, '-q', tostring(qos))
                    T.eq({ errors, status }, { '', 0 })
                end
                T.await(function() return #client.messages == 3 end)
                for place, message in ipairs(client.messages) do
                    local qos = place - 1
                    T.eq({ message.topic, message.payload, message.qos, message.dup, message.retain },
                        { 'in/' .. qos, 'message ' .. qos, qos, false, false })
                end
                local first = sub:read_stdout('l', 20)
                T.eq(first, 'out/probe 1 probe')
                for qos = 0, 2 do
                    T.eq(client:publish('out/' .. qos, 'answer', qos, false, { wait = 5 }), true)
                    T.eq(sub:read_stdout('l', 20), ('out/%d %d answer'):format(qos, qos))
                end
                sub:wait(20)
                sub:close()
            end)
        end)
    end)

    case(name .. ': retained messages and the will', function()
        with_mosquitto(OPEN, function(port)
            with_client({ port = port, version = version, id = 'watcher', clean_session = true }, function(watcher)
                watcher:subscribe { { topic = '#', qos = 1 }, wait = 5 }
                with_client({
                    port = port, version = version, id = 'mortal', clean_session = true,
                    will = { topic = 'will', payload = 'gone', qos = 1, retain = true },
                }, function(mortal)
                    assert(mortal:publish('kept', 'value', 1, true, { wait = 5 }))
                end)
                T.await(function() return #watcher.messages == 2 end)
                T.eq(payloads(watcher), { 'value', 'gone' })
            end)
            with_client({ port = port, version = version, id = 'late', clean_session = true }, function(late)
                late:subscribe { 'kept', 'will', wait = 5 }
                T.await(function() return #late.messages == 2 end)
                T.eq({ late.messages[1].retain, late.messages[2].retain }, { true, true })
            end)
            -- With a farewell there is no will.
            with_client({ port = port, version = version, id = 'watcher', clean_session = true }, function(watcher)
                watcher:subscribe { 'other', wait = 5 }
                with_client({ port = port, version = version, will = { topic = 'other', payload = 'gone' }, clean_session = true },
                    function(mortal)
                        mortal:disconnect()
                        T.await(function() return not mortal.connected end)
                    end)
                watcher:publish('other', 'end')
                T.await(function() return #watcher.messages > 0 end)
                T.eq(payloads(watcher), { 'end' })
            end)
        end)
    end)

    case(name .. ': names and passwords', function()
        local path = T.path('passwords')
        T.eq({ command('mosquitto_passwd', '-b', '-c', path, 'user', 'secret') }, { '', '', 0 })
        with_mosquitto('allow_anonymous false\npassword_file ' .. path, function(port)
            with_client({ port = port, version = version, username = 'user', password = 'secret' }, function() end)
            local told
            local client = mqtt.new { port = port, version = version, username = 'user', password = 'wrong' }
            client:on('conack', function(data) told = data end)
            client:run()
            T.eq(told.rc, version == 4 and 5 or 0x87)
            T.eq(told.reason, version == 4 and 'connection refused: not authorised' or 'connection refused: not authorised')
        end)
    end)

    case(name .. ': a session outlives the connection', function()
        with_mosquitto(OPEN, function(port)
            local options = { port = port, version = version, id = 'sleeper' }
            if version == 5 then
                options.properties = { session_expiry_interval = 600 }
            end
            with_client(options, function(client)
                client:subscribe { { topic = 'mail', qos = 2 }, wait = 5 }
            end)
            for number = 1, 3 do
                T.eq(select(3, command('mosquitto_pub', '-p', tostring(port), '-t', 'mail', '-m', 'letter ' .. number, '-q',
                    tostring(number - 1))), 0)
            end
            with_client(options, function(client)
                T.await(function() return #client.messages == 2 end)
                T.eq(payloads(client), { 'letter 2', 'letter 3' })
            end)
        end)
    end)

    case(name .. ': connections that break after every so many bytes: exactly once both ways', function()
        with_mosquitto(OPEN .. '\nmax_queued_messages 0', function(port)
            -- A proxy that ends connections in the middle of anything.
            local listener = assert(socket.listen_tcp('127.0.0.1', 0))
            local proxied = listener:getsockname().port
            local calm, cuts, group = false, 0, T.gather()
            local function forward(from, to, budget)
                while true do
                    local data = from:read(calm and 4096 or math.max(1, math.min(budget.left, 4096)))
                    if not data then break end
                    budget.left = budget.left - #data
                    if not to:send(data) then break end
                    if budget.left <= 0 and not calm then
                        cuts = cuts + 1
                        break
                    end
                end
                from:close()
                to:close()
            end
            eco.run(function()
                local size = 60
                while true do
                    local client = listener:accept()
                    if not client then return end
                    local server = assert(socket.connect_tcp('127.0.0.1', port))
                    size = size % 101 + 67
                    local budget = { left = size }
                    group:run(forward, client, server, budget)
                    group:run(forward, server, client, budget)
                end
            end)
            local count = 40
            local options = { port = proxied, version = version, id = 'broken', reconnect = { min = 0.002, max = 0.01 } }
            if version == 5 then
                options.properties = { session_expiry_interval = 600 }
            end
            with_client({ port = port, version = version, id = 'steady', clean_session = true }, function(steady)
                steady:subscribe { { topic = 'out', qos = 2 }, wait = 5 }
                with_client(options, function(broken)
                    while not broken:subscribe { { topic = 'in', qos = 2 }, wait = 1 } do
                        eco.sleep(0.01)
                    end
                    T.all(function()
                        for number = 1, count do
                            assert(broken:publish('out', 'out ' .. number, 2, false, { wait = 30 }))
                        end
                    end, function()
                        for number = 1, count do
                            assert(steady:publish('in', 'in ' .. number, 2, false, { wait = 30 }))
                            eco.sleep(0.005)
                        end
                    end)
                    -- Connections that short bring a message now and then: each has its time.
                    for number = 1, count do
                        T.await(function() return #steady.messages >= number and #broken.messages >= number end)
                    end
                    calm = true
                    eco.sleep(0.1)
                    for number = 1, count do
                        T.eq(broken.messages[number].payload, 'in ' .. number)
                        T.eq(steady.messages[number].payload, 'out ' .. number)
                    end
                    T.eq({ #steady.messages, #broken.messages }, { count, count })
                    assert(cuts > 15, cuts)
                end)
            end)
            listener:close()
            group:wait()
        end)
    end)

    case(name .. ': the broker restarts', function()
        with_mosquitto(OPEN .. '\npersistence true\npersistence_location ' .. T.scratch .. '/', function(port, broker)
            local options = { port = port, version = version, id = 'stayer', reconnect = { min = 0.02, max = 0.1 } }
            with_client(options, function(client)
                client:subscribe { { topic = 'x', qos = 1 }, wait = 5 }
                broker.stop()
                T.await(function() return not client.connected end)
                local sent
                eco.run(function()
                    sent = client:publish('x', 'while it was gone', 1, false, { wait = 20 })
                end)
                broker.start()
                T.await(function() return sent end)
                T.await(function() return #client.messages == 1 end)
                T.eq(payloads(client), { 'while it was gone' })
            end)
        end)
    end)

    case(name .. ': large messages and many', function()
        with_mosquitto(OPEN .. '\nmax_queued_messages 0', function(port)
            with_client({ port = port, version = version, clean_session = true }, function(client)
                client:subscribe { { topic = 't', qos = 2 }, wait = 5 }
                local big = ('0123456789abcdef'):rep(100000)
                assert(client:publish('t', big, 2, false, { wait = 20 }))
                T.await(function() return #client.messages == 1 end)
                assert(client.messages[1].payload == big)
                for number = 1, 3000 do
                    assert(client:publish('t', tostring(number), number % 3))
                end
                T.await(function() return #client.messages == 3001 end)
            end)
        end)
    end)
end

case('5: shared subscriptions, requests and responses, expiry, limits of the broker', function()
    with_mosquitto(OPEN .. '\nmax_inflight_messages 3\nmax_packet_size 2000\nmax_qos 2', function(port)
        local function options(id)
            return { port = port, version = 5, id = id, clean_session = true }
        end
        with_client(options 'one', function(one)
            with_client(options 'two', function(two)
                with_client(options 'asker', function(asker)
                    for _, worker in ipairs { one, two } do
                        worker:on('publish', function(message)
                            table.insert(worker.messages, message)
                            local properties = message.properties
                            worker:publish(properties.response_topic, message.payload:upper(), 1, false,
                                { properties = { correlation_data = properties.correlation_data } })
                        end)
                        worker:subscribe { { topic = '$share/workers/jobs', qos = 1 }, wait = 5 }
                    end
                    asker:subscribe { { topic = 'answers', qos = 1 }, properties = { subscription_identifier = 9 }, wait = 5 }
                    for number = 1, 20 do
                        assert(asker:publish('jobs', 'job ' .. number, 1, false, { wait = 5, properties = {
                            response_topic = 'answers', correlation_data = tostring(number),
                            user_properties = { from = 'asker' }, message_expiry_interval = 60,
                        } }))
                    end
                    T.await(function() return #asker.messages == 20 end)
                    local seen = {}
                    for _, message in ipairs(asker.messages) do
                        T.eq(message.payload, 'JOB ' .. message.properties.correlation_data)
                        T.eq(message.properties.subscription_identifier, { 9 })
                        seen[message.properties.correlation_data] = true
                    end
                    T.eq(#one.messages + #two.messages, 20)
                    assert(#one.messages > 0 and #two.messages > 0)
                    T.eq(one.messages[1].properties.user_properties, { { 'from', 'asker' } })
                    T.fails('packet too large', asker:publish('jobs', ('x'):rep(3000), 1))
                    -- Nobody subscribed to it.
                    T.eq(asker:publish('nobody', 'x', 1, false, { wait = 5 }), true)
                end)
            end)
        end)
    end)
end)

case('over a WebSocket', function()
    local port = T.free_port()
    with_mosquitto(('listener %d 127.0.0.1\nprotocol websockets\n'):format(port) .. OPEN, function()
        T.await(function()
            local probe = socket.connect_tcp('127.0.0.1', port)
            return probe and (probe:close() or true)
        end)
        for _, version in ipairs { 4, 5 } do
            with_client({ port = port, version = version, websocket = true, clean_session = true }, function(client)
                client:subscribe { { topic = 't', qos = 2 }, wait = 5 }
                -- This broker writes 4 KB each tenth of a second.
                local big = ('0123456789abcdef'):rep(1000)
                for qos = 0, 2 do
                    assert(client:publish('t', big .. qos, qos, false, { wait = 5 }))
                end
                T.await(function() return #client.messages == 3 end)
                for number = 1, 20 do
                    assert(client:publish('t', tostring(number), number % 3))
                end
                T.await(function() return #client.messages == 23 end)
                assert(client.messages[3].payload == big .. 2)
            end)
        end
        local problems = {}
        local client = mqtt.new { port = port, websocket = true }
        client:on {
            error = function(text) table.insert(problems, text) end,
            conack = function() client:disconnect() end,
        }
        client:run()
        T.eq(problems, { 'closed' })
    end)
end)

local function certificate()
    local cert, key = T.path('cert.pem'), T.path('key.pem')
    local _, errors, status = command('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-nodes', '-days', '30', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert)
    assert(status == 0, errors)
    return cert, key
end

case('over TLS, plain and in a WebSocket', function()
    require 'eco.ssl'
    local cert, key = certificate()
    local tls = ('certfile %s\nkeyfile %s\n'):format(cert, key)
    local ports = { T.free_port(), T.free_port() }
    with_mosquitto(OPEN .. ('\nlistener %d 127.0.0.1\n%slistener %d 127.0.0.1\nprotocol websockets\n%s'):format(ports[1], tls,
        ports[2], tls), function()
        for place, port in ipairs(ports) do
            T.await(function()
                local probe = socket.connect_tcp('127.0.0.1', port)
                return probe and (probe:close() or true)
            end)
            local options = { port = port, ssl = true, ca = cert, websocket = place == 2, clean_session = true, version = 5 }
            with_client(options, function(client)
                client:subscribe { { topic = 't', qos = 2 }, wait = 5 }
                local big = ('0123456789abcdef'):rep(place == 1 and 60000 or 500)
                for qos = 0, 2 do
                    assert(client:publish('t', big .. qos, qos, false, { wait = 10 }))
                end
                T.await(function() return #client.messages == 3 end)
                assert(client.messages[3].payload == big .. 2)
            end)
            -- An authority it does not know.
            local problems = {}
            local stranger = mqtt.new { port = port, ssl = true, websocket = place == 2 }
            stranger:on('error', function(text) table.insert(problems, text) end)
            stranger:run()
            T.eq(#problems, 1)
            assert(problems[1]:find('^network: .*certificate'), problems[1])
        end
    end)
end)

-- Passes bytes between clients and a port; counts those of the server's for the connection that is there.
local function tap(port)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    local it = { port = listener:getsockname().port, listener = listener }
    eco.run(function()
        while true do
            local a = listener:accept()
            if not a then return end
            local b = assert(socket.connect_tcp('127.0.0.1', port))
            it.count, it.server = 0, b
            eco.run(function()
                local data = a:read(65536)
                while data and b:send(data) do data = a:read(65536) end
                b:close()
            end)
            eco.run(function()
                local data = b:read(65536)
                while data do
                    it.count = it.count + #data
                    a:send(data)
                    data = b:read(65536)
                end
                a:close()
            end)
        end
    end)
    return it
end

case('TLS sessions are resumed, until options change', function()
    local ssl = require 'eco.ssl'
    local cert, key = certificate()
    local ports = { T.free_port(), T.free_port() }
    local tls = ('certfile %s\nkeyfile %s\n'):format(cert, key)
    with_mosquitto(OPEN .. ('\nlistener %d 127.0.0.1\n%slistener %d 127.0.0.1\nprotocol websockets\n%s'):format(ports[1], tls,
        ports[2], tls), function()
        for place, port in ipairs(ports) do
            T.await(function()
                local probe = socket.connect_tcp('127.0.0.1', port)
                return probe and (probe:close() or true)
            end)
            for _, version in ipairs { '1.2', ssl.TLS13 and '1.3' or nil } do
                local through, counts = tap(port), {}
                local client = mqtt.new { port = through.port, ssl = true, ca = cert, websocket = place == 2, max_version = version,
                    reconnect = { min = 0.05, max = 0.1 }, clean_session = true }
                client:on('conack', function()
                    counts[#counts + 1] = through.count
                    if version == '1.3' then
                        -- Who resumes a session shows no certificate.
                        T.eq(client.sock:peer_certificate() == nil, #counts == 2)
                    end
                    if #counts == 3 then
                        client:close()
                        return
                    elseif #counts == 2 then
                        client:set('ca', cert)
                    end
                    through.server:close()
                end)
                client:run()
                through.listener:close()
                eco.sleep(0.05)
                local what = ('%s on %d: %s'):format(version, place, table.concat(counts, ' '))
                assert(counts[2] < counts[1] - 300 and counts[3] > counts[2] + 300, what)
            end
        end
    end)
end)

case('topic aliases, as the broker allows', function()
    with_mosquitto(OPEN, function(port)
        with_client({ port = port, version = 5, clean_session = true, topic_aliases = 50, properties = { topic_alias_maximum = 5 } },
            function(client)
                client:subscribe { '#', wait = 5 }
                for number = 1, 60 do
                    assert(client:publish('a/long/name/of/a/topic/' .. number % 15, tostring(number)))
                end
                T.await(function() return #client.messages == 60 end)
                for number, message in ipairs(client.messages) do
                    T.eq(message.topic, 'a/long/name/of/a/topic/' .. number % 15)
                end
            end)
    end)
end)
