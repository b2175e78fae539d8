-- Conduit, the API that RealWorld describes, and a page over it: lunet's coroutines and SQLite, our HTTP server.
--
--     lunet examples/conduit/main.lua          or: eco examples/conduit/main.lua, make conduit
--
-- README.md beside it tells what is where, and what can be set.

local folder = arg[0]:match('^(.*)/[^/]*$') or '.'
package.path = folder .. '/?.lua;' .. package.path

local eco = require 'eco'
local http = require 'eco.http.server'
local lunet = require 'lunet'
local api = require 'conduit_api'
local settings = require 'conduit_settings'
local store = require 'conduit_store'

local function give_up(message)
    io.stderr:write(message, '\n')
    os.exit(1)
end

local config, err = settings.read()
if not config then return give_up(err) end

lunet.spawn(function()
    local ok, problem = store.open(config.database, config.connections)
    if not ok then give_up('Database initialization failed: ' .. problem) end
    api.configure(config)
    local options = {
        docroot = folder .. '/www',
        http_keepalive = config.keepalive,
        reuseaddr = true,
        max_connections = 1024,
        max_peer_connections = 1024,
    }
    print('Conduit API server listening on ' .. config.shown)
    io.stdout:flush()
    -- Waits as the scheduler's own coroutines do.
    eco.run(function()
        local _, failure = http.listen(config.host, config.port, options, api.handle)
        give_up('Failed to listen: ' .. failure)
    end)
end)
