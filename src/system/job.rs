//! Calls on files that may take long, packed so that another thread can make them.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void, CStr};
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
#[cfg(feature = "lunet")]
use nix::sys::stat::stat;
use nix::sys::stat::{fstat, FileStat};

use super::fd;
#[cfg(feature = "lunet")]
use super::file;

/// What is to be done. Paths end with NUL.
#[cfg(feature = "lunet")]
pub enum Task {
    /// open(2): path, flags, mode.
    Open(Vec<u8>, c_int, c_int),
    /// close(2).
    Close(c_int),
    /// read(2) of so many bytes at most.
    Read(c_int, usize),
    /// write(2), until everything is written.
    Write(c_int, Vec<u8>),
    /// stat(2).
    Stat(Vec<u8>),
    /// The names in a folder.
    Scan(Vec<u8>),
}

/// What came of it.
pub enum Found {
    Nothing,
    /// A descriptor, or a number of bytes.
    Number(usize),
    Bytes(Vec<u8>),
    Stat(Box<FileStat>),
    /// For each entry its type, as in `d_type`, its name and NUL.
    Entries(Vec<u8>),
}

/// What a [`Job`] does.
pub trait Work {
    fn perform(&self) -> Result<Found, Errno>;
}

/// A task, and later its result: shared by who waits and the thread that works.
pub struct Job<T> {
    task: T,
    result: OnceLock<Result<Found, Errno>>,
}

impl<T: Work> Job<T> {
    pub fn new(task: T) -> Arc<Job<T>> {
        Arc::new(Job {
            task,
            result: OnceLock::new(),
        })
    }

    /// None while it is under way.
    pub fn result(&self) -> Option<&Result<Found, Errno>> {
        self.result.get()
    }

    /// A reference for a thread: what [`run`] and [`release`] are called with.
    pub fn share(self: &Arc<Self>) -> *mut c_void {
        Arc::into_raw(Arc::clone(self)).cast_mut().cast()
    }
}

/// Does the work.
///
/// # Safety
///
/// `job` comes from [`Job::share`] of a job of that type, and is not released yet.
pub unsafe extern "C" fn run<T: Work>(job: *mut c_void) {
    // SAFETY: by the caller's promise.
    let job = unsafe { &*job.cast::<Job<T>>() };
    let _ = job.result.set(job.task.perform());
}

/// Gives the reference back.
///
/// # Safety
///
/// `job` comes from [`Job::share`] of a job of that type, and nobody uses it any more.
pub unsafe extern "C" fn release<T: Work>(job: *mut c_void) {
    // SAFETY: by the caller's promise.
    drop(unsafe { Arc::from_raw(job.cast::<Job<T>>()) });
}

#[cfg(feature = "lunet")]
impl Work for Task {
    fn perform(&self) -> Result<Found, Errno> {
        match self {
            Task::Open(path, flags, mode) => {
                let path = whole(path)?;
                // SAFETY: the path ends with NUL, the rest are numbers.
                let open = || unsafe { libc::open(path.as_ptr(), *flags, *mode) as isize };
                again(&open).map(Found::Number)
            }
            Task::Close(fd) => fd::close(*fd).map(|()| Found::Nothing),
            Task::Read(fd, length) => read(*fd, *length, None).map(Found::Bytes),
            Task::Write(fd, data) => write(*fd, data, None).map(Found::Number),
            Task::Stat(path) => Ok(Found::Stat(Box::new(stat(whole(path)?)?))),
            Task::Scan(path) => file::scan(whole(path)?).map(Found::Entries),
        }
    }
}

pub(super) fn whole(path: &[u8]) -> Result<&CStr, Errno> {
    CStr::from_bytes_with_nul(path).or(Err(Errno::EINVAL))
}

/// Makes a call until no signal interrupts it.
pub(super) fn again(call: &dyn Fn() -> isize) -> Result<usize, Errno> {
    loop {
        match Errno::result(call()) {
            Err(Errno::EINTR) => {}
            other => return other.map(|count| count as usize),
        }
    }
}

/// Most that is read at once where nothing tells how much there is.
const PIECE: usize = 1 << 20;

/// Reads at an offset, or else where the file is.
pub(super) fn read(fd: c_int, length: usize, at: Option<i64>) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::<u8>::new();
    let length = length.min(left(fd, at)?.unwrap_or(PIECE));
    bytes.try_reserve_exact(length).or(Err(Errno::ENOMEM))?;
    let place = bytes.as_mut_ptr().cast();
    // SAFETY: there is room for so many bytes.
    let count = again(&|| unsafe {
        match at {
            Some(offset) => libc::pread(fd, place, length, offset as libc::off_t),
            None => libc::read(fd, place, length),
        }
    })?;
    // SAFETY: the kernel has written them.
    unsafe { bytes.set_len(count.min(length)) };
    Ok(bytes)
}

