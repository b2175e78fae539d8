-- An HTTP server on all cores: a thread for each, and the kernel shares the connections out.
--
--     eco examples/http_cores.lua [port]        (8080 when not given)
--
-- and in another terminal, several times:
--
--     curl http://127.0.0.1:8080/               hello from a thread
--
-- It prints nothing and serves until it is stopped.

local http = require 'eco.http.server'
local thread = require 'eco.thread'

local port = tonumber(arg and arg[1]) or 8080

local function serve()
    local name = thread.self():name()
    local _, err = http.listen(nil, port, { reuseport = true }, function(con)
        con:send('hello from ', name, '\n')
    end)
    error(err)
end

for number = 2, thread.cores() do
    assert(thread.spawn({ name = 'thread ' .. number }, serve))
end
serve()
