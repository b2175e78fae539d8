//! Where records go: a file with rolling, the terminal, the system log.
//!
//! Nothing here waits. A file stays open from record to record. One stat(2) of
//! its path before each notices that it was removed, renamed, truncated or
//! rolled by somebody else, and tells its size.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{open, renameat, OFlag, AT_FDCWD};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    connect, send, socket, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr,
};
use nix::sys::stat::{fstat, stat, FileStat, Mode};
use nix::unistd::{
    access, ftruncate, isatty, lseek64, unlink, unlinkat, write, AccessFlags, UnlinkatFlags, Whence,
};

use super::record::{is_plain_path, push_roll_suffix, roll_sequence, split_path};
use crate::system::date::{Seconds, Stamp, FILE_DATE};
use crate::system::{fd, file};

/// When a file is rolled, and how many rolled ones are kept.
pub struct Rolling {
    pub size: i64,
    pub count: usize,
}

/// A path as the C library takes it. Cut at a NUL, should one be in it.
pub struct Path(Vec<u8>);

impl Path {
    pub fn new(path: &[u8]) -> Path {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(path);
        bytes.push(0);
        Path(bytes)
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// Milliseconds between two tries.
pub const PAUSE_MS: u8 = 20;

type Identity = (libc::dev_t, libc::ino_t);

fn identity(status: &FileStat) -> Identity {
    (status.st_dev, status.st_ino)
}

fn is_kind(status: &FileStat, kind: libc::mode_t) -> bool {
    status.st_mode & libc::S_IFMT == kind
}

/// A log file.
pub struct File {
    path: Path,
    /// The open file, its device and inode.
    open: Option<(OwnedFd, Identity)>,
}

/// Where records go.
pub enum Target {
    File(File),
    /// Opened anew, so that it is non-blocking for nobody else.
    Terminal(Option<OwnedFd>),
    SystemLog(Option<OwnedFd>),
    /// Nowhere, since a path was refused.
    Nowhere,
}

/// How far a record got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it, or as much as ever will be.
    Done,
    /// So many bytes; the rest when there is room.
    Part(usize),
}

impl Target {
    /// The target without a path: standard output if it is a terminal.
    pub fn standard() -> Target {
        match fd::borrow(libc::STDOUT_FILENO).and_then(isatty) {
            Ok(true) => {
                let flags =
                    OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
                Target::Terminal(open(c"/proc/self/fd/1", flags, Mode::empty()).ok())
            }
            _ => Target::SystemLog(None),
        }
    }

    /// The target of a path, None when it is refused.
    pub fn file(path: &[u8]) -> Option<Target> {
        if !is_plain_path(path) {
            return None;
        }
        let folder = Path::new(split_path(path).0);
        access(folder.as_c_str(), AccessFlags::W_OK).ok()?;
        let path = Path::new(path);
        Some(Target::File(File { path, open: None }))
    }

    /// Sends a record of which `sent` bytes are there already.
    pub fn send(&mut self, record: &[u8], sent: usize, rolling: &Rolling, now: Seconds) -> Sent {
        match self {
            Target::File(file) => file.append(record, sent, rolling, now),
            Target::Terminal(Some(terminal)) => write_some(terminal.as_fd(), record, sent).0,
            Target::Terminal(None) => write_when_ready(record, sent),
            Target::SystemLog(connection) => send_to_system_log(connection, record),
            Target::Nowhere => Sent::Done,
        }
    }
}

impl File {
    /// Appends a record, or the rest of it if the file is still the same.
    fn append(&mut self, record: &[u8], mut sent: usize, rolling: &Rolling, now: Seconds) -> Sent {
        let found = stat(self.path.as_c_str());
        let status = match (&self.open, found) {
            (Some((_, known)), Ok(found)) if *known == identity(&found) => found,
            _ => {
                sent = 0;
                match self.reopen(found.ok()) {
                    Ok(status) => status,
                    Err(_) => return Sent::Done,
                }
            }
        };
        let Some((file, _)) = &self.open else {
            return Sent::Done;
        };
        if !is_kind(&status, libc::S_IFREG) {
            return write_some(file.as_fd(), record, sent).0;
        }
        if status.st_size == 0 {
            sent = 0;
        }
        if sent == 0 && rolling.size > 0 && status.st_size as i64 >= rolling.size {
            roll(file.as_fd(), &self.path, rolling, now);
            if stat(self.path.as_c_str()).map(|now| identity(&now)) != Ok(identity(&status))
                && self.reopen(None).is_err()
            {
                return Sent::Done;
            }
        }
        let Some((file, _)) = &self.open else {
            return Sent::Done;
        };
        match write_some(file.as_fd(), record, sent) {
            // No room: what is there is cut, so that it is no record.
            (Sent::Part(part), errno) if errno != Errno::EAGAIN && cut(file.as_fd(), part) => {
                Sent::Part(0)
            }
            (sent, _) => sent,
        }
    }

