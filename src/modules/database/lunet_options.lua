-- From the table that lunet's `open` gets to that of ours: what is not of its type has its default, as in lunet; options
-- of ours are passed on.

local I, defaults = ...

return function(cfg)
    if type(cfg) ~= 'table' then return nil end
    local config = { cleartext = true, text = true, lunet = true }
    for _, name in ipairs { 'unix', 'ssl', 'timeout', 'connect_timeout', 'max_message_size' } do
        config[name] = cfg[name]
    end
    for name, default in pairs(defaults) do
        local value = cfg[name]
        if name == 'port' then
            value = I.integer(value)
            if not value or value < 1 or value > 65535 then value = default end
        elseif type(value) == 'number' then
            value = tostring(value)
        elseif type(value) ~= 'string' then
            value = default
        end
        config[name] = value
    end
    return config
end
