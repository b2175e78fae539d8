-- Peers on which connecting hangs. Each gives a host, a port, what is to be closed afterwards, and the servers to ask
-- for the name where it is the name that is not found.

local socket = require 'eco.socket'

local M = {}

-- The kernel takes the connection; nobody answers on it.
function M.silent()
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    return '127.0.0.1', listener:getsockname().port, { listener }
end

-- A listener whose queue is full: the kernel drops what comes.
function M.full()
    local listener = assert(socket.listen_tcp('127.0.0.1', 0, { backlog = 0 }))
    local held, port = { listener }, listener:getsockname().port
    repeat
        local sock = socket.connect_tcp('127.0.0.1', port, { connect_timeout = 0.1 })
        held[#held + 1] = sock
    until not sock
    return '127.0.0.1', port, held
end

-- A name server that says nothing.
function M.unnamed()
    local server = assert(socket.listen_udp('127.0.0.1', 0))
    return 'nobody.test', 80, { server }, { { '127.0.0.1', server:getsockname().port } }
end

return M
