-- Section 7: module `eco.termios`, on the master of a pseudo-terminal, which has the attributes of the terminal.

local file = require 'eco.file'
local raw = require 'eco.internal.file'
local termios = require 'eco.termios'

local function terminal()
    local fd = assert(raw.open('/dev/ptmx', file.O_RDWR | file.O_NOCTTY | file.O_NONBLOCK))
    return setmetatable({ fd = fd }, { __close = function() raw.close(fd) end })
end

local function current(fd)
    return assert(termios.tcgetattr(fd))
end

case('constants are those of the machine', function()
    local names = [[TCSANOW TCSADRAIN TCSAFLUSH
        IGNBRK BRKINT IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8
        OPOST OLCUC ONLCR OCRNL ONOCR ONLRET OFILL OFDEL NLDLY CRDLY TABDLY BSDLY VTDLY FFDLY
        CBAUD CBAUDEX CSIZE CSTOPB CREAD PARENB PARODD HUPCL CLOCAL CIBAUD CMSPAR CRTSCTS
        ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP ECHOCTL ECHOPRT ECHOKE FLUSHO PENDIN IEXTEN
        VINTR VQUIT VERASE VKILL VEOF VTIME VMIN VSTART VSTOP VSUSP VEOL VREPRINT VDISCARD VWERASE VLNEXT VEOL2
        B0 B50 B75 B110 B134 B150 B200 B300 B600 B1200 B1800 B2400 B4800 B9600 B19200 B38400 B57600 B115200 B230400
        TCIFLUSH TCOFLUSH TCIOFLUSH TCOOFF TCOON TCIOFF TCION]]
    local count = 0
    for name in names:gmatch('%S+') do
        T.eq(math.type(termios[name]), 'integer', name)
        count = count + 1
    end
    T.eq(count, 3 + 15 + 14 + 12 + 15 + 16 + 19 + 7)
    -- The same everywhere on Linux, or where the kernel says otherwise.
    T.eq(termios.CRTSCTS, 1 << 31)
    T.eq(termios.CMSPAR, 1 << 30)
    T.eq(termios.IGNBRK | termios.INPCK | termios.IXANY, 1 | 16 | 2048)
    T.eq(termios.CBAUD, 4111)
    T.eq(termios.CIBAUD, 269418496)
    T.eq(termios.B9600, 13)
    T.eq(termios.B230400, 4099)
    T.eq(termios.CS5, 0)
    T.eq(termios.CS8, termios.CSIZE)
    local mips = termios.VMIN == 4
    T.eq(termios.VMIN, mips and 4 or 6)
    T.eq(termios.ICANON, 2)
    T.eq(termios.TOSTOP, mips and 0x8000 or 256)
end)

case('what is set comes back', function()
    local tty<close> = terminal()
    local saved = current(tty.fd)
    T.eq(saved:get_flag('local') & termios.ECHO, termios.ECHO)
    local attr = saved:clone()
    T.eq(select('#', attr:clr_flag('l', termios.ECHO | termios.ICANON)), 0)
    T.eq(select('#', attr:clr_flag('input', termios.ICRNL)), 0)
    T.eq(select('#', attr:set_flag('c', termios.CRTSCTS)), 0)
    T.eq(select('#', attr:set_flag('o', termios.ONLRET)), 0)
    T.eq(select('#', attr:set_cc(termios.VMIN, 1)), 0)
    T.eq(select('#', attr:set_cc(termios.VTIME, 0)), 0)
    T.eq(attr:set_speed(termios.B115200), true)
    -- Nothing has reached the device, nor what it was copied from.
    T.eq(current(tty.fd):get_flag('l'), saved:get_flag('l'))
    T.eq(saved:get_flag('l') & termios.ECHO, termios.ECHO)
    T.eq(termios.tcsetattr(tty.fd, termios.TCSANOW, attr), true)
    local now = current(tty.fd)
    for _, kind in ipairs { 'i', 'o', 'c', 'l' } do
        T.eq(now:get_flag(kind), attr:get_flag(kind), kind)
    end
    T.eq(now:get_flag('c') & termios.CRTSCTS, termios.CRTSCTS)
    T.eq(now:get_flag('l') & (termios.ECHO | termios.ICANON), 0)
    T.eq(now:get_cc(termios.VMIN), 1)
    T.eq(now:get_ispeed(), termios.B115200)
    T.eq(now:get_ospeed(), termios.B115200)
    for _, action in ipairs { termios.TCSANOW, termios.TCSADRAIN, termios.TCSAFLUSH } do
        T.eq(termios.tcsetattr(tty.fd, action, saved), true)
        T.eq(current(tty.fd):get_flag('l'), saved:get_flag('l'))
        T.eq(termios.tcsetattr(tty.fd, action, attr), true)
    end
end)

