//! What `helpers.lua` needs to set options: one system call, and the numbers
//! that differ between architectures.

use std::ffi::c_int;

use super::handle::Handle;
use crate::lua::{Lua, Outcome};
use crate::system::socket as system;

const SOCKET: c_int = libc::SOL_SOCKET;

/// Level and number of the options that `helpers.lua` lists first, in its order.
pub const NUMBERS: [c_int; 16] = [
    SOCKET,
    libc::SO_REUSEADDR,
    SOCKET,
    libc::SO_REUSEPORT,
    SOCKET,
    libc::SO_KEEPALIVE,
    SOCKET,
    libc::SO_BROADCAST,
    SOCKET,
    libc::SO_SNDBUF,
    SOCKET,
    libc::SO_RCVBUF,
    SOCKET,
    libc::SO_MARK,
    SOCKET,
    libc::SO_BINDTODEVICE,
];

/// Pushes them as the C library would store them. May raise.
pub fn push_numbers(lua: Lua) {
    let mut bytes = [0; 4 * NUMBERS.len()];
    for (room, number) in bytes.chunks_exact_mut(4).zip(NUMBERS) {
        room.copy_from_slice(&number.to_ne_bytes());
    }
    lua.push_bytes(&bytes);
}

/// `set_option(s, level, number, bytes)`
pub fn set_option(lua: Lua, handle: &Handle) -> Outcome {
    lua.done(system::set_option(
        handle.fd(),
        lua.int(2)?,
        lua.int(3)?,
        lua.string(4)?,
    ))
}

#[cfg(test)]
mod tests {
    /// The numbers that `helpers.lua` knows by heart are everybody's.
    #[test]
    fn other_numbers_are_the_c_librarys() {
        let source = include_str!("helpers.lua");
        for (name, level, number) in [
            ("tcp_keepidle", libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
            ("tcp_keepintvl", libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
            ("tcp_keepcnt", libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
            ("tcp_fastopen", libc::IPPROTO_TCP, libc::TCP_FASTOPEN),
            ("tcp_nodelay", libc::IPPROTO_TCP, libc::TCP_NODELAY),
            (
                "ip_add_membership",
                libc::IPPROTO_IP,
                libc::IP_ADD_MEMBERSHIP,
            ),
            (
                "ip_drop_membership",
                libc::IPPROTO_IP,
                libc::IP_DROP_MEMBERSHIP,
            ),
            ("ipv6_v6only", libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
            (
                "ipv6_add_membership",
                libc::IPPROTO_IPV6,
                libc::IPV6_ADD_MEMBERSHIP,
            ),
            (
                "ipv6_drop_membership",
                libc::IPPROTO_IPV6,
                libc::IPV6_DROP_MEMBERSHIP,
            ),
            (
                "netlink_add_membership",
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
            ),
            (
                "netlink_drop_membership",
                libc::SOL_NETLINK,
                libc::NETLINK_DROP_MEMBERSHIP,
            ),
            (
                "packet_add_membership",
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
            ),
            (
                "packet_drop_membership",
                libc::SOL_PACKET,
                libc::PACKET_DROP_MEMBERSHIP,
            ),
        ] {
            assert!(
                source.contains(&format!("\n{name} {level} {number} ")),
                "{name}"
            );
        }
    }

    #[test]
    fn structures_are_as_packed() {
        assert_eq!(size_of::<libc::ip_mreq>(), 4 + 4);
        assert_eq!(size_of::<libc::ipv6_mreq>(), 16 + 4);
        assert_eq!(size_of::<libc::packet_mreq>(), 4 + 2 + 2 + 8);
    }
}
