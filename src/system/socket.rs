//! System calls on sockets: thin, safe wrappers that retry when a signal
//! interrupts. Descriptors are numbers here: one that is not open makes the
//! call fail with EBADF, nothing worse.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use nix::errno::Errno;

use crate::system::address::{SocketAddress, LONGEST_PATH};

extern "C" {
    fn inet_pton(family: c_int, text: *const c_char, binary: *mut c_void) -> c_int;
    fn inet_ntop(
        family: c_int,
        binary: *const c_void,
        text: *mut c_char,
        size: libc::socklen_t,
    ) -> *const c_char;
    fn inet_aton(text: *const c_char, binary: *mut u32) -> c_int;
}

/// Device and number of a file.
pub type FileId = (u64, u64);

/// Every socket is made non-blocking and close-on-exec.
const FLAGS: c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

fn retry(mut call: impl FnMut() -> c_int) -> Result<c_int, Errno> {
    loop {
        match Errno::result(call()) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> Result<c_int, Errno> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::socket(family, kind | FLAGS, protocol) })
}

pub fn socketpair(family: c_int, kind: c_int, protocol: c_int) -> Result<[c_int; 2], Errno> {
    let mut fds = [-1; 2];
    // SAFETY: room for two descriptors.
    Errno::result(unsafe { libc::socketpair(family, kind | FLAGS, protocol, fds.as_mut_ptr()) })?;
    Ok(fds)
}

/// close(2), about whose failure nothing can be done.
pub fn close(fd: c_int) {
    let _ = super::fd::close(fd);
}

pub fn bind(fd: c_int, address: &SocketAddress) -> Result<(), Errno> {
    let bytes = address.bytes();
    // SAFETY: the address is readable for its length and aligned.
    retry(|| unsafe { libc::bind(fd, bytes.as_ptr().cast(), bytes.len() as u32) }).map(drop)
}

pub fn connect(fd: c_int, address: &SocketAddress) -> Result<(), Errno> {
    let bytes = address.bytes();
    // SAFETY: as in `bind`.
    retry(|| unsafe { libc::connect(fd, bytes.as_ptr().cast(), bytes.len() as u32) }).map(drop)
}

pub fn listen(fd: c_int, backlog: c_int) -> Result<(), Errno> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::listen(fd, backlog) }).map(drop)
}

/// Takes one connection; those that were reset while they waited are skipped.
pub fn accept(fd: c_int, address: &mut SocketAddress) -> Result<c_int, Errno> {
    loop {
        let (bytes, length) = address.room();
        // SAFETY: the kernel writes at most `length` bytes.
        let accepted = unsafe { libc::accept4(fd, bytes.as_mut_ptr().cast(), length, FLAGS) };
        match Errno::result(accepted) {
            Err(Errno::EINTR | Errno::ECONNABORTED) => {}
            result => return result,
        }
    }
}

/// Which end of a socket.
#[derive(Clone, Copy)]
pub enum End {
    Local,
    Peer,
}

/// shutdown(2): `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
pub fn shutdown(fd: c_int, how: c_int) -> Result<(), Errno> {
    // SAFETY: numbers.
    Errno::result(unsafe { libc::shutdown(fd, how) }).map(drop)
}

pub fn name(fd: c_int, end: End) -> Result<SocketAddress, Errno> {
    let mut address = SocketAddress::empty();
    let (bytes, length) = address.room();
    let bytes = bytes.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `length` bytes.
    Errno::result(unsafe {
        match end {
            End::Local => libc::getsockname(fd, bytes, length),
            End::Peer => libc::getpeername(fd, bytes, length),
        }
    })?;
    Ok(address)
}

pub fn send_to(fd: c_int, data: &[u8], address: &SocketAddress) -> Result<usize, Errno> {
    let to = address.bytes();
    loop {
        // SAFETY: data and address are readable for their lengths.
        let sent = unsafe {
            libc::sendto(
                fd,
                data.as_ptr().cast(),
                data.len(),
                libc::MSG_NOSIGNAL,
                to.as_ptr().cast(),
                to.len() as u32,
            )
        };
        match Errno::result(sent) {
            Err(Errno::EINTR) => {}
            result => return result.map(|count| count as usize),
        }
    }
}

/// Sends two parts one behind the other, as far as there is room.
pub fn send_parts(fd: c_int, head: &[u8], data: &[u8]) -> Result<usize, Errno> {
    let part = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut parts = [part(head), part(data)];
    loop {
        // SAFETY: an all-zero message header is one without anything; the parts
        // are readable for their lengths, and live during the call.
        let sent = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = parts.as_mut_ptr();
            message.msg_iovlen = parts.len() as _;
            libc::sendmsg(fd, &message, libc::MSG_NOSIGNAL)
        };
        match Errno::result(sent) {
            Err(Errno::EINTR) => {}
            result => return result.map(|count| count as usize),
        }
    }
}

