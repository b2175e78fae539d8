-- Lists what the real tables hold, for the test that compares it with documents and annotations: a line `MODULE function NAME`,
-- `MODULE constant NAME` or `MODULE method NAME` for each. Run with the names of the modules.

local names = { ... }
local found, seen = {}, {}

local function add(module, kind, name)
    -- Others are ours alone, or the interpreter's, or misspelt for scripts of 4.x.
    if type(name) == 'string' and name:find('^%a[%w_]*$') then found[('%s %s %s'):format(module, kind, name)] = true end
end

-- Metatables that functions of a module know, and what these functions know themselves.
local function methods(module, meta)
    local index = rawget(meta, '__index')
    local holder = type(index) == 'table' and index or meta
    for name, value in next, holder do
        if type(value) == 'function' then add(module, 'method', name) end
    end
end

local function walk(module, value, depth)
    if depth > 6 or seen[value] then return end
    if type(value) == 'function' then
        seen[value] = true
        for n = 1, 255 do
            local name, held = debug.getupvalue(value, n)
            if not name then break end
            if held ~= _G and held ~= package then walk(module, held, depth + 1) end
        end
    elseif type(value) == 'table' and value ~= _G then
        seen[value] = true
        if rawget(value, '__index') ~= nil then methods(module, value) end
        for _, held in next, value do
            if type(held) == 'function' or type(held) == 'table' then walk(module, held, depth + 1) end
        end
    end
end

for _, name in ipairs(names) do
    local module = require(name)
    -- Some show what an inner module holds as their own.
    while type(module) == 'table' do
        for key, value in next, module do
            add(name, type(value) == 'function' and 'function' or 'constant', key)
        end
        local meta = debug.getmetatable(module)
        module = meta and rawget(meta, '__index')
    end
end
-- Other modules are looked at in their own turn.
for _, module in pairs(package.loaded) do seen[module] = type(module) == 'table' end
for _, name in ipairs(names) do
    local module = require(name)
    for _, value in next, type(module) == 'table' and module or { module } do walk(name, value, 0) end
end
-- Their methods are known once there is such an object.
local socket, sync = require 'eco.socket', require 'eco.sync'
local objects = {
    eco.buffer(), eco.io(0), eco.reader(0), eco.writer(1), sync.cond(), sync.mutex(), sync.waitgroup(),
    require 'eco.channel'.new(), require 'eco.time'.at(0.01, function() end), require 'eco.sys'.exec('true'), socket.tcp(),
    require 'eco.encoding.gzip'.compressor(), require 'eco.encoding.gzip'.decompressor(), require 'eco.encoding.json'.new(),
    require 'eco.uci'.cursor(), require 'eco.hash.md5'.new(), require 'eco.thread'.channel(), require 'eco.termios'.tcgetattr(0),
}
for key, meta in next, debug.getregistry() do
    if type(key) == 'string' and type(meta) == 'table' and rawget(meta, '__name') == key and not key:find('FILE') then
        methods(key:gsub('^struct (.-) %*$', '%1'):gsub(' ', '-'), meta)
    end
end

local lines = {}
for line in pairs(found) do lines[#lines + 1] = line end
table.sort(lines)
print(table.concat(lines, '\n'))
