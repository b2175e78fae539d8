-- Section 4: io, reader and writer objects over plain descriptors.

local eco = require 'eco'
local file = require 'eco.file'
local time = require 'eco.time'
local internal = require 'eco.internal.file'

-- A FIFO opened at both ends: a byte pipe with two descriptors of our own.
local function pipe()
    local path = T.path('fifo' .. math.random(1 << 30))
    os.execute('mkfifo ' .. path)
    local input = assert(internal.open(path, file.O_RDONLY | file.O_NONBLOCK))
    local output = assert(internal.open(path, file.O_WRONLY | file.O_NONBLOCK))
    os.remove(path)
    local closed = {}
    local function close(fd)
        if not closed[fd] then
            closed[fd] = true
            assert(file.close(fd))
        end
    end
    local guard = setmetatable({}, { __close = function() close(input) close(output) end })
    return guard, input, output, close
end

case('constructors', function()
    local guard<close>, input, output = pipe()
    assert(tostring(eco.io(input)):find('^struct eco_io %*: 0x'), tostring(eco.io(input)))
    assert(tostring(eco.reader(input)):find('^struct eco_reader %*: 0x'))
    assert(tostring(eco.writer(output)):find('^struct eco_writer %*: 0x'))
    T.eq(type(eco.reader(tostring(input))), 'userdata')
    T.eq(type(eco.reader(input + 0.0)), 'userdata')
    T.fails('Bad file descriptor', eco.io(99999))
    T.fails('Bad file descriptor', eco.reader(99999))
    T.fails('Bad file descriptor', eco.writer(-1))
    T.raises('number expected', eco.io)
    T.raises('number expected', eco.reader, {})
    T.raises('userdata expected', eco.reader, input, 1)
    T.raises('userdata expected', eco.writer, output, {})
end)

case('handles do not own the descriptor', function()
    local guard<close>, input, output = pipe()
    do
        local io<close> = eco.io(input)
        local reader<close> = eco.reader(input)
        local writer<close> = eco.writer(output)
    end
    eco.reader(input)
    T.settle()
    T.eq(eco.writer(output):write('x'), 1)
    T.eq(eco.reader(input):read(5), 'x')
end)

