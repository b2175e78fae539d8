-- What packets do: tell the next layer, and themselves in a line.
local packet, next_layer, frame_name = ...

local protocols = {
    proto = { [0x8100] = '8021Q', [0x0806] = 'ARP', [0x0800] = 'IP', [0x86dd] = 'IPV6' },
    protocol = { [1] = 'ICMP', [6] = 'TCP', [17] = 'UDP', [58] = 'ICMPV6' },
}

-- The name of what it carries, or else the number.
local function carried(self, field)
    local number = self[field]
    return tostring(protocols[field][number] or number)
end

local function ends(self)
    return tostring(self.saddr) .. '->' .. tostring(self.daddr)
end

local function ports(self)
    return ('%s->%s len %d'):format(self.source, self.dest, #(self.data or ''))
end

-- Messages of both kinds, by the types of an echo and its reply.
local function icmp(echo, reply)
    return function(self)
        local kind, length = self.type, #(self.data or '')
        if kind ~= echo and kind ~= reply then
            return ('type %s len %d'):format(kind, length)
        end
        return ('%s seq %s id %s len %d'):format(kind == echo and 'ECHO' or 'ECHOREPLY', self.sequence, self.id, length)
    end
end

local texts = {
    ETHER = function(self)
        return ('%s->%s %s'):format(self.source, self.dest, carried(self, 'proto'))
    end,
    ['8021Q'] = function(self)
        return ('pri %s vid %s %s'):format(self.pri, self.vid, carried(self, 'proto'))
    end,
    ARP = function(self)
        if not self.sip then
            return ''
        elseif self.op == 1 then
            return ('Request who-has %s (%s) tell %s'):format(self.tip, self.tha, self.sip)
        end
        return ('Reply %s is-at %s'):format(self.sip, self.sha)
    end,
    IP = function(self)
        return ends(self) .. ' ' .. carried(self, 'protocol')
    end,
    IPV6 = ends,
    ICMP = icmp(8, 0),
    ICMPV6 = icmp(128, 129),
    TCP = function(self)
        local text = ports(self)
        for flag in ('syn ack rst fin'):gmatch('%a+') do
            if self[flag] then
                text = text .. ' ' .. flag:upper()
            end
        end
        return text
    end,
    UDP = ports,
    ['80211'] = function(self)
        local text = self.addr2 and self.addr2 .. '->' .. self.addr1 or self.addr1
        text = text .. ' ' .. (frame_name(self.type, self.subtype) or ('type 0x%02x subtype 0x%02x'):format(self.type, self.subtype))
        if self.beacon_interval then
            text = ('%s BI=%s'):format(text, self.beacon_interval)
        end
        return self.ssid and ('%s SSID="%s"'):format(text, self.ssid) or text
    end,
}

packet.__index = { next = next_layer }

function packet:__tostring()
    local text = texts[self.name]
    return text and text(self) or ''
end
