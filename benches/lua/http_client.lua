-- Requests over kept connections from 64 coroutines.      usage: http_client.lua PORT SECONDS
-- Prints requests a second.

local http = require 'eco.http.client'
local time = require 'eco.time'

local url, seconds = ('http://127.0.0.1:%s/'):format(arg[1]), tonumber(arg[2])
local client = http.new { reuse = true, max_idle = 64 }
local done, running = 0, 64
local start = time.now(true)

for _ = 1, running do
    eco.run(function()
        while time.now(true) - start < seconds do
            local resp = assert(client:get(url))
            assert(resp.code == 200 and #resp.body == 12)
            done = done + 1
        end
        running = running - 1
        if running == 0 then
            print(('%.0f'):format(done / (time.now(true) - start)))
            client:close()
        end
    end)
end
