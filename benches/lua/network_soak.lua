-- Mixed load at a rate in one process: requests by HTTP and HTTPS, messages over MQTT and WebSockets, look-ups of names, each to
-- servers of its own but for MQTT, which has a Mosquitto. Prints what was done and what the process takes, by the minute; fails
-- when memory grows after the second one.
--
--     eco benches/lua/network_soak.lua [MINUTES [RATE]]
--
-- RATE is how many of each a second, 40 unless given. To be started in the root of the sources: certificates are those of the tests.

local eco = require 'eco'
local dns = require 'eco.dns'
local file = require 'eco.file'
local client = require 'eco.http.client'
local mqtt = require 'eco.mqtt'
local server = require 'eco.http.server'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local time = require 'eco.time'
local websocket = require 'eco.websocket'

local minutes, rate = tonumber(arg[1]) or 10, tonumber(arg[2]) or 40
local WORKERS = 4
local folder = ('/tmp/eco-soak-%d'):format(sys.getpid())
assert(file.mkdir(folder, tonumber('700', 8)))

local function free_port()
    local probe<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    return probe:getsockname().port
end

-- ---- servers ------------------------------------------------------------------------

local page = ('The quick brown fox jumps over the lazy dog.\n'):rep(200)

local function handler(con, req)
    if req.path == '/echo' then
        local ws = websocket.upgrade(con, req)
        for data, kind in ws.recv, ws do
            ws['send_' .. kind](ws, data)
        end
    else
        local body = con:read_body() or ''
        con:add_header('content-length', #page + #body)
        con:send(page)
        con:send(body)
    end
end

local ports = { http = free_port(), https = free_port(), mqtt = free_port() }
eco.run(server.listen, '127.0.0.1', ports.http, { tcp_nodelay = true }, handler)
eco.run(server.listen, '127.0.0.1', ports.https, { cert = 'tests/tls/server.pem', key = 'tests/tls/server.key' }, handler)

local names = assert(socket.listen_udp('127.0.0.1', 0))
eco.run(function()
    while true do
        local query, from = names:recvfrom(1500)
        if not query then return end
        local _, at = query:find('^[^\0]*\0....', 13)
        names:sendto(query:sub(1, 2) .. '\x81\x80\0\1\0\1\0\0\0\0' .. query:sub(13, at)
            .. '\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1', from.ipaddr, from.port)
    end
end)

assert(file.writefile(folder .. '/mosquitto.conf', ('user root\nallow_anonymous true\nlog_type error\nlistener %d 127.0.0.1\n'):format(ports.mqtt)))
local broker = assert(sys.exec('/usr/sbin/mosquitto', '-c', folder .. '/mosquitto.conf'))
local guard<close> = setmetatable({}, { __close = function()
    broker:stop(10)
    os.execute('rm -r ' .. folder)
end })
eco.sleep(0.5)

-- ---- what is done -------------------------------------------------------------------

local kept = client.new { reuse = 2, ca = 'tests/tls/ca.pem', server_name = 'localhost' }
local body = ('x'):rep(3000)

-- Every fourth request has a connection of its own.
local function ask(url, number)
    local resp
    if number % 4 == 0 then
        resp = assert(client.get(url, { ca = 'tests/tls/ca.pem', server_name = 'localhost' }))
    else
        resp = assert(kept:post(url, body))
    end
    assert(resp.code == 200 and resp.body:sub(1, #page) == page)
end

local function with_client(number)
    local heard, made = {}, mqtt.new { ipaddr = '127.0.0.1', port = ports.mqtt, version = number % 2 + 4, id = 'soak-' .. number, clean_session = true }
    made:on {
        conack = function() made:subscribe('soak/' .. number, 1) end,
        publish = function(message) heard[message.payload] = true end,
    }
    eco.run(made.run, made)
    while not made.connected do eco.sleep(0.01) end
    return made, heard
end

local kinds = {
    http = function() return function(number) ask(('http://127.0.0.1:%d/'):format(ports.http), number) end end,
    https = function() return function(number) ask(('https://127.0.0.1:%d/'):format(ports.https), number) end end,
    mqtt = function(worker)
        local made, heard
        return function(number)
            -- A connection ends now and then.
            if not made or number % 200 == 0 then
                if made then made:disconnect() end
                made, heard = with_client(worker)
            end
            local text = ('%d %s'):format(number, ('y'):rep(number % 500))
            assert(made:publish('soak/' .. worker, text, 1, false, { wait = 10 }))
            for _ = 1, 500 do
                if heard[text] then break end
                eco.sleep(0.01)
            end
            assert(heard[text], 'a message did not come')
            heard[text] = nil
        end
    end,
    websocket = function()
        local ws
        return function(number)
            if not ws or number % 100 == 0 then
                if ws then assert(ws:close()) end
                ws = assert(websocket.connect(('ws://127.0.0.1:%d/echo'):format(ports.http)))
            end
            local text = ('z'):rep(number % 2000)
            assert(ws:send_text(text))
            assert(ws:recv(10) == text)
        end
    end,
    dns = function(worker)
        local where = { nameservers = { { '127.0.0.1', names:getsockname().port } }, hosts = '/dev/null', resolv_conf = '/dev/null' }
        return function(number)
            local records = assert(dns.query(('host-%d-%d.test'):format(worker, number % 1000), where))
            assert(records[1].address == '192.0.2.1')
        end
    end,
}

-- ---- the run ------------------------------------------------------------------------

local done, over = {}, false
local order = { 'http', 'https', 'mqtt', 'websocket', 'dns' }
local start = time.now(true)
for _, kind in ipairs(order) do
    done[kind] = 0
    for worker = 1, WORKERS do
        eco.run(function()
            local once, number, due = kinds[kind](worker), 0, time.now(true)
            while not over do
                number = number + 1
                once(number)
                done[kind] = done[kind] + 1
                due = math.max(due + WORKERS / rate, time.now(true) - 1)
                eco.sleep(math.max(due - time.now(true), 0))
            end
        end)
    end
end

local function count_descriptors()
    local count = 0
    for _ in file.dir('/proc/self/fd') do count = count + 1 end
    return count
end

print('minute', 'resident KB', 'Lua KB', 'descriptors', 'processor %', table.concat(order, '\t'))
local resident, used = {}, os.clock()
for minute = 1, minutes do
    eco.sleep(start + minute * 60 - time.now(true))
    collectgarbage()
    collectgarbage()
    resident[minute] = tonumber(file.readfile('/proc/self/statm'):match('%d+ (%d+)')) * 4
    local counts = {}
    for place, kind in ipairs(order) do counts[place] = done[kind] end
    print(minute, resident[minute], collectgarbage('count') // 1 | 0, count_descriptors(), ('%.1f'):format((os.clock() - used) / 0.6),
        table.concat(counts, '\t'))
    used = os.clock()
end
over = true
if minutes > 2 and resident[minutes] > resident[2] * 1.1 then
    error(('memory grew from %d to %d KB'):format(resident[2], resident[minutes]), 0)
end
os.exit(true, true)
