//! The engine of one program, or of one state that has required the module: its
//! contexts, workers, network.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};
use std::time::Duration;

use nix::errno::Errno;

use super::context::Context;
use crate::lua::CFunction;
use crate::node::errors;
use crate::node::event::{Event, Handle, Id, Parcel, Post};
use crate::node::net::Net;
use crate::states::state::Inheritance;
use crate::states::workers::Workers;
use crate::system::thread::lock;
use crate::system::{output, thread};

/// How long a closing engine waits for contexts that run.
const PATIENCE: Duration = Duration::from_secs(2);
/// C stack of the network's thread, which runs no Lua.
const STACK: usize = 256 << 10;
/// C stack of a thread that resolves a name.
const RESOLVER_STACK: usize = 256 << 10;
/// Names that are resolved at a time.
const RESOLVERS: usize = 4;

/// What is done besides the workers' jobs, and may block.
pub type Task = Box<dyn FnOnce(&Engine) + Send>;

/// Tasks that wait for a thread, and how many threads there are.
#[derive(Default)]
struct Tasks {
    queue: std::collections::VecDeque<Task>,
    threads: usize,
}

pub struct Engine {
    contexts: RwLock<BTreeMap<Handle, Arc<Context>>>,
    /// The last handle that was given.
    last: AtomicU32,
    /// Contexts besides the host.
    live: AtomicUsize,
    pub workers: Arc<Workers<Context>>,
    pub net: Net,
    has_thread: Mutex<bool>,
    tasks: Mutex<Tasks>,
    host: OnceLock<Weak<Context>>,
    is_stopped: AtomicBool,
    pub inheritance: Inheritance,
    /// The Lua part in bytecode, as contexts load it.
    pub layer: OnceLock<Vec<u8>>,
    is_quiet: bool,
    pub is_shipped: bool,
    pub cores: usize,
}

/// Whether a variable of the environment has that value.
fn is_set(name: &str, value: &str) -> bool {
    std::env::var_os(name).is_some_and(|found| found == value)
}

impl Engine {
    pub fn new(inheritance: Inheritance) -> Result<Arc<Engine>, Errno> {
        let cores = thread::cores();
        Ok(Arc::new(Engine {
            contexts: RwLock::default(),
            last: AtomicU32::new(0),
            live: AtomicUsize::new(0),
            workers: Workers::new(cores.min(64)),
            net: Net::new()?,
            has_thread: Mutex::new(false),
            tasks: Mutex::default(),
            host: OnceLock::new(),
            is_stopped: AtomicBool::new(false),
            inheritance,
            layer: OnceLock::new(),
            is_quiet: is_set("NODE_LUA_QUIET", "1"),
            is_shipped: is_set("NODE_LUA_API", "shipped"),
            cores,
        }))
    }

    /// The state that has made the engine takes part in it.
    pub fn admit(&self, host: &Arc<Context>) {
        let _ = self.host.set(Arc::downgrade(host));
        self.insert(host);
    }

    /// It takes part no more, and the next handle is the first.
    pub fn leave(&self, host: &Context) {
        self.forget(host.handle());
        host.set_handle(0);
        self.last.store(0, SeqCst);
    }

    /// The host has ended.
    pub fn forget_host(&self, host: &Context) {
        self.forget(host.handle());
    }

    fn insert(&self, context: &Arc<Context>) {
        let mut contexts = self.contexts.write().unwrap_or_else(|p| p.into_inner());
        contexts.insert(context.handle(), Arc::clone(context));
    }

    fn forget(&self, handle: Handle) {
        let mut contexts = self.contexts.write().unwrap_or_else(|p| p.into_inner());
        let context = contexts.remove(&handle);
        drop(contexts);
        drop(context);
    }

    pub fn find(&self, handle: Handle) -> Option<Arc<Context>> {
        let contexts = self.contexts.read().unwrap_or_else(|p| p.into_inner());
        contexts.get(&handle).cloned()
    }

    /// Whether there ever was one of that handle.
    pub fn has_been(&self, handle: Handle) -> bool {
        handle <= self.last.load(SeqCst)
    }

    pub fn next_handle(&self) -> Handle {
        self.last.fetch_add(1, SeqCst) + 1
    }

    pub fn live(&self) -> usize {
        self.live.load(SeqCst)
    }

    /// Begins to run a new context; false when there are no threads for it.
    pub fn start(&self, context: &Arc<Context>) -> bool {
        if self.is_stopped.load(SeqCst) {
            return false;
        }
        self.insert(context);
        self.live.fetch_add(1, SeqCst);
        self.alert(context.handle(), "init: ", &[context.name()]);
        if context.post(Event::Begin).is_err() {
            return false;
        }
        true
    }

