-- LuaAsio: every row of its contract, by the numbers there, and what else a program may do to it.

local eco = require 'eco'
local asio = require 'asio'
local socket = require 'eco.socket'
local time = require 'eco.time'

local spawn = asio.spawn_light_thread

-- A server of the test, which says its port.
local function serve(handler, ip)
    local holder, port
    for _ = 1, 50 do
        port = math.random(20000, 60000)
        local probe = socket.listen_tcp(ip or '127.0.0.1', port, { ipv6 = ip ~= nil })
        if probe then
            probe:close()
            holder = asio.server(ip or '127.0.0.1', port, handler)
            if holder then return holder, port end
        end
    end
    error('no port is free')
end

local function unused()
    local probe = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = probe:getsockname().port
    probe:close()
    return port
end

-- Runs a program of light threads until nothing is left of it.
local function run(...)
    for _, f in ipairs { ... } do
        spawn(function()
            local ok, err = xpcall(f, debug.traceback)
            -- Servers would keep the loop.
            if not ok then
                io.stderr:write(err, '\n')
                os.exit(1)
            end
        end)
    end
    asio.run()
end

-- Both ends of a connection, each a connection of asio's.
local function pair(f)
    local holder, port
    local accepted
    holder, port = serve(function(conn)
        accepted = conn
    end)
    run(function()
        local conn = assert(asio.connect('127.0.0.1', port))
        while not accepted do asio.sleep(0.001) end
        asio.destory_server(holder)
        f(conn, accepted)
    end)
end

local function eq(expected, ...)
    T.eq(table.pack(...), expected)
end

