-- Datagrams.

local I = ...

local eco = require 'eco'
local socket = require 'eco.socket'

local M = {}

-- Bytes that wait for `recv`, beyond which the kernel drops what comes.
local QUEUED = 8 << 20

local records = setmetatable({}, { __mode = 'k' })
local open = {}

local function is_literal(host, six)
    return type(host) == 'string' and (six and socket.is_ipv6_address or socket.is_ipv4_address)(host)
end

local function is_six(host)
    return type(host) == 'string' and host:find(':', 1, true) ~= nil
end

local function receive(record)
    while not record.closed do
        local data, from = record.socket:recvfrom(65535)
        if record.closed then break end
        if not data then
            -- An earlier datagram was refused by its receiver, say.
            eco.sleep(0.001)
        elseif data ~= '' then
            if I.trace then I.trace.received(record, from, #data) end
            local ticket = record.receiving
            if ticket then
                record.receiving = nil
                I.deliver(ticket, data, from.ipaddr, from.port)
            elseif record.queue.weight < QUEUED then
                -- With what a table and its fields take.
                record.queue:push({ data, from.ipaddr, from.port }, #data + 200)
            end
        end
    end
end

function M.bind(host, port)
    I.enter('udp.bind')
    local six = is_six(host)
    port = I.integer(port)
    if not port or port < 0 or port > 65535 or not is_literal(host, six) then return nil, 'invalid host or port' end
    local s, err = (six and socket.udp6 or socket.udp)()
    if not s then return nil, 'failed to bind: ' .. I.text(err) end
    local ok
    ok, err = s:bind(host, port)
    if not ok then
        s:close()
        return nil, 'failed to bind: ' .. I.text(err)
    end
    local handle = I.native.handle()
    local record = { socket = s, six = six, queue = I.queue() }
    records[handle] = record
    open[record] = handle
    if I.trace then I.trace.bound(record, host, port) end
    eco.run(receive, record)
    return handle, nil
end

local function find(handle)
    local record = records[handle]
    return record and not record.closed and record or nil
end

function M.send(handle, host, port, data)
    I.enter('udp.send')
    local record = find(handle)
    if not record then return nil, 'invalid udp handle' end
    port = I.integer(port)
    if not port or port < 1 or port > 65535 or not is_literal(host, record.six) then return nil, 'invalid host or port' end
    if type(data) == 'number' then data = tostring(data) end
    if type(data) ~= 'string' then return nil, 'data must be a string' end
    -- What is known at once is told; what waits for room is on its own.
    local over, ok, err
    eco.run(function()
        ok, err = record.socket:sendto(data, host, port)
        over = true
    end)
    if over and not ok then return nil, 'failed to send: ' .. I.text(err) end
    if I.trace then I.trace.sent(record, host, port, #data) end
    return true, nil
end

function M.recv(handle)
    local co = I.enter('udp.recv')
    local record = find(handle)
    if not record then return nil, nil, 'invalid udp handle' end
    if record.receiving then return nil, nil, 'recv already pending' end
    local ticket = I.ticket(co)
    local datagram = record.queue:pop()
    if datagram then
        I.deliver(ticket, table.unpack(datagram))
    else
        record.receiving = ticket
    end
    return I.wait(ticket)
end

function M.close(handle)
    I.enter('udp.close')
    local record = find(handle)
    if not record then return nil, 'invalid udp handle' end
    record.closed = true
    open[record] = nil
    record.socket:close()
    if I.trace then I.trace.closed(record) end
    local ticket = record.receiving
    if ticket then
        record.receiving = nil
        I.deliver(ticket, nil, nil, 'udp closed')
    end
    return true, nil
end

function M.getsockname(handle)
    local record = find(handle)
    if not record then return nil, nil, 'invalid udp handle' end
    local address, err = record.socket:getsockname()
    if not address then return nil, nil, 'failed to getsockname: ' .. I.text(err) end
    return address.ipaddr, address.port, nil
end

return M
