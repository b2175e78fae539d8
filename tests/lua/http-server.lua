-- Module `eco.http.server`, seen from a client that speaks byte by byte.

local eco = require 'eco'
local http = require 'eco.http.server'
local log = require 'eco.log'
local socket = require 'eco.socket'
local time = require 'eco.time'

log.set_path(T.path('log'))
log.err('the log opens its file')

-- What was logged since the last call.
local read = 0
local function logged()
    local file = io.open(T.path('log'))
    if not file then return '' end
    file:seek('set', read)
    local text = file:read('a')
    read = file:seek()
    file:close()
    return text
end

-- Runs body(port) while a server runs, then stops it.
local function with_server(options, handler, body)
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    local result
    eco.run(function() result = table.pack(http.listen('127.0.0.1', 0, options, handler)) end)
    socket.listen_tcp = listen_tcp
    body(listener:getsockname().port)
    listener:close()
    for _ = 1, 100 do
        if result then break end
        eco.sleep(0.001)
    end
    T.eq(result[1], nil)
    T.eq(type(result[2]), 'string')
end

local function connect(port)
    return assert(socket.connect_tcp('127.0.0.1', port))
end

-- All that comes back for these bytes until the server closes.
local function exchange(port, text)
    local c = connect(port)
    assert(c:send(text))
    local reply = c:read('a', 5) or ''
    c:close()
    return reply
end

local function status(reply)
    return tonumber(reply:match('^HTTP/1%.%d (%d+)'))
end

local function headers_of(reply)
    local headers = {}
    for name, value in reply:match('^(.-\r\n)\r\n'):gmatch('\r\n([^:\r\n]+): ([^\r\n]*)') do
        headers[name] = value
    end
    return headers
end

