-- The header of generic netlink: command and version.

local M, head = ...

function M.genlmsghdr(t)
    if type(t) ~= 'table' then
        error("bad argument #1 to 'genlmsghdr' (table expected, got " .. type(t) .. ')', 2)
    end
    local version = 1
    if t.version ~= nil then
        version = math.tointeger(tonumber(t.version)) or error('version: integer expected', 2)
    end
    return string.pack('BBxx', (math.tointeger(tonumber(t.cmd)) or 0) & 0xff, version & 0xff)
end

function M.parse_genlmsghdr(ker)
    local kind, data = head(ker, M.GENLMSGHDR_SIZE)
    if not kind then
        return nil, data
    elseif kind < 16 then
        return nil, 'invalid nlmsg type'
    elseif #data < M.GENLMSGHDR_SIZE then
        return nil, 'invalid nlmsg'
    end
    local cmd, version = data:byte(1, 2)
    return { cmd = cmd, version = version }
end

return M
