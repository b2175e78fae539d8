-- The accept loop of a server, and the loop of each connection. What they do is
-- native: `next_request` finishes one response and waits for the next request.

local native, methods = ...
local eco = require 'eco'
local log = require 'eco.log'
local socket = require 'eco.socket'
local time = require 'eco.time'
local connection, next_request = native.connection, native.next_request
local debugging = native.debugging
local metatable = eco._kind({ __index = methods }, 'eco.http.connection', function(con)
    return ('of %s:%s'):format(con.peer.ipaddr, con.peer.port)
end)
local traceback = native.report

-- After these, a listener will never accept again; anything else passes.
local final = {
    ['canceled'] = true,
    ['closed'] = true,
    ['Bad file descriptor'] = true,
    ['Invalid argument'] = true,
    ['Socket operation on non-socket'] = true,
}

local function prefix(peer)
    return ('%s:%s: '):format(peer.ipaddr, peer.port)
end

local function complete(options)
    local docroot = options.docroot or '.'
    assert(type(docroot) == 'string', 'string expected for option docroot')
    if docroot ~= '/' then
        docroot = docroot:gsub('/$', '')
    end
    options.docroot = docroot
    options.index = options.index or 'index.html'
    assert(type(options.index) == 'string', 'string expected for option index')
    if options.charset == nil then
        options.charset = 'utf-8'
    end
    assert(not options.charset or type(options.charset) == 'string' and options.charset:find('^[%w_.:-]+$'), 'name or false expected for option charset')
    options.http_keepalive = options.http_keepalive or 30
    if options.cert and options.key or options.ctx then
        options.ssl = true
    end
end

-- The number of an option, which must not be below the least one that makes sense.
local function number(options, name, default, least)
    local value = options[name]
    if value == nil then
        return default
    end
    value = assert(tonumber(value), 'number expected for option ' .. name)
    assert(value >= (least or 0), 'option ' .. name .. ' out of range')
    return value
end

local function count(...)
    return math.ceil(math.min(number(...), 2 ^ 53))
end

local function nanoseconds(...)
    return math.ceil(math.min(number(...), 4e9) * 1e9)
end

local function settings(options)
    local keepalive = number(options, 'http_keepalive', 30, -math.huge)
    return native.settings {
        max_request_line = count(options, 'max_request_line', 8192, 16),
        max_head = count(options, 'max_head', 16384, 64),
        max_headers = count(options, 'max_headers', 100, 1),
        max_body = count(options, 'max_body', 1 << 20),
        max_buffered = count(options, 'max_buffered', 8 << 20),
        max_drain = count(options, 'max_drain', 256 << 10),
        max_linger = count(options, 'max_linger', 32 << 20),
        keepalive = keepalive >= 1 and math.floor(math.min(keepalive, 4e9)) or 0,
        idle = keepalive > 0 and nanoseconds(options, 'http_keepalive') or 3000000000,
        head_timeout = nanoseconds(options, 'head_timeout', 10),
        body_timeout = nanoseconds(options, 'body_timeout', 30),
        send_timeout = nanoseconds(options, 'send_timeout', 60),
        linger_timeout = nanoseconds(options, 'linger_timeout', 5),
        linger_time = nanoseconds(options, 'linger_time', 30),
        plain = options.ssl and 0 or 1,
    }
end

-- What connections need to speak TLS, if they do: a function that makes one of a socket. Or nil and a message.
local function security(options)
    if not options.ssl then
        return false
    end
    local found, ssl = pcall(require, 'eco.ssl')
    if not found then
        return nil, 'TLS needs the package lua-eco-ssl'
    end
    local ctx, err = options.ctx, nil
    if not ctx then
        ctx, err = ssl.server_context(setmetatable({ alpn = options.alpn or { 'http/1.1' } }, { __index = options }))
        if not ctx then
            return nil, err
        end
    end
    local handshake = { ctx = ctx, timeout = options.handshake_timeout or 15 }
    return function(sock)
        return ssl.server(sock, handshake)
    end
end

local function open(ipaddr, port, options)
    -- Small answers must not wait for acknowledgements.
    if options.tcp_nodelay == nil then
        options = setmetatable({ tcp_nodelay = true }, { __index = options })
    end
    return socket.listen_tcp(ipaddr, port, options)
end

local KNOWN = socket._options .. ' ca cert key ctx insecure names alpn ciphers min_version max_version tickets ticket_lifetime session_cache session server_name timeout docroot index charset gzip ssl handshake_timeout http_keepalive '
    .. 'max_connections max_peer_connections max_request_line max_head max_headers max_body max_buffered max_drain max_linger '
    .. 'head_timeout body_timeout send_timeout linger_timeout linger_time'

local function check(options, name)
    eco._options(options, KNOWN, 3, name)
end

