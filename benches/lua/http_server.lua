-- "hello world" over HTTP from a Lua handler.      usage: http_server.lua PORT

local http = require 'eco.http.server'

local options = { reuseaddr = true, max_connections = math.huge, max_peer_connections = math.huge }

assert(http.listen('127.0.0.1', tonumber(arg[1]), options, function(con)
    con:add_header('content-type', 'text/plain')
    con:send('hello world\n')
end))
