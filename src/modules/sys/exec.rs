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
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin:/usr/sbin:/sbin";

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

/// A program to run. Its strings belong to Lua (tables of strings that stay on
/// the stack while this is in use) and to the environment.
pub struct Program {
    /// Shell, command, arguments, null.
    words: Vec<*const c_char>,
    /// Variables and null; None means the environment of the parent.
    environment: Option<Vec<*const c_char>>,
    /// Paths to try in turn, each ended by NUL.
    files: Vec<u8>,
}

/// Pushes a copy of the words of a command with every word checked to be a
/// string: from the array at `index`, or from the values that start there.
/// May raise.
pub fn push_words(lua: Lua, index: c_int) -> Result<(), Error> {
    let is_array = lua.type_of(index) == ffi::LUA_TTABLE;
    let count = if is_array { lua.raw_len(index) as c_int } else { lua.top() - index + 1 };
    lua.push_table(count, 0);
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
        // Makes a number a string.
        lua.to_bytes(-1);
        lua.raw_set_index(-2, i64::from(word));
    }
    Ok(())
}

/// Adds pointers to the strings of the table at `index`, and null.
fn collect(lua: Lua, index: c_int, into: &mut Vec<*const c_char>) -> Result<(), Errno> {
    let count = lua.raw_len(index);
    into.reserve_exact(count + 1);
    for word in 1..=count {
        lua.raw_get_index(index, word as i64);
        let bytes = lua.to_bytes(-1);
        let has_nul = bytes.contains(&0);
        // Lua ends strings with NUL, and the table keeps them.
        into.push(bytes.as_ptr().cast());
        lua.pop(1);
        if has_nul {
            return Err(Errno::EINVAL);
        }
    }
    into.push(ptr::null());
    Ok(())
}

/// The paths execvp(3) would try, each ended by NUL.
fn candidates(command: &[u8], path: Option<&[u8]>) -> Vec<u8> {
    let mut files = Vec::new();
    if command.contains(&b'/') || command.is_empty() {
        files.extend_from_slice(command);
        files.push(0);
        return files;
    }
    for folder in path.unwrap_or(DEFAULT_PATH).split(|&byte| byte == b':') {
        files.extend_from_slice(folder);
        if !folder.is_empty() {
            files.push(b'/');
        }
        files.extend_from_slice(command);
        files.push(0);
    }
    files
}

/// A variable of our environment, good until that changes.
fn variable<'a>(name: &CStr) -> Option<&'a CStr> {
    // SAFETY: the result is null or a C string.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
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
    /// A program from the table of words at `words` and the table of variables
    /// at `environment` (0: the parent's). Does not raise.
    pub fn new(lua: Lua, words: c_int, environment: c_int) -> Result<Program, Errno> {
        let mut program = Program {
            words: Vec::new(),
            environment: None,
            files: Vec::new(),
        };
        program.words.push(variable(c"SHELL").unwrap_or(c"/bin/sh").as_ptr());
        collect(lua, words, &mut program.words)?;
        if environment != 0 {
            let mut variables = Vec::new();
            collect(lua, environment, &mut variables)?;
            program.environment = Some(variables);
        }
        lua.raw_get_index(words, 1);
        program.files = candidates(lua.to_bytes(-1), variable(c"PATH").map(CStr::to_bytes));
        lua.pop(1);
        Ok(program)
    }

    /// Runs it with its output in pipes.
    pub fn start(mut self) -> Result<Started, Errno> {
        let (stdout, their_stdout) = output_pipe()?;
        let (stderr, their_stderr) = output_pipe()?;
        let texts = failure_texts();
        // A signal handler of ours must not run in the child.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        // SAFETY: the child only runs `become_program`.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: in the child of a fork; the texts and fds are in place.
            unsafe { self.become_program(their_stdout.as_raw_fd(), their_stderr.as_raw_fd(), &texts) }
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
    unsafe fn become_program(&mut self, stdout: c_int, stderr: c_int, texts: &[[u8; TEXT]; 18]) -> ! {
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
            let command = self.words[1];
            let errno = self.execute();
            write_all(CStr::from_ptr(command).to_bytes());
            write_all(b": ");
            let known = FAILURES.iter().position(|&known| known == errno);
            let text = known.and_then(|at| texts.get(at)).map_or(&b"cannot run"[..], |text| text);
            write_all(text.split(|&byte| byte == 0).next().unwrap_or_default());
            libc::_exit(127)
        }
    }

    /// Tries the candidates; returns why none could be run.
    unsafe fn execute(&mut self) -> c_int {
        let is_path = self.files.iter().position(|&byte| byte == 0) == Some(self.files.len() - 1);
        let mut failure = libc::ENOENT;
        let mut start = 0;
        while start < self.files.len() {
            // SAFETY: each path ends with NUL, the arrays end with null.
            let errno = unsafe {
                let file = self.files.as_ptr().add(start).cast();
                let environment = self.environment.as_ref().map_or(environ, |variables| variables.as_ptr());
                libc::execve(file, self.words.as_ptr().add(1), environment);
                if Errno::last_raw() == libc::ENOEXEC {
                    // A script without an interpreter line.
                    self.words[1] = file;
                    libc::execve(self.words[0], self.words.as_ptr(), environment);
                }
                Errno::last_raw()
            };
            match errno {
                libc::ENOENT | libc::ENOTDIR if !is_path => {}
                libc::EACCES => failure = errno,
                _ => return errno,
            }
            start += self.files[start..].iter().position(|&byte| byte == 0).map_or(1, |length| length + 1);
        }
        failure
    }
}

unsafe fn write_all(bytes: &[u8]) {
    // SAFETY: reads from a live slice. Nobody could be told of a failure.
    unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}

/// The C library's texts for [`FAILURES`], each ended by NUL.
fn failure_texts() -> [[u8; TEXT]; 18] {
    let mut texts = [[0; TEXT]; 18];
    for (text, errno) in texts.iter_mut().zip(FAILURES) {
        // SAFETY: the buffer is as long as stated; its last byte stays NUL.
        unsafe { libc::strerror_r(errno, text.as_mut_ptr().cast(), TEXT - 1) };
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn commands_are_looked_for_in_path() {
        let find = |command: &[u8], path| candidates(command, path);
        assert_eq!(find(b"ls", Some(b"/bin:/usr/bin")), b"/bin/ls\0/usr/bin/ls\0");
        assert_eq!(find(b"ls", None), b"/bin/ls\0/usr/bin/ls\0/usr/sbin/ls\0/sbin/ls\0");
        assert_eq!(find(b"ls", Some(b":/x")), b"ls\0/x/ls\0");
        assert_eq!(find(b"./ls", Some(b"/bin")), b"./ls\0");
        assert_eq!(find(b"", Some(b"/bin")), b"\0");
    }
}
