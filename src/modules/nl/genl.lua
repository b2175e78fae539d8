-- Families of generic netlink and their groups, by name and by number.

local internal = ...
local nl = require 'eco.nl'

local M = setmetatable({}, { __index = internal })
-- What the kernel told, by name and by number.
local families = {}

local function groups_of(attr)
    local groups = {}
    for _, group in pairs(attr and nl.parse_attr_nested(attr) or {}) do
        local t = nl.parse_attr_nested(group)
        local name, id = t[internal.CTRL_ATTR_MCAST_GRP_NAME], t[internal.CTRL_ATTR_MCAST_GRP_ID]
        if name and id then
            groups[nl.attr_get_str(name)] = nl.attr_get_u32(id)
        end
    end
    return groups
end

local function family_of(ker)
    local t = internal.parse_genlmsghdr(ker) and ker:parse_attr(internal.GENLMSGHDR_SIZE) or {}
    local name, id = t[internal.CTRL_ATTR_FAMILY_NAME], t[internal.CTRL_ATTR_FAMILY_ID]
    local function number(attr)
        return attr and nl.attr_get_u32(attr)
    end
    return name and id and {
        name = nl.attr_get_str(name),
        id = nl.attr_get_u16(id),
        version = number(t[internal.CTRL_ATTR_VERSION]),
        hdrsize = number(t[internal.CTRL_ATTR_HDRSIZE]),
        maxattr = number(t[internal.CTRL_ATTR_MAXATTR]),
        groups = groups_of(t[internal.CTRL_ATTR_MCAST_GROUPS]),
    }
end

local function query(key, put, attr)
    if families[key] then
        return families[key]
    end
    local msg = nl.nlmsg(internal.GENL_ID_CTRL, nl.NLM_F_REQUEST)
    msg:put(internal.genlmsghdr { cmd = internal.CTRL_CMD_GETFAMILY })
    local ok, err = msg[put](msg, attr, key)
    if not ok then
        return nil, err
    end
    local s<close>, reason = nl.open(nl.NETLINK_GENERIC)
    if not s then
        return nil, reason
    end
    local family
    ok, err = s:request_dump(msg, function(ker)
        family = family_of(ker)
        return true
    end)
    if not ok then
        return nil, err
    elseif not family then
        return nil, 'no msg responsed'
    end
    families[family.name], families[family.id] = family, family
    return family
end

function M.get_family_byname(name)
    if type(name) ~= 'string' then
        error('invalid name', 2)
    end
    return query(name, 'put_attr_strz', internal.CTRL_ATTR_FAMILY_NAME)
end

function M.get_family_byid(id)
    if type(id) ~= 'number' then
        error('invalid id', 2)
    end
    return query(id, 'put_attr_u16', internal.CTRL_ATTR_FAMILY_ID)
end

function M.get_family_id(name)
    if type(name) ~= 'string' then
        error('invalid name', 2)
    end
    local family, err = M.get_family_byname(name)
    if not family then
        return nil, err
    end
    return family.id
end

function M.get_group_id(family, group)
    if type(family) ~= 'string' then
        error('invalid family name', 2)
    elseif type(group) ~= 'string' then
        error('invalid group name', 2)
    end
    local found, err = M.get_family_byname(family)
    if not found then
        return nil, err
    end
    return found.groups[group]
end

-- Drops what is remembered of a family: a driver that was loaded anew has another number.
function M.forget(name)
    local family = families[name]
    if family then
        families[family.name], families[family.id] = nil, nil
    end
end

return M
