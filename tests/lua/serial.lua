-- Module `eco.serial`, between a port and a script that plays the device at the other end of a pseudo-terminal.

local eco = require 'eco'
local file = require 'eco.file'
local raw = require 'eco.internal.file'
local serial = require 'eco.serial'
local sys = require 'eco.sys'

-- A port, its device, and what closes both.
local function line(options)
    local device = assert(serial.pty())
    local port = assert(serial.open(device.path, options))
    return port, device, setmetatable({}, { __close = function()
        port:close()
        device:close()
    end })
end

-- All before a needle: a call gives what it has.
local function until_(stream, needle)
    local text = ''
    while true do
        local part, found = stream:readuntil(needle, 5)
        if not part then return nil, found end
        text = text .. part
        if found then return text end
    end
end

local every_byte = {}
for byte = 0, 255 do every_byte[byte + 1] = string.char(byte) end
every_byte = table.concat(every_byte)

case('bytes pass as they are', function()
    local port, device, guard<close> = line()
    for _, data in ipairs { 'x', '\r\n', '\3\4\17\19\0\255', every_byte, every_byte:reverse() } do
        T.eq(port:write(data), #data)
        T.eq(device:readfull(#data, 1), data)
        T.eq(device:write(data), #data)
        T.eq(port:readfull(#data, 1), data)
    end
    T.fails('timeout', port:read(1, 0.01))
    T.fails('timeout', device:read(1, 0.01))
    T.eq(tostring(port.path), device.path)
    assert(port.fd > 2 and port.rd and port.wr and guard)
end)

case('the ways to read', function()
    local port, device, guard<close> = line()
    device:write('one\r\ntwo\nthree, four')
    T.eq(port:read('l', 1), 'one')
    T.eq(port:read('L', 1), 'two\n')
    T.eq(port:readuntil(', ', 1), 'three')
    T.eq(port:read(100, 1), 'four')
    local buffer = eco.buffer(3)
    device:write('12345')
    T.eq(port:read2b(buffer, 100, 1), 3)
    T.eq(buffer:data(), '123')
    T.fails('buffer is full', port:read2b(buffer, 1))
    T.eq(port:readfull(2, 1), '45')
    -- What came before a timeout is kept.
    device:write('par')
    T.fails('timeout', T.took(0.02, 1, port.readfull, port, 6, 0.02))
    device:write('tly')
    T.eq(port:readfull(6, 1), 'partly')
    assert(guard)
end)

case('settings', function()
    local port, device, guard<close> = line()
    T.eq(port:settings(), { speed = 115200, data_bits = 8, parity = 'none', stop_bits = 1, flow = 'none' })
    for _, speed in ipairs { 50, 1200, 9600, 57600, 230400, 460800 } do
        T.eq(port:configure { speed = speed }, true)
        T.eq(port:settings().speed, speed)
    end
    for _, flow in ipairs { 'hardware', 'software', 'none' } do
        T.eq(port:configure { flow = flow }, true)
        T.eq(port:settings().flow, flow)
        T.eq(device:settings().flow, flow)
    end
    for _, stop_bits in ipairs { 2, 1, 2.0 } do
        T.eq(port:configure { stop_bits = stop_bits }, true)
        T.eq(port:settings().stop_bits, stop_bits // 1 | 0)
    end
    T.eq(port:settings(), { speed = 460800, data_bits = 8, parity = 'none', stop_bits = 2, flow = 'none' })
    T.eq(port:configure(), true)
    T.eq(port:configure {}, true)
    assert(guard)
end)

case('any speed', function()
    -- The emulator does not know of speeds without a code.
    if T.emulated then return end
    local port, _, guard<close> = line { speed = 250000 }
    T.eq(port:settings().speed, 250000)
    for _, speed in ipairs { 1, 49, 31250, 100001, 921600, 12345678, 0xffffffff } do
        T.eq(port:configure { speed = speed }, true)
        T.eq(port:settings().speed, speed)
        -- The speed stays when something else is set.
        T.eq(port:configure { stop_bits = 2 }, true)
        T.eq(port:settings().speed, speed)
    end
    assert(guard)
end)

case('what the device cannot do is refused, and nothing changes', function()
    local port, device, guard<close> = line { speed = T.emulated and 50 or 250001 }
    local before = port:settings()
    for _, options in ipairs {
        { parity = 'even' }, { parity = 'odd' }, { parity = 'mark' }, { parity = 'space' },
        { parity = 'even', speed = 1200, stop_bits = 2, flow = 'hardware' },
    } do
        T.fails('the device does not support this parity', port:configure(options))
        T.eq(port:settings(), before)
    end
    for bits = 5, 7 do
        T.fails('the device does not support this data_bits', port:configure { data_bits = bits })
        T.eq(port:settings(), before)
    end
    port:close()
    local descriptors = #sys.sh('ls /proc/self/fd')
    T.fails('the device does not support this parity', serial.open(device.path, { parity = 'odd' }))
    T.eq(#sys.sh('ls /proc/self/fd'), descriptors)
    assert(guard)
end)

case('options are checked before anything is opened', function()
    local bomb = setmetatable({}, { __tostring = function() error('no text') end, __index = function() error('boom') end })
    for _, wrong in ipairs {
        { speed = 0 }, { speed = -1 }, { speed = 1 << 32 }, { speed = 9600.5 }, { speed = '9600' }, { speed = {} }, { speed = true },
        { speed = 0 / 0 }, { speed = math.huge }, { speed = math.mininteger }, { speed = false },
        { data_bits = 4 }, { data_bits = 9 }, { data_bits = 7.5 }, { data_bits = 'eight' },
        { parity = 'EVEN' }, { parity = '' }, { parity = 1 }, { parity = 0 / 0 }, { parity = false }, { parity = 'even\0' },
        { stop_bits = 0 }, { stop_bits = 3 }, { stop_bits = 1.5 }, { stop_bits = bomb },
        { flow = 'rts' }, { flow = bomb }, { flow = 2 },
        { exclusive = 1 }, { exclusive = 'yes' }, { dtr = 'on' }, { rts = 0 }, { dtr = bomb },
    } do
        local name = next(wrong)
        T.raises(("option '%s' must be"):format(name), serial.open, '/absent', wrong)
    end
    for _, unknown in ipairs { { baud = 9600 }, { Speed = 1 }, { [''] = 1 }, { ['speed '] = 1 }, { ['a\0'] = 1 } } do
        T.raises(("unknown option '%s'"):format((next(unknown))), serial.open, '/absent', unknown)
    end
    T.raises("unknown option 'number'", serial.open, '/absent', { 9600 })
    T.raises("unknown option 'table'", serial.open, '/absent', { [bomb] = 1 })
    T.raises("unknown option 'function'", serial.open, '/absent', { [print] = 1 })
    for _, options in ipairs { 1, 'x', true, print, coroutine.create(print) } do
        T.raises('options must be a table', serial.open, '/absent', options)
    end
    T.raises('options must be a table', serial.open, '/absent', false)
    T.raises('boom', serial.open, '/absent', bomb)
    for _, path in ipairs { 1, {}, true, print } do
        T.raises('string expected', serial.open, path)
    end
    T.raises('string expected', serial.open)
    -- Fields that are inherited count.
    local port, _, guard<close> = line(setmetatable({}, { __index = { speed = 1200 }, __pairs = error, __len = error }))
    T.eq(port:settings().speed, 1200)
    local many = {}
    for i = 1, 100000 do many['x' .. i] = i end
    T.raises('unknown option', port.configure, port, many)
    for _, name in ipairs { 'exclusive', 'dtr', 'rts' } do
        T.raises('unknown option', port.configure, port, { [name] = true })
    end
    T.raises("option 'speed' must be bauds", port.configure, port, { speed = 0 })
    T.raises('options must be a table', port.configure, port, 9600)
    T.eq(port:settings().speed, 1200)
    assert(guard)
end)

case('only terminals are opened', function()
    T.fails('Inappropriate ioctl for device', serial.open('/dev/null'))
    T.fails('No such file or directory', serial.open('/absent/tty'))
    T.fails('Is a directory', serial.open('/'))
    T.fails('Invalid argument', serial.open('/dev/null\0'))
    T.fails('No such file or directory', serial.open(''))
    local path = T.path('plain')
    assert(file.writefile(path, 'kept'))
    T.fails('Inappropriate ioctl for device', serial.open(path))
    T.eq(file.readfile(path), 'kept')
end)

case('one script at a time', function()
    local port, device, guard<close> = line()
    T.fails('Device or resource busy', serial.open(device.path))
    local other = assert(serial.open(device.path, { exclusive = false }))
    port:close()
    T.fails('Bad file descriptor', port:settings())
    -- The lock of the first went with it.
    local third = assert(serial.open(device.path))
    T.fails('Device or resource busy', serial.open(device.path))
    third:close()
    other:close()
    for _ = 1, 3 do
        local again<close> = assert(serial.open(device.path))
        assert(again)
    end
    assert(guard)
end)

case('lines that a device does not have', function()
    local port, device, guard<close> = line()
    T.fails('Inappropriate ioctl for device', port:lines())
    T.fails('Inappropriate ioctl for device', port:set_lines { dtr = true })
    T.fails('Inappropriate ioctl for device', port:wait_lines(nil, 1))
    T.fails('Inappropriate ioctl for device', port:counters())
    port:close()
    T.fails('Inappropriate ioctl for device', serial.open(device.path, { rts = true }))
    assert(guard)
end)

case('the other end hangs up', function()
    local port, device, guard<close> = line()
    device:write('last words')
    T.all(function()
        T.eq(port:read(100, 1), 'last words')
        T.fails('eof', port:read(1, 5))
    end, function()
        eco.sleep(0.02)
        device:close()
    end)
    for _ = 1, 3 do
        T.fails('eof', port:read(1))
        T.fails('eof', port:readfull(1))
        T.fails('eof', port:readuntil('x'))
        T.fails('Input/output error', port:write('x'))
    end
    T.fails('Input/output error', port:settings())
    T.fails('Input/output error', port:configure { speed = 9600 })
    T.fails('Input/output error', port:pending())
    T.fails('Input/output error', port:flush())
    T.fails('Input/output error', port:drain())
    T.fails('Input/output error', port:lines())
    if not T.emulated then
        T.fails('Input/output error', port:send_break(0.01))
    end
    assert(guard)
end)

case('a port that is closed is an error at the other end, until it is opened again', function()
    local port, device, guard<close> = line()
    T.all(function()
        T.fails('Input/output error', device:read(1, 5))
    end, function()
        eco.sleep(0.02)
        port:close()
    end)
    T.fails('Input/output error', device:read(1))
    -- What is written meanwhile is for whoever comes.
    T.eq(device:write('kept'), 4)
    local again<close> = assert(serial.open(device.path))
    T.eq(again:readfull(4, 1), 'kept')
    T.fails('timeout', device:read(1, 0.01))
    T.eq(again:write('hello'), 5)
    T.eq(device:readfull(5, 1), 'hello')
    assert(guard)
end)

case('a device waits for its first port', function()
    local device<close> = assert(serial.pty())
    T.fails('timeout', T.took(0.01, 1, device.read, device, 1, 0.01))
    T.all(function()
        T.eq(device:readfull(5, 5), 'first')
    end, function()
        local port<close> = assert(serial.open(device.path))
        port:write('first')
    end)
end)

case('a hang-up in the middle of much', function()
    local port, device, guard<close> = line()
    T.all(function()
        local data = port:read('a')
        -- What was not read by then may be lost: this is a cut wire.
        assert(#data > 10000 and #data <= 50000, #data)
        assert(not data:find('[^x]'))
    end, function()
        T.eq(device:write(('x'):rep(50000)), 50000)
        device:close()
    end)
    T.fails('eof', port:read('a'))
    assert(guard)
end)

case('one reader and one writer', function()
    local port, device, guard<close> = line()
    T.all(function()
        T.eq(port:read(1, 5), 'x')
    end, function()
        for _, name in ipairs { 'read', 'readfull' } do
            T.raises('another coroutine is already waiting', port[name], port, 1)
        end
        T.raises('another coroutine is already waiting', port.readuntil, port, '\n')
        -- Writing goes on meanwhile, and so do requests.
        T.eq(port:write('to and fro'), 10)
        T.eq(device:read(100, 1), 'to and fro')
        T.eq(port:configure { speed = 9600 }, true)
        device:write('x')
    end)
    T.all(function()
        T.fails('timeout', port:write(('y'):rep(1 << 20), 0.1))
    end, function()
        eco.sleep(0.02)
        T.raises('another coroutine is already waiting', port.write, port, 'z')
    end)
    assert(guard)
end)

case('a writer waits until the device reads', function()
    local port, device, guard<close> = line()
    local size = 1 << 18
    T.all(function()
        T.eq(port:write(('w'):rep(size)), size)
    end, function()
        eco.sleep(0.05)
        T.eq(device:readfull(size, 10), ('w'):rep(size))
    end)
    assert(guard)
end)

case('characters stop and start a writer', function()
    local port, device, guard<close> = line { flow = 'software' }
    T.eq(port:write('first'), 5)
    T.eq(device:readfull(5, 1), 'first')
    device:write('\19')
    -- Until the terminal has taken it, it takes data as well.
    local io = eco.io(port.fd)
    T.await(function() return not io:wait(eco.WRITE, 0.005) end)
    T.fails('timeout', T.took(0.05, 1, port.write, port, 'second', 0.05))
    T.fails('timeout', device:read(1, 0.02))
    T.all(function()
        T.eq(T.took(0.04, 2, port.write, port, 'third', 5), 5)
    end, function()
        eco.sleep(0.05)
        device:write('\17')
    end)
    T.eq(device:readfull(5, 1), 'third')
    -- They are no data, but nothing else is taken for them.
    device:write('a\19b\17c')
    T.eq(port:readfull(3, 1), 'abc')
    assert(guard)
end)

case('without flow control they are data', function()
    local port, device, guard<close> = line()
    device:write('a\19b\17c')
    T.eq(port:readfull(5, 1), 'a\19b\17c')
    T.eq(port:write('on'), 2)
    assert(guard)
end)

case('much at a time', function()
    local port, device, guard<close> = line()
    local size = 1 << 20
    local data = every_byte:rep(size // 256)
    T.all(function()
        T.eq(device:write(data), size)
    end, function()
        assert(port:readfull(size, 20) == data)
    end)
    T.all(function()
        device:write('short')
    end, function()
        T.eq(port:read(math.maxinteger, 1), 'short')
    end)
    T.fails('timeout', port:readfull(1 << 40, 0.01))
    assert(guard)
end)

case('closing wakes whoever waits', function()
    for _, wait in ipairs {
        function(port) return port:read(1) end,
        function(port) return port:readuntil('\n', 10) end,
        function(port) return port:readfull(10) end,
        function(port) return port:write(('x'):rep(1 << 20)) end,
        -- The emulator knows no breaks.
        not T.emulated and function(port) return port:send_break(1000) end or nil,
    } do
        local port, _, guard<close> = line()
        T.all(function()
            T.fails('canceled', T.took(0.01, 1, wait, port))
        end, function()
            eco.sleep(0.02)
            port:close()
            port:close()
            T.eq(port.fd, -1)
        end)
        assert(guard)
    end
end)

case('what was cancelled can be done again', function()
    local port, device, guard<close> = line()
    for _ = 1, 3 do
        T.all(function()
            T.fails('canceled', port:read(1))
        end, function()
            eco.sleep(0.01)
            port.rd:cancel()
        end)
    end
    local co = eco.run(function() port:read(1) end)
    eco.sleep(0.01)
    assert(coroutine.close(co))
    device:write('z')
    T.eq(port:read(1, 1), 'z')
    assert(guard)
end)

case('a port that is closed says so', function()
    local port, device, guard<close> = line()
    port:close()
    for _, name in ipairs { 'settings', 'lines', 'counters', 'flush', 'pending', 'drain', 'send_break', 'wait_lines', 'configure' } do
        -- The emulator knows no breaks.
        if not (T.emulated and name == 'send_break') then
            T.fails('Bad file descriptor', port[name](port))
        end
    end
    T.fails('Bad file descriptor', port:set_lines { dtr = true })
    T.fails('Bad file descriptor', port:read(1))
    T.fails('Bad file descriptor', port:write('x'))
    T.eq(port.fd, -1)
    T.eq(select('#', port:close()), 0)
    assert(device and guard)
end)

case('bytes that wait, and their end', function()
    local port, device, guard<close> = line()
    T.eq({ port:pending() }, { 0, 0 })
    device:write('line\nrest')
    T.eq(port:read('l', 1), 'line')
    -- The reader has taken more than was asked for.
    T.eq((port:pending()), 4)
    device:write('more')
    T.await(function() return port:pending() == 8 end)
    T.eq(port:flush('output'), true)
    T.eq((port:pending()), 8)
    T.eq(port:flush('input'), true)
    T.eq((port:pending()), 0)
    T.fails('timeout', port:read(1, 0.01))
    device:write('again')
    T.await(function() return port:pending() == 5 end)
    T.eq(port:flush(), true)
    T.eq((port:pending()), 0)
    device:write('x')
    T.eq(port:read(1, 1), 'x')
    for _, what in ipairs { 'all', '', 1, true, {} } do
        T.raises('flush takes input, output or both', port.flush, port, what)
    end
    assert(guard)
end)

case('draining and breaks', function()
    local port, device, guard<close> = line()
    T.eq(port:write('sent'), 4)
    T.eq(port:drain(), true)
    T.eq(port:drain(1), true)
    if not T.emulated then
        T.eq(T.took(0.03, 1, port.send_break, port, 0.03), true)
    end
    T.eq(device:readfull(4, 1), 'sent')
    assert(guard)
end)

case('garbage is data', function()
    local port, device, guard<close> = line()
    math.randomseed(7)
    for _ = 1, 200 do
        local bytes = {}
        for i = 1, math.random(300) do bytes[i] = string.char(math.random(0, 255)) end
        local data = table.concat(bytes):gsub('\n', '\r')
        device:write(data .. '\n')
        T.eq(port:read('L', 5), data .. '\n')
    end
    assert(guard)
end)

case('a modem', function()
    local port, device, guard<close> = line { speed = 9600 }
    local group = T.gather()
    group:run(function()
        local answers = { AT = 'OK', ['AT+CSQ'] = '+CSQ: 17,99\r\n\r\nOK', ['AT+X'] = 'ERROR' }
        while true do
            local command, problem = until_(device, '\r')
            if not command then
                T.fails('Input/output error', command, problem)
                return
            end
            -- Echo and answer, a piece at a time.
            for piece in (command .. '\r\r\n' .. answers[command] .. '\r\n'):gmatch('..?.?') do
                device:write(piece)
                eco.sleep(0)
            end
        end
    end)
    local function ask(command)
        port:write(command .. '\r')
        local lines = {}
        while true do
            local text = assert(port:read('l', 5)):gsub('\r', '')
            if text == 'OK' or text == 'ERROR' then return text, lines end
            if text ~= '' and text ~= command then lines[#lines + 1] = text end
        end
    end
    T.eq({ ask('AT') }, { 'OK', {} })
    T.eq({ ask('AT+CSQ') }, { 'OK', { '+CSQ: 17,99' } })
    T.eq({ ask('AT+X') }, { 'ERROR', {} })
    port:close()
    group:wait()
    assert(guard)
end)

case('what a script forgets is closed', function()
    for _ = 1, 300 do
        local device = assert(serial.pty())
        assert(serial.open(device.path))
        device:close()
        if _ % 50 == 0 then
            collectgarbage()
            collectgarbage()
        end
    end
end)

-- A tree of files as the kernel shows devices.
local function devices(root)
    local function put(path, text)
        sys.sh({ 'mkdir', '-p', root .. '/' .. file.dirname(path) })
        assert(file.writefile(root .. '/' .. path, text))
    end
    local function link(path, target)
        sys.sh({ 'mkdir', '-p', root .. '/' .. file.dirname(path) })
        sys.sh({ 'ln', '-s', target, root .. '/' .. path })
    end
    local usb = 'sys/devices/usb1/1-1'
    for name, text in pairs {
        idVendor = '0403\n', idProduct = '6001\n', manufacturer = 'FTDI\n', product = 'USB Serial\n', serial = 'A10\n',
    } do
        put(usb .. '/' .. name, text)
    end
    for number, name in pairs { [10] = 'ttyUSB10', [9] = 'ttyUSB9' } do
        local at = ('%s/1-1:1.%d'):format(usb, number)
        put(at .. '/bInterfaceNumber', ('%02x\n'):format(number))
        link(at .. '/subsystem', '/bus/usb')
        put(at .. '/' .. name .. '/tty/' .. name .. '/dev', '188:0\n')
        link(at .. '/' .. name .. '/subsystem', '/bus/usb-serial')
        link(at .. '/' .. name .. '/driver', '/bus/usb-serial/drivers/ftdi_sio')
        link(at .. '/' .. name .. '/tty/' .. name .. '/device', '../../../' .. name)
        link('sys/class/tty/' .. name, '../../devices/usb1/1-1/1-1:1.' .. number .. '/' .. name .. '/tty/' .. name)
        put('dev/' .. name, '')
    end
    -- A UART on the board, as kernels since 6.5 show it, and as those before.
    local board = 'sys/devices/platform/10000000.serial'
    link(board .. '/subsystem', '/bus/platform')
    link(board .. '/driver', '/bus/platform/drivers/of_serial')
    put(board .. '/port/tty/ttyS0/type', '4\n')
    link(board .. '/port/subsystem', '/bus/serial-base')
    link(board .. '/port/driver', '/bus/serial-base/drivers/port')
    link(board .. '/port/tty/ttyS0/device', '../../../port')
    link('sys/class/tty/ttyS0', '../../devices/platform/10000000.serial/port/tty/ttyS0')
    put(board .. '/tty/ttyATH1/type', '0x7\n')
    link(board .. '/tty/ttyATH1/device', '../../../10000000.serial')
    link('sys/class/tty/ttyATH1', '../../devices/platform/10000000.serial/tty/ttyATH1')
    -- A place for a UART, a console, and one without a file.
    put(board .. '/tty/ttyS7/type', '0\n')
    link(board .. '/tty/ttyS7/device', '../../../10000000.serial')
    link('sys/class/tty/ttyS7', '../../devices/platform/10000000.serial/tty/ttyS7')
    put('sys/class/tty/tty0/dev', '4:0\n')
    put(board .. '/tty/ttyS8/type', '4\n')
    link(board .. '/tty/ttyS8/device', '../../../10000000.serial')
    link('sys/class/tty/ttyS8', '../../devices/platform/10000000.serial/tty/ttyS8')
    for _, name in ipairs { 'ttyS0', 'ttyATH1', 'ttyS7', 'tty0' } do put('dev/' .. name, '') end
    link('dev/serial/by-id/usb-FTDI_A10-if09', '../../ttyUSB9')
    link('dev/serial/by-id/dangling', '../../ttyUSB99')
end

case('ports are listed with what is known of them', function()
    local root = T.path('root')
    devices(root)
    local ports = serial.list(root)
    local function usb(name, interface)
        return {
            name = name, path = root .. '/dev/' .. name, bus = 'usb', driver = 'ftdi_sio', interface = interface,
            vendor_id = 0x403, product_id = 0x6001, manufacturer = 'FTDI', product = 'USB Serial', serial_number = 'A10',
        }
    end
    local ninth = usb('ttyUSB9', 9)
    ninth.by_id = root .. '/dev/serial/by-id/usb-FTDI_A10-if09'
    T.eq(ports, {
        { name = 'ttyATH1', path = root .. '/dev/ttyATH1', bus = 'platform', driver = 'of_serial' },
        { name = 'ttyS0', path = root .. '/dev/ttyS0', bus = 'platform', driver = 'of_serial' },
        ninth,
        usb('ttyUSB10', 10),
    })
end)

case('where nothing is known there are none', function()
    T.eq(serial.list(T.path('absent')), {})
    for _, port in ipairs(serial.list()) do
        assert(port.name and port.path == '/dev/' .. port.name, port.name)
    end
end)

case('descriptors of a tree of garbage', function()
    local root = T.path('garbage')
    devices(root)
    for _, name in ipairs { 'idVendor', 'idProduct', 'product' } do
        assert(file.writefile(root .. '/sys/devices/usb1/1-1/' .. name, ('\255'):rep(5000)))
    end
    assert(file.unlink(root .. '/sys/devices/usb1/1-1/serial'))
    assert(file.writefile(root .. '/sys/devices/usb1/1-1/1-1:1.9/bInterfaceNumber', '\n\n'))
    local ports = serial.list(root)
    T.eq(#ports, 4)
    local found = ports[3]
    T.eq({ found.name, found.vendor_id, found.product_id, found.interface, found.serial_number }, { 'ttyUSB9' })
    T.eq(raw.access(found.path), true)
end)
