-- `eco.http.client`: requests, bodies both ways, redirects, kept connections, proxies, Unix sockets, and peers that
-- do everything wrong.

local eco = require 'eco'
local file = require 'eco.file'
local hanging = require 'hanging'
local http = require 'eco.http.client'
local log = require 'eco.log'
local server = require 'eco.http.server'
local socket = require 'eco.socket'

log.set_path(T.path('log'))
log.err('the log opens its file')

-- Calls `body` with the URL of a server whose connections `serve` gets, with their number.
local function with_peer(serve, body, listener)
    listener = listener or assert(socket.listen_tcp('127.0.0.1', 0))
    local open, count = {}, 0
    eco.run(function()
        while true do
            local con = listener:accept()
            if not con then
                return
            end
            count = count + 1
            open[con] = true
            eco.run(function(number)
                serve(con, number)
                open[con] = nil
                con:close()
            end, count)
        end
    end)
    local name = listener:getsockname()
    local ok, err = xpcall(body, debug.traceback, ('http://127.0.0.1:%d'):format(name.port or 0), name.port)
    listener:close()
    for con in pairs(open) do
        con:close()
    end
    eco.sleep(0.01)
    assert(ok, err)
    return count
end

-- Waits until the peer is told to end.
local function stay(con)
    while not con:closed() do
        eco.sleep(0.01)
    end
end

