-- A round trip: resolve, open, send, and wait for the reply among what else comes.

local native = ...

local eco, dns, socket = require 'eco', require 'eco.dns', require 'eco.socket'

-- What the options say; wrong ones raise at the place of the caller's caller.
local function checked(opts)
    local limit, data = opts.timeout, opts.data
    if limit == nil then
        limit = 5
    elseif type(limit) ~= 'number' or not (limit > 0) then
        error('timeout out of range', 4)
    end
    if data == nil then
        data = 'hello'
    elseif type(data) ~= 'string' then
        error('data: string expected', 4)
    end
    return math.min(limit, 1e6), data
end

-- The address to send to, and the interface that an address names.
local function find(host, is_six, opts)
    local is_literal = is_six and socket.is_ipv6_address or socket.is_ipv4_address
    local ip, scope = host:match('^([^%%]+)%%?(.*)$')
    if ip and is_literal(ip) and (is_six or scope == '') then
        return ip, scope ~= '' and scope or nil
    end
    local own = {}
    for name, value in pairs(opts.dns or {}) do
        own[name] = value
    end
    own.type = is_six and dns.TYPE_AAAA or dns.TYPE_A
    own.mark, own.device = opts.mark, opts.device
    own.nameservers = opts.nameservers or own.nameservers
    local records, err = dns.query(host, own)
    for _, record in ipairs(records or {}) do
        if record.type == own.type then
            return record.address
        end
    end
    return nil, ('resolve "%s" fail: %s'):format(host, err or 'not found')
end

-- A socket and its id. Where "ping" sockets are not permitted, a raw one does
-- for those who may open it; it sees the packets of others, too.
local function open(is_six, opts, scope)
    local family = is_six and socket.AF_INET6 or socket.AF_INET
    local protocol = is_six and socket.IPPROTO_ICMPV6 or socket.IPPROTO_ICMP
    local s, err = socket.socket(family, socket.SOCK_DGRAM, protocol)
    local is_raw = not s
    if is_raw then
        s = socket.socket(family, socket.SOCK_RAW, protocol)
        if not s then
            return nil, err
        end
    end
    local device = scope or opts.device
    if device then
        s:setoption('bindtodevice', device)
    end
    if opts.mark then
        s:setoption('mark', opts.mark)
    end
    local id = native.random()
    if not is_raw then
        -- Zero, and an id that somebody has, leave the choice to the system.
        if not s:bind(nil, id) then
            s:bind(nil, 0)
        end
        local address = s:getsockname()
        id = address and address.port or id
    end
    return s, id, is_raw
end

-- The clock starts when the request is on its way, and ends with the reply.
local function ping(host, opts, is_six, limit, data)
    local ip, scope = find(host, is_six, opts)
    if not ip then
        return nil, scope
    end
    local s<close>, id, is_raw = open(is_six, opts, scope)
    if not s then
        return nil, id
    end
    local ok, err = s:sendto(native.request(is_six, id, data), ip, 0)
    if not ok then
        return nil, err
    end
    local start = native.now()
    local till = start + math.ceil(limit * 1e9)
    local problem
    repeat
        local left = till - native.now()
        local packet
        if left > 0 then
            packet, err = s:recvfrom(#data + 128, left / 1e9)
        else
            err = 'timeout'
        end
        if not packet then
            return nil, err == 'timeout' and problem or err
        end
        local is_reply
        is_reply, err = native.judge(is_six, id, data, packet, is_raw and not is_six)
        -- What others send to a raw socket is their affair.
        problem = not is_raw and err or nil
    until is_reply
    return (native.now() - start) / 1e9
end

local function call(host, opts, is_six, name)
    if type(host) ~= 'string' then
        error(("bad argument #1 to '%s' (string expected, got %s)"):format(name, type(host)), 3)
    end
    opts = opts or {}
    eco._options(opts, 'timeout data device mark nameservers dns', 2, name)
    local limit, data = checked(opts)
    local seconds, err = ping(host, opts, is_six, limit, data)
    if seconds then
        return seconds
    end
    return nil, err
end

-- Parentheses keep the place of the caller in errors, and the results that there are.
local function exactly(...)
    return ...
end

return {
    ping = function(host, opts)
        return exactly(call(host, opts, false, 'ping'))
    end,
    ping6 = function(host, opts)
        return exactly(call(host, opts, true, 'ping6'))
    end,
}
