-- eco.ubus, when the daemon is restarted under load: everything is as it was.

local eco = require 'eco'
local socket = require 'eco.socket'
local time = require 'eco.time'
local ubus = require 'eco.ubus'

local FOLDER = os.getenv('UBUS_FOLDER')
local PATH = FOLDER .. '/ubus'

local function daemon(word)
    local s<close> = assert(socket.connect_unix(FOLDER .. '/control'))
    assert(s:send(word .. '\n'))
    assert(s:read('l', 10) == 'done')
end

daemon('start')

local CALLERS, OBJECTS = T.slow > 1 and 16 or 64, 100

local function await(what, condition)
    local stop = time.now(true) + 12 * T.slow
    while not condition() do
        assert(time.now(true) < stop, what)
        eco.sleep(0.01)
    end
end

case('restarts under load', function()
    local owner, user = assert(ubus.connect(PATH, true)), assert(ubus.connect(PATH, true))
    local handles = {}
    for i = 1, OBJECTS do
        handles[i] = assert(owner:add('object' .. i, { echo = { function(req, msg)
            if msg.n % 5 == 0 then eco.sleep(0.001) end
            owner:reply(req, msg)
        end, { n = ubus.INT32 } } }))
    end
    local events, notes, plain = 0, 0, 0
    assert(user:listen('restart.*', function() events = events + 1 end))
    assert(user:subscribe('object1', function() notes = notes + 1 end, true))
    assert(user:subscribe('object2', function() plain = plain + 1 end))

    local stopping, calls, failures, running = false, 0, {}, CALLERS
    for i = 1, CALLERS do
        eco.run(function()
            local n = 0
            while not stopping do
                n = n + 1
                local result, why = user:call('object' .. (n + i) % OBJECTS + 1, 'echo', { n = n }, 20 * T.slow)
                if result then
                    assert(result.n == n)
                    calls = calls + 1
                else
                    failures[why] = (failures[why] or 0) + 1
                    eco.sleep(0.02)
                end
            end
            running = running - 1
        end)
    end

    for _ = 1, 2 do
        local before = calls
        await('no calls', function() return calls > before + 500 / T.slow end)
        daemon('stop')
        await('not noticed', function() return owner.connection_lost and user.connection_lost end)
        assert(not owner:send('x'))
        daemon('start')
        await('not connected again', function() return not owner.connection_lost and not user.connection_lost end)
        before = calls
        await('no calls afterwards', function() return calls > before + 500 / T.slow end)
        -- Everything that was there, every object by name.
        await('objects are missing', function()
            local paths = {}
            for _, path in pairs(user:objects() or {}) do paths[path] = true end
            for i = 1, OBJECTS do
                if not paths['object' .. i] then return false end
            end
            return true
        end)
        T.eq(user:signatures('object7'), { echo = { n = ubus.INT32 } })
        local seen = { events, notes, plain }
        await('no event', function()
            owner:send('restart.event')
            return events > seen[1]
        end)
        await('no notification', function()
            owner:notify(handles[1], 'n')
            owner:notify(handles[2], 'n')
            return notes > seen[2] and plain > seen[3]
        end)
    end
    stopping = true
    await('callers hang', function() return running == 0 end)
    for why in pairs(failures) do
        -- The object is not there yet, or was not when it was called.
        assert(why == 'closed' or why == 'not found' or why == 'Not found', why)
    end
    owner:close()
    user:close()
end)

case('closing while the daemon is away', function()
    local before = eco.count()
    local con = assert(ubus.connect(PATH, true))
    daemon('stop')
    await('not noticed', function() return con.connection_lost end)
    eco.sleep(0.05)
    con:close()
    await('the coroutine goes on', function() return eco.count() == before end)
end)