-- The head of a request, up to its empty line; nil when the peer has closed.
local function read_head(con)
    local lines = {}
    while true do
        local line = con:read('l', 5)
        if not line then
            return nil
        elseif line == '' then
            return table.concat(lines, '\n') .. '\n'
        end
        lines[#lines + 1] = line
    end
end

-- A peer that answers each request with `answer`, and leaves the connection open unless told.
local function answering(answer, close)
    return function(con)
        while read_head(con) do
            con:send(answer)
            if close then
                return
            end
        end
    end
end

local function with_server(options, handler, body)
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    eco.run(server.listen, '127.0.0.1', 0, options, handler)
    socket.listen_tcp = listen_tcp
    local ok, err = xpcall(body, debug.traceback, ('http://127.0.0.1:%d'):format(listener:getsockname().port))
    listener:close()
    eco.sleep(0.01)
    assert(ok, err)
end

local function ok(text)
    text = tostring(text)
    return ('HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s'):format(#text, text)
end

-- Everything a handler may be asked to tell.
local function tell(con, req)
    local body = con.body_remain > 0 and assert(con:read_body(nil, 5)) or ''
    con:add_header('x-method', req.method)
    con:add_header('x-path', req.raw_path)
    con:add_header('x-length', req.headers['content-length'] or 'none')
    con:add_header('x-type', req.headers['content-type'] or 'none')
    con:add_header('x-port', con.peer.port)
    con:send(body)
end

case('requests on the wire', function()
    local heads = {}
    with_peer(function(con)
        heads[#heads + 1] = read_head(con)
        con:send(ok('x'))
    end, function(url, port)
        assert(http.get(url .. '/a?b=c#d'))
        assert(http.request('DELETE', url, nil, { headers = { ['x-my-HDR'] = 5, HOST = 'other', connection = 'x' } }))
        assert(http.post(url .. '?q'))
        assert(http.post(url, ''))
        assert(http.post(url, 'hello', { headers = { ['content-type'] = 'a/b' } }))
        local host = '127.0.0.1:' .. port
        local function has(at, ...)
            for _, line in ipairs { ... } do
                assert(('\n' .. heads[at]):find('\n' .. line .. '\n', 1, true), line .. ' in ' .. heads[at])
            end
        end
        local function lacks(at, word)
            assert(not heads[at]:find(word), word .. ' in ' .. heads[at])
        end
        has(1, 'GET /a?b=c HTTP/1.1', 'Host: ' .. host, 'Connection: close', 'User-Agent: Lua-eco/' .. eco.VERSION)
        has(2, 'DELETE / HTTP/1.1', 'X-My-Hdr: 5', 'Host: other', 'Connection: x')
        lacks(2, 'close')
        has(3, 'POST /?q HTTP/1.1')
        lacks(3, 'Content%-')
        has(4, 'Content-Length: 0', 'Content-Type: text/plain')
        has(5, 'Content-Length: 5', 'Content-Type: a/b')
        for _, head in ipairs(heads) do
            T.eq(select(2, head:gsub('Host:', '')), 1)
        end
    end)
end)

case('what cannot be asked is refused before anything is sent', function()
    local count = with_peer(function(con)
        con:send(ok(''))
    end, function(url)
        T.fails('invalid url', http.get('h/'))
        T.fails('invalid url', http.get(url .. '/a b'))
        T.fails('invalid url', http.get(url .. '/\r\nX: y'))
        T.fails('invalid url', http.get('http://127.0.0.1:99999/'))
        T.fails('invalid url', http.get('http://127.0.0.1\r\nX: y/'))
        T.fails('unsupported scheme: ftp', http.get('ftp://127.0.0.1/'))
        T.fails('unsupported scheme: HTTP', http.get('HTTP://127.0.0.1/'))
        T.fails('invalid method', http.request('GET /x HTTP/1.1\r\nA:', url))
        T.fails('invalid method', http.request('', url))
        for name, value in pairs { ['a b'] = 'c', [''] = 'x', ['a\r\nb'] = 'c', a = 'b\r\nC: d', b = 'c\nd', c = 'd\0', ['a:'] = 'b',
            ['Transfer-Encoding'] = 'chunked' } do
            T.fails('invalid header', http.get(url, { headers = { [name] = value } }))
        end
        T.fails('invalid content-length', http.get(url, { headers = { ['content-length'] = 5 } }))
        T.fails('invalid content-length', http.post(url, 'abc', { headers = { ['content-length'] = '2' } }))
        T.fails('invalid content-length', http.post(url, 'abc', { headers = { ['content-length'] = '3.0' } }))
        T.fails('invalid body', http.post(url, 5))
        T.fails('invalid body', http.post(url, {}))
        T.fails('invalid proxy', http.get(url, { proxy = 'socks5://127.0.0.1:1' }))
        T.fails('TLS needs the package lua-eco-ssl', (function()
            if pcall(require, 'eco.ssl') then return nil, 'TLS needs the package lua-eco-ssl' end
            return http.get('https://127.0.0.1:1/')
        end)())
        T.fails('connect "127.0.0.1 1" fail: Connection refused', http.get('http://127.0.0.1:1/'))
        T.fails('connect "/nowhere/x" fail: No such file or directory', http.get(url, { unix = '/nowhere/x' }))
        T.raises('string expected', http.request, 5, url)
        T.fails('invalid url', http.get(nil))
        T.raises('string expected', http.get, {})
        T.raises('number expected', http.get, url, { max_body = 'x' })
        T.eq(select('#', http.new():close()), 0)
    end)
    T.eq(count, 0)
end)

case('responses', function()
    local function get(answer, opts, close, method)
        local results
        with_peer(answering(answer, close ~= false), function(url)
            results = table.pack(http.request(method or 'GET', url, nil, opts))
        end)
        return table.unpack(results, 1, results.n)
    end
    local resp = get('HTTP/1.1 200 All is  well \r\nX-A:  b \r\nx-a: c\r\nD:\r\nContent-Length: 3\r\n\r\nabc')
    T.eq(resp, { code = 200, status = 'All is  well', headers = { ['x-a'] = 'c', d = '', ['content-length'] = '3' }, body = 'abc' })
    -- By chunks, by the end, without CR, in folds, without a reason.
    T.eq(get('HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n', nil, false).body, 'abcde')
    T.eq(get('HTTP/1.0 200 OK\r\n\r\nuntil the end').body, 'until the end')
    T.eq(get('HTTP/1.1 200\nA: b\n c\nContent-Length: 1\n\nx', nil, false).headers.a, 'b c')
    -- Nothing follows these, whatever they say.
    for _, code in ipairs { 204, 304 } do
        local none = get(('HTTP/1.1 %d x\r\nContent-Length: 5\r\n\r\n'):format(code), nil, false)
        T.eq({ none.code, none.body }, { code, '' })
    end
    T.eq(get('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', nil, false, 'HEAD').body, nil)
    -- Interim responses are no answers; 101 is one.
    T.eq(get('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' .. ok('y'), nil, false).body, 'y')
    T.eq(get('HTTP/1.1 101 Switching Protocols\r\n\r\n', nil, false).code, 101)
    -- What is no answer.
    for answer, message in pairs {
        ['SSH-2.0-x\r\n'] = 'invalid http status line',
        ['HTTP/2.0 200 OK\r\n\r\n'] = 'invalid http status line',
        ['HTTP/1.1 20 OK\r\n\r\n'] = 'invalid http status line',
        ['HTTP/1.1 200 OK\r\nnone\r\n\r\n'] = 'invalid http header',
        ['HTTP/1.1 200 OK\r\n: b\r\n\r\n'] = 'invalid http header',
        ['HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n'] = 'invalid content-length',
        ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'] = 'invalid content-length',
        ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'] = 'invalid content-length',
        ['HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n'] = 'response body too large',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'] = 'unsupported transfer-encoding',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n'] = 'not a vaild http chunked body',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n'] = 'not a vaild http chunked body',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n'] = 'not a vaild http chunked body',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nab'] = 'closed',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad\r\n\r\n'] = 'invalid http trailer',
        ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc'] = 'read body fail: closed',
        ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc'] = 'closed',
        [''] = 'closed',
        ['HTTP/1.1 20'] = 'closed',
    } do
        T.fails(message, get(answer))
    end
end)

case('a response cut off at every byte is an error, in time', function()
    local whole = 'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
    for length = 0, #whole - 1 do
        with_peer(answering(whole:sub(1, length), true), function(url)
            local resp, err = http.get(url, { timeout = 5 })
            assert(resp == nil and err, length)
        end)
    end
    -- And one that comes byte by byte is none.
    with_peer(function(con)
        read_head(con)
        for at = 1, #whole do
            con:send(whole:sub(at, at))
            eco.sleep(0)
        end
    end, function(url)
        T.eq(http.get(url).body, 'abc')
    end)
end)

