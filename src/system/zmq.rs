//! libzmq, found when it is first needed: builds need none of its files, and
//! without it the rest of a program works. Nothing here blocks but the end of a
//! context, which has a thread of its own for that.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::MaybeUninit;
use std::sync::{Arc, Condvar, Mutex, OnceLock, Weak};

use super::thread::{self, lock};

/// The code of a call that is to be made again when the socket is ready.
pub const AGAIN: c_int = libc::EAGAIN;

/// Bits of [`Socket::events`].
pub const READABLE: c_int = 1;
pub const WRITABLE: c_int = 2;

/// Options that are used here.
pub const FD: c_int = 14;
pub const RECEIVE_TIMEOUT: c_int = 27;
pub const SEND_TIMEOUT: c_int = 28;
const EVENTS: c_int = 15;
const IO_THREADS: c_int = 1;

const DONT_WAIT: c_int = 1;
const SEND_MORE: c_int = 2;

/// What libzmq calls its things.
type Raw = *mut c_void;

macro_rules! library {
    ($($name:ident: fn($($type:ty),*) -> $result:ty;)*) => {
        /// The functions that are used.
        #[repr(C)]
        struct Library {
            $($name: unsafe extern "C" fn($($type),*) -> $result,)*
        }

        /// Their names.
        const NAMES: &[&CStr] = &[$(
            match CStr::from_bytes_with_nul(concat!("zmq_", stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => c"",
            },
        )*];

        impl Library {
            fn load() -> Option<Library> {
                // SAFETY: the name ends with NUL. The library's own start-up
                // code is all that runs.
                let library = unsafe { libc::dlopen(c"libzmq.so.5".as_ptr(), libc::RTLD_NOW) };
                if library.is_null() {
                    return None;
                }
                let mut symbols: [Raw; NAMES.len()] = [std::ptr::null_mut(); NAMES.len()];
                for (symbol, name) in symbols.iter_mut().zip(NAMES) {
                    // SAFETY: an open library and a C string.
                    *symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
                    if symbol.is_null() {
                        return None;
                    }
                }
                // SAFETY: as many pointers in the same order, none of them null, to what
                // the header of version 4 declares so.
                Some(unsafe { std::mem::transmute::<[Raw; NAMES.len()], Library>(symbols) })
            }
        }
    };
}

library! {
    ctx_new: fn() -> Raw;
    ctx_set: fn(Raw, c_int, c_int) -> c_int;
    ctx_shutdown: fn(Raw) -> c_int;
    ctx_term: fn(Raw) -> c_int;
    socket: fn(Raw, c_int) -> Raw;
    close: fn(Raw) -> c_int;
    bind: fn(Raw, *const c_char) -> c_int;
    connect: fn(Raw, *const c_char) -> c_int;
    send: fn(Raw, *const u8, usize, c_int) -> c_int;
    msg_init: fn(Raw) -> c_int;
    msg_init_size: fn(Raw, usize) -> c_int;
    msg_data: fn(Raw) -> *mut u8;
    msg_size: fn(Raw) -> usize;
    msg_send: fn(Raw, Raw, c_int) -> c_int;
    msg_recv: fn(Raw, Raw, c_int) -> c_int;
    msg_close: fn(Raw) -> c_int;
    setsockopt: fn(Raw, c_int, *const u8, usize) -> c_int;
    getsockopt: fn(Raw, c_int, *mut u8, *mut usize) -> c_int;
    errno: fn() -> c_int;
    strerror: fn(c_int) -> *const c_char;
}

fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(Library::load).as_ref()
}

/// Whether the library is there.
pub fn is_there() -> bool {
    library().is_some()
}

impl Library {
    /// The code of the last call, which gave a negative result.
    fn problem(&self) -> c_int {
        // SAFETY: takes nothing.
        unsafe { (self.errno)() }
    }

    fn check(&self, result: c_int) -> Result<(), c_int> {
        if result < 0 {
            Err(self.problem())
        } else {
            Ok(())
        }
    }
}

/// The code of a context that is looked for in vain.
pub const GONE: c_int = -1;

/// Hands what the library says of a code to `take`.
pub fn error<R>(code: c_int, take: impl FnOnce(&CStr) -> R) -> R {
    take(match library() {
        // SAFETY: a C string, good until the next call of this thread.
        Some(library) if code != GONE => unsafe { CStr::from_ptr((library.strerror)(code)) },
        _ => c"the context is gone",
    })
}

