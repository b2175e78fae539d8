-- Module `eco.sys`: processes, signals, fork.

local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'
local time = require 'eco.time'

case('simple functions', function()
    T.eq(math.type(sys.uptime()), 'integer')
    T.eq(sys.getpid(), math.tointeger(file.readlink('/proc/self')))
    T.eq(math.type(sys.getppid()), 'integer')
    assert(sys.get_nprocs() >= 1)
    T.eq(sys.strerror(2), 'No such file or directory')
    T.eq(sys.strerror(sys.EAGAIN), 'Resource temporarily unavailable')
    local root = sys.getpwnam('root')
    T.eq({ root.username, root.uid, root.gid, root.home }, { 'root', 0, 0, '/root' })
    T.eq({ type(root.password), type(root.shell) }, { 'string', 'string' })
    T.fails('not found', sys.getpwnam('no such user'))
    T.raises('number expected', sys.strerror)
    T.raises('number expected', sys.kill, {}, 1)
end)

case('constants', function()
    T.eq({ sys.SIG_BLOCK ~= nil, sys.SIG_UNBLOCK ~= nil, sys.SIG_SETMASK ~= nil, sys.PR_SET_PDEATHSIG }, { true, true, true, 1 })
    T.eq({ sys.SIGINT, sys.SIGKILL, sys.SIGTERM, sys.SIGHUP }, { 2, 9, 15, 1 })
    for name in ([[SIGABRT SIGALRM SIGBUS SIGCHLD SIGCONT SIGFPE SIGHUP SIGINT SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL SIGPROF
        SIGPWR SIGQUIT SIGSEGV SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH
        SIGXCPU SIGXFSZ SIGILL SIGSTOP]]):gmatch('%S+') do
        T.eq(math.type(sys[name]), 'integer', name)
    end
    T.eq({ sys.EPERM, sys.ENOENT, sys.EINTR, sys.EAGAIN, sys.EEXIST }, { 1, 2, 4, 11, 17 })
    for name in ('E2BIG EWOULDBLOCK EDEADLK EDEADLOCK EHWPOISON ERFKILL EOWNERDEAD ENOTRECOVERABLE ERESTART EXFULL ELNSYNC ELHLT ELRST EL2NSYNC EL2HLT EL3HLT EL3RST ENOTSUP ECONNREFUSED ETIMEDOUT'):gmatch('%S+') do
        T.eq(math.type(sys[name]), 'integer', name)
    end
    local listed = {}
    for key in pairs(sys) do listed[key] = true end
    T.eq(listed.getpid, nil)
end)

case('exec: output, error output, status', function()
    local process = assert(sys.exec('sh', '-c', 'echo out; echo err >&2; exit 3'))
    T.eq(math.type(process.pid), 'integer')
    T.eq({ math.type(process.stdout_fd), math.type(process.stderr_fd) }, { 'integer', 'integer' })
    T.eq(process:read_stdout('a'), 'out\n')
    T.eq(process:read_stderr('l'), 'err')
    T.fails('eof', process:read_stderr('l'))
    local pid, status = process:wait()
    T.eq(pid, process.pid)
    T.eq(status, { exited = true, status = 3 })
    T.fails('timeout', process:wait(0.01))
    T.eq(select('#', process:close()), 0)
    process:close()
    T.eq(process.stdout_rd, nil)
    T.raises('', process.read_stdout, process, 'a')
end)

case('exec: the table form and its environment', function()
    local process<close> = assert(sys.exec({ 'sh', '-c', 'echo $A $B $HOME' }, { 'A=1', 'B=two' }))
    T.eq(process:read_stdout('a'), '1 two\n')
    process:wait()
    local map<close> = assert(sys.exec({ 'sh', '-c', 'echo "[$A]"' }, { A = '1' }))
    T.eq(map:read_stdout('a'), '[]\n')
    map:wait()
    local inherited<close> = assert(sys.exec({ 'sh', '-c', 'echo $TZ' }))
    T.eq(inherited:read_stdout('a'), 'UTC\n')
    inherited:wait()
end)

case('exec: a missing program', function()
    local process<close> = assert(sys.exec('no-such-program', 'x'))
    T.eq(process:read_stderr('a'), 'no-such-program: No such file or directory')
    local _, status = process:wait()
    T.eq(status, { exited = true, status = 127 })
end)