    /// A context has ended: nobody finds it any more.
    pub fn ended(&self, context: &Context) {
        self.forget(context.handle());
        self.net.clear_timers(context.handle());
        if self.live.fetch_sub(1, SeqCst) == 1 {
            self.tell_host(Event::Alone);
        }
    }

    fn tell_host(&self, event: Event) {
        if let Some(host) = self.host.get().and_then(Weak::upgrade) {
            let _ = host.post(event);
        }
    }

    /// Sends an event; false when there is no such context.
    pub fn send(&self, handle: Handle, event: Event) -> bool {
        self.find(handle)
            .is_some_and(|context| context.post(event).is_ok())
    }

    /// Answers a query.
    pub fn reply(
        &self,
        from: Handle,
        to: Handle,
        session: Id,
        result: Result<Parcel, i32>,
    ) -> bool {
        let event = Event::Reply {
            from,
            session,
            result,
        };
        self.send(to, event)
    }

    /// Answers that nobody will.
    pub fn refuse(&self, from: Handle, to: Handle, session: Id) {
        if session > 0 {
            self.reply(from, to, session, Err(errors::NO_REPLY));
        }
    }

    /// The module's functions by name that the host has for `require`.
    pub fn preloaded(&self, name: &[u8]) -> Option<CFunction> {
        self.inheritance.preloaded(name)
    }

    /// Starts the network's thread at its first use; false when there is none.
    pub fn ensure_network(self: &Arc<Self>) -> bool {
        let mut has_thread = lock(&self.has_thread);
        if !*has_thread && !self.is_stopped.load(SeqCst) {
            *has_thread = self.spawn(run_network, STACK).is_ok();
        }
        *has_thread
    }

    fn spawn(self: &Arc<Self>, start: thread::Start, stack: usize) -> Result<(), Errno> {
        let engine = Arc::into_raw(Arc::clone(self));
        // SAFETY: the reference is the thread's, unless there is none; an engine
        // may be used by any thread.
        unsafe {
            thread::start(start, engine.cast_mut().cast(), stack, None)
                .inspect_err(|_| drop(Arc::from_raw(engine)))
        }
    }

    /// Has a task done by a thread of its own; false when there is none.
    pub fn offload(self: &Arc<Self>, task: Task) -> bool {
        let mut tasks = lock(&self.tasks);
        tasks.queue.push_back(task);
        if tasks.threads < RESOLVERS && self.spawn(run_tasks, RESOLVER_STACK).is_ok() {
            tasks.threads += 1;
        }
        if tasks.threads == 0 {
            tasks.queue.clear();
        }
        tasks.threads > 0
    }

    fn next_task(&self) -> Option<Task> {
        let mut tasks = lock(&self.tasks);
        let task = tasks.queue.pop_front();
        if task.is_none() {
            tasks.threads -= 1;
        }
        task
    }

    /// Ends everything: the state of the host closes.
    pub fn stop(&self) {
        self.is_stopped.store(true, SeqCst);
        self.net.stop();
        if !self.workers.stop(PATIENCE) {
            // A context that runs and runs keeps what it uses.
            return;
        }
        self.workers.drain();
        loop {
            let first = {
                let mut contexts = self.contexts.write().unwrap_or_else(|p| p.into_inner());
                contexts.pop_first()
            };
            match first {
                Some((_, context)) => context.close(),
                None => break,
            }
        }
    }

    /// A line about a context, unless those are not wanted.
    pub fn alert(&self, handle: Handle, what: &str, parts: &[&[u8]]) {
        if !self.is_quiet {
            line("alert", handle, what, parts);
        }
    }

    pub fn error(&self, handle: Handle, text: &[u8]) {
        line("error", handle, "error: ", &[text]);
    }
}

/// Prints `[KIND] context:0x00000001 WHAT…`.
fn line(kind: &str, handle: Handle, what: &str, parts: &[&[u8]]) {
    let mut text = format!("[{kind}] context:{} {what}", Hex(handle)).into_bytes();
    for part in parts {
        text.extend_from_slice(part);
    }
    text.push(b'\n');
    output::print(&text);
}

/// A handle as log lines have it.
pub struct Hex(pub Handle);

impl std::fmt::Display for Hex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "0x{:08x}", self.0)
    }
}

impl Post for Engine {
    fn post(&self, handle: Handle, event: Event) {
        self.send(handle, event);
    }
}

extern "C" fn run_network(engine: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passes a reference on.
    let engine = unsafe { Arc::from_raw(engine.cast_const().cast::<Engine>()) };
    engine.net.run(&*engine);
    ptr::null_mut()
}

extern "C" fn run_tasks(engine: *mut c_void) -> *mut c_void {
    // SAFETY: as above.
    let engine = unsafe { Arc::from_raw(engine.cast_const().cast::<Engine>()) };
    while let Some(task) = engine.next_task() {
        task(&engine);
    }
    ptr::null_mut()
}
