-- `eco.websocket` over streams that are no plain sockets: the way TLS takes, with every byte masked (c/mask.c).

local eco = require 'eco'
local socket = require 'eco.socket'
local websocket = require 'eco.websocket'
local wire = require 'wire'

local mask = require 'mask'

local function masked(sock)
    local read, write, context = mask.callbacks(sock:getfd())
    local stream = { rd = eco.reader(sock:getfd(), read, context), wr = eco.writer(sock:getfd(), write, context) }
    function stream.close() sock:close() end
    function stream:send(data, timeout) return self.wr:write(data, timeout) end
    function stream:read(...) return self.rd:read(...) end
    return stream
end

local given
package.loaded['eco.ssl'] = {
    client = function(sock, opts)
        given = opts
        if opts.insecure then
            return nil, 'no certificate'
        end
        return masked(sock)
    end,
}

-- A handler's connection, as far as it is needed.
local function connection(stream)
    local req = { method = 'GET', major_version = 1, minor_version = 1, headers = {} }
    assert(stream:read('l', 5))
    while true do
        local line = assert(stream:read('l', 5))
        if line == '' then break end
        local name, value = line:match('^([^:]+): (.*)$')
        req.headers[name:lower()] = value
    end
    local con = { resp = {}, sock = stream, head = 'HTTP/1.1 101 x\r\n' }
    function con.discard_body() return true end
    function con.set_status() end
    function con:add_header(name, value) self.head = self.head .. name .. ': ' .. value .. '\r\n' end
    function con:flush() return stream:send(self.head .. '\r\n') end
    return con, req
end

case('messages of every size through a masked stream', function()
    local listener = assert(socket.listen_tcp('127.0.0.1', 0))
    local url = ('wss://127.0.0.1:%d/'):format(listener:getsockname().port)
    local options = { max_payload_len = 1 << 20 }
    T.all(function()
        local sock = assert(listener:accept())
        local con, req = connection(masked(sock))
        wire.echo(assert(websocket.upgrade(con, req, options)))
    end, function()
        local ws = assert(websocket.connect(url, { max_payload_len = 1 << 20, server_name = 'here' }))
        T.eq({ given.server_name, given.alpn }, { 'here', { 'http/1.1' } })
        for _, size in ipairs { 0, 1, 125, 126, 999, 1000, 1001, 65535, 65536, 1 << 20 } do
            local data = ('0123456789abcdef'):rep(size // 16 + 1):sub(1, size)
            T.eq(type(ws:send_binary(data)), 'number')
            local back, kind = ws:recv(10)
            assert(back == data and kind == 'binary', size)
        end
        T.eq(ws:close(), true)
    end)
    T.all(function()
        local sock = assert(listener:accept())
        T.fails('closed', sock:read(1, 5))
        sock:close()
    end, function()
        local options_of_mine = { insecure = true }
        T.fails(('connect "127.0.0.1 %d" fail: no certificate'):format(listener:getsockname().port), websocket.connect(url, options_of_mine))
        T.eq({ options_of_mine.server_name, options_of_mine.alpn }, {})
    end)
    listener:close()
    package.loaded['eco.ssl'] = nil
end)
