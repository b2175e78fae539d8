//! `file.dir`: the entries of a folder, one per call.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{fstatat, FileStat};

use super::calls;
use super::info::push_info;
use crate::abi::Core;
use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns, UserData};

/// An open folder; null at its end.
pub struct Folder(Cell<*mut libc::DIR>);

impl Folder {
    /// Pushes what a generic `for` needs: iterator, folder, nil, folder; and
    /// why the folder could not be opened, if so.
    pub fn iterate(lua: Lua) -> Outcome {
        let path = lua.c_string(1)?;
        let core = Core::of(lua);
        lua.push_function(function(Folder::next), core.pointer());
        let folder = lua
            .reserve::<Folder>(0, core.pointer())
            .fill(Folder(Cell::new(ptr::null_mut())));
        // SAFETY: the path ends with NUL.
        folder.0.set(unsafe { libc::opendir(path.as_ptr()) });
        let errno = Errno::last();
        lua.push_nil();
        lua.push_value(-2);
        if !folder.0.get().is_null() {
            return Ok(Returns(4));
        }
        lua.push_errno(errno);
        Ok(Returns(5))
    }

    /// The iterator: name, info.
    fn next(lua: Lua) -> Outcome {
        let Some(folder) = lua.userdata::<Folder>(1) else {
            return Err(Error::wrong_type(1, Folder::NAME));
        };
        match folder.advance() {
            Some((name, stat)) => {
                lua.push_bytes(name.to_bytes());
                push_info(lua, &stat);
                Ok(Returns(2))
            }
            None => {
                folder.close();
                lua.push_nil();
                Ok(Returns(1))
            }
        }
    }

    /// The next entry that still exists; the name is good until the next call.
    fn advance(&self) -> Option<(&CStr, FileStat)> {
        let dir = self.0.get();
        if dir.is_null() {
            return None;
        }
        loop {
            // SAFETY: an open folder of ours; the entry lives until the next
            // call, and its name ends with NUL.
            let name = unsafe { CStr::from_ptr(libc::readdir(dir).as_ref()?.d_name.as_ptr()) };
            if name == c"." || name == c".." {
                continue;
            }
            // SAFETY: as above.
            let fd = calls::borrow(unsafe { libc::dirfd(dir) }).ok()?;
            let stat = match fstatat(fd, name, AtFlags::empty()) {
                // A dangling link, or one of a cycle, stands for itself.
                Err(Errno::ENOENT | Errno::ELOOP) => {
                    fstatat(fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
                }
                other => other,
            };
            if let Ok(stat) = stat {
                return Some((name, stat));
            }
        }
    }

    fn close(&self) {
        let dir = self.0.replace(ptr::null_mut());
        if !dir.is_null() {
            // SAFETY: open, and nobody uses it from here on.
            unsafe { libc::closedir(dir) };
        }
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
    const METHODS: Functions = functions! { __close: function(Folder::close_method) };

    fn finalise(&self, _lua: Lua) {
        self.close();
    }
}
