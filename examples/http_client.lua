-- Requests to a server of its own: a page, an upload, a redirect, and many over one connection.
--
--     eco examples/http_client.lua [port]        (8081 when not given)

local eco = require 'eco'
local http = require 'eco.http.client'
local server = require 'eco.http.server'

local port = tonumber(arg and arg[1]) or 8081
local base = 'http://127.0.0.1:' .. port

eco.run(server.listen, '127.0.0.1', port, { reuseaddr = true }, function(con, req)
    if req.path == '/upload' then
        con:send(#con:read_body(), ' bytes, ', req.headers['content-type'])
    elseif req.path == '/old' then
        con:redirect(302, '/new')
    else
        con:send('this is ', req.path)
    end
end)

-- One request, one connection.
local resp = assert(http.get(base .. '/page', { timeout = 5 }))
print(resp.code, resp.status, resp.body)

-- A form with a file in it.
local form = http.form()
form:add('name', 'eco')
assert(form:add_file('script', arg and arg[0] or '/proc/self/cmdline'))
print(assert(http.post(base .. '/upload', form)).body)

-- A client keeps its connections, and follows redirects.
local client<close> = http.new { reuse = true, redirects = 5 }
resp = assert(client:get(base .. '/old'))
print(resp.url, resp.body)

-- A body that is made while it is sent.
local left = 3
resp = assert(client:post(base .. '/upload', function()
    left = left - 1
    return left >= 0 and ('x'):rep(1000) or nil
end))
print(resp.body)

-- What fails says why.
print(http.get('http://127.0.0.1:1/'))
os.exit(0)
