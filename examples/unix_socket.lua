-- A service on a Unix socket: one request and one answer per line.
--
--     eco examples/unix_socket.lua
--
-- It prints two answers and leaves no file behind.

local eco = require 'eco'
local socket = require 'eco.socket'

local path = os.tmpname()
os.remove(path)

local commands = {
    time = function() return os.date('%H:%M') end,
    sum = function(rest)
        local sum = 0
        for number in rest:gmatch('%d+') do
            sum = sum + number
        end
        return sum
    end,
}

local server = assert(socket.listen_unix(path))

eco.run(function()
    local client = server:accept()
    while client do
        local line = client:read('l', 5)
        local name, rest = (line or ''):match('^(%w+)%s*(.*)$')
        client:send(commands[name] and commands[name](rest) .. '\n' or 'what?\n')
        client:close()
        client = server:accept()
    end
end)

local function ask(question)
    local s<close> = assert(socket.connect_unix(path))
    s:send(question .. '\n')
    return s:read('l', 5)
end

print('the sum of 1, 2 and 39 is', ask('sum 1 2 39'))
print('an unknown command gives', ask('dance'))
server:close()
