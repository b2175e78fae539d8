-- What is made of several calls: constructors, option tables, `bind`, `listen`
-- and `connect` of socket objects (which give the object itself), `sendfile`,
-- and functions on addresses that need no system call.

local raw, methods, tun_methods, handle, object, tun, set_option, set_limit, numbers = ...

local INET, INET6, UNIX, NETLINK = raw.AF_INET, raw.AF_INET6, raw.AF_UNIX, raw.AF_NETLINK
local STREAM, DGRAM, RAW = raw.SOCK_STREAM, raw.SOCK_DGRAM, raw.SOCK_RAW
local inet_pton, inet_ntop = raw.inet_pton, raw.inet_ntop
local pack, unpack = string.pack, string.unpack

local refuse = require 'eco'._options

local M = setmetatable({}, { __index = raw })
for name, value in pairs(raw) do
    if name:find('^AF_') or name:find('^SOCK_') or name:find('^IPPROTO_') then
        M[name] = value
    end
end

function raw.is_ipv4_address(s)
    return inet_pton(INET, s) ~= nil
end

function raw.is_ipv6_address(s)
    return inet_pton(INET6, s) ~= nil
end

function raw.is_ip_address(s)
    return (inet_pton(INET, s) or inet_pton(INET6, s)) ~= nil
end

function raw.inet_ntoa(number)
    return inet_ntop(INET, pack('=I4', (number + 0) & 0xffffffff))
end

-- Between host and network order, which is the same both ways.
local function long(number)
    return (unpack('>I4', pack('=I4', (number + 0) & 0xffffffff)))
end

local function short(number)
    return (unpack('>I2', pack('=I2', (number + 0) & 0xffff)))
end

raw.htonl, raw.ntohl, raw.htons, raw.ntohs = long, long, short, short

local function binary(family, text, message)
    return inet_pton(family, text or '') or error(message, 3)
end

-- Name, level, number and kind of each option. Numbers that differ between
-- architectures come from the C library.
local OPTIONS = ([[
reuseaddr %d %d b
reuseport %d %d b
keepalive %d %d b
broadcast %d %d b
sndbuf %d %d i
rcvbuf %d %d i
mark %d %d i
bindtodevice %d %d d
tcp_keepidle 6 4 i
tcp_keepintvl 6 5 i
tcp_keepcnt 6 6 i
tcp_fastopen 6 23 i
tcp_nodelay 6 1 b
ip_add_membership 0 35 4
ip_drop_membership 0 36 4
ipv6_v6only 41 26 b
ipv6_add_membership 41 20 6
ipv6_drop_membership 41 21 6
netlink_add_membership 270 1 i
netlink_drop_membership 270 2 i
packet_add_membership 263 1 p
packet_drop_membership 263 2 p
]]):format(unpack(('i4'):rep(16), numbers))

local function misuse(position, message, level)
    error(("bad argument #%d (%s)"):format(position, message), level)
end

local function unsupported(name)
    misuse(1, ("unsupported option '%s'"):format(tostring(name):sub(1, 35)), 4)
end

local function literal(family, text, message)
    return inet_pton(family, text or '') or misuse(2, message, 5)
end

-- A value as an integer that the kernel's type holds.
local function integer(value, low, high, what)
    local number = math.tointeger(tonumber(value))
    if not number or number < low or number > high then
        misuse(2, what .. ' out of range', 5)
    end
    return number
end

