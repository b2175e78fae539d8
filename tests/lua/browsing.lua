-- Chromium for tests of pages, spoken to over its debugging protocol.

local base64 = require 'eco.encoding.base64'
local eco = require 'eco'
local file = require 'eco.file'
local http = require 'eco.http.client'
local json = require 'eco.encoding.json'
local sys = require 'eco.sys'
local websocket = require 'eco.websocket'

local M = {}

-- A browser takes its time to start, more so on a busy machine.
function M.await(condition)
    for _ = 1, 1200 do
        local result = condition()
        if result then return result end
        eco.sleep(0.05)
    end
    error('waited in vain', 2)
end

-- Runs `body` with a tab of a browser of our own: `call(method, params)`, `value(expression)`, `shoot(name)`.
function M.browse(T, url, body)
    local process = assert(sys.exec('chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
        '--user-data-dir=' .. T.path('profile'), '--window-size=1000,560', '--remote-debugging-port=0', url))
    local told, port = {}, nil
    eco.run(function()
        while true do
            local line = process:read_stderr('l', 60)
            if not line then return end
            told[#told + 1] = line
            port = port or line:match('^DevTools listening on ws://127%.0%.0%.1:(%d+)/')
        end
    end)
    local ok, message = xpcall(function()
        M.await(function() return port end)
        local target
        M.await(function()
            for _, tab in ipairs(json.decode(assert(http.get(('http://127.0.0.1:%d/json/list'):format(port))).body)) do
                if tab.type == 'page' then target = tab end
            end
            return target
        end)
        local ws<close> = assert(websocket.connect(target.webSocketDebuggerUrl, { max_payload_len = 1 << 24 }))
        local tab, id = {}, 0
        function tab.call(method, params)
            id = id + 1
            assert(ws:send_text(json.encode { id = id, method = method, params = params }))
            while true do
                local answer = assert(json.decode(assert(ws:recv(30))))
                if answer.id == id then return assert(answer.result, answer.error and answer.error.message) end
            end
        end
        function tab.value(expression)
            local result = tab.call('Runtime.evaluate', { expression = expression, returnByValue = true })
            assert(not result.exceptionDetails, expression)
            return result.result.value
        end
        function tab.shoot(name)
            local picture = base64.decode(tab.call('Page.captureScreenshot', { format = 'png' }).data)
            assert(picture:find('^\x89PNG'))
            assert(file.writefile(os.getenv('TEST_ARTEFACTS') .. '/' .. name, picture))
        end
        body(tab)
    end, debug.traceback)
    process:kill()
    process:wait(10)
    process:close()
    if not ok then error(message .. '\n' .. table.concat(told, '\n'), 0) end
end

return M
