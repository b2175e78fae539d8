-- What every checked script starts with: assertions, and a count of what it leaves behind.
--
--   T.eq(actual, expected [, what])      deep equality
--   T.raises(text, f, ...)               f(...) raises an error holding the text
--   T.fails(text, ...)                   ... are nil and a message holding the text:  T.fails('timeout', c:wait(0.1))
--   T.text(text)                         an error's text, given in glibc's words, in those of the C library at work
--   T.took(low, high, f, ...)            f(...) takes at least low and at most high seconds; gives its results
--   T.all(f, g, ...)                     runs the functions as coroutines and waits until all have ended
--   T.gather()                           an object with :run(f, ...) and :wait()
--   T.await(condition)                   waits until condition() is true, and gives that
--   T.free_port()                        a port of loopback that nobody listens on
--   T.settle()                           gives other coroutines time to end
--   T.scratch, T.path(name)              a folder of its own
--   T.interpreter                        the words that start the interpreter, for scripts that start another
--   T.emulated, T.slow                   whether the machine is emulated; a factor for upper bounds of time, above 1
--                                        also where the memory is watched
--   T.sanitized                          whether memory is watched: then what was freed is kept for a while
--   T.watchdog                           the watchdog's timeout in these tests
--   T.once                               how many descriptors of a kind may be open for good
--   T.plain                              whether the host is the stock lua5.4
--   case('what must hold', function() … end)   runs the function and counts what it left behind

local plain = _G.eco == nil
local eco = require 'eco'
local file = require 'eco.file'
local time = require 'eco.time'

local T = {
    plain = plain,
    emulated = os.getenv('TEST_EMULATED') == '1',
    sanitized = os.getenv('TEST_SANITIZED') == '1',
    scratch = os.getenv('TEST_SCRATCH'),
    interpreter = {},
}
T.slow = os.getenv('TEST_SLOW') == '1' and 20 or 1
T.musl = require 'eco.sys'.strerror(9999):find('^No error information') ~= nil

