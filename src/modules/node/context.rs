//! A context: a Lua state with a queue of events, run by whatever worker has
//! time, by one at a time.
//!
//! Invariant: a context that is not dead and has events is scheduled: a worker
//! has it, or will. Who finds the queue empty says so under its lock.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::engine::{Engine, Hex};
use super::{layer, pack};
use crate::abi::Token;
use crate::lua::{Error, Lua};
use crate::node::event::{Event, Handle, Id};
use crate::states::state::OwnState;
use crate::states::thread::failure_of;
use crate::states::workers::Job;
use crate::system::thread::lock;

/// Events of a turn, when others wait.
const SLICE: usize = 8;
/// Why most contexts end.
const NORMALLY: &[u8] = b"lua context exit normally";

/// What a context begins with.
#[derive(Default)]
pub struct Begin {
    pub words: Vec<Vec<u8>>,
    pub path: Vec<u8>,
    pub cpath: Vec<u8>,
}

#[derive(Default)]
struct Inbox {
    queue: VecDeque<Event>,
    is_scheduled: bool,
    is_dead: bool,
    /// Who wants to be told of the end.
    waiters: Vec<(Handle, Id)>,
    /// Wakes the host, when it waits.
    token: Option<Token>,
}

/// What only the worker that runs the context touches.
#[derive(Default)]
struct Body {
    begin: Option<Begin>,
    state: Option<OwnState>,
    /// Anchor of the function that takes events.
    dispatch: c_int,
}

pub struct Context {
    handle: AtomicU32,
    pub parent: Handle,
    name: Vec<u8>,
    pub engine: Arc<Engine>,
    is_host: bool,
    inbox: Mutex<Inbox>,
    body: Mutex<Body>,
    /// Queries that it has taken and not answered.
    open: Mutex<BTreeMap<(Handle, Id), u64>>,
    worker: AtomicUsize,
    sockets: AtomicU32,
}

/// What comes after an event.
enum Fate {
    GoesOn,
    Ends(Handle, Vec<u8>),
}

impl Context {
    /// A new one, which has not begun; that of the host without a script.
    pub fn new(
        engine: &Arc<Engine>,
        parent: Handle,
        name: Vec<u8>,
        begin: Option<Begin>,
    ) -> Arc<Context> {
        Arc::new(Context {
            handle: AtomicU32::new(engine.next_handle()),
            parent,
            name,
            engine: Arc::clone(engine),
            is_host: begin.is_none(),
            inbox: Mutex::default(),
            body: Mutex::new(Body {
                begin,
                ..Body::default()
            }),
            open: Mutex::default(),
            worker: AtomicUsize::new(0),
            sockets: AtomicU32::new(0),
        })
    }

    pub fn handle(&self) -> Handle {
        self.handle.load(SeqCst)
    }

