-- A service for OpenWrt: watches links, shows them in a browser, and answers on the message bus.
--
--     eco examples/linkwatch/linkwatch.lua [--confdir FOLDER] [--ubus SOCKET]
--
-- README.md beside it tells how it is installed and what it shows.

local folder = arg[0]:match('^(.*)/[^/]*$') or '.'
package.path = folder .. '/?.lua;' .. package.path

local eco = require 'eco'
local cli = require 'eco.cli'
local http = require 'eco.http.server'
local ip = require 'eco.ip'
local json = require 'eco.encoding.json'
local log = require 'eco.log'
local network = require 'network'
local settings = require 'settings'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local sys = require 'eco.sys'
local ubus = require 'eco.ubus'

-- What there is no starting without.
---@return any
local function need(value, problem)
    if not value then
        io.stderr:write(problem, '\n')
        return os.exit(1)
    end
    return value
end

local options = need(cli.parse_args { { name = 'confdir', type = 'string' }, { name = 'ubus', type = 'string' } })
local current ---@type table
local watcher ---@type { look: function }
local state, text ---@type table?
local browsers, dirty, number = 0, false, 0
local look, looked = sync.cond(), sync.cond()
local bus ---@type eco.ubus.Connection
local object ---@type eco.ubus.Handle

-- Looking at the network

-- Has the network looked at soon.
local function touch()
    dirty = true
    look:signal()
end

-- Tells subscribers on the bus which links have come, gone or changed.
local function tell(before, after)
    local old = {}
    for _, link in ipairs(before.links) do old[link.index] = link end
    local function notify(action, link)
        bus:notify(object, 'link', { action = action, name = link.name, up = link.up, running = link.running })
    end
    for _, link in ipairs(after.links) do
        local known = old[link.index]
        old[link.index] = nil
        if not known then
            notify('add', link)
        elseif known.up ~= link.up or known.running ~= link.running or known.name ~= link.name then
            notify('change', link)
        end
    end
    for _, link in pairs(old) do notify('remove', link) end
end

local function watch()
    while true do
        dirty = false
        local found, problem = watcher.look()
        if found then
            number = number + 1
            local before = state
            found.number, found.interval, found.time = number, current.interval, os.time()
            -- Packed once, however many browsers look.
            state, text = found, json.encode(found)
            looked:broadcast()
            if before then tell(before, found) end
        else
            log.err('cannot look at links: ' .. problem)
        end
        -- While nobody looks, only changes count.
        if not dirty then
            look:wait((browsers > 0 or not found) and current.interval or nil)
        end
        -- Links change in bursts.
        if dirty then eco.sleep(0.1) end
    end
end

local function listen_to_kernel()
    while true do
        local _, problem = ip.link.monitor(touch)
        log.err('netlink: ' .. tostring(problem))
        eco.sleep(1)
        touch()
    end
end

-- Serving browsers

local PATHS = { ['/'] = true, ['/page.js'] = true, ['/page.css'] = true, ['/state'] = true, ['/events'] = true }

-- A page of another site must not read this one, be it by a name of its own that leads here.
local function is_foreign(headers)
    local host = headers.host or ''
    local name = host:match('^%[([%x:.]+)%]:?%d*$') or host:match('^([^:]+):?%d*$') or ''
    local known = current.hosts[name:lower()] or socket.is_ipv4_address(name) or socket.is_ipv6_address(name)
    local origin = headers.origin
    return not known or origin and origin ~= 'http://' .. host or headers['sec-fetch-site'] == 'cross-site'
end

local function send_events(con)
    if browsers >= current.clients then
        con:add_header('retry-after', '10')
        return con:send_error(503, nil, 'too many browsers\n')
    end
    browsers = browsers + 1
    -- The counter must come down, whatever ends this.
    local _<close> = setmetatable({}, { __close = function() browsers = browsers - 1 end })
    local ok = con:send_event { retry = 2000 }
    local seen = 0
    touch()
    while ok do
        if seen == number then
            looked:wait(15)
        end
        -- Where nothing happens for long, a comment finds out whether the browser is still there.
        ok = con:send_event(seen == number and { comment = '' } or { event = 'state', id = number, data = text })
        seen = number
    end
end

local function answer(con, req)
    con:add_header('content-security-policy', "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
    con:add_header('x-content-type-options', 'nosniff')
    con:add_header('referrer-policy', 'no-referrer')
    con:add_header('cache-control', 'no-cache')
    if is_foreign(req.headers) then
        return con:send_error(403, nil, 'not from here\n')
    elseif not PATHS[req.path] then
        return con:send_error(404)
    elseif req.method ~= 'GET' and (req.method ~= 'HEAD' or req.path == '/events') then
        con:add_header('allow', req.path == '/events' and 'GET' or 'GET, HEAD')
        return con:send_error(405)
    elseif req.path == '/events' then
        return send_events(con)
    elseif req.path == '/state' then
        con:add_header('content-type', 'application/json')
        return con:send(text or '{}')
    end
    return con:serve_file(req)
end

-- A listener at an address: the coroutine that accepts; or nil and a message.
local function open(address, port)
    local problem ---@type string?
    local acceptor = eco.run(function()
        problem = select(2, http.listen(address, port, {
            reuseaddr = true, docroot = folder .. '/www', max_body = 0, max_request_line = 1024, max_head = 8192, send_timeout = 20,
        }, answer))
    end)
    if problem then return nil, problem end
    return acceptor
end

-- Configuration

local acceptor ---@type thread?

-- Takes new settings. Whoever looks at the page goes on looking, also when it moves to another port.
local function adopt(new)
    if not current or new.listen ~= current.listen or new.port ~= current.port then
        local fresh, problem = open(new.listen, new.port)
        if not fresh then
            return nil, ('cannot listen at %s, port %d: %s'):format(new.listen, new.port, problem)
        end
        if acceptor then coroutine.close(acceptor) end
        acceptor = fresh
    end
    current, watcher = new, network.watcher(new.ignored, new.interval)
    touch()
    return true
end

-- What is wrong with a new configuration is told; the old one stays in force.
local function reload()
    local new, problem = settings.load(options.confdir)
    local ok = new
    if ok then ok, problem = adopt(new) end
    if not ok then
        log.err(problem)
        return nil, problem
    end
    log.info('configuration taken, at ' .. current.listen .. ', port ' .. current.port)
    return true
end

-- The message bus

local methods = {
    -- { links = …, stations = … }
    status = { function(request)
        touch()
        looked:wait(5)
        bus:reply(request, state)
    end, {} },
    -- { name = … }: one link.
    link = { function(request, message)
        for _, link in ipairs(state and state.links or {}) do
            if link.name == message.name then return bus:reply(request, link) and 0 end
        end
        return ubus.STATUS_NOT_FOUND
    end, { name = ubus.STRING } },
    reload = { function(request)
        local ok, problem = reload()
        bus:reply(request, { ok = ok == true, problem = problem })
    end, {} },
}

log.set_ident('linkwatch')
local first = need(settings.load(options.confdir))
bus = need(ubus.connect(options.ubus, true))
need(adopt(first))
object = need(bus:add('linkwatch', methods))
assert(sys.signal(sys.SIGHUP, reload))
eco.run(listen_to_kernel)
eco.run(watch)
