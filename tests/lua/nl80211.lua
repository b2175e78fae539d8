-- Module `eco.nl80211` without a kernel: answers recorded from simulated radios, and what a hostile station sends.
-- With a kernel: `wifi.lua`.

local eco = require 'eco'
local base64 = require 'eco.encoding.base64'
local file = require 'eco.file'
local nl = require 'eco.nl'
local socket = require 'eco.socket'
local wifi = require 'eco.nl80211'

local pack, unpack = string.pack, string.unpack
local little = pack('=I2', 1) == '\1\0'

local function pad(data) return data .. ('\0'):rep(-#data % 4) end

-- Recordings are little-endian: what is made of them elsewhere has the order of the machine. Attributes of raw bytes, by
-- nest; all others of 2, 4 and 8 bytes are numbers.
local RAW = {
    [wifi.ATTR_MAC] = true, [wifi.ATTR_IFNAME] = true, [wifi.ATTR_WIPHY_NAME] = true, [wifi.ATTR_SSID] = true,
    [wifi.ATTR_BSS] = { [wifi.BSS_BSSID] = true, [wifi.BSS_INFORMATION_ELEMENTS] = true, [wifi.BSS_BEACON_IES] = true },
    [wifi.ATTR_STA_INFO] = { [wifi.STA_INFO_RX_BITRATE] = {}, [wifi.STA_INFO_TX_BITRATE] = {}, [wifi.STA_INFO_BSS_PARAM] = {},
        [wifi.STA_INFO_STA_FLAGS] = 'pairs' },
    [wifi.ATTR_WIPHY_BANDS] = setmetatable({}, { __index = function()
        return { [wifi.BAND_ATTR_FREQS] = setmetatable({}, { __index = function() return {} end }), [wifi.BAND_ATTR_RATES] = true,
            [wifi.BAND_ATTR_HT_MCS_SET] = true, [wifi.BAND_ATTR_VHT_MCS_SET] = true }
    end }),
}

local function native_attributes(data, raw)
    if little then return data end
    local parts, place = {}, 1
    while place + 3 <= #data do
        local length, kind = unpack('<I2I2', data, place)
        local payload, spec = data:sub(place + 4, place + length - 1), raw[kind & 0x3fff]
        if type(spec) == 'table' then
            payload = native_attributes(payload, spec)
        elseif spec == 'pairs' then
            payload = pack('=I4I4', unpack('<I4I4', payload))
        elseif not spec and (#payload == 2 or #payload == 4 or #payload == 8) then
            local width = #payload
            payload = pack('=I' .. width, (unpack('<I' .. width, payload)))
        end
        parts[#parts + 1] = pad(pack('=I2I2', length, kind) .. payload)
        place = place + (length + 3 & ~3)
    end
    return table.concat(parts)
end

-- The payloads of the messages of a recording.
local function recorded(name)
    local messages = {}
    for lines in (file.readfile(name) .. '\n'):gmatch('(.-)\n\n') do
        local data, place = base64.decode((lines:gsub('%s', ''))), 1
        while place < #data do
            local length = unpack('<I4', data, place)
            local payload = data:sub(place + 16, place + length - 1)
            messages[#messages + 1] = payload:sub(1, 4) .. native_attributes(payload:sub(5), RAW)
            place = place + (length + 3 & ~3)
        end
    end
    assert(#messages > 0)
    return messages
end

local FAMILY = 40

local function attr(kind, payload) return pad(pack('=I2I2', 4 + #payload, kind) .. payload) end

-- The kernel of the test: `answers[cmd]` are the payloads that a command gives.
local answers = {}

local function message(kind, seq, payload)
    return pad(pack('=I4I2I2I4I4', 16 + #payload, kind, 2, seq, 77) .. payload)
end

local function fake_netlink()
    local queue = {}
    local self = { closed = false }
    function self:sendto(data)
        eco.yield()
        local _, kind, flags, seq = unpack('=I4I2I2I4', data)
        local cmd = data:byte(17)
        local given = answers[cmd] or {}
        if kind == 16 then
            given = { '\1\2\0\0' .. attr(1, pack('=I2', FAMILY)) .. attr(2, 'nl80211\0') }
        end
        for _, payload in ipairs(given) do
            queue[#queue + 1] = message(kind, seq, payload)
        end
        if flags & nl.NLM_F_DUMP ~= 0 then
            queue[#queue + 1] = message(nl.NLMSG_DONE, seq, pack('=i4', 0))
        else
            queue[#queue + 1] = message(nl.NLMSG_ERROR, seq, pack('=i4', -2) .. data:sub(1, 16))
        end
        return #data
    end
    function self:recvfrom() return table.remove(queue, 1), { pid = 0 } end
    function self:getsockname() return { pid = 77 } end
    function self:close() self.closed = true end
    return self
end

socket.netlink = fake_netlink
socket.if_nametoindex = function(name) return name ~= 'none' and 3 or nil end
wifi.phy_lookup = function(name) return name == 'phy0' and 0 end

local function scan(messages, options)
    answers = { [wifi.CMD_GET_SCAN] = messages }
    options = options or {}
    options.ifname = 'wlan1'
    local found = {}
    for _, bss in ipairs(assert(wifi.scan('dump', options))) do found[bss.ssid or ''] = bss end
    return found
end

case('interfaces', function()
    answers = { [wifi.CMD_GET_INTERFACE] = recorded('interfaces') }
    local all = assert(wifi.get_interfaces())
    T.eq(#all, 2)
    table.sort(all, function(a, b) return a.ifindex < b.ifindex end)
    T.eq(all[1], { phy = 0, iftype = wifi.IFTYPE_STATION, ifname = 'wlan0', ifindex = 2, wdev = 1, ['4addr'] = false, mac = '02:00:00:00:00:00',
        txpower = all[1].txpower })
    assert(wifi.get_interface('wlan0').wdev)
    T.fails('no dev', wifi.get_interface('none'))
    answers = {}
    T.eq(wifi.get_interfaces(), {})
    T.fails('netlink error: No such file or directory', wifi.get_interface('wlan0'))
    T.raises('invalid phy index', wifi.get_interfaces, 'phy0')
    T.raises('invalid ifname', wifi.get_interface)
    T.raises('invalid phy', wifi.add_interface, {}, 'x')
    T.fails('"phy9" not exists', wifi.add_interface('phy9', 'none'))
    T.raises('invalid mac', wifi.set_interface, 'wlan0', { mac = '2:3' })
end)

case('networks', function()
    local bss = scan(recorded('open'), { keep_elems = true })['open house']
    T.eq({ bss.bssid, bss.freq, bss.channel, bss.band, bss.beacon_interval }, { '02:00:00:00:00:00', 2437, 6, 2.4, 100 })
    T.eq(bss.caps, { ESS = true })
    T.eq({ bss.country.code, bss.ht.primary_channel, bss.elems[0] }, { 'DE', 6, { 'open house' } })
    assert(bss.signal < 0 and math.type(bss.signal) == 'float')
    T.eq({ bss.rsn, bss.wpa }, {})
    bss = scan(recorded('wpa2')).wpa2
    T.eq(bss.rsn, { version = 1, group_cipher = 'CCMP', pair_ciphers = { CCMP = true }, auth_suites = { PSK = true } })
    T.eq({ bss.caps.PRIVACY, bss.elems }, { true })
    bss = scan(recorded('wpa')).both
    T.eq(bss.wpa, { version = 1, group_cipher = 'TKIP', pair_ciphers = { TKIP = true }, auth_suites = { PSK = true } })
    T.eq(bss.rsn.group_cipher, 'TKIP')
    T.eq(scan(recorded('wpa3')).wpa3.rsn.auth_suites, { SAE = true })
    T.raises('invalid scan action', wifi.scan, 'look')
    T.raises('invalid ifname', wifi.scan, 'dump')
    T.fails('no such device', wifi.scan('dump', { ifname = 'none' }))
end)

case('stations', function()
    answers = { [wifi.CMD_GET_STATION] = recorded('stations') }
    local station = assert(wifi.get_stations('wlan0'))[1]
    T.eq({ station.mac, station.noise, station.authorized, station.associated, station.mfp }, { '02:00:00:00:01:00', 0, true, true, false })
    assert(station.signal < 0 and station.rx_bytes >= 0 and station.connected_time >= 0)
    T.eq({ station.tx_rate.width, station.tx_rate.rate > 0 }, { 20, true })
    T.eq(wifi.get_station('wlan0', station.mac).signal, station.signal)
    T.raises('invalid mac', wifi.get_station, 'wlan0', 'x')
    T.fails('no dev', wifi.get_stations('none'))
    answers = { [wifi.CMD_GET_STATION] = { '\19\1\0\0' } }
    T.fails('invalid received', wifi.get_station('wlan0', station.mac))
    T.eq(wifi.get_stations('wlan0'), {})
    T.fails('not connected', wifi.get_link('wlan0'))
end)

case('frequencies', function()
    answers = { [wifi.CMD_GET_WIPHY] = recorded('frequencies') }
    local list = assert(wifi.get_freqlist('phy0'))
    assert(#list > 30)
    local by = {}
    for _, one in ipairs(list) do by[one.freq] = one end
    T.eq({ by[2412].channel, by[2412].band, by[2412].flags.DISABLED, by[5180].band, by[902].band }, { 1, 2.4, nil, 5, 4 })
    T.eq(by[2484].flags.NO_IR, true)
    T.fails('"phy9" not exists', wifi.get_freqlist('phy9'))
    T.raises('invalid phy', wifi.get_freqlist)
end)

case('surveys', function()
    local function survey(...) return '\51\1\0\0' .. attr(wifi.ATTR_SURVEY_INFO, table.concat { ... }) end
    answers = { [wifi.CMD_GET_SURVEY] = {
        survey(attr(1, pack('=I4', 2412))),
        survey(attr(1, pack('=I4', 2437)), attr(2, '\xa5'), attr(3, ''), attr(4, pack('=I8', 1000)), attr(5, pack('=I8', 10))),
        survey(attr(1, 'x')),
    } }
    T.eq(wifi.get_surveys('wlan0'), { { frequency = 2412 }, { frequency = 2437, noise = -91, in_use = true, active_time = 1000, busy_time = 10 }, {} })
    T.eq(wifi.get_noise('wlan0'), -91)
    answers = {}
    T.eq(wifi.get_noise('wlan0'), 0)
end)

case('elements that nobody should send', function()
    local function bss_with(elements, options)
        return scan({ '\34\1\0\0' .. attr(wifi.ATTR_BSS, attr(wifi.BSS_BSSID, '\2\0\0\0\0\9') .. attr(wifi.BSS_CAPABILITY, pack('=I2', 0x13))
            .. attr(wifi.BSS_INFORMATION_ELEMENTS, elements)) }, options)
    end
    -- Everything that is known, cut at each byte, and with each length.
    local all = ''
    local function element(id, payload) all = all .. string.char(id, #payload) .. payload end
    element(0, 'net')
    element(7, 'US \1\11\30\201\1\2')
    element(11, '\5\0\64\0\1')
    element(45, '\x6e\0\0\255\255' .. ('\0'):rep(21))
    element(48, '\1\0\0\15\172\4\1\0\0\15\172\4\2\0\0\15\172\2\0\15\172\8\12\0')
    element(61, '\6\1' .. ('\0'):rep(20))
    element(191, pack('<I4', 0x1234) .. '\xfa\xff' .. ('\0'):rep(6))
    element(192, '\1\50\0\0\0')
    element(221, '\0\80\242\1\1\0\0\80\242\2\1\0\0\80\242\2\1\0\0\80\242\2')
    element(221, '\0\80\242\4\16\17\0\3box\16\33\0\4Acme\16\68\0\1\2')
    element(255, '\35' .. ('\0'):rep(6) .. '\4' .. ('\0'):rep(10) .. '\xfa\xff')
    element(255, '\36\0\0\0\9\0\0')
    element(255, '\106\0')
    local bss = bss_with(all).net
    T.eq(bss.country, { code = 'US', environment = 'any', channels = { { first_channel = 1, channels = 11, max_power = 30 } } })
    T.eq(bss.bss_load, { station_count = 5, utilization = 64, admission_capacity = 256 })
    T.eq(bss.ht, { capabilities = 0x6e, width_40 = true, short_gi_20 = true, short_gi_40 = true, streams = 2, primary_channel = 6,
        secondary_channel = 'above' })
    T.eq(bss.vht, { capabilities = 0x1234, streams = 2, width = '80', center_channel_1 = 50, center_channel_2 = 0 })
    T.eq(bss.he, { width_40 = false, width_80 = true, width_160 = false, streams = 2, bss_color = 9 })
    T.eq(bss.eht, true)
    T.eq(bss.rsn.auth_suites, { PSK = true, SAE = true })
    T.eq(bss.wpa.pair_ciphers, { TKIP = true })
    T.eq(bss.wps, { device_name = 'box', manufacturer = 'Acme', configured = true })
    T.eq(bss.vendors[1], { oui = '00:50:f2', type = 1, name = 'Microsoft' })
    T.eq(bss.caps, { ESS = true, IBSS = true, PRIVACY = true })
    for length = 0, #all do
        bss_with(all:sub(1, length), { keep_elems = true })
    end
    for id = 0, 255 do
        for length = 0, 8 do
            bss_with(string.char(id, length) .. ('\255'):rep(length))
            bss_with(string.char(id, length) .. ('\0'):rep(length))
        end
    end
    -- The RSN and WPA elements without their ends have defaults.
    T.eq(bss_with('\48\2\1\0')[''].rsn, { version = 1, group_cipher = 'CCMP', pair_ciphers = { CCMP = true }, auth_suites = {} })
    T.eq(bss_with('\48\12\1\0\0\15\172\9\1\0\0\15\172\4')[''].rsn.auth_suites, { ['802.1X'] = true, ['8021x'] = true })
    T.eq(bss_with('\48\6\1\0\1\2\3\4')[''].rsn, { version = 1, pair_ciphers = { CCMP = true }, auth_suites = {} })
    T.eq(bss_with('\48\1\1')[''].rsn, nil)
    T.eq(bss_with('\221\4\0\80\242\1')[''].wpa, nil)
    -- Without its address or capabilities there is no network.
    T.eq(scan { '\34\1\0\0' .. attr(wifi.ATTR_BSS, attr(wifi.BSS_BSSID, 'xxxxxx')) }, {})
    T.eq(scan { '\34\1\0\0', '', '\34' }, {})
end)

case('answers that are cut', function()
    for _, name in ipairs { 'interfaces', 'open', 'stations' } do
        local one = recorded(name)[1]
        for length = 0, #one, #one // 150 + 1 do
            local cut = { one:sub(1, length) }
            answers = { [wifi.CMD_GET_INTERFACE] = cut, [wifi.CMD_GET_SCAN] = cut, [wifi.CMD_GET_STATION] = cut, [wifi.CMD_GET_WIPHY] = cut,
                [wifi.CMD_GET_SURVEY] = cut, [wifi.CMD_GET_PROTOCOL_FEATURES] = cut }
            assert(wifi.get_interfaces() and wifi.scan('dump', { ifname = 'x' }) and wifi.get_stations('x') and wifi.get_freqlist(0))
            assert(wifi.get_surveys('x') and wifi.get_protocol_features(0))
            wifi.get_station('x', '02:00:00:00:00:01')
            wifi.get_link('x')
        end
    end
end)

case('names', function()
    T.eq({ wifi.ftype_name(0, 1), wifi.ftype_name(0, 2), wifi.ftype_name(0, 8), wifi.ftype_name(1, 11), wifi.ftype_name(2, 8) },
        { 'ASSOC_RESP', 'REASSOC_REQ', 'BEACON', 'RTS', 'QOS_DATA' })
    T.eq({ wifi.ftype_name(0, 6), wifi.ftype_name(3, 0), wifi.ftype_name(9, 9) }, {})
    T.eq({ wifi.iftype_name(2), wifi.iftype_name(7), wifi.iftype_name(99) }, { 'managed', 'mesh point', 'Unknown' })
    T.eq({ wifi.width_name(0), wifi.width_name(13), wifi.width_name(6) }, { '20 MHz (no HT)', '320 MHz', 'Unknown' })
    T.eq({ wifi.channel_type_name(2), wifi.channel_type_name(9) }, { 'HT40-', 'Unknown' })
    T.eq(wifi.escape_ssid(), '')
    T.eq(wifi.escape_ssid(' a b\\c]^[~é\0 '), '\\x20a b\\x5cc]^[~\\xc3\\xa9\\x00\\x20')
    for freq, channel in pairs { [2412] = 1, [2484] = 14, [2483] = 15, [5180] = 36, [5900] = 180, [5925] = 185, [5955] = 1, [5935] = 0, [60480] = 0, [5160] = 0 } do
        T.eq(wifi.freq_to_channel(freq), channel)
    end
    for freq, band in pairs { [2412] = 2.4, [5160] = 5, [5900] = 'Unknown', [5925] = 6, [60480] = 60, [1] = 'Unknown' } do
        T.eq(wifi.freq_to_band(freq), band)
    end
    T.raises('number expected', wifi.freq_to_channel, 'x')
    T.raises('number expected', wifi.freq_to_band)
    T.eq(wifi.parse_sta_flag_update(pack('=I4I4', 0xff, 0x12)), { authorized = true, preamble = 'long', wme = false, mfp = true, authenticated = false,
        associated = false })
    T.eq(wifi.parse_sta_flag_update(pack('=I4I4', 4, 4) .. 'more'), { preamble = 'short' })
    T.raises('invalid sta flags', wifi.parse_sta_flag_update, '1234567')
    T.eq({ wifi.CMD_GET_SCAN, wifi.ATTR_BSS_SELECT, wifi.IFTYPE_OCB, wifi.FTYPE_EXT, wifi.STA_INFO_ASSOC_AT_BOOTTIME, wifi.WLAN_EID_RSN },
        { 32, 227, 11, 3, 42, 48 })
    assert(require 'eco.core.nl80211'.ATTR_IFINDEX == require 'eco.internal.nl80211'.ATTR_IFINDEX)
    T.fails('not support', wifi.wait_event('nosuch', 1, print))
end)
