-- Clients and servers, made of contexts and sessions; what waits is native.

local native = ...

local eco = require 'eco'
local sync = require 'eco.sync'
local socket = require 'eco.socket'

local M = setmetatable({}, { __index = native })

-- How long a handshake may take, in seconds.
local HANDSHAKE = 15
-- Handshakes of one listener that may be under way, or over and not yet accepted.
local BACKLOG = 64

-- ---- certificates -----------------------------------------------------------

-- A text in PEM, or what is in the file of that name.
local function text_of(value)
    if type(value) ~= 'string' then
        error(('path or PEM text expected, got %s'):format(type(value)), 0)
    end
    if value:find('-----BEGIN', 1, true) then
        return value
    end
    local file, err = io.open(value, 'rb')
    if not file then
        return nil, err
    end
    local text
    text, err = file:read('a')
    file:close()
    return text, err
end

local function load_failure(what, err)
    return nil, ('load %s file fail'):format(what) .. (err and ': ' .. err or '')
end

-- Where systems keep the authorities that everybody trusts: in one file, or in one for each.
local BUNDLES = { '/etc/ssl/certs/ca-certificates.crt', '/etc/ssl/cert.pem', '/etc/pki/tls/certs/ca-bundle.crt' }
local FOLDER = '/etc/ssl/certs'

-- Read once for all contexts that use them at a time.
local known = setmetatable({}, { __mode = 'v' })

