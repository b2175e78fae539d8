-- Links, addresses, neighbours, routes and rules: every call opens a socket of
-- its own, asks once and closes it. `decode` makes tables of what comes back.

local decode, SCOPES, STATES, KINDS, PROTOCOLS, ACTIONS = ...
local nl, rtnl, socket = require 'eco.nl', require 'eco.rtnl', require 'eco.socket'

local REQUEST, ACK, DUMP = nl.NLM_F_REQUEST, nl.NLM_F_ACK, nl.NLM_F_DUMP
local CREATE, EXCL, REPLACE = nl.NLM_F_CREATE, nl.NLM_F_EXCL, nl.NLM_F_REPLACE
local INET, INET6 = socket.AF_INET, socket.AF_INET6
local OVERRUN = 'No buffer space available'

-- A device may say that it has these, a script cannot ask for them.
KINDS.unspec, KINDS.nat = nil, nil

-- A request under construction: what is put after a failure is not put.
local function request(kind, flags, header)
    local msg, failure = nl.nlmsg(kind, REQUEST | flags)
    local self = { msg = msg }
    function self.put(method, ...)
        if not failure then
            local ok, err = msg[method](msg, ...)
            failure = not ok and err or nil
        end
    end
    function self.failed() return failure end
    self.put('put', header)
    return self
end

local function ask(method, r, ...)
    if r.failed() then
        return nil, r.failed()
    end
    local s<close>, err = nl.open(nl.NETLINK_ROUTE)
    if not s then
        return nil, err
    end
    return s[method](s, r.msg, ...)
end

local function acknowledged(r)
    return ask('request_ack', r)
end

-- What a dump holds, one table each, of those that `wanted` takes.
local function dump(kind, answer, header, wanted)
    return nl.collect(function(on_msg)
        return ask('request_dump', request(kind, DUMP, header), on_msg)
    end, function(ker, hdr)
        local record = hdr.type == answer and decode(answer, ker:payload())
        return record and (not wanted or wanted(record)) and record
    end)
end

-- The answer to a request that has one.
local function single(r, answer)
    local record
    local ok, err = ask('request_dump', r, function(ker, hdr)
        record = hdr.type == answer and decode(answer, ker:payload())
        return true
    end)
    if not ok then
        return nil, err
    elseif not record then
        return nil, 'no ack'
    end
    return record
end

-- Calls back with 'new' or 'del' and a table for each change, and with 'overrun' when changes were lost; until the
-- callback gives true, or false and a message, or nothing came for `timeout` seconds.
local function monitor(groups, new, del)
    return function(cb, timeout)
        if type(cb) ~= 'function' then
            error(("bad argument #1 to 'monitor' (function expected, got %s)"):format(type(cb)), 2)
        end
        local s<close>, err = nl.open(nl.NETLINK_ROUTE)
        local ok = s
        if ok then
            ok, err = s:bind(0)
        end
        for _, group in ipairs(groups) do
            if ok then
                ok, err = s:add_membership(group)
            end
        end
        if not ok then
            return nil, err
        end
        while true do
            ok, err = s:recv_messages(function(ker, hdr)
                if hdr.type == new or hdr.type == del then
                    local record = decode(hdr.type, ker:payload())
                    if record then
                        return cb(hdr.type == new and 'new' or 'del', record)
                    end
                end
            end, nil, nil, timeout)
            if ok then
                return true
            elseif err ~= OVERRUN then
                return nil, err
            end
            local verdict, reason = cb('overrun')
            if verdict == true then
                return true
            elseif verdict == false then
                return nil, reason
            end
        end
    end
end

local function device(name)
    local index = socket.if_nametoindex(name)
    if not index then
        return nil, 'no such device'
    end
    return index
end

-- What `f` gives for the device's index: for nil when no device was named.
local function of_device(name, f)
    local index, err
    if name ~= nil then
        index, err = device(name)
        if not index then
            return nil, err
        end
    end
    return f(index)
end

local function expect_table(t, name)
    if type(t) ~= 'table' then
        error(("%s: table expected, got %s"):format(name, type(t)), 3)
    end
end

local function hardware(text, message)
    local bytes = type(text) == 'string' and #text == 17 and text:match('^' .. ('%x%x:'):rep(5) .. '%x%x$')
    return bytes and bytes:gsub('(%x%x):?', function(pair)
        return string.char(tonumber(pair, 16))
    end) or error(message, 3)
