-- Raw requests of many kinds, each with the answer that RFC 9110 and 9112 give, and
-- nginx beside it where that is installed.

local eco = require 'eco'
local file = require 'eco.file'
local http = require 'eco.http.server'
local log = require 'eco.log'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

log.set_path(T.path('log'))
log.err('the log opens its file')

-- ---- the server -----------------------------------------------------------------

file.mkdir(T.path('www'))
file.mkdir(T.path('www/files'))
file.mkdir(T.path('www/files/sub'))
file.writefile(T.path('www/files/ten'), '0123456789')
file.writefile(T.path('www/files/empty'), '')
file.writefile(T.path('www/files/a b'), 'blank')
file.writefile(T.path('secret'), 'secret')
os.execute('touch -d @784111777 ' .. T.path('www/files/ten'))

local known = { GET = true, HEAD = true, POST = true, PUT = true, DELETE = true, OPTIONS = true, PATCH = true }

local function handler(con, req)
    if not known[req.method] then
        con:set_status(501)
        con:add_header('content-length', 0)
    elseif req.path:find('^/files/') then
        return con:serve_file(req)
    elseif req.path == '/body' then
        local data = con:read_body(nil, 2)
        if data then con:send(data) end
    elseif req.path == '/own' then
        if not con:read_body(nil, 2) then con:send_error(422) end
    elseif req.path == '/ignored' then
        con:send('ignored')
    else
        con:send(req.method, ' ', req.path, ' ', req.query_string, ' ', req.headers.host or '')
    end
end

local options = {
    docroot = T.path('www'), max_request_line = 500, max_head = 2000, max_headers = 20, max_body = 1000, http_keepalive = 5,
    head_timeout = 2, reuseaddr = true,
}
local listen_tcp, listener = socket.listen_tcp, nil
socket.listen_tcp = function(...)
    listener = assert(listen_tcp(...))
    return listener
end
eco.run(http.listen, '127.0.0.1', 0, options, handler)
socket.listen_tcp = listen_tcp
local port = listener:getsockname().port

-- ---- asking ---------------------------------------------------------------------

-- One response; nil when the connection ends before one.
local function response(c, head_only)
    local code = (c:read('l', 5) or ''):match('^HTTP/1%.[01] (%d%d%d)')
    if not code then return end
    local headers = {}
    while true do
        local line = assert(c:read('l', 5))
        if line == '' then break end
        local name, value = line:match('^([%w-]+): (.*)$')
        assert(name, line)
        name = name:lower()
        assert(headers[name] == nil, 'two of ' .. name)
        headers[name] = value
    end
    code = tonumber(code)
    local length, chunked, body = tonumber(headers['content-length']), headers['transfer-encoding'], ''
    assert(not (length and chunked), 'two framings')
    if code < 200 then
        assert(not length and not chunked)
        return response(c, head_only)
    elseif head_only or code == 204 or code == 304 then
        assert(code ~= 204 or not length and not chunked)
    elseif chunked then
        while true do
            local size = tonumber(c:read('l', 5), 16)
            if size > 0 then body = body .. assert(c:readfull(size, 5)) end
            assert(c:read('l', 5) == '')
            if size == 0 then break end
        end
    elseif length then
        body = length > 0 and assert(c:readfull(length, 5)) or ''
    else
        body = c:read('a', 5)
    end
    return { code = code, headers = headers, body = body, closes = (headers.connection or ''):lower():find('close') ~= nil }
end

local function connect(to)
    return assert(socket.connect_tcp('127.0.0.1', to))
end

local NEXT = 'GET /next HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n'
local asked = 0

-- Sends the bytes and checks the answers: `expected` is a status, or a list for
-- several requests. Whatever is not refused must leave both sides in step.
local function ask(name, bytes, expected, more)
    asked = asked + 1
    local c = connect(port)
    c:send(bytes)
    local last
    for _, code in ipairs(type(expected) == 'table' and expected or { expected }) do
        last = response(c, bytes:find('^HEAD ') ~= nil)
        if not last or last.code ~= code then
            error(('%s: %s instead of %d to %q'):format(name, last and last.code or 'nothing', code, bytes:sub(1, 200)), 2)
        end
    end
    for key, value in pairs(more or {}) do
        local found
        if key == 'body' then found = last.body else found = last.headers[key] end
        if value ~= (found or false) then
            error(('%s: %s is %q instead of %q'):format(name, key, tostring(found), tostring(value)), 2)
        end
    end
    if last.closes then
        T.fails('closed', c:read(1, 5))
    else
        c:send(NEXT)
        local after = response(c)
        if not after or after.code ~= 200 or after.body ~= 'GET /next  n' then
            error(('%s: out of step after %q'):format(name, bytes:sub(1, 200)), 2)
        end
    end
    c:close()
    return last
end

-- A request of lines, with a Host.
local function request(line, ...)
    return line .. '\r\n' .. table.concat({ 'Host: h', ... }, '\r\n') .. '\r\n\r\n'
