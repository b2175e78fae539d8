-- Requests to the wireless devices, their answers as tables, and events.

local internal, decode, text = ...
local nl, genl, socket = require 'eco.nl', require 'eco.genl', require 'eco.socket'

local M = setmetatable({}, { __index = internal })
local NO_ENTRY = 'netlink error: No such file or directory'
local u8, u16, u32, u64 = nl.attr_get_u8, nl.attr_get_u16, nl.attr_get_u32, nl.attr_get_u64
local s8, s32, bytes, nested = nl.attr_get_s8, nl.attr_get_s32, nl.attr_get_payload, nl.parse_attr_nested

local function mac_text(attr) return text(bytes(attr)) end

-- The value of an attribute that may be absent or too short, by a getter.
local function get(getter, attr)
    local ok, value = pcall(getter, attr)
    return ok and value or nil
end

-- Attributes of an answer; none of one that is cut.
local function attrs_of(ker)
    return genl.parse_genlmsghdr(ker) and ker:parse_attr(genl.GENLMSGHDR_SIZE) or {}
end

-- Sends a request that `fill` completes. A driver that was loaded anew has another number: then once more.
local function request(method, cmd, flags, fill, ...)
    local id, err = genl.get_family_id('nl80211')
    while id do
        local msg, failure = nl.nlmsg(id, nl.NLM_F_REQUEST | flags), nil
        msg:put(genl.genlmsghdr { cmd = cmd })
        fill(function(put, ...)
            if not failure then
                local ok, reason = msg['put_attr' .. put](msg, ...)
                failure = not ok and reason or nil
            end
        end)
        if failure then
            return nil, failure
        end
        local s<close>, reason = nl.open(nl.NETLINK_GENERIC)
        if not s then
            return nil, reason
        end
        local ok, why = s[method](s, msg, ...)
        if ok or why ~= NO_ENTRY then
            return ok, why
        end
        genl.forget('nl80211')
        local known = id
        id, err = genl.get_family_id('nl80211')
        if id == known then
            return nil, why
        end
    end
    return nil, err
end

-- The kernel may tell what it made before it acknowledges.
local function command(cmd, fill)
    return request('request_ack', cmd, nl.NLM_F_ACK, fill, nil, nil, function() end)
end

-- Calls `take(attrs)` for each answer, until it gives true.
local function ask(cmd, flags, fill, take)
    return request('request_dump', cmd, flags, fill, function(ker)
        return take(attrs_of(ker))
    end)
end

-- What `take` makes of the first answer.
local function single(cmd, fill, take)
    local answered, value
    local ok, err = ask(cmd, 0, fill, function(attrs)
        answered, value = true, take(attrs)
        return true
    end)
    if not ok then
        return nil, err
    elseif not answered then
        return nil, 'no msg responsed'
    end
    return true, value
end

-- What `take` makes of each of them.
local function list(cmd, fill, take)
    return nl.collect(function(on_attrs)
        return ask(cmd, nl.NLM_F_DUMP, fill, on_attrs)
    end, take)
end

local function check_name(ifname)
    if type(ifname) ~= 'string' then
        error('invalid ifname', 3)
    end
end

local function available()
    return genl.get_family_id('nl80211')
end

local function of_interface(index)
    return function(put)
        put('_u32', M.ATTR_IFINDEX, index)
    end
end

local function mac_bytes(mac, message)
    if type(mac) ~= 'string' or not mac:find('^' .. ('%x%x:'):rep(5) .. '%x%x$') then
        error(message, 3)
    end
    return (mac:gsub('(%x%x):?', function(pair) return string.char(tonumber(pair, 16)) end))
end

function M.phy_lookup(name)
    local f = not tostring(name):find('[/%z]') and io.open('/sys/class/ieee80211/' .. name .. '/index')
    if not f then
        return false
    end
    local index = f:read('n')
    f:close()
    return index or false
end

local function phy_index(phy)
    if type(phy) == 'number' then
        return phy
    elseif type(phy) ~= 'string' then
        error('invalid phy', 3)
    end
    local index = M.phy_lookup(phy)
    if not index then
        return nil, '"' .. phy .. '" not exists'
    end
    return index
end

local function put_interface(put, attrs)
    attrs = attrs or {}
    if attrs.type ~= nil then
        put('_u32', M.ATTR_IFTYPE, attrs.type)
    end
    if attrs.mac ~= nil then
        put('', M.ATTR_MAC, mac_bytes(attrs.mac, 'invalid mac'))
    end
    if attrs['4addr'] ~= nil then
        put('_u8', M.ATTR_4ADDR, attrs['4addr'] and 1 or 0)
    end
