-- A fleet in one process: agents that publish and take commands through one Mosquitto, which is restarted in between.
--
--     eco examples/fleet/simulate.lua [AGENTS [SECONDS [INTERVAL]]]
--
-- Says whether anything acknowledged was lost, whether everybody came back, and what an agent costs. Needs `mosquitto`
-- and, for certificates, `openssl`; without the package lua-eco-ssl the connections are plain.

package.path = (arg[0]:match('^(.*/)') or './') .. '?.lua;' .. package.path

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sys = require 'eco.sys'
local time = require 'eco.time'
local agents = require 'agent'
local collectors = require 'collector'

local count, seconds, interval = tonumber(arg[1]) or 1000, tonumber(arg[2]) or 60, tonumber(arg[3]) or 10
local folder = ('/tmp/eco-fleet-%d'):format(sys.getpid())
assert(file.mkdir(folder, tonumber('700', 8)))

-- ---- the broker ---------------------------------------------------------------------

local secure, ssl = pcall(require, 'eco.ssl')
local port, trust
do
    local probe<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    port = assert(probe:getsockname()).port
end

local settings = {
    'user root', 'allow_anonymous true', 'persistence true', 'persistence_location ' .. folder .. '/',
    'max_queued_messages 0', 'log_type error', ('listener %d 127.0.0.1'):format(port),
}
if secure then
    assert(os.execute(('cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \z
        -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null'):format(folder)))
    -- A thousand agents in one process read it once.
    trust = assert(ssl.client_context { ca = folder .. '/cert.pem' })
    settings[#settings + 1] = ('certfile %s/cert.pem\nkeyfile %s/key.pem'):format(folder, folder)
end
file.writefile(folder .. '/mosquitto.conf', table.concat(settings, '\n') .. '\n')

local broker ---@type eco.sys.Process?
local function start_broker()
    broker = assert(sys.exec('/usr/sbin/mosquitto', '-c', folder .. '/mosquitto.conf'))
end

local function stop_broker()
    if broker then
        broker:stop(30)
        broker:close()
        broker = nil
    end
end

-- However this ends.
local _<close> = setmetatable({}, { __close = function()
    stop_broker()
    os.execute('rm -r ' .. folder)
end })

-- ---- what it costs ------------------------------------------------------------------

local function resident()
    return assert(tonumber(assert(file.readfile('/proc/self/status')):match('VmRSS:%s*(%d+)')))
end

local function processor()
    return os.clock()
end

-- ---- the run ------------------------------------------------------------------------

local function options(more)
    more.ipaddr, more.port = '127.0.0.1', port
    if secure then
        more.ssl, more.ctx = true, trust
        -- They all come at one moment, and one processor shakes all the hands.
        more.timeout = 60
    end
    more.reconnect = { min = 0.5, max = 5 }
    more.keepalive = 60
    more.connect_timeout = 30
    more.ping_timeout = 30
    return more
end

local function await(what, limit, condition)
    local stop = time.now() + limit
    while not condition() do
        if time.now() > stop then
            error('waited in vain until ' .. what, 0)
        end
        eco.sleep(0.05)
    end
end

start_broker()
eco.sleep(0.5)

-- Numbers of reports by agent, as the collector got them.
local got, statuses, received = {}, {}, 0
local collector = collectors.start(options {
    id = 'archive',
    telemetry = function(name, payload)
        received = received + 1
        got[name] = got[name] or {}
        got[name][tonumber(payload:match('"number":(%d+)'))] = true
    end,
    status = function(name, payload)
        statuses[name] = payload
    end,
})
-- Two more share the work between them.
local shared = { 0, 0 } ---@type integer[]
local workers = {}
for number = 1, 2 do
    workers[number] = collectors.start(options {
        id = 'worker-' .. number,
        group = 'workers',
        telemetry = function()
            shared[number] = shared[number] + 1
        end,
    })
end
await('the collectors are there', 30, function()
    return collector.ready and workers[1].ready and workers[2].ready
end)

collectgarbage()
local empty = resident()
local fleet = {}
local began = time.now()
for number = 1, count do
    fleet[number] = agents.start(options {
        name = ('router-%04d'):format(number),
        interval = interval,
        measure = function(agent)
            return ('{"name":"%s","number":%d,"load":0.42}'):format(agent.name, agent.number)
        end,
    })
    if number % 20 == 0 then
        eco.sleep(0.05)
    end
end

local function connected()
    local sum = 0
    for _, agent in ipairs(fleet) do
        sum = sum + (agent.client.connected and 1 or 0)
    end
    return sum
end

await('all are there', 120, function() return connected() == count end)
print(('%d agents%s there after %.1f s'):format(count, secure and ' over TLS' or '', time.now() - began))

local cpu, from = processor(), time.now()
eco.sleep(seconds / 2)
local spent = (processor() - cpu) / (time.now() - from)

stop_broker()
await('all have noticed', 60, function() return connected() == 0 end)
eco.sleep(1)
start_broker()
began = time.now()
await('all are back', 120, function() return connected() == count end)
print(('broker restarted, all back after %.1f s'):format(time.now() - began))

eco.sleep(seconds / 2)
collectgarbage()
collectgarbage()
local full = resident()

-- A command to one in fifty, with its answer.
local answered = 0
for number = 1, count, 50 do
    local text = collectors.ask(collector, fleet[number].name, 'echo hello ' .. number, 10)
    answered = answered + (text == 'hello ' .. number and 1 or 0)
end
assert(answered == (count + 49) // 50, 'an answer is missing')

for _, agent in ipairs(fleet) do
    agent.stopped = true
end
local function missing()
    local lost = 0
    for _, agent in ipairs(fleet) do
        for number = 1, agent.acknowledged do
            lost = lost + (got[agent.name] and got[agent.name][number] and 0 or 1)
        end
    end
    return lost
end
local function announced()
    local sum = 0
    for _, agent in ipairs(fleet) do
        sum = sum + (statuses[agent.name] == 'here' and 1 or 0)
    end
    return sum
end
pcall(await, 'everything is here', 30, function() return missing() == 0 and announced() == count end)

local acknowledged, returned, present = 0, 0, announced()
for _, agent in ipairs(fleet) do
    acknowledged = acknowledged + agent.acknowledged
    returned = returned + (agent.connections >= 2 and 1 or 0)
end
local lost = missing()
print(('reports acknowledged %d, received %d, lost %d'):format(acknowledged, received, lost))
print(('shared by two workers: %d and %d'):format(shared[1], shared[2]))
print(('agents back %d of %d, announced %d, commands answered %d'):format(returned, count, present, answered))
print(('memory %.1f KB an agent, processor %.4f %% an agent (a report each %g s)'):format((full - empty) / count,
    spent / count * 100, interval))

for _, agent in ipairs(fleet) do
    agent.client:disconnect()
end
for _, one in ipairs { collector, workers[1], workers[2] } do
    one.client:disconnect()
end
eco.sleep(0.5)
assert(lost == 0 and returned == count and present == count)
