-- Opening and closing of WebSockets; what goes on between is native.

local native, methods = ...
local recv, shut, send_packed = methods.recv, methods.shut, methods.send_packed
methods.shut, methods.send_packed = nil, nil

local eco = require 'eco'
local metatable = eco._kind({ __index = methods }, 'eco.websocket', function(self)
    return (self.masking and 'client, ' or 'server, ') .. tostring(self.sock)
end)
local now = native.now
local agent = 'Lua-eco/' .. eco.VERSION

-- The number of an option; nil and false stand for the default.
local function number(opts, name, default)
    local value = opts[name]
    if not value then
        return default
    end
    value = tonumber(value)
    if not value or not (value >= 0) then
        error(('option %s must be a number from 0 up'):format(name), 5)
    end
    return value
end

local function bytes(...)
    return math.ceil(math.min(number(...), 2 ^ 53))
end

local function nanoseconds(...)
    return math.ceil(math.min(number(...), 4e9) * 1e9)
end

-- A WebSocket over a stream; its options are checked before anything is sent.
local function settings(opts)
    opts.max_payload_len = opts.max_payload_len or 65535
    local frame = bytes(opts, 'max_payload_len')
    local interval = nanoseconds(opts, 'ping_interval', 0)
    return {
        frame, bytes(opts, 'max_message_len', frame), nanoseconds(opts, 'frame_timeout', 30),
        nanoseconds(opts, 'send_timeout', 60), interval, nanoseconds(opts, 'ping_timeout', interval / 1e9),
    }
end

-- What packs messages, if that is asked for and there.
local function packing(opts)
    if opts.deflate then
        local found, deflate = pcall(require, 'eco.internal.deflate')
        return found and deflate
    end
end

local function new(sock, opts, client, set, deflate, agreed)
    local ws = setmetatable({
        sock = sock,
        opts = opts,
        masking = client or nil,
        io = native.new(sock.rd, sock.wr, client, agreed, table.unpack(set)),
    }, metatable)
    if agreed then
        deflate.wrap(ws, agreed, methods, send_packed, set[1], set[2])
    end
    return ws
end

-- After these the connection is as it was.
local passing = { timeout = true, canceled = true }

local function received(ws, data, what, ...)
    if data == nil and not passing[what] then
        ws.sock:close()
    end
    return data, what, ...
end

function methods:recv(timeout)
    return received(self, recv(self, timeout))
end

-- Misuse: nothing was sent.
local misused = { ['bad status code'] = true, ['text is not UTF-8'] = true, ['too much payload for control frame'] = true }

function methods:close(code, reason, timeout)
    timeout = tonumber(timeout) or 5
    local ok, other = shut(self, code or 1000, reason, timeout > 0 and math.ceil(math.min(timeout, 4e9) * 1e9) or 1)
    if not ok then
        if not misused[other] then
            self.sock:close()
        end
        return nil, other
    elseif not other then
        -- Else whoever receives sees it through.
        self.sock:close()
    end
    return true
end

-- Where nothing can wait, the peer gets no more than the close frame.
function metatable:__close()
    pcall(shut, self, 1000, nil, 1000000000)
    self.sock:close()
end

-- Whether a word is in a list of a header field.
local function has_token(list, token)
    return (',' .. list:lower():gsub('[ \t]', '') .. ','):find(',' .. token .. ',', 1, true)
end

-- The first of the protocols offered that is among those spoken.
local function choose(offered, spoken)
    if type(spoken) == 'string' then
        spoken = { spoken }
    end
    for protocol in offered:gmatch('[^,%s]+') do
        if not spoken then
            return protocol
        end
        for _, known in ipairs(spoken) do
            if protocol == known then
                return protocol
            end
        end
    end
end

local KNOWN = require 'eco.socket'._options .. ' ca cert key ctx insecure names alpn ciphers min_version max_version tickets ticket_lifetime session_cache session server_name timeout max_payload_len max_message_len frame_timeout send_timeout ping_interval ping_timeout '
    .. 'deflate headers protocols origin proxy unix nameservers'

local function checked(opts, position, name)
    opts = opts or {}
    eco._options(opts, KNOWN, position, name)
    eco._options(opts.deflate, 'takeover level min_size', position, name, true)
    return opts
end

