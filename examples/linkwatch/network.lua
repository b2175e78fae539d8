-- What the network looks like now: links with their traffic, and stations of wireless links.

local file = require 'eco.file'
local ip = require 'eco.ip'
local json = require 'eco.encoding.json'

-- Wi-Fi is shown where its package is installed and the kernel has it.
local has_wifi, nl80211 = pcall(require, 'eco.nl80211')

local M = {}

-- Seconds that no setting of the clock changes.
local function uptime()
    return (assert(file.readfile('/proc/uptime', 'n')))
end

local function array()
    return setmetatable({}, json.array_mt)
end

-- Bytes a second since the last look, for everything that counts bytes under a name.
local rates = {}
rates.__index = rates

function rates:begin()
    self.now, self.fresh = uptime(), {}
    return self
end

function rates:of(name, rx, tx)
    local now = self.now
    local old = self.known[name] ---@type table?
    local record = { at = now, rx = rx, tx = tx } ---@type table
    if old then
        local elapsed = now - old.at
        -- A change of a link has us look early: too short a time to measure. After a pause an average says nothing about now.
        if elapsed < 0.4 then
            record = old
        elseif elapsed <= self.longest and rx >= old.rx and tx >= old.tx then
            record.rx_rate, record.tx_rate = (rx - old.rx) / elapsed, (tx - old.tx) / elapsed
        end
    end
    self.fresh[name] = record
    return record.rx_rate, record.tx_rate
end

-- What is gone is forgotten.
function rates:finish()
    self.known = self.fresh
end

-- An object whose `look()` gives the state of everything but the links of the set `ignored`; or nil and a message.
function M.watcher(ignored, interval)
    local meter = setmetatable({ known = {}, longest = interval * 3 + 1 }, rates)
    local watcher = {}

    local function stations(list)
        local interfaces = has_wifi and nl80211.get_interfaces()
        for _, interface in ipairs(interfaces or {}) do
            for _, station in ipairs(interface.ifname and nl80211.get_stations(interface.ifname) or {}) do
                local rx, tx = station.rx_bytes or 0, station.tx_bytes or 0
                local rx_rate, tx_rate = meter:of('station ' .. interface.ifname .. ' ' .. station.mac, rx, tx)
                list[#list + 1] = {
                    ifname = interface.ifname, ssid = interface.ssid and nl80211.escape_ssid(interface.ssid), mac = station.mac,
                    signal = station.signal, connected = station.connected_time,
                    rx_bytes = rx, tx_bytes = tx, rx_rate = rx_rate, tx_rate = tx_rate,
                    rx_mbit = station.rx_rate and station.rx_rate.rate, tx_mbit = station.tx_rate and station.tx_rate.rate,
                }
            end
        end
        return list
    end

    function watcher.look()
        local links, err = ip.link.list()
        if not links then return nil, err end
        local addresses = {}
        for _, address in ipairs(ip.address.get() or {}) do
            local own = addresses[address.ifname] or array()
            addresses[address.ifname] = own
            own[#own + 1] = address.address .. '/' .. address.prefix
        end
        meter:begin()
        local list = array()
        for _, link in ipairs(links) do
            local stats = link.stats or {}
            if link.ifname and not ignored[link.ifname] then
                local rx, tx = stats.rx_bytes or 0, stats.tx_bytes or 0
                local rx_rate, tx_rate = meter:of('link ' .. link.ifindex, rx, tx)
                list[#list + 1] = {
                    name = link.ifname, index = link.ifindex, alias = link.alias, kind = link.kind, mac = link.address,
                    master = link.master, up = link.up == true, running = link.running == true,
                    addresses = addresses[link.ifname] or array(),
                    rx_bytes = rx, tx_bytes = tx, rx_rate = rx_rate, tx_rate = tx_rate,
                }
            end
        end
        local state = { links = list, stations = stations(array()) }
        meter:finish()
        return state
    end

    return watcher
end

return M
