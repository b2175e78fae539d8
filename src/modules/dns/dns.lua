-- The order of waits: hosts file, cache, search domains, servers in turn, each
-- by datagrams first and by a connection where the answer is too long.

local native, M = ...

local eco, file, socket = require 'eco', require 'eco.file', require 'eco.socket'
local now, turn = native.now, native.turn
local A, AAAA, CNAME = M.TYPE_A, M.TYPE_AAAA, M.TYPE_CNAME

-- The time when so many milliseconds have passed; the clock's fraction is cut.
local function after(milliseconds)
    return now() + math.ceil(milliseconds) + 1
end

-- Files up to this size are kept; longer lists of hosts are read in pieces, each time.
local KEPT = 65536

local names = {}
for name, number in pairs(M) do
    if name:find('^TYPE_') then
        names[number] = name:sub(6)
    end
end

function M.type_name(number)
    return names[number] or 'unknown'
end

-- Files

local known = {}

-- What `parse` makes of a file, again only when the file has changed.
local function read(path, parse)
    local info = file.stat(path)
    if not info or info.type ~= 'REG' then
        known[path] = nil
        return parse('')
    end
    local stamp = table.concat({ info.ino, info.dev, info.size, info.mtime, info.mtime_nsec, info.ctime, info.ctime_nsec }, ' ')
    local entry = known[path]
    if not entry or entry.stamp ~= stamp then
        local stream<close> = info.size < KEPT and io.open(path) or nil
        entry = { stamp = stamp, value = parse(stream and stream:read(KEPT) or '') }
        known[path] = entry
    end
    return entry.value, info.size
end

local function text(value)
    return value
end

local function hosts(name, path)
    local found = { [A] = {}, [AAAA] = {} }
    path = path or '/etc/hosts'
    local kept, size = read(path, text)
    if not size or size < KEPT then
        native.hosts(kept, name, found)
    else
        local stream<close> = io.open(path)
        local piece = stream and stream:read(KEPT)
        while piece do
            native.hosts(piece .. (stream:read('l') or ''), name, found)
            piece = stream:read(KEPT)
        end
    end
    if #found[A] + #found[AAAA] == 0 and name:lower():find('^localhost%.?$') then
        found[A][1], found[AAAA][1] = '127.0.0.1', '::1'
    end
    return found
end

-- Servers

-- An address, perhaps with the interface it is good for.
local function server(entry, port)
    local ip, device = entry:match('^([^%%]+)%%?(.*)$')
    if ip and socket.is_ip_address(ip) then
        return { ip = ip, port = port, device = device ~= '' and device or nil, name = ('"%s:%d"'):format(entry, port) }
    end
end

