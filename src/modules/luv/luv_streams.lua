-- Streams: TCP, pipes, the standard three. And datagrams, names of hosts.

local I = ...

local eco = require 'eco'
local file = require 'eco.file'
local socket = require 'eco.socket'
local sync = require 'eco.sync'

local native, want, integer, block, luv = I.native, I.want, I.integer, I.block, I.luv
local fibers, settle = native.fibers, native.settle
local running, status, type = coroutine.running, coroutine.status, type

local CLOSED = 'attempt to read from a closed stream'

local function text(problem)
    return problem == 'canceled' and 'operation canceled' or I.text(problem)
end

-- What a descriptor is read from and written to by, with the methods of a socket.
local Descriptor = {}
Descriptor.__index = Descriptor

local function of_descriptor(fd, number)
    local rd, problem = eco.reader(fd)
    if not rd then return nil, problem end
    return setmetatable({ fd = fd, number = number, rd = rd, wr = eco.writer(fd), mutex = sync.mutex() }, Descriptor)
end

function Descriptor:read(length)
    return self.rd:read(length)
end

function Descriptor:send(data)
    self.mutex:lock()
    local count, problem = self.wr:write(data)
    self.mutex:unlock()
    return count, problem
end

function Descriptor:getfd()
    return self.fd
end

function Descriptor:close()
    if self.fd < 0 then return end
    self.rd:cancel()
    self.wr:cancel()
    file.close(self.fd)
    if self.number then file.close(self.number) end
    self.fd = -1
end

-- The standard three are not ours.
function Descriptor:__gc()
    if self.fd > 2 then file.close(self.fd) end
end

-- One that others use as well: they rely on its waiting, which the pool does.
local Shared = {}
Shared.__index = Shared

function Shared:read(length)
    local data, problem = native.read(self.fd, length, -1)
    if data == '' and length > 0 then return nil, 'eof' end
    return data, problem
end

function Shared:send(data)
    self.mutex:lock()
    local count, problem = native.write(self.fd, data, -1)
    self.mutex:unlock()
    return count, problem
end

function Shared:getfd()
    return self.fd
end

function Shared:close()
    file.close(self.fd)
    self.fd = -1
end

-- One of the standard three. `print` and `io` go on to block: unless it is a file, it is opened anew.
local function standard(number)
    local info = file.fstat(number)
    if info and info.type == 'REG' then return of_descriptor(number) end
    local flags = (number == 0 and file.O_RDONLY or file.O_WRONLY) | file.O_NONBLOCK | file.O_NOCTTY | file.O_CLOEXEC
    local fd = require 'eco.internal.file'.open('/proc/self/fd/' .. number, flags, 0)
    if fd then
        return of_descriptor(fd, number)
    elseif number == 0 then
        return of_descriptor(number)
    end
    return setmetatable({ fd = number, mutex = sync.mutex() }, Shared)
end

-- Methods of all streams. `source` is what they read from and write to, nil before there is something.

local function open(self)
    if not self.source and self.number and not self.is_closed then
        self.source = standard(self.number)
    end
    return self.source
end

-- Waits until nobody else does the same with the stream: those who come first are first.
local function enter(self, what)
    local owner = self[what]
    if owner and status(owner) ~= 'dead' then
        local queue = self.queues[what]
        if not queue then
            queue = {}
            self.queues[what] = queue
        end
        I.park(queue)
    end
    self[what] = running()
end

local function leave(self, what)
    self[what] = nil
    local queue = self.queues[what]
    if queue and queue[1] then I.wake(table.remove(queue, 1)) end
end

I.enter, I.leave = enter, leave

local function finish(self)
    self.is_closed = true
    local source = self.source
    self.source = nil
    if source then source:close() end
end

local function read(self, length)
    enter(self, 'reading')
    local source = self.source or open(self)
    if not source then
        leave(self, 'reading')
        if self.is_closed then return settle(nil, CLOSED) end
        return settle(false, 'read: socket is not connected')
    end
    local data, problem = source:read(length)
    leave(self, 'reading')
    if data then
        return #data, data
    elseif self.is_closed then
        return nil, CLOSED
    elseif problem == 'closed' or problem == 'eof' then
        self.has_ended = true
        return nil
    end
    finish(self)
    return false, 'read: ' .. text(problem)
