-- A parallel map over files: counts the lines of every Lua file in a folder, on all cores.
--
--     eco examples/parallel_map.lua
--
-- It prints the number of lines of each file in the folder that it is in, and their sum.

local eco = require 'eco'
local file = require 'eco.file'
local sync = require 'eco.sync'
local thread = require 'eco.thread'

local folder = arg and arg[0]:match('^(.*)/') or '.'

local function count_lines(path)
    local text = assert(file.readfile(path))
    return select(2, text:gsub('\n', ''))
end

eco.run(function()
    local pool<close> = assert(thread.pool())
    local group, counts = sync.waitgroup(), {}
    for name in file.dir(folder) do
        if name:find('%.lua$') then
            group:add(1)
            eco.run(function()
                counts[name] = pool:run(count_lines, folder .. '/' .. name)
                group:done()
            end)
        end
    end
    group:wait()
    local names, sum = {}, 0
    for name, count in pairs(counts) do
        names[#names + 1], sum = name, sum + count
    end
    table.sort(names)
    for _, name in ipairs(names) do
        print(('%6d %s'):format(counts[name], name))
    end
    print(('%6d lines in %d files'):format(sum, #names))
end)

eco.loop()
