//! Where records go: a file with rolling, standard output, the system log.
//!
//! The file stays open from record to record. One stat(2) of its path before
//! each notices that it was removed, renamed or rolled by somebody else, and
//! tells its size. A target that fails drops the record: logging never stops a
//! script.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{open, renameat, OFlag, AT_FDCWD};
use nix::poll::{poll, PollFd, PollFlags};
use nix::sys::socket::{
    connect, send, setsockopt, socket, sockopt, AddressFamily, MsgFlags, SockFlag, SockType,
    UnixAddr,
};
use nix::sys::stat::{fstat, stat, FileStat, Mode};
use nix::sys::time::TimeVal;
use nix::unistd::{access, isatty, unlinkat, write, AccessFlags, UnlinkatFlags};

use super::record::{is_plain_path, push_roll_suffix, roll_sequence, split_path};
use crate::system::date::{Seconds, Stamp, FILE_DATE};
use crate::system::fd;

/// Longest wait for a terminal or a daemon that takes no more bytes.
const PATIENCE_MS: u16 = 1000;

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

type Identity = (libc::dev_t, libc::ino_t);

fn identity(status: &FileStat) -> Identity {
    (status.st_dev, status.st_ino)
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
    Output,
    SystemLog(Option<OwnedFd>),
    /// Nowhere, since a path was refused.
    Nowhere,
}

impl Target {
    /// The target without a path: standard output if it is a terminal.
    pub fn standard() -> Target {
        match fd::borrow(libc::STDOUT_FILENO).and_then(isatty) {
            Ok(true) => Target::Output,
            _ => Target::SystemLog(None),
        }
    }

    /// The target of a path, None when it is refused.
    pub fn file(path: &[u8]) -> Option<Target> {
        let folder = Path::new(split_path(path).0);
        if !is_plain_path(path) || access(folder.as_c_str(), AccessFlags::W_OK).is_err() {
            return None;
        }
        let path = Path::new(path);
        Some(Target::File(File { path, open: None }))
    }
}

impl File {
    /// Appends one record.
    pub fn append(&mut self, record: &[u8], rolling: &Rolling, now: Seconds) {
        let mut found = stat(self.path.as_c_str()).ok();
        if let Some(status) = &found {
            if rolling.size > 0
                && status.st_size as i64 >= rolling.size
                && roll(&self.path, rolling.count, now)
            {
                found = None;
            }
        }
        let is_same = match (&self.open, &found) {
            (Some((_, known)), Some(found)) => *known == identity(found),
            _ => false,
        };
        if !is_same {
            self.open = open_for_append(&self.path).ok();
        }
        if let Some((file, _)) = &self.open {
            write_all(file.as_fd(), record);
        }
    }
}

fn open_for_append(path: &Path) -> Result<(OwnedFd, Identity), Errno> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file = open(path.as_c_str(), flags, Mode::from_bits_truncate(0o644))?;
    let status = fstat(&file)?;
    Ok((file, identity(&status)))
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

/// Renames the file to its next rolled name and removes rolled files beyond
/// the `keep` newest; false when it could not be renamed.
fn roll(path: &Path, keep: usize, now: Seconds) -> bool {
    let path = path.as_c_str();
    let (folder, name) = split_path(path.to_bytes());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut folder) = Dir::open(Path::new(folder).as_c_str(), flags, Mode::empty()) else {
        return false;
    };
    let mut target = Vec::new();
    target.extend_from_slice(path.to_bytes());
    let next = find_rolled(&mut folder, name).highest + 1;
    push_roll_suffix(&mut target, next, Stamp::new(now, FILE_DATE).bytes());
    if renameat(AT_FDCWD, path, AT_FDCWD, Path::new(&target).as_c_str()).is_err() {
        return false;
    }
    loop {
        let rolled = find_rolled(&mut folder, name);
        let Some(file) = rolled.oldest else {
            return true;
        };
        if rolled.count <= keep
            || unlinkat(&folder, file.as_c_str(), UnlinkatFlags::NoRemoveDir).is_err()
        {
            return true;
        }
    }
}

/// Writes to standard output, without the buffer of the standard library.
pub fn write_to_output(data: &[u8]) {
    if let Ok(output) = fd::borrow(libc::STDOUT_FILENO) {
        write_all(output, data);
    }
}

/// Writes everything, unless it fails or takes too long.
fn write_all(fd: BorrowedFd, mut data: &[u8]) {
    while !data.is_empty() {
        match write(fd, data) {
            Ok(count) => data = data.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // Somebody made the terminal non-blocking.
            Err(Errno::EAGAIN) => {
                let mut wait = [PollFd::new(fd, PollFlags::POLLOUT)];
                if poll(&mut wait, PATIENCE_MS) != Ok(1) {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// A socket connected to the system log daemon.
fn connect_to_system_log() -> Option<OwnedFd> {
    let address = UnixAddr::new(c"/dev/log").ok()?;
    let fd = socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .ok()?;
    let patience = TimeVal::new(i64::from(PATIENCE_MS / 1000) as _, 0);
    setsockopt(&fd, sockopt::SendTimeout, &patience).ok()?;
    connect(fd.as_raw_fd(), &address).ok()?;
    Some(fd)
}

/// Hands one record to the system log; connects anew when the daemon was
/// restarted.
pub fn send_to_system_log(connection: &mut Option<OwnedFd>, record: &[u8]) {
    for _ in 0..2 {
        if connection.is_none() {
            *connection = connect_to_system_log();
        }
        let Some(socket) = connection else { return };
        match send(socket.as_raw_fd(), record, MsgFlags::MSG_NOSIGNAL) {
            Ok(_) | Err(Errno::EAGAIN) => return,
            Err(Errno::EINTR) => {}
            Err(_) => *connection = None,
        }
    }
}
