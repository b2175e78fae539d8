-- The networks nearby, and what they are secured by.
--
--     eco examples/wifi_scan.lua
--
-- It prints a line for each network that the first wireless interface has seen, or that there is none. As root it scans anew.

local ip = require 'eco.ip'
local wifi = require 'eco.nl80211'

local interfaces = wifi.get_interfaces() or {}
if not interfaces[1] then
    print('no wireless interface')
    return
end

local ifname = interfaces[1].ifname
local events<close> = wifi.events('scan')
ip.link.set(ifname, { up = true })
if events and wifi.scan('trigger', { ifname = ifname, ssids = { '' } }) then
    events:wait(15, function(cmd)
        return cmd == wifi.CMD_NEW_SCAN_RESULTS or cmd == wifi.CMD_SCAN_ABORTED or nil
    end)
end

local function names(set)
    local list = {}
    for name in pairs(set or {}) do list[#list + 1] = name end
    table.sort(list)
    return table.concat(list, ' ')
end

for _, network in ipairs(assert(wifi.scan('dump', { ifname = ifname }))) do
    local security = network.rsn or network.wpa
    print(('%s  %4d MHz  %6.1f dBm  %-32s %s'):format(network.bssid, network.freq or 0, network.signal or 0, wifi.escape_ssid(network.ssid),
        security and names(security.auth_suites) or network.caps.PRIVACY and 'WEP' or 'open'))
end
