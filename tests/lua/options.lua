-- Keys of option tables: slips are refused everywhere, what is unknown by functions that scripts of 4.x do not know.

local socket = require 'eco.socket'
local sys = require 'eco.sys'

-- f(...) raises at this file that argument n of the function named has a stray key.
local function refused(n, name, text, f, ...)
    local ok, message = pcall(f, ...)
    assert(not ok, name .. ' took it')
    local expected = ("bad argument #%d to '%s' (unknown option %s)"):format(n, name, text)
    assert(type(message) == 'string' and message:find(expected, 1, true), message)
end

case('slips', function()
    refused(3, 'listen_tcp', "'reuseadr': is it 'reuseaddr'?", socket.listen_tcp, '127.0.0.1', 0, { reuseadr = true })
    refused(3, 'listen_udp', "'reuse_port': is it 'reuseport'?", socket.listen_udp, '127.0.0.1', 0, { reuse_port = true })
    refused(3, 'connect_tcp', "'conect_timeout': is it 'connect_timeout'?", socket.connect_tcp, '127.0.0.1', 1, { conect_timeout = 1 })
    refused(3, 'connect_udp', "'devcie': is it 'device'?", socket.connect_udp, '127.0.0.1', 1, { devcie = 'lo' })
    refused(2, 'listen_unix', "'backlgo': is it 'backlog'?", socket.listen_unix, T.path('s'), { backlgo = 1 })
    refused(4, 'socket', "'devices': is it 'device'?", socket.socket, socket.AF_INET, socket.SOCK_STREAM, 0, { devices = 'lo' })
    refused(4, 'socketpair', "'devices': is it 'device'?", socket.socketpair, socket.AF_UNIX, socket.SOCK_STREAM, 0, { devices = 'lo' })

    local http, client = require 'eco.http.server', require 'eco.http.client'
    local function handler() end
    refused(3, 'listen', "'max_bdy': is it 'max_body'?", http.listen, '127.0.0.1', 0, { max_bdy = 1 }, handler)
    refused(3, 'serve', "'max_bdy': is it 'max_body'?", http.serve, '127.0.0.1', 0, { max_bdy = 1 }, handler)
    refused(1, 'new', "'timeuot': is it 'timeout'?", client.new, { timeuot = 1 })
    refused(2, 'get', "'max_bdy': is it 'max_body'?", client.get, 'http://127.0.0.1:1/', { max_bdy = 1 })
    refused(3, 'post', "'max_bdy': is it 'max_body'?", client.post, 'http://127.0.0.1:1/', nil, { max_bdy = 1 })
    refused(4, 'request', "'max_bdy': is it 'max_body'?", client.request, 'GET', 'http://127.0.0.1:1/', nil, { max_bdy = 1 })
    local own = client.new()
    refused(2, 'get', "'max_bdy': is it 'max_body'?", own.get, own, 'http://127.0.0.1:1/', { max_bdy = 1 })
    refused(4, 'request', "'max_bdy': is it 'max_body'?", own.request, own, 'GET', 'http://127.0.0.1:1/', nil, { max_bdy = 1 })

    refused(2, 'query', "'namservers': is it 'nameservers'?", require 'eco.dns'.query, 'x', { namservers = {} })
    refused(2, 'resolve', "'namservers': is it 'nameservers'?", require 'eco.dns'.resolve, 'x', { namservers = {} })
    refused(2, 'ping', "'timout': is it 'timeout'?", require 'eco.net'.ping, '127.0.0.1', { timout = 1 })
    refused(2, 'connect', "'ping_intervall': is it 'ping_interval'?", require 'eco.websocket'.connect, 'ws://127.0.0.1:1/', { ping_intervall = 1 })
    local mqtt = require 'eco.mqtt'
    refused(1, 'new', "'keep_alive': is it 'keepalive'?", mqtt.new, { keep_alive = 30 })
    local c = mqtt.new { own = 1 }
    refused(1, 'set', "'user_name': is it 'username'?", c.set, c, 'user_name', 'x')
    refused(2, 'new', "'eof_eror': is it 'eof_error'?", require 'eco.bufio'.new, 0, { eof_eror = 1 })
end)

case('what nobody knows', function()
    local thread = require 'eco.thread'
    refused(1, 'eco.thread.spawn', "'colour'", thread.spawn, { colour = 1 }, function() end)
    refused(2, 'pool', "'colour'", thread.pool, 1, { colour = 1 })
    refused(3, 'sh', "'max_outputs': is it 'max_output'?", sys.sh, 'true', 1, { max_outputs = 1 })
    refused(3, 'sh', "'colour'", sys.sh, 'true', 1, { colour = 1 })
    refused(2, 'eco.hash.argon2.hash', "'colour'", require 'eco.hash.argon2'.hash, 'x', { colour = 1 })
    refused(1, 'open', "'colour'", require 'eco.sqlite3'.open, { colour = 1 })
    refused(1, 'open', "'colour'", require 'eco.mysql'.open, { colour = 1 })
    refused(1, 'open', "'colour'", require 'eco.postgres'.open, 'postgres://127.0.0.1/?colour=1')
end)

case('fields of a script', function()
    local server<close> = assert(socket.listen_tcp('127.0.0.1', 0, { host = '127.0.0.1', tcp_keepalive = true, masks = 1, [1] = 'x' }))
    require 'eco.http.client'.get('http://127.0.0.1:1/', { note = 'x', [true] = 1 })
    require 'eco.mqtt'.new { name = 'x', marks = 1 }
end)

case('the place is that of the script', function()
    local ok, message = pcall(function() socket.listen_tcp('127.0.0.1', 0, { reuseadr = true }) end)
    assert(not ok and message:find('^options%.lua:%d+: bad argument #3'), message)
end)

case('all of a table with a limit is used', function()
    local process<close> = assert(sys.exec { 'pwd', cwd = '/', timeout = 5 })
    T.eq(process:read_stdout('l', 5), '/')
    process:wait()
end)
