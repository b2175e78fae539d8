-- AT commands: asks a modem who it is, and how well it hears.
--
--     eco examples/modem.lua /dev/ttyUSB2
--
-- Without a device it lists the ports there are, and talks to a modem made of a
-- script, over a pseudo-terminal.

local eco = require 'eco'
local serial = require 'eco.serial'

-- A modem that knows three commands, and rings once.
local function pretend()
    local modem = assert(serial.pty())
    local answers = {
        ['AT'] = 'OK',
        ['ATI'] = 'Example Modem\r\nRevision: 1.0\r\n\r\nOK',
        ['AT+CSQ'] = '+CSQ: 21,99\r\n\r\nOK',
    }
    eco.run(function()
        modem:write('\r\nRING\r\n')
        local command = ''
        while true do
            local part, found = modem:readuntil('\r', 10)
            if not part then break end
            command = command .. part
            if found then
                modem:write(command .. '\r\r\n' .. (answers[command] or 'ERROR') .. '\r\n')
                command = ''
            end
        end
        modem:close()
    end)
    return modem.path
end

local path = (...)
if not path or path:sub(1, 1) ~= '/' then
    for _, found in ipairs(serial.list()) do
        print('there is', found.path, found.driver, found.product, found.by_id)
    end
    path = pretend()
end

local port<close> = assert(serial.open(path, { speed = 115200 }))
port:flush()

-- Sends a command; gives its final result and the lines before it. What the
-- modem says by itself comes in between.
local function command(text)
    assert(port:write(text .. '\r', 2))
    local lines = {} ---@type string[]
    while true do
        local line = assert(port:read('l', 5)):gsub('\r', '')
        if line == 'OK' or line == 'ERROR' or line:find('^%+CM[ES] ERROR') then
            return line, lines
        elseif line == 'RING' then
            print('somebody calls')
        elseif line ~= '' and line ~= text then
            lines[#lines + 1] = line
        end
    end
end

for _, text in ipairs { 'AT', 'ATI', 'AT+CSQ', 'AT+WHAT' } do
    local result, lines = command(text)
    print(text, result, table.concat(lines, '; '))
    local strength = text == 'AT+CSQ' and lines[1] and tonumber(lines[1]:match('(%d+),'))
    if strength then
        print('signal', strength < 99 and -113 + 2 * strength .. ' dBm' or 'unknown')
    end
end
