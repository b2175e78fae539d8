-- Module `eco.log`, writing to a file.

local file = require 'eco.file'
local log = require 'eco.log'
local sys = require 'eco.sys'

local path = T.path('log')

local function lines()
    local text = file.readfile(path) or ''
    os.remove(path)
    -- The module may keep its file open.
    log.set_path('')
    log.set_path(path)
    local list = {}
    for line in text:gmatch('[^\n]*\n') do list[#list + 1] = line end
    return list
end

local function record(level, message)
    return ('^%%d%%d%%d%%d/%%d%%d/%%d%%d %%d%%d:%%d%%d:%%d%%d %s test%%[%d%%]: %s\n$'):format(level, sys.getpid(), message)
end

local function expect(...)
    local found = lines()
    local patterns = { ... }
    T.eq(#found, #patterns)
    for i, pattern in ipairs(patterns) do
        assert(found[i]:find(pattern), ('%q does not match %q'):format(found[i], pattern))
    end
end

log.set_ident('test')
log.set_path(path)

case('constants', function()
    T.eq({ log.EMERG, log.ALERT, log.CRIT, log.ERR, log.WARNING, log.NOTICE, log.INFO, log.DEBUG }, { 0, 1, 2, 3, 4, 5, 6, 7 })
    T.eq({ log.FLAG_LF, log.FLAG_FILE, log.FLAG_PATH }, { 1, 2, 4 })
end)

case('records', function()
    T.eq(select('#', log.info('hello', 1, 1.0, true, nil, 'end')), 0)
    expect(record('info ', 'hello 1 1.0 true nil end'))
    log.err('bad')
    log.log(log.NOTICE, 'note')
    log.log(log.EMERG, 'x')
    log.notice('note')
    log.warn('beware')
    expect(record('err  ', 'bad'), record('notice', 'note'), record('emerg', 'x'),
        record('notice', 'note'), record('warn ', 'beware'))
    log.info({}, 'after')
    expect(record('info ', 'after'))
    log.info('before', {}, print, 'after', {})
    expect(record('info ', 'before after'))
    log.log(8 + 6, 'masked')
    expect(record('info ', 'masked'))
end)

case('a deleted file is made again', function()
    log.info('lost')
    os.remove(path)
    log.info('kept')
    expect(record('info ', 'kept'))
end)

case('levels', function()
    log.debug('no')
    log.set_level(log.DEBUG)
    log.debug('yes')
    log.set_level(log.ERR)
    log.info('no')
    log.set_level(log.INFO)
    expect(record('debug', 'yes'))
end)

case('text of several lines', function()
    log.info('one\r\ntwo\n')
    expect(record('info ', 'one'), record('info ', 'two'), record('info ', ''))
    log.info()
    expect(record('info ', ''))
    log.info('cut\0here')
    expect(record('info ', 'cut'))
    log.info(('x'):rep(10000))
    assert(#lines()[1] < 8400)
end)

case('flags', function()
    log.set_flags(log.FLAG_LF | log.FLAG_FILE)
    log.info('where')
    expect(record('info ', '%(log%.lua: *%d+%) where'))
    log.set_flags(log.FLAG_LF | log.FLAG_FILE | log.FLAG_PATH)
    log.info('where')
    expect(record('info ', '%(.*log%.lua: *%d+%) where'))
    log.set_flags(0)
    log.info('a')
    log.info('b')
    log.set_flags(log.FLAG_LF)
    local text = file.readfile(path)
    assert(not text:find('\n') and text:find('a') and text:find('b$'))
    lines()
end)

case('percent signs are plain text', function()
    log.info('100%s %d %n')
    expect(record('info ', '100%%s %%d %%n'))
    load("require 'eco.log'.set_flags(3) require 'eco.log'.info('x') require 'eco.log'.set_flags(1)", '@we%sird.lua')()
    expect(record('info ', '%(we%%sird%.lua: *1%) x'))
end)

case('long names are cut', function()
    log.set_ident(('n'):rep(40))
    log.info('x')
    log.set_ident('test')
    assert(lines()[1]:find(' ' .. ('n'):rep(31) .. '[', 1, true))
end)

case('rejected paths', function()
    log.set_path(T.scratch .. '/../x')
    log.info('dropped')
    log.set_path('/absent-folder/x')
    log.info('dropped')
    log.set_path(path)
    log.info('kept')
    expect(record('info ', 'kept'))
end)

case('rolling', function()
    log.set_roll_size(200)
    log.set_roll_count(3)
    for i = 1, 60 do log.info('record number', i) end
    log.set_roll_size(102400)
    log.set_roll_count(10)
    local rolled = {}
    for name in file.dir(T.scratch) do
        if name:find('^log%.%d%d%d%d%.%d+%-%d+$') then rolled[#rolled + 1] = name end
    end
    T.eq(#rolled, 3)
    table.sort(rolled)
    assert(tonumber(rolled[3]:match('%.(%d+)%.')) > 3)
    for _, name in ipairs(rolled) do os.remove(T.path(name)) end
    lines()
    T.raises('size must be >= 0', log.set_roll_size, -1)
end)

case('control characters play no records', function()
    log.info('a\27[2Kb\rc\t\127')
    expect(record('info ', 'a\\x1B%[2Kb\\x0Dc\t\\x7F'))
    log.set_ident('x\n1999/01/01 00:00:00 err  root[1]: forged\r')
    log.info('hello')
    log.set_ident('test')
    local found = lines()
    T.eq(#found, 1)
    assert(found[1]:find(' x\\x0A1999/01/01', 1, true), found[1])
    load("require 'eco.log'.set_flags(3) require 'eco.log'.info('x') require 'eco.log'.set_flags(1)", '@we\nird.lua')()
    found = lines()
    T.eq(#found, 1)
    assert(found[1]:find('(we\\x0Aird.lua:  1) x', 1, true), found[1])
end)

local function fifo()
    local name = T.path('fifo')
    os.remove(name)
    assert(os.execute('mkfifo ' .. name))
    return name
end

case('a FIFO that nobody reads, or not fast enough, stops nobody', function()
    local name = fifo()
    local count = 3000
    T.took(0, 2, function()
        log.set_path(name)
        for i = 1, count do log.info(i, ('x'):rep(100)) end
    end)
    local input<close> = assert(file.open(name, file.O_RDONLY))
    local last = 0
    while true do
        -- What waited for room comes while it is read, after the first that were written.
        local line = input:read('l', 0.5)
        if not line then break end
        local number, text = line:match('test%[%d+%]: (%d+) (x+)$')
        assert(number and #text == 100, line)
        T.eq(tonumber(number), last + 1)
        last = last + 1
    end
    -- The pipe's 64 KiB and as many that wait.
    assert(last > 2 * 64 * 1024 / 160 - 100 and last < count, last)
    log.info('later')
    assert(input:read('l', 1):find(': later$'))
    log.set_path(path)
end)

case('a device that is full stops nobody', function()
    T.took(0, 1, function()
        log.set_path('/dev/full')
        for i = 1, 1000 do log.info(i) end
        log.set_path(path)
    end)
    log.info('usable')
    expect(record('info ', 'usable'))
end)

case('a reader that follows the file sees what comes after a roll', function()
    log.set_roll_size(300)
    log.info('begin')
    local follower<close> = assert(sys.exec('tail', '-n', '+1', '-f', path))
    assert(follower:read_stdout('l', 10):find('begin'))
    for i = 1, 30 do
        local wanted = ('record number %d, and something that makes it long enough'):format(i)
        log.info(wanted)
        repeat
            local line = assert(follower:read_stdout('l', 10))
        until line:find(wanted, 1, true)
    end
    follower:kill()
    follower:wait()
    log.set_roll_size(102400)
    local rolled = {}
    for name in file.dir(T.scratch) do
        if name:find('^log%.%d%d%d%d%.') then rolled[#rolled + 1] = name end
    end
    assert(#rolled >= 3, #rolled)
    table.sort(rolled)
    -- Nothing is lost and nothing twice.
    local all = ''
    for _, name in ipairs(rolled) do
        all = all .. file.readfile(T.path(name))
        os.remove(T.path(name))
    end
    all = all .. table.concat(lines())
    local number = 0
    for found in all:gmatch('record number (%d+)') do
        number = number + 1
        T.eq(tonumber(found), number)
    end
    T.eq(number, 30)
end)

case('rotation by somebody else', function()
    log.info('one')
    assert(os.execute(('cp %s %s.copy; : > %s'):format(path, path, path)))
    log.info('two')
    T.eq(select(2, file.readfile(path):gsub('%z', '')), 0)
    os.remove(path .. '.copy')
    expect(record('info ', 'two'))
    log.info('three')
    os.rename(path, path .. '.1')
    log.info('four')
    assert(file.readfile(path .. '.1'):find('three\n$'))
    os.remove(path .. '.1')
    expect(record('info ', 'four'))
end)

case('without a system log: standard error', function()
    if file.access('/dev/log') then return end
    local words = table.move(T.interpreter, 1, #T.interpreter, 1, {})
    table.move({ '-e', "require 'eco.log'.err('nobody', 'listens')" }, 1, 2, #words + 1, words)
    local out, err = require 'eco.sys'.sh(words, 30)
    T.eq(out, '')
    assert(err:find('^%u%l%l [ %d]%d %d%d:%d%d:%d%d [%w%._-]+%[%d+%]: nobody listens\n$'), err)
end)

case('wrong types', function()
    T.raises('number expected', log.log, 'x', 'y')
    T.raises('', log.set_level, {})
    T.raises('', log.set_ident, {})
    T.raises('', log.set_path)
end)

log.set_path('')
