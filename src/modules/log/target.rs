//! Where records go: a file with rolling, standard output, the system log.
//!
//! The file stays open from record to record. One stat(2) of its path before
//! each notices that it was removed, renamed or rolled by somebody else, and
//! tells its size. A target that fails drops the record: logging never stops a
//! script.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{open, renameat, OFlag, AT_FDCWD};
use nix::poll::{poll, PollFd, PollFlags};
use nix::sys::socket::{connect, send, setsockopt, socket, sockopt, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{fstat, stat, FileStat, Mode};
use nix::sys::time::TimeVal;
use nix::unistd::{access, isatty, unlinkat, write, AccessFlags, UnlinkatFlags};

use super::record::{is_plain_path, push_roll_suffix, roll_sequence, split_path, Moment};
use super::system::standard_output;

/// Longest wait for a terminal or a daemon that takes no more bytes.
const PATIENCE_MS: u16 = 1000;

/// When a file is rolled, and how many rolled ones are kept.
pub struct Rolling {
    pub size: i64,
    pub count: usize,
}

/// A log file.
pub struct File {
    path: CString,
    /// The open file and what stat(2) said it was.
    open: Option<(OwnedFd, FileStat)>,
}

/// Where records go.
pub enum Target {
    File(File),
    Output,
    SystemLog(Option<Socket>),
    /// Nowhere, since a path was refused.
    Nowhere,
}

impl Target {
    /// The target without a path: standard output if it is a terminal.
    pub fn standard() -> Target {
        match isatty(standard_output()) {
            Ok(true) => Target::Output,
            _ => Target::SystemLog(None),
        }
    }

    /// The target of a path, None when it is refused.
    pub fn file(path: &[u8]) -> Option<Target> {
        let folder = CString::new(split_path(path).0).ok()?;
        if !is_plain_path(path) || access(folder.as_c_str(), AccessFlags::W_OK).is_err() {
            return None;
        }
        let path = CString::new(path).ok()?;
        Some(Target::File(File { path, open: None }))
    }
}

impl File {
    /// Appends one record.
    pub fn append(&mut self, record: &[u8], rolling: &Rolling, moment: &Moment) {
        let found = stat(self.path.as_c_str()).ok();
        if let Some(found) = &found {
            if rolling.size > 0 && found.st_size as i64 >= rolling.size {
                self.open = None;
                roll(&self.path, rolling.count, moment);
            }
        }
        let is_same = match (&self.open, &found) {
            (Some((_, known)), Some(found)) => (known.st_dev, known.st_ino) == (found.st_dev, found.st_ino),
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

fn open_for_append(path: &CStr) -> Result<(OwnedFd, FileStat), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file = open(path, flags, Mode::from_bits_truncate(0o644))?;
    let status = fstat(&file)?;
    Ok((file, status))
}

/// Renames the file to its next rolled name and removes rolled files beyond
/// the `keep` newest.
fn roll(path: &CStr, keep: usize, moment: &Moment) {
    let (folder, name) = split_path(path.to_bytes());
    let Ok(folder) = CString::new(folder) else { return };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut folder) = Dir::open(folder.as_c_str(), flags, Mode::empty()) else { return };
    let mut rolled: Vec<(u32, CString)> = folder
        .iter()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let file = entry.file_name();
            Some((roll_sequence(file.to_bytes(), name)?, file.to_owned()))
        })
        .collect();
    rolled.sort_unstable();
    let next = rolled.last().map_or(1, |(sequence, _)| sequence.saturating_add(1));
    let mut target = path.to_bytes().to_vec();
    push_roll_suffix(&mut target, next, moment);
    let Ok(target) = CString::new(target) else { return };
    if renameat(AT_FDCWD, path, AT_FDCWD, target.as_c_str()).is_err() {
        return;
    }
    let surplus = (rolled.len() + 1).saturating_sub(keep);
    for (_, file) in rolled.iter().take(surplus) {
        let _ = unlinkat(&folder, file.as_c_str(), UnlinkatFlags::NoRemoveDir);
    }
}

/// Writes everything, unless it fails or takes too long.
pub fn write_all(fd: BorrowedFd, mut data: &[u8]) {
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

/// A connection to the system log daemon.
pub struct Socket {
    fd: OwnedFd,
    /// Records on a stream end with NUL.
    is_stream: bool,
}

impl Socket {
    fn connect() -> Option<Socket> {
        let address = UnixAddr::new("/dev/log").ok()?;
        for (kind, is_stream) in [(SockType::Datagram, false), (SockType::Stream, true)] {
            let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).ok()?;
            let patience = TimeVal::new(i64::from(PATIENCE_MS / 1000) as _, 0);
            setsockopt(&fd, sockopt::SendTimeout, &patience).ok()?;
            match connect(fd.as_raw_fd(), &address) {
                Ok(()) => return Some(Socket { fd, is_stream }),
                Err(Errno::EPROTOTYPE) => {}
                Err(_) => return None,
            }
        }
        None
    }

    fn send(&self, record: &[u8]) -> Result<usize, Errno> {
        loop {
            match send(self.fd.as_raw_fd(), record, MsgFlags::MSG_NOSIGNAL) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }
}

/// Hands one record to the system log; connects anew when the daemon was
/// restarted. Leaves a NUL at the record's end when the log is a stream.
pub fn send_to_system_log(connection: &mut Option<Socket>, record: &mut Vec<u8>) {
    for _ in 0..2 {
        if connection.is_none() {
            *connection = Socket::connect();
        }
        let Some(socket) = connection else { return };
        if socket.is_stream {
            record.push(0);
        }
        if !matches!(socket.send(record), Err(error) if error != Errno::EAGAIN) {
            return;
        }
        *connection = None;
        if record.last() == Some(&0) {
            record.pop();
        }
    }
}
