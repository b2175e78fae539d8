-- Names: queries against a resolver of the test's own, which lies, cuts, delays and says nothing, as the case wants.

local eco = require 'eco'
local file = require 'eco.file'
local dns = require 'eco.dns'
local internal = require 'eco.internal.dns'
local socket = require 'eco.socket'
local time = require 'eco.time'

local pack, unpack = string.pack, string.unpack

assert(file.writefile(T.path('hosts'), ''))
assert(file.writefile(T.path('resolv.conf'), ''))

-- Messages

local function name(text)
    return (text:gsub('([^.]+)%.?', function(label) return pack('s1', label) end)) .. '\0'
end

local function record(kind, data, ttl, owner)
    return (owner or '\xc0\12') .. pack('>I2I2I4s2', kind, 1, ttl or 60, data)
end

local function a(text)
    return record(dns.TYPE_A, socket.inet_pton(socket.AF_INET, text))
end

local function aaaa(text)
    return record(dns.TYPE_AAAA, socket.inet_pton(socket.AF_INET6, text))
end

local SOA = record(dns.TYPE_SOA, '\0\0' .. pack('>I4I4I4I4I4', 1, 2, 3, 4, 2))

-- What a request asks: its name, type, the question's bytes, and whether EDNS comes with it.
local function asked(request)
    local at, labels = 13, {}
    while request:byte(at) ~= 0 do
        local label
        label, at = unpack('s1', request, at)
        labels[#labels + 1] = label
    end
    return table.concat(labels, '.'), unpack('>I2', request, at + 1), request:sub(13, at + 4), #request > at + 4
end

-- A reply with answers and authorities.
local function reply(request, answers, authorities, code, flags)
    answers, authorities = answers or {}, authorities or {}
    local _, _, question = asked(request)
    return request:sub(1, 2) .. pack('>I2I2I2I2I2', 0x8180 | (code or 0) | (flags or 0), 1, #answers, #authorities, 0)
        .. question .. table.concat(answers) .. table.concat(authorities)
end

-- A server over both kinds of sockets on one port: `answer(request, count, kind)` gives the datagrams, or one message.
local function serve(answer, tcp_answer, ip)
    ip = ip or '127.0.0.1'
    local udp, port, listener
    -- A number that is free for both kinds.
    for _ = 1, 50 do
        udp = assert(socket.listen_udp(ip, 0, { ipv6 = ip:find(':') and true }))
        port = udp:getsockname().port
        listener = tcp_answer and socket.listen_tcp(ip, port, { ipv6 = ip:find(':') and true, reuseaddr = true })
        if listener or not tcp_answer then break end
        udp:close()
    end
    local self = { port = port, requests = {}, connections = 0, opts = {
        nameservers = { { ip, port } }, cache = false, hosts = T.path('hosts'), resolv_conf = T.path('resolv.conf'),
    } }
    eco.run(function()
        while true do
            local request, peer = udp:recvfrom(4096)
            if not request then return end
            self.requests[#self.requests + 1] = request
            self.ports = self.ports or {}
            self.ports[#self.ports + 1] = peer.port
            eco.run(function()
                local list = answer(request, #self.requests, peer, udp)
                for _, data in ipairs(type(list) == 'table' and list or { list }) do
                    udp:sendto(data, peer.ipaddr, peer.port)
                end
            end)
        end
    end)
    if tcp_answer then
        eco.run(function()
            while true do
                local s = listener:accept()
                if not s then return end
                self.connections = self.connections + 1
                eco.run(function()
                    local head = s:readfull(2, 5)
                    local request = head and s:readfull(unpack('>I2', head), 5)
                    if request then tcp_answer(request, s) end
                    s:close()
                end)
            end
        end)
    end
    return setmetatable(self, { __close = function()
        udp:close()
        if listener then listener:close() end
        T.settle()
    end })
end

local function query(server, host, opts)
    local own = {}
    for key, value in pairs(server.opts) do own[key] = value end
    for key, value in pairs(opts or {}) do own[key] = value end
    return dns.query(host, own)
end

local function resolve(server, host, opts)
    local own = {}
    for key, value in pairs(server.opts) do own[key] = value end
    for key, value in pairs(opts or {}) do own[key] = value end
    return dns.resolve(host, own)
end

case('names of types, constants', function()
    for text, number in pairs { A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, SPF = 99 } do
        T.eq(dns['TYPE_' .. text], number)
        T.eq(dns.type_name(number), text)
    end
    T.eq(dns.type_name(41), 'unknown')
    T.eq(dns.type_name('A'), 'unknown')
    T.eq({ dns.CLASS_IN, dns.SECTION_AN, dns.SECTION_NS, dns.SECTION_AR }, { 1, 1, 2, 3 })
end)

case('literals need no server', function()
    T.eq(dns.query('192.0.2.1'), { { type = 1, address = '192.0.2.1' } })
    T.eq(dns.query('2001:db8::1', { type = dns.TYPE_MX }), { { type = 28, address = '2001:db8::1' } })
    T.eq(dns.resolve('192.0.2.1'), { '192.0.2.1' })
    T.eq(dns.resolve('::1'), { '::1' })
    T.fails('not found', dns.resolve('::1', { family = socket.AF_INET }))
    T.fails('not found', dns.resolve('1.2.3.4', { family = socket.AF_INET6 }))
    T.eq(dns.resolve('::1', { family = socket.AF_INET6 }), { '::1' })
end)

case('bad names and bad arguments', function()
    for _, bad in ipairs { '.', '.a', ('a'):rep(64), 'a..b', 'a\0b', ('a'):rep(256), ('a.'):rep(127) .. 'ab' } do
        T.fails('bad name', dns.query(bad))
        T.fails('bad name', dns.resolve(bad))
    end
    T.fails('bad name', dns.resolve(''))
    for _, f in ipairs { dns.query, dns.resolve } do
        for _, value in ipairs { 1, {}, true } do
            T.raises('string expected', f, value)
        end
        T.raises('string expected', f)
        T.raises('invalid nameservers', f, 'a.test', { nameservers = { true } })
        T.raises('invalid nameservers', f, 'a.test', { nameservers = '127.0.0.1' })
        T.raises('invalid nameserver: x', f, 'a.test', { nameservers = { 'x' } })
        T.raises('invalid nameserver: x', f, 'a.test', { nameservers = { { 'x', 53 } } })
        for _, port in ipairs { 0, 65536, -1, 1.5, '1x' } do
            T.raises('invalid nameserver: 127.0.0.1', f, 'a.test', { nameservers = { { '127.0.0.1', port } } })
        end
        for _, limit in ipairs { 0, -1, 0 / 0, '1' } do
            T.raises('timeout out of range', f, 'a.test', { timeout = limit })
        end
        T.raises('attempts out of range', f, 'a.test', { attempts = 0 })
        local message = T.raises('invalid nameservers', function() f('a.test', { nameservers = { 5 } }) end)
        assert(message:find('dns.lua:', 1, true), message)
        T.fails('not found valid nameservers', f('a.test', { nameservers = {} }))
    end
    for _, kind in ipairs { -1, 65536, 1.5, 'A' } do
        T.raises('type out of range', dns.query, 'a.test', { type = kind })
    end
    T.raises('family must be', dns.resolve, 'a.test', { family = socket.AF_UNIX })
end)

case('every type of record', function()
    local cases = {
        [dns.TYPE_A] = { '\1\2\3\4', { address = '1.2.3.4' } },
        [dns.TYPE_AAAA] = { ('\0'):rep(15) .. '\1', { address = '::1' } },
        [dns.TYPE_NS] = { name('ns.test'), { nsdname = 'ns.test' } },
        [dns.TYPE_CNAME] = { '\1c\xc0\12', { cname = 'c.a.test' } },
        [dns.TYPE_PTR] = { '\0', { ptrdname = '' } },
        [dns.TYPE_MX] = { '\1\0' .. name('m.test'), { preference = 256, exchange = 'm.test' } },
        [dns.TYPE_SRV] = { '\0\1\0\2\xff\xff' .. name('s.test'), { priority = 1, weight = 2, port = 65535, target = 's.test' } },
        [dns.TYPE_TXT] = { '\3one', { txt = 'one' } },
        [dns.TYPE_SPF] = { '\3one\0\9two', { spf = { 'one', '', 'two' } } },
        [dns.TYPE_SOA] = {
            name('m') .. name('r') .. ('\xff'):rep(20),
            { mname = 'm', rname = 'r', serial = 0xffffffff, refresh = 0xffffffff, retry = 0xffffffff, expire = 0xffffffff, minimum = 0xffffffff },
        },
        [257] = { 'raw\0', { rdata = 'raw\0' } },
    }
    local server<close> = serve(function(request)
        local _, kind = asked(request)
        return reply(request, { record(kind, cases[kind][1], 0xfffffffe) })
    end)
    for kind, expected in pairs(cases) do
        local fields = expected[2]
        fields.section, fields.type, fields.class, fields.ttl, fields.name = 1, kind, 1, 0xfffffffe, 'a.test'
        T.eq(query(server, 'a.test', { type = kind }), { fields })
    end
end)

case('requests', function()
    local server<close> = serve(function(request) return reply(request, { a '192.0.2.1' }) end)
    for _ = 1, 20 do assert(query(server, 'a.test.')) end
    local ids, ports = {}, {}
    for i, request in ipairs(server.requests) do
        local host, kind, _, extended = asked(request)
        T.eq({ host, kind, extended, request:byte(3) }, { 'a.test', 1, true, 1 })
        T.eq(request:sub(-11), '\0\0\41\4\xd0\0\0\0\0\0\0')
        ids[unpack('>I2', request)], ports[server.ports[i]] = true, true
    end
    local function size(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end
    assert(size(ids) > 15 and size(ports) > 10, size(ids) .. ' ids, ' .. size(ports) .. ' ports')
    assert(query(server, 'b.test', { no_recurse = true, edns = false, type = 33 }))
    local host, kind, _, extended = asked(server.requests[21])
    T.eq({ host, kind, extended, server.requests[21]:byte(3) }, { 'b.test', 33, false, 0 })
end)

case('answers that are not to the question are passed over', function()
    local good
    local server<close> = serve(function(request)
        local _, _, question = asked(request)
        good = reply(request, { a '192.0.2.1' })
        local forged = reply(request, { a '6.6.6.6' })
        local list = {
            '', 'x', pack('>I2', unpack('>I2', request) ~ 1) .. forged:sub(3), request,
            forged:sub(1, 2) .. '\x91' .. forged:sub(4), forged:gsub('a%f[\4]', 'b'),
            (forged:gsub(question:gsub('%W', '%%%0'), (question:gsub('\1$', '\3')))),
        }
        list[#list + 1] = good
        return list
    end)
    T.eq(query(server, 'a.test')[1].address, '192.0.2.1')
    T.eq(#server.requests, 1)
    -- The case of letters may differ.
    local shouting<close> = serve(function(request) return reply(request, { a '192.0.2.2' }):gsub('test', 'TesT') end)
    local records = query(shouting, 'a.test')
    T.eq({ records[1].address, records[1].name }, { '192.0.2.2', 'a.TesT' })
end)

case('an answer from elsewhere is not seen', function()
    local other<close> = assert(socket.listen_udp('127.0.0.1', 0))
    local server<close> = serve(function(request, _, peer)
        other:sendto(reply(request, { a '6.6.6.6' }), peer.ipaddr, peer.port)
        eco.sleep(0.02)
        return reply(request, { a '192.0.2.1' })
    end)
    T.eq(query(server, 'a.test')[1].address, '192.0.2.1')
end)

case('what was wrong is told at the end', function()
    for text, forge in pairs {
        ['transaction ID mismatch'] = function(request) return pack('>I2', unpack('>I2', request) ~ 1) .. reply(request):sub(3) end,
        ['not a response'] = function(request) return request end,
        ['malformed response'] = function() return 'short' end,
        ['unexpected number of questions: 2'] = function(request) return reply(request):sub(1, 5) .. '\2' .. reply(request):sub(7) end,
        ['question mismatch'] = function(request) return (reply(request):gsub('test', 'tesu')) end,
    } do
        local server<close> = serve(forge)
        local records, err = T.took(0.1, 1, query, server, 'a.test', { timeout = 0.1 })
        T.fails(text, records, err)
    end
end)

case('errors of servers', function()
    local codes = {
        'format error', 'server failure', 'name error', 'not implemented', 'refused', 'unknown error code: 6', [15] = 'unknown error code: 15',
    }
    for code, text in pairs(codes) do
        local server<close> = serve(function(request) return reply(request, {}, {}, code) end)
        T.fails(text, query(server, 'a.test'))
        T.fails(text, query(server, 'a.test', { edns = false }))
        T.fails(text, resolve(server, 'a.test'))
        -- Those who may have tripped over EDNS were asked without it.
        local plain = 0
        for _, request in ipairs(server.requests) do
            plain = plain + (#request < 30 and 1 or 0)
        end
        local suspicious = code == 1 or code == 4 or code > 5
        T.eq({ #server.requests, plain }, suspicious and { 5, 4 } or { 4, 1 }, text)
    end
    local server<close> = serve(function(request) return reply(request) end)
    T.eq(query(server, 'a.test'), {})
    T.fails('not found', resolve(server, 'a.test'))
end)

case('servers that know no EDNS', function()
    -- One that copies all behind the header, as if it were the question.
    local server<close> = serve(function(request)
        return request:sub(1, 2) .. '\x81\x80\0\1\0\1\0\0\0\0' .. request:sub(13) .. a '192.0.2.1'
    end)
    T.eq(query(server, 'a.test')[1].address, '192.0.2.1')
    T.eq(#server.requests, 2)
    T.eq(query(server, 'a.test')[1].address, '192.0.2.1')
    T.eq(#server.requests, 3)
end)

case('cut and broken answers', function()
    local current
    local server<close> = serve(function(request) return current(request) end)
    local function whole(request)
        return reply(request, { record(5, '\1c\xc0\12'), record(15, '\0\1\xc0\12'), record(16, '\3one\3two'), a '192.0.2.1' })
    end
    local length
    current = function(request)
        length = #whole(request)
        return whole(request)
    end
    T.eq(#query(server, 'a.test', { edns = false }), 4)
    for cut = 24, length - 1 do
        current = function(request) return whole(request):sub(1, cut) end
        T.fails('malformed', query(server, 'a.test', { edns = false }))
    end
    for cut = 0, 23 do
        current = function(request) return whole(request):sub(1, cut) end
        local records, err = query(server, 'a.test', { edns = false, timeout = 0.002 })
        T.fails(cut < 12 and 'malformed response' or 'question mismatch', records, err)
    end
    for loop, text in pairs {
        ['\xc0\24'] = 'malformed name', ['\xc0\26\xc0\24'] = 'malformed name', ['\1x\xc0\24'] = 'malformed name', ['\xff\xff'] = 'malformed name',
        ['\x40'] = 'malformed name', ['\x3fx'] = 'malformed name',
    } do
        current = function(request) return reply(request, { record(1, '\1\2\3\4', 1, loop) }) end
        T.fails(text, query(server, 'a.test', { edns = false }))
    end
    current = function(request) return reply(request, { record(5, '\xc0\36') }) end
    T.fails('malformed cname', query(server, 'a.test', { edns = false }))
    current = function(request) return reply(request, { record(1, '\1\2\3') }) end
    T.fails('invalid A record length', query(server, 'a.test', { edns = false }))
end)

case('long answers come over a connection', function()
    local many = {}
    for i = 1, 300 do many[i] = record(16, pack('s1', ('text %d'):format(i))) end
    local server<close> = serve(function(request) return reply(request, {}, {}, 0, 0x200) end, function(request, s)
        local bytes = pack('>s2', reply(request, many))
        -- In pieces, as networks like it.
        s:send(bytes:sub(1, 1))
        eco.sleep(0.005)
        s:send(bytes:sub(2, 700))
        eco.sleep(0.005)
        s:send(bytes:sub(701))
    end)
    local records = assert(query(server, 'a.test', { type = dns.TYPE_TXT }))
    T.eq({ #records, records[300].txt, server.connections, #server.requests }, { 300, 'text 300', 1, 1 })
    -- Or at once.
    assert(query(server, 'a.test', { type = dns.TYPE_TXT, tcp = true }))
    T.eq({ server.connections, #server.requests }, { 2, 1 })
end)

case('connections that fail', function()
    local current
    local server<close> = serve(function(request) return reply(request, {}, {}, 0, 0x200) end, function(request, s) current(request, s) end)
    for _, answer in ipairs {
        function() end,
        function(_, s) s:send('\0') end,
        function(request, s) s:send(pack('>s2', reply(request)):sub(1, -2)) end,
        function(request, s) s:send(pack('>s2', '\0\0' .. reply(request):sub(3))) end,
        function(_, s) s:send('\0\0') end,
        function(request, s) s:send(pack('>s2', reply(request, {}, {}, 0, 0x200))) end,
    } do
        current = answer
        T.fails('truncated', query(server, 'a.test'))
    end
    -- One that sends a byte from time to time is not waited for longer than one that sends nothing.
    current = function(_, s)
        s:send('\xff\xff')
        while s:send('x') do eco.sleep(0.01) end
    end
    local records, err = T.took(0.2, 2, query, server, 'a.test', { timeout = 0.2 })
    T.fails('truncated', records, err)
    records, err = T.took(0.1, 2, query, server, 'a.test', { timeout = 0.1, tcp = true })
    T.fails('fail: timeout', records, err)
    local udp_only<close> = serve(function(request) return reply(request, {}, {}, 0, 0x200) end)
    T.fails('truncated', query(udp_only, 'a.test'))
    T.fails(('recv from "127.0.0.1:%d" fail: Connection refused'):format(udp_only.port), query(udp_only, 'a.test', { tcp = true }))
end)

case('servers in turn', function()
    local bad<close> = serve(function(request) return reply(request, {}, {}, 2) end)
    local missing<close> = serve(function(request) return reply(request, {}, { SOA }, 3) end)
    local good<close> = serve(function(request) return reply(request, { a '192.0.2.1' }) end)
    local gone = assert(socket.listen_udp('127.0.0.1', 0))
    local gone_port = gone:getsockname().port
    gone:close()
    local function servers(...)
        local list = {}
        for i, port in ipairs { ... } do list[i] = { '127.0.0.1', port } end
        return { nameservers = list }
    end
    T.fails(('recv from "127.0.0.1:%d" fail: Connection refused'):format(gone_port), query(good, 'a.test', servers(gone_port)))
    local all = servers(gone_port, bad.port, missing.port, good.port)
    T.eq(query(good, 'a.test', all)[1].address, '192.0.2.1')
    T.eq({ #bad.requests, #missing.requests, #good.requests }, { 1, 1, 1 })
    T.fails('name error', query(good, 'a.test', servers(missing.port, bad.port)))
    T.fails('server failure', query(good, 'a.test', servers(gone_port, bad.port)))
    -- Rotation asks each of them first in turn.
    all = servers(good.port, bad.port)
    all.rotate = true
    local before = #bad.requests
    for _ = 1, 4 do T.eq(query(good, 'a.test', all)[1].address, '192.0.2.1') end
    T.eq(#bad.requests - before, 2)
end)

case('silence, retries and limits', function()
    local answers_at = 2
    local server<close> = serve(function(request, count) return count >= answers_at and reply(request, { a '192.0.2.1' }) or {} end)
    -- 2.5 seconds are a half of five.
    local records = T.took(2.4, 3.5, query, server, 'a.test')
    T.eq({ records[1].address, #server.requests }, { '192.0.2.1', 2 })
    T.eq(server.requests[1], server.requests[2])
    answers_at = 1000
    local nothing, err = T.took(0.2, 1, query, server, 'a.test', { timeout = 0.2 })
    T.fails(('recv from "127.0.0.1:%d" fail: timeout'):format(server.port), nothing, err)
    file.writefile(T.path('quick'), ('nameserver 127.0.0.1\noptions timeout:1 attempts:1\n'))
    nothing, err = T.took(0.99, 2, query, server, 'a.test', { resolv_conf = T.path('quick') })
    T.fails('fail: timeout', nothing, err)
    T.eq(#server.requests, 4)
    -- Of two silent servers, both are asked twice.
    local second<close> = serve(function() return {} end)
    local opts = { attempts = 2, resolv_conf = T.path('quick'), nameservers = { { '127.0.0.1', server.port }, { '127.0.0.1', second.port } }, timeout = 3.5 }
    nothing, err = T.took(3.4, 5, query, server, 'a.test', opts)
    T.fails('fail: timeout', nothing, err)
    T.eq({ #server.requests, #second.requests }, { 6, 2 })
    -- An answer to the first request counts when it comes after the second one.
    local slow<close> = serve(function(request, count)
        if count == 1 then eco.sleep(1.3) return reply(request, { a '192.0.2.9' }) end
        return {}
    end)
    records = T.took(1.2, 2, query, slow, 'a.test', { resolv_conf = T.path('quick'), attempts = 2 })
    T.eq(records[1].address, '192.0.2.9')
end)

case('a query that is given up leaves nothing', function()
    local server<close> = serve(function() return {} end, function() eco.sleep(0.2) end)
    for _, f in ipairs { query, resolve } do
        for _, tcp in ipairs { false, true } do
            local before = eco.count()
            local waiting = eco.run(f, server, 'a.test', { tcp = tcp })
            time.sleep(0.02)
            coroutine.close(waiting)
            assert(tcp or eco.count() == before, eco.count() - before)
        end
    end
    time.sleep(0.25)
end)

case('many at once', function()
    local server<close> = serve(function(request)
        eco.sleep(math.random() / 50)
        local host = asked(request)
        return reply(request, { a('10.0.0.' .. host:match('%d+')) })
    end)
    local group = T.gather()
    for i = 1, 100 do
        group:run(function()
            T.eq(query(server, ('h%d.test'):format(i))[1].address, '10.0.0.' .. i)
        end)
    end
    group:wait()
end)

case('hosts file', function()
    local path = T.path('hosts2')
    local server<close> = serve(function(request) return reply(request, { a '192.0.2.1' }) end)
    file.writefile(path, '\n   \n# 1.1.1.1 router\nnot-an-address router\n10.0.0.1 Router router.lan # x\n10.0.0.2 router\nfd00::1\trouter\n')
    local opts = { hosts = path }
    T.eq(query(server, 'router', opts), { { type = 1, address = '10.0.0.1' } })
    T.eq(query(server, 'ROUTER.lan.', opts), { { type = 1, address = '10.0.0.1' } })
    T.eq(query(server, 'router', { hosts = path, type = 28 }), { { type = 28, address = 'fd00::1' } })
    local list = resolve(server, 'router', opts)
    table.sort(list)
    T.eq(list, { '10.0.0.1', '10.0.0.2', 'fd00::1' })
    T.eq(resolve(server, 'router', { hosts = path, family = socket.AF_INET6 }), { 'fd00::1' })
    T.eq(#server.requests, 0)
    -- Other types, and families that the file does not know, are the servers'.
    T.eq(query(server, 'router', { hosts = path, type = 15 })[1].address, '192.0.2.1')
    T.eq(query(server, 'router.lan', { hosts = path, type = 28 })[1].address, '192.0.2.1')
    T.eq(#server.requests, 2)
    -- A change shows at once.
    file.writefile(path, '10.0.0.9 router\n')
    T.eq(query(server, 'router', opts)[1].address, '10.0.0.9')
    os.remove(path)
    T.eq(query(server, 'router', opts)[1].address, '192.0.2.1')
    -- So long a file is not kept in memory.
    local lines = {}
    for i = 1, 20000 do lines[i] = ('10.1.%d.%d host%d\n'):format(i // 256, i % 256, i) end
    file.writefile(path, table.concat(lines))
    T.eq(query(server, 'host1', opts)[1].address, '10.1.0.1')
    T.eq(query(server, 'host9999', opts)[1].address, '10.1.39.15')
    T.eq(query(server, 'host20000', opts)[1].address, '10.1.78.32')
    for i = 3000, 3200 do
        T.eq(query(server, 'host' .. i, opts)[1].address, ('10.1.%d.%d'):format(i // 256, i % 256))
    end
    T.eq(#server.requests, 3)
    T.eq(query(server, 'localhost', { hosts = '/nonexistent' })[1].address, '127.0.0.1')
    T.eq(query(server, 'LocalHost.', { hosts = '/nonexistent', type = 28 })[1].address, '::1')
    T.eq(#server.requests, 3)
end)

case('search domains', function()
    local path = T.path('search.conf')
    local known = {}
    local server<close> = serve(function(request)
        local host = asked(request)
        return known[host] and reply(request, known[host]) or reply(request, {}, { SOA }, 3)
    end)
    local opts = { resolv_conf = path }
    local function names()
        local list = {}
        for i, request in ipairs(server.requests) do list[i] = (asked(request)) end
        server.requests = {}
        return table.concat(list, ' ')
    end
    local function conf(text) file.writefile(path, text .. '\n') end
    conf '# search commented\nsearch lan b.example'
    T.fails('name error', query(server, 'host', opts))
    T.eq(names(), 'host.lan host.b.example host')
    T.fails('name error', query(server, 'host.', opts))
    T.fails('name error', query(server, 'host.lan', opts))
    T.eq(names(), 'host host.lan')
    known['host.b.example'] = { a '192.0.2.1' }
    T.eq(query(server, 'host', opts)[1].name, 'host.b.example')
    T.eq(resolve(server, 'host', { resolv_conf = path, family = socket.AF_INET }), { '192.0.2.1' })
    T.eq(names(), 'host.lan host.b.example host.lan host.b.example')
    known['host.lan'] = {}
    known['host.b.example'] = nil
    T.eq(query(server, 'host', opts), {})
    T.eq(names(), 'host.lan host.b.example host')
    conf 'search lan\noptions ndots:2'
    T.fails('name error', query(server, 'a.b', opts))
    T.eq(names(), 'a.b.lan a.b')
    conf 'search'
    T.fails('name error', query(server, 'host', opts))
    T.eq(names(), 'host')
    conf 'domain home'
    T.fails('name error', query(server, 'host', opts))
    T.eq(names(), 'host.home host')
    -- What fails otherwise is not tried further.
    local broken<close> = serve(function(request) return reply(request, {}, {}, 2) end)
    T.fails('server failure', query(broken, 'host', opts))
    T.eq(#broken.requests, 1)
    -- A domain that makes the name too long is passed over.
    conf('search ' .. ('a.'):rep(120))
    T.fails('name error', query(server, ('b'):rep(60), opts))
    T.eq(names(), ('b'):rep(60))
end)

case('servers of resolv.conf, read again when it changes', function()
    local path = T.path('servers.conf')
    local function conf(text) file.writefile(path, text) end
    -- The port is always 53, where nobody answers here.
    local opts = { resolv_conf = path, cache = false, hosts = T.path('hosts'), timeout = 0.05, attempts = 1 }
    for text, server in pairs {
        [''] = '127.0.0.1:53', ['nameserver x\n'] = '127.0.0.1:53', ['#nameserver 127.9.9.9\n nameserver 127.9.9.8\n'] = '127.0.0.1:53',
        ['nameserver 127.77.0.1\n'] = '127.77.0.1:53', ['nameserver 127.77.0.2'] = '127.77.0.2:53', ['nameserver ::1%lo\n'] = '::1%lo:53',
    } do
        conf(text)
        local records, err = dns.query('a.test', opts)
        if not records then T.fails('"' .. server .. '" fail: ', records, err) end
    end
    os.remove(path)
    local records, err = dns.query('a.test', opts)
    if not records then T.fails('"127.0.0.1:53" fail: ', records, err) end
end)

case('answers are kept as long as they live', function()
    dns.flush()
    local ttl = 2
    local server<close> = serve(function(request, count)
        local host = asked(request)
        if host == 'nothing.test' then return reply(request, {}, { SOA }, 3) end
        if host == 'empty.test' then return reply(request, {}, { SOA }) end
        if host == 'unkept.test' then return reply(request, {}, {}, 3) end
        return reply(request, { record(1, '\10\0\0' .. string.char(count), ttl) })
    end)
    local opts = { cache = true }
    local function count(host, more)
        local before = #server.requests
        opts.no_recurse = more
        local records, err = query(server, host, opts)
        return #server.requests - before, records and records[1] and records[1].ttl or err
    end
    T.eq({ count 'a.test' }, { 1, 2 })
    T.eq(count 'a.test', 0)
    T.eq(count 'A.Test', 0)
    T.eq(count('a.test', true), 1)
    T.eq({ count 'nothing.test' }, { 1, 'name error' })
    T.eq({ count 'nothing.test' }, { 0, 'name error' })
    T.eq(count 'empty.test', 1)
    T.eq(count 'empty.test', 0)
    T.eq(count 'unkept.test', 1)
    T.eq(count 'unkept.test', 1)
    time.sleep(1.05)
    T.eq({ count 'a.test' }, { 0, 1 })
    time.sleep(1.05)
    T.eq(count 'a.test', 1)
    T.eq(count 'nothing.test', 1)
    ttl = 0
    T.eq(count 'zero.test', 1)
    T.eq(count 'zero.test', 1)
    ttl = 0x80000001
    T.eq(count 'odd.test', 1)
    T.eq(count 'odd.test', 1)
    ttl = 60
    T.eq(count 'b.test', 1)
    dns.flush()
    T.eq(count 'b.test', 1)
    -- What a script does to records is its own affair.
    query(server, 'b.test', opts)[1].address = 'changed'
    T.eq(count 'b.test', 0)
    assert(query(server, 'b.test', opts)[1].address ~= 'changed')
    -- Another server is asked for itself.
    local other<close> = serve(function(request) return reply(request, { a '192.0.2.77' }) end)
    T.eq(query(other, 'b.test', { cache = true })[1].address, '192.0.2.77')
end)

case('the cache has a bound', function()
    dns.flush()
    local server<close> = serve(function(request) return reply(request, { a '192.0.2.1' }) end)
    local opts = { cache = true }
    dns.cache_entries = 20
    for i = 1, 100 do
        assert(query(server, 'hot.test', opts))
        assert(query(server, ('h%d.test'):format(i), opts))
    end
    T.eq(#server.requests, 101)
    local before = #server.requests
    for i = 100, 1, -1 do assert(query(server, ('h%d.test'):format(i), opts)) end
    local kept = 100 - (#server.requests - before)
    assert(kept >= 9 and kept <= 20, kept)
    dns.cache_entries = 0
    dns.flush()
    before = #server.requests
    for _ = 1, 3 do assert(query(server, 'hot.test', opts)) end
    T.eq(#server.requests - before, 3)
    dns.cache_entries = 256
    -- By bytes, too.
    local large<close> = serve(function(request) return reply(request, { record(16, ('\xff' .. ('x'):rep(255)):rep(15)) }) end)
    opts.type = 16
    for i = 1, 100 do assert(query(large, ('h%d.test'):format(i), opts)) end
    before = #large.requests
    for i = 100, 1, -1 do assert(query(large, ('h%d.test'):format(i), opts)) end
    kept = 100 - (#large.requests - before)
    assert(kept >= 7 and kept <= 18, kept)
    dns.flush()
end)

case('resolve', function()
    local records = {}
    local server<close> = serve(function(request)
        local host, kind = asked(request)
        return reply(request, (records[host] or {})[kind] or {}, { SOA })
    end)
    records['v4.test'] = { [1] = { a '192.0.2.1', a '192.0.2.2' } }
    records['v6.test'] = { [28] = { aaaa '2001:db8::1' } }
    records['both.test'] = { [1] = { a '127.0.0.1', a '127.0.0.2' }, [28] = { aaaa '::1' } }
    local alias = record(5, name('c.test'))
    records['alias.test'] = { [1] = {
        record(1, '\1\1\1\1', 60, name('other.test')), record(1, '\2\2\2\2', 60, name('d.test')), alias, record(5, name('D.test'), 60, name('c.test')),
    } }
    records['loop.test'] = { [1] = { record(5, '\xc0\12'), record(1, '\1\1\1\1', 60, name('x')) } }
    T.eq(resolve(server, 'v4.test'), { '192.0.2.1', '192.0.2.2' })
    T.eq(#server.requests, 2)
    T.eq(resolve(server, 'v6.test'), { '2001:db8::1' })
    T.eq(resolve(server, 'both.test', { family = socket.AF_INET6 }), { '::1' })
    T.eq(#server.requests, 5)
    T.eq(resolve(server, 'alias.test'), { '2.2.2.2' })
    T.fails('not found', resolve(server, 'loop.test'))
    T.fails('not found', resolve(server, 'v4.test', { family = socket.AF_INET6 }))
    -- With a route to the other family, it comes first; both take turns.
    local six = assert(socket.udp6())
    local works = six:connect('::1', 53)
    six:close()
    T.eq(resolve(server, 'both.test'), works and { '::1', '127.0.0.1', '127.0.0.2' } or { '127.0.0.1', '::1', '127.0.0.2' })
    file.writefile(T.path('four.conf'), 'options no-aaaa\n')
    local before = #server.requests
    T.eq(resolve(server, 'both.test', { resolv_conf = T.path('four.conf') }), { '127.0.0.1', '127.0.0.2' })
    T.eq(#server.requests - before, 1)
end)

case('both families are asked at once, or in turn', function()
    local at_once, most = 0, 0
    local server<close> = serve(function(request)
        local _, kind = asked(request)
        at_once = at_once + 1
        most = math.max(most, at_once)
        eco.sleep(0.03)
        at_once = at_once - 1
        return reply(request, { kind == 1 and a '192.0.2.1' or aaaa '2001:db8::1' })
    end)
    T.eq(#resolve(server, 'a.test'), 2)
    T.eq(most, 2)
    most = 0
    file.writefile(T.path('single.conf'), 'options single-request\n')
    T.eq(#resolve(server, 'a.test', { resolv_conf = T.path('single.conf') }), 2)
    T.eq(most, 1)
    -- One that fails does not spoil the other.
    local half<close> = serve(function(request)
        local _, kind = asked(request)
        return kind == 1 and reply(request, { a '192.0.2.1' }) or reply(request, {}, {}, 2)
    end)
    T.eq(resolve(half, 'a.test'), { '192.0.2.1' })
    T.fails('server failure', resolve(half, 'a.test', { family = socket.AF_INET6 }))
end)

case('servers over IPv6', function()
    local probe = socket.listen_udp('::1', 0, { ipv6 = true })
    if not probe then return end
    probe:close()
    local server<close> = serve(function(request) return reply(request, { a '192.0.2.6' }) end, nil, '::1')
    T.eq(query(server, 'a.test')[1].address, '192.0.2.6')
end)

case('parse_response', function()
    local request = internal.request('a.test', 1, true, false)
    local id = unpack('>I2', request)
    local bytes = reply(request, { a '192.0.2.1' })
    T.eq(internal.parse_response(bytes, id)[1].address, '192.0.2.1')
    T.eq(internal.parse_response(bytes, id, 50)[1].ttl, 10)
    T.eq(internal.parse_response(bytes, id, 1 << 40)[1].ttl, 0)
    T.fails('transaction ID mismatch', internal.parse_response(bytes, id ~ 1))
    T.fails('malformed response', internal.parse_response('', id))
    T.raises('out of range', internal.parse_response, bytes, 65536)
    T.raises('out of range', internal.parse_response, bytes, -1)
    T.raises('number expected', internal.parse_response, bytes)
end)

-- Sockets

local function dial(connect, server, host, port, opts)
    local own = { dns = server.opts }
    for key, value in pairs(opts or {}) do own[key] = value end
    return connect(host, port, own)
end

case('sockets connect to names', function()
    local four, six = { a '127.0.0.2', a '127.0.0.1' }, { aaaa '::1' }
    local server<close> = serve(function(request)
        local host, kind = asked(request)
        if host == 'absent.test' then return reply(request, {}, { SOA }, 3) end
        if host == 'silent.test' then return {} end
        return reply(request, kind == 1 and four or kind == 28 and six or {}, { SOA })
    end)
    local listener<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = listener:getsockname().port
    -- Neither ::1 nor 127.0.0.2 listens.
    local s<close> = assert(dial(socket.connect_tcp, server, 'a.test', port))
    T.eq(s:getpeername().ipaddr, '127.0.0.1')
    T.eq(s.connect_timeout, nil)
    local accepted<close> = assert(listener:accept())
    s:send('hello')
    T.eq(accepted:read(5), 'hello')
    local u<close> = assert(dial(socket.connect_udp, server, 'A.Test.', port, { connect_timeout = 3 }))
    T.eq({ u:getpeername().port, u.connect_timeout }, { port, 3 })
    T.fails('resolve "absent.test" fail: name error', dial(socket.connect_tcp, server, 'absent.test', port))
    T.fails('resolve "absent.test" fail: name error', dial(socket.connect_udp, server, 'absent.test', port))
    four, six = { a '127.0.0.1' }, {}
    listener:close()
    T.fails('Connection refused', dial(socket.connect_tcp, server, 'a.test', port))
    local nothing, err = T.took(0.2, 1, dial, socket.connect_tcp, server, 'silent.test', port, { connect_timeout = 0.2 })
    T.fails('fail: timeout', nothing, err)
    T.raises('out of range', dial, socket.connect_tcp, server, 'a.test', 65536)
    T.raises('seconds expected', dial, socket.connect_tcp, server, 'a.test', 80, { connect_timeout = -1 })
    T.settle()
    -- No more than its share of the time for an address that does not answer.
    local full<close> = assert(socket.listen_tcp('127.0.0.3', 0, { backlog = 0 }))
    local full_port = full:getsockname().port
    local waiting = {}
    for i = 1, 3 do waiting[i] = socket.connect_tcp('127.0.0.3', full_port, { connect_timeout = 0.1 }) end
    local open<close> = assert(socket.listen_tcp('127.0.0.1', full_port, { reuseaddr = true }))
    four = { a '127.0.0.3', a '127.0.0.1' }
    local other<close> = T.took(0.19, 1, dial, socket.connect_tcp, server, 'a.test', full_port, { connect_timeout = 0.4 })
    T.eq(other:getpeername().ipaddr, '127.0.0.1')
    for _, it in pairs(waiting) do it:close() end
end)

case('names without the package', function()
    local loaded, preloaded, path = package.loaded['eco.internal.dns'], package.preload['eco.internal.dns'], package.cpath
    package.loaded['eco.internal.dns'], package.preload['eco.internal.dns'], package.cpath = nil, nil, ''
    local message = T.raises('not a valid IP address', socket.connect_tcp, 'a.test', 80)
    assert(message:find('lua-eco-dns', 1, true), message)
    package.loaded['eco.internal.dns'], package.preload['eco.internal.dns'], package.cpath = loaded, preloaded, path
end)
