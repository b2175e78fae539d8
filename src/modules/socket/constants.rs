//! Numbers scripts know by name. Values are the system's own: socket types
//! differ between architectures.

use crate::constants;
use crate::lua::Constants;

/// Families, types and protocols are also fields of the module table itself.
pub const CONSTANTS: Constants = constants! {
    AF_UNSPEC
    AF_UNIX
    AF_INET
    AF_INET6
    AF_NETLINK
    AF_PACKET
    SOCK_STREAM
    SOCK_DGRAM
    SOCK_RAW
    IPPROTO_ICMP
    IPPROTO_TCP
    IPPROTO_UDP
    IPPROTO_ICMPV6
    ETH_P_ALL = 0x0003;
    ETH_P_IP = 0x0800;
    ETH_P_ARP = 0x0806;
    ETH_P_8021Q = 0x8100;
    ETH_P_IPV6 = 0x86dd;
    ETH_P_PPP_DISC = 0x8863;
    ETH_P_PPP_SES = 0x8864;
    ARPHRD_ETHER = 1;
    ARPHRD_LOOPBACK = 772;
    ARPHRD_IEEE80211_RADIOTAP = 803;
    ARPOP_REQUEST = 1;
    ARPOP_REPLY = 2;
    PACKET_MR_MULTICAST = 0;
    PACKET_MR_PROMISC = 1;
    PACKET_MR_ALLMULTI = 2;
    PACKET_MR_UNICAST = 3;
    ICMP_ECHOREPLY = 0;
    ICMP_REDIRECT = 5;
    ICMP_ECHO = 8;
    ICMPV6_ECHO_REQUEST = 128;
    ICMPV6_ECHO_REPLY = 129;
    IFF_TUN = 1;
    IFF_TAP = 2;
    IFF_NO_PI = 0x1000;
};
