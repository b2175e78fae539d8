-- eco.ssl and what else speaks TLS: OpenSSL's programs, GnuTLS, curl.

local eco = require 'eco'
local ssl = require 'eco.ssl'
local http = require 'eco.http.server'
local log = require 'eco.log'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

log.set_path(T.path('log'))
log.err('the log opens its file')

local SERVER = { cert = 'server.pem', key = 'server.key', ca = nil }
local VERSIONS = { '1.2', ssl.TLS13 and '1.3' or nil }

-- Runs a program with the shell's quoting: its output, and whether it ended with status 0.
local function shell(command)
    local process = assert(sys.exec('sh', '-c', command .. ' 2>&1'))
    local output = process:read_stdout('a', 60)
    local _, status = assert(process:wait(60))
    process:close()
    return output or '', status.exited and status.status == 0
end

local function has(text, part)
    assert(text:find(part, 1, true), ('%q is not in %s'):format(part, text))
end

local function beside(opts, serve, body)
    for k, v in pairs(SERVER) do
        if opts[k] == nil then opts[k] = v end
    end
    local srv = assert(ssl.listen('127.0.0.1', 0, opts))
    local group = T.gather()
    local failures = {}
    group:run(function()
        while true do
            local c, err = srv:accept()
            if c then
                group:run(function() serve(c) c:close() end)
            elseif srv.closed then
                return
            else
                failures[#failures + 1] = err
            end
        end
    end)
    local ok, err = xpcall(body, debug.traceback, srv.sock:getsockname().port, failures)
    srv:close()
    if not ok then error(err, 0) end
    group:wait()
end

-- Until the client leaves, or asks for the end.
local function echo(c)
    while true do
        local line = c:read('L')
        if not line or line == 'quit\n' then return end
        c:send(line)
    end
end

case('openssl s_client', function()
    beside({ alpn = { 'h2', 'echo' }, names = { ['www.example.org'] = { cert = 'www.pem', key = 'www.key' } } }, echo, function(port)
        for _, version in ipairs(VERSIONS) do
            local client = ('openssl s_client -connect 127.0.0.1:%d -tls%s -CAfile ca.pem -verify_return_error '):format(port, version:gsub('%.', '_'))
            local out = shell(("printf 'hello\\nquit\\n' | %s -servername localhost -verify_hostname localhost -alpn echo -quiet"):format(client))
            has(out, 'hello')
            out = shell(('echo | %s -servername www.example.org -alpn x,h2'):format(client))
            has(out, 'subject=CN = www.example.org')
            has(out, 'ALPN protocol: h2')
            has(out, 'Verify return code: 0 (ok)')
            for _, group in ipairs { 'X25519', 'P-256', 'P-384' } do
                has(shell(('echo | %s -groups %s'):format(client, group)), 'Verify return code: 0 (ok)')
            end
            -- The second handshake resumes the first, with tickets and, in TLS 1.2, without.
            for _, more in ipairs { '', version == '1.2' and '-no_ticket' or nil } do
                out = shell(("printf 'hello\\nquit\\n' | %s -quiet -sess_out session %s >/dev/null; echo Q | %s -sess_in session %s"):format(client, more, client, more))
                has(out, 'Reused, TLSv' .. version)
            end
        end
        for _, suite in ipairs { 'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256' } do
            if ssl.TLS13 then
                has(shell(('echo | openssl s_client -connect 127.0.0.1:%d -tls1_3 -ciphersuites %s'):format(port, suite)), 'Cipher is ' .. suite)
            end
        end
        for _, suite in ipairs { 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305' } do
            has(shell(('echo | openssl s_client -connect 127.0.0.1:%d -tls1_2 -cipher %s'):format(port, suite)), 'Cipher is ' .. suite)
        end
        local _, ok = shell(('echo | openssl s_client -connect 127.0.0.1:%d -tls1_1'):format(port))
        T.eq(ok, false)
    end)
end)

case('openssl s_client with a certificate of its own', function()
    beside({ ca = 'ca.pem' }, function(c) c:send(select(2, c:peer_certificate()) .. '\n') end, function(port, failures)
        for _, version in ipairs(VERSIONS) do
            local client = ('openssl s_client -connect 127.0.0.1:%d -tls%s -quiet '):format(port, version:gsub('%.', '_'))
            has(shell(('%s </dev/null -cert client.pem -key client.key'):format(client)), 'CN=joe')
            shell(('%s </dev/null'):format(client))
            T.await(function() return #failures > 0 end)
            has(table.remove(failures), 'peer did not return a certificate')
            shell(('%s </dev/null -cert other.pem -key other.key'):format(client))
            T.await(function() return #failures > 0 end)
            has(table.remove(failures), 'certificate verify failed')
        end
    end)
end)

-- Starts a server program and gives its port when it listens.
local function started(command)
    for _ = 1, 5 do
        local probe = assert(socket.listen_tcp('127.0.0.1', 0))
        local port = probe:getsockname().port
        probe:close()
        local process = assert(sys.exec('sh', '-c', 'exec ' .. command:gsub('@PORT@', tostring(port)) .. ' >log 2>&1'))
        for _ = 1, 500 do
            local s = socket.connect_tcp('127.0.0.1', port)
            if s then
                s:close()
                return process, port
            end
            eco.sleep(0.02)
        end
        process:kill(9)
        process:wait(5)
    end
    error('the server does not start: ' .. command)
end

local function stop(process)
    process:kill(15)
    process:wait(10)
    process:close()
end

case('openssl s_server', function()
    for _, version in ipairs(VERSIONS) do
        local process, port = started(('openssl s_server -accept @PORT@ -cert server.pem -key server.key -tls%s -rev -alpn x,http/1.1'):format(version:gsub('%.', '_')))
        local function connect(opts)
            opts.ca, opts.server_name, opts.alpn = 'ca.pem', 'localhost', { 'http/1.1' }
            return assert(ssl.connect('127.0.0.1', port, opts))
        end
        local c = connect {}
        c:send('hello\n')
        T.eq(c:read('l', 10), 'olleh')
        T.eq(c:alpn(), 'http/1.1')
        T.eq(c:version(), 'TLSv' .. version)
        local session = assert(c:session())
        c:close()
        c = connect { session = session }
        c:send('again\n')
        T.eq(c:read('l', 10), 'niaga')
        if version == '1.3' then T.eq(c:peer_certificate(), nil) end
        c:close()
        T.fails('another name', ssl.connect('127.0.0.1', port, { ca = 'ca.pem', server_name = 'example.org' }))
        stop(process)
    end
    local process, port = started 'openssl s_server -accept @PORT@ -cert rsa.pem -key rsa.key -CAfile ca.pem -Verify 1 -verify_return_error -rev'
    local c = assert(ssl.connect('127.0.0.1', port, { ca = 'ca.pem', server_name = 'rsa.example', cert = 'client.pem', key = 'client.key' }))
    c:send('mutual\n')
    T.eq(c:read('l', 10), 'lautum')
    c:close()
    local d, err = ssl.connect('127.0.0.1', port, { ca = 'ca.pem', server_name = 'rsa.example' })
    if d then
        local _
        _, err = d:read('l', 10)
        d:close()
    end
    has(err, 'alert')
    stop(process)
end)

case('GnuTLS', function()
    beside({}, echo, function(port)
        for _, version in ipairs(VERSIONS) do
            local out = shell(("printf 'hello\\nquit\\n' | gnutls-cli --x509cafile ca.pem --priority NORMAL:-VERS-ALL:+VERS-TLS%s -p %d localhost"):format(version, port))
            has(out, 'Handshake was completed')
            has(out, 'hello')
        end
    end)
end)

case('curl and eco.http.server', function()
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    local ctx = assert(ssl.server_context { cert = 'server.pem', key = 'server.key', alpn = { 'http/1.1' } })
    local big = ('0123456789'):rep(100000)
    assert(require('eco.file').writefile('big', big))
    eco.run(http.listen, '127.0.0.1', 0, { ctx = ctx, docroot = '.', handshake_timeout = 0.5 }, function(con, req)
        if req.path == '/file' then
            req.path = '/big'
            return con:serve_file(req)
        end
        con:send(req.method, ' ', con:read_body() or '-', '\n')
    end)
    socket.listen_tcp = listen_tcp
    local port = listener:getsockname().port
    -- Nobody waits for those who say nothing.
    local silent = {}
    for i = 1, 10 do silent[i] = assert(socket.connect_tcp('127.0.0.1', port)) end
    local base = ('https://localhost:%d'):format(port)
    for _, version in ipairs(VERSIONS) do
        local curl = ('curl -sS --max-time 30 --cacert ca.pem --tlsv%s --tls-max %s '):format(version, version)
        T.eq((shell(curl .. base .. '/')), 'GET \n')
        T.eq((shell(curl .. '-d data ' .. base .. '/ ' .. base .. '/')), 'POST data\nPOST data\n')
        T.eq((shell(curl .. base .. '/file')) == big, true)
        has(shell('curl -sS --max-time 30 ' .. base), 'certificate')
    end
    for _, s in ipairs(silent) do
        T.fails('closed', s:read(1, 20))
        s:close()
    end
    -- Plain HTTP gets no answer; the server goes on.
    local s = assert(socket.connect_tcp('127.0.0.1', port))
    s:send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    s:read('a', 20)
    s:close()
    -- Another certificate, on the way.
    local other = assert(ssl.server_context { cert = 'www.pem', key = 'www.key', alpn = { 'http/1.1' } })
    ctx:adopt(other)
    other:free()
    T.eq((shell(('curl -sS --max-time 30 --cacert ca.pem --resolve www.example.org:%d:127.0.0.1 https://www.example.org:%d/'):format(port, port))), 'GET \n')
    listener:close()
    eco.sleep(0.05)
    ctx:free()
    T.fails('load cert file fail', http.listen('127.0.0.1', 0, { cert = 'absent', key = 'server.key' }, print))
end)

case('no random bytes, no handshake', function()
    -- The kernel of a router that has just started: getrandom says EAGAIN.
    local script = [[
        local ssl, socket = require 'eco.ssl', require 'eco.socket'
        print(pcall(ssl.context))
        print(pcall(ssl.connect, '127.0.0.1', tonumber(arg[1]), { insecure = true }))
    ]]
    local f = assert(io.open('starved.lua', 'w'))
    f:write(script)
    f:close()
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    local out, ok = shell(('strace -f -o /dev/null -e trace=getrandom -e inject=getrandom:error=EAGAIN %s starved.lua %d'):format(
        table.concat(T.interpreter, ' '), listener:getsockname().port))
    listener:close()
    if out:find('ptrace', 1, true) then return end
    has(out, 'the system has no random bytes yet')
    T.eq(ok, true)
    T.eq(select(2, out:gsub('false\t', '')), 2)
end)

log.set_path('')
