-- Datagrams: a server that turns them around, a client that also sees silence.
--
--     eco examples/udp.lua
--
-- It prints three lines.

local eco = require 'eco'
local socket = require 'eco.socket'

local server = assert(socket.listen_udp('127.0.0.1', 0))

eco.run(function()
    local data, peer = server:recvfrom(1500)
    while data do
        if data ~= 'say nothing' then
            server:sendto(data:reverse(), peer.ipaddr, peer.port)
        end
        data, peer = server:recvfrom(1500)
    end
end)

local client<close> = assert(socket.connect_udp('127.0.0.1', assert(server:getsockname()).port))

for _, word in ipairs { 'stressed', 'drawer', 'say nothing' } do
    client:send(word)
    local answer, problem = client:recv(1500, 0.1)
    print(word, answer or problem)
end

server:close()
