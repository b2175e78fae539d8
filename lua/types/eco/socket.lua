---@meta eco.socket

---Sockets whose calls suspend one coroutine.
---@class eco.socket
---@field AF_UNSPEC integer
---@field AF_UNIX integer
---@field AF_INET integer
---@field AF_INET6 integer
---@field AF_NETLINK integer
---@field AF_PACKET integer
---@field SOCK_STREAM integer
---@field SOCK_DGRAM integer
---@field SOCK_RAW integer
---@field IPPROTO_ICMP integer
---@field IPPROTO_TCP integer
---@field IPPROTO_UDP integer
---@field IPPROTO_ICMPV6 integer
---@field ETH_P_ALL integer
---@field ETH_P_IP integer
---@field ETH_P_ARP integer
---@field ETH_P_8021Q integer
---@field ETH_P_IPV6 integer
---@field ETH_P_PPP_DISC integer
---@field ETH_P_PPP_SES integer
---@field ARPHRD_ETHER integer
---@field ARPHRD_LOOPBACK integer
---@field ARPHRD_IEEE80211_RADIOTAP integer
---@field ARPOP_REQUEST integer
---@field ARPOP_REPLY integer
---@field PACKET_MR_MULTICAST integer
---@field PACKET_MR_PROMISC integer
---@field PACKET_MR_ALLMULTI integer
---@field PACKET_MR_UNICAST integer
---@field ICMP_ECHOREPLY integer
---@field ICMP_REDIRECT integer
---@field ICMP_ECHO integer
---@field ICMPV6_ECHO_REQUEST integer
---@field ICMPV6_ECHO_REPLY integer
---@field IFF_TUN integer
---@field IFF_TAP integer
---@field IFF_NO_PI integer
local socket = {}

---An address as the system reports it; which fields there are depends on the family.
---@class eco.socket.Address
---@field family integer
---@field ipaddr string   of IPv4 and IPv6 alone, as the port
---@field port integer
---@field path? string
---@field pid? integer
---@field ifindex? integer
---@field ifname? string

---An interface, the address of packet sockets.
---@class eco.socket.Interface
---@field ifname? string
---@field ifindex? integer

---@class eco.socket.Options
---@field reuseaddr? boolean
---@field reuseport? boolean
---@field ipv6_v6only? boolean
---@field mark? integer
---@field device? string
---@field connect_timeout? number  seconds, 0 for none; 5 unless given
---@field sendto_timeout? number  seconds, 0 for none; 5 unless given

---@class eco.socket.ConnectOptions: eco.socket.Options
---@field dns? eco.dns.Options  for names

---@class eco.socket.BindOptions: eco.socket.Options
---@field ipv6? boolean

---@class eco.socket.ListenOptions: eco.socket.BindOptions
---@field backlog? integer
---@field tcp_nodelay? boolean
---@field keepalive? boolean
---@field tcp_keepidle? integer
---@field tcp_keepcnt? integer
---@field tcp_keepintvl? integer
---@field tcp_fastopen? integer

---@class eco.socket.TunOptions
---@field tun? boolean
---@field tap? boolean
---@field no_pi? boolean

---What can be read from and written to: the part sockets and TUN devices share.
---@class eco.socket.Stream: eco.bufio.Source
---@field rd eco.Reader
---@field wr eco.Writer
---@field sock userdata  the raw socket
---@field mutex userdata  has lock([timeout]) and unlock(): what senders queue at
local stream = {}

---Up to `format` bytes, a line (`'l'`, `'L'`) or everything (`'a'`).
---@async
---@param format integer|'l'|'L'|'a'|'*l'|'*L'|'*a'
---@param timeout? number  seconds per wait
---@return string? data
---@return string? problem
---@return_overload nil, string
function stream:read(format, timeout) end

---@async
---@param format integer|'l'|'L'|'a'|'*l'|'*L'|'*a'
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function stream:recv(format, timeout) end

---Exactly `size` bytes.
---@async
---@param size integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function stream:readfull(size, timeout) end

---A piece of what precedes `needle`; with `true` it is the last.
---@async
---@param needle string  1 to 256 bytes
---@param timeout? number
---@return string? data
---@return true|string|nil found  or the problem
function stream:readuntil(needle, timeout) end

---Appends up to `n` bytes to a buffer.
---@async
---@param buffer eco.Buffer
---@param n integer
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function stream:read2b(buffer, n, timeout) end

---Everything, in one piece.
---@async
---@param data string|number
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function stream:send(data, timeout) end

---@async
---@param data string|number
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function stream:write(data, timeout) end

---@return integer fd  -1 once closed
function stream:getfd() end

---@return boolean
function stream:closed() end

---Wakes whoever waits with `nil, 'canceled'`.
function stream:close() end

