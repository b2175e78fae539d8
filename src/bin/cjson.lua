-- The last place where `cjson` is looked for: JSON of our own, in its manner. The argument is that place.
local place = ...

table.insert(package.searchers, place or #package.searchers + 1, function(name)
    if name ~= 'cjson' and name ~= 'cjson.safe' then
        return nil
    end
    local found, json = pcall(require, 'eco.encoding.json')
    if found then
        return function()
            return json.new(name == 'cjson')
        end
    end
    return "\n\tno module 'eco.encoding.json' to take its place (package lua-eco-json)"
end)
