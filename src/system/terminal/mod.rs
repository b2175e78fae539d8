//! Terminals by ioctl(2), with the kernel's structure and numbers: those are the
//! same under every C library.
#![allow(unsafe_code)]

#[cfg(feature = "serial")]
mod line;
#[cfg(feature = "serial")]
mod port;

use std::ffi::c_int;

use nix::errno::Errno;

#[cfg(feature = "serial")]
pub use line::{Line, Refusal};
#[cfg(feature = "serial")]
pub use port::{ask, claim, counters, drain, release, Request};

/// Attributes; the speeds at the end are only for `calls::set_attributes2`.
pub use libc::termios2 as Attributes;

/// What is common to a family of requests: the structure that they name.
mod calls {
    use super::Attributes;

    // These two know of the front of it alone.
    nix::ioctl_read_bad!(get_attributes, libc::TCGETS, Attributes);
    nix::ioctl_write_ptr_bad!(set_attributes, libc::TCSETS, Attributes);
    nix::ioctl_write_ptr_bad!(set_when_sent, libc::TCSETSW, Attributes);
    nix::ioctl_write_ptr_bad!(set_when_flushed, libc::TCSETSF, Attributes);
    nix::ioctl_write_int_bad!(flush, libc::TCFLSH);
    nix::ioctl_write_int_bad!(flow, libc::TCXONC);
}

/// Bauds of the codes from `B50` to `B38400`, and from `B57600` on.
const SLOW: [u32; 15] = [
    50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
];
const FAST: [u32; 15] = [
    57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000,
    2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

/// The code of a speed in bauds, if it has one.
pub fn code(bauds: u32) -> Option<u32> {
    let find = |list: &[u32], first: u32| {
        let place = list.iter().position(|&baud| baud == bauds);
        place.map(|place| place as u32 + first)
    };
    find(&SLOW, libc::B50).or_else(|| find(&FAST, libc::B57600))
}

/// The speed in bauds of a code, if it stands for one.
#[cfg(feature = "serial")]
pub fn bauds(code: u32) -> Option<u32> {
    let place = |first: u32| code.checked_sub(first).map(|place| place as usize);
    let slow = place(libc::B50).and_then(|place| SLOW.get(place));
    slow.or_else(|| FAST.get(place(libc::B57600)?)).copied()
}

/// tcgetattr(3), without speeds that have no code.
pub fn attributes(fd: c_int) -> Result<Attributes, Errno> {
    // SAFETY: a structure of numbers, which may be zero.
    let mut attributes = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the front of the structure.
    unsafe { calls::get_attributes(fd, &mut attributes) }?;
    Ok(attributes)
}

/// tcsetattr(3). All actions but TCSANOW wait until everything was sent.
pub fn set_attributes(fd: c_int, action: c_int, attributes: &Attributes) -> Result<(), Errno> {
    // SAFETY: the kernel reads the front of the structure.
    let result = unsafe {
        match action {
            libc::TCSANOW => calls::set_attributes(fd, attributes),
            libc::TCSADRAIN => calls::set_when_sent(fd, attributes),
            libc::TCSAFLUSH => calls::set_when_flushed(fd, attributes),
            _ => Err(Errno::EINVAL),
        }
    };
    result.map(drop)
}

/// tcflush(3).
pub fn flush(fd: c_int, selector: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    unsafe { calls::flush(fd, selector) }.map(drop)
}

/// tcflow(3).
pub fn flow(fd: c_int, action: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    unsafe { calls::flow(fd, action) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bauds_have_the_codes_of_the_target() {
        for (bauds, wanted) in [
            (50, libc::B50),
            (38_400, libc::B38400),
            (57_600, libc::B57600),
            (115_200, libc::B115200),
            (921_600, libc::B921600),
            (4_000_000, libc::B4000000),
        ] {
            assert_eq!(code(bauds), Some(wanted));
            assert_eq!(wanted & !libc::CBAUD, 0);
        }
        assert_eq!((code(0), code(9601), code(u32::MAX)), (None, None, None));
    }

    #[test]
    fn no_number_is_both_a_code_and_bauds() {
        for bauds in SLOW.iter().chain(&FAST) {
            assert_ne!(bauds & !libc::CBAUD, 0, "{bauds}");
        }
    }

    #[test]
    fn the_structure_begins_as_that_without_speeds() {
        let controls = if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
            23
        } else {
            19
        };
        assert_eq!(std::mem::offset_of!(Attributes, c_cc), 17);
        assert_eq!(
            std::mem::offset_of!(Attributes, c_ispeed),
            (17_usize + controls).div_ceil(4) * 4
        );
    }
}
