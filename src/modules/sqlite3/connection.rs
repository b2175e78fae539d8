//! A connection: its calls wait in order, and whoever of the pool works on it serves them one after the other.
//!
//! Jobs are made and waited for by the loop. A thread of the pool is sent for when a job finds nobody serving; it
//! serves all that have their turn, up to [`SHARE`] of them, so that others get at the pool. Then it wakes the next
//! one, which sends for a thread again.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::work::{roll_back, Answer, Request, Worked};
use crate::abi::Token;
use crate::modules::sql::{Call, Queue};
use crate::system::sqlite::{Database, Failure, Watch};
use crate::system::thread::lock;

/// Calls that a thread serves in a row.
const SHARE: usize = 64;

/// A call on its way.
pub struct Job {
    number: u32,
    transaction: u32,
    request: Request,
    /// Nobody wants the result any more.
    abandoned: AtomicBool,
    /// Wakes who waits.
    token: Mutex<Option<Token>>,
    result: OnceLock<Worked>,
}

impl Call for Arc<Job> {
    fn transaction(&self) -> u32 {
        self.transaction
    }
}

impl Job {
    pub fn result(&self) -> Option<&Worked> {
        self.result.get()
    }

    /// Whether another token is needed to wake who waits.
    pub fn is_unarmed(&self) -> bool {
        lock(&self.token).is_none()
    }

    /// Whether it goes on with a statement that the caller holds.
    pub fn continues(&self) -> bool {
        matches!(self.request, Request::Fetch(_))
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }
}

#[derive(Default)]
struct State {
    queue: Queue<Arc<Job>>,
    /// A thread works on the connection, or is sent for.
    served: bool,
    closed: bool,
    /// A transaction was left: it is taken back before anything else is done.
    left: bool,
    /// Statements that nobody needs any more.
    dropped: Vec<u32>,
    /// Of the last job or transaction.
    number: u32,
}

impl State {
    fn new_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1).max(1);
        self.number
    }

    /// Notes a statement to be dropped; without memory for that it stays until the connection is closed.
    fn drop_later(&mut self, statement: u32) {
        if statement != 0 && self.dropped.try_reserve(1).is_ok() {
            self.dropped.push(statement);
        }
    }
}

/// What the loop and the pool share of a connection.
pub struct Shared {
    state: Mutex<State>,
    /// Locked by who serves alone.
    database: Mutex<Option<Database>>,
    watch: Arc<Watch>,
    /// Most bytes of a result.
    limit: usize,
}

/// What became of a job that was queued.
pub enum Queued {
    /// The caller sends a thread.
    Send(Arc<Job>),
    /// Somebody serves, or it has to wait for a transaction.
    Wait(Arc<Job>),
    Refused(&'static str),
}

impl Shared {
    pub fn new(patience: u32, limit: usize) -> Arc<Shared> {
        Arc::new(Shared {
            state: Mutex::default(),
            database: Mutex::new(None),
            watch: Arc::new(Watch::new(patience)),
            limit,
        })
    }

    /// A number for a transaction that is to begin.
    pub fn new_transaction(&self) -> u32 {
        lock(&self.state).new_number()
    }

    /// Queues a request, as part of a transaction or of none.
    pub fn queue(&self, request: Request, transaction: u32) -> Queued {
        let mut state = lock(&self.state);
        let holds = transaction != 0 && state.queue.holder() == transaction;
        // A transaction that is under way goes on to its end.
        if state.closed && !holds {
            return Queued::Refused("connection is closed");
        }
        if transaction != 0 && !holds {
            return Queued::Refused("the transaction has ended");
        }
        if matches!(request, Request::Close) {
            state.closed = true;
        }
        let job = Arc::new(Job {
            number: state.new_number(),
            transaction,
            request,
            abandoned: AtomicBool::new(false),
            token: Mutex::new(None),
            result: OnceLock::new(),
        });
        if state.queue.push(job.clone()).is_err() {
            return Queued::Refused("not enough memory");
        }
        if Shared::needs_thread(&mut state) {
            Queued::Send(job)
        } else {
            Queued::Wait(job)
        }
    }

    /// Whether the caller is to send a thread, which counts as serving from now on.
    fn needs_thread(state: &mut State) -> bool {
        let needed = !state.served && state.queue.first().is_some();
        state.served |= needed;
        needed
    }

    /// The same for a call that goes on.
    pub fn claim(&self) -> bool {
        Shared::needs_thread(&mut lock(&self.state))
    }

    /// Whether it is the job's turn, and nobody serves.
    pub fn is_on_turn(&self, job: &Arc<Job>) -> bool {
        Shared::awaits_thread(&lock(&self.state), job)
    }

    fn awaits_thread(state: &State, job: &Arc<Job>) -> bool {
        !state.served
            && state
                .queue
                .first()
                .is_some_and(|next| Arc::ptr_eq(next, job))
    }

    /// No thread could be sent.
    pub fn unserve(&self) {
        lock(&self.state).served = false;
    }