end

-- Family and bytes of an address in words.
local function binary(text)
    local bytes = socket.inet_pton(INET, text)
    if bytes then
        return INET, bytes
    end
    bytes = socket.inet_pton(INET6, text)
    return bytes and INET6, bytes
end

-- Family, bytes and length of `address/length`; 'default' is the whole of the family asked for.
local function prefix(text, family)
    if text == nil or text == 'default' then
        return family, nil, 0
    elseif type(text) ~= 'string' then
        return nil
    end
    local address, length = text:match('^([^/]+)/(%d+)$')
    local found, bytes = binary(address or text)
    length = tonumber(length) or bytes and #bytes * 8
    if not found or family and family ~= found or length > #bytes * 8 then
        return nil
    end
    return found, bytes, length
end

-- A name of a list, or a number.
local function named(list, value, default)
    if value == nil then
        return default
    end
    return list[value] or math.tointeger(tonumber(value))
end

local link = {}

local FLAGS = { dynamic = rtnl.IFF_DYNAMIC, multicast = rtnl.IFF_MULTICAST, allmulticast = rtnl.IFF_ALLMULTI, promisc = rtnl.IFF_PROMISC }

-- Flags and which of them to change.
local function flags_of(attrs)
    local flags, change = 0, 0
    if attrs.up or attrs.down then
        flags, change = attrs.up and rtnl.IFF_UP or 0, rtnl.IFF_UP
    end
    for name, bit in pairs(FLAGS) do
        if attrs[name] ~= nil then
            flags, change = flags | (attrs[name] and bit or 0), change | bit
        end
    end
    if attrs.arp ~= nil then
        flags, change = flags | (attrs.arp and 0 or rtnl.IFF_NOARP), change | rtnl.IFF_NOARP
    end
    return flags, change
end

local function put_link(r, attrs)
    local put = r.put
    if attrs.carrier ~= nil then
        put('put_attr_u8', rtnl.IFLA_CARRIER, attrs.carrier and 1 or 0)
    end
    if attrs.txqueuelen ~= nil then
        put('put_attr_u32', rtnl.IFLA_TXQLEN, attrs.txqueuelen)
    end
    if attrs.address ~= nil then
        put('put_attr', rtnl.IFLA_ADDRESS, (hardware(attrs.address, 'not a valid address')))
    end
    if attrs.broadcast ~= nil then
        put('put_attr', rtnl.IFLA_BROADCAST, (hardware(attrs.broadcast, 'not a valid broadcast')))
    end
    if attrs.mtu ~= nil then
        put('put_attr_u32', rtnl.IFLA_MTU, attrs.mtu)
    end
    if attrs.alias ~= nil then
        put('put_attr_str', rtnl.IFLA_IFALIAS, attrs.alias)
    end
    if attrs.nomaster then
        put('put_attr_u32', rtnl.IFLA_MASTER, 0)
    elseif attrs.master ~= nil then
        local master = socket.if_nametoindex(attrs.master)
        if not master then
            return nil, 'Device does not exist: ' .. attrs.master
        end
        put('put_attr_u32', rtnl.IFLA_MASTER, master)
    end
    return true
end

local function link_request(kind, flags, index, attrs)
    local on, change = flags_of(attrs)
    return request(kind, flags, rtnl.ifinfomsg { family = socket.AF_UNSPEC, index = index, flags = on, change = change })
end

function link.set(dev, attrs)
    local index, err = device(dev)
    if not index then
        return nil, err
    end
    attrs = attrs or {}
    local r = link_request(rtnl.RTM_SETLINK, ACK, index, attrs)
    local ok
    ok, err = put_link(r, attrs)
    if not ok then
        return nil, err
    end
    return acknowledged(r)
end

function link.get(dev)
    local index, err = device(dev)
    if not index then
        return nil, err
    end
    return single(link_request(rtnl.RTM_GETLINK, 0, index, {}), rtnl.RTM_NEWLINK)
end

function link.list()
    return dump(rtnl.RTM_GETLINK, rtnl.RTM_NEWLINK, rtnl.ifinfomsg {})
end

local MODES = { private = 1, vepa = 2, bridge = 4, passthru = 8 }