    pub fn set_handle(&self, handle: Handle) {
        self.handle.store(handle, SeqCst);
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The worker that ran it last.
    pub fn worker(&self) -> usize {
        self.worker.load(SeqCst)
    }

    /// Where to look for a number of a new socket.
    pub fn next_socket(&self) -> u64 {
        self.sockets.fetch_add(1, SeqCst).into()
    }

    /// Queues an event, which comes back from one that has ended.
    pub fn post(self: &Arc<Self>, event: Event) -> Result<(), Event> {
        let mut inbox = lock(&self.inbox);
        if inbox.is_dead || inbox.queue.try_reserve(1).is_err() {
            return Err(event);
        }
        inbox.queue.push_back(event);
        let token = inbox.token.take();
        let is_new = !self.is_host && !std::mem::replace(&mut inbox.is_scheduled, true);
        drop(inbox);
        drop(token);
        if is_new && !self.engine.workers.submit(Arc::clone(self)) {
            // No thread at all: it stays where it is until there is one.
            lock(&self.inbox).is_scheduled = false;
        }
        Ok(())
    }

    /// The next event of the host; `token` is kept to wake it when there is none.
    pub fn next(&self, token: &mut Option<Token>) -> Option<Event> {
        let mut inbox = lock(&self.inbox);
        let event = inbox.queue.pop_front();
        let old = match event {
            None => std::mem::replace(&mut inbox.token, token.take()),
            Some(_) => None,
        };
        drop(inbox);
        drop(old);
        event
    }

    /// The host waits from now on; the token is spent at once when there is an event.
    pub fn watch(&self, token: Token) {
        let mut token = Some(token);
        let mut inbox = lock(&self.inbox);
        if inbox.queue.is_empty() {
            std::mem::swap(&mut inbox.token, &mut token);
        }
        drop(inbox);
        drop(token);
    }

    /// The host waits no more.
    pub fn stop_waiting(&self) {
        let token = lock(&self.inbox).token.take();
        drop(token);
    }

    /// Adds a wait for the end; false when it has ended.
    pub fn wait(&self, waiter: (Handle, Id)) -> bool {
        let mut inbox = lock(&self.inbox);
        if inbox.is_dead {
            return false;
        }
        if inbox.waiters.len() == inbox.waiters.capacity() {
            // Those that have ended themselves make room.
            let is_there = |waiter: &(Handle, Id)| self.engine.find(waiter.0).is_some();
            inbox.waiters.retain(is_there);
        }
        inbox.waiters.push(waiter);
        true
    }

    pub fn leave(&self, waiter: (Handle, Id)) {
        lock(&self.inbox).waiters.retain(|other| *other != waiter);
    }

    /// The query was answered, or nobody waits for that.
    pub fn answered(&self, from: Handle, session: Id) {
        lock(&self.open).remove(&(from, session));
    }

    /// What an event means besides what scripts do with it.
    pub fn note(&self, event: &Event) {
        match *event {
            Event::Message { from, session, .. } if session > 0 => {
                lock(&self.open).insert((from, session), 0);
            }
            Event::Forget { from, session } => self.answered(from, session),
            Event::Timer {
                id,
                deadline,
                repeat,
            } if repeat > 0 => {
                let net = &self.engine.net;
                let next = net.again(deadline, repeat);
                net.set_timer((self.handle(), id), next, repeat);
            }
            _ => {}
        }
    }

    fn take(self: &Arc<Self>, body: &mut Body, event: Event) -> Fate {
        self.note(&event);
        let own = self.handle();
        let done = match event {
            Event::Destroy { by, reason } => return Fate::Ends(by, reason),
            Event::Forget { .. } => return Fate::GoesOn,
            Event::Begin => match self.begin(body) {
                Ok(done) => done,
                Err(reason) => return Fate::Ends(own, reason),
            },
            event => {
                let Some(state) = &body.state else {
                    return Fate::GoesOn;
                };
                dispatch(state.lua(), body.dispatch, &event)
            }
        };
        match (done, &body.state) {
            (Ok(true), _) => Fate::GoesOn,
            (Err(error), Some(state)) => Fate::Ends(own, failure_of(state.lua(), error).message),
            _ => Fate::Ends(own, NORMALLY.to_vec()),
        }
    }

    /// Makes the state and runs the script; why not, if it cannot.
    fn begin(self: &Arc<Self>, body: &mut Body) -> Result<Result<bool, Error>, Vec<u8>> {
        let no_memory = || b"not enough memory".to_vec();
        let begin = body.begin.take().ok_or_else(no_memory)?;
        let state = body.state.insert(OwnState::new(0).ok_or_else(no_memory)?);
        let lua = state.lua();
        let made = layer::open(lua, self, &begin);
        body.dispatch = made.map_err(|error| failure_of(lua, error).message)?;
        let file = begin.words.first().map_or(&b""[..], Vec::as_slice);
        if let Err(error) = layer::load(lua, file) {
            let mut reason = b"fail to initialize lua context ".to_vec();
            reason.extend_from_slice(file);
            reason.extend_from_slice(b", ");
            reason.extend_from_slice(&failure_of(lua, error).message);
            return Err(reason);
        }
        Ok(layer::run(
            lua,
            body.dispatch,
            begin.words.get(1..).unwrap_or_default(),
        ))
    }

    /// It is over: everybody who waits for something of it is told.
    fn end(self: &Arc<Self>, body: &mut Body, by: Handle, reason: &[u8]) {
        let what = format!("deinit: killed by context:{}, ", Hex(by));
        // Nothing enters the queue any more; what its finalisers send goes out.
        let mut inbox = lock(&self.inbox);
        inbox.is_dead = true;
        let queue = std::mem::take(&mut inbox.queue);
        drop(inbox);
        drop(body.state.take());
        self.engine.alert(self.handle(), &what, &[reason]);
        self.tell_all(queue);
        self.engine.ended(self);
    }

    fn tell_all(&self, queue: VecDeque<Event>) {
        let own = self.handle();
        for event in queue {
            if let Event::Message { from, session, .. } = event {
                self.engine.refuse(own, from, session);
            }
        }
        for ((from, session), _) in std::mem::take(&mut *lock(&self.open)) {
            self.engine.refuse(own, from, session);
        }
        let waiters = std::mem::take(&mut lock(&self.inbox).waiters);
        for (handle, id) in waiters {
            self.engine.send(handle, Event::Done { id, error: 0 });
        }
    }

    /// The host takes part no more.
    pub fn retire(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.is_dead = true;
        let queue = std::mem::take(&mut inbox.queue);
        let token = inbox.token.take();
        drop(inbox);
        drop(token);
        self.tell_all(queue);
        self.engine.net.clear_timers(self.handle());
    }

    /// The engine ends: nobody is told, and nobody runs it any more.
    pub fn close(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.is_dead = true;
        let queue = std::mem::take(&mut inbox.queue);
        drop(inbox);
        drop(queue);
        let state = lock(&self.body).state.take();
        drop(state);
    }
}

impl Job for Context {
    fn run(self: &Arc<Self>, number: usize, is_alone: &dyn Fn() -> bool) -> bool {
        self.worker.store(number, SeqCst);
        let mut body = lock(&self.body);
        for count in 1.. {
            let mut inbox = lock(&self.inbox);
            let Some(event) = inbox.queue.pop_front() else {
                inbox.is_scheduled = false;
                break;
            };
            drop(inbox);
            if let Fate::Ends(by, reason) = self.take(&mut body, event) {
                self.end(&mut body, by, &reason);
                break;
            }
            if count >= SLICE && !is_alone() {
                return true;
            }
        }
        false
    }
}

/// Hands an event to the state; whether the context has anything left to wait for.
fn dispatch(lua: Lua, anchor: c_int, event: &Event) -> Result<bool, Error> {
    lua.protect(1, &(anchor, event), |lua, (anchor, event)| {
        lua.push_reference(*anchor);
        let count = pack::push_event(lua, event);
        lua.call(count, 1);
    })?;
    let goes_on = lua.to_bool(-1);
    lua.pop(1);
    Ok(goes_on)
}
