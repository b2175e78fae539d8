-- Counts waits and calls, and tells on standard error what came of them. Loaded only where LUNET_TRACE is set, so
-- that nothing is paid for it elsewhere.

local sys = require 'eco.sys'

local function say(...)
    io.stderr:write(string.format(...), '\n')
end

-- Wraps the functions of `I` that park and resume.
return function(I, verbose)
    local T = {}
    local created, released, peak = 0, 0, 0
    local failed, places, domains = 0, {}, {}
    local udp = { binds = 0, tx = 0, rx = 0 }

    local function place()
        for level = 2, 12 do
            local info = debug.getinfo(level, 'Sl')
            if not info then break end
            if info.what ~= 'C' and not info.source:find('^=lunet') then
                return info.short_src .. ':' .. info.currentline
            end
        end
        return '?'
    end

    local wait = I.wait
    function I.wait(ticket)
        if ticket.n then return wait(ticket) end
        local at = place()
        created = created + 1
        peak = math.max(peak, created - released)
        places[at] = (places[at] or 0) + 1
        if verbose then say('[TRACE] COREF_ADD at %s (ref=%p, balance=%d, total_created=%d)', at, ticket, created - released, created) end
        ticket.place = at
        return wait(ticket)
    end

    local deliver = I.deliver
    function I.deliver(ticket, ...)
        local at = ticket.place
        if at then
            ticket.place = nil
            released = released + 1
            places[at] = places[at] > 1 and places[at] - 1 or nil
            if verbose then say('[TRACE] COREF_RELEASE at %s (ref=%p, balance=%d)', at, ticket, created - released) end
            if released > created then
                failed = failed + 1
                say('[TRACE] WARNING: Negative coref balance! Possible double-release.')
            end
        end
        return deliver(ticket, ...)
    end

    -- Counts the calls of a module's functions; `after` is what their returning is called.
    function T.count(domain, module, names, after)
        local counts = {}
        domains[#domains + 1] = { name = domain, counts = counts, order = names }
        local function returned(...)
            counts[after] = counts[after] + 1
            return ...
        end
        for _, name in ipairs(names) do
            local f = module[name]
            counts[name] = 0
            module[name] = function(...)
                counts[name] = counts[name] + 1
                if after then return returned(f(...)) end
                return f(...)
            end
        end
        if after then
            counts[after] = 0
            names[#names + 1] = after
        end
    end

    function T.bound(record, host, port)
        udp.binds = udp.binds + 1
        record.number, record.tx, record.rx = udp.binds, 0, 0
        if verbose then say('[UDP_TRACE] BIND #%d %s:%d', udp.binds, host, port) end
    end

    function T.sent(record, host, port, size)
        udp.tx, record.tx = udp.tx + 1, record.tx + 1
        if verbose then say('[UDP_TRACE] TX #%d -> %s:%d (%d bytes)', udp.tx, host, port, size) end
    end

    function T.received(record, from, size)
        udp.rx, record.rx = udp.rx + 1, record.rx + 1
        if verbose then say('[UDP_TRACE] RX #%d <- %s:%d (%d bytes)', udp.rx, from.ipaddr, from.port, size) end
    end

    function T.closed(record)
        if verbose then
            say('[UDP_TRACE] CLOSE (local: tx=%d rx=%d) (global: tx=%d rx=%d)', record.tx, record.rx, udp.tx, udp.rx)
        end
    end

    function T.finish()
        for _, domain in ipairs(domains) do
            local parts = {}
            for i, name in ipairs(domain.order) do parts[i] = name .. '=' .. domain.counts[name] end
            say('[%s_TRACE] SUMMARY: %s', domain.name, table.concat(parts, ' '))
        end
        say('[UDP_TRACE] SUMMARY: binds=%d tx=%d rx=%d', udp.binds, udp.tx, udp.rx)
        local balance = created - released
        say('========================================\n        LUNET TRACE SUMMARY\n========================================')
        say('Coroutine references:\n  Created:  %d\n  Released: %d\n  Balance:  %d\n  Peak:     %d', created, released, balance, peak)
        say('Checks failed: %d', failed)
        if next(places) then
            say('Outstanding references by location:')
            for at, count in pairs(places) do say('  %s: %d', at, count) end
        else
            say('All coroutine references properly balanced.')
        end
        if balance == 0 and failed == 0 then
            say('[TRACE] Assertion passed at shutdown: all refs balanced')
        else
            say('[TRACE] ASSERTION FAILED at shutdown: coref_balance=%d (expected 0)', balance)
            sys.kill(sys.getpid(), sys.SIGABRT)
        end
    end

    say('[TRACE] Coroutine reference tracing initialized')
    return T
end
