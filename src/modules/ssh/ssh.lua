-- What scripts call, made of single requests to a session, each of which waits
-- by itself: `run(request, idle, total, number, number, text…)`.
local new_handle = ...

local eco = require 'eco'
local socket = require 'eco.socket'

-- As the native part has them.
local HANDSHAKE, METHODS, PASSWORD, PUBLIC_KEY, OPEN, EXECUTE, DRAIN, READ, WRITE, SEND_FILE, RECEIVE_FILE, SEND_END,
    WAIT_END, CLOSE, FREE, SIGNAL, DISCONNECT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17

-- Seconds: for a step of a connection, for a connection as a whole, for a step of
-- a copy.
local STEP, WHOLE, COPY = 5, 30, 3
local MAX_OUTPUT = 16 << 20
local PIECE = 32768

local signals = {}
for name, number in ([[HUP 1 INT 2 QUIT 3 ILL 4 TRAP 5 ABRT 6 BUS 7 FPE 8 KILL 9 USR1 10 SEGV 11 USR2 12 PIPE 13 ALRM 14 TERM 15
    STKFLT 16 CHLD 17 CONT 18 STOP 19 TSTP 20 TTIN 21 TTOU 22 URG 23 XCPU 24 XFSZ 25 VTALRM 26 PROF 27 WINCH 28 POLL 29 PWR 30
    SYS 31]]):gmatch('(%w+) (%d+)') do
    signals[name] = tonumber(number)
end

local session = {}
session.__index = session
eco._kind(session, 'eco.ssh', function(self) return tostring(self.sock) end)

local function text_argument(value, position, name)
    if type(value) ~= 'string' and type(value) ~= 'number' then
        error(("bad argument #%d to '%s' (string expected, got %s)"):format(position, name, type(value)), 3)
    end
    return tostring(value)
end

local leaving = { __close = function(lock) lock.session.running = nil end }

-- Begins a call of several requests; the next one has to wait for its end.
local function enter(self)
    if self.session:freed() then
        error('session freed', 3)
    elseif self.running then
        error('another coroutine is already waiting on this I/O object', 3)
    end
    self.running = true
    return setmetatable({ session = self }, leaving)
end

-- Ends a channel, as far as the server goes along; the session stays usable.
local function release(handle, limit)
    if not handle:freed() then
        handle:run(FREE, limit, limit)
    end
end

local function base64(bytes)
    local alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    local text = bytes:gsub('..?.?', function(three)
        local a, b, c = three:byte(1, 3)
        local bits, digits = a << 16 | (b or 0) << 8 | (c or 0), ''
        for place = 0, #three do
            local digit = (bits >> (18 - 6 * place) & 63) + 1
            digits = digits .. alphabet:sub(digit, digit)
        end
        return digits
    end)
    return text
end

local function known_hosts(option)
    if option then
        return type(option) == 'table' and option or { option }
    end
    local home = os.getenv('HOME')
    return { home and home .. '/.ssh/known_hosts', '/etc/ssh/ssh_known_hosts' }
end

-- Whether the server is the one that it should be.
local function check_host(self, host, port, options)
    if options.insecure then
        return true
    end
    local key, hash = self.session:key()
    local fingerprint = 'SHA256:' .. base64(hash or '')
    local wanted = options.host_key
    if type(wanted) == 'function' then
        if wanted({ host = host, port = port, key = key, fingerprint = fingerprint }) then
            return true
        end
        return nil, ('host key of %s refused: %s'):format(host, fingerprint)
    elseif wanted then
        if hash and wanted:gsub('=*$', '') == fingerprint then
            return true
        end
        return nil, ('host key of %s is another one: %s'):format(host, fingerprint)
    end
    local other
    for _, path in pairs(known_hosts(options.known_hosts)) do
        local f = io.open(path, 'rb')
        local lines = f and f:read('a')
        if f then f:close() end
        local found = lines and self.session:known(lines, host, port)
        if found then
            return true
        elseif found == false then
            other = path
        end
    end
    if other then
        return nil, ('host key of %s is another one than in %s: %s'):format(host, other, fingerprint)
    elseif options.lenient then
        return true
    end
    return nil, ('host key of %s is not known: %s'):format(host, fingerprint)