case('exec: bad arguments raise before anything is started', function()
    local pid = sys.getpid()
    T.raises('', sys.exec)
    T.raises('', sys.exec, 'echo', {})
    T.raises('', sys.exec, { 'echo', {} })
    T.raises('', sys.exec, {})
    T.eq(sys.getpid(), pid)
end)

case('exec: a script without an interpreter line', function()
    local path = T.path('script')
    assert(file.writefile(path, 'echo from $0 $1\n'))
    os.execute('chmod +x ' .. path)
    local process<close> = assert(sys.exec(path, 'arg'))
    assert(process:read_stdout('a'):find('arg', 1, true))
    process:wait()
end)

case('exec: pipes block in the child and SIGPIPE is as usual', function()
    local process<close> = assert(sys.exec('sh', '-c', 'head -c 1000000 /dev/zero && echo done >&2'))
    eco.sleep(0.05)
    T.eq(#process:read_stdout('a'), 1000000)
    T.eq(process:read_stderr('a'), 'done\n')
    process:wait()
    local yes = assert(sys.exec('yes'))
    T.eq(yes:read_stdout('l'), 'y')
    yes:close()
    local _, status = yes:wait(10)
    T.eq(status, { signaled = true, status = sys.SIGPIPE })
end)

case('exec: descriptors do not leak into the child', function()
    local pipe = io.popen('ls /proc/self/fd | wc -l')
    local before = pipe:read('n')
    pipe:close()
    local guard<close> = assert(file.open('/dev/null'))
    local first<close> = assert(sys.exec('sleep', '100'))
    local process<close> = assert(sys.exec('sh', '-c', 'ls /proc/self/fd | wc -l'))
    -- One more may be the file of a user who did not ask for O_CLOEXEC.
    assert(tonumber(process:read_stdout('a')) <= before + 1)
    process:wait()
    first:kill()
    first:wait()
end)

case('signals to a process', function()
    local process<close> = assert(sys.exec('sleep', '100'))
    T.eq(sys.kill(process.pid, 0), true)
    T.fails('timeout', process:wait(0.01))
    T.fails('timeout', process:wait(0))
    T.eq(process:signal(sys.SIGUSR1), true)
    local pid, status = process:wait(5)
    T.eq({ pid, status }, { process.pid, { signaled = true, status = sys.SIGUSR1 } })
    T.fails('No such process', process:signal(sys.SIGTERM))
    T.fails('No such process', process:kill())
    T.fails('No such process', process:stop())
    T.fails('No such process', sys.kill(0x7ffffff0, 0))
    T.fails('Invalid argument', sys.kill(sys.getpid(), 9999))

    local other<close> = assert(sys.exec('sleep', '100'))
    T.eq(other:kill(), true)
    T.eq({ other:wait(5) }, { other.pid, { signaled = true, status = 9 } })
end)

case('stop asks, then kills', function()
    local polite<close> = assert(sys.exec('sleep', '100'))
    T.eq({ polite:stop() }, { polite.pid, { signaled = true, status = sys.SIGTERM } })
    local deaf<close> = assert(sys.exec('sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'))
    T.eq(deaf:read_stdout('l'), 'ready')
    T.took(0.1, 2, function() T.eq({ deaf:stop(0.1) }, { deaf.pid, { signaled = true, status = 9 } }) end)
end)

case('a child that ends before anybody waits is not missed', function()
    local process<close> = assert(sys.exec('true'))
    os.execute('sleep 0.05')
    T.eq({ process:wait(5) }, { process.pid, { exited = true, status = 0 } })
end)

case('close wakes readers and leaves the child alone', function()
    local process = assert(sys.exec('sleep', '100'))
    local woke
    eco.run(function() woke = table.pack(process:read_stdout('l')) end)
    process:close()
    eco.sleep(0)
    T.eq(woke, { nil, 'canceled', n = 2 })
    T.eq(sys.kill(process.pid, 0), true)
    process:kill()
    T.eq(process:wait(5), process.pid)
end)

case('a dropped process leaves no zombie', function()
    local pid
    do
        local process = sys.exec('true')
        pid = process.pid
        process:close()
    end
    local deadline = time.now() + 5 * T.slow
    while sys.kill(pid, 0) and time.now() < deadline do
        T.settle()
        eco.sleep(0.005)
    end
    T.fails('No such process', sys.kill(pid, 0))
end)

case('user calls to popen and waitpid keep their children', function()
    local before<close> = sys.exec('true')
    before:wait()
    local pipe = io.popen('exit 5')
    eco.sleep(0.05)
    T.eq({ pipe:close() }, { nil, 'exit', 5 })
    T.eq({ os.execute('exit 4') }, { nil, 'exit', 4 })
    local pid = assert(sys.fork())
    if pid == 0 then os.exit(6) end
    eco.sleep(0.05)
    local deadline = time.now() + 5 * T.slow
    local found, status
    repeat
        found, status = assert(sys.waitpid(pid))
        if found == 0 then T.eq(status, {}) eco.sleep(0.005) end
    until found ~= 0 or time.now() > deadline
    T.eq({ found, status }, { pid, { exited = true, status = 6 } })
    T.fails('No child process', sys.waitpid(pid))
end)

case('many processes at once', function()
    local group, ended = T.gather(), 0
    for i = 1, 20 do
        group:run(function()
            local process<close> = assert(sys.exec('sh', '-c', 'echo ' .. i .. '; exit ' .. i))
            T.eq(process:read_stdout('l'), tostring(i))
            local _, status = process:wait(10)
            T.eq(status, { exited = true, status = i })
            ended = ended + 1
        end)
    end
    group:wait(20)
    T.eq(ended, 20)
end)

case('sh', function()
    T.eq({ sys.sh('echo out; echo err >&2; exit 9') }, { 'out\n', 'err\n' })
    T.eq({ sys.sh({ 'echo', 'a b', '$HOME' }) }, { 'a b $HOME\n', '' })
    T.eq({ sys.sh('true') }, { '', '' })
    local out, err = sys.sh({ 'no-such-program' })
    T.eq({ out, err }, { '', 'no-such-program: No such file or directory' })
    T.raises('cmd must be a string or table', sys.sh)
    T.raises('cmd must be a string or table', sys.sh, 1)
    out, err = sys.sh('head -c 1048576 /dev/zero >&2; echo done')
    T.eq({ out, #err }, { 'done\n', 1048576 })
end)

case('sh: the limit covers the whole command', function()
    local out, err, message
    T.took(0.1, 3, function() out, err, message = sys.sh('sleep 100', 0.1) end)
    T.eq({ out, err, message }, { nil, nil, 'timeout' })
    T.took(0.1, 3, function() out, err, message = sys.sh('while :; do echo x; sleep 0.01; done', 0.1) end)
    T.eq(message, 'timeout')
    T.took(0.1, 3, function() out, err, message = sys.sh('trap "" TERM; exec >&- 2>&-; while :; do sleep 0.01; done', 0.1) end)
    T.eq(message, 'timeout')
    T.eq(select(3, sys.sh('sleep 100', 0)), 'timeout')
end)

case('spawn runs a function in a child', function()
    local path = T.path('spawned')
    local before = eco.count()
    local pid = assert(sys.spawn(function()
        eco.sleep(0.005)
        file.writefile(path, ('%d %d %d'):format(sys.getpid(), sys.getppid(), eco.count()))
    end))
    T.eq(math.type(pid), 'integer')
    T.eq(eco.count(), before)
    local deadline = time.now() + 10 * T.slow
    while sys.kill(pid, 0) and time.now() < deadline do eco.sleep(0.005) end
    T.eq(file.readfile(path), ('%d %d 1'):format(pid, sys.getpid()))
    T.raises('', sys.spawn)
    T.raises('', sys.spawn, 1)
end)

case('spawn: the parent goes on undisturbed', function()
    local process<close> = assert(sys.exec('sh', '-c', 'sleep 0.1; echo late'))
    local line
    local group = T.gather()
    group:run(function() line = process:read_stdout('l', 10) end)
    local pid = sys.spawn(function()
        local other<close> = assert(sys.exec('echo', 'inside'))
        assert(other:read_stdout('l') == 'inside')
        assert(other:wait())
    end)
    group:wait()
    T.eq(line, 'late')
    T.eq(process:wait(5), process.pid)
    local deadline = time.now() + 10 * T.slow
    while sys.kill(pid, 0) and time.now() < deadline do eco.sleep(0.005) end
end)

case('raw fork and _init', function()
    local path = T.path('forked')
    local woke_in_child = false
    eco.run(function() eco.sleep(0.02) woke_in_child = true end)
    local pid = assert(sys.fork())
    if pid == 0 then
        eco._init()
        local count = eco.count()
        eco.run(function()
            eco.sleep(0.05)
            file.writefile(path, ('%d %s'):format(count, woke_in_child))
            os.exit(0)
        end)
        eco.loop()
        os.exit(1)
    end
    local deadline = time.now() + 10 * T.slow
    local found
    repeat
        found = sys.waitpid(pid)
        eco.sleep(0.005)
    until found ~= 0 or time.now() > deadline
    T.eq(file.readfile(path), '0 false')
    T.eq(woke_in_child, true)
end)

case('prctl and masks', function()
    T.eq(sys.prctl(sys.PR_SET_PDEATHSIG, 0), true)
    T.fails('unsupported option', sys.prctl(999, 0))
    T.eq(sys.sigprocmask(sys.SIG_BLOCK, sys.SIGUSR2), true)
    local fd = assert(sys.signalfd(sys.SIGUSR2))
    sys.kill(sys.getpid(), sys.SIGUSR2)
    T.eq(#eco.reader(fd):read(1024, 5), 128)
    file.close(fd)
    T.eq(sys.sigprocmask(sys.SIG_UNBLOCK, sys.SIGUSR2), true)
    T.fails('Invalid argument', sys.sigprocmask(99, sys.SIGUSR2))
    T.raises('invalid argument', sys.signalfd)
end)

local function wait_for(condition)
    local deadline = time.now() + 5 * T.slow
    while not condition() and time.now() < deadline do eco.sleep(0.002) end
    assert(condition(), 'never happened')
end

case('signal listeners', function()
    local got = {}
    local listener = assert(sys.signal(sys.SIGUSR1, function(...) got[#got + 1] = table.pack(...) end, 'a', nil))
    T.eq(listener.signum, sys.SIGUSR1)
    T.eq(listener.sfd ~= nil, true)
    for i = 1, 3 do
        sys.kill(sys.getpid(), sys.SIGUSR1)
        wait_for(function() return #got == i end)
    end
    T.eq(got[1], { 'a', nil, n = 2 })
    T.eq(select('#', listener:close()), 0)
    listener:close()
    T.eq(listener.sfd, nil)
    T.raises('SIGCHLD is reserved by eco scheduler', sys.signal, sys.SIGCHLD, print)
    T.fails('Invalid argument', sys.signal(9999, print))
    local other<close> = sys.signal(sys.SIGUSR1, function() end)
    local third = sys.signal(sys.SIGUSR1, function() end)
    third:cancel()
end)

case('signal callbacks of one listener never overlap', function()
    local running, calls = 0, 0
    local listener<close> = assert(sys.signal(sys.SIGUSR1, function()
        running = running + 1
        T.eq(running, 1)
        eco.sleep(0.02)
        running = running - 1
        calls = calls + 1
    end))
    sys.kill(sys.getpid(), sys.SIGUSR1)
    eco.sleep(0.01)
    sys.kill(sys.getpid(), sys.SIGUSR1)
    wait_for(function() return calls == 2 end)
end)

case('every listener of a signal hears it', function()
    local a, b = 0, 0
    local first = assert(sys.signal(sys.SIGUSR2, function() a = a + 1 end))
    local second = assert(sys.signal(sys.SIGUSR2, function() b = b + 1 end))
    sys.kill(sys.getpid(), sys.SIGUSR2)
    wait_for(function() return a == 1 and b == 1 end)
    first:close()
    -- Still blocked for the other: the default action would end the process here.
    sys.kill(sys.getpid(), sys.SIGUSR2)
    wait_for(function() return b == 2 end)
    T.eq(a, 1)
    second:close()
end)

case('a listener may close itself, and early closing is silent', function()
    local calls = 0
    local listener
    listener = sys.signal(sys.SIGUSR1, function() calls = calls + 1 listener:close() end)
    sys.kill(sys.getpid(), sys.SIGUSR1)
    wait_for(function() return calls == 1 end)
    local closed = sys.signal(sys.SIGUSR2, function() error('must not run') end)
    closed:close()
    eco.sleep(0.01)
end)

case('blocked signals do not leak into children', function()
    local listener<close> = assert(sys.signal(sys.SIGUSR1, function() end))
    local process<close> = assert(sys.exec('sleep', '100'))
    process:signal(sys.SIGUSR1)
    local _, status = process:wait(5)
    T.eq(status, { signaled = true, status = sys.SIGUSR1 })
end)

case('a storm of signals in the middle of I/O breaks nothing', function()
    local heard = 0
    local listener<close> = assert(sys.signal(sys.SIGUSR1, function() heard = heard + 1 end))
    local process<close> = assert(sys.exec('sh', '-c', ('i=0; while [ $i -lt 200 ]; do kill -USR1 %d; echo line $i; i=$((i+1)); done'):format(sys.getpid())))
    local lines = 0
    while true do
        local line, message = process:read_stdout('l', 30)
        if not line then T.eq(message, 'eof') break end
        T.eq(line, 'line ' .. lines)
        lines = lines + 1
    end
    T.eq(lines, 200)
    process:wait()
    assert(heard >= 1)
end)

case('internal modules resolve to the same functions', function()
    local internal = require 'eco.internal.sys'
    T.eq(internal.getpid(), sys.getpid())
    local pid, out, err = internal.exec('echo', 'raw')
    T.eq({ math.type(pid), math.type(out), math.type(err) }, { 'integer', 'integer', 'integer' })
    T.eq(eco.reader(out):read('l'), 'raw')
    file.close(out)
    file.close(err)
    local found
    wait_for(function() found = sys.waitpid(pid) return found ~= 0 end)
    local fd = assert(require 'eco.internal.sync'.eventfd(3))
    T.eq(string.unpack('=I8', eco.reader(fd):read(8)), 3)
    file.close(fd)
end)

case('sh gives the status to who asks', function()
    T.eq(table.pack(sys.sh('echo out; exit 3', 10, true)), { 'out\n', '', nil, { exited = true, status = 3 }, n = 4 })
end)

case('spawn gives a process to wait for when asked', function()
    local pid, process = sys.spawn(function() os.exit(9) end, true)
    T.eq({ process:wait(10) }, { pid, { exited = true, status = 9 } })
    process:close()
end)

case('several coroutines wait for one process', function()
    local process<close> = assert(sys.exec('sleep', '0.05'))
    local group, seen = T.gather(), 0
    for _ = 1, 3 do
        group:run(function()
            T.eq({ process:wait(10) }, { process.pid, { exited = true, status = 0 } })
            seen = seen + 1
        end)
    end
    group:wait()
    T.eq(seen, 3)
    T.fails('timeout', process:wait(0.01))
end)

case('a signal that came before its last listener closed is taken', function()
    local listener = assert(sys.signal(sys.SIGUSR2, function() error('must not run') end))
    sys.kill(sys.getpid(), sys.SIGUSR2)
    -- Unblocking it with the signal still pending would end the process.
    listener:close()
end)

case('a forked child that ends cleanly disturbs no watch of its parent', function()
    local process<close> = assert(sys.exec('sh', '-c', 'sleep 0.1; exit 4'))
    local heard = 0
    local listener<close> = assert(sys.signal(sys.SIGUSR1, function() heard = heard + 1 end))
    local pid = assert(sys.fork())
    if pid == 0 then os.exit(0, true) end
    repeat
        eco.sleep(0.005)
    until sys.waitpid(pid) ~= 0
    sys.kill(sys.getpid(), sys.SIGUSR1)
    wait_for(function() return heard == 1 end)
    T.eq({ process:wait(10) }, { process.pid, { exited = true, status = 4 } })
end)

case('coroutines closed while they wait leave nothing behind', function()
    for _, f in ipairs {
        function() sys.sh('sleep 0.3') end,
        function() sys.exec('sleep', '0.3'):wait() end,
        function() sys.exec('sleep', '0.3'):read_stdout('l') end,
    } do
        local co = eco.run(f)
        eco.sleep(0.005)
        coroutine.close(co)
    end
    T.settle()
end)

-- Whether a process of that number is there and no zombie.
local function lives(pid)
    local stat = io.open('/proc/' .. pid .. '/stat')
    local state = stat and stat:read('a'):match('^.*%) (%a)')
    if stat then stat:close() end
    return state and state ~= 'Z'
end

local function ends(pid)
    T.await(function() return not lives(pid) end)
end

case('the limit of sh ends what the command has started, deaf or not', function()
    local path = T.path('pids')
    local _, _, message = sys.sh(([[
        sleep 100 & echo $! > %s
        sh -c 'trap "" TERM; while :; do sleep 0.05; done' & echo $! >> %s
        wait
    ]]):format(path, path), 0.3)
    T.eq(message, 'timeout')
    local count = 0
    for pid in io.lines(path) do
        count = count + 1
        ends(pid)
    end
    T.eq(count, 2)
    -- The command itself has ended by then, and only its output goes on.
    _, _, message = sys.sh(('sleep 100 & echo $! > %s'):format(path), 0.3)
    T.eq(message, 'timeout')
    ends(io.lines(path)())
end)

case('what sh leaves behind on purpose goes on', function()
    local pid = sys.sh('sleep 100 >/dev/null 2>&1 & echo $!'):match('%d+')
    T.eq(lives(pid), true)
    sys.kill(tonumber(pid), sys.SIGKILL)
    ends(pid)
end)

case('a coroutine that is closed in sh ends the command', function()
    local path = T.path('pid')
    os.remove(path)
    local co = eco.run(function() sys.sh(('sleep 100 & echo $! > %s; wait'):format(path)) end)
    T.await(function() local f = io.open(path) return f and f:read('n') end)
    coroutine.close(co)
    ends(io.lines(path)())
end)

case('exec with a limit or a group', function()
    local process = assert(sys.exec({ 'sh', '-c', 'sleep 100 & echo $!; wait', timeout = 0.2 }))
    local inner = process:read_stdout('l')
    local _, status = process:wait(10 * T.slow)
    T.eq(status, { signaled = true, status = sys.SIGTERM })
    ends(inner)
    process:close()
    T.raises('timeout must be a number', sys.exec, { 'true', timeout = true })
    -- Nobody holds it any more.
    process = assert(sys.exec({ 'sh', '-c', "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait", timeout = 0.2 }))
    inner = process:read_stdout('l')
    process:close()
    process = nil
    collectgarbage()
    ends(inner)

    local group<close> = assert(sys.exec({ 'sh', '-c', "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait", group = true }))
    inner = group:read_stdout('l')
    T.eq(select(2, group:stop(1)), { signaled = true, status = sys.SIGTERM })
    ends(inner)
    T.eq({ group:signal(sys.SIGTERM) }, { nil, 'No such process' })
    -- Whoever starts no group has its number to itself.
    local single<close> = assert(sys.exec({ 'sh', '-c', 'sleep 100 & echo $!; wait' }))
    inner = single:read_stdout('l')
    single:stop(1)
    T.eq(lives(inner), true)
    sys.kill(tonumber(inner), sys.SIGKILL)
end)

case('a group is waited for once its status is used or its handle gone', function()
    local process = assert(sys.exec({ 'true', group = true }))
    local pid = process.pid
    T.eq(select(2, process:wait(10 * T.slow)), { exited = true, status = 0 })
    T.eq(io.open('/proc/' .. pid .. '/stat'), nil)
    process = assert(sys.exec({ 'true', group = true }))
    pid = process.pid
    process:close()
    T.await(function() return not io.open('/proc/' .. pid .. '/stat') end)
end)

case('sh keeps no more output than it may', function()
    local before = collectgarbage('count')
    T.took(0, 10, function()
        T.eq({ sys.sh('yes', 30, { max_output = 100000 }) }, { nil, nil, 'too much output' })
        T.eq({ sys.sh('yes >&2', 30, { max_output = 100000 }) }, { nil, nil, 'too much output' })
    end)
    T.eq({ sys.sh('printf 12345; printf 67890 >&2', 30, { max_output = 10 }) }, { '12345', '67890' })
    T.eq({ sys.sh('printf 12345; printf 67890 >&2', 30, { max_output = 9 }) }, { nil, nil, 'too much output' })
    T.eq(#sys.sh('head -c 16777216 /dev/zero'), 16777216)
    T.eq({ sys.sh('head -c 16777217 /dev/zero') }, { nil, nil, 'too much output' })
    T.eq(table.pack(sys.sh('exit 3', 10, { status = true })), { '', '', nil, { exited = true, status = 3 }, n = 4 })
    collectgarbage()
    assert(collectgarbage('count') - before < 1000)
end)

case('a spawned child dies of a signal its parent listens to', function()
    local heard = 0
    local listener<close> = sys.signal(sys.SIGTERM, function() heard = heard + 1 end)
    local pid, process = sys.spawn(function()
        local other = sys.signal(sys.SIGUSR1, function() end)
        sys.kill(sys.getppid(), sys.SIGTERM)
        eco.sleep(100)
        other:close()
    end, true)
    T.await(function() return heard == 1 end)
    sys.kill(pid, sys.SIGTERM)
    local _, status = process:wait(10 * T.slow)
    T.eq(status, { signaled = true, status = sys.SIGTERM })
end)
