//! A socket in the file system that goes with its owner, unless somebody has put another in its place.

use crate::socket::{deadline, Socket};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at a path: open to all users, and where nobody else listens.
    pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
        make_room(path)?;
        let listener = UnixListener::bind(path)?;
        let file = SocketFile {
            path: path.to_path_buf(),
            identity: identity(path)?,
        };
        fs::set_permissions(path, Permissions::from_mode(0o666))?;
        listener.set_nonblocking(true)?;
        Ok((listener, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes the folder of a socket, and removes what was left of an earlier one.
fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => {
                    DirBuilder::new().recursive(true).mode(0o755).create(folder)
                }
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error),
    }
    match Socket::connect(path, deadline(Duration::ZERO)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // One whose queue is full listens, too.
        Err(error) if error.kind() != ErrorKind::TimedOut => Err(error),
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}
