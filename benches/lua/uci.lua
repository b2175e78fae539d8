-- Loads a configuration and looks at every value of it: `uci.lua FOLDER PACKAGE`. The process is what is measured.

local uci = require 'eco.uci'

local c = uci.cursor(arg[1], arg[1] .. '/saved')
local options = 0
for section in c:each(arg[2]) do
    for name, value in pairs(section) do
        if name:byte() ~= 46 then
            options = options + #value
        end
    end
end
assert(options > 0)