end

local function write(self, data)
    local source = self.source or open(self)
    if not source then
        return settle(false, 'write: ' .. (self.is_closed and 'bad file descriptor' or 'socket is not connected'))
    elseif self.number == 1 then
        -- What `print` and `io.write` have kept comes first.
        io.stdout:flush()
    end
    local count, problem = source:send(data)
    if count then return 0 end
    return -1, text(problem)
end

local function shutdown(self)
    local source = open(self)
    if not source then
        return -1, self.is_closed and 'bad file descriptor' or 'socket is not connected'
    end
    local mutex = source.mutex
    mutex:lock()
    local done, problem = native.shutdown(source:getfd())
    mutex:unlock()
    if not done then return -1, text(problem) end
    self.is_shut = true
    return 0
end

local function accept(self, client)
    enter(self, 'accepting')
    local source, peer, problem = self.source, nil, 'canceled'
    if source then
        peer, problem = source:accept()
    elseif not self.is_closed then
        problem = 'Invalid argument'
    end
    leave(self, 'accepting')
    if not peer then return nil, text(problem) end
    client.source, client.is_connected = peer, true
    return self, client
end

local function add_stream_methods(Stream, type_of_streams)
    function Stream:read(length)
        if length == nil then
            length = 4096
        else
            length = integer(length, nil, 1, 'read')
            if length < 0 then error("bad argument #1 to 'read' (out of range)", 2) end
            length = math.min(length, 0x7fffffff)
        end
        -- Where it is short, as everything passes here.
        if fibers[running()] then return read(self, length) end
        return block(read, self, length)
    end

    function Stream:write(data)
        if type(data) ~= 'string' then data = tostring(want('string', data, 1, 'write')) end
        if fibers[running()] then return write(self, data) end
        return block(write, self, data)
    end

    function Stream:shutdown()
        if self.is_shut then return self end
        return block(shutdown, self)
    end

    function Stream:close()
        finish(self)
        return self
    end

    function Stream:listen(backlog)
        backlog = integer(backlog, 128, 1, 'listen')
        local source = self.source
        if not source or not source.listen then error('listen: invalid argument', 2) end
        local done, problem = source:listen(backlog)
        if not done then error('listen: ' .. text(problem), 2) end
    end

    function Stream:accept(client)
        if getmetatable(client) ~= type_of_streams then
            error(("bad argument #1 to 'accept' (%s expected, got %s)"):format(type_of_streams.__name, type(client)), 2)
        elseif client.source or client.is_closed then
            error("bad argument #1 to 'accept' (the stream is in use)", 2)
        end
        return block(accept, self, client)
    end

    function Stream:readable()
        return open(self) ~= nil and self.is_connected == true and not self.has_ended
    end

    function Stream:writable()
        return open(self) ~= nil and self.is_connected == true and not self.is_shut
    end

    -- The kernel keeps what nobody reads yet.
    for _, name in ipairs { 'start', 'stop' } do
        Stream[name] = function(self)
            if open(self) then return true end
            return false, ('read %s: %s'):format(name, self.is_closed and 'bad file descriptor' or 'socket is not connected')
        end
    end
end

local function connect(self, a, b)
    local source = self.source
    source.connect_timeout = 0
    local done, problem = source:connect(a, b)
    if not done then
        -- Another try needs another socket.
        if self.source == source then
            self.source = nil
            source:close()
        end
        return nil, text(problem)
    end
    self.is_connected = true
    return self, a
end

-- TCP

local Tcp, new_tcp, type_of_tcp = I.class 'luv.net.tcp'

add_stream_methods(Tcp, type_of_tcp)

-- The socket, made when it is first needed; or nil and why not.
local function made(self, make)
    if self.is_closed then return nil, 'bad file descriptor' end
    if not self.source then
        local sock, problem = make()
        if not sock then return nil, text(problem) end
        self.source = sock
    end
    return self.source
