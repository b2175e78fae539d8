-- Module `eco.file`.

local eco = require 'eco'
local file = require 'eco.file'
local internal = require 'eco.internal.file'
local time = require 'eco.time'

case('readfile and writefile', function()
    local path = T.path('a')
    T.eq(file.writefile(path, 'one\n'), true)
    T.eq(file.writefile(path, 'two\n12 rest', true), true)
    T.eq(file.readfile(path), 'one\ntwo\n12 rest')
    T.eq(file.readfile(path, 'l'), 'one')
    T.eq(file.readfile(path, 'L'), 'one\n')
    T.eq(file.readfile(path, '*a'), 'one\ntwo\n12 rest')
    T.eq(file.readfile(path, 2), 'on')
    file.writefile(path, '42')
    T.eq(file.readfile(path, 'n'), 42)
    T.eq(file.writefile(path, ''), true)
    T.eq(file.readfile(path), '')
    T.fails('/absent: No such file or directory', file.readfile('/absent'))
    T.fails('/absent/x: No such file or directory', file.writefile('/absent/x', ''))
    assert(file.readfile('/proc/self/status'):find('Name:', 1, true))
end)

case('stat', function()
    local path = T.path('s')
    file.writefile(path, '12345')
    os.execute('chmod 640 ' .. path)
    local info = file.stat(path)
    T.eq({ info.type, info.mode, info.size, info.nlink }, { 'REG', 416, 5, 1 })
    for _, name in ipairs { 'atime', 'mtime', 'ctime', 'uid', 'gid', 'ino' } do
        T.eq(math.type(info[name]), 'integer', name)
    end
    assert(math.abs(info.mtime - os.time()) < 10)
    T.eq(file.stat('/dev/null').type, 'CHR')
    T.eq(file.stat(T.scratch).type, 'DIR')
    os.execute(('ln -s absent %s/dangling; ln -s s %s/link'):format(T.scratch, T.scratch))
    T.fails('No such file or directory', file.stat(T.path('dangling')))
    T.eq(file.stat(T.path('link')).size, 5)
    T.eq(file.readlink(T.path('link')), 's')
    T.fails('Invalid argument', file.readlink(path))
    local fd = internal.open(path)
    T.eq(file.fstat(fd).size, 5)
    T.eq(file.close(fd), true)
    T.fails('Bad file descriptor', file.fstat(fd))
    T.fails('Bad file descriptor', file.close(fd))
end)

case('access, mkdir, chown, statvfs', function()
    T.eq({ file.access('/'), file.access('/absent') }, { true, false })
    T.eq({ file.access('/bin/sh', 'x'), file.access('/etc/passwd', 'r'), file.access(T.scratch, 'w') }, { true, true, true })
    T.eq(file.mkdir(T.path('d')), true)
    T.fails('File exists', file.mkdir(T.path('d')))
    T.fails('No such file or directory', file.mkdir(T.path('x/y')))
    T.eq(file.mkdir(T.path('e'), 448), true)
    T.eq(file.stat(T.path('e')).mode, 448)
    T.raises('invalid mode', file.mkdir, T.path('f'), -1)
    local info = file.stat(T.path('d'))
    T.eq(file.chown(T.path('d'), info.uid, info.gid), true)
    T.eq(file.chown(T.path('d')), true)
    T.fails('No such file or directory', file.chown('/absent', 0))
    local total, available, used = file.statvfs('/')
    T.eq({ math.type(total), math.type(available), math.type(used) }, { 'float', 'float', 'float' })
    assert(total >= used and total > 0)
    T.fails('No such file or directory', file.statvfs('/absent'))
    T.eq(select('#', file.sync()), 0)
end)

case('names', function()
    for path, expected in pairs {
        [''] = { '.', '.' }, ['/'] = { '/', '/' }, ['/a/b/'] = { '/a', 'b' }, ['a'] = { '.', 'a' },
        ['/a'] = { '/', 'a' }, ['a/b'] = { 'a', 'b' }, ['//'] = { '/', '/' }, ['a//b'] = { 'a', 'b' }, ['.'] = { '.', '.' },
    } do
        T.eq(file.dirname(path), expected[1], path)
        T.eq(file.basename(path), expected[2], path)
    end
end)

