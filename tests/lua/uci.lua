-- eco.uci: reading, changing and committing configuration, results and errors as scripts of OpenWrt know them.

local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'
local time = require 'eco.time'
local uci = require 'eco.uci'

local CONFIG, SAVED = T.path('config'), T.path('saved')
assert(file.mkdir(CONFIG))

local NETWORK = [[

config interface 'lan'
	option proto 'static'
	list dns '192.0.2.1'
	list dns '192.0.2.2'

config rule
	option name 'it'\''s'

config rule 'named'
	option bytes ']] .. '\xff\xfe' .. [['

]]

-- A package in its first state, and a cursor that knows nothing of it.
local function fresh(text, name)
    os.remove(SAVED .. '/' .. (name or 'network_test'))
    assert(file.writefile(CONFIG .. '/' .. (name or 'network_test'), text or NETWORK))
    return uci.cursor(CONFIG, SAVED)
end

local function text(name)
    return assert(file.readfile(CONFIG .. '/' .. (name or 'network_test')))
end

-- ... are exactly false and the message.
local function refused(message, ...)
    T.eq(table.pack(...), { n = 2, false, 'uci: ' .. message })
end

-- ... are exactly nil and the message.
local function none(message, ...)
    T.eq(table.pack(...), { n = 2, nil, 'uci: ' .. message })
end

-- ... are exactly this one value.
local function gives(value, ...)
    T.eq(table.pack(...), { n = 1, value })
end

case('cursors', function()
    local c = uci.cursor()
    T.eq({ c:get_confdir(), c:get_savedir() }, { '/etc/config', '/tmp/.uci' })
    assert(tostring(c):find('^struct uci_context %*: '))
    gives(true, c:set_confdir('/a'))
    gives(true, c:set_savedir('/b'))
    T.eq({ c:get_confdir(), c:get_savedir() }, { '/a', '/b' })
    T.eq(select('#', c:close()), 0)
    T.eq(select('#', c:close()), 0)
    for _, name in ipairs { 'load', 'unload', 'get', 'get_all', 'each', 'foreach', 'add', 'set', 'rename', 'delete',
        'reorder', 'save', 'commit', 'revert', 'list_configs', 'get_confdir', 'get_savedir', 'set_confdir', 'set_savedir' } do
        T.raises('UCI context closed', c[name], c, 'a', name == 'foreach' and print or 'b')
    end
    T.eq(c.walk, nil)
    T.eq(uci.cursor('/only'):get_savedir(), '/tmp/.uci')
    T.raises('Invalid args', uci.cursor, 'a', 'b', 'c')
    T.raises('bad argument #1', uci.cursor, nil)
    T.raises('bad argument #2', uci.cursor, 'a', nil)
    T.raises('string expected, got table', uci.cursor, {})
    T.fails('Invalid argument', uci.cursor('a\0b'))
    do
        local closed<close> = uci.cursor()
        c = closed
    end
    T.raises('UCI context closed', c.get_confdir, c)
    T.raises('string expected', function() uci.cursor():set_confdir({}) end)
    refused('Invalid argument', uci.cursor():set_savedir('a\0b'))
end)

