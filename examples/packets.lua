-- Builds packets and takes them apart again, or shows what an interface receives.
--
--     eco examples/packets.lua
--     eco examples/packets.lua eth0        (as root)

local packet = require 'eco.packet'
local socket = require 'eco.socket'

local function show(bytes)
    local pkt, err = packet.from_ether(bytes)
    while pkt do
        print(('%-6s %s'):format(pkt.name, pkt))
        pkt, err = pkt:next()
    end
    return err
end

local interface = arg[1]
if interface and socket.if_nametoindex(interface) then
    local sock<close> = assert(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(socket.ETH_P_ALL)))
    assert(sock:bind({ ifname = interface }))
    for _ = 1, 20 do
        show(assert(sock:recvfrom(65535)))
    end
    return
end

local here, there = '02:00:00:00:00:01', '02:00:00:00:00:02'
local syn = packet.tcp(49152, 80, 1, 0, { syn = true }, 64240, '192.168.1.2', '192.168.1.1')
show(packet.ether(here, 'ff:ff:ff:ff:ff:ff', socket.ETH_P_ARP, packet.arp(1, here, '192.168.1.2', nil, '192.168.1.1')))
show(packet.ether(here, there, socket.ETH_P_IP, packet.ip('192.168.1.2', '192.168.1.1', socket.IPPROTO_TCP, syn)))
show(packet.ether(here, there, socket.ETH_P_IP, packet.ip('192.168.1.2', '192.168.1.1', socket.IPPROTO_ICMP, packet.icmp(8, 0, 1, 1, 'ping', true))))
print(show(packet.ether(here, there, 0x88cc, 'LLDP')))