-- A server that is bound: its accept loop, and what ends it. Or nil and a message.
local function new(ipaddr, port, options, handler)
    options = options or {}
    complete(options)
    local callable = getmetatable(handler)
    if type(handler) ~= 'function' and not (type(callable) == 'table' and callable.__call) then
        error('function expected as handler', 3)
    end
    local limit = number(options, 'max_connections', 256, 1)
    local peer_limit = number(options, 'max_peer_connections', 128, 1)

    local shared = settings(options)
    local secure, problem = security(options)
    if problem then
        return nil, problem
    end
    local listener, err = open(ipaddr, port, options)
    if not listener then
        return nil, err
    end

    -- Connections being served: all, and by address of the peer; sockets, true while a handler is at work.
    local active, peers, waiting = 0, {}, nil
    local sockets = {}
    -- Who waits for the last one, once no more are accepted.
    local closing

    -- Serves the requests of a connection until it ends; gives the reason, if that
    -- is worth telling.
    local function converse(con, peer, sock)
        local verbose = debugging()
        -- Length of the body, if there is one; at last, why it ended.
        local handle = con.resp
        local req, left = next_request(handle, true)
        local had_body
        while req do
            if left or had_body then
                con.body_remain = left
                had_body = left
            end
            sockets[sock] = true
            local ok, result = xpcall(handler, traceback, con, req)
            sockets[sock] = false
            if closing then
                -- It answers, and hears of no further request.
                sock:shutdown('read')
            end
            if not ok then
                log.err(prefix(peer) .. result)
            end
            if verbose then
                log.debug(('%s"%s %s HTTP/1.%d %d'):format(prefix(peer), req.method, req.raw_path:match('^[^?]*'), req.minor_version, con.resp.code))
            end
            req, left = next_request(handle, ok, result)
        end
        return left
    end

    local function serve_stream(stream, peer, sock)
        local con = setmetatable({ resp = connection(shared, stream.rd, stream.wr), sock = stream, peer = peer, options = options }, metatable)
        return converse(con, peer, sock or stream)
    end

    -- The handshake goes first, in the connection's own coroutine: whoever is silent there delays nobody.
    local function serve_secure(sock, peer)
        local stream, reason = secure(sock)
        if stream then
            -- What it gives, or why it failed, is worth telling alike.
            local _, result = xpcall(serve_stream, traceback, stream, peer, sock)
            stream:close()
            return result
        end
        if debugging() then
            log.debug(prefix(peer) .. 'TLS: ' .. reason)
        end
    end

    local serve_one = secure and serve_secure or serve_stream

    local function serve_connection(sock, peer)
        -- Nothing that goes wrong here concerns anybody else.
        local _, problem = xpcall(serve_one, traceback, sock, peer)
        if problem then
            log.err(prefix(peer) .. problem)
        end
        sock:close()
        sockets[sock] = nil
        active = active - 1
        if closing and active == 0 then
            closing:broadcast()
        end
        local left = peers[peer.ipaddr] - 1
        peers[peer.ipaddr] = left > 0 and left or nil
        if waiting and coroutine.status(waiting) ~= 'dead' then
            eco._resume(waiting)
        end
    end

    if debugging() then
        log.debug('listen on:', ipaddr or '*', port, options.ssl and 'ssl' or '')
    end

    local function accept()
        -- What was last complained of, so that it is said once.
        local complaint
        while true do
            while active >= limit and not closing do
                waiting = coroutine.running()
                coroutine.yield()
            end
            waiting = nil
            local sock, peer = listener:accept()
            local held = sock and (peers[peer.ipaddr] or 0)
            if not sock then
                if final[peer] then
                    return nil, peer
                end
                -- Out of descriptors or memory, mostly: connections wait meanwhile.
                if peer ~= complaint then
                    log.err('accept: ' .. tostring(peer))
                    complaint = peer
                end
                eco.sleep(0.05)
            elseif held >= peer_limit then
                sock:close()
                if complaint ~= peer.ipaddr then
                    log.err(prefix(peer) .. 'too many connections of this peer')
                    complaint = peer.ipaddr
                end
            else
                complaint = nil
                active = active + 1
                peers[peer.ipaddr] = held + 1
                if debugging() then
                    log.debug(prefix(peer) .. 'new connection')
                end
                sockets[sock] = false
                eco.run(serve_connection, sock, peer)
            end
        end
    end

    -- No more are accepted; those that are open may answer what they have heard, for so many seconds.
    local function close(timeout)
        closing = closing or require 'eco.sync'.cond()
        listener:close()
        if waiting and coroutine.status(waiting) ~= 'dead' then
            eco._resume(waiting)
        end
        for sock, is_busy in pairs(sockets) do
            if not is_busy then
                sock:shutdown('read')
            end
        end
        local deadline = time.now() + (timeout or 5)
        while active > 0 do
            local left = deadline - time.now()
            if left <= 0 then
                for sock in pairs(sockets) do
                    sock:close()
                end
                return nil, 'timeout'
            end
            closing:wait(left)
        end
        return true
    end

    return { listener = listener, accept = accept, close = close, count = function() return active end }
end

local function listen(ipaddr, port, options, handler)
    check(options, 'listen')
    local server, problem = new(ipaddr, port, options, handler)
    if not server then
        return nil, problem
    end
    -- Closed with the coroutine, too; connections that are being served go on.
    local listener<close> = server.listener
    return server.accept()
end

local server_methods = {}

function server_methods:close(timeout)
    return self.server.close(timeout)
end

function server_methods:getsockname()
    return self.server.listener:getsockname()
end

function server_methods:count()
    return self.server.count()
end

local server_metatable = eco._kind({
    __index = server_methods,
    __close = function(self) self:close() end,
}, 'eco.http.server', function(self)
    return ('%d connections, %s'):format(self:count(), tostring(self.server.listener))
end)

local function serve(ipaddr, port, options, handler)
    check(options, 'serve')
    local server, problem = new(ipaddr, port, options, handler)
    if not server then
        return nil, problem
    end
    eco.run(server.accept)
    return setmetatable({ server = server }, server_metatable)
end

return listen, serve
