-- eco.ssl: both ends of ours, on loopback; certificates lie in the working directory.

local eco = require 'eco'
local ssl = require 'eco.ssl'
local socket = require 'eco.socket'
local file = require 'eco.file'
local sync = require 'eco.sync'

local SERVER = { cert = 'server.pem', key = 'server.key' }

local function with(base, more)
    local t = {}
    for k, v in pairs(base) do t[k] = v end
    for k, v in pairs(more or {}) do t[k] = v end
    return t
end

-- Runs body(port, server) beside a server that calls serve(connection, peer) or fail(message).
local function beside(opts, serve, body, fail)
    local srv = assert(ssl.listen('127.0.0.1', 0, with(SERVER, opts)))
    local group = T.gather()
    group:run(function()
        while true do
            local c, peer = srv:accept()
            if c then
                group:run(function()
                    serve(c, peer)
                    c:close()
                end)
            elseif srv.closed then
                return
            elseif fail then
                fail(peer)
            end
        end
    end)
    local ok, err = xpcall(body, debug.traceback, srv.sock:getsockname().port, srv)
    srv:close()
    if not ok then error(err, 0) end
    group:wait()
end

local function echo(c)
    while true do
        local line = c:read('L')
        if not line then return end
        c:send(line)
    end
end

local function talk(c)
    assert(c:send('hello\n'))
    T.eq(c:read('l', 10), 'hello')
    return c
end

local function connect(port, opts)
    return ssl.connect('127.0.0.1', port, with({ ca = 'ca.pem', timeout = 15 * T.slow }, opts))
end

case('both versions, and what was agreed on', function()
    beside({ alpn = { 'h2', 'http/1.1' } }, echo, function(port)
        for version, name in pairs { ['1.2'] = 'TLSv1.2', ['1.3'] = 'TLSv1.3' } do
            if version == '1.2' or ssl.TLS13 then
                local c<close> = assert(connect(port, { min_version = version, max_version = version, alpn = { 'http/1.1' } }))
                talk(c)
                T.eq(c:version(), name)
                assert(tostring(c):find('eco.ssl (' .. name .. ' over eco.socket (tcp, fd ', 1, true), tostring(c))
                T.eq(c:alpn(), 'http/1.1')
                assert(c:cipher():find('^TLS'))
                local der, subject = c:peer_certificate()
                T.eq(der:byte(), 0x30)
                T.eq(subject, 'CN=localhost')
                T.eq(c.closed, nil)
                assert(c:getfd() > 0)
                c:close()
                T.eq(c.closed, true)
                T.fails('closed', c:read('l'))
                T.fails('closed', c:send('x'))
                T.fails('closed', c:sendfile('ca.pem', 1))
                T.eq(c:getfd(), -1)
            end
        end
        T.fails('no application protocol', connect(port, { alpn = { 'other' } }))
        T.fails('no version of TLS is left', connect(port, { min_version = '1.3', max_version = '1.2' }))
    end)
end)

case('suites by their names', function()
    beside(nil, echo, function(port)
        local function suite(ciphers, version)
            local c<close> = assert(connect(port, { ciphers = ciphers, max_version = version }))
            return talk(c):cipher()
        end
        T.eq(suite('ECDHE-ECDSA-AES128-GCM-SHA256', '1.2'), 'TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256')
        T.eq(suite('TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384', '1.2'), 'TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384')
        T.eq(suite('ECDHE-ECDSA-CHACHA20-POLY1305:x', '1.2'), 'TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256')
        if ssl.TLS13 then
            T.eq(suite({ 'TLS_AES_128_GCM_SHA256' }), 'TLS1-3-AES-128-GCM-SHA256')
            assert(suite('ECDHE-ECDSA-AES128-GCM-SHA256'):find('^TLS1%-3'))
        end
        T.fails('no known cipher', connect(port, { ciphers = 'nonsense' }))
    end)
end)

