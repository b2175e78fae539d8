//! Socket addresses as the kernel lays them out (`struct sockaddr_…`), put
//! together and taken apart without I/O. Any bytes may be taken apart.

/// Bytes of `struct sockaddr_storage`.
const SIZE: usize = 128;
/// Longest path of a Unix address, its final NUL not counted.
pub const LONGEST_PATH: usize = 107;

/// An address of any family: a `struct sockaddr` and its length.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct SocketAddress {
    bytes: [u8; SIZE],
    length: u32,
}

/// What an address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// The first four bytes count.
    Inet {
        ip: &'a [u8; 16],
        port: u16,
    },
    Inet6 {
        ip: &'a [u8; 16],
        port: u16,
    },
    /// A path without its final NUL, or an abstract name with its leading one.
    Unix(&'a [u8]),
    Netlink {
        process: u32,
    },
    Packet {
        interface: i32,
    },
    /// Nothing but its family is known.
    Other(u16),
}

/// Why there is no Unix address of that path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    TooLong,
    /// A NUL would cut it short.
    HasNul,
}

impl SocketAddress {
    /// An address of no family, for the kernel to fill.
    pub const fn empty() -> SocketAddress {
        SocketAddress {
            bytes: [0; SIZE],
            length: 0,
        }
    }

    /// Starts an address of that family.
    #[inline(never)]
    fn begin(&mut self, family: i32) {
        self.length = 0;
        self.put(&(family as u16).to_ne_bytes());
    }

    /// Appends what fits, and all that is appended here does.
    #[inline(never)]
    fn put(&mut self, part: &[u8]) {
        let start = self.length as usize;
        if let Some(room) = self.bytes.get_mut(start..start + part.len()) {
            room.copy_from_slice(part);
            self.length += part.len() as u32;
        }
    }

    /// AF_INET, where the first four bytes of the IP address count, or
    /// AF_INET6, without flow label and scope id.
    pub fn set_inet(&mut self, family: i32, ip: &[u8; 16], port: u16) {
        self.begin(family);
        self.put(&port.to_be_bytes());
        if family == libc::AF_INET {
            self.put(&ip[..4]);
            self.put(&[0; 8]);
        } else {
            self.put(&[0; 4]);
            self.put(ip);
            self.put(&[0; 4]);
        }
    }

    /// A path, an abstract name (leading NUL), or no name at all. One final
    /// NUL of a path is taken for its end, as the kernel reports paths.
    pub fn set_unix(&mut self, path: &[u8]) -> Result<(), PathError> {
        let is_path = path.first().is_some_and(|&byte| byte != 0);
        let path = match path {
            [start @ .., 0] if is_path => start,
            _ => path,
        };
        if path.len() > LONGEST_PATH {
            return Err(PathError::TooLong);
        }
        if is_path && path.iter().any(|&byte| byte == 0) {
            return Err(PathError::HasNul);
        }
        self.begin(libc::AF_UNIX);
        self.put(path);
        if is_path {
            self.put(&[0]);
        }
        Ok(())
    }

    pub fn set_netlink(&mut self, process: u32, groups: u32) {
        self.begin(libc::AF_NETLINK);
        self.put(&[0; 2]);
        self.put(&process.to_ne_bytes());
        self.put(&groups.to_ne_bytes());
    }

    /// Any protocol, any hardware.
    pub fn set_packet(&mut self, interface: i32) {
        self.begin(libc::AF_PACKET);
        self.put(&[0; 2]);
        self.put(&interface.to_ne_bytes());
        self.put(&[0; 12]);
    }

    /// The bytes to hand to the kernel.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.length as usize)
            .unwrap_or(&self.bytes)
    }

    /// Room and its length, for the kernel to write both.
    pub fn room(&mut self) -> (&mut [u8; SIZE], &mut u32) {
        self.length = SIZE as u32;
        (&mut self.bytes, &mut self.length)
    }

    /// `N` bytes at `offset`, if they are within the address.
    fn field<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes().get(offset..offset + N)?.try_into().ok()
    }

    pub fn family(&self) -> u16 {
        self.field(0).map_or(0, u16::from_ne_bytes)
    }

    pub fn parts(&self) -> Parts<'_> {
        let family = self.family();
        let known = match i32::from(family) {
            libc::AF_INET => self.inet_parts(),
            libc::AF_INET6 => self.inet6_parts(),
            libc::AF_UNIX => self.bytes().get(2..).map(|path| Parts::Unix(trim(path))),
            libc::AF_NETLINK => self.field(4).map(|process| Parts::Netlink {
                process: u32::from_ne_bytes(process),
            }),
            libc::AF_PACKET => self.field(4).map(|interface| Parts::Packet {
                interface: i32::from_ne_bytes(interface),
            }),
            _ => None,
        };
        known.unwrap_or(Parts::Other(family))
    }

    fn inet_parts(&self) -> Option<Parts<'_>> {
        Some(Parts::Inet {
            port: u16::from_be_bytes(self.field(2)?),
            ip: self
                .bytes()
                .get(4..8)
                .and(self.bytes.get(4..20))?
                .first_chunk()?,
        })
    }

    fn inet6_parts(&self) -> Option<Parts<'_>> {
        Some(Parts::Inet6 {
            port: u16::from_be_bytes(self.field(2)?),
            ip: self.bytes().get(8..24)?.first_chunk()?,
        })
    }
}

