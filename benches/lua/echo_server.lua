-- A TCP echo server.      usage: echo_server.lua PORT

local eco = require 'eco'
local socket = require 'eco.socket'

local function serve(client)
    while true do
        local data = client:read(4096)
        if not data then break end
        client:send(data)
    end
    client:close()
end

local server = assert(socket.listen_tcp('127.0.0.1', tonumber(arg[1]), { reuseaddr = true, tcp_nodelay = true }))
while true do
    eco.run(serve, assert(server:accept()))
end
