-- Modules `eco.nl`, `eco.genl` and `eco.rtnl`: messages byte by byte, and the kernel's answers.

local eco = require 'eco'
local nl, genl, rtnl = require 'eco.nl', require 'eco.genl', require 'eco.rtnl'
local raw = require 'eco.internal.nl'

local pack = string.pack

-- A message as it goes over the wire.
local function wire(kind, flags, seq, pid, payload)
    local data = pack('=I4I2I2I4I4', 16 + #payload, kind, flags, seq, pid) .. payload
    return data .. ('\0'):rep(-#data % 4)
end

local function attr(kind, payload)
    local data = pack('=I2I2', 4 + #payload, kind) .. payload
    return data .. ('\0'):rep(-#data % 4)
end

case('builder', function()
    local msg = nl.nlmsg(0x10012, 5, 7)
    T.eq(msg:binary(), wire(18, 5, 7, 0, ''))
    assert(msg:put('abcde') == msg)
    T.eq(msg:binary(), pack('=I4I2I2I4I4', 24, 18, 5, 7, 0) .. 'abcde\0\0\0')
    msg = nl.nlmsg(18, 5)
    assert(msg:put_attr(1, 'xyz'):put_attr_flag(2):put_attr_u8(3, 300):put_attr_u16(4, -1):put_attr_u32(5, -1):put_attr_u64(6, -2)
        :put_attr_str(7, 'a\0b'):put_attr_strz(8, 'a\0b'):put_attr_strz(9, 'eth0') == msg)
    T.eq(msg:binary():sub(17), attr(1, 'xyz') .. attr(2, '') .. attr(3, '\44') .. attr(4, '\255\255') .. attr(5, ('\255'):rep(4))
        .. attr(6, pack('=i8', -2)) .. attr(7, 'a') .. attr(8, 'a\0') .. attr(9, 'eth0\0'))
    msg = nl.nlmsg(18, 5)
    msg:put_attr_nest_end()
    msg:put_attr_nest_start(18):put_attr_str(1, 'veth'):put_attr_nest_start(2):put_attr_u8(9, 1)
    msg:put_attr_nest_end():put_attr_nest_end():put_attr_u8(3, 4)
    T.eq(msg:binary():sub(17), attr(0x8012, attr(1, 'veth') .. attr(0x8002, attr(9, '\1'))) .. attr(3, '\4'))
end)

case('builder: what does not fit is refused and changes nothing', function()
    local msg = nl.nlmsg(1, 0, 0, 6)
    T.fails('buf is full', msg:put('123456789'))
    T.fails('buf is full', msg:put_attr(1, '12345'))
    T.eq(#msg:binary(), 16)
    assert(msg:put_attr_u32(1, 1))
    T.fails('buf is full', msg:put_attr_flag(1))
    T.eq(#nl.nlmsg(1, 0, 0, 0):binary(), 16)
    msg = nl.nlmsg(1, 0, 0, 1 << 20)
    T.fails('attr is too large', msg:put_attr(1, ('x'):rep(65532)))
    assert(msg:put_attr(1, ('x'):rep(65531)))
    msg:put_attr_nest_start(1)
    T.fails('attr is too large', msg:put_attr(1, ('x'):rep(65529)))
    assert(msg:put_attr(1, ('x'):rep(65500)))
    T.fails('attr is too large', msg:put(('x'):rep(64)))
    for _, size in ipairs { -1, 1 << 31, math.mininteger } do
        T.raises('invalid size', nl.nlmsg, 1, 0, 0, size)
    end
    for _, bad in ipairs { 'put', 'put_attr', 'put_attr_u8', 'put_attr_u64', 'put_attr_str', 'put_attr_strz', 'put_attr_flag' } do
        T.raises('expected, got', msg[bad], msg, nil)
    end
    T.raises('expected, got', nl.nlmsg)
    T.raises('number has no integer representation', msg.put_attr_u8, msg, 1, 1.5)
end)

case('parser', function()
    local data = wire(20, 1, 2, 3, 'abcd' .. attr(1, 'one') .. attr(0x8002, attr(3, 'in')) .. attr(1, 'two')) .. wire(3, 2, 0, 0, '')
    local ker = nl.nlmsg_ker(data)
    for _, call in ipairs { 'payload', 'parse_error' } do
        T.fails('invalid nlmsg', ker[call](ker))
    end
    T.fails('invalid nlmsg', ker:parse_attr(0))
    T.fails('invalid nlmsg', rtnl.parse_ifaddrmsg(ker))
    T.fails('invalid nlmsg', genl.parse_genlmsghdr(ker))
    T.eq(ker:next(), { type = 20, flags = 1, seq = 2, pid = 3 })
    T.eq(#ker:payload(), 4 + 8 + 12 + 8)
    local attrs = ker:parse_attr(1)
    T.eq(attrs, { attr(1, 'two'):sub(1, 7), attr(0x8002, attr(3, 'in')) })
    T.eq(nl.parse_attr_nested(attrs[2]), { [3] = attr(3, 'in'):sub(1, 6) })
    T.eq(ker:parse_attr(32), {})
    for _, offset in ipairs { -1, 33, 1 << 40 } do
        T.raises('invalid offset', ker.parse_attr, ker, offset)
    end
    T.fails('malformed attributes', ker:parse_attr(8))
    T.fails('not a nlmsg with type NLMSG_ERROR', ker:parse_error())
    T.eq(ker:next().type, nl.NLMSG_DONE)
    T.eq(ker:payload(), '')
    T.eq(ker:next(), nil)
    T.eq(ker:next(), nil)
    T.fails('invalid nlmsg', ker:payload())
end)

case('parser: every truncation', function()
    local whole = wire(nl.NLMSG_ERROR, 0, 1, 2, pack('=i4', -19) .. wire(18, 0, 0, 0, ''))
    for length = 0, #whole - 1 do
        local ker = nl.nlmsg_ker(whole:sub(1, length))
        T.eq(ker:next(), nil)
        T.fails('invalid nlmsg', ker:parse_error())
    end
    local ker = nl.nlmsg_ker(whole)
    ker:next()
    T.eq(ker:parse_error(), -19)
    ker = nl.nlmsg_ker(wire(nl.NLMSG_ERROR, 0, 1, 2, pack('=i4', -19)))
    ker:next()
    T.fails('invalid nlmsg', ker:parse_error())
    local one = attr(4, 'value')
    for length = 0, #one do
        ker = nl.nlmsg_ker(pack('=I4I2I2I4I4', 16 + length, 20, 0, 0, 0) .. one:sub(1, length))
        ker:next()
        if length == 0 then
            T.eq(ker:parse_attr(0), {})
        elseif length < 9 then
            T.fails('malformed attributes', ker:parse_attr(0))
        else
            T.eq(ker:parse_attr(0), { [4] = one:sub(1, 9) })
        end
    end
    for _, header in ipairs { { 'ifinfomsg', 16, 16 }, { 'ifaddrmsg', 20, 8 }, { 'rtmsg', 24, 12 }, { 'ndmsg', 28, 12 }, { 'fib_rule_hdr', 32, 12 } } do
        local name, kind, size = table.unpack(header)
        for length = 0, size do
            ker = nl.nlmsg_ker(wire(kind, 0, 0, 0, ('\1'):rep(length)))
            ker:next()
            if length < size then
                T.fails('invalid nlmsg', rtnl['parse_' .. name](ker))
            else
                assert(rtnl['parse_' .. name](ker).family == 1)
            end
        end
        ker = nl.nlmsg_ker(wire(99, 0, 0, 0, ('\1'):rep(size)))
        ker:next()
        T.fails('invalid nlmsg type', rtnl['parse_' .. name](ker))
    end
end)

case('getters', function()
    for name, value in pairs { u8 = 200, s8 = -100, u16 = 60000, s16 = -30000, u32 = 4000000000, s32 = -2000000000, s64 = -9e15 // 1 | 0 } do
        local width = tonumber(name:sub(2)) // 8
        local bytes = pack('=' .. (name:sub(1, 1) == 'u' and 'I' or 'i') .. width, value)
        local get = nl['attr_get_' .. name]
        T.eq(get(attr(1, bytes)), value)
        T.eq(get(attr(1, bytes .. 'more')), value)
        T.raises('attribute payload is too short', get, attr(1, bytes:sub(2)))
    end
    T.eq(nl.attr_get_u64(attr(1, ('\255'):rep(8))), math.maxinteger)
    T.eq(nl.attr_get_u64(attr(1, pack('=I8', 77))), 77)
    T.eq(nl.attr_get_str(attr(1, 'name\0more\0')), 'name')
    T.eq(nl.attr_get_payload(attr(1, '')), '')
    T.raises('attribute payload is too short', nl.attr_get_str, attr(1, ''))
    T.raises('attribute string is not NUL-terminated', nl.attr_get_str, attr(1, 'abcd'))
    T.raises('malformed nested attributes', nl.parse_attr_nested, attr(1, 'abc'))
    T.eq(nl.parse_attr_nested(attr(1, '')), {})
    for _, bad in ipairs { '', 'abc', pack('=I2I2', 3, 1), pack('=I2I2', 5, 1) } do
        T.raises('invalid attribute', nl.attr_get_u8, bad)
        T.raises('invalid attribute', nl.parse_attr_nested, bad)
    end
    T.raises('string expected, got no value', nl.attr_get_u8)
    T.raises('string expected, got number', nl.attr_get_u8, 1)
end)

case('headers', function()
    T.eq(rtnl.rtgenmsg { family = 17 }, '\17')
    T.eq(rtnl.ifinfomsg { family = 1, type = 2, index = -3, flags = 0x100000004, change = '5' }, pack('=BxI2i4I4I4', 1, 2, -3, 4, 5))
    T.eq(rtnl.ifinfomsg { index = 1.5, flags = 'x', type = {} }, ('\0'):rep(16))
    T.eq(rtnl.ifaddrmsg { family = 2, prefixlen = 24, scope = 253, index = 7 }, pack('=BBBBI4', 2, 24, 0, 253, 7))
    T.eq(rtnl.rtmsg { family = 2, table = 254, type = 1, flags = 9 }, pack('=BBBBBBBBI4', 2, 0, 0, 0, 254, 0, 0, 1, 9))
    T.raises('table expected', rtnl.rtmsg)
    local ker = nl.nlmsg_ker(wire(rtnl.RTM_NEWLINK, 0, 0, 0, pack('=BxI2i4I4I4', 1, 2, -3, 0xfffffffe, 5)))
    ker:next()
    T.eq(rtnl.parse_ifinfomsg(ker), { family = 1, type = 2, index = -3, flags = 0xfffffffe, change = 5 })
    T.eq(genl.genlmsghdr { cmd = 3 }, '\3\1\0\0')
    T.eq(genl.genlmsghdr { cmd = 'x', version = 257 }, '\0\1\0\0')
    T.raises('integer expected', genl.genlmsghdr, { version = 'x' })
    T.raises('table expected', genl.genlmsghdr, 3)
    ker = nl.nlmsg_ker(wire(16, 0, 0, 0, '\5\2') .. wire(16, 0, 0, 0, '\5\2\0\0') .. wire(15, 0, 0, 0, '\5\2\0\0'))
    ker:next()
    T.fails('invalid nlmsg', genl.parse_genlmsghdr(ker))
    ker:next()
    T.eq(genl.parse_genlmsghdr(ker), { cmd = 5, version = 2 })
    ker:next()
    T.fails('invalid nlmsg type', genl.parse_genlmsghdr(ker))
    T.raises('eco.nlmsg_ker expected', rtnl.parse_rtmsg, {})
    T.raises('eco.nlmsg_ker expected', genl.parse_genlmsghdr, 'x')
end)

case('constants', function()
    for name, value in pairs {
        NLM_F_DUMP = 768, NLMSG_DONE = 3, NETLINK_GENERIC = 16, NLMSGERR_SIZE = 20,
    } do
        T.eq(nl[name], value)
        T.eq(raw[name], value)
    end
    for name, value in pairs {
        RTM_NEWCACHEREPORT = 96, IFF_DYNAMIC = 32768, IFLA_EVENT = 44, IFLA_NUM_VF = 21, ['IFLA_NUM_VF\t'] = 21, ['IFLA_GROUP\t'] = 27,
        IFLA_EXT_MASK = 29, IFA_RT_PRIORITY = 9, RTA_NH_ID = 30, RTNLGRP_DECnet_RULE = 16, RTNLGRP_IPV6_MROUTE_R = 31, RTMGRP_IPV6_IFINFO = 2048,
        RT_SCOPE_NOWHERE = 255, RTN_XRESOLVE = 11, RTPROT_STATIC = 4, IFINFOMSG_SIZE = 16, IFADDRMSG_SIZE = 8, RTMSG_SIZE = 12,
    } do
        T.eq(rtnl[name], value)
    end
    T.eq(rtnl.RTGENMSG_SIZE, nil)
    T.eq(genl.CTRL_ATTR_MCAST_GROUPS, 7)
    assert(require 'eco.core.nl'.nlmsg and require 'eco.core.genl'.genlmsghdr and require 'eco.internal.genl'.parse_genlmsghdr)
    T.eq(raw.open, nil)
end)

if T.emulated then return end

local function links(s)
    local names = {}
    local msg = nl.nlmsg(rtnl.RTM_GETLINK, nl.NLM_F_REQUEST | nl.NLM_F_DUMP)
    msg:put(rtnl.rtgenmsg { family = 17 })
    local ok, err = s:request_dump(msg, function(ker)
        local attrs = ker:parse_attr(rtnl.IFINFOMSG_SIZE)
        names[nl.attr_get_str(attrs[rtnl.IFLA_IFNAME])] = rtnl.parse_ifinfomsg(ker).index
    end)
    assert(ok, err)
    return names
end

case('requests', function()
    local s<close> = assert(nl.open(nl.NETLINK_ROUTE))
    T.eq(links(s).lo, 1)
    T.eq(links(s).lo, 1)
    local msg = nl.nlmsg(rtnl.RTM_DELLINK, nl.NLM_F_REQUEST | nl.NLM_F_ACK)
    msg:put(rtnl.rtgenmsg {}):put_attr_str(rtnl.IFLA_IFNAME, 'nosuch0')
    T.fails('netlink error: ', s:request_ack(msg))
    local result = table.pack(s:request_ack(msg, function(errno) return errno, 'more' end))
    assert(result.n == 2 and math.type(result[2]) == 'integer')
    -- An early end leaves answers behind; the next request does not take them for its own.
    msg = nl.nlmsg(rtnl.RTM_GETLINK, nl.NLM_F_REQUEST | nl.NLM_F_DUMP)
    msg:put(rtnl.rtgenmsg { family = 17 })
    T.eq(s:request_dump(msg, function() return true end), true)
    T.fails('mine', s:request_dump(msg, function() return false, 'mine' end))
    T.eq(select('#', s:request_dump(msg, function() return false end)), 2)
    T.eq(links(s).lo, 1)
    T.raises('oops', s.request_dump, s, msg, function() error('oops') end)
    T.raises('attempt to', s.send, s, {})
end)

case('sockets', function()
    local s = assert(nl.open())
    T.eq(s.sock:getsockname().family, 16)
    T.eq(s:bind(0), true)
    T.eq(s:add_membership(rtnl.RTNLGRP_LINK), true)
    T.eq(s:drop_membership(rtnl.RTNLGRP_LINK), true)
    T.fails('Invalid argument', s:add_membership(0))
    T.raises('expected', s.add_membership, s)
    T.fails('timeout', s:recv(nil, 0.01))
    T.fails('timeout', s:recv_messages(nil, nil, nil, 0.01))
    T.raises('expected size must be greater than 0', s.recv, s, 0)
    T.raises('invalid format', s.recv, s, 1.5)
    T.raises('invalid format', s.recv, s, {})
    T.all(function()
        T.fails('canceled', s:recv())
    end, function()
        eco.sleep(0.02)
        T.raises('another coroutine is already waiting', s.recv, s)
        s:close()
        s:close()
    end)
    T.fails('Bad file descriptor', s:recv())
    T.fails('Bad file descriptor', s:send(nl.nlmsg(1, 1)))
    T.fails('Bad file descriptor', s:bind(1))
    T.fails('Protocol not supported', nl.open(31))
    T.fails('Protocol not supported', nl.open(1000))
end)

case('among programs', function()
    local a<close> = assert(nl.open(nl.NETLINK_USERSOCK))
    local b<close> = assert(nl.open(nl.NETLINK_USERSOCK))
    assert(a:bind(0) and b:bind(0))
    local msg = nl.nlmsg(77, 0, 5)
    msg:put('hello')
    T.eq(b.sock:sendto(msg:binary(), 0, a.sock:getsockname().pid), 24)
    local ker = assert(a:recv(nil, 5))
    T.eq(ker:next(), { type = 77, flags = 0, seq = 5, pid = 0 })
    T.eq(ker:payload(), 'hello\0\0\0')
    -- The whole of a long one is read, as much as asked for of a short one.
    local long = nl.nlmsg(78, 0, 0, 60000)
    long:put(('x'):rep(50000))
    b.sock:sendto(long:binary(), 0, a.sock:getsockname().pid)
    ker = assert(a:recv(nil, 5))
    ker:next()
    T.eq(#ker:payload(), 50000)
    b.sock:sendto(long:binary(), 0, a.sock:getsockname().pid)
    T.eq(assert(a:recv(100, 5)):next(), nil)
end)

case('what another program sends is not the kernel\'s answer', function()
    local s<close> = assert(nl.open())
    local stranger<close> = assert(nl.open())
    assert(s:bind(0) and stranger:bind(0))
    local forged = nl.nlmsg(nl.NLMSG_ERROR, 0, 1)
    forged:put(pack('=i4', 0) .. ('\0'):rep(16))
    local sent = stranger.sock:sendto(forged:binary(), 0, s.sock:getsockname().pid)
    local msg = nl.nlmsg(rtnl.RTM_DELLINK, nl.NLM_F_REQUEST | nl.NLM_F_ACK)
    msg:put(rtnl.rtgenmsg {}):put_attr_str(rtnl.IFLA_IFNAME, 'nosuch0')
    T.fails('netlink error: ', s:request_ack(msg))
    assert(sent == 36 or not sent)
end)

case('families', function()
    local family = assert(genl.get_family_byname('nlctrl'))
    T.eq({ family.id, family.name, family.groups.notify }, { 16, 'nlctrl', 16 })
    assert(genl.get_family_byid(16) == family)
    T.eq(genl.get_family_id('nlctrl'), 16)
    T.eq(genl.get_group_id('nlctrl', 'notify'), 16)
    T.eq(table.pack(genl.get_group_id('nlctrl', 'none')), { n = 1 })
    T.fails('netlink error: No such file or directory', genl.get_group_id('nosuch', 'x'))
    T.fails('netlink error: Invalid argument', genl.get_family_byname(('x'):rep(100)))
    T.fails('netlink error: No such file or directory', genl.get_family_byid(9999))
    T.raises('invalid name', genl.get_family_byname, 1)
    T.raises('invalid id', genl.get_family_byid, 'x')
    T.raises('invalid name', genl.get_family_id)
    T.raises('invalid family name', genl.get_group_id)
    T.raises('invalid group name', genl.get_group_id, 'nlctrl')
    genl.forget('nlctrl')
    genl.forget('nlctrl')
    assert(genl.get_family_byid(16) ~= family)
end)
