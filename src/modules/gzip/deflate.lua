-- WebSockets whose messages are packed (permessage-deflate, RFC 7692): what both ends agree on, and sending and receiving
-- then. `eco.websocket` loads it when it is asked for.

local M = ...

local sync = require 'eco.sync'

-- What ends a message and is not sent.
local TAIL = '\0\0\xff\xff'
-- Bytes that are packed until others have their turn.
local STEP = 65536
-- What is said of how a piece ends.
local OPEN, KEEP, FORGET = 0, 1, 2

-- ---- agreeing -----------------------------------------------------------------------

local LASTING, WINDOW = '_no_context_takeover', '_max_window_bits'

-- Whether messages refer to earlier ones, how much is tried, and from what size on messages are packed.
local function settings(opts)
    opts = type(opts) == 'table' and opts or {}
    local level, least = math.tointeger(opts.level or 6), tonumber(opts.min_size or 64)
    if not level or level < 1 or level > 9 then
        error('option deflate.level must be an integer from 1 to 9', 4)
    elseif not least then
        error('option deflate.min_size must be a number', 4)
    end
    return opts.takeover ~= false, level, least
end

-- The parameters of an extension that is this one, false when something is wrong with them; nil for another one.
local function parameters(item, is_answer)
    local found, first = {}, true
    for part in item:gmatch('[^;]+') do
        local name, value = part:match('^%s*([%w_-]+)%s*=%s*"?(%w+)"?%s*$')
        name = name or part:match('^%s*([%w_-]+)%s*$')
        if first then
            if name ~= 'permessage-deflate' or value then
                return nil
            end
            first = false
        else
            local who, what = (name or ''):match('^(%l%l%l%l%l%l)(_.*)$')
            local known = (who == 'client' or who == 'server') and found[name] == nil
            if known and what == WINDOW then
                known = value and value:find('^%d+$') and #value <= 2 and value:byte() ~= 48 and tonumber(value) >= 8 and tonumber(value) <= 15
                    or not value and who == 'client' and not is_answer
            else
                known = known and what == LASTING and not value
            end
            if not known then
                return false
            end
            found[name] = value or true
        end
    end
    return found
end

-- What a client says it can do.
function M.offer(opts)
    return 'permessage-deflate' .. (settings(opts) and '' or '; client_no_context_takeover; server_no_context_takeover')
end

-- What is agreed on by an answer to that; nothing when it is not one.
function M.agreed(header, opts)
    local found, takeover = not header:find(',', 1, true) and parameters(header, true), settings(opts)
    -- Windows of ours cannot be smaller, nor was it said that they could.
    if not found or found['client' .. WINDOW] or not takeover and not found['server' .. LASTING] then
        return
    end
    return { send = takeover and not found['client' .. LASTING], receive = not found['server' .. LASTING] }
end

-- What is agreed on by the first offer of a client that can be taken, and the answer to it.
function M.answer(header, opts)
    local takeover = settings(opts)
    for item in header:gmatch('[^,]+') do
        local found = parameters(item)
        local window = found and found['server' .. WINDOW]
        if found and (not window or window == '15') then
            local agreed = { send = takeover and not found['server' .. LASTING], receive = takeover and not found['client' .. LASTING] }
            return agreed, 'permessage-deflate' .. (agreed.send and '' or '; server' .. LASTING) .. (agreed.receive and '' or '; client' .. LASTING)
                .. (window and '; server' .. WINDOW .. '=15' or '')
        end
    end
end

-- ---- messages -----------------------------------------------------------------------

-- One of each that keeps nothing between messages, and is free.
local spare = {}

local function take(name)
    local one = spare[name]
    spare[name] = nil
    return one
end

-- A packer that has its message behind it; one that has not is of no more use as it is.
local sending = {
    __close = function(guard)
        if guard.packer and guard.keeps then
            -- What the peer has not got is not referred to.
            guard.packer:pack('', FORGET)
        end
        guard.mutex:unlock()
    end,
}

-- A message of which no one knows how far it got ends the connection.
local receiving = {
    __close = function(guard)
        guard.busy = false
        if not guard.done then
            guard.sock:close()
        end
    end,
}

