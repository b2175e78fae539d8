-- What is made of several calls: constructors, option tables, `bind`, `listen`
-- and `connect` of socket objects (which give the object itself), `sendfile`,
-- and functions on addresses that need no system call.

local raw, methods, tun_methods, object = ...

local INET, INET6, UNIX, NETLINK = raw.AF_INET, raw.AF_INET6, raw.AF_UNIX, raw.AF_NETLINK
local STREAM, DGRAM, RAW = raw.SOCK_STREAM, raw.SOCK_DGRAM, raw.SOCK_RAW
local inet_pton, inet_ntop = raw.inet_pton, raw.inet_ntop
local pack, unpack = string.pack, string.unpack

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

-- The structure of an option that takes a table.
local function structure(name, t)
    if name:find('^ipv6') then
        return binary(INET6, t.multiaddr, 'multiaddr: not a valid IPv6 address') .. pack('=I4', t.interface or 0)
    elseif name:find('^ip_') then
        return binary(INET, t.multiaddr, 'multiaddr: not a valid IP address')
            .. binary(INET, t.interface or '0.0.0.0', 'interface: not a valid IP address')
    end
    local index, address = t.ifindex or 0, t.address or ''
    if t.ifname then
        index = raw.if_nametoindex(t.ifname)
        if not index then
            return nil, ("No interface found with given name '%s'"):format(t.ifname)
        end
    end
    if #address > 8 then
        error('address too long', 2)
    end
    return pack('=i4I2I2c8', index, t.type or 0, #address, address)
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

local function socket(family, kind, protocol, opts)
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
    return object(sock)
end

M.socket = socket

function M.socketpair(family, kind, protocol, opts)
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
    if ok == false then
        ok, err = self.wr:wait(5)
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
local function check(s, ok, err)
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
    return check(s, s:bind(ip, port))
end

function M.listen_tcp(ip, port, opts)
    opts = opts or {}
    local s, err = bound(STREAM, ip, port, opts)
    if not s then
        return nil, err
    end
    return check(s, s:listen(opts.backlog))
end

function M.listen_udp(ip, port, opts)
    return bound(DGRAM, ip, port, opts or {})
end

local function connected(kind, ip, port, opts)
    local family = raw.is_ipv4_address(ip) and INET or raw.is_ipv6_address(ip) and INET6
    if not family then
        error('not a valid IP address', 3)
    end
    local s, err = socket(family, kind, 0, opts)
    if not s then
        return nil, err
    end
    return check(s, s:connect(ip, port))
end

function M.connect_tcp(ip, port, opts)
    local s, err = connected(STREAM, ip, port, opts)
    return s, err
end

function M.connect_udp(ip, port, opts)
    local s, err = connected(DGRAM, ip, port, opts)
    return s, err
end

function M.listen_unix(path, opts)
    local s, err = M.unix()
    if not s then
        return nil, err
    end
    local ok
    ok, err = s:bind(path)
    if not ok then
        return check(s, nil, err)
    end
    return check(s, s:listen(opts and opts.backlog))
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
            return check(s, nil, err)
        end
    end
    return check(s, s:connect(server_path))
end

-- `require 'eco.internal.socket'` gives the raw module from now on.
package.loaded['eco.internal.socket'] = raw

return M, structure,
    { __index = methods, __close = methods.close },
    { __index = tun_methods, __close = methods.close }
