-- LuaAsio: light threads, connections, servers, and the loop that scripts start.

local native = ...

local eco, socket, sync = require 'eco', require 'eco.socket', require 'eco.sync'
local settle, original_dst = native.settle, native.original_dst
local running, isyieldable, tointeger = coroutine.running, coroutine.isyieldable, math.tointeger
local INET, INET6 = socket.AF_INET, socket.AF_INET6

local M = {}

-- What `run` waits for: listeners, and operations of light threads.
local active = 0
-- Signalled when there are none any more, or an accept handler failed.
local idle = sync.cond()
local failed, failure

-- Under `run_once`, as many events as are left pass; the others wait until more may.
local limited, left = false, 0
local gate, passed = sync.cond(), sync.cond()

local function event()
    while limited and left == 0 do
        gate:wait()
    end
    if limited then
        left = 0
        passed:signal()
    end
end

local function ended()
    active = active - 1
    if active == 0 then
        idle:broadcast()
        passed:signal()
    end
end

-- Light threads that have not ended, and whether each is in an operation.
local threads = setmetatable({}, { __mode = 'k' })

-- An operation begins; its caller must be a light thread, which this gives.
local function begin()
    local thread = running()
    if threads[thread] == nil then
        error('need be called in light thread.', 3)
    end
    threads[thread] = true
    active = active + 1
    return thread
end

local function finish(...)
    if limited then
        event()
    end
    threads[running()] = false
    ended()
    return ...
end

local function report(err)
    print(debug.traceback(running(), err))
end

-- Also of a thread that is closed while it waits.
local Life = {}

function Life:__close()
    if threads[self.thread] then
        ended()
    end
    threads[self.thread] = nil
end

local function body(f, ...)
    local life<close> = setmetatable({ thread = running() }, Life)
    threads[life.thread] = false
    xpcall(f, report, ...)
end

function M.spawn_light_thread(f, ...)
    return eco.run(body, f, ...)
end

function M.sleep(seconds)
    begin()
    eco.sleep(seconds)
    finish()
end

-- Connections

local texts = {
    closed = 'End of file',
    canceled = 'Operation canceled',
    ['name error'] = 'Host not found (authoritative)',
    ['not found'] = 'Host not found (authoritative)',
}

local function text(err)
    return texts[err] or err
end

local function already()
    return settle(nil, 'Already closed.')
end

local BUSY = 'Operation already in progress'

local closed = { __index = { read = already, read_some = already, write = already, close = function() end } }

local Connection = {}
Connection.__index = Connection

local function connection(sock)
    return setmetatable({ cpoint = sock, reading = false, writing = false }, Connection)
end

-- `reading` and `writing` are the threads that do: one of each at a time.
function Connection:read(size)
    size = assert(tointeger(size), 'size must be an integer')
    assert(size >= 0, 'size must not be negative')
    local thread = begin()
    if threads[self.reading] then
        return settle(finish(nil, BUSY))
    elseif size == 0 then
        return settle(finish(''))
    end
    self.reading = thread
    local data, err = self.cpoint:readfull(size)
    self.reading = false
    if data then
        return finish(data)
    end
    self.cpoint:close()
    return finish(nil, text(err))
end

function Connection:read_some()
    local thread = begin()
    if threads[self.reading] then
        return settle(finish(nil, BUSY))
    end
    self.reading = thread
    local data, err = self.cpoint:read(10240)
    self.reading = false
    if data then
        return finish(data)
    end
    self.cpoint:close()
    return finish('', text(err))
end

