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
    expect(record('err  ', 'bad'), record('notice', 'note'), record('emerg', 'x'))
    log.info({}, 'after')
    expect(record('info ', ' after'))
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

case('wrong types', function()
    T.raises('number expected', log.log, 'x', 'y')
    T.raises('', log.set_level, {})
    T.raises('', log.set_ident, {})
    T.raises('', log.set_path)
end)

log.set_path('')