end

function M.add_interface(phy, ifname, attrs)
    check_name(ifname)
    local index, err = phy_index(phy)
    if not index then
        return nil, err
    elseif socket.if_nametoindex(ifname) then
        return nil, '"' .. ifname .. '" already exists'
    end
    return command(M.CMD_NEW_INTERFACE, function(put)
        put('_u32', M.ATTR_WIPHY, index)
        put('_strz', M.ATTR_IFNAME, ifname)
        put_interface(put, attrs)
    end)
end

local function change(cmd, ifname, attrs)
    local index = socket.if_nametoindex(ifname)
    if not index then
        return nil, '"' .. ifname .. '" not exists'
    end
    return command(cmd, function(put)
        put('_u32', M.ATTR_IFINDEX, index)
        put_interface(put, attrs)
    end)
end

function M.set_interface(ifname, attrs)
    check_name(ifname)
    return change(M.CMD_SET_INTERFACE, ifname, attrs)
end

function M.del_interface(ifname)
    check_name(ifname)
    return change(M.CMD_DEL_INTERFACE, ifname)
end

local function interface_of(attrs)
    local info = {
        phy = get(u32, attrs[M.ATTR_WIPHY]),
        iftype = get(u32, attrs[M.ATTR_IFTYPE]),
        ifname = get(nl.attr_get_str, attrs[M.ATTR_IFNAME]),
        ifindex = get(u32, attrs[M.ATTR_IFINDEX]),
        wdev = get(u64, attrs[M.ATTR_WDEV]),
        ['4addr'] = get(u8, attrs[M.ATTR_4ADDR]) == 1,
        mac = get(mac_text, attrs[M.ATTR_MAC]),
        ssid = get(bytes, attrs[M.ATTR_SSID]),
        freq = get(u32, attrs[M.ATTR_WIPHY_FREQ]),
        txpower = get(s32, attrs[M.ATTR_WIPHY_TX_POWER_LEVEL]),
    }
    if info.freq then
        info.channel_width = get(u32, attrs[M.ATTR_CHANNEL_WIDTH])
        if info.channel_width then
            info.center_freq1 = get(u32, attrs[M.ATTR_CENTER_FREQ1])
            info.center_freq2 = get(u32, attrs[M.ATTR_CENTER_FREQ2])
        else
            info.channel_type = get(u32, attrs[M.ATTR_WIPHY_CHANNEL_TYPE])
        end
    end
    return info
end

function M.get_interface(ifname)
    check_name(ifname)
    local index = socket.if_nametoindex(ifname)
    if not index then
        return nil, 'no dev'
    end
    local ok, value = single(M.CMD_GET_INTERFACE, of_interface(index), interface_of)
    if not ok then
        return nil, value
    end
    return value
end

function M.get_interfaces(phy)
    if phy ~= nil and type(phy) ~= 'number' then
        error('invalid phy index', 2)
    end
    return list(M.CMD_GET_INTERFACE, function(put)
        if phy then
            put('_u32', M.ATTR_WIPHY, phy)
        end
    end, interface_of)
end

local STATUSES = {
    [M.BSS_STATUS_AUTHENTICATED] = 'authenticated', [M.BSS_STATUS_ASSOCIATED] = 'associated', [M.BSS_STATUS_IBSS_JOINED] = 'ibss_joined',
}

local function bss_of(attrs, keep)
    local t = get(nested, attrs[M.ATTR_BSS])
    local bssid, caps = t and t[M.BSS_BSSID], t and get(u16, t[M.BSS_CAPABILITY])
    if not bssid or not caps then
        return nil
    end
    local freq, signal = get(u32, t[M.BSS_FREQUENCY]), get(s32, t[M.BSS_SIGNAL_MBM])
    local bss = {
        bssid = get(mac_text, bssid),
        caps = { ESS = caps & 1 ~= 0 or nil, IBSS = caps & 2 ~= 0 or nil, PRIVACY = caps & 16 ~= 0 or nil },
        freq = freq,
        channel = freq and M.freq_to_channel(freq),
        band = freq and M.freq_to_band(freq),
        beacon_interval = get(u16, t[M.BSS_BEACON_INTERVAL]),
        signal = signal and signal / 100,
        status = STATUSES[get(u32, t[M.BSS_STATUS])],
        seen_ms_ago = get(u32, t[M.BSS_SEEN_MS_AGO]),
    }
    local elements = get(bytes, t[M.BSS_INFORMATION_ELEMENTS])
    if elements then
        decode(bss, elements, keep)
    end
    return bss
