//! Signal dispositions while a loop runs: SIGINT ends it, SIGPIPE is ignored.
//!
//! Dispositions belong to the process, so this is the one piece of state that
//! does not hang off a Lua state: the number of the eventfd that the handler
//! writes to, owned by the loop that installed it.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{sigaction, SaFlags, SigAction, SigHandler, SigSet, Signal};

/// Where the handler reports, -1 when no loop listens.
static LISTENER: AtomicI32 = AtomicI32::new(-1);

extern "C" fn interrupted(_: c_int) {
    let one = 1_u64;
    let errno = Errno::last_raw();
    // SAFETY: write(2) is async-signal-safe; the fd number is an eventfd's
    // while it stands in LISTENER.
    unsafe {
        libc::write(
            LISTENER.load(Ordering::Relaxed),
            std::ptr::from_ref(&one).cast(),
            size_of::<u64>(),
        );
    }
    Errno::set_raw(errno);
}

/// The dispositions of a running loop; dropping it restores what was before.
pub struct LoopSignals {
    event: OwnedFd,
    outer: c_int,
    interrupt: Option<SigAction>,
    pipe: Option<SigAction>,
}

impl LoopSignals {
    pub fn install() -> Result<LoopSignals, Errno> {
        let event = OwnedFd::from(EventFd::from_value_and_flags(
            0,
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let outer = LISTENER.swap(event.as_raw_fd(), Ordering::Relaxed);
        let set = |signal, handler| {
            let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
            // SAFETY: the handler only writes to an eventfd.
            unsafe { sigaction(signal, &action) }.ok()
        };
        Ok(LoopSignals {
            event,
            outer,
            interrupt: set(Signal::SIGINT, SigHandler::Handler(interrupted)),
            pipe: set(Signal::SIGPIPE, SigHandler::SigIgn),
        })
    }

    /// Readable once SIGINT was received.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Drop for LoopSignals {
    fn drop(&mut self) {
        for (signal, action) in [
            (Signal::SIGPIPE, self.pipe),
            (Signal::SIGINT, self.interrupt),
        ] {
            if let Some(action) = action {
                // SAFETY: puts back what was in force before.
                let _ = unsafe { sigaction(signal, &action) };
            }
        }
        LISTENER.store(self.outer, Ordering::Relaxed);
    }
}
