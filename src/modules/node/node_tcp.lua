-- `tcp` and `udp`.

local I, sockets = ...

I.fill('more')
for name, f in pairs(sockets) do I.native[name] = f end

local native, watched, hold, complete, begin = I.native, I.watched, I.hold, I.complete, I.begin
local tcp, udp = I.M.tcp, I.M.udp
local remove, error, type, select, unpack = table.remove, error, type, select, table.unpack

local STREAM, LISTENER, DATAGRAM = 1, 2, 3
-- Bytes of the longest name of a host, or path.
local LONGEST = 240
-- What is read of one socket in a turn.
local TURN = 16

-- The socket at hand, of that kind and open.
local function open(sock, kind, text)
    if native.kind(sock) ~= kind or native.is_closed(sock) then error(text, 3) end
    return native.fd(sock)
end

-- Who reads or accepts: waits in the order of their coming, and a callback.
local readers = {}

local get = { native.read, native.accept, native.receive }

local function reader(sock, number)
    local r = readers[number]
    if not r then
        r = { sock = sock, get = get[native.kind(sock)] }
        readers[number] = r
    end
    return r
end

local function idle(r, number)
    -- Whoever was resumed may read anew.
    if readers[number] == r and not r[1] and not r.callback then
        readers[number], watched[number] = nil, nil
    end
end

-- Hands what a socket has to who wants it.
local function hand(r, number, ok, ...)
    if ok == nil then return false end
    local id = remove(r, 1)
    if id then
        complete(id, ok, ...)
        return true
    end
    if ok then
        if r.is_udp then
            local callback, sock = r.callback, r.sock
            begin(function(buffer, address, port, is_ipv6)
                callback(true, buffer, address, port, is_ipv6, sock)
            end, ...)
        else
            begin(r.callback, true, (...), r.sock)
        end
        return true
    end
    -- The same error would come again and again.
    begin(r.callback, false, (...), r.sock)
    if native.kind(r.sock) == STREAM then
        r.failed = true
    else
        I.after(100, function() if watched[number] then watched[number](number) end end)
    end
    return false
end

local function serve(number)
    local r = readers[number]
    for _ = 1, TURN do
        if not r or native.is_closed(r.sock) or not r[1] and (not r.callback or r.failed) then break end
        if not hand(r, number, r.get(r.sock)) then return idle(r, number) end
    end
    if r and (r[1] or r.callback and not r.failed) then native.again(number) end
    if r then idle(r, number) end
end

