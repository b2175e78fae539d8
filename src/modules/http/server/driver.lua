-- The accept loop of `listen`, and the loop of each connection. What they do is
-- native: `next_request` finishes one response and waits for the next request.

local native, methods = ...
local eco = require 'eco'
local log = require 'eco.log'
local socket = require 'eco.socket'
local connection, next_request, remaining = native.connection, native.next_request, native.remaining
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
    if docroot ~= '/' then
        docroot = docroot:gsub('/$', '')
    end
    options.docroot = docroot
    options.index = options.index or 'index.html'
    options.http_keepalive = options.http_keepalive or 30
    if options.cert and options.key then
        options.ssl = true
    end
end

local function number(options, name, default)
    local value = options[name]
    if value == nil then
        return default
    end
    return assert(tonumber(value), 'number expected for option ' .. name)
end

local function nanoseconds(options, name, default)
    return math.ceil(math.min(math.max(number(options, name, default), 0), 4e9) * 1e9)
end

local function settings(options)
    local keepalive = number(options, 'http_keepalive', 30)
    return native.settings {
        max_request_line = number(options, 'max_request_line', 8192),
        max_head = number(options, 'max_head', 16384),
        max_headers = number(options, 'max_headers', 100),
        max_body = number(options, 'max_body', math.maxinteger),
        max_drain = number(options, 'max_drain', 262144),
        keepalive = keepalive >= 1 and math.floor(keepalive) or 0,
        idle = keepalive > 0 and nanoseconds(options, 'http_keepalive', 30) or 3000000000,
        head_timeout = nanoseconds(options, 'head_timeout', 10),
        send_timeout = nanoseconds(options, 'send_timeout', 60),
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

    local shared = settings(options)
    local listener, err = open(ipaddr, port, options)
    if not listener then
        return nil, err
    end

    local active, limit, waiting = 0, options.max_connections or math.huge, nil

    local function serve(sock, peer)
        local con = setmetatable({ resp = connection(shared, sock.rd, sock.wr), sock = sock, peer = peer, options = options }, metatable)
        local verbose = debugging()
        local req, problem = next_request(con, true)
        while req do
            local left = remaining(con)
            if left ~= con.body_remain then
                con.body_remain = left
            end
            if req.method == 'POST' then
                req.form = {}
            end
            local ok, result = xpcall(handler, traceback, con, req)
            if not ok then
                log.err(prefix(peer) .. result)
            end
            if verbose then
                log.debug(('%s"%s %s HTTP/1.%d %d'):format(prefix(peer), req.method, req.raw_path:match('^[^?]*'), req.minor_version, con.resp.code))
            end
            req, problem = next_request(con, ok, result)
        end
        if problem then
            log.err(prefix(peer) .. problem)
        end
        sock:close()
        active = active - 1
        if waiting then
            eco._resume(waiting)
        end
    end

    if debugging() then
        log.debug('listen on:', ipaddr or '*', port, options.ssl and 'ssl' or '')
    end

    local complaint
    while true do
        while active >= limit do
            waiting = coroutine.running()
            coroutine.yield()
        end
        waiting = nil
        local sock, peer = listener:accept()
        if sock then
            complaint = nil
            active = active + 1
            if debugging() then
                log.debug(prefix(peer) .. 'new connection')
            end
            eco.run(serve, sock, peer)
        elseif final[peer] then
            return nil, peer
        else
            -- Out of descriptors or memory, mostly: connections wait meanwhile.
            if peer ~= complaint then
                log.err('accept: ' .. tostring(peer))
                complaint = peer
            end
            eco.sleep(0.05)
        end
    end
end
