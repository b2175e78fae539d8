-- How a state with a scheduler of `eco`'s takes part: its coroutines wait, and one of them takes events.

local I, eco = ...

local native = I.native
local error, select, unpack, xpcall = error, select, table.unpack, xpcall
local running, yield, isyieldable = coroutine.running, coroutine.yield, coroutine.isyieldable

-- Whether a coroutine takes events, and whether it waits for the next one.
local pumping, idle = false, false
-- Whether somebody was woken who is to run before the next event: it may wait for that.
local woken = false

local function take(...)
    idle = false
    return I.dispatch(...)
end

local function pump()
    -- Whoever begins this is on the way to its wait, and may be meant by the first event.
    eco.yield()
    while I.active > 0 or native.live() > 0 do
        idle = true
        if not take(native.next()) then break end
        if woken then
            woken = false
            eco.yield()
        end
    end
    pumping = false
end

-- The more or less there is to wait for. An event ends the wait for none.
function I.hold(change)
    I.active = I.active + change
    if not pumping then
        pumping = true
        eco.run(pump)
    elseif I.active == 0 and idle then
        native.again(0)
    end
end

-- Calls since others had their turn, which they get now and then whatever is called.
local calls = 0
-- How many have them at the moment, each in the middle of a call that does not wait.
local resting = 0
local rest = setmetatable({}, { __close = function() resting = resting - 1 end })

function I.rest()
    calls = calls + 1
    if calls < 32 or not isyieldable() then return end
    calls = 0
    resting = resting + 1
    local _<close> = rest
    eco.yield()
end

-- Whether somebody did, who may receive next.
function I.has_rested()
    if resting == 0 then return false end
    eco.yield()
    return true
end

-- Who receives must not rest before that: what comes meanwhile would find nobody.
function I.enter(receives)
    if not receives then I.rest() end
    local co, is_main = running()
    if is_main or not isyieldable() then error(I.NOT_YIELDABLE, 3) end
    return { co = co }
end

-- Whoever resumes the coroutine meanwhile gets it back.
function I.park(ticket)
    repeat yield() until ticket.n
    return unpack(ticket, 1, ticket.n)
end

function I.wake(ticket, ...)
    ticket.n = select('#', ...)
    for i = 1, ticket.n do ticket[i] = select(i, ...) end
    woken = true
    eco.resume(ticket.co)
end

local function guarded(f, ...)
    xpcall(f, native.error, ...)
end

function I.begin(f, ...)
    eco.run(guarded, f, ...)
end

-- The program `node-lua`: runs the script that the arguments name, and waits for all contexts.
function I.main(_, arguments)
    if not arguments[1] then
        native.print('Error: node-lua needs a lua file to be the entry!\n')
        os.exit(255, true)
    end
    local time = require 'eco.time'
    local start = time.now(true)
    native.leave()
    eco.run(function()
        native.create(unpack(arguments))
        while native.live() > 0 do
            if not native.next() then return end
        end
        native.print(('Process used %.3f sec total!\n'):format(time.now(true) - start))
    end)
end
