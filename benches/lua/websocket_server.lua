-- A WebSocket echo server.      usage: websocket_server.lua PORT

local http = require 'eco.http.server'
local websocket = require 'eco.websocket'

local function handler(con, req)
    local ws = assert(websocket.upgrade(con, req))
    while true do
        local data, kind = ws:recv()
        if not data then break end
        if kind == 'text' then
            ws:send_text(data)
        else
            ws:send_binary(data)
        end
    end
end

assert(http.listen('127.0.0.1', tonumber(arg[1]), { reuseaddr = true }, handler))
