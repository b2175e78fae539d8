-- Module `eco.nl80211` on simulated radios: `cargo xtask wifi-test` runs this as the only program of a virtual machine
-- with two of them, beside hostapd and iw. Each case prints its name; whatever fails ends the run.

local eco = require 'eco'
local file = require 'eco.file'
local ip = require 'eco.ip'
local nl = require 'eco.nl'
local packet = require 'eco.packet'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local wifi = require 'eco.nl80211'

local function check(condition, what, ...)
    if not condition then error(what or 'not so', 2) end
    return condition, what, ...
end

local function same(actual, expected, what)
    if actual ~= expected then
        error(('%s%s instead of %s'):format(what and what .. ': ' or '', tostring(actual), tostring(expected)), 2)
    end
end

local function fails(text, ok, err, ...)
    check(ok == nil and type(err) == 'string' and err:find(text, 1, true) and select('#', ...) == 0, ('%s, %s'):format(tostring(ok), tostring(err)))
end

local function await(what, condition)
    for _ = 1, 600 do
        local value = condition()
        if value then return value end
        eco.sleep(0.05)
    end
    error('never: ' .. what, 2)
end

local function run(...)
    local p<close> = assert(sys.exec(...))
    local output, errors = p:read_stdout('a', 60) or '', p:read_stderr('a', 60) or ''
    local _, status = p:wait(60)
    return output, status and status.status == 0, errors
end

local function case(name, f)
    f()
    print('case: ' .. name)
end

local access_point

-- A network of hostapd's on wlan0.
local function serve(settings)
    if access_point then
        access_point:kill(15)
        access_point:wait(30)
        access_point:close()
    end
    file.writefile('/tmp/hostapd.conf', 'interface=wlan0\ndriver=nl80211\nhw_mode=g\nchannel=6\n' .. settings)
    access_point = assert(sys.exec('hostapd', '/tmp/hostapd.conf'))
    await('an access point', function()
        if access_point:wait(0.001) then
            error('hostapd ended: ' .. access_point:read_stdout('a', 5) .. access_point:read_stderr('a', 5))
        end
        local info = wifi.get_interface('wlan0')
        return info and info.iftype == wifi.IFTYPE_AP and info.freq == 2437 and info.ssid
    end)
end

-- What a scan of wlan1 finds, by SSID.
local function scan(options)
    options = options or {}
    local events<close> = assert(wifi.events('scan'))
    options.ifname = 'wlan1'
    await('a scan begins', function()
        local ok, err = wifi.scan('trigger', options)
        check(ok or err:find('busy'), err)
        return ok
    end)
    check(events:wait(30, function(cmd, attrs, index)
        if nl.attr_get_u32(attrs[wifi.ATTR_IFINDEX]) == index then
            return cmd == wifi.CMD_NEW_SCAN_RESULTS or cmd == wifi.CMD_SCAN_ABORTED and false or nil
        end
    end, socket.if_nametoindex('wlan1')))
    local found = {}
    for _, bss in ipairs(assert(wifi.scan('dump', { ifname = 'wlan1', keep_elems = true }))) do
        found[bss.ssid or ''] = bss
    end
    return found
end

-- The network of that name, as soon as a scan finds it.
local function find(ssid)
    return await('the network ' .. ssid, function()
        return scan({ ssids = { '' }, freqs = { 2437 } })[ssid]
    end)
end

