---@meta eco.genl

---Generic netlink. Names of constants are those of `linux/genetlink.h`.
---@class eco.genl
---@field CTRL_ATTR_FAMILY_ID integer
---@field CTRL_ATTR_FAMILY_NAME integer
---@field CTRL_ATTR_HDRSIZE integer
---@field CTRL_ATTR_MAXATTR integer
---@field CTRL_ATTR_MCAST_GROUPS integer
---@field CTRL_ATTR_MCAST_GRP_ID integer
---@field CTRL_ATTR_MCAST_GRP_NAME integer
---@field CTRL_ATTR_OPS integer
---@field CTRL_ATTR_OP_FLAGS integer
---@field CTRL_ATTR_OP_ID integer
---@field CTRL_ATTR_UNSPEC integer
---@field CTRL_ATTR_VERSION integer
---@field CTRL_CMD_DELFAMILY integer
---@field CTRL_CMD_DELMCAST_GRP integer
---@field CTRL_CMD_DELOPS integer
---@field CTRL_CMD_GETFAMILY integer
---@field CTRL_CMD_GETMCAST_GRP integer
---@field CTRL_CMD_GETOPS integer
---@field CTRL_CMD_NEWFAMILY integer
---@field CTRL_CMD_NEWMCAST_GRP integer
---@field CTRL_CMD_NEWOPS integer
---@field CTRL_CMD_UNSPEC integer
---@field GENLMSGHDR_SIZE integer
---@field GENL_ID_CTRL integer
local genl = {}

---@class eco.genl.Family
---@field name string
---@field id integer
---@field version? integer
---@field hdrsize? integer
---@field maxattr? integer
---@field groups table<string, integer>

---@param t { cmd: integer, version: integer? }
---@return string
function genl.genlmsghdr(t) end

---@param ker eco.nl.Received
---@return { cmd: integer, version: integer }?
---@return string? problem
function genl.parse_genlmsghdr(ker) end

---@async
---@param name string
---@return eco.genl.Family?
---@return string? problem
---@return_overload nil, string
function genl.get_family_byname(name) end

---@async
---@param id integer
---@return eco.genl.Family?
---@return string? problem
---@return_overload nil, string
function genl.get_family_byid(id) end

---@async
---@param name string
---@return integer?
---@return string? problem
---@return_overload nil, string
function genl.get_family_id(name) end

---@async
---@param family string
---@param group string
---@return integer?
---@return string? problem
---@return_overload nil, string
function genl.get_group_id(family, group) end

---Drops what is remembered of a family.
---@param name string|integer
function genl.forget(name) end

return genl
