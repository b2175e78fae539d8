-- Leads to a module in eco/full.so: Lua looks here by the module's name.
local name = ...
local file = assert(package.searchpath('eco.full', package.cpath))
return assert(package.loadlib(file, 'luaopen_' .. (name:gsub('[.]', '_'))))(name, file)