end

local function is_port(port)
    return port >= 0 and port <= 65535
end

function Tcp:bind(host, port)
    want('string', host, 1, 'bind')
    port = integer(port, nil, 2, 'bind')
    if not socket.is_ipv4_address(host) or not is_port(port) then return -1, 'invalid argument' end
    local sock, problem = made(self, socket.tcp)
    if not sock then return -1, problem end
    sock:setoption('reuseaddr', true)
    local done
    done, problem = sock:bind(host, port)
    if not done then return -1, text(problem) end
    return 0
end

function Tcp:connect(host, port)
    want('string', host, 1, 'connect')
    port = integer(port, nil, 2, 'connect')
    if not socket.is_ipv4_address(host) or not is_port(port) then return nil, 'invalid argument' end
    local sock, problem = made(self, socket.tcp)
    if not sock then return nil, problem end
    return block(connect, self, host, port)
end

for _, name in ipairs { 'getsockname', 'getpeername' } do
    Tcp[name] = function(self)
        local address, problem
        if self.source then
            address, problem = self.source[name](self.source)
        end
        if not address then error(name .. ': ' .. text(problem or 'bad file descriptor'), 2) end
        return { family = address.family, port = address.port, address = address.ipaddr }
    end
end

local function set(self, ...)
    local sock, problem = made(self, socket.tcp)
    if not sock then return -1, problem end
    for i = 1, select('#', ...), 2 do
        local name, value = select(i, ...)
        local done
        done, problem = sock:setoption(name, value)
        if not done then return -1, text(problem) end
    end
    return 0
end

function Tcp:nodelay(enable)
    return set(self, 'tcp_nodelay', want('boolean', enable, 1, 'nodelay'))
end

function Tcp:keepalive(enable, seconds)
    want('boolean', enable, 1, 'keepalive')
    if not enable then return set(self, 'keepalive', false) end
    return set(self, 'keepalive', true, 'tcp_keepidle', integer(seconds, nil, 2, 'keepalive'))
end

-- Pipes

local Pipe, new_pipe, type_of_pipes = I.class 'luv.pipe'

add_stream_methods(Pipe, type_of_pipes)

function Pipe:open(from)
    local fd = I.release(from) or integer(from, nil, 1, 'open')
    if self.source or self.is_closed then error('the pipe is in use', 2) end
    local source, problem = of_descriptor(fd)
    if not source then error(text(problem), 2) end
    self.source, self.is_connected = source, true
end

function Pipe:bind(path)
    want('string', path, 1, 'bind')
    local sock, problem = made(self, socket.unix)
    if not sock then error(problem, 2) end
    local done
    done, problem = sock:bind(path)
    if not done then error(text(problem), 2) end
end

function Pipe:connect(path)
    want('string', path, 1, 'connect')
    local sock, problem = made(self, socket.unix)
    if not sock then return nil, problem end
    return block(connect, self, path)
end

-- The descriptor of a stream that a child gets.
function I.descriptor(stream)
    local kind = getmetatable(stream)
    if kind ~= type_of_tcp and kind ~= type_of_pipes then return nil end
    return stream.number or stream.source and stream.source:getfd()
end

-- Datagrams

local Udp, new_udp = I.class 'luv.net.udp'

function Udp:bind(host, port)
    want('string', host, 1, 'bind')
    port = integer(port, nil, 2, 'bind')
    local sock, problem = made(self, socket.udp)
    if sock and not (socket.is_ipv4_address(host) and is_port(port)) then problem, sock = 'invalid argument', nil end
    if not sock then error(problem, 2) end
    local done
    done, problem = sock:bind(host, port)
    if not done then error(text(problem), 2) end
end

local function send(self, data, host, port)
    local count, problem = self.source:sendto(data, host, port)
    if count then return 0 end
    return false, text(problem)
end

