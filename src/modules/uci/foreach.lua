-- `foreach`: its callback may wait, so it is called from Lua.
--
-- The chunk gets the methods of cursors.

local methods = ...
local walk = methods.walk
methods.walk = nil

local function expect(number, wanted, value)
    error(("bad argument #%d to 'foreach' (%s expected, got %s)"):format(number, wanted, value == nil and 'no value' or type(value)), 3)
end

local function is_text(value)
    return type(value) == 'string' or type(value) == 'number'
end

function methods.foreach(cursor, package, kind, callback)
    local last = 3
    if callback == nil and (kind == nil or type(kind) == 'function') then
        kind, callback, last = nil, kind, 2
    end
    if not is_text(package) then expect(1, 'string', package) end
    if kind ~= nil and not is_text(kind) then expect(2, 'string', kind) end
    if type(callback) ~= 'function' then expect(last, 'function', callback) end
    local sections = walk(cursor, package, kind)
    if not sections then return false end
    for section in sections do
        if callback(section) == false then break end
    end
    return true
end
