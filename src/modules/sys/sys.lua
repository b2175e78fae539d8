-- Objects of eco.sys, over the native parts.
local eco, internal, parts = ...
local sys = setmetatable({}, { __index = internal })

local process = {}
process.__index = process

-- No tail calls where it waits: the frame keeps the process, and with it the pipes.
function process:read_stdout(...)
    local data, problem = self.stdout_rd:read(...)
    return data, problem
end

function process:read_stderr(...)
    local data, problem = self.stderr_rd:read(...)
    return data, problem
end

function process:wait(timeout)
    local pid, status = self.child:wait(timeout)
    return pid, status
end

function process:stop(timeout)
    local pid, status = self.child:stop(timeout)
    return pid, status
end

function process:signal(signum)
    return self.child:signal(signum)
end

function process:kill()
    return self.child:signal(internal.SIGKILL)
end

function process:close()
    self.child:close(self.stdout_rd, self.stderr_rd)
    self.stdout_fd, self.stderr_fd, self.stdout_rd, self.stderr_rd = nil, nil, nil, nil
end

process.__gc = process.close
process.__close = process.close

function sys.exec(...)
    local child, pid, stdout_fd, stderr_fd, stdout_rd, stderr_rd = parts.exec(...)
    if not child then
        return nil, pid
    end
    return setmetatable({
        child = child, pid = pid,
        stdout_fd = stdout_fd, stderr_fd = stderr_fd, stdout_rd = stdout_rd, stderr_rd = stderr_rd,
    }, process)
end

function sys.sh(cmd, timeout, with_status)
    if type(cmd) == 'string' then
        cmd = { '/bin/sh', '-c', cmd }
    elseif type(cmd) ~= 'table' then
        error('cmd must be a string or table', 2)
    end
    return parts.sh(cmd, timeout, with_status)
end

function sys.spawn(f)
    if type(f) ~= 'function' then
        error("bad argument #1 to 'spawn' (function expected)", 2)
    end
    local parent = internal.getpid()
    local child, pid = parts.fork()
    if pid ~= 0 then
        if not child then
            return nil, pid
        end
        return pid, setmetatable({ child = child, pid = pid }, process)
    end
    eco._init()
    internal.prctl(internal.PR_SET_PDEATHSIG, internal.SIGKILL)
    if internal.getppid() ~= parent then
        os.exit(1)
    end
    eco.run(f)
    os.exit(eco.loop() == true)
end

local listener = {}
listener.__index = listener

function listener:close()
    self.rd:close()
    self.sfd = nil
end

listener.cancel = listener.close
listener.__gc = listener.close
listener.__close = listener.close

function sys.signal(signum, callback, ...)
    if signum == internal.SIGCHLD then
        error('SIGCHLD is reserved by eco scheduler', 2)
    end
    if callback == nil then
        error("bad argument #2 to 'signal' (function expected)", 2)
    end
    local rd, sfd = parts.listen(signum)
    if not rd then
        return nil, sfd
    end
    local self = setmetatable({ signum = signum, sfd = sfd, rd = rd }, listener)
    eco.run(function(...)
        while self.rd:next() do
            callback(...)
        end
    end, ...)
    return self
end

return sys
