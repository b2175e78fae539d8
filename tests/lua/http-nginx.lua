-- `eco.http.client` and nginx: pages, ranges, chunks, gzip, uploads, kept connections, as a forward proxy, and TLS where
-- `eco.ssl` is.

local eco = require 'eco'
local file = require 'eco.file'
local http = require 'eco.http.client'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local found_gzip, gzip = pcall(require, 'eco.encoding.gzip')
local found_ssl = pcall(require, 'eco.ssl')

local folder = T.path('nginx')
assert(file.mkdir(folder))
assert(file.chmod(T.scratch, 493))
assert(file.chmod(folder, 493))
local big = ('0123456789abcdef'):rep(1 << 16)
local words = ('some words to be packed, '):rep(4000)
for name, content in pairs { ['big.bin'] = big, ['words.txt'] = words, ['empty.bin'] = '' } do
    assert(file.writefile(folder .. '/' .. name, content))
    assert(file.chmod(folder .. '/' .. name, 420))
end
local port, tls_port, origin = T.free_port(), T.free_port(), T.free_port()
local tls = found_ssl and os.execute(('openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1'
    .. ' -keyout %s/key.pem -out %s/cert.pem 2> /dev/null'):format(folder, folder))

local paths = {}
for _, name in ipairs { 'client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi' } do
    paths[#paths + 1] = ('%s_temp_path %s/%s;'):format(name, folder, name)
end
assert(file.writefile(folder .. '/nginx.conf', ([[
worker_processes 1;
daemon off;
user root;
pid FOLDER/pid;
error_log FOLDER/error.log;
events { worker_connections 256; }
http {
    access_log off;
    default_type application/octet-stream;
    types { text/plain txt; }
    gzip on;
    gzip_types text/plain;
    client_max_body_size 3m;
    PATHS
    server {
        listen 127.0.0.1:PORT;
        TLS
        root FOLDER;
        location /dav/ { dav_methods PUT DELETE; create_full_put_path on; }
        location /moved/ { return 301 /big.bin; }
        location /small/ { client_max_body_size 1k; proxy_pass http://127.0.0.1:ORIGIN; }
        location /behind/ { proxy_pass http://127.0.0.1:ORIGIN; proxy_http_version 1.1; proxy_request_buffering off; }
    }
    server {
        listen 127.0.0.1:ORIGIN;
        location / { return 200 "$request_method $request_uri $http_host\n"; }
    }
}
]]):gsub('%f[%u]%u%u%u%u+%f[%U]', {
    FOLDER = folder, PORT = port, ORIGIN = origin, PATHS = table.concat(paths, '\n'),
}):gsub('TLS\n', tls and ('listen 127.0.0.1:%d ssl; ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem;\n'):format(tls_port, folder, folder) or '\n')))

local server = assert(sys.exec('nginx', '-p', folder, '-c', folder .. '/nginx.conf', '-e', folder .. '/error.log'))
local started, problem = pcall(T.await, function()
    local con = socket.connect_tcp('127.0.0.1', port)
    return con and (con:close() or true)
end)
assert(started, started or ('%s: %s'):format(problem, file.readfile(folder .. '/error.log')))
local base = 'http://127.0.0.1:' .. port

local function check(opts)
    case('pages, parts and conditions', function()
        T.eq(http.get(base .. '/big.bin', opts()).body, big)
        T.eq(http.get(base .. '/empty.bin', opts()).body, '')
        T.eq(http.get(base .. '/none', opts()).code, 404)
        local resp = http.request('HEAD', base .. '/big.bin', nil, opts())
        T.eq({ resp.code, resp.body, resp.headers['content-length'] }, { 200, nil, ('%d'):format(#big) })
        local etag = resp.headers.etag
        T.eq(http.get(base .. '/big.bin', opts { headers = { ['if-none-match'] = etag } }).code, 304)
        resp = http.get(base .. '/big.bin', opts { headers = { range = 'bytes=16-31' } })
        T.eq({ resp.code, resp.body }, { 206, big:sub(17, 32) })
        resp = http.get(base .. '/moved/', opts { redirects = 2 })
        T.eq({ resp.body == big, resp.url }, { true, base .. '/big.bin' })
        local path = T.path('saved')
        assert(http.get(base .. '/big.bin', opts { body_to_file = path }))
        T.eq(file.readfile(path), big)
    end)

    case('gzip', function()
        T.eq(http.get(base .. '/words.txt', opts()).body, words)
        local resp = http.get(base .. '/words.txt', opts { gzip = true })
        T.eq(resp.body, words)
        if found_gzip then
            -- It came packed, in chunks.
            T.eq(resp.headers['transfer-encoding'], 'chunked')
            resp = http.get(base .. '/words.txt', opts { headers = { ['accept-encoding'] = 'gzip' } })
            T.eq({ resp.headers['content-encoding'], gzip.decompress(resp.body) }, { 'gzip', words })
        end
    end)

    case('uploads', function()
        local url = base .. '/dav/file'
        for _, body in ipairs { big, function() return nil end, assert(http.body_with_file(folder .. '/big.bin')) } do
            local resp = assert(http.request('PUT', url, body, opts()))
            assert(resp.code == 201 or resp.code == 204, resp.code)
            T.eq(file.readfile(folder .. '/dav/file'), type(body) == 'function' and '' or big)
        end
        local left = 100
        assert(http.request('PUT', url, function()
            left = left - 1
            return left >= 0 and ('x'):rep(10000) or nil
        end, opts { expect_continue = true }))
        T.eq(file.readfile(folder .. '/dav/file'), ('x'):rep(1000000))
        T.eq(http.request('DELETE', url, nil, opts()).code, 204)
        -- Refused before all of it was sent.
        T.eq(http.post(base .. '/small/', ('x'):rep(2000000), opts { expect_continue = 5 }).code, 413)
        local resp, err = http.post(base .. '/small/', ('x'):rep(2000000), opts())
        assert(resp and resp.code == 413 or err and err:find('send body fail'), err)
    end)

    case('kept connections', function()
        local client<close> = http.new(opts { reuse = true })
        local name
        for _ = 1, 20 do
            T.eq(#client:get(base .. '/words.txt').body, #words)
            T.eq(client:post(base .. '/behind/x', 'body').body, ('POST /behind/x 127.0.0.1:%d\n'):format(origin))
            local here = client:sock().sock:getsockname()
            name = name or here.port
            T.eq(here.port, name)
        end
    end)
end

check(function(opts) return opts or {} end)

case('as a forward proxy', function()
    T.eq(http.get('http://example.org/behind/x', { proxy = base }).body, ('GET /behind/x 127.0.0.1:%d\n'):format(origin))
end)

if tls then
    base = 'https://127.0.0.1:' .. tls_port
    check(function(opts)
        opts = opts or {}
        opts.ca = folder .. '/cert.pem'
        return opts
    end)

    case('who is not to be trusted', function()
        local resp, err = http.get(base .. '/words.txt')
        assert(resp == nil and err:find('^connect "127.0.0.1 %d+" fail: '), err)
        resp, err = http.get(base .. '/words.txt', { ca = folder .. '/cert.pem', server_name = 'example.org' })
        assert(resp == nil and err:find('^connect "127.0.0.1 %d+" fail: '), err)
        T.eq(http.get(base .. '/words.txt', { insecure = true }).code, 200)
        -- A connection that was trusted blindly is not used for who does not.
        local client<close> = http.new { reuse = true }
        T.eq(client:get(base .. '/words.txt', { insecure = true }).code, 200)
        resp, err = client:get(base .. '/words.txt')
        assert(resp == nil and err, err)
    end)

    case('TLS through a proxy', function()
        local listener = assert(socket.listen_tcp('127.0.0.1', 0))
        eco.run(function()
            while true do
                local con = listener:accept()
                if not con then
                    return
                end
                eco.run(function()
                    local target
                    for line in function() return con:read('l') end do
                        target = target or line:match('^CONNECT 127%.0%.0%.1:(%d+) ')
                        if line == '' then
                            break
                        end
                    end
                    local there = assert(socket.connect_tcp('127.0.0.1', tonumber(target)))
                    con:send('HTTP/1.1 200 OK\r\n\r\n')
                    local function copy(from, to)
                        for data in function() return from:read(4096) end do
                            if not to:send(data) then
                                break
                            end
                        end
                        from:close()
                        to:close()
                    end
                    eco.run(copy, there, con)
                    copy(con, there)
                end)
            end
        end)
        local proxy = ('http://127.0.0.1:%d'):format(listener:getsockname().port)
        T.eq(http.get(base .. '/big.bin', { proxy = proxy, ca = folder .. '/cert.pem' }).body, big)
        listener:close()
        eco.sleep(0.05)
    end)
end

server:kill(sys.SIGTERM)
assert(server:wait(10))
server:close()
