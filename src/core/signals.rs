//! Signals while loops run: SIGINT ends every loop of the process, and reaches
//! each in its own thread; SIGPIPE does nothing.
//!
//! Dispositions belong to the process, not to a Lua state, so states share
//! what is here: a list of the eventfds the handler writes to, one for each
//! state whose loop runs. Whoever enters it first changes the dispositions,
//! whoever leaves it last puts back what was in force before; a signal that
//! the process was started to ignore stays ignored.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::memory::boxed;
use crate::abi::{monotonic, Nanoseconds};

/// How long to wait for a signal that was passed on: a thread may block it.
const PATIENCE: Nanoseconds = 500_000_000;

/// One place that the handler reports to.
struct Listener {
    event: RawFd,
    /// The thread of the loop.
    thread: libc::pthread_t,
    /// The handler in another thread has passed SIGINT on to that one.
    passed_on: AtomicBool,
    notice: Notice,
    context: *const c_void,
    next: AtomicPtr<Listener>,
}

/// What a loop does about signals, in their handlers.
#[derive(Clone, Copy)]
pub struct Notice {
    /// SIGINT came; called in the thread of the loop.
    pub interrupt: fn(*const c_void),
    /// A signal of [`attend_to`] came, or [`TICK`]; called in any thread, true for
    /// that of the loop.
    pub attend: fn(*const c_void, c_int, bool),
}

/// What a [`Ticker`](super::ticker::Ticker) sends: harmless where nobody handles it.
pub const TICK: c_int = libc::SIGURG;

/// The list. The handler reads it; changes are made under the lock.
static FIRST: AtomicPtr<Listener> = AtomicPtr::new(ptr::null_mut());
/// Handlers that may be looking at the list.
static HANDLING: AtomicU32 = AtomicU32::new(0);
/// The process that holds the lock, 0 when nobody does.
static LOCK: AtomicI32 = AtomicI32::new(0);
/// The process that the list belongs to.
static PROCESS: AtomicI32 = AtomicI32::new(0);
/// What was in force before, once replaced: of those in `ours`.
static BEFORE: Dispositions = Dispositions(UnsafeCell::new([None; 3]));

struct Dispositions(UnsafeCell<[Option<libc::sigaction>; 3]>);

// SAFETY: only touched by who holds the lock.
unsafe impl Sync for Dispositions {}

fn process() -> i32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpid() }
}

extern "C" fn interrupted(signal: c_int) {
    let errno = Errno::last_raw();
    if PROCESS.load(Ordering::SeqCst) == process() {
        HANDLING.fetch_add(1, Ordering::SeqCst);
        // SAFETY: always succeeds.
        let here = unsafe { libc::pthread_self() };
        let mut is_passed_on = false;
        each(|listener| {
            if listener.thread == here && listener.passed_on.swap(false, Ordering::SeqCst) {
                is_passed_on = true;
                (listener.notice.interrupt)(listener.context);
            }
        });
        each(|listener| {
            if is_passed_on {
                return;
            }
            let one = 1_u64;
            // SAFETY: both are async-signal-safe; the eventfd is closed after
            // its listener was freed, and the thread is in its loop. It gets
            // the signal before it knows of the event and may end that loop.
            unsafe {
                if listener.thread == here {
                    (listener.notice.interrupt)(listener.context);
                } else {
                    listener.passed_on.store(true, Ordering::SeqCst);
                    libc::pthread_kill(listener.thread, signal);
                }
                libc::write(listener.event, ptr::from_ref(&one).cast(), size_of::<u64>());
            }
        });
        HANDLING.fetch_sub(1, Ordering::SeqCst);
    } else {
        // A forked child that has not started anew: no loop of its own listens,
        // and its parent's are none of its business.
        // SAFETY: both are async-signal-safe; the signal comes when we return.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    Errno::set_raw(errno);
}

extern "C" fn attended(signal: c_int) {
    let errno = Errno::last_raw();
    if PROCESS.load(Ordering::SeqCst) == process() {
        HANDLING.fetch_add(1, Ordering::SeqCst);
        // SAFETY: always succeeds.
        let here = unsafe { libc::pthread_self() };
        each(|listener| {
            (listener.notice.attend)(listener.context, signal, listener.thread == here)
        });
        HANDLING.fetch_sub(1, Ordering::SeqCst);
    }
    Errno::set_raw(errno);
}

/// From now on the loops of the process attend to a signal, or it does what it does by default.
pub fn attend_to(signal: c_int, is_wanted: bool) -> Result<(), Errno> {
    let _lock = Lock::take();
    let mut action = disposition(signal);
    action.sa_sigaction = if is_wanted {
        attended as extern "C" fn(c_int) as libc::sighandler_t
    } else {
        libc::SIG_DFL
    };
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler does what handlers may do; the mask is emptied.
    let set = unsafe {
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, ptr::null_mut())
    };
    Errno::result(set).map(drop)
}

