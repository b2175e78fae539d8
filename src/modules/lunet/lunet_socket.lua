-- TCP and Unix sockets.

local I = ...

local eco = require 'eco'
local socket = require 'eco.socket'
local file = require 'eco.file'
local sync = require 'eco.sync'

local M = {}

-- Connections that wait for `accept`, beyond which the kernel keeps them.
local QUEUED = 1024

-- What is known of a handle. Open ones are held here, too: only `close` ends them.
local records = setmetatable({}, { __mode = 'k' })
local open = {}
local chunk = 4096

local function new(record)
    local handle = I.native.handle()
    records[handle] = record
    open[record] = handle
    return handle
end

-- Ends the wait in a field of a record, if there is one.
local function wake(record, field, ...)
    local ticket = record[field]
    if ticket then
        record[field] = nil
        I.deliver(ticket, ...)
    end
end

-- Has `work(record, …)` done by a coroutine of its own and waits for its results; no two such at once.
local function exclusive(record, field, co, work, ...)
    local ticket = I.ticket(co)
    record[field] = ticket
    eco.run(work, record, ticket, ...)
    return I.wait(ticket)
end

local function finish(record, field, ticket, ...)
    if record[field] == ticket then record[field] = nil end
    I.deliver(ticket, ...)
end

local function accept_all(record)
    local s = record.socket
    while not record.closed do
        local client, err = s:accept()
        if record.closed then
            if client then client:close() end
        elseif client and record.accepting then
            wake(record, 'accepting', new { socket = client, unix = record.unix }, nil)
        elseif client then
            record.queue:push(client, 1)
            while record.queue.weight >= QUEUED and not record.closed do record.room:wait() end
        else
            wake(record, 'accepting', nil, I.text(err))
            -- Out of descriptors, say.
            eco.sleep(0.1)
        end
    end
end

local function is_port(port)
    return port and port >= 1 and port <= 65535
end

-- `localhost` and addresses of IPv4.
local function literal(host)
    if host == 'localhost' then return '127.0.0.1' end
    return type(host) == 'string' and socket.is_ipv4_address(host) and host or nil
end

local function listen_tcp(host, port)
    local s, err = socket.tcp()
    if not s then return nil, 'failed to bind: ' .. I.text(err) end
    s:setoption('reuseaddr', true)
    local ok
    ok, err = s:bind(host, port)
    if not ok then
        s:close()
        err = I.text(err)
        return nil, (err == 'address already in use' and 'failed to listen: ' or 'failed to bind: ') .. err
    end
    ok, err = s:listen(128)
    if not ok then
        s:close()
        return nil, 'failed to listen: ' .. I.text(err)
    end
    return s
end

