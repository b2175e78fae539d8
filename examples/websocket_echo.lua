-- A WebSocket server that echoes, and a client that talks to it.
--
--     eco examples/websocket_echo.lua [port]    (8080 when not given)
--
-- prints three lines and ends. A browser's console can talk to the server as well, while it runs:
--
--     new WebSocket('ws://127.0.0.1:8080/').onmessage = event => console.log(event.data)

local eco = require 'eco'
local http = require 'eco.http.server'
local websocket = require 'eco.websocket'

local port = tonumber(arg and arg[1]) or 8080

local function handler(con, req)
    local ws, err = websocket.upgrade(con, req, { ping_interval = 30 })
    if not ws then
        return con:send_error(http.STATUS_BAD_REQUEST, nil, err .. '\n')
    end
    while true do
        local data, kind = ws:recv()
        if not data then return end
        if kind == 'text' then
            ws:send_text('you said: ' .. data)
        else
            ws:send_binary(data)
        end
    end
end

eco.run(function()
    local _, err = http.listen('127.0.0.1', port, { reuseaddr = true }, handler)
    io.stderr:write(err, '\n')
    os.exit(1)
end)

local ws <close> = assert(websocket.connect(('ws://127.0.0.1:%d/'):format(port)))
for _, word in ipairs { 'one', 'two', 'three' } do
    assert(ws:send_text(word))
    print(assert(ws:recv(5)))
end
ws:close(1000, 'that is all')
os.exit(0)
