//! Every call on files that `luv` has, packed so that another thread can make it.
#![allow(unsafe_code)]

use std::ffi::{c_int, CStr};
use std::ptr;

use nix::errno::Errno;
use nix::sys::stat::{fstat, lstat, stat};

use super::job::{again, read, whole, write, Found, Work};
use super::{fd, file};

/// Which call it is; what it takes is in the fields of [`Action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `path`, flags, mode.
    Open,
    /// `fd`
    Close,
    /// `fd`, length, offset or -1.
    Read,
    /// `fd`, `data`, offset or -1.
    Write,
    /// `path`
    Stat,
    /// `path`, itself if it is a link.
    StatLink,
    /// `fd`
    StatFile,
    /// `path`
    Scan,
    /// `path`
    Unlink,
    /// `path`
    RemoveFolder,
    /// `path`, mode.
    MakeFolder,
    /// `path`, `data`: the other path.
    Rename,
    /// `path`, `data`: the other path.
    Link,
    /// `path`: the target, `data`: where the link is to be.
    Symlink,
    /// `path`
    ReadLink,
    /// `path` or `fd`, mode.
    ChangeMode,
    /// `path` or `fd`, user, group.
    ChangeOwner,
    /// `path` or `fd`, `times`.
    ChangeTimes,
    /// `fd`; 1 for data alone.
    Sync,
    /// `fd`, length.
    Truncate,
    /// `fd`: to there, then: from there, offset or -1, length or -1.
    Copy,
}

/// A call with all that it takes. Paths end with NUL; a call that can be made on
/// a path or a descriptor is made on the path, if there is one.
pub struct Action {
    pub kind: Kind,
    pub fd: c_int,
    pub path: Vec<u8>,
    pub data: Vec<u8>,
    pub numbers: [i64; 3],
    /// Of access and of change: seconds and nanoseconds.
    pub times: [(i64, i64); 2],
}

impl Action {
    pub fn new(kind: Kind) -> Action {
        Action {
            kind,
            fd: -1,
            path: Vec::new(),
            data: Vec::new(),
            numbers: [0; 3],
            times: [(0, 0); 2],
        }
    }

    fn fd(&self) -> Result<c_int, Errno> {
        // Not AT_FDCWD, nor the -1 of a closed file.
        fd::borrow(self.fd).map(|_| self.fd)
    }

    /// An offset or a length that may be left out.
    fn optional(&self, index: usize) -> Option<i64> {
        Some(self.numbers[index]).filter(|number| *number >= 0)
    }

    /// Makes the one call for a path, the other for a descriptor.
    fn either(
        &self,
        on_path: impl Fn(&CStr) -> c_int,
        on_fd: impl Fn(c_int) -> c_int,
    ) -> Result<Found, Errno> {
        if self.path.is_empty() {
            let fd = self.fd()?;
            nothing(&|| on_fd(fd))
        } else {
            let path = whole(&self.path)?;
            nothing(&|| on_path(path))
        }
    }
}

/// Makes a call that gives 0 until no signal interrupts it.
fn nothing(call: &dyn Fn() -> c_int) -> Result<Found, Errno> {
    again(&|| call() as isize).map(|_| Found::Nothing)
}

