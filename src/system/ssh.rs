//! libssh2, found when it is first needed: builds need none of its files, and
//! without it the rest of a program works. Sessions never block: what would
//! gives [`AGAIN`].
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void, CStr};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

/// The code of a call that is to be made again when the connection is ready.
pub const AGAIN: c_int = -37;

/// Bits of [`Session::directions`].
pub const READS: c_int = 1;
pub const WRITES: c_int = 2;

/// Window and packets of a channel, as libssh2's own header has them.
const WINDOW: c_uint = 2 << 20;
const PACKET: c_uint = 32768;

/// Plain names and raw keys; the form of OpenSSH's files.
const PLAIN_RAW: c_int = 1 | 1 << 16;
const OPENSSH: c_int = 1;

/// What libssh2 calls its things.
type Raw = *mut c_void;

macro_rules! library {
    ($($name:ident: fn($($type:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions that are used.
        struct Library {
            $($name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
            /// Since 1.11.
            signal: Option<unsafe extern "C" fn(Raw, *const c_char, usize) -> c_int>,
        }

        impl Library {
            fn load() -> Option<Library> {
                // SAFETY: the name ends with NUL. The library's own start-up
                // code is all that runs.
                let library = unsafe { libc::dlopen(c"libssh2.so.1".as_ptr(), libc::RTLD_NOW) };
                if library.is_null() {
                    return None;
                }
                Some(Library {
                    $($name: {
                        let symbol = symbol(library, concat!("libssh2_", stringify!($name), "\0"))?;
                        // SAFETY: the header of version 1 declares it so.
                        unsafe { std::mem::transmute::<Raw, unsafe extern "C" fn($($type),*) $(-> $result)?>(symbol) }
                    },)*
                    signal: symbol(library, "libssh2_channel_signal_ex\0").map(|symbol| {
                        // SAFETY: as above.
                        unsafe {
                            std::mem::transmute::<Raw, unsafe extern "C" fn(Raw, *const c_char, usize) -> c_int>(symbol)
                        }
                    }),
                })
            }
        }
    };
}

/// The address of a name, which ends with NUL.
fn symbol(library: Raw, name: &str) -> Option<Raw> {
    // SAFETY: an open library and a C string.
    let symbol = unsafe { libc::dlsym(library, name.as_ptr().cast()) };
    (!symbol.is_null()).then_some(symbol)
}

library! {
    init: fn(c_int) -> c_int;
    free: fn(Raw, Raw);
    session_init_ex: fn(Raw, Raw, Raw, Raw) -> Raw;
    session_set_blocking: fn(Raw, c_int);
    session_handshake: fn(Raw, c_int) -> c_int;
    session_block_directions: fn(Raw) -> c_int;
    session_disconnect_ex: fn(Raw, c_int, *const c_char, *const c_char) -> c_int;
    session_free: fn(Raw) -> c_int;
    session_hostkey: fn(Raw, *mut usize, *mut c_int) -> *const u8;
    hostkey_hash: fn(Raw, c_int) -> *const u8;
    session_last_error: fn(Raw, *mut *mut c_char, *mut c_int, c_int) -> c_int;
    session_last_errno: fn(Raw) -> c_int;
    userauth_list: fn(Raw, *const c_char, c_uint) -> *const c_char;
    userauth_authenticated: fn(Raw) -> c_int;
    userauth_password_ex: fn(Raw, *const c_char, c_uint, *const c_char, c_uint, Raw) -> c_int;
    userauth_publickey_fromfile_ex: fn(Raw, *const c_char, c_uint, *const c_char, *const c_char, *const c_char) -> c_int;
    channel_open_ex: fn(Raw, *const c_char, c_uint, c_uint, c_uint, *const c_char, c_uint) -> Raw;
    channel_process_startup: fn(Raw, *const c_char, c_uint, *const c_char, c_uint) -> c_int;
    channel_read_ex: fn(Raw, c_int, *mut u8, usize) -> isize;
    channel_write_ex: fn(Raw, c_int, *const u8, usize) -> isize;
    channel_window_read_ex: fn(Raw, *mut c_ulong, *mut c_ulong) -> c_ulong;
    channel_eof: fn(Raw) -> c_int;
    channel_send_eof: fn(Raw) -> c_int;
    channel_wait_eof: fn(Raw) -> c_int;
    channel_close: fn(Raw) -> c_int;
    channel_free: fn(Raw) -> c_int;
    channel_get_exit_status: fn(Raw) -> c_int;
    channel_get_exit_signal: fn(Raw, *mut *mut c_char, *mut usize, Raw, Raw, Raw, Raw) -> c_int;
    scp_send64: fn(Raw, *const c_char, c_int, i64, libc::time_t, libc::time_t) -> Raw;
    scp_recv2: fn(Raw, *const c_char, *mut Stat) -> Raw;
    knownhost_init: fn(Raw) -> Raw;
    knownhost_readline: fn(Raw, *const c_char, usize, c_int) -> c_int;
    knownhost_checkp: fn(Raw, *const c_char, c_int, *const u8, usize, c_int, Raw) -> c_int;
    knownhost_free: fn(Raw);
}

/// A `struct stat` with room for larger ones.
#[repr(C)]
struct Stat {
    stat: std::mem::MaybeUninit<libc::stat>,
    room: [c_long; 64],
}

fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        let library = Library::load()?;
        // SAFETY: once, before anything else of it is called.
        (unsafe { (library.init)(0) } == 0).then_some(library)
    });
    made.as_ref()
}

/// Whether the library is there.
pub fn is_there() -> bool {
    library().is_some()
}

/// What a key is compared with a file of known hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Match,
    /// The host has another one.
    Mismatch,
    Unknown,
}

