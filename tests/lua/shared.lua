-- Module `eco.shared`.

local shared = require 'eco.shared'
local eco = require 'eco'
local file = require 'eco.file'
local sys = require 'eco.sys'
local time = require 'eco.time'

local count = 0
local function unique()
    count = count + 1
    return ('test-%d-%d'):format(sys.getpid(), count)
end

local function path(name)
    return '/dev/shm/eco-shared-' .. name .. '.shm'
end

-- A dictionary, and its name.
local function fresh(size)
    local name = unique()
    return assert(shared.new(name, size or 10000)), name
end

-- Runs functions as processes of their own, and waits until they have ended well.
local function processes(...)
    local started = {}
    for i, f in ipairs { ... } do
        local _, process = sys.spawn(function()
            local ok, message = xpcall(f, debug.traceback)
            if not ok then io.stderr:write(message, '\n') end
            os.exit(ok and 0 or 1)
        end, true)
        started[i] = process
    end
    for _, process in ipairs(started) do
        local _, status = assert(process:wait(60 * T.slow))
        T.eq(status, { exited = true, status = 0 })
    end
end

case('values keep their types', function()
    local dict<close> = fresh()
    for _, value in ipairs { 1, 1.0, -1.5, math.maxinteger, math.mininteger, math.huge, true, false, '', 'text', '\0\255\n', ('x'):rep(3000) } do
        T.eq(dict:set('key', value), true)
        T.eq(dict:get('key'), value)
    end
    dict:set('key', 0 / 0)
    local nan = dict:get('key')
    assert(nan ~= nan)
    T.eq(select('#', dict:get('absent')), 0)
    for _, value in ipairs { {}, print, io.stdout } do
        T.eq({ dict:set('key', value) }, { nil, 'bad value type (only string/number/boolean)' })
    end
    T.fails('bad value type', dict:set('key', nil))
    T.fails('bad value type', dict:set('key'))
    -- Keys are any bytes; numbers become text.
    for _, key in ipairs { 'a', '\0', '\0\0', ('k'):rep(500), 12, 1.5 } do
        T.eq(dict:set(key, tostring(key)), true)
        T.eq(dict:get(tostring(key)), tostring(key))
    end
    T.raises('invalid key', dict.set, dict, '', 1)
    T.eq(select('#', dict:get('')), 0)
    T.raises('string expected', dict.get, dict)
    T.raises('string expected', dict.set, dict, {}, 1)
    for _, name in ipairs { 'set', 'get', 'del', 'incr', 'ttl', 'expire', 'get_keys', 'flush_all', 'close' } do
        T.raises('struct eco_shared', dict[name], {}, 'x', 1)
    end
end)