-- What kinds of links are made with, inside IFLA_INFO_DATA: linux/if_link.h, linux/veth.h.
local DATA = {
    vlan = function(put, attrs)
        put('put_attr_u16', 1, attrs.id)
    end,
    veth = function(put, attrs)
        put('put_attr_nest_start', 1)
        put('put', rtnl.ifinfomsg {})
        put('put_attr_strz', rtnl.IFLA_IFNAME, attrs.peer)
        put('put_attr_nest_end')
    end,
    macvlan = function(put, attrs)
        put('put_attr_u32', 1, MODES[attrs.mode or 'bridge'] or error('invalid mode', 4))
    end,
}

function link.add(name, attrs)
    if type(name) ~= 'string' then
        error('name: string expected', 2)
    end
    expect_table(attrs, 'attrs')
    if type(attrs.kind) ~= 'string' then
        error('kind: string expected', 2)
    end
    local r = link_request(rtnl.RTM_NEWLINK, ACK | CREATE | EXCL, 0, attrs)
    r.put('put_attr_strz', rtnl.IFLA_IFNAME, name)
    if attrs.link ~= nil then
        local index, err = device(attrs.link)
        if not index then
            return nil, err
        end
        r.put('put_attr_u32', rtnl.IFLA_LINK, index)
    end
    local ok, err = put_link(r, attrs)
    if not ok then
        return nil, err
    end
    r.put('put_attr_nest_start', rtnl.IFLA_LINKINFO)
    r.put('put_attr_str', 1, attrs.kind)
    local data = DATA[attrs.kind]
    if data then
        r.put('put_attr_nest_start', 2)
        data(r.put, attrs)
        r.put('put_attr_nest_end')
    end
    r.put('put_attr_nest_end')
    return acknowledged(r)
end

function link.del(dev)
    local index, err = device(dev)
    if not index then
        return nil, err
    end
    return acknowledged(link_request(rtnl.RTM_DELLINK, ACK, index, {}))
end

link.monitor = monitor({ rtnl.RTNLGRP_LINK }, rtnl.RTM_NEWLINK, rtnl.RTM_DELLINK)

local address = {}

local function change_address(kind, dev, addr)
    local index, err = device(dev)
    if not index then
        return nil, err
    end
    expect_table(addr, 'addr')
    local text, length = addr.address, addr.prefix
    if type(text) ~= 'string' then
        error('address: string expected', 3)
    end
    if text:find('/', 1, true) then
        text, length = text:match('^([%x.:]+)/(%d+)$')
        if not text then
            return nil, 'invalid local address'
        end
    end
    local family, bytes = binary(text)
    local longest = bytes and #bytes * 8 or 32
    length = length == nil and longest or math.tointeger(tonumber(length))
    if not length or length > longest then
        return nil, 'invalid prefix length'
    elseif not family then
        return nil, 'invalid local address'
    end
    local scope = SCOPES[addr.scope or 'global']
    if not scope then
        return nil, 'invalid scope'
    end
    local r = request(kind, ACK, rtnl.ifaddrmsg { family = family, index = index, prefixlen = length, scope = scope })
    r.put('put_attr', rtnl.IFA_LOCAL, bytes)
    if addr.peer ~= nil then
        local of, peer = binary(addr.peer)
        if of ~= family then
            return nil, 'invalid peer address'
        end
        r.put('put_attr', rtnl.IFA_ADDRESS, peer)
    end
    if addr.broadcast ~= nil then
        local broadcast = socket.inet_pton(INET, addr.broadcast)
        if not broadcast then
            return nil, 'invalid broadcast address'
        end
        r.put('put_attr', rtnl.IFA_BROADCAST, broadcast)
    end
    if addr.label ~= nil then
        r.put('put_attr_str', rtnl.IFA_LABEL, addr.label)
    end
    local metric = addr.priority or addr.metric
    if metric ~= nil then
        r.put('put_attr_u32', rtnl.IFA_RT_PRIORITY, metric)
    end
    return acknowledged(r)
end

function address.add(dev, addr)
    return change_address(rtnl.RTM_NEWADDR, dev, addr)
end

function address.del(dev, addr)
    return change_address(rtnl.RTM_DELADDR, dev, addr)
end

function address.get(dev)
    return of_device(dev, function(index)
        local list, err = dump(rtnl.RTM_GETADDR, rtnl.RTM_NEWADDR, rtnl.ifaddrmsg {}, function(record)
            return record.address and (record.family == INET or record.family == INET6) and (not index or record.ifindex == index)
        end)
        if not list then
            return nil, err
        elseif index and not list[1] then
            return nil, 'not found'
        end
        return list
    end)
