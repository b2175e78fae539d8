-- Module `eco.ssh` against OpenSSH's server, and against servers that are none.

local ssh = require 'eco.ssh'
local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local time = require 'eco.time'

local function run(...)
    local out, problems, message, status = sys.sh({ ... }, 60, { status = true })
    assert(out and status.status == 0, ('%s: %s%s'):format(..., problems or '', message or ''))
    return out
end

local port = T.free_port()
local host_key, user_key = T.path('host'), T.path('user')
local user = run('id', '-un'):gsub('%s+$', '')
for _, path in ipairs { host_key, user_key } do
    run('ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', '', '-f', path)
end

assert(file.writefile(T.path('config'), ([[
Port %d
ListenAddress 127.0.0.1
HostKey %s
AuthorizedKeysFile %s.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
MaxStartups 100
PubkeyAcceptedAlgorithms +ssh-rsa
HostKeyAlgorithms +ssh-rsa
]]):format(port, host_key, user_key)))

-- A password of our own, which nobody but this server sees.
local shadow, found = {}, false
for line in io.lines('/etc/shadow') do
    if line:find('^root:') then
        found = true
        local hash = run('openssl', 'passwd', '-6', '-salt', 'saltsalt', 'a password'):gsub('%s+$', '')
        line = line:gsub('^root:[^:]*:', function() return 'root:' .. hash .. ':' end)
    end
    shadow[#shadow + 1] = line
end
assert(found)
assert(file.writefile(T.path('shadow'), table.concat(shadow, '\n') .. '\n'))
run('mkdir', '-p', '/run/sshd')
local server = assert(sys.exec({ 'unshare', '-m', 'sh', '-c', 'mount --bind "$1" /etc/shadow && exec /usr/sbin/sshd -D -e -f "$2"', 'sh',
    T.path('shadow'), T.path('config'), group = true }))
local stop<close> = setmetatable({}, { __close = function()
    server:kill()
    server:wait(5)
    server:close()
end })
T.await(function()
    local s = socket.connect_tcp('127.0.0.1', port)
    return s and (s:close() or true)
end)

local KEY = { key = user_key, insecure = true }
local function connect(options)
    return assert(ssh.new('127.0.0.1', port, user, options or KEY))
end

case('exec', function()
    local s<close> = connect()
    T.eq(table.pack(s:exec('echo out; echo problem >&2; exit 3')), { 'out\nproblem\n', 3, nil, n = 3 })
    T.eq({ s:exec('printf "a\\0b\\377"') }, { 'a\0b\255', 0 })
    T.eq({ s:exec('true') }, { '', 0 })
    T.eq({ s:exec('kill -TERM $$') }, { '', 143, 'TERM' })
    T.eq({ s:exec('kill -KILL $$') }, { '', 137, 'KILL' })
    T.raises('string expected', s.exec, s)
    T.fails('Invalid argument', s:exec('echo a\0b'))
    T.eq(s:exec('echo usable'), 'usable\n')
end)

case('much output of both kinds at once', function()
    local s<close> = connect()
    local out, code = s:exec('for i in 1 2 3; do head -c 2000000 /dev/zero; head -c 2000000 /dev/zero | tr "\\0" x >&2; done')
    T.eq({ #out, code }, { 12000000, 0 })
    T.eq(out, ('\0'):rep(6000000) .. ('x'):rep(6000000))
    T.fails('too much output', s:exec('head -c 100000 /dev/zero', 30, 50000))
    T.eq(s:exec('echo usable'), 'usable\n')
end)

case('a command that takes too long', function()
    local s<close> = connect()
    T.took(0.3, 6, function() T.fails('timeout', s:exec('sleep 3', 0.3)) end)
    T.eq(s:exec('echo usable'), 'usable\n')
    -- The limit is for all of it, whatever comes meanwhile.
    T.took(0.5, 7, function() T.fails('timeout', s:exec('for i in 1 2 3 4 5 6 7 8 9; do echo x; sleep 0.2; done', 0.5)) end)
end)

case('others run meanwhile, and must wait for their turn with the session', function()
    local s<close> = connect()
    local ticks, done = 0, false
    T.all(function()
        T.eq(s:exec('sleep 0.5; echo done'), 'done\n')
        done = true
    end, function()
        time.sleep(0.1)
        T.raises('another coroutine is already waiting', s.exec, s, 'true')
        T.raises('another coroutine is already waiting', s.scp_recv, s, '/etc/passwd')
        while not done do
            ticks = ticks + 1
            time.sleep(0.01)
        end
    end)
    assert(ticks > 5, ticks)
    T.eq(s:exec('echo usable'), 'usable\n')
end)

case('free ends who waits, at once', function()
    local s = connect()
    T.all(function()
        T.fails('canceled', s:exec('sleep 20'))
    end, function()
        time.sleep(0.3)
        T.took(0, 0.5, s.free, s)
        s:free()
    end)
    T.raises('session freed', s.exec, s, 'true')
    T.raises('session freed', s.scp_recv, s, 'x')
    T.raises('session freed', s.scp_send, s, 'x', 'y')
    T.raises('session freed', s.scp_sendfile, s, '/etc/passwd', 'y')
    T.eq({ s:disconnect() }, { true })
    -- Sessions that nobody closes end with their last reference.
    connect()
    local waiting = connect()
    local co = eco.run(function() waiting:exec('sleep 20') end)
    time.sleep(0.2)
    coroutine.close(co)
    waiting:free()
end)

case('disconnect', function()
    local s = connect()
    T.eq(table.pack(s:disconnect()), { true, n = 1 })
    T.eq(s.disconnected, true)
    T.fails('', s:exec('true'))
    s:free()
    local other = connect()
    T.eq(other:disconnect(2, 'why not'), true)
    other:free()
end)

case('files', function()
    local s<close> = connect()
    local path, copy = T.path('there'), T.path('here')
    for _, size in ipairs { 0, 1, 100, 32767, 32768, 32769, 500001 } do
        local data = ('0123456789abcdef\0'):rep(size // 17 + 1):sub(1, size)
        T.eq({ s:scp_send(data, path) }, { true })
        T.eq(file.readfile(path), data)
        T.eq(s:scp_recv(path) == data, true)
        T.eq({ s:scp_recv(path, copy) }, { size })
        T.eq(file.readfile(copy), data)
        T.eq(file.stat(path).mode & 511, 420)
        os.remove(path)
        assert(file.chmod(copy, 493))
        T.eq({ s:scp_sendfile(copy, path) }, { true })
        T.eq({ file.readfile(path), file.stat(path).mode & 511 }, { data, 493 })
        os.remove(path)
    end
    T.fails('Failed to recv file', s:scp_recv(T.path('absent')))
    T.fails('/absent/x: No such file or directory', s:scp_recv(copy, '/absent/x'))
    T.fails('failed to send file', s:scp_send('x', '/absent/x'))
    T.fails('No such file or directory', s:scp_sendfile(T.path('absent'), path))
    T.eq({ s:scp_sendfile(T.scratch, path) }, { nil, T.scratch .. ': not a regular file' })
    T.fails('', s:scp_recv(T.scratch))
    assert(file.writefile(T.path("it's a $name"), 'x'))
    T.eq(s:scp_recv(T.path("it's a $name")), 'x')
    T.eq(s:exec('echo usable'), 'usable\n')
end)

case('who may enter', function()
    local s = assert(ssh.new('127.0.0.1', port, 'root', 'a password'))
    T.eq(s:exec('id -un'), 'root\n')
    s:free()
    T.eq({ ssh.new('127.0.0.1', port, 'root', 'another') }, { nil, 'Authentication failed (username/password)' })
    T.fails('', ssh.new('127.0.0.1', port, 'nobody-' .. sys.getpid(), 'x'))
    T.raises('string expected', ssh.new, '127.0.0.1', port, 'root')
    -- The key first, then the password.
    assert(file.writefile(T.path('other.pub'), 'nothing'))
    assert(file.writefile(T.path('other'), 'nothing'))
    s = assert(ssh.new('127.0.0.1', port, 'root', { key = T.path('other'), password = 'a password', insecure = true }))
    s:free()
    T.fails('', ssh.new('127.0.0.1', port, 'root', { key = T.path('other'), insecure = true }))
    T.fails('Authentication failed (the server offers ', ssh.new('127.0.0.1', port, 'root', { insecure = true }))
    T.fails('invalid ipaddr: localhost', ssh.new('localhost', port, 'root', 'x'))
    T.raises('string expected', ssh.new)
    T.fails('Connection refused', ssh.new('127.0.0.1', T.free_port(), 'root', 'x'))
end)

case('who the server is', function()
    local name = ('[127.0.0.1]:%d '):format(port)
    local public = assert(file.readfile(host_key .. '.pub')):match('^%S+ %S+')
    local other = assert(file.readfile(user_key .. '.pub')):match('^%S+ %S+')
    local path = T.path('known')
    local function with(lines, options)
        assert(file.writefile(path, lines))
        options = options or {}
        options.key, options.known_hosts = user_key, path
        local s, err = ssh.new('127.0.0.1', port, user, options)
        if s then s:free() end
        return s and true, err
    end
    assert(with('# a comment\n\n@revoked x y z\nnonsense\n' .. name .. public .. ' comment\n'))
    assert(with('127.0.0.1 ' .. public .. '\n'))
    T.fails('is another one than in ' .. path, with(name .. other .. '\n'))
    T.fails('is not known: SHA256:', with('example.org ' .. public .. '\n'))
    T.fails('is not known: SHA256:', with(''))
    local expected = run('ssh-keygen', '-l', '-E', 'sha256', '-f', host_key .. '.pub'):match('SHA256:%S+')
    local seen
    T.eq(with('', { host_key = function(info)
        seen = info
        return true
    end }), true)
    T.eq({ seen.host, seen.port, seen.fingerprint, #seen.key > 100 }, { '127.0.0.1', port, expected, true })
    T.fails('refused: ' .. expected, with('', { host_key = function() return false end }))
    T.eq(with('', { host_key = expected }), true)
    T.eq(with('', { host_key = expected .. '=' }), true)
    T.fails('is another one: ' .. expected, with('', { host_key = 'SHA256:AAAA' }))
    T.raises('no, thanks', with, '', { host_key = function() error('no, thanks') end })
    T.eq(with(name .. other .. '\n', { insecure = true }), true)
end)

-- A server made of a function, at a port of its own.
local function serve(handler)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    eco.run(function()
        while true do
            local c = listener:accept()
            if not c then return end
            eco.run(function()
                handler(c)
                c:close()
            end)
        end
    end)
    return listener, listener:getsockname().port
end

case('servers that are none', function()
    local function meets(handler, low, high, text)
        local listener, where = serve(handler)
        T.took(low, high, function() T.fails(text, ssh.new('127.0.0.1', where, 'x', 'y')) end)
        listener:close()
    end
    meets(function(c) c:read('a') end, 4.9, 6, 'handshake timeout')
    meets(function() end, 0, 2, '')
    meets(function(c) c:send('220 mail.example.org ESMTP\r\n') end, 0, 6, '')
    meets(function(c) c:send(('\255\0garbage'):rep(10000)) end, 0, 6, '')
    meets(function(c) c:send('SSH-2.0-x\r\n') end, 0, 6, '')
    meets(function(c)
        c:send('SSH-2.0-x\r\n' .. ('\255'):rep(100000))
        c:read('a')
    end, 0, 6, '')
    meets(function(c)
        c:send('SSH-2.0-x\r\n')
        c:read('a')
    end, 4.9, 8, 'handshake timeout')
end)

case('a connection that ends anywhere', function()
    -- Passes on so many bytes from the server, then nothing, or an end.
    local function through(count, ends)
        return serve(function(c)
            local s = assert(socket.connect_tcp('127.0.0.1', port))
            local gone = false
            eco.run(function()
                while true do
                    local data = c:read(4096)
                    if not data or not s:send(data) then break end
                end
                gone = true
                s:close()
            end)
            local left = count
            while left > 0 do
                local data = s:read(math.min(left, 4096))
                if not data or not c:send(data) then break end
                left = left - #data
            end
            while ends == 'silent' and not gone do
                time.sleep(0.02)
            end
            s:close()
        end)
    end
    for count = 1, 7000, 650 do
        local listener, where = through(count)
        local s, err = ssh.new('127.0.0.1', where, user, KEY)
        if s then
            local out, problem = s:exec('head -c 100000 /dev/zero', 2)
            T.eq({ out, type(problem) }, { nil, 'string' })
            s:free()
        else
            T.eq(type(err), 'string')
        end
        listener:close()
    end
    -- The server stands still in the middle of a file.
    assert(file.writefile(T.path('long'), ('x'):rep(300000)))
    local listener, where = through(150000, 'silent')
    local s = assert(ssh.new('127.0.0.1', where, user, KEY))
    T.took(2.9, 9, function() T.fails('timeout', s:scp_recv(T.path('long'))) end)
    T.took(0, 1, s.free, s)
    listener:close()
end)
