-- Names of a zone, asked of a server in this script that knows two of them.
--
--     eco examples/lookup.lua
--
-- It prints the records of one name, the addresses of another, and why a third has none.

local eco = require 'eco'
local dns = require 'eco.dns'
local socket = require 'eco.socket'

local zone = {
    ['www.example'] = { [dns.TYPE_A] = '\192\0\2\1', [dns.TYPE_AAAA] = '\x20\1\x0d\xb8' .. ('\0'):rep(11) .. '\1' },
    ['example'] = { [dns.TYPE_MX] = '\0\10\4mail\xc0\12' },
}

local server = assert(socket.listen_udp('127.0.0.1', 0))

local function reply(request)
    local labels, at = {}, 13
    while request:byte(at) ~= 0 do
        labels[#labels + 1], at = string.unpack('s1', request, at)
    end
    local records = zone[table.concat(labels, '.')]
    local kind = string.unpack('>I2', request, at + 1)
    local data = records and records[kind]
    local answer = data and string.pack('>I2I2I2I4s2', 0xc00c, kind, 1, 300, data) or ''
    return string.pack('>c2I2I2I2I2I2', request:sub(1, 2), records and 0x8180 or 0x8183, 1, data and 1 or 0, 0, 0) .. request:sub(13, at + 4) .. answer
end

eco.run(function()
    local request, peer = server:recvfrom(512)
    while request do
        server:sendto(reply(request), peer.ipaddr, peer.port)
        request, peer = server:recvfrom(512)
    end
end)

local options = { nameservers = { { '127.0.0.1', assert(server:getsockname()).port } } }

options.type = dns.TYPE_MX
for _, record in ipairs(assert(dns.query('example', options))) do
    print(record.name, dns.type_name(record.type), record.preference, record.exchange, record.ttl)
end

for _, address in ipairs(assert(dns.resolve('www.example', options))) do
    print('www.example', address)
end

print('absent.example', select(2, dns.resolve('absent.example', options)))

server:close()
