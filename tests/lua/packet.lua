-- Module `eco.packet`.

local packet = require 'eco.packet'
local hex = require 'eco.encoding.hex'

local A, B = '00:11:22:33:44:55', '66:77:88:99:aa:bf'

local function bytes(text)
    return (assert(hex.decode((text:gsub('%s', '')))))
end

-- The fields of a packet, without its data.
local function fields(pkt)
    local copy = {}
    for key, value in pairs(pkt) do copy[key] = value end
    copy.data = nil
    return copy
end

case('ethernet', function()
    local frame = packet.ether(A, B, 0x88cc, 'data')
    T.eq(hex.encode(frame), '66778899aabf00112233445588cc' .. hex.encode('data'))
    local pkt = assert(packet.from_ether(frame))
    T.eq(fields(pkt), { name = 'ETHER', dest = B, source = A, proto = 0x88cc })
    T.eq(pkt.data, 'data')
    T.eq(tostring(pkt), A .. '->' .. B .. ' 35020')
    T.eq({ pkt:next() }, { nil, 'unknown L3 proto "35020"' })
    T.eq(tostring(packet.from_ether(packet.ether(A, B, 0x86dd))), A .. '->' .. B .. ' IPV6')
    T.eq(packet.from_ether(packet.ether(A, B, 0)).data, '')
    for length = 0, 13 do
        T.eq({ packet.from_ether(frame:sub(1, length)) }, { nil, 'not a valid ether packet' })
    end
    for _, value in ipairs { 1, true, {} } do
        T.raises('assertion failed!', packet.from_ether, value)
        T.raises('assertion failed!', packet.from_radiotap, value)
    end
    T.raises('assertion failed!', packet.from_ether)
    T.eq(#packet.ether('00:11', B, 1), 10, 'a short address')
    T.raises('not a valid MAC address', packet.ether, '00:1g', B, 1)
    T.raises('not a valid MAC address', packet.ether, A, '0', 1)
    T.raises('string expected', packet.ether, nil, B, 1)
    T.raises('string expected', packet.ether, A, nil, 1)
end)

case('vlan', function()
    local frame = packet.ether(A, B, 0x8100, bytes('a064 86dd') .. 'x')
    local pkt = packet.from_ether(frame):next()
    T.eq(fields(pkt), { name = '8021Q', pri = 5, vid = 100, proto = 0x86dd })
    T.eq(pkt.data, 'x')
    T.eq(tostring(pkt), 'pri 5 vid 100 IPV6')
    T.eq({ pkt:next() }, { nil, 'not a valid IPV6 packet' })
    T.eq({ packet.from_ether(frame:sub(1, 17)):next() }, { nil, 'not a valid 8021Q packet' })
    -- Tags may be nested.
    local inner = packet.from_ether(packet.ether(A, B, 0x8100, bytes('0001 8100 0002 1234'))):next():next()
    T.eq({ inner.vid, inner.proto }, { 2, 0x1234 })
end)

case('arp', function()
    local request = packet.arp(1, A, '10.0.0.1', nil, '10.0.0.2')
    T.eq(hex.encode(request), '0001080006040001' .. '001122334455' .. '0a000001' .. '000000000000' .. '0a000002')
    local pkt = packet.from_ether(packet.ether(A, B, 0x806, request .. ('\0'):rep(18))):next()
    T.eq(fields(pkt), { name = 'ARP', ar_hrd = 1, ar_pro = 0x800, ar_hln = 6, ar_pln = 4, op = 1,
        sha = A, sip = '10.0.0.1', tha = '00:00:00:00:00:00', tip = '10.0.0.2' })
    T.eq(pkt.data, nil)
    T.eq({ pkt:next() }, { nil, 'no upper protocol layer' })
    T.eq(tostring(pkt), 'Request who-has 10.0.0.2 (00:00:00:00:00:00) tell 10.0.0.1')
    local function parse(data) return packet.from_ether(packet.ether(A, B, 0x806, data)):next() end
    T.eq(tostring(parse(packet.arp(2, A, '10.0.0.1', B, '10.0.0.2'))), 'Reply 10.0.0.1 is-at ' .. A)
    T.eq(tostring(parse(bytes('0006 0800 06 04 0001') .. ('x'):rep(20))), '')
    T.eq(parse(packet.arp(9)).sip, '0.0.0.0')
    for length = 0, #request - 1 do
        T.fails('not a valid ARP packet', parse(request:sub(1, length)))
    end
end)

case('IPv4 and TCP', function()
    local segment = packet.tcp(80, 1234, 1, 0xffffffff, { syn = true, ack = true }, 500, '10.0.0.1', '10.0.0.2', 'hello')
    local ip = packet.ip('10.0.0.1', '10.0.0.2', 6, segment)
    local pkt = assert(packet.from_ip(ip .. 'padding'))
    T.eq(fields(pkt), { name = 'IP', version = 4, ihl = 5, tos = 0, tot_len = 45, id = 0, frag_off = 0, ttl = 64, protocol = 6,
        check = 0x66c9, saddr = '10.0.0.1', daddr = '10.0.0.2' })
    T.eq(pkt.data, segment .. 'padding')
    T.eq(tostring(pkt), '10.0.0.1->10.0.0.2 TCP')
    local tcp = assert(pkt:next())
    T.eq(fields(tcp), { name = 'TCP', source = 80, dest = 1234, seq = 1, ack_seq = 0xffffffff, doff = 5, window = 500,
        check = 0x50e2, urg_ptr = 0, cwr = false, ece = false, urg = false, ack = true, psh = false, rst = false, syn = true, fin = false })
    T.eq(tcp.data, 'hello', 'without the padding of the link')
    T.eq(tostring(tcp), '80->1234 len 5 SYN ACK')
    T.eq({ tcp:next() }, { nil, 'no upper protocol layer' })
    for length = 0, 19 do
        T.eq({ packet.from_ip(ip:sub(1, length)) }, { nil, 'not a valid IPv4 packet' })
    end
    for length = 20, 39 do
        T.eq({ packet.from_ip(ip:sub(1, length)):next() }, { nil, 'not a valid TCP packet' })
    end
    T.eq(tostring(packet.from_ip(packet.ip('10.0.0.1', '10.0.0.2', 89))), '10.0.0.1->10.0.0.2 89')
    T.eq({ packet.from_ip(packet.ip('10.0.0.1', '10.0.0.2', 89)):next() }, { nil, 'unknown L4 protocol "89"' })
    T.eq(packet.from_ip(packet.ip('nobody', '', 1)).saddr, '0.0.0.0')
    -- A total length of 0 is that of what the card will cut.
    T.eq(packet.from_ip(ip:sub(1, 2) .. '\0\0' .. ip:sub(5)):next().data, 'hello')
    -- One that ends before it begins.
    T.eq(packet.from_ip(ip:sub(1, 2) .. '\0\1' .. ip:sub(5)):next().data, '')
    -- Header lengths that are none.
    T.fails('not a valid IPv4 packet', packet.from_ip('\x44' .. ip:sub(2)))
    T.fails('not a valid TCP packet', packet.from_ip(packet.ip('1.1.1.1', '1.1.1.2', 6, segment:sub(1, 12) .. '\x40' .. segment:sub(14))):next())
    -- Options are no data.
    local long = packet.from_ip('\x46' .. ip:sub(2, 20) .. 'opts' .. 'rest')
    T.eq({ long.ihl, long.data }, { 6, 'rest' })
    for _, name in ipairs { 'cwr', 'ece', 'urg', 'ack', 'psh', 'rst', 'syn', 'fin' } do
        local one = packet.tcp(1, 2, 3, 4, { [name] = 1 }, 5, '1.1.1.1', '2.2.2.2')
        local parsed = packet.from_ip(packet.ip('1.1.1.1', '2.2.2.2', 6, one)):next()
        for _, other in ipairs { 'cwr', 'ece', 'urg', 'ack', 'psh', 'rst', 'syn', 'fin' } do
            T.eq(parsed[other], name == other, other)
        end
    end
    T.raises('string expected', packet.tcp, 1, 2, 3, 4, nil, 5)
    T.raises('string expected', packet.tcp, 1, 2, 3, 4, nil, 5, '1.1.1.1')
    T.raises('table expected', packet.tcp, 1, 2, 3, 4, 'syn', 5, '1.1.1.1', '1.1.1.2')
end)

case('IPv6', function()
    local head = bytes('60 00 00 00 0000 06 40') .. ('\xfe\x80' .. ('\0'):rep(13) .. '\1') .. (('\0'):rep(15) .. '\1')
    local function with(next_header, data, length)
        return packet.from_ip6('\x6a' .. head:sub(2, 4) .. ('>I2'):pack(length or #data) .. string.char(next_header) .. head:sub(8) .. data)
    end
    local segment = packet.tcp(1, 2, 3, 4, nil, 5, 'fe80::1', '::1', 'hello')
    local pkt = assert(with(6, segment .. 'padding', #segment))
    T.eq(fields(pkt), { name = 'IPV6', version = 6, priority = 10, payload_len = 25, nexthdr = 6, protocol = 6, hop_limit = 64,
        saddr = 'fe80::1', daddr = '::1' })
    T.eq(tostring(pkt), 'fe80::1->::1')
    T.eq(pkt:next().data, 'hello')
    T.eq(with(6, segment, 0):next().data, 'hello', 'a length of 0 says nothing')
    T.eq(with(17, packet.udp(1, 2, 'x', 'fe80::1', '::1')):next().data, 'x')
    T.eq(with(4, packet.ip('1.2.3.4', '5.6.7.8', 17, packet.udp(1, 2, 'x'))):next():next().data, 'x')
    T.eq(with(41, pkt.data).proto, 0x86dd)
    T.fails('not a valid IPV6 packet', with(41, 'x'):next())
    T.fails('no upper protocol layer', with(58, 'x'):next())
    T.fails('no upper protocol layer', with(0, 'x'):next())
    T.eq(packet.from_icmp6(with(58, packet.icmp6(128, 0, 1, 2)).data).id, 1)
    for length = 0, 39 do
        T.eq({ packet.from_ip6(head:sub(1, length)) }, { nil, 'not a valid IPV6 packet' })
    end
    T.raises('different families', packet.tcp, 1, 2, 3, 4, nil, 5, '::1', '127.0.0.1')
    T.raises('different families', packet.udp, 1, 2, 'x', '127.0.0.1', '::1')
end)

case('ICMP', function()
    local echo = packet.icmp(8, 0, 0x1234, 7, 'data')
    T.eq(hex.encode(echo), '0800000012340007' .. hex.encode('data'))
    local pkt = assert(packet.from_icmp(echo))
    T.eq(fields(pkt), { name = 'ICMP', type = 8, code = 0, checksum = 0, id = 0x1234, sequence = 7 })
    T.eq({ pkt.data, tostring(pkt) }, { 'data', 'ECHO seq 7 id 4660 len 4' })
    T.eq(tostring(packet.from_icmp(packet.icmp(0, 0, 1, 2))), 'ECHOREPLY seq 2 id 1 len 0')
    T.eq(packet.from_icmp(packet.icmp(8, 0, 0x1234, 7, 'data', true)).checksum, 0x0d02)
    local redirect = packet.from_icmp(bytes('05 01 0000 0a000001') .. 'xx')
    T.eq(fields(redirect), { name = 'ICMP', type = 5, code = 1, checksum = 0, gateway = 0x0a000001 })
    T.eq(tostring(redirect), 'type 5 len 2')
    T.eq(fields(packet.from_icmp6(packet.icmp6(128, 0, 1, 2))), { name = 'ICMPV6', type = 128, code = 0, checksum = 0, id = 1, sequence = 2 })
    T.eq(tostring(packet.from_icmp6(packet.icmp6(129, 0, 1, 2, 'abc'))), 'ECHOREPLY seq 2 id 1 len 3')
    T.eq(tostring(packet.from_icmp6(bytes('86 00 0000 00000000'))), 'type 134 len 0')
    for length = 0, 7 do
        T.eq({ packet.from_icmp(echo:sub(1, length)) }, { nil, 'not a valid ICMP packet' })
        T.eq({ packet.from_icmp6(echo:sub(1, length)) }, { nil, 'not a valid ICMPV6 packet' })
    end
end)

case('UDP', function()
    local datagram = packet.udp(53, 1000, 'hello')
    T.eq(hex.encode(datagram), '003503e8000d0000' .. hex.encode('hello'))
    local pkt = packet.from_ip(packet.ip('10.0.0.1', '10.0.0.2', 17, datagram .. 'padding')):next()
    T.eq(fields(pkt), { name = 'UDP', source = 53, dest = 1000, len = 13, check = 0 })
    T.eq({ pkt.data, tostring(pkt) }, { 'hello', '53->1000 len 5' })
    T.eq(packet.udp(53, 1000, 'hello', '10.0.0.1'), datagram)
    T.eq(packet.udp(53, 1000, 'hello', nil, '10.0.0.1'), datagram)
    T.eq(packet.udp(1, 2), packet.udp(1, 2, ''))
    local function parse(data) return packet.from_ip(packet.ip('1.1.1.1', '1.1.1.2', 17, data)):next() end
    T.fails('not a valid UDP packet', parse(datagram:sub(1, 7)))
    T.fails('not a valid UDP packet', parse(datagram:sub(1, 4) .. '\0\7' .. datagram:sub(7)))
    T.eq(parse(datagram:sub(1, 10)).data, 'he', 'what there is of it')
    T.raises('data too long', packet.udp, 1, 2, ('x'):rep(65528))
    T.eq(#packet.udp(1, 2, ('x'):rep(65527)), 65535)
    T.raises('data too long', packet.ip, '1.1.1.1', '1.1.1.2', 1, ('x'):rep(65516))
end)

-- The sum of a packet with its checksum is 0xffff.
local function sum(text)
    local total = 0
    for word in (#text % 2 == 1 and text .. '\0' or text):gmatch('..') do
        total = total + string.unpack('>I2', word)
    end
    while total > 0xffff do total = (total & 0xffff) + (total >> 16) end
    return total
end

case('checksums', function()
    local socket = require 'eco.socket'
    local function pseudo(family, saddr, daddr, protocol, data)
        return socket.inet_pton(family, saddr) .. socket.inet_pton(family, daddr) .. ('>I2I4'):pack(protocol, #data) .. data
    end
    for length = 0, 20 do
        local data = ('\xfedcba9876543210fedcba'):sub(1, length)
        T.eq(sum(packet.icmp(8, 0, 1, 2, data, true)), 0xffff)
        T.eq(sum(packet.icmp6(128, 0, 1, 2, data, true)), 0xffff)
        T.eq(sum(packet.ip('1.2.3.4', '250.251.252.253', 6, data):sub(1, 20)), 0xffff)
        for family, ends in pairs { [socket.AF_INET] = { '1.2.3.4', '5.6.7.8' }, [socket.AF_INET6] = { 'fe80::1', '2001:db8::2' } } do
            local saddr, daddr = table.unpack(ends)
            T.eq(sum(pseudo(family, saddr, daddr, 17, packet.udp(1, 2, data, saddr, daddr))), 0xffff)
            T.eq(sum(pseudo(family, saddr, daddr, 6, packet.tcp(1, 2, 3, 4, nil, 5, saddr, daddr, data))), 0xffff)
        end
        T.eq(sum(pseudo(socket.AF_INET6, 'fe80::1', '::1', 58, packet.icmp6(128, 0, 1, 2, data, true, 'fe80::1', '::1'))), 0xffff)
    end
end)

local RADIOTAP = bytes('00 00 0900 00000000 00')

case('802.11 management', function()
    local head = bytes('80 00 3a01') .. ('\xff'):rep(6) .. bytes('001122334455 66778899aabf 1000')
    local body = bytes('0807060504030201 6400 1104') .. '\0\4home\1\2xx'
    local pkt = assert(packet.from_radiotap(RADIOTAP .. head .. body .. '\3\9cut'))
    T.eq(fields(pkt), { name = '80211', version = 0, type = 0, subtype = 8, to_ds = false, from_ds = false, more_frag = false, retry = false,
        pwr_mgmt = false, more_data = false, protected = false, plus_htc = false, duration = 314, addr1 = 'ff:ff:ff:ff:ff:ff', addr2 = A,
        addr3 = B, timestamp = 0x0102030405060708, beacon_interval = 100, capability = 0x411, ssid = 'home' })
    T.eq(tostring(pkt), A .. '->ff:ff:ff:ff:ff:ff BEACON BI=100 SSID="home"')
    T.eq({ pkt:next() }, { nil, 'no upper protocol layer' })
    for length = 0, 9 + 24 + 11 do
        T.eq({ packet.from_radiotap((RADIOTAP .. head .. body):sub(1, length)) }, { nil, 'not a valid radiotap packet' })
    end
    local probe = packet.from_radiotap(RADIOTAP .. '\x40' .. head:sub(2) .. '\0\0')
    T.eq({ probe.ssid, probe.beacon_interval }, { '' })
    T.eq(tostring(probe), A .. '->ff:ff:ff:ff:ff:ff PROBE_REQ SSID=""')
    T.eq(tostring(packet.from_radiotap(RADIOTAP .. '\x60' .. head:sub(2))), A .. '->ff:ff:ff:ff:ff:ff type 0x00 subtype 0x06')
    T.fails('not a valid radiotap packet', packet.from_radiotap(RADIOTAP .. '\x60\x80' .. head:sub(3)))
    T.eq(packet.from_radiotap(RADIOTAP .. '\x60\x80' .. head:sub(3) .. 'xxxx').plus_htc, true)
end)

case('802.11 data and control', function()
    local head = bytes('88 03 0000 010101010101 001122334455 020202020202 3412 66778899aabf')
    local pkt = assert(packet.from_radiotap(RADIOTAP .. head))
    T.eq({ pkt.addr1, pkt.addr2, pkt.addr3, pkt.addr4 }, { '01:01:01:01:01:01', A, '02:02:02:02:02:02', B })
    T.eq(tostring(pkt), A .. '->01:01:01:01:01:01 QOS_DATA')
    T.eq({ packet.from_radiotap(RADIOTAP .. head:sub(1, -2)) }, { nil, 'not a valid radiotap packet' })
    local ack = assert(packet.from_radiotap(RADIOTAP .. bytes('d4 00 0000 001122334455')))
    T.eq({ ack.addr1, ack.addr2, tostring(ack) }, { A, nil, A .. ' ACK' })
    T.fails('not a valid radiotap packet', packet.from_radiotap(RADIOTAP .. bytes('a4 00 0000 001122334455')))
    T.eq(tostring(packet.from_radiotap(RADIOTAP .. bytes('0c 00 0000 001122334455'))), A .. ' type 0x03 subtype 0x00')
    T.fails('not a valid radiotap packet', packet.from_radiotap(bytes('0000 0700 000000') .. head))
end)

case('numbers that fit no field', function()
    for _, value in ipairs { -1, 65536, 1 << 32, math.mininteger } do
        T.raises('bad argument #3', packet.icmp, 8, 0, value, 0)
        T.raises('bad argument #4', packet.icmp6, 128, 0, 0, value)
        T.raises('bad argument #2', packet.icmp, 8, value, 0, 0)
        T.raises('bad argument #1', packet.udp, value, 1)
        T.raises('bad argument #2', packet.udp, 1, value)
        T.raises('bad argument #6', packet.tcp, 1, 2, 3, 4, nil, value, '1.1.1.1', '1.1.1.2')
        T.raises('bad argument #3', packet.ip, '1.1.1.1', '1.1.1.2', value)
        T.raises('bad argument #1', packet.arp, value)
        T.raises('bad argument #3', packet.ether, A, B, value)
    end
    for _, value in ipairs { -1, 1 << 32, math.mininteger } do
        T.raises('bad argument #3', packet.tcp, 1, 2, value, 4, nil, 5, '1.1.1.1', '1.1.1.2')
        T.raises('bad argument #4', packet.tcp, 1, 2, 3, value, nil, 5, '1.1.1.1', '1.1.1.2')
    end
    T.raises('number has no integer representation', packet.udp, 1.5, 1)
    T.raises('number expected', packet.udp, nil, 1)
    T.raises('assertion failed!', packet.icmp, 5, 0, 1, 2)
    T.raises('assertion failed!', packet.icmp6, 8, 0, 1, 2)
end)

case('packets are tables that a script may change', function()
    local pkt = packet.from_ether(packet.ether(A, B, 0x800, packet.ip('1.1.1.1', '1.1.1.2', 17, packet.udp(1, 2, 'x'))))
    for _, value in ipairs { 'x', 1.5, {}, true } do
        pkt.proto = value
        local text = tostring(value)
        T.eq({ pkt:next() }, { nil, 'unknown L3 proto "' .. text .. '"' })
        assert(tostring(pkt):find(text, 1, true))
    end
    pkt.proto, pkt.data = 0x800, nil
    T.raises('string expected', pkt.next, pkt)
    T.raises('table expected', pkt.next, 1)
    local ip = packet.from_ip(packet.ip('1.1.1.1', '1.1.1.2', 6, packet.tcp(1, 2, 3, 4, nil, 5, '1.1.1.1', '1.1.1.2', 'x')))
    ip.tot_len, ip.ihl = 'x', nil
    T.eq(ip:next().data, 'x')
    ip.tot_len, ip.ihl = math.maxinteger, 5
    T.eq(ip:next().data, 'x')
    ip.ihl = math.maxinteger
    assert(ip:next())
    T.eq(getmetatable(pkt) == getmetatable(ip), true)
end)

case('bytes at random never raise', function()
    for _ = 1, 3000 do
        local data = {}
        for i = 1, math.random(0, 12) do data[i] = string.pack('<i8', math.random(0)) end
        data = table.concat(data)
        for _, parse in ipairs { packet.from_ether, packet.from_ip, packet.from_ip6, packet.from_icmp, packet.from_icmp6, packet.from_radiotap } do
            local pkt, message = parse(data)
            while pkt do
                assert(type(tostring(pkt)) == 'string')
                pkt, message = pkt:next()
            end
            assert(type(message) == 'string')
        end
    end
end)
