-- Methods of connections that need no speed, on top of the native ones, and the
-- response as `con.resp` shows it.

local native, methods, metatable = ...
local file = require 'eco.file'

-- Native functions that are no methods for handlers.
local function take(name)
    local f = methods[name]
    methods[name] = nil
    return f
end

local begin_piece, end_piece = take 'begin_piece', take 'end_piece'
local describe, header_lines = take 'describe', take 'header_lines'
local read_body, discard_body, remaining = take 'read_body', take 'discard_body', take 'remaining'
local start_form, next_part = take 'start_form', take 'next_part'
native.next_request, native.remaining = take 'next_request', remaining

-- Content types and the suffixes they stand for.
local types = [[

text/plain txt log lua README md cfg conf
text/html htm html
text/javascript js mjs
text/css css
text/x-patch diff patch
text/x-csrc c
text/x-chdr h
text/x-object o ko
image/bmp bmp
image/gif gif
image/png png
image/jpeg jpg jpeg
image/svg+xml svg
image/webp webp
image/x-icon ico
font/woff2 woff2
application/json json
application/javascript jsonp
application/wasm wasm
application/zip zip
application/pdf pdf
application/xml xml xsl
application/msword doc
application/vnd.ms-powerpoint ppt
application/vnd.ms-excel xls
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.presentation odp
application/x-perl pl
application/x-shellscript sh
application/x-php php
application/x-deb deb
application/x-cd-image iso
application/x-compressed-tar tgz
application/x-gzip gz
application/x-bzip-compressed-tar tbz
application/x-bzip bz2
application/x-tar tar
application/x-rar-compressed rar
audio/mpeg mp3
audio/x-vorbis+ogg ogg
audio/x-wav wav
video/mpeg mpg mpeg
video/mp4 mp4
video/x-msvideo avi
]]

-- By what stands behind the last dot of the file name, or by the whole name.
local function content_type(path)
    local suffix = path:match('[/.](%w+)$')
    return suffix and types:match('\n(%S+)[^\n]* ' .. suffix .. '[ \n]') or 'application/octet-stream'
end

local function format_date(seconds)
    return os.date('!%a, %d %b %Y %H:%M:%S GMT', seconds)
end

-- Seconds since 1970; nil unless the text is exactly what `format_date` writes.
local function parse_date(text)
    local day, name, year, hour, minute, second = text:match('^%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$')
    local month = name and ('  JanFebMarAprMayJunJulAugSepOctNovDec'):find(name, 1, true)
    if not month then
        return nil
    end
    -- Years begin in March here, so that leap days come last.
    month = month // 3
    year = month > 2 and year + 0 or year - 1
    local days = (153 * ((month + 9) % 12) + 2) // 5 + day - 1 + 365 * year + year // 4 - year // 100 + year // 400
    local seconds = (days - 719468) * 86400 + hour * 3600 + minute * 60 + second
    return format_date(seconds) == text and seconds or nil
end

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
    local data, err = read_body(self, count, nanoseconds(timeout))
    self.body_remain = remaining(self)
    if data then
        return data
    end
    return nil, err
end

function methods:discard_body()
    local ok, err = discard_body(self)
    self.body_remain = remaining(self)
    if ok then
        return true
    end
    return nil, err
end

function methods:read_formdata(req, timeout)
    if not self.formed then
        if req.method ~= 'POST' then
            return nil, 'not allowed method'
        elseif not start_form(self, req.headers['content-type'] or '') then
            return nil, 'bad request'
        end
        self.formed = true
    end
    return next_part(self, nanoseconds(timeout))
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
    local date = format_date(modified)
    self:add_header('etag', etag)
    self:add_header('last-modified', date)
    if gzip then
        self:add_header('vary', 'accept-encoding')
    end
    local match, since = headers['if-none-match'], headers['if-modified-since']
    if match and names(match, etag) or not match and since and (parse_date(since) or -1) >= modified then
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
    self:add_header('content-type', content_type(path))
    if zipped then
        self:add_header('content-encoding', 'gzip')
    end
    self:add_header('content-length', count)
    return transfer(self, name, first, count)
end

-- What most requests leave as it is.
methods.formed = false
methods.body_remain = 0

local function headers(resp)
    local all = {}
    for name, value in header_lines(resp):gmatch('([^:\r\n]+): ([^\r\n]*)') do
        all[name:lower()] = value
    end
    return all
end

-- The response as `con.resp` shows it.
metatable.__index = function(resp, name)
    if name == 'headers' then
        return headers(resp)
    end
    return describe(resp, name)
end
