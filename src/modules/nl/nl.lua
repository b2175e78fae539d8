-- Netlink sockets: requests with one answer, dumps, and events, over sockets of
-- `eco.socket`. An answer is taken only if its header names the request.

local internal = ...
local socket = require 'eco.socket'
local strerror = require('eco.internal.sys').strerror
local pack, unpack = string.pack, string.unpack

local ERROR, DONE, INTERRUPTED = internal.NLMSG_ERROR, internal.NLMSG_DONE, internal.NLM_F_DUMP_INTR
-- Protocols in which programs write to each other. In all others only the kernel is heard.
local AMONG_PROGRAMS = { [internal.NETLINK_USERSOCK] = true, [internal.NETLINK_KOBJECT_UEVENT] = true }
-- What ends a dump that the kernel's tables changed under, and how often `collect` asks anew.
local CHANGED, ATTEMPTS = 'dump was interrupted', 5
-- Longer than any datagram: each is asked for its size before it is read.
local WHOLE = 0x7fffffff

local M = setmetatable({}, { __index = internal })
local methods = {}
local metatable = require 'eco'._kind({ __index = methods }, 'eco.nlsocket', function(self) return tostring(self.sock) end)

function M.open(protocol)
    protocol = math.tointeger(tonumber(protocol)) or 0
    local sock, err = socket.netlink(protocol)
    if not sock then
        return nil, err
    end
    return setmetatable({ sock = sock, trusting = AMONG_PROGRAMS[protocol], seq = 0 }, metatable)
end

-- What `take` makes of each message of a dump that `ask(on_msg)` asks for: a list, without what is nil or false.
function M.collect(ask, take)
    local list, ok, err
    for _ = 1, ATTEMPTS do
        list = {}
        ok, err = ask(function(...)
            local value = take(...)
            if value then
                list[#list + 1] = value
            end
        end)
        if ok or err ~= CHANGED then
            break
        end
    end
    if not ok then
        return nil, err
    end
    return list
end

function methods:bind(groups, pid)
    local ok, err = self.sock:bind(groups or 0, pid or 0)
    if not ok then
        return nil, err
    end
    return true
end

function methods:add_membership(group)
    return self.sock:setoption('netlink_add_membership', group)
end

function methods:drop_membership(group)
    return self.sock:setoption('netlink_drop_membership', group)
end

function methods:send(msg)
    return self.sock:sendto(msg:binary(), 0, 0)
end

function methods:recv(n, timeout)
    if n ~= nil then
        if not math.tointeger(n) then
            error('invalid format', 2)
        elseif n <= 0 then
            error('expected size must be greater than 0', 2)
        end
    end
    while true do
        local data, from = self.sock:recvfrom(n or WHOLE, timeout)
        if not data then
            return nil, from
        elseif data == '' then
            return nil, 'closed'
        elseif self.trusting or from.pid == 0 then
            return internal.nlmsg_ker(data)
        end
    end
end

function methods:close()
    self.sock:close()
end

metatable.__close = methods.close

local function failed(errno, on_error)
    if on_error then
        return nil, (on_error(errno))
    end
    return nil, 'netlink error: ' .. strerror(errno)
end

-- Sends a request, numbered unless its maker did so; gives the number.
local function ask(self, msg)
    local data = msg:binary()
    local seq = unpack('=I4', data, 9)
    if seq == 0 then
        self.seq = self.seq % WHOLE + 1
        seq = self.seq
        data = data:sub(1, 8) .. pack('=I4', seq) .. data:sub(13)
    end
    local sent, err = self.sock:sendto(data, 0, 0)
    if not sent then
        return nil, err
    end
    self.port = self.port or self.sock:getsockname().pid
    return seq
end

-- Whether a message answers the request of that number.
local function answers(self, hdr, seq)
    return self.trusting or hdr.seq == seq and (hdr.pid == self.port or hdr.pid == 0)
end

-- What is answered before the acknowledgement goes to `on_msg(ker, header)`, if there is one.
function methods:request_ack(msg, on_error, timeout, on_msg)
    local seq, err = ask(self, msg)
    if not seq then
        return nil, err
    end
    while true do
        local ker, reason = self:recv(nil, timeout)
        if not ker then
            return nil, reason
        end
        local empty = true
        for hdr in ker.next, ker do
            empty = false
            if answers(self, hdr, seq) then
                if hdr.type == ERROR then
                    local code, why = ker:parse_error()
                    if not code then
                        return nil, why
                    elseif code > 0 then
                        return nil, 'invalid ack'
                    elseif code < 0 then
                        return failed(-code, on_error)
                    end
                    return true
                elseif not on_msg then
                    return nil, 'invalid msg received'
                end
                on_msg(ker, hdr)
            end
        end
        if empty then
            return nil, 'no ack'
        end
    end
end

-- Receives until the callback, an error, or the end of the dump of that number says so.
local function receive(self, seq, on_msg, on_error, n, timeout)
    local interrupted
    while true do
        local ker, err = self:recv(n, timeout)
        if not ker then
            return nil, err
        end
        for hdr in ker.next, ker do
            if not seq or answers(self, hdr, seq) then
                interrupted = interrupted or seq and hdr.flags & INTERRUPTED ~= 0
                if hdr.type == ERROR then
                    local code, why = ker:parse_error()
                    if not code then
                        return nil, why
                    elseif code < 0 then
                        return failed(-code, on_error)
                    end
                elseif seq and hdr.type == DONE then
                    local status = ker:payload()
                    status = #status >= 4 and unpack('=i4', status) or 0
                    if status < 0 then
                        return failed(-status, on_error)
                    elseif interrupted then
                        return nil, CHANGED
                    end
                    return true
                elseif on_msg then
                    local verdict, reason = on_msg(ker, hdr)
                    if verdict == true then
                        return true
                    elseif verdict == false then
                        return nil, reason
                    end
                end
            end
        end
    end
end

function methods:request_dump(msg, on_msg, on_error, timeout)
    local seq, err = ask(self, msg)
    if not seq then
        return nil, err
    end
    return receive(self, seq, on_msg, on_error, nil, timeout)
end

function methods:recv_messages(on_msg, on_error, n, timeout)
    return receive(self, nil, on_msg, on_error, n, timeout)
end

return M
