//! One connection: handshake, bytes in both directions, and why it failed.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;

use nix::errno::Errno;

use super::{ffi, Config, Text, Verify};
use crate::abi::Interest;

/// What came of moving bytes under the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// That many; 0 is the end, when receiving.
    Bytes(usize),
    /// None, until the stream is ready in this direction.
    Blocked(Interest),
    Failed(Errno),
}

/// What a connection sends and receives records through.
pub trait Transport {
    fn receive(&self, into: &mut [u8]) -> Moved;
    fn send(&self, data: &[u8]) -> Moved;
}

/// What came of a step of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Finished, with that many bytes.
    Done(usize),
    /// Try again when the stream is ready in this direction.
    Wait(Interest),
    /// The peer has ended the stream.
    End,
    /// It failed: [`Connection::failure`] tells why.
    Failed(Errno),
}

/// A record that was made and could not be sent whole.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pending {
    /// The bytes it is made of are at the front of these.
    data: *const u8,
    length: usize,
    print: u64,
    taken: usize,
}

/// Under the connection: what the library's callbacks see.
struct Below<T> {
    transport: T,
    /// What the last call came to wait for.
    wants: Cell<Option<Interest>>,
    failed: Cell<Option<Errno>>,
    /// The peer's first bytes, to tell what it speaks.
    first: Cell<[u8; 5]>,
    seen: Cell<usize>,
    /// The address that a certificate has to be for.
    address: Cell<([u8; 16], usize)>,
}

/// A connection; it stays where it is.
pub struct Connection<T> {
    ssl: NonNull<ffi::Ssl>,
    below: Box<Below<T>>,
    config: Rc<Config>,
    pending: Cell<Option<Pending>>,
    established: Cell<bool>,
    broken: Cell<bool>,
    /// The peer has said that nothing follows.
    ended: Cell<bool>,
    new_session: Cell<bool>,
    failure: RefCell<Text>,
}

impl<T: Transport> Connection<T> {
    /// A connection over `transport`, before its handshake; None without memory.
    pub fn new(config: Rc<Config>, transport: T) -> Option<Connection<T>> {
        let below = Box::new(Below {
            transport,
            wants: Cell::new(None),
            failed: Cell::new(None),
            first: Cell::new([0; 5]),
            seen: Cell::new(0),
            address: Cell::new(([0; 16], 0)),
        });
        let context = ptr::from_ref(&*below).cast_mut().cast();
        // SAFETY: the configuration and what is below live longer than what is made here.
        let ssl = unsafe { ffi::eco_tls_new(config.as_ptr(), context, send::<T>, receive::<T>) };
        Some(Connection {
            ssl: NonNull::new(ssl)?,
            below,
            config,
            pending: Cell::new(None),
            established: Cell::new(false),
            broken: Cell::new(false),
            ended: Cell::new(false),
            new_session: Cell::new(false),
            failure: RefCell::new(Text::new()),
        })
    }

    /// The name that the peer is asked for and has to prove; None for neither. False without memory, or for
    /// a name too long.
    pub fn set_name(&self, name: Option<&CStr>) -> bool {
        let name = name.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: the library copies the name.
        unsafe { ffi::eco_tls_set_name(self.ssl.as_ptr(), name) == 0 }
    }

    /// The address, of 4 or 16 bytes, that the peer's certificate has to be for; it is not asked for.
    pub fn set_address(&self, address: &[u8]) -> bool {
        let mut bytes = [0; 16];
        let Some(place) = bytes.get_mut(..address.len()) else {
            return false;
        };
        place.copy_from_slice(address);
        self.below.address.set((bytes, address.len()));
        let context = ptr::from_ref(&*self.below).cast_mut().cast();
        // SAFETY: what is below lives longer than the library's object.
        unsafe { ffi::eco_tls_set_judge(self.ssl.as_ptr(), judge::<T>, context) };
        self.set_name(None)
    }

