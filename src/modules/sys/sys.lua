-- Objects of eco.sys, over the native parts.
local eco, internal, parts = ...
local sys = setmetatable({}, { __index = internal })

local process = {}
process.__index = process

-- Passes on the results of a call that is no tail call then: where it waits,
-- the frame keeps the process, and with it the pipes.
local function exactly(...)
    return ...
end

function process:read_stdout(...)
    return exactly(self.stdout_rd:read(...))
end

function process:read_stderr(...)
    return exactly(self.stderr_rd:read(...))
end

function process:wait(timeout)
    return exactly(self.child:wait(timeout))
end

-- While it lasts, what is left of a group can be ended though the child has.
local guard = { __close = function(self) self.child:guard(false) end }

local function guarded(child)
    child:guard(true)
    return setmetatable({ child = child }, guard)
end

function process:stop(timeout)
    local child = self.child
    local guard<close> = guarded(child)
    local sent, problem = child:signal(internal.SIGTERM)
    if not sent then
        return nil, problem
    end
    -- What is left of a group ends with the child, whose status others may
    -- wait for as well.
    local pid, status = child:wait(timeout or 3, true)
    child:signal(internal.SIGKILL)
    if status == 'timeout' then
        pid, status = child:wait(nil, true)
    end
    child:wait(0)
    return pid, status
end

function process:signal(signum)
    return self.child:signal(signum)
end

function process:kill()
    return self.child:signal(internal.SIGKILL)
end

function process:close()
    if self.bound then
        -- The call it was started for has ended before it.
        self.bound = nil
        self.child:signal(internal.SIGTERM)
    end
    self.child:close(self.stdout_rd, self.stderr_rd)
    self.stdout_fd, self.stderr_fd, self.stdout_rd, self.stderr_rd = nil, nil, nil, nil
end

process.__gc = process.close
process.__close = process.close

eco._kind(process, 'eco.process', function(self) return 'pid ' .. self.pid end)

-- Ends the child and its group: what does not end when asked is killed.
local function finish(child)
    child:signal(internal.SIGTERM)
    child:wait(0.2, true)
    child:signal(internal.SIGKILL)
end

-- In a coroutine of its own.
local function limit(child, timeout)
    local guard<close> = guarded(child)
    if not child:wait(timeout, true) then
        finish(child)
    end
end

local function start(...)
    local child, pid, stdout_fd, stderr_fd, stdout_rd, stderr_rd, problem = parts.exec(...)
    if not child then
        return nil, pid
    end
    return setmetatable({
        child = child, pid = pid, problem = problem,
        stdout_fd = stdout_fd, stderr_fd = stderr_fd, stdout_rd = stdout_rd, stderr_rd = stderr_rd,
    }, process)
end

function sys.exec(...)
    local command = ...
    eco._options(command, 'stdin stdout stderr cwd group session timeout', 1, 'exec')
    local timeout = type(command) == 'table' and command.timeout
    if not timeout then
        return start(...)
    end
    if type(timeout) ~= 'number' then
        error("bad argument #1 to 'exec' (timeout must be a number)", 2)
    end
    local limited = {}
    for key, value in pairs(command) do
        limited[key] = value
    end
    limited.group = true
    local self, problem = start(limited, select(2, ...))
    if not self then
        return nil, problem
    end
    eco.run(limit, self.child, timeout)
    return self
end

-- Bytes of output that `sh` keeps, if not told otherwise.
local MOST = 16 * 1024 * 1024
local FULL = 'not enough memory'