---@class eco.socket.Tun: eco.socket.Stream

---@class eco.socket.Socket: eco.socket.Stream
local Socket = {}

---@async
---@param size integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function Socket:recvfull(size, timeout) end

---One datagram and where it came from.
---@async
---@param size integer
---@param timeout? number
---@return string? data
---@return eco.socket.Address|string address  or the problem
function Socket:recvfrom(size, timeout) end

---One datagram to an address: `ip, port`, `path`, `groups, pid` or an interface.
---@async
---@param data string
---@param address string|integer|eco.socket.Interface|nil
---@param port? integer|number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function Socket:sendto(data, address, port) end

---@async
---@param path string
---@param length? integer  the rest of the file
---@param offset? integer  0
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function Socket:sendfile(path, length, offset, timeout) end

---@async
---@param timeout? number
---@return eco.socket.Socket? connection
---@return eco.socket.Address|string peer  or the problem
function Socket:accept(timeout) end

---@param address string|integer|eco.socket.Interface|nil
---@param port? integer|number
---@return eco.socket.Socket? self
---@return string? problem
---@return_overload nil, string
function Socket:bind(address, port) end

---@param backlog? integer
---@return eco.socket.Socket? self
---@return string? problem
---@return_overload nil, string
function Socket:listen(backlog) end

---At most 5 seconds.
---@async
---@param address string|integer|eco.socket.Interface|nil
---@param port? integer|number
---@return eco.socket.Socket? self
---@return string? problem
---@return_overload nil, string
function Socket:connect(address, port) end

---@return eco.socket.Address? address
---@return string? problem
---@return_overload nil, string
function Socket:getsockname() end

---@return eco.socket.Address? address
---@return string? problem
---@return_overload nil, string
function Socket:getpeername() end

---Ends a direction at once.
---@param how 'read'|'write'|'both'
---@return true? done
---@return string? problem
---@return_overload nil, string
function Socket:shutdown(how) end

---@param name string
---@param value boolean|integer|string|table
---@return true? set
---@return string? problem
---@return_overload nil, string
function Socket:setoption(name, value) end

---@param family integer
---@param type integer
---@param protocol? integer
---@param options? eco.socket.Options
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.socket(family, type, protocol, options) end

---@param family integer
---@param type integer
---@param protocol? integer
---@param options? eco.socket.Options
---@return eco.socket.Socket? first
---@return eco.socket.Socket|string second  or the problem
function socket.socketpair(family, type, protocol, options) end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.tcp() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.tcp6() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.udp() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.udp6() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.icmp() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.icmp6() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.unix() end

---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.unix_dgram() end

---@param protocol integer
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.netlink(protocol) end

---A TUN or TAP device.
---@param device? string  a `%d` in it is replaced by the first free number
---@param options? eco.socket.TunOptions
---@return eco.socket.Tun? tun
---@return string name  or the problem
function socket.open_tun(device, options) end

---@param ip? string  any address when nil
---@param port integer|number
---@param options? eco.socket.ListenOptions
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.listen_tcp(ip, port, options) end

---@async
---@param host string
---@param port integer|number
---@param options? eco.socket.ConnectOptions
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.connect_tcp(host, port, options) end

---@param ip? string
---@param port integer|number
---@param options? eco.socket.BindOptions
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.listen_udp(ip, port, options) end

---@param host string
---@param port integer|number
---@param options? eco.socket.ConnectOptions
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.connect_udp(host, port, options) end

---@param path string
---@param options? { backlog?: integer }
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.listen_unix(path, options) end

---Waits for room in the listener's backlog, at most 5 seconds.
---@async
---@param path string
---@param local_path? string
---@return eco.socket.Socket? socket
---@return string? problem
---@return_overload nil, string
function socket.connect_unix(path, local_path) end

---@param text string
---@return boolean
function socket.is_ipv4_address(text) end

---@param text string
---@return boolean
function socket.is_ipv6_address(text) end

---@param text string
---@return boolean
function socket.is_ip_address(text) end

---@param text string
---@return integer number  the network-order bytes read as a number of this machine, 0 for bad text
function socket.inet_aton(text) end

---@param number integer
---@return string
function socket.inet_ntoa(number) end

---@param family integer
---@param text string
---@return string? binary
function socket.inet_pton(family, text) end

---@param family integer
---@param binary string
---@return string
function socket.inet_ntop(family, binary) end

---@param name string
---@return integer? index
function socket.if_nametoindex(name) end

---@param index integer
---@return string name  '' when there is none
function socket.if_indextoname(index) end

---@param number integer
---@return integer
function socket.htonl(number) end

---@param number integer
---@return integer
function socket.htons(number) end

---@param number integer
---@return integer
function socket.ntohl(number) end

---@param number integer
---@return integer
function socket.ntohs(number) end

return socket
