-- Several processes count in one dictionary.
--
--     eco examples/shared_counter.lua

local shared = require 'eco.shared'
local sys = require 'eco.sys'

local name = 'example-' .. sys.getpid()
local dict<close> = assert(shared.new(name, 4096))
dict:set('count', 0)

local children = {}
for i = 1, 4 do
    local _, child = assert(sys.spawn(function()
        local mine = assert(shared.get(name))
        for _ = 1, 1000 do
            mine:incr('count', 1)
        end
        mine:set('seen ' .. i, true, 60)
    end, true))
    children[i] = child
end
for _, child in ipairs(children) do
    child:wait()
end

print('counted', dict:get('count'))
for _, key in ipairs(dict:get_keys()) do
    print(key, dict:get(key), ('%.0f s left'):format(dict:ttl(key)))
end