    /// Has the job woken by the token: at once, if it has something to see already.
    pub fn arm(&self, job: &Arc<Job>, token: Token) {
        let state = lock(&self.state);
        if job.result().is_none() && !Shared::awaits_thread(&state, job) {
            *lock(&job.token) = Some(token);
            return;
        }
        drop(state);
        token.notify();
    }

    /// Nobody waits for the job any more: it is not begun, or ends early.
    pub fn abandon(&self, job: &Arc<Job>) {
        let mut state = lock(&self.state);
        if job.abandoned.swap(true, Ordering::SeqCst) {
            return;
        }
        match job.result() {
            Some(worked) => Shared::discard(&mut state, worked),
            None => {
                // What ends a transaction is done in any case.
                if !matches!(job.request, Request::Finish(_) | Request::Close) {
                    let waiting = state.queue.take(|queued| Arc::ptr_eq(queued, job));
                    if waiting.is_none() {
                        self.watch.stop(job.number);
                    }
                }
            }
        }
        let token = lock(&job.token).take();
        let next = Shared::next_token(&state);
        drop(state);
        drop((token, next));
    }

    /// Takes back what a result holds that nobody gets.
    fn discard(state: &mut State, worked: &Worked) {
        match worked {
            Ok(Answer::Page(_, statement) | Answer::Kept(statement)) => {
                state.drop_later(*statement);
            }
            Ok(Answer::Begun(number)) if state.queue.holder() == *number => {
                state.queue.hold(0);
                state.left = true;
            }
            _ => {}
        }
    }

    /// The result has been delivered: it is not taken back.
    pub fn deliver(&self, job: &Job) {
        job.abandoned.store(true, Ordering::SeqCst);
    }

    /// What wakes the next job, if nobody serves it.
    fn next_token(state: &State) -> Option<Token> {
        if state.served {
            return None;
        }
        let next = state.queue.first()?;
        let token = lock(&next.token).take();
        token
    }

    /// A transaction is left without an end: what it did is taken back.
    pub fn leave(&self, transaction: u32) {
        let mut state = lock(&self.state);
        if state.queue.holder() != transaction {
            return;
        }
        state.queue.hold(0);
        state.left = true;
        self.watch.stop_running();
        let token = Shared::next_token(&state);
        drop(state);
        drop(token);
    }

    /// Drops a statement when the connection is next worked on.
    pub fn drop_later(&self, statement: u32) {
        lock(&self.state).drop_later(statement);
    }

    /// Ends whatever is under way and waits, so that the connection can be closed.
    pub fn end_calls(&self) {
        let mut state = lock(&self.state);
        self.watch.stop_running();
        state.queue.hold(0);
        while let Some(job) = state.queue.take_next() {
            let _ = job.result.set(Err(Failure::Known("connection is closed")));
            drop(lock(&job.token).take());
        }
    }

    /// Serves what has its turn.
    fn serve(&self) {
        let mut database = lock(&self.database);
        for served in 0.. {
            let mut state = lock(&self.state);
            let next = if served < SHARE {
                state.queue.take_next()
            } else {
                None
            };
            let Some(job) = next else {
                state.served = false;
                let token = Shared::next_token(&state);
                drop((state, database));
                drop(token);
                return;
            };
            let left = std::mem::take(&mut state.left);
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            if let Some(database) = database.as_mut() {
                for statement in dropped {
                    drop(database.take(statement));
                }
                if left {
                    roll_back(database);
                }
            }
            self.watch.begin(job.number);
            let worked = job.request.perform(&mut database, &self.watch, self.limit);
            self.watch.end();
            self.complete(&job, worked);
        }
    }

    fn complete(&self, job: &Arc<Job>, worked: Worked) {
        let mut state = lock(&self.state);
        match (&job.request, &worked) {
            // Nothing is held when it is to be closed.
            (Request::Begin(..), Ok(Answer::Begun(number))) if !state.closed => {
                state.queue.hold(*number);
            }
            (Request::Finish(_), _) if state.queue.holder() == job.transaction => {
                state.queue.hold(0);
            }
            _ => {}
        }
        if job.is_abandoned() {
            Shared::discard(&mut state, &worked);
        }
        let _ = job.result.set(worked);
        let token = lock(&job.token).take();
        drop(state);
        drop(token);
    }

    /// A reference for a thread: what [`serve`] and [`release`] are called with.
    pub fn share(self: &Arc<Shared>) -> *mut c_void {
        Arc::into_raw(Arc::clone(self)).cast_mut().cast()
    }
}

/// Serves a connection.
///
/// # Safety
///
/// `shared` comes from [`Shared::share`], and is not released yet.
pub unsafe extern "C" fn serve(shared: *mut c_void) {
    // SAFETY: by the caller's promise.
    unsafe { &*shared.cast::<Shared>() }.serve();
}

/// Gives the reference back.
///
/// # Safety
///
/// `shared` comes from [`Shared::share`], and nobody uses it any more.
pub unsafe extern "C" fn release(shared: *mut c_void) {
    // SAFETY: by the caller's promise.
    drop(unsafe { Arc::from_raw(shared.cast::<Shared>()) });
}