case('what is written is shown while ECHO is on', function()
    local tty<close> = terminal()
    T.eq(raw.write(tty.fd, 'seen'), 4)
    T.eq(T.await(function() return raw.read(tty.fd, 10) end), 'seen')
    local attr = current(tty.fd)
    attr:clr_flag('l', termios.ECHO)
    -- Of a line that is not shown, its end is: by that it is told that all was handled.
    attr:set_flag('l', termios.ECHONL)
    assert(termios.tcsetattr(tty.fd, termios.TCSAFLUSH, attr))
    T.eq(raw.write(tty.fd, 'hidden\n'), 7)
    T.eq(T.await(function() return raw.read(tty.fd, 20) end), '\r\n')
end)

case('speeds', function()
    local tty<close> = terminal()
    local attr = current(tty.fd)
    for _, name in ipairs { 'B50', 'B9600', 'B38400', 'B57600', 'B230400', 'B921600', 'B4000000' } do
        local code = assert(termios[name], name)
        for _, method in ipairs { 'set_ispeed', 'set_ospeed', 'set_speed' } do
            T.eq(attr:set_speed(termios.B1200), true)
            T.eq(attr[method](attr, code), true)
            T.eq(attr:get_ispeed(), code)
            T.eq(attr:get_ospeed(), code)
        end
        T.eq(attr:set_speed(termios.B1200), true)
        T.eq(attr:set_speed(tonumber(name:sub(2))), true)
        T.eq(attr:get_ospeed(), code)
        assert(termios.tcsetattr(tty.fd, termios.TCSANOW, attr))
        -- The emulator knows speeds up to B460800.
        if code <= termios.B460800 or not T.emulated then
            T.eq(current(tty.fd):get_ospeed(), code)
        end
    end
    for _, code in ipairs { 16, 4112, 9601, 1 << 31, 1 << 32, -1, math.mininteger, math.maxinteger } do
        T.fails('Invalid argument', attr:set_ispeed(code))
        T.fails('Invalid argument', attr:set_ospeed(code))
        T.fails('Invalid argument', attr:set_speed(code))
    end
    T.fails('Invalid argument', attr:set_ospeed(9600))
    T.fails('Invalid argument', attr:set_ispeed(115200))
    T.eq(attr:get_ospeed(), termios.B4000000)
    T.eq(attr:set_ispeed(0), true)
    T.eq(attr:get_ospeed(), termios.B4000000)
    -- A speed of the input alone goes when a speed is set.
    attr:set_flag('c', termios.B1200 << 16)
    T.eq(attr:set_speed(termios.B9600), true)
    T.eq(attr:get_flag('c') & (termios.CBAUD | termios.CIBAUD), termios.B9600)
    T.eq(attr:set_speed(termios.B0), true)
    T.eq(attr:get_ospeed(), 0)
end)

case('flags', function()
    local tty<close> = terminal()
    local attr = current(tty.fd)
    for _, kind in ipairs { 'i', 'o', 'c', 'l', 'iflag', 'output', 'l\0' } do
        attr:clr_flag(kind, -1)
        T.eq(attr:get_flag(kind), 0)
        attr:set_flag(kind, 0xffffffff)
        T.eq(attr:get_flag(kind), 0xffffffff)
        attr:clr_flag(kind, 1 << 31)
        T.eq(attr:get_flag(kind), 0x7fffffff)
        attr:set_flag(kind, '2147483648')
        T.eq(attr:get_flag(kind), 0xffffffff)
        attr:clr_flag(kind, 5.0)
        T.eq(attr:get_flag(kind), 0xfffffffa)
    end
    for _, kind in ipairs { '', 'x', 'I', ' l', '\0', 1 } do
        T.raises('invalid type', attr.set_flag, attr, kind, 1)
        T.raises('invalid type', attr.clr_flag, attr, kind, 1)
        T.raises('invalid type', attr.get_flag, attr, kind)
    end
end)