-- Head and content of one response, read off a connection that stays open.
local function response(c)
    local head = {}
    repeat
        local line = assert(c:read('L', 5))
        head[#head + 1] = line
    until line == '\r\n'
    head = table.concat(head)
    local headers = headers_of(head)
    local content = ''
    if headers['Transfer-Encoding'] == 'chunked' then
        while true do
            local size = tonumber(c:read('l', 5), 16)
            if size > 0 then content = content .. assert(c:readfull(size, 5)) end
            T.eq(c:read('l', 5), '')
            if size == 0 then break end
        end
    elseif tonumber(headers['Content-Length'] or 0) > 0 then
        content = assert(c:readfull(tonumber(headers['Content-Length']), 5))
    end
    return { head = head, headers = headers, content = content, code = status(head) }
end

local function get(port, path, more)
    return exchange(port, ('GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n'):format(path, more or ''))
end

case('constants', function()
    local count = 0
    for name, value in pairs(http) do
        if name ~= 'listen' and name ~= 'serve' then
            count = count + 1
            assert(name:find('^STATUS_%u'), name)
            T.eq(math.type(value), 'integer')
        end
    end
    T.eq(count, 59)
    T.eq({ http.STATUS_OK, http.STATUS_IM_USED, http.STATUS_NETWORK_AUTHENTICATION_REQUIRED }, { 200, 226, 511 })
end)

case('what a handler is given', function()
    local seen
    with_server(nil, function(con, req)
        seen = req
        T.eq(con.body_remain, 0)
        T.eq(con:remote_addr().ipaddr, '127.0.0.1')
        T.eq(con.peer, con:remote_addr())
        T.eq(con.options.docroot, '.')
        T.eq(con.options.index, 'index.html')
        T.eq(con.formed, false)
        assert(con.sock.rd)
    end, function(port)
        get(port, '/a%20b/%zz+?x=%31+&%79=&z&=n&x=2=3', 'X-One:1\r\nx-one: Two \r\nEmpty:\r\n')
    end)
    T.eq({ seen.method, seen.path, seen.query_string }, { 'GET', '/a b/%zz+', 'x=%31+&%79=&z&=n&x=2=3' })
    T.eq(seen.raw_path, '/a%20b/%zz+?x=%31+&%79=&z&=n&x=2=3')
    T.eq(seen.query, { x = '2=3', y = '' })
    T.eq(seen.headers, { host = 'x', connection = 'close', ['x-one'] = 'Two', empty = '' })
    T.eq({ seen.major_version, seen.minor_version }, { 1, 1 })
end)

case('responses', function()
    local how
    with_server(nil, function(con, req) return how(con, req) end, function(port)
        how = function() end
        local reply = get(port, '/')
        assert(reply:find('^HTTP/1%.1 200 OK\r\n') and reply:find('\r\n\r\n0\r\n\r\n$'), reply)
        local headers = headers_of(reply)
        T.eq(headers['Server'], 'Lua-eco/' .. eco.VERSION)
        T.eq(headers['Transfer-Encoding'], 'chunked')
        T.eq(headers['Connection'], 'close')
        assert(headers['Date']:find('^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$'))

        how = function(con)
            con:add_header('x-FOO-bar', 1)
            con:add_header('X-Foo-Bar', 2.5)
            con:add_header('etag', 'e')
            con:add_header('Server', nil)
            con:add_header('gone', 'x')
            con:add_header('gone', nil)
            T.eq(con:set_status(404, 'Lost'), true)
            T.eq(con:set_status(418), true)
            T.eq(con.resp.headers, { ['x-foo-bar'] = '2.5', etag = 'e' })
            T.eq(con.resp.head_sent, false)
            T.eq(con:send('a', nil, 1, {} and 2.0), true)
            con:send('')
            con:send('c')
            T.eq(con.resp.head_sent, true)
            T.raises('http head has been sent', con.add_header, con, 'a', 'b')
            T.raises('http head has been sent', con.set_status, con, 200)
            T.raises('http head has been sent', con.send_error, con, 500)
        end
        reply = get(port, '/')
        assert(reply:find('^HTTP/1%.1 418 Lost\r\n'), reply)
        assert(reply:find('\r\n\r\n8\r\nanil12%.0\r\n1\r\nc\r\n0\r\n\r\n$'), reply)
        headers = headers_of(reply)
        T.eq({ headers['X-Foo-Bar'], headers['ETag'], headers['Server'], headers['Gone'] }, { '2.5', 'e' })

        how = function(con)
            T.raises('invalid http header', con.add_header, con, 'a', 'b\r\nc: d')
            T.raises('invalid http header', con.add_header, con, 'a b', 'c')
            T.raises('string expected', con.add_header, con, 'a', true)
            con:add_header('content-length', 5)
            con:send('he')
            con:send('llo')
        end
        reply = get(port, '/')
        assert(reply:find('\r\n\r\nhello$') and not reply:find('chunked'), reply)

        how = function(con) con:send_error(503, 'Busy') end
        reply = get(port, '/')
        assert(reply:find('^HTTP/1%.1 503 Busy\r\n') and reply:find('Content%-Length: 0\r\n'), reply)

        how = function(con) con:send_error(http.STATUS_FORBIDDEN, nil, 'no') end
        reply = get(port, '/')
        assert(reply:find('^HTTP/1%.1 403 Forbidden\r\n') and reply:find('\r\n\r\n2\r\nno\r\n0\r\n\r\n$'), reply)

        how = function(con)
            T.raises('invalid code: x', con.send_error, con, 'x')
            T.raises('assertion failed!', con.redirect, con, 200, '/')
            T.eq(con:redirect(302, '/there'), true)
        end
        reply = get(port, '/')
        assert(reply:find('^HTTP/1%.1 302 Found\r\n') and reply:find('Location: /there\r\n'), reply)

        for _, code in ipairs { 204, 304 } do
            how = function(con)
                con:set_status(code)
                con:send('body')
            end
            reply = get(port, '/')
            assert(not reply:find('Content%-Length') and reply:find('\r\n\r\n$') and not reply:find('body'), reply)
        end

        how = function(con) con:send('body') end
        reply = exchange(port, 'HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        assert(reply:find('\r\n\r\n$') and not reply:find('body'), reply)
        reply = exchange(port, 'GET / HTTP/1.0\r\n\r\n')
        assert(reply:find('^HTTP/1%.0 200 OK\r\n') and reply:find('\r\n\r\nbody$') and not reply:find('chunked'), reply)

        how = function(con) con:send('lost') return false end
        T.eq(get(port, '/'), '')
    end)
end)

case('keep-alive, pipelining and own fields', function()
    with_server(nil, function(con, req)
        con.count = (con.count or 0) + 1
        T.eq(con.nothing, nil)
        con:add_header('content-length', #tostring(con.count))
        con:send(con.count)
    end, function(port)
        local c = connect(port)
        c:send('GET /1 HTTP/1.1\r\nHost: x\r\n\r\n')
        local first = response(c)
        T.eq({ first.content, first.headers['Keep-Alive'] }, { '1', 'timeout=30' })
        c:send('GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n')
        T.eq({ response(c).content, response(c).content }, { '2', '3' })
        local last = response(c)
        T.eq({ last.content, last.headers['Keep-Alive'], last.headers['Connection'] }, { '4', nil, 'close' })
        T.fails('closed', c:read(1, 5))
        c:close()

        c = connect(port)
        c:send(('GET / HTTP/1.1\r\nHost: x\r\n\r\n'):rep(500))
        for i = 1, 500 do T.eq(response(c).content, tostring(i)) end
        c:close()
    end)
    logged()
    with_server({ http_keepalive = 0 }, function(con) con:send('x') end, function(port)
        local headers = headers_of(exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
        T.eq({ headers['Connection'], headers['Keep-Alive'] }, { 'close' })
    end)
end)

case('heads that arrive in pieces', function()
    with_server(nil, function(con, req) con:send(req.path) end, function(port)
        local c = connect(port)
        for byte in ('\r\nGET /slow HTTP/1.1\r\nHost: x\r\n\r\n'):gmatch('.') do
            c:send(byte)
            eco.sleep(0)
        end
        T.eq(response(c).content, '/slow')
        c:close()
    end)
end)

case('refusals', function()
    local calls = 0
    with_server({ max_headers = 10, max_head = 2000, max_request_line = 200, max_body = 1000 }, function(con)
        calls = calls + 1
    end, function(port)
        for text, code in pairs {
            ['GET /\r\n\r\n'] = 400,
            ['GET / HTTP/1.1\r\n\r\n'] = 400,
            ['GET / HTTP/1.1\n\n'] = 400,
            ['\22\3\1\0'] = 400,
            ['GET / HTTP/2.0\r\n\r\n'] = 505,
            ['GET / HTTP/1.99999999999999999999\r\n\r\n'] = 505,
            ['GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n'] = 400,
            ['GET / HTTP/1.1\r\nHost: x\r\nFoo Bar: x\r\n\r\n'] = 400,
            ['GET / HTTP/1.1\r\nHost: x\r\na: b\r\n c\r\n\r\n'] = 400,
            ['GET / HTTP/1.1\r\nHost: x\r\na: b\rc\r\n\r\n'] = 400,
            ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'] = 400,
            ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'] = 400,
            ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'] = 400,
            ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc'] = 400,
            ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n'] = 400,
            ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'] = 400,
            ['POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n'] = 501,
            ['POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n'] = 413,
            ['GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n'] = 417,
            ['GET /' .. ('a'):rep(300) .. ' HTTP/1.1\r\nHost: x\r\n\r\n'] = 414,
            ['GET / HTTP/1.1\r\nHost: x\r\n' .. ('a: b\r\n'):rep(11) .. '\r\n'] = 431,
            ['GET / HTTP/1.1\r\nHost: x\r\na: ' .. ('b'):rep(3000) .. '\r\n\r\n'] = 431,
        } do
            local reply = exchange(port, text)
            T.eq(status(reply), code, text:sub(1, 80))
            T.eq(headers_of(reply)['Connection'], 'close')
        end
        T.eq(calls, 0)
        T.eq(status(get(port, '/')), 200)
    end)
    assert(logged():find('request refused with status 431', 1, true))
end)

case('slow and silent clients', function()
    with_server({ head_timeout = 0.1, http_keepalive = 0.2 }, function() end, function(port)
        local start = time.now()
        local c = connect(port)
        eco.run(function()
            for byte in ('GET / HTTP/1.1\r\nHost: x\r\n' .. ('x'):rep(100)):gmatch('.') do
                if not c:send(byte) then break end
                eco.sleep(0.02)
            end
        end)
        T.eq(status(c:read('a', 5)), 408)
        assert(time.now() - start < 1.5 * T.slow)
        c:close()
        T.took(0.19, 1.5, exchange, port, '')
        eco.sleep(0.05)
    end)
end)

case('an error in a handler', function()
    with_server(nil, function(con, req)
        if req.path == '/late' then
            con:send('x')
            con:flush()
        elseif req.path == '/buffered' then
            con:send('x')
        elseif req.path == '/table' then
            error({})
        end
        error('went wrong')
    end, function(port)
        for _, path in ipairs { '/', '/buffered', '/table' } do
            local reply = exchange(port, 'GET ' .. path .. ' HTTP/1.1\r\nHost: x\r\n\r\n')
            T.eq(status(reply), 500)
            T.eq(headers_of(reply)['Connection'], 'close')
        end
        local reply = exchange(port, 'GET /late HTTP/1.1\r\nHost: x\r\n\r\n')
        T.eq(status(reply), 200)
        assert(reply:find('1\r\nx\r\n$'), reply)
    end)
    local text = logged()
    assert(text:find('went wrong', 1, true) and text:find('127.0.0.1:', 1, true), text)
end)

case('request bodies', function()
    local how
    with_server({ max_body = 1 << 30 }, function(con, req) return how(con, req) end, function(port)
        local function post(body, more)
            local head = 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s'
            return exchange(port, head:format(#body, more or '', body))
        end
        local got = {}
        how = function(con)
            T.eq(con.body_remain, 5)
            T.raises('size must be greater than 0', con.read_body, con, 0)
            got = { con:read_body(2), con:read_body(), con:read_body(), con:read_body(3) }
            T.eq(con.body_remain, 0)
        end
        T.eq(status(post('hello')), 200)
        T.eq(got, { 'he', 'llo', '', '' })

        local big = ('0123456789abcdef'):rep(20000)
        how = function(con) got = con:read_body() con:send(#got) end
        post(big)
        assert(got == big)

        -- In chunks.
        how = function(con)
            assert(con.body_remain >= 1)
            got = { con:read_body(3), con:read_body(), con:read_body(), con.body_remain }
        end
        local chunked = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s'
        local c = connect(port)
        for byte in chunked:format('2;a=b\r\nhe\r\n00003\r\nllo\r\n0\r\nT: v\r\n\r\n'):gmatch('.') do
            c:send(byte)
            eco.sleep(0)
        end
        T.eq(response(c).code, 200)
        T.eq(got, { 'hel', 'lo', '', 0 })
        c:send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        how = function() end
        T.eq(response(c).code, 200)
        c:close()

        for _, bad in ipairs { 'x\r\n', '2\r\nabc\r\n', '-1\r\n', '1\n', 'fffffffffffffffff\r\n' } do
            how = function(con) got = { con:read_body() } con:send('x') end
            exchange(port, chunked:format(bad))
            T.fails('not a vaild http chunked body', table.unpack(got, 1, 2))
        end

        -- A timeout loses nothing.
        how = function(con)
            T.fails('timeout', con:read_body(5, 0.05))
            T.eq(con.body_remain, 5)
            got = con:read_body(5)
        end
        c = connect(port)
        c:send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe')
        eco.sleep(0.1)
        c:send('llo')
        T.eq(response(c).code, 200)
        T.eq(got, 'hello')

        -- What is not read is read away.
        how = function(con) con:send('unread') end
        c:send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n' .. ('x'):rep(100000))
        T.eq(response(c).content, 'unread')
        how = function(con) T.eq(con:discard_body(), true) con:send('gone') end
        c:send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n' .. ('x'):rep(10000))
        T.eq(response(c).content, 'gone')
        -- But not for ever.
        how = function(con) con:send('too much') end
        c:send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n' .. ('x'):rep(100000))
        local last = response(c)
        T.eq({ last.content, last.headers['Connection'] }, { 'too much', 'close' })
        c:close()

        -- The peer goes away.
        how = function(con) got = { con:read_body() } end
        c = connect(port)
        c:send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe')
        c:close()
        eco.sleep(0.02)
        T.fails('closed', table.unpack(got, 1, 2))
    end)
end)

case('go-ahead for a body', function()
    local read = true
    with_server(nil, function(con)
        con:send(read and con:read_body() or 'no')
    end, function(port)
        local c = connect(port)
        local head = 'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n'
        c:send(head)
        T.eq(c:read('l', 5), 'HTTP/1.1 100 Continue')
        T.eq(c:read('l', 5), '')
        c:send('body')
        T.eq(response(c).content, 'body')
        read = false
        c:send(head)
        local reply = response(c)
        T.eq({ reply.content, reply.headers['Connection'] }, { 'no', 'close' })
        c:close()
    end)
end)

case('forms', function()
    local form = table.concat({
        '--X', 'Content-Disposition: form-data; name="a"', '', 'one',
        '--X', 'Content-DISPOSITION:  form-data; name="f"; filename="x"', 'Content-Type: a/b', '', ('12345\r\n--Y'):rep(3000),
        '--X', '', '', '--X--', 'epilogue',
    }, '\r\n')
    local events
    with_server(nil, function(con, req)
        events = {}
        while true do
            local event, data = con:read_formdata(req, 5)
            if event == 'body' then
                assert(#data[1] <= 4200)
                local last = events[#events]
                if last and last[1] == 'body' and not last[3] then
                    last[2], last[3] = last[2] .. data[1], data[2]
                else
                    events[#events + 1] = { event, data[1], data[2] }
                end
            elseif event == 'header' then
                events[#events + 1] = { event, data[1], data[2] }
            else
                events[#events + 1] = { event or 'failed', data }
                break
            end
        end
        T.eq({ con:read_formdata(req) }, event == 'end' and { 'end' } or { con:read_formdata(req) })
        con:send('done')
    end, function(port)
        local function post(kind, body, method)
            local head = '%s / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s'
            return exchange(port, head:format(method or 'POST', kind, #body, body))
        end
        local reply = post('multipart/form-data; boundary=X', form)
        T.eq({ status(reply), headers_of(reply)['Connection'] }, { 200, 'close' })
        T.eq(events, {
            { 'header', 'content-disposition', 'form-data; name="a"' },
            { 'body', 'one', true },
            { 'header', 'content-disposition', 'form-data; name="f"; filename="x"' },
            { 'header', 'content-type', 'a/b' },
            { 'body', ('12345\r\n--Y'):rep(3000), true },
            { 'body', '', true },
            { 'end' },
        })
        post('multipart/form-data; boundary="X"; charset=utf-8', '--X--\r\n')
        T.eq(events, { { 'end' } })
        post('multipart/form-data; boundary=X', form, 'PUT')
        T.eq(events, { { 'failed', 'not allowed method' } })
        post('multipart/form-data; boundary=' .. ('X'):rep(71), form)
        T.eq(events, { { 'failed', 'bad request' } })
        post('text/plain', form)
        T.eq(events, { { 'failed', 'bad request' } })
        post('multipart/form-data; boundary=Z', form)
        T.eq(events[1], { 'failed', 'bad request' })
        post('multipart/form-data; boundary=X', '--X\r\nbad\r\n\r\n')
        T.eq(events[1], { 'failed', 'invalid http header' })
        post('multipart/form-data; boundary=X', '--X\r\n\r\nunfinished')
        T.eq(events[#events], { 'failed', 'bad request' })
    end)
end)

local function write(name, text)
    local file = assert(io.open(T.path(name), 'w'))
    file:write(text)
    file:close()
end

case('files', function()
    os.execute('mkdir -p ' .. T.path('www/sub'))
    write('www/index.html', '<p>')
    write('www/empty.txt', '')
    write('www/README', 'read me')
    write('www/a.css', '0123456789')
    write('www/a.css.gz', 'zip')
    write('secret', 'secret')
    write('www/late', 'changed in 2099')
    os.execute('touch -d @4085640000 ' .. T.path('www/late'))
    local big = ('0123456789abcdef'):rep(100000)
    write('www/big.bin', big)
    with_server({ docroot = T.path('www') .. '/', gzip = true }, function(con, req)
        T.eq(con.options.docroot, T.path('www'))
        local ok, err = con:serve_file(req)
        if not ok then T.eq(type(err), 'string') end
    end, function(port)
        local c = connect(port)
        local function fetch(path, more, method)
            c:send(('%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n'):format(method or 'GET', path, more or ''))
            return response(c)
        end
        local page = fetch('/')
        T.eq({ page.code, page.content, page.headers['Content-Type'] }, { 200, '<p>', 'text/html; charset=utf-8' })
        local etag, modified = page.headers['ETag'], page.headers['Last-Modified']
        assert(etag:find('^"%x+%-3%-%x+%.%x+"$'), etag)
        assert(modified:find('^%u%l%l, %d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$'), modified)
        T.eq(fetch('/', 'If-None-Match: "x", ' .. etag .. '\r\n').code, 304)
        T.eq(fetch('/', 'If-Modified-Since: ' .. modified .. '\r\n').code, 304)
        T.eq(fetch('/', 'If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n').code, 200)
        T.eq(fetch('/late').headers['Last-Modified'], 'Sat, 20 Jun 2099 12:00:00 GMT')
        T.eq(fetch('/late', 'If-Modified-Since: Sat, 20 Jun 2099 12:00:00 GMT\r\n').code, 304)
        T.eq(fetch('/late', 'If-Modified-Since: Sat, 20 Jun 2099 11:59:59 GMT\r\n').code, 200)
        T.eq(fetch('/sub/.././/README').content, 'read me')
        T.eq(fetch('/README').headers['Content-Type'], 'text/plain; charset=utf-8')

        local empty = fetch('/empty.txt')
        T.eq({ empty.code, empty.content, empty.headers['Content-Length'] }, { 200, '', '0' })
        assert(fetch('/big.bin').content == big)

        local part = fetch('/a.css', 'Range: bytes=2-4\r\n')
        T.eq({ part.code, part.content, part.headers['Content-Range'] }, { 206, '234', 'bytes 2-4/10' })
        T.eq(fetch('/a.css', 'Range: bytes=-3\r\nIf-Range: "old"\r\n').content, '0123456789')
        T.eq(fetch('/a.css', 'Range: bytes=10-\r\n').code, 416)

        local zipped = fetch('/a.css', 'Accept-Encoding: gzip\r\n')
        T.eq({ zipped.content, zipped.headers['Content-Encoding'], zipped.headers['Content-Type'] }, { 'zip', 'gzip', 'text/css; charset=utf-8' })
        T.eq(fetch('/a.css', 'Accept-Encoding: gzip;q=0\r\n').content, '0123456789')

        c:send('HEAD /a.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        local head = c:read('a', 5)
        assert(head:find('Content%-Length: 10\r\n') and head:find('\r\n\r\n$'), head)
        c:close()

        for path, code in pairs {
            ['/missing'] = 404, ['/sub'] = 403, ['/..'] = 403, ['/../secret'] = 403, ['/%2e%2e/secret'] = 403,
            ['/a.css%00.html'] = 403, ['/a.css/x'] = 404,
        } do
            local reply = get(port, path)
            T.eq(status(reply), code, path)
            T.eq(headers_of(reply)['Connection'], 'close')
        end
        T.eq(status(exchange(port, 'POST /a.css HTTP/1.1\r\nHost: x\r\n\r\n')), 405)
    end)
end)

case('send_file', function()
    write('data', '0123456789')
    write('nothing', '')
    local how
    with_server(nil, function(con) return how(con) end, function(port)
        how = function(con)
            T.fails('No such file or directory', con:send_file(T.path('missing')))
            T.fails('forbidden', con:send_file(T.scratch))
            T.eq(con:send_file(T.path('data'), 3, 2), true)
            T.eq(con:send_file(T.path('data'), 100, 8), true)
            T.eq(con:send_file(T.path('data'), 0), true)
            T.eq(con:send_file(T.path('data'), nil, 10), true)
            T.eq(con:send_file(T.path('nothing')), true)
            con:send('!')
        end
        local reply = get(port, '/')
        assert(reply:find('\r\n\r\n3\r\n234\r\n2\r\n89\r\n1\r\n!\r\n0\r\n\r\n$'), reply)

        -- A slow reader of a big file, and one that goes away.
        local size = 8 << 20
        write('big', ('x'):rep(size))
        local results = {}
        how = function(con) results = { con:send_file(T.path('big')) } end
        local c = connect(port)
        c:send('GET / HTTP/1.0\r\n\r\n')
        eco.sleep(0.05)
        local reply = c:read('a', 5)
        T.eq(#reply - #reply:match('^.-\r\n\r\n'), size)
        T.eq(results, { true })
        c:close()
        c = connect(port)
        c:send('GET / HTTP/1.0\r\n\r\n')
        assert(c:read(10, 5))
        c:close()
        eco.sleep(0.05)
        T.eq(results[1], nil)
        T.eq(type(results[2]), 'string')
    end)
end)

case('streaming with flush, and a peer that does not read', function()
    with_server({ send_timeout = 0.2 }, function(con, req)
        if req.path == '/stuck' then
            local ok, err
            repeat
                con:send(('x'):rep(1 << 20))
                ok, err = con:flush()
            until not ok
            T.eq(err, 'timeout')
            return
        end
        con:send('one')
        T.eq(con:flush(), true)
        eco.sleep(0.05)
        con:send('two')
    end, function(port)
        local c = connect(port)
        c:send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        T.eq(response(c).content, 'onetwo')
        c:send('GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n')
        eco.sleep(0.6)
        c:close()
    end)
    logged()
end)

case('an upgraded connection is the handler\'s', function()
    with_server(nil, function(con, req)
        con:add_header('upgrade', 'echo')
        con:add_header('connection', 'upgrade')
        con:set_status(101)
        T.eq(con:flush(), true)
        con.sock:send(con.sock:read('l', 5) .. '!\n')
    end, function(port)
        local reply = exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n')
        assert(reply:find('^HTTP/1%.1 101 Switching Protocols\r\n') and reply:find('\r\n\r\nhello!\n$'), reply)
        assert(not reply:find('Content-Length', 1, true))
    end)
end)

case('other coroutines', function()
    with_server(nil, function(con, req)
        local problem
        local other = eco.run(function() problem = select(2, con:read_body(nil, 0.1)) end)
        T.raises('another coroutine is already waiting', con.read_body, con)
        eco.sleep(0.2)
        T.eq(problem, 'timeout')
        con:send('fine')
    end, function(port)
        local reply = exchange(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n')
        assert(reply:find('fine'), reply)
    end)
    -- A handler that closes the socket behind our back.
    with_server(nil, function(con) con.sock:close() end, function(port)
        T.eq(get(port, '/'), '')
    end)
    -- Somebody closes it while we wait for the next request.
    local sock
    with_server(nil, function(con) sock = con.sock con:send('x') end, function(port)
        local c = connect(port)
        c:send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        response(c)
        eco.sleep(0.01)
        sock:close()
        T.fails('closed', c:read(1, 5))
        c:close()
    end)
    local held
    with_server(nil, function(con) held = con end, function(port)
        get(port, '/')
        eco.sleep(0.01)
        T.raises('no request is being served', held.send, held, 'x')
    end)
    logged()
end)

case('limits on connections', function()
    with_server({ max_connections = 2 }, function(con, req) con:send(req.path) end, function(port)
        local open = {}
        for i = 1, 5 do
            open[i] = connect(port)
            open[i]:send('GET /' .. i .. ' HTTP/1.1\r\nHost: x\r\n\r\n')
        end
        T.eq({ response(open[1]).content, response(open[2]).content }, { '/1', '/2' })
        T.fails('timeout', open[3]:read(1, 0.05))
        for i = 1, 5 do
            if i > 2 then T.eq(response(open[i]).content, '/' .. i) end
            open[i]:close()
        end
    end)
end)

case('debug lines', function()
    logged()
    log.set_level(log.DEBUG)
    with_server(nil, function(con) con:set_status(404) end, function(port)
        get(port, '/a%20b?c')
    end)
    log.set_level(log.INFO)
    local text = logged()
    assert(text:find('127%.0%.0%.1:%d+: new connection\n') and text:find('listen on: 127.0.0.1 0 ', 1, true), text)
    assert(text:find('127%.0%.0%.1:%d+: "GET /a%%20b HTTP/1%.1 404\n'), text)
end)

case('misuse of listen', function()
    T.raises('', http.listen, '127.0.0.1', nil, nil, print)
    T.raises('', http.listen, 'localhost', 0, nil, print)
    T.fails('Cannot assign requested address', http.listen('192.0.2.1', 0, nil, print))
    with_server(nil, print, function(port)
        T.fails('Address already in use', http.listen('127.0.0.1', port, nil, print))
    end)
end)
case('closing the coroutine of listen closes the listener and no connection', function()
    for _, most in ipairs { 1, 5 } do
        local probe = assert(socket.listen_tcp('127.0.0.1', 0))
        local port = probe:getsockname().port
        probe:close()
        local go = false
        local acceptor = eco.run(http.listen, '127.0.0.1', port, { reuseaddr = true, max_connections = most }, function(con)
            T.await(function() return go end)
            con:send('served')
        end)
        local c = connect(port)
        assert(c:send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))
        eco.sleep(0.05)
        T.eq(coroutine.close(acceptor), true)
        T.fails('Connection refused', socket.connect_tcp('127.0.0.1', port))
        -- The port is free for another one.
        local another = assert(socket.listen_tcp('127.0.0.1', port, { reuseaddr = true }))
        another:close()
        go = true
        assert(c:read('a', 5):find('served', 1, true))
        c:close()
    end
end)

case('a server object closes when all have been answered', function()
    local go, begun = false, 0
    local server = assert(http.serve('127.0.0.1', 0, nil, function(con, req)
        if req.path == '/slow' then
            begun = begun + 1
            T.await(function() return go end)
        end
        con:send('served')
    end))
    local port = server:getsockname().port
    local function ask(path)
        local c = connect(port)
        assert(c:send('GET ' .. path .. ' HTTP/1.1\r\nHost: a\r\n\r\n'))
        return c
    end
    local idle, slow, silent = ask('/'), ask('/slow'), connect(port)
    local _, is_read
    repeat _, is_read = idle:readuntil('\r\n0\r\n\r\n') until is_read
    T.await(function() return begun == 1 and server:count() == 3 end)
    local closed
    eco.run(function() closed = { server:close() } end)
    -- Those that ask for nothing are closed at once, the other one is answered first.
    T.fails('closed', idle:read(1, 5))
    T.fails('closed', silent:read(1, 5))
    T.eq({ closed, server:count() }, { nil, 1 })
    T.fails('Connection refused', socket.connect_tcp('127.0.0.1', port))
    go = true
    assert(slow:read('a', 5):find('served', 1, true))
    T.await(function() return closed end)
    T.eq(closed, { true })
    T.eq({ server:close() }, { true })
    for _, c in ipairs { idle, slow, silent } do c:close() end
end)

case('a server object does not wait for ever', function()
    local port, c
    do
        local server<close> = assert(http.serve('127.0.0.1', 0, { max_connections = 1 }, function() eco.sleep(60) end))
        port = server:getsockname().port
        c = connect(port)
        assert(c:send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'))
        T.await(function() return server:count() == 1 end)
        T.settle()
        local result = T.took(0.1, 2 * T.slow, function() return { server:close(0.1) } end)
        T.eq(result, { nil, 'timeout' })
        T.fails('', c:read(1, 5))
        -- The handler still sleeps.
        for _, task in ipairs(eco.tasks()) do
            if task.call == 'sleep' and task.timeout and task.timeout > 50 then eco.resume(task.thread) end
        end
        T.await(function() return server:count() == 0 end)
    end
    c:close()
    T.fails('Address already in use', (function()
        local taken<close> = assert(socket.listen_tcp('127.0.0.1', 0))
        return http.serve('127.0.0.1', taken:getsockname().port, nil, print)
    end)())
    T.raises('function expected as handler', http.serve, '127.0.0.1', 0)
end)

log.set_path('')