/// Contexts whose end goes on: whoever lets go of the last share of one does not
/// wait, but may want to know when all that was sent is gone.
#[derive(Default)]
pub struct Endings {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Endings {
    /// Waits until there are none.
    pub fn wait(&self) {
        let mut count = lock(&self.count);
        while *count > 0 {
            count = self
                .changed
                .wait(count)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn begin(&self) {
        *lock(&self.count) += 1;
    }

    fn finish(&self) {
        *lock(&self.count) -= 1;
        self.changed.notify_all();
    }
}

/// Contexts by the numbers that strings have of them: such a string may be read
/// by any state of the process, or never.
struct Live {
    last: i64,
    contexts: Vec<(i64, Weak<Context>)>,
}

static LIVE: Mutex<Live> = Mutex::new(Live {
    last: 0,
    contexts: Vec::new(),
});

/// A context, which all threads may use.
pub struct Context {
    library: &'static Library,
    raw: Raw,
    number: i64,
    /// A forked child has none of its threads.
    process: u32,
}

// SAFETY: the library says that contexts are for all threads.
unsafe impl Send for Context {}
// SAFETY: likewise.
unsafe impl Sync for Context {}

/// What the thread that ends a context is told.
struct Ending {
    library: &'static Library,
    raw: Raw,
    endings: Option<Arc<Endings>>,
}

impl Context {
    /// A new one with so many threads for input and output.
    pub fn new(threads: c_int) -> Result<Arc<Context>, c_int> {
        let library = library().ok_or(libc::ENOSYS)?;
        // SAFETY: takes nothing.
        let raw = unsafe { (library.ctx_new)() };
        if raw.is_null() {
            return Err(library.problem());
        }
        let mut context = Context {
            library,
            raw,
            number: 0,
            process: std::process::id(),
        };
        // SAFETY: a live context.
        library.check(unsafe { (library.ctx_set)(raw, IO_THREADS, threads) })?;
        let mut live = lock(&LIVE);
        if live.contexts.try_reserve(1).is_err() {
            drop(live);
            return Err(libc::ENOMEM);
        }
        live.last += 1;
        context.number = live.last;
        let context = Arc::new(context);
        live.contexts
            .push((context.number, Arc::downgrade(&context)));
        Ok(context)
    }

    /// The one of that number, if it is still there.
    pub fn find(number: i64) -> Result<Arc<Context>, c_int> {
        let live = lock(&LIVE);
        let found = live.contexts.iter().find(|entry| entry.0 == number);
        found.and_then(|entry| entry.1.upgrade()).ok_or(GONE)
    }

    pub fn number(&self) -> i64 {
        self.number
    }

    /// From now on all calls on its sockets fail, in every thread.
    pub fn shut_down(&self) {
        if self.process == std::process::id() {
            // SAFETY: a live context.
            unsafe { (self.library.ctx_shutdown)(self.raw) };
        }
    }

    /// Ends it: `endings` knows when that is done.
    pub fn end(self, endings: &Arc<Endings>) {
        self.begin_end(Some(Arc::clone(endings)));
        // Nothing else of it has an end.
        std::mem::forget(self);
    }

    /// What was sent and has not gone out yet may take any time.
    fn begin_end(&self, endings: Option<Arc<Endings>>) {
        lock(&LIVE).contexts.retain(|entry| entry.0 != self.number);
        if self.process != std::process::id() {
            return;
        }
        if let Some(endings) = &endings {
            endings.begin();
        }
        let ending = Box::into_raw(Box::new(Ending {
            library: self.library,
            raw: self.raw,
            endings,
        }));
        // SAFETY: the box belongs to the thread, unless there is none. The context
        // has no owner any more.
        unsafe {
            if thread::start(terminate, ending.cast(), STACK, None).is_err() {
                // It goes on sending as long as the process lives.
                Box::from_raw(ending).finish();
            }
        }
    }
}

/// Enough for the library to wait in.
const STACK: usize = 128 << 10;

extern "C" fn terminate(ending: *mut c_void) -> *mut c_void {
    // SAFETY: `begin_end` passes its box on. The context ends once: a call that
    // a signal interrupts is made again.
    unsafe {
        let ending = Box::from_raw(ending.cast::<Ending>());
        while (ending.library.ctx_term)(ending.raw) < 0 && ending.library.problem() == libc::EINTR {
        }
        ending.finish();
    }
    std::ptr::null_mut()
}

impl Ending {
    fn finish(&self) {
        if let Some(endings) = &self.endings {
            endings.finish();
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.begin_end(None);
    }
}

/// A message with one part, empty at first.
pub struct Message {
    library: &'static Library,
    /// A `zmq_msg_t`: 64 bytes, aligned like a pointer.
    raw: UnsafeCell<MaybeUninit<[u64; 8]>>,
    /// Something is in it that was not taken.
    is_full: Cell<bool>,
}

impl Message {
    fn new(library: &'static Library) -> Message {
        let message = Message {
            library,
            raw: UnsafeCell::new(MaybeUninit::uninit()),
            is_full: Cell::new(false),
        };
        // SAFETY: room for a message; what an empty one is made of may be moved.
        unsafe { (library.msg_init)(message.raw()) };
        message
    }

    fn raw(&self) -> Raw {
        self.raw.get().cast()
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a message. Its bytes stay until it is emptied, sent or received
        // into, which nobody does while they are borrowed.
        unsafe {
            let length = (self.library.msg_size)(self.raw());
            if length == 0 {
                return &[];
            }
            std::slice::from_raw_parts((self.library.msg_data)(self.raw()), length)
        }
    }

    /// Makes it one of these bytes; false without memory.
    pub fn set(&self, bytes: &[u8]) -> bool {
        self.empty();
        // SAFETY: an empty message, which is made anew; then it has so many bytes.
        unsafe {
            if (self.library.msg_init_size)(self.raw(), bytes.len()) < 0 {
                (self.library.msg_init)(self.raw());
                return false;
            }
            if !bytes.is_empty() {
                let data = (self.library.msg_data)(self.raw());
                data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
        }
        true
    }

    pub fn empty(&self) {
        self.is_full.set(false);
        // SAFETY: a message, which is made anew.
        unsafe {
            (self.library.msg_close)(self.raw());
            (self.library.msg_init)(self.raw());
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: a message, for the last time.
        unsafe { (self.library.msg_close)(self.raw()) };
    }
}

/// A socket, of one thread.
pub struct Socket {
    library: &'static Library,
    /// Null once closed.
    raw: Cell<Raw>,
    process: u32,
}

/// How often a call is made that a signal interrupts. In a forked child each is.
const TRIES: u32 = 4;

impl Socket {
    pub fn new(context: &Context, kind: c_int) -> Result<Socket, c_int> {
        let library = context.library;
        // SAFETY: a live context.
        let raw = unsafe { (library.socket)(context.raw, kind) };
        if raw.is_null() {
            return Err(library.problem());
        }
        Ok(Socket {
            library,
            raw: Cell::new(raw),
            process: context.process,
        })
    }

    pub fn message(&self) -> Message {
        Message::new(self.library)
    }

    fn call(&self, call: &dyn Fn(Raw) -> c_int) -> Result<(), c_int> {
        let raw = self.raw.get();
        if raw.is_null() {
            return Err(libc::ENOTSOCK);
        }
        let mut result = Err(libc::EINTR);
        for _ in 0..TRIES {
            if result != Err(libc::EINTR) {
                break;
            }
            result = self.library.check(call(raw));
        }
        result
    }

    pub fn bind(&self, address: &CStr) -> Result<(), c_int> {
        self.attach(self.library.bind, address)
    }

    pub fn connect(&self, address: &CStr) -> Result<(), c_int> {
        self.attach(self.library.connect, address)
    }

    fn attach(
        &self,
        function: unsafe extern "C" fn(Raw, *const c_char) -> c_int,
        address: &CStr,
    ) -> Result<(), c_int> {
        // SAFETY: a live socket and a C string.
        self.call(&|raw| unsafe { function(raw, address.as_ptr()) })
    }

    /// Sends a copy, as one part of a message.
    pub fn send(&self, bytes: &[u8], more: bool) -> Result<(), c_int> {
        let flags = flags(more);
        // SAFETY: a live socket; that many bytes are read.
        self.call(&|raw| unsafe { (self.library.send)(raw, bytes.as_ptr(), bytes.len(), flags) })
    }

    /// Sends a message, which is empty then.
    pub fn send_message(&self, message: &Message, more: bool) -> Result<(), c_int> {
        let flags = flags(more);
        // SAFETY: a live socket and a message.
        self.call(&|raw| unsafe { (self.library.msg_send)(message.raw(), raw, flags) })
    }

    /// Receives a part, unless the one before was not taken from its place.
    pub fn receive(&self, message: &Message) -> Result<(), c_int> {
        if !message.is_full.get() {
            // SAFETY: a live socket and a message.
            self.call(&|raw| unsafe { (self.library.msg_recv)(message.raw(), raw, DONT_WAIT) })?;
            message.is_full.set(true);
        }
        Ok(())
    }

    /// What can be done at once. This takes note of what other threads have done
    /// since, of which the descriptor tells nothing more then.
    pub fn events(&self) -> Result<c_int, c_int> {
        self.int(EVENTS)
    }

    pub fn int(&self, option: c_int) -> Result<c_int, c_int> {
        let mut value = [0; size_of::<c_int>()];
        self.get(option, &mut value)?;
        Ok(c_int::from_ne_bytes(value))
    }

    /// Reads an option: how many bytes it has.
    pub fn get(&self, option: c_int, value: &mut [u8]) -> Result<usize, c_int> {
        let length = Cell::new(value.len());
        let place = value.as_mut_ptr();
        // SAFETY: a live socket; at most that many bytes are written.
        self.call(&|raw| unsafe {
            (self.library.getsockopt)(raw, option, place, length.as_ptr())
        })?;
        Ok(length.get().min(value.len()))
    }

    pub fn set(&self, option: c_int, value: &[u8]) -> Result<(), c_int> {
        let (place, length) = (value.as_ptr(), value.len());
        // SAFETY: a live socket; that many bytes are read.
        self.call(&|raw| unsafe { (self.library.setsockopt)(raw, option, place, length) })
    }

    /// What it has sent goes out all the same.
    pub fn close(&self) {
        let raw = self.raw.replace(std::ptr::null_mut());
        if !raw.is_null() && self.process == std::process::id() {
            // SAFETY: a live socket, for the last time.
            unsafe { (self.library.close)(raw) };
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

fn flags(more: bool) -> c_int {
    DONT_WAIT | if more { SEND_MORE } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: c_int = 0;

    #[test]
    fn messages_pass_and_contexts_end() {
        if !is_there() {
            println!("libzmq is not installed: skipped");
            return;
        }
        let context = Context::new(1).unwrap();
        let number = context.number();
        assert_eq!(Context::find(number).unwrap().number(), number);
        let one = Socket::new(&context, PAIR).unwrap();
        let two = Socket::new(&context, PAIR).unwrap();
        assert_eq!(one.send(b"early", false), Err(AGAIN));
        one.bind(c"inproc://here").unwrap();
        assert_eq!(two.bind(c"inproc://here"), Err(libc::EADDRINUSE));
        two.connect(c"inproc://here").unwrap();
        let message = two.message();
        assert_eq!(two.receive(&message), Err(AGAIN));
        // What others have done is noted now and then, and here.
        assert_eq!(one.events().unwrap() & WRITABLE, WRITABLE);
        one.send(b"text", false).unwrap();
        assert_eq!(two.events().unwrap() & READABLE, READABLE);
        two.receive(&message).unwrap();
        assert_eq!(message.bytes(), b"text");
        // It stays until it is taken.
        one.send(b"", false).unwrap();
        two.receive(&message).unwrap();
        assert_eq!(message.bytes(), b"text");
        message.empty();
        two.receive(&message).unwrap();
        assert_eq!(message.bytes(), b"");
        let large = vec![b'x'; 100_000];
        assert!(message.set(&large));
        one.send_message(&message, false).unwrap();
        message.empty();
        two.receive(&message).unwrap();
        assert_eq!(message.bytes(), large);
        context.shut_down();
        let terminated = two.send(b"late", false).unwrap_err();
        error(terminated, |text| {
            assert_eq!(text, c"Context was terminated")
        });
        two.close();
        assert_eq!(two.events(), Err(libc::ENOTSOCK));
        drop((one, two, message));
        let endings = Arc::new(Endings::default());
        Arc::into_inner(context).unwrap().end(&endings);
        endings.wait();
        assert_eq!(Context::find(number).err(), Some(GONE));
    }
}