/// Whether [`TICK`] is ours to send: a host that handles it itself keeps it.
pub fn attends_to_ticks() -> bool {
    let [.., (signal, handler)] = ours();
    disposition(signal).sa_sigaction == handler
}

/// For the handler: what is in the list.
fn each(mut visit: impl FnMut(&Listener)) {
    let mut next = FIRST.load(Ordering::SeqCst);
    // SAFETY: a listener is freed when it is out of the list and no handler
    // is at work any more.
    while let Some(listener) = unsafe { next.as_ref() } {
        visit(listener);
        next = listener.next.load(Ordering::SeqCst);
    }
}

/// Interrupts the loop of `context` alone, from any thread. Whatever the host has
/// made of SIGINT meanwhile, the thread of that loop gets it by our handler.
pub fn interrupt_loop(context: *const c_void) {
    let lock = Lock::take();
    let found = disposition(libc::SIGINT);
    let [(_, handler), ..] = ours();
    let is_ours = found.sa_sigaction == handler;
    let mut is_sent = false;
    each(|listener| {
        if listener.context == context {
            is_sent = true;
            if !is_ours {
                set(libc::SIGINT, handler, found);
            }
            listener.passed_on.store(true, Ordering::SeqCst);
            // SAFETY: a listed thread is in its loop, and does not leave the
            // list while the lock is held.
            unsafe { libc::pthread_kill(listener.thread, libc::SIGINT) };
        }
    });
    if is_sent && !is_ours && lock.await_passed_on() {
        // SAFETY: what was in force a moment ago.
        unsafe { libc::sigaction(libc::SIGINT, &found, ptr::null_mut()) };
    }
}

/// Lets SIGINT end the process. Async-signal-safe.
pub fn give_in() {
    // SAFETY: as stated; the signal comes when its handler returns.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_DFL);
        libc::raise(libc::SIGINT);
    }
}

/// Held while the list and the dispositions are changed.
struct Lock;

impl Lock {
    fn take() -> Lock {
        let own = process();
        while let Err(holder) = LOCK.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
            if holder == own {
                std::thread::yield_now();
            } else {
                // Held in the parent when it forked; its holder stayed there.
                let _ = LOCK.compare_exchange(holder, 0, Ordering::SeqCst, Ordering::SeqCst);
            }
        }
        if PROCESS.swap(own, Ordering::SeqCst) != own {
            // So did the loops.
            FIRST.store(ptr::null_mut(), Ordering::SeqCst);
            HANDLING.store(0, Ordering::SeqCst);
        }
        Lock
    }

    /// Waits until what the handler or [`interrupt_loop`] has passed on has come: it
    /// is not for whoever handles signals next. False when it has not.
    #[allow(clippy::unused_self)]
    fn await_passed_on(&self) -> bool {
        let start = monotonic();
        loop {
            let mut is_pending = false;
            each(|listener| is_pending |= listener.passed_on.load(Ordering::SeqCst));
            if !is_pending {
                return true;
            }
            if monotonic() - start > PATIENCE {
                each(|listener| listener.passed_on.store(false, Ordering::SeqCst));
                return false;
            }
            std::thread::yield_now();
        }
    }

    #[allow(clippy::unused_self)]
    fn before(&mut self) -> &mut [Option<libc::sigaction>; 3] {
        // SAFETY: there is one lock, borrowed for as long as the result.
        unsafe { &mut *BEFORE.0.get() }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        LOCK.store(0, Ordering::SeqCst);
    }
}

/// A broken pipe is an error of the call. Programs do not inherit a handler as
/// they would inherit "ignore".
extern "C" fn pipe_broke(_: c_int) {}

