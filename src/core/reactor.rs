//! Readiness of file descriptors: one edge-triggered epoll registration per fd
//! for as long as it is open, at most one waiting task per direction.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::clock::{milliseconds, split};
use crate::abi::{Interest, Nanoseconds, NO_TASK};

/// Known to epoll.
const REGISTERED: u8 = 1;
/// Something may be had in that direction: set by an edge, cleared by `drained`.
const READABLE: u8 = 2;
const WRITABLE: u8 = 4;
/// The peer closed or the fd failed: always worth a try.
const HANGUP: u8 = 8;

#[derive(Clone, Copy)]
struct Slot {
    state: u8,
    reader: u32,
    writer: u32,
}

const EMPTY: Slot = Slot {
    state: 0,
    reader: NO_TASK,
    writer: NO_TASK,
};

/// What a batch of events reports for one fd, or for one of our own.
pub enum Event {
    /// A waiting task per direction ([`NO_TASK`] for none).
    Ready { reader: u32, writer: u32 },
    /// One of the scheduler's own fds, by the number it was added with.
    Internal(u32),
}

/// Internal fds are told from others by the high half of epoll's data word.
const INTERNAL: u64 = 1 << 63;
const BATCH: usize = 128;

/// Events of one wait.
pub struct Events {
    list: [libc::epoll_event; BATCH],
    count: usize,
}

