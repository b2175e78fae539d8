//! Names of hosts by the C library, which blocks.
#![allow(unsafe_code)]

use std::ffi::{c_int, CStr};
use std::ptr;

use super::address::SocketAddress;

/// The first address of a host in that family; None when it has none.
pub fn resolve(host: &CStr, family: c_int, port: u16) -> Option<SocketAddress> {
    // SAFETY: an all-zero `addrinfo` hints at nothing; what the call gives is
    // read before it is freed, and its address is as long as it says.
    unsafe {
        let mut hints: libc::addrinfo = std::mem::zeroed();
        hints.ai_family = family;
        hints.ai_socktype = libc::SOCK_STREAM;
        let mut list = ptr::null_mut();
        if libc::getaddrinfo(host.as_ptr(), ptr::null(), &hints, &mut list) != 0 {
            return None;
        }
        let mut found = None;
        let first = list.as_ref().filter(|entry| !entry.ai_addr.is_null());
        if let Some(entry) = first.filter(|entry| entry.ai_addrlen as usize <= 128) {
            let mut address = SocketAddress::empty();
            let (room, length) = address.room();
            *length = entry.ai_addrlen as u32;
            ptr::copy_nonoverlapping(
                entry.ai_addr.cast::<u8>(),
                room.as_mut_ptr(),
                entry.ai_addrlen as usize,
            );
            // The port is at the same place in both families.
            room[2..4].copy_from_slice(&port.to_be_bytes());
            found = Some(address);
        }
        if !list.is_null() {
            libc::freeaddrinfo(list);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Parts;
    use super::*;

    #[test]
    fn names_have_addresses() {
        let address = resolve(c"localhost", libc::AF_INET, 80).unwrap();
        let Parts::Inet { ip, port: 80 } = address.parts() else {
            panic!("{address:?}")
        };
        assert_eq!(ip[0], 127);
        assert!(resolve(c"no such host.invalid", libc::AF_INET, 80).is_none());
    }
}
