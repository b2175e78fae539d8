-- What an HTTP client does in several steps: resolving, connecting, through proxies and
-- TLS, following redirects, keeping connections. What moves bytes is native: a link
-- sends a request over a connection and reads the answer.

local native = ...
local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sync = require 'eco.sync'

-- Connections kept in all, whichever client has them.
local M, client, form = { max_idle = 64 }, {}, {}
local new_link, split = native.link, native.split

local AGENT = 'Lua-eco/' .. eco.VERSION
local PORTS = { http = 80, ws = 80, https = 443, wss = 443 }
local TOKEN, CONTROL = "^[%w!#$%%&'*+.^_`|~-]+$", '[\0-\8\10-\31\127]'
-- Requests that do the same when they are sent twice.
local IDEMPOTENT = { GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true, TRACE = true }
local REDIRECTS = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local FILE, FORM = 'eco-http-body-file', 'eco-http-body-form'
-- What a link is asked for besides the head of the answer.
local WITH_BODY, NOT_ELSEWHERE, NOT_PACKED, UNTIL_CONTINUE = 1, 2, 4, 8
local NONE = {}
-- Bytes of a body that go out, or come in, in one step.
local STEP, PIECE = 65536, 4096

local function seconds(value, default)
    value = tonumber(value)
    return value and value > 0 and value or default
end

-- A header name as it is sent; the common ones are at hand.
local function sent_name(name)
    return (name:gsub('%f[^%-\0]%l', string.upper))
end

local SENT = {}
for name in ('user-agent connection content-type content-length accept authorization'):gmatch('%S+') do
    SENT[name] = sent_name(name)
end

local function base64(text)
    local out = text:gsub('..?.?', function(group)
        local a, b, c = group:byte(1, 3)
        local bits = a << 16 | (b or 0) << 8 | (c or 0)
        return (('%c%c%c%c'):format(bits >> 18, bits >> 12 & 63, b and bits >> 6 & 63 or 64, c and bits & 63 or 64):gsub('.', function(digit)
            local at = digit:byte() + 1
            return ('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/='):sub(at, at)
        end))
    end)
    return out
end