function sys.sh(cmd, timeout, options)
    if type(cmd) == 'string' then
        cmd = { '/bin/sh', '-c', cmd }
    elseif type(cmd) ~= 'table' then
        error('cmd must be a string or table', 2)
    end
    if type(options) ~= 'table' then
        options = { status = options }
    end
    eco._options(options, 'status max_output', 3, 'sh', true)
    timeout = timeout or 30
    local room = options.max_output or MOST
    if timeout <= 0 then
        return nil, nil, 'timeout'
    end
    if not coroutine.isyieldable() then
        local _, reason = pcall(eco.sleep, 0)
        error(reason, 2)
    end
    local self<close>, problem = start(table.move(cmd, 1, #cmd, 1, { group = 'bound' }))
    if not self then
        return nil, nil, problem
    end
    self.bound = true
    local jobs = require 'eco.sync'.waitgroup()
    local child, status, raised, excess = self.child, nil, nil, nil
    local output, failure = { {}, {} }, { false, false }
    local function read(stream, rd)
        local pieces, data, message = output[stream], nil, nil
        repeat
            data, message = rd:read(16384)
            if data then
                room = room - #data
                if room < 0 then
                    excess = 'too much output'
                    return
                end
                pieces[#pieces + 1] = data
            end
        until not data
        failure[stream] = message ~= 'eof' and message
    end
    local function collect(stream, rd)
        local ok, message = pcall(read, stream, rd)
        if not ok or failure[stream] == FULL then
            raised = message or FULL
        end
        if raised or excess then
            -- Ends the other two.
            child:signal(internal.SIGKILL)
            child:close(self.stdout_rd, self.stderr_rd)
        end
        jobs:done()
    end
    jobs:add(3)
    eco.run(collect, 1, self.stdout_rd)
    eco.run(collect, 2, self.stderr_rd)
    eco.run(function()
        status = select(2, child:wait(nil, true))
        jobs:done()
    end)
    if not jobs:wait(timeout) then
        self.bound = nil
        finish(child)
        child:wait(1, true)
        return nil, nil, 'timeout'
    end
    self.bound = nil
    if raised then
        error(raised, 0)
    elseif excess or failure[1] then
        return nil, nil, excess or failure[1]
    end
    local stdout = table.concat(output[1])
    if failure[2] then
        return stdout, nil, failure[2]
    end
    local stderr = table.concat(output[2])
    if options.status then
        return stdout, stderr, nil, status
    end
    return stdout, stderr
end

-- Listeners of a signal share a signalfd; the source of each, by number.
local sources = {}

function sys.spawn(f, with_process)
    if type(f) ~= 'function' then
        error("bad argument #1 to 'spawn' (function expected)", 2)
    end
    local parent = internal.getpid()
    local child, pid = parts.fork()
    if pid ~= 0 then
        if not child then
            return nil, pid
        end
        if not with_process then
            return pid
        end
        return pid, setmetatable({ child = child, pid = pid }, process)
    end
    for signum in pairs(sources) do
        internal.sigprocmask(internal.SIG_UNBLOCK, signum)
    end
    sources = {}
    eco._init()
    internal.prctl(internal.PR_SET_PDEATHSIG, internal.SIGKILL)
    if internal.getppid() ~= parent then
        os.exit(1)
    end
    eco.run(f)
    os.exit(eco.loop() == true)
end

-- Calls back as often as the signal has come since the last time.
local function call_back(self)
    while self.pending and self.sfd do
        self.pending = false
        self.callback(table.unpack(self, 1, self.n))
    end
    self.running = false
end

-- Tells every listener of a signal, in a coroutine per signal.
local function serve(source)
    while source.rd:read(4096) do
        local idle = {}
        for _, self in ipairs(source) do
            self.pending = true
            if not self.running then
                self.running = true
                idle[#idle + 1] = self
            end
        end
        for _, self in ipairs(idle) do
            eco.run(call_back, self)
        end
    end
end

local listener = {}
listener.__index = listener

function listener:close()
    local source = self.source
    if not self.sfd then
        return
    end
    self.sfd = nil
    for i, other in ipairs(source) do
        if other == self then
            table.remove(source, i)
        end
    end
    if source[1] then
        return
    end
    parts.close(source.fd, source.rd)
    if sources[self.signum] == source then
        sources[self.signum] = nil
        parts.leave(self.signum)
        internal.sigprocmask(internal.SIG_UNBLOCK, self.signum)
    end
end

listener.cancel = listener.close
listener.__gc = listener.close
listener.__close = listener.close

eco._kind(listener, 'eco.signal', function(self)
    return ('signal %d%s'):format(self.signum, self.sfd and '' or ', closed')
end)

function sys.signal(signum, callback, ...)
    if signum == internal.SIGCHLD then
        error('SIGCHLD is reserved by eco scheduler', 2)
    end
    if callback == nil then
        error("bad argument #2 to 'signal' (function expected)", 2)
    end
    local source = sources[signum]
    -- A forked child opens its own.
    if not source or source.pid ~= internal.getpid() then
        local fd, problem = internal.signalfd(signum)
        if not fd then
            return nil, problem
        end
        source = { fd = fd, rd = eco.reader(fd), pid = internal.getpid() }
        internal.sigprocmask(internal.SIG_BLOCK, signum)
        local listening
        listening, problem = parts.listen(signum)
        if not listening then
            internal.sigprocmask(internal.SIG_UNBLOCK, signum)
            parts.close(fd, source.rd)
            return nil, problem
        end
        sources[signum] = source
        eco.run(serve, source)
    end
    local self = table.pack(...)
    self.signum, self.callback, self.source = signum, callback, source
    self.sfd, self.rd = source.fd, source.rd
    source[#source + 1] = self
    return setmetatable(self, listener)
end

return sys
