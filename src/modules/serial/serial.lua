-- Ports of eco.serial, over the native parts.
local parts = ...

local eco = require 'eco'
local file = require 'eco.file'
local raw = require 'eco.internal.file'
local sync = require 'eco.sync'

local serial = {}

-- Requests, as the native part has them.
local SET_BREAK, CLEAR_BREAK, LINES, RAISE, LOWER, UNREAD, UNSENT, NUMBER, UNLOCK = 1, 2, 3, 4, 5, 6, 7, 8, 9

-- What one line looks at, and how often in seconds.
local TICK = 0.02

---- Options

local parities = { none = 0, even = 1, odd = 2, mark = 3, space = 4 }
local flows = { none = 0, hardware = 1, software = 2 }

local function name_of(names, number)
    for name, other in pairs(names) do
        if other == number then return name end
    end
end

local function among(names)
    return function(value)
        return names[value]
    end
end

local function within(low, high)
    return function(value)
        local number = type(value) == 'number' and math.tointeger(value)
        return number and number >= low and number <= high and number or nil
    end
end

local function truth(value)
    if type(value) == 'boolean' then return value end
end

-- How an option is read, and what is expected of it.
local line_options = {
    speed = { within(1, 0xffffffff), 'bauds' },
    data_bits = { within(5, 8), '5 to 8' },
    parity = { among(parities), 'none, even, odd, mark or space' },
    stop_bits = { within(1, 2), '1 or 2' },
    flow = { among(flows), 'none, hardware or software' },
}
local boolean = { truth, 'a boolean' }
local level_options = { dtr = boolean, rts = boolean }
local open_options = { exclusive = boolean, dtr = boolean, rts = boolean }
for name, option in pairs(line_options) do
    open_options[name] = option
end

-- Options that are known, over those that hold without.
local function parse(options, known, settings)
    if options == nil then
        return settings
    elseif type(options) ~= 'table' then
        error('options must be a table, not a ' .. type(options), 3)
    end
    for name in next, options do
        if not known[name] then
            error(("unknown option '%s'"):format(type(name) == 'string' and name or type(name)), 3)
        end
    end
    for name, option in pairs(known) do
        local value = options[name]
        if value ~= nil then
            value = option[1](value)
            if value == nil then
                error(("option '%s' must be %s"):format(name, option[2]), 3)
            end
            settings[name] = value
        end
    end
    return settings
end

---- Objects

local port = {}
port.__index = port

-- Passes on the results of a call that is no tail call then: where it waits,
-- the frame keeps the port open.
local function exactly(...)
    return ...
end

local function forward(field, name)
    port[name] = function(self, ...)
        local stream = self[field]
        return exactly(stream[name](stream, ...))
    end
end

for _, name in ipairs { 'read', 'readfull', 'readuntil', 'read2b' } do
    forward('rd', name)
end
forward('wr', 'write')

local function shut(self)
    local fd = self.fd
    if fd >= 0 then
        self.fd = -1
        parts.close(fd, self.rd, self.wr, self.exclusive, self.breaks > 0)
    end
end

function port:close()
    shut(self)
    self.closing:close()
end

-- Nobody waits any more, and what it consists of may have been collected.
port.__gc = shut
port.__close = port.close

eco._kind(port, 'eco.serial', function(self)
    return ('%s, %s'):format(self.path, self.fd < 0 and 'closed' or 'fd ' .. self.fd)
end)

local function limit(timeout)
    return type(timeout) == 'number' and timeout > 0 and timeout or math.huge
end

-- Waits, at most for what is left of a timeout, and gives what is left of it then.
local function pause(self, seconds, left)
    seconds = math.min(seconds, left)
    if seconds <= 0 then
        return nil, 'timeout'
    end
    local _, problem = self.closing:wait(seconds)
    if problem == 'closed' then
        return nil, 'canceled'
    end
    return left - seconds
end

---- Settings

