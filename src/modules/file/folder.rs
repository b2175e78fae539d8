//! `file.dir`: the entries of a folder, one per call.

use std::cell::RefCell;
use std::ffi::CStr;
use std::os::fd::AsRawFd;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{fstatat, FileStat, Mode};

use super::calls;
use super::info::push_info;
use crate::core::Core;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns, UserData};

/// Longest name of a directory entry.
const LONGEST_NAME: usize = 256;

/// An open folder; None at its end.
pub struct Folder(RefCell<Option<OwningIter>>);

/// An entry that is there.
struct Entry {
    name: [u8; LONGEST_NAME],
    length: usize,
    stat: FileStat,
}

impl Folder {
    /// Pushes what a generic `for` needs: iterator, folder, nil, folder; and
    /// why the folder could not be opened, if so.
    pub fn iterate(lua: Lua) -> Outcome {
        lua.string(1)?;
        let core = Core::of(lua);
        lua.push_function(function(Folder::next), core.pointer());
        let folder = lua.reserve::<Folder>(0, core.pointer()).fill(Folder(RefCell::new(None)));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = Dir::open(lua.to_bytes(1), flags, Mode::empty());
        let problem = opened.map(|dir| *folder.0.borrow_mut() = Some(dir.into_iter())).err();
        lua.push_nil();
        lua.push_value(-2);
        match problem {
            None => Ok(Returns(4)),
            Some(errno) => {
                lua.push_errno(errno);
                Ok(Returns(5))
            }
        }
    }

    /// The iterator: name, info.
    fn next(lua: Lua) -> Outcome {
        let Some(folder) = lua.userdata::<Folder>(1) else {
            return Err(Error::wrong_type(1, Folder::NAME));
        };
        match folder.advance() {
            Some(entry) => {
                lua.push_bytes(entry.name.get(..entry.length).unwrap_or_default());
                push_info(lua, &entry.stat);
                Ok(Returns(2))
            }
            None => {
                folder.close();
                lua.push_nil();
                Ok(Returns(1))
            }
        }
    }

    /// The next entry that still exists.
    fn advance(&self) -> Option<Entry> {
        let mut entries = self.0.borrow_mut();
        let entries = entries.as_mut()?;
        loop {
            let mut name = [0; LONGEST_NAME];
            let length = {
                let entry = entries.next()?.ok()?;
                let bytes = entry.file_name().to_bytes();
                if bytes == b"." || bytes == b".." {
                    continue;
                }
                name.get_mut(..bytes.len())?.copy_from_slice(bytes);
                bytes.len()
            };
            let path = name.get(..length)?;
            let dir = calls::borrow(entries.as_raw_fd()).ok()?;
            let stat = match fstatat(dir, path, AtFlags::empty()) {
                // A dangling link, or one of a cycle, stands for itself.
                Err(Errno::ENOENT | Errno::ELOOP) => fstatat(dir, path, AtFlags::AT_SYMLINK_NOFOLLOW),
                other => other,
            };
            if let Ok(stat) = stat {
                return Some(Entry { name, length, stat });
            }
        }
    }

    fn close(&self) {
        *self.0.borrow_mut() = None;
    }

    fn close_method(lua: Lua) -> Outcome {
        if let Some(folder) = lua.userdata::<Folder>(1) {
            folder.close();
        }
        Ok(Returns(0))
    }
}

impl UserData for Folder {
    const NAME: &'static CStr = c"eco.folder";
    const METHODS: Functions = &[];
    const METAMETHODS: Functions = &[(c"__close", function(Folder::close_method))];
}