/// A path up to its NUL; an abstract name whole.
fn trim(path: &[u8]) -> &[u8] {
    match path {
        [] | [0, ..] => path,
        _ => path.split(|&byte| byte == 0).next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(set: impl FnOnce(&mut SocketAddress)) -> SocketAddress {
        let mut address = SocketAddress::empty();
        set(&mut address);
        address
    }

    fn inet(ip: [u8; 4], port: u16) -> SocketAddress {
        let mut all = [0; 16];
        all[..4].copy_from_slice(&ip);
        made(|address| address.set_inet(libc::AF_INET, &all, port))
    }

    fn inet6(ip: &[u8; 16], port: u16) -> SocketAddress {
        made(|address| address.set_inet(libc::AF_INET6, ip, port))
    }

    fn unix(path: &[u8]) -> Result<SocketAddress, PathError> {
        let mut address = SocketAddress::empty();
        address.set_unix(path)?;
        Ok(address)
    }

    fn netlink(process: u32, groups: u32) -> SocketAddress {
        made(|address| address.set_netlink(process, groups))
    }

    fn packet(interface: i32) -> SocketAddress {
        made(|address| address.set_packet(interface))
    }

    /// The address as it comes back from the kernel, cut to `length` bytes.
    fn cut(address: SocketAddress, length: usize) -> SocketAddress {
        let bytes = *address.bytes.first_chunk().unwrap();
        let mut back = SocketAddress::empty();
        let (room, size) = back.room();
        *room = bytes;
        *size = length as u32;
        back
    }

    #[test]
    fn layouts_are_the_c_librarys() {
        assert_eq!(
            inet([0; 4], 0).bytes().len(),
            size_of::<libc::sockaddr_in>()
        );
        assert_eq!(
            inet6(&[0; 16], 0).bytes().len(),
            size_of::<libc::sockaddr_in6>()
        );
        assert_eq!(netlink(0, 0).bytes().len(), size_of::<libc::sockaddr_nl>());
        assert_eq!(packet(0).bytes().len(), size_of::<libc::sockaddr_ll>());
        assert_eq!(size_of::<libc::sockaddr_storage>(), SIZE);
        assert_eq!(std::mem::offset_of!(libc::sockaddr_in6, sin6_addr), 8);
        assert_eq!(std::mem::offset_of!(libc::sockaddr_nl, nl_pid), 4);
        assert_eq!(std::mem::offset_of!(libc::sockaddr_ll, sll_ifindex), 4);
        assert_eq!(std::mem::offset_of!(libc::sockaddr_un, sun_path), 2);
        assert_eq!(size_of::<libc::sockaddr_un>(), 2 + LONGEST_PATH + 1);
    }

    #[test]
    fn internet_addresses_come_back() {
        let address = inet([127, 0, 0, 1], 0x1234);
        assert_eq!(&address.bytes()[2..8], [0x12, 0x34, 127, 0, 0, 1]);
        let Parts::Inet { ip, port } = address.parts() else {
            panic!()
        };
        assert_eq!((&ip[..4], port), (&[127, 0, 0, 1][..], 0x1234));
        let ip = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(inet6(&ip, 80).parts(), Parts::Inet6 { ip: &ip, port: 80 });
        assert_eq!(netlink(7, 1).parts(), Parts::Netlink { process: 7 });
        assert_eq!(packet(3).parts(), Parts::Packet { interface: 3 });
    }

    #[test]
    fn unix_paths_lose_their_final_nul() {
        let address = unix(b"/tmp/x").unwrap();
        assert_eq!(address.bytes().len(), 2 + 6 + 1);
        assert_eq!(address.parts(), Parts::Unix(b"/tmp/x"));
        let same = unix(b"/tmp/x\0").unwrap();
        assert_eq!(same.bytes(), address.bytes());
        let longest = [b'x'; LONGEST_PATH];
        assert_eq!(unix(&longest).unwrap().parts(), Parts::Unix(&longest));
        // The kernel may report a path that fills the structure, without NUL.
        let full = cut(unix(&longest).unwrap(), 2 + LONGEST_PATH);
        assert_eq!(full.parts(), Parts::Unix(&longest));
    }

    #[test]
    fn abstract_names_are_kept_whole() {
        let address = unix(b"\0a\0b\0").unwrap();
        assert_eq!(address.bytes().len(), 2 + 5);
        assert_eq!(address.parts(), Parts::Unix(b"\0a\0b\0"));
        let unnamed = unix(b"").unwrap();
        assert_eq!(unnamed.bytes().len(), 2);
        assert_eq!(unnamed.parts(), Parts::Unix(b""));
    }

    #[test]
    fn bad_paths_are_refused() {
        let error = |path: &[u8]| unix(path).err();
        assert_eq!(error(&[b'x'; LONGEST_PATH + 1]), Some(PathError::TooLong));
        assert_eq!(error(&[0; LONGEST_PATH + 1]), Some(PathError::TooLong));
        assert_eq!(error(b"/tmp\0x"), Some(PathError::HasNul));
        assert_eq!(error(b"x\0\0"), Some(PathError::HasNul));
    }

    #[test]
    fn every_length_is_taken_apart() {
        let samples = [
            inet([1; 4], 1),
            inet6(&[1; 16], 1),
            unix(b"/x").unwrap(),
            netlink(1, 1),
            packet(1),
        ];
        for sample in samples {
            let family = sample.family();
            for length in 0..2 * SIZE {
                let address = cut(sample, length);
                let expected = if length < 2 { 0 } else { family };
                assert_eq!(address.family(), expected);
                if length < 2 {
                    assert_eq!(address.parts(), Parts::Other(0));
                }
                let _ = address.parts();
            }
        }
        assert_eq!(
            cut(samples[0], 7).parts(),
            Parts::Other(libc::AF_INET as u16)
        );
        assert_eq!(
            cut(samples[1], 23).parts(),
            Parts::Other(libc::AF_INET6 as u16)
        );
    }
}