local function read_settings(self)
    local speed, data_bits, parity, stop_bits, flow = parts.settings(self.fd)
    if not speed then
        return nil, data_bits
    end
    return { speed = speed, data_bits = data_bits, parity = parity, stop_bits = stop_bits, flow = flow }
end

local function apply(self, settings)
    local s = settings
    return parts.apply(self.fd, s.speed, s.data_bits, s.parity, s.stop_bits, s.flow)
end

function port:settings()
    local settings, problem = read_settings(self)
    if not settings then
        return nil, problem
    end
    settings.parity = name_of(parities, settings.parity)
    settings.flow = name_of(flows, settings.flow)
    return settings
end

function port:configure(options)
    -- First what raises.
    local changes = parse(options, line_options, {})
    local settings, problem = read_settings(self)
    if not settings then
        return nil, problem
    end
    for name, value in pairs(changes) do
        settings[name] = value
    end
    return exactly(apply(self, settings))
end

---- Modem lines

-- Those that the other end drives, in the order of the counters, then our own.
local inputs, outputs = { 'cts', 'dsr', 'ri', 'dcd' }, { 'dtr', 'rts' }

-- The lines, and how often each of the other end's has changed, where the driver
-- counts that.
local function look(self)
    local counters = { parts.counters(self.fd) }
    local bits, problem = parts.ask(self.fd, LINES)
    if not bits then
        return nil, problem
    end
    local levels, counts = {}, {}
    for place, name in ipairs(inputs) do
        levels[name], counts[name] = bits & parts[name] ~= 0, counters[1] and counters[place]
    end
    for _, name in ipairs(outputs) do
        levels[name] = bits & parts[name] ~= 0
    end
    return levels, counts
end

-- What the script knows is what later changes are measured by.
local function note(self, names, levels, counts)
    for name in pairs(names) do
        self.levels[name], self.counts[name] = levels[name], counts[name]
    end
end

function port:lines()
    local levels, counts = look(self)
    if levels then
        note(self, levels, levels, counts)
        return levels
    end
    return nil, counts
end

local function set_lines(self, levels)
    parts.turn()
    for _, name in ipairs(outputs) do
        local level = levels[name]
        if level ~= nil then
            local set, problem = parts.ask(self.fd, level and RAISE or LOWER, parts[name])
            if not set then
                return nil, problem
            end
        end
    end
    return true
end

function port:set_lines(levels)
    if type(levels) ~= 'table' then
        error('lines must be a table, not a ' .. type(levels), 2)
    end
    return set_lines(self, parse(levels, level_options, {}))
end

local function wanted_lines(names)
    local wanted = {}
    for _, name in ipairs(type(names) == 'table' and names or names ~= nil and { names } or inputs) do
        wanted[name] = true
    end
    local count = 0
    for _, name in ipairs(inputs) do
        if wanted[name] then
            count = count + 1
        end
    end
    for _ in pairs(wanted) do
        count = count - 1
    end
    if count ~= 0 or next(wanted) == nil then
        error('lines to wait for are cts, dsr, dcd and ri', 3)
    end
    return wanted
end

-- How often each line that is waited for has changed, if any has.
local function changes(before, levels, counts)
    local edges
    for name, was in pairs(before.levels) do
        local count = counts[name] and before.counts[name] and counts[name] - before.counts[name] & 0xffffffff or 0
        if count == 0 and levels[name] ~= was then
            count = 1
        end
        if count > 0 then
            edges = edges or {}
            edges[name] = count
        end
    end
    return edges
end

