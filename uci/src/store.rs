//! Files that several processes share: opened under a lock that holds for what the path names, replaced whole or not
//! at all.
//!
//! A replaced file is another file, so whoever waited for the lock of the old one must open the new one.

use crate::error::Error;
use crate::name::push_hex;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How a file is opened and locked.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Access {
    /// For reading, beside other readers.
    Shared,
    /// For reading and writing, alone.
    Exclusive,
    /// The same; the file is created with this mode if it does not exist.
    Create(u32),
}

/// Tells a file, as it is, from every other file and from itself after a change.
#[derive(PartialEq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
    pub length: u64,
}

impl Stamp {
    /// That of an open file.
    pub fn of(file: &File) -> io::Result<Stamp> {
        file.metadata().map(Stamp::new)
    }

    /// That of the file that a path names now, if there is one.
    pub fn at(path: &Path) -> Option<Stamp> {
        fs::metadata(path).ok().map(Stamp::new)
    }

    fn new(metadata: Metadata) -> Stamp {
        Stamp {
            file: (metadata.dev(), metadata.ino()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
        }
    }
}

/// A locked file, and what it holds.
pub(crate) struct Locked {
    pub path: PathBuf,
    pub file: File,
    /// Empty where the file has been locked only.
    pub content: Vec<u8>,
}

impl Locked {
    /// Opens a regular file and waits for its lock; nothing if it is missing.
    pub fn lock(
        path: PathBuf,
        access: Access,
        patience: Patience,
    ) -> Result<Option<Locked>, Error> {
        match open(&path, access, patience) {
            Ok(file) => Ok(Some(Locked {
                path,
                file,
                content: Vec::new(),
            })),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
                _ => Err(Error::io(&path)(error)),
            },
        }
    }

    /// The same, and reads it.
    pub fn open(
        path: PathBuf,
        access: Access,
        patience: Patience,
    ) -> Result<Option<Locked>, Error> {
        let mut locked = Locked::lock(path, access, patience)?;
        if let Some(locked) = &mut locked {
            locked.read()?;
        }
        Ok(locked)
    }

    /// Opens a file, which is created if it is missing, and waits for its lock.
    pub fn create(path: PathBuf, mode: u32, patience: Patience) -> Result<Locked, Error> {
        match Locked::lock(path.clone(), Access::Create(mode), patience)? {
            Some(locked) => Ok(locked),
            None => Err(Error::io(&path)(ErrorKind::NotFound.into())),
        }
    }

    /// Reads it.
    pub fn read(&mut self) -> Result<(), Error> {
        self.content = read(&self.file).map_err(Error::io(&self.path))?;
        Ok(())
    }

    pub fn set_len(&self, length: usize) -> Result<(), Error> {
        self.file
            .set_len(length as u64)
            .map_err(Error::io(&self.path))
    }

    /// Leaves only this part of the file.
    pub fn keep(&self, part: &[u8]) -> Result<(), Error> {
        match part.len() {
            0 => self.set_len(0),
            length if length == self.content.len() => Ok(()),
            _ => self.replace(part),
        }
    }

    /// Replaces the file.
    pub fn replace(&self, content: &[u8]) -> Result<(), Error> {
        Replacement::prepare(&self.path, &self.file, content)
            .and_then(Replacement::rename)
            .and_then(|renamed| renamed.sync())
            .map_err(Error::io(&self.path))
    }
}

