---@meta eco.packet

---A packet, as a table of its fields; which there are depends on its name.
---@class eco.packet.packet
---@field name 'ETHER'|'8021Q'|'ARP'|'IP'|'IPV6'|'ICMP'|'ICMPV6'|'TCP'|'UDP'|'80211'
---@field data? string  what it carries
---@field proto? integer  Ethernet type of what it carries
---@field protocol? integer  IP protocol of what it carries
---@field [string] integer|string|boolean|nil
local pkt = {}

---What it carries.
---@return eco.packet.packet?
---@return string? problem
---@nodiscard
function pkt:next() end

---Flags of TCP.
---@class eco.packet.flags
---@field cwr? boolean
---@field ece? boolean
---@field urg? boolean
---@field ack? boolean
---@field psh? boolean
---@field rst? boolean
---@field syn? boolean
---@field fin? boolean

---Takes packets apart and builds them.
---@class eco.packet
local packet = {}

---@param frame string
---@return eco.packet.packet?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function packet.from_ether(frame) end

---@param bytes string  an IPv4 packet
---@return eco.packet.packet?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function packet.from_ip(bytes) end

---@param bytes string  an IPv6 packet
---@return eco.packet.packet?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function packet.from_ip6(bytes) end

---@param bytes string
---@return eco.packet.packet?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function packet.from_icmp(bytes) end

---@param bytes string
---@return eco.packet.packet?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function packet.from_icmp6(bytes) end

---@param frame string  an 802.11 frame behind a radiotap header
---@return eco.packet.packet?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function packet.from_radiotap(frame) end

---An echo (8) or its reply (0).
---@param type integer
---@param code integer
---@param id integer
---@param sequence integer
---@param data? string
---@param checksum? boolean
---@return string
---@nodiscard
function packet.icmp(type, code, id, sequence, data, checksum) end

---An echo (128) or its reply (129).
---@param type integer
---@param code integer
---@param id integer
---@param sequence integer
---@param data? string
---@param checksum? boolean
---@param saddr? string  with `daddr`: the checksum covers both
---@param daddr? string
---@return string
---@nodiscard
function packet.icmp6(type, code, id, sequence, data, checksum, saddr, daddr) end

---@param source integer
---@param dest integer
---@param data? string
---@param saddr? string  with `daddr`: there is a checksum
---@param daddr? string
---@return string
---@nodiscard
function packet.udp(source, dest, data, saddr, daddr) end

---@param source integer
---@param dest integer
---@param seq integer
---@param ack_seq integer
---@param flags? eco.packet.flags
---@param window integer
---@param saddr string
---@param daddr string
---@param data? string
---@return string
---@nodiscard
function packet.tcp(source, dest, seq, ack_seq, flags, window, saddr, daddr, data) end

---@param saddr string
---@param daddr string
---@param protocol integer
---@param data? string
---@return string
---@nodiscard
function packet.ip(saddr, daddr, protocol, data) end

---@param op integer
---@param sha? string
---@param sip? string
---@param tha? string
---@param tip? string
---@return string
---@nodiscard
function packet.arp(op, sha, sip, tha, tip) end

---@param source string
---@param dest string
---@param proto integer
---@param data? string
---@return string
---@nodiscard
function packet.ether(source, dest, proto, data) end

return packet