    pub fn transport(&self) -> &T {
        &self.below.transport
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn is_established(&self) -> bool {
        self.established.get()
    }

    /// Goes on with the handshake.
    pub fn handshake(&self) -> Progress {
        if self.broken.get() {
            return Progress::Failed(Errno::EPROTO);
        }
        // SAFETY: a live object, used by one caller at a time: callbacks do not come back to it.
        match self.call(|| unsafe { ffi::eco_tls_handshake(self.ssl.as_ptr()) }) {
            0 if self.is_doubtful() => self.fail(ffi::VERIFY_FAILED),
            0 => {
                self.established.set(true);
                Progress::Done(0)
            }
            code => match self.progress(code) {
                Progress::End => self.fail(ffi::CONN_EOF),
                other => other,
            },
        }
    }

    /// Whether the peer need not have shown a certificate, but has, and a bad one.
    fn is_doubtful(&self) -> bool {
        // SAFETY: a live object.
        self.config.settings().verify == Verify::Optional
            && !self.peer().is_empty()
            && unsafe { ffi::eco_tls_verdict(self.ssl.as_ptr()) } != 0
    }

    /// Reads what has come, at least a byte.
    pub fn read(&self, into: &mut [u8]) -> Progress {
        if self.broken.get() {
            return Progress::Failed(Errno::EPROTO);
        }
        if self.ended.get() {
            return Progress::End;
        }
        loop {
            // SAFETY: as above; it writes to that many bytes.
            let code = self.call(|| unsafe {
                ffi::eco_tls_read(self.ssl.as_ptr(), into.as_mut_ptr(), into.len())
            });
            match code {
                ffi::NEW_SESSION_TICKET => self.new_session.set(true),
                0 | ffi::CLOSE_NOTIFY | ffi::CONN_EOF => {
                    self.ended.set(true);
                    return Progress::End;
                }
                code => return self.progress(code),
            }
        }
    }

    /// Writes from the front of `data`. What would block is to be tried again with the same bytes; with others, the
    /// record of the former goes out first.
    pub fn write(&self, data: &[u8]) -> Progress {
        if self.broken.get() {
            return Progress::Failed(Errno::EPIPE);
        }
        if let Some(pending) = self.pending.get() {
            // SAFETY: a live object.
            let code = self.call(|| unsafe { ffi::eco_tls_flush(self.ssl.as_ptr()) });
            if code != 0 {
                return self.progress(code);
            }
            self.pending.set(None);
            if pending == pending_of(data, pending.taken) {
                return Progress::Done(pending.taken);
            }
        }
        if data.is_empty() {
            return Progress::Done(0);
        }
        // SAFETY: a live object; the library reads that many bytes.
        unsafe {
            let room = ffi::eco_tls_room(self.ssl.as_ptr());
            let Ok(room @ 1..) = usize::try_from(room) else {
                return self.fail(room);
            };
            let count = data.len().min(room);
            match self.call(|| ffi::eco_tls_write(self.ssl.as_ptr(), data.as_ptr(), count)) {
                code @ (ffi::WANT_READ | ffi::WANT_WRITE) => {
                    self.pending.set(Some(pending_of(data, count)));
                    self.progress(code)
                }
                code => self.progress(code),
            }
        }
    }

    /// Tells the peer that nothing follows, if that is possible at once.
    pub fn end(&self) {
        if self.established.get() && !self.broken.replace(true) {
            // SAFETY: a live object.
            unsafe { ffi::eco_tls_close_notify(self.ssl.as_ptr()) };
        }
    }

    /// Calls the library until it has a result, or the stream under it blocks: it may also say that it would, and mean
    /// that it wants to be called again.
    fn call(&self, mut function: impl FnMut() -> c_int) -> c_int {
        loop {
            self.below.wants.set(None);
            let code = function();
            if !matches!(code, ffi::WANT_READ | ffi::WANT_WRITE) || self.below.wants.get().is_some()
            {
                return code;
            }
        }
    }

    /// What a result that may be negative means.
    fn progress(&self, code: c_int) -> Progress {
        if let Ok(count) = usize::try_from(code) {
            return Progress::Done(count);
        }
        match code {
            ffi::WANT_READ | ffi::WANT_WRITE => {
                Progress::Wait(self.below.wants.get().unwrap_or(Interest::READ))
            }
            ffi::CLOSE_NOTIFY | ffi::CONN_EOF => Progress::End,
            code => self.fail(code),
        }
    }

    /// Notes why the connection cannot go on.
    fn fail(&self, code: c_int) -> Progress {
        self.broken.set(true);
        let mut text = self.failure.borrow_mut();
        text.clear();
        if let Some(errno) = self.below.failed.get() {
            return Progress::Failed(errno);
        }
        let first = self.below.first.get();
        // SAFETY: the texts are static; the object is live.
        unsafe {
            if code == ffi::VERIFY_FAILED {
                text.push(if self.config.settings().is_server {
                    b"certificate verify failed: "
                } else {
                    b"SSL certificate verify fail: "
                });
                let flags = ffi::eco_tls_verdict(self.ssl.as_ptr());
                text.push_c(ffi::eco_tls_refusal(flags));
            } else if code == ffi::FATAL_ALERT {
                text.push(b"the peer refused: alert ");
                let alert = ffi::eco_tls_alert(self.ssl.as_ptr()) as u32;
                text.push_number(alert, 10);
                text.push(alert_name(alert));
            } else if !self.established.get() && is_request(&first) {
                text.push(b"http request: the peer does not speak TLS");
            } else if !self.established.get() && self.below.seen.get() > 0 && first[0] > 0x18 {
                text.push(b"wrong version number: the peer does not speak TLS");
            } else {
                let reason = ffi::eco_tls_reason(code);
                if reason.is_null() {
                    text.push(b"TLS error -0x");
                    text.push_number(code.unsigned_abs(), 16);
                }
                text.push_c(reason);
            }
        }
        Progress::Failed(Errno::EPROTO)
    }

    /// Why it failed; empty if the error number says it.
    pub fn failure(&self) -> Text {
        *self.failure.borrow()
    }

    /// The same, to point to.
    pub fn failure_pointer(&self) -> *const c_char {
        let text = self.failure.borrow();
        if text.is_empty() {
            ptr::null()
        } else {
            text.as_ptr()
        }
    }

    /// The protocol that was agreed on by ALPN.
    pub fn alpn(&self) -> Option<&CStr> {
        // SAFETY: a C string that the configuration owns.
        unsafe { text_of(ffi::eco_tls_alpn(self.ssl.as_ptr())) }
    }

    /// The version of the protocol.
    pub fn protocol(&self) -> Option<&CStr> {
        // SAFETY: a static C string.
        unsafe { text_of(ffi::eco_tls_protocol(self.ssl.as_ptr())) }
    }

    /// The name of the suite.
    pub fn cipher(&self) -> Option<&CStr> {
        // SAFETY: a static C string.
        unsafe { text_of(ffi::eco_tls_cipher(self.ssl.as_ptr())) }
    }

    /// The peer's certificate in DER, empty for none.
    pub fn peer(&self) -> &[u8] {
        let mut length = 0;
        // SAFETY: the bytes belong to the live object.
        unsafe {
            let data = ffi::eco_tls_peer(self.ssl.as_ptr(), &mut length);
            if data.is_null() {
                &[]
            } else {
                slice::from_raw_parts(data, length)
            }
        }
    }

    /// The subject of the peer's certificate as text; None when it does not fit.
    pub fn peer_name<'a>(&self, room: &'a mut [u8]) -> Option<&'a [u8]> {
        // SAFETY: the library writes to that many bytes, and a NUL.
        let length = unsafe {
            ffi::eco_tls_peer_name(self.ssl.as_ptr(), room.as_mut_ptr().cast(), room.len())
        };
        room.get(..usize::try_from(length).ok()?)
    }

    /// Writes what resumes the session to `into`: its length. None when there is nothing, or no room.
    pub fn save(&self, into: &mut [u8]) -> Option<usize> {
        if !self.established.get() {
            return None;
        }
        let mut length = 0;
        // SAFETY: the library writes to that many bytes.
        let code = unsafe {
            ffi::eco_tls_session_save(
                self.ssl.as_ptr(),
                into.as_mut_ptr(),
                into.len(),
                &mut length,
            )
        };
        (code == 0).then_some(length)
    }

    /// Tries to resume a session, from what [`Connection::save`] wrote: false if that is of no use.
    pub fn load(&self, session: &[u8]) -> bool {
        // SAFETY: the library reads that many bytes.
        unsafe {
            ffi::eco_tls_session_load(self.ssl.as_ptr(), session.as_ptr(), session.len()) == 0
        }
    }

    /// Whether the peer was to be verified.
    pub fn is_verified(&self) -> bool {
        self.config.settings().verify != Verify::None
    }
}

