//! Starting programs. All the child needs is laid out before the fork, so that
//! between fork and exec it makes async-signal-safe calls only.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, CStr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::pipe2;

use crate::lua::{ffi, Error, Lua};

/// Where programs are looked for when PATH is not set.
const DEFAULT_PATH: &CStr = c"/bin:/usr/bin:/usr/sbin:/sbin";

/// Longest path of a program, and one more.
const LONGEST_PATH: usize = 4096;

/// Reasons for which execve(2) fails, whose texts the parent fetches.
const FAILURES: [c_int; 18] = [
    libc::ENOENT,
    libc::EACCES,
    libc::ENOEXEC,
    libc::ENOTDIR,
    libc::E2BIG,
    libc::ENOMEM,
    libc::ELOOP,
    libc::ENAMETOOLONG,
    libc::EPERM,
    libc::EISDIR,
    libc::EIO,
    libc::EINVAL,
    libc::ETXTBSY,
    libc::ENFILE,
    libc::EMFILE,
    libc::EFAULT,
    libc::EAGAIN,
    libc::ELIBBAD,
];
const TEXT: usize = 64;
type Texts = [[u8; TEXT]; FAILURES.len()];

extern "C" {
    /// The environment of this process.
    static environ: *const *const c_char;
}

/// A child that runs a program, and our ends of its output pipes, owned by
/// whoever gets them.
pub struct Started {
    pub pid: i32,
    pub streams: [c_int; 2],
}

/// A program to run. All of it lies in values on the Lua stack and in our
/// environment, which stay as they are while this is in use.
pub struct Program {
    /// Shell, command, arguments, null.
    words: *mut *const c_char,
    /// Variables and null.
    environment: *const *const c_char,
    path: *const c_char,
}

/// Pushes the words of a command, each checked to be a string: from the array
/// at `index`, or from the values that start there. Then pushes room for their
/// addresses, one more in front and null at the end, and returns it. May raise.
fn push_words(lua: Lua, index: c_int) -> Result<*mut *const c_char, Error> {
    let is_array = lua.type_of(index) == ffi::LUA_TTABLE;
    let count = if is_array {
        lua.raw_len(index) as c_int
    } else {
        lua.top() - index + 1
    };
    lua.push_table(count, 0);
    let room = lua.push_room((count as usize + 2) * size_of::<*const c_char>());
    let addresses: *mut *const c_char = room.as_mut_ptr().cast();
    for word in 1..=count {
        if is_array {
            lua.raw_get_index(index, i64::from(word));
        } else {
            lua.push_value(index + word - 1);
        }
        let tag = lua.type_of(-1);
        if tag != ffi::LUA_TSTRING && tag != ffi::LUA_TNUMBER {
            let at = if is_array { index } else { index + word - 1 };
            return Err(Error::argument(at, "string expected"));
        }
        // Makes a number a string; the table keeps it.
        let bytes = lua.to_bytes(-1);
        // SAFETY: the room is long enough, and Lua aligns it for pointers.
        unsafe { *addresses.add(word as usize) = bytes.as_ptr().cast() };
        // SAFETY: Lua ends strings with NUL.
        if unsafe { libc::strlen(bytes.as_ptr().cast()) } != bytes.len() {
            return Err(Error::argument(index, "string contains zeros"));
        }
        lua.raw_set_index(-3, i64::from(word));
    }
    // SAFETY: as above.
    unsafe { *addresses.add(count as usize + 1) = ptr::null() };
    Ok(addresses)
}

/// A variable of our environment, good until that changes.
fn variable(name: &CStr, default: &'static CStr) -> *const c_char {
    // SAFETY: the result is null or a C string.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        default.as_ptr()
    } else {
        value
    }
}

/// A pipe for output of a child: our end does not block, the child's does.
/// Neither is one of the standard three.
fn output_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let (ours, theirs) = (above_standard(ours)?, above_standard(theirs)?);
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok((ours, theirs))
}