function Connection:write(data)
    assert(type(data) == 'string' and #data > 0)
    local thread = begin()
    if threads[self.writing] then
        return settle(finish(nil, BUSY))
    end
    self.writing = thread
    local sent, err = self.cpoint:send(data)
    self.writing = false
    if sent then
        return finish(true)
    end
    self.cpoint:close()
    return finish(nil, text(err))
end

function Connection:close()
    setmetatable(self, closed)
    self.cpoint:close()
end

function Connection:get_original_dst()
    return original_dst(self.cpoint:getfd())
end

-- Addresses

-- Family, address, port and interface of a `struct sockaddr_storage` of a machine of either byte order.
local function parts(address)
    assert(type(address) == 'string' and #address >= 64, 'not an address')
    local port = string.unpack('>I2', address, 3)
    local first, second = address:byte(1, 2)
    if first + second == 10 and first * second == 0 then
        local ip = socket.inet_ntop(INET6, address:sub(9, 24))
        -- The number of an interface is one of this machine's.
        local scope = ip:find('^fe[89ab]') and string.unpack('=I4', address, 25)
        return ip, port, scope and socket.if_indextoname(scope)
    end
    return socket.inet_ntop(INET, address:sub(5, 8)), port
end

function M.addr_to_str(address)
    local ip, port = parts(address)
    return settle(ip .. ':' .. port)
end

-- The system decides how long connecting may take.
local function dial(ip, port, device)
    local sock, err = socket.connect_tcp(ip, port, { connect_timeout = 0, device = device })
    if sock then
        return connection(sock)
    end
    return nil, text(err)
end

-- Addresses of the family that is preferred come first; the last failure counts.
local function dial_name(host, port, prefers_v6)
    local found, dns = pcall(require, 'eco.dns')
    if not found then
        return nil, 'names need the package lua-eco-dns'
    end
    local list, err = dns.resolve(host)
    if not list then
        return nil, text(err)
    end
    local conn
    for _, wanted in ipairs { prefers_v6 == true, prefers_v6 ~= true } do
        for _, ip in ipairs(list) do
            if socket.is_ipv6_address(ip) == wanted then
                conn, err = dial(ip, port)
                if conn then
                    return conn
                end
            end
        end
    end
    return nil, err
end

function M.connect(host, port, prefers_v6)
    local device
    assert(type(host) == 'string', 'host must be a string')
    if port == nil then
        host, port, device = parts(host)
    end
    port = tointeger(tonumber(port))
    assert(port and port >= 0 and port <= 65535, 'port must be a number from 0 to 65535')
    begin()
    if socket.is_ip_address(host) then
        return finish(dial(host, port, device))
    end
    return finish(dial_name(host, port, prefers_v6))
end

-- Servers

local function serve(listener, handler)
    active = active + 1
    while not listener:closed() do
        local sock = listener:accept()
        if limited then
            event()
        end
        if sock and listener:closed() then
            sock:close()
        elseif sock then
            local ok, err = pcall(handler, connection(sock))
            if not ok then
                failed, failure = true, err
                idle:broadcast()
                passed:signal()
            end
        elseif not listener:closed() then
            -- Descriptors or memory ran out.
            eco.sleep(0.05)
        end
    end
    ended()
end

local Holder = {}

function Holder:__gc()
    self.listener:close()
end

function M.server(ip, port, handler)
    assert(type(handler) == 'function', 'handler must be a function')
    port = assert(tointeger(tonumber(port)), 'port must be a number')
    if type(ip) ~= 'string' or not socket.is_ip_address(ip) then
        return settle(nil, 'not a valid IP address')
    end
    local listener, err = socket.listen_tcp(ip, port, { reuseaddr = true, ipv6 = socket.is_ipv6_address(ip) })
    if not listener then
        io.stderr:write('LuaAsio Exception new_server: ', err, '\n')
        return settle(nil, err)
    end
    eco.run(serve, listener, handler)
    return setmetatable({ listener = listener }, Holder)
end

function M.destroy_server(holder)
    assert(getmetatable(holder) == Holder, 'not a server')
    holder.listener:close()
end

M.destory_server = M.destroy_server

-- The loop

-- Runs `wait` in a coroutine, if need be in one of its own under a loop of ours.
local function dispatch(wait, ...)
    if isyieldable() then
        wait(...)
    else
        local done
        eco.run(function(...)
            wait(...)
            done = true
            eco.unloop()
        end, ...)
        if not done then
            eco.loop()
        end
    end
    if failed then
        local err = failure
        failed, failure = false, nil
        error(err, 0)
    end
end

local function until_idle()
    while active > 0 and not failed do
        idle:wait()
    end
end

function M.run()
    limited = false
    gate:broadcast()
    dispatch(until_idle)
end

local function until_passed(seconds)
    if active > 0 and not failed then
        -- 0 would be no limit.
        passed:wait(seconds and math.max(seconds, 0.001))
    end
    left = 0
end

function M.run_once(seconds)
    limited, left = true, 1
    gate:signal()
    dispatch(until_passed, seconds)
end

return M
