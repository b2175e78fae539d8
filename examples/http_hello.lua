-- A small HTTP service.
--
--     eco examples/http_hello.lua [port]        (8080 when not given)
--
-- and in another terminal:
--
--     curl http://127.0.0.1:8080/               hello from eco
--     curl http://127.0.0.1:8080/time           the time as JSON
--     curl -d 'some text' http://127.0.0.1:8080/echo
--
-- It prints nothing and serves until it is stopped.

local http = require 'eco.http.server'

local port = tonumber(arg and arg[1]) or 8080

---@type table<string, (fun(con: eco.http.server.Connection, req: eco.http.server.Request): any?)?>
local routes = {
    ['/'] = function(con)
        con:add_header('content-type', 'text/plain')
        con:send('hello from eco\n')
    end,

    ['/time'] = function(con)
        con:add_header('content-type', 'application/json')
        con:send('{"time":', os.time(), '}\n')
    end,

    ['/echo'] = function(con)
        local body, err = con:read_body(65536)
        if not body then
            return con:send_error(http.STATUS_BAD_REQUEST, nil, err .. '\n')
        end
        con:send(body)
    end,
}

local _, err = http.listen(nil, port, { reuseaddr = true }, function(con, req)
    local route = routes[req.path]
    if route then
        return route(con, req)
    end
    con:send_error(http.STATUS_NOT_FOUND, nil, 'nothing here\n')
end)

io.stderr:write(err, '\n')
os.exit(1)
