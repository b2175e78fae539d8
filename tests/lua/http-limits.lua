-- What `eco.http.server` bounds: bodies, connections, time and memory; and how broken bodies, wrong lengths and
-- odd handlers end.

local eco = require 'eco'
local file = require 'eco.file'
local http = require 'eco.http.server'
local log = require 'eco.log'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local time = require 'eco.time'

log.set_path(T.path('log'))
log.err('the log opens its file')

local function with_server(options, handler, body)
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    eco.run(http.listen, '127.0.0.1', 0, options, handler)
    socket.listen_tcp = listen_tcp
    body(listener:getsockname().port)
    listener:close()
    eco.sleep(0.01)
end

local function connect(port)
    return assert(socket.connect_tcp('127.0.0.1', port))
end

local function exchange(port, text)
    local c = connect(port)
    assert(c:send(text))
    local reply = c:read('a', 5) or ''
    c:close()
    return reply
end

local function status(reply)
    return tonumber((reply or ''):match('^HTTP/1%.%d (%d+)'))
end

local HEAD = 'POST / HTTP/1.1\r\nHost: h\r\n'
local chunked = HEAD .. 'Transfer-Encoding: chunked\r\n\r\n'

-- Sends text, closes the sending side, and gives what comes back.
local function half_closed(port, text)
    local process = assert(sys.exec('python3', '-c', ([[
import socket, sys
s = socket.create_connection(('127.0.0.1', %d), timeout=10)
s.sendall(%s)
s.shutdown(socket.SHUT_WR)
while True:
    data = s.recv(4096)
    if not data: break
    sys.stdout.write(data.decode())
]]):format(port, "b'" .. text:gsub('\r', '\\r'):gsub('\n', '\\n') .. "'")))
    local output, errors = process:read_stdout('a', 20), process:read_stderr('a', 20)
    process:wait(20)
    process:close()
    return output .. errors
end

case('a body that breaks off or is broken: 400, or what the handler says', function()
    local results
    with_server({ body_timeout = 1 }, function(con, req)
        results = table.pack(con:read_body())
        if req.path == '/own' then
            con:send_error(422, nil, results[2])
        elseif req.path == '/headers' then
            con:add_header('x-note', 'prepared')
        end
    end, function(port)
        local cut = 'Content-Length: 10\r\n\r\nabc'
        local reply = half_closed(port, HEAD .. cut)
        T.eq(status(reply), 400, reply)
        assert(reply:find('Connection: close', 1, true))
        T.eq(results, { n = 2, [2] = 'closed' })
        T.eq(status(half_closed(port, HEAD:gsub('/ ', '/headers ') .. cut)), 400)
        reply = half_closed(port, HEAD:gsub('/ ', '/own ') .. cut)
        T.eq(status(reply), 422)
        assert(reply:find('closed', 1, true))
        T.eq(status(half_closed(port, chunked .. '5\r\nabc')), 400)
        T.eq(status(half_closed(port, chunked .. '3\r\nabc\r\n')), 400)
        T.eq(status(exchange(port, chunked .. 'x\r\n')), 400)
        T.eq(results, { n = 2, [2] = 'not a vaild http chunked body' })
        -- A whole body, and the sending side closed: nothing is wrong.
        T.eq(status(half_closed(port, HEAD .. 'Content-Length: 3\r\n\r\nabc')), 200)
        T.eq(results, { n = 1, 'abc' })
        -- Nothing more comes: the limit on bodies.
        T.eq(T.took(0.9, 3, function() return status(exchange(port, HEAD .. cut)) end), 408)
    end)
end)

case('a body comes at a kilobyte in its time, however it drips', function()
    local calls = 0
    with_server({ body_timeout = 0.3 }, function(con)
        calls = calls + 1
        con:discard_body()
    end, function(port)
        local c = connect(port)
        c:send(HEAD .. 'Content-Length: 10000\r\n\r\n')
        local start = time.now()
        eco.run(function()
            while c:send('x') do eco.sleep(0.02) end
        end)
        T.eq(status(c:read('a', 10)), 408)
        assert(time.now() - start < 2 * T.slow)
        c:close()
        eco.sleep(0.05)
        -- A handler's own limit counts instead, and starts anew with each byte.
        T.eq(calls, 1)
    end)
    local data
    with_server({ body_timeout = 0.1 }, function(con) data = con:read_body(5, 1) end, function(port)
        local c = connect(port)
        c:send(HEAD .. 'Content-Length: 5\r\n\r\n')
        for byte in ('hello'):gmatch('.') do
            eco.sleep(0.15)
            c:send(byte)
        end
        eco.sleep(0.05)
        T.eq(data, 'hello')
        c:close()
    end)
end)