for word in (os.getenv('TEST_INTERPRETER') or ''):gmatch('[^\n]+') do
    T.interpreter[#T.interpreter + 1] = word
end

function T.path(name)
    return T.scratch .. '/' .. name
end

local function show(value)
    if type(value) == 'string' then
        return #value > 300 and ('%q...(%d bytes)'):format(value:sub(1, 300), #value) or ('%q'):format(value)
    elseif type(value) ~= 'table' then
        return tostring(value)
    end
    local parts = {}
    for key, item in pairs(value) do
        parts[#parts + 1] = tostring(key) .. '=' .. show(item)
    end
    table.sort(parts)
    return '{' .. table.concat(parts, ', ') .. '}'
end

local function same(a, b)
    if type(a) ~= 'table' or type(b) ~= 'table' then
        return a == b and math.type(a) == math.type(b)
    end
    for key, value in pairs(a) do
        if not same(value, b[key]) then return false end
    end
    for key in pairs(b) do
        if a[key] == nil then return false end
    end
    return true
end

function T.eq(actual, expected, what)
    if not same(actual, expected) then
        error(('%s%s, expected %s'):format(what and what .. ': ' or '', show(actual), show(expected)), 2)
    end
end

function T.raises(text, f, ...)
    local results = table.pack(pcall(f, ...))
    if results[1] then
        error(('returned %s instead of raising %s'):format(show({ table.unpack(results, 2, results.n) }), show(text)), 2)
    end
    if not tostring(results[2]):find(text, 1, true) then
        error(('raised %s, expected %s'):format(show(results[2]), show(text)), 2)
    end
    return results[2]
end

-- How musl words what the scripts state in the words of glibc.
local wordings = {
    ['Too many open files'] = 'No file descriptors available',
    ['Message too long'] = 'Message too large',
    ['Operation not supported'] = 'Not supported',
    ['Transport endpoint is not connected'] = 'Socket not connected',
    ['Address already in use'] = 'Address in use',
    ['Cannot assign requested address'] = 'Address not available',
    ['No child processes'] = 'No child process',
    ['Input/output error'] = 'I/O error',
    ['Device or resource busy'] = 'Resource busy',
    ['Inappropriate ioctl for device'] = 'Not a tty',
}

-- The text of an error in the words of the C library at work.
function T.text(text)
    if T.musl then
        for glibc, musl in pairs(wordings) do
            text = text:gsub(glibc, musl)
        end
    end
    return text
end

function T.fails(text, ...)
    text = T.text(text)
    -- The emulator hands on the host's number of a socket's pending error.
    if T.emulated then
        text = text:gsub('Connection refused$', '')
    end
    local count, first, message = select('#', ...), ...
    if count < 2 or first ~= nil or type(message) ~= 'string' or not message:find(text, 1, true) then
        error(('%s, expected nil and %s'):format(show({ n = count, first, message }), show(text)), 2)
    end
end

function T.took(low, high, f, ...)
    local start = time.now()
    local results = table.pack(f(...))
    local seconds = time.now() - start
    -- The wall clock may be slewed a little while the monotonic one is not.
    if seconds < low * 0.999 or seconds > high * T.slow then
        error(('took %.4f s, expected %.4f to %.4f'):format(seconds, low, high * T.slow), 2)
    end
    return table.unpack(results, 1, results.n)
end

-- A waiting room built on eco.run and eco.sleep alone, so that the modules under test are not needed for it.
function T.gather()
    local group, running = {}, 0
    function group:run(f, ...)
        running = running + 1
        return eco.run(function(...)
            f(...)
            running = running - 1
        end, ...)
    end
    function group:wait(limit)
        local deadline = time.now() + (limit or 10) * T.slow
        while running > 0 do
            if time.now() > deadline then
                error(('%d coroutines never ended'):format(running), 2)
            end
            eco.sleep(0.001)
        end
    end
    return group
end

function T.all(...)
    local group = T.gather()
    for _, f in ipairs { ... } do
        group:run(f)
    end
    group:wait()
end

local function descriptors()
    local found = {}
    for name in file.dir('/proc/self/fd') do
        local target = file.readlink('/proc/self/fd/' .. name)
        -- The listing's own descriptor is gone by now, or points into /proc.
        if target and not target:find('^/proc/') then
            found[#found + 1] = target:gsub('%d+', 'N')
        end
    end
    table.sort(found)
    return found
end

local function registry_slots()
    local count = 0
    for key, value in pairs(debug.getregistry()) do
        if math.type(key) == 'integer' and math.type(value) == nil then
            count = count + 1
        end
    end
    return count
end

-- The runtime may open each of these once, when it first needs it.
local once = { ['anon_inode:[eventpoll]'] = 1, ['anon_inode:[eventfd]'] = 2, ['anon_inode:[signalfd]'] = 1, ['anon_inode:[timerfd]'] = 1 }

T.once = once

local function tally(list)
    local counts = {}
    for _, item in ipairs(list) do
        counts[item] = (counts[item] or 0) + 1
    end
    return counts
end

local function measure()
    return { fds = descriptors(), coroutines = eco.count(), slots = registry_slots() }
end

local function complaint(before, after)
    local had = tally(before.fds)
    for target, count in pairs(tally(after.fds)) do
        if count > math.max(had[target] or 0, once[target] or 0) then
            return ('leaked %d of %s'):format(count - (had[target] or 0), target)
        end
    end
    if after.coroutines > before.coroutines then
        return ('leaked %d coroutines'):format(after.coroutines - before.coroutines)
    end
    -- Modules loaded on the way, the reactor itself and its tables hold a few for good.
    if after.slots > before.slots + 4 then
        return ('leaked %d registry slots'):format(after.slots - before.slots)
    end
end

function T.await(condition)
    local stop = time.now() + 10 * T.slow
    while true do
        local result = condition()
        if result then return result end
        assert(time.now() < stop, 'waited in vain')
        eco.sleep(0.005)
    end
end

function T.free_port()
    local sock<close> = assert(require 'eco.socket'.listen_tcp('127.0.0.1', 0))
    return sock:getsockname().port
end

function T.settle()
    for _ = 1, 3 do
        eco.sleep(0)
    end
    collectgarbage()
    collectgarbage()
end

-- Finalizers and queued wake-ups may need a few turns; what is left after a second is leaked.
local function check(before)
    local deadline = time.now() + 1 * T.slow
    local problem
    repeat
        T.settle()
        problem = complaint(before, measure())
        if problem then eco.sleep(0.01) end
    until not problem or time.now() > deadline
    if problem then error(problem, 0) end
end

function T.case(what, f)
    T.settle()
    local before = measure()
    local function explain(message)
        return what .. ': ' .. debug.traceback(tostring(message), 2)
    end
    local ok, message = xpcall(f, explain)
    if not ok then error(message, 0) end
    ok, message = pcall(check, before)
    if not ok then error(what .. ': ' .. message, 0) end
end

-- An emulator on a busy machine takes seconds for what the watchdog of the real one would rightly report.
T.watchdog = T.slow > 1 and 0 or 5000

function T.main(script)
    eco.set_watchdog_timeout(T.watchdog)
    local function body()
        T.settle()
        local before = measure()
        script()
        check(before)
        assert(io.open(T.path('finished'), 'w')):close()
    end
    if plain then
        eco.run(body)
        assert(eco.loop())
    else
        body()
    end
end

return T