/// The signals, and what they do while a loop runs.
fn ours() -> [(c_int, libc::sighandler_t); 3] {
    [
        (
            libc::SIGINT,
            interrupted as extern "C" fn(c_int) as libc::sighandler_t,
        ),
        (
            libc::SIGPIPE,
            pipe_broke as extern "C" fn(c_int) as libc::sighandler_t,
        ),
        (TICK, attended as extern "C" fn(c_int) as libc::sighandler_t),
    ]
}

fn disposition(signal: c_int) -> libc::sigaction {
    let mut action = MaybeUninit::zeroed();
    // SAFETY: writes to a local; zeros are a valid action if it fails.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

/// Makes `handler` the disposition and keeps the old one, unless that is done
/// already or the signal is ignored.
fn replace(signal: c_int, handler: libc::sighandler_t, before: &mut Option<libc::sigaction>) {
    let old = disposition(signal);
    let is_taken = match signal {
        TICK => old.sa_sigaction != libc::SIG_DFL,
        _ => old.sa_sigaction == libc::SIG_IGN,
    };
    if before.is_some() || is_taken {
        return;
    }
    set(signal, handler, old);
    *before = Some(old);
}

/// Makes one of our handlers the disposition, the rest of which is as it was.
fn set(signal: c_int, handler: libc::sighandler_t, old: libc::sigaction) {
    let mut action = old;
    action.sa_sigaction = handler;
    action.sa_flags = if signal == TICK { libc::SA_RESTART } else { 0 };
    // SAFETY: the handler does what handlers may do; the mask is emptied.
    unsafe {
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

/// Puts the old disposition back, unless somebody else has set one meanwhile.
fn restore(signal: c_int, handler: libc::sighandler_t, before: &mut Option<libc::sigaction>) {
    if let Some(old) = before.take() {
        if disposition(signal).sa_sigaction == handler {
            // SAFETY: what was in force before.
            unsafe { libc::sigaction(signal, &old, ptr::null_mut()) };
        }
    }
}

/// A state whose loop runs; dropping it ends that.
pub struct LoopSignals {
    event: EventFd,
    listener: *mut Listener,
}

impl LoopSignals {
    /// From now on signals are noticed, by functions for `context` that are
    /// async-signal-safe; the loop is of this thread.
    pub fn install(notice: Notice, context: *const c_void) -> Result<LoopSignals, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(0, flags)?;
        let listener = boxed(Listener {
            event: event.as_fd().as_raw_fd(),
            // SAFETY: always succeeds.
            thread: unsafe { libc::pthread_self() },
            passed_on: AtomicBool::new(false),
            notice,
            context,
            next: AtomicPtr::default(),
        });
        let listener = Box::into_raw(listener.ok_or(Errno::ENOMEM)?);
        let mut lock = Lock::take();
        // SAFETY: made above, and nobody else knows it yet.
        unsafe { &*listener }
            .next
            .store(FIRST.load(Ordering::SeqCst), Ordering::SeqCst);
        FIRST.store(listener, Ordering::SeqCst);
        for ((signal, handler), before) in ours().into_iter().zip(lock.before()) {
            replace(signal, handler, before);
        }
        Ok(LoopSignals { event, listener })
    }

    /// Readable once SIGINT was received.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Takes note of it.
    pub fn clear(&self) {
        // Fails when there is nothing to take.
        let _ = self.event.read();
    }

    /// Takes it out of the list.
    fn unlink(&self) {
        let mut link = &FIRST;
        loop {
            let listener = link.load(Ordering::SeqCst);
            // SAFETY: listed ones live, and the lock keeps the list as it is.
            let Some(next) = (unsafe { listener.as_ref() }).map(|listener| &listener.next) else {
                return;
            };
            if listener == self.listener {
                return link.store(next.load(Ordering::SeqCst), Ordering::SeqCst);
            }
            link = next;
        }
    }
}

impl Drop for LoopSignals {
    fn drop(&mut self) {
        let mut lock = Lock::take();
        lock.await_passed_on();
        self.unlink();
        // In other threads, and short.
        while HANDLING.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        if FIRST.load(Ordering::SeqCst).is_null() {
            for ((signal, handler), before) in ours().into_iter().zip(lock.before()) {
                restore(signal, handler, before);
            }
        }
        drop(lock);
        // SAFETY: made by `install`; out of the list, and nobody looks at it.
        drop(unsafe { Box::from_raw(self.listener) });
    }
}
