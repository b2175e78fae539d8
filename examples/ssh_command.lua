-- Runs a command on an SSH server whose key is known.
--
--     eco examples/ssh_command.lua
--     eco examples/ssh_command.lua 192.168.1.1 22 root ~/.ssh/id_rsa 'uname -a'
--
-- Without arguments it shows what comes of a server that is none.

local found, ssh = pcall(require, 'eco.ssh')
if not found then
    print(ssh)
    return
end

local address, port, user, key, command = ...
if not command then
    local eco = require 'eco'
    local socket = require 'eco.socket'
    local listener<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    eco.run(function()
        local c<close> = assert(listener:accept())
        c:send('220 this is a mail server\r\n')
    end)
    print(ssh.new('127.0.0.1', assert(listener:getsockname()).port, 'user', 'password'))
    return
end

local session<close> = assert(ssh.new(address, tonumber(port), user, { key = key }))
local output, status, signal = session:exec(command)
print(output, status, signal)