case('get', function()
    local c = fresh()
    gives('static', c:get('network_test.lan.proto'))
    gives('static', c:get('network_test', 'lan', 'proto'))
    gives('static', c:get('network_test', 'lan', 'proto', 'ignored'))
    gives('static', c:get('network_test.lan.proto=ignored'))
    gives("it's", c:get('network_test.@rule[0].name'))
    gives("it's", c:get('network_test', '@rule[-2]', 'name'))
    gives('\xff\xfe', c:get('network_test.@[2].bytes'))
    gives({ '192.0.2.1', '192.0.2.2' }, c:get('network_test.lan.dns'))
    T.eq(table.pack(c:get('network_test.lan')), { n = 2, 'interface', 'lan' })
    T.eq(table.pack(c:get('network_test', '@rule[0]')), { n = 2, 'rule', 'cfg0292bd' })
    gives("it's", c:get('network_test', 'cfg0292bd', 'name'))
    none('Invalid argument', c:get('network_test'))
    none('Entry not found', c:get('network_test.lan.missing'))
    none('Invalid argument', c:get('network_test.missing'))
    none('Invalid argument', c:get('network_test.missing.option'))
    none('Invalid argument', c:get('network_test', 'not a name', 'x'))
    none('Invalid argument', c:get('network_test', '\xff', '\xff'))
    none('Invalid argument', c:get('network_test.@rule[9]'))
    none('Invalid argument', c:get('network_test.@rule['))
    none('Invalid argument', c:get('network_test', '@rule', 'name'))
    none('Invalid argument', c:get('network_test.bad-name'))
    none('Parse error', c:get('network_test.lan.a.b'))
    none('Parse error', c:get('network_test.lan.bad-name'))
    none('Parse error', c:get('network_test.lan.proto=\1'))
    none('Parse error', c:get(''))
    none('Parse error', c:get('a b'))
    none('Entry not found', c:get('missing_test.lan.proto'))
    T.raises('bad argument #1', function() c:get() end)
    T.raises('string expected, got nil', function() c:get(nil) end)
    T.raises('bad argument #2', function() c:get('network_test', nil) end)
    T.raises('bad argument #3', function() c:get('network_test', 'lan', {}) end)
    T.raises('invalid argument count', function() c:get('network_test', 'a', 'b', 'c', 'd') end)
    T.raises('bad argument #1', uci.cursor().get, {}, 'x')
end)

case('get_all', function()
    local c = fresh()
    local lan = { ['.anonymous'] = false, ['.type'] = 'interface', ['.name'] = 'lan', proto = 'static', dns = { '192.0.2.1', '192.0.2.2' } }
    gives(lan, c:get_all('network_test.lan'))
    gives(lan, c:get_all('network_test', 'lan'))
    gives('static', c:get_all('network_test', 'lan', 'proto'))
    local all = c:get_all('network_test')
    lan['.index'] = 0
    T.eq(all.lan, lan)
    T.eq(all.cfg0292bd, { ['.anonymous'] = true, ['.type'] = 'rule', ['.name'] = 'cfg0292bd', ['.index'] = 1, name = "it's" })
    T.eq(all.named['.index'], 2)
    all.lan.proto = 'changed'
    gives('static', c:get('network_test.lan.proto'))
    none('Entry not found', c:get_all('network_test.missing'))
    none('Entry not found', c:get_all('network_test.missing.option'))
    none('Entry not found', c:get_all('network_test.lan.missing'))
    none('Entry not found', c:get_all('network_test', '@rule[2]'))
    none('Entry not found', c:get_all('missing_test'))
end)

case('load and unload', function()
    local c = fresh()
    gives(false, c:unload('network_test'))
    gives(true, c:load('network_test'))
    gives(true, c:set('network_test.lan.proto=dhcp'))
    gives('dhcp', c:get('network_test.lan.proto'))
    gives(true, c:load('network_test'))
    gives('static', c:get('network_test.lan.proto'))
    gives(true, c:unload('network_test.lan.proto'))
    gives(false, c:unload('network_test'))
    gives(false, c:unload('\xff'))
    refused('Entry not found', c:load('missing_test'))
    refused('Invalid argument', c:load(''))
    refused('Invalid argument', c:load('a b'))
    refused('Invalid argument', c:load('\xff'))
    refused('Invalid argument', c:load('../etc'))
    T.raises('bad argument #1', function() c:load() end)
    T.raises('bad argument #1', function() c:unload({}) end)
    for broken, place in pairs {
        ['foo bar\n'] = 'invalid command) at line 1, byte 0',
        ['config'] = 'config without name) at line 0, byte 0',
        ['config t n x\n'] = 'too many arguments) at line 1, byte 13',
        ["config t n\noption a 'x\ny\n"] = "EOF with unterminated ') at line 3, byte 14",
    } do
        c = fresh(broken, 'broken_test')
        refused('Parse error (' .. place, c:load('broken_test'))
        none('Parse error (' .. place, c:get('broken_test.a.b'))
        -- The place belongs to the one message.
        refused('Entry not found', c:load('missing_test'))
    end
    os.remove(CONFIG .. '/broken_test')
end)