-- The kernel would wait for a change (TIOCMIWAIT), but hold a thread and the port
-- meanwhile, for ever if nothing changes. So this looks now and then; counters
-- tell what came and went in between.
function port:wait_lines(names, timeout)
    local wanted, left = wanted_lines(names), limit(timeout)
    local before
    while true do
        local levels, counts = look(self)
        if not levels then
            return nil, counts
        end
        if not before then
            -- Others may wait for other lines.
            before = { levels = {}, counts = {} }
            for name in pairs(wanted) do
                if self.levels[name] == nil then
                    note(self, { [name] = true }, levels, counts)
                end
                before.levels[name], before.counts[name] = self.levels[name], self.counts[name]
            end
        end
        local edges = changes(before, levels, counts)
        if edges then
            note(self, wanted, levels, counts)
            return levels, edges
        end
        left, counts = pause(self, TICK, left)
        if not left then
            return nil, counts
        end
    end
end

function port:counters()
    local cts, dsr, ri, dcd, received, sent, frame, overrun, parity, breaks, buffer = parts.counters(self.fd)
    if not cts then
        return nil, dsr
    end
    return {
        cts = cts, dsr = dsr, ri = ri, dcd = dcd, received = received, sent = sent,
        frame = frame, overrun = overrun, parity = parity, breaks = breaks, buffer_overrun = buffer,
    }
end

---- The line itself

local end_break = {
    __close = function(guard)
        local self = guard.port
        self.breaks = self.breaks - 1
        if self.fd >= 0 and self.breaks == 0 then
            parts.ask(self.fd, CLEAR_BREAK)
        end
    end,
}

function port:send_break(seconds)
    seconds = seconds == nil and 0.25 or seconds
    if type(seconds) ~= 'number' or not (seconds > 0 and seconds < math.huge) then
        error('seconds must be a positive number', 2)
    end
    -- It counts before this may yield: whoever closes the port then ends it.
    self.breaks = self.breaks + 1
    local _<close> = setmetatable({ port = self }, end_break)
    local set, problem = parts.ask(self.fd, SET_BREAK)
    if not set then
        return nil, problem
    end
    local left
    left, problem = pause(self, seconds, seconds)
    if not left then
        return nil, problem
    end
    return true
end

-- tcdrain(3) has no limit and runs on one of the core's few threads: it gets only
-- what the device itself still holds. What the other end holds up waits here.
function port:drain(timeout)
    local left, step, problem = limit(timeout), 0.001, nil
    while true do
        local unsent
        unsent, problem = parts.ask(self.fd, UNSENT)
        if not unsent then
            return nil, problem
        elseif unsent == 0 then
            break
        end
        left, problem = pause(self, step, left)
        if not left then
            return nil, problem
        end
        step = math.min(step * 2, TICK)
    end
    local sent, fd = false, self.fd
    eco.run(function()
        sent, problem = true, select(2, parts.drain(fd))
        self.closing:broadcast()
    end)
    while not sent do
        local why
        left, why = pause(self, 60, left)
        if not left then
            return nil, why
        end
    end
    if not problem then
        -- The device may be gone by now.
        sent, problem = parts.ask(self.fd, UNSENT)
    end
    if problem then
        return nil, problem
    end
    return true
end

local selectors = { input = 0, output = 1, both = 2 }

function port:flush(what)
    local selector = selectors[what == nil and 'both' or what]
    if not selector then
        error('flush takes input, output or both', 2)
    end
    return exactly(parts.flush(self.fd, selector, self.rd))
end

function port:pending()
    local unread, problem = parts.ask(self.fd, UNREAD)
    local unsent
    if unread then
        unsent, problem = parts.ask(self.fd, UNSENT)
    end
    if not unsent then
        return nil, problem
    end
    return unread + parts.buffered(self.rd), unsent
end

---- Opening

-- What closes the descriptor comes before it.
local function new(path)
    return setmetatable({
        fd = -1, rd = false, wr = false, path = path, exclusive = false,
        breaks = 0, levels = {}, counts = {}, closing = sync.cond(),
    }, port)
end

local function open(self, path)
    local problem
    parts.turn()
    self.fd, problem = raw.open(path, raw.O_RDWR | raw.O_NOCTTY | raw.O_NONBLOCK | raw.O_CLOEXEC)
    if not self.fd then
        self.fd = -1
        return nil, problem
    end
    return true