local function upgrade(con, req, opts)
    opts = checked(opts, 3, 'upgrade')
    local set = settings(opts)
    if req.major_version ~= 1 or req.minor_version ~= 1 then
        return nil, 'bad http version'
    elseif con.resp.head_sent then
        return nil, 'response header already sent'
    end
    local ok, err = con:discard_body()
    if not ok then
        return nil, err
    end

    local headers = req.headers
    local upgrading, connection = headers.upgrade, headers.connection
    if not upgrading then
        return nil, 'not found "upgrade" request header'
    elseif not has_token(upgrading, 'websocket') then
        return nil, 'bad "upgrade" request header:' .. upgrading
    elseif not connection then
        return nil, 'not found "connection" request header'
    elseif not has_token(connection, 'upgrade') then
        return nil, 'bad "connection" request header: ' .. connection
    end
    local version, key = headers['sec-websocket-version'], headers['sec-websocket-key']
    if not version then
        return nil, 'not found "sec-websocket-version" request header'
    elseif version ~= '13' then
        -- What the peer should try (RFC 6455, 4.2.2).
        con:add_header('sec-websocket-version', '13')
        return nil, 'bad "sec-websocket-version" request header: ' .. version
    elseif not key then
        return nil, 'not found "sec-websocket-key" request header'
    end
    local accept = native.accept(key)
    if not accept then
        return nil, 'bad "sec-websocket-key" request header'
    elseif req.method and req.method ~= 'GET' then
        return nil, 'bad http method'
    end
    local deflate, agreed, extensions = packing(opts), nil, nil
    if deflate then
        agreed, extensions = deflate.answer(headers['sec-websocket-extensions'] or '', opts.deflate)
    end
    local ws = new(con.sock, opts, false, set, deflate, agreed)
    ws.protocol = choose(headers['sec-websocket-protocol'] or '', opts.protocols)

    con:set_status(101)
    con:add_header('upgrade', 'websocket')
    con:add_header('connection', 'upgrade')
    con:add_header('sec-websocket-accept', accept)
    if ws.protocol then
        con:add_header('sec-websocket-protocol', ws.protocol)
    end
    if extensions then
        con:add_header('sec-websocket-extensions', extensions)
    end
    ok, err = con:flush()
    if not ok then
        return nil, err
    end
    return ws
end


-- Scheme, host, port, target and user information of a URL; nothing for what is none.
local function parse(text)
    if type(text) ~= 'string' then
        error('string expected as URL', 3)
    end
    local scheme, authority, rest = text:match('^(%a%w*)://([^/?#]+)([^#]*)')
    if not scheme or text:find('[%c ]') then
        return
    end
    local user, place = authority:match('^(.*)@(.*)$')
    place = place or authority
    local host, port = place:match('^%[([%x:.]+)%](.*)$')
    if not host then
        host, port = place:match('^([^:%[%]]+)(.*)$')
    end
    if not host or not (port .. ':'):find('^:%d*:?$') then
        return
    end
    return scheme, host, tonumber(port:sub(2)), rest:find('^/') and rest or '/' .. rest, user
end

local NAME = "^[%w!#$%%&'*+.^_`|~-]+$"

-- Whether they make a header line.
local function is_line(name, value)
    return name:find(NAME) and not value:find('[\0-\8\10-\31\127]')
end