case('whom clients trust', function()
    local refused = 0
    beside(nil, echo, function(port)
        local verify = 'SSL certificate verify fail: '
        T.fails(verify .. 'certificate is self-signed or not signed by a trusted CA', connect(port, { ca = 'other.pem' }))
        T.fails(verify .. 'certificate is for another name', connect(port, { server_name = 'example.org' }))
        T.fails(verify .. 'certificate is for another name', connect(port, { server_name = '127.0.0.2' }))
        T.fails('bad server name', connect(port, { server_name = 'a\0b' }))
        T.fails('bad server name', connect(port, { server_name = ('x'):rep(300) }))
        for _, opts in ipairs {
            { server_name = 'localhost' }, { server_name = 'LOCALHOST' }, { server_name = '::1' }, {},
            { ca = 'other.pem', insecure = true }, { insecure = true, server_name = 'example.org' },
            { ca = assert(file.readfile('ca.pem')) },
        } do
            local c<close> = talk(assert(connect(port, opts)))
        end
        T.await(function() return refused == 5 end)
    end, function() refused = refused + 1 end)
    beside({ cert = 'expired.pem', key = 'expired.key' }, echo, function(port)
        T.fails('certificate has expired', connect(port))
        local c<close> = talk(assert(connect(port, { insecure = true })))
    end)
    beside({ cert = 'rsa.pem', key = 'rsa.key' }, echo, function(port)
        for _, version in ipairs { '1.2', ssl.TLS13 and '1.3' or nil } do
            local c<close> = talk(assert(connect(port, { server_name = 'rsa.example', max_version = version })))
        end
    end)
end)

case('the system\'s authorities, and none', function()
    beside(nil, echo, function(port)
        -- Whatever they are, they did not sign the tests'.
        local c, err = ssl.connect('127.0.0.1', port)
        T.eq(c, nil)
        assert(err:find('not signed by a trusted CA', 1, true) or err:find('no certificate authorities found', 1, true), err)
    end)
end)