fn open(path: &Path, access: Access, patience: Patience) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if access != Access::Shared {
        options.write(true);
    }
    if let Access::Create(mode) = access {
        options.create(true).mode(mode);
    }
    loop {
        // A FIFO would be waited for.
        let metadata = fs::metadata(path);
        if metadata.is_ok_and(|metadata| !metadata.is_file()) {
            return Err(ErrorKind::NotFound.into());
        }
        let file = options.open(path)?;
        lock(&file, access != Access::Shared, patience)?;
        // Whoever had the lock may have put another file in place.
        let own = file.metadata()?;
        match fs::metadata(path) {
            Ok(other) if own.dev() == other.dev() && own.ino() == other.ino() => return Ok(file),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// How long a lock is waited for; nothing is for ever.
pub(crate) type Patience = Option<Duration>;

/// Waits for the lock of an open file. File systems without locks do without.
fn lock(file: &File, alone: bool, patience: Patience) -> io::Result<()> {
    if let Some(patience) = patience {
        return lock_within(file, alone, patience);
    }
    loop {
        let result = match alone {
            true => file.lock(),
            false => file.lock_shared(),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
            other => return other,
        }
    }
}

/// The pauses between attempts at a lock that must come in time.
const SHORTEST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The same for a limited time. The system has no such call, so it is asked again and again.
fn lock_within(file: &File, alone: bool, patience: Duration) -> io::Result<()> {
    let (start, mut pause) = (Instant::now(), SHORTEST_PAUSE);
    loop {
        let result = match alone {
            true => file.try_lock(),
            false => file.try_lock_shared(),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() >= patience => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(TryLockError::Error(error)) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::Unsupported => return Ok(()),
                _ => return Err(error),
            },
        }
    }
}

/// The whole file, from its beginning.
fn read(mut file: &File) -> io::Result<Vec<u8>> {
    // At once if it is of a usual size, with one byte more than there should be, to see the end.
    let step = file.metadata()?.len().min(1 << 20) as usize + 1;
    let mut content = Vec::new();
    loop {
        let filled = content.len();
        content.resize(filled + step, 0);
        let result = file.read(&mut content[filled..]);
        content.truncate(filled + result.as_ref().map_or(0, |count| *count));
        match result {
            Ok(0) => return Ok(content),
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
}

/// A new file that will take the place of another: complete, on the disk, and locked.
pub(crate) struct Replacement {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    folder: File,
    placed: bool,
}

impl Replacement {
    /// Writes the new file beside the one that it will replace, with its permissions and, where that is allowed, its
    /// owner. Links are followed: what they point to is replaced.
    pub fn prepare(path: &Path, old: &File, content: &[u8]) -> io::Result<Replacement> {
        let old = old.metadata()?;
        let target = match fs::symlink_metadata(path)?.is_symlink() {
            true => fs::canonicalize(path)?,
            false => path.to_owned(),
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = File::open(parent)?;
        let prefix = prefix(&target);
        sweep(parent, &prefix);
        let (temporary, file) = create(parent, &prefix)?;
        let replacement = Replacement {
            file,
            temporary,
            target,
            folder,
            placed: false,
        };
        let mut file = &replacement.file;
        // Nobody else knows it.
        lock(file, true, None)?;
        file.write_all(content)?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            let _ = fchown(file, Some(old.uid()), Some(old.gid()));
        }
        file.set_permissions(old.permissions())?;
        file.sync_all()?;
        Ok(replacement)
    }

    /// Puts the new file in place. It stays locked until what this returns is dropped, so that nobody reads it before
    /// the pending changes that it holds are gone.
    pub fn rename(mut self) -> io::Result<Replacement> {
        fs::rename(&self.temporary, &self.target)?;
        self.placed = true;
        Ok(self)
    }

    /// Puts on the disk that the new file is in place.
    pub fn sync(&self) -> io::Result<()> {
        match self.folder.sync_all() {
            // Not every file system knows this for folders.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// How the names of our temporary files for a target begin.
fn prefix(target: &Path) -> Vec<u8> {
    let name = target.file_name().unwrap_or_default();
    [b".", name.as_bytes(), b".uci+"].concat()
}

fn create(folder: &Path, prefix: &[u8]) -> io::Result<(PathBuf, File)> {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut state = clock.subsec_nanos() ^ std::process::id().rotate_left(16);
    loop {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut name = prefix.to_vec();
        push_hex(&mut name, state, 8);
        let path = folder.join(OsStr::from_bytes(&name));
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => return Ok((path, file)),
        }
    }
}

/// Removes what killed processes have left: files of ours that nobody holds a lock on. Best effort.
fn sweep(folder: &Path, prefix: &[u8]) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().as_bytes().starts_with(prefix) {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(path);
        }
    }
}
