//! Starting programs without copying this process: until it runs its program,
//! a child shares our memory, on a stack of its own, and we stand still.
//! All it needs is laid out before; it makes async-signal-safe calls only.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;

/// Where programs are looked for when PATH is not set.
const DEFAULT_PATH: &CStr = c"/bin:/usr/bin:/usr/sbin:/sbin";

/// Longest path of a program, and one more.
const LONGEST_PATH: usize = 4096;

/// Stack of a child until it runs its program.
const STACK: usize = 32 * 1024;

/// Highest signal number of any machine (MIPS).
const LAST_SIGNAL: c_int = 127;

extern "C" {
    /// The environment of this process.
    static environ: *const *const c_char;
}

/// A child that runs a program, and our ends of its output pipes, owned by
/// whoever gets them; -1 where there is none.
pub struct Started {
    pub pid: i32,
    pub streams: [c_int; 2],
    /// Why it runs none, and has ended or is about to.
    pub failure: Option<Errno>,
}

/// What becomes one of the standard descriptors of a child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Ours.
    Inherited,
    /// A pipe to us, for output.
    Piped,
    /// The null device.
    Null,
    /// That descriptor of ours.
    Fd(c_int),
}

/// How a program is started.
pub struct Manner<'a> {
    pub bond: Bond,
    /// Input, output, errors.
    pub streams: [Stream; 3],
    /// Its working folder, if not ours.
    pub folder: Option<&'a CStr>,
    /// It leads a session of its own.
    pub has_session: bool,
}

impl Manner<'_> {
    /// With its output in pipes.
    pub const USUAL: Manner<'static> = Manner {
        bond: Bond::SameGroup,
        streams: [Stream::Inherited, Stream::Piped, Stream::Piped],
        folder: None,
        has_session: false,
    };
}

/// The words of a command or the variables of an environment: addresses of C
/// strings, one place in front and null at the end.
pub struct Words<'a> {
    addresses: &'a mut [*const c_char],
    count: usize,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Words<'a> {
    /// Bytes of room that so many words need.
    pub const fn size(count: usize) -> usize {
        (count + 2) * size_of::<*const c_char>()
    }

    /// No words yet, in an aligned room for as many as it was made for.
    pub fn new(room: &'a mut [MaybeUninit<u8>]) -> Words<'a> {
        // SAFETY: any bytes are an address that is not followed yet.
        let (_, addresses, _) = unsafe { room.align_to_mut::<MaybeUninit<*const c_char>>() };
        for address in &mut *addresses {
            address.write(ptr::null());
        }
        Words {
            // SAFETY: each place was just written.
            addresses: unsafe { &mut *(ptr::from_mut(addresses) as *mut [*const c_char]) },
            count: 0,
            strings: PhantomData,
        }
    }

    /// Appends a word, if there is room for it.
    pub fn push(&mut self, word: &'a CStr) {
        if self.count + 2 < self.addresses.len() {
            self.count += 1;
            self.addresses[self.count] = word.as_ptr();
        }
    }
}

/// How a program belongs to its parent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// It is of the same process group.
    SameGroup,
    /// It leads a group of its own.
    OwnGroup,
    /// So it does, but gets SIGTERM when the thread ends that started it.
    Bound,
}

/// A program to run.
pub struct Program<'a> {
    /// Shell, command, arguments, null.
    words: *mut *const c_char,
    /// Variables and null.
    environment: *const *const c_char,
    path: *const c_char,
    strings: PhantomData<&'a CStr>,
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
    copy_above_standard(fd.as_raw_fd())
}