case('a wait that replaces another is not taken for a turn', function()
    local guard<close>, input, output = pipe()
    local reader, writer, steps = eco.reader(input), eco.writer(output), {}
    local co = eco.run(function()
        -- Somebody else ends the first wait of each pair; the second finds its remains.
        reader:read(1)
        steps[#steps + 1] = reader:read(1)
        eco.sleep(10)
        local start = time.now()
        eco.sleep(0.03)
        steps[#steps + 1] = time.now() - start >= 0.03
        reader:read(1)
        steps[#steps + 1] = reader:read(1)
        reader:read(1)
        steps[#steps + 1] = reader:read(1)
        start = time.now()
        eco.sleep(0.03)
        steps[#steps + 1] = time.now() - start >= 0.03
    end)
    T.eq(coroutine.resume(co), true)
    eco.sleep(0.01)
    T.eq(#steps, 0)
    writer:write('a')
    T.await(function() return #steps == 1 end)
    T.eq(coroutine.resume(co), true)
    T.await(function() return #steps == 2 end)
    T.eq(coroutine.resume(co), true)
    eco.sleep(0.01)
    writer:write('b')
    T.await(function() return #steps == 3 end)
    T.eq(coroutine.status(co), 'suspended')
    writer:write('c')
    T.eq(coroutine.resume(co), true)
    T.await(function() return coroutine.status(co) == 'dead' end)
    T.eq(steps, { 'a', true, 'b', 'c', true })
end)

case('a closed handle says so', function()
    local guard<close>, input, output = pipe()
    local reader, writer, io = eco.reader(input), eco.writer(output), eco.io(input)
    do
        local a<close> = reader
        local b<close> = writer
        local c<close> = io
    end
    T.fails('closed', reader:read(1))
    T.fails('closed', writer:write('x'))
    T.fails('closed', io:wait(eco.READ))
end)

case('io waits for readiness', function()
    local guard<close>, input, output = pipe()
    local reading, writing = eco.io(input), eco.io(output)
    T.eq(writing:wait(eco.WRITE, 1), true)
    T.eq(writing:wait(eco.READ | eco.WRITE, 1), true)
    T.took(0.02, 1, function() T.fails('timeout', reading:wait(eco.READ, 0.02)) end)
    T.raises('invalid', reading.wait, reading, 0)
    T.raises('invalid', reading.wait, reading, 8)
    T.all(function() T.eq(reading:wait(eco.READ, 5), true) end, function() eco.writer(output):write('x') end)
    T.eq(reading:wait(eco.READ), true)
end)

case('regular files cannot be waited on but can be read', function()
    assert(file.writefile(T.path('data'), 'one\ntwo'))
    local fd = assert(internal.open(T.path('data')))
    T.fails('Operation not permitted', eco.io(fd):wait(eco.READ, 1))
    local reader = eco.reader(fd)
    T.eq(reader:read('l'), 'one')
    T.eq(reader:read('a'), 'two')
    T.fails('eof', reader:read('a'))
    file.close(fd)
end)

case('cancel is queued and wakes once', function()
    local guard<close>, input = pipe()
    local reader = eco.reader(input)
    local order = {}
    eco.run(function()
        T.fails('canceled', reader:read(1))
        order[#order + 1] = 'woken'
    end)
    T.eq(select('#', reader:cancel()), 0)
    reader:cancel()
    order[#order + 1] = 'after cancel'
    eco.sleep(0)
    T.eq(order, { 'after cancel', 'woken' })
    reader:cancel()
    T.fails('timeout', reader:read(1, 0.01))
    local io = eco.io(input)
    eco.run(function() T.fails('canceled', io:wait(eco.READ)) order[#order + 1] = 'io' end)
    io:cancel()
    eco.sleep(0)
    T.eq(order[3], 'io')
end)

case('a second waiter raises', function()
    local guard<close>, input, output = pipe()
    local reader = eco.reader(input)
    eco.run(function() T.fails('canceled', reader:read(1)) end)
    T.raises('another coroutine is already waiting on this I/O object', reader.read, reader, 1)
    T.raises('another coroutine is already waiting on this I/O object', reader.wait, reader)
    local other = eco.reader(input)
    T.raises('another coroutine is already waiting for read on this file descriptor', other.read, other, 1)
    local io = eco.io(input)
    T.raises('another coroutine is already waiting for read on this file descriptor', io.wait, io, eco.READ)
    reader:cancel()
    eco.sleep(0)

    local writer = eco.writer(output)
    eco.run(function() T.fails('canceled', writer:write(('x'):rep(1 << 20))) end)
    T.raises('another coroutine is already waiting on this I/O object', writer.write, writer, 'x')
    local another = eco.writer(output)
    T.raises('another coroutine is already waiting for write on this file descriptor', another.wait, another)
    writer:cancel()
    eco.sleep(0)
end)

case('one reader and one writer at a time are fine', function()
    local guard<close>, input, output = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    local data = ('0123456789'):rep(50000)
    T.all(function() T.eq(writer:write(data), #data) end, function() T.eq(reader:readfull(#data), data) end)
end)

case('integer reads give what is there', function()
    local guard<close>, input, output = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    writer:write('hello')
    T.eq(reader:read(3), 'hel')
    T.eq(reader:read(100), 'lo')
    T.took(0.01, 1, function() T.fails('timeout', reader:read(1, 0.01)) end)
    T.all(function() T.eq(reader:read(10), 'late') end, function() eco.sleep(0.01) writer:write('late') end)
end)

case('lines', function()
    local guard<close>, input, output, close = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    writer:write('unix\ndos\r\nkept\r\nbare\rcr\n\nrest')
    T.eq(reader:read('l'), 'unix')
    T.eq(reader:read('*l'), 'dos')
    T.eq(reader:read('L'), 'kept\r\n')
    T.eq(reader:read('l'), 'bare\rcr')
    T.eq(reader:read('l'), '')
    T.eq(reader:read(4), 'rest')
    -- CR and LF in different reads
    T.all(function() T.eq(reader:read('l'), 'split') end, function()
        writer:write('split\r')
        eco.sleep(0.01)
        writer:write('\n')
    end)
    local long = ('x'):rep(20000)
    T.all(function() T.eq(reader:read('l'), long) end, function() writer:write(long .. '\n') end)
    writer:write('no end')
    close(output)
    T.fails('eof', reader:read('l'))
    T.fails('eof', reader:read('a'))
end)

case('read everything', function()
    local guard<close>, input, output, close = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    writer:write('line\nrest of it')
    T.eq(reader:read('l'), 'line')
    close(output)
    T.eq(reader:read('*a'), 'rest of it')
    T.fails('eof', reader:read('a'))
    T.fails('eof', reader:read(1))
end)

case('the first end gives an empty string', function()
    local guard<close>, input, output, close = pipe()
    close(output)
    local reader = eco.reader(input)
    T.eq(reader:read('a'), '')
    T.fails('eof', reader:read('a'))
end)

case('readfull', function()
    local guard<close>, input, output, close = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    T.all(function() T.eq(reader:readfull(6), 'abcdef') end, function()
        for c in ('abcdef'):gmatch('.') do writer:write(c) eco.sleep(0.001) end
    end)
    writer:write('short')
    close(output)
    T.fails('eof', reader:readfull(6))
    T.fails('eof', reader:read('a'))
end)

case('readuntil', function()
    local guard<close>, input, output, close = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    T.all(function()
        T.eq({ reader:readuntil('--') }, { '1234' })
        T.eq({ reader:readuntil('--') }, { '567', true })
        T.eq(reader:read(4), 'rest')
    end, function()
        writer:write('12345')
        eco.sleep(0.02)
        writer:write('67--rest')
    end)
    writer:write('a||||b')
    T.eq({ reader:readuntil('||') }, { 'a', true })
    T.eq({ reader:readuntil('||') }, { '', true })
    T.fails('timeout', reader:readuntil('||', 0.01))
    writer:write('c||')
    T.eq({ reader:readuntil('||') }, { 'bc', true })
    -- a needle cut by the end of one read
    local long = ('y'):rep(10000)
    T.all(function()
        local parts = {}
        repeat
            local chunk, found = assert(reader:readuntil('\r\n\r\n', 5))
            parts[#parts + 1] = chunk
        until found
        T.eq(table.concat(parts), long)
    end, function()
        writer:write(long .. '\r\n')
        eco.sleep(0.01)
        writer:write('\r\n')
    end)
    writer:write('tail')
    close(output)
    local rest = {}
    while true do
        local chunk, found = reader:readuntil('||')
        T.eq(found ~= true, true)
        if not chunk then T.eq(found, 'eof') break end
        rest[#rest + 1] = chunk
    end
    T.eq(table.concat(rest), 'tail')
end)

case('partial data survives a timeout and a cancel', function()
    local guard<close>, input, output, close = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    writer:write('par')
    T.fails('timeout', reader:read('l', 0.01))
    writer:write('tial\nfull')
    T.eq(reader:read('l'), 'partial')
    T.fails('timeout', reader:readfull(8, 0.01))
    eco.run(function() T.fails('canceled', reader:readfull(8)) end)
    eco.sleep(0.005)
    reader:cancel()
    eco.sleep(0)
    writer:write('size')
    T.eq(reader:readfull(8), 'fullsize')
    writer:write('every')
    T.fails('timeout', reader:read('a', 0.01))
    writer:write('thing')
    close(output)
    T.eq(reader:read('a'), 'everything')
end)

case('a timeout is a limit of inactivity', function()
    local guard<close>, input, output = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    local pause, limit = 0.03 * (T.slow > 1 and 4 or 1), 0.2 * (T.slow > 1 and 4 or 1)
    T.all(function() T.eq(reader:readfull(10, limit), '0123456789') end, function()
        for c in ('0123456789'):gmatch('.') do eco.sleep(pause) writer:write(c) end
    end)
    for _, forever in ipairs { 0, -1, 'x', {} } do
        T.all(function() T.eq(reader:read(1, forever), 'z') end, function() eco.sleep(0.005) writer:write('z') end)
    end
    T.fails('timeout', reader:read(1, '0.01'))
end)

case('format errors', function()
    local guard<close>, input = pipe()
    local reader = eco.reader(input)
    T.raises('expected size must be greater than 0', reader.read, reader, 0)
    T.raises('expected size must be greater than 0', reader.read, reader, -5)
    for _, format in ipairs { 'x', 'll', '', '*', 'n', 4.0, '4', true } do
        T.raises('invalid format', reader.read, reader, format)
    end
    T.raises('invalid format', reader.read, reader)
    T.raises('size must be greater than 0', reader.readfull, reader, 0)
    T.raises('needle length must be 1~256 bytes', reader.readuntil, reader, '')
    T.raises('needle length must be 1~256 bytes', reader.readuntil, reader, ('x'):rep(257))
end)

case('huge sizes do not allocate up front', function()
    local guard<close>, input, output = pipe()
    local reader = eco.reader(input)
    eco.writer(output):write('few')
    T.eq(reader:read(1 << 40), 'few')
    T.fails('timeout', reader:readfull(1 << 50, 0.01))
    T.eq(reader:read(3, 0.01), nil)
end)

case('the end is forgotten when a file grows', function()
    local path = T.path('growing')
    assert(file.writefile(path, 'one'))
    local fd = assert(internal.open(path))
    local reader = eco.reader(fd)
    T.eq(reader:read('a'), 'one')
    T.fails('eof', reader:read(1))
    assert(file.writefile(path, 'two', true))
    T.eq(reader:read('a'), 'two')
    file.close(fd)
end)

case('wait of a reader looks at the descriptor alone', function()
    local guard<close>, input, output = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    T.eq(writer:wait(), true)
    T.fails('timeout', reader:wait(0.01))
    writer:write('x')
    T.eq(reader:wait(1), true)
    T.eq(reader:read(1), 'x')
    writer:write('line\nmore')
    T.eq(reader:read('l'), 'line')
    T.fails('timeout', reader:wait(0.01))
    T.eq(reader:read(9), 'more')
end)

case('write', function()
    local guard<close>, input, output, close = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    T.eq(writer:write(''), 0)
    T.eq(writer:write(12), 2)
    T.eq(writer:write(1.5), 3)
    T.eq(reader:read(10), '121.5')
    T.raises('string expected', writer.write, writer)
    T.raises('string expected', writer.write, writer, {})
    T.took(0.01, 1, function() T.fails('timeout', writer:write(('x'):rep(1 << 20), 0.01)) end)
    close(input)
    T.fails('Broken pipe', writer:write('x'))
end)

case('sendfile', function()
    local guard<close>, input, output = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    local path = T.path('page')
    assert(file.writefile(path, ('0123456789'):rep(20000)))
    T.all(function() T.eq(writer:sendfile(path, 5, 100000), 100000) end, function()
        local data = reader:readfull(100000)
        T.eq(data:sub(1, 10), '5678901234')
        T.eq(data:sub(-5), '01234')
    end)
    T.fails('No such file or directory', writer:sendfile(T.path('absent'), 0, 1))
    T.raises('offset must be greater than or equal to 0', writer.sendfile, writer, path, -1, 1)
    T.raises('len must be great than 0', writer.sendfile, writer, path, 0, 0)
    T.fails('eof', writer:sendfile(path, 199995, 100))
    T.eq(reader:read(100), '56789')
end)

case('closing a handle wakes its waiter', function()
    local guard<close>, input = pipe()
    local reader = eco.reader(input)
    local result
    eco.run(function() result = table.pack(reader:read(1)) end)
    do
        local closing<close> = reader
    end
    eco.sleep(0)
    assert(result and result[1] == nil, 'still waiting')
end)

case('a waiter that is closed leaves the handle usable', function()
    local guard<close>, input, output = pipe()
    local reader, writer = eco.reader(input), eco.writer(output)
    for _ = 1, 3 do
        local co = eco.run(function() reader:read(1) error('must not run') end)
        coroutine.close(co)
        eco.sleep(0)
    end
    T.fails('timeout', reader:read(1, 0.01))
    writer:write('ok')
    T.eq(reader:read(2, 1), 'ok')
end)

case('a reused descriptor number inherits nothing', function()
    for _ = 1, 20 do
        local guard<close>, input, output = pipe()
        local reader = eco.reader(input)
        T.fails('timeout', reader:read(1, 0.001))
        eco.run(function() reader:read(1) end)
        reader:cancel()
    end
end)

case('a resumed reader tries again', function()
    local guard<close>, input, output = pipe()
    local reader, got = eco.reader(input), nil
    local co = eco.run(function() got = reader:read(5) end)
    eco._resume(co)
    eco.sleep(0)
    T.eq(got, nil)
    eco.writer(output):write('data')
    eco.sleep(0.01)
    T.eq(got, 'data')
end)

case('operations that never block are fair', function()
    local path = T.path('big')
    assert(file.writefile(path, ('x'):rep(1 << 20)))
    local fd = assert(internal.open(path))
    local reader, ticks, done = eco.reader(fd), 0, false
    eco.run(function()
        while not done do ticks = ticks + 1 eco.sleep(0.001) end
    end)
    local stop = time.now() + 0.1
    while time.now() < stop do
        if not reader:read(64) then file.lseek(fd, 0, file.SEEK_SET) end
    end
    done = true
    assert(ticks >= 5, ticks)
    eco.sleep(0.01)
    file.close(fd)
end)

case('what is read first may cancel a write that is ready in the same moment', function()
    local socket = require 'eco.socket'
    for _ = 1, 5 do
        local one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
        local fd = one:getfd()
        local reader, writer = eco.reader(fd), eco.writer(fd)
        local order = {}
        local group = T.gather()
        group:run(function()
            local sent, message = writer:write(('x'):rep(10000000), 10)
            order[#order + 1] = tostring(message or sent)
        end)
        group:run(function()
            order[#order + 1] = reader:read(1, 10)
            writer:cancel()
        end)
        -- Both directions become ready before the loop looks.
        T.eq(other:send('r'), 1)
        local got = 0
        while got < 100000 do got = got + #other:read(65536) end
        group:wait()
        T.eq(order, { 'r', 'canceled' })
        one:close()
        other:close()
    end
end)
