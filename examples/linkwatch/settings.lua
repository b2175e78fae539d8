-- The service's configuration: read from UCI, checked, and complete.

local uci = require 'eco.uci'
local socket = require 'eco.socket'

local M = {}

local function set(list)
    local found = {}
    for _, word in ipairs(type(list) == 'table' and list or { list }) do
        found[word] = true
    end
    return found
end

local function number(section, name, default, least, most)
    local text = section[name]
    local value = text == nil and default or tonumber(text)
    if not value or value < least or value > most then
        error(('option %s: %q is no number from %g to %g'):format(name, tostring(text), least, most), 0)
    end
    return value
end

local function read(c)
    local section, err = c:get_all('linkwatch', 'main')
    if not section then
        error(err, 0)
    end
    local listen = section.listen or '127.0.0.1'
    if not (socket.is_ipv4_address(listen) or socket.is_ipv6_address(listen)) then
        error(('option listen: %q is no address'):format(listen), 0)
    end
    return {
        listen = listen,
        port = math.tointeger(number(section, 'port', 8088, 1, 65535)) or error('option port: not an integer', 0),
        interval = number(section, 'interval', 1, 0.5, 60),
        clients = number(section, 'clients', 16, 1, 100),
        -- Names by which browsers may ask for the page; addresses always may be used.
        hosts = set(section.host or { 'localhost' }),
        ignored = set(section.ignore or { 'lo' }),
    }
end

-- The settings of a folder, `/etc/config` when nil; or nil and what is wrong with them.
function M.load(folder)
    local c<close> = uci.cursor(folder, folder and folder .. '/.uci')
    local ok, result = pcall(read, c)
    if not ok then
        return nil, 'linkwatch: ' .. result
    end
    return result
end

return M