end

local function get(target, ...)
    return request('GET ' .. target .. ' HTTP/1.1', ...)
end

local function post(body, ...)
    return request('POST /body HTTP/1.1', ...) .. body
end

-- ---- tables ---------------------------------------------------------------------

-- Each row: bytes, status, and what else holds. `nginx` is its answer where it is of
-- another opinion or knows no better.
local rows = {}
local function add(class, list)
    for _, row in ipairs(list) do
        row.class = class
        rows[#rows + 1] = row
    end
end

add('request lines', {
    { get '/', 200, { body = 'GET /  h' } },
    { request 'DELETE /x HTTP/1.1', 200 },
    { request 'PATCH /x HTTP/1.1', 200 },
    { request 'get / HTTP/1.1', 501 },
    { request 'Get / HTTP/1.1', 501 },
    { request 'BREW / HTTP/1.1', 501, nginx = 200 },
    { request 'M-SEARCH / HTTP/1.1', 501, nginx = 200 },
    { request 'A!#$%&\'*+.^_`|~9 / HTTP/1.1', 501 },
    { request(('A'):rep(300) .. ' / HTTP/1.1'), 501, nginx = 200 },
    { request ' / HTTP/1.1', 400 },
    { request 'G(T / HTTP/1.1', 400 },
    { request 'G@T / HTTP/1.1', 400 },
    { request 'GET', 400 },
    { request 'GET /', 400, nginx = 0 },
    { request 'GET / ', 400, nginx = 0 },
    { request 'GET HTTP/1.1', 400 },
    { request 'GET / HTTP/1.1 ', 400, nginx = 200 },
    { request 'GET / HTTP/1.1 x', 400 },
    { request 'GET / x HTTP/1.1', 400 },
    { request 'GET / HTTP/1.1\t', 400 },
    { request 'GET\t/\tHTTP/1.1', 400 },
    { request 'GET /\11HTTP/1.1', 400 },
    { request ' GET / HTTP/1.1', 400 },
    { request '\tGET / HTTP/1.1', 400 },
    { request 'GET / HTTP/1.1\r', 400 },
    { 'GET / HTTP/1.1\nHost: h\n\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: h\n\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\n\rHost: h\r\n\r\n', 400 },
    { '\r\n' .. get '/', 200 },
    { '\r\n\r\n\r\n' .. get '/', 200 },
    { '\n' .. get '/', 400, nginx = 200 },
    { '\r\r\n' .. get '/', 400, nginx = 200 },
    { '\22\3\1\2\0\1\0\1\252\3\3', 400 },
    { '\0\0\0\0', 400 },
    { 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505 },
    { 'SSH-2.0-OpenSSH_9\r\n\r\n', 400 },
    { '{"json": 1}\r\n\r\n', 400 },
    { request('GET /' .. ('a'):rep(480) .. ' HTTP/1.1'), 200 },
    { request('GET /' .. ('a'):rep(490) .. ' HTTP/1.1'), 414, nginx = 200 },
    { 'GET /' .. ('a'):rep(600), 414 },
})

add('versions', {
    { 'GET / HTTP/1.0\r\n\r\n', 200, { connection = 'close', ['transfer-encoding'] = false } },
    { request 'GET / HTTP/1.0', 200, { connection = 'close' } },
    { request('GET / HTTP/1.0', 'Connection: keep-alive'), 200, { connection = 'close' } },
    { request 'GET / HTTP/1.2', 200 },
    { request 'GET / HTTP/1.9', 200 },
    { request 'GET / HTTP/2.0', 505 },
    { request 'GET / HTTP/3.0', 505 },
    { request 'GET / HTTP/0.9', 505 },
    { request 'GET / HTTP/9.9', 505 },
    { request 'GET / HTTP/2', 400 },
    { request 'GET / HTTP/1', 400 },
    { request 'GET / HTTP/1.', 400 },
    { request 'GET / HTTP/.1', 400 },
    { request 'GET / HTTP/', 400 },
    { request 'GET / HTTP', 400 },
    { request 'GET / http/1.1', 400 },
    { request 'GET / Http/1.1', 400 },
    { request 'GET / HTTPS/1.1', 400 },
    { request 'GET / HTTP/-1.1', 400 },
    { request 'GET / HTTP/1.1a', 400 },
    { request 'GET / HTTP/a.1', 400 },
    { request 'GET / HTTP/1,1', 400 },
    { request 'GET / HTTP /1.1', 400 },
    { request 'GET / FTP/1.1', 400 },
})

add('targets', {
    { get '/?', 200, { body = 'GET /  h' } },
    { get '/?a=b', 200, { body = 'GET / a=b h' } },
    { get '/a?b?c', 200, { body = 'GET /a b?c h' } },
    { get '/a;b=c', 200, { body = 'GET /a;b=c  h' } },
    { get '/%41%2F%62', 200, { body = 'GET /A/b  h' } },
    { get '/%zz', 200, { body = 'GET /%zz  h' }, nginx = 400 },
    { get '/a%', 200, { body = 'GET /a%  h' }, nginx = 400 },
    { get '/\195\164', 200, { body = 'GET /\195\164  h' } },
    { get '//', 200, { body = 'GET /  h' } },
    { get '/a//b', 200, { body = 'GET /a/b  h' } },
    { get '/./a/.', 200, { body = 'GET /a/  h' } },
    { get '/a/../b', 200, { body = 'GET /b  h' } },
    { get '/a/%2e%2e/b', 200, { body = 'GET /b  h' } },
    { get '/a/..', 200, { body = 'GET /  h' } },
    { get '/a/..a', 200, { body = 'GET /a/..a  h' } },
    { get '/...', 200, { body = 'GET /...  h' } },
    { get '/%252e%252e/', 200, { body = 'GET /%2e%2e/  h' } },
    { get '/..', 403 },
    { get '/../a', 403 },
    { get '/a/../../b', 403 },
    { get '/%2e%2E/a', 403 },
    { get '/a%2f..%2f..%2fb', 403 },
    { get '/a%00b', 403 },
    { get '/a#b', 400, nginx = 200 },
    { get '#', 400 },
    { get 'a', 400 },
    { get 'a/b', 400 },
    { get '?a', 400 },
    { get '.', 400 },
    { get '../a', 400 },
    { get '%2f', 400 },
    { get '*', 400 },
    { get '**', 400 },
    { get '/*', 200, { body = 'GET /*  h' } },
    { request 'OPTIONS * HTTP/1.1', 200, { body = 'OPTIONS *  h' }, nginx = 400 },
    { request 'OPTIONS / HTTP/1.1', 200, { body = 'OPTIONS /  h' } },
    { request 'OPTIONS *a HTTP/1.1', 400 },
    { request 'CONNECT h:80 HTTP/1.1', 400 },
    { request 'CONNECT h HTTP/1.1', 400 },
    { request 'CONNECT / HTTP/1.1', 501 },
    { get 'http://a/b?c', 200, { body = 'GET /b c a' } },
    { get 'http://a:8080/', 200, { body = 'GET /  a:8080' } },
    { get 'HTTP://a/b', 200, { body = 'GET /b  a' } },
    { get 'https://a/b', 200, { body = 'GET /b  a' } },
    { get 'http://[::1]:80/b', 200, { body = 'GET /b  [::1]:80' } },
    { get 'http://a', 200, { body = 'GET /  a' } },
    { get 'http://a?b', 200, { body = 'GET / b a' } },
    { get 'http://a/../b', 403 },
    { request 'OPTIONS http://a HTTP/1.1', 200, { body = 'OPTIONS *  a' } },
    { 'GET http://a/ HTTP/1.0\r\n\r\n', 200 },
    { 'GET http://a/ HTTP/1.1\r\n\r\n', 400 },
    { get 'http://', 400 },
    { get 'http:///b', 400 },
    { get 'http://:80/', 400 },
    { get 'http://a:x/', 400 },
    { get 'http://a:99999/', 400, nginx = 200 },
    { get 'http://u@a/', 400 },
    { get 'http://u:p@a/', 400 },
    { get 'http:/a/', 400 },
    { get 'http:a', 400 },
    { get '://a/', 400 },
    { get 'ftp://a/', 400, nginx = 200 },
    { get 'javascript:1', 400 },
})

add('hosts', {
    { 'GET / HTTP/1.1\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nX: h\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400 },
    { 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nhost: a\r\nX: y\r\nHOST: a\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 200, nginx = 400 },
    { 'GET / HTTP/1.1\r\nHost:a\r\n\r\n', 200, { body = 'GET /  a' } },
    { 'GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n', 200, { body = 'GET /  a' }, nginx = 400 },
    { 'GET / HTTP/1.1\r\nHost: a.b-c_d\r\n\r\n', 200 },
    { 'GET / HTTP/1.1\r\nHost: 1.2.3.4:80\r\n\r\n', 200, { body = 'GET /  1.2.3.4:80' } },
    { 'GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n', 200 },
    { 'GET / HTTP/1.1\r\nHost: [fe80::1]:8080\r\n\r\n', 200 },
    { 'GET / HTTP/1.1\r\nHost: a:\r\n\r\n', 200 },
    { 'GET / HTTP/1.1\r\nHost: a%20b\r\n\r\n', 200 },
    { 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost: a?b\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: a#b\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: http://a\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost: a:x\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: [x]\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400 },
    { 'GET / HTTP/1.1\r\nHost: a%2\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: <a>\r\n\r\n', 400, nginx = 200 },
    { 'GET / HTTP/1.1\r\nHost: \195\164\r\n\r\n', 400, nginx = 200 },
})

add('fields', {
    { get('/', 'X: y'), 200 },
    { get('/', 'X:y'), 200 },
    { get('/', 'X:'), 200 },
    { get('/', 'X: '), 200 },
    { get('/', 'X:\ty\t'), 200 },
    { get('/', 'X: a\tb'), 200 },
    { get('/', 'X: \128\255'), 200 },
    { get('/', 'X: "quoted \\" text"'), 200 },
    { get('/', 'X: y', 'X: z'), 200 },
    { get('/', 'X-_.!#$%&\'*+^`|~9: y'), 200 },
    { get('/', 'X y: z'), 400 },
    { get('/', 'X : y'), 400 },
    { get('/', 'X\t: y'), 400 },
    { get('/', ' X: y'), 400 },
    { get('/', 'X: y', ' folded'), 400 },
    { get('/', 'X: y', '\tfolded'), 400 },
    { get('/', 'X: y', ' '), 400 },
    { 'GET / HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n', 400 },
    { get('/', ': y'), 400 },
    { get('/', 'X'), 400, nginx = 200 },
    { get('/', 'no colon'), 400 },
    { get('/', 'X: a\0b'), 400 },
    { get('/', 'X: a\rb'), 400 },
    { get('/', 'X: a\r\r'), 400, nginx = 200 },
    { get('/', 'X: a\nb: c'), 400, nginx = 200 },
    { get('/', 'X: a\11b'), 400, nginx = 200 },
    { get('/', 'X: a\12b'), 400, nginx = 200 },
    { get('/', 'X: a\127b'), 400, nginx = 200 },
    { get('/', 'X: a\27b'), 400, nginx = 200 },
    { get('/', '\195\164: y'), 400, nginx = 200 },
    { get('/', 'X(: y'), 400, nginx = 200 },
    { get('/', 'X/: y'), 400, nginx = 200 },
    { get('/', 'X\0: y'), 400 },
    { get('/', ('X: y\r\n'):rep(18) .. 'Z: z'), 200 },
    { get('/', ('X: y\r\n'):rep(19) .. 'Z: z'), 431, nginx = 200 },
    { get('/', 'X: ' .. ('y'):rep(1900)), 200, nginx = 400 },
    { get('/', 'X: ' .. ('y'):rep(2000)), 431 },
    { 'GET / HTTP/1.1\r\nHost: h\r\nX: ' .. ('y'):rep(2100), 431 },
    { get('/', ('y'):rep(1900) .. ': x'), 200, nginx = 400 },
    { ('\r\n'):rep(1100), 431, nginx = 0 },
    { get('/', 'Connection: close'), 200, { connection = 'close' } },
    { get('/', 'Connection: x, CLOSE , y'), 200, { connection = 'close' } },
    { get('/', 'Connection: keep-alive'), 200, { connection = false } },
    { get('/', 'Connection: keep-alive, close'), 200, { connection = 'close' } },
    { get('/', 'Connection: closed'), 200, { connection = false } },
    { get('/', 'Connection: x', 'Connection: close'), 200, { connection = 'close' } },
    { get('/', 'Connection:'), 200, { connection = false } },
    { get('/', 'Expect: 100-continue'), 200 },
    { get('/', 'Expect: x'), 417, nginx = 200 },
    { get('/', 'Expect: 100-continue, x'), 417, nginx = 200 },
    { get('/', 'Upgrade: websocket'), 200 },
    { get('/', 'Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'), 200 },
})

add('lengths', {
    { post('abc', 'Content-Length: 3'), 200, { body = 'abc' } },
    { post('abc', 'content-length:3'), 200, { body = 'abc' } },
    { post('abc', 'Content-Length:\t 3 \t'), 200, { body = 'abc' }, nginx = 400 },
    { post('abc', 'Content-Length: 003'), 200, { body = 'abc' } },
    { post('', 'Content-Length: 0'), 200, { body = '' } },
    { post '', 200, { body = '' } },
    { request('GET /body HTTP/1.1', 'Content-Length: 3') .. 'abc', 200, { body = 'abc' } },
    { request('DELETE /ignored HTTP/1.1', 'Content-Length: 3') .. 'abc', 200, { body = 'ignored' } },
    { request('HEAD /ignored HTTP/1.1', 'Content-Length: 3') .. 'abc', 200 },
    { post(('x'):rep(1000), 'Content-Length: 1000'), 200 },
    { post('', 'Content-Length: 1001'), 413 },
    { post('', 'Content-Length: 9223372036854775807'), 413 },
    { post('', 'Content-Length: 9223372036854775808'), 400 },
    { post('', 'Content-Length: 18446744073709551616'), 400 },
    { post('', 'Content-Length: 99999999999999999999999'), 400 },
    { post('abc', 'Content-Length: +3'), 400 },
    { post('abc', 'Content-Length: -3'), 400 },
    { post('abc', 'Content-Length: 0x3'), 400 },
    { post('abc', 'Content-Length: 3.0'), 400 },
    { post('abc', 'Content-Length: 3 3'), 400 },
    { post('abc', 'Content-Length: 3, 3'), 400 },
    { post('abc', 'Content-Length: 3,'), 400 },
    { post('abc', 'Content-Length: "3"'), 400 },
    { post('abc', 'Content-Length: three'), 400 },
    { post('abc', 'Content-Length: \178'), 400 },
    { post('abc', 'Content-Length:'), 400 },
    { post('abc', 'Content-Length: 3', 'Content-Length: 3'), 400 },
    { post('abc', 'Content-Length: 3', 'Content-Length: 4'), 400 },
    { post('abc', 'Content-Length: 3', 'X: y', 'CONTENT-LENGTH: 0'), 400 },
    { post('abc', 'Content-Length : 3'), 400 },
    { post('abc', 'Content Length: 3'), 400 },
    { 'POST /body HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc', 200, { body = 'abc' } },
    { post('abc', 'Content-Length: 3') .. post('defg', 'Content-Length: 4'), { 200, 200 }, { body = 'defg' } },
    { post('abc', 'Content-Length: 3', 'Expect: 100-continue'), 200, { body = 'abc' } },
    { post('abc', 'Content-Length: 3', 'Expect: 100-Continue'), 200, { body = 'abc' } },
    { post('abc', 'Content-Length: 3', 'Expect: 200-ok'), 417, nginx = 200 },
    { 'POST /body HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc', 200, { body = 'abc' } },
})

local chunked = 'Transfer-Encoding: chunked'
add('chunks', {
    { post('3\r\nabc\r\n0\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('0\r\n\r\n', chunked), 200, { body = '' } },
    { post('00000003\r\nabc\r\n000\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('A\r\n0123456789\r\n0\r\n\r\n', chunked), 200, { body = '0123456789' } },
    { post('a\r\n0123456789\r\n0\r\n\r\n', chunked), 200, { body = '0123456789' } },
    { post('1\r\na\r\n2\r\nbc\r\n0\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('3;a\r\nabc\r\n0;b=c\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('3;a="b;c"\r\nabc\r\n0\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('3 ; a\r\nabc\r\n0\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('3\r\nabc\r\n0\r\nT: v\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('3\r\nabc\r\n0\r\nT: v\r\nU: w\r\n\r\n', chunked), 200, { body = 'abc' } },
    { post('3\r\nabc\r\n0\r\n\r\n', 'transfer-encoding:CHUNKED'), 200, { body = 'abc' } },
    { post('3\r\nabc\r\n0\r\n\r\n', 'Transfer-Encoding: \t chunked \t'), 200, { body = 'abc' }, nginx = 501 },
    { post('3\r\nabc\r\n0\r\n\r\n', chunked) .. get '/', { 200, 200 }, { body = 'GET /  h' } },
    { post('3\r\nabc\r\n0\r\n\r\n', chunked, 'Expect: 100-continue'), 200, { body = 'abc' } },
    { request('GET /ignored HTTP/1.1', chunked) .. '3\r\nabc\r\n0\r\n\r\n', 200, { body = 'ignored' } },
    { post('\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('x\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('-3\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('+3\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('0x3\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post(' 3\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('3 \r\nabc\r\n0\r\n\r\n', chunked), 400, nginx = 200 },
    { post('3 3\r\nabc\r\n0\r\n\r\n', chunked), 400, nginx = 200 },
    { post('3\nabc\r\n0\r\n\r\n', chunked), 400, nginx = 200 },
    { post('3\r\nabc\n0\r\n\r\n', chunked), 400, nginx = 200 },
    { post('3\r\nabc0\r\n\r\n', chunked), 400 },
    { post('3\r\nabcd\r\n0\r\n\r\n', chunked), 400 },
    { post('2\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('3\r\rabc\r\n0\r\n\r\n', chunked), 400 },
    { post('3;a\nb\r\nabc\r\n0\r\n\r\n', chunked), 400 },
    { post('3\r\nabc\r\n0\r\nno colon\r\n\r\n', chunked), 400, nginx = 200 },
    { post('ffffffffffffffff\r\nabc', chunked), 400 },
    { post('8000000000000000\r\nabc', chunked), 400 },
    { post('fffffffffffffffff\r\nabc', chunked), 400 },
    { post('7fffffffffffffff\r\n' .. ('a'):rep(1001), chunked), 413 },
    { post('3e9\r\n' .. ('a'):rep(1001) .. '\r\n0\r\n\r\n', chunked), 413, nginx = 200 },
    { post(('64\r\n' .. ('a'):rep(100) .. '\r\n'):rep(10) .. '1\r\na\r\n0\r\n\r\n', chunked), 413, nginx = 200 },
    { post(('64\r\n' .. ('a'):rep(100) .. '\r\n'):rep(10) .. '0\r\n\r\n', chunked), 200 },
    { post('3;' .. ('a'):rep(300) .. '\r\nabc\r\n0\r\n\r\n', chunked), 400, nginx = 200 },
    { post(('0'):rep(300) .. '3\r\nabc\r\n0\r\n\r\n', chunked), 400, nginx = 200 },
    { post('0\r\n' .. ('T: ' .. ('v'):rep(100) .. '\r\n'):rep(50) .. '\r\n', chunked), 400, nginx = 200 },
})
add('codings', {
    { post('abc', 'Content-Length: 3', chunked), 400 },
    { post('0\r\n\r\n', chunked, 'Content-Length: 0'), 400 },
    { post('0\r\n\r\n', chunked, chunked), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding: gzip, chunked'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding: identity'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding: gzip'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding: xchunked'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding: chunked, gzip'), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding: chunked, chunked'), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding: chunked,'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding: "chunked"'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding: chunked;q=1'), 501 },
    { post('0\r\n\r\n', 'Transfer-Encoding:'), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding: \11chunked'), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding : chunked'), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding', ': chunked'), 400 },
    { post('0\r\n\r\n', 'Transfer-Encoding:', ' chunked'), 400 },
    { post('0\r\n\r\n', 'X: y\nTransfer-Encoding: chunked'), 400, nginx = 200 },
    { 'POST /body HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400 },
    { post('0\r\n\r\n', 'TE: trailers', chunked), 200 },
})

add('pipelines', {
    { get '/1' .. get '/2' .. get '/3', { 200, 200, 200 }, { body = 'GET /3  h' } },
    { get '/1' .. '\r\n' .. get '/2', { 200, 200 }, { body = 'GET /2  h' } },
    { get '/1' .. get('/2', 'Connection: close') .. get '/3', { 200, 200 }, { connection = 'close' } },
    { get '/1' .. 'x y\r\n\r\n', { 200, 400 } },
    { get '/1' .. get '/..', { 200, 403 } },
    { request('HEAD / HTTP/1.1'), 200, { body = '' } },
    { post('abc', 'Content-Length: 2') .. get '/', { 200, 501 } },
})
rows[#rows][1] = post('abc', 'Content-Length: 2') .. 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'

local early, exact, late = 'Sun, 06 Nov 1994 08:49:36 GMT', 'Sun, 06 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 08:49:38 GMT'
local ten = '/files/ten'
add('conditions', {
    { get(ten), 200, { body = '0123456789', ['last-modified'] = exact, ['content-length'] = '10' } },
    { get(ten, 'If-Modified-Since: ' .. exact), 304, { ['content-length'] = false } },
    { get(ten, 'If-Modified-Since: ' .. late), 304 },
    { get(ten, 'If-Modified-Since: ' .. early), 200 },
    { get(ten, 'If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT'), 304 },
    { get(ten, 'If-Modified-Since: Sun Nov  6 08:49:37 1994'), 304 },
    { get(ten, 'If-Modified-Since: Sun Nov  6 08:49:36 1994'), 200 },
    { get(ten, 'If-Modified-Since: 784111777'), 200 },
    { get(ten, 'If-Modified-Since: Sun, 06 Nov 1994 08:49:37'), 200 },
    { get(ten, 'If-Modified-Since: Sun, 32 Nov 1994 08:49:37 GMT'), 200 },
    { get(ten, 'If-Modified-Since:'), 200 },
    { get(ten, 'If-Unmodified-Since: ' .. exact), 200 },
    { get(ten, 'If-Unmodified-Since: ' .. late), 200 },
    { get(ten, 'If-Unmodified-Since: ' .. early), 412, { body = '' } },
    { get(ten, 'If-Unmodified-Since: Sunday, 06-Nov-94 08:49:36 GMT'), 412 },
    { get(ten, 'If-Unmodified-Since: never'), 200, nginx = 412 },
    { get(ten, 'If-None-Match: *'), 304 },
    { get(ten, 'If-None-Match: "x"'), 200 },
    { get(ten, 'If-None-Match: x'), 200 },
    { get(ten, 'If-None-Match: "x"', 'If-Modified-Since: ' .. exact), 200 },
    { get(ten, 'If-None-Match: "x", W/"y", *'), 200 },
    { get(ten, 'If-Match: *'), 200 },
    { get(ten, 'If-Match: "x"'), 412 },
    { get(ten, 'If-Match: "x"', 'If-Unmodified-Since: ' .. late), 412 },
    { get(ten, 'If-Match: *', 'If-Unmodified-Since: ' .. early), 200, nginx = 412 },
    { get(ten, 'If-Match: *', 'If-None-Match: *'), 304 },
    { get('/files/missing', 'If-None-Match: *'), 404 },
    { request('HEAD ' .. ten .. ' HTTP/1.1', 'If-Modified-Since: ' .. exact), 304 },
    { request('HEAD ' .. ten .. ' HTTP/1.1', 'If-Match: "x"'), 412 },
})

add('ranges', {
    { get(ten, 'Range: bytes=0-3'), 206, { body = '0123', ['content-range'] = 'bytes 0-3/10' } },
    { get(ten, 'Range: bytes=9-'), 206, { body = '9', ['content-range'] = 'bytes 9-9/10' } },
    { get(ten, 'Range: bytes=5-500'), 206, { body = '56789' } },
    { get(ten, 'Range: bytes=-3'), 206, { body = '789' } },
    { get(ten, 'Range: bytes=-300'), 206, { body = '0123456789' } },
    { get(ten, 'Range: BYTES=1-1'), 206, { body = '1' } },
    { get(ten, 'Range: bytes=10-'), 416, { ['content-range'] = 'bytes */10' } },
    { get(ten, 'Range: bytes=10-20'), 416 },
    { get(ten, 'Range: bytes=-0'), 416 },
    { get(ten, 'Range: bytes=3-1'), 200, nginx = 416 },
    { get(ten, 'Range: bytes=x'), 200, nginx = 416 },
    { get(ten, 'Range: bytes='), 200 },
    { get(ten, 'Range: bytes=-'), 200, nginx = 416 },
    { get(ten, 'Range: bytes=0-1,3-4'), 200 },
    { get(ten, 'Range: lines=0-3'), 200 },
    { get(ten, 'Range: 0-3'), 200 },
    { get(ten, 'Range: bytes=99999999999999999999-'), 200, nginx = 416 },
    { request('HEAD ' .. ten .. ' HTTP/1.1', 'Range: bytes=0-3'), 200, { ['content-length'] = '10', ['content-range'] = false } },
    { get('/files/empty', 'Range: bytes=-5'), 200, { body = '' } },
    { get('/files/empty', 'Range: bytes=0-'), 416, nginx = 200 },
    { get('/files/empty'), 200, { ['content-length'] = '0' } },
    { get(ten, 'Range: bytes=0-3', 'If-Range: ' .. exact), 206 },
    { get(ten, 'Range: bytes=0-3', 'If-Range: Sunday, 06-Nov-94 08:49:37 GMT'), 206 },
    { get(ten, 'Range: bytes=0-3', 'If-Range: ' .. early), 200 },
    { get(ten, 'Range: bytes=0-3', 'If-Range: ' .. late), 200 },
    { get(ten, 'Range: bytes=0-3', 'If-Range: "x"'), 200 },
    { get(ten, 'Range: bytes=0-3', 'If-Range: x'), 200 },
    { get(ten, 'Range: bytes=10-', 'If-Range: "x"'), 200 },
    { get(ten, 'Range: bytes=0-3', 'If-Modified-Since: ' .. exact), 304 },
})

add('files', {
    { get '/files/a%20b', 200, { body = 'blank' } },
    { get '/files/./ten', 200 },
    { get '/files//ten', 200 },
    { get '/files/sub/../ten', 200 },
    { get '/files/%74en', 200 },
    { get '/files/missing', 404, { body = '' } },
    { get '/files/ten/', 404 },
    { get '/files/ten/x', 404 },
    { get('/files/' .. ('a'):rep(300)), 404 },
    { get('/files/' .. ('a/'):rep(200)), 404 },
    { get '/files/sub', 403, nginx = 301 },
    { get '/files/sub/', 403 },
    { get '/files/%00', 403 },
    { get '/files/../../secret', 403 },
    { request('POST ' .. ten .. ' HTTP/1.1', 'Content-Length: 0'), 405, { allow = 'GET, HEAD' } },
    { request('DELETE ' .. ten .. ' HTTP/1.1'), 405 },
    { request('HEAD ' .. ten .. ' HTTP/1.1'), 200, { ['content-length'] = '10' } },
})
-- ---- the cases ------------------------------------------------------------------

for _, class in ipairs { 'request lines', 'versions', 'targets', 'hosts', 'fields', 'lengths', 'chunks', 'codings', 'pipelines', 'conditions', 'ranges', 'files' } do
    case(class, function()
        local before = asked
        for _, row in ipairs(rows) do
            if row.class == class then ask(class, row[1], row[2], row[3]) end
        end
        assert(asked > before)
    end)
end

case('entity tags, strong and weak', function()
    local tag = ask('tag', get(ten), 200).headers.etag
    ask('tag', get(ten, 'If-None-Match: ' .. tag), 304, { etag = tag })
    ask('tag', get(ten, 'If-None-Match: W/' .. tag), 304)
    ask('tag', get(ten, 'If-None-Match: "x,y", ' .. tag), 304)
    ask('tag', get(ten, 'If-Match: ' .. tag), 200)
    ask('tag', get(ten, 'If-Match: "x", ' .. tag), 200)
    ask('tag', get(ten, 'If-Match: W/' .. tag), 412)
    ask('tag', get(ten, 'If-Match: ' .. tag:sub(2, -2)), 412)
    ask('tag', get(ten, 'Range: bytes=0-3', 'If-Range: ' .. tag), 206)
    ask('tag', get(ten, 'Range: bytes=0-3', 'If-Range: W/' .. tag), 200)
    -- Rewritten within the second, with the same size: another tag.
    file.writefile(T.path('www/files/new'), 'one')
    local first = ask('tag', get '/files/new', 200).headers.etag
    eco.sleep(0.03)
    file.writefile(T.path('www/files/new'), 'two')
    ask('tag', get('/files/new', 'If-None-Match: ' .. first), 200, { body = 'two' })
end)

-- Every byte in every place: what may stand there, and what may not.
local function bytes(name, build, status)
    case('every byte in ' .. name, function()
        for byte = 0, 255 do
            local char = string.char(byte)
            ask(('byte %d in %s'):format(byte, name), build(char), status(byte, char))
        end
    end)
end

local function token(char)
    return char:find("^[%w!#$%%&'*+.^_`|~-]") ~= nil
end

bytes('a method', function(c) return request('G' .. c .. 'T / HTTP/1.1') end, function(_, c) return c == 'E' and 200 or token(c) and 501 or 400 end)
bytes('a target', function(c) return get('/a' .. c .. 'b') end, function(b, c)
    return (b <= 32 or b == 127 or c == '#') and 400 or 200
end)
bytes('a field name', function(c) return get('/', 'X' .. c .. 'Y: z') end, function(_, c)
    return (token(c) or c == ':') and 200 or 400
end)
bytes('a field value', function(c) return get('/', 'X: y' .. c .. 'z') end, function(b)
    return (b < 32 and b ~= 9 or b == 127) and 400 or 200
end)
bytes('a host', function(c) return 'GET / HTTP/1.1\r\nHost: a' .. c .. 'b\r\n\r\n' end, function(_, c)
    return c:find("^[%w._~!$&'()*+,;=-]") and 200 or 400
end)
bytes('a length', function(c)
    return post(('x'):rep(c:find('%d') and tonumber(c .. '3') or 3), 'Content-Length: ' .. c .. '3')
end, function(b, c)
    return (c:find('%d') or b == 32 or b == 9) and 200 or 400
end)
bytes('a chunk size', function(c) return post(c .. '\r\n' .. ('x'):rep(15) .. '\r\n0\r\n\r\n', chunked) end, function(_, c)
    return c:lower() == 'f' and 200 or 400
end)

case('the requests are many', function()
    assert(#rows >= 381, #rows)
    assert(asked >= #rows + 7 * 256, asked)
end)

case('nginx agrees, but where the table says so', function()
    if T.emulated or not file.access('/usr/sbin/nginx', 'x') then
        return
    end
    local free = assert(listen_tcp('127.0.0.1', 0))
    local other = free:getsockname().port
    free:close()
    file.writefile(T.path('nginx.conf'), ([[
daemon off; master_process off; pid %s/nginx.pid; error_log /dev/null crit;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;
    uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi; large_client_header_buffers 4 512; client_header_buffer_size 512;
    client_max_body_size 1000;
    server {
        listen 127.0.0.1:%d; root %s/www;
        location / { return 200 "x"; }
        location = /next { return 200 "GET /next  n"; }
        location /files/ { }
    }
}
]]):format(T.scratch, T.scratch, T.scratch, T.scratch, T.scratch, T.scratch, other, T.scratch))
    local server = assert(sys.exec('/usr/sbin/nginx', '-c', T.path('nginx.conf'), '-p', T.scratch))
    local ready
    for _ = 1, 200 do
        ready = socket.connect_tcp('127.0.0.1', other)
        if ready then break end
        eco.sleep(0.02)
    end
    assert(ready, 'nginx does not listen'):close()
    local agreed, differences = 0, {}
    for _, row in ipairs(rows) do
        local expected = row.nginx or (type(row[2]) == 'table' and row[2][#row[2]] or row[2])
        local c = connect(other)
        c:send(row[1])
        local last, code
        for _ = 1, type(row[2]) == 'table' and #row[2] or 1 do
            local ok, answer = pcall(response, c, row[1]:find('^HEAD ') ~= nil)
            last = ok and answer or nil
        end
        code = last and last.code or 0
        c:close()
        if (code < 400) == (expected < 400) then
            agreed = agreed + 1
        else
            differences[#differences + 1] = ('%s: nginx %d, expected %d: %q'):format(row.class, code, expected, row[1]:sub(1, 100))
        end
    end
    server:kill(15)
    server:wait(5)
    server:close()
    -- Other versions may be of other opinions, but hardly many.
    assert(#differences <= 10, table.concat(differences, '\n'))
    assert(agreed >= 371, agreed)
end)

listener:close()
eco.sleep(0.01)
log.set_path('')