case('clients that show a certificate', function()
    local subjects, refusals = {}, {}
    beside({ ca = 'ca.pem' }, function(c)
        subjects[#subjects + 1] = select(2, c:peer_certificate())
        echo(c)
    end, function(port)
        for i, version in ipairs { '1.2', ssl.TLS13 and '1.3' or nil } do
            local c<close> = talk(assert(connect(port, { cert = 'client.pem', key = 'client.key', max_version = version })))
            T.eq(subjects[i], 'CN=joe')
            -- In TLS 1.3 a client is done before its certificate is judged.
            local refused = function(opts)
                opts.max_version = version
                local d, err = connect(port, opts)
                if d then
                    local _
                    _, err = d:read('l', 10)
                    d:close()
                end
                assert(err, 'it was accepted')
                T.await(function() return #refusals > 0 end)
                return table.remove(refusals), err
            end
            assert(refused({}):find('peer did not return a certificate', 1, true))
            assert(refused({ cert = 'other.pem', key = 'other.key' }):find('certificate verify failed', 1, true))
        end
    end, function(err) refusals[#refusals + 1] = err end)

    -- Asked for by the old way: one that comes must be good.
    local srv = assert(ssl.listen('127.0.0.1', 0, SERVER))
    assert(srv.ctx:load_ca_cert_file('ca.pem'))
    srv.ctx:require_validation(true)
    local results = {}
    local group = T.gather()
    group:run(function()
        for i = 1, 3 do
            local c, err = srv:accept()
            results[i] = c and 'accepted' or err
            if c then c:close() end
        end
    end)
    local port = srv.sock:getsockname().port
    for i, opts in ipairs { {}, { cert = 'client.pem', key = 'client.key' }, { cert = 'other.pem', key = 'other.key' } } do
        local c = connect(port, opts)
        T.await(function() return results[i] end)
        if c then c:close() end
    end
    group:wait()
    T.eq(results[1], 'accepted')
    T.eq(results[2], 'accepted')
    assert(results[3]:find('certificate verify failed', 1, true), results[3])
    srv:close()
end)

case('certificates by name', function()
    local names = {
        ['www.example.org'] = { cert = 'www.pem', key = 'www.key' },
        ['*.Example.net'] = { cert = file.readfile('www.pem'), key = file.readfile('www.key') },
    }
    beside({ names = names }, echo, function(port)
        local function subject(name, opts)
            local c<close> = talk(assert(connect(port, with({ server_name = name }, opts))))
            return select(2, c:peer_certificate())
        end
        T.eq(subject('www.example.org'), 'CN=www.example.org')
        T.eq(subject('WWW.example.org', { max_version = '1.2' }), 'CN=www.example.org')
        T.eq(subject('a.example.net'), 'CN=www.example.org')
        T.eq(subject('localhost'), 'CN=localhost')
        T.eq(subject('a.b.example.net', { insecure = true }), 'CN=localhost')
        T.eq(subject(nil), 'CN=localhost')
    end)
    local srv = assert(ssl.listen('127.0.0.1', 0, { names = names }))
    local refused
    eco.run(function() refused = select(2, srv:accept()) end)
    T.fails('unrecognized name', connect(srv.sock:getsockname().port, { server_name = 'localhost' }))
    T.await(function() return refused end)
    srv:close()
    T.fails('name x: load key file fail', ssl.listen('127.0.0.1', 0, with(SERVER, { names = { x = { cert = 'www.pem', key = 'server.key' } } })))
end)

case('sessions are resumed', function()
    beside(nil, echo, function(port)
        for _, version in ipairs { '1.2', ssl.TLS13 and '1.3' or nil } do
            local c = talk(assert(connect(port, { max_version = version })))
            local session = assert(c:session(), 'no session')
            c:close()
            local function again(opts)
                local d<close> = assert(connect(port, with({ max_version = version, session = session }, opts)))
                talk(d)
                -- Who resumes shows no certificate: TLS 1.3 then has none, TLS 1.2 remembers it.
                return d:peer_certificate() == nil or version == '1.2'
            end
            assert(again(), 'not resumed')
            -- With another name it is not even tried.
            if version == '1.3' then
                assert(not again { server_name = 'localhost' })
            end
            assert(connect(port, { max_version = version, session = 'nonsense' })):close()
            assert(connect(port, { max_version = version, session = session:sub(1, -9) })):close()
        end
        -- What was not verified does not stand in for what is.
        local c = talk(assert(connect(port, { insecure = true })))
        local session = assert(c:session())
        c:close()
        T.fails('SSL certificate verify fail', connect(port, { ca = 'other.pem', session = session }))
    end)
    beside({ tickets = false }, echo, function(port)
        local c = talk(assert(connect(port, { max_version = '1.2' })))
        c:close()
        T.eq(c:session(), nil)
    end)
end)

case('other certificates while connections stay', function()
    beside(nil, echo, function(port, srv)
        local c<close> = talk(assert(connect(port)))
        local session = c:session()
        T.fails('load cert file fail', srv:reload { cert = 'absent.pem', key = 'server.key' })
        T.fails('load key file fail', srv:reload { cert = 'www.pem', key = 'server.key' })
        T.eq(srv:reload { cert = 'www.pem', key = 'www.key' }, true)
        talk(c)
        T.fails('another name', connect(port))
        local d<close> = talk(assert(connect(port, { server_name = 'www.example.org' })))
        talk(c)
        -- Tickets given before are still good.
        local e<close> = talk(assert(connect(port, { session = session })))
        T.eq(srv:reload(SERVER), true)
        talk(assert(connect(port))):close()
    end)
end)

case('files that are none', function()
    for _, opts in ipairs { { ca = 'absent' }, { ca = 'server.key' }, { ca = '-----BEGIN nonsense' }, { ca = '.' } } do
        T.fails('load ca file fail', ssl.listen('127.0.0.1', 0, with(SERVER, opts)))
    end
    for _, opts in ipairs { { cert = 'absent' }, { cert = 'server.key' }, { cert = '' } } do
        T.fails('load cert file fail', ssl.listen('127.0.0.1', 0, with(SERVER, opts)))
    end
    for _, opts in ipairs { { key = 'absent' }, { key = 'server.pem' }, { key = 'rsa.key' }, { key = 'www.key' } } do
        T.fails('load key file fail', ssl.listen('127.0.0.1', 0, with(SERVER, opts)))
    end
    T.raises('path or PEM text expected', ssl.listen, '127.0.0.1', 0, { cert = 1 })
    T.raises('number expected for option timeout', ssl.listen, '127.0.0.1', 0, { timeout = 'x' })
    T.raises('option min_version', ssl.listen, '127.0.0.1', 0, { min_version = '1.1' })
    T.raises('table expected for option alpn', ssl.listen, '127.0.0.1', 0, { alpn = 1 })
    T.raises('server_name expected', ssl.client, {}, {})
    T.fails('Connection refused', ssl.connect('127.0.0.1', 1, { insecure = true }))
    -- Without certificate every handshake fails.
    local srv = assert(ssl.listen('127.0.0.1', 0))
    local refused
    eco.run(function() refused = select(2, srv:accept()) end)
    local c, err = connect(srv.sock:getsockname().port)
    assert(not c and err:find('handshake failure', 1, true), err)
    T.await(function() return refused end)
    assert(refused:find('no shared cipher', 1, true), refused)
    srv:close()
end)

case('much in both directions at once', function()
    local size = (T.slow > 1 and 1 or 8) << 20
    local piece = ('0123456789abcdef'):rep(8192)
    beside(nil, function(c)
        local done = sync.waitgroup()
        done:add(1)
        eco.run(function()
            for _ = 1, size // #piece do assert(c:send(piece)) end
            done:done()
        end)
        local got = assert(c:readfull(size))
        T.eq(got == piece:rep(size // #piece), true)
        done:wait()
        assert(c:send('all'))
        c:read('a')
    end, function(port)
        local c<close> = assert(connect(port))
        T.all(function()
            for _ = 1, size // #piece do assert(c:send(piece)) end
        end, function()
            local got = assert(c:readfull(size))
            T.eq(got == piece:rep(size // #piece), true)
        end)
        T.eq(c:readfull(3), 'all')
    end)
end)

case('sends in turn, files, formats', function()
    local data = ('line of text\r\n'):rep(5000)
    assert(file.writefile('data', data))
    beside(nil, function(c)
        T.eq(c:send(''), 0)
        T.eq(c:send(42), 2)
        T.eq(c:sendfile('data', 1 << 40), #data)
        T.eq(c:sendfile('data', 4, 5), 4)
        T.eq(c:sendfile('data', 4, #data), 0)
        T.eq(c:sendfile('data', 0), 0)
        T.fails('No such file', c:sendfile('absent', 1))
        T.fails('Is a directory', c:sendfile('.', 1))
        T.raises('string expected', c.send, c)
        T.raises('number expected', c.sendfile, c, 'data')
        T.all(table.unpack((function()
            local senders = {}
            for i = 1, 20 do
                senders[i] = function() c:send((string.char(64 + i)):rep(30000)) end
            end
            return senders
        end)()))
    end, function(port)
        local c<close> = assert(connect(port))
        T.eq(c:readfull(2), '42')
        T.eq(c:read('l'), 'line of text')
        T.eq(c:readfull(#data - 14), data:sub(15))
        T.eq({ c:readuntil('f ') }, { 'o', true })
        T.eq(table.pack(c:read(1)), { 't', n = 1 })
        for _ = 1, 20 do
            local run = assert(c:readfull(30000))
            T.eq(run, run:sub(1, 1):rep(30000))
        end
        T.fails('closed', c:read(1))
        T.fails('closed', c:read(1))
    end)
end)

case('waits end by timeout and by closing', function()
    beside(nil, function(c) c:read('a') end, function(port)
        local c = assert(connect(port))
        T.took(0.05, 1, function() T.fails('timeout', c:read(1, 0.05)) end)
        local result
        eco.run(function() result = { c:read(1) } end)
        eco.sleep(0.01)
        T.raises('already waiting', c.read, c, 1)
        c:close()
        T.await(function() return result end)
        T.eq(result, { nil, 'canceled' })
        -- A send that does not get on.
        local d = assert(connect(port))
        d:close()
    end)
    local go = sync.cond()
    beside(nil, function(c) go:wait() c:read('a') end, function(port)
        local c<close> = assert(connect(port))
        local data = ('x'):rep(1 << 24)
        T.fails('timeout', c:send(data, 0.05))
        local canceled
        eco.run(function() canceled = select(2, c:send(data)) end)
        eco.sleep(0.01)
        c:close()
        T.await(function() return canceled end)
        T.eq(canceled, 'canceled')
        go:signal()
    end)
end)

case('a send that was given up does not spoil the next', function()
    local got
    local go = sync.cond()
    beside(nil, function(c)
        go:wait()
        got = c:read('a')
    end, function(port)
        local c<close> = assert(connect(port))
        local first, second = ('a'):rep(1 << 23), ('b'):rep(100000)
        T.fails('timeout', c:send(first, 0.05))
        go:signal()
        T.eq(c:send(second), #second)
        c:close()
        T.await(function() return got end)
        local a, b = got:match('^(a*)(b*)$')
        assert(a, 'mixed')
        assert(#a > 0 and #a < #first)
        T.eq(#b, #second)
    end)
end)

case('silent, talkative and vanishing peers', function()
    local failures = {}
    local srv = assert(ssl.listen('127.0.0.1', 0, with(SERVER, { timeout = 0.3 * T.slow })))
    local port = srv.sock:getsockname().port
    local accepted = 0
    local group = T.gather()
    group:run(function()
        while true do
            local c, err = srv:accept()
            if c then
                accepted = accepted + 1
                echo(c)
                c:close()
            elseif srv.closed then
                return
            else
                failures[#failures + 1] = err
            end
        end
    end)
    local function failure(text)
        T.await(function() return #failures > 0 end)
        local err = table.remove(failures, 1)
        assert(err:find(text, 1, true), ('%s, expected %s'):format(err, text))
    end
    local silent = {}
    for i = 1, 5 do silent[i] = assert(socket.connect_tcp('127.0.0.1', port)) end
    local c = talk(assert(connect(port)))
    c:close()
    for _ = 1, 5 do failure('timeout') end
    for _, s in ipairs(silent) do s:close() end

    for text, words in pairs {
        ['GET / HTTP/1.1\r\nhost: x\r\n\r\n'] = 'http request',
        [('\255'):rep(100)] = 'wrong version number',
        ['\22\3\1\0\5\1\0\0\1\0'] = 'bad handshake message',
        ['\22\3\1\255\255'] = '',
        -- A server of 2.28 takes it for a hello.
        ['\21\3\1\0\2\2\40'] = ssl.VERSION:find(' 2.', 1, true) and 'bad handshake message' or 'handshake failure',
    } do
        local s = assert(socket.connect_tcp('127.0.0.1', port))
        s:send(text)
        failure(words)
        s:close()
    end
    local s = assert(socket.connect_tcp('127.0.0.1', port))
    s:close()
    failure('unexpected eof')
    talk(assert(connect(port))):close()
    srv:close()
    group:wait()
    T.eq(accepted, 2)

    -- The same from the other side.
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    port = listener:getsockname().port
    local answer
    group:run(function()
        while true do
            local s = listener:accept()
            if not s then return end
            if answer then
                s:read(10)
                s:send(answer)
                s:close()
            else
                group:run(function()
                    eco.sleep(0.3 * T.slow)
                    s:close()
                end)
            end
        end
    end)
    T.took(0.1, 1, function() T.fails('timeout', connect(port, { timeout = 0.1 })) end)
    answer = 'HTTP/1.1 400 Bad Request\r\n\r\n'
    T.fails('wrong version number', connect(port))
    answer = ''
    local _, err = connect(port)
    assert(err:find('unexpected eof', 1, true) or err:find('reset', 1, true), err)
    listener:close()
    group:wait()
end)

-- Passes bytes between a client and a server; `cut` bytes of the server's, then the end.
local function cut_after(port, cut)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    eco.run(function()
        local a = listener:accept()
        local b = socket.connect_tcp('127.0.0.1', port)
        eco.run(function()
            local data = a:read(65536)
            while data and b:send(data) do data = a:read(65536) end
        end)
        local left = cut
        while left > 0 do
            local data = b:read(left)
            if not data or not a:send(data) then break end
            left = left - #data
        end
        a:close()
        b:close()
    end)
    return listener, listener:getsockname().port
end

case('a stream that is cut anywhere', function()
    beside({ timeout = 2 * T.slow }, function(c) c:send('the whole text') end, function(port)
        for _, version in ipairs { '1.2', ssl.TLS13 and '1.3' or nil } do
            local whole = 0
            local cut, step = 0, (T.slow > 1 or T.sanitized) and 97 or 7
            while whole < 3 do
                assert(cut < 5000, 'never whole')
                local listener, through = cut_after(port, cut)
                local c = connect(through, { max_version = version, timeout = 5 * T.slow })
                if c then
                    local data = c:read('a', 5 * T.slow)
                    assert(data == nil or data == '' or data == 'the whole text', data)
                    if data == 'the whole text' then whole = whole + 1 end
                    c:close()
                end
                listener:close()
                cut = cut + step
            end
        end
    end)
end)

case('TLS inside TLS, and over what was read ahead', function()
    beside({ alpn = nil }, function(c)
        -- STARTTLS by the book, in a stream that is TLS already.
        T.eq(c:read('l'), 'starttls')
        c:send('go\n')
        local inner = assert(ssl.server(c, with(SERVER, { cert = 'www.pem', key = 'www.key' })))
        inner:send('inside\n')
        inner:read('a')
        inner:close()
    end, function(port)
        local c = assert(connect(port))
        c:send('starttls\n')
        T.eq(c:read('l'), 'go')
        local inner = assert(ssl.client(c, { ca = 'ca.pem', server_name = 'www.example.org' }))
        T.eq(inner:read('l'), 'inside')
        inner:close()
        T.eq(c.closed, true)
    end)
end)

case('contexts and their handles', function()
    local ctx = assert(ssl.server_context(SERVER))
    local client = assert(ssl.client_context { ca = 'ca.pem' })
    local srv = assert(ssl.listen('127.0.0.1', 0, { ctx = ctx }))
    local port = srv.sock:getsockname().port
    local group = T.gather()
    group:run(function()
        for _ = 1, 2 do
            local c = assert(srv:accept())
            echo(c)
            c:close()
        end
    end)
    talk(assert(ssl.connect('127.0.0.1', port, { ctx = client }))):close()
    talk(assert(ssl.connect('127.0.0.1', port, { ctx = client }))):close()
    group:wait()
    srv:close()
    ctx:free()
    ctx:free()
    T.fails('context closed', ctx:new(0))
    T.eq(ctx:load_cert_file('server.pem'), false)
    T.eq(ctx:set_ciphers('ECDHE-ECDSA-AES128-GCM-SHA256'), false)
    client:free()
    local a, b = assert(socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
    T.fails('context closed', ssl.client(a, { ctx = client, server_name = 'x' }))
    a:close()
    b:close()

    -- As scripts of 4.x build it.
    local raw = require 'eco.internal.ssl'
    local x, y = assert(socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
    local one, two = raw.context(true), raw.context()
    T.eq(one:load_key_file('server.key'), false)
    T.eq(one:load_cert_file('absent'), false)
    T.eq(one:load_cert_file('server.pem'), true)
    T.eq(one:load_key_file('www.key'), false)
    T.eq(one:load_key_file('server.key'), true)
    T.eq(two:load_ca_cert_file('absent'), false)
    T.eq(two:load_ca_cert_file('ca.pem'), true)
    T.eq(two:set_ciphers('TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'), true)
    local s, t = one:new(x:getfd()), two:new(y:getfd())
    T.eq(t:set_server_name('localhost'), true)
    local sok, tok
    repeat
        tok = tok == true or assert(t:handshake())
        sok = sok == true or assert(s:handshake())
    until sok == true and tok == true
    local rd, wr = eco.reader(x:getfd(), raw.read, s:pointer()), eco.writer(y:getfd(), raw.write, t:pointer())
    T.eq(wr:write('through'), 7)
    T.eq(rd:read(100), 'through')
    s:free()
    s:free()
    T.fails('closed', s:handshake())
    T.fails('closed', rd:read(1))
    T.raises('closed', s.set_server_name, s, 'x')
    t:free()
    x:close()
    y:close()
end)

case('what is dropped is closed', function()
    beside(nil, function(c) c:read('a') end, function(port)
        for _ = 1, 20 do
            local c = assert(connect(port))
            -- A reader alone keeps what it reads from.
            local rd = c.rd
            c = nil
            collectgarbage()
            collectgarbage()
            T.fails('', rd:read(1, 0.01))
            rd = nil
        end
        collectgarbage()
        collectgarbage()
    end)
end)