end

local function authenticate(handle, username, options)
    local list, err = handle:run(METHODS, STEP, WHOLE, 0, 0, username)
    if not list then
        return nil, err == 'timeout' and 'userauth_list timeout' or err ~= '' and err or nil
    elseif list == '' then
        return true
    end
    local offered = {}
    for name in list:gmatch('[^,%s]+') do
        offered[name] = true
    end
    local problem
    local function try(...)
        local ok, message = handle:run(...)
        problem = message == 'timeout' and 'authentication timeout' or message
        return ok
    end
    if offered.publickey and options.key then
        local public = options.public_key
        if not public then
            local f = io.open(options.key .. '.pub', 'rb')
            public = f and options.key .. '.pub'
            if f then f:close() end
        end
        if try(PUBLIC_KEY, STEP, WHOLE, 0, 0, username, public, options.key, options.passphrase) then
            return true
        end
    end
    if offered.password and (options.lenient or options.password) then
        if type(options.password) ~= 'string' and type(options.password) ~= 'number' then
            error(("bad argument #4 to 'new' (string expected, got %s)"):format(type(options.password)), 4)
        end
        if try(PASSWORD, STEP, WHOLE, 0, 0, username, options.password) then
            return true
        end
    end
    return nil, problem or ('Authentication failed (the server offers %s)'):format(list)
end

local function establish(self, host, port, username, options)
    local ok, err = self.session:run(HANDSHAKE, STEP, WHOLE)
    if not ok then
        return nil, err == 'timeout' and 'handshake timeout' or err
    end
    ok, err = check_host(self, host, port, options)
    if not ok then
        return nil, err
    end
    return authenticate(self.session, username, options)
end

local function drop(self)
    self.session:free()
    self.sock:close()
end

local dropping = { __close = function(guard)
    if guard.session then drop(guard.session) end
end }

local function new(ipaddr, port, username, password)
    if not socket.is_ip_address(ipaddr) then
        return nil, 'invalid ipaddr: ' .. ipaddr
    end
    username = text_argument(username, 3, 'new')
    eco._options(password, 'password key public_key passphrase known_hosts host_key insecure', 4, 'new', true)
    local options = type(password) == 'table' and password or { password = password, lenient = true }
    local sock, err = socket.connect_tcp(ipaddr, port)
    if not sock then
        return nil, err
    end
    local handle
    handle, err = new_handle(sock:getfd())
    if not handle then
        sock:close()
        return nil, err
    end
    local self = setmetatable({ session = handle, sock = sock, io = eco.io(sock:getfd()), disconnected = false }, session)
    local guard<close> = setmetatable({ session = self }, dropping)
    local ok
    ok, err = establish(self, ipaddr, port, username, options)
    if not ok then
        return nil, err
    end
    guard.session = nil
    return self
end

-- Output, exit status, name of a signal.
local function execute(handle, command, timeout, most)
    local ok, err = handle:run(OPEN, STEP, WHOLE)
    if not ok then
        return nil, err
    end
    ok, err = handle:run(EXECUTE, STEP, WHOLE, 0, 0, command)
    if not ok then
        release(handle, STEP)
        return nil, err
    end
    local out, problems = handle:run(DRAIN, 0, timeout, most, 0)
    if not out then
        if problems == 'timeout' then
            handle:run(SIGNAL, STEP, STEP, 0, 0, 'KILL')
        end
        release(handle, STEP)
        return nil, problems
    end
    handle:run(CLOSE, STEP, STEP)
    if handle:freed() then
        return nil, 'canceled'
    end
    local code, signal = handle:status()
    release(handle, STEP)
    if signal then
        code = 128 + (signals[signal] or 0)
    end
    return out .. problems, code, signal
end

function session:exec(command, timeout, max_output)
    command = text_argument(command, 1, 'exec')
    local lock<close> = enter(self)
    return execute(self.session, command, timeout or 30, max_output or MAX_OUTPUT)
end

