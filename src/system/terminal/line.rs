//! What both ends of a serial line agree on, as attributes of its terminal, which
//! is raw otherwise.

use std::ffi::c_int;

use nix::errno::Errno;

use super::{attributes, bauds, code, set_attributes, Attributes};

mod calls {
    use super::Attributes;

    nix::ioctl_read_bad!(get_attributes, libc::TCGETS2, Attributes);
    nix::ioctl_write_ptr_bad!(set_attributes, libc::TCSETS2, Attributes);
}

const SIZES: [u32; 4] = [libc::CS5, libc::CS6, libc::CS7, libc::CS8];
/// Parity: none, even, odd, mark (always 1), space (always 0).
const PARITIES: [u32; 5] = [
    0,
    libc::PARENB,
    libc::PARENB | libc::PARODD,
    libc::PARENB | libc::PARODD | libc::CMSPAR,
    libc::PARENB | libc::CMSPAR,
];
const PARITY: u32 = PARITIES[3];
/// Flow control: none, by RTS and CTS, by characters.
const HARDWARE: u8 = 1;
const SOFTWARE: u8 = 2;
const START: u8 = 0x11;
const STOP: u8 = 0x13;

/// Settings of a line; numbers beyond the lists above are as none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bauds; 0 hangs up.
    pub speed: u32,
    pub data_bits: u8,
    pub parity: u8,
    pub stop_bits: u8,
    pub flow: u8,
}

/// Why a line did not get its settings. It has those from before.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Failed(Errno),
    /// The device does not take this one.
    Setting(&'static str),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal::Failed(errno)
    }
}

impl Line {
    /// What the attributes of a terminal say.
    pub fn of(fd: c_int) -> Result<Line, Errno> {
        Ok(Line::read(&current(fd)?))
    }

    fn read(attributes: &Attributes) -> Line {
        let flags = attributes.c_cflag;
        let find = |list: &[u32], mask: u32| {
            let place = list.iter().position(|&bits| flags & mask == bits);
            place.unwrap_or(0) as u8
        };
        // Without a parity its kind means nothing.
        let parity = if flags & libc::PARENB == 0 {
            0
        } else {
            find(&PARITIES, PARITY)
        };
        Line {
            speed: bauds(flags & libc::CBAUD).unwrap_or(attributes.c_ospeed),
            data_bits: find(&SIZES, libc::CSIZE) + 5,
            parity,
            stop_bits: 1 + u8::from(flags & libc::CSTOPB != 0),
            flow: if flags & libc::CRTSCTS != 0 {
                HARDWARE
            } else if attributes.c_iflag & libc::IXON != 0 {
                SOFTWARE
            } else {
                0
            },
        }
    }

    /// Attributes of a raw terminal with these settings; the rest is as before.
    fn write(&self, before: &Attributes) -> Attributes {
        let of = |list: &[u32], place: u8| list.get(usize::from(place)).copied().unwrap_or(0);
        let on = |flag: u32, is_on: bool| if is_on { flag } else { 0 };
        let mut attributes = *before;
        attributes.c_iflag =
            on(libc::INPCK, self.parity != 0) | on(libc::IXON | libc::IXOFF, self.flow == SOFTWARE);
        attributes.c_oflag = 0;
        attributes.c_lflag = 0;
        attributes.c_cflag = before.c_cflag & libc::HUPCL
            | libc::CREAD
            | libc::CLOCAL
            | of(&SIZES, self.data_bits.wrapping_sub(5))
            | of(&PARITIES, self.parity)
            | on(libc::CSTOPB, self.stop_bits == 2)
            | on(libc::CRTSCTS, self.flow == HARDWARE);
        attributes.c_cc[libc::VMIN] = 1;
        attributes.c_cc[libc::VTIME] = 0;
        attributes.c_cc[libc::VSTART] = START;
        attributes.c_cc[libc::VSTOP] = STOP;
        attributes
    }

    /// Gives the line of a terminal these settings, all of them or none.
    pub fn apply(&self, fd: c_int) -> Result<(), Refusal> {
        let before = current(fd)?;
        set(fd, &self.write(&before), self.speed)?;
        // A call that could do a part of it has succeeded.
        let after = Line::of(fd)?;
        match self.missing(&after) {
            None => Ok(()),
            Some(name) => {
                set(fd, &before, Line::read(&before).speed)?;
                Err(Refusal::Setting(name))
            }
        }
    }

    /// What another line lacks of this one. Speeds may be one twentieth apart:
    /// what is farther is not understood.
    fn missing(&self, other: &Line) -> Option<&'static str> {
        let [wanted, given] = [self.speed, other.speed].map(u64::from);
        let pairs = [
            (self.data_bits, other.data_bits, "data_bits"),
            (self.parity, other.parity, "parity"),
            (self.stop_bits, other.stop_bits, "stop_bits"),
            (self.flow, other.flow, "flow"),
        ];
        if wanted.abs_diff(given) * 20 > wanted {
            return Some("speed");
        }
        let other = pairs.iter().find(|(wanted, given, _)| wanted != given);
        other.map(|(_, _, name)| *name)
    }
}

