-- For c/starve.c: modules being loaded for the first time.

local names = {
    'eco', 'eco.time', 'eco.sync', 'eco.channel', 'eco.sys', 'eco.file', 'eco.encoding.hex', 'eco.bufio', 'eco.log',
    'eco.cli', 'eco.socket',
}

local function load_all()
    for _, name in ipairs(names) do
        package.loaded[name] = nil
    end
    for _, name in ipairs(names) do
        assert(require(name))
    end
end

return function() end, load_all