end

local actions = {}

function actions.trigger(index, params)
    return command(M.CMD_TRIGGER_SCAN, function(put)
        put('_u32', M.ATTR_IFINDEX, index)
        for _, group in ipairs { { 'ssids', M.ATTR_SCAN_SSIDS, '' }, { 'freqs', M.ATTR_SCAN_FREQUENCIES, '_u32' } } do
            local values = params[group[1]]
            if values and values[1] ~= nil then
                put('_nest_start', group[2])
                for i, value in ipairs(values) do
                    put(group[3], i, value)
                end
                put('_nest_end')
            end
        end
        if params.ie then
            put('', M.ATTR_IE, params.ie)
        end
    end)
end

function actions.abort(index)
    return command(M.CMD_ABORT_SCAN, of_interface(index))
end

function actions.dump(index, params)
    return list(M.CMD_GET_SCAN, of_interface(index), function(attrs)
        return bss_of(attrs, params.keep_elems)
    end)
end

function M.scan(action, params)
    local act = actions[action]
    if not act then
        error('invalid scan action', 2)
    end
    local ok, err = available()
    if not ok then
        return nil, err
    end
    check_name(params and params.ifname)
    local index = socket.if_nametoindex(params.ifname)
    if not index then
        return nil, 'no such device'
    end
    return act(index, params)
end

-- The first of the ways of coding that a rate names: field, attribute of the index, of the streams.
local CODINGS = {
    { 'eht', M.RATE_INFO_EHT_MCS, M.RATE_INFO_EHT_NSS },
    { 'he', M.RATE_INFO_HE_MCS, M.RATE_INFO_HE_NSS },
    { 'vht', M.RATE_INFO_VHT_MCS, M.RATE_INFO_VHT_NSS },
}
local WIDTHS = {
    { M.RATE_INFO_5_MHZ_WIDTH, 5 }, { M.RATE_INFO_10_MHZ_WIDTH, 10 }, { M.RATE_INFO_40_MHZ_WIDTH, 40 }, { M.RATE_INFO_80_MHZ_WIDTH, 80 },
    { M.RATE_INFO_80P80_MHZ_WIDTH, 160 }, { M.RATE_INFO_160_MHZ_WIDTH, 160 }, { M.RATE_INFO_320_MHZ_WIDTH, 320 },
}

local function rate_of(attr)
    local t = nested(attr)
    local rate = {
        rate = (get(u32, t[M.RATE_INFO_BITRATE32]) or get(u16, t[M.RATE_INFO_BITRATE]) or 0) / 10,
        width = 20,
        short_gi = t[M.RATE_INFO_SHORT_GI] and true,
        eht_gi = get(u8, t[M.RATE_INFO_EHT_GI]),
        he_gi = get(u8, t[M.RATE_INFO_HE_GI]),
        he_dcm = get(u8, t[M.RATE_INFO_HE_DCM]),
        he_ru_alloc = get(u8, t[M.RATE_INFO_HE_RU_ALLOC]),
    }
    for _, width in ipairs(WIDTHS) do
        rate.width = t[width[1]] and width[2] or rate.width
    end
    for _, coding in ipairs(CODINGS) do
        if t[coding[2]] then
            rate[coding[1]], rate.mcs, rate.nss = true, get(u8, t[coding[2]]), get(u8, t[coding[3]])
            return rate
        end
    end
    rate.mcs = get(u8, t[M.RATE_INFO_MCS])
    return rate
end

local FIELDS = {
    inactive_time = { u32, M.STA_INFO_INACTIVE_TIME }, connected_time = { u32, M.STA_INFO_CONNECTED_TIME },
    beacon_loss = { u32, M.STA_INFO_BEACON_LOSS }, beacon_rx = { u64, M.STA_INFO_BEACON_RX },
    rx_packets = { u32, M.STA_INFO_RX_PACKETS }, tx_packets = { u32, M.STA_INFO_TX_PACKETS },
    tx_retries = { u32, M.STA_INFO_TX_RETRIES }, tx_failed = { u32, M.STA_INFO_TX_FAILED },
    signal = { s8, M.STA_INFO_SIGNAL }, signal_avg = { s8, M.STA_INFO_SIGNAL_AVG },
    beacon_signal_avg = { s8, M.STA_INFO_BEACON_SIGNAL_AVG }, ack_signal = { s8, M.STA_INFO_ACK_SIGNAL },
    ack_signal_avg = { s8, M.STA_INFO_ACK_SIGNAL_AVG }, rx_rate = { rate_of, M.STA_INFO_RX_BITRATE },
    tx_rate = { rate_of, M.STA_INFO_TX_BITRATE }, expected_throughput = { u32, M.STA_INFO_EXPECTED_THROUGHPUT },
}

