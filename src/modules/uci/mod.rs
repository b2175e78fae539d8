//! `eco.uci`: OpenWrt's configuration, over the crate `uci`.
//!
//! A cursor is userdata. Arguments are read before its configuration is borrowed; while it is, Lua is called in
//! protected calls only. A finaliser that comes back to a cursor at work finds it busy.

mod address;
mod change;
mod tables;

use std::cell::{RefCell, RefMut};
use std::ffi::{c_int, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use uci::{Cursor, Lookup, ParseError};

use crate::lua::{function, method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::{functions, lua_source};

/// How long a call waits for files that others have locked: it stops the whole process, and no honest user of a
/// configuration holds a lock for long.
const PATIENCE: Duration = Duration::from_secs(10);

const FUNCTIONS: Functions = functions! { cursor: function(cursor) };

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = std::ptr::null();
    lua.push_chunk(c"=eco.uci", lua_source!("foreach.lua"));
    lua.push_methods::<Context>(core);
    lua.call(1, 0);
    lua.push_module(FUNCTIONS, core);
    Ok(Returns(1))
}

/// A cursor; nothing once it is closed.
struct Context(RefCell<Option<Cursor>>);

impl UserData for Context {
    const NAME: &'static CStr = c"struct uci_context *";
    const METHODS: Functions = functions! {
        load: method(load),
        unload: method(unload),
        get: method(tables::get),
        get_all: method(tables::get_all),
        each: method(tables::each),
        walk: method(tables::walk),
        add: method(change::add),
        set: method(change::set),
        rename: method(change::rename),
        delete: method(change::delete),
        reorder: method(change::reorder),
        save: method(change::save),
        commit: method(change::commit),
        revert: method(change::revert),
        list_configs: method(list_configs),
        get_confdir: method(get_config_dir),
        get_savedir: method(get_save_dir),
        set_confdir: method(set_config_dir),
        set_savedir: method(set_save_dir),
        close: method(close),
        __close: method(close),
    };
}

/// `cursor([confdir [, savedir]])`.
fn cursor(lua: Lua) -> Outcome {
    let given = lua.top();
    if given > 2 {
        return Err("Invalid args".into());
    }
    let folder = |index| match index <= given {
        true => lua_folder(&lua, index).map(Some),
        false => Ok(None),
    };
    let (config_dir, save_dir) = (folder(1)?, folder(2)?);
    let context = lua.reserve(0, std::ptr::null());
    let mut cursor = Cursor::new();
    cursor.set_lock_timeout(Some(PATIENCE));
    if let Some(folder) = config_dir {
        cursor.set_config_dir(folder);
    }
    if let Some(folder) = save_dir {
        cursor.set_save_dir(folder);
    }
    context.fill(Context(RefCell::new(Some(cursor))));
    Ok(Returns(1))
}

/// Argument `index` as the path of a folder.
fn lua_folder(lua: &Lua, index: c_int) -> Result<&Path, Error> {
    let path = lua.c_string(index)?;
    Ok(Path::new(OsStr::from_bytes(path.to_bytes())))
}

impl Context {
    /// The configuration, for the running call.
    fn cursor(&self) -> Result<RefMut<'_, Cursor>, Error> {
        let Ok(cursor) = self.0.try_borrow_mut() else {
            return Err("UCI context is in use".into());
        };
        RefMut::filter_map(cursor, Option::as_mut).map_err(|_| "UCI context closed".into())
    }
}

/// Why an operation failed, without what the crate's error owns.
#[derive(Clone, Copy)]
struct Failure {
    text: &'static str,
    place: Option<ParseError>,
}

const INVALID: Failure = Failure {
    text: uci::Kind::Invalid.text(),
    place: None,
};
const NOT_FOUND: Failure = Failure {
    text: uci::Kind::NotFound.text(),
    place: None,
};

impl From<uci::Error> for Failure {
    #[cold]
    #[inline(never)]
    fn from(error: uci::Error) -> Failure {
        Failure {
            text: error.kind().text(),
            place: match error {
                uci::Error::Parse { error, .. } => Some(error),
                _ => None,
            },
        }
    }
}