-- What is printed meanwhile.
local function printed(f)
    local lines, own = {}, print
    print = function(...) lines[#lines + 1] = tostring((...)) end
    local ok, err = pcall(f)
    print = own
    assert(ok, err)
    return table.concat(lines, '\n')
end

local function address(text, port, family)
    local ip = socket.inet_pton(socket.AF_INET, text)
    if ip then
        return (family or string.pack('=I2', 2)) .. string.pack('>I2', port) .. ip .. ('\0'):rep(120)
    end
    ip = socket.inet_pton(socket.AF_INET6, text)
    return (family or string.pack('=I2', 10)) .. string.pack('>I2I4', port, 0) .. ip .. ('\0'):rep(104)
end

case('1: ping and pong, and the end of the loop', function()
    local holder, port
    local served, replies = 0, {}
    holder, port = serve(function(conn)
        spawn(function(con)
            con:write(con:read(5) .. '-pong')
            con:close()
            served = served + 1
            if served == 2 then asio.destory_server(holder) end
        end, conn)
    end)
    local function ping(text)
        -- The port as a string, the host by its name.
        local con = assert(asio.connect('localhost', tostring(port)))
        eq({ n = 1, true }, con:write(text))
        local reply = con:read(10)
        replies[#replies + 1] = reply
        eq({ n = 0 }, con:close())
    end
    local thread = spawn(ping, 'ping1')
    assert(type(thread) == 'thread')
    spawn(ping, 'ping2')
    eq({ n = 0 }, asio.run())
    table.sort(replies)
    T.eq(replies, { 'ping1-pong', 'ping2-pong' })
    -- Nothing is left: it returns at once, again and again.
    asio.run()
    asio.run()
end)

case('2: operations are for light threads', function()
    local words = 'need be called in light thread.'
    T.raises(words, asio.connect, '127.0.0.1', 1)
    T.raises(words, asio.connect, address('127.0.0.1', 1))
    T.raises(words, asio.sleep, 0)
    T.raises(words, coroutine.wrap(function() asio.sleep(0) end))
    local holder, port, errors
    holder, port = serve(function(conn)
        errors = {}
        for i, f in ipairs {
            function() return conn:read(1) end, function() return conn:read_some() end,
            function() return conn:write('x') end, function() return asio.sleep(0) end,
        } do
            errors[i] = select(2, pcall(f))
        end
        assert(conn:get_original_dst() == nil)
        conn:close()
        asio.destory_server(holder)
    end)
    run(function()
        local conn = assert(asio.connect('127.0.0.1', port))
        -- A coroutine of its own in a light thread is none.
        T.raises(words, coroutine.wrap(function() conn:read(1) end))
        eq({ n = 2, nil, 'End of file' }, conn:read(1))
    end)
    T.eq(#errors, 4)
    for _, message in ipairs(errors) do assert(message:find(words, 1, true), message) end
end)

case('3: a stream that ends too soon', function()
    pair(function(client, server)
        client:write('abc')
        client:close()
        eq({ n = 2, nil, 'End of file' }, server:read(5))
        eq({ n = 2, nil, 'Bad file descriptor' }, server:read(5))
        eq({ n = 2, '', 'Bad file descriptor' }, server:read_some())
        eq({ n = 2, nil, 'Bad file descriptor' }, server:write('x'))
        eq({ n = 1, nil }, server:get_original_dst())
        server:close()
        eq({ n = 2, nil, 'Already closed.' }, server:read(1))
    end)
end)

case('4: some of it, and its end', function()
    pair(function(client, server)
        client:write('abc')
        client:close()
        eq({ n = 1, 'abc' }, server:read_some())
        eq({ n = 2, '', 'End of file' }, server:read_some())
    end)
    pair(function(client, server)
        client:write(('x'):rep(30000))
        asio.sleep(0.05)
        T.eq(#server:read_some(), 10240)
        -- What comes first is kept for exact reads.
        T.eq(#server:read(19760), 19760)
        eq({ n = 1, '' }, server:read(0))
        client:close()
        server:close()
    end)
end)

case('5: what cannot be written', function()
    pair(function(client, server)
        for _, data in ipairs { '', false, 5, {} } do
            T.raises('assertion failed!', client.write, client, data or nil)
        end
        for _, size in ipairs { -1, 1.5, 'x', math.mininteger } do
            T.raises('size must', client.read, client, size)
        end
        client:close()
        server:close()
    end)
end)

case('6: sleeping side by side', function()
    local done = 0
    T.took(0.2, 0.5, function()
        for _ = 1, 3 do
            spawn(function()
                eq({ n = 0 }, asio.sleep(0.2))
                done = done + 1
            end)
        end
        asio.run()
    end)
    T.eq(done, 3)
end)

case('7: closing wakes whoever reads and writes', function()
    for _, method in ipairs { 'read', 'read_some' } do
        pair(function(client, server)
            local result
            spawn(function() result = table.pack(client[method](client, 1)) end)
            asio.sleep(0.01)
            T.eq(result, nil)
            client:close()
            asio.sleep(0.01)
            T.eq(result, { n = 2, method == 'read_some' and '' or nil, 'Operation canceled' })
            for _, call in ipairs { 'read', 'read_some', 'write' } do
                eq({ n = 2, nil, 'Already closed.' }, client[call](client, 1))
            end
            eq({ n = 0 }, client:close())
            T.eq(client.get_original_dst, nil)
            server:close()
        end)
    end
    pair(function(client, server)
        local result
        spawn(function() result = table.pack(client:write(('x'):rep(20 << 20))) end)
        asio.sleep(0.01)
        client:close()
        asio.sleep(0.01)
        T.eq(result, { n = 2, nil, 'Operation canceled' })
        server:close()
    end)
end)

case('8: nobody listens', function()
    run(function()
        local conn, err = asio.connect('127.0.0.1', unused())
        assert(conn == nil)
        T.fails('Connection refused', nil, err)
        conn, err = asio.connect(address('127.0.0.1', unused()))
        T.fails('Connection refused', conn, err)
        -- What a server would say, or that none does.
        local dns = require 'eco.dns'
        local resolve = dns.resolve
        for said, text in pairs { ['name error'] = 'Host not found (authoritative)', ['not found'] = 'Host not found (authoritative)', other = 'other' } do
            dns.resolve = function() return nil, said end
            eq({ n = 2, nil, text }, asio.connect('some.host', 80))
        end
        dns.resolve = resolve
        for _, bad in ipairs { 'a b', ('x'):rep(64), '', 'a..b' } do
            local none, reason = asio.connect(bad, 80)
            assert(none == nil and type(reason) == 'string')
        end
        for _, port in ipairs { -1, 65536, 1.5, 'http', {} } do
            T.raises('port must be', asio.connect, '127.0.0.1', port)
        end
        T.raises('host must be', asio.connect, 5, 80)
        T.raises('not an address', asio.connect, '127.0.0.1')
        T.raises('not an address', asio.connect, ('x'):rep(63))
    end)
end)

case('9: no address of ours', function()
    for _, ip in ipairs { 'not an ip', 'localhost', '', '1.2.3', 5 } do
        assert(asio.server(ip, 1, print) == nil)
    end
    T.raises('handler must be', asio.server, '127.0.0.1', 1)
    T.raises('port must be', asio.server, '127.0.0.1', 'x', print)
    T.raises('out of range', asio.server, '127.0.0.1', 65536, print)
    T.raises('not a server', asio.destory_server, {})
end)

case('10: a busy port', function()
    local taken<close> = assert(socket.listen_tcp('127.0.0.1', 0))
    local port = taken:getsockname().port
    local own, lines = io.stderr, {}
    io.stderr = { write = function(_, ...) lines[#lines + 1] = table.concat { ... } end }
    local holder, err = asio.server('127.0.0.1', port, print)
    io.stderr = own
    T.fails('Address already in use', holder, err)
    T.eq(lines, { ('LuaAsio Exception new_server: %s\n'):format(err) })
end)

case('11: a server lives as long as its holder', function()
    local holder, port = serve(function(conn) conn:close() end)
    run(function()
        local conn = assert(asio.connect('127.0.0.1', port))
        eq({ n = 2, '', 'End of file' }, conn:read_some())
        holder = nil
        collectgarbage()
        collectgarbage()
        T.fails('Connection refused', asio.connect('127.0.0.1', port))
    end)
end)

case('12: errors end their thread', function()
    local went_on
    local text = printed(function()
        spawn(function()
            asio.sleep(0.01)
            error('own words')
        end)
        spawn(error, {})
        run(function()
            asio.sleep(0.02)
            went_on = true
        end)
    end)
    assert(went_on)
    assert(text:find('own words', 1, true) and text:find('stack traceback:', 1, true), text)
    assert(text:find('table: 0x', 1, true), text)
end)

case('13: much at once, read slowly', function()
    pair(function(client, server)
        local size, got, ticks, done = 10 << 20, 0, 0, false
        spawn(function()
            eq({ n = 1, true }, client:write(('x'):rep(size)))
            done = true
            client:close()
        end)
        spawn(function()
            while not done do
                ticks = ticks + 1
                asio.sleep(0.001)
            end
        end)
        asio.sleep(0.02)
        assert(not done)
        repeat
            local data, err = server:read_some()
            got = got + #data
        until err
        server:close()
        T.eq(got, size)
        assert(done and ticks > 5, ticks)
    end)
end)

case('14, 15: addresses as bytes, of either byte order', function()
    T.eq(asio.addr_to_str('\2\0\x1f\x90\x7f\0\0\1' .. ('\0'):rep(120)), '127.0.0.1:8080')
    T.eq(asio.addr_to_str('\0\2\x1f\x90\x7f\0\0\1' .. ('\0'):rep(120)), '127.0.0.1:8080')
    T.eq(asio.addr_to_str(address('::1', 80)), '::1:80')
    T.eq(asio.addr_to_str(address('fe80::1', 80, '\0\10')), 'fe80::1:80')
    T.eq(asio.addr_to_str(address('fe80::1', 80, '\10\0')), 'fe80::1:80')
    -- Any other family is read as IPv4.
    T.eq(asio.addr_to_str(address('1.2.3.4', 5, '\7\7')), '1.2.3.4:5')
    T.eq(asio.addr_to_str(address('1.2.3.4', 5, '\5\5')), '1.2.3.4:5')
    for _, bad in ipairs { '', ('x'):rep(63), 5, {} } do
        T.raises('not an address', asio.addr_to_str, bad)
    end
    for _, ip in ipairs { '127.0.0.1', '::1' } do
        for _, family in ipairs(ip == '::1' and { '\10\0', '\0\10' } or { '\2\0', '\0\2' }) do
            local holder, port
            holder, port = serve(function(conn)
                spawn(function()
                    conn:write('hello')
                    conn:close()
                    asio.destory_server(holder)
                end)
            end, ip == '::1' and ip or nil)
            run(function()
                local conn = assert(asio.connect(address(ip, port, family)))
                T.eq(conn:read(5), 'hello')
                conn:close()
            end)
        end
    end
end)

case('16: a connection that nobody redirected', function()
    pair(function(client, server)
        eq({ n = 1, nil }, server:get_original_dst())
        eq({ n = 1, nil }, client:get_original_dst())
        client:close()
        server:close()
    end)
end)

case('17: a thousand connections', function()
    local count = T.slow > 1 and 100 or 1000
    local holder, port
    local echoed = 0
    holder, port = serve(function(conn)
        spawn(function()
            while true do
                local data, err = conn:read_some()
                if err then break end
                conn:write(data)
            end
            conn:close()
        end)
    end)
    collectgarbage()
    local open, finished = {}, 0
    for i = 1, count do
        spawn(function()
            local conn = assert(asio.connect('127.0.0.1', port))
            open[#open + 1] = conn
            while #open < count do asio.sleep(0.01) end
            conn:write('hello ' .. i)
            if conn:read(#tostring(i) + 6) == 'hello ' .. i then echoed = echoed + 1 end
            conn:close()
            finished = finished + 1
            if finished == count then asio.destory_server(holder) end
        end)
    end
    asio.run()
    T.eq(echoed, count)
end)

case('18: operations on bits', function()
    local bit = require 'bit'
    assert(_G.bit == bit)
    local checks = {
        { bit.bxor(0xffffffff, 0), -1 }, { bit.tohex(-1), 'ffffffff' }, { bit.lshift(1, 33), 2 },
        { bit.tobit(0xffffffff), -1 }, { bit.tobit(0x1ffffffff), -1 }, { bit.tobit(2.0), 2 }, { bit.tobit('7'), 7 },
        { bit.tobit(math.mininteger), 0 }, { bit.bnot(0), -1 }, { bit.bnot(0x12345678), ~0x12345678 },
        { bit.band(0x12345678, 0xff), 0x78 }, { bit.band(7, 6, 4), 4 }, { bit.band(-1), -1 }, { bit.bor(1, 2, 4, 8), 15 },
        { bit.bxor(0xa5a5f0f0, 0xaa55ff00), 0x0ff00ff0 }, { bit.lshift(1, 31), -0x80000000 }, { bit.lshift(1, 32), 1 },
        { bit.rshift(-1, 4), 0x0fffffff }, { bit.rshift(256, 8), 1 }, { bit.arshift(-256, 8), -1 }, { bit.arshift(0x87654321, 12), 0xfff87654 - 0x100000000 },
        { bit.rol(0x12345678, 12), 0x45678123 }, { bit.ror(0x12345678, 12), 0x67812345 }, { bit.rol(1, 33), 2 }, { bit.lshift(1, -1), -0x80000000 },
        { bit.bswap(0x12345678), 0x78563412 }, { bit.bswap(0x78563412), 0x12345678 },
        { bit.tohex(1), '00000001' }, { bit.tohex(0xabcdef, 4), 'cdef' }, { bit.tohex(0xabcdef, -4), 'CDEF' }, { bit.tohex(-1, 100), 'ffffffff' },
        { bit.tohex(5, 0), '' }, { bit.tohex(5, math.mininteger), '00000005' },
    }
    for i, check in ipairs(checks) do T.eq(check[1], check[2], 'row ' .. i) end
    for _, name in ipairs { 'tobit', 'bnot', 'band', 'bxor', 'lshift', 'tohex', 'bswap' } do
        T.raises('number expected', bit[name])
        T.raises('number expected', bit[name], {}, 1)
        T.raises('no integer representation', bit[name], 1.5, 1)
    end
    T.raises('bad argument #2', bit.lshift, 1)
    T.raises('bad argument #3', bit.bor, 1, 2, 'x')
    -- What else programs for LuaJIT use.
    T.eq({ table.new(3, 5) }, { {} })
    assert(require 'table.new'(1 << 40, -1))
end)

case('one reads while another writes, a second reader is refused', function()
    pair(function(client, server)
        local first
        spawn(function() first = client:read(5) end)
        eq({ n = 2, nil, 'Operation already in progress' }, client:read(1))
        eq({ n = 2, nil, 'Operation already in progress' }, client:read_some())
        client:write('ping')
        T.eq(server:read(4), 'ping')
        server:write('hello')
        asio.sleep(0.01)
        T.eq(first, 'hello')
        local done
        spawn(function() done = client:write(('x'):rep(20 << 20)) end)
        eq({ n = 2, nil, 'Operation already in progress' }, client:write('y'))
        local got = 0
        while got < 20 << 20 do got = got + #server:read_some() end
        asio.sleep(0.01)
        assert(done)
        client:close()
        server:close()
    end)
end)

case('an error of the accept handler comes out of the loop, which goes on', function()
    local holder, port
    local count = 0
    holder, port = serve(function(conn)
        conn:close()
        count = count + 1
        if count == 1 then error({ 'own' }) end
        asio.destory_server(holder)
    end)
    local function ping()
        local conn = assert(asio.connect('127.0.0.1', port))
        conn:read(1)
    end
    spawn(ping)
    local ok, err = pcall(asio.run)
    T.eq({ ok, err }, { false, { 'own' } })
    run(ping)
    T.eq(count, 2)
end)

case('connections are collected, but not while something waits on them', function()
    local holder, port, ended, accepted
    holder, port = serve(function(conn)
        accepted = true
        spawn(function()
            local data, err = conn:read_some()
            ended = { #data, err }
        end)
    end)
    run(function()
        local conn = assert(asio.connect('127.0.0.1', port))
        while not accepted do asio.sleep(0.001) end
        asio.destory_server(holder)
        collectgarbage()
        asio.sleep(0.01)
        T.eq(ended, nil)
        conn = nil
        collectgarbage()
    end)
    T.eq(ended, { 0, 'End of file' })
end)

case('a server that is gone calls no handler, its connections go on', function()
    local holder, port
    local calls, kept = 0, nil
    holder, port = serve(function(conn)
        calls, kept = calls + 1, conn
    end)
    run(function()
        local conn = assert(asio.connect('127.0.0.1', port))
        while not kept do asio.sleep(0.001) end
        -- Some that are accepted by the kernel alone.
        local others = {}
        for i = 1, 5 do others[i] = socket.connect_tcp('127.0.0.1', port) end
        asio.destory_server(holder)
        asio.destory_server(holder)
        for _, other in ipairs(others) do other:close() end
        conn:write('still')
        T.eq(kept:read(5), 'still')
        conn:close()
        kept:close()
    end)
    assert(calls <= 6)
    local now = calls
    T.settle()
    T.eq(calls, now)
end)

case('events one by one', function()
    local seen = {}
    for i = 1, 3 do
        spawn(function()
            asio.sleep(0.01)
            seen[#seen + 1] = i
        end)
    end
    T.took(0, 0.5, function() asio.run_once() end)
    T.eq(#seen, 1)
    asio.run_once()
    T.eq(#seen, 2)
    asio.run()
    T.eq(#seen, 3)
    -- Nothing happens, or nothing can.
    T.took(0, 0.2, asio.run_once)
    spawn(function()
        asio.sleep(0.3)
        seen[4] = 4
    end)
    T.took(0.05, 0.25, asio.run_once, 0.1)
    T.eq(#seen, 3)
    T.took(0, 0.2, asio.run_once, 0)
    asio.run()
    T.eq(#seen, 4)
end)

case('a thread that was closed while it waited', function()
    pair(function(client, server)
        for _, call in ipairs { 'read', 'read_some', 'write' } do
            local thread = spawn(function() client[call](client, call == 'write' and ('x'):rep(20 << 20) or 1) end)
            coroutine.close(thread)
        end
        server:write('y')
        T.eq(client:read(1), 'y')
        server:close()
        client:close()
    end)
end)

case('names prefer the family asked for', function()
    local seen = {}
    local holders, ports = {}, {}
    local port
    -- One port for both families.
    for _ = 1, 20 do
        local holder, found = serve(function(conn)
            seen[#seen + 1] = 4
            conn:close()
        end)
        local six = asio.server('::1', found, function(conn)
            seen[#seen + 1] = 6
            conn:close()
        end)
        if six then
            holders, port = { holder, six }, found
            break
        end
        asio.destory_server(holder)
    end
    local dns = require 'eco.dns'
    local resolve = dns.resolve
    dns.resolve = function() return { '::1', '127.0.0.1' } end
    run(function()
        assert(asio.connect('localhost', port)):read(1)
        assert(asio.connect('localhost', port, true)):read(1)
        asio.destory_server(holders[1])
        -- What does not answer is passed over.
        assert(asio.connect('localhost', port)):read(1)
        asio.destory_server(holders[2])
    end)
    dns.resolve = resolve
    T.eq(seen, { 4, 6, 6 })
end)