-- What the kernel gets for a value, by kind; or nil and a message.
local pack_value = {
    b = function(value)
        return pack('i4', value and 1 or 0)
    end,
    i = function(value)
        return pack('I4', integer(value, -0x80000000, 0xffffffff, 'value') & 0xffffffff)
    end,
    d = function(name)
        if #name >= 16 then
            misuse(2, 'ifname too long', 4)
        elseif name:find('\0', 1, true) then
            return nil, 'Invalid argument'
        end
        return name
    end,
    ['4'] = function(t)
        return literal(INET, t.multiaddr, 'multiaddr: not a valid IP address')
            .. literal(INET, t.interface or '0.0.0.0', 'interface: not a valid IP address')
    end,
    ['6'] = function(t)
        return literal(INET6, t.multiaddr, 'multiaddr: not a valid IPv6 address') .. pack('I4', integer(t.interface or 0, 0, 0xffffffff, 'interface:'))
    end,
    p = function(t)
        local index, address = integer(t.ifindex or 0, 0, 0x7fffffff, 'ifindex:'), t.address or ''
        if t.ifname then
            index = raw.if_nametoindex(t.ifname)
            if not index then
                return nil, ("No interface found with given name '%s'"):format(t.ifname)
            end
        end
        if #address > 8 then
            misuse(2, 'address too long', 4)
        end
        return pack('i4I2I2c8', index, integer(t.type or 0, 0, 0xffff, 'type:'), #address, address)
    end,
}

-- Limits are options of ours, in seconds; 0 is none.
local function limit(self, name, value)
    if type(value) ~= 'number' or not (value >= 0) then
        misuse(2, 'seconds expected', 4)
    end
    if name == 'sendto_timeout' then
        set_limit(self, value)
    else
        self.connect_timeout = value
    end
    return true
end

local type_names = { b = 'boolean', i = 'number', d = 'string' }

local function setoption(self, name, value)
    if name == 'sendto_timeout' or name == 'connect_timeout' and type(self) == 'table' then
        return limit(self, name, value)
    end
    local level, number, kind
    if type(name) == 'string' and name:find('^[%w_]+$') then
        level, number, kind = OPTIONS:match('%f[%w_]' .. name .. ' (%d+) (%d+) (%w)')
    end
    if not kind then
        unsupported(name)
    end
    local expected = type_names[kind] or 'table'
    if type(value) ~= expected and not (kind == 'i' and tonumber(value)) then
        misuse(2, ('%s expected, got %s'):format(expected, type(value)), 3)
    end
    local bytes, err = pack_value[kind](value)
    if not bytes then
        return nil, err
    end
    return set_option(self, level, number, bytes)
end

methods.setoption, handle.setoption = setoption, setoption

local pending = handle.getoption

function handle:getoption(name)
    if name ~= 'error' then
        unsupported(name)
    end
    return pending(self)
end

-- Sets what an option table says; closes the socket when something fails.
local function apply(sock, opts, names, family)
    for name in names:gmatch('%S+') do
        local value = opts[name]
        if value ~= nil and (name ~= 'ipv6_v6only' or family == INET6) then
            local ok, err = sock:setoption(name == 'device' and 'bindtodevice' or name, value)
            if not ok then
                sock:close()
                return nil, ("failed to set socket option '%s': %s"):format(name, err)
            end
        end
    end
    return true
end

local GENERAL = 'reuseaddr reuseport ipv6_v6only mark device'
local LISTENER = 'tcp_nodelay keepalive tcp_keepidle tcp_keepcnt tcp_keepintvl tcp_fastopen'

-- All that any of the functions here takes.
local KNOWN = GENERAL .. ' ' .. LISTENER .. ' ipv6 backlog connect_timeout sendto_timeout dns'
M._options = KNOWN

local function check(opts, position, name)
    refuse(opts, KNOWN, position, name)
end

local function socket(family, kind, protocol, opts)
    check(opts, 4, 'socket')
    local sock, err = raw.socket(family, kind, protocol)
    if not sock then
        return nil, err
    end
    if opts then
        local ok, reason = apply(sock, opts, GENERAL, family)
        if not ok then
            return nil, reason
        end
    end
    local self = object(sock)
    for _, name in ipairs { 'connect_timeout', 'sendto_timeout' } do
        if opts and opts[name] ~= nil then
            limit(self, name, opts[name])
        end
    end
    return self
end

M.socket = socket

function M.socketpair(family, kind, protocol, opts)
    check(opts, 4, 'socketpair')
    local a, b = raw.socketpair(family, kind, protocol)
    if not a then
        return nil, b
    end
    for _, sock in ipairs(opts and { a, b } or {}) do
        local ok, reason = apply(sock, opts, GENERAL, family)
        if not ok then
            a:close()
            b:close()
            return nil, reason
        end
    end
    return object(a), object(b)
end

-- Name and flags are the first fields of the structure the kernel wants.
function raw.open_tun(device, flags)
    device = device or ''
    if #device > 15 then
        error("bad argument #1 to 'open_tun' (device name too long)", 2)
    elseif device:find('\0', 1, true) then
        return nil, 'Invalid argument'
    end
    flags = math.tointeger(flags or raw.IFF_TUN | raw.IFF_NO_PI)
    if not flags or flags < 0 or flags > 0xffff then
        error("bad argument #2 to 'open_tun' (flags out of range)", 2)
    end
    local fd, request = tun(pack('c16I2c22', device, flags, ''))
    if not fd then
        return nil, request
    end
    return fd, (unpack('z', request))
end

function M.open_tun(device, opts)
    opts = opts or {}
    local flags = (opts.tun and raw.IFF_TUN or opts.tap and raw.IFF_TAP or 0) | (opts.no_pi and raw.IFF_NO_PI or 0)
    local fd, name = raw.open_tun(device, flags ~= 0 and flags or nil)
    if not fd then
        return nil, name
    end
    return object(fd), name
end

function methods:bind(...)
    local ok, err = self.sock:bind(...)
    if ok then
        return self
    end
    return nil, err
end

function methods:listen(...)
    local ok, err = self.sock:listen(...)
    if ok then
        return self
    end
    return nil, err
end

function methods:connect(...)
    local ok, err = self.sock:connect(...)
    -- Nothing tells when a Unix socket has room again.
    local limited = self.connect_timeout or 5
    local pause, left = 0.001, limited
    while ok == false and err do
        if left <= 0 and limited > 0 then
            return nil, 'timeout'
        end
        require 'eco'.sleep(pause)
        left = left - pause
        pause = math.min(pause * 2, 0.05)
        ok, err = self.sock:connect(...)
    end
    if ok == false then
        ok, err = self.wr:wait(limited)
        err = ok and self.sock:getoption('error') or err
    end
    if err then
        return nil, err
    end
    return self
end

local unlocking = { __close = function(lock) lock.mutex:unlock() end }

function methods:sendfile(path, len, offset, timeout)
    offset = offset or 0
    if len == nil then
        local st, err = require('eco.file').stat(path)
        if not st then
            return nil, err
        end
        len = st.size - offset
        if len <= 0 and offset >= 0 then
            return 0
        end
    end
    local wr, mutex = self.wr, self.mutex
    mutex:lock()
    local lock<close> = setmetatable({ mutex = mutex }, unlocking)
    return wr:sendfile(path, offset, len, timeout)
end

function M.tcp() return socket(INET, STREAM) end
function M.tcp6() return socket(INET6, STREAM) end
function M.udp() return socket(INET, DGRAM) end
function M.udp6() return socket(INET6, DGRAM) end
function M.icmp() return socket(INET, DGRAM, raw.IPPROTO_ICMP) end
function M.icmp6() return socket(INET6, DGRAM, raw.IPPROTO_ICMPV6) end
function M.unix() return socket(UNIX, STREAM) end
function M.unix_dgram() return socket(UNIX, DGRAM) end
function M.netlink(protocol) return socket(NETLINK, RAW, protocol) end

-- The socket, or its failure after it has been closed.
local function or_closed(s, ok, err)
    if ok then
        return s
    end
    s:close()
    return nil, err
end

local function bound(kind, ip, port, opts)
    local s, err = socket(opts.ipv6 and INET6 or INET, kind, 0, opts)
    if not s then
        return nil, err
    end
    if kind == STREAM then
        local ok, reason = apply(s.sock, opts, LISTENER)
        if not ok then
            return nil, reason
        end
    end
    return or_closed(s, s:bind(ip, port))
end

function M.listen_tcp(ip, port, opts)
    check(opts, 3, 'listen_tcp')
    opts = opts or {}
    local s, err = bound(STREAM, ip, port, opts)
    if not s then
        return nil, err
    end
    return or_closed(s, s:listen(opts.backlog))
end

function M.listen_udp(ip, port, opts)
    check(opts, 3, 'listen_udp')
    return bound(DGRAM, ip, port, opts or {})
end

-- Closes a socket whose connecting ends before it is done.
local giving_up = {
    __close = function(held)
        if held[1] then
            held[1]:close()
        end
    end,
}

local function dial(kind, family, ip, port, opts, seconds)
    local s, err = socket(family, kind, 0, opts)
    if not s then
        return nil, err
    end
    local held<close> = setmetatable({ s }, giving_up)
    local usual = s.connect_timeout
    s.connect_timeout = seconds or usual
    local ok, reason = s:connect(ip, port)
    if not ok then
        return nil, reason
    end
    s.connect_timeout, held[1] = usual, nil
    return s
end

local function family_of(ip)
    return raw.is_ipv4_address(ip) and INET or raw.is_ipv6_address(ip) and INET6
end

-- What may be the name of a host: labels, the last one no number.
local function is_host(name)
    local whole = ('.' .. name):gsub('%.$', '')
    return whole ~= '' and #name < 255 and not whole:gsub('%.[%w_-]+', ''):find('.') and not whole:find('%.%d+$') and not whole:find(('[^.]'):rep(64))
end

local function connected(kind, host, port, opts)
    local family = family_of(host)
    if family then
        return dial(kind, family, host, port, opts)
    elseif not is_host(tostring(host)) then
        error('not a valid IP address', 3)
    end
    local found, dns = pcall(require, 'eco.internal.dns')
    if not found then
        error('not a valid IP address; names need the package lua-eco-dns: ' .. tostring(dns):gsub('\n.*', ''), 3)
    end
    opts = opts or {}
    local whole = opts.connect_timeout or 5
    limit({}, 'connect_timeout', whole)
    return dns.dial(host, opts, whole, function(ip, seconds)
        return dial(kind, family_of(ip), ip, port, opts, seconds)
    end)
end

-- No tail calls: errors name the place of the caller.
local function exactly(...)
    return ...
end

function M.connect_tcp(host, port, opts)
    check(opts, 3, 'connect_tcp')
    return exactly(connected(STREAM, host, port, opts))
end

function M.connect_udp(host, port, opts)
    check(opts, 3, 'connect_udp')
    return exactly(connected(DGRAM, host, port, opts))
end

function M.listen_unix(path, opts)
    check(opts, 2, 'listen_unix')
    local s, err = M.unix()
    if not s then
        return nil, err
    end
    local ok
    ok, err = s:bind(path)
    if not ok then
        return or_closed(s, nil, err)
    end
    return or_closed(s, s:listen(opts and opts.backlog))
end

function M.connect_unix(server_path, local_path)
    local s, err = M.unix()
    if not s then
        return nil, err
    end
    if local_path then
        local ok
        ok, err = s:bind(local_path)
        if not ok then
            return or_closed(s, nil, err)
        end
    end
    return or_closed(s, s:connect(server_path))
end

-- `require 'eco.internal.socket'` gives the raw module from now on.
package.loaded['eco.internal.socket'] = raw

local function place_of(address)
    if not address then
        return nil
    elseif address.ipaddr then
        return (address.family == INET6 and '[%s]:%d' or '%s:%d'):format(address.ipaddr, address.port)
    end
    local path = address.path
    if path then
        return path ~= '' and path:gsub('^\0', '@') or nil
    end
    return address.ifname or address.pid and 'port ' .. address.pid
end

local kinds = {
    [INET] = { [STREAM] = 'tcp', [DGRAM] = 'udp', [RAW] = 'raw' },
    [INET6] = { [STREAM] = 'tcp6', [DGRAM] = 'udp6', [RAW] = 'raw6' },
    [UNIX] = { [STREAM] = 'unix', [DGRAM] = 'unix datagram' },
    [NETLINK] = { [RAW] = 'netlink' },
    [raw.AF_PACKET] = { [RAW] = 'packet' },
}

local function tell(self)
    local fd = self.sock:getfd()
    if fd < 0 then
        return 'closed'
    end
    local here = self.sock:getsockname() or {}
    local there = here.family ~= NETLINK and place_of(self.sock:getpeername())
    local kind = (kinds[here.family] or {})[self.sock:kind()] or 'socket'
    here = place_of(here)
    return ('%s, fd %d%s%s'):format(kind, fd, here and ', ' .. here or '', there and ' to ' .. there or '')
end

local kind = require 'eco'._kind

return M,
    kind({ __index = methods, __close = methods.close }, 'eco.socket', tell),
    kind({ __index = tun_methods, __close = methods.close }, 'eco.tun', tell)
