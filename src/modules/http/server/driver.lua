-- The accept loop of `listen`, and the loop of each connection. What they do is
-- native: `next_request` finishes one response and waits for the next request.

local native, methods = ...
local eco = require 'eco'
local log = require 'eco.log'
local socket = require 'eco.socket'
local connection, next_request = native.connection, native.next_request
local debugging = native.debugging
local metatable = { __index = methods }
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
    options.http_keepalive = options.http_keepalive or 30
    if options.cert and options.key then
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

local function open(ipaddr, port, options)
    if options.ssl then
        return require('eco.ssl').listen(ipaddr, port, options)
    end
    -- Small answers must not wait for acknowledgements.
    if options.tcp_nodelay == nil then
        options = setmetatable({ tcp_nodelay = true }, { __index = options })
    end
    return socket.listen_tcp(ipaddr, port, options)
end

return function(ipaddr, port, options, handler)
    options = options or {}
    complete(options)
    local callable = getmetatable(handler)
    if type(handler) ~= 'function' and not (type(callable) == 'table' and callable.__call) then
        error('function expected as handler', 2)
    end
    local limit = number(options, 'max_connections', 256, 1)
    local peer_limit = number(options, 'max_peer_connections', 128, 1)

    local shared = settings(options)
    local listener, err = open(ipaddr, port, options)
    if not listener then
        return nil, err
    end

    -- Connections being served: all, and by address of the peer.
    local active, peers, waiting = 0, {}, nil

    -- Serves the requests of a connection until it ends; gives the reason, if that
    -- is worth telling.
    local function converse(con, peer)
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
            local ok, result = xpcall(handler, traceback, con, req)
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

    local function serve(sock, peer)
        local con = setmetatable({ resp = connection(shared, sock.rd, sock.wr), sock = sock, peer = peer, options = options }, metatable)
        -- Nothing that goes wrong here concerns anybody else.
        local _, problem = xpcall(converse, traceback, con, peer)
        if problem then
            log.err(prefix(peer) .. problem)
        end
        sock:close()
        active = active - 1
        local left = peers[peer.ipaddr] - 1
        peers[peer.ipaddr] = left > 0 and left or nil
        if waiting then
            eco._resume(waiting)
        end
    end

    if debugging() then
        log.debug('listen on:', ipaddr or '*', port, options.ssl and 'ssl' or '')
    end

    -- What was last complained of, so that it is said once.
    local complaint
    while true do
        while active >= limit do
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
            eco.run(serve, sock, peer)
        end
    end
end