local function bundle_text()
    local chosen = os.getenv('SSL_CERT_FILE')
    for _, path in ipairs(chosen and { chosen } or BUNDLES) do
        local file = io.open(path, 'rb')
        local text = file and file:read('a')
        if file then
            file:close()
        end
        if text and text:find('-----BEGIN', 1, true) then
            return text
        end
    end
    if chosen then
        return ''
    end
    local texts = {}
    for name in require('eco.file').dir(FOLDER) do
        local file = name:find('%.crt$') and io.open(FOLDER .. '/' .. name, 'rb')
        if file then
            texts[#texts + 1] = file:read('a')
            file:close()
        end
    end
    return table.concat(texts, '\n')
end

-- The system's authorities, or nil and a message.
local function system_authorities()
    local authorities = known.system
    if not authorities then
        authorities = native.authorities(bundle_text())
        known.system = authorities
    end
    if not authorities then
        return nil, 'no certificate authorities found: install ca-bundle, or set the option ca'
    end
    return authorities
end

-- ---- contexts ---------------------------------------------------------------

-- A list of names from a list or a text with blanks, commas or colons between them.
local function list_of(value, what)
    if type(value) == 'string' then
        local list = {}
        for word in value:gmatch('[^%s,:]+') do
            list[#list + 1] = word
        end
        return list
    elseif type(value) ~= 'table' then
        error(('table expected for option %s, got %s'):format(what, type(value)), 0)
    end
    return value
end

-- Cert and key of a table, as texts; nothing when it has neither.
local function identity_of(opts)
    if opts.cert == nil and opts.key == nil then
        return
    end
    local cert, err = text_of(opts.cert or opts.key)
    if not cert then
        return load_failure('cert', err)
    end
    local key
    key, err = text_of(opts.key or opts.cert)
    if not key then
        return load_failure('key', err)
    end
    return cert, key
end

local versions = { ['1.2'] = 2, ['1.3'] = 3, [1.2] = 2, [1.3] = 3 }

local function version_of(opts, name, default)
    local value = opts[name]
    if value == nil then
        return default
    end
    return versions[value] or error(('option %s: 1.2 or 1.3 expected'):format(name), 0)
end

-- Sets all that options say of a context: true, or nil and a message.
local function configure(ctx, opts, is_server)
    if opts.ca then
        local text, err = text_of(opts.ca)
        if not text or not ctx:set_ca(text) then
            return load_failure('ca', err)
        end
        if is_server then
            ctx:set_verify(opts.insecure and 0 or 2)
        end
    end
    local cert, key = identity_of(opts)
    if cert then
        local ok, err = ctx:set_identity(cert, key)
        if not ok then
            return nil, err
        end
    elseif key then
        return nil, key
    end
    for name, identity in pairs(opts.names or {}) do
        cert, key = identity_of(identity)
        if not cert then
            return nil, key or ('name %s: cert and key expected'):format(name)
        end
        local ok, err = ctx:add_name(name, cert, key)
        if not ok then
            return nil, ('name %s: %s'):format(name, err)
        end
    end
    if opts.alpn and not ctx:set_alpn(list_of(opts.alpn, 'alpn')) then
        return nil, 'bad list of protocols'
    end
    if opts.ciphers and not ctx:set_ciphers(opts.ciphers) then
        return nil, 'no known cipher'
    end
    local lowest, highest = version_of(opts, 'min_version', 2), version_of(opts, 'max_version', 3)
    if lowest > (native.TLS13 and highest or 2) then
        return nil, 'no version of TLS is left'
    end
    ctx:set_versions(lowest, highest)
    if is_server and opts.tickets ~= false then
        local lifetime = opts.ticket_lifetime or 86400
        if not ctx:set_resumption(lifetime, opts.session_cache or 50) then
            return nil, 'new ssl context fail'
        end
    end
    return true
end

local KNOWN = socket._options .. ' ca cert key ctx insecure names alpn ciphers min_version max_version tickets ticket_lifetime session_cache session server_name timeout'

local function check(opts, position, name)
    eco._options(opts, KNOWN, position, name)
end

-- A context from options, or nil and a message.
local function context_of(opts, is_server)
    local ctx = native.context(is_server)
    local done, ok, err = pcall(configure, ctx, opts, is_server)
    if not done then
        ctx:free()
        error(ok, 3)
    elseif not ok then
        ctx:free()
        return nil, err
    end
    return ctx
end

function M.client_context(opts)
    check(opts, 1, 'client_context')
    return context_of(opts or {}, false)
end

function M.server_context(opts)
    check(opts, 1, 'server_context')
    return context_of(opts or {}, true)
end

-- ---- connections ------------------------------------------------------------

local methods = {}
local metatable = eco._kind({ __index = methods }, 'eco.ssl', function(self)
    return self.closed and 'closed' or ('%s over %s'):format(self.ssock:version(), tostring(self.sock))
end)

function methods:read(...)
    if self.closed then
        return nil, 'closed'
    end
    return self.rd:read(...)
end

function methods:readfull(...)
    if self.closed then
        return nil, 'closed'
    end
    return self.rd:readfull(...)
end

function methods:readuntil(...)
    if self.closed then
        return nil, 'closed'
    end
    return self.rd:readuntil(...)
end

function methods:read2b(...)
    if self.closed then
        return nil, 'closed'
    end
    return self.rd:read2b(...)
end

methods.recv, methods.recvfull = methods.read, methods.readfull

local unlocking = { __close = function(lock) lock.mutex:unlock() end }

local function hold(mutex)
    mutex:lock()
    return setmetatable({ mutex = mutex }, unlocking)
end

function methods:send(data, timeout)
    if type(data) ~= 'string' and type(data) ~= 'number' then
        error(("bad argument #1 to 'send' (string expected, got %s)"):format(data == nil and 'no value' or type(data)), 2)
    end
    if self.closed then
        return nil, 'closed'
    end
    local lock<close> = hold(self.mutex)
    if self.closed then
        return nil, 'closed'
    end
    return self.wr:write(data, timeout)
end

methods.write = methods.send

local function count_of(value, position, name)
    return math.tointeger(tonumber(value))
        or error(("bad argument #%d to 'sendfile' (number expected, got %s)"):format(position, value == nil and 'no value' or name or type(value)), 3)
end

function methods:sendfile(path, len, offset, timeout)
    if type(path) ~= 'string' then
        error(("bad argument #1 to 'sendfile' (string expected, got %s)"):format(type(path)), 2)
    end
    len = count_of(len, 2)
    offset = offset == nil and 0 or count_of(offset, 3)
    if self.closed then
        return nil, 'closed'
    end
    local size, err = require('eco.file').stat(path)
    if not size then
        return nil, err
    elseif size.type == 'DIR' then
        return nil, 'Is a directory'
    end
    len = math.min(len, size.size - offset)
    if len <= 0 then
        return 0
    end
    local lock<close> = hold(self.mutex)
    if self.closed then
        return nil, 'closed'
    end
    return self.wr:sendfile(path, offset, len, timeout)
end

function methods:close()
    if self.closed then
        return
    end
    self.closed = true
    self.ssock:free()
    self.sock:close()
    if not self.keep_ctx then
        self.ctx:free()
    end
end

function methods:getfd()
    return self.closed and -1 or self.sock:getfd()
end

-- What the handshake agreed on.
function methods:alpn()
    return self.ssock:alpn()
end

function methods:version()
    return self.ssock:version()
end

function methods:cipher()
    return self.ssock:cipher()
end

-- The peer's certificate in DER and its subject.
function methods:peer_certificate()
    return self.ssock:peer()
end

-- What `session` of a later connection to the same server takes. Whether the server was verified belongs to it, and
-- by which name.
function methods:session()
    local data = self.ssock:save()
    return data and string.pack('<Bs2s2', self.verified and 1 or 0, self.name or '', data)
end

metatable.__close = methods.close
metatable.__gc = methods.close

local function resume(ssock, session, verified, name)
    local ok, was_verified, former, data = pcall(string.unpack, '<Bs2s2', session)
    if ok and former == name and (was_verified == 1 or not verified) then
        ssock:load(data)
    end
end

-- Closes a socket whose connection does not come about.
local giving_up = {
    __close = function(held)
        if held.sock then
            held.sock:close()
        end
    end,
}

-- Closes what a failed connection had.
local function give_up(ctx, keep_ctx, ssock, err)
    if ssock then
        ssock:free()
    end
    if not keep_ctx then
        ctx:free()
    end
    return nil, err
end

-- The connection after its handshake; the socket stays open when that fails.
local function establish(sock, ctx, keep_ctx, insecure, timeout, name, session)
    local ssock, err = ctx:wrap(sock.rd, sock.wr, sock, insecure)
    if not ssock then
        return give_up(ctx, keep_ctx, nil, err)
    end
    if name then
        local address = socket.inet_pton(socket.AF_INET, name) or socket.inet_pton(socket.AF_INET6, name)
        if address then
            ssock:set_address(address)
        else
            local done, ok = pcall(ssock.set_server_name, ssock, name)
            if not done or not ok then
                return give_up(ctx, keep_ctx, ssock, 'bad server name')
            end
        end
    end
    if session then
        resume(ssock, session, not insecure, name or '')
    end
    local ok
    ok, err = ssock:establish(timeout)
    if not ok then
        return give_up(ctx, keep_ctx, ssock, err)
    end
    local rd, wr = ssock:streams()
    return setmetatable({
        sock = sock,
        ssock = ssock,
        rd = rd,
        wr = wr,
        mutex = sync.mutex(),
        ctx = ctx,
        keep_ctx = keep_ctx,
        verified = not insecure,
        name = name,
    }, metatable)
end

local function handshake_limit(opts)
    local timeout = opts.timeout
    if timeout == nil then
        return HANDSHAKE
    end
    return tonumber(timeout) or error('number expected for option timeout', 3)
end

-- A TLS client over a connected stream.
local function client(sock, opts, name)
    local timeout = handshake_limit(opts)
    local ctx, err = opts.ctx, nil
    if not ctx then
        ctx, err = context_of(opts, false)
        if not ctx then
            return nil, err
        end
    end
    if not opts.insecure and not ctx:has_ca() and not ctx:is_freed() then
        local authorities
        authorities, err = system_authorities()
        if not authorities then
            return give_up(ctx, opts.ctx, nil, err)
        end
        ctx:set_ca(authorities)
    end
    return establish(sock, ctx, opts.ctx ~= nil, not not opts.insecure, timeout, opts.server_name or name, opts.session)
end

function M.client(sock, opts)
    check(opts, 2, 'client')
    opts = opts or {}
    if not opts.insecure and opts.server_name == nil then
        error('option server_name expected: whom to verify', 2)
    end
    return client(sock, opts)
end

function M.connect(host, port, opts)
    check(opts, 3, 'connect')
    opts = opts or {}
    local sock, err = socket.connect_tcp(host, port, opts)
    if not sock then
        return nil, err
    end
    local held<close> = setmetatable({ sock = sock }, giving_up)
    -- A handshake is short messages in turn: each would wait until the one before is acknowledged.
    sock:setoption('tcp_nodelay', opts.tcp_nodelay ~= false)
    local done, con, reason = pcall(client, sock, opts, host)
    if done and con then
        held.sock = nil
        return con
    elseif not done then
        error(con, 2)
    end
    return nil, reason
end

-- ---- servers ----------------------------------------------------------------

function M.server(sock, opts)
    check(opts, 2, 'server')
    local timeout, ctx, err = HANDSHAKE, opts, nil
    local own = type(opts) == 'table'
    if own then
        timeout = handshake_limit(opts)
        ctx = opts.ctx
        own = not ctx
        if own then
            ctx, err = context_of(opts, true)
            if not ctx then
                return nil, err
            end
        end
    end
    return establish(sock, ctx, not own, false, timeout)
end

local server = {}
local server_metatable = eco._kind({ __index = server }, 'eco.ssl.server', function(self)
    return tostring(self.sock)
end)

-- The handshake of one connection; what comes of it is for `accept`.
local function shake_hands(self, sock, peer)
    local done, con, err = pcall(M.server, sock, self.handshake)
    if not done then
        con, err = nil, con
    end
    if not con then
        sock:close()
    end
    self.pending = self.pending - 1
    if self.closed then
        if con then
            con:close()
        end
        return
    end
    self.ready[#self.ready + 1] = con and { con, peer } or { nil, err }
    if self.waits then
        -- Whoever waits for connections looks here.
        self.sock.rd:cancel()
    elseif self.full then
        eco._resume(self.full)
    end
end

local function take(self)
    return table.unpack(table.remove(self.ready, 1), 1, 2)
end

function server:accept()
    if self.waits or self.full then
        error('another coroutine is already waiting on this I/O object', 2)
    end
    while true do
        if #self.ready > 0 then
            return take(self)
        elseif self.closed then
            return nil, 'Bad file descriptor'
        end
        if self.pending >= BACKLOG then
            self.full = coroutine.running()
            coroutine.yield()
            self.full = nil
        else
            self.waits = true
            local sock, peer = self.sock:accept()
            if sock then
                sock:setoption('tcp_nodelay', true)
            end
            self.waits = false
            if sock then
                sock:setoption('tcp_nodelay', true)
                self.pending = self.pending + 1
                eco.run(shake_hands, self, sock, peer)
            elseif self.closed or #self.ready == 0 then
                return nil, peer
            end
        end
    end
end

function server:close()
    if self.closed then
        return
    end
    self.closed = true
    self.sock:close()
    for _, entry in ipairs(self.ready) do
        if entry[1] then
            entry[1]:close()
        end
    end
    self.ready = {}
    if self.full then
        eco._resume(self.full)
    end
    if self.own then
        self.ctx:free()
    end
end

-- Other certificates, names and authorities for the connections that are accepted from now on: true, or nil and a
-- message, and then all stays as it was.
function server:reload(opts)
    check(opts, 1, 'reload')
    local ctx, err = context_of(opts, true)
    if not ctx then
        return nil, err
    end
    self.ctx:adopt(ctx)
    ctx:free()
    return true
end

server_metatable.__close = server.close
server_metatable.__gc = server.close

function M.listen(ip, port, opts)
    check(opts, 3, 'listen')
    opts = opts or {}
    local timeout = handshake_limit(opts)
    local ctx, err = opts.ctx, nil
    if not ctx then
        ctx, err = context_of(opts, true)
        if not ctx then
            return nil, err
        end
    end
    local done, sock, reason = pcall(socket.listen_tcp, ip, port, opts)
    if not done or not sock then
        if not opts.ctx then
            ctx:free()
        end
        if not done then
            error(sock, 2)
        end
        return nil, reason
    end
    return setmetatable({
        sock = sock,
        ctx = ctx,
        own = not opts.ctx,
        insecure = opts.insecure,
        handshake = { ctx = ctx, timeout = timeout },
        ready = {},
        pending = 0,
    }, server_metatable)
end

-- ---- methods of contexts that read files --------------------------------------

local context = native.context_methods
native.context_methods = nil

local function file_text(path)
    local file = io.open(path, 'rb')
    local text = file and file:read('a')
    if file then
        file:close()
    end
    return text
end

function context:load_ca_cert_file(path)
    local text = not self:is_freed() and file_text(path)
    return text and self:set_ca(text) or false
end

function context:load_cert_file(path)
    local text = not self:is_freed() and file_text(path)
    return text and self:set_cert(text) or false
end

function context:load_key_file(path)
    local text = not self:is_freed() and file_text(path)
    return text and self:set_key(text) or false
end

local TLS13 = { 'TLS1-3-AES-256-GCM-SHA384', 'TLS1-3-CHACHA20-POLY1305-SHA256', 'TLS1-3-AES-128-GCM-SHA256' }

-- A suite's name as the library has it, from that of the standards (with hyphens or underscores) or of OpenSSL.
local function suite_name(name)
    name = name:gsub('_', '-')
    local auth, bits, rest = name:match('^ECDHE%-(%u+)%-AES(%d+)%-(GCM%-SHA%d+)$')
    if auth then
        return ('TLS-ECDHE-%s-WITH-AES-%s-%s'):format(auth, bits, rest)
    end
    auth = name:match('^ECDHE%-(%u+)%-CHACHA20%-POLY1305$')
    if auth then
        return ('TLS-ECDHE-%s-WITH-CHACHA20-POLY1305-SHA256'):format(auth)
    end
    return (name:gsub('^TLS%-AES', 'TLS1-3-AES'):gsub('^TLS%-CHACHA20', 'TLS1-3-CHACHA20'))
end

-- Suites in the order of preference. A list that names none of TLS 1.3 leaves those as they are.
function context:set_ciphers(list)
    if self:is_freed() then
        return false
    end
    local suites, has_13 = {}, false
    for i, name in ipairs(list_of(list, 'ciphers')) do
        suites[i] = suite_name(tostring(name))
        has_13 = has_13 or suites[i]:find('^TLS1%-3') ~= nil
    end
    if #suites == 0 or not self:set_suites(suites) then
        return false
    end
    return has_13 or self:set_suites(table.move(TLS13, 1, #TLS13, #suites + 1, suites))
end

package.loaded['eco.internal.ssl'] = native

return M