impl Work for Action {
    fn perform(&self) -> Result<Found, Errno> {
        let [first, second, third] = self.numbers;
        let path = || whole(&self.path);
        let other = || whole(&self.data);
        let mode = first as libc::mode_t;
        // SAFETY (of every block below): paths and the texts beside them end with
        // NUL, times and results are places of this frame, all else are numbers.
        match self.kind {
            Kind::Open => {
                let path = path()?;
                // SAFETY: see above.
                let open = || unsafe {
                    libc::open(path.as_ptr(), first as c_int, second as c_int) as isize
                };
                again(&open).map(Found::Number)
            }
            Kind::Close => fd::close(self.fd).map(|()| Found::Nothing),
            Kind::Read => read(self.fd, first as usize, self.optional(1)).map(Found::Bytes),
            Kind::Write => match write(self.fd, &self.data, self.optional(0)) {
                // A pipe, say.
                Err(Errno::ESPIPE) => write(self.fd, &self.data, None),
                other => other,
            }
            .map(Found::Number),
            Kind::Stat => Ok(Found::Stat(Box::new(stat(path()?)?))),
            Kind::StatLink => Ok(Found::Stat(Box::new(lstat(path()?)?))),
            Kind::StatFile => Ok(Found::Stat(Box::new(fstat(fd::borrow(self.fd)?)?))),
            Kind::Scan => file::scan(path()?).map(Found::Entries),
            Kind::Unlink => {
                let path = path()?;
                // SAFETY: see above.
                nothing(&|| unsafe { libc::unlink(path.as_ptr()) })
            }
            Kind::RemoveFolder => {
                let path = path()?;
                // SAFETY: see above.
                nothing(&|| unsafe { libc::rmdir(path.as_ptr()) })
            }
            Kind::MakeFolder => {
                let path = path()?;
                // SAFETY: see above.
                nothing(&|| unsafe { libc::mkdir(path.as_ptr(), mode) })
            }
            Kind::Rename => {
                let (from, to) = (path()?, other()?);
                // SAFETY: see above.
                nothing(&|| unsafe { libc::rename(from.as_ptr(), to.as_ptr()) })
            }
            Kind::Link => {
                let (from, to) = (path()?, other()?);
                // SAFETY: see above.
                nothing(&|| unsafe { libc::link(from.as_ptr(), to.as_ptr()) })
            }
            Kind::Symlink => {
                let (target, place) = (path()?, other()?);
                // SAFETY: see above.
                nothing(&|| unsafe { libc::symlink(target.as_ptr(), place.as_ptr()) })
            }
            Kind::ReadLink => {
                let mut room = [std::mem::MaybeUninit::uninit(); libc::PATH_MAX as usize];
                let target = file::readlink(path()?, &mut room)?;
                let mut bytes = Vec::new();
                bytes
                    .try_reserve_exact(target.len())
                    .or(Err(Errno::ENOMEM))?;
                bytes.extend_from_slice(target);
                Ok(Found::Bytes(bytes))
            }
            Kind::ChangeMode => self.either(
                // SAFETY: see above.
                |path| unsafe { libc::chmod(path.as_ptr(), mode) },
                // SAFETY: see above.
                |fd| unsafe { libc::fchmod(fd, mode) },
            ),
            Kind::ChangeOwner => self.either(
                // SAFETY: see above.
                |path| unsafe { libc::chown(path.as_ptr(), first as _, second as _) },
                // SAFETY: see above.
                |fd| unsafe { libc::fchown(fd, first as _, second as _) },
            ),
            Kind::ChangeTimes => {
                let times = self.times.map(|(seconds, nanoseconds)| {
                    // SAFETY: numbers, and what some systems put between them.
                    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
                    time.tv_sec = seconds as _;
                    time.tv_nsec = nanoseconds as _;
                    time
                });
                self.either(
                    // SAFETY: see above.
                    |path| unsafe {
                        libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0)
                    },
                    // SAFETY: see above.
                    |fd| unsafe { libc::futimens(fd, times.as_ptr()) },
                )
            }
            Kind::Sync => {
                let fd = self.fd()?;
                // SAFETY: see above.
                nothing(&|| unsafe {
                    if first == 0 {
                        libc::fsync(fd)
                    } else {
                        libc::fdatasync(fd)
                    }
                })
            }
            Kind::Truncate => {
                let fd = self.fd()?;
                // SAFETY: see above.
                nothing(&|| unsafe { libc::ftruncate(fd, first as libc::off_t) })
            }
            Kind::Copy => {
                let from = fd::borrow(first as c_int).map(|_| first as c_int)?;
                copy(self.fd()?, from, Some(second).filter(|at| *at >= 0), third).map(Found::Number)
            }
        }
    }
}

/// Bytes that are copied at once where sendfile(2) is no help.
const PIECE: usize = 1 << 16;