local function unescape(text)
    return (text:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

local function basic(who)
    return 'Basic ' .. base64(unescape(who.user) .. ':' .. unescape(who.password or ''))
end

-- Where a URL leads.
local function place_of(url)
    local scheme, host, port, target, user, password = split(url or '')
    if not scheme then
        return nil, 'invalid url'
    end
    local default = PORTS[scheme]
    if not default then
        return nil, 'unsupported scheme: ' .. scheme
    end
    local name = host:find(':', 1, true) and '[' .. host .. ']' or host
    return {
        scheme = scheme,
        host = host,
        port = port or default,
        authority = port and port ~= default and name .. ':' .. port or name,
        target = target,
        user = user,
        password = password,
        tls = default == 443,
        upgrade = scheme:byte() == 119,
    }
end

-- Where the location of a redirect leads from a place.
local function resolve(place, location)
    location = location:gsub('#.*', ''):gsub(' ', '%%20')
    if location:find('^%a[%w+.-]*:') then
        return location
    elseif location:find('^//') then
        return place.scheme .. ':' .. location
    end
    local path, query = location:match('^([^?]*)(.*)')
    local old, old_query = place.target:match('^([^?]*)(.*)')
    if path == '' then
        path = old
        query = query ~= '' and query or old_query
    elseif path:byte() ~= 47 then
        path = old:match('^.*/') .. path
    end
    local parts = {}
    for part in (path .. (path:find('/%.%.?$') and '/' or '')):gmatch('/([^/]*)') do
        if part == '..' then
            parts[#parts] = nil
        elseif part ~= '.' then
            parts[#parts + 1] = part
        end
    end
    return ('%s://%s/%s%s'):format(place.scheme, place.authority, table.concat(parts, '/'), query)
end

-- Bodies

local function checked(path)
    local st, err = file.stat(path)
    if not st then
        return nil, err
    elseif st.type ~= 'REG' then
        return nil, 'not a regular file'
    elseif not file.access(path, 'r') then
        return nil, 'no permission for read'
    end
    return st.size
end

function M.body_with_file(path)
    local size, err = checked(path)
    if not size then
        return nil, err
    end
    return setmetatable({ name = path, size = size }, { __metatable = FILE })
end

local function add(self, part, size)
    self.contents[#self.contents + 1] = part
    self.length = self.length + size
end

-- As browsers write names of fields and files.
local function quoted(name)
    return '"' .. name:gsub('["\r\n]', { ['"'] = '%22', ['\r'] = '%0D', ['\n'] = '%0A' }) .. '"'
end

local function add_text(self, ...)
    local text = ('--%s\r\nContent-Disposition: form-data; name=%s'):format(self.boundary, table.concat({ ... }))
    add(self, text, #text)
end

function form:add(name, value)
    assert(type(name) == 'string' and type(value) == 'string')
    add_text(self, quoted(name), '\r\n\r\n', value, '\r\n')
    return true
end

function form:add_file(name, path)
    assert(type(name) == 'string' and type(path) == 'string')
    local size, err = checked(path)
    if not size then
        return nil, err
    end
    add_text(self, quoted(name), '; filename=', quoted(path:match('[^/]*$')), '\r\nContent-Type: application/octet-stream\r\n\r\n')
    add(self, { path = path, size = size }, size)
    add(self, '\r\n', 2)
    return true
end

function M.form()
    local boundary = ('-'):rep(24) .. ('%016x'):format((('i8'):unpack(native.random(8))))
    return setmetatable({ boundary = boundary, length = 0, contents = {}, tail = '--' .. boundary .. '--\r\n' },
        { __index = form, __metatable = FORM })
end

local function kind_of(body)
    local kind = type(body)
    if kind == 'table' then
        kind = getmetatable(body)
        return (kind == FILE or kind == FORM) and kind
    end
    return (kind == 'string' or kind == 'function') and kind
end

-- Parts of a body in their order; its size, unless a function gives it; its type.
local function parts_of(body)
    local kind = kind_of(body)
    if kind == FORM then
        local parts = table.move(body.contents, 1, #body.contents, 1, {})
        parts[#parts + 1] = body.tail
        return parts, body.length + #body.tail, 'multipart/form-data; boundary=' .. body.boundary
    elseif kind == FILE then
        return { { path = body.name, size = body.size } }, body.size, 'text/plain'
    elseif kind == 'string' then
        return { body }, #body, 'text/plain'
    elseif kind then
        return { body }, nil, 'application/octet-stream'
    end
    return NONE
end

-- Connections

local connection = {}
connection.__index = connection

function connection:close()
    self.owner.active[self] = nil
    self.closed = true
    self.sock:close()
end

-- A connection whose exchange was cut short is of no more use.
function connection:__close()
    if self.busy then
        self:close()
    end
end

local function addresses(host, opts)
    if socket.is_ip_address(host) then
        return { host }
    end
    local found, dns = pcall(require, 'eco.dns')
    local list, err = {}, 'names need the package lua-eco-dns'
    if found then
        local kind = opts.ipv6 and 28 or 1
        local records
        records, err = dns.query(host, { type = kind, mark = opts.mark, device = opts.device, nameservers = opts.nameservers })
        for _, record in ipairs(records or {}) do
            if record.type == kind then
                list[#list + 1] = record.address
            end
        end
    end
    if #list == 0 then
        return nil, ('resolve "%s" fail: %s'):format(host, err or 'not found')
    end
    return list
end

-- Asks a proxy for a way to the place.
local function tunnel(sock, place, proxy, opts)
    local target = place.authority:find(':%d+$') and place.authority or place.authority .. ':' .. place.port
    local link = new_link(sock.rd, sock.wr)
    link:begin('CONNECT', opts.max_head, opts.max_headers, 0)
    local resp, err = link:reply(('CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n%s\r\n'):format(target, target, AGENT,
        proxy.user and ('Proxy-Authorization: %s\r\n'):format(basic(proxy)) or ''), 0, opts.timeout)
    if resp and resp.code // 100 ~= 2 then
        return nil, ('proxy: %d %s'):format(resp.code, resp.status)
    end
    return resp, err
end

-- A stream to the place, through the first address that takes it; closed with `held` until it is taken from there.
local function open(held, place, proxy, opts)
    local secure, ssl = place.tls
    if secure then
        secure, ssl = pcall(require, 'eco.ssl')
        if not secure then
            return nil, 'TLS needs the package lua-eco-ssl'
        end
    end
    local hop, path = proxy or place, opts.unix
    local list, err
    if path then
        list = { path }
    else
        list, err = addresses(hop.host, opts)
    end
    for _, address in ipairs(list or {}) do
        local sock, ok
        if path then
            sock, err = socket.connect_unix(path)
        else
            sock, err = socket.connect_tcp(address, hop.port, opts)
            if sock and opts.reuse then
                sock:setoption('tcp_nodelay', true)
            end
        end
        ok, held.sock = sock, sock
        if sock and proxy and (secure or place.upgrade) then
            ok, err = tunnel(sock, place, proxy, opts)
        end
        if ok and secure then
            ok, err = ssl.client(sock, {
                ca = opts.ca, cert = opts.cert or nil, key = opts.key or nil, ctx = opts.ctx or nil, insecure = opts.insecure,
                server_name = opts.server_name or place.host, timeout = opts.tls_timeout,
            })
        end
        if ok then
            held.sock = secure and ok or sock
            return held.sock
        elseif sock then
            sock:close()
        end
        err = ('connect "%s" fail: %s'):format(path or address .. ' ' .. hop.port, err)
    end
    return nil, err
end

-- What a connection is good for again: the same way to the same place, trusted alike.
local function key_of(place, proxy, opts)
    if place.opts == opts then
        return place.key
    end
    local key = ('%s %s %s %s'):format(opts.unix, opts.mark, opts.device, proxy and proxy.url)
    if not proxy or place.tls then
        key = ('%s %s %d'):format(key, place.host, place.port)
    end
    for _, name in ipairs(place.tls and { 'ca', 'cert', 'key', 'ctx', 'insecure', 'server_name' } or {}) do
        key = key .. ' ' .. tostring(opts[name])
    end
    place.opts, place.key = opts, key
    return key
end

-- Clients with connections that wait to be used again, how many those are, and how many there have been.
local keeping, kept, given = setmetatable({}, { __mode = 'k' }), 0, 0
local alarm

-- Takes the connection at a place out of those that wait.
local function withdraw(self, at)
    local con = table.remove(self.idle, at)
    kept = kept - 1
    if not self.idle[1] then
        keeping[self] = nil
    end
    if kept == 0 then
        alarm:clear()
    end
    return con
end

-- Closes those whose time is over.
alarm = native.idle(function()
    for self in pairs(keeping) do
        for at = #self.idle, 1, -1 do
            local con = self.idle[at]
            local left = con.link:left(con.limit)
            if left > 0 then
                alarm:within(left)
            else
                withdraw(self, at):close()
            end
        end
    end
end)

-- Takes one that is as good as new.
local function take(self, key, limit)
    local idle = self.idle
    for at = #idle, 1, -1 do
        if idle[at].key == key then
            local con = withdraw(self, at)
            if con.link:fresh(limit) then
                return con
            end
            con:close()
        end
    end
end

-- The answer was read: the connection may be used again, or stays until the next one.
local function give(self, con, opts)
    con.busy = false
    if not opts.reuse then
        return
    end
    if con.closed or not con.link:reusable() then
        return con:close()
    end
    local idle = self.idle
    given, kept = given + 1, kept + 1
    con.limit, con.given = opts.reuse, given
    idle[#idle + 1] = con
    keeping[self] = true
    alarm:within(opts.reuse)
    local from = #idle > opts.max_idle and self
    if not from and kept > M.max_idle then
        from = self
        for other in pairs(keeping) do
            if other.idle[1].given < from.idle[1].given then
                from = other
            end
        end
    end
    if from then
        withdraw(from, 1):close()
    end
end

-- What opens a connection ends with the request that waits for it.
local opening = {
    __close = function(held)
        if held.run then
            coroutine.close(held.run)
        end
        if held.sock then
            held.sock:close()
        end
    end,
}

local function connect(self, place, proxy, opts, key)
    local closed, moved = self.closed, self.moved
    local held<close> = setmetatable({}, opening)
    local done, sock, err
    -- In a coroutine of its own: `close` does not wait for what takes long.
    held.run = eco.run(function()
        done, sock, err = pcall(open, held, place, proxy, opts)
        moved:broadcast()
    end)
    while done == nil and closed == self.closed do
        moved:wait()
    end
    if done == false then
        error(sock, 0)
    elseif closed ~= self.closed then
        return nil, 'canceled'
    elseif not sock then
        return nil, err
    end
    held.sock = nil
    local last = self.current
    if last and not opts.reuse and not last.key then
        last:close()
    end
    local con = setmetatable({ sock = sock, link = new_link(sock.rd, sock.wr), key = key, owner = self }, connection)
    self.active[con] = true
    return con
end

-- Requests

-- Calls a function for the pieces of a body, in chunks unless its size is known.
local function send_called(link, body, size, timeout)
    local framed = not size
    while true do
        local data, problem = body()
        if data == nil and problem ~= nil then
            return nil, tostring(problem)
        end
        data = data or ''
        assert(type(data) == 'string', 'the function for the body must give strings')
        size = size and size - #data
        if size and (size < 0 or size > 0 and data == '') then
            return nil, 'not as many bytes as announced'
        end
        local ok, err = true, nil
        if framed then
            ok, err = link:send(('%x\r\n%s\r\n'):format(#data, data), timeout)
        elseif data ~= '' then
            ok, err = link:send(data, timeout)
        end
        if not ok or data == '' then
            return ok, err
        end
    end
end

-- Sends the parts of a body; false when the peer has answered already.
local function send_parts(link, parts, size, timeout)
    local ok, err = true, nil
    for _, part in ipairs(parts) do
        if type(part) == 'table' then
            ok, err = link:send_file(part.path, part.size, timeout)
        elseif type(part) == 'function' then
            ok, err = send_called(link, part, size, timeout)
        else
            for start = 1, #part, STEP do
                ok, err = link:send(part:sub(start, start + STEP - 1), timeout)
                if not ok then
                    break
                end
            end
        end
        if not ok then
            break
        end
    end
    return ok, err
end

-- Sends a request and reads the answer: response, or nil and why, and whether nothing of
-- an answer had come.
local function exchange(link, req, opts, wants)
    local head, parts, timeout = req.head, req.parts, opts.timeout
    link:begin(req.method, opts.max_head, opts.max_headers, wants ~= 0 and opts.max_body or opts.max_saved, opts.max_time)
    if req.patience then
        local resp, err, silent = link:reply(head, wants | UNTIL_CONTINUE, req.patience)
        if resp ~= true and not (err == 'timeout' and silent) then
            return resp, err, silent
        end
        head = ''
    elseif #parts == 1 and type(parts[1]) == 'string' and #parts[1] <= STEP then
        head, parts = head .. parts[1], {}
    end
    local sent = true
    if #parts > 0 then
        local err
        sent, err = link:send(head, timeout)
        if sent then
            sent, err = send_parts(link, parts, req.size, timeout)
        end
        if sent == nil then
            return nil, 'send body fail: ' .. err
        end
        head = ''
    end
    local resp, err, silent = link:reply(head, wants, timeout)
    if not resp and not sent and silent then
        err = 'send body fail: ' .. err
    end
    return resp, err, silent
end

-- What a request says in its head, besides its first line and the host.
local function fields_of(place, proxy, opts, size, kind, parts)
    local fields = { ['user-agent'] = AGENT, connection = not opts.reuse and 'close' or nil }
    if place.upgrade then
        fields.connection, fields.upgrade = 'upgrade', 'websocket'
        fields['sec-websocket-version'], fields['sec-websocket-key'] = '13', base64(native.random(16))
    end
    if size then
        fields['content-length'] = ('%d'):format(size)
    elseif parts[1] then
        fields['transfer-encoding'] = 'chunked'
    end
    fields['content-type'] = kind
    if place.user or opts.user then
        fields.authorization = basic(place.user and place or opts)
    end
    if proxy and proxy.user and not place.tls then
        fields['proxy-authorization'] = basic(proxy)
    end
    if opts.unpack then
        fields['accept-encoding'] = 'gzip'
    end
    if opts.expect_continue and parts[1] then
        fields.expect = '100-continue'
    end
    return fields
end

-- The request to a place, or nil and what is wrong with it.
local function request_to(method, place, body, headers, proxy, opts)
    local parts, size, kind = parts_of(body)
    local fields = fields_of(place, proxy, opts, size, kind, parts)
    for name, value in pairs(headers) do
        fields[name] = value
    end
    -- The length that is sent is that of the body, or of what a function gives.
    local announced = headers['content-length']
    if announced then
        local number = announced:find('^%d+$') and math.tointeger(tonumber(announced))
        if not number or number ~= (size or parts[1] and number or 0) then
            return nil, 'invalid content-length'
        end
        size = parts[1] and number
        fields['transfer-encoding'] = nil
    end
    local target = place.target
    if proxy and not place.tls and not place.upgrade then
        target = 'http://' .. place.authority .. target
    end
    local lines = { ('%s %s HTTP/1.1\r\nHost: %s'):format(method, target, fields.host or place.authority) }
    for name, value in pairs(fields) do
        if name ~= 'host' then
            lines[#lines + 1] = (SENT[name] or sent_name(name)) .. ': ' .. value
        end
    end
    lines[#lines + 1] = '\r\n'
    return {
        method = method, parts = parts, size = size, head = table.concat(lines, '\r\n'),
        patience = fields.expect and parts[1] and seconds(opts.expect_continue, 1),
    }
end

-- Answers

-- Calls `take` with each piece of a body.
local function each(next_piece, take_piece)
    while true do
        local data, err = next_piece()
        if not data then
            return err == nil or nil, err
        end
        local ok, problem = take_piece(data)
        if problem then
            return ok, problem
        end
    end
end

local function save(next_piece, path)
    local out, err
    if path:find('\0', 1, true) then
        err = 'Invalid argument'
    else
        out, err = io.open(path, 'wb')
    end
    if not out then
        return nil, ('create "%s" fail: %s'):format(path, err)
    end
    local guard<close> = out
    local function write(data)
        local ok, problem = out:write(data)
        if not ok then
            return nil, ('write "%s" fail: %s'):format(path, problem)
        end
    end
    local ok, problem = each(next_piece, write)
    if ok then
        ok, problem = out:flush()
        problem = not ok and ('write "%s" fail: %s'):format(path, problem) or nil
    end
    return ok, problem
end

-- What reads the body of a response that is handed over before it.
local function streamed(self, con, resp, opts, packed)
    local size, timeout, over = PIECE, opts.timeout, false
    local function plain()
        return con.link:piece(size, false, timeout)
    end
    local next_piece = packed and packed.reader(plain) or plain
    local function finish()
        over = true
        if self.temporary then
            con:close()
        end
    end
    local methods = {}
    function methods.read(_, count, limit)
        if over then
            return nil
        end
        size, timeout = count or PIECE, seconds(limit, opts.timeout)
        local data, err = next_piece()
        if data then
            return data
        elseif err then
            con:close()
            finish()
            return nil, err
        end
        give(self, con, opts)
        finish()
        return nil
    end
    function methods.close()
        if not over then
            con:close()
            finish()
        end
    end
    return setmetatable(resp, { __index = methods, __close = methods.close })
end

-- Does with the body of a response what is wanted; the response, or nil and a message.
local function receive(self, con, resp, method, opts)
    local link, sink, headers = con.link, opts.body_to_file, resp.headers
    if resp.body then
        give(self, con, opts)
        return resp
    elseif resp.code == 101 then
        -- The stream is the caller's now.
        con.busy = false
        return resp
    end
    local ok, err = true, nil
    if opts.follow and REDIRECTS[resp.code] and headers.location then
        for _ = 1, 4 do
            ok = link:piece(STEP // 4, false, opts.timeout)
            if not ok then
                break
            end
        end
        if not link:reusable() then
            con:close()
        end
        ok = true
    elseif method ~= 'HEAD' then
        local coding = headers['content-encoding']
        local packed = opts.unpack and coding and (coding:lower() == 'gzip' or coding:lower() == 'x-gzip') and opts.unpack
        if packed then
            headers['content-encoding'], headers['content-length'] = nil, nil
        end
        if opts.stream then
            con.busy = false
            return streamed(self, con, resp, opts, packed)
        end
        assert(sink == nil or type(sink) == 'string' or type(sink) == 'function', 'assertion failed!')
        local size = type(sink) == 'string' and STEP // 4 or PIECE
        local function plain()
            return link:piece(size, true, opts.timeout)
        end
        local next_piece = packed and packed.reader(plain) or plain
        if type(sink) == 'string' then
            ok, err = save(next_piece, sink)
        elseif sink then
            ok, err = each(next_piece, function(data) sink(data) end)
        else
            local all, total = {}, 0
            ok, err = each(next_piece, function(data)
                all[#all + 1] = data
                total = total + #data
                if total > opts.max_body then
                    return nil, 'response body too large'
                end
            end)
            resp.body = table.concat(all)
        end
    end
    if not ok then
        return nil, err
    end
    give(self, con, opts)
    return resp
end

-- One request and its answer, a second time when a kept connection was over already.
local function ask(self, method, place, body, headers, proxy, opts)
    local req, err = request_to(method, place, body, headers, proxy, opts)
    if not req then
        return nil, err
    end
    local wants = 0
    if method ~= 'HEAD' and opts.body_to_file == nil and not opts.stream then
        wants = WITH_BODY | (opts.follow and NOT_ELSEWHERE or 0) | (opts.unpack and NOT_PACKED or 0)
    end
    local key = opts.reuse and key_of(place, proxy, opts) or nil
    local con = key and take(self, key, opts.reuse)
    local again = con and IDEMPOTENT[method] and type(req.parts[1]) ~= 'function'
    while true do
        if not con then
            con, err = connect(self, place, proxy, opts, key)
            if not con then
                return nil, err
            end
        end
        con.busy = true
        self.current = con
        local guard<close> = con
        local resp, reason, silent = exchange(con.link, req, opts, wants)
        if resp then
            return receive(self, con, resp, method, opts)
        elseif not (again and silent) or reason == 'timeout' or reason == 'canceled' then
            return nil, reason
        end
        con, again = nil, false
    end
end

local function count(value)
    value = assert(tonumber(value), 'number expected for a limit')
    return value >= 0 and math.tointeger(math.min(value, 2 ^ 53) // 1) or 0
end

local DEFAULTS = {
    timeout = 30, max_time = 0, max_head = 65536, max_headers = 256, max_body = 16 << 20, max_saved = 1 << 53, max_idle = 8, redirects = 0,
}

-- What holds for a request, or for all of a client: options over those of `base`.
local function settings(base, opts)
    if not opts then
        return base
    end
    local o = setmetatable({}, { __index = function(_, name)
        local value = opts[name]
        if value == nil then
            return base[name]
        end
        return value
    end })
    o.timeout = seconds(opts.timeout, base.timeout)
    o.max_time = seconds(opts.max_time, base.max_time)
    o.reuse = o.reuse and seconds(o.reuse, 15)
    for _, name in ipairs { 'max_head', 'max_headers', 'max_body', 'max_idle', 'redirects' } do
        o[name] = count(o[name])
    end
    if opts.max_body then
        o.max_saved = o.max_body
    end
    o.follow = o.redirects > 0
    if o.gzip then
        local found, gzip = pcall(require, 'eco.encoding.gzip')
        o.unpack = found and gzip
    end
    return o
end

-- Headers by their names in lower case.
local function read_headers(headers)
    if not headers then
        return NONE
    end
    local all = {}
    for name, value in pairs(headers) do
        name, value = tostring(name):lower(), tostring(value)
        if not name:find(TOKEN) or value:find(CONTROL) or name == 'transfer-encoding' then
            return nil, ('invalid header: %q'):format(name)
        end
        all[name] = value
    end
    return all
end

-- Turns to the place a response leads to; what the request is from then on.
local function follow(place, resp, method, body, headers, opts)
    local next_place, err = place_of(resolve(place, resp.headers.location))
    if not next_place then
        return nil, 'redirect: ' .. err
    end
    local kept = {}
    for name, value in pairs(headers) do
        kept[name] = value
    end
    if resp.code == 303 and method ~= 'HEAD' or resp.code < 303 and method == 'POST' then
        method, body, kept.expect = 'GET', nil, nil
        for name in pairs(headers) do
            if name:find('^content%-') then
                kept[name] = nil
            end
        end
    elseif type(body) == 'function' then
        return nil, 'redirect: the body cannot be sent again'
    end
    if next_place.scheme ~= place.scheme or next_place.host:lower() ~= place.host:lower() or next_place.port ~= place.port then
        -- What proves who asks is for the first place alone.
        for _, name in ipairs { 'authorization', 'cookie', 'proxy-authorization', 'host' } do
            kept[name] = nil
        end
        opts = setmetatable({ user = false, cert = false, key = false, ctx = false, server_name = false }, { __index = opts })
    elseif not next_place.user then
        next_place.user, next_place.password = place.user, place.password
    end
    return next_place, method, body, kept, opts
end

local function request(self, method, url, body, opts)
    assert(type(method) == 'string', 'string expected for the method')
    local place, err, headers, proxy
    if not method:find(TOKEN) then
        return nil, 'invalid method'
    end
    if url and url == self.url then
        place = self.place
    else
        place, err = place_of(url)
        if not place then
            return nil, err
        end
        self.url, self.place = url, place
    end
    opts = settings(self.base, opts)
    headers, err = read_headers(opts.headers)
    if not headers then
        return nil, err
    end
    if opts.proxy then
        proxy = place_of(opts.proxy)
        if not proxy or proxy.scheme ~= 'http' then
            return nil, 'invalid proxy'
        end
        proxy.url = opts.proxy
    end
    local left, followed = opts.redirects, nil
    while true do
        local resp, reason = ask(self, method, place, body, headers, proxy, opts)
        if not resp then
            return nil, reason
        elseif not (opts.follow and REDIRECTS[resp.code] and resp.headers.location) then
            resp.url = followed
            return resp
        elseif left == 0 then
            return nil, 'too many redirects'
        end
        left = left - 1
        place, method, body, headers, opts = follow(place, resp, method, body, headers, opts)
        if not place then
            return nil, method
        end
        followed = ('%s://%s%s'):format(place.scheme, place.authority, place.target)
    end
end

local KNOWN = socket._options .. ' ca cert key ctx insecure names alpn ciphers min_version max_version tickets ticket_lifetime session_cache session server_name timeout headers max_time tls_timeout body_to_file stream max_body max_head max_headers redirects reuse '
    .. 'max_idle user password expect_continue gzip proxy unix nameservers'

local function check(opts, position, name)
    eco._options(opts, KNOWN, position, name)
end

function client:request(method, url, body, opts)
    check(opts, 4, 'request')
    return request(self, method, url, body, opts)
end

function client:get(url, opts)
    check(opts, 2, 'get')
    return request(self, 'GET', url, nil, opts)
end

function client:post(url, body, opts)
    check(opts, 3, 'post')
    return request(self, 'POST', url, body, opts)
end

function client:sock()
    local con = self.current
    if not con or con.closed then
        return nil, 'not connected'
    end
    return con.sock
end

function client:close()
    self.closed = self.closed + 1
    self.moved:broadcast()
    for con in pairs(self.active) do
        con:close()
    end
    while self.idle[1] do
        withdraw(self, #self.idle)
    end
    self.current = nil
end

local class = eco._kind({ __index = client, __gc = client.close, __close = client.close }, 'eco.http.client', function(self)
    return #self.idle .. ' idle connections'
end)
local weak = { __mode = 'k' }

function M.new(defaults)
    check(defaults, 1, 'new')
    return setmetatable({
        base = settings(DEFAULTS, defaults),
        active = setmetatable({}, weak),
        idle = {},
        closed = 0,
        -- A connection is open, or not to be opened any more.
        moved = sync.cond(),
    }, class)
end

-- By a client of its own.
local function request_once(method, url, body, opts)
    if body then
        if not kind_of(body) then
            return nil, 'invalid body'
        elseif type(body) == 'table' and body.contents and #body.contents == 0 then
            body = nil
        end
    end
    local self<close> = M.new()
    local resp, err = request(self, method, url, body, opts)
    if resp and getmetatable(resp) then
        -- Its body is yet to be read; then the connection is closed.
        self.active, self.temporary = {}, true
    end
    if not resp then
        return nil, err
    end
    return resp
end

function M.request(method, url, body, opts)
    check(opts, 4, 'request')
    return request_once(method, url, body, opts)
end

function M.get(url, opts)
    check(opts, 2, 'get')
    return request_once('GET', url, nil, opts)
end

function M.post(url, body, opts)
    check(opts, 3, 'post')
    return request_once('POST', url, body, opts)
end

return M
