-- A page over HTTPS, for benches/tls.sh: port.

local http = require 'eco.http.server'

local options = { cert = 'server.pem', key = 'server.key', ciphers = { 'TLS_AES_128_GCM_SHA256' }, reuseaddr = true }
print(http.listen('127.0.0.1', tonumber(arg[1]), options, function(con)
    con:add_header('content-length', 6)
    con:send('hello\n')
end))
