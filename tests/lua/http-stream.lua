-- `eco.http.server` over a stream that is no plain socket: the way TLS takes, with every byte masked (c/mask.c).

local eco = require 'eco'
local http = require 'eco.http.server'
local socket = require 'eco.socket'

local mask = require 'mask'

local function masked(sock)
    local read, write, context = mask.callbacks(sock:getfd())
    return {
        rd = eco.reader(sock:getfd(), read, context),
        wr = eco.writer(sock:getfd(), write, context),
        close = function() sock:close() end,
    }
end

-- What `listen` asks for when it is given a certificate and a key.
package.loaded['eco.ssl'] = {
    server_context = function() return {} end,
    server = masked,
}

local listen_tcp, listener = socket.listen_tcp, nil
socket.listen_tcp = function(...)
    listener = assert(listen_tcp(...))
    return listener
end

local content = ('0123456789'):rep(3000)
local file = assert(io.open(T.path('file.txt'), 'w'))
file:write(content)
file:close()

T.case('requests, a file and a form through a masked stream', function()
    local stopped
    eco.run(function()
        local options = { cert = 'c', key = 'k', docroot = T.path('') }
        stopped = table.pack(http.listen('127.0.0.1', 0, options, function(con, req)
            if req.path == '/echo' then
                con:send(con:read_body(), ' ', con:remote_addr().ipaddr)
            else
                return con:serve_file(req)
            end
        end))
    end)
    local plain = assert(socket.connect_tcp('127.0.0.1', listener:getsockname().port))
    local client = masked(plain)

    local function response()
        T.eq(client.rd:read('l', 5), 'HTTP/1.1 200 OK')
        local length
        while true do
            local line = assert(client.rd:read('l', 5))
            if line == '' then break end
            length = tonumber(line:lower():match('^content%-length: (%d+)')) or length
        end
        if length then return client.rd:readfull(length, 5) end
        local body = {}
        while true do
            local size = tonumber(client.rd:read('l', 5), 16)
            if size == 0 then break end
            body[#body + 1] = client.rd:readfull(size, 5)
            client.rd:read('l', 5)
        end
        client.rd:read('l', 5)
        return table.concat(body)
    end

    client.wr:write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello', 5)
    T.eq(response(), 'hello 127.0.0.1')
    client.wr:write('GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n', 5)
    T.eq(response(), content)

    client.close()
    listener:close()
    for _ = 1, 100 do
        if stopped then break end
        eco.sleep(0.001)
    end
    T.eq(stopped[1], nil)
end)