/// The attributes, with a speed that has no code as well.
#[allow(unsafe_code)]
fn current(fd: c_int) -> Result<Attributes, Errno> {
    let mut found = attributes(fd)?;
    if found.c_cflag & libc::CBAUD == libc::BOTHER {
        // SAFETY: the kernel fills the structure.
        unsafe { calls::get_attributes(fd, &mut found) }?;
    }
    Ok(found)
}

/// Sets attributes, and a speed in bauds.
#[allow(unsafe_code)]
fn set(fd: c_int, wanted: &Attributes, speed: u32) -> Result<(), Errno> {
    let mut wanted = *wanted;
    let code = if speed == 0 {
        Some(libc::B0)
    } else {
        code(speed)
    };
    // Without bits of its own, the input has the speed of the output.
    wanted.c_cflag &= !(libc::CBAUD | libc::CIBAUD);
    wanted.c_cflag |= code.unwrap_or(libc::BOTHER);
    if code.is_some() {
        return set_attributes(fd, libc::TCSANOW, &wanted);
    }
    (wanted.c_ispeed, wanted.c_ospeed) = (speed, speed);
    // SAFETY: the kernel reads the structure.
    unsafe { calls::set_attributes(fd, &wanted) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(unsafe_code)]
    fn blank() -> Attributes {
        // SAFETY: numbers.
        unsafe { std::mem::zeroed() }
    }

    #[test]
    fn what_is_written_is_read() {
        for speed in [50, 9600, 115_200, 4_000_000] {
            for data_bits in 5..=8 {
                for parity in 0..5 {
                    for stop_bits in 1..=2 {
                        for flow in 0..3 {
                            let line = Line {
                                speed,
                                data_bits,
                                parity,
                                stop_bits,
                                flow,
                            };
                            let mut written = line.write(&blank());
                            written.c_cflag |= code(speed).unwrap();
                            assert_eq!(Line::read(&written), line);
                            assert_eq!(line.missing(&Line::read(&written)), None);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn any_attributes_can_be_read() {
        let mut attributes = blank();
        for bits in 0..=u16::MAX {
            attributes.c_cflag = u32::from(bits) * 0x1_0001;
            attributes.c_ospeed = u32::MAX;
            let line = Line::read(&attributes);
            assert!((5..=8).contains(&line.data_bits) && line.parity < 5 && line.flow < 3);
        }
    }

    #[test]
    fn numbers_beyond_the_lists_set_nothing() {
        let odd = Line {
            speed: 0,
            data_bits: 255,
            parity: 255,
            stop_bits: 255,
            flow: 255,
        };
        let flags = odd.write(&blank()).c_cflag;
        assert_eq!(flags, libc::CREAD | libc::CLOCAL);
    }

    #[test]
    fn the_rest_of_the_flags_goes_but_for_hanging_up() {
        let mut before = blank();
        before.c_iflag = u32::MAX;
        before.c_oflag = u32::MAX;
        before.c_lflag = u32::MAX;
        before.c_cflag = u32::MAX;
        let line = Line {
            speed: 9600,
            data_bits: 8,
            parity: 0,
            stop_bits: 1,
            flow: 0,
        };
        let after = line.write(&before);
        assert_eq!((after.c_iflag, after.c_oflag, after.c_lflag), (0, 0, 0));
        let raw = libc::CS8 | libc::CREAD | libc::CLOCAL;
        assert_eq!(after.c_cflag, raw | libc::HUPCL);
    }

    #[test]
    fn speeds_may_be_a_little_off() {
        let line = |speed| Line {
            speed,
            data_bits: 8,
            parity: 0,
            stop_bits: 1,
            flow: 0,
        };
        assert_eq!(line(115_200).missing(&line(115_384)), None);
        assert_eq!(line(115_200).missing(&line(109_440)), None);
        assert_eq!(line(115_200).missing(&line(109_439)), Some("speed"));
        assert_eq!(line(u32::MAX).missing(&line(9600)), Some("speed"));
        assert_eq!(line(9600).missing(&line(0)), Some("speed"));
    }

    #[test]
    fn bauds_and_codes_are_inverse() {
        for speed in [50, 75, 38_400, 57_600, 921_600, 4_000_000] {
            assert_eq!(code(speed).and_then(bauds), Some(speed));
        }
        for other in [libc::B0, 16, libc::BOTHER, 4112, u32::MAX] {
            assert_eq!(bauds(other), None);
        }
    }
}