/// A session with at most one channel in use.
pub struct Session {
    library: &'static Library,
    /// Null once freed.
    raw: Cell<Raw>,
    channel: Cell<Raw>,
}

fn check(code: c_int) -> Result<(), c_int> {
    if code < 0 {
        Err(code)
    } else {
        Ok(())
    }
}

fn count(result: isize) -> Result<usize, c_int> {
    usize::try_from(result).map_err(|_| result as c_int)
}

/// What calls without a session or channel give.
const BAD_USE: c_int = -39;

impl Session {
    /// A new one; None without library or memory.
    pub fn new() -> Option<Session> {
        let library = library()?;
        // SAFETY: null stands for the library's own memory functions.
        let raw =
            unsafe { (library.session_init_ex)(null_mut(), null_mut(), null_mut(), null_mut()) };
        if raw.is_null() {
            return None;
        }
        // SAFETY: a live session.
        unsafe { (library.session_set_blocking)(raw, 0) };
        Some(Session {
            library,
            raw: Cell::new(raw),
            channel: Cell::new(null_mut()),
        })
    }

    fn raw(&self) -> Result<Raw, c_int> {
        let raw = self.raw.get();
        if raw.is_null() {
            Err(BAD_USE)
        } else {
            Ok(raw)
        }
    }

    fn channel(&self) -> Result<Raw, c_int> {
        let channel = self.channel.get();
        if channel.is_null() || self.raw.get().is_null() {
            Err(BAD_USE)
        } else {
            Ok(channel)
        }
    }

    /// The code of a call that gave null.
    fn problem(&self) -> c_int {
        match self.raw() {
            // SAFETY: a live session.
            Ok(raw) => match unsafe { (self.library.session_last_errno)(raw) } {
                0 => BAD_USE,
                code => code,
            },
            Err(code) => code,
        }
    }

    /// Keeps the channel that a call gave.
    fn keep(&self, channel: Raw) -> Result<(), c_int> {
        if channel.is_null() {
            return Err(self.problem());
        }
        self.channel.set(channel);
        Ok(())
    }