function Udp:send(host, port, data)
    want('string', host, 1, 'send')
    port = integer(port, nil, 2, 'send')
    want('string', data, 3, 'send')
    if not socket.is_ipv4_address(host) or not is_port(port) then return false, 'invalid argument' end
    local sock, problem = made(self, socket.udp)
    if not sock then return false, problem end
    return block(send, self, tostring(data), host, port)
end

local function receive(self)
    enter(self, 'reading')
    local source = self.source
    local data, from
    if source then
        data, from = source:recvfrom(65536)
    end
    leave(self, 'reading')
    if data then return data, from.ipaddr, from.port end
    return settle(false, self.is_closed and CLOSED or text(from or 'bad file descriptor'))
end

function Udp:recv()
    return block(receive, self)
end

function Udp:membership(group, interface, what)
    want('string', group, 1, 'membership')
    if what ~= 'join' and what ~= 'leave' then
        error("bad argument #3 to 'membership' (join or leave expected)", 2)
    end
    local sock, problem = made(self, socket.udp)
    if sock and not (socket.is_ipv4_address(group) and (interface == nil or socket.is_ipv4_address(interface))) then
        sock, problem = nil, 'invalid argument'
    end
    if not sock then return false, problem end
    local done
    done, problem = sock:setoption(what == 'join' and 'ip_add_membership' or 'ip_drop_membership', { multiaddr = group, interface = interface })
    if done then return 0 end
    return false, text(problem)
end

function Udp:close()
    finish(self)
    return self
end

-- Names

local HINTS = {
    family = { INET = socket.AF_INET, INET6 = socket.AF_INET6 },
    socktype = { STREAM = 'tcp', DGRAM = 'udp' },
    protocol = { TCP = 'tcp', UDP = 'udp' },
}

local function hint(hints, name)
    local value = hints[name]
    if value == nil then return nil end
    return HINTS[name][value] or error(('unsupported %s: %s'):format(name, tostring(value)), 3)
end

-- The port of a service by its name or number.
local function service_port(service, protocol)
    if service == nil then return 0 end
    local port = math.tointeger(tonumber(service))
    if port then return is_port(port) and port or nil end
    for line in (file.readfile('/etc/services') or ''):gmatch('[^\n]+') do
        local name, found, kind, aliases = line:match('^(%S+)%s+(%d+)/(%a+)([^#]*)')
        if kind == protocol and (name == service or (aliases .. ' '):find(' ' .. service .. ' ', 1, true)) then
            return math.tointeger(found)
        end
    end
    return nil
end

local function resolve(node, service, family, protocol)
    local port = service_port(service, protocol)
    if not port then return false, 'unknown service' end
    if node == nil then
        return settle(family == socket.AF_INET6 and '::1' or '127.0.0.1', port)
    elseif socket.is_ip_address(node) then
        if socket.is_ipv6_address(node) == (family == socket.AF_INET6) then return settle(node, port) end
        return settle(false, 'address family not supported')
    end
    local list, problem = require 'eco.dns'.resolve(node, { family = family })
    if not list then return false, text(problem) end
    return list[1], port
end

local function getaddrinfo(node, service, hints)
    if node == nil and service == nil then error('getaddrinfo: provide either node or service', 2) end
    if node ~= nil then want('string', node, 1, 'getaddrinfo') end
    if service ~= nil then want('string', service, 2, 'getaddrinfo') end
    hints = hints and want('table', hints, 3, 'getaddrinfo') or {}
    local family = hint(hints, 'family') or socket.AF_INET
    local kind, protocol = hint(hints, 'socktype'), hint(hints, 'protocol')
    return block(resolve, node, service and tostring(service), family, kind or protocol or 'tcp')
end

luv.net = I.library('luv_net', {
    tcp = function() return new_tcp { queues = {} } end,
    udp = function() return new_udp { queues = {} } end,
    getaddrinfo = getaddrinfo,
})

luv.pipe = I.library('luv_pipe', { create = function() return new_pipe { queues = {} } end })

for number, name in pairs { [0] = 'stdin', 'stdout', 'stderr' } do
    luv[name] = new_pipe { queues = {}, number = number, is_connected = true }
end
