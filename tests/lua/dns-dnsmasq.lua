-- Names, asked of dnsmasq, the server of most routers; and of one that stands between, as on a router.

local eco = require 'eco'
local dns = require 'eco.dns'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sys = require 'eco.sys'

-- A port that is free for both kinds of sockets.
local function free_port()
    while true do
        local udp<close> = assert(socket.listen_udp('127.0.0.1', 0))
        local port = udp:getsockname().port
        local tcp<close> = socket.listen_tcp('127.0.0.1', port, { reuseaddr = true })
        if tcp then return port end
    end
end

assert(file.writefile(T.path('hosts'), ''))
assert(file.writefile(T.path('resolv.conf'), ''))

local texts = {}
for i = 1, 200 do texts[i] = ('--txt-record=long.test,%d%s'):format(i, ('x'):rep(200)) end

local function start(port, ...)
    local process = assert(sys.exec('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--no-hosts', '--user=', '--group=', '--pid-file=',
        '--log-facility=-', '--listen-address=127.0.0.1', '--bind-interfaces', '--port=' .. port, ...))
    local opts = { nameservers = { { '127.0.0.1', port } }, cache = false, hosts = T.path('hosts'), resolv_conf = T.path('resolv.conf'), timeout = 0.2 }
    T.await(function() return dns.query('ready.test', opts) end)
    opts.timeout = 10
    return opts, process
end

local function stop(process)
    process:kill(15)
    process:wait(10)
    process:close()
end

local port = free_port()
local opts, server = start(port, '--no-resolv', '--local=/test/', '--host-record=ready.test,192.0.2.9', '--local-ttl=77',
    '--host-record=host.test,192.0.2.1,2001:db8::1', '--address=/wide.test/192.0.2.1', '--mx-host=test,mail.test,7', '--ptr-record=4.3.2.1.in-addr.arpa,host.test',
    '--srv-host=_sip._udp.test,sip.test,5060,1,2', '--txt-record=txt.test,one,two words', '--cname=alias.test,host.test', '--dns-rr=caa.test,257,000569737375', table.unpack(texts))

local function ask(name, kind, more)
    opts.type = kind
    for key, value in pairs(more or {}) do opts[key] = value end
    local records, err = dns.query(name, opts)
    for key in pairs(more or {}) do opts[key] = nil end
    opts.type = nil
    return records, err
end

local function one(name, kind, more)
    local records = assert(ask(name, kind, more))
    T.eq(#records, 1)
    T.eq({ records[1].name, records[1].type, records[1].section, records[1].class }, { name, kind, 1, 1 })
    return records[1]
end

for _, way in ipairs { {}, { edns = false }, { tcp = true } } do
    T.eq(one('host.test', dns.TYPE_A, way).address, '192.0.2.1')
    T.eq(one('host.test', dns.TYPE_A, way).ttl, 77)
    T.eq(one('host.test', dns.TYPE_AAAA, way).address, '2001:db8::1')
    local mx = one('test', dns.TYPE_MX, way)
    T.eq({ mx.preference, mx.exchange }, { 7, 'mail.test' })
    local srv = one('_sip._udp.test', dns.TYPE_SRV, way)
    T.eq({ srv.priority, srv.weight, srv.port, srv.target }, { 1, 2, 5060, 'sip.test' })
    T.eq(one('txt.test', dns.TYPE_TXT, way).txt, { 'one', 'two words' })
    T.eq(one('4.3.2.1.in-addr.arpa', dns.TYPE_PTR, way).ptrdname, 'host.test')
    T.eq(one('caa.test', 257, way).rdata, '\0\5issu')
    local records = assert(ask('alias.test', dns.TYPE_A, way))
    T.eq({ records[1].cname, records[2].address }, { 'host.test', '192.0.2.1' })
    T.fails('name error', ask('absent.test', dns.TYPE_A, way))
    T.eq(ask('host.test', dns.TYPE_MX, way), {})
    -- Too long for a datagram of any size.
    T.eq(#assert(ask('long.test', dns.TYPE_TXT, way)), 200)
end

-- Through another one, which asks the first.
local front_port = free_port()
local front, forwarder = start(front_port, '--no-resolv', ('--server=127.0.0.1#%d'):format(port))
T.eq(#assert(dns.resolve('host.test', front)), 2)
T.eq(assert(dns.resolve('alias.test', front))[2], assert(dns.resolve('host.test', front))[2])
front.type = dns.TYPE_TXT
T.eq(#assert(dns.query('long.test', front)), 200)

-- What is kept is kept when the server has gone.
dns.flush()
opts.cache = true
assert(dns.resolve('host.test', opts))
stop(forwarder)
stop(server)
T.eq(#assert(dns.resolve('host.test', opts)), 2)
opts.cache = false
T.fails('Connection refused', dns.resolve('host.test', opts))
dns.flush()
