-- A TCP echo server of Luv's fibers.      usage: luv_echo_server.lua PORT

local luv = require 'luv'

local function serve(client)
    while true do
        local n, data = client:read()
        if not n then break end
        client:write(data)
    end
    client:close()
end

luv.fiber.create(function()
    local server = luv.net.tcp()
    assert(server:bind('127.0.0.1', tonumber(arg[1])) == 0)
    server:nodelay(true)
    server:listen()
    while true do
        local client = luv.net.tcp()
        assert(server:accept(client))
        luv.fiber.create(serve, client):ready()
    end
end):join()