/// Bytes of a regular file behind its offset; at least 1, so that its end is seen.
fn left(fd: c_int, at: Option<i64>) -> Result<Option<usize>, Errno> {
    let stat = fstat(fd::borrow(fd)?)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_size == 0 {
        return Ok(None);
    }
    // SAFETY: takes numbers only.
    let offset = at.unwrap_or_else(|| unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) } as i64);
    let left = (stat.st_size as i64 - offset.max(0)).max(1);
    Ok(Some(usize::try_from(left).unwrap_or(usize::MAX)))
}

/// Writes everything at an offset, or else where the file is.
pub(super) fn write(fd: c_int, data: &[u8], at: Option<i64>) -> Result<usize, Errno> {
    let mut rest = data;
    loop {
        let (place, length) = (rest.as_ptr().cast(), rest.len());
        let done = (data.len() - length) as i64;
        // SAFETY: reads so many bytes of the slice.
        let count = again(&|| unsafe {
            match at {
                Some(offset) => libc::pwrite(fd, place, length, (offset + done) as libc::off_t),
                None => libc::write(fd, place, length),
            }
        });
        match count {
            // What was written counts.
            Err(errno) if rest.len() == data.len() => return Err(errno),
            Ok(count) if count > 0 && count < rest.len() => rest = &rest[count..],
            Ok(count) => return Ok(data.len() - rest.len() + count),
            Err(_) => return Ok(data.len() - rest.len()),
        }
    }
}

#[cfg(all(test, feature = "lunet"))]
mod tests {
    use super::*;

    fn path(name: &str) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let mut path = path.into_os_string().into_encoded_bytes();
        path.push(0);
        path
    }

    fn done(task: Task) -> Result<Found, Errno> {
        let job = Job::new(task);
        assert!(job.result().is_none());
        let shared = job.share();
        // SAFETY: as the pool does it.
        unsafe {
            run::<Task>(shared);
            release::<Task>(shared);
        }
        let job = Arc::into_inner(job).expect("the only reference");
        job.result.into_inner().expect("it was run")
    }

    fn number(task: Task) -> usize {
        match done(task) {
            Ok(Found::Number(number)) => number,
            _ => panic!("no number"),
        }
    }

    fn bytes(task: Task) -> Vec<u8> {
        match done(task) {
            Ok(Found::Bytes(bytes)) => bytes,
            _ => panic!("no bytes"),
        }
    }

    #[test]
    fn a_file_is_written_and_read() {
        let name = path("eco-job");
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        let fd = number(Task::Open(name.clone(), flags, 0o600)) as c_int;
        assert_eq!(number(Task::Write(fd, b"some\0text".to_vec())), 9);
        assert!(bytes(Task::Read(fd, 10)).is_empty());
        // SAFETY: takes numbers only.
        assert_eq!(unsafe { libc::lseek(fd, 2, libc::SEEK_SET) }, 2);
        assert_eq!(bytes(Task::Read(fd, usize::MAX)), b"me\0text");
        assert!(bytes(Task::Read(fd, usize::MAX)).is_empty());
        let Ok(Found::Stat(stat)) = done(Task::Stat(name.clone())) else {
            panic!("no stat");
        };
        assert_eq!((stat.st_size, stat.st_mode & 0o777), (9, 0o600));
        assert!(matches!(done(Task::Close(fd)), Ok(Found::Nothing)));
        assert!(matches!(done(Task::Close(fd)), Err(Errno::EBADF)));
        assert!(matches!(done(Task::Read(fd, 1)), Err(Errno::EBADF)));
        nix::unistd::unlink(whole(&name).unwrap()).unwrap();
        assert!(matches!(done(Task::Stat(name)), Err(Errno::ENOENT)));
    }

    #[test]
    fn a_folder_is_scanned() {
        let Ok(Found::Entries(entries)) = done(Task::Scan(b"/proc/self\0".to_vec())) else {
            panic!("no entries");
        };
        let has = |kind: u8, name: &str| {
            let entry = [&[kind], name.as_bytes(), b"\0"].concat();
            entries
                .split_inclusive(|byte| *byte == 0)
                .any(|part| part == entry)
        };
        assert!(has(libc::DT_DIR, "fd") && has(libc::DT_LNK, "exe") && has(libc::DT_REG, "stat"));
        assert!(!has(libc::DT_DIR, "."));
        assert!(matches!(
            done(Task::Scan(b"/proc/self/stat\0".to_vec())),
            Err(Errno::ENOTDIR)
        ));
    }
}
