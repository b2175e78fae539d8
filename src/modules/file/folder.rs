//! `file.dir`: the entries of a folder, one per call.

use std::ffi::CStr;

use super::info::push_info;
use crate::abi::{fair, Core};
use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::file;

/// The folder a generic `for` walks through.
pub struct Folder(file::Folder);

impl Folder {
    /// Pushes what a generic `for` needs: iterator, folder, nil, folder; and
    /// why the folder could not be opened, if so.
    pub fn iterate(lua: Lua) -> Outcome {
        let path = match lua.c_string(1) {
            Ok(path) => Ok(path),
            Err(error) => Err(error.errno().ok_or(error)?),
        };
        let core = Core::of(lua);
        lua.push_function(function(fair(Folder::next)), core.pointer());
        let folder = lua
            .reserve::<Folder>(0, core.pointer())
            .fill(Folder(file::Folder::empty()));
        let opened = path.and_then(|path| folder.0.open(path));
        lua.push_nil();
        lua.push_value(-2);
        let Err(errno) = opened else {
            return Ok(Returns(4));
        };
        lua.push_errno(errno);
        Ok(Returns(5))
    }

    /// The iterator: name, info.
    fn next(lua: Lua) -> Outcome {
        let Some(folder) = lua.userdata::<Folder>(1) else {
            return Err(Error::wrong_type(1, Folder::NAME));
        };
        match folder.0.next(&mut [0; 256]) {
            Some((name, stat)) => {
                lua.push_bytes(name.to_bytes());
                push_info(lua, &stat);
                Ok(Returns(2))
            }
            None => {
                folder.0.close();
                lua.push_nil();
                Ok(Returns(1))
            }
        }
    }

    fn close_method(lua: Lua) -> Outcome {
        if let Some(folder) = lua.userdata::<Folder>(1) {
            folder.0.close();
        }
        Ok(Returns(0))
    }
}

impl UserData for Folder {
    const NAME: &'static CStr = c"eco.folder";
    const METHODS: Functions = functions! { __close: function(Folder::close_method) };

    fn finalise(&self, _lua: Lua) {
        self.0.close();
    }
}