impl Failure {
    /// Pushes the message. May raise.
    fn push(self, lua: Lua) {
        lua.push_str("uci: ");
        lua.push_str(self.text);
        let Some(place) = self.place else {
            lua.concat(2);
            return;
        };
        lua.push_str(" (");
        lua.push_str(place.reason.text());
        lua.push_str(") at line ");
        lua.push_integer(place.line as i64);
        lua.push_str(", byte ");
        lua.push_integer(place.byte as i64);
        lua.concat(8);
    }

    /// Ends a call with nil and the message.
    #[cold]
    fn end(self, lua: Lua) -> Outcome {
        lua.push_nil();
        self.push(lua);
        Ok(Returns(2))
    }
}

/// Ends a call that tells its success: true, or false and why.
fn status(lua: Lua, result: Result<(), Failure>) -> Outcome {
    lua.push_bool(result.is_ok());
    match result {
        Ok(()) => Ok(Returns(1)),
        Err(failure) => {
            failure.push(lua);
            Ok(Returns(2))
        }
    }
}

/// A name that only text can be.
fn text(name: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(name).map_err(|_| INVALID)
}

/// The package that argument 2 is about: what stands before the first dot.
fn package<'a>(lua: &'a Lua, this: &Context) -> Result<Result<&'a str, Failure>, Error> {
    this.cursor()?;
    Ok(Lookup::package(lua.string(2)?).map_err(Failure::from))
}

/// `load(package)`.
fn load(lua: Lua, this: &Context) -> Outcome {
    this.cursor()?;
    let name = text(lua.string(2)?);
    let loaded = {
        let mut cursor = this.cursor()?;
        name.and_then(|name| Ok(cursor.load(name).map(|_| ())?))
    };
    status(lua, loaded)
}

/// `unload(package)`.
fn unload(lua: Lua, this: &Context) -> Outcome {
    let name = package(&lua, this)?;
    let unloaded = {
        let mut cursor = this.cursor()?;
        name.is_ok_and(|name| cursor.unload(name))
    };
    lua.push_bool(unloaded);
    Ok(Returns(1))
}

/// `list_configs()`.
fn list_configs(lua: Lua, this: &Context) -> Outcome {
    let names = this.cursor()?.list_configs();
    let pushed = match &names {
        Err(_) => Ok(()),
        Ok(names) => lua.protect(1, names, |lua, names| {
            lua.push_table(names.len().min(c_int::MAX as usize) as c_int, 0);
            for (index, name) in (1..).zip(names) {
                lua.push_str(name);
                lua.raw_set_index(-2, index);
            }
        }),
    };
    let found = names.map(|_| ()).map_err(Failure::from);
    pushed?;
    match found {
        Ok(()) => Ok(Returns(1)),
        failed => status(lua, failed),
    }
}

/// `get_confdir()`.
fn get_config_dir(lua: Lua, this: &Context) -> Outcome {
    push_folder(lua, this.cursor()?.config_dir())
}

/// `get_savedir()`.
fn get_save_dir(lua: Lua, this: &Context) -> Outcome {
    push_folder(lua, this.cursor()?.save_dir())
}

fn push_folder(lua: Lua, folder: &Path) -> Outcome {
    lua.try_push_bytes(folder.as_os_str().as_bytes())?;
    Ok(Returns(1))
}

/// `set_confdir(folder)`.
fn set_config_dir(lua: Lua, this: &Context) -> Outcome {
    set_folder(&lua, this, |cursor, folder| cursor.set_config_dir(folder))
}

/// `set_savedir(folder)`.
fn set_save_dir(lua: Lua, this: &Context) -> Outcome {
    set_folder(&lua, this, |cursor, folder| cursor.set_save_dir(folder))
}

fn set_folder(lua: &Lua, this: &Context, set: fn(&mut Cursor, &Path)) -> Outcome {
    this.cursor()?;
    let folder = match lua_folder(lua, 2) {
        Ok(folder) => folder,
        Err(error) if error.errno().is_some() => return status(*lua, Err(INVALID)),
        Err(error) => return Err(error),
    };
    set(&mut *this.cursor()?, folder);
    status(*lua, Ok(()))
}

/// `close()`.
fn close(_: Lua, this: &Context) -> Outcome {
    match this.0.try_borrow_mut() {
        Ok(mut cursor) => *cursor = None,
        Err(_) => return Err("UCI context is in use".into()),
    }
    Ok(Returns(0))
}