    /// Opens the file that is `found` there, or a new one. Whoever has both
    /// ends of a FIFO waits for nobody and breaks no pipe.
    fn reopen(&mut self, found: Option<FileStat>) -> Result<FileStat, Errno> {
        self.open = None;
        let access = match found {
            Some(found) if is_kind(&found, libc::S_IFIFO) => OFlag::O_RDWR,
            _ => OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT,
        };
        let flags = access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let file = open(self.path.as_c_str(), flags, Mode::from_bits_truncate(0o644))?;
        let status = fstat(&file)?;
        self.open = Some((file, identity(&status)));
        Ok(status)
    }
}

/// Takes the last `count` bytes of ours off the file, if nobody has added to
/// them; true when none of them are left.
fn cut(file: BorrowedFd, count: usize) -> bool {
    let cut = || {
        let end = lseek64(file, 0, Whence::SeekCur)?;
        if count > 0 && fstat(file)?.st_size as i64 != end {
            return Err(Errno::EBUSY);
        }
        ftruncate(file, (end - count as i64) as _)
    };
    count == 0 || cut().is_ok()
}

/// The rolled files of a log in its folder.
struct Rolled {
    count: usize,
    highest: u32,
    lowest: u32,
    /// The file with the lowest number.
    oldest: Option<Path>,
}

fn find_rolled(folder: &mut Dir, name: &[u8]) -> Rolled {
    let mut rolled = Rolled {
        count: 0,
        highest: 0,
        lowest: 0,
        oldest: None,
    };
    for entry in folder.iter() {
        let Ok(entry) = entry else { break };
        let file = entry.file_name().to_bytes();
        let Some(sequence) = roll_sequence(file, name) else {
            continue;
        };
        rolled.count += 1;
        rolled.highest = rolled.highest.max(sequence);
        if rolled.oldest.is_none() || sequence < rolled.lowest {
            rolled.lowest = sequence;
            rolled.oldest = Some(Path::new(file));
        }
    }
    rolled
}

/// Puts the content of the file aside under its next rolled name and removes
/// rolled files beyond the newest. The file itself stays for those who follow
/// it (`tail -f`); when there is no room for a copy, it is renamed instead.
/// Nothing happens while another process does the same.
fn roll(file: BorrowedFd, path: &Path, rolling: &Rolling, now: Seconds) {
    if file::flock(file.as_raw_fd(), libc::LOCK_EX).is_err() {
        return;
    }
    let status = fstat(file).ok();
    if let Some(status) = status.filter(|status| status.st_size as i64 >= rolling.size) {
        put_aside(file, path.as_c_str(), &status, rolling.count, now);
    }
    let _ = file::flock(file.as_raw_fd(), libc::LOCK_UN);
}

fn put_aside(file: BorrowedFd, path: &CStr, status: &FileStat, keep: usize, now: Seconds) {
    let (folder, name) = split_path(path.to_bytes());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut folder) = Dir::open(Path::new(folder).as_c_str(), flags, Mode::empty()) else {
        return;
    };
    let mut target = Vec::new();
    target.extend_from_slice(path.to_bytes());
    let next = find_rolled(&mut folder, name).highest + 1;
    push_roll_suffix(&mut target, next, Stamp::new(now, FILE_DATE).bytes());
    let target = Path::new(&target);
    let target = target.as_c_str();
    if copy(file, path, target, status).is_err() {
        let _ = unlink(target);
        if renameat(AT_FDCWD, path, AT_FDCWD, target).is_err() {
            return;
        }
    }
    loop {
        let rolled = find_rolled(&mut folder, name);
        let Some(file) = rolled.oldest else { return };
        if rolled.count <= keep
            || unlinkat(&folder, file.as_c_str(), UnlinkatFlags::NoRemoveDir).is_err()
        {
            return;
        }
    }
}

