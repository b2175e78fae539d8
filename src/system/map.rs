//! Files in memory that other processes write to as well: every access is
//! within the map, and copies; nothing is borrowed from it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};
use std::ptr;
use std::sync::atomic::{compiler_fence, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{fstat, lstat, FileStat};

use super::fd;
use crate::abi::{monotonic, Nanoseconds};

/// Memory that may change at any time.
pub struct Map {
    /// Null once closed.
    base: Cell<*mut u8>,
    length: Cell<usize>,
    /// How many changes a test lets through, as if the process ended then.
    #[cfg(test)]
    pub changes_left: Cell<usize>,
}

impl Map {
    /// A map of nothing.
    pub const fn empty() -> Map {
        Map {
            base: Cell::new(ptr::null_mut()),
            length: Cell::new(0),
            #[cfg(test)]
            changes_left: Cell::new(usize::MAX),
        }
    }

    /// Maps the first `length` bytes of a file; of none, if the number is
    /// negative, memory of its own, which is zero.
    pub fn open(&self, fd: c_int, length: usize) -> Result<(), Errno> {
        self.close();
        let kind = if fd < 0 { libc::MAP_ANONYMOUS } else { 0 };
        // SAFETY: a new map, wherever there is room.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | kind,
                fd,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        self.base.set(base.cast());
        self.length.set(length);
        Ok(())
    }

    /// Unmaps it: it is empty from now on.
    pub fn close(&self) {
        let base = self.base.replace(ptr::null_mut());
        let length = self.length.replace(0);
        if !base.is_null() {
            // SAFETY: a map of ours, to which nothing points any more.
            unsafe { libc::munmap(base.cast(), length) };
        }
    }

    pub fn len(&self) -> usize {
        self.length.get()
    }

    /// The address of `count` bytes at `at`, if they are within.
    fn place(&self, at: usize, count: usize) -> Option<*mut u8> {
        let end = at.checked_add(count)?;
        if end > self.length.get() {
            return None;
        }
        // SAFETY: within the map.
        Some(unsafe { self.base.get().add(at) })
    }

    /// The same for bytes that will change.
    fn place_to_change(&self, at: usize, count: usize) -> Option<*mut u8> {
        #[cfg(test)]
        self.changes_left
            .set(self.changes_left.get().checked_sub(1)?);
        self.place(at, count)
    }

    /// Copies bytes out.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Option<()> {
        let place = self.place(at, into.len())?;
        // SAFETY: both are as long as that, and the room is ours alone.
        unsafe { ptr::copy_nonoverlapping(place, into.as_mut_ptr(), into.len()) };
        compiler_fence(Ordering::SeqCst);
        Some(())
    }

    /// Copies bytes in: before what is written later, whenever the process ends.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Option<()> {
        let place = self.place_to_change(at, bytes.len())?;
        compiler_fence(Ordering::SeqCst);
        // SAFETY: both are as long as that; Rust borrows nothing of the map.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        compiler_fence(Ordering::SeqCst);
        Some(())
    }

    /// Copies `count` bytes from one place to another that does not overlap.
    pub fn copy(&self, from: usize, to: usize, count: usize) -> Option<()> {
        let (source, dest) = (self.place(from, count)?, self.place_to_change(to, count)?);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: both are within the map; they may overlap.
        unsafe { ptr::copy(source, dest, count) };
        compiler_fence(Ordering::SeqCst);
        Some(())
    }

    /// Fills with zeros.
    pub fn clear(&self, at: usize, count: usize) -> Option<()> {
        let place = self.place_to_change(at, count)?;
        compiler_fence(Ordering::SeqCst);
        // SAFETY: within the map.
        unsafe { ptr::write_bytes(place, 0, count) };
        compiler_fence(Ordering::SeqCst);
        Some(())
    }

    /// Whether these bytes are at `at`.
    pub fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(place) = self.place(at, bytes.len()) else {
            return false;
        };
        // SAFETY: each byte is within the map, and read once.
        let byte = |index| unsafe { place.add(index).read_volatile() };
        bytes
            .iter()
            .enumerate()
            .all(|(index, &own)| byte(index) == own)
    }

    /// A number of 32 bits.
    pub fn load(&self, at: usize) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Some(u32::from_ne_bytes(bytes))
    }

    /// Stores a number of 32 bits: at once, where it is aligned.
    pub fn store(&self, at: usize, value: u32) -> Option<()> {
        if !at.is_multiple_of(4) {
            return self.write(at, &value.to_ne_bytes());
        }
        let place = self.place_to_change(at, 4)?.cast::<u32>();
        compiler_fence(Ordering::SeqCst);
        // SAFETY: within the map, which begins at a page, and aligned.
        unsafe { place.write_volatile(value) };
        compiler_fence(Ordering::SeqCst);
        Some(())
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        self.close();
    }
}

/// A file of that size without a name, on the file system of a folder.
pub fn create(folder: &CStr, size: u64) -> Result<c_int, Errno> {
    let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: the path ends with NUL, the rest are numbers.
    let fd = Errno::result(unsafe { libc::open(folder.as_ptr(), flags, 0o666) })?;
    // SAFETY: a descriptor of ours and a number.
    let done = Errno::result(unsafe { libc::ftruncate(fd, size as libc::off_t) });
    done.map(|_| fd).inspect_err(|_| close(fd))
}

/// Gives a file of [`create`] its name, unless something has it.
pub fn publish(fd: c_int, path: &CStr) -> Result<(), Errno> {
    let own = own_path(fd);
    // SAFETY: both paths end with NUL.
    Errno::result(unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            own.as_ptr().cast(),
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    })
    .map(drop)
}