/// Length of the next message, 0 for streams, which have none.
pub fn next_length(fd: c_int) -> Result<usize, Errno> {
    // SAFETY: no bytes are wanted, so none are written.
    let length = unsafe { libc::recv(fd, ptr::null_mut(), 0, libc::MSG_PEEK | libc::MSG_TRUNC) };
    Errno::result(length).map(|length| length as usize)
}

/// Receives one message into `room`; gives what came and notes from whom.
pub fn receive_from<'a>(
    fd: c_int,
    room: &'a mut [MaybeUninit<u8>],
    address: &mut SocketAddress,
) -> Result<&'a [u8], Errno> {
    loop {
        let (bytes, length) = address.room();
        let (data, size) = (room.as_mut_ptr().cast(), room.len());
        // SAFETY: the kernel writes at most `size` and `length` bytes.
        let count = unsafe { libc::recvfrom(fd, data, size, 0, bytes.as_mut_ptr().cast(), length) };
        match Errno::result(count) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(count) => {
                let front = room.as_ptr().cast();
                // SAFETY: that many bytes at the front of `room` were written.
                return Ok(unsafe { std::slice::from_raw_parts(front, count as usize) });
            }
        }
    }
}

pub fn set_option(fd: c_int, level: c_int, option: c_int, value: &[u8]) -> Result<(), Errno> {
    // SAFETY: the value is readable for its length.
    Errno::result(unsafe {
        libc::setsockopt(fd, level, option, value.as_ptr().cast(), value.len() as u32)
    })
    .map(drop)
}

/// An integer option at SOL_SOCKET.
pub fn option(fd: c_int, option: c_int) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    let room = ptr::from_mut(&mut value).cast();
    // SAFETY: value and length are locals of the size stated.
    Errno::result(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, room, &mut length) })?;
    Ok(value)
}