case('control characters', function()
    local tty<close> = terminal()
    local attr = current(tty.fd)
    attr:set_cc(termios.VSTART, 0x111)
    T.eq(attr:get_cc(termios.VSTART), 0x11)
    attr:set_cc(termios.VSTOP, -1)
    T.eq(attr:get_cc(termios.VSTOP), 255)
    for index = 0, 31 do
        attr:set_cc(index, index + 1)
    end
    T.eq(attr:get_cc(0), 1)
    T.eq(attr:get_cc(16), 17)
    for _, index in ipairs { -1, 32, 255, 1 << 32, math.mininteger } do
        T.raises('invalid cc name', attr.set_cc, attr, index, 1)
        T.raises('invalid cc name', attr.get_cc, attr, index)
    end
end)

case('output is held and dropped', function()
    local tty<close> = terminal()
    for _, selector in ipairs { termios.TCIFLUSH, termios.TCOFLUSH, termios.TCIOFLUSH } do
        T.eq(termios.tcflush(tty.fd, selector), true)
    end
    for _, action in ipairs { termios.TCOOFF, termios.TCOON } do
        T.eq(termios.tcflow(tty.fd, action), true)
    end
    T.fails('Invalid argument', termios.tcflush(tty.fd, 3))
    T.fails('Invalid argument', termios.tcflush(tty.fd, -1))
    T.fails('Invalid argument', termios.tcflow(tty.fd, 4))
    T.fails('Invalid argument', termios.tcsetattr(tty.fd, 77, current(tty.fd)))
end)

case('failures are told', function()
    local tty<close> = terminal()
    local attr = current(tty.fd)
    for fd, message in pairs { [-1] = 'Bad file descriptor', [99999] = 'Bad file descriptor' } do
        T.fails(message, termios.tcgetattr(fd))
        T.fails(message, termios.tcsetattr(fd, termios.TCSANOW, attr))
        T.fails(message, termios.tcflush(fd, termios.TCIFLUSH))
        T.fails(message, termios.tcflow(fd, termios.TCOON))
    end
    local null<close> = assert(file.open('/dev/null'))
    local message = 'Inappropriate ioctl for device'
    T.fails(message, termios.tcgetattr(null.fd))
    T.fails(message, termios.tcsetattr(null.fd, termios.TCSADRAIN, attr))
    T.fails(message, termios.tcflush(null.fd, termios.TCIFLUSH))
    T.fails(message, termios.tcflow(null.fd, termios.TCOON))
end)

case('misuse raises', function()
    local tty<close> = terminal()
    local attr = current(tty.fd)
    T.raises('number expected', termios.tcgetattr)
    T.raises('number expected', termios.tcgetattr, {})
    T.raises('no integer', termios.tcgetattr, 1.5)
    T.raises('out of range', termios.tcgetattr, 1 << 32)
    T.raises('number expected', termios.tcsetattr, tty.fd)
    T.raises('struct eco_termios * expected, got no value', termios.tcsetattr, tty.fd, 0)
    T.raises('struct eco_termios * expected, got table', termios.tcsetattr, tty.fd, 0, {})
    T.raises('struct eco_termios * expected', termios.tcsetattr, tty.fd, 0, io.stdout)
    T.raises('number expected', termios.tcflush, tty.fd)
    T.raises('number expected', termios.tcflow, tty.fd, 'x')
    T.raises('number expected', attr.set_flag, attr, 'i')
    T.raises('string expected', attr.set_flag, attr, nil, 1)
    T.raises('string expected', attr.set_flag, attr, {}, 1)
    T.raises('out of range', attr.set_flag, attr, 'c', 1 << 32)
    T.raises('out of range', attr.clr_flag, attr, 'c', -1 << 32)
    T.raises('number expected', attr.set_cc, attr, 'x', 1)
    T.raises('number expected', attr.set_cc, attr, 1)
    T.raises('number expected', attr.set_speed, attr)
    T.raises('no integer', attr.set_ospeed, attr, 1.5)
    T.raises('struct eco_termios * expected', attr.clone, io.stdout)
    T.raises('struct eco_termios * expected', attr.get_ispeed)
    T.eq(getmetatable(attr), false)
    assert(tostring(attr):find('^struct eco_termios %*: 0x'))
end)

case('a thousand of them leave nothing behind', function()
    local tty<close> = terminal()
    for _ = 1, 1000 do
        local attr = current(tty.fd):clone()
        assert(attr:set_speed(115200) and termios.tcsetattr(tty.fd, termios.TCSANOW, attr))
    end
end)
