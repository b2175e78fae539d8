-- Methods of connections that need no speed, on top of the native ones.

local native, methods, metatable = ...
local file = require 'eco.file'

-- Native functions that are no methods for handlers.
local function take(name)
    local f = methods[name]
    methods[name] = nil
    return f
end

local begin_piece, end_piece, describe = take 'begin_piece', take 'end_piece', take 'describe'
local read_body, remaining = take 'read_body', take 'remaining'
local start_form, next_part = take 'start_form', take 'next_part'
native.next_request = take 'next_request'

-- Seconds as the scheduler counts them; 0 stands for ever.
local function nanoseconds(seconds)
    seconds = tonumber(seconds)
    return seconds and seconds > 0 and math.ceil(math.min(seconds, 4e9) * 1e9) or 0
end

function methods:remote_addr()
    return self.peer
end

function methods:send_error(code, reason, content)
    if type(code) ~= 'number' then
        error('invalid code: ' .. tostring(code), 2)
    end
    self:set_status(code, reason)
    self:add_header('connection', 'close')
    if not content then
        self:add_header('content-length', 0)
    end
    return self:send(content or '')
end

function methods:redirect(code, location)
    assert(math.type(code) == 'integer' and code >= 300 and code <= 308)
    self:add_header('location', location)
    return self:send_error(code)
end

function methods:read_body(count, timeout)
    if remaining(self) == 0 then
        return ''
    end
    count = count or math.maxinteger
    if count <= 0 then
        error('size must be greater than 0', 2)
    end
    return read_body(self, count, nanoseconds(timeout))
end

function methods:read_formdata(req, timeout)
    if not self.formed then
        if req.method ~= 'POST' then
            return nil, 'not allowed method'
        elseif not start_form(self, req.headers['content-type'] or '') then
            return nil, 'bad request'
        end
    end
    local event, first, second = next_part(self, nanoseconds(timeout))
    if event == 'header' then
        return event, { first:lower(), second }
    elseif event == 'body' then
        return event, { first, second }
    end
    return event, first
end

-- What is known of a file that can be sent; otherwise the reason and the status
-- that tells it.
local function examine(path)
    local info, err = file.stat(path)
    if not info then
        local missing = err == 'No such file or directory' or err == 'Not a directory'
        return nil, err, missing and 404 or err == 'Permission denied' and 403 or 500
    elseif info.type ~= 'REG' or not file.access(path, 'r') then
        return nil, 'forbidden', 403
    end
    return info
end

-- Sends part of a file behind what is buffered.
local function transfer(con, path, offset, count)
    local wanted = begin_piece(con, count)
    local ok, err = con:flush()
    if wanted then
        if ok then
            ok, err = con.sock.wr:sendfile(path, offset, count, con.options.send_timeout or 60)
        end
        end_piece(con, ok)
    end
    return ok and true or nil, err
end

function methods:send_file(path, count, offset)
    offset = offset or 0
    if offset < 0 then
        error('offset must be greater than or equal to 0', 2)
    end
    local info, err = examine(path)
    if not info then
        return nil, err
    end
    return transfer(self, path, offset, math.min(count or info.size, info.size - offset))
end

-- Makes a path of what lies between slashes; none when it leaves its root.
local function normalise(path)
    local parts = {}
    for part in path:gmatch('[^/]+') do
        if part == '..' then
            if not parts[1] then return end
            parts[#parts] = nil
        elseif part ~= '.' then
            parts[#parts + 1] = part
        end
    end
    return path ~= '' and not path:find('\0', 1, true) and '/' .. table.concat(parts, '/')
end

local function accepts_gzip(list)
    list = ',' .. list:lower():gsub('%s', '') .. ','
    local weight = list:match(',gzip;q=([%d.]+)') or list:match(',gzip,') or list:match(',%*;q=([%d.]+)') or list:match(',%*,')
    return weight and not weight:find('^[0.]+$')
end

local function names(list, etag)
    for item in list:gmatch('[^%s,]+') do
        if item == '*' or item:gsub('^W/', '') == etag then
            return true
        end
    end
end

-- First byte and count of a single range; false when there is nothing there.
local function part(range, size)
    local first, last = range:lower():match('^bytes=%s*(%d*)%s*%-%s*(%d*)%s*$')
    first, last = tonumber(first), tonumber(last)
    if not first and not last then
        return nil
    elseif not first then
        first, last = math.max(size - last, 0), size - 1
    elseif last and last < first then
        return nil
    end
    if first >= size then
        return false
    end
    return first, math.min(last or size, size - 1) - first + 1
end

function methods:serve_file(req)
    local options, headers = self.options, req.headers
    local path = normalise(req.path)
    if not path then
        return self:send_error(403)
    elseif path == '/' then
        path = '/' .. options.index
    end
    path = options.docroot .. path

    local gzip = options.gzip and not path:find('%f[^/.]gz$')
    local info, err, code
    local zipped = gzip and accepts_gzip(headers['accept-encoding'] or '') and examine(path .. '.gz')
    local name = path
    if zipped then
        info, name = zipped, path .. '.gz'
    else
        info, err, code = examine(path)
    end
    if not info then
        return self:send_error(code, nil, code == 500 and ('stat "%s" fail: %s'):format(path, err) or nil)
    elseif req.method ~= 'GET' and req.method ~= 'HEAD' then
        self:add_header('allow', 'GET, HEAD')
        return self:send_error(405)
    end

    local size, modified = info.size, info.mtime
    local etag = ('"%x-%x-%x"'):format(info.ino, size, modified)
    local date = native.format_date(modified)
    self:add_header('etag', etag)
    self:add_header('last-modified', date)
    if gzip then
        self:add_header('vary', 'accept-encoding')
    end
    local match, since = headers['if-none-match'], headers['if-modified-since']
    if match and names(match, etag) or not match and since and (native.parse_date(since) or -1) >= modified then
        self:set_status(304)
        return self:send()
    end

    self:add_header('accept-ranges', 'bytes')
    local first, count = 0, size
    local condition = headers['if-range']
    if headers.range and (not condition or condition == etag or condition == date) then
        local from, length = part(headers.range, size)
        if from then
            first, count = from, length
            self:set_status(206)
            self:add_header('content-range', ('bytes %d-%d/%d'):format(first, first + count - 1, size))
        elseif from == false then
            self:set_status(416)
            self:add_header('content-range', 'bytes */' .. size)
            self:add_header('content-length', 0)
            return self:send()
        end
    end
    self:add_header('content-type', native.content_type(path))
    if zipped then
        self:add_header('content-encoding', 'gzip')
    end
    self:add_header('content-length', count)
    return transfer(self, name, first, count)
end

metatable[1] = methods

-- Fields that are computed when asked for.
metatable[2] = function(con, key)
    if key == 'body_remain' then
        return remaining(con)
    elseif key == 'formed' then
        return (select(8, describe(con))) or false
    elseif key == 'resp' then
        local code, status, head, data, head_sent, chunked, minor = describe(con)
        if not code then return end
        local headers = {}
        for name, value in head:gmatch('([^:\r\n]+): ([^\r\n]*)') do
            headers[name:lower()] = value
        end
        return {
            code = code, status = status ~= '' and status or nil, head_sent = head_sent, chunked = chunked, headers = headers, data = data,
            major_version = 1, minor_version = minor,
        }
    end
end