case('interfaces', function()
    local all = assert(wifi.get_interfaces())
    same(#all, 2)
    for _, info in ipairs(all) do
        local told = run('iw', 'dev', info.ifname, 'info')
        same(tonumber(told:match('ifindex (%d+)')), info.ifindex)
        same(tonumber(told:match('wiphy (%d+)')), info.phy)
        same(tonumber(told:match('wdev (0x%x+)')), info.wdev)
        same(told:match('addr (%S+)'), info.mac)
        same(told:match('type (%S+)'), wifi.iftype_name(info.iftype))
        same(info['4addr'], false)
        same(wifi.get_interface(info.ifname).mac, info.mac)
    end
    same(#assert(wifi.get_interfaces(wifi.phy_lookup('phy1'))), 1)
    fails('no dev', wifi.get_interface('none'))
end)

case('interfaces made, changed and removed', function()
    check(wifi.add_interface('phy1', 'sta1', { type = wifi.IFTYPE_STATION, mac = '02:00:00:00:77:01', ['4addr'] = true }))
    local info = wifi.get_interface('sta1')
    same(info.mac, '02:00:00:00:77:01')
    same(info['4addr'], true)
    fails('"sta1" already exists', wifi.add_interface('phy1', 'sta1'))
    check(wifi.set_interface('sta1', { type = wifi.IFTYPE_AP, ['4addr'] = false }))
    same(wifi.get_interface('sta1').iftype, wifi.IFTYPE_AP)
    check(wifi.del_interface('sta1'))
    fails('"sta1" not exists', wifi.del_interface('sta1'))
    fails('"phy9" not exists', wifi.add_interface('phy9', 'x'))
    fails('netlink error: No such device', wifi.add_interface(99, 'x', { type = wifi.IFTYPE_STATION }))
end)

case('frequencies', function()
    local told = run('iw', 'phy', 'phy0', 'info')
    local count = 0
    for freq, channel, rest in told:gmatch('%* (%d+)%.?%d* MHz %[(%d+)%] ([^\n]*)') do
        count = count + 1
        local found
        for _, frequency in ipairs(assert(wifi.get_freqlist('phy0'))) do
            if frequency.freq == tonumber(freq) then found = frequency end
        end
        check(found, freq)
        same(found.channel, tonumber(channel))
        same(found.flags.DISABLED == true, rest:find('disabled') ~= nil, freq)
        if not found.flags.DISABLED then
            same(found.flags.RADAR == true, rest:find('radar') ~= nil, freq)
            same(found.max_power, tonumber(rest:match('%((%S+) dBm')), freq)
        end
    end
    check(count > 20, count)
    local features = assert(wifi.get_protocol_features('phy0'))
    check(features & wifi.PROTOCOL_FEATURE_SPLIT_WIPHY_DUMP ~= 0)
end)

case('an open network', function()
    serve('ssid=open house\nieee80211n=1\ncountry_code=DE\nieee80211d=1\nbss_load_update_period=10\nvendor_elements=dd0a00e04c01020304050607\n')
    check(ip.link.set('wlan1', { up = true }))
    local bss = find 'open house'
    same(bss.bssid, wifi.get_interface('wlan0').mac)
    same(bss.freq, 2437)
    same(bss.channel, 6)
    same(bss.band, 2.4)
    same(bss.caps.ESS, true)
    same(bss.caps.PRIVACY, nil)
    same(bss.rsn, nil)
    same(bss.beacon_interval, 100)
    check(bss.signal < 0 and bss.signal > -100)
    same(bss.country.code, 'DE')
    check(#bss.country.channels > 0 and bss.country.channels[1].max_power > 0)
    check(bss.ht.streams >= 1 and bss.ht.primary_channel == 6)
    same(bss.elems[0][1], 'open house')
    local vendor
    for _, one in ipairs(bss.vendors) do vendor = one.oui == '00:e0:4c' and one or vendor end
    same(vendor.name, 'Realtek')
    local told = run('iw', 'dev', 'wlan1', 'scan', 'dump')
    same(told:match('BSS (%x%x:[%x:]+)'), bss.bssid)
    same(tonumber(told:match('signal: (%S+)')), bss.signal)
    same(told:match('SSID: ([^\n]+)'), wifi.escape_ssid(bss.ssid))
    fails('no such device', wifi.scan('dump', { ifname = 'none' }))
end)

case('stations of an open network', function()
    fails('not connected', wifi.get_link('wlan1'))
    local own = wifi.get_interface('wlan1').mac
    run('iw', 'dev', 'wlan1', 'connect', 'open house')
    local link = await('a link', function() return wifi.get_link('wlan1') end)
    same(link.ssid, 'open house')
    same(link.status, 'associated')
    local station = await('a station', function()
        local list = assert(wifi.get_stations('wlan0'))
        return list[1] and list[1].authorized and (list[1].signal or 0) < 0 and list[1]
    end)
    same(station.mac, own)
    same(wifi.get_station('wlan0', own).mac, own)
    check(station.rx_bytes >= 0 and station.tx_packets >= 0 and station.connected_time >= 0 and station.inactive_time >= 0)
    same(station.associated, true)
    check(station.tx_rate == nil or station.tx_rate.rate > 0)
    local told = run('iw', 'dev', 'wlan0', 'station', 'dump')
    same(told:match('Station (%S+)'), own)
    same(tonumber(told:match('signal:%s+(%S+)')), wifi.get_station('wlan0', own).signal)
    check(wifi.get_link('wlan1').rx_packets >= 0)
    fails('netlink error: No such file or directory', wifi.get_station('wlan0', '02:00:00:00:99:99'))
    -- Its leaving is an event that somebody waits for.
    local events<close> = assert(wifi.events('mlme'))
    run('iw', 'dev', 'wlan1', 'disconnect')
    check(events:wait(30, function(cmd) return cmd == wifi.CMD_DEL_STATION or nil end))
    await('no station', function() return #wifi.get_stations('wlan0') == 0 end)
end)

case('surveys', function()
    local surveys = assert(wifi.get_surveys('wlan1'))
    check(#surveys > 0 and surveys[1].frequency > 2000)
    same(math.type(wifi.get_noise('wlan1')), 'integer')
    fails('no dev', wifi.get_surveys('none'))
end)

case('WPA2', function()
    serve('ssid=wpa2\nwpa=2\nwpa_passphrase=12345678\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\n')
    local bss = find 'wpa2'
    same(bss.caps.PRIVACY, true)
    same(bss.rsn.version, 1)
    same(bss.rsn.group_cipher, 'CCMP')
    same(bss.rsn.pair_ciphers.CCMP, true)
    same(bss.rsn.auth_suites.PSK, true)
    same(bss.wpa, nil)
end)

case('WPA and WPA2', function()
    serve('ssid=both\nwpa=3\nwpa_passphrase=12345678\nwpa_key_mgmt=WPA-PSK\nwpa_pairwise=TKIP\nrsn_pairwise=CCMP\n')
    local bss = find 'both'
    same(bss.wpa.group_cipher, 'TKIP')
    same(bss.wpa.auth_suites.PSK, true)
    same(bss.rsn.group_cipher, 'TKIP')
    same(bss.rsn.pair_ciphers.CCMP, true)
end)

case('WPA3', function()
    serve('ssid=wpa3\nwpa=2\nsae_password=12345678\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\n')
    local bss = find 'wpa3'
    same(bss.rsn.auth_suites.SAE, true)
end)

case('frames through a monitor', function()
    check(wifi.add_interface('phy1', 'mon1', { type = wifi.IFTYPE_MONITOR }))
    same(wifi.get_interface('mon1').iftype, wifi.IFTYPE_MONITOR)
    check(ip.link.set('wlan1', { down = true }))
    check(ip.link.set('mon1', { up = true }))
    run('iw', 'dev', 'mon1', 'set', 'freq', '2437')
    local s<close> = assert(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(socket.ETH_P_ALL)))
    check(s:bind { ifname = 'mon1' })
    local beacon = await('a beacon', function()
        local data = assert(s:recvfrom(4096, 30))
        local frame = packet.from_radiotap(data)
        return frame and wifi.ftype_name(frame.type, frame.subtype) == 'BEACON' and frame
    end)
    same(beacon.ssid, 'wpa3')
    check(wifi.del_interface('mon1'))
end)

case('links of kinds that not every kernel has', function()
    check(ip.link.add('dum', { kind = 'dummy', up = true }))
    check(ip.link.add('tagged', { kind = 'vlan', link = 'dum', id = 7 }))
    same(ip.link.get('tagged').kind, 'vlan')
    same(ip.link.get('tagged').link, ip.link.get('dum').ifindex)
    check(ip.link.del('tagged') and ip.link.del('dum'))
end)

access_point:kill(15)
access_point:wait(30)
access_point:close()
print('all cases passed')