case('del and flush_all', function()
    local dict<close> = fresh()
    dict:set('a', 1)
    T.eq({ dict:del('a'), dict:del('a'), dict:del('b') }, { true, false, false })
    for i = 1, 50 do dict:set('k' .. i, i) end
    T.eq(#dict:get_keys(), 50)
    T.eq(select('#', dict:flush_all()), 0)
    T.eq(dict:get_keys(), {})
    T.eq(select('#', dict:get('k1')), 0)
    T.eq(dict:set('k1', 'again'), true)
    T.eq(dict:get_keys(), { 'k1' })
end)

case('get_keys in the order of storage', function()
    local dict<close> = fresh(100000)
    local keys = {}
    for i = 1, 500 do
        keys[i] = ('key %d '):format(i) .. ('x'):rep(i % 40)
        dict:set(keys[i], i)
    end
    T.eq(dict:get_keys(), keys)
    for i = 500, 1, -3 do
        dict:del(table.remove(keys, i))
    end
    T.eq(dict:get_keys(), keys)
end)

case('incr', function()
    local dict<close> = fresh()
    T.eq(select('#', dict:incr('n', 1)), 0)
    dict:set('n', 1)
    T.eq({ dict:incr('n', 5), dict:incr('n', -10), dict:get('n') }, { 6, -4, -4 })
    T.eq({ dict:incr('n', 0.5), dict:get('n'), dict:incr('n', 1) }, { -3.5, -3.5, -2.5 })
    dict:set('n', math.maxinteger)
    T.eq(dict:incr('n', 1), 0x1p63, 'no wrapping')
    dict:set('n', 1)
    T.eq(dict:incr('n', '2'), 3)
    dict:set('s', 'text')
    dict:set('b', true)
    T.eq({ dict:incr('s', 1) }, { nil, 'not a number' })
    T.eq({ dict:incr('b', 1) }, { nil, 'not a number' })
    T.raises('delta must be finite', dict.incr, dict, 'n', math.huge)
    T.raises('delta must be finite', dict.incr, dict, 'n', 0 / 0)
    T.raises('number expected', dict.incr, dict, 'n')
    T.raises('number expected', dict.incr, dict, 'n', 'x')
    -- With a time it replaces that of before, without it keeps it.
    dict:set('t', 1, 10)
    dict:incr('t', 1)
    assert(dict:ttl('t') > 9)
    dict:incr('t', 1, 100)
    assert(dict:ttl('t') > 99)
    dict:incr('t', 1, 0)
    T.eq({ dict:ttl('t'), dict:get('t') }, { 0.0, 4 })
end)

case('times', function()
    local dict<close> = fresh(200)
    T.eq(select('#', dict:ttl('a')), 0)
    T.eq(select('#', dict:expire('a', 1)), 0)
    for _, never in ipairs { 0, -1, -0.0 } do
        dict:set('a', 'x', never)
        T.eq(dict:ttl('a'), 0.0)
    end
    dict:set('a', 'x', nil)
    T.eq(dict:ttl('a'), 0.0)
    T.eq(dict:expire('a', 100), true)
    local left = dict:ttl('a')
    assert(math.type(left) == 'float' and left > 99 and left <= 100)
    dict:expire('a', 0)
    T.eq({ dict:ttl('a'), dict:get('a') }, { 0.0, 'x' })
    dict:set('a', 'x', 0.05)
    T.eq(dict:get('a'), 'x')
    T.await(function() return dict:get('a') == nil end)
    T.eq({ select('#', dict:ttl('a')), select('#', dict:expire('a', 1)), dict:del('a') }, { 0, 0, false })
    T.eq(dict:get_keys(), {})
    -- What has expired makes room.
    dict:set('old', ('x'):rep(150), 0.02)
    T.fails('no memory', dict:set('new', ('y'):rep(150)))
    T.await(function() return dict:set('new', ('y'):rep(150)) end)
    T.eq(dict:get_keys(), { 'new' })
    for _, bad in ipairs { math.huge, -math.huge, 0 / 0 } do
        T.raises('exptime must be finite', dict.set, dict, 'a', 1, bad)
        T.raises('exptime must be finite', dict.expire, dict, 'new', bad)
        T.raises('exptime must be finite', dict.incr, dict, 'a', 1, bad)
    end
    T.raises('number expected', dict.set, dict, 'a', 1, {})
    T.raises('number expected', dict.expire, dict, 'a')
    dict:flush_all()
    dict:set('far', 1, 1e300)
    assert(dict:ttl('far') > 1e9)
end)

case('room', function()
    local dict<close> = fresh(100)
    -- 24 bytes for a record beside key and value.
    T.eq({ dict:set('key', ('x'):rep(74)) }, { nil, 'no memory' })
    T.eq(dict:set('key', ('x'):rep(73)), true)
    T.eq({ dict:set('key', 'new') }, { nil, 'no memory' })
    T.eq(dict:get('key'), ('x'):rep(73), 'the old value stays')
    T.eq({ dict:set('b', true) }, { nil, 'no memory' })
    dict:del('key')
    for i = 1, 1000 do
        T.eq(dict:set('a', tostring(i)), true)
        T.eq(dict:set('n', i), true)
    end
    T.eq({ dict:get('a'), dict:get('n') }, { '1000', 1000 })
end)

case('many keys are found at once', function()
    local dict<close> = fresh(4 << 20)
    for i = 1, 40000 do assert(dict:set('key ' .. i, i)) end
    local start = os.clock()
    for i = 1, 40000 do assert(dict:get('key ' .. i) == i) end
    local used = os.clock() - start
    -- Looking at one after the other would take minutes.
    assert(used < 2 * T.slow, used)
    T.eq(#dict:get_keys(), 40000)
end)

case('names and sizes', function()
    T.eq({ shared.new('a/b', 1) }, { nil, 'invalid name' })
    T.eq({ shared.get('../x') }, { nil, 'invalid name' })
    T.eq({ shared.new(('x'):rep(232), 1) }, { nil, 'name too long' })
    T.eq({ shared.get(('x'):rep(232)) }, { nil, 'name too long' })
    T.fails('Invalid argument', shared.get('a\0b'))
    T.fails('No such file or directory', shared.get(unique()))
    T.raises('size must be great than 0', shared.new, 'x', 0)
    T.raises('size must be great than 0', shared.new, 'x', -1)
    T.raises('number expected', shared.new, 'x')
    T.raises('string expected', shared.new)
    T.raises('string expected', shared.get)
    T.fails('File too large', shared.new(unique(), 1 << 40))
    local long = unique()
    long = long .. ('x'):rep(231 - #long)
    local dict<close> = assert(shared.new(long, 100))
    T.fails('File exists', shared.new(long, 100))
    local tiny<close> = fresh(1)
    T.fails('no memory', tiny:set('a', true))
    T.eq(tiny:get_keys(), {})
end)

case('the one that made it removes it', function()
    local dict, name = fresh()
    local other = assert(shared.get(name))
    dict:set('a', 1)
    other:set('b', 2)
    T.eq({ dict:get('b'), other:get('a') }, { 2, 1 })
    other:close()
    assert(shared.get(name)):close()
    other = assert(shared.get(name))
    dict:close()
    dict:close()
    T.fails('No such file or directory', shared.get(name))
    T.eq(other:get('a'), 1, 'who has it open goes on')
    for _, name in ipairs { 'set', 'get', 'del', 'incr', 'ttl', 'expire', 'get_keys', 'flush_all' } do
        T.eq({ dict[name](dict, 'a', 1) }, { nil, 'Bad file descriptor' })
    end
    local again<close> = assert(shared.new(name, 100))
    other:close()
    T.eq(again:get_keys(), {})
    do
        local gone <const> = assert(shared.new(name .. 'x', 100))
        gone:set('a', 1)
    end
    collectgarbage()
    collectgarbage()
    T.fails('No such file or directory', shared.get(name .. 'x'))
    -- Another one that took the name stays.
    local first, taken = fresh()
    os.remove(path(taken))
    local second<close> = assert(shared.new(taken, 100))
    first:close()
    assert(shared.get(taken)):close()
end)

case('files that are no dictionaries', function()
    local name = unique()
    local function with(content)
        assert(file.writefile(path(name), content))
        return shared.get(name)
    end
    T.fails('invalid shared memory file', with(''))
    T.fails('invalid shared memory file', with('short'))
    T.fails('invalid shared memory header', with(('x'):rep(200)))
    T.fails('invalid shared memory header', with(('\0'):rep(4096)))
    os.remove(path(name))
    assert(file.mkdir(path(name)))
    T.fails('', shared.get(name))
    assert(os.remove(path(name)))
    -- The header alone is trusted by nobody.
    local dict, other = fresh(1000)
    dict:set('a', 1)
    local content = assert(file.readfile(path(other)))
    dict:close()
    for length = 0, #content - 1, 7 do
        T.fails('invalid shared memory', with(content:sub(1, length)))
        os.remove(path(name))
    end
end)

case('a file that others spoil', function()
    for round = 1, 200 do
        local dict<close>, name = fresh(1000)
        for i = 1, 15 do dict:set('key' .. i, i % 2 == 0 and i or ('x'):rep(i)) end
        local f = assert(io.open(path(name), 'r+b'))
        for _ = 1, round do
            f:seek('set', math.random(16, 1100))
            f:write(string.char(math.random(0, 255)))
        end
        f:close()
        for i = 1, 15 do
            dict:get('key' .. i)
            dict:incr('key' .. i, 1)
            dict:ttl('key' .. i)
            dict:expire('key' .. i, 5)
        end
        dict:get_keys()
        dict:set('more', 'x')
        dict:flush_all()
        T.eq(dict:set('a', 'b'), true)
        T.eq({ dict:get('a'), dict:get_keys() }, { 'b', { 'a' } })
    end
    local dict<close>, name = fresh(100000)
    dict:set('a', 'b')
    assert(io.open(path(name), 'w')):close()
    T.fails('Input/output error', dict:get('a'))
    T.fails('Input/output error', dict:set('a', 'b'))
end)

case('many processes at once', function()
    local workers, rounds = 6, T.emulated and 50 or 1500
    local dict<close>, name = fresh(20000)
    dict:set('sum', 0)
    local jobs = {}
    for worker = 1, workers do
        jobs[worker] = function()
            -- Half of them use what they inherited, half open it.
            local mine = worker % 2 == 0 and dict or assert(shared.get(name))
            for i = 1, rounds do
                assert(mine:incr('sum', 1))
                assert(mine:set('last' .. worker, ('%d'):format(i):rep(worker)))
                if i % 5 == 0 then assert(mine:set('t' .. i % 50, i, 0.001)) end
                if i % 7 == 0 then mine:del('t' .. i % 50) end
                if i % 100 == 0 then assert(mine:get_keys()) end
                local other = mine:get('last' .. (worker % workers + 1))
                assert(other == nil or #other % (worker % workers + 1) == 0)
            end
        end
    end
    processes(table.unpack(jobs))
    T.eq(dict:get('sum'), workers * rounds)
    for worker = 1, workers do
        T.eq(dict:get('last' .. worker), ('%d'):format(rounds):rep(worker))
    end
    -- The children's ends have not removed it.
    assert(shared.get(name)):close()
end)

case('parent and child exclude each other', function()
    local dict<close> = fresh()
    dict:set('n', 0)
    local rounds = T.emulated and 100 or 3000
    local _, process = sys.spawn(function()
        for _ = 1, rounds do dict:incr('n', 1) end
    end, true)
    for _ = 1, rounds do dict:incr('n', 1) end
    process:wait()
    T.eq(dict:get('n'), 2 * rounds)
end)

case('processes that are killed in the middle', function()
    local dict<close>, name = fresh(3000)
    dict:set('kept', 'here')
    local function value(key, length)
        return key:rep(length // #key + 1):sub(1, length)
    end
    for round = 1, T.emulated and 5 or 40 do
        local _, process = sys.spawn(function()
            local mine = assert(shared.get(name))
            while true do
                local key = 'k' .. math.random(1, 20)
                mine:set(key, value(key, math.random(0, 200)), math.random(0, 1) * 0.01)
                if math.random(1, 10) == 1 then mine:del(key) end
            end
        end, true)
        time.sleep(0.002 + round % 10 / 2000)
        process:kill()
        process:wait()
        T.took(0, 1, function()
            for _, key in ipairs(dict:get_keys()) do
                local found = dict:get(key)
                assert(found == nil or key == 'kept' or found == value(key, #found), key)
            end
        end)
        T.eq(dict:get('kept'), 'here')
    end
end)

-- Whoever stops while it holds the lock holds up nobody for long.
case('a process that stands still', function()
    local dict<close>, name = fresh(3 << 20)
    local held = false
    for _ = 1, 200 do
        local _, process = sys.spawn(function()
            local mine = assert(shared.get(name))
            local long = ('x'):rep(500000)
            while true do mine:set('a', long) end
        end, true)
        T.await(function() return dict:get('a') end)
        -- What was just read was just unlocked: the stop is to meet the writer anywhere in its round.
        time.sleep(math.random() * 0.003)
        process:signal(sys.SIGSTOP)
        time.sleep(0.005)
        local start = time.now(true)
        local ok, message = dict:set('b', 1)
        local waited = time.now(true) - start
        assert(waited < 2 * T.slow, waited)
        if not ok then
            held = true
            T.eq(message, 'Resource temporarily unavailable')
            -- Those that follow do not wait.
            T.took(0, 0.3, function()
                for _ = 1, 20 do T.fails('Resource temporarily unavailable', dict:get('a')) end
            end)
        end
        process:kill()
        process:wait()
        T.eq(dict:set('b', 1), true)
        T.eq(#dict:get('a'), 500000)
        if held then break end
    end
    assert(held or T.emulated, 'never stopped with the lock')
end)