-- Hands so many bytes to `take`.
local function receive(handle, size, take)
    local left = size
    while left > 0 do
        local piece, err = handle:run(READ, COPY, 0, left)
        if not piece then
            return nil, err
        elseif piece == '' then
            return nil, 'closed'
        end
        local ok, problem = take(piece)
        if not ok then
            return nil, problem
        end
        left = left - #piece
    end
    return size
end

function session:scp_recv(source, dest)
    source = text_argument(source, 1, 'scp_recv')
    dest = dest ~= nil and text_argument(dest, 2, 'scp_recv') or nil
    local lock<close> = enter(self)
    local handle = self.session
    local size, err = handle:run(RECEIVE_FILE, COPY, 0, 0, 0, source)
    if not size then
        return nil, err
    end
    local pieces = {}
    local take = function(piece)
        pieces[#pieces + 1] = piece
        return true
    end
    local f
    if dest then
        f, err = io.open(dest, 'wb')
        if not f then
            release(handle, STEP)
            return nil, err
        end
        take = function(piece) return f:write(piece) end
    end
    local whole<close> = f
    size, err = receive(handle, size, take)
    -- A server that stands still will not answer now.
    release(handle, size and STEP or 1)
    if not size then
        return nil, err
    elseif not f then
        return table.concat(pieces)
    end
    -- What a full disk has not taken comes to light now.
    local ok, problem = f:flush()
    if not ok then
        return nil, problem
    end
    return size
end

-- Sends what `next_piece` gives, in all `size` bytes; the server says whether it
-- has them.
local function send(handle, dest, mode, size, next_piece)
    local ok, err = handle:run(SEND_FILE, COPY, 0, mode, size, dest)
    if not ok then
        return nil, err
    end
    local left = size
    while ok and left > 0 do
        local piece = next_piece(math.min(left, PIECE))
        if not piece or piece == '' then
            ok, err = nil, 'the file became shorter'
        else
            ok, err = handle:run(WRITE, COPY, 0, 0, 0, piece)
            left = left - #piece
        end
    end
    if ok then
        ok, err = handle:run(WRITE, COPY, 0, 0, 0, '\0')
    end
    local answer = ''
    if ok then
        answer, err = handle:run(READ, COPY, 0, PIECE)
        ok = answer and answer:byte() == 0
        err = err or answer and answer:sub(2):gsub('%s+$', '')
        if not ok and (not err or err == '') then
            err = 'failed to send file'
        end
    end
    if ok and handle:run(SEND_END, COPY, COPY) then
        handle:run(WAIT_END, COPY, COPY)
    end
    release(handle, ok and COPY or 1)
    if not ok then
        return nil, err
    end
    return true
end

function session:scp_send(data, dest)
    data, dest = text_argument(data, 1, 'scp_send'), text_argument(dest, 2, 'scp_send')
    local lock<close> = enter(self)
    local at = 0
    return send(self.session, dest, 420, #data, function(count)
        at = at + count
        return data:sub(at - count + 1, at)
    end)
end

function session:scp_sendfile(source, dest)
    source, dest = text_argument(source, 1, 'scp_sendfile'), text_argument(dest, 2, 'scp_sendfile')
    local lock<close> = enter(self)
    local st, err = require('eco.file').stat(source)
    if not st then
        return nil, err
    elseif st.type ~= 'REG' then
        return nil, source .. ': not a regular file'
    end
    local f<close>, problem = io.open(source, 'rb')
    if not f then
        return nil, problem
    end
    return send(self.session, dest, st.mode & 511, st.size, function(count)
        return f:read(count)
    end)
end

function session:disconnect(reason, description)
    if self.session:freed() then
        return true
    end
    local lock<close> = enter(self)
    local ok, err = self.session:run(DISCONNECT, STEP, STEP, reason or 11, 0, description or 'Normal Shutdown')
    if not ok then
        return nil, err
    end
    self.disconnected = true
    return true
end

function session:free()
    if not self.session:freed() then
        self.session:free(not self.disconnected)
        self.disconnected = true
        self.sock:close()
    end
end

session.__close = session.free

-- No tail call: errors name the place of the caller.
return {
    new = function(...)
        local self, err = new(...)
        if self then
            return self
        end
        return nil, err
    end,
}
