-- LuaAsio: a server and two clients of it, each a light thread.
--
--     eco examples/light_threads.lua [PORT]
--
-- It prints what the server answered, and ends.

local asio = require 'asio'

local port = tonumber(arg[1]) or 8006
local answered = 0

local server
server = assert(asio.server('127.0.0.1', port, function(con)
    asio.spawn_light_thread(function()
        con:write(con:read(5) .. '-pong')
        con:close()
    end)
end))

local function ping(text)
    local con = assert(asio.connect('localhost', port))
    con:write(text)
    print(con:read(10))
    con:close()
    answered = answered + 1
    if answered == 2 then
        asio.destroy_server(server)
    end
end

asio.spawn_light_thread(ping, 'ping1')
asio.spawn_light_thread(ping, 'ping2')
asio.run()