case('constants', function()
    T.eq({ file.SKIP, file.SEEK_SET, file.SEEK_CUR, file.SEEK_END }, { 1, 0, 1, 2 })
    T.eq({ file.LOCK_SH, file.LOCK_EX, file.LOCK_UN }, { 1, 2, 8 })
    T.eq({ file.O_RDONLY, file.O_WRONLY, file.O_RDWR }, { 0, 1, 2 })
    for name in ('O_APPEND O_CLOEXEC O_CREAT O_EXCL O_NOCTTY O_NONBLOCK O_TRUNC'):gmatch('%S+') do
        T.eq(math.type(file[name]), 'integer', name)
    end
    T.eq({ file.S_IRWXU, file.S_IRUSR, file.S_IWGRP, file.S_IXOTH, file.S_ISUID, file.S_ISVTX }, { 448, 256, 16, 1, 2048, 512 })
    T.eq({ file.IN_ACCESS, file.IN_MODIFY, file.IN_ATTRIB, file.IN_CLOSE_WRITE, file.IN_CLOSE_NOWRITE, file.IN_CLOSE }, { 1, 2, 4, 8, 16, 24 })
    T.eq({ file.IN_OPEN, file.IN_MOVED_FROM, file.IN_MOVED_TO, file.IN_MOVE, file.IN_CREATE, file.IN_DELETE }, { 32, 64, 128, 192, 256, 512 })
    T.eq({ file.IN_DELETE_SELF, file.IN_MOVE_SELF, file.IN_ALL_EVENTS, file.IN_ISDIR }, { 1024, 2048, 4095, 0x40000000 })
end)

local function sorted(list)
    table.sort(list)
    return list
end

case('dir', function()
    os.execute(('cd %s; mkdir dir; cd dir; echo 123 > file; mkdir sub; ln -s absent broken; ln -s file good'):format(T.scratch))
    local found = {}
    for name, info in file.dir(T.path('dir')) do found[name] = info end
    T.eq({ found.file.type, found.file.size, found.sub.type, found.broken.type, found.good.type }, { 'REG', 4, 'DIR', 'LNK', 'REG' })
    T.eq({ found['.'], found['..'] }, {})
    for _ in file.dir('/absent') do error('not empty') end
    for _ in file.dir(T.path('dir')) do break end
    for _ = 1, 50 do
        local iterate, state = file.dir(T.path('dir'))
        iterate(state)
    end
    local iterate, state, first, closing = file.dir(T.path('dir'))
    T.eq({ first, state == closing, type(state) }, { nil, true, 'userdata' })
    local guard<close> = closing
end)