case('set', function()
    local c = fresh()
    gives(true, c:set('network_test.lan.proto=dhcp'))
    gives(true, c:set('network_test', 'lan', 'mtu', 1500))
    gives(true, c:set('network_test', 'lan', 'ratio', 1.5))
    gives(true, c:set('network_test', 'lan', 'bytes', '\xff\n\t'))
    T.eq({ c:get('network_test.lan.mtu'), c:get('network_test.lan.ratio'), c:get('network_test.lan.bytes') }, { '1500', '1.5', '\xff\n\t' })
    gives(true, c:set('network_test.wan=interface'))
    gives(true, c:set('network_test', 'guest', 'interface'))
    T.eq({ c:get('network_test.guest') }, { 'interface', 'guest' })
    gives(true, c:set('network_test', 'guest', 'bridge'))
    T.eq({ c:get('network_test.guest') }, { 'bridge', 'guest' })
    gives(true, c:set('network_test', 'lan', 'proto'))
    T.eq({ c:get('network_test.lan') }, { 'proto', 'lan' })
    gives('dhcp', c:get('network_test.lan.proto'))
    gives(true, c:set('network_test.lan.mtu='))
    gives(true, c:set('network_test.lan.mtu='))
    none('Entry not found', c:get('network_test.lan.mtu'))
    gives(true, c:set('network_test', 'guest', ''))
    gives(true, c:set('network_test', 'guest', ''))
    none('Invalid argument', c:get('network_test.guest'))
    gives(true, c:set('network_test', 'lan', 'dns', 'one'))
    gives('one', c:get('network_test.lan.dns'))

    refused('Invalid argument', c:set('network_test'))
    refused('Invalid argument', c:set('network_test.lan'))
    refused('Invalid argument', c:set('network_test', 'lan'))
    refused('Invalid argument', c:set('network_test.missing.option=1'))
    refused('Invalid argument', c:set('network_test', 'missing', 'option', '1'))
    refused('Invalid argument', c:set('network_test', '@rule[9]', 'rule'))
    refused('Invalid argument', c:set('network_test', 'bad name', 'rule'))
    refused('Invalid argument', c:set('network_test', 'lan', 'bad name', '1'))
    refused('Invalid argument', c:set('network_test', 'lan', 'a\0b', '1'))
    refused('Invalid argument', c:set('network_test', 'lan', 'a', '1\0'))
    refused('Invalid argument', c:set('network_test', 'lan', 'a', '\27'))
    refused('Invalid argument', c:set('network_test', 'lan', 'bad type'))
    refused('Invalid argument', c:set('network_test', 'lan', '\xff'))
    refused('Entry not found', c:set('missing_test.a=b'))
    T.raises("bad argument #4 to 'set' (string expected, got boolean)", function() c:set('network_test', 'lan', 'a', true) end)
    T.raises("bad argument #3 to 'set' (string expected, got table)", function() c:set('network_test', 'lan', {}) end)
    T.raises('bad argument #2', function() c:set('network_test', nil, 'a', 'b') end)
    T.raises('invalid argument count', function() c:set('network_test', 'lan', 'a', 'b', 'c') end)
end)

case('lists', function()
    local c = fresh()
    local function list(value)
        gives(true, c:set('network_test', 'lan', 'dns', value))
        return c:get('network_test.lan.dns')
    end
    T.eq(list { 'a', 2, 3.5 }, { 'a', '2', '3.5' })
    T.eq(list { 'alone' }, { 'alone' })
    T.eq(list { 'x', '', 'x' }, { 'x', '', 'x' })
    local long = {}
    for i = 1, 5000 do long[i] = tostring(i) end
    T.eq(list(long), long)
    T.raises('Cannot set an uci option to an empty table value', function() c:set('network_test', 'lan', 'dns', {}) end)
    T.raises("bad argument #4 to 'set' (string expected, got boolean)", function() c:set('network_test', 'lan', 'dns', { 'a', true }) end)
    refused('Invalid argument', c:set('network_test', 'missing', 'dns', { 'a' }))
    refused('Invalid argument', c:set('network_test', 'lan', 'dns', { 'a', '\1' }))
    T.eq(c:get('network_test.lan.dns'), long)
    gives(true, c:set('network_test', 'lan', 'dns', { 'a', 'b', 'c' }))
    gives(true, c:delete('network_test.lan.dns=1'))
    T.eq(c:get('network_test.lan.dns'), { 'a', 'c' })
    gives(true, c:delete('network_test.lan.dns=9'))
    gives(true, c:delete('network_test.lan.dns=x'))
    gives(true, c:delete('network_test', 'lan', 'dns', 0))
    T.eq(c:get('network_test.lan.dns'), { 'c' })
    gives(true, c:delete('network_test.lan.dns=0'))
    T.eq(c:get('network_test.lan.dns'), {})
    gives(true, c:commit('network_test'))
    gives(true, c:load('network_test'))
    none('Entry not found', c:get('network_test.lan.dns'))
end)