local function station_of(attrs, noise)
    local t = get(nested, attrs[M.ATTR_STA_INFO])
    if not t then
        return nil
    end
    local station = { mac = get(mac_text, attrs[M.ATTR_MAC]), noise = noise }
    for name, field in pairs(FIELDS) do
        station[name] = get(field[1], t[field[2]])
    end
    station.rx_bytes = get(u64, t[M.STA_INFO_RX_BYTES64]) or get(u32, t[M.STA_INFO_RX_BYTES])
    station.tx_bytes = get(u64, t[M.STA_INFO_TX_BYTES64]) or get(u32, t[M.STA_INFO_TX_BYTES])
    local flags = get(bytes, t[M.STA_INFO_STA_FLAGS])
    for name, value in pairs(flags and get(M.parse_sta_flag_update, flags) or {}) do
        station[name] = value
    end
    return station
end

local function survey_of(attrs)
    local t = get(nested, attrs[M.ATTR_SURVEY_INFO]) or {}
    return {
        frequency = get(u32, t[M.SURVEY_INFO_FREQUENCY]),
        noise = get(s8, t[M.SURVEY_INFO_NOISE]),
        in_use = t[M.SURVEY_INFO_IN_USE] and true,
        active_time = get(u64, t[M.SURVEY_INFO_TIME]),
        busy_time = get(u64, t[M.SURVEY_INFO_TIME_BUSY]),
    }
end

local function surveys(index)
    return list(M.CMD_GET_SURVEY, of_interface(index), survey_of)
end

local function noise_at(index)
    local found, err = surveys(index)
    if not found then
        return nil, err
    end
    for _, survey in ipairs(found) do
        if survey.noise then
            return survey.noise
        end
    end
    return 0
end

-- Runs `f(index)` for the interface of that name.
local function with_interface(ifname, f)
    local index = socket.if_nametoindex(ifname)
    if not index then
        return nil, 'no dev'
    end
    return f(index)
end

function M.get_surveys(ifname)
    check_name(ifname)
    return with_interface(ifname, surveys)
end

function M.get_noise(ifname)
    check_name(ifname)
    return with_interface(ifname, noise_at)
end

local function station_at(index, mac, noise)
    local ok, station = single(M.CMD_GET_STATION, function(put)
        put('_u32', M.ATTR_IFINDEX, index)
        put('', M.ATTR_MAC, mac)
    end, function(attrs)
        return station_of(attrs, noise)
    end)
    if not ok then
        return nil, station
    elseif not station then
        return nil, 'invalid received'
    end
    return station
end

function M.get_station(ifname, mac)
    check_name(ifname)
    local peer = mac_bytes(mac, 'invalid mac')
    local ok, err = available()
    if not ok then
        return nil, err
    end
    return with_interface(ifname, function(index) return station_at(index, peer, noise_at(index) or 0) end)
end

function M.get_stations(ifname)
    check_name(ifname)
    local ok, err = available()
    if not ok then
        return nil, err
    end
    return with_interface(ifname, function(index)
        local noise = noise_at(index) or 0
        return list(M.CMD_GET_STATION, of_interface(index), function(attrs)
            return station_of(attrs, noise)
        end)
    end)
end

local FROM_STATION = { 'rx_bytes', 'rx_packets', 'tx_bytes', 'tx_packets', 'tx_rate', 'rx_rate', 'signal', 'ack_signal_avg' }

function M.get_link(ifname)
    check_name(ifname)
    local ok, err = available()
    if not ok then
        return nil, err
    end
    local index = socket.if_nametoindex(ifname)
    for _, bss in ipairs(index and actions.dump(index, {}) or {}) do
        if bss.status == 'associated' or bss.status == 'ibss_joined' then
            local station = station_at(index, mac_bytes(bss.bssid, 'invalid mac'))
            for _, name in ipairs(station and FROM_STATION or {}) do
                bss[name] = station[name]
            end
            return bss
        end
    end
    return nil, 'not connected'