fn above_standard(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // SAFETY: takes numbers only; the new fd is nobody else's.
    unsafe {
        let copy = Errno::result(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

impl Program {
    /// The program that the arguments of the running function name. Leaves
    /// values on the stack that keep it. May raise.
    pub fn new(lua: Lua) -> Result<Program, Error> {
        let is_array = lua.type_of(1) == ffi::LUA_TTABLE;
        if lua.top() == 0 || (is_array && lua.raw_len(1) == 0) {
            return Err(Error::argument(1, "command expected"));
        }
        let has_environment = is_array && !lua.is_none_or_nil(2);
        if has_environment {
            lua.expect(2, ffi::LUA_TTABLE)?;
        }
        let words = push_words(lua, 1)?;
        let environment = if has_environment {
            // SAFETY: its first place is not used.
            unsafe { push_words(lua, 2)?.add(1) }
        } else {
            // SAFETY: nobody changes the environment meanwhile.
            unsafe { environ }
        };
        // SAFETY: the first place is for the shell.
        unsafe { *words = variable(c"SHELL", c"/bin/sh") };
        Ok(Program {
            words,
            environment,
            path: variable(c"PATH", DEFAULT_PATH),
        })
    }

    /// Runs it with its output in pipes.
    pub fn start(self) -> Result<Started, Errno> {
        let (stdout, their_stdout) = output_pipe()?;
        let (stderr, their_stderr) = output_pipe()?;
        let texts = failure_texts();
        // A signal handler of ours must not run in the child.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        // SAFETY: the child only runs `become_program`.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: in the child of a fork; the texts and fds are in place.
            unsafe {
                self.become_program(their_stdout.as_raw_fd(), their_stderr.as_raw_fd(), &texts)
            }
        }
        let forked = Errno::result(pid);
        // Cannot fail: it was in force a moment ago.
        let _ = mask.thread_set_mask();
        Ok(Started {
            pid: forked?,
            streams: [stdout.into_raw_fd(), stderr.into_raw_fd()],
        })
    }

    /// The child: async-signal-safe calls only.
    ///
    /// # Safety
    ///
    /// Runs in a forked child, in place of everything else.
    unsafe fn become_program(&self, stdout: c_int, stderr: c_int, texts: &Texts) -> ! {
        // SAFETY: system calls on locals and on what `new` laid out.
        unsafe {
            libc::dup2(stdout, 1);
            libc::dup2(stderr, 2);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGINT, ptr::null(), &mut action);
            if action.sa_sigaction != libc::SIG_IGN {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
            }
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
            let command = *self.words.add(1);
            let errno = self.search(command);
            write_all(CStr::from_ptr(command).to_bytes());
            write_all(b": ");
            let known = FAILURES
                .iter()
                .position(|&known| known == errno)
                .unwrap_or(0);
            if let Some(text) = texts.get(known) {
                write_all(CStr::from_ptr(text.as_ptr().cast()).to_bytes());
            }
            libc::_exit(127)
        }
    }

    /// Looks for the command as execvp(3) does; returns why it cannot be run.
    unsafe fn search(&self, command: *const c_char) -> c_int {
        // SAFETY: the strings end with NUL.
        let (command, mut path) = unsafe {
            (
                CStr::from_ptr(command).to_bytes_with_nul(),
                CStr::from_ptr(self.path).to_bytes(),
            )
        };
        if command.len() == 1 || command.contains(&b'/') {
            // SAFETY: it ends with NUL.
            return unsafe { self.execute(command.as_ptr().cast()) };
        }
        let mut failure = libc::ENOENT;
        let mut file = [0; LONGEST_PATH];
        loop {
            let length = path
                .iter()
                .position(|&byte| byte == b':')
                .unwrap_or(path.len());
            let (folder, rest) = path.split_at(length);
            let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
            if join(&mut file, [folder, slash, command]) {
                // SAFETY: the command brought its NUL.
                match unsafe { self.execute(file.as_ptr().cast()) } {
                    libc::ENOENT | libc::ENOTDIR => {}
                    libc::EACCES => failure = libc::EACCES,
                    errno => return errno,
                }
            }
            match rest.split_first() {
                Some((_, rest)) => path = rest,
                None => return failure,
            }
        }
    }

    /// Runs a file, or through the shell when it is a script that does not say
    /// who runs it; returns why not.
    unsafe fn execute(&self, file: *const c_char) -> c_int {
        // SAFETY: paths end with NUL, the arrays end with null.
        unsafe {
            libc::execve(file, self.words.add(1), self.environment);
            if Errno::last_raw() == libc::ENOEXEC {
                *self.words.add(1) = file;
                libc::execve(*self.words, self.words, self.environment);
            }
        }
        Errno::last_raw()
    }
}

/// Writes the parts one after the other; false when there is no room for them.
fn join(into: &mut [u8], parts: [&[u8]; 3]) -> bool {
    let mut rest = into;
    for part in parts {
        let Some((place, after)) = rest.split_at_mut_checked(part.len()) else {
            return false;
        };
        place.copy_from_slice(part);
        rest = after;
    }
    true
}

unsafe fn write_all(bytes: &[u8]) {
    // SAFETY: reads from a live slice. Nobody could be told of a failure.
    unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}

/// The C library's texts for [`FAILURES`], each ended by NUL.
fn failure_texts() -> Texts {
    let mut texts = [[0; TEXT]; FAILURES.len()];
    for (text, errno) in texts.iter_mut().zip(FAILURES) {
        // SAFETY: the buffer is as long as stated; its last byte stays NUL.
        unsafe { libc::strerror_r(errno, text.as_mut_ptr().cast(), TEXT - 1) };
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn paths_are_put_together_if_they_fit() {
        let mut room = [9; 9];
        assert!(join(&mut room, [b"/bin", b"/", b"ls\0"]));
        assert_eq!(&room, b"/bin/ls\0\x09");
        assert!(join(&mut room, [b"", b"", b"12345678\0"]));
        assert_eq!(&room, b"12345678\0");
        assert!(!join(&mut room, [b"/usr/bin", b"/", b"ls\0"]));
        assert!(!join(&mut room, [b"", b"", b"1234567890\0"]));
    }
}