case('limits of time', function()
    with_peer(function(con)
        read_head(con)
        con:read(1)
    end, function(url)
        T.fails('timeout', T.took(0.1, 1, http.get, url, { timeout = 0.1 }))
    end)
    -- A head must be there in time, however many bytes come.
    with_peer(function(con)
        read_head(con)
        while con:send('HTTP/1.1 200 OK\r\n') or con:send('A: b\r\n') do
            for _ = 1, 1000 do
                if not con:send('A: b\r\n') then
                    return
                end
                eco.sleep(0.02)
            end
        end
    end, function(url)
        T.fails('timeout', T.took(0.2, 1.5, http.get, url, { timeout = 0.2 }))
    end)
    -- Bodies have their time anew with each piece, unless there is one for all.
    local function slow(con)
        read_head(con)
        con:send('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n')
        for _ = 1, 8 do
            eco.sleep(0.05)
            if not con:send('x') then
                return
            end
        end
    end
    with_peer(slow, function(url)
        T.eq(T.took(0.3, 3, http.get, url, { timeout = 0.3 }).body, 'xxxxxxxx')
        T.fails('read body fail: timeout', T.took(0.15, 1, http.get, url, { timeout = 1, max_time = 0.15 }))
    end)
    -- A peer that does not take the request.
    with_peer(function(con)
        con:read(1)
        stay(con)
    end, function(url)
        T.fails('timeout', T.took(0.1, 1.5, http.post, url, ('x'):rep(16 << 20), { timeout = 0.1 }))
    end)
end)

case('limits of size', function()
    with_peer(function(con)
        read_head(con)
        while con:send('HTTP/1.1 200 OK\r\n' .. ('A: b\r\n'):rep(1000)) do
        end
    end, function(url)
        T.fails('http response head too large', http.get(url))
        T.fails('http response head too large', http.get(url, { max_headers = 10 }))
    end)
    with_peer(function(con)
        read_head(con)
        con:send('HTTP/1.1 200 ' .. ('x'):rep(100000))
    end, function(url)
        T.fails('http response head too large', http.get(url))
        T.fails('http response head too large', http.get(url, { max_head = 1000 }))
    end)
    with_peer(function(con)
        read_head(con)
        while con:send(('HTTP/1.1 100 Continue\r\n\r\n'):rep(10)) do
        end
    end, function(url)
        T.fails('http response head too large', http.get(url))
    end)
    for _, head in ipairs { '', 'Content-Length: 5000\r\n', 'Transfer-Encoding: chunked\r\n' } do
        with_peer(function(con)
            read_head(con)
            con:send('HTTP/1.1 200 OK\r\n' .. head .. '\r\n')
            while con:send(head:find('chunked') and '5\r\nabcde\r\n' or 'abcde') do
            end
        end, function(url)
            T.fails('response body too large', http.get(url, { max_body = 4000 }))
            T.fails('response body too large', http.get(url, { max_body = 4000, body_to_file = T.path('big') }))
        end)
    end
    with_peer(function(con)
        read_head(con)
        con:send('HTTP/1.1 200 OK\r\n\r\n')
        while con:send(('x'):rep(1 << 20)) do
        end
    end, function(url)
        T.fails('response body too large', http.get(url))
    end)
end)

