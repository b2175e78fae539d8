-- `eco.encoding.gzip`, also beside the program gzip, and in answers to `eco.http.client`.

local file = require 'eco.file'
local gzip = require 'eco.encoding.gzip'
local http = require 'eco.http.client'
local server = require 'eco.http.server'
local socket = require 'eco.socket'
local eco = require 'eco'

local sample = {}
for number = 1, 40000 do
    sample[number] = ('%d,%d;'):format(number * number % 977, number // 7)
end
sample = table.concat(sample)

case('strings', function()
    for _, data in ipairs { '', 'x', ('ab'):rep(1000), sample, ('\0'):rep(1 << 20) } do
        for _, level in ipairs { 0, 1, 6, 9 } do
            T.eq(gzip.decompress(gzip.compress(data, level)), data)
        end
    end
    assert(#gzip.compress(sample) < #sample / 2)
    T.eq(gzip.decompress(gzip.compress('a') .. gzip.compress('b') .. '\0\0'), 'ab')
    T.raises('out of range', gzip.compress, 'x', 10)
    T.raises('out of range', gzip.compressor, -1)
    T.raises('string expected', gzip.compress, 5)
    T.raises('string expected', gzip.decompress)
end)

case('what is damaged, cut off or too much', function()
    local packed = gzip.compress(sample)
    for _, bad in ipairs { 'hello', packed:sub(2), packed:sub(1, 100) .. 'xxxx' .. packed:sub(105), packed:sub(1, -9) .. ('\0'):rep(8) } do
        T.fails('input is malformed', gzip.decompress(bad))
    end
    for _, length in ipairs { 0, 1, 5, 10, 100, #packed - 8, #packed - 1 } do
        T.fails('input is cut off', gzip.decompress(packed:sub(1, length)))
    end
    T.fails('more than the limit', gzip.decompress(packed, #sample - 1))
    T.eq(gzip.decompress(packed, #sample), sample)
    local stream = gzip.decompressor()
    stream:write('hello')
    T.fails('input is malformed', stream:read())
    T.fails('input is malformed', stream:read())
end)

case('streams', function()
    local compressor, all = gzip.compressor(), {}
    for start = 1, #sample, 1000 do
        all[#all + 1] = compressor:update(sample:sub(start, start + 999))
    end
    all[#all + 1] = compressor:finish()
    T.raises('the stream is finished', compressor.update, compressor, 'x')
    T.raises('the stream is finished', compressor.finish, compressor)
    local packed = table.concat(all)
    for _, size in ipairs { 1000, 1 << 16 } do
        local stream, at, out = gzip.decompressor(), 1, {}
        T.eq({ stream:started(), stream:ended() }, { false, false })
        while not stream:ended() do
            local data = assert(stream:read(size))
            assert(#data <= size)
            if data == '' then
                T.eq(select('#', stream:write(packed:sub(at, at + 99))), 0)
                at = at + 100
            end
            out[#out + 1] = data
        end
        T.eq(table.concat(out), sample)
    end
    -- A source that fails.
    local pieces = { packed:sub(1, 50) }
    local next_piece = gzip.reader(function() return table.remove(pieces), pieces[1] == nil and 'disk on fire' or nil end)
    local data, err
    repeat data, err = next_piece() until not data
    T.eq(err, 'disk on fire')
    T.eq(gzip.reader(function() end)(), nil)
    -- A bomb comes out in pieces.
    packed = gzip.compress(('\0'):rep(8 << 20), 9)
    local stream = gzip.decompressor()
    stream:write(packed)
    T.eq(#stream:read(5000), 5000)
end)

case('the program gzip', function()
    if T.emulated or not file.access('/bin/gzip', 'x') then
        return
    end
    local path = T.path('sample')
    assert(file.writefile(path .. '.gz', gzip.compress(sample)))
    assert(os.execute(('gzip -t %s.gz && gzip -dc %s.gz > %s && gzip -9 -c %s > %s.other'):format(path, path, path, path, path)))
    T.eq(file.readfile(path), sample)
    T.eq(gzip.decompress(file.readfile(path .. '.other')), sample)
end)

local function with_answers(answers, body)
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    eco.run(function()
        while true do
            local con = listener:accept()
            if not con then
                return
            end
            local path = con:read('l'):match(' /(%S*)')
            local accepts
            for line in function() return con:read('l') end do
                accepts = accepts or line:match('^Accept%-Encoding: (.*)')
                if line == '' then
                    break
                end
            end
            local data = answers[path]
            con:send(('HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: %s\r\nX-Accepts: %s\r\n\r\n%s'):format(#data, path == 'odd' and 'br' or 'GZip',
                accepts or '', data))
            con:close()
        end
    end)
    body(('http://127.0.0.1:%d/'):format(listener:getsockname().port))
    listener:close()
end

case('answers that are packed', function()
    local packed = gzip.compress(sample)
    local answers = { whole = packed, cut = packed:sub(1, -2), bad = 'hello', none = '', odd = 'x', bomb = gzip.compress(('\0'):rep(20 << 20), 9) }
    with_answers(answers, function(url)
        local function get(path, opts)
            opts = opts or {}
            opts.gzip = opts.gzip == nil
            return http.get(url .. path, opts)
        end
        local resp = assert(get('whole'))
        T.eq({ resp.body, resp.headers['content-encoding'], resp.headers['content-length'], resp.headers['x-accepts'] }, { sample, nil, nil, 'gzip' })
        -- Not unless asked for.
        resp = assert(get('whole', { gzip = false }))
        T.eq({ resp.body, resp.headers['content-encoding'], resp.headers['x-accepts'] }, { packed, 'GZip', '' })
        T.eq(get('odd').body, 'x')
        T.eq(get('none').body, '')
        T.fails('input is cut off', get('cut'))
        T.fails('input is malformed', get('bad'))
        T.fails('response body too large', get('bomb'))
        local path = T.path('out')
        assert(get('whole', { body_to_file = path }))
        T.eq(file.readfile(path), sample)
        local pieces = {}
        assert(get('whole', { body_to_file = function(data) pieces[#pieces + 1] = data end }))
        T.eq(table.concat(pieces), sample)
        pieces = {}
        resp = assert(get('whole', { stream = true }))
        for data in function() return resp:read() end do
            pieces[#pieces + 1] = data
        end
        T.eq(table.concat(pieces), sample)
    end)
end)

case('files that lie packed beside others', function()
    local listen_tcp, listener = socket.listen_tcp, nil
    socket.listen_tcp = function(...)
        listener = assert(listen_tcp(...))
        return listener
    end
    file.writefile(T.path('page.txt'), sample)
    file.writefile(T.path('page.txt.gz'), gzip.compress(sample))
    eco.run(server.listen, '127.0.0.1', 0, { docroot = T.scratch, gzip = true }, function(con, req) return con:serve_file(req) end)
    socket.listen_tcp = listen_tcp
    local url = ('http://127.0.0.1:%d/page.txt'):format(listener:getsockname().port)
    local plain = assert(http.get(url))
    T.eq({ plain.body, plain.headers['content-encoding'], plain.headers.vary }, { sample, nil, 'accept-encoding' })
    local raw = assert(http.get(url, { headers = { ['accept-encoding'] = 'gzip' } }))
    T.eq({ gzip.decompress(raw.body), raw.headers['content-encoding'], raw.headers.vary, raw.headers['content-type'] },
        { sample, 'gzip', 'accept-encoding', 'text/plain; charset=utf-8' })
    assert(raw.headers.etag ~= plain.headers.etag)
    T.eq(http.get(url, { gzip = true }).body, sample)
    -- Each has a tag, and parts, of its own.
    T.eq(http.get(url, { headers = { ['accept-encoding'] = 'gzip', ['if-none-match'] = raw.headers.etag } }).code, 304)
    T.eq(http.get(url, { headers = { ['if-none-match'] = raw.headers.etag } }).code, 200)
    local part = http.get(url, { headers = { ['accept-encoding'] = 'gzip', range = 'bytes=2-9' } })
    T.eq({ part.code, part.body, part.headers['content-range'] }, { 206, raw.body:sub(3, 10), ('bytes 2-9/%d'):format(#raw.body) })
    listener:close()
    eco.sleep(0.01)
end)