/// Copies so many bytes, all for a negative number, from an offset or else from
/// where the file is.
fn copy(to: c_int, from: c_int, mut at: Option<i64>, length: i64) -> Result<usize, Errno> {
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    let mut copied = 0;
    while left > 0 {
        let mut offset = at.unwrap_or(0) as libc::off_t;
        let place = if at.is_some() {
            ptr::from_mut(&mut offset)
        } else {
            ptr::null_mut()
        };
        // SAFETY: an offset of this frame, or none; the rest are numbers.
        let count =
            again(&|| unsafe { libc::sendfile(to, from, place, left.min(1 << 30)) as isize });
        let count = match count {
            // Not between these two.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                let bytes = read(from, left.min(PIECE), at)?;
                write(to, &bytes, None)
            }
            other => other,
        };
        match count {
            Ok(0) => break,
            Ok(count) => {
                copied += count;
                left -= count.min(left);
                at = at.map(|at| at + count as i64);
            }
            // What was copied counts.
            Err(_) if copied > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(action: Action) -> Result<Found, Errno> {
        action.perform()
    }

    fn number(action: Action) -> usize {
        match done(action) {
            Ok(Found::Number(number)) => number,
            Ok(_) => panic!("no number"),
            Err(errno) => panic!("{errno}"),
        }
    }

    fn bytes(action: Action) -> Vec<u8> {
        match done(action) {
            Ok(Found::Bytes(bytes)) => bytes,
            Ok(_) => panic!("no bytes"),
            Err(errno) => panic!("{errno}"),
        }
    }

    fn path(name: &str) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let mut path = path.into_os_string().into_encoded_bytes();
        path.push(0);
        path
    }

    fn on_path(kind: Kind, path: &[u8], numbers: [i64; 3]) -> Action {
        Action {
            path: path.to_vec(),
            numbers,
            ..Action::new(kind)
        }
    }

    fn on_fd(kind: Kind, fd: c_int, numbers: [i64; 3]) -> Action {
        Action {
            fd,
            numbers,
            ..Action::new(kind)
        }
    }

    fn written(fd: c_int, data: &[u8], at: i64) -> usize {
        number(Action {
            data: data.to_vec(),
            ..on_fd(Kind::Write, fd, [at, 0, 0])
        })
    }

    #[test]
    fn files_are_read_and_written_at_offsets() {
        let name = path("eco-action");
        let flags = i64::from(libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC);
        let fd = number(on_path(Kind::Open, &name, [flags, 0o600, 0])) as c_int;
        assert_eq!(written(fd, b"some text", 0), 9);
        assert_eq!(written(fd, b"more", 0), 4);
        assert_eq!(bytes(on_fd(Kind::Read, fd, [100, 5, 0])), b"text");
        assert_eq!(bytes(on_fd(Kind::Read, fd, [4, -1, 0])), b"more");
        let copied = number(on_fd(Kind::Copy, fd, [fd.into(), 5, 2]));
        assert_eq!(copied, 2);
        assert_eq!(bytes(on_fd(Kind::Read, fd, [100, 0, 0])), b"moreteext");
        for (kind, numbers) in [
            (Kind::Sync, [0, 0, 0]),
            (Kind::Sync, [1, 0, 0]),
            (Kind::Truncate, [3, 0, 0]),
            (Kind::ChangeMode, [0o640, 0, 0]),
            (Kind::ChangeOwner, [-1, -1, 0]),
        ] {
            assert!(matches!(done(on_fd(kind, fd, numbers)), Ok(Found::Nothing)));
        }
        let Ok(Found::Stat(stat)) = done(on_fd(Kind::StatFile, fd, [0; 3])) else {
            panic!("no stat");
        };
        assert_eq!((stat.st_size, stat.st_mode & 0o777), (3, 0o640));
        assert!(matches!(
            done(on_fd(Kind::Close, fd, [0; 3])),
            Ok(Found::Nothing)
        ));
        let unlink = on_path(Kind::Unlink, &name, [0; 3]);
        assert!(matches!(done(unlink), Ok(Found::Nothing)));
    }

    #[test]
    fn what_appends_is_copied_to() {
        let (source, target) = (path("eco-copy-from"), path("eco-copy-to"));
        let flags = i64::from(libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
        let from = number(on_path(Kind::Open, &source, [flags, 0o600, 0])) as c_int;
        let append = flags | i64::from(libc::O_APPEND);
        let to = number(on_path(Kind::Open, &target, [append, 0o600, 0])) as c_int;
        assert_eq!(written(from, &[b'x'; 200_000], 0), 200_000);
        let copy = on_fd(Kind::Copy, to, [from.into(), 0, -1]);
        assert_eq!(number(copy), 200_000);
        for fd in [from, to] {
            assert!(done(on_fd(Kind::Close, fd, [0; 3])).is_ok());
        }
        for name in [source, target] {
            assert!(done(on_path(Kind::Unlink, &name, [0; 3])).is_ok());
        }
    }

    /// -1 is a closed file, and never the folder that AT_FDCWD stands for.
    #[test]
    fn closed_files_are_refused() {
        for kind in [
            Kind::Close,
            Kind::Read,
            Kind::Write,
            Kind::StatFile,
            Kind::ChangeMode,
            Kind::ChangeOwner,
            Kind::ChangeTimes,
            Kind::Sync,
            Kind::Truncate,
            Kind::Copy,
        ] {
            for fd in [-1, libc::AT_FDCWD] {
                let result = done(on_fd(kind, fd, [0; 3]));
                assert!(matches!(result, Err(Errno::EBADF)), "{kind:?}");
            }
        }
        assert!(matches!(
            done(on_fd(Kind::Stat, 0, [0; 3])),
            Err(Errno::EINVAL)
        ));
    }
}
