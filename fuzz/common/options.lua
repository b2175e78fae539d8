-- Makes option tables and attributes of terminals out of bytes: every call answers or raises a text, and what it has set is
-- what it says.

local serial = require 'eco.serial'
local termios = require 'eco.termios'

local device = assert(serial.pty())
local port = assert(serial.open(device.path))

-- Takes bytes one by one; 0 when there are no more.
local function reader(input)
    local at = 0
    local function byte()
        at = at + 1
        return input:byte(at) or 0
    end
    local function text()
        local length = byte() % 12
        at = at + length
        return input:sub(at - length + 1, at)
    end
    return byte, text
end

local words = {
    'speed', 'data_bits', 'parity', 'stop_bits', 'flow', 'exclusive', 'dtr', 'rts', 'none', 'even', 'odd', 'mark', 'space',
    'hardware', 'software', 'cts', 'dsr', 'dcd', 'ri', 'input', 'output', 'both', 'i', 'o', 'c', 'l',
}

-- A value of any kind.
local function value(byte, text)
    local kind = byte() % 12
    if kind == 0 then return nil end
    if kind == 1 then return byte() % 2 == 0 end
    if kind == 2 then return byte() end
    if kind == 3 then return (('<i8'):unpack(text() .. ('\0'):rep(8))) end
    if kind == 4 then return (('<d'):unpack(text() .. ('\0'):rep(8))) end
    if kind == 5 then return text() end
    if kind == 6 then return byte() * 600 end
    if kind == 7 then return setmetatable({}, { __tostring = function() error('no text') end }) end
    if kind == 8 then return print end
    return words[byte() % #words + 1]
end

local function options(byte, text)
    local table = {}
    for _ = 1, byte() % 6 do
        local key = value(byte, text)
        if key ~= nil and key == key then table[key] = value(byte, text) end
    end
    return table
end

-- Results of a call that may raise, but nothing other than a text.
local function try(f, ...)
    local results = { pcall(f, ...) }
    if not results[1] then
        assert(type(results[2]) == 'string', type(results[2]))
        return nil
    elseif results[2] == nil and f ~= port.close then
        assert(results[3] == nil or type(results[3]) == 'string')
    end
    return table.unpack(results, 2)
end

local calls = {
    function(byte, text)
        local wanted = options(byte, text)
        local done = try(port.configure, port, wanted)
        local settings = assert(port:settings())
        for name, is in pairs(settings) do
            if done and wanted[name] ~= nil and name ~= 'speed' then assert(is == wanted[name], name) end
        end
        assert(settings.speed > 0 and settings.data_bits == 8 and settings.parity == 'none')
    end,
    -- It is no terminal: options are all that this looks at.
    function(byte, text) assert(not try(serial.open, '/dev/null', options(byte, text))) end,
    function(byte, text) try(port.set_lines, port, options(byte, text)) end,
    function(byte, text) assert(not try(port.wait_lines, port, value(byte, text), 0.001)) end,
    function(byte, text) try(port.flush, port, value(byte, text)) end,
    function(byte, text)
        -- What the terminal takes of any attributes is its own affair; it stays one.
        local saved = assert(termios.tcgetattr(port.fd))
        local attr = saved:clone()
        for _ = 1, byte() % 16 do
            local names = { 'set_flag', 'clr_flag', 'get_flag', 'set_cc', 'get_cc', 'set_ispeed', 'set_ospeed', 'set_speed' }
            try(attr[names[byte() % #names + 1]], attr, value(byte, text), value(byte, text))
        end
        assert(attr:get_ospeed() & ~termios.CBAUD == 0)
        try(termios.tcsetattr, port.fd, termios.TCSANOW, attr)
        assert(termios.tcgetattr(port.fd))
        try(termios.tcflush, port.fd, value(byte, text))
        assert(port:settings())
        assert(termios.tcsetattr(port.fd, termios.TCSANOW, saved))
        assert(port:configure { speed = 9600, flow = 'none', stop_bits = 1, data_bits = 8, parity = 'none' })
    end,
}

return function(input)
    -- Unless something holds it, the device is collected.
    assert(device.fd >= 0)
    local byte, text = reader(input)
    for _ = 1, 4 do
        calls[byte() % #calls + 1](byte, text)
    end
end
