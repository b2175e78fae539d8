-- What programs for Lua 5.1 use: `module`, environments of functions, two old names.

local I = ...

local registry = debug.getregistry()
local getupvalue, upvaluejoin, getinfo = debug.getupvalue, debug.upvaluejoin, debug.getinfo

-- The number of the upvalue that is a function's environment, and that.
local function environment(f)
    for i = 1, 255 do
        local name, value = getupvalue(f, i)
        if name == '_ENV' then return i, value end
        if not name then return nil, _G end
    end
end

-- A function, or that at a level of whoever calls the caller.
local function target(f)
    if type(f) == 'function' then return f end
    local info = getinfo((math.tointeger(f) or 1) + 2, 'f')
    return info and info.func or error('bad argument #1 (invalid level)', 3)
end

-- Closures made before keep the variable they had.
local function set_environment(f, env)
    local i = environment(f)
    if i then upvaluejoin(f, i, function() return env end, 1) end
    return f
end

_G.setfenv = _G.setfenv or function(f, env)
    if type(env) ~= 'table' then error("bad argument #2 to 'setfenv' (table expected)", 2) end
    return set_environment(target(f), env)
end

_G.getfenv = _G.getfenv or function(f)
    if f == 0 then return _G end
    local _, env = environment(target(f == nil and 1 or f))
    return env
end

-- A module is itself wherever it is loaded, and the globals where it is not: functions of it that another state gets find
-- what they need there.
registry['luv:env:decoder'] = function(name)
    local found = package.loaded[name]
    return type(found) == 'table' and found or _G
end

local function as_environment(module)
    return 'luv:env:decoder', rawget(module, '_NAME')
end

package.seeall = package.seeall or function(module)
    local meta = getmetatable(module) or {}
    meta.__index, meta.__codec = _G, meta.__codec or as_environment
    setmetatable(module, meta)
end

local function named(name)
    local found = package.loaded[name]
    if type(found) == 'table' then return found end
    found = _G
    local conflict = ("name conflict for module '%s'"):format(name)
    for part in name:gmatch('[^.]+') do
        local inside = rawget(found, part)
        if inside == nil then
            inside = {}
            rawset(found, part, inside)
        elseif type(inside) ~= 'table' then
            error(conflict, 3)
        end
        found = inside
    end
    package.loaded[name] = found
    return found
end

_G.module = _G.module or function(name, ...)
    if type(name) ~= 'string' then error("bad argument #1 to 'module' (string expected)", 2) end
    local module = named(name)
    if rawget(module, '_NAME') == nil then
        rawset(module, '_NAME', name)
        rawset(module, '_M', module)
        rawset(module, '_PACKAGE', name:match('^.*%.') or '')
    end
    set_environment(getinfo(2, 'f').func, module)
    for i = 1, select('#', ...) do
        select(i, ...)(module)
    end
end

_G.unpack = _G.unpack or table.unpack
_G.loadstring = _G.loadstring or load
_G.luv = _G.luv or I.luv
