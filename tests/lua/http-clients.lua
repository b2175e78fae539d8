-- `eco.http.server` and the clients people use: curl and wrk.

local eco = require 'eco'
local file = require 'eco.file'
local http = require 'eco.http.server'
local log = require 'eco.log'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

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
    body(('http://127.0.0.1:%d'):format(listener:getsockname().port))
    listener:close()
    eco.sleep(0.01)
end

local function run(...)
    local process = assert(sys.exec(...))
    local output = process:read_stdout('a', 30)
    local errors = process:read_stderr('a', 30)
    local _, status = assert(process:wait(30))
    process:close()
    assert(status.exited and status.status == 0, ('%s: %s%s'):format(table.concat({ ... }, ' '), output, errors))
    return output
end

local function curl(...)
    return run('curl', '-sS', '--max-time', '20', ...)
end

case('curl: pages, status, headers, several requests on one connection', function()
    local peers = {}
    with_server(nil, function(con, req)
        peers[con.peer.port] = true
        if req.path == '/moved' then
            return con:redirect(302, '/there')
        end
        con:add_header('x-path', req.path)
        con:send(req.method, ' ', req.query.q or '-', '\n')
    end, function(base)
        T.eq(curl(base .. '/?q=a%20b'), 'GET a b\n')
        T.eq(curl('--http1.0', base), 'GET -\n')
        T.eq(curl('-X', 'DELETE', base), 'DELETE -\n')
        assert(curl('-I', base .. '/head'):find('\r\nX%-Path: /head\r\n'))
        assert(curl('-L', '-w', '%{url_effective}', base .. '/moved'):find('/there$'))
        peers = {}
        T.eq(curl(base, base, base), ('GET -\n'):rep(3))
        local count = 0
        for _ in pairs(peers) do count = count + 1 end
        T.eq(count, 1)
    end)
end)

case('curl: bodies', function()
    local big = ('0123456789abcdef'):rep(1 << 17)
    file.writefile(T.path('big'), big)
    with_server({ max_body = 4 << 20 }, function(con, req)
        con:send(req.headers.expect or '', ' ', req.headers['transfer-encoding'] or '', ' ')
        local total = 0
        while con.body_remain > 0 do
            local data = assert(con:read_body(50000, 5))
            if data == '' then break end
            total = total + #data
        end
        con:send(total)
    end, function(base)
        T.eq(curl('-d', 'hello', base), '  5')
        T.eq(curl('-H', 'Expect:', '--data-binary', '@' .. T.path('big'), base), '  2097152')
        T.eq(curl('--data-binary', '@' .. T.path('big'), '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:', base),
            ' chunked 2097152')
    end)
    -- Without a read there is no go-ahead, and the answer comes at once.
    with_server({ max_body = 4 << 20 }, function(con)
        local data = con:read_body()
        con:send(#data)
    end, function(base)
        local start = os.time()
        T.eq(curl('-H', 'Expect: 100-continue', '--data-binary', '@' .. T.path('big'), base), '2097152')
        assert(os.time() - start < 5)
    end)
end)

case('curl: forms', function()
    local big = ('\r\n--'):rep(100000)
    file.writefile(T.path('big'), big)
    local parts = {}
    with_server({ max_body = 4 << 20 }, function(con, req)
        local name, pieces
        while true do
            local event, data = con:read_formdata(req, 10)
            if event == 'header' then
                if data[1] == 'content-disposition' then
                    name, pieces = data[2]:match('; name="([^"]*)"'), {}
                end
            elseif event == 'body' then
                pieces[#pieces + 1] = data[1]
                if data[2] then parts[name] = table.concat(pieces) end
            else
                T.eq({ event, data }, { 'end' })
                break
            end
        end
        con:send('thanks')
    end, function(base)
        T.eq(curl('-F', 'field=value', '-F', 'empty=', '-F', 'image=@' .. T.path('big'), base), 'thanks')
    end)
    T.eq({ parts.field, parts.empty }, { 'value', '' })
    assert(parts.image == big)
end)

case('curl: files', function()
    file.mkdir(T.path('www'))
    local big = ('0123456789abcdef'):rep(1 << 17)
    file.writefile(T.path('www/big.bin'), big)
    file.writefile(T.path('www/small.html'), '<p>')
    with_server({ docroot = T.path('www') }, function(con, req) return con:serve_file(req) end, function(base)
        assert(curl(base .. '/big.bin') == big)
        T.eq(curl('-r', '16-31', base .. '/big.bin'), '0123456789abcdef')
        T.eq(curl('-w', '%{content_type}', base .. '/small.html'), '<p>text/html; charset=utf-8')
        T.eq(curl('-o', T.path('copy'), '-w', '%{http_code}', '-C', '-', base .. '/big.bin'), '200')
        assert(file.readfile(T.path('copy')) == big)
        T.eq(curl('-z', T.path('www/small.html'), '-w', '%{http_code}', base .. '/small.html'), '304')
        T.eq(curl('-w', '%{http_code}', '--path-as-is', base .. '/../../etc/passwd'), '403')
    end)
end)

case('wrk: many connections, no errors', function()
    local served = 0
    with_server(nil, function(con)
        served = served + 1
        con:add_header('content-type', 'text/plain')
        con:send('hello world\n')
    end, function(base)
        local report = run('wrk', '-t2', '-c100', '-d1s', base)
        assert(not report:find('Non-2xx', 1, true) and not report:find('Socket errors', 1, true), report)
        assert(tonumber(report:match('(%d+) requests in')) > 100, report)
    end)
    assert(served > 100)
end)

log.set_path('')
