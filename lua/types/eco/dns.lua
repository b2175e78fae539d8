---@meta eco.dns

---Names to addresses, and every other record of the DNS, without blocking.
---@class eco.dns
---@field TYPE_A integer
---@field TYPE_NS integer
---@field TYPE_CNAME integer
---@field TYPE_SOA integer
---@field TYPE_PTR integer
---@field TYPE_MX integer
---@field TYPE_TXT integer
---@field TYPE_AAAA integer
---@field TYPE_SRV integer
---@field TYPE_SPF integer
---@field CLASS_IN integer
---@field SECTION_AN integer
---@field SECTION_NS integer
---@field SECTION_AR integer
---@field cache_entries integer the most answers to keep; 0 keeps none
local dns = {}

---@class eco.dns.Options
---@field type? integer of `query`; `TYPE_A` unless given
---@field family? integer of `resolve`: `AF_INET` or `AF_INET6` of eco.socket
---@field nameservers? (string|table)[] addresses, or `{ address, port }`
---@field timeout? number seconds for the whole call
---@field attempts? integer how often a silent server is asked
---@field rotate? boolean
---@field edns? boolean true unless given
---@field tcp? boolean
---@field no_recurse? boolean
---@field cache? boolean true unless given
---@field mark? integer
---@field device? string
---@field hosts? string path
---@field resolv_conf? string path

---@class eco.dns.Record
---@field section integer
---@field type integer
---@field class integer
---@field ttl integer seconds
---@field name string
---@field address? string A, AAAA
---@field cname? string
---@field nsdname? string
---@field ptrdname? string
---@field preference? integer MX
---@field exchange? string MX
---@field priority? integer SRV
---@field weight? integer SRV
---@field port? integer SRV
---@field target? string SRV
---@field txt? string|string[]
---@field spf? string|string[]
---@field mname? string SOA
---@field rname? string SOA
---@field serial? integer SOA
---@field refresh? integer SOA
---@field retry? integer SOA
---@field expire? integer SOA
---@field minimum? integer SOA
---@field rdata? string any other type

---The answers of a server, or of the hosts file.
---@async
---@param name string
---@param options? eco.dns.Options
---@return eco.dns.Record[]? records
---@return string? problem
---@return_overload nil, string
function dns.query(name, options) end

---Addresses to connect to, best first.
---@async
---@param host string
---@param options? eco.dns.Options
---@return string[]? addresses
---@return string? problem
---@return_overload nil, string
function dns.resolve(host, options) end

---@param number integer
---@return string
function dns.type_name(number) end

---Forgets all answers that were kept.
function dns.flush() end

return dns