    /// What the last call waits for: [`READS`], [`WRITES`].
    pub fn directions(&self) -> c_int {
        // SAFETY: a live session.
        self.raw().map_or(0, |raw| unsafe {
            (self.library.session_block_directions)(raw)
        })
    }

    /// Hands the text of the last error to `take`, perhaps empty.
    pub fn error<R>(&self, take: impl FnOnce(&CStr) -> R) -> R {
        let mut text = null_mut();
        if let Ok(raw) = self.raw() {
            // SAFETY: a live session; the text stays the library's, and is
            // there until the next call.
            unsafe { (self.library.session_last_error)(raw, &mut text, null_mut(), 0) };
        }
        if text.is_null() {
            return take(c"");
        }
        // SAFETY: a C string of the library's.
        take(unsafe { CStr::from_ptr(text) })
    }

    pub fn handshake(&self, fd: c_int) -> Result<(), c_int> {
        // SAFETY: a live session.
        check(unsafe { (self.library.session_handshake)(self.raw()?, fd) })
    }

    /// Hands the names of the methods that the server offers to `take`; none
    /// when none is needed.
    pub fn methods<R>(&self, user: &CStr, take: impl FnOnce(&CStr) -> R) -> Result<R, c_int> {
        let (raw, length) = (self.raw()?, user.count_bytes() as c_uint);
        // SAFETY: a live session and a C string.
        let list = unsafe { (self.library.userauth_list)(raw, user.as_ptr(), length) };
        if !list.is_null() {
            // SAFETY: a C string of the library's.
            return Ok(take(unsafe { CStr::from_ptr(list) }));
        }
        // SAFETY: a live session.
        match unsafe { (self.library.userauth_authenticated)(raw) } {
            0 => Err(self.problem()),
            _ => Ok(take(c"")),
        }
    }

    pub fn password(&self, user: &CStr, password: &CStr) -> Result<(), c_int> {
        // SAFETY: a live session and C strings.
        check(unsafe {
            (self.library.userauth_password_ex)(
                self.raw()?,
                user.as_ptr(),
                user.count_bytes() as c_uint,
                password.as_ptr(),
                password.count_bytes() as c_uint,
                null_mut(),
            )
        })
    }

    /// A key by the paths of its files.
    pub fn public_key(
        &self,
        user: &CStr,
        public: Option<&CStr>,
        private: &CStr,
        passphrase: Option<&CStr>,
    ) -> Result<(), c_int> {
        let pointer = |text: Option<&CStr>| text.map_or(null(), CStr::as_ptr);
        // SAFETY: a live session and C strings, or null.
        check(unsafe {
            (self.library.userauth_publickey_fromfile_ex)(
                self.raw()?,
                user.as_ptr(),
                user.count_bytes() as c_uint,
                pointer(public),
                private.as_ptr(),
                pointer(passphrase),
            )
        })
    }

    /// The server's key.
    pub fn host_key(&self) -> Option<&[u8]> {
        let (mut length, mut kind) = (0, 0);
        // SAFETY: a live session; the key is there as long as that.
        unsafe {
            let key = (self.library.session_hostkey)(self.raw().ok()?, &mut length, &mut kind);
            (!key.is_null()).then(|| std::slice::from_raw_parts(key, length))
        }
    }

    /// Its SHA-256.
    pub fn fingerprint(&self) -> Option<&[u8; 32]> {
        const SHA256: c_int = 3;
        // SAFETY: as above; the library says that there are so many bytes.
        unsafe {
            (self.library.hostkey_hash)(self.raw().ok()?, SHA256)
                .cast::<[u8; 32]>()
                .as_ref()
        }
    }

