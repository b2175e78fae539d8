-- A transparent proxy of two parts. The router's takes connections that netfilter redirected to it, and tells the server's
-- where each was to go; that one makes it.
--
--     eco proxy.lua router PORT SERVER SERVERPORT
--     eco proxy.lua server ADDRESS PORT
--
-- Each byte between the two is changed by XOR with 0x79, which hides nothing from anybody who looks: see README.md.

local asio = require 'asio'
local bit = require 'bit'

local KEY = 0x79

local changed = {}
for byte = 0, 255 do
    changed[string.char(byte)] = string.char(bit.bxor(byte, KEY))
end

local function change(text)
    return (text:gsub('.', changed))
end

-- Copies one way until either end fails; then both are closed, which ends the other way, too.
local function forward(from, to)
    local data, err, sent
    repeat
        data, err = from:read_some()
        sent = true
        if data and #data > 0 then
            sent = to:write(change(data))
        end
    until err or not sent
    from:close()
    to:close()
end

local function join(one, other)
    asio.spawn_light_thread(forward, one, other)
    asio.spawn_light_thread(forward, other, one)
end

local parts = {}

function parts.router(port, server, server_port)
    local function take(client)
        local destination = client:get_original_dst()
        if not destination then
            print('a connection that nobody redirected')
            return client:close()
        end
        local proxy, err = asio.connect(server, server_port)
        if not proxy then
            print(('%s:%s: %s'):format(server, server_port, err))
            return client:close()
        end
        if proxy:write(change(destination)) then
            join(client, proxy)
        end
    end
    -- Both families.
    return assert(asio.server('::', assert(tonumber(port)), function(client)
        asio.spawn_light_thread(take, client)
    end))
end

function parts.server(address, port)
    local function take(proxy)
        local destination = proxy:read(128)
        if not destination then return end
        destination = change(destination)
        local target, err = asio.connect(destination)
        if not target then
            print(('%s: %s'):format(asio.addr_to_str(destination), err))
            return proxy:close()
        end
        join(proxy, target)
    end
    return assert(asio.server(address, assert(tonumber(port)), function(proxy)
        asio.spawn_light_thread(take, proxy)
    end))
end

local start = parts[arg[1]]
if not start then
    io.stderr:write('usage: proxy.lua router PORT SERVER SERVERPORT | server ADDRESS PORT\n')
    return os.exit(2)
end

local _<close> = setmetatable({ start(table.unpack(arg, 2)) }, { __close = function(held) asio.destroy_server(held[1]) end })
asio.run()
