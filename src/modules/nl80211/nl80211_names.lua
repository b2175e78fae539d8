-- What needs no socket: names of numbers, channels and bands, SSIDs as text.

local M = ...

-- Words by their place, counted from 0; `-` has no name.
local function names(text)
    local list, place = {}, 0
    for word in text:gmatch('[^|]+') do
        list[place] = word ~= '-' and word or nil
        place = place + 1
    end
    return list
end

local FRAMES = {
    [M.FTYPE_MGMT] = names 'ASSOC_REQ|ASSOC_RESP|REASSOC_REQ|REASSOC_RESP|PROBE_REQ|PROBE_RESP|-|-|BEACON|ATIM|DISASSOC|AUTH|DEAUTH|ACTION',
    [M.FTYPE_CTL] = names '-|-|TRIGGER|-|-|-|CTL_EXT|-|BACK_REQ|BACK|PSPOLL|RTS|CTS|ACK|CFEND|CFENDACK',
    [M.FTYPE_DATA] = names('DATA|DATA_CFACK|DATA_CFPOLL|DATA_CFACKPOLL|NULLFUNC|CFACK|CFPOLL|CFACKPOLL|QOS_DATA|QOS_DATA_CFACK|'
        .. 'QOS_DATA_CFPOLL|QOS_DATA_CFACKPOLL|QOS_NULLFUNC|QOS_CFACK|QOS_CFPOLL|QOS_CFACKPOLL'),
}
local INTERFACES = names('unspecified|IBSS|managed|AP|AP/VLAN|WDS|monitor|mesh point|P2P-client|P2P-GO|P2P-device|'
    .. 'outside context of a BSS')
local WIDTHS = names '20 MHz (no HT)|20 MHz|40 MHz|80 MHz|80+80 MHz|160 MHz'
WIDTHS[M.CHAN_WIDTH_320] = '320 MHz'
local CHANNELS = names 'NO HT|HT20|HT40-|HT40+'

function M.ftype_name(typ, subtype)
    return FRAMES[typ] and FRAMES[typ][subtype]
end

function M.iftype_name(n) return INTERFACES[n] or 'Unknown' end
function M.width_name(n) return WIDTHS[n] or 'Unknown' end
function M.channel_type_name(n) return CHANNELS[n] or 'Unknown' end

local function number(freq)
    if type(freq) ~= 'number' then
        error('bad argument #1 (number expected, got ' .. type(freq) .. ')', 3)
    end
    return freq
end

function M.freq_to_channel(freq)
    number(freq)
    if freq == 2484 then
        return 14
    elseif freq >= 2412 and freq < 2484 then
        return (freq - 2407) // 5
    elseif freq >= 5180 and freq <= 5925 then
        return (freq - 5000) // 5
    elseif freq >= 5955 and freq <= 7115 then
        return (freq - 5950) // 5
    end
    return 0
end

function M.freq_to_band(freq)
    number(freq)
    if freq >= 2412 and freq <= 2484 then
        return 2.4
    elseif freq >= 5160 and freq <= 5885 then
        return 5
    elseif freq >= 5925 and freq <= 7125 then
        return 6
    elseif freq >= 58320 and freq <= 69120 then
        return 60
    end
    return 'Unknown'
end

local function escaped(c)
    return ('\\x%02x'):format(c:byte())
end

function M.escape_ssid(ssid)
    local text = (ssid or ''):gsub('[^ -[^-~%]]', escaped)
    return (text:gsub('^ ', escaped):gsub(' $', escaped))
end

local FLAGS = { [1] = 'authorized', [3] = 'wme', [4] = 'mfp', [5] = 'authenticated', [7] = 'associated' }
local SHORT_PREAMBLE = 2

function M.parse_sta_flag_update(payload)
    if #payload < 8 then
        error('invalid sta flags', 2)
    end
    local mask, set = string.unpack('=I4I4', payload)
    local flags = {}
    for bit, name in pairs(FLAGS) do
        if mask & 1 << bit ~= 0 then
            flags[name] = set & 1 << bit ~= 0
        end
    end
    if mask & 1 << SHORT_PREAMBLE ~= 0 then
        flags.preamble = set & 1 << SHORT_PREAMBLE ~= 0 and 'short' or 'long'
    end
    return flags
end

return M