/// Opens a regular file for reading and writing; its size.
pub fn open(path: &CStr) -> Result<(c_int, u64), Errno> {
    let flags = libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    // SAFETY: the path ends with NUL, the rest are numbers.
    let fd = Errno::result(unsafe { libc::open(path.as_ptr(), flags) })?;
    match size(fd) {
        Ok(size) => Ok((fd, size)),
        Err(errno) => {
            close(fd);
            Err(errno)
        }
    }
}

/// Opens the file behind a descriptor anew, so that it locks for itself.
pub fn reopen(fd: c_int) -> Result<c_int, Errno> {
    let path = own_path(fd);
    // SAFETY: the path ends with NUL, the rest are numbers.
    Errno::result(unsafe { libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC) })
}

/// `/proc/self/fd/N` of a descriptor that is open, and NUL.
fn own_path(fd: c_int) -> [u8; 32] {
    let mut path = [0; 32];
    path[..14].copy_from_slice(b"/proc/self/fd/");
    let (mut digits, mut rest) = ([0; 10], fd.max(0) as u32);
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 || start == 0 {
            break;
        }
    }
    let digits = &digits[start..];
    path[14..14 + digits.len()].copy_from_slice(digits);
    path
}

/// The size of a regular file.
pub fn size(fd: c_int) -> Result<u64, Errno> {
    let stat = fstat(fd::borrow(fd)?)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Errno::EINVAL);
    }
    Ok(stat.st_size as u64)
}

/// Whether a path leads to the file behind a descriptor.
pub fn is_at(fd: c_int, path: &CStr) -> bool {
    let file = |stat: FileStat| (stat.st_dev, stat.st_ino);
    let (own, there) = (fd::borrow(fd).and_then(fstat), lstat(path));
    own.is_ok() && own.map(file) == there.map(file)
}

/// unlink(2), about whose failure nothing can be done.
pub fn unlink(path: &CStr) {
    let _ = nix::unistd::unlink(path);
}

/// Makes sure that there is memory for a part of a file: writing to a map of it
/// would end the process otherwise.
pub fn allocate(fd: c_int, from: u64, count: u64) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let done = unsafe { libc::fallocate(fd, 0, from as libc::off_t, count as libc::off_t) };
    match Errno::result(done) {
        // File systems without a bound.
        Err(Errno::EOPNOTSUPP) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// close(2), about whose failure nothing can be done.
pub fn close(fd: c_int) {
    let _ = fd::close(fd);
}

/// Tries to lock a file for those who opened it here, `limit` long at most; a
/// process that ends lets go of it. `EAGAIN` if somebody has it all the time.
pub fn lock(fd: c_int, limit: Nanoseconds) -> Result<(), Errno> {
    let (mut pause, mut stop) = (0, None);
    loop {
        match set_lock(fd, libc::F_WRLCK) {
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            Err(Errno::EINTR) => continue,
            result => return result,
        }
        let now = monotonic();
        if now >= *stop.get_or_insert(now + limit) {
            return Err(Errno::EAGAIN);
        }
        std::thread::sleep(Duration::from_nanos(pause));
        pause = (pause * 2 + 20_000).min(1_000_000);
    }
}

/// Lets go of it.
pub fn unlock(fd: c_int) {
    let _ = set_lock(fd, libc::F_UNLCK);
}

fn set_lock(fd: c_int, kind: c_int) -> Result<(), Errno> {
    // SAFETY: zeros are a valid structure: the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    // SAFETY: reads a local.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &lock) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(length: usize) -> Map {
        let map = Map::empty();
        map.open(-1, length).unwrap();
        map
    }

    #[test]
    fn accesses_are_within() {
        let map = memory(4096);
        let mut room = [0; 8];
        for at in [
            0,
            1,
            4088,
            4089,
            4092,
            4093,
            4096,
            usize::MAX - 2,
            usize::MAX,
        ] {
            assert_eq!(map.read(at, &mut room).is_some(), at <= 4088);
            assert_eq!(map.write(at, &room).is_some(), at <= 4088);
            assert_eq!(map.clear(at, 8).is_some(), at <= 4088);
            assert_eq!(map.copy(at, 0, 8).is_some(), at <= 4088);
            assert_eq!(map.copy(0, at, 8).is_some(), at <= 4088);
            assert_eq!(map.holds(at, &room), at <= 4088);
            assert_eq!(map.load(at).is_some(), at <= 4092);
            assert_eq!(map.store(at, 0).is_some(), at <= 4092);
        }
        for at in [3, 8] {
            map.store(at, 0x0102_0304).unwrap();
            assert_eq!(map.load(at), Some(0x0102_0304));
        }
        map.close();
        assert_eq!((map.len(), map.load(0)), (0, None));
    }

    #[test]
    fn names_of_descriptors() {
        for fd in [0, 7, 10, 123, i32::MAX] {
            let expected = format!("/proc/self/fd/{fd}\0");
            assert!(own_path(fd).starts_with(expected.as_bytes()));
        }
    }

    #[test]
    fn locks_exclude_other_opens_alone() {
        let first = create(c"/dev/shm", 100).unwrap();
        let second = reopen(first).unwrap();
        assert_eq!(size(second), Ok(100));
        lock(first, 0).unwrap();
        lock(first, 0).unwrap();
        assert_eq!(lock(second, 3_000_000), Err(Errno::EAGAIN));
        close(first);
        lock(second, 0).unwrap();
        unlock(second);
        close(second);
        assert_eq!(lock(-1, 0), Err(Errno::EBADF));
    }
}
