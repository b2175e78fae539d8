-- What is made of several calls: `bind`, `listen` and `connect` of socket
-- objects, which give the object itself, `sendfile`, and the constructors.

local M, methods, options = ...

local INET, INET6, UNIX, NETLINK = M.AF_INET, M.AF_INET6, M.AF_UNIX, M.AF_NETLINK
local STREAM, DGRAM, RAW = M.SOCK_STREAM, M.SOCK_DGRAM, M.SOCK_RAW
local socket, is_ipv4_address, is_ipv6_address = M.socket, M.is_ipv4_address, M.is_ipv6_address

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
function M.icmp() return socket(INET, DGRAM, M.IPPROTO_ICMP) end
function M.icmp6() return socket(INET6, DGRAM, M.IPPROTO_ICMPV6) end
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
        local ok, reason = options(s.sock, opts)
        if not ok then
            return check(s, nil, reason)
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
    local family = is_ipv4_address(ip) and INET or is_ipv6_address(ip) and INET6
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
