//! Numbers scripts know by name. Values are the system's own: socket types
//! differ between architectures.

use std::ffi::CStr;

type Constants = &'static [(&'static CStr, i64)];

/// Those the module table itself holds.
pub const COMMON: Constants = &[
    (c"AF_UNSPEC", libc::AF_UNSPEC as i64),
    (c"AF_UNIX", libc::AF_UNIX as i64),
    (c"AF_INET", libc::AF_INET as i64),
    (c"AF_INET6", libc::AF_INET6 as i64),
    (c"AF_NETLINK", libc::AF_NETLINK as i64),
    (c"AF_PACKET", libc::AF_PACKET as i64),
    (c"SOCK_STREAM", libc::SOCK_STREAM as i64),
    (c"SOCK_DGRAM", libc::SOCK_DGRAM as i64),
    (c"SOCK_RAW", libc::SOCK_RAW as i64),
    (c"IPPROTO_ICMP", libc::IPPROTO_ICMP as i64),
    (c"IPPROTO_TCP", libc::IPPROTO_TCP as i64),
    (c"IPPROTO_UDP", libc::IPPROTO_UDP as i64),
    (c"IPPROTO_ICMPV6", libc::IPPROTO_ICMPV6 as i64),
];

/// Those found through its metatable.
pub const FURTHER: Constants = &[
    (c"ETH_P_ALL", 0x0003),
    (c"ETH_P_IP", 0x0800),
    (c"ETH_P_ARP", 0x0806),
    (c"ETH_P_8021Q", 0x8100),
    (c"ETH_P_IPV6", 0x86dd),
    (c"ETH_P_PPP_DISC", 0x8863),
    (c"ETH_P_PPP_SES", 0x8864),
    (c"ARPHRD_ETHER", 1),
    (c"ARPHRD_LOOPBACK", 772),
    (c"ARPHRD_IEEE80211_RADIOTAP", 803),
    (c"ARPOP_REQUEST", 1),
    (c"ARPOP_REPLY", 2),
    (c"PACKET_MR_MULTICAST", 0),
    (c"PACKET_MR_PROMISC", 1),
    (c"PACKET_MR_ALLMULTI", 2),
    (c"PACKET_MR_UNICAST", 3),
    (c"ICMP_ECHOREPLY", 0),
    (c"ICMP_REDIRECT", 5),
    (c"ICMP_ECHO", 8),
    (c"ICMPV6_ECHO_REQUEST", 128),
    (c"ICMPV6_ECHO_REPLY", 129),
    (c"IFF_TUN", 1),
    (c"IFF_TAP", 2),
    (c"IFF_NO_PI", 0x1000),
];