impl<T> Drop for Connection<T> {
    fn drop(&mut self) {
        // SAFETY: it is ours; configuration and what is below are dropped later.
        unsafe { ffi::eco_tls_free(self.ssl.as_ptr()) };
    }
}

/// A static or owned C string, None for null.
///
/// # Safety
///
/// It lives as long as what it is borrowed from.
unsafe fn text_of<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: by the caller's promise.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

fn pending_of(data: &[u8], taken: usize) -> Pending {
    let mut print = 0xcbf2_9ce4_8422_2325_u64;
    let ends = data.iter().take(32).chain(data.iter().rev().take(32));
    for &byte in ends {
        print = (print ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    Pending {
        data: data.as_ptr(),
        length: data.len(),
        print,
        taken,
    }
}

/// Whether bytes begin a request or an answer of HTTP.
fn is_request(first: &[u8; 5]) -> bool {
    [
        &b"GET "[..],
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIO",
        b"CONNE",
        b"DELET",
    ]
    .iter()
    .any(|start| first.starts_with(start))
}

/// What alerts are called that tell something.
fn alert_name(alert: u32) -> &'static [u8] {
    match alert {
        10 => b" (unexpected message)",
        20 => b" (bad record mac)",
        22 => b" (record overflow)",
        40 => b" (handshake failure)",
        42 => b" (bad certificate)",
        43 => b" (unsupported certificate)",
        44 => b" (certificate revoked)",
        45 => b" (certificate expired)",
        46 => b" (certificate unknown)",
        47 => b" (illegal parameter)",
        48 => b" (unknown ca)",
        49 => b" (access denied)",
        50 => b" (decode error)",
        51 => b" (decrypt error)",
        70 => b" (unsupported protocol)",
        71 => b" (insufficient security)",
        80 => b" (internal error)",
        112 => b" (unrecognized name)",
        116 => b" (certificate required)",
        120 => b" (no application protocol)",
        _ => b"",
    }
}

/// Tells the library what became of its bytes.
fn tell<T>(below: &Below<T>, moved: Moved) -> c_int {
    match moved {
        Moved::Bytes(count) => c_int::try_from(count).unwrap_or(c_int::MAX),
        Moved::Blocked(interest) => {
            below.wants.set(Some(interest));
            if interest == Interest::WRITE {
                ffi::WANT_WRITE
            } else {
                ffi::WANT_READ
            }
        }
        Moved::Failed(errno) => {
            below.failed.set(Some(errno));
            ffi::STREAM_FAILED
        }
    }
}

unsafe extern "C" fn send<T: Transport>(
    context: *mut c_void,
    data: *const u8,
    length: usize,
) -> c_int {
    // SAFETY: the context is what `new` gave; the library passes that many bytes.
    unsafe {
        let below = &*context.cast::<Below<T>>();
        tell(
            below,
            below.transport.send(slice::from_raw_parts(data, length)),
        )
    }
}

unsafe extern "C" fn receive<T: Transport>(
    context: *mut c_void,
    into: *mut u8,
    length: usize,
) -> c_int {
    // SAFETY: the context is what `new` gave; the library has room for that many bytes, which were zeros at first.
    let (below, into) = unsafe {
        (
            &*context.cast::<Below<T>>(),
            slice::from_raw_parts_mut(into, length),
        )
    };
    let moved = below.transport.receive(into);
    if let Moved::Bytes(count) = moved {
        let mut first = below.first.get();
        let seen = below.seen.get();
        for (place, byte) in first
            .iter_mut()
            .skip(seen)
            .zip(into.iter().take(count).copied())
        {
            *place = byte;
        }
        below.first.set(first);
        below.seen.set(seen.saturating_add(count));
    }
    tell(below, moved)
}

/// Refuses a certificate that is not for the address asked for.
unsafe extern "C" fn judge<T>(
    context: *mut c_void,
    certificate: *mut ffi::Certificate,
    depth: c_int,
    flags: *mut u32,
) -> c_int {
    // SAFETY: the context is what `set_address` gave; certificate and flags are the library's.
    unsafe {
        let (address, length) = (*context.cast::<Below<T>>()).address.get();
        if depth == 0
            && length > 0
            && ffi::eco_tls_is_for_address(certificate, address.as_ptr(), length) == 0
        {
            *flags |= ffi::eco_tls_name_mismatch();
        }
    }
    0
}