fn copy_above_standard(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only; the new fd is nobody else's.
    unsafe {
        let copy = Errno::result(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

impl Stream {
    /// Our end, if there is one, and that of the child, unless it inherits it.
    fn open(self, number: usize) -> Result<(Option<OwnedFd>, Option<OwnedFd>), Errno> {
        let theirs = match self {
            Stream::Inherited => return Ok((None, None)),
            Stream::Piped => {
                let (ours, theirs) = output_pipe()?;
                return Ok((Some(ours), Some(theirs)));
            }
            Stream::Null => {
                let flags = if number == 0 {
                    OFlag::O_RDONLY
                } else {
                    OFlag::O_WRONLY
                };
                let null = nix::fcntl::open(c"/dev/null", flags | OFlag::O_CLOEXEC, Mode::empty())?;
                above_standard(null)?
            }
            Stream::Fd(fd) => copy_above_standard(fd)?,
        };
        Ok((None, Some(theirs)))
    }
}

impl<'a> Program<'a> {
    /// The program of a command of at least one word, with an environment or
    /// with ours, which nobody may change meanwhile.
    pub fn new(command: Words<'a>, environment: Option<Words<'a>>) -> Program<'a> {
        let words = command.addresses;
        if let Some(first) = words.first_mut() {
            *first = variable(c"SHELL", c"/bin/sh");
        }
        Program {
            words: words.as_mut_ptr(),
            environment: match environment {
                Some(variables) => variables.addresses[1..].as_ptr(),
                // SAFETY: by the promise of the caller.
                None => unsafe { environ },
            },
            path: variable(c"PATH", DEFAULT_PATH),
            strings: PhantomData,
        }
    }

    /// Runs it.
    pub fn start(self, manner: &Manner<'_>) -> Result<Started, Errno> {
        let [input, output, errors] = manner.streams;
        let (_, their_stdin) = input.open(0)?;
        let (stdout, their_stdout) = output.open(1)?;
        let (stderr, their_stderr) = errors.open(2)?;
        let number = |fd: &Option<OwnedFd>| fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let birth = Birth {
            program: &self,
            streams: [&their_stdin, &their_stdout, &their_stderr].map(number),
            manner,
            failure: AtomicI32::new(0),
        };
        let mut stack = [MaybeUninit::<u128>::uninit(); STACK / size_of::<u128>()];
        // A signal handler of ours must not run in the child.
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        // SAFETY: the child runs `Birth::run` alone, on a stack that nobody
        // else uses, and what it reads outlives it as a user of our memory:
        // we go on when it has left that.
        let pid = unsafe {
            libc::clone(
                Birth::run,
                stack.as_mut_ptr_range().end.cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                ptr::from_ref(&birth).cast_mut().cast(),
            )
        };
        let started = Errno::result(pid);
        // Cannot fail: it was in force a moment ago.
        let _ = mask.thread_set_mask();
        let pid = started?;
        let failure = birth.failure.load(Ordering::Relaxed);
        Ok(Started {
            pid,
            streams: [stdout, stderr].map(|fd| fd.map_or(-1, IntoRawFd::into_raw_fd)),
            failure: (failure != 0).then(|| Errno::from_raw(failure)),
        })
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

/// What a child is made of.
struct Birth<'a> {
    program: &'a Program<'a>,
    /// What becomes its standard descriptors; -1 for those that stay.
    streams: [c_int; 3],
    manner: &'a Manner<'a>,
    /// Set by the child, with our memory, when it cannot run the program.
    failure: AtomicI32,
}

impl Birth<'_> {
    /// The child.
    extern "C" fn run(birth: *mut c_void) -> c_int {
        // SAFETY: `start` passes a record that outlives this. System calls on
        // locals and on what `Program` laid out; with our memory shared, other
        // threads go on, so that a lock of the C library is never held for good.
        unsafe {
            let birth = &*birth.cast::<Birth>();
            let manner = birth.manner;
            if manner.has_session {
                libc::setsid();
            } else if manner.bond != Bond::SameGroup {
                libc::setpgid(0, 0);
            }
            if manner.bond == Bond::Bound {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            }
            for (number, fd) in (0..).zip(birth.streams) {
                if fd >= 0 {
                    libc::dup2(fd, number);
                }
            }
            reset_signals();
            let command = *birth.program.words.add(1);
            let moved = manner.folder.map_or(0, |path| libc::chdir(path.as_ptr()));
            let errno = if moved == 0 {
                birth.program.search(command)
            } else {
                Errno::last_raw()
            };
            birth.failure.store(errno, Ordering::Relaxed);
            let mut reason = [0; 128];
            libc::strerror_r(errno, reason.as_mut_ptr(), reason.len() - 1);
            for text in [command, c": ".as_ptr(), reason.as_ptr()] {
                // Nobody could be told of a failure.
                libc::write(2, text.cast(), libc::strlen(text));
            }
            libc::_exit(127)
        }
    }
}

/// Every handler of ours becomes the default, what is ignored stays so, but
/// for SIGPIPE; no signal is blocked.
///
/// # Safety
///
/// Runs in a child that is about to run its program.
unsafe fn reset_signals() {
    // SAFETY: dispositions are the child's own; locals only.
    unsafe {
        for signal in 1..=LAST_SIGNAL {
            let mut action: libc::sigaction = std::mem::zeroed();
            if signal != libc::SIGPIPE
                && (libc::sigaction(signal, ptr::null(), &mut action) != 0
                    || action.sa_sigaction == libc::SIG_IGN)
            {
                continue;
            }
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &action, ptr::null_mut());
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
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