/// Where a connection was to go before netfilter redirected it, as a `struct
/// sockaddr_storage`: that of IPv6, or else of IPv4.
pub fn original_destination(fd: c_int) -> Result<[u8; 128], Errno> {
    /// `SO_ORIGINAL_DST` and `IP6T_SO_ORIGINAL_DST`, each at the level of its family.
    const ORIGINAL: c_int = 80;
    let mut last = Errno::ENOENT;
    for level in [libc::IPPROTO_IPV6, libc::IPPROTO_IP] {
        let mut address = [0_u8; 128];
        let mut length = address.len() as libc::socklen_t;
        let room = address.as_mut_ptr().cast();
        // SAFETY: address and length are locals, of the size stated.
        match Errno::result(unsafe { libc::getsockopt(fd, level, ORIGINAL, room, &mut length) }) {
            Ok(_) => return Ok(address),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

/// Text with a final NUL in a fixed room; None when it is too long or has one
/// inside.
fn terminated<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut room = [0; N];
    if text.len() >= N || text.iter().any(|&byte| byte == 0) {
        return None;
    }
    room[..text.len()].copy_from_slice(text);
    Some(room)
}

/// The bytes before the first NUL.
pub fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Room for a path of a Unix address.
type PathRoom = [u8; LONGEST_PATH + 1];

/// Which file is at the path of a Unix address; None for names of none.
pub fn file_id(path: &[u8]) -> Option<FileId> {
    let path: PathRoom = terminated(path)?;
    // SAFETY: an all-zero `struct stat` is one; the path ends with NUL.
    let (result, status) = unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        (libc::lstat(path.as_ptr().cast(), &mut status), status)
    };
    (result == 0 && status.st_mode & libc::S_IFMT == libc::S_IFSOCK)
        .then_some((status.st_dev as u64, status.st_ino as u64))
}

/// Removes a file. It may be gone by now, which is as good.
pub fn unlink(path: &[u8]) {
    if let Some(path) = terminated::<{ LONGEST_PATH + 1 }>(path) {
        // SAFETY: the path ends with NUL.
        unsafe {
            libc::unlink(path.as_ptr().cast());
        }
    }
}

/// Longest text of an IP address, with its NUL.
const IP_TEXT: usize = 46;

/// Puts the binary form of an IP literal, four bytes of it for AF_INET, into
/// `binary`; false when it is none.
pub fn parse_ip(family: c_int, text: &[u8], binary: &mut [u8; 16]) -> bool {
    match terminated::<IP_TEXT>(text) {
        // SAFETY: text ends with NUL, binary has room for either family.
        Some(text) => unsafe {
            inet_pton(family, text.as_ptr().cast(), binary.as_mut_ptr().cast()) == 1
        },
        None => false,
    }
}

/// inet_aton(3): old spellings too. Zero when it is none.
pub fn parse_loosely(text: &[u8]) -> u32 {
    let mut binary = 0;
    if let Some(text) = terminated::<64>(text) {
        // SAFETY: text ends with NUL.
        unsafe {
            if inet_aton(text.as_ptr().cast(), &mut binary) == 0 {
                return 0;
            }
        }
    }
    binary
}

/// Hands the text of a binary IP address to `take`.
pub fn format_ip<R>(family: c_int, binary: &[u8; 16], take: impl FnOnce(&[u8]) -> R) -> R {
    let mut text = [0_u8; IP_TEXT];
    // SAFETY: binary is long enough for either family, text for its result;
    // a failure leaves it empty.
    unsafe {
        let room = text.as_mut_ptr().cast();
        inet_ntop(
            family,
            binary.as_ptr().cast(),
            room,
            IP_TEXT as libc::socklen_t,
        );
    }
    take(until_nul(&text))
}

/// Index of a network interface, 0 when there is none of that name.
pub fn interface_index(name: &[u8]) -> u32 {
    // SAFETY: the name ends with NUL.
    terminated::<{ libc::IF_NAMESIZE }>(name).map_or(0, |name| unsafe {
        libc::if_nametoindex(name.as_ptr().cast())
    })
}

/// Hands the name of a network interface to `take`, empty when there is none.
pub fn interface_name<R>(index: u32, take: impl FnOnce(&[u8]) -> R) -> R {
    let mut name = [0_u8; libc::IF_NAMESIZE];
    // SAFETY: room for the longest name.
    unsafe {
        libc::if_indextoname(index, name.as_mut_ptr().cast());
    }
    take(until_nul(&name))
}

/// Bytes of `struct ifreq`, at least.
pub const REQUEST_SIZE: usize = 40;

/// Opens the TUN or TAP device that a `struct ifreq` describes.
pub fn open_tun(request: &mut [u8; REQUEST_SIZE]) -> Result<c_int, Errno> {
    /// Aligned as the kernel's structure.
    #[repr(C, align(8))]
    struct Request([u8; REQUEST_SIZE]);
    // SAFETY: the path ends with NUL.
    let fd = retry(|| unsafe {
        libc::open(
            c"/dev/net/tun".as_ptr(),
            libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC,
        )
    })?;
    let mut aligned = Request(*request);
    // SAFETY: the kernel reads and writes one `struct ifreq`.
    let done = Errno::result(unsafe { libc::ioctl(fd, libc::TUNSETIFF as _, &mut aligned) });
    if let Err(errno) = done {
        close(fd);
        return Err(errno);
    }
    *request = aligned.0;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_strict() {
        let mut ip = [0; 16];
        assert!(parse_ip(libc::AF_INET, b"127.0.0.1", &mut ip));
        assert_eq!(&ip[..4], [127, 0, 0, 1]);
        for text in [
            &b"127.1"[..],
            b"",
            b"1.2.3.4 ",
            b"1.2.3.4\0",
            b"256.0.0.1",
            b"::1",
            &[b'1'; 100],
        ] {
            assert!(!parse_ip(libc::AF_INET, text, &mut ip));
        }
        assert!(parse_ip(libc::AF_INET6, b"fe80::1", &mut ip));
        assert!(!parse_ip(libc::AF_INET6, b"fe80::1%eth0", &mut ip));
        assert_eq!(parse_loosely(b"127.1"), u32::from_ne_bytes([127, 0, 0, 1]));
        assert_eq!(parse_loosely(b"x"), 0);
    }

    #[test]
    fn addresses_are_written() {
        let mut ip = [0; 16];
        assert_eq!(format_ip(libc::AF_INET6, &ip, <[u8]>::to_vec), b"::");
        ip[..4].copy_from_slice(&[10, 0, 0, 1]);
        assert_eq!(format_ip(libc::AF_INET, &ip, <[u8]>::to_vec), b"10.0.0.1");
    }

    #[test]
    fn requests_are_large_enough() {
        assert!(size_of::<libc::ifreq>() <= REQUEST_SIZE);
    }

    #[test]
    fn interfaces_have_names() {
        let index = interface_index(b"lo");
        assert_ne!(index, 0);
        assert_eq!(interface_name(index, <[u8]>::to_vec), b"lo");
        assert_eq!(interface_index(b"no such one"), 0);
        assert_eq!(interface_index(&[b'x'; 100]), 0);
        assert_eq!(interface_name(99_999, <[u8]>::to_vec), b"");
    }
}