case('add, rename, delete, reorder', function()
    local c = fresh()
    gives('cfg0492bd', c:add('network_test', 'rule'))
    none('Entry not found', c:add('missing_test', 'rule'))
    none('Invalid argument', c:add('network_test', 'bad type'))
    none('Invalid argument', c:add('network_test', '\xff'))
    T.raises('bad argument #2', function() c:add('network_test') end)

    gives(true, c:rename('network_test', '@rule[2]', 'last'))
    gives(true, c:rename('network_test.lan=local'))
    gives(true, c:rename('network_test.local.proto=protocol'))
    gives(true, c:rename('network_test', 'local', 'dns', 'servers'))
    gives('static', c:get('network_test.local.protocol'))
    T.eq(c:get_all('network_test.last')['.anonymous'], false)
    refused('Entry not found', c:rename('network_test.missing=a'))
    refused('Entry not found', c:rename('network_test.local.missing=a'))
    refused('Invalid argument', c:rename('network_test.missing.option=a'))
    refused('Invalid argument', c:rename('network_test.local'))
    refused('Invalid argument', c:rename('network_test', 'local'))
    refused('Invalid argument', c:rename('network_test'))
    refused('Invalid argument', c:rename('network_test', 'local', 'not a name'))
    refused('Duplicate entry', c:rename('network_test', 'local', 'named'))
    refused('Duplicate entry', c:rename('network_test.local.servers=protocol'))
    T.raises('bad argument #3', function() c:rename('network_test', 'local', {}) end)

    local function order()
        local names = {}
        c:foreach('network_test', function(s)
            T.eq(s['.index'], #names)
            names[#names + 1] = s['.name']
        end)
        return table.concat(names, ' ')
    end
    T.eq(order(), 'local cfg0292bd named last')
    gives(true, c:reorder('network_test.last=0'))
    T.eq(order(), 'last local cfg0292bd named')
    gives(true, c:reorder('network_test', 'last', 2))
    gives(true, c:reorder('network_test', 'local', '99'))
    T.eq(order(), 'cfg0292bd last named local')
    gives(true, c:reorder('network_test', 'named', -5))
    T.eq(order(), 'named cfg0292bd last local')
    gives(true, c:reorder('network_test', 'last', 'first'))
    T.eq(order(), 'last named cfg0292bd local')
    refused('Invalid argument', c:reorder('network_test.last.option=1'))
    refused('Invalid argument', c:reorder('network_test', 'last', 'option', 1))
    refused('Invalid argument', c:reorder('network_test.missing=1'))
    refused('Invalid argument', c:reorder('network_test.last'))
    refused('Invalid argument', c:reorder('network_test', 'last'))
    T.raises('bad argument #3', function() c:reorder('network_test', 'last', {}) end)

    gives(true, c:delete('network_test.local.protocol'))
    gives(true, c:delete('network_test', 'local', 'servers'))
    gives(true, c:delete('network_test', '@rule[-1]'))
    gives(true, c:delete('network_test.last=3'))
    T.eq(order(), 'named local')
    refused('Entry not found', c:delete('network_test.last'))
    refused('Entry not found', c:delete('network_test.last.option'))
    refused('Entry not found', c:delete('network_test.local.protocol'))
    refused('Invalid argument', c:delete('network_test'))
end)

case('save, commit, revert', function()
    local c, other = fresh(), uci.cursor(CONFIG, SAVED)
    gives(true, c:save('network_test'))
    assert(not file.access(SAVED .. '/network_test'))
    gives(true, other:load('network_test'))
    c:set('network_test.lan.proto=dhcp')
    T.eq(other:get('network_test.lan.proto'), 'static')
    gives(true, c:save('network_test.ignored'))
    T.eq(file.readfile(SAVED .. '/network_test'), "network_test.lan.proto='dhcp'\n")
    T.eq(text(), NETWORK)
    other:set('network_test.lan.mtu=1500')
    gives(true, other:commit('network_test'))
    T.eq(text(), (NETWORK:gsub("'static'", "'dhcp'"):gsub("(list dns '192.0.2.2'\n)", "%1\toption mtu '1500'\n")))
    T.eq(other:get('network_test.lan.proto'), 'dhcp')
    T.eq(file.readfile(SAVED .. '/network_test'), '')

    c:load('network_test')
    c:set('network_test.lan.proto=none')
    c:set('network_test.named.x=1')
    gives(true, c:revert('network_test.named'))
    T.eq({ c:get('network_test.lan.proto'), (c:get('network_test.named.x')) }, { 'none' })
    c:set('network_test.named.x=1')
    gives(true, c:revert('network_test', 'lan', 'proto'))
    T.eq({ c:get('network_test.lan.proto'), (c:get('network_test.named.x')) }, { 'dhcp', '1' })
    gives(true, c:revert('network_test'))
    gives(true, c:revert('network_test'))
    none('Entry not found', c:get('network_test.named.x'))

    refused('Entry not found', c:save('missing_test'))
    refused('Entry not found', c:commit('missing_test'))
    refused('Entry not found', c:revert('missing_test'))
    refused('Invalid argument', c:save('network_test', 'lan'))
    refused('Invalid argument', c:commit('network_test', 'lan'))
    for _, name in ipairs { 'save', 'commit', 'revert' } do
        T.raises('string expected, got no value', function() c[name](c) end)
    end

    -- A folder that is none.
    assert(file.writefile(T.path('plain'), ''))
    local bad = uci.cursor(CONFIG, T.path('plain'))
    bad:set('network_test.lan.proto=dhcp2')
    refused('I/O error', bad:save('network_test'))
    refused('I/O error', bad:commit('network_test'))
end)

case('files by their path', function()
    local path = T.path('direct_test')
    assert(file.writefile(path, NETWORK))
    local c = fresh()
    gives('static', c:get(path .. '.lan.proto'))
    gives(true, c:set(path, 'lan', 'proto', 'dhcp'))
    refused('Invalid argument', c:revert(path))
    gives(true, c:commit(path))
    T.eq(file.readfile(path), (NETWORK:gsub("'static'", "'dhcp'")))
    assert(file.writefile(T.path('network_test'), ''))
    gives(true, c:load('network_test'))
    refused('Duplicate entry', c:load(T.path('network_test')))
end)

case('list_configs', function()
    local c = fresh()
    assert(file.writefile(CONFIG .. '/a_test', ''))
    assert(file.writefile(CONFIG .. '/with.dot', ''))
    gives({ 'a_test', 'network_test' }, c:list_configs())
    c:set_confdir(T.path('nothing'))
    refused('Entry not found', c:list_configs())
    assert(file.mkdir(T.path('nothing')))
    refused('Entry not found', c:list_configs())
end)

case('foreach and each', function()
    local c = fresh()
    local function names(kind)
        local found = {}
        for s in c:each('network_test', kind) do found[#found + 1] = s['.name'] .. s['.index'] end
        return table.concat(found, ' ')
    end
    T.eq(names(), 'lan0 cfg0292bd1 named2')
    T.eq(names('rule'), 'cfg0292bd1 named2')
    T.eq(names({}), names())
    T.eq(names('nothing'), '')
    for _ in c:each('missing_test') do error('none') end
    for _ in c:each('') do error('none') end
    local iterator = c:each('network_test.lan')
    for _ = 1, 3 do assert(iterator()) end
    for _ = 1, 3 do T.eq(select('#', iterator()), 0) end
    T.raises('bad argument #1', function() c:each() end)

    local seen
    local function count(result)
        seen = 0
        return function(s)
            assert(s['.name'])
            seen = seen + 1
            return result
        end
    end
    gives(true, c:foreach('network_test', count()))
    T.eq(seen, 3)
    gives(true, c:foreach('network_test', nil, count(0)))
    T.eq(seen, 3)
    gives(true, c:foreach('network_test', 'rule', count()))
    T.eq(seen, 2)
    gives(true, c:foreach('network_test', 'nothing', count()))
    gives(true, c:foreach('network_test', count(false)))
    T.eq(seen, 1)
    gives(false, c:foreach('missing_test', count()))
    T.eq(seen, 0)
    local mark = {}
    T.eq({ pcall(c.foreach, c, 'network_test', function() error(mark) end) }, { false, mark })
    T.raises("bad argument #1 to 'foreach' (string expected, got boolean)", function() c:foreach(true, print) end)
    T.raises("bad argument #2 to 'foreach' (string expected, got table)", function() c:foreach('network_test', {}, print) end)
    T.raises('(function expected, got no value)', function() c:foreach('missing_test') end)
    T.raises('(function expected, got no value)', function() c:foreach('missing_test', 'rule') end)
    local message = T.raises("bad argument #3 to 'foreach' (function expected, got number)", function() c:foreach('network_test', 'rule', 5) end)
    assert(message:find('^[%w_-]*%.lua:%d+: '), message)

    -- The callback may wait.
    local turns = 0
    local other = eco.run(function()
        while turns < 3 do eco.sleep(0) end
    end)
    gives(true, c:foreach('network_test', function()
        eco.sleep(0.001)
        turns = turns + 1
    end))
    T.await(function() return coroutine.status(other) == 'dead' end)
end)

case('changes during a walk', function()
    local c = fresh()
    local seen = {}
    for s in c:each('network_test') do
        seen[#seen + 1] = s['.name']
        c:delete('network_test', s['.name'])
        if #seen == 1 then c:add('network_test', 'rule') end
    end
    T.eq(seen, { 'lan', 'cfg0292bd', 'named' })
    c:load('network_test')
    for _, change in ipairs { 'load', 'unload', 'commit', 'revert', 'save' } do
        local rounds = 0
        for _ in c:each('network_test') do
            c[change](c, 'network_test')
            rounds = rounds + 1
            c:load('network_test')
        end
        T.eq(rounds, 3)
    end
    local rounds = 0
    c:foreach('network_test', function()
        c:unload('network_test')
        rounds = rounds + 1
    end)
    T.eq(rounds, 1)
    for _ in c:each('network_test') do c:close() end
    T.raises('UCI context closed', c.each, c, 'network_test')
    -- The walk keeps the cursor.
    local walk = fresh():each('network_test')
    collectgarbage()
    collectgarbage()
    T.eq(walk()['.name'], 'lan')
end)

case('finalisers that come back', function()
    local c = fresh()
    local errors = 0
    local function trap()
        setmetatable({}, { __gc = function()
            local ok, message = pcall(c.close, c)
            if not ok then
                assert(tostring(message):find('UCI context is in use', 1, true))
                errors = errors + 1
            end
        end })
    end
    collectgarbage('generational')
    for _ = 1, 2000 do
        trap()
        pcall(c.get_all, c, 'network_test')
        c = uci.cursor(CONFIG, SAVED)
    end
    collectgarbage('incremental')
end)

case('locked files are waited for, but not for ever', function()
    local c = fresh()
    -- Whoever keeps the lock is another process.
    local p = assert(sys.exec('flock', CONFIG .. '/network_test', 'sh', '-c', 'echo ready; sleep 0.3'))
    assert(p:read_stdout('l'):find('ready'))
    local start = time.now(true)
    gives(true, c:load('network_test'))
    assert(time.now(true) - start > 0.1)
    p:wait()
    p:close()
end)

case('ten thousand lines', function()
    local lines = {}
    for i = 1, 1250 do
        lines[#lines + 1] = ("config rule 'r%d'"):format(i)
        for j = 1, 7 do lines[#lines + 1] = ("\toption o%d 'value %d'"):format(j, i) end
    end
    local c = fresh(table.concat(lines, '\n') .. '\n', 'long_test')
    local sections, options = 0, 0
    for s in c:each('long_test') do
        sections = sections + 1
        for name, value in pairs(s) do
            if name:byte() ~= 46 then options = options + #value end
        end
    end
    T.eq(sections, 1250)
    assert(options > 7 * 1250 * 7)
    os.remove(CONFIG .. '/long_test')
end)
