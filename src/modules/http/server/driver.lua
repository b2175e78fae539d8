-- The accept loop of `listen`, and the loop of each connection. What they do is
-- native: `next_request` finishes one response and waits for the next request.

local native = ...
local eco = require 'eco'
local log = require 'eco.log'
local socket = require 'eco.socket'
local connection, next_request, debugging = native.connection, native.next_request, native.debugging
local traceback = debug.traceback

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

-- In the order of the native side.
local function shared_settings(options)
    local idle = number(options, 'http_keepalive', 30)
    return native.settings(
        number(options, 'max_request_line', 8192),
        number(options, 'max_head', 16384),
        number(options, 'max_headers', 100),
        number(options, 'max_body', math.maxinteger),
        number(options, 'max_drain', 262144),
        idle >= 1 and math.floor(idle) or 0,
        idle > 0 and nanoseconds(options, 'http_keepalive', 30) or 3000000000,
        nanoseconds(options, 'head_timeout', 10),
        nanoseconds(options, 'send_timeout', 60),
        options.ssl and 0 or 1
    )
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

    local shared = shared_settings(options)
    local listener, err = open(ipaddr, port, options)
    if not listener then
        return nil, err
    end

    local active, limit, waiting = 0, options.max_connections or math.huge, nil

    local function serve(sock, peer)
        local con = connection(shared, { sock = sock, peer = peer, options = options }, sock.rd, sock.wr)
        local verbose = debugging()
        local method, target, path, query_string, query, headers, minor = next_request(con, true)
        while method do
            local req = {
                method = method, raw_path = target, path = path, query_string = query_string, query = query,
                headers = headers, major_version = 1, minor_version = minor,
            }
            if method == 'POST' then
                req.form = {}
            end
            local ok, result = xpcall(handler, traceback, con, req)
            if not ok then
                log.err(prefix(peer) .. tostring(result))
            end
            if verbose then
                log.debug(('%s"%s %s HTTP/1.%d %d'):format(prefix(peer), method, target:match('^[^?]*'), minor, con.resp.code))
            end
            method, target, path, query_string, query, headers, minor = next_request(con, ok, result)
        end
        if target then
            log.err(prefix(peer) .. target)
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
