-- Pings over a TUN device in a network namespace of its own: the script behind the device answers as each case wants, to "ping" sockets
-- and to raw ones.

local file = require 'eco.file'
local sys = require 'eco.sys'

local space = 'eco-n-' .. sys.getpid()

local function run(...)
    local process = assert(sys.exec(...))
    local output = process:read_stdout('a', 120) or ''
    local errors = process:read_stderr('a', 120) or ''
    local _, status = process:wait(120)
    process:close()
    return status and status.exited and status.status == 0, output .. errors
end

file.writefile(T.path('inner.lua'), [=[
local eco = require 'eco'
local file = require 'eco.file'
local net = require 'eco.net'
local packet = require 'eco.packet'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

local tun = assert(socket.open_tun('tun0'))
for _, words in ipairs {
    'addr add 10.9.8.1/24 dev tun0', '-6 addr add fd00::1/64 dev tun0 nodad', 'link set tun0 up', 'link set lo up',
} do
    local process = assert(sys.sh('ip ' .. words))
end

local function sum(bytes)
    local total = 0
    for i = 1, #bytes, 2 do total = total + (bytes:byte(i) << 8) + (bytes:byte(i + 1) or 0) end
    while total > 0xffff do total = (total >> 16) + (total & 0xffff) end
    return ~total & 0xffff
end

local function icmp(kind, code, id, sequence, data)
    local bytes = string.pack('>BBI2I2I2', kind, code, 0, id, sequence) .. data
    return bytes:sub(1, 2) .. string.pack('>I2', sum(bytes)) .. bytes:sub(5)
end

-- A packet of IPv4 to the one who sent `request`.
local function ip(request, payload, source)
    local header = string.pack('>BBI2I2I2BBI2c4c4', 0x45, 0, 20 + #payload, 0, 0, 64, 1, 0, source or request:sub(17, 20), request:sub(13, 16))
    return header:sub(1, 10) .. string.pack('>I2', sum(header)) .. header:sub(13) .. payload
end

local answer
eco.run(function()
    while true do
        local request = tun:read(65536)
        if not request then return end
        local version = request:byte() >> 4
        if version == 4 and request:byte(10) == 1 and request:byte(21) == 8 then
            local id, sequence = string.unpack('>I2I2', request, 25)
            for _, reply in ipairs(answer(request, id, sequence, request:sub(29))) do tun:write(reply) end
        elseif version == 6 and request:byte(7) == 58 and request:byte(41) == 128 then
            local id, sequence = string.unpack('>I2I2', request, 45)
            for _, reply in ipairs(answer(request, id, sequence, request:sub(49))) do tun:write(reply) end
        end
    end
end)

local function fails(text, seconds, err)
    if seconds ~= nil or not tostring(err):find(text, 1, true) then error(('%s, %s instead of %s'):format(seconds, err, text), 2) end
end

for _, mode in ipairs { 'ping', 'raw' } do
    local range = assert(io.open('/proc/sys/net/ipv4/ping_group_range', 'w'))
    range:write(mode == 'ping' and '0 2147483647' or '1 0')
    range:close()
    local s = socket.icmp()
    assert((s ~= nil) == (mode == 'ping'), mode)
    if s then s:close() end

    -- A good answer, after a while.
    answer = function(request, id, sequence, data)
        assert(sequence == 1 and data == 'hello')
        eco.sleep(0.05)
        return { ip(request, icmp(0, 0, id, 1, data)) }
    end
    local seconds = assert(net.ping '10.9.8.7')
    assert(seconds >= 0.049 and seconds < 4, seconds)

    -- The good one comes behind many that are not.
    answer = function(request, id, sequence, data)
        return {
            ip(request, icmp(0, 0, id ~ 1, 1, data)), ip(request, icmp(0, 0, id, 2, data)), ip(request, icmp(0, 0, id, 1, data .. 'x')),
            ip(request, icmp(0, 0, id, 1, '')), ip(request, icmp(0, 1, id, 1, data)), ip(request, icmp(8, 0, id, 1, data)),
            ip(request, icmp(3, 1, 0, 0, request:sub(1, 28))), ip(request, icmp(0, 0, id, 1, ''):sub(1, 5)), ip(request, ''),
            ip(request, icmp(0, 0, id, 1, data)),
        }
    end
    seconds = assert(net.ping('10.9.8.7', { timeout = 2 }))
    assert(seconds < 1.5, seconds)

    -- Nothing but those.
    answer = function(request, id, _, data) return { ip(request, icmp(0, 0, id, 1, data .. 'x')) } end
    fails(mode == 'ping' and 'unexpected icmp packet' or 'timeout', net.ping('10.9.8.7', { timeout = 0.1 }))
    answer = function() return {} end
    fails('timeout', net.ping('10.9.8.7', { timeout = 0.1 }))

    -- A stream of foreign packets does not prolong the wait.
    answer = function(request, id, _, data)
        eco.run(function()
            for _ = 1, 100 do
                tun:write(ip(request, icmp(0, 0, id, 2, data)))
                eco.sleep(0.01)
            end
        end)
        return {}
    end
    local start = require 'eco.time'.now()
    assert(not net.ping('10.9.8.7', { timeout = 0.2 }))
    assert(require 'eco.time'.now() - start < 0.8)

    -- IPv6, by an interface's name, too.
    answer = function(request, id, _, data)
        local source, dest = request:sub(9, 24), request:sub(25, 40)
        local function six(sequence, text)
            local from, to = socket.inet_ntop(socket.AF_INET6, dest), socket.inet_ntop(socket.AF_INET6, source)
            local payload = packet.icmp6(129, 0, id, sequence, text, true, from, to)
            return string.pack('>I4I2BBc16c16', 0x60000000, #payload, 58, 64, dest, source) .. payload
        end
        return { six(2, data), six(1, data .. '!'), six(1, data) }
    end
    assert(net.ping6('fd00::7', { timeout = 2 }))
    assert(net.ping6('fd00::7%tun0', { timeout = 2, data = '' }))
    assert(net.ping6('::1', { device = 'lo', timeout = 2 }))
    assert(net.ping('127.0.0.1', { device = 'lo', mark = 5, timeout = 2 }))
end
fails('Network is unreachable', net.ping('203.0.113.1'))
print 'all is well'
tun:close()
]=])

local ok, output = run('ip', 'netns', 'add', space)
assert(ok, output)
local guard<close> = setmetatable({}, { __close = function() run('ip', 'netns', 'del', space) end })
ok, output = run('ip', 'netns', 'exec', space, table.unpack(T.interpreter), T.path('inner.lua'))
assert(ok and output:find('all is well', 1, true), output)
