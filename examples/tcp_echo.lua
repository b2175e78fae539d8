-- A TCP echo server and three clients that talk to it at the same time.
--
--     eco examples/tcp_echo.lua
--
-- Each client prints what comes back; the script ends when all are done.

local eco = require 'eco'
local socket = require 'eco.socket'

local server = assert(socket.listen_tcp('127.0.0.1', 0, { reuseaddr = true, tcp_nodelay = true }))
local port = assert(server:getsockname()).port

local function serve(client)
    local data = client:read(4096, 30)
    while data do
        client:send(data)
        data = client:read(4096, 30)
    end
    client:close()
end

eco.run(function()
    local client = server:accept()
    while client do
        eco.run(serve, client)
        client = server:accept()
    end
end)

local left = 3

for number = 1, left do
    eco.run(function()
        local s<close> = assert(socket.connect_tcp('127.0.0.1', port))
        for round = 1, 2 do
            s:send(('client %d, round %d\n'):format(number, round))
            print(assert(s:read('l', 5)))
            eco.sleep(0.05)
        end
        left = left - 1
        if left == 0 then
            -- Wakes the coroutine in accept, which ends then.
            server:close()
        end
    end)
end