end

address.monitor = monitor({ rtnl.RTNLGRP_IPV4_IFADDR, rtnl.RTNLGRP_IPV6_IFADDR }, rtnl.RTM_NEWADDR, rtnl.RTM_DELADDR)

local neighbour = {}

local function change_neighbour(kind, flags, dev, entry)
    local index, err = device(dev)
    if not index then
        return nil, err
    end
    expect_table(entry, 'entry')
    local family, bytes = binary(tostring(entry.address))
    if not family then
        return nil, 'invalid address'
    end
    local state = named(STATES, entry.state, STATES.permanent)
    if not state then
        return nil, 'invalid state'
    end
    -- NTF_PROXY, NTF_ROUTER
    local r = request(kind, flags | ACK, rtnl.ndmsg {
        family = family, index = index, state = state, flags = (entry.proxy and 8 or 0) | (entry.router and 0x80 or 0),
    })
    r.put('put_attr', 1, bytes)
    if entry.lladdr ~= nil then
        r.put('put_attr', 2, (hardware(entry.lladdr, 'not a valid lladdr')))
    end
    return acknowledged(r)
end

function neighbour.add(dev, entry)
    return change_neighbour(rtnl.RTM_NEWNEIGH, CREATE | (type(entry) == 'table' and entry.replace and REPLACE or EXCL), dev, entry)
end

function neighbour.del(dev, entry)
    return change_neighbour(rtnl.RTM_DELNEIGH, 0, dev, entry)
end

function neighbour.get(dev)
    return of_device(dev, function(index)
        return dump(rtnl.RTM_GETNEIGH, rtnl.RTM_NEWNEIGH, rtnl.ndmsg {}, function(record)
            return record.address and (not index or record.ifindex == index)
        end)
    end)
end

neighbour.monitor = monitor({ rtnl.RTNLGRP_NEIGH }, rtnl.RTM_NEWNEIGH, rtnl.RTM_DELNEIGH)

local route = {}

local function put_table(r, number)
    if number then
        r.put('put_attr_u32', rtnl.RTA_TABLE, number)
    end
end

-- The family that a table of strings agrees on, or nil.
local function family_of(t, ...)
    local family = t.family
    for _, key in ipairs { ... } do
        local text = t[key]
        if text ~= nil and text ~= 'default' then
            local found = prefix(text, family)
            if not found then
                return nil, 'invalid ' .. key
            end
            family = found
        end
    end
    return family or INET
end

local function change_route(kind, flags, t)
    expect_table(t, 'route')
    local family, err = family_of(t, 'dst', 'gateway', 'src', 'from')
    if not family then
        return nil, err
    end
    local _, bytes, length = prefix(t.dst, family)
    local _, source, source_length = prefix(t.from, family)
    local typ = named(KINDS, t.type, KINDS.unicast)
    local protocol = named(PROTOCOLS, t.protocol, PROTOCOLS.boot)
    local scope = kind == rtnl.RTM_DELROUTE and SCOPES.nowhere
        or (t.gateway or family == INET6 or typ ~= KINDS.unicast and typ ~= KINDS['local']) and SCOPES.global
        or typ == KINDS['local'] and SCOPES.host or SCOPES.link
    scope = named(SCOPES, t.scope, scope)
    for name, value in pairs { type = typ or false, protocol = protocol or false, scope = scope or false } do
        if not value then
            return nil, 'invalid ' .. name
        end
    end
    local r = request(kind, flags | ACK, rtnl.rtmsg {
        family = family, dst_len = length, src_len = source_length, tos = t.tos, protocol = protocol, scope = scope,
        type = kind == rtnl.RTM_DELROUTE and not t.type and 0 or typ, flags = t.onlink and 4 or 0,
    })
    -- RT_TABLE_MAIN
    put_table(r, t.table or 254)
    if bytes then
        r.put('put_attr', rtnl.RTA_DST, bytes)
    end
    if source then
        r.put('put_attr', rtnl.RTA_SRC, source)
    end
    for key, attr in pairs { gateway = rtnl.RTA_GATEWAY, src = rtnl.RTA_PREFSRC } do
        if t[key] then
            local _, one = binary(t[key])
            if not one then
                return nil, 'invalid ' .. key
            end
            r.put('put_attr', attr, one)
        end
    end
    if t.dev ~= nil then
        local index
        index, err = device(t.dev)
        if not index then
            return nil, err
        end
        r.put('put_attr_u32', rtnl.RTA_OIF, index)
    end
    if t.metric ~= nil then
        r.put('put_attr_u32', rtnl.RTA_PRIORITY, t.metric)
    end
    return acknowledged(r)
