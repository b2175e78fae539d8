-- ØMQ for Luv: contexts and sockets, as scripts see them.

local native, contexts, sockets = ...

local I = debug.getregistry()['luv:parts']
local want, integer, block, enter, leave = I.want, I.integer, I.block, I.enter, I.leave
local receive_now, await_receive, send_now, await_send = sockets.recv, sockets.await_recv, sockets.send, sockets.await_send
local type, error = type, error

local zmq = {
    PAIR = 0, PUB = 1, SUB = 2, REQ = 3, REP = 4, DEALER = 5, ROUTER = 6, PULL = 7, PUSH = 8,
    IO_THREADS = 1, MAX_SOCKETS = 2,
    MORE = 1, DONTWAIT = 1, SNDMORE = 2,
    POLLIN = 1, POLLOUT = 2, POLLERR = 4,
    STREAMER = 1, FORWARDER = 2, QUEUE = 3,
}

-- Options by name: number, bytes of the integer or 0 for a text, what cannot be done with it.
local options, numbers = {}, {}
for name, number, size, refused in ([[
AFFINITY 4 8 -
IDENTITY 5 0 -
SUBSCRIBE 6 0 writeonly
UNSUBSCRIBE 7 0 writeonly
RATE 8 4 -
RECOVERY_IVL 9 4 -
SNDBUF 11 4 -
RCVBUF 12 4 -
RCVMORE 13 4 readonly
FD 14 4 readonly
EVENTS 15 4 readonly
TYPE 16 4 readonly
LINGER 17 4 -
RECONNECT_IVL 18 4 -
BACKLOG 19 4 -
RECONNECT_IVL_MAX 21 4 -
MAXMSGSIZE 22 8 unnamed
SNDHWM 23 4 -
RCVHWM 24 4 -
MULTICAST_HOPS 25 4 unnamed
RCVTIMEO 27 4 -
SNDTIMEO 28 4 -
IPV4ONLY 31 1 -
LAST_ENDPOINT 32 0 readonly
ROUTER_BEHAVIOR 33 4 -
TCP_KEEPALIVE 34 4 -
TCP_KEEPALIVE_CNT 35 4 -
TCP_KEEPALIVE_IDLE 36 4 -
TCP_KEEPALIVE_INTVL 37 4 -
TCP_ACCEPT_FILTER 38 0 writeonly
]]):gmatch('(%S+) (%d+) (%d) (%S+)') do
    number = math.tointeger(number)
    local option = { name = name, number = number, size = math.tointeger(size), refused = refused }
    options[name] = option
    if refused ~= 'unnamed' and name ~= 'LAST_ENDPOINT' then
        zmq[name] = number
        numbers[number] = option
    end
end

local function find_option(name, refused, caller)
    local option
    if type(name) == 'string' then
        option = options[name] or error(("bad argument #1 to '%s' (invalid option '%s')"):format(caller, name), 3)
    else
        option = numbers[integer(name, nil, 1, caller)] or error('invalid option', 3)
    end
    if option.refused == refused then error(refused .. ' option', 3) end
    return option
end

-- Contexts

local Context, new_context, type_of_contexts = I.class 'luv.zmq.ctx'
local Socket, new_socket = I.class 'luv.zmq.socket'

-- The object of a context is the same wherever a state gets it from.
local known = setmetatable({}, { __mode = 'v' })

local function object_of(handle)
    local number = contexts.number(handle)
    local object = known[number] or new_context { handle = handle, number = number }
    known[number] = object
    return object
end

function type_of_contexts:__codec()
    -- What is passed to a thread has its contexts beside it.
    local passed = I.passed
    if passed then passed[#passed + 1] = self.handle end
    return 'luv:zmq:decoder', self.number
end

debug.getregistry()['luv:zmq:decoder'] = function(number)
    return object_of(native.find(number))
end

function zmq.create(threads)
    threads = integer(threads, 1, 1, 'create')
    if threads < 0 or threads > 1024 then error("bad argument #1 to 'create' (out of range)", 2) end
    return object_of(native.context(threads))
end

local EINVAL <const> = 22

function Context:socket(kind)
    kind = integer(kind, nil, 1, 'socket')
    if kind < 0 or kind > 0xffff then error("bad argument #1 to 'socket' (unknown type)", 2) end
    local handle, problem, number = native.socket(self.handle, kind)
    if handle then return new_socket { handle = handle, queues = {} } end
    if number == EINVAL then error("bad argument #1 to 'socket' (unknown type)", 2) end
    return false, problem
end

function Context:term()
    contexts.term(self.handle)
    return self
end

-- Sockets

for _, name in ipairs { 'bind', 'connect' } do
    local call = sockets[name]
    Socket[name] = function(self, address)
        want('string', address, 1, name)
        local done, problem = call(self.handle, address)
        if done then return 0 end
        return -1, problem
    end
end

-- Calls in a row that suspended nobody: now and then others have their turn.
local ROW <const> = 32
local left = ROW

local BUSY <const> = 'Resource temporarily unavailable'

local function wait_to_receive(self)
    enter(self, 'receiving')
    local message, problem = await_receive(self.handle)
    leave(self, 'receiving')
    if message then return message end
    return false, problem
end

function Socket:recv(flags)
    if left > 0 and not self.receiving or flags and flags & 1 ~= 0 then
        left = left - 1
        local message, problem = receive_now(self.handle)
        if message then
            return message
        elseif message == false then
            return false, problem
        elseif flags and flags & 1 ~= 0 then
            return false, BUSY
        end
    end
    left = ROW
    return block(wait_to_receive, self)
end

local function wait_to_send(self, message, more)
    enter(self, 'sending')
    local done, problem = await_send(self.handle, message, more)
    leave(self, 'sending')
    if done then return self, message end
    return false, problem
end

function Socket:send(message, flags)
    if type(message) ~= 'string' then message = tostring(want('string', message, 1, 'send')) end
    local more = flags and flags & 2 ~= 0
    if left > 0 and not self.sending or flags and flags & 1 ~= 0 then
        left = left - 1
        local done, problem = send_now(self.handle, message, more)
        if done then
            return self, message
        elseif done == false then
            return false, problem
        elseif flags and flags & 1 ~= 0 then
            return false, BUSY
        end
    end
    left = ROW
    return block(wait_to_send, self, message, more)
end

function Socket:setsockopt(name, value)
    local option = find_option(name, 'readonly', 'setsockopt')
    local size = option.size
    if size == 0 then
        value = tostring(want('string', value, 2, 'setsockopt'))
    elseif size == 1 then
        size, value = 4, want('boolean', value, 2, 'setsockopt') and 1 or 0
    else
        value = integer(value, nil, 2, 'setsockopt')
        if size == 4 and (value < -0x80000000 or value > 0x7fffffff) then
            error("bad argument #2 to 'setsockopt' (out of range)", 2)
        end
    end
    return sockets.set(self.handle, option.number, size, value)
end

function Socket:getsockopt(name)
    local option = find_option(name, 'writeonly', 'getsockopt')
    local size = option.size
    local value, problem = sockets.get(self.handle, option.number, size == 1 and 4 or size)
    if value == false then
        return false, problem
    elseif size == 1 then
        return value ~= 0
    elseif option.name == 'LAST_ENDPOINT' then
        return (value:gsub('%z$', ''))
    end
    return value
end

function Socket:close()
    sockets.close(self.handle)
    return self
end

return I.library('luv_zmq', zmq)
