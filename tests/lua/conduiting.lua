-- Starts the example `conduit` for tests.

local file = require 'eco.file'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

local FOLDER = os.getenv('CONDUIT')

local M = {}

-- Starts it on a fresh database: the process, and where it is.
function M.start(T)
    local port = T.free_port()
    local words = table.move(T.interpreter, 1, #T.interpreter, 1, {})
    assert(file.writefile(T.path('start.lua'), ('arg = { [0] = %q }\ndofile(arg[0])'):format(FOLDER .. '/main.lua')))
    words = table.move({ T.path('start.lua') }, 1, 1, #words + 1, words)
    local process = assert(sys.exec('env', 'LUNET_LISTEN=127.0.0.1:' .. port, 'CONDUIT_DATABASE=' .. T.path('conduit.db'), table.unpack(words)))
    local url = 'http://127.0.0.1:' .. port
    assert(process:read_stdout('l', 60) == 'Conduit API server listening on tcp://127.0.0.1:' .. port)
    T.await(function()
        local s = socket.connect_tcp('127.0.0.1', port)
        if s then s:close() end
        return s
    end)
    return process, url
end

function M.stop(process)
    process:kill()
    process:wait(10)
    process:close()
end

return M