case('limits are there unless they are set', function()
    with_server(nil, function(con)
        local data, err = con:read_body()
        con:send(data and #data or err)
    end, function(port)
        local large = ('x'):rep((1 << 20) + 1)
        T.eq(status(exchange(port, HEAD .. ('Content-Length: %d\r\n\r\n'):format(#large))), 413)
        local reply = exchange(port, HEAD .. ('Connection: close\r\nContent-Length: %d\r\n\r\n'):format(1 << 20) .. large:sub(2))
        T.eq(status(reply), 200)
        -- An endless body in chunks ends.
        local c = connect(port)
        eco.run(function()
            c:send(chunked)
            local piece = ('1000\r\n%s\r\n'):format(('x'):rep(4096))
            while c:send(piece) do end
        end)
        reply = c:read('a', 10)
        assert(reply and reply:find('request body too large', 1, true), reply)
        c:close()
    end)
end)

case('bodies held at once are bounded together', function()
    local held, ready = {}, 0
    with_server({ max_buffered = 100000, max_body = 80000 }, function(con)
        local data = con:read_body()
        held[#held + 1] = data
        ready = ready + 1
        if data then con:send('kept') end
        while ready < 3 do eco.sleep(0.001) end
    end, function(port)
        local replies = {}
        local function ask(length)
            local reply = exchange(port, HEAD .. ('Connection: close\r\nContent-Length: %d\r\n\r\n'):format(length) .. ('x'):rep(length))
            replies[#replies + 1] = status(reply)
        end
        -- Small ones always are taken.
        T.all(function() ask(80000) end, function() ask(80000) end, function() ask(1000) end)
        table.sort(replies)
        T.eq(replies, { 200, 200, 503 })
        -- And it is given back.
        for _ = 1, 5 do ask(80000) end
        T.eq({ table.unpack(replies, 4) }, { 200, 200, 200, 200, 200 })
    end)
end)

case('connections of one peer are bounded', function()
    with_server({ max_peer_connections = 2 }, function(con) con:send('x') end, function(port)
        local open = {}
        for i = 1, 3 do
            open[i] = connect(port)
            open[i]:send('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
        end
        T.eq({ status(open[1]:read('l', 5)), status(open[2]:read('l', 5)) }, { 200, 200 })
        T.eq(open[3]:read('l', 5), nil)
        for i = 1, 3 do open[i]:close() end
        eco.sleep(0.05)
        T.eq(status(exchange(port, 'GET / HTTP/1.0\r\n\r\n')), 200)
    end)
    assert(file.readfile(T.path('log')):find('too many connections of this peer', 1, true))
end)

case('bad options are refused before binding', function()
    local called
    local listen_tcp = socket.listen_tcp
    socket.listen_tcp = function(...) called = true return listen_tcp(...) end
    for _, bad in ipairs {
        { 'max_body', 'x' }, { 'max_body', -1 }, { 'max_body', {} }, { 'max_body', 0 / 0 }, { 'max_head', 1 }, { 'max_headers', 0 },
        { 'max_request_line', -5 }, { 'max_connections', 0 }, { 'max_connections', 'many' }, { 'max_peer_connections', 0 },
        { 'max_drain', -1 }, { 'max_linger', false }, { 'max_buffered', 'x' }, { 'head_timeout', -1 }, { 'body_timeout', 'x' },
        { 'send_timeout', {} }, { 'linger_timeout', -1 }, { 'linger_time', 'x' }, { 'http_keepalive', {} }, { 'docroot', 5 },
        { 'index', {} },
    } do
        local ok, err = pcall(http.listen, '127.0.0.1', 0, { [bad[1]] = bad[2] }, print)
        assert(not ok and tostring(err):find(bad[1], 1, true), bad[1] .. ': ' .. tostring(err))
    end
    for _, bad in ipairs { 'x', 5, {} } do
        T.raises('function expected', http.listen, '127.0.0.1', 0, nil, bad)
    end
    T.raises('function expected', http.listen, '127.0.0.1', 0)
    socket.listen_tcp = listen_tcp
    T.eq(called, nil)
    -- No limit is one, too.
    with_server({ max_body = math.huge, max_connections = math.huge, max_peer_connections = math.huge, head_timeout = math.huge },
        setmetatable({}, { __call = function(_, con) con:send('called') end }), function(port)
        assert(exchange(port, 'GET / HTTP/1.0\r\n\r\n'):find('called', 1, true))
    end)
end)

case('lengths that handlers announce are true, or corrected, or refused', function()
    local how, problem
    with_server(nil, function(con, req)
        local ok, err = pcall(how, con, req)
        problem = not ok and err or nil
        if not ok then error(err, 0) end
    end, function(port)
        local function get(method)
            return exchange(port, (method or 'GET') .. ' / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
        end
        -- A short line before it hid the length, and another one went out.
        how = function(con)
            con:add_header('x-id', '7')
            con:add_header('content-length', 100)
            con:add_header('content-length', 2)
            con:send('ab')
        end
        local reply = get()
        local _, count = reply:gsub('Content%-Length', '')
        T.eq(count, 1)
        assert(reply:find('Content%-Length: 2\r\n') and reply:find('\r\n\r\nab$'), reply)
        how = function(con)
            con:add_header('x-id', '7')
            con:add_header('content-length', 2)
            con:add_header('transfer-encoding', 'chunked')
            con:send('ab')
        end
        reply = get()
        assert(not reply:find('Content-Length', 1, true) and reply:find('\r\n\r\n2\r\nab\r\n0\r\n\r\n$'), reply)
        for _, announced in ipairs { 1, 5, '5.0', 5.0 } do
            how = function(con)
                con:add_header('content-length', announced)
                con:send('four')
            end
            reply = get()
            assert(reply:find('Content%-Length: 4\r\n') and reply:find('\r\n\r\nfour$'), reply)
        end
        for _, bad in ipairs { 'x', '-1', '', '1,1', 1.5 } do
            how = function(con) con:add_header('content-length', bad) end
            T.eq(status(get()), 500)
            assert(problem:find('invalid http header', 1, true), problem)
        end
        how = function(con)
            con:add_header('content-length', 3)
            con:send('abc')
            con:flush()
            con:send('too much')
        end
        reply = get()
        assert(reply:find('\r\n\r\nabc$'), reply)
        assert(problem:find('body longer than content-length', 1, true), problem)
        how = function(con)
            con:add_header('content-length', 3)
            con:send('abcd')
            con:flush()
        end
        T.eq(status(get()), 500)
        how = function(con)
            con:add_header('content-length', 5)
            con:send('abc')
            con:flush()
        end
        assert(get():find('Content%-Length: 5\r\n.*\r\n\r\nabc$'))
        for _, bad in ipairs { 'a\11b', 'a\12b', 'a\127b', 'a\0b', 'a\27b' } do
            how = function(con) con:add_header('x', bad) end
            T.eq(status(get()), 500)
        end
        for _, code in ipairs { 0, 99, 1000, -200, 1 << 32, 200.5, 'x' } do
            how = function(con) con:set_status(code) end
            T.eq(status(get()), 500, tostring(code))
        end
        for code, length in pairs { [204] = false, [304] = true, [205] = true } do
            how = function(con)
                con:set_status(code)
                con:add_header('content-length', 0)
            end
            T.eq(get():find('Content-Length', 1, true) ~= nil, length, tostring(code))
        end
    end)
end)

case('the response takes what is set in it', function()
    local how
    with_server(nil, function(con) return how(con) end, function(port)
        how = function(con)
            con.resp.code = 404
            con.resp.status = 'Lost'
            con.resp.headers['x-one'] = '1'
            con.resp.headers['X-Two'] = 2
            con.resp.headers['x-one'] = nil
            con.resp.headers['content-length'] = 3
            con.resp.mine = { 'kept' }
            T.eq({ con.resp.code, con.resp.status, con.resp.mine[1] }, { 404, 'Lost', 'kept' })
            T.eq(con.resp.headers, { ['x-two'] = '2', ['content-length'] = '3' })
            T.eq({ con.resp.headers['x-two'], con.resp.headers['X-TWO'] }, { '2', '2' })
            T.raises("'head_sent' of a response cannot be set", function() con.resp.head_sent = true end)
            T.raises('out of range', function() con.resp.code = 5000 end)
            con.resp.status = nil
            T.eq(con.resp.status, nil)
            con.resp.status = 'Lost'
            con.resp.headers = { ['x-three'] = '3' }
            con:send('abc')
            T.raises('http head has been sent', function() con.resp.code = 200 end)
            T.raises('http head has been sent', function() con.resp.headers.x = 'y' end)
            T.eq(con.resp.data:match('\r\n\r\n(.*)$'), '3\r\nabc\r\n')
        end
        local reply = exchange(port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
        assert(reply:find('^HTTP/1%.1 404 Lost\r\n') and reply:find('X%-Three: 3\r\n') and not reply:find('X-Two', 1, true), reply)
    end)
end)

case('methods give as many values as they promise', function()
    file.mkdir(T.path('www'))
    file.writefile(T.path('www/a'), 'abc')
    local counts
    local function count(...) return select('#', ...) end
    with_server({ docroot = T.path('www') }, function(con, req)
        if req.path == '/form' then
            T.eq(type(req.form), 'table')
            local results = {}
            repeat
                local all = table.pack(con:read_formdata(req))
                results[#results + 1] = all.n
            until all[1] == 'end' or not all[1]
            counts = results
        elseif req.path == '/a' or req.path == '/missing' then
            counts = { count(con:serve_file(req)) }
        elseif req.path == '/send' then
            counts = { count(con:send_file(T.path('www/a'))), count(con:send_file(T.path('missing'))), count(con:send('x')), count(con:flush()) }
        else
            counts = {
                count(con:set_status(200)), count(con:add_header('a', 'b')), count(con:remote_addr()), count(con:read_body(1)),
                count(con:read_body()), count(con:read_body()), count(con:discard_body()), count(con:send_error(404)),
            }
        end
    end, function(port)
        exchange(port, HEAD .. 'Connection: close\r\nContent-Length: 3\r\n\r\nabc')
        T.eq(counts, { 1, 0, 1, 1, 1, 1, 1, 1 })
        exchange(port, 'GET /a HTTP/1.0\r\n\r\n')
        T.eq(counts, { 1 })
        exchange(port, 'GET /missing HTTP/1.0\r\n\r\n')
        T.eq(counts, { 1 })
        exchange(port, 'GET /send HTTP/1.0\r\n\r\n')
        T.eq(counts, { 1, 2, 1, 1 })
        local form = '--X\r\nA: b\r\n\r\nc\r\n--X--\r\n'
        exchange(port, ('POST /form HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: %d\r\n\r\n%s'):format(#form, form))
        T.eq(counts, { 2, 2, 1 })
        exchange(port, 'POST /form HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: 2\r\n\r\n--')
        T.eq(counts, { 2 })
    end)
end)

case('forms as RFC 2046 allows them', function()
    local events
    with_server(nil, function(con, req)
        events = {}
        repeat
            local event, data = con:read_formdata(req, 5)
            events[#events + 1] = type(data) == 'table' and table.concat({ event, tostring(data[1]), tostring(data[2]) }, '|') or event or data
        until type(data) ~= 'table'
    end, function(port)
        local function post(kind, body)
            local head = 'POST / HTTP/1.0\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s'
            return status(exchange(port, head:format(kind, #body, body)))
        end
        local body = 'preamble\r\n--a;"b \t\r\nContent-Disposition: form-data;\r\n name="f"; filename*=utf-8\'\'%e2%82%ac%22\r\n\r\n--a;"b\r\n'
            .. 'A: b\r\n\r\nc\r\n--a;"b--  \r\nepilogue'
        T.eq(post('multipart/form-data; boundary="a;\\"b"', body), 200)
        T.eq(events, {
            'header|content-disposition|form-data; name="f"; filename="\u{20ac}%22"', 'body||true', 'header|a|b', 'body|c|true', 'end',
        })
        -- A handler that says nothing of a broken form.
        T.eq(post('multipart/form-data; boundary=X', '--X\r\nno colon\r\n\r\n'), 400)
        T.eq(post('multipart/form-data; boundary=X', '--X\r\nA: b\r\n\r\nunfinished'), 400)
    end)
end)

case('files: opened before they are announced, and none but files', function()
    file.writefile(T.path('www/gone'), ('x'):rep(100000))
    sys.sh('mkfifo ' .. T.path('www/pipe'))
    sys.sh('ln -s loop ' .. T.path('www/loop'))
    with_server({ docroot = T.path('www') }, function(con, req)
        if req.path == '/gone' then
            -- Between the answer and the file, the name goes.
            local add_header = con.add_header
            con.add_header = function(...)
                os.remove(T.path('www/gone'))
                return add_header(...)
            end
        end
        return con:serve_file(req)
    end, function(port)
        local reply = exchange(port, 'GET /gone HTTP/1.0\r\n\r\n')
        T.eq(status(reply), 200)
        T.eq(#reply:match('\r\n\r\n(.*)$'), 100000)
        T.eq(status(exchange(port, 'GET /gone HTTP/1.0\r\n\r\n')), 404)
        T.eq(status(exchange(port, 'GET /pipe HTTP/1.0\r\n\r\n')), 403)
        T.eq(status(exchange(port, 'GET /loop HTTP/1.0\r\n\r\n')), 404)
        for _, target in ipairs { '/missing', '/loop', '/pipe', '/' .. ('a'):rep(300), '/www', '/a/b' } do
            reply = exchange(port, 'GET ' .. target .. ' HTTP/1.0\r\n\r\n')
            assert(status(reply) >= 400 and not reply:find(T.scratch, 1, true), reply)
        end
    end)
end)

case('errors of any kind in a handler, and a script that goes on', function()
    local value
    with_server(nil, function() error(value) end, function(port)
        for _, thrown in ipairs { 'text', 42, {}, true, print, setmetatable({}, { __tostring = function() return 'told' end }),
            setmetatable({}, { __tostring = function() error('no') end }) } do
            value = thrown
            T.eq(status(exchange(port, 'GET / HTTP/1.0\r\n\r\n')), 500)
        end
        value = nil
        T.eq(status(exchange(port, 'GET / HTTP/1.0\r\n\r\n')), 500)
    end)
    local text = file.readfile(T.path('log'))
    assert(text:find('told', 1, true) and text:find('(error object is a table value)', 1, true), text)
end)

case('2 000 bodies of 20 KB and an endless one: memory is bounded', function()
    file.writefile(T.path('server.lua'), [[
        local http = require 'eco.http.server'
        local log = require 'eco.log'
        log.set_path('memory.log')
        assert(http.listen('127.0.0.1', tonumber(arg[1]), { reuseaddr = true }, function(con)
            local data, err = con:read_body()
            con:send(data and #data or err)
        end))
    ]])
    local free = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = free:getsockname().port
    free:close()
    local words = { table.unpack(T.interpreter) }
    words[#words + 1] = T.path('server.lua')
    words[#words + 1] = tostring(port)
    local server = assert(sys.exec(table.unpack(words)))
    local function peak()
        return tonumber(file.readfile(('/proc/%d/status'):format(server.pid)):match('VmHWM:%s+(%d+)'))
    end
    for _ = 1, 200 do
        if pcall(exchange, port, 'GET / HTTP/1.0\r\n\r\n') then break end
        eco.sleep(0.02)
    end
    exchange(port, 'GET / HTTP/1.0\r\n\r\n')
    local before = peak()
    -- All connections that one peer may hold, each with half a body; then the rest, again and again.
    local body = ('x'):rep(20000)
    local head = HEAD .. 'Content-Length: 20000\r\n\r\n'
    local answered, endless = 0, nil
    local group = T.gather()
    for _ = 1, 100 do
        group:run(function()
            local c = connect(port)
            for _ = 1, 20 do
                assert(c:send(head .. body:sub(1, 10000)))
                eco.sleep(0)
                assert(c:send(body:sub(10001)))
                local line = assert(c:read('l', 10))
                assert(line:find('200', 1, true), line)
                repeat line = assert(c:read('l', 10)) until line == '0'
                c:read('l', 10)
                answered = answered + 1
            end
            c:close()
        end)
    end
    group:run(function()
        local c = connect(port)
        eco.run(function()
            c:send(chunked)
            local piece = ('8000\r\n%s\r\n'):format(('x'):rep(32768))
            while c:send(piece) do end
        end)
        endless = c:read('a', 20)
        c:close()
    end)
    group:wait(60)
    T.eq(answered, 2000)
    assert(endless and endless:find('request body too large', 1, true), endless)
    local grown = peak() - before
    server:kill(15)
    server:wait(5)
    server:close()
    -- 100 bodies are 2 MB, held twice; the endless one stops at 1 MiB.
    assert(T.sanitized or grown < 16 << 10, ('%d KB'):format(grown))
    if os.getenv('TEST_TELLS') then print(('grown by %d KB over %d KB'):format(grown, before)) end
end)

log.set_path('')