impl Events {
    pub fn new() -> Events {
        Events {
            list: [libc::epoll_event { events: 0, u64: 0 }; BATCH],
            count: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

#[derive(Default)]
pub struct Reactor {
    epoll: Option<OwnedFd>,
    slots: Vec<Slot>,
    no_pwait2: bool,
}

impl Reactor {
    /// The epoll fd, made at first use.
    fn epoll(&mut self) -> Result<RawFd, Errno> {
        if let Some(epoll) = &self.epoll {
            return Ok(epoll.as_raw_fd());
        }
        // SAFETY: a fresh fd that nobody else owns.
        let epoll = unsafe {
            let fd = Errno::result(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        let fd = epoll.as_raw_fd();
        self.epoll = Some(epoll);
        Ok(fd)
    }

    fn control(
        &mut self,
        operation: c_int,
        fd: RawFd,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let epoll = self.epoll()?;
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: `event` is a local the kernel only reads.
        Errno::result(unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) }).map(drop)
    }

    /// Adds one of the scheduler's own fds, level-triggered.
    pub fn add_internal(&mut self, fd: RawFd, number: u32) -> Result<(), Errno> {
        let data = INTERNAL | u64::from(number);
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, data)
    }

    pub fn remove_internal(&mut self, fd: RawFd) {
        // Fails only for an fd that is not there, which is as good.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn slot(&mut self, fd: RawFd) -> Option<&mut Slot> {
        usize::try_from(fd)
            .ok()
            .and_then(|fd| self.slots.get_mut(fd))
    }

    /// Makes sure that edges of `fd` are reported.
    pub fn register(&mut self, fd: RawFd) -> Result<(), Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        if self
            .slots
            .get(index)
            .is_some_and(|slot| slot.state & REGISTERED != 0)
        {
            return Ok(());
        }
        if self.slots.len() <= index {
            let more = index + 1 - self.slots.len();
            self.slots.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.slots.resize(index + 1, EMPTY);
        }
        let edges =
            libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET;
        match self.control(libc::EPOLL_CTL_ADD, fd, edges as u32, index as u64) {
            // Known from before we forgot it: setting it again re-arms its edges.
            Err(Errno::EEXIST) => {
                self.control(libc::EPOLL_CTL_MOD, fd, edges as u32, index as u64)?
            }
            other => other?,
        }
        self.slots[index].state = REGISTERED;
        Ok(())
    }

    /// Forgets a number that was just opened or closed. The kernel dropped the
    /// registration with the last reference to the open file.
    pub fn reset(&mut self, fd: RawFd) {
        if let Some(slot) = self.slot(fd) {
            slot.state = 0;
        }
    }

    /// The task waiting for a direction of `fd`.
    pub fn waiter(&mut self, fd: RawFd, interest: Interest) -> u32 {
        self.slot(fd).map_or(NO_TASK, |slot| {
            if interest == Interest::READ {
                slot.reader
            } else {
                slot.writer
            }
        })
    }

    /// Makes `task` the one waiting for `interest` on a registered fd.
    pub fn set_waiter(&mut self, fd: RawFd, interest: Interest, task: u32) {
        if let Some(slot) = self.slot(fd) {
            if interest.wants(Interest::READ) {
                slot.reader = task;
            }
            if interest.wants(Interest::WRITE) {
                slot.writer = task;
            }
        }
    }

    /// Ends `task`'s wait on `fd`.
    pub fn clear_waiter(&mut self, fd: RawFd, task: u32) {
        if let Some(slot) = self.slot(fd) {
            if slot.reader == task {
                slot.reader = NO_TASK;
            }
            if slot.writer == task {
                slot.writer = NO_TASK;
            }
        }
    }

    /// False when nothing happened on the fd since it was drained.
    pub fn may_be_ready(&self, fd: RawFd, interest: Interest) -> bool {
        let Some(slot) = usize::try_from(fd).ok().and_then(|fd| self.slots.get(fd)) else {
            return true;
        };
        slot.state & REGISTERED == 0
            || slot.state & HANGUP != 0
            || (interest.wants(Interest::READ) && slot.state & READABLE != 0)
            || (interest.wants(Interest::WRITE) && slot.state & WRITABLE != 0)
    }

    /// Notes that there is nothing more in this direction.
    pub fn drained(&mut self, fd: RawFd, interest: Interest) {
        if let Some(slot) = self.slot(fd) {
            if interest.wants(Interest::READ) {
                slot.state &= !READABLE;
            }
            if interest.wants(Interest::WRITE) {
                slot.state &= !WRITABLE;
            }
        }
    }

    /// Waits for events, at most `timeout` ns (None: for ever).
    pub fn wait(&mut self, timeout: Option<Nanoseconds>, events: &mut Events) -> Result<(), Errno> {
        events.count = 0;
        let epoll = self.epoll()?;
        let count = if self.no_pwait2 {
            Err(Errno::ENOSYS)
        } else {
            wait_exact(epoll, timeout, events)
        };
        let count = match count {
            Err(Errno::ENOSYS) => {
                self.no_pwait2 = true;
                wait_milliseconds(epoll, timeout, events)
            }
            other => other,
        };
        match count {
            Ok(count) => {
                events.count = count;
                Ok(())
            }
            Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// What event `index` of a batch says, its fd's readiness noted.
    pub fn event(&mut self, events: &Events, index: usize) -> Event {
        let event = events.list[index];
        let data = event.u64;
        if data & INTERNAL != 0 {
            return Event::Internal(data as u32);
        }
        let bits = event.events as c_int;
        let failed = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
        let readable = failed || bits & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI) != 0;
        let writable = failed || bits & libc::EPOLLOUT != 0;
        let Some(slot) = self.slots.get_mut(data as usize) else {
            return Event::Ready {
                reader: NO_TASK,
                writer: NO_TASK,
            };
        };
        if failed || bits & libc::EPOLLRDHUP != 0 {
            slot.state |= HANGUP;
        }
        let mut ready = Event::Ready {
            reader: NO_TASK,
            writer: NO_TASK,
        };
        if let Event::Ready { reader, writer } = &mut ready {
            if readable {
                slot.state |= READABLE;
                *reader = slot.reader;
            }
            if writable {
                slot.state |= WRITABLE;
                *writer = slot.writer;
            }
        }
        ready
    }
}

/// The kernel's 64-bit timespec, on every architecture.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanoseconds: i64,
}

/// `epoll_pwait2` (Linux 5.11): since then waits are exact to the nanosecond.
fn wait_exact(
    epoll: RawFd,
    timeout: Option<Nanoseconds>,
    events: &mut Events,
) -> Result<usize, Errno> {
    /// Same number everywhere, after the base of MIPS' o32 calls.
    const NUMBER: libc::c_long = if cfg!(target_arch = "mips") {
        4441
    } else {
        441
    };
    let time = timeout.map(|left| {
        let (seconds, rest) = split(left);
        KernelTimespec {
            seconds,
            nanoseconds: i64::from(rest),
        }
    });
    // SAFETY: the buffer has BATCH events, the timespec lives during the call.
    let count = unsafe {
        libc::syscall(
            NUMBER,
            epoll,
            events.list.as_mut_ptr(),
            BATCH as c_int,
            time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            std::ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    Errno::result(count).map(|count| count as usize)
}

/// `epoll_wait`: milliseconds, rounded up so that no sleep ends early.
fn wait_milliseconds(
    epoll: RawFd,
    timeout: Option<Nanoseconds>,
    events: &mut Events,
) -> Result<usize, Errno> {
    let milliseconds = timeout.map_or(-1, |left| {
        milliseconds(left.saturating_add(999_999)).min(i64::from(c_int::MAX)) as c_int
    });
    // SAFETY: the buffer has BATCH events.
    let count = unsafe {
        libc::epoll_wait(
            epoll,
            events.list.as_mut_ptr(),
            BATCH as c_int,
            milliseconds,
        )
    };
    Errno::result(count).map(|count| count as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn ready(reactor: &mut Reactor, timeout: Nanoseconds) -> Vec<(u32, u32)> {
        let mut events = Events::new();
        reactor.wait(Some(timeout), &mut events).unwrap();
        (0..events.len())
            .map(|index| match reactor.event(&events, index) {
                Event::Ready { reader, writer } => (reader, writer),
                Event::Internal(number) => (number, number),
            })
            .collect()
    }

    #[test]
    fn one_edge_per_arrival() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut reactor = Reactor::default();
        let fd = ours.as_raw_fd();
        reactor.register(fd).unwrap();
        reactor.set_waiter(fd, Interest::READ, 7);
        assert_eq!(ready(&mut reactor, 0), [(NO_TASK, NO_TASK)]);
        reactor.drained(fd, Interest::READ);
        assert!(!reactor.may_be_ready(fd, Interest::READ));
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready(&mut reactor, 1_000_000_000), [(7, NO_TASK)]);
        assert!(reactor.may_be_ready(fd, Interest::READ));
        assert_eq!(ready(&mut reactor, 0), []);
        reactor.clear_waiter(fd, 7);
        drop(theirs);
        assert_eq!(ready(&mut reactor, 1_000_000_000), [(NO_TASK, NO_TASK)]);
        reactor.drained(fd, Interest::READ);
        assert!(reactor.may_be_ready(fd, Interest::READ), "a hang-up stays");
    }

    #[test]
    fn a_forgotten_fd_is_armed_again() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut reactor = Reactor::default();
        reactor.register(ours.as_raw_fd()).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready(&mut reactor, 0).len(), 1);
        reactor.reset(ours.as_raw_fd());
        reactor.register(ours.as_raw_fd()).unwrap();
        assert_eq!(ready(&mut reactor, 0).len(), 1);
    }

    #[test]
    fn files_are_refused() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let mut reactor = Reactor::default();
        assert_eq!(reactor.register(file.as_raw_fd()), Err(Errno::EPERM));
        assert_eq!(reactor.register(-1), Err(Errno::EBADF));
    }
}
