-- The fixed headers of rtnetlink, from tables to strings and back.

local M, head = ...

-- A header by the names of its fields and their layout; numbers are cut to their widths. Interface indexes are signed.
local function header(name, layout, fields, ...)
    local names, masks, types = {}, {}, { ... }
    for field in fields:gmatch('%S+') do
        names[#names + 1] = field
    end
    for kind in layout:gmatch('%a%d?') do
        if kind ~= 'x' then
            masks[#masks + 1] = (1 << 8 * ('='..kind):packsize()) - 1
        end
    end
    local written, size = layout:gsub('i', 'I'), layout:packsize()
    M[name] = function(t)
        if type(t) ~= 'table' then
            error(("bad argument #1 to '%s' (table expected, got %s)"):format(name, type(t)), 2)
        end
        local values = {}
        for i, field in ipairs(names) do
            values[i] = (math.tointeger(tonumber(t[field])) or 0) & masks[i]
        end
        return written:pack(table.unpack(values))
    end
    if #types == 0 then
        return
    end
    M[name:upper() .. '_SIZE'] = size
    M['parse_' .. name] = function(ker)
        local kind, data = head(ker, size)
        if not kind then
            return nil, data
        elseif kind ~= types[1] and kind ~= types[2] then
            return nil, 'invalid nlmsg type'
        elseif #data < size then
            return nil, 'invalid nlmsg'
        end
        local values, t = { layout:unpack(data) }, {}
        for i, field in ipairs(names) do
            t[field] = values[i]
        end
        return t
    end
end

header('rtgenmsg', '=B', 'family')
header('ifinfomsg', '=BxI2i4I4I4', 'family type index flags change', M.RTM_NEWLINK, M.RTM_DELLINK)
header('ifaddrmsg', '=BBBBI4', 'family prefixlen flags scope index', M.RTM_NEWADDR, M.RTM_DELADDR)
header('rtmsg', '=BBBBBBBBI4', 'family dst_len src_len tos table protocol scope type flags', M.RTM_NEWROUTE, M.RTM_DELROUTE)
header('ndmsg', '=BxxxI4I2BB', 'family index state flags type', M.RTM_NEWNEIGH, M.RTM_DELNEIGH)
header('fib_rule_hdr', '=BBBBBxxBI4', 'family dst_len src_len tos table action flags', M.RTM_NEWRULE, M.RTM_DELRULE)

-- Names that scripts of 4.x could only reach with a tab at their end.
for _, name in ipairs { 'IFLA_NUM_VF', 'IFLA_GROUP', 'IFLA_EXT_MASK' } do
    M[name .. '\t'] = M[name]
end

return M