case('walk', function()
    os.execute(('cd %s; mkdir -p tree/a/b tree/c; touch tree/1 tree/a/2 tree/a/b/3 tree/c/4'):format(T.scratch))
    local seen = {}
    T.eq(select('#', file.walk(T.path('tree'), function(path, name, info)
        T.eq(type(info), 'table')
        T.eq(file.basename(path), name)
        seen[#seen + 1] = path:sub(#T.scratch + 2)
    end)), 0)
    T.eq(sorted(seen), { 'tree/1', 'tree/a', 'tree/a/2', 'tree/a/b', 'tree/a/b/3', 'tree/c', 'tree/c/4' })
    seen = {}
    file.walk(T.path('tree/'), function(path, name)
        seen[#seen + 1] = path:sub(#T.scratch + 2)
        if name == 'a' then return file.SKIP end
    end)
    T.eq(sorted(seen), { 'tree/1', 'tree/a', 'tree/c', 'tree/c/4' })
    local count = 0
    file.walk(T.path('tree'), function() count = count + 1 return false end)
    T.eq(count, 1)
    file.walk('/absent', function() error('not empty') end)
    T.raises('root path must be a string', file.walk, nil, print)
end)

case('walk ends on a cycle of links', function()
    os.execute(('cd %s; mkdir -p cycle/x; ln -s .. cycle/x/up'):format(T.scratch))
    local count = 0
    file.walk(T.path('cycle'), function() count = count + 1 return count < 1000 end)
    assert(count < 1000, 'endless')
end)

case('file objects', function()
    local path = T.path('object')
    local f = assert(file.open(path, file.O_RDWR | file.O_CREAT | file.O_TRUNC, 420))
    T.eq(math.type(f.fd), 'integer')
    T.eq(f:write('one\ntwo\nthree'), 13)
    T.eq(f:lseek(0, file.SEEK_SET), 0)
    T.eq(f:read('l'), 'one')
    T.eq({ f:readuntil('o') }, { 'tw', true })
    T.eq(f:readfull(3), '\nth')
    T.eq(f:read('a'), 'ree')
    T.fails('eof', f:read('a'))
    T.fails('eof', f:read(1))
    T.eq(f:stat().size, 13)
    T.eq(f:lseek(-5, file.SEEK_END), 8)
    T.eq(f:read(100), 'three')
    -- the read buffer does not outlive a seek
    f:lseek(0, file.SEEK_SET)
    T.eq(f:read('l'), 'one')
    f:lseek(0, file.SEEK_SET)
    T.eq(f:read('l'), 'one')
    T.fails('Invalid argument', f:lseek(-1, file.SEEK_SET))
    T.eq(select('#', f:close()), 0)
    T.eq(f.fd, -1)
    f:close()
    T.fails('Bad file descriptor', f:write('x'))
    T.fails('Bad file descriptor', f:stat())
    T.fails('Bad file descriptor', f:lseek(0, 0))
    T.fails('No such file or directory', file.open('/absent'))
    do
        local closing<close> = assert(file.open(path))
    end
    for _ = 1, 20 do file.open(path) end
end)

case('a FIFO blocks only its reader', function()
    os.execute('mkfifo ' .. T.path('fifo'))
    local reader<close> = assert(file.open(T.path('fifo'), file.O_RDONLY | file.O_NONBLOCK))
    local writer<close> = assert(file.open(T.path('fifo'), file.O_WRONLY | file.O_NONBLOCK))
    T.fails('timeout', reader:read(1, 0.01))
    T.all(function() T.eq(reader:read('l', 5), 'line') end, function() writer:write('line\n') end)
    local woke
    eco.run(function() woke = table.pack(reader:read(1)) end)
    reader:close()
    eco.sleep(0)
    T.eq(woke, { nil, 'canceled', n = 2 })
end)

case('flock', function()
    local path = T.path('lock')
    file.writefile(path, '')
    local a<close>, b = assert(file.open(path)), assert(file.open(path))
    local closing_b<close> = b
    T.eq(a:flock(file.LOCK_EX), true)
    T.fails('timeout', b:flock(file.LOCK_EX, 0))
    T.took(0.05, 1, function() T.fails('timeout', b:flock(file.LOCK_SH, 0.05)) end)
    local ticks = 0
    local ticker = eco.run(function() while true do ticks = ticks + 1 eco.sleep(0.002) end end)
    T.all(function() T.eq(b:flock(file.LOCK_EX), true) end, function() eco.sleep(0.03) a:flock(file.LOCK_UN) end)
    coroutine.close(ticker)
    assert(T.slow > 1 or ticks > 3)
    local c = assert(file.open(path))
    T.all(function() T.fails('Bad file descriptor', c:flock(file.LOCK_EX)) end, function() eco.sleep(0.01) c:close() end)
    local fd = internal.open(path)
    local result, number = file.flock(fd, file.LOCK_EX | 4)
    T.eq({ result, number }, { nil, require 'eco.sys'.EAGAIN })
    file.close(fd)
end)

case('inotify objects', function()
    local folder = T.path('watched')
    file.mkdir(folder)
    local watcher = assert(file.inotify())
    local wd = assert(watcher:add(folder))
    T.fails('No such file or directory', watcher:add('/absent'))
    T.fails('timeout', watcher:wait(0.005))
    file.writefile(folder .. '/new', 'x')
    local masks = 0
    for _ = 1, 4 do
        local event = watcher:wait(1)
        if not event then break end
        T.eq(event.name, folder .. '/new')
        masks = masks | event.mask
    end
    T.eq(masks & (file.IN_CREATE | file.IN_CLOSE_WRITE), file.IN_CREATE | file.IN_CLOSE_WRITE)
    T.eq(watcher:del(wd), true)
    T.fails('Invalid argument', watcher:del(wd))
    T.fails('timeout', watcher:wait(0.005))
    local woke
    eco.run(function() woke = table.pack(watcher:wait()) end)
    eco.sleep(0)
    watcher:close()
    eco.sleep(0)
    T.eq(woke, { nil, 'canceled', n = 2 })
    watcher:close()
    T.eq(watcher.fd, -1)
    T.fails('Bad file descriptor', watcher:wait(0.01))
    local single = T.path('single')
    file.writefile(single, '')
    do
        local other<close> = assert(file.inotify())
        other:add(single, file.IN_MODIFY)
        file.writefile(single, 'y', true)
        T.eq(other:wait(1), { name = single, mask = file.IN_MODIFY })
    end
    for _ = 1, 10 do file.inotify() end
end)

case('raw inotify', function()
    local fd = assert(file.inotify_init())
    local wd = assert(file.inotify_add_watch(fd, T.scratch, file.IN_CREATE))
    file.writefile(T.path('made'), '')
    local events = file.inotify_parse_event(eco.reader(fd):read(4096, 1))
    T.eq(events, { { wd = wd, mask = file.IN_CREATE, name = 'made' } })
    T.eq(file.inotify_rm_watch(fd, wd), true)
    file.close(fd)
    T.eq(file.inotify_parse_event(''), {})
    T.raises('invalid inotify event buffer', file.inotify_parse_event, 'short')
    T.raises('invalid inotify event buffer', file.inotify_parse_event, string.pack('=i4I4I4I4', 1, 2, 0, 99))
    local event = string.pack('=i4I4I4s4', 1, 2, 0, 'name\0\0\0\0')
    for length = 1, #event - 1 do
        T.raises('invalid inotify event buffer', file.inotify_parse_event, event:sub(1, length))
        T.raises('invalid inotify event buffer', file.inotify_parse_event, event .. event:sub(1, length))
    end
    T.eq(file.inotify_parse_event(event .. event), { { wd = 1, mask = 2, name = 'name' }, { wd = 1, mask = 2, name = 'name' } })
end)

case('links, modes and times', function()
    local path = T.path('times')
    file.writefile(path, 'x')
    os.execute(('ln -s times %s/times-link'):format(T.scratch))
    T.eq({ file.lstat(T.path('times-link')).type, file.stat(T.path('times-link')).type }, { 'LNK', 'REG' })
    T.eq(file.chmod(path, 1517), true)
    local info = file.stat(path)
    T.eq(info.mode, 1517)
    assert(info.mtime_nsec >= 0 and info.mtime_nsec < 1000000000)
    T.fails('No such file or directory', file.chmod('/absent', 420))
    T.eq(file.access(path, 'rwx'), file.access(path, 'r') and file.access(path, 'w') and file.access(path, 'x'))
    T.eq(file.rename(path, path .. '2'), true)
    T.eq(file.unlink(path .. '2'), true)
    T.fails('No such file or directory', file.unlink(path))
end)

case('names with a NUL byte name nothing', function()
    T.fails('Invalid argument', file.open('/etc\0/passwd'))
    T.fails('Invalid argument', file.stat('/etc\0'))
    T.eq(file.access('/etc\0'), false)
    for _ in file.dir('/etc\0') do error('not empty') end
end)

case('a folder that cannot be opened says why', function()
    T.eq(select(5, file.dir('/absent')), 'No such file or directory')
    T.eq(select('#', file.dir('/')), 4)
end)

case('seeking counts from what was read', function()
    local f<close> = assert(file.open(T.path('seek'), file.O_RDWR | file.O_CREAT, 420))
    f:write('one\ntwo\nthree\n')
    f:lseek(0, file.SEEK_SET)
    T.eq(f:read('l'), 'one')
    T.eq(f:lseek(0, file.SEEK_CUR), 4)
    T.eq(f:lseek(1, file.SEEK_CUR), 5)
    T.eq(f:read('l'), 'wo')
end)

case('raw reading and writing', function()
    local fd = assert(internal.open(T.path('raw'), file.O_RDWR | file.O_CREAT, 420))
    T.eq(file.write(fd, 'some text'), 9)
    T.eq(file.lseek(fd, 0, file.SEEK_SET), 0)
    T.eq({ file.read(fd, 4), file.read(fd, 100), file.read(fd, 100) }, { 'some', ' text', '' })
    T.raises('must be greater than 0', file.read, fd, 0)
    file.close(fd)
    T.fails('Bad file descriptor', file.read(fd, 1))
end)

case('objects where a descriptor is expected', function()
    local f = assert(file.open(T.path('raw')))
    T.eq(file.flock(f, file.LOCK_SH, 0), true)
    T.eq(file.close(f), true)
    T.eq(f.fd, -1)
    T.fails('Bad file descriptor', f:flock(file.LOCK_SH))
end)

local function fifo()
    local path = T.path('fifo')
    os.remove(path)
    assert(os.execute('mkfifo ' .. path))
    return path
end

case('a FIFO without a peer is waited for, and nobody else waits', function()
    local path = fifo()
    local ticks, stop = 0, false
    local group = T.gather()
    group:run(function() while not stop do eco.sleep(0.005) ticks = ticks + 1 end end)
    -- For reading it is open at once; what is read is waited for.
    local input = assert(file.open(path))
    T.fails('timeout', input:read('a', 0.05))
    input:close()
    -- For writing somebody must read.
    local data
    group:run(function()
        eco.sleep(0.1)
        local f<close> = assert(file.open(path))
        data = f:read('a')
    end)
    local output = assert(file.open(path, file.O_WRONLY))
    T.eq(output:write('hello'), 5)
    output:close()
    T.await(function() return data end)
    T.eq(data, 'hello')
    assert(ticks >= 10, ticks)
    stop = true
    group:wait()
    -- Who does not want to wait is told.
    T.fails('No such device or address', file.open(path, file.O_WRONLY | file.O_NONBLOCK))
    T.fails('No such device or address', internal.open(path, file.O_WRONLY))
end)

case('whole FIFOs are read and written without stopping anybody', function()
    local path = fifo()
    local text = ('line\n'):rep(100000)
    T.all(function()
        T.eq(file.writefile(path, text), true)
    end, function()
        eco.sleep(0.02)
        T.eq(file.readfile(path), text)
    end)
    T.all(function()
        T.eq(file.readfile(path, 'l'), 'line')
    end, function()
        file.writefile(path, 'line\nmore\n')
    end)
end)

case('an open that waits ends with its coroutine', function()
    local path = fifo()
    local co = eco.run(function() file.open(path, file.O_WRONLY) error('opened') end)
    eco.sleep(0.02)
    coroutine.close(co)
end)

case('read gives as many bytes as there are', function()
    local path = T.path('large')
    local size = 3 * 1024 * 1024 + 7
    file.writefile(path, ('x'):rep(size))
    for _, wanted in ipairs { 1, 65535, 65536, 65537, 200000, size - 1, size, size + 1, 1 << 40 } do
        local f<close> = assert(file.open(path))
        T.eq(#f:read(wanted), math.min(wanted, size))
        T.eq(#(f:read(wanted) or ''), math.min(wanted, math.max(0, size - wanted)))
        local fd = assert(internal.open(path))
        T.eq(#file.read(fd, wanted), math.min(wanted, size))
        file.close(fd)
    end
    local f<close> = assert(file.open(path))
    T.eq(f:read('l', 1), nil) -- no line end: dropped, as the contract has it
    T.fails('eof', f:read(100000))
end)

case('large files are read and written in turns with others', function()
    local path = T.path('large')
    local text = ('0123456789abcdef'):rep(1 << 20)
    local ticks, stop = 0, false
    local group = T.gather()
    group:run(function() while not stop do eco.sleep(0) ticks = ticks + 1 end end)
    do
        local f<close> = assert(file.open(path, file.O_WRONLY | file.O_CREAT | file.O_TRUNC, 420))
        T.eq(f:write(text), #text)
    end
    for _, format in ipairs { 'a', #text, 'L' } do
        local f<close> = assert(file.open(path))
        local data = f:read(format)
        T.eq(data == text or format == 'L' and data == nil, true)
    end
    stop = true
    group:wait()
    assert(ticks > 3, ticks)
end)

case('read of a pipe gives what is in it', function()
    local path = fifo()
    local input<close> = assert(file.open(path))
    local output<close> = assert(file.open(path, file.O_WRONLY))
    output:write(('x'):rep(65536))
    T.eq(#input:read(100000), 65536)
    output:write('more')
    T.eq(input:read(100000), 'more')
    output:close()
    T.fails('eof', input:read(100000))
end)