local function listen_unix(path)
    if #path > 107 or path:find('\0', 1, true) then
        return nil, 'failed to bind unix socket: ' .. (#path > 107 and 'name too long' or 'invalid argument')
    end
    local info = file.lstat(path)
    if info and info.type == 'SOCK' then os.remove(path) end
    local s, err = socket.listen_unix(path, { backlog = 128 })
    if not s then return nil, 'failed to bind unix socket: ' .. I.connect_text(err) end
    return s
end

function M.listen(proto, host, port)
    I.enter('socket.listen')
    local s, err
    if proto == 'tcp' then
        port = I.integer(port)
        if host ~= '127.0.0.1' and host ~= '::1' and host ~= 'localhost' and not I.public then
            return nil, 'binding to non-loopback addresses requires --dangerously-skip-loopback-restriction flag'
        elseif not is_port(port) then
            return nil, 'port must be between 1 and 65535'
        end
        host = literal(host)
        if not host then return nil, 'invalid host or port' end
        s, err = listen_tcp(host, port)
    elseif proto == 'unix' then
        if type(host) ~= 'string' then return nil, 'invalid host or port' end
        s, err = listen_unix(host)
    else
        return nil, 'only tcp and unix are supported'
    end
    if not s then return nil, err end
    local record = { listener = true, socket = s, unix = proto == 'unix', queue = I.queue(), room = sync.cond() }
    local handle = new(record)
    eco.run(accept_all, record)
    return handle, nil
end

function M.accept(listener)
    local co = I.enter('socket.accept')
    local record = records[listener]
    if not record then return nil, 'invalid listener handle' end
    if not record.listener then return nil, 'not a listening socket' end
    if record.closed then return nil, 'listener closed' end
    if record.accepting then return nil, 'another accept already in progress' end
    local ticket = I.ticket(co)
    local client = record.queue:pop()
    if client then
        record.room:signal()
        I.deliver(ticket, new { socket = client, unix = record.unix }, nil)
    else
        record.accepting = ticket
    end
    return I.wait(ticket)
end

local function connect(host, port)
    local s, err
    if port then
        s, err = socket.connect_tcp(host, port, { connect_timeout = 0 })
    else
        s, err = socket.connect_unix(host)
    end
    if not s then return nil, I.connect_text(err) end
    return new { socket = s, unix = not port }, nil
end

function M.connect(host, port)
    local co = I.enter('socket.connect')
    if type(host) == 'string' and host:find('/', 1, true) then
        if #host > 107 or host:find('\0', 1, true) then return nil, 'failed to start connect: invalid argument' end
        return I.call(co, connect, host)
    end
    port = I.integer(port)
    if not is_port(port) then return nil, 'port must be between 1 and 65535' end
    host = literal(host)
    if not host then return nil, 'invalid host or port' end
    return I.call(co, connect, host, port)
end

-- The record of an open connection, or nil and what is wrong with it.
local function client(handle)
    local record = records[handle]
    if not record then return nil, 'invalid socket handle' end
    if record.listener then return nil, 'invalid client socket handle' end
    if record.closed then return nil, 'socket closed' end
    return record
end

local function receive(record, ticket)
    local data, err = record.socket:read(chunk)
    if data then
        finish(record, 'reading', ticket, data, nil)
    elseif err == 'closed' then
        finish(record, 'reading', ticket, nil, nil)
    else
        finish(record, 'reading', ticket, nil, I.text(err))
    end
end

function M.read(handle)
    local co = I.enter('socket.read')
    local record, err = client(handle)
    if not record then return nil, err end
    if record.reading then return nil, 'another read already in progress' end
    return exclusive(record, 'reading', co, receive)
end

local function send(record, ticket, data)
    local ok, err = record.socket:send(data)
    -- Nothing more arrives there.
    if not ok and err == 'closed' then err = 'broken pipe' end
    finish(record, 'writing', ticket, not ok and I.text(err) or nil)
end

function M.write(handle, data)
    local co = I.enter('socket.write')
    local record, err = client(handle)
    if not record then return err end
    if type(data) == 'number' then data = tostring(data) end
    if type(data) ~= 'string' then return 'data must be a string' end
    if record.writing then return 'another write already in progress' end
    return (exclusive(record, 'writing', co, send, data))
end

function M.close(handle)
    local record = records[handle]
    if not record then return 'invalid socket handle' end
    if record.closed then return nil end
    record.closed = true
    open[record] = nil
    if record.listener then
        -- Who was not accepted sees an end, not a reset.
        while true do
            local waiting = record.queue:pop()
            if not waiting then break end
            waiting:close()
        end
        record.room:broadcast()
    end
    record.socket:close()
    wake(record, 'accepting', nil, 'listener closed')
    wake(record, 'reading', nil, 'socket closed')
    wake(record, 'writing', 'socket closed')
    return nil
end

function M.getpeername(handle)
    I.enter('socket.getpeername')
    local record, err = client(handle)
    if not record then return nil, err end
    if record.unix then return 'unix', nil end
    local address
    address, err = record.socket:getpeername()
    if not address then return nil, 'failed to get peer name: ' .. I.text(err) end
    return address.ipaddr .. ':' .. address.port, nil
end

function M.set_read_buffer_size(size)
    size = type(size) == 'number' and I.integer(size)
    if size and size > 0 then chunk = size end
    return nil
end

if I.trace then
    I.trace.count('SOCKET', M, { 'listen', 'accept', 'connect', 'read', 'write', 'close' })
end

return M