end

function route.add(t)
    return change_route(rtnl.RTM_NEWROUTE, CREATE | (type(t) == 'table' and t.replace and REPLACE or EXCL), t)
end

function route.del(t)
    return change_route(rtnl.RTM_DELROUTE, 0, t)
end

-- RTM_F_CLONED: entries of caches.
local CLONED = 0x200

function route.get(filter)
    filter = filter or {}
    expect_table(filter, 'filter')
    local wanted_table = filter.table or 254
    return dump(rtnl.RTM_GETROUTE, rtnl.RTM_NEWROUTE, rtnl.rtmsg { family = filter.family }, function(record)
        if record.flags & CLONED ~= 0 or wanted_table ~= 'all' and record.table ~= wanted_table then
            return false
        end
        for key, value in pairs(filter) do
            if key ~= 'table' and record[key] ~= value then
                return false
            end
        end
        return true
    end)
end

function route.lookup(destination, options)
    local family, bytes, length = prefix(destination)
    if not bytes then
        return nil, 'invalid address'
    end
    local r = request(rtnl.RTM_GETROUTE, 0, rtnl.rtmsg { family = family, dst_len = length })
    r.put('put_attr', rtnl.RTA_DST, bytes)
    options = options or {}
    if options.from ~= nil then
        local of, from = binary(options.from)
        if of ~= family then
            return nil, 'invalid from'
        end
        r.put('put_attr', rtnl.RTA_SRC, from)
    end
    if options.mark ~= nil then
        r.put('put_attr_u32', rtnl.RTA_MARK, options.mark)
    end
    return single(r, rtnl.RTM_NEWROUTE)
end

route.monitor = monitor({ rtnl.RTNLGRP_IPV4_ROUTE, rtnl.RTNLGRP_IPV6_ROUTE }, rtnl.RTM_NEWROUTE, rtnl.RTM_DELROUTE)

local rule = {}

local function change_rule(kind, flags, t)
    expect_table(t, 'rule')
    local family, err = family_of(t, 'src', 'dst')
    if not family then
        return nil, err
    end
    local action = named(ACTIONS, t.action, t['goto'] and ACTIONS['goto'] or ACTIONS.table)
    if not action then
        return nil, 'invalid action'
    end
    local _, source, source_length = prefix(t.src, family)
    local _, bytes, length = prefix(t.dst, family)
    local r = request(kind, flags | ACK, rtnl.fib_rule_hdr {
        family = family, dst_len = length, src_len = source_length, tos = t.tos,
        action = kind == rtnl.RTM_DELRULE and not t.action and 0 or action, flags = t.invert and 2 or 0,
    })
    -- linux/fib_rules.h
    if bytes then
        r.put('put_attr', 1, bytes)
    end
    if source then
        r.put('put_attr', 2, source)
    end
    for _, field in ipairs { { 3, 'iif' }, { 17, 'oif' } } do
        if t[field[2]] ~= nil then
            r.put('put_attr_strz', field[1], t[field[2]])
        end
    end
    for _, field in ipairs { { 4, 'goto' }, { 6, 'priority' }, { 10, 'fwmark' }, { 16, 'fwmask' } } do
        if t[field[2]] ~= nil then
            r.put('put_attr_u32', field[1], t[field[2]])
        end
    end
    put_table(r, t.table or kind == rtnl.RTM_NEWRULE and action == ACTIONS.table and 254)
    return acknowledged(r)
end

function rule.add(t)
    return change_rule(rtnl.RTM_NEWRULE, CREATE | EXCL, t)
end

function rule.del(t)
    return change_rule(rtnl.RTM_DELRULE, 0, t)
end

function rule.get(family)
    return dump(rtnl.RTM_GETRULE, rtnl.RTM_NEWRULE, rtnl.fib_rule_hdr { family = family })
end

rule.monitor = monitor({ rtnl.RTNLGRP_IPV4_RULE, rtnl.RTNLGRP_IPV6_RULE }, rtnl.RTM_NEWRULE, rtnl.RTM_DELRULE)

return { link = link, address = address, neigh = neighbour, route = route, rule = rule }