case('bodies to files and functions', function()
    local big = ('0123456789abcdef'):rep(20000)
    with_server(nil, function(con, req)
        if req.path == '/chunked' then
            for _, piece in ipairs { 'a', ('b'):rep(10000), ('c'):rep(100000) } do
                con:send(piece)
                con:flush()
            end
        elseif req.path == '/empty' then
            con:send_error(404)
        else
            con:add_header('content-length', #big)
            con:send(big)
        end
    end, function(url)
        local path = T.path('saved')
        local resp = assert(http.get(url, { body_to_file = path }))
        T.eq({ resp.code, resp.body }, { 200, nil })
        T.eq(file.readfile(path), big)
        -- Whatever the status; and what was there goes.
        T.eq(http.get(url .. '/empty', { body_to_file = path }).code, 404)
        T.eq(file.readfile(path), '')
        local pieces = {}
        local function add(...)
            T.eq(select('#', ...), 1)
            pieces[#pieces + 1] = ...
            return nil, 'ignored'
        end
        assert(http.get(url, { body_to_file = add }))
        T.eq(table.concat(pieces), big)
        for _, piece in ipairs(pieces) do
            assert(#piece <= 4096)
        end
        pieces = {}
        assert(http.get(url .. '/chunked', { body_to_file = add }))
        T.eq({ #pieces[1], #pieces[2], #pieces[3], #pieces[4] }, { 1, 10000, 65536, 34464 })
        pieces = {}
        assert(http.get(url .. '/empty', { body_to_file = add }))
        T.eq(#pieces, 0)
        T.raises('of the callback', http.get, url, { body_to_file = function() error('of the callback') end })
        T.raises('assertion failed!', http.get, url, { body_to_file = 5 })
        T.fails('create "/nowhere/x" fail: ', http.get(url, { body_to_file = '/nowhere/x' }))
        T.fails('fail: Invalid argument', http.get(url, { body_to_file = path .. '\0' }))
        if file.access('/dev/full') then
            T.fails('write "/dev/full" fail: ', http.get(url, { body_to_file = '/dev/full' }))
        end
    end)
    with_peer(answering('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', true), function(url)
        local path = T.path('partial')
        T.fails('read body fail: closed', http.get(url, { body_to_file = path }))
        T.eq(file.readfile(path), 'abc')
    end)
end)

case('bodies that are read by the caller', function()
    local big = ('0123456789abcdef'):rep(20000)
    with_server({ http_keepalive = 30 }, function(con)
        con:add_header('content-length', #big)
        con:send(big)
    end, function(url)
        local function read_all(resp)
            local all = {}
            while true do
                local data, err = resp:read(5000, 5)
                if not data then
                    T.eq(err, nil)
                    T.eq(select('#', resp:read()), 1)
                    return table.concat(all)
                end
                assert(#data <= 5000)
                all[#all + 1] = data
            end
        end
        local resp = assert(http.get(url, { stream = true }))
        T.eq(resp.body, nil)
        collectgarbage()
        T.eq(read_all(resp), big)
        -- A client keeps the connection when all was read, and closes it when not.
        local client<close> = http.new { reuse = true }
        T.eq(read_all(assert(client:get(url, { stream = true }))), big)
        local port = client:sock():getsockname().port
        do
            local part<close> = assert(client:get(url, { stream = true }))
            T.eq(client:sock():getsockname().port, port)
            T.eq(#part:read(10), 10)
        end
        T.fails('not connected', client:sock())
        assert(client:get(url))
    end)
    with_peer(answering('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', true), function(url)
        local resp = assert(http.get(url, { stream = true }))
        T.eq(resp:read(), 'abc')
        T.fails('read body fail: closed', resp:read())
        T.eq(resp:read(), nil)
    end)
end)

case('bodies of requests', function()
    local big = ('0123456789abcdef'):rep(20000)
    local path = T.path('upload')
    file.writefile(path, big)
    with_server({ max_body = 4 << 20 }, tell, function(url)
        T.eq(http.post(url, big).body, big)
        -- Files.
        local body = assert(http.body_with_file(path))
        T.eq({ body.name, body.size, getmetatable(body) }, { path, #big, 'eco-http-body-file' })
        for _ = 1, 2 do
            local resp = http.post(url, body)
            T.eq({ resp.body, resp.headers['x-length'] }, { big, ('%d'):format(#big) })
        end
        file.writefile(T.path('empty'), '')
        T.eq(http.post(url, assert(http.body_with_file(T.path('empty')))).headers['x-length'], '0')
        T.fails('No such file or directory', http.body_with_file(T.path('none')))
        T.fails('not a regular file', http.body_with_file(T.scratch))
        -- Functions: in chunks, or as many bytes as announced.
        local function giver(...)
            local pieces, at = { ... }, 0
            return function()
                at = at + 1
                return pieces[at]
            end
        end
        local resp = http.post(url, giver('abc', big, 'd'))
        T.eq({ resp.body, resp.headers['x-length'] }, { 'abc' .. big .. 'd', 'none' })
        resp = http.post(url, giver('abc', 'd'), { headers = { ['content-length'] = 4 } })
        T.eq({ resp.body, resp.headers['x-length'] }, { 'abcd', '4' })
        T.fails('send body fail: not as many bytes as announced', http.post(url, giver('abc'), { headers = { ['content-length'] = 4 } }))
        T.fails('send body fail: not as many bytes as announced', http.post(url, giver('abcde'), { headers = { ['content-length'] = 4 } }))
        T.fails('send body fail: disk on fire', http.post(url, function() return nil, 'disk on fire' end))
        T.raises('must give strings', http.post, url, function() return 5 end)
        T.raises('of the callback', http.post, url, function() error('of the callback') end)
    end)
    -- A file that shrank.
    with_server(nil, tell, function(url)
        local body = assert(http.body_with_file(path))
        file.writefile(path, 'short')
        T.fails('send body fail: closed', http.post(url, body))
    end)
end)

case('forms', function()
    local path = T.path('we"ird.bin')
    local big = ('\r\n--'):rep(50000)
    file.writefile(path, big)
    local parts
    with_server({ max_body = 4 << 20 }, function(con, req)
        parts = {}
        while true do
            local what, value = con:read_formdata(req, 5)
            if what == 'end' then
                break
            elseif what == 'header' then
                parts[#parts + 1] = value[1] .. ': ' .. value[2]
            elseif what == 'body' then
                local last = parts.body or ''
                parts.body = last .. value[1]
                if value[2] then
                    parts[#parts + 1], parts.body = parts.body, nil
                end
            else
                parts[#parts + 1] = tostring(value)
                break
            end
        end
        con:send('ok')
    end, function(url)
        local form = http.form()
        T.eq(form:add('na"me\r\nX: y', 'a\r\nb'), true)
        T.eq(form:add_file('fw', path), true)
        T.fails('No such file', form:add_file('fw', T.path('none')))
        T.raises('assertion failed!', form.add, form, 'a', 5)
        T.raises('assertion failed!', form.add_file, form, 5, path)
        T.eq(getmetatable(form), 'eco-http-body-form')
        assert(form.boundary:find('^' .. ('%-'):rep(24) .. ('%x'):rep(16) .. '$') and form.boundary ~= http.form().boundary)
        for _ = 1, 2 do
            T.eq(http.post(url, form).body, 'ok')
            T.eq(parts, {
                'content-disposition: form-data; name="na%22me%0D%0AX: y"', 'a\r\nb',
                'content-disposition: form-data; name="fw"; filename="we%22ird.bin"', 'content-type: application/octet-stream', big,
            })
        end
    end)
    with_server(nil, tell, function(url)
        T.eq(http.post(url, http.form()).headers['x-length'], 'none')
        local client<close> = http.new()
        local form = http.form()
        T.eq(client:post(url, form).body, form.tail)
    end)
end)

case('the go-ahead for a body', function()
    local got
    with_peer(function(con, number)
        local head = read_head(con)
        assert(head:find('Expect: 100-continue\n', 1, true))
        if number == 1 then
            con:send('HTTP/1.1 100 Continue\r\n\r\n')
        elseif number == 2 then
            return con:send('HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n')
        end
        got = con:readfull(5, 5)
        con:send(ok('y'))
    end, function(url)
        T.eq(http.post(url, 'hello', { expect_continue = 5 }).body, 'y')
        T.eq(got, 'hello')
        got = nil
        T.eq(http.post(url, 'hello', { expect_continue = 5 }).code, 417)
        T.eq(got, nil)
        -- A peer that does not know it.
        T.eq(T.took(0.1, 2, http.post, url, 'hello', { expect_continue = 0.1 }).body, 'y')
        T.eq(got, 'hello')
    end)
end)

case('answers to uploads that are not taken', function()
    local big = ('x'):rep(16 << 20)
    -- It answers and closes at once, or answers and does not read on.
    for _, close in ipairs { true, false } do
        with_peer(function(con)
            read_head(con)
            con:send('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno')
            if not close then
                stay(con)
            end
        end, function(url)
            local resp, err = http.post(url, big, { timeout = 5 })
            -- A reset may overtake the answer.
            if resp then
                T.eq({ resp.code, resp.body }, { 413, 'no' })
            else
                assert(close and err:find('^send body fail: '), err)
            end
        end)
    end
    with_peer(function(con)
        con:read(1)
    end, function(url)
        T.fails('send body fail: ', http.post(url, big, { timeout = 5 }))
    end)
end)

case('kept connections', function()
    local connections = with_peer(answering(ok('x')), function(url)
        local client<close> = http.new { reuse = true }
        for _ = 1, 5 do
            T.eq(client:get(url).body, 'x')
        end
        assert(client:sock())
        client:close()
        T.fails('not connected', client:sock())
        T.eq(client:get(url).body, 'x')
    end)
    T.eq(connections, 2)
    -- Without the option each request has its own, and the last one stays.
    connections = with_peer(answering(ok('x')), function(url)
        local client<close> = http.new()
        for _ = 1, 3 do
            assert(client:get(url))
            assert(client:sock())
        end
    end)
    T.eq(connections, 3)
    -- Not again: closing ones, late ones, ones with something unasked for.
    for _, answer in ipairs { 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
        ok('') .. ok('never asked for') } do
        connections = with_peer(answering(answer), function(url)
            local client<close> = http.new { reuse = true }
            for _ = 1, 3 do
                assert(client:get(url))
            end
        end)
        T.eq(connections, 3)
    end
    connections = with_peer(answering(ok('x')), function(url)
        local client<close> = http.new { reuse = 0.05 }
        assert(client:get(url))
        eco.sleep(0.1)
        assert(client:get(url))
    end)
    T.eq(connections, 2)
    -- No more than so many wait.
    connections = with_peer(answering(ok('x')), function(url)
        local client<close> = http.new { reuse = true, max_idle = 2 }
        for _ = 1, 2 do
            local group = T.gather()
            for _ = 1, 5 do
                group:run(function() assert(client:get(url)) end)
            end
            group:wait()
        end
    end)
    T.eq(connections, 8)
end)

-- A peer that counts what is open: `open.now`, and in `open.closed` the numbers of connections in the order they closed.
local function counting(open)
    open.now, open.closed = 0, {}
    return function(con, number)
        open.now = open.now + 1
        answering(ok('x'))(con)
        open.now = open.now - 1
        table.insert(open.closed, number)
    end
end

case('kept connections close when their time is over', function()
    local open = {}
    with_peer(counting(open), function(url)
        local client<close> = http.new { reuse = 0.2 }
        local coroutines = eco.count()
        T.all(function() assert(client:get(url)) end, function() assert(client:get(url)) end)
        T.took(0.15, 1, T.await, function() return open.now == 0 end)
        T.fails('not connected', client:sock())
        -- The later one lives longer, and one in use as long as it takes.
        assert(client:get(url))
        eco.sleep(0.1)
        assert(client:get(url, { reuse = 5 }))
        eco.sleep(0.2)
        T.eq(open.now, 1)
        local resp = assert(client:get(url, { stream = true }))
        eco.sleep(0.3)
        T.eq({ resp:read(), open.now }, { 'x', 1 })
        T.eq(resp:read(), nil)
        T.took(0.15, 1, T.await, function() return open.now == 0 end)
        -- Neither they nor the alarm count as something to wait for.
        assert(client:get(url))
        T.await(function() return open.now == 1 end)
        T.eq(eco.count() - coroutines, 1)
    end)
end)

case('a bound for all clients: the one that waits longest goes', function()
    T.eq(http.max_idle, 64)
    http.max_idle = 2
    local open = {}
    with_peer(counting(open), function(url)
        local one<close> = http.new { reuse = true }
        local other<close> = http.new { reuse = true }
        assert(one:get(url))
        T.all(function() assert(other:get(url)) end, function() assert(other:get(url)) end)
        T.await(function() return open.now == 2 end)
        T.eq(open.closed, { 1 })
        assert(one:get(url))
        T.await(function() return open.now == 2 and #open.closed == 2 end)
        assert(open.closed[2] ~= 4)
    end)
    http.max_idle = 64
end)

case('a kept connection that is over is replaced once', function()
    -- The peer closes after the first answer, or only when it sees the second request.
    for _, late in ipairs { false, true } do
        local asked = {}
        local function serve(con, number)
            asked[#asked + 1] = read_head(con):match('^%u+')
            con:send(ok(number))
            if late then
                local head = read_head(con)
                asked[#asked + 1] = head and head:match('^%u+')
            end
        end
        with_peer(serve, function(url)
            local client<close> = http.new { reuse = true }
            T.eq(client:get(url).body, '1')
            eco.sleep(0.02)
            T.eq(client:get(url).body, '2')
            eco.sleep(0.02)
            -- What must not happen twice does not, unless nothing was sent.
            if late then
                T.fails('closed', client:post(url, 'x'))
                T.eq(asked, { 'GET', 'GET', 'GET', 'POST' })
            else
                T.eq(client:post(url, 'x').body, '3')
            end
        end)
    end
    -- A fresh one is not tried again.
    local connections = with_peer(function(con) read_head(con) end, function(url)
        local client<close> = http.new { reuse = true }
        T.fails('closed', client:get(url))
    end)
    T.eq(connections, 1)
end)

case('redirects', function()
    local seen = {}
    local other
    local function answer(con)
        while true do
            local head = read_head(con)
            if not head then
                return
            end
            local method, path = head:match('^(%S+) (%S+)')
            local length = tonumber(head:match('Content%-Length: (%d+)')) or 0
            local body = length > 0 and con:readfull(length, 5) or ''
            seen[#seen + 1] = { method = method, path = path, body = body, head = head }
            local code, location = path:match('^/(%d+)/(.*)$')
            if code then
                con:send(('HTTP/1.1 %s Moved\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nmoved'):format(code, (location:gsub('!', other or ''))))
            else
                con:send(ok(path))
            end
        end
    end
    local function paths()
        local all = {}
        for _, request in ipairs(seen) do
            all[#all + 1] = request.method .. ' ' .. request.path .. ' ' .. request.body
        end
        seen = {}
        return table.concat(all, ', ')
    end
    with_peer(answer, function(url, port)
        -- Not unless asked for.
        T.eq(http.get(url .. '/302//x').code, 302)
        T.eq(http.get(url .. '/302//x').body, 'moved')
        seen = {}
        local opts = { redirects = 3 }
        local resp = assert(http.get(url .. '/302//x?y=1', opts))
        T.eq({ resp.body, resp.url }, { '/x?y=1', url .. '/x?y=1' })
        T.eq(http.get(url .. '/plain', opts).url, nil)
        for _, location in ipairs { '//127.0.0.1:' .. port .. '/z', url .. '/z#frag' } do
            T.eq(http.get(url .. '/301/' .. location, opts).body, '/z')
        end
        seen = {}
        -- Methods and bodies.
        assert(http.post(url .. '/302//x', 'body', opts))
        T.eq(paths(), 'POST /302//x body, GET /x ')
        assert(http.post(url .. '/303//x', 'body', opts))
        T.eq(paths(), 'POST /303//x body, GET /x ')
        assert(http.request('PUT', url .. '/303//x', 'body', opts))
        T.eq(paths(), 'PUT /303//x body, GET /x ')
        assert(http.request('PUT', url .. '/301//x', 'body', opts))
        T.eq(paths(), 'PUT /301//x body, PUT /x body')
        assert(http.post(url .. '/307//x', 'body', opts))
        T.eq(paths(), 'POST /307//x body, POST /x body')
        assert(http.request('HEAD', url .. '/303//x', nil, opts))
        T.eq(paths(), 'HEAD /303//x , HEAD /x ')
        -- Bounded, and with sense.
        T.fails('too many redirects', http.get(url .. '/302//302//302//302//x', opts))
        T.fails('too many redirects', http.get(url .. '/302/', { redirects = 5 }))
        T.fails('redirect: unsupported scheme: ftp', http.get(url .. '/302/ftp://a/', opts))
        T.fails('redirect: invalid url', http.get(url .. '/302/http://', opts))
        seen = {}
        -- What proves who asks goes to the same place, and to no other.
        local secret = { redirects = 3, user = 'me', password = 'pw', headers = { cookie = 'c=1', ['x-kept'] = '1' } }
        assert(http.get(url .. '/302//x', secret))
        assert(seen[2].head:find('Authorization: Basic bWU6cHc=\n', 1, true) and seen[2].head:find('Cookie: c=1', 1, true))
        seen = {}
        with_peer(answer, function(there)
            other = there
            assert(http.get(url .. '/302/!/x', secret))
            assert(seen[1].head:find('Authorization', 1, true) and seen[1].head:find('Cookie', 1, true))
            assert(not seen[2].head:find('Authorization', 1, true) and not seen[2].head:find('Cookie', 1, true))
            assert(seen[2].head:find('X-Kept: 1', 1, true))
        end)
        -- Over one connection, if it may be kept.
        local client<close> = http.new { reuse = true, redirects = 3 }
        T.eq(client:get(url .. '/302//x').body, '/x')
    end)
end)

case('relative locations', function()
    local location
    with_peer(function(con)
        local path = read_head(con):match(' (%S+)')
        if path == '/a/b/c?q' then
            con:send(('HTTP/1.1 301 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n'):format(location))
        else
            con:send(ok(path))
        end
    end, function(url)
        for where, path in pairs { d = '/a/b/d', ['./d'] = '/a/b/d', ['../d'] = '/a/d', ['../../../d?x'] = '/d?x', ['..'] = '/a/', ['.'] = '/a/b/',
            ['d/e/../f/'] = '/a/b/d/f/', ['?x'] = '/a/b/c?x', ['/x y'] = '/x%20y', ['/x/../y#z'] = '/y', [''] = false } do
            location = where
            if path then
                T.eq(http.get(url .. '/a/b/c?q', { redirects = 1 }).body, path, where)
            else
                T.fails('too many redirects', http.get(url .. '/a/b/c?q', { redirects = 2 }))
            end
        end
    end)
end)

case('credentials', function()
    with_peer(function(con)
        con:send(ok(read_head(con):match('Authorization: ([^\n]*)') or 'none'))
    end, function(url)
        T.eq(http.get(url).body, 'none')
        T.eq(http.get(url, { user = 'Aladdin', password = 'open sesame' }).body, 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==')
        T.eq(http.get(url:gsub('//', '//a%%40b:c%%3Ad@', 1), nil).body, 'Basic YUBiOmM6ZA==')
        T.eq(http.get(url, { user = 'x', headers = { authorization = 'Bearer y' } }).body, 'Bearer y')
    end)
end)

-- A proxy: CONNECT, and forwarding of absolute targets.
local function proxy(con)
    local head = read_head(con)
    local host, port = head:match('^CONNECT ([%d.]+):(%d+) HTTP/1.1\n')
    if not host then
        return con:send(ok('by proxy: ' .. head:match('^[^\n]*') .. ' ' .. (head:match('Proxy%-Authorization: [^\n]*') or '')))
    elseif port == '1' then
        return con:send('HTTP/1.1 407 Who are you\r\nContent-Length: 3\r\n\r\nno!')
    end
    local there = assert(socket.connect_tcp(host, tonumber(port)))
    con:send('HTTP/1.1 200 Connected\r\n\r\n')
    local function copy(from, to)
        while true do
            local data = from:read(4096)
            if not data or not to:send(data) then
                break
            end
        end
        from:close()
        to:close()
    end
    eco.run(copy, there, con)
    copy(con, there)
end

case('proxies', function()
    with_peer(proxy, function(by, port)
        T.eq(http.get('http://example.org:81/x?y', { proxy = by }).body, 'by proxy: GET http://example.org:81/x?y HTTP/1.1 ')
        T.eq(http.get('http://a/', { proxy = 'http://u:p@127.0.0.1:' .. port }).body, 'by proxy: GET http://a/ HTTP/1.1 Proxy-Authorization: Basic dTpw')
        T.fails('proxy: 407 Who are you', http.get('ws://127.0.0.1:1/', { proxy = by }))
        with_peer(function(con)
            local head = read_head(con)
            assert(head:find('Upgrade: websocket\n', 1, true) and head:find('Sec-Websocket-Version: 13\n', 1, true))
            assert(head:find('Sec%-Websocket%-Key: ' .. ('[%w+/]'):rep(22) .. '==\n'))
            con:send('HTTP/1.1 101 Switching Protocols\r\n\r\nhello')
        end, function(url)
            local client<close> = http.new { proxy = by }
            T.eq(client:get((url:gsub('^http', 'ws'))).code, 101)
            T.eq(client:sock():readfull(5), 'hello')
        end)
    end)
end)

case('Unix sockets', function()
    local path = T.path('unix')
    with_peer(function(con)
        con:send(ok(read_head(con):match('Host: [^\n]*')))
    end, function()
        T.eq(http.get('http://docker/version', { unix = path }).body, 'Host: docker')
    end, assert(socket.listen_unix(path)))
end)

case('names', function()
    local query
    local known = package.loaded['eco.dns']
    package.loaded['eco.dns'] = {
        query = function(name, opts)
            query = { name, opts.type, opts.mark }
            if name == 'none' then
                return nil, 'name error'
            end
            return { { type = 5, name = 'x' }, { type = 1, address = '127.0.0.9' }, { type = 1, address = '127.0.0.1' } }
        end,
    }
    local done, err = pcall(with_peer, function(con)
        con:send(ok(read_head(con):match('Host: [^\n]*')))
    end, function(_, port)
        -- The second address takes the connection.
        T.eq(http.get(('http://name:%d/'):format(port)).body, 'Host: name:' .. port)
        T.eq(query, { 'name', 1 })
        T.fails('resolve "none" fail: name error', http.get('http://none/'))
        T.fails('resolve "name" fail: not found', http.get('http://name/', { ipv6 = true }))
        T.eq(query, { 'name', 28 })
    end)
    package.loaded['eco.dns'] = known
    assert(done, err)
end)

case('IPv6 hosts', function()
    local listener = socket.listen_tcp('::1', 0, { ipv6 = true })
    if not listener then
        return
    end
    with_peer(function(con)
        con:send(ok(read_head(con):match('Host: [^\n]*')))
    end, function(_, port)
        T.eq(http.get(('http://[::1]:%d/'):format(port)).body, ('Host: [::1]:%d'):format(port))
    end, listener)
end)

case('closing and cancelling', function()
    with_peer(function(con)
        read_head(con)
        con:read(1)
    end, function(url)
        for _, opts in ipairs { {}, { reuse = true } } do
            local client = http.new(opts)
            T.all(function()
                T.fails('canceled', client:get(url))
            end, function()
                eco.sleep(0.02)
                client:close()
            end)
            client:close()
        end
        -- A coroutine that is closed takes its connection along.
        local client = http.new()
        local co = eco.run(function()
            client:get(url)
        end)
        eco.sleep(0.02)
        coroutine.close(co)
        T.fails('not connected', client:sock())
        -- Nobody holds it any more.
        http.new():request('GET', url, nil, { timeout = 0.01 })
    end)
    -- The first request of a client without `reuse` loses its connection to the second, which has got one.
    with_peer(function(con, number)
        read_head(con)
        if number == 1 then
            con:read(1)
        else
            con:send(ok('y'))
        end
    end, function(url)
        local client<close> = http.new()
        T.all(function()
            T.fails('canceled', client:get(url))
        end, function()
            eco.sleep(0.02)
            T.eq(client:get(url).body, 'y')
        end)
    end)
end)

-- Where connecting hangs: a URL, options, and what is to be closed afterwards.
local prepared = {}

function prepared.name()
    local host, _, held, servers = hanging.unnamed()
    return 'http://' .. host, { nameservers = servers }, held
end

function prepared.tcp()
    local host, port, held = hanging.full()
    return ('http://%s:%d'):format(host, port), {}, held
end

function prepared.tls()
    local host, port, held = hanging.silent()
    return ('https://%s:%d'):format(host, port), { insecure = true }, held
end

function prepared.proxy()
    local host, port, held = hanging.silent()
    return 'ws://there', { proxy = ('http://%s:%d'):format(host, port) }, held
end

case('a connect that hangs ends with its client, and with its coroutine', function()
    for name, prepare in pairs(prepared) do
        local url, opts, held = prepare()
        for _, reuse in ipairs { false, true } do
            local client, group, problem = http.new { reuse = reuse }, T.gather(), nil
            T.took(0.05, 1, function()
                group:run(function() problem = select(2, client:get(url, opts)) end)
                eco.sleep(0.05)
                T.took(0, 0.5, client.close, client)
                group:wait()
            end)
            T.eq({ name, problem }, { name, 'canceled' })
        end
        local co = eco.run(http.get, url, opts)
        eco.sleep(0.05)
        T.eq({ name, coroutine.close(co) }, { name, true })
        for _, sock in ipairs(held) do
            sock:close()
        end
    end
    -- What is raised on the way gets to whoever asks; the client goes on.
    local client<close> = http.new()
    T.raises('number expected', client.get, client, 'http://127.0.0.1:9', { mark = 'x' })
    with_peer(answering(ok('x')), function(url)
        T.eq(client:get(url).body, 'x')
        -- One request's connection is not the other's.
        local there, opts, held = prepared.tls()
        T.all(function()
            T.fails('canceled', client:get(there, opts))
        end, function()
            for _ = 1, 3 do
                T.eq(client:get(url).body, 'x')
            end
            client:close()
        end)
        held[1]:close()
    end)
end)

case('many at once', function()
    with_server(nil, tell, function(url)
        local client<close> = http.new { reuse = true, max_idle = 20 }
        local group, total = T.gather(), 0
        for number = 1, 20 do
            group:run(function()
                for _ = 1, 20 do
                    local text = ('%d-'):format(number):rep(number * 50)
                    T.eq(client:post(url, text).body, text)
                    total = total + 1
                end
            end)
        end
        group:wait()
        T.eq(total, 400)
    end)
end)

log.set_path('')