/// Copies the file and empties it, with what is added meanwhile.
fn copy(file: BorrowedFd, path: &CStr, target: &CStr, status: &FileStat) -> Result<(), Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let from = open(path, flags, Mode::empty())?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let to = open(target, flags, Mode::from_bits_truncate(status.st_mode))?;
    let mut copied = 0;
    while copied < fstat(file)?.st_size as u64 {
        match file::copy(from.as_raw_fd(), to.as_raw_fd())? {
            0 => return Err(Errno::EIO),
            count => copied += count,
        }
    }
    ftruncate(file, 0)
}

/// Writes what is left of a record, as much as there is room for; and why it
/// was not all.
fn write_some(to: BorrowedFd, record: &[u8], mut sent: usize) -> (Sent, Errno) {
    while let Some(rest) = record.get(sent..).filter(|rest| !rest.is_empty()) {
        match write(to, rest) {
            Ok(count) => sent += count,
            Err(Errno::EINTR) => {}
            Err(errno @ (Errno::EAGAIN | Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG)) => {
                return (Sent::Part(sent), errno)
            }
            Err(errno) => return (Sent::Done, errno),
        }
    }
    (Sent::Done, Errno::UnknownErrno)
}

/// The same to standard output that could not be opened anew.
fn write_when_ready(record: &[u8], sent: usize) -> Sent {
    let Ok(output) = fd::borrow(libc::STDOUT_FILENO) else {
        return Sent::Done;
    };
    match poll(
        &mut [PollFd::new(output, PollFlags::POLLOUT)],
        PollTimeout::ZERO,
    ) {
        Ok(1) => write_some(output, record, sent).0,
        _ => Sent::Part(sent),
    }
}

/// Lets a little time pass.
pub fn pause() {
    let _ = poll(&mut [], PollTimeout::from(PAUSE_MS));
}

/// A socket connected to the system log daemon.
fn connect_to_system_log() -> Result<OwnedFd, Errno> {
    let address = UnixAddr::new(c"/dev/log")?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    connect(fd.as_raw_fd(), &address)?;
    Ok(fd)
}

/// Hands one record to the system log; connects anew when the daemon was
/// restarted, and writes to standard error where there is none.
fn send_to_system_log(connection: &mut Option<OwnedFd>, record: &[u8]) -> Sent {
    for _ in 0..2 {
        if connection.is_none() {
            *connection = connect_to_system_log().ok();
        }
        let Some(socket) = connection else { break };
        match send(socket.as_raw_fd(), record, MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => break,
            Err(Errno::EAGAIN) => return Sent::Part(0),
            Err(Errno::EINTR) => {}
            Err(_) => *connection = None,
        }
    }
    if connection.is_none() {
        // Nobody collects records here. Without its priority one reads like a line.
        let text = record.iter().position(|&byte| byte == b'>');
        fd::complain(
            record
                .get(text.map_or(0, |at| at + 1)..)
                .unwrap_or_default(),
        );
        fd::complain(b"\n");
    }
    Sent::Done
}