    /// Compares it with the lines of a file of OpenSSH's.
    pub fn known(&self, lines: &[u8], host: &CStr, port: c_int) -> Option<Known> {
        let key = self.host_key()?;
        let library = self.library;
        // SAFETY: a live session; the list is ours until it is freed below.
        unsafe {
            let hosts = (library.knownhost_init)(self.raw().ok()?);
            if hosts.is_null() {
                return None;
            }
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                // Marked lines are about certificates and revoked keys.
                if !line.is_empty() && line[0] != b'@' && line[0] != b'#' {
                    (library.knownhost_readline)(hosts, line.as_ptr().cast(), line.len(), OPENSSH);
                }
            }
            let (key, length) = (key.as_ptr(), key.len());
            let name = host.as_ptr();
            let found =
                (library.knownhost_checkp)(hosts, name, port, key, length, PLAIN_RAW, null_mut());
            (library.knownhost_free)(hosts);
            match found {
                0 => Some(Known::Match),
                1 => Some(Known::Mismatch),
                2 => Some(Known::Unknown),
                _ => None,
            }
        }
    }

    pub fn open_channel(&self) -> Result<(), c_int> {
        let (kind, raw) = (c"session", self.raw()?);
        // SAFETY: a live session and C strings.
        self.keep(unsafe {
            (self.library.channel_open_ex)(
                raw,
                kind.as_ptr(),
                kind.count_bytes() as c_uint,
                WINDOW,
                PACKET,
                null(),
                0,
            )
        })
    }

    pub fn execute(&self, command: &CStr) -> Result<(), c_int> {
        let request = c"exec";
        // SAFETY: a live channel and C strings.
        check(unsafe {
            (self.library.channel_process_startup)(
                self.channel()?,
                request.as_ptr(),
                request.count_bytes() as c_uint,
                command.as_ptr(),
                command.count_bytes() as c_uint,
            )
        })
    }

    pub fn send_file(&self, path: &CStr, mode: c_int, size: i64) -> Result<(), c_int> {
        let raw = self.raw()?;
        // SAFETY: a live session and a C string.
        self.keep(unsafe { (self.library.scp_send64)(raw, path.as_ptr(), mode, size, 0, 0) })
    }

    /// The size of the file that will come.
    pub fn receive_file(&self, path: &CStr) -> Result<i64, c_int> {
        let raw = self.raw()?;
        // SAFETY: zeros are a valid structure.
        let mut stat: Stat = unsafe { std::mem::zeroed() };
        // SAFETY: a live session, a C string, and room for its answer.
        self.keep(unsafe { (self.library.scp_recv2)(raw, path.as_ptr(), &mut stat) })?;
        // SAFETY: zeros, or what the library wrote.
        Ok(unsafe { stat.stat.assume_init() }.st_size as i64)
    }

    /// Reads from the channel: 0 is standard output, 1 standard error.
    pub fn read(&self, stream: c_int, into: &mut [u8]) -> Result<usize, c_int> {
        // SAFETY: a live channel; at most that many bytes are written.
        count(unsafe {
            (self.library.channel_read_ex)(self.channel()?, stream, into.as_mut_ptr(), into.len())
        })
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, c_int> {
        // SAFETY: a live channel; that many bytes are read.
        count(unsafe {
            (self.library.channel_write_ex)(self.channel()?, 0, data.as_ptr(), data.len())
        })
    }

    /// Whether something was received that was not read.
    pub fn has_more(&self) -> bool {
        let mut waiting = 0;
        if let Ok(channel) = self.channel() {
            // SAFETY: a live channel and a local.
            unsafe { (self.library.channel_window_read_ex)(channel, &mut waiting, null_mut()) };
        }
        waiting > 0
    }

    /// Whether all that will come has been read.
    pub fn is_at_end(&self) -> bool {
        // SAFETY: a live channel.
        self.channel().map_or(
            true,
            |channel| unsafe { (self.library.channel_eof)(channel) } != 0,
        )
    }

    pub fn send_end(&self) -> Result<(), c_int> {
        // SAFETY: a live channel.
        check(unsafe { (self.library.channel_send_eof)(self.channel()?) })
    }

    pub fn wait_end(&self) -> Result<(), c_int> {
        // SAFETY: a live channel.
        check(unsafe { (self.library.channel_wait_eof)(self.channel()?) })
    }

    pub fn close_channel(&self) -> Result<(), c_int> {
        // SAFETY: a live channel.
        check(unsafe { (self.library.channel_close)(self.channel()?) })
    }

    /// Ends the channel; whoever gives up meanwhile calls [`Session::abandon`].
    pub fn free_channel(&self) -> Result<(), c_int> {
        // SAFETY: a live channel.
        check(unsafe { (self.library.channel_free)(self.channel()?) })?;
        self.abandon();
        Ok(())
    }

    /// Leaves the channel to the end of its session.
    pub fn abandon(&self) {
        self.channel.set(null_mut());
    }

    /// Sends a signal to the program; an error where the library cannot.
    pub fn signal(&self, name: &CStr) -> Result<(), c_int> {
        const NOT_SUPPORTED: c_int = -33;
        let signal = self.library.signal.ok_or(NOT_SUPPORTED)?;
        // SAFETY: a live channel and a C string.
        check(unsafe { signal(self.channel()?, name.as_ptr(), name.count_bytes()) })
    }

    pub fn exit_status(&self) -> c_int {
        // SAFETY: a live channel.
        self.channel().map_or(0, |channel| unsafe {
            (self.library.channel_get_exit_status)(channel)
        })
    }

    /// Hands the name of the signal that ended the program to `take`, at most
    /// its first 32 bytes.
    pub fn exit_signal<R>(&self, take: impl FnOnce(Option<&[u8]>) -> R) -> R {
        let (mut text, mut length, mut room) = (null_mut(), 0_usize, [0; 32]);
        if let (Ok(raw), Ok(channel)) = (self.raw(), self.channel()) {
            let none = null_mut();
            // SAFETY: a live channel; the text is ours, and freed at once.
            unsafe {
                (self.library.channel_get_exit_signal)(
                    channel,
                    &mut text,
                    &mut length,
                    none,
                    none,
                    none,
                    none,
                );
                if !text.is_null() {
                    length = length.min(room.len());
                    let bytes = std::slice::from_raw_parts(text.cast::<u8>(), length);
                    room[..length].copy_from_slice(bytes);
                    (self.library.free)(raw, text.cast());
                }
            }
        }
        take((!text.is_null()).then_some(&room[..length]))
    }

    pub fn disconnect(&self, reason: c_int, text: &CStr) -> Result<(), c_int> {
        // SAFETY: a live session and C strings.
        check(unsafe {
            (self.library.session_disconnect_ex)(self.raw()?, reason, text.as_ptr(), c"".as_ptr())
        })
    }

    /// Frees it. Its connection is shut by now, so that nothing has to wait; if
    /// it would all the same, the memory is left.
    pub fn free(&self) {
        self.abandon();
        let raw = self.raw.replace(null_mut());
        for _ in 0..100 {
            // SAFETY: a live session until the call says that it is none.
            if raw.is_null() || unsafe { (self.library.session_free)(raw) } != AGAIN {
                return;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.free();
    }
}

/// A copy of a descriptor: non-blocking as that, closed on exec.
pub fn duplicate(fd: c_int) -> Result<c_int, nix::errno::Errno> {
    // SAFETY: takes numbers only.
    nix::errno::Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })
}

/// Ends a connection in both directions and closes the descriptor.
pub fn hang_up(fd: c_int) {
    // SAFETY: takes numbers only.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_and_sessions_end() {
        if !is_there() {
            println!("libssh2 is not installed: skipped");
            return;
        }
        let session = Session::new().unwrap();
        assert_eq!(session.open_channel(), Err(session.problem()));
        assert_eq!(session.write(b"x"), Err(BAD_USE));
        assert!(session.is_at_end() && !session.has_more());
        assert!(session.host_key().is_none());
        session.free();
        assert_eq!(session.handshake(-1), Err(BAD_USE));
        session.error(|text| assert_eq!(text, c""));
        session.free();
    }
}
