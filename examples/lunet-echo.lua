-- A script for lunet: an echo server and a client, and a file read off the loop.
--
--     eco examples/lunet-echo.lua

local lunet = require 'lunet'
local socket = require 'lunet.socket'
local fs = require 'lunet.fs'

lunet.spawn(function()
    local port, listener = 20000, nil
    repeat
        port = port + 1
        listener = socket.listen('tcp', '127.0.0.1', port)
    until listener or port == 20100
    assert(listener, 'no free port')

    lunet.spawn(function()
        local client = assert(socket.connect('127.0.0.1', port))
        for _, word in ipairs { 'one', 'two', 'three' } do
            socket.write(client, word)
            print('echo: ' .. socket.read(client))
        end
        socket.close(client)
    end)

    local peer = assert(socket.accept(listener))
    for data in socket.read, peer do
        socket.write(peer, data)
    end
    socket.close(peer)
    socket.close(listener)

    local fd = assert(fs.open('/proc/version', 'r'))
    print(#fs.read(fd, 100) > 0)
    fs.close(fd)
end)
