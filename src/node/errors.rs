//! Error numbers: those of libuv 0.10, and the engine's own from 200 on.

use nix::errno::Errno;

pub const EOF: i32 = 1;
pub const EMSGSIZE: i32 = 21;
pub const ENOMEM: i32 = 26;
pub const ENOENT: i32 = 34;
pub const ECANCELED: i32 = 59;
/// Any other.
const UNKNOWN: i32 = -1;

pub const TCP_CLOSED: i32 = 203;
pub const TCP_NOT_SHARED: i32 = 205;
pub const TCP_TOO_LONG: i32 = 206;
pub const UDP_NOT_SHARED: i32 = 209;
pub const NO_CONTEXT: i32 = 210;
pub const BAD_TYPE: i32 = 211;
pub const NO_REPLY: i32 = 212;

/// Numbers of the system, with libuv's number for each and its text.
const SYSTEM: &[(Errno, i32, &str)] = &[
    (Errno::EACCES, 3, "permission denied"),
    (Errno::EAGAIN, 4, "resource temporarily unavailable"),
    (Errno::EADDRINUSE, 5, "address already in use"),
    (Errno::EADDRNOTAVAIL, 6, "address not available"),
    (Errno::EAFNOSUPPORT, 7, "address family not supported"),
    (Errno::EALREADY, 8, "connection already in progress"),
    (Errno::EBADF, 9, "bad file descriptor"),
    (Errno::EBUSY, 10, "resource busy or locked"),
    (Errno::ECONNABORTED, 11, "software caused connection abort"),
    (Errno::ECONNREFUSED, 12, "connection refused"),
    (Errno::ECONNRESET, 13, "connection reset by peer"),
    (Errno::EDESTADDRREQ, 14, "destination address required"),
    (Errno::EHOSTUNREACH, 16, "host is unreachable"),
    (Errno::EINTR, 17, "interrupted system call"),
    (Errno::EINVAL, 18, "invalid argument"),
    (Errno::EISCONN, 19, "socket is already connected"),
    (Errno::EMFILE, 20, "too many open files"),
    (Errno::EMSGSIZE, EMSGSIZE, "message too long"),
    (Errno::ENETDOWN, 22, "network is down"),
    (Errno::ENETUNREACH, 23, "network is unreachable"),
    (Errno::ENFILE, 24, "file table overflow"),
    (Errno::ENOBUFS, 25, "no buffer space available"),
    (Errno::ENOMEM, ENOMEM, "not enough memory"),
    (Errno::ENOTDIR, 27, "not a directory"),
    (Errno::EISDIR, 28, "illegal operation on a directory"),
    (Errno::ENOTCONN, 31, "socket is not connected"),
    (Errno::ENOTSOCK, 32, "socket operation on non-socket"),
    (Errno::EOPNOTSUPP, 33, "operation not supported on socket"),
    (Errno::ENOENT, ENOENT, "no such file or directory"),
    (Errno::ENOSYS, 35, "function not implemented"),
    (Errno::EPIPE, 36, "broken pipe"),
    (Errno::EPROTO, 37, "protocol error"),
    (Errno::EPROTONOSUPPORT, 38, "protocol not supported"),
    (Errno::EPROTOTYPE, 39, "protocol wrong type for socket"),
    (Errno::ETIMEDOUT, 40, "connection timed out"),
    (
        Errno::ESHUTDOWN,
        46,
        "cannot send after transport endpoint shutdown",
    ),
    (Errno::EEXIST, 47, "file already exists"),
    (Errno::ENAMETOOLONG, 49, "name too long"),
    (Errno::EPERM, 50, "operation not permitted"),
    (Errno::ELOOP, 51, "too many symbolic links encountered"),
    (Errno::ENOSPC, 54, "no space left on device"),
    (Errno::EIO, 55, "i/o error"),
    (Errno::EROFS, 56, "read-only file system"),
    (Errno::ECANCELED, ECANCELED, "operation canceled"),
];

/// The texts from 200 on.
const OWN: [&str; 15] = [
    "attempt to yield across a C-call boundary",
    "yielding up finalize error",
    "attempt to yield across a stack-less coroutine",
    "tcp socket has been closed",
    "tcp listen socket has been closed",
    "tcp socket not set write shared",
    "attempt to send data too long",
    "read overflowed wake up",
    "udp socket has been closed",
    "udp socket not set write shared",
    "context not exist or has been killed",
    "transfer data type not supported",
    "no reply",
    "timeout",
    "socket create failed",
];

/// The number for one of the system's.
pub fn number(errno: Errno) -> i32 {
    let found = SYSTEM.iter().find(|row| row.0 == errno);
    found.map_or(UNKNOWN, |row| row.1)
}

/// `context.strerror`.
pub fn text(number: i64) -> &'static str {
    match number {
        -1 => "unknown error",
        0 => "success",
        1 => "end of file",
        2 => "getaddrinfo error",
        _ => SYSTEM
            .iter()
            .find(|row| i64::from(row.1) == number)
            .map(|row| row.2)
            .or_else(|| OWN.get(usize::try_from(number - 200).ok()?).copied())
            .unwrap_or("Unknown system error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_texts() {
        for (number, expected) in [
            (-1, "unknown error"),
            (0, "success"),
            (1, "end of file"),
            (12, "connection refused"),
            (200, "attempt to yield across a C-call boundary"),
            (203, "tcp socket has been closed"),
            (
                i64::from(NO_CONTEXT),
                "context not exist or has been killed",
            ),
            (213, "timeout"),
            (214, "socket create failed"),
            (215, "Unknown system error"),
            (199, "Unknown system error"),
            (i64::MIN + 300, "Unknown system error"),
        ] {
            assert_eq!(text(number), expected, "{number}");
        }
    }

    #[test]
    fn numbers_of_the_system_are_translated() {
        assert_eq!(number(Errno::ECONNREFUSED), 12);
        assert_eq!(number(Errno::EPIPE), 36);
        assert_eq!(number(Errno::EXDEV), UNKNOWN);
        let mut numbers: Vec<_> = SYSTEM.iter().map(|row| row.1).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), SYSTEM.len());
    }
}
