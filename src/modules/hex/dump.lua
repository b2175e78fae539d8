-- hexdump(1)'s view of a string; adds itself to the module.
local hex = ...

local function digits(bytes)
    return (bytes:gsub('.', function(byte) return (' %02x'):format(byte:byte()) end))
end

function hex.dump(data)
    if type(data) ~= 'string' then
        error(("bad argument #1 to 'dump' (string expected, got %s)"):format(type(data)), 2)
    end
    local lines = {}
    for at = 1, #data, 16 do
        local line = data:sub(at, at + 15)
        lines[#lines + 1] = ('%08x%-24s %-24s  |%s\n'):format(at - 1 & 0xffffffff,
            digits(line:sub(1, 8)), digits(line:sub(9)), (line:gsub('[\0-\31\127]', '.')))
    end
    return table.concat(lines)
end