-- What a server, or a proxy, answers: status and header fields, or nil and a message.
local function reply(sock, timeout)
    local rd, stop, text, size = sock.rd, now() + math.ceil(math.min(timeout, 4e9) * 1e9), {}, 0
    while true do
        local left = (stop - now()) / 1e9
        if left <= 0 then
            return nil, 'timeout'
        end
        local piece, done = rd:readuntil('\r\n\r\n', left)
        if not piece then
            return nil, done
        end
        text[#text + 1] = piece
        size = size + #piece
        local head = table.concat(text)
        if size > 16384 then
            return nil, 'http response head too large'
        elseif head:sub(1, 7) ~= ('HTTP/1.'):sub(1, #head) then
            return nil, 'invalid http status line'
        elseif done then
            local status, lines = head:match('^HTTP/1%.[01] (%d%d%d)%f[\0 \r][^\r\n]*\r?\n?(.*)$')
            if not status then
                return nil, 'invalid http status line'
            end
            local fields = {}
            for line in lines:gmatch('([^\n]*)\n?') do
                local name, value = line:match('^([^:]*):[ \t]*(.-)[ \t]*\r?$')
                if line ~= '' and not (name and is_line(name, value)) then
                    return nil, 'invalid http header'
                elseif name then
                    name = name:lower()
                    fields[name] = fields[name] and fields[name] .. ', ' .. value or value
                end
            end
            status = tonumber(status)
            if status == 101 or status > 199 then
                return status, fields
            end
            -- Others come before the one that counts.
            text = {}
        elseif not done and #text > 1000 then
            text = { head }
        end
    end
end

local ports = { ws = 80, http = 80, wss = 443, https = 443 }

-- A host as it stands beside a port.
local function bracketed(host)
    return host:find(':', 1, true) and '[' .. host .. ']' or host
end

-- A connected stream, or nil and a message. What was opened on the way closes with `opened`.
local function dial(scheme, host, port, opts, opened, timeout)
    local socket = require 'eco.socket'
    local sock, err
    if opts.unix then
        sock, err = socket.connect_unix(opts.unix)
        if not sock then
            return nil, ('connect "%s" fail: %s'):format(opts.unix, err)
        end
    else
        local to, at, user = host, port, nil
        if opts.proxy then
            local kind
            kind, to, at, err, user = parse(opts.proxy)
            if kind ~= 'http' then
                return nil, 'unsupported proxy: ' .. opts.proxy
            end
            at = at or 8080
        end
        sock, err = socket.connect_tcp(to, at, opts)
        if not sock then
            return nil, ('connect "%s %s" fail: %s'):format(to, at, err)
        end
        opened.sock = sock
        if opts.tcp_nodelay == nil then
            sock:setoption('tcp_nodelay', true)
        end
        if opts.proxy then
            local target = ('%s:%d'):format(bracketed(host), port)
            local lines = { 'CONNECT ' .. target .. ' HTTP/1.1', 'Host: ' .. target }
            if user then
                lines[3] = 'Proxy-Authorization: Basic ' .. native.base64(user)
            end
            local status, reason = sock:send(table.concat(lines, '\r\n') .. '\r\n\r\n', timeout)
            if status then
                status, reason = reply(sock, timeout)
            end
            if not status then
                return nil, 'proxy: ' .. reason
            elseif status // 100 ~= 2 then
                return nil, 'proxy: status code: ' .. status
            end
        end
    end
    opened.sock = sock
    if scheme == 'wss' or scheme == 'https' then
        local found, ssl = pcall(require, 'eco.ssl')
        if not found then
            return nil, 'TLS needs the package lua-eco-ssl'
        end
        local choice = {}
        for name, value in pairs(opts) do
            choice[name] = value
        end
        choice.server_name = opts.server_name or host
        choice.alpn = opts.alpn or { 'http/1.1' }
        local client
        client, err = ssl.client(sock, choice)
        if not client then
            return nil, ('connect "%s %d" fail: %s'):format(host, port, err)
        end
        opened.sock = client
    end
    return opened.sock
end

-- The lines of the request; those that make the handshake are ours.
local function request(place, target, opts, key, deflate)
    local fields = {}
    for name, value in pairs(opts.headers or {}) do
        fields[tostring(name):lower()] = tostring(value)
    end
    local protocols = opts.protocols
    if protocols then
        fields['sec-websocket-protocol'] = type(protocols) == 'table' and table.concat(protocols, ', ') or protocols
    end
    fields.origin = opts.origin or fields.origin
    fields.host = fields.host or place
    fields['user-agent'] = fields['user-agent'] or agent
    fields.connection, fields.upgrade = 'Upgrade', 'websocket'
    fields['sec-websocket-version'], fields['sec-websocket-key'] = '13', key
    fields['sec-websocket-extensions'] = deflate and deflate.offer(opts.deflate) or nil
    local lines = { 'GET ' .. target .. ' HTTP/1.1' }
    for name, value in pairs(fields) do
        if not is_line(name, value) then
            error('invalid http header', 3)
        end
        lines[#lines + 1] = ('-' .. name):gsub('%-%l', string.upper):sub(2) .. ': ' .. value
    end
    lines[#lines + 1] = '\r\n'
    return table.concat(lines, '\r\n'), fields['sec-websocket-protocol']
end

-- Why the answer is not one to a key; nothing if it is.
local function check(status, headers, key, offered, agreed)
    if status ~= 101 then
        return 'connect fail with status code: ' .. status
    elseif not has_token(headers.upgrade or '', 'websocket') then
        return 'bad "upgrade" response header'
    elseif not has_token(headers.connection or '', 'upgrade') then
        return 'bad "connection" response header'
    elseif headers['sec-websocket-accept'] ~= native.accept(key) then
        return 'bad "sec-websocket-accept" response header'
    elseif headers['sec-websocket-extensions'] and not agreed then
        return 'bad "sec-websocket-extensions" response header'
    end
    local protocol = headers['sec-websocket-protocol']
    if protocol and choose(offered or '', protocol) ~= protocol then
        return 'bad "sec-websocket-protocol" response header'
    end
end

local function connect(uri, opts)
    opts = checked(opts, 2, 'connect')
    local set, key = settings(opts), native.key()
    local scheme, host, port, target = parse(uri)
    if not scheme or port and (port < 1 or port > 65535) then
        return nil, 'invalid url'
    elseif not ports[scheme] then
        return nil, 'unsupported scheme: ' .. scheme
    end
    local timeout = tonumber(opts.timeout) or 0
    timeout = timeout > 0 and timeout or 30
    local place = bracketed(host) .. (port and port ~= ports[scheme] and ':' .. port or '')
    local deflate = packing(opts)
    local text, offered = request(place, target, opts, key, deflate)

    local opened<close> = setmetatable({}, { __close = function(opened)
        if opened.sock then
            opened.sock:close()
        end
    end })
    local sock, ok, err, status, headers
    sock, err = dial(scheme, host, port or ports[scheme], opts, opened, timeout)
    if not sock then
        return nil, err
    end
    ok, err = sock:send(text, timeout)
    if not ok then
        return nil, err
    end
    status, headers = reply(sock, timeout)
    if not status then
        return nil, headers
    end
    local extensions = deflate and headers['sec-websocket-extensions']
    local agreed = extensions and deflate.agreed(extensions, opts.deflate)
    err = check(status, headers, key, offered, agreed)
    if err then
        return nil, err
    end
    local ws = new(sock, opts, true, set, deflate, agreed)
    ws.protocol, ws.headers = headers['sec-websocket-protocol'], headers
    -- What scripts of 4.x close.
    ws.hc = {
        close = function() sock:close() end,
        sock = function() return sock end,
    }
    opened.sock = nil
    return ws
end

return { upgrade = upgrade, connect = connect }
