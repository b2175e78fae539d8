-- Module `eco.ip`, in a network of the test's own, beside what `ip -j` says.

local eco = require 'eco'
local ip = require 'eco.ip'
local json = require 'eco.encoding.json'
local sys = require 'eco.sys'

local function run(...)
    local p<close> = assert(sys.exec(...))
    local output = p:read_stdout('a', 30) or ''
    local errors = p:read_stderr('a', 30) or ''
    local _, status = p:wait(30)
    assert(status and status.exited and status.status == 0, errors)
    return output
end

local function told(...)
    return json.decode(run('ip', '-j', '-d', ...))
end

local function by(list, key)
    local found = {}
    for _, record in ipairs(list) do found[record[key]] = record end
    return found
end

case('links', function()
    T.eq(ip.link.set('lo', { up = true }), true)
    T.eq(ip.link.add('one', { kind = 'veth', peer = 'two', address = '02:00:00:00:00:0A', mtu = 1400, txqueuelen = 77 }), true)
    T.eq(ip.link.add('br', { kind = 'bridge' }), true)
    T.fails('netlink error: File exists', ip.link.add('br', { kind = 'bridge' }))
    T.fails('netlink error: Operation not supported', ip.link.add('x', { kind = 'nosuchkind' }))
    T.fails('no such device', ip.link.add('x', { kind = 'vlan', id = 5, link = 'none' }))
    T.eq(ip.link.set('one', { alias = 'the first', master = 'br', promisc = true, up = true }), true)
    T.eq(ip.link.set('two', { up = true }), true)
    T.await(function() return ip.link.get('one').running end)
    local one, theirs = ip.link.get('one'), told('link', 'show', 'one')[1]
    for ours, name in pairs {
        ifname = 'ifname', ifindex = 'ifindex', mtu = 'mtu', address = 'address', broadcast = 'broadcast', txqueuelen = 'txqlen',
        alias = 'ifalias', master = 'master',
    } do
        T.eq(one[ours], theirs[name], ours)
    end
    T.eq({ one.type, one.kind, one.carrier, one.up, one.arp, one.promisc, one.multicast }, { 1, 'veth', true, true, true, true, true })
    T.eq(one.stats.rx_errors, 0)
    T.eq(ip.link.set('one', { nomaster = true, master = 'br', alias = '', promisc = false, arp = false, multicast = false, allmulticast = true,
        dynamic = true, address = '02:00:00:00:00:0b', broadcast = 'ff:ff:ff:ff:ff:fe', down = true }), true)
    one = ip.link.get('one')
    T.eq({ one.master, one.alias, one.promisc, one.arp, one.multicast, one.allmulticast, one.dynamic, one.address, one.broadcast, one.up },
        { nil, nil, false, false, false, true, true, '02:00:00:00:00:0b', 'ff:ff:ff:ff:ff:fe', false })
    T.eq(ip.link.set('one'), true)
    T.eq(ip.link.set('one', {}), true)
    T.eq(ip.link.set('one', { up = true, down = true, arp = true, multicast = true, allmulticast = false }), true)
    assert(ip.link.get('one').up)
    T.fails('Device does not exist: none', ip.link.set('one', { master = 'none' }))
    T.fails('netlink error: ', ip.link.set('one', { mtu = 1 }))
    for _, name in ipairs { 'address', 'broadcast' } do
        for _, bad in ipairs { 'x', '02:00:00:00:00', '02:00:00:00:00:0g', '2:0:0:0:0:0', '02-00-00-00-00-00', 12 } do
            T.raises('not a valid ' .. name, ip.link.set, 'one', { [name] = bad })
        end
    end
    T.raises('no integer representation', ip.link.set, 'one', { mtu = 1.5 })
    T.fails('no such device', ip.link.set('none'))
    T.fails('no such device', ip.link.get('none'))
    T.fails('no such device', ip.link.del('none'))
    T.raises('string expected', ip.link.get)
    T.raises('string expected', ip.link.add, nil, {})
    T.raises('expected', ip.link.add, 'x', { kind = 1 })
    T.fails('buf is full', ip.link.set('one', { alias = ('x'):rep(5000) }))
    -- Not every kernel has these.
    local made, err = ip.link.add('tagged', { kind = 'vlan', id = 5, link = 'one' })
    if made then
        T.eq(told('link', 'show', 'tagged')[1].linkinfo.info_data.id, 5)
        T.eq(ip.link.get('tagged').link, one.ifindex)
        T.eq(ip.link.del('tagged'), true)
    else
        T.fails('netlink error: Operation not supported', made, err)
    end
    local ours, all = by(ip.link.list(), 'ifname'), told('link')
    T.eq(#ip.link.list(), #all)
    for _, link in ipairs(all) do
        T.eq({ ours[link.ifname].ifindex, ours[link.ifname].mtu }, { link.ifindex, link.mtu })
    end
end)

case('addresses', function()
    T.eq(ip.address.add('br', { address = '10.1.0.1/24', broadcast = '10.1.0.255', label = 'br:lan', scope = 'site', metric = 7 }), true)
    T.fails('netlink error: File exists', ip.address.add('br', { address = '10.1.0.1/24' }))
    T.eq(ip.address.add('br', { address = '10.1.1.1', prefix = '30' }), true)
    T.eq(ip.address.add('br', { address = '10.1.2.1', peer = '10.1.2.2' }), true)
    T.eq(ip.address.add('br', { address = 'fd00:1::1/64' }), true)
    local found = by(ip.address.get('br'), 'address')
    T.eq(found['10.1.0.1'], { address = '10.1.0.1', broadcast = '10.1.0.255', family = 2, flags = 0x80, ifname = 'br', label = 'br:lan',
        ifindex = found['10.1.0.1'].ifindex, prefix = 24, scope = 'site', metric = 7 })
    T.eq(found['10.1.1.1'].prefix, 30)
    T.eq({ found['10.1.2.1'].peer, found['10.1.2.1'].prefix }, { '10.1.2.2', 32 })
    T.eq({ found['fd00:1::1'].family, found['fd00:1::1'].prefix, found['fd00:1::1'].scope }, { 10, 64, 'global' })
    local theirs = 0
    for _, link in ipairs(told('addr', 'show', 'br')) do
        for _, info in ipairs(link.addr_info) do
            theirs = theirs + 1
            local ours = found[info['local']]
            T.eq({ ours.prefix, ours.scope, ours.label }, { info.prefixlen, info.scope, info.label })
        end
    end
    T.eq(#ip.address.get('br'), theirs)
    assert(#ip.address.get() > theirs)
    for address, text in pairs { ['10.1.0.1/x'] = 'invalid local address', ['10.1.0.1/33'] = 'invalid prefix length', ['10.1.0'] = 'invalid local address',
        ['x10.1.0.1/24'] = 'invalid local address', ['fd00::1/129'] = 'invalid prefix length' } do
        T.fails(text, ip.address.add('br', { address = address }))
    end
    T.fails('invalid prefix length', ip.address.add('br', { address = '10.9.0.1', prefix = 'x' }))
    T.fails('invalid prefix length', ip.address.add('br', { address = '10.9.0.1', prefix = 1.5 }))
    T.fails('netlink error: Invalid argument', ip.address.add('br', { address = '10.9.0.1', prefix = -1 }))
    T.fails('invalid scope', ip.address.add('br', { address = '10.9.0.1', scope = 'x' }))
    T.fails('invalid broadcast address', ip.address.add('br', { address = '10.9.0.1', broadcast = 'x' }))
    T.fails('netlink error: Numerical result out of range', ip.address.add('br', { address = '10.9.0.1', label = ('x'):rep(16) }))
    T.fails('no such device', ip.address.add('none', { address = '10.9.0.1' }))
    T.raises('table expected', ip.address.add, 'br')
    T.raises('string expected', ip.address.add, 'br', {})
    T.fails('netlink error: Cannot assign requested address', ip.address.del('br', { address = '10.9.0.1' }))
    T.eq(ip.address.del('br', { address = '10.1.0.1' }), true)
    T.fails('no such device', ip.address.get('none'))
    ip.link.set('two', { down = true })
    T.await(function() return not ip.address.get('two') end)
    T.fails('not found', ip.address.get('two'))
end)

case('neighbours', function()
    ip.link.set('br', { up = true })
    T.eq(ip.neigh.add('br', { address = '10.1.1.2', lladdr = '02:00:00:00:00:02' }), true)
    T.fails('netlink error: File exists', ip.neigh.add('br', { address = '10.1.1.2', lladdr = '02:00:00:00:00:03' }))
    T.eq(ip.neigh.add('br', { address = '10.1.1.2', lladdr = '02:00:00:00:00:03', replace = true, state = 'noarp' }), true)
    T.eq(ip.neigh.add('br', { address = 'fd00:1::2', lladdr = '02:00:00:00:00:02' }), true)
    local found = by(ip.neigh.get('br'), 'address')
    T.eq({ found['10.1.1.2'].lladdr, found['10.1.1.2'].state, found['10.1.1.2'].ifname }, { '02:00:00:00:00:03', 'noarp', 'br' })
    T.eq({ found['fd00:1::2'].lladdr, found['fd00:1::2'].state, found['fd00:1::2'].family }, { '02:00:00:00:00:02', 'permanent', 10 })
    T.eq(ip.neigh.del('br', { address = '10.1.1.2' }), true)
    T.fails('netlink error: No such file or directory', ip.neigh.del('br', { address = '10.1.1.2' }))
    T.fails('invalid address', ip.neigh.add('br', { address = 'x' }))
    T.fails('invalid address', ip.neigh.add('br', {}))
    T.fails('invalid state', ip.neigh.add('br', { address = '10.1.1.2', state = 'x' }))
    T.raises('not a valid lladdr', ip.neigh.add, 'br', { address = '10.1.1.2', lladdr = 'x' })
    T.raises('table expected', ip.neigh.add, 'br')
    T.fails('no such device', ip.neigh.get('none'))
end)

case('routes', function()
    T.eq(ip.route.add { dst = '10.2.0.0/16', gateway = '10.1.1.2', metric = 5 }, true)
    T.fails('netlink error: File exists', ip.route.add { dst = '10.2.0.0/16', gateway = '10.1.1.2', metric = 5 })
    T.eq(ip.route.add { dst = '10.2.0.0/16', gateway = '10.1.1.1', metric = 5, replace = true, dev = 'br', onlink = true, src = '10.1.1.1' } or true, true)
    T.eq(ip.route.add { gateway = '10.1.1.2', protocol = 'static' }, true)
    T.eq(ip.route.add { dst = '10.3.0.0/24', dev = 'br', table = 1000 }, true)
    T.eq(ip.route.add { dst = '10.4.0.0/24', type = 'blackhole' }, true)
    T.eq(ip.route.add { dst = 'fd00:2::/64', gateway = 'fd00:1::2' }, true)
    local found = by(ip.route.get { family = 2 }, 'dst')
    T.eq({ found.default.gateway, found.default.dev, found.default.protocol, found.default.scope }, { '10.1.1.2', 'br', 'static', 'global' })
    T.eq(found['10.4.0.0/24'].type, 'blackhole')
    T.eq(found['10.3.0.0/24'], nil)
    local theirs = by(told('route'), 'dst')
    for dst, route in pairs(theirs) do
        T.eq({ found[dst].gateway, found[dst].dev, found[dst].metric }, { route.gateway, route.dev, route.metric }, dst)
    end
    T.eq(ip.route.get { table = 1000 }[1].dst, '10.3.0.0/24')
    T.eq(by(ip.route.get { family = 10 }, 'dst')['fd00:2::/64'].gateway, 'fd00:1::2')
    assert(#ip.route.get { table = 'all' } > #ip.route.get())
    T.eq(ip.route.lookup('10.77.0.1').gateway, '10.1.1.2')
    T.eq(ip.route.lookup('127.0.0.1').type, 'local')
    T.fails('netlink error: ', ip.route.lookup('10.4.0.1'))
    T.fails('invalid address', ip.route.lookup('x'))
    T.fails('invalid address', ip.route.lookup())
    T.eq(ip.route.del { dst = '10.2.0.0/16' }, true)
    T.eq(ip.route.del { dst = 'fd00:2::/64' }, true)
    T.eq(ip.route.del { dst = '10.3.0.0/24', table = 1000 }, true)
    T.fails('netlink error: No such process', ip.route.del { dst = '10.2.0.0/16' })
    for key, value in pairs { dst = '10.0.0.0/33', gateway = 'x', src = '', type = 'x', scope = 'x', protocol = 'x' } do
        T.fails('invalid ' .. key, ip.route.add { [key] = value })
    end
    T.fails('invalid ', ip.route.add { dst = '10.0.0.0/8', gateway = 'fd00::1' })
    T.fails('no such device', ip.route.add { dst = '10.0.0.0/8', dev = 'none' })
    T.raises('table expected', ip.route.add)
    T.raises('table expected', ip.route.del)
end)

case('rules', function()
    T.eq(ip.rule.add { src = '10.1.0.0/16', table = 1000, priority = 100 }, true)
    T.eq(ip.rule.add { dst = 'fd00:5::/64', action = 'unreachable', priority = 101 }, true)
    T.eq(ip.rule.add { iif = 'br', fwmark = 7, fwmask = 15, table = 5, priority = 102 }, true)
    local four, six = by(ip.rule.get(2), 'priority'), by(ip.rule.get(10), 'priority')
    T.eq({ four[100].src, four[100].table, four[100].action }, { '10.1.0.0/16', 1000, 'table' })
    T.eq({ six[101].dst, six[101].action }, { 'fd00:5::/64', 'unreachable' })
    T.eq({ four[102].iif, four[102].fwmark, four[102].fwmask, four[102].table }, { 'br', 7, 15, 5 })
    T.eq(four[32766].table, 254)
    local theirs = by(told('rule'), 'priority')
    T.eq(theirs[100].src, '10.1.0.0')
    T.eq(ip.rule.del { src = '10.1.0.0/16', priority = 100 }, true)
    T.fails('netlink error: No such file or directory', ip.rule.del { src = '10.1.0.0/16', priority = 100 })
    T.fails('invalid src', ip.rule.add { src = 'x' })
    T.fails('invalid action', ip.rule.add { action = 'x' })
    T.raises('table expected', ip.rule.add)
end)

case('monitors', function()
    local events, done = {}, 0
    local function watch(name, wanted)
        local result = table.pack(ip[name].monitor(function(event, record)
            events[#events + 1] = name
            return wanted(event, record) or nil
        end, 10))
        T.eq(result, { true, n = 1 })
        done = done + 1
    end
    local gather = T.gather()
    gather:run(watch, 'link', function(event, record) return event == 'del' and record.ifname == 'three' end)
    gather:run(watch, 'address', function(event, record) return event == 'new' and record.address == '10.6.0.1' end)
    gather:run(watch, 'neigh', function(event, record) return event == 'new' and record.address == '10.6.0.2' and record.lladdr ~= nil end)
    gather:run(watch, 'route', function(event, record) return event == 'new' and record.dst == '10.7.0.0/24' end)
    gather:run(watch, 'rule', function(event, record) return event == 'del' and record.priority == 200 end)
    eco.sleep(0.05)
    assert(ip.link.add('three', { kind = 'veth', peer = 'four', up = true }))
    assert(ip.address.add('three', { address = '10.6.0.1/24' }))
    assert(ip.neigh.add('three', { address = '10.6.0.2', lladdr = '02:00:00:00:00:02' }))
    assert(ip.route.add { dst = '10.7.0.0/24', dev = 'br' })
    assert(ip.rule.add { priority = 200, table = 9 } and ip.rule.del { priority = 200, table = 9 })
    assert(ip.link.del('three'))
    gather:wait()
    T.eq(done, 5)
    T.fails('timeout', ip.link.monitor(function() end, 0.02))
    T.raises('function expected', ip.link.monitor)
    T.fails('enough', (function()
        eco.run(function() eco.sleep(0.02) ip.link.set('br', { down = true }) end)
        return ip.link.monitor(function() return false, 'enough' end, 10)
    end)())
end)

case('a monitor that lost changes says so and goes on', function()
    local seen, overruns, ended = 0, 0, false
    local gather = T.gather()
    gather:run(function()
        T.eq(ip.route.monitor(function(event, record)
            if event == 'overrun' then
                overruns = overruns + 1
                T.eq(record, nil)
            else
                seen = seen + 1
                -- Nobody reads meanwhile: 40 000 changes fit no buffer.
                if seen == 1 then
                    local batch = {}
                    for i = 0, 19999 do
                        batch[i + 1] = ('route add blackhole 10.%d.%d.0/24 table 77\nroute del blackhole 10.%d.%d.0/24 table 77'):format(
                            100 + (i >> 8), i & 255, 100 + (i >> 8), i & 255)
                    end
                    require 'eco.file'.writefile(T.path('batch'), table.concat(batch, '\n') .. '\n')
                    os.execute('ip -batch ' .. T.path('batch'))
                end
            end
            return overruns > 0 and event == 'del' and record.dst == '10.8.0.0/24' or nil
        end, 20), true)
        ended = true
    end)
    eco.sleep(0.05)
    assert(ip.route.add { dst = '10.9.0.0/24', type = 'blackhole' })
    -- What comes while the buffer is full is lost, too.
    T.await(function()
        assert(ip.route.add { dst = '10.8.0.0/24', type = 'blackhole' })
        assert(ip.route.del { dst = '10.8.0.0/24', type = 'blackhole' })
        return ended
    end)
    gather:wait()
    assert(overruns > 0)
end)

case('many at once', function()
    local gather = T.gather()
    for _ = 1, 50 do
        gather:run(function()
            for _ = 1, 5 do
                T.eq(ip.link.get('br').ifname, 'br')
                assert(#ip.address.get('lo') >= 1)
            end
        end)
    end
    gather:wait()
end)
