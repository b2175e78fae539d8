//! The thread that waits for sockets and timers, and tells whose they are. No Lua
//! runs there.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::event::{Event, Handle, Post};
use super::socket::Socket;
use super::timers::{Key, Timers};
use crate::system::fd;
use crate::system::thread::lock;

/// What a socket's number is made of.
pub const NUMBERS: u64 = 1_000_000;
/// Stands for the wake-up among the numbers of sockets.
const WAKE: u64 = u64::MAX;

struct Clock {
    timers: Timers,
    /// Until when the thread sleeps; 0 while it looks around.
    until: u64,
}

pub struct Net {
    epoll: Epoll,
    event: EventFd,
    sockets: Mutex<BTreeMap<u64, Arc<Socket>>>,
    clock: Mutex<Clock>,
    start: Instant,
    is_stopped: AtomicBool,
}

impl Net {
    pub fn new() -> Result<Net, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let net = Net {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            event: EventFd::from_value_and_flags(0, flags)?,
            sockets: Mutex::default(),
            clock: Mutex::new(Clock {
                timers: Timers::default(),
                until: 0,
            }),
            start: Instant::now(),
            is_stopped: AtomicBool::new(false),
        };
        let wake = EpollEvent::new(EpollFlags::EPOLLIN, WAKE);
        net.epoll.add(&net.event, wake)?;
        Ok(net)
    }

    /// Milliseconds on this clock, cut.
    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// The time that many milliseconds from now: never earlier.
    pub fn after(&self, milliseconds: u64) -> u64 {
        self.now()
            .saturating_add(milliseconds)
            .saturating_add(1)
            .min(u64::MAX - 1)
    }

    /// When something comes again that came, or was to come, at `deadline`.
    pub fn again(&self, deadline: u64, repeat: u64) -> u64 {
        deadline.saturating_add(repeat).max(self.now())
    }

    pub fn set_timer(&self, key: Key, deadline: u64, repeat: u64) {
        let mut clock = lock(&self.clock);
        clock.timers.set(key, deadline, repeat);
        let is_first = deadline < clock.until;
        if is_first {
            clock.until = deadline;
        }
        drop(clock);
        if is_first {
            self.wake();
        }
    }

    pub fn clear_timer(&self, key: Key) {
        lock(&self.clock).timers.clear(key);
    }

    pub fn clear_timers(&self, owner: Handle) {
        lock(&self.clock).timers.clear_all(owner);
    }

    fn wake(&self) {
        // Fails only when 2^64 - 1 wake-ups are unread.
        let _ = self.event.write(1);
    }

    /// A number for a socket of that owner; None when it has a million.
    pub fn free_number(&self, owner: Handle, from: u64) -> Option<u64> {
        let sockets = lock(&self.sockets);
        let base = u64::from(owner) * NUMBERS;
        (0..NUMBERS - 1)
            .map(|step| base + 1 + (from + step) % (NUMBERS - 1))
            .find(|number| !sockets.contains_key(number))
    }

    /// From now on the socket can be found by its number.
    pub fn add(&self, socket: &Arc<Socket>) {
        lock(&self.sockets).insert(socket.number, Arc::clone(socket));
    }

    /// Begins to watch the socket's descriptor, which it has.
    pub fn watch(&self, socket: &Socket) -> Result<(), Errno> {
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        let added = socket.with_fd(|number| {
            let fd: BorrowedFd<'_> = fd::borrow(number)?;
            self.epoll.add(fd, EpollEvent::new(flags, socket.number))
        });
        added.unwrap_or(Err(Errno::EBADF))
    }

    pub fn find(&self, number: u64) -> Option<Arc<Socket>> {
        lock(&self.sockets).get(&number).cloned()
    }

    /// Closes a socket; false when it was.
    pub fn close(&self, socket: &Socket, post: &dyn Post) -> bool {
        let closed = socket.close(post);
        if closed {
            lock(&self.sockets).remove(&socket.number);
        }
        closed
    }

    /// Ends the thread soon.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// What the thread does until it is stopped.
    pub fn run(&self, post: &dyn Post) {
        let mut events = [EpollEvent::empty(); 64];
        while !self.is_stopped.load(Ordering::SeqCst) {
            let timeout = self.fire(post);
            let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
            lock(&self.clock).until = 0;
            for event in events.iter().take(count) {
                let (flags, number) = (event.events(), event.data());
                if number == WAKE {
                    let _ = self.event.read();
                } else if let Some(socket) = self.find(number) {
                    let failed = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
                    let reads = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | failed;
                    let writes = EpollFlags::EPOLLOUT | failed;
                    socket.happened(flags.intersects(reads), flags.intersects(writes), post);
                }
            }
        }
    }

    /// Posts what is due; how long until the next.
    fn fire(&self, post: &dyn Post) -> EpollTimeout {
        loop {
            let now = self.now();
            let mut clock = lock(&self.clock);
            let Some(((handle, id), deadline, repeat)) = clock.timers.take(now) else {
                let first = clock.timers.first();
                clock.until = first.unwrap_or(u64::MAX);
                let left = first.map(|first| i32::try_from(first - now).unwrap_or(i32::MAX));
                return left.map_or(EpollTimeout::NONE, |left| {
                    EpollTimeout::try_from(left).unwrap_or(EpollTimeout::ZERO)
                });
            };
            drop(clock);
            let event = Event::Timer {
                id,
                deadline,
                repeat,
            };
            post.post(handle, event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Id;
    use super::super::socket::{Attempt, Kind};
    use super::*;
    use std::io::Write;
    use std::sync::Condvar;
    use std::time::Duration;

    #[derive(Default)]
    struct Posted(Mutex<Vec<(Handle, Event)>>, Condvar);

    impl Post for Posted {
        fn post(&self, handle: Handle, event: Event) {
            lock(&self.0).push((handle, event));
            self.1.notify_all();
        }
    }

    impl Posted {
        fn next(&self) -> (Handle, Event) {
            let mut posted = lock(&self.0);
            while posted.is_empty() {
                let (guard, waited) = self
                    .1
                    .wait_timeout(posted, Duration::from_secs(60))
                    .unwrap();
                assert!(!waited.timed_out(), "nothing was posted");
                posted = guard;
            }
            posted.remove(0)
        }
    }

    fn with_net(body: impl FnOnce(&Net, &Posted)) {
        let (net, posted) = (Net::new().unwrap(), Posted::default());
        std::thread::scope(|scope| {
            scope.spawn(|| net.run(&posted));
            body(&net, &posted);
            net.stop();
        });
    }

    #[test]
    fn timers_come_when_it_is_time_however_late_they_are_set() {
        with_net(|net, posted| {
            let begun = Instant::now();
            net.set_timer((1, 1), net.after(60), 0);
            net.set_timer((2, 7), net.after(20), 0);
            net.set_timer((2, 8), net.after(40), 0);
            net.clear_timers(3);
            net.clear_timer((2, 8));
            let mut order: Vec<(Handle, Id)> = Vec::new();
            for least in [20, 60] {
                let (handle, event) = posted.next();
                assert!(begun.elapsed() >= Duration::from_millis(least));
                let Event::Timer { id, .. } = event else {
                    panic!("{event:?}")
                };
                order.push((handle, id));
            }
            assert_eq!(order, [(2, 7), (1, 1)]);
        });
    }

    #[test]
    fn numbers_are_not_given_twice() {
        let net = Net::new().unwrap();
        let first = net.free_number(3, 0).unwrap();
        assert_eq!(first, 3_000_001);
        let socket = Arc::new(Socket::new(first, 3, Kind::Stream, false));
        net.add(&socket);
        assert_eq!(net.free_number(3, 0), Some(3_000_002));
        assert_eq!(net.free_number(3, NUMBERS - 2), Some(3_999_999));
        assert_eq!(net.free_number(3, NUMBERS - 1), Some(3_000_002));
        let posted = Posted::default();
        assert!(net.close(&socket, &posted));
        assert!(net.find(first).is_none());
        assert_eq!(net.free_number(3, 0), Some(first));
    }

    #[test]
    fn a_socket_that_is_wanted_is_told_of() {
        with_net(|net, posted| {
            let (ours, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let socket = Arc::new(Socket::new(5_000_001, 5, Kind::Stream, true));
            assert!(socket.adopt(ours.into()));
            net.add(&socket);
            net.watch(&socket).unwrap();
            for _ in 0..100 {
                // It may have come before it was wanted.
                peer.write_all(b"x").unwrap();
                let Attempt::Got(bytes) = (match socket.read() {
                    Attempt::Nothing => {
                        let (5, Event::Ready { socket: 5_000_001 }) = posted.next() else {
                            panic!("another event")
                        };
                        socket.read()
                    }
                    other => other,
                }) else {
                    panic!("nothing came")
                };
                assert_eq!(bytes.as_slice(), b"x");
            }
            assert!(net.close(&socket, posted));
        });
    }
}
