-- Methods of connections that need no speed, on top of the native ones, and the
-- response as `con.resp` shows it.

local native, methods, metatable = ...

-- Native functions that are no methods for handlers.
local function take(name)
    local f = methods[name]
    methods[name] = nil
    return f
end

local describe, header_lines, set_reason = take 'describe', take 'header_lines', take 'set_reason'
local read_body, discard_body, remaining = take 'read_body', methods.discard_body, take 'remaining'
local start_form, next_part = take 'start_form', take 'next_part'
local open_file, answer_file, send_opened = take 'open_file', take 'answer_file', take 'send_opened'
local complete = native.complete
local add_header, set_status = methods.add_header, methods.set_status
native.next_request = take 'next_request'

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
local function content_type(path, charset)
    local suffix = path:match('[/.](%w+)$')
    local kind = suffix and types:match('\n(%S+)[^\n]* ' .. suffix .. '[ \n]') or 'application/octet-stream'
    return charset and kind:find('^text/') and kind .. '; charset=' .. charset or kind
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

-- Notes what is left of the body, and passes on what reading it gave.
local function note(con, ...)
    con.body_remain = remaining(con)
    return ...
end

function methods:read_body(count, timeout)
    if remaining(self) == 0 then
        return ''
    end
    count = count or math.maxinteger
    if count <= 0 then
        error('size must be greater than 0', 2)
    end
    return note(self, read_body(self, count, nanoseconds(timeout)))
end

function methods:discard_body()
    return note(self, discard_body(self))
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
    return note(self, next_part(self, nanoseconds(timeout)))
end

function methods:send_file(path, count, offset)
    if offset and offset < 0 then
        error('offset must be greater than or equal to 0', 2)
    end
    local ok, err = open_file(self, path, count, offset)
    if not ok then
        return nil, err
    end
    return send_opened(self)
end

-- A field of an event: one line.
local function field(name, value)
    value = tostring(value)
    if value:find('[\r\n\0]') then
        error(('invalid %s of an event'):format(name), 3)
    end
    return name .. ': ' .. value .. '\n'
end

-- Sends an event to an EventSource: the data alone, or a table of its fields.
function methods:send_event(event)
    if type(event) ~= 'table' then
        event = { data = event }
    end
    local retry, lines = event.retry, {}
    if retry and not (math.type(retry) == 'integer' and retry >= 0) then
        error('invalid retry of an event', 2)
    end
    for _, name in ipairs { 'event', 'id', 'retry' } do
        lines[#lines + 1] = event[name] and field(name, event[name])
    end
    for _, name in ipairs { 'data', 'comment' } do
        local value, start = event[name], name == 'data' and 'data: ' or ': '
        if value ~= nil then
            lines[#lines + 1] = start .. tostring(value):gsub('\r\n?', '\n'):gsub('\n', '\n' .. start) .. '\n'
        end
    end
    if not self.resp.head_sent then
        self:add_header('content-type', 'text/event-stream')
        self:add_header('cache-control', 'no-store')
    end
    self:send(table.concat(lines), '\n')
    return self:flush()
end

local function accepts_gzip(list)
    list = ',' .. list:lower():gsub('%s', '') .. ','
    local weight = list:match(',gzip;q=([%d.]+)') or list:match(',gzip,') or list:match(',%*;q=([%d.]+)') or list:match(',%*,')
    return weight and not weight:find('^[0.]+$')
end

function methods:serve_file(req)
    local options, path = self.options, req.path
    -- Handlers may have made a path of their own.
    if path:byte() ~= 47 or (path .. '/'):find('/../', 1, true) then
        return self:send_error(403)
    elseif path == '/' then
        path = '/' .. options.index
    end
    path = options.docroot .. path

    local head = req.method == 'HEAD'
    local gzip = options.gzip and not path:find('%f[^/.]gz$')
    local zipped = gzip and accepts_gzip(req.headers['accept-encoding'] or '') and open_file(self, path .. '.gz')
    if not zipped then
        local ok, _, code = open_file(self, path)
        if not ok then
            -- What went wrong says where files are.
            return self:send_error(code or 404)
        end
    end
    if req.method ~= 'GET' and not head then
        self:add_header('allow', 'GET, HEAD')
        return self:send_error(405)
    end
    if gzip then
        self:add_header('vary', 'accept-encoding')
    end
    if not answer_file(self, req.headers, head) then
        return self:send()
    end
    self:add_header('content-type', content_type(path, self.options.charset))
    if zipped then
        self:add_header('content-encoding', 'gzip')
    end
    return send_opened(self)
end

local function unescape(text)
    return (text:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The fields of a request that are made when they are asked for.
local later = {
    form = function() return {} end,
    query = function(req)
        local query = {}
        for name, value in req.query_string:gmatch('%f[^&\0]([^&=]+)=([^&]*)') do
            query[unescape(name)] = unescape(value)
        end
        return query
    end,
}
for name in ('headers raw_path query_string major_version minor_version'):gmatch('%S+') do
    later[name] = function(req)
        complete(req)
        return rawget(req, name)
    end
end

local requests = {}

function requests.__index(req, name)
    local make = later[name]
    if make then
        local value = make(req)
        rawset(req, name, value)
        return value
    end
end

function requests.__pairs(req)
    for name in pairs(later) do
        local _ = req[name]
    end
    return function(_, name)
        local value
        repeat name, value = next(req, name) until name ~= 1
        return name, value
    end
end

native.set_request_metatable(requests)

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

-- The headers of a response, as a table that passes on what is set in it.
local function header_view(resp)
    return setmetatable({}, {
        __index = function(_, name)
            return headers(resp)[tostring(name):lower()]
        end,
        __newindex = function(_, name, value)
            add_header(resp, name, value)
        end,
        __pairs = function()
            return next, headers(resp)
        end,
    })
end

-- Fields of a script's own.
local own = setmetatable({}, { __mode = 'k' })

-- The response as `con.resp` shows it.
function metatable.__index(resp, name)
    if name == 'headers' then
        return header_view(resp)
    end
    local fields = own[resp]
    if fields and fields[name] ~= nil then
        return fields[name]
    end
    return describe(resp, name)
end

function metatable.__newindex(resp, name, value)
    if name == 'code' then
        set_status(resp, value)
    elseif name == 'status' then
        set_reason(resp, value)
    elseif name == 'headers' then
        for known in pairs(headers(resp)) do
            add_header(resp, known)
        end
        for field, text in pairs(value) do
            add_header(resp, field, text)
        end
    elseif describe(resp, name) ~= nil then
        error(('field \'%s\' of a response cannot be set'):format(name), 2)
    else
        local fields = own[resp] or {}
        own[resp] = fields
        fields[name] = value
    end
end