end

local function prepare(self, settings)
    local done, problem = true, nil
    if settings.exclusive then
        done, problem = parts.claim(self.fd)
        self.exclusive = done
    end
    if done then
        done, problem = apply(self, settings)
    end
    if done then
        done, problem = set_lines(self, settings)
    end
    if done then
        self.rd, problem = eco.reader(self.fd)
        self.wr = self.rd and eco.writer(self.fd)
        done = self.wr
    end
    if not done then
        self:close()
        return nil, problem
    end
    return self
end

local function defaults()
    return { speed = 115200, data_bits = 8, parity = parities.none, stop_bits = 1, flow = flows.none, exclusive = true }
end

function serial.open(path, options)
    if type(path) ~= 'string' then
        error(("bad argument #1 to 'open' (string expected, got %s)"):format(type(path)), 2)
    end
    local settings = parse(options, open_options, defaults())
    local self = new(path)
    local opened, problem = open(self, path)
    if not opened then
        return nil, problem
    end
    return exactly(prepare(self, settings))
end

-- The end of a line whose other end is a terminal, `path`: a device made of a script.
function serial.pty()
    local self = new()
    local number
    local done, problem = open(self, '/dev/ptmx')
    if done then
        number, problem = parts.ask(self.fd, NUMBER)
        done = number
    end
    if done then
        done, problem = parts.ask(self.fd, UNLOCK, 0)
    end
    if not done then
        self:close()
        return nil, problem
    end
    self.path = '/dev/pts/' .. number
    local settings = defaults()
    settings.exclusive = false
    return exactly(prepare(self, settings))
end

---- Ports there are

local function text_of(path)
    local text = file.readfile(path)
    return text and text:match('^[^\n]+')
end

local function target_of(path)
    local target = file.readlink(path)
    return target and target:match('[^/]+$')
end

-- What sysfs knows of a port; nothing if it is none.
local function describe(root, name)
    local folder, path = root .. '/sys/class/tty/' .. name, root .. '/dev/' .. name
    -- A console has no device, and a UART of type 0 is not there.
    if not file.access(folder .. '/device') or not file.access(path) or text_of(folder .. '/type') == '0' then
        return
    end
    local found, at = { name = name, path = path }, folder .. '/device'
    for _ = 1, 6 do
        local bus = target_of(at .. '/subsystem')
        if bus and bus ~= 'serial-base' and not found.bus then
            found.bus, found.driver = bus, target_of(at .. '/driver')
        end
        local interface = text_of(at .. '/bInterfaceNumber')
        found.interface = found.interface or interface and tonumber(interface, 16)
        local vendor = text_of(at .. '/idVendor')
        if vendor then
            found.bus = 'usb'
            found.vendor_id, found.product_id = tonumber(vendor, 16), tonumber(text_of(at .. '/idProduct') or '', 16)
            found.manufacturer, found.product = text_of(at .. '/manufacturer'), text_of(at .. '/product')
            found.serial_number = text_of(at .. '/serial')
            break
        end
        at = at .. '/..'
    end
    return found
end

-- ttyS10 comes after ttyS9.
local function in_order(name)
    return (name:gsub('%d+', function(digits)
        return ('0'):rep(20 - #digits) .. digits
    end))
end

function serial.list(root)
    root = root or ''
    local ports, by_id = {}, {}
    local folder = root .. '/dev/serial/by-id'
    for name in file.dir(folder) do
        local path = folder .. '/' .. name
        by_id[target_of(path) or ''] = path
    end
    for name in file.dir(root .. '/sys/class/tty') do
        local found = describe(root, name)
        if found then
            found.by_id = by_id[name]
            ports[#ports + 1] = found
        end
    end
    table.sort(ports, function(a, b)
        return in_order(a.name) < in_order(b.name)
    end)
    return ports
end

return serial