local function parse_settings(conf)
    local settings = native.resolv_conf(conf)
    local servers = {}
    for _, entry in ipairs(settings.nameserver) do
        servers[#servers + 1] = server(entry, 53)
    end
    if #servers == 0 then
        servers[1] = server('127.0.0.1', 53)
    end
    settings.servers = servers
    return settings
end

-- Errors name the place where `query` or `resolve` was called.
local function given(entries)
    if type(entries) ~= 'table' then
        error('invalid nameservers', 5)
    end
    local servers = {}
    for i, entry in ipairs(entries) do
        local ip, port = entry, 53
        if type(entry) == 'table' then
            ip, port = entry[1], entry[2] or entry.port or 53
        elseif type(entry) ~= 'string' then
            error('invalid nameservers', 5)
        end
        port = math.tointeger(port)
        servers[i] = type(ip) == 'string' and port and port > 0 and port < 65536 and server(ip, port)
        if not servers[i] then
            error('invalid nameserver: ' .. tostring(ip), 5)
        end
    end
    return servers
end

local function prepare(opts)
    local settings = read(opts.resolv_conf or '/etc/resolv.conf', parse_settings)
    local options = settings.options
    local attempts = math.tointeger(opts.attempts or options.attempts or 2)
    if not attempts or attempts < 1 then
        error('attempts out of range', 4)
    end
    local limit = opts.timeout
    if limit ~= nil and (type(limit) ~= 'number' or not (limit > 0)) then
        error('timeout out of range', 4)
    end
    return {
        servers = opts.nameservers and given(opts.nameservers) or settings.servers,
        search = settings.search,
        ndots = options.ndots or 1,
        rotate = opts.rotate or options.rotate,
        attempts = attempts,
        -- Together five seconds a server, unless the file says otherwise.
        wait = options.timeout and options.timeout * 1000 or 5000 // attempts,
        deadline = limit and after(math.min(limit, 1e6) * 1000) or math.maxinteger,
        tcp = opts.tcp or options['use-vc'],
        edns = opts.edns ~= false,
        recurse = not opts.no_recurse,
        mark = opts.mark,
        device = opts.device,
        cache = opts.cache ~= false,
        in_turn = options['single-request'] or options['single-request-reopen'],
        only_four = options['no-aaaa'],
    }
end

-- Exchanges

local closing = { __close = function(links)
    for _, link in pairs(links) do
        if link.socket then
            link.socket:close()
        end
    end
end }

local function open(to, kind, how)
    local family = socket.is_ipv6_address(to.ip) and socket.AF_INET6 or socket.AF_INET
    local s, err = socket.socket(family, kind)
    if not s then
        return nil, err
    end
    if how.mark then
        s:setoption('mark', how.mark)
    end
    if how.device or to.device then
        s:setoption('bindtodevice', to.device or how.device)
    end
    return s
end

-- Seconds until a time, at least one millisecond: zero would be for ever.
local function seconds(till)
    return math.max(till - now(), 1) / 1000
end

local function read_exactly(s, count, till)
    local parts, missing = {}, count
    while missing > 0 do
        if now() >= till then
            return nil, 'timeout'
        end
        local part, err = s:read(missing, seconds(till))
        if not part then
            return nil, err
        end
        parts[#parts + 1], missing = part, missing - #part
    end
    return table.concat(parts)
end

-- Over a connection: the reply, or nil and a message.
local function connected(to, request, how, till)
    local s<close>, err = open(to, socket.SOCK_STREAM, how)
    if not s then
        return nil, err
    end
    s.connect_timeout = seconds(till)
    local ok, head, reply
    ok, err = s:connect(to.ip, to.port)
    if ok then
        ok, err = s:send(string.pack('>s2', request), seconds(till))
    end
    if ok then
        head, err = read_exactly(s, 2, till)
    end
    if head then
        reply, err = read_exactly(s, (string.unpack('>I2', head)), till)
    end
    if reply then
        ok, err = native.matches(request, reply)
    end
    return ok and reply or nil, err
end

-- Servers that make nothing of EDNS.
local plain, plain_count = {}, 0

-- Asks one server once: the reply, or nil, a message, and whether that is all
-- it has to say.
local function exchange(to, name, kind, links, how)
    local till = math.min(after(how.wait), how.deadline)
    local link = links[to]
    if not link then
        link = {}
        links[to] = link
    end
    if not link.socket and not how.tcp then
        local s, err = open(to, socket.SOCK_DGRAM, how)
        if not s then
            return nil, err, true
        end
        link.socket = s
        -- Connected: others cannot answer, and a port that nobody serves is known at once.
        local ok
        ok, err = s:connect(to.ip, to.port)
        if not ok then
            return nil, ('sendto %s fail: %s'):format(to.name, err), true
        end
    end
    while true do
        local extended = how.edns and not plain[to.name]
        if not link.request or link.extended ~= extended then
            link.request, link.extended = native.request(name, kind, how.recurse, extended), extended
        end
        local request = link.request
        local reply, err, problem
        if how.tcp then
            reply, err = connected(to, request, how, till)
            if not reply then
                return nil, ('recv from %s fail: %s'):format(to.name, err), err ~= 'timeout'
            end
        else
            reply, err = link.socket:send(request, seconds(till))
            if not reply then
                return nil, ('sendto %s fail: %s'):format(to.name, err), true
            end
            repeat
                reply, err = link.socket:recvfrom(4096, seconds(till))
                if not reply then
                    return nil, problem or ('recv from %s fail: %s'):format(to.name, err), err ~= 'timeout'
                end
                local ok
                ok, problem = native.matches(request, reply)
                if not ok and now() >= till then
                    return nil, problem
                end
            until ok
            if reply:byte(3) & 2 ~= 0 then
                reply = connected(to, request, how, math.max(till, math.min(after(how.wait), how.deadline))) or reply
            end
        end
        local records
        records, err = native.parse_response(reply, string.unpack('>I2', reply))
        if records then
            return reply
        end
        -- Others than these speak of the request or make no sense.
        if not extended or err == 'name error' or err == 'server failure' or err == 'refused' or err == 'truncated' then
            return nil, err, true, reply
        end
        if plain_count >= 64 then
            plain, plain_count = {}, 0
        end
        plain[to.name], plain_count = true, plain_count + 1
    end
end

local start = 0

-- The reply of the first server that has one; or nil, a message, and the reply
-- that says that there is no such name.
local function ask(name, kind, how)
    local servers, count = how.servers, #how.servers
    local links<close> = setmetatable({}, closing)
    local reply, err, final, refusal, nothing = nil, 'not found valid nameservers', nil, nil, nil
    local silent, answered = {}, false
    if how.rotate then
        start = (start + 1) % 0x10000
    end
    for round = 1, how.attempts do
        for i = 0, count - 1 do
            local to = servers[((how.rotate and start or 0) + i) % count + 1]
            if round == 1 or silent[to] then
                reply, err, final, refusal = exchange(to, name, kind, links, how)
                if reply then
                    return reply
                end
                silent[to] = not final or nil
                answered = answered or refusal ~= nil
                nothing = err == 'name error' and refusal or nothing
                if now() >= how.deadline then
                    break
                end
            end
        end
        if answered or not next(silent) or now() >= how.deadline then
            break
        end
    end
    return nil, nothing and 'name error' or err, nothing
end

-- The cache: what was added since it was last half full, and what before.

local LARGEST = 65536
local young, old, count, bytes = {}, {}, 0, 0

M.cache_entries = 256

function M.flush()
    young, old, count, bytes = {}, {}, 0, 0
end

local function keep(key, entry)
    local most = math.tointeger(M.cache_entries) or 0
    if count * 2 >= most or bytes * 2 >= LARGEST then
        young, old, count, bytes = {}, young, 0, 0
    end
    if most > 1 and #entry.reply * 2 <= LARGEST then
        young[key], count, bytes = entry, count + 1, bytes + #entry.reply + #key
    end
end

local function cached(key)
    local entry = young[key] or old[key]
    if not entry then
        return
    end
    local age = now() - entry.since
    if age >= entry.lifetime * 1000 then
        young[key], old[key] = nil, nil
        return
    end
    if not young[key] then
        keep(key, entry)
    end
    return entry.reply, age // 1000
end

-- One name as it stands.
local function lookup(name, kind, how)
    if not native.request(name, kind) then
        return nil, 'bad name'
    end
    local parts = { kind, tostring(how.recurse), tostring(how.mark), tostring(how.device) }
    for _, to in ipairs(how.servers) do
        parts[#parts + 1] = to.name
    end
    parts[#parts + 1] = name:lower()
    local key = table.concat(parts, ' ')
    local reply, age, err
    if how.cache then
        reply, age = cached(key)
    end
    if not reply then
        local nothing
        reply, err, nothing = ask(name, kind, how)
        local lifetime = (reply or nothing) and native.lifetime(reply or nothing) or 0
        if lifetime > 0 and how.cache then
            keep(key, { reply = reply or nothing, since = now(), lifetime = lifetime })
        end
        if not reply then
            return nil, err
        end
    end
    return native.parse_response(reply, string.unpack('>I2', reply), age)
end

-- A name with the domains that may belong to it: records, or nil and a message;
-- and which name it was.
local function searched(name, kind, how)
    local _, dots = name:gsub('%.', '')
    local empty
    for _, domain in ipairs(dots < how.ndots and name ~= '' and how.search or {}) do
        local full = name .. '.' .. domain
        local records, err = lookup(full, kind, how)
        if records and #records > 0 then
            return records, nil, full
        end
        if not records and err ~= 'name error' and err ~= 'bad name' then
            return nil, err
        end
        empty = empty or records
    end
    local records, err = lookup(name, kind, how)
    if not records and err == 'name error' and empty then
        return empty, nil, name
    end
    return records, err, name
end

local function is_name(name)
    return #name <= 255 and name:byte() ~= 46 and native.request(name, 0) ~= nil
end

local function check(name, what)
    if type(name) ~= 'string' then
        error(("bad argument #1 to '%s' (string expected, got %s)"):format(what, type(name)), 3)
    end
end

local function query(name, opts)
    opts = opts or {}
    local kind = opts.type == nil and A or math.tointeger(opts.type)
    if not kind or kind < 0 or kind > 65535 then
        error('type out of range', 3)
    end
    turn()
    if not is_name(name) then
        return nil, 'bad name'
    end
    for family, is_literal in pairs { [A] = socket.is_ipv4_address, [AAAA] = socket.is_ipv6_address } do
        if is_literal(name) then
            return { { type = family, address = name } }
        end
    end
    if kind == A or kind == AAAA then
        local address = hosts(name, opts.hosts)[kind][1]
        if address then
            return { { type = kind, address = address } }
        end
    end
    return searched(name, kind, prepare(opts))
end

local KNOWN = 'type family nameservers timeout attempts rotate edns tcp no_recurse cache mark device hosts resolv_conf'

-- No tail calls: errors name the place of the caller.
function M.query(name, opts)
    eco._options(opts, KNOWN, 2, 'query')
    check(name, 'query')
    local records, err = query(name, opts)
    if records then
        return records
    end
    return nil, err
end

-- Addresses for connections

-- The addresses among the records of a name, through its aliases.
local function addresses(records, kind, name)
    local aliases = {}
    for _, record in ipairs(records) do
        if record.type == CNAME then
            aliases[record.name:lower()] = record.cname:lower()
        end
    end
    local wanted = {}
    name = name:lower():gsub('%.$', '')
    while name and not wanted[name] do
        wanted[name] = true
        name = aliases[name]
    end
    local list = {}
    for _, record in ipairs(records) do
        if record.type == kind and wanted[record.name:lower()] then
            list[#list + 1] = record.address
        end
    end
    return list
end

-- Whether packets to an IPv6 address would leave.
local function has_route(ip)
    local s<close> = socket.udp6()
    return s and s:connect(ip, 53)
end

local ending = { __close = function(other)
    if coroutine.status(other.run) == 'suspended' then
        coroutine.close(other.run)
    end
end }

local function resolve(host, opts)
    local kinds = { A, AAAA }
    if opts.family == socket.AF_INET then
        kinds[2] = nil
    elseif opts.family == socket.AF_INET6 then
        kinds[1] = AAAA
        kinds[2] = nil
    elseif opts.family ~= nil then
        error('family must be AF_INET or AF_INET6', 3)
    end
    local how = prepare(opts)
    turn()
    for kind, is_literal in pairs { [A] = socket.is_ipv4_address, [AAAA] = socket.is_ipv6_address } do
        if is_literal(host) then
            if kind == kinds[1] or kind == kinds[2] then
                return { host }
            end
            return nil, 'not found'
        end
    end
    if host == '' or not is_name(host) then
        return nil, 'bad name'
    end
    local lists, failures, count = hosts(host, opts.hosts), {}, 0
    for _, kind in ipairs(kinds) do
        count = count + #lists[kind]
    end
    if count == 0 then
        local group = require 'eco.sync'.waitgroup()
        local function find(kind)
            lists[kind] = {}
            local ok, records, err, name = pcall(searched, host, kind, how)
            if ok and records then
                lists[kind] = addresses(records, kind, name)
            else
                failures[kind] = err or records
            end
            group:done()
        end
        if how.only_four and kinds[2] then
            kinds[2] = nil
        end
        group:add(#kinds)
        -- Ends with this coroutine, whatever ends that.
        local other<close> = kinds[2] and not how.in_turn and setmetatable({ run = eco.run(find, kinds[2]) }, ending) or nil
        find(kinds[1])
        if kinds[2] and how.in_turn then
            find(kinds[2])
        end
        group:wait()
    end
    -- The families take turns, so that one that does not work costs little.
    local first, second = lists[kinds[1]], kinds[2] and lists[kinds[2]] or {}
    if first[1] and second[1] and has_route(second[1]) then
        first, second = second, first
    end
    local list = {}
    for i = 1, math.max(#first, #second) do
        list[#list + 1] = first[i]
        list[#list + 1] = second[i]
    end
    if #list > 0 then
        return list
    end
    return nil, failures[kinds[1]] or kinds[2] and failures[kinds[2]] or 'not found'
end

function M.resolve(host, opts)
    eco._options(opts, KNOWN, 2, 'resolve')
    check(host, 'resolve')
    local list, err = resolve(host, opts or {})
    if list then
        return list
    end
    return nil, err
end

-- For eco.socket: calls `try(address, seconds)` for each address in turn until
-- one gives a socket, all within `limit` seconds; 0 is no limit.
function native.dial(host, opts, limit, try)
    local own = {}
    for name, value in pairs(opts.dns or {}) do
        own[name] = value
    end
    own.mark, own.device = own.mark or opts.mark, own.device or opts.device
    local till = math.maxinteger
    if limit > 0 then
        own.timeout = math.min(own.timeout or limit, limit)
        till = after(limit * 1000)
    end
    local list, err = resolve(host, own)
    if not list then
        return nil, ('resolve "%s" fail: %s'):format(host, err)
    end
    for i, ip in ipairs(list) do
        local left = till - now()
        if left <= 0 then
            return nil, 'timeout'
        end
        local s
        s, err = try(ip, limit > 0 and left / 1000 / (#list - i + 1) or 0)
        if s then
            return s
        end
    end
    return nil, err
end

return M
