-- Runs the example `linkwatch` for tests: its configuration, the service itself, a network with traffic, its page's bytes.

local eco = require 'eco'
local file = require 'eco.file'
local ip = require 'eco.ip'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

local M = { port = 8088 }
local FOLDER, SERVICE = os.getenv('UBUS_FOLDER'), os.getenv('LINKWATCH')

-- Has the daemon of the message bus started or stopped.
function M.daemon(word)
    local s<close> = assert(socket.connect_unix(FOLDER .. '/control'))
    assert(s:send(word .. '\n'))
    assert(s:read('l', 10) == 'done')
end

-- Writes the configuration; options are lines.
function M.configure(T, options)
    file.mkdir(T.path('config'))
    assert(file.writefile(T.path('config/linkwatch'), "config linkwatch 'main'\n" .. options))
end

-- Starts the service in the test's network. `stand_in` is Lua that runs before it.
function M.start(T, stand_in)
    local wrapper = ('%s\narg = { [0] = %q, %q, %q, %q, %q }\ndofile(arg[0])'):format(stand_in or '', SERVICE, '--confdir', T.path('config'),
        '--ubus', FOLDER .. '/ubus')
    assert(file.writefile(T.path('wrapper.lua'), wrapper))
    local words = table.move(T.interpreter, 1, #T.interpreter, 1, {})
    words[#words + 1] = T.path('wrapper.lua')
    return assert(sys.exec(table.unpack(words)))
end

-- The answer to a request of these lines, all of it: the peer must close.
function M.exchange(port, ...)
    local s<close> = assert(socket.connect_tcp('127.0.0.1', port))
    assert(s:send(table.concat({ ... }, '\r\n') .. '\r\nConnection: close\r\n\r\n'))
    return s:read('a', 10) or ''
end

-- Waits until the service answers at a port.
function M.ready(T, port)
    T.await(function()
        local s = socket.connect_tcp('127.0.0.1', port)
        if s then s:close() end
        return s
    end)
end

-- A pair of links, and packets through it until the function that this gives is called.
function M.traffic()
    assert(ip.link.set('lo', { up = true }))
    assert(ip.link.add('wan', { kind = 'veth', peer = 'uplink' }))
    assert(ip.link.set('wan', { up = true, alias = '<b id="evil">fibre</b>' }))
    assert(ip.link.set('uplink', { up = true }))
    assert(ip.address.add('wan', { address = '10.7.0.1/24' }))
    assert(ip.neigh.add('wan', { address = '10.7.0.2', lladdr = ip.link.get('uplink').address }))
    local running = true
    eco.run(function()
        local s<close> = assert(socket.udp())
        while running do
            s:sendto(('x'):rep(1000), '10.7.0.2', 9)
            eco.sleep(0.01)
        end
    end)
    return function() running = false end
end

return M
