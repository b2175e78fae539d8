---@meta eco.nl

---Netlink messages and sockets. Names of constants are those of `linux/netlink.h`.
---@class eco.nl
---@field NETLINK_AUDIT integer
---@field NETLINK_CONNECTOR integer
---@field NETLINK_DNRTMSG integer
---@field NETLINK_FIB_LOOKUP integer
---@field NETLINK_FIREWALL integer
---@field NETLINK_GENERIC integer
---@field NETLINK_IP6_FW integer
---@field NETLINK_ISCSI integer
---@field NETLINK_KOBJECT_UEVENT integer
---@field NETLINK_NETFILTER integer
---@field NETLINK_NFLOG integer
---@field NETLINK_ROUTE integer
---@field NETLINK_SELINUX integer
---@field NETLINK_SOCK_DIAG integer
---@field NETLINK_UNUSED integer
---@field NETLINK_USERSOCK integer
---@field NETLINK_XFRM integer
---@field NLMSGERR_ATTR_COOKIE integer
---@field NLMSGERR_ATTR_MSG integer
---@field NLMSGERR_ATTR_OFFS integer
---@field NLMSGERR_SIZE integer
---@field NLMSG_DONE integer
---@field NLMSG_ERROR integer
---@field NLMSG_MIN_TYPE integer
---@field NLMSG_NOOP integer
---@field NLMSG_OVERRUN integer
---@field NLM_F_ACK integer
---@field NLM_F_ACK_TLVS integer
---@field NLM_F_APPEND integer
---@field NLM_F_ATOMIC integer
---@field NLM_F_CAPPED integer
---@field NLM_F_CREATE integer
---@field NLM_F_DUMP integer
---@field NLM_F_DUMP_FILTERED integer
---@field NLM_F_DUMP_INTR integer
---@field NLM_F_ECHO integer
---@field NLM_F_EXCL integer
---@field NLM_F_MATCH integer
---@field NLM_F_MULTI integer
---@field NLM_F_NONREC integer
---@field NLM_F_REPLACE integer
---@field NLM_F_REQUEST integer
---@field NLM_F_ROOT integer
local nl = {}

---A message under construction. What cannot be put gives `nil, message` and changes nothing.
---@class eco.nl.Message: userdata
local message = {}

---@return string
function message:binary() end

---@param data string
---@return eco.nl.Message? self
---@return string? problem
---@return_overload nil, string
function message:put(data) end

---@param type integer
---@param data string
---@return eco.nl.Message? self
---@return string? problem
---@return_overload nil, string
function message:put_attr(type, data) end

---@param type integer
---@return eco.nl.Message? self
---@return string? problem
---@return_overload nil, string
function message:put_attr_flag(type) end

---@param type integer
---@param n integer
---@return eco.nl.Message? self
---@return string? problem
---@return_overload nil, string
function message:put_attr_u8(type, n) end
message.put_attr_u16, message.put_attr_u32, message.put_attr_u64 = message.put_attr_u8, message.put_attr_u8, message.put_attr_u8

---@param type integer
---@param s string  up to its first NUL
---@return eco.nl.Message? self
---@return string? problem
---@return_overload nil, string
function message:put_attr_str(type, s) end
message.put_attr_strz = message.put_attr_str

---@param type integer
---@return eco.nl.Message? self
---@return string? problem
---@return_overload nil, string
function message:put_attr_nest_start(type) end

---@return eco.nl.Message self
function message:put_attr_nest_end() end

---A cursor over the messages of a datagram.
---@class eco.nl.Received: userdata
local received = {}

---@class eco.nl.Header
---@field type integer
---@field flags integer
---@field seq integer
---@field pid integer

---@return eco.nl.Header?
function received:next() end

---@return string? payload
---@return string? problem
function received:payload() end

---@param offset integer  into the payload
---@return table<integer, string>? attributes
---@return string? problem
function received:parse_attr(offset) end

---@return integer? error  0, or a negative error number
---@return string? problem
function received:parse_error() end

---@class eco.nl.Socket
---@field sock eco.socket.Socket
local socket = {}

---@param groups? integer  a bitmap
---@param pid? integer
---@return true? bound
---@return string? problem
---@return_overload nil, string
function socket:bind(groups, pid) end

---@param group integer
---@return true? joined
---@return string? problem
---@return_overload nil, string
function socket:add_membership(group) end
socket.drop_membership = socket.add_membership

---@async
---@param msg eco.nl.Message
---@return integer? bytes
---@return string? problem
---@return_overload nil, string
function socket:send(msg) end

---@async
---@param n? integer  bytes at most
---@param timeout? number
---@return eco.nl.Received?
---@return string? problem
---@return_overload nil, string
function socket:recv(n, timeout) end

---@async
---@param msg eco.nl.Message
---@param on_error? fun(errno: integer): any?
---@param timeout? number
---@return true? done
---@return any problem
function socket:request_ack(msg, on_error, timeout) end

---@alias eco.nl.Callback fun(ker: eco.nl.Received, header: eco.nl.Header): boolean?, any

---@async
---@param msg eco.nl.Message
---@param on_msg? eco.nl.Callback
---@param on_error? fun(errno: integer): any?
---@param timeout? number
---@return true? done
---@return any problem
function socket:request_dump(msg, on_msg, on_error, timeout) end

---@async
---@param on_msg? eco.nl.Callback
---@param on_error? fun(errno: integer): any?
---@param n? integer
---@param timeout? number
---@return true? done
---@return any problem
function socket:recv_messages(on_msg, on_error, n, timeout) end

function socket:close() end

---@param protocol? integer
---@return eco.nl.Socket?
---@return string? problem
---@return_overload nil, string
function nl.open(protocol) end

---What `take` makes of each message of a dump that `ask` asks for, anew if it was interrupted.
---@async
---@param ask fun(on_msg: fun(...)): true?, any
---@param take fun(...): any?  nil and false are left out
---@return any[]? list
---@return any problem
function nl.collect(ask, take) end

---@param type integer
---@param flags integer
---@param seq? integer
---@param size? integer  room behind the header, 4096
---@return eco.nl.Message
function nl.nlmsg(type, flags, seq, size) end

---@param data string  a datagram
---@return eco.nl.Received
function nl.nlmsg_ker(data) end

---@param attr string
---@return integer
function nl.attr_get_u8(attr) end
nl.attr_get_s8, nl.attr_get_u16, nl.attr_get_s16, nl.attr_get_u32 = nl.attr_get_u8, nl.attr_get_u8, nl.attr_get_u8, nl.attr_get_u8
nl.attr_get_s32, nl.attr_get_u64, nl.attr_get_s64 = nl.attr_get_u8, nl.attr_get_u8, nl.attr_get_u8

---@param attr string
---@return string
function nl.attr_get_str(attr) end
nl.attr_get_payload = nl.attr_get_str

---@param attr string
---@return table<integer, string>
function nl.parse_attr_nested(attr) end

return nl
