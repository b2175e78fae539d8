-- Megabytes a second from one coroutine's send to another's read: tls or plain, seconds.

local eco = require 'eco'
local socket = require 'eco.socket'
local time = require 'eco.time'

local secure = arg[1] == 'tls'
local data = ('x'):rep(65536)
local ssl = secure and require 'eco.ssl'
local listener = assert(socket.listen_tcp('127.0.0.1', 0))
local finish

eco.run(function()
    local c = assert(listener:accept())
    if secure then
        c = assert(ssl.server(c, { cert = 'server.pem', key = 'server.key' }))
    end
    while not finish and c:send(data) do end
    c:close()
end)

local c = assert(socket.connect_tcp('127.0.0.1', listener:getsockname().port))
if secure then
    c = assert(ssl.client(c, { ca = 'ca.pem', server_name = 'localhost', ciphers = { 'TLS_AES_128_GCM_SHA256' } }))
end
local start, bytes = time.now(), 0
local stop = start + tonumber(arg[2])
repeat
    bytes = bytes + #assert(c:read(65536))
until time.now() > stop
print(('%.1f'):format(bytes / 1e6 / (time.now() - start)))
finish = true
c:close()
listener:close()