-- The next of a socket, for the running coroutine.
local function take(sock, number, timeout, name)
    local ms = I.milliseconds(timeout, 2, name)
    local co = I.enter()
    local r = reader(sock, number)
    if not r[1] then
        local ok, value = r.get(sock)
        if ok ~= nil then
            idle(r, number)
            return ok, value
        end
    end
    local id = I.new_id()
    r[#r + 1] = id
    watched[number] = serve
    return I.wait(co, id, ms, ms and function()
        for i = 1, #r do
            if r[i] == id then remove(r, i) break end
        end
        idle(r, number)
        I.timed_out(id)
    end)
end

-- A callback for whatever comes from now on.
local function register(sock, number, callback, is_udp)
    local r = reader(sock, number)
    if not r.callback then hold(1) end
    r.callback, r.failed, r.is_udp = callback, false, is_udp
    watched[number] = serve
    native.again(number)
end

local function text_of(value, index, name, too_long)
    if type(value) == 'number' then value = tostring(value) end
    if type(value) ~= 'string' then I.bad(index, name, 'string', value) end
    if #value > LONGEST then error(too_long, 3) end
    return value
end

local function port_of(value, index, name)
    local port = math.tointeger(tonumber(value))
    if not port then I.bad(index, name, 'number', value) end
    if port < 0 or port > 65535 then error(("bad argument #%d to '%s' (out of range)"):format(index, name), 3) end
    return port
end

-- A callback for a thing that is there already.
local function tell(callback, sock, number, ...)
    if sock then I.later(callback, true, sock, ...) else I.later(callback, false, number, ...) end
end

local function listener(family, name)
    return function(address, port, third, callback)
        address = text_of(address, 1, name, 'listen host invalid(too long)')
        port = port_of(port, 2, name)
        if type(third) == 'function' then third, callback = nil, third end
        if callback ~= nil and type(callback) ~= 'function' then I.bad(4, name, 'function', callback) end
        local backlog = type(third) ~= 'boolean' and third or nil
        if not callback then I.enter() end
        local sock, number = native.listen(family, address, port, third == true, backlog)
        if not callback then
            if sock then return true, sock end
            return false, number
        elseif third == nil then
            return tell(callback, sock, number, address, port)
        end
        tell(callback, sock, number, address, port, third)
    end
end

tcp.listen = listener(4, 'listen')
tcp.listen6 = listener(6, 'listen6')

function tcp.listens(path, callback)
    path = text_of(path, 1, 'listens', 'listen sock name invalid(too long)')
    if callback ~= nil and type(callback) ~= 'function' then I.bad(2, 'listens', 'function', callback) end
    if not callback then I.enter() end
    local sock, number = native.listen(0, path)
    if callback then return tell(callback, sock, number, path) end
    if sock then return true, sock end
    return false, number
end

function tcp.accept(sock, what)
    local number = open(sock, LISTENER, 'attempt to perform accept on a invalid or closed listen socket')
    if type(what) == 'function' then return register(sock, number, what) end
    return take(sock, number, what, 'accept')
end

local function connected(sock, ok, number)
    if ok then return true, sock end
    native.close(sock)
    return false, number
end

-- Connects; `name`s of what was given go to the callback.
local function connect(family, host, port, name, timeout, callback, ...)
    if callback ~= nil and type(callback) ~= 'function' then error(("bad argument to '%s' (function expected, got %s)")
        :format(name, type(callback)), 3) end
    local ms = I.milliseconds(timeout, family == 0 and 2 or 3, name)
    local co = not callback and I.enter()
    local id = I.new_id()
    local sock, number = native.connect(id, family, host, port)
    if not sock then
        if callback then return tell(callback, nil, number, ...) end
        return false, number
    end
    local function late()
        native.close(sock)
        I.timed_out(id)
    end
    if co then return connected(sock, I.wait(co, id, ms, late)) end
    local extra = { n = select('#', ...), ... }
    I.await(function(ok, found)
        ok, found = connected(sock, ok, found)
        callback(ok, found, unpack(extra, 1, extra.n))
    end, id, ms, late)
end

local function connector(family, name)
    return function(host, port, timeout, callback)
        host = text_of(host, 1, name, 'connect host invalid(too long)')
        port = port_of(port, 2, name)
        if type(timeout) == 'function' then return connect(family, host, port, name, nil, timeout, host, port) end
        return connect(family, host, port, name, timeout, callback, host, port, timeout)
    end
end

tcp.connect = connector(4, 'connect')
tcp.connect6 = connector(6, 'connect6')

function tcp.connects(path, timeout, callback)
    path = text_of(path, 1, 'connects', 'connect sock name invalid(too long)')
    if type(timeout) == 'function' then return connect(0, path, 0, 'connects', nil, timeout, path) end
    return connect(0, path, 0, 'connects', timeout, callback, path, timeout)
end

function tcp.read(sock, what)
    local number = open(sock, STREAM, 'attempt to read data on a invalid or closed socket')
    if type(what) == 'function' then return register(sock, number, what) end
    return take(sock, number, what, 'read')
end

-- Raises what is misuse, when something was not sent.
local function check(sock, data, number, text)
    if not native.kind(sock) then
        if math.type(sock) ~= 'integer' then error(text, 4) end
        if sock <= 0 then error('invalid shared socket fd', 4) end
    elseif number == 203 then
        error(text, 4)
    elseif number == 206 then
        local _, _, _, _, _, _, most = native.heads(sock)
        error(('attempt to send data(length %d) too long(max %d)'):format(#data, most), 4)
    end
end

local write = native.write

-- Sends; `third` is a callback, or true for waiting, `...` what else the callback gets.
local function send(kind, sock, data, third, text, ...)
    if I.rest then I.rest() end
    local callback = type(third) == 'function' and third or nil
    local co = third == true and I.enter()
    local id = (callback or co) and I.new_id() or 0
    local number = write(sock, data, id, kind, ...)
    if number and number ~= 0 then check(sock, data, number, text) end
    if co then
        if number then return number == 0, number end
        return I.wait(co, id)
    elseif callback then
        local _, address, port = ...
        I.await(function(ok, found)
            if kind == STREAM then return callback(ok, found, sock, data) end
            callback(ok, found, sock, data, address, port)
        end, id)
        if number then native.turn(id, number) end
    end
end

local SEND_CLOSED = 'attempt to send data on a invalid or closed socket'

function tcp.write(sock, data, third)
    return send(STREAM, sock, data, third, SEND_CLOSED)
end

local CLOSED = 'attempt to perform on a invalid or closed socket'

-- Options of one direction: what is given, and else what is.
local function head(options, name, is_big, width, most, is_frozen)
    local function field(key)
        key = name .. '_head_' .. key
        local value = options[key]
        if value ~= nil and is_frozen then
            error(("field '%s' set failed, option table already frozen"):format(key), 4)
        end
        return value, key
    end
    local function check(ok, key)
        if not ok then error(("option table error, field '%s' not correct"):format(key), 4) end
    end
    local endian, endian_key = field('endian')
    local bytes, bytes_key = field('bytes')
    local max, max_key = field('max')
    if endian ~= nil then
        check(endian == 'L' or endian == 'B', endian_key)
        is_big = endian == 'B'
    end
    if bytes ~= nil then
        bytes = math.tointeger(bytes)
        check(bytes == 0 or bytes == 1 or bytes == 2 or bytes == 4, bytes_key)
        width, most = bytes, 0
    end
    if max ~= nil then
        max = math.tointeger(max)
        check(max and max >= 0 and max <= 0x7fffffff, max_key)
        most = max
    end
    return is_big, width, most
end

function tcp.set_rwopt(sock, options)
    open(sock, STREAM, CLOSED)
    if type(options) ~= 'table' then I.bad(2, 'set_rwopt', 'table', options) end
    local rbig, rwidth, rmost, rfrozen, wbig, wwidth, wmost, wfrozen = native.heads(sock)
    rbig, rwidth, rmost = head(options, 'read', rbig, rwidth, rmost, rfrozen)
    wbig, wwidth, wmost = head(options, 'write', wbig, wwidth, wmost, wfrozen)
    local wrong = native.set_heads(sock, rbig, rwidth, rmost, wbig, wwidth, wmost)
    if wrong then
        local name = wrong == 1 and 'read' or 'write'
        error(("option table error, field '%s_head_bytes' and '%s_head_max' not match"):format(name, name), 2)
    end
end

tcp.setopt = tcp.set_rwopt

function tcp.get_rwopt(sock)
    if native.kind(sock) ~= STREAM then error(CLOSED, 2) end
    if native.is_closed(sock) then return {} end
    local rbig, rwidth, rmost, _, wbig, wwidth, wmost = native.heads(sock)
    return {
        read_head_endian = rbig and 'B' or 'L', read_head_bytes = rwidth, read_head_max = rmost,
        write_head_endian = wbig and 'B' or 'L', write_head_bytes = wwidth, write_head_max = wmost,
    }
end

function tcp.set_nodelay(sock, enable)
    open(sock, STREAM, CLOSED)
    native.set_nodelay(sock, enable)
end

-- What both kinds have.
local function common(M, kind)
    function M.set_wshared(sock, enable)
        open(sock, kind, CLOSED)
        native.set_shared(sock, enable)
    end

    local function name(is_peer, what)
        return function(sock)
            open(sock, kind, CLOSED)
            local _, is_unix = native.kind(sock)
            if is_unix then error('attempt to perform on a unix domain socket', 2) end
            local address, port, is_ipv6 = native.address(sock, is_peer)
            if what == 'port' then return port end
            if is_peer then return address end
            return address, is_ipv6
        end
    end

    M.local_addr, M.remote_addr = name(false), name(true)
    M.local_port, M.remote_port = name(false, 'port'), name(true, 'port')

    function M.close(sock)
        local found = native.kind(sock)
        if not found then error(CLOSED, 2) end
        local number = native.fd(sock)
        if not native.close(sock) then return false end
        local r = readers[number]
        if r then
            if r.callback then hold(-1) end
            r.callback = nil
            for _, id in ipairs(r) do native.turn(id, found == LISTENER and 204 or found == STREAM and 203 or 208) end
            readers[number], watched[number] = nil, nil
        end
        return true
    end

    function M.is_closed(sock)
        return native.is_closed(sock)
    end

    function M.fd(sock)
        if native.kind(sock) then return native.fd(sock) end
    end

    function M.fd_src(fd)
        return fd // 1000000
    end
end

common(tcp, STREAM)
common(udp, DATAGRAM)

local function opener(family, any, name)
    return function(address, port, callback)
        if type(address) == 'function' then address, callback = nil, address end
        local is_named = address ~= nil
        address = text_of(is_named and address or any, 1, name, 'udp open host invalid(too long)')
        port = port ~= nil and port_of(port, 2, name) or 0
        if callback ~= nil and type(callback) ~= 'function' then I.bad(3, name, 'function', callback) end
        if not callback then I.enter() end
        local sock, number = native.open(family, address, port)
        if not callback then
            if sock then return true, sock end
            return false, number
        elseif is_named then
            return tell(callback, sock, number, address, port)
        end
        tell(callback, sock, number)
    end
end

udp.open = opener(4, '0.0.0.0', 'open')
udp.open6 = opener(6, '::', 'open6')

function udp.read(sock, callback)
    local number = open(sock, DATAGRAM, 'attempt to read data on a invalid or closed socket')
    if type(callback) ~= 'function' then I.bad(2, 'read', 'function', callback) end
    register(sock, number, callback, true)
end

local function sender(family, name)
    return function(sock, data, address, port, third)
        address = text_of(address, 3, name, 'udp send host invalid(too long)')
        port = port_of(port, 4, name)
        return send(DATAGRAM, sock, data, third, SEND_CLOSED, family, address, port)
    end
end

udp.write = sender(4, 'write')
udp.write6 = sender(6, 'write6')

local function methods(M, kind, names)
    local all = {}
    for name in names:gmatch('%S+') do all[name] = M[name] end
    native.methods(kind, all)
end

methods(tcp, STREAM, 'read write set_rwopt setopt get_rwopt set_nodelay set_wshared local_addr remote_addr local_port '
    .. 'remote_port close is_closed fd')
methods(tcp, LISTENER, 'accept close is_closed fd')
methods(udp, DATAGRAM, 'read write write6 set_wshared local_addr remote_addr local_port remote_port close is_closed fd')
