//! A Lua state with a thread of its own: begins with a function, ends with its
//! results or an error, which are kept for whoever asks.
//!
//! Invariant: `control` holds the core of a state that is not closing; it is
//! taken away, under the lock, before the state is closed.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::state::{Inheritance, OwnState};
use super::waiters::Waiters;
use super::{Message, Shared};
use crate::abi::{Core, Token};
use crate::lua::{Error, Lua};
use crate::system::{fd, thread};

/// How a thread ended.
pub enum Outcome {
    /// The results of its function.
    Returned(Message),
    Failed(Failure),
}

/// An error nobody caught.
#[derive(Default)]
pub struct Failure {
    pub message: Vec<u8>,
    pub traceback: Vec<u8>,
    /// The error value, if it was no string and can be sent.
    pub value: Option<Message>,
}

impl Failure {
    /// One of our own words.
    pub fn new(message: &str) -> Failure {
        Failure {
            message: message.as_bytes().to_vec(),
            ..Failure::default()
        }
    }
}

/// What reaches into a running state from outside.
struct Control {
    core: Core,
    stopper: Option<Token>,
}

// SAFETY: `Core::cancel` is for any thread, and nothing else is called here.
unsafe impl Send for Control {}

#[derive(Default)]
struct Life {
    outcome: Option<Arc<Outcome>>,
    /// Somebody was told.
    is_known: bool,
    /// Its state closes.
    is_closing: bool,
    canceled: bool,
    /// Grips on the thread in what it has returned itself.
    own: usize,
    control: Option<Control>,
    waiters: Waiters,
}

/// A thread, as others see it.
#[derive(Default)]
pub struct Thread {
    life: Mutex<Life>,
    ended: Condvar,
    name: Vec<u8>,
    grips: AtomicUsize,
}

/// A counted hold on a thread by somebody who may ask how it ended.
pub struct Grip(Arc<Thread>);

impl Grip {
    pub fn new(thread: &Arc<Thread>) -> Grip {
        thread.grips.fetch_add(1, Ordering::SeqCst);
        Grip(Arc::clone(thread))
    }

    pub fn thread(&self) -> &Arc<Thread> {
        &self.0
    }
}

impl Clone for Grip {
    fn clone(&self) -> Grip {
        Grip::new(&self.0)
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        let left = self.0.grips.fetch_sub(1, Ordering::SeqCst) - 1;
        self.0.let_go(left);
    }
}

/// What a thread runs: in its state, whose libraries are open.
pub trait Body: Send + 'static {
    /// Runs until the end, which `results` is told of.
    fn run(self, thread: &Arc<Thread>, state: &OwnState) -> Outcome;
    /// The grip that an object of a message is, if it is one.
    fn grip(object: &Shared) -> Option<&Grip>;
}

/// How a thread is to be.
pub struct Plan<B> {
    pub inheritance: Inheritance,
    /// Bytes that its state may take, 0 for any number.
    pub memory: usize,
    /// Bytes of its C stack.
    pub stack: usize,
    pub body: B,
}

struct Job<B> {
    thread: Arc<Thread>,
    plan: Plan<B>,
}

impl Thread {
    pub fn new(name: Vec<u8>) -> Arc<Thread> {
        Arc::new(Thread {
            name,
            ..Thread::default()
        })
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        thread::lock(&self.life)
    }

    /// Starts it. SIGINT reaches it, as it ends every loop.
    pub fn start<B: Body>(self: &Arc<Thread>, plan: Plan<B>) -> Result<(), Errno> {
        let stack = plan.stack;
        let job = Box::into_raw(Box::new(Job {
            thread: Arc::clone(self),
            plan,
        }));
        // SAFETY: the job belongs to the thread, unless there is none; all of it
        // may be sent.
        unsafe {
            thread::start(enter::<B>, job.cast(), stack, Some(libc::SIGINT))
                .inspect_err(|_| drop(Box::from_raw(job)))
        }
    }

    /// The outcome, once there is one, for somebody who passes it on.
    pub fn outcome(&self) -> Option<Arc<Outcome>> {
        let mut life = self.lock();
        life.is_known |= life.outcome.is_some();
        life.outcome.clone()
    }

    pub fn has_ended(&self) -> bool {
        self.lock().outcome.is_some()
    }

    /// True until its state begins to close: what it held goes after that.
    pub fn is_running(&self) -> bool {
        let life = self.lock();
        life.outcome.is_none() && !life.is_closing
    }

    /// Adds a wait for the end and gives its number; when it has ended, the token
    /// is spent at once. None when there is no memory.
    pub fn wait(&self, token: Token) -> Option<u64> {
        let mut life = self.lock();
        if life.outcome.is_some() {
            drop(life);
            drop(token);
            return Some(0);
        }
        match life.waiters.add(token) {
            Ok(number) => Some(number),
            Err(token) => {
                drop(life);
                drop(token);
                None
            }
        }
    }

    pub fn is_waiting(&self, number: u64) -> bool {
        number != 0 && self.lock().waiters.has(number)
    }

    pub fn leave(&self, number: u64) {
        let token = self.lock().waiters.remove(number);
        drop(token);
    }