end

function M.get_protocol_features(phy)
    local index, err = phy_index(phy)
    if not index then
        return nil, err
    end
    local ok, features = single(M.CMD_GET_PROTOCOL_FEATURES, function(put)
        put('_u32', M.ATTR_WIPHY, index)
    end, function(attrs)
        return get(u32, attrs[M.ATTR_PROTOCOL_FEATURES]) or 0
    end)
    if not ok then
        return nil, features
    end
    return features
end

local BANDS = { [M.BAND_2GHZ] = 2.4, [M.BAND_5GHZ] = 5, [M.BAND_60GHZ] = 60, [M.BAND_6GHZ] = 6 }
local FREQUENCY_FLAGS = {}
for name, flag in ([[
DISABLED=DISABLED RADAR=RADAR INDOOR_ONLY=INDOOR_ONLY NO_HT40_MINUS=NO_HT40- NO_HT40_PLUS=NO_HT40+ NO_80MHZ=NO_80MHZ
NO_160MHZ=NO_160MHZ NO_320MHZ=NO_320MHZ NO_20MHZ=NO_20MHZ NO_10MHZ=NO_10MHZ NO_HE=NO_HE NO_EHT=NO_EHT
]]):gmatch('(%S+)=(%S+)') do
    FREQUENCY_FLAGS[M['FREQUENCY_ATTR_' .. name]] = flag
end

local function frequency_of(attr, band)
    local t = get(nested, attr) or {}
    local freq = get(u32, t[M.FREQUENCY_ATTR_FREQ])
    if not freq then
        return nil
    end
    local flags = {}
    for number, name in pairs(FREQUENCY_FLAGS) do
        flags[name] = t[number] and true
    end
    flags.NO_IR = t[M.FREQUENCY_ATTR_NO_IR] and not flags.RADAR or nil
    local power = get(u32, t[M.FREQUENCY_ATTR_MAX_TX_POWER])
    return {
        freq = freq, channel = M.freq_to_channel(freq), band = BANDS[band] or band, flags = flags,
        -- 4.x has this one here.
        NO_HE = flags.NO_HE,
        max_power = power and power / 100,
    }
end

function M.get_freqlist(phy)
    local index, err = phy_index(phy)
    if not index then
        return nil, err
    end
    local found = {}
    local ok, reason = ask(M.CMD_GET_WIPHY, nl.NLM_F_DUMP, function(put)
        put('_u32', M.ATTR_WIPHY, index)
        put('_flag', M.ATTR_SPLIT_WIPHY_DUMP)
    end, function(attrs)
        for band, attr in pairs(get(nested, attrs[M.ATTR_WIPHY_BANDS]) or {}) do
            local t = get(nested, attr) or {}
            for _, frequency in pairs(get(nested, t[M.BAND_ATTR_FREQS]) or {}) do
                found[#found + 1] = frequency_of(frequency, band)
            end
        end
    end)
    if not ok then
        return nil, reason
    end
    table.sort(found, function(a, b) return a.freq < b.freq end)
    return found
end

local events = {}
local events_metatable = { __index = events, __name = 'eco.nl80211.events' }

-- Joins a group before what causes its events is begun: none is missed.
function M.events(group)
    local id = genl.get_group_id('nl80211', group)
    if not id then
        return nil, 'not support'
    end
    local s, err = nl.open(nl.NETLINK_GENERIC)
    if not s then
        return nil, err
    end
    local ok
    ok, err = s:bind(0)
    if ok then
        ok, err = s:add_membership(id)
    end
    if not ok then
        s:close()
        return nil, err
    end
    return setmetatable({ socket = s }, events_metatable)
end

function events:wait(timeout, cb, data)
    return self.socket:recv_messages(function(ker, hdr)
        if hdr.type >= nl.NLMSG_MIN_TYPE then
            local header = genl.parse_genlmsghdr(ker)
            if header then
                return cb(header.cmd, attrs_of(ker), data)
            end
        end
    end, nil, nil, timeout)
end

function events:close()
    self.socket:close()
end

events_metatable.__close = events.close

function M.wait_event(group, timeout, cb, data)
    local e<close>, err = M.events(group)
    if not e then
        return nil, err
    end
    return e:wait(timeout, cb, data)
end

return M