-- Whether a text is UTF-8; for one that goes on, what may be the beginning of a character at its end.
local function check(text, last)
    local length, at = utf8.len(text)
    if length then
        return true, ''
    end
    local rest = text:sub(at)
    if last or #rest > 3 or not rest:find('^[\xc2-\xf4][\x80-\xbf]*$') or #rest >= (rest:byte() < 0xe0 and 2 or rest:byte() < 0xf0 and 3 or 4) then
        return false
    end
    return true, rest
end

-- Makes sending and receiving of a WebSocket what was agreed on. `plain` are its methods, `frame` and `most` the limits of
-- frames and messages.
function M.wrap(ws, agreed, plain, send_packed, frame, most)
    local _, level, least = settings(ws.opts.deflate)
    ws.deflate = true

    local mutex, own = sync.mutex(), nil

    local function send(self, opcode, method, data)
        data = data and tostring(data) or ''
        if #data < least or #data > frame or opcode == 1 and not utf8.len(data) then
            return method(self, data)
        end
        mutex:lock()
        local guard<close> = setmetatable({ mutex = mutex, keeps = agreed.send }, sending)
        local packer = own or level == 6 and take 'packer' or M.packer(level)
        if agreed.send then
            own, guard.packer = packer, packer
        end
        local parts = {}
        for start = 1, #data, STEP do
            local last = start + STEP > #data
            parts[#parts + 1] = packer:pack(data:sub(start, start + STEP - 1), not last and OPEN or agreed.send and KEEP or FORGET)
        end
        local packed = table.concat(parts)
        if not agreed.send and level == 6 then
            spare.packer = packer
        end
        if #packed >= #data then
            return method(self, data)
        end
        local sent, err = send_packed(self, opcode, packed)
        if sent then
            guard.packer = nil
        end
        return sent, err
    end

    function ws:send_text(data)
        return send(self, 1, plain.send_text, data)
    end

    function ws:send_binary(data)
        return send(self, 2, plain.send_binary, data)
    end

    -- What unpacks the message under way, whether that is a text, and what its last piece left of a character.
    local unpacker, is_text, left, guard
    local kept

    -- Unpacks a piece of a message: the bytes, or nil, a message and the code for the peer.
    local function unpack(data, last, limit)
        unpacker = unpacker or kept or take 'unpacker' or M.unpacker()
        kept = agreed.receive and unpacker or nil
        unpacker:write(last and data .. TAIL or data)
        local parts, size = {}, 0
        while true do
            local piece = unpacker:read()
            if not piece then
                return nil, 'input is malformed', 1007
            elseif piece == '' then
                break
            end
            size = size + #piece
            if size > limit then
                return nil, 'exceeding max payload len', 1009
            end
            parts[#parts + 1] = piece
        end
        if last then
            if not kept then
                unpacker:forget()
                spare.unpacker = unpacker
            end
            unpacker = nil
        end
        data = table.concat(parts)
        if is_text then
            local good
            good, left = check(left .. data, last)
            if not good then
                return nil, 'text is not UTF-8', 1007
            end
        end
        return data
    end

    -- The same, by one coroutine, which sees it through.
    local function incoming(self, data, kind, last, limit)
        if not unpacker then
            is_text, left = kind == 'text', ''
        end
        guard = setmetatable({ busy = true, sock = self.sock }, receiving)
        local held<close> = guard
        local code
        data, kind, code = unpack(data, last, limit)
        held.done = true
        if not data then
            held.busy = false
            plain.close(self, code, nil, 2)
        end
        return data, kind
    end

    local function idle()
        if guard and guard.busy then
            error('another coroutine is already waiting on this I/O object', 3)
        end
    end

    function ws:recv(timeout)
        idle()
        local data, kind, more, reason = plain.recv(self, timeout)
        if data == nil then
            if kind == 'closed' then
                return nil, kind, more, reason
            end
            return nil, kind
        elseif not more then
            return data, kind
        end
        local unpacked, problem = incoming(self, data, kind, true, most)
        return unpacked, unpacked and kind or problem
    end

    function ws:recv_frame(timeout)
        idle()
        local data, kind, extra, packed = plain.recv_frame(self, timeout)
        if not packed then
            return data, kind, extra
        end
        local unpacked, problem = incoming(self, data, kind, extra ~= 'again', frame)
        if not unpacked then
            return nil, nil, problem
        end
        return unpacked, kind, extra
    end
end

return M