    /// Ends the thread at its next wait, or with an error where it runs. Doing so
    /// again reaches what was missed at the first time.
    pub fn cancel(&self) {
        let mut life = self.lock();
        life.canceled |= life.outcome.is_none();
        let stopper = life.control.as_mut().and_then(|control| {
            // SAFETY: the state takes the control away before it closes, and for
            // that it needs the lock.
            unsafe { control.core.cancel() };
            control.stopper.take()
        });
        drop(life);
        drop(stopper);
    }

    /// Something has stopped its loop, which is no error to tell of.
    pub fn stopped(&self) {
        self.lock().canceled = true;
    }

    /// Lets others reach the state; false when it is not to run at all.
    pub fn control(&self, core: Core) -> Result<bool, Errno> {
        let stopper = core.stopper()?;
        let mut life = self.lock();
        if life.canceled {
            drop(life);
            drop(stopper);
            return Ok(false);
        }
        life.control = Some(Control {
            core,
            stopper: Some(stopper),
        });
        Ok(true)
    }

    /// Waits for the end, so long at most; false when it has not come.
    pub fn await_end(&self, limit: Duration) -> bool {
        let start = Instant::now();
        let mut life = self.lock();
        while life.outcome.is_none() {
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            life = self
                .ended
                .wait_timeout(life, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
        true
    }

    /// Nobody reaches the state any more; whether somebody had canceled it.
    fn retire(&self) -> bool {
        let mut life = self.lock();
        let control = life.control.take();
        let canceled = life.canceled;
        life.is_closing = true;
        drop(life);
        drop(control);
        canceled
    }

    fn end<B: Body>(&self, outcome: Outcome) {
        let own = |object: &&Shared| {
            let grip = B::grip(object);
            grip.is_some_and(|grip| ptr::eq(Arc::as_ptr(&grip.0), self))
        };
        let mut life = self.lock();
        if let Outcome::Returned(message) = &outcome {
            life.own = message.objects.iter().filter(own).count();
        }
        life.outcome = Some(Arc::new(outcome));
        let woken = life.waiters.choose_all();
        drop(life);
        self.ended.notify_all();
        drop(woken);
        self.let_go(self.grips.load(Ordering::SeqCst));
    }

    /// So many grips are left. When they are those in what it has returned, nobody
    /// asks for that any more, and it goes: they would hold each other, and what
    /// else is in it would be held by whoever remembers the thread.
    fn let_go(&self, left: usize) {
        let mut life = self.lock();
        if life.outcome.is_none() || left != life.own {
            return;
        }
        let mut held = None;
        if matches!(life.outcome.as_deref(), Some(Outcome::Returned(_))) {
            life.own = 0;
            life.is_known = true;
            held = life
                .outcome
                .replace(Arc::new(Outcome::Failed(Failure::default())));
        }
        drop(life);
        drop(held);
        self.tell();
    }

    /// Nobody asks any more: an error that nobody was told of goes to standard
    /// error.
    fn tell(&self) {
        let mut life = self.lock();
        let outcome = life.outcome.clone();
        let is_known = std::mem::replace(&mut life.is_known, true) || life.canceled;
        drop(life);
        if let Some(Outcome::Failed(failure)) = outcome.as_deref().filter(|_| !is_known) {
            let mut text = b"thread ".to_vec();
            for part in [
                &self.name[..],
                b": ",
                &failure.message,
                b"\n",
                &failure.traceback,
                b"\n",
            ] {
                text.extend_from_slice(part);
            }
            fd::complain(&text);
        }
    }
}

extern "C" fn enter<B: Body>(job: *mut c_void) -> *mut c_void {
    // SAFETY: `start` passes its job on.
    let Job { thread, plan } = *unsafe { Box::from_raw(job.cast::<Job<B>>()) };
    let outcome = run(&thread, plan);
    thread.end::<B>(outcome);
    ptr::null_mut()
}

/// The state is closed when this returns.
fn run<B: Body>(thread: &Arc<Thread>, plan: Plan<B>) -> Outcome {
    let Some(state) = OwnState::new(plan.memory) else {
        return Outcome::Failed(Failure::new("not enough memory"));
    };
    if let Err(error) = state.prepare(&plan.inheritance) {
        return Outcome::Failed(failure_of(state.lua(), error));
    }
    drop(plan.inheritance);
    let outcome = plan.body.run(thread, &state);
    let canceled = thread.retire();
    drop(state);
    match outcome {
        Outcome::Failed(_) if canceled => Outcome::Failed(Failure::new("canceled")),
        outcome => outcome,
    }
}

/// A copy of a text; a part of one that there is no memory for.
pub fn copy(text: &[u8]) -> Vec<u8> {
    let mut copy = Vec::new();
    if copy.try_reserve_exact(text.len()).is_ok() {
        copy.extend_from_slice(text);
    } else {
        copy.extend_from_slice(text.get(..80).unwrap_or_default());
    }
    copy
}

/// The text of an error, whose value is on top if it was raised.
pub fn failure_of(lua: Lua, error: Error) -> Failure {
    if let Some(message) = error.message() {
        return Failure {
            message: message.to_vec(),
            ..Failure::default()
        };
    }
    let text = RefCell::new(Vec::new());
    let copied = lua.protect_with(1, 0, &text, |lua, text| {
        lua.error_to_text();
        text.replace(copy(lua.to_bytes(-1)));
    });
    match copied {
        Ok(()) => Failure {
            message: text.into_inner(),
            ..Failure::default()
        },
        Err(_) => Failure::new("not enough memory"),
    }
}
