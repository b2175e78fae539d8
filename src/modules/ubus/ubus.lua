-- Connections: how they are made, what their coroutine does, and what takes several steps.
--
-- The chunk gets the module, the native methods of connections, those that only we may call, `open(path)`, whether we are
-- root, and eco.

local M, methods, native, open, is_root, eco = ...
local run, sleep, finish, wait = eco.run, eco.sleep, native.finish, native.next

local DEFAULT_PATH = '/var/run/ubus/ubus.sock'
local RETRY_SECONDS = 3

local function bad_argument(number, name, wanted, value)
    error(("bad argument #%d to '%s' (%s expected, got %s)"):format(number, name, wanted, value == nil and 'no value' or type(value)), 3)
end

local function is_text(value)
    return type(value) == 'string' or type(value) == 'number'
end

-- A call of a method of ours.
local function serve(con, request, object, method, message)
    finish(con, request, object[method][1](request, message, con))
end

-- Has messages served until the daemon is gone; tells whether it was there.
local function pump(con)
    local ready = false
    while true do
        local request, target, name, message = wait(con)
        if type(target) == 'function' then
            run(target, name, message, con)
        elseif request and target then
            run(serve, con, request, target, name, message)
        elseif name == true then
            ready, con.connection_lost = true, false
        elseif name == nil and target == nil then
            return ready
        end
        -- Otherwise there was no memory for the message, or nobody is there for it any more.
    end
end

local function dispatch(con, path, reconnects)
    while true do
        local ready = pump(con)
        if con.closed then return end
        con.connection_lost = true
        if not reconnects then return end
        if not ready then native.pause(con, RETRY_SECONDS) end
        while not con.closed and not native.reopen(con, path) do
            native.pause(con, RETRY_SECONDS)
        end
        if con.closed then return end
    end
end

function methods:close()
    if not self.closed then
        self.closed = true
        native.close(self)
    end
end

function methods:add(name, object)
    if self.closed then return end
    if not is_text(name) then bad_argument(1, 'add', 'string', name) end
    for _, method in pairs(object) do
        assert(type(method) == 'table' and type(method[1]) == 'function')
        assert(method[2] == nil or type(method[2]) == 'table')
        for _, kind in pairs(method[2] or {}) do
            if not math.tointeger(kind) then bad_argument(2, 'add', 'number', kind) end
        end
    end
    if native.find(self, name) then return nil, 'object exists' end
    if self.closed then return nil, 'closed' end
    return native.add(self, name, object)
end

local metatable = { __index = methods, __gc = methods.close, __close = methods.close, __name = 'eco.ubus' }

function M.connect(path, auto_reconnect)
    if path ~= nil and not is_text(path) then bad_argument(1, 'connect', 'string', path) end
    if not is_root then return nil, 'Operation not permitted, must be run as root' end
    path = path and tostring(path) or DEFAULT_PATH
    local ctx, soon = open(path)
    -- The daemon's queue is full.
    for _ = 1, 1000 do
        if ctx or soon ~= true then break end
        sleep(0.005)
        ctx, soon = open(path)
    end
    if not ctx then return nil, 'failed to connect to ubus' end
    local con = setmetatable({ ctx = ctx, connection_lost = false }, metatable)
    run(dispatch, con, path, auto_reconnect)
    if not native.hello(con) then
        con:close()
        return nil, 'failed to connect to ubus'
    end
    return con
end

-- One call on a connection of its own.
for _, name in ipairs { 'call', 'send', 'objects', 'signatures' } do
    local method = methods[name]
    M[name] = function(...)
        local con<close>, problem = M.connect()
        if not con then return nil, problem end
        return method(con, ...)
    end
end
