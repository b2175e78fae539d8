-- Handshakes a second of a client that asks for a page on each connection: port, seconds, `resumed` or nothing.

local ssl = require 'eco.ssl'
local time = require 'eco.time'

local ctx = assert(ssl.client_context { ca = 'ca.pem', ciphers = { 'TLS_AES_128_GCM_SHA256' } })
local resumed = arg[3] == 'resumed'
local session
local start, count = time.now(), 0
local stop = start + tonumber(arg[2])
repeat
    local c = assert(ssl.connect('127.0.0.1', tonumber(arg[1]), { ctx = ctx, server_name = 'localhost', session = session }))
    c:send('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    assert(c:read('a'))
    if resumed then
        assert(not session or not c:peer_certificate(), 'not resumed')
        session = assert(c:session())
    end
    c:close()
    count = count + 1
until time.now() > stop
print(('%.1f'):format(count / (time.now() - start)))
