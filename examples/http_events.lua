-- Server-sent events: a page that shows the time, and the memory in use, as they change.
--
--     eco examples/http_events.lua [port]       (8080 when not given)
--
-- Open http://127.0.0.1:8080/ in a browser, or look at the stream itself:
--
--     curl -N http://127.0.0.1:8080/events
--
-- It prints nothing and serves until it is stopped.

local eco = require 'eco'
local http = require 'eco.http.server'

local port = tonumber(arg and arg[1]) or 8080

local page = [[
<!doctype html><title>events</title><h1 id="time">…</h1><p id="memory"></p>
<script>
const source = new EventSource('/events')
source.addEventListener('time', event => document.getElementById('time').textContent = event.data)
source.addEventListener('memory', event => document.getElementById('memory').textContent = event.data + ' KB')
</script>
]]

local function events(con)
    local ok = con:send_event { retry = 2000 }
    local id = 0
    while ok do
        id = id + 1
        con:send_event { event = 'memory', data = collectgarbage('count') // 1 }
        ok = con:send_event { event = 'time', id = id, data = os.date('%H:%M:%S') }
        eco.sleep(1)
    end
end

local _, err = http.listen(nil, port, { reuseaddr = true }, function(con, req)
    if req.path == '/events' then
        return events(con)
    end
    con:add_header('content-type', 'text/html; charset=utf-8')
    con:send(page)
end)

io.stderr:write(err, '\n')
os.exit(1)
