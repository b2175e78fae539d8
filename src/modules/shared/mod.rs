//! `eco.shared`: a dictionary in a file in memory, for several processes. What
//! is in the file is the business of [`crate::shared`]; every call takes a lock
//! that ends with its process, and gives up when somebody keeps it.

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use nix::errno::Errno;

use crate::abi::monotonic;
use crate::functions;
use crate::lua::{
    checked_duration, ffi, function, method, Error, Functions, Lua, Outcome, Returns, UserData,
};
use crate::shared::{Dict, Geometry, Kind, Number, Problem, Record};
use crate::system::map::{self, Map};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    const FUNCTIONS: Functions = functions! { new: function(new), get: function(get) };
    lua.push_module(FUNCTIONS, std::ptr::null());
    Ok(Returns(1))
}

const FOLDER: &CStr = c"/dev/shm";
const LONGEST_NAME: usize = 231;

/// How long a call waits for the lock, in nanoseconds; then it, and those after
/// it, take it at once or not at all, until one has it.
const PATIENCE: i64 = 500_000_000;

/// User value: the path of the file.
const PATH: c_int = 1;

/// A dictionary that is open.
struct Shared {
    /// -1 once closed.
    fd: Cell<c_int>,
    /// The process that opened it there: in a forked one it is opened anew, as
    /// a lock belongs to all that share what was opened.
    process: Cell<u32>,
    /// The process that created it, 0 if somebody else did.
    creator: u32,
    map: Map,
    geometry: Geometry,
    is_stuck: Cell<bool>,
}

impl UserData for Shared {
    const NAME: &'static CStr = c"struct eco_shared *";
    const METHODS: Functions = functions! {
        set: method(set),
        get: method(get_value),
        del: method(del),
        incr: method(incr),
        ttl: method(ttl),
        expire: method(expire),
        get_keys: method(get_keys),
        flush_all: method(flush_all),
        close: method(close),
        __close: method(close),
    };

    fn finalise(&self, lua: Lua) {
        self.close_now(lua);
    }
}

impl Shared {
    /// Closes it; whoever created it removes the file, too.
    fn close_now(&self, lua: Lua) {
        let fd = self.fd.replace(-1);
        if fd < 0 {
            return;
        }
        self.map.close();
        if self.creator == std::process::id() {
            lua.get_user_value(1, PATH);
            // Not another one that took its name.
            if let Ok(path) = lua.c_string(-1) {
                if map::is_at(fd, path) {
                    map::unlink(path);
                }
            }
            lua.pop(1);
        }
        map::close(fd);
    }

    /// Runs `work` on the dictionary while its lock is held: no call of Lua's
    /// that may raise.
    fn locked<R>(&self, work: impl FnOnce(&Dict) -> R) -> Result<R, Error> {
        let (mut work, mut result) = (Some(work), None);
        self.hold(&mut |dict| result = work.take().map(|work| work(dict)))?;
        result.ok_or(Error::failure(Errno::EIO))
    }

    /// Runs `work` while the lock is held, if the file is whole: once for all calls, for its weight.
    #[inline(never)]
    fn hold(&self, work: &mut dyn FnMut(&Dict)) -> Result<(), Error> {
        let fd = self.own_fd()?;
        let patience = if self.is_stuck.get() { 0 } else { PATIENCE };
        let taken = map::lock(fd, patience);
        self.is_stuck.set(taken == Err(Errno::EAGAIN));
        taken.map_err(Error::failure)?;
        let area = self.geometry.area();
        let allocate = |up_to: u32| map::allocate(fd, area, up_to.into()).is_ok();
        // Beyond the end of a file that somebody cut, an access ends the process.
        let is_whole = map::size(fd).is_ok_and(|size| size >= self.geometry.length());
        if is_whole {
            work(&Dict::new(&self.map, self.geometry, &allocate));
        }
        map::unlock(fd);
        Ok(())
    }

    /// The descriptor, opened by this process.
    fn own_fd(&self) -> Result<c_int, Error> {
        let (fd, process) = (self.fd.get(), std::process::id());
        if fd < 0 {
            return Err(Error::failure(Errno::EBADF));
        }
        if process == self.process.get() {
            return Ok(fd);
        }
        let new = map::reopen(fd).map_err(Error::failure)?;
        map::close(fd);
        self.fd.set(new);
        self.process.set(process);
        Ok(new)
    }
}

/// Pushes the path of the dictionary that argument 1 names; false, with `nil,
/// message` pushed, for a name that is none. May raise.
fn push_path(lua: Lua) -> Result<bool, Error> {
    let name = lua.c_string(1)?.to_bytes();
    let message = if name.contains(&b'/') {
        "invalid name"
    } else if name.len() > LONGEST_NAME {
        "name too long"
    } else {
        lua.push_str("/dev/shm/eco-shared-");
        lua.push_value(1);
        lua.push_str(".shm");
        lua.concat(3);
        return Ok(true);
    };
    lua.push_nil();
    lua.push_str(message);
    Ok(false)
}

/// `new(name, size)` -> dictionary, or nil and a message.
fn new(lua: Lua) -> Outcome {
    lua.string(1)?;
    let size = lua.integer(2)?;
    if size <= 0 {
        return Err(Error::argument(2, "size must be great than 0"));
    }
    if !push_path(lua)? {
        return Ok(Returns(2));
    }
    let Ok(size) = u32::try_from(size) else {
        return lua.fail_errno(Errno::EFBIG);
    };
    push_dictionary(lua, std::process::id(), &|path, made| {
        let geometry = Geometry::new(size);
        let fd = map::create(FOLDER, geometry.length())?;
        made.fd = fd;
        map::allocate(fd, 0, geometry.area())?;
        made.map.open(
            fd,
            usize::try_from(geometry.length()).map_err(|_| Errno::EFBIG)?,
        )?;
        geometry.write(&made.map).ok_or(Errno::EIO)?;
        made.geometry = Ok(geometry);
        map::publish(fd, path)
    })
}

/// `get(name)` -> dictionary, or nil and a message.
fn get(lua: Lua) -> Outcome {
    if !push_path(lua)? {
        return Ok(Returns(2));
    }
    push_dictionary(lua, 0, &|path, made| {
        let (fd, size) = map::open(path)?;
        made.fd = fd;
        let size = usize::try_from(size).map_err(|_| Errno::EFBIG)?;
        if size > 0 {
            made.map.open(fd, size)?;
            made.geometry = Geometry::read(&made.map);
        }
        Ok(())
    })
}

/// What a dictionary is made of.
struct Made {
    fd: c_int,
    map: Map,
    geometry: Result<Geometry, Problem>,
}

type Make<'a> = &'a dyn Fn(&CStr, &mut Made) -> Result<(), Errno>;

/// Pushes the dictionary whose path is on top. May raise.
fn push_dictionary(lua: Lua, creator: u32, make: Make<'_>) -> Outcome {
    let path = lua.top();
    let slot = lua.reserve::<Shared>(1, std::ptr::null());
    let failure = {
        let mut made = Made {
            fd: -1,
            map: Map::empty(),
            geometry: Err(Problem::TooSmall),
        };
        let result = lua.c_string(path).map(|path| make(path, &mut made));
        match (result, made.geometry) {
            (Ok(Ok(())), Ok(geometry)) => {
                slot.fill(Shared {
                    fd: Cell::new(made.fd),
                    process: Cell::new(std::process::id()),
                    creator,
                    map: made.map,
                    geometry,
                    is_stuck: Cell::new(false),
                });
                None
            }
            (result, geometry) => {
                map::close(made.fd);
                Some((result, geometry.err()))
            }
        }
    };
    match failure {
        None => {
            lua.push_value(path);
            lua.set_user_value(-2, PATH);
            Ok(Returns(1))
        }
        Some((Err(error), _)) => Err(error),
        Some((Ok(Err(errno)), _)) => lua.fail_errno(errno),
        Some((Ok(Ok(())), problem)) => lua.fail(match problem {
            Some(Problem::NoHeader) => "invalid shared memory header",
            _ => "invalid shared memory file",
        }),
    }
}

/// When something expires that does in so many seconds, argument `index`: 0 is
/// never. None when the argument is absent.
fn expiry(lua: Lua, index: c_int, now: i64) -> Result<Option<i64>, Error> {
    if lua.is_none_or_nil(index) {
        return Ok(None);
    }
    let seconds = lua.number(index)?;
    if !seconds.is_finite() {
        return Err(Error::argument(index, "exptime must be finite"));
    }
    Ok(Some(match checked_duration(seconds) {
        None | Some(0) => 0,
        Some(time) => now.saturating_add(time),
    }))
}

/// Ends with true, or without a value.
fn found(lua: Lua, found: bool) -> Outcome {
    if !found {
        return Ok(Returns(0));
    }
    lua.push_bool(true);
    Ok(Returns(1))
}

/// `set(key, value [, exptime])` -> true, or nil and a message.
fn set(lua: Lua, this: &Shared) -> Outcome {
    let key = lua.string(2)?;
    if key.is_empty() {
        return Err(Error::argument(2, "invalid key"));
    }
    let now = monotonic();
    let expiry = expiry(lua, 4, now)?.unwrap_or(0);
    let number;
    let (kind, value): (Kind, &[u8]) = match lua.type_of(3) {
        ffi::LUA_TBOOLEAN => (Kind::Boolean, if lua.to_bool(3) { &[1] } else { &[0] }),
        ffi::LUA_TSTRING => (Kind::String, lua.to_bytes(3)),
        ffi::LUA_TNUMBER if lua.is_integer(3) => {
            number = lua.to_integer(3).unwrap_or(0).to_ne_bytes();
            (Kind::Integer, &number)
        }
        ffi::LUA_TNUMBER => {
            number = lua.to_number(3).unwrap_or(0.0).to_ne_bytes();
            (Kind::Float, &number)
        }
        _ => return lua.fail("bad value type (only string/number/boolean)"),
    };
    match this.locked(|dict| dict.set(key, kind, value, expiry, now))? {
        Ok(()) => found(lua, true),
        Err(_) => lua.fail("no memory"),
    }
}

/// Bytes of a number.
fn eight(dict: &Dict, record: &Record) -> Option<[u8; 8]> {
    let mut bytes = [0; 8];
    dict.value(record, &mut bytes)?;
    (record.value == 8).then_some(bytes)
}

/// `get(key)` -> value, or none.
fn get_value(lua: Lua, this: &Shared) -> Outcome {
    lua.set_top(2);
    let key = lua.string(2)?;
    let now = monotonic();
    let mut short = [0; 128];
    // A value that is longer has room of its own, as long as it does not grow
    // between two looks.
    let mut room: &mut [u8] = &mut short;
    loop {
        let found = this.locked(|dict| {
            let record = dict.get(key, now)?;
            let length = room.len().min(record.value as usize);
            dict.value(&record, &mut room[..length])?;
            Some(record)
        })?;
        let Some(record) = found else {
            return Ok(Returns(0));
        };
        let length = record.value as usize;
        let Some(value) = room.get(..length) else {
            lua.set_top(2);
            room = lua.push_zeros(length);
            continue;
        };
        let number = value.first_chunk().filter(|_| length == 8);
        match (record.kind(), number) {
            (Some(Kind::Boolean), _) => {
                lua.push_bool(value.first().is_some_and(|&value| value != 0))
            }
            (Some(Kind::Float), Some(bytes)) => lua.push_number(f64::from_ne_bytes(*bytes)),
            (Some(Kind::Integer), Some(bytes)) => lua.push_integer(i64::from_ne_bytes(*bytes)),
            (Some(Kind::String), _) => lua.push_bytes(value),
            _ => return lua.fail("corrupted number value"),
        }
        return Ok(Returns(1));
    }
}

/// `del(key)` -> whether it was there.
fn del(lua: Lua, this: &Shared) -> Outcome {
    let key = lua.string(2)?;
    let was_there = this.locked(|dict| dict.remove(key, monotonic()))?;
    lua.push_bool(was_there);
    Ok(Returns(1))
}

/// What `incr` came to.
enum Counted {
    Missing,
    NoNumber,
    Corrupted,
    Done,
}

/// `incr(key, delta [, exptime])` -> the new number; none when it is missing, nil
/// and a message when it is no number.
fn incr(lua: Lua, this: &Shared) -> Outcome {
    let key = lua.string(2)?;
    if !lua.number(3)?.is_finite() {
        return Err(Error::argument(3, "delta must be finite"));
    }
    let now = monotonic();
    let new_expiry = expiry(lua, 4, now)?;
    if lua.type_of(3) != ffi::LUA_TNUMBER {
        match lua.to_integer(3) {
            Some(value) => lua.push_integer(value),
            None => lua.push_number(lua.number(3)?),
        }
        lua.replace(3);
    }
    let result = this.locked(|dict| {
        let Some(record) = dict.get(key, now) else {
            return Counted::Missing;
        };
        if !matches!(record.kind(), Some(Kind::Float | Kind::Integer)) {
            return Counted::NoNumber;
        }
        let Some(bytes) = eight(dict, &record) else {
            return Counted::Corrupted;
        };
        // Lua adds: nothing of this can raise.
        let old = i64::from_ne_bytes(bytes);
        if record.kind() == Some(Kind::Integer) {
            lua.push_integer(old);
            let delta = lua.to_integer(3).filter(|_| lua.is_integer(3));
            if delta.is_some_and(|delta| old.checked_add(delta).is_none()) {
                lua.pop(1);
                lua.push_number(old as f64);
            }
        } else {
            lua.push_number(f64::from_ne_bytes(bytes));
        }
        lua.push_value(3);
        lua.add();
        let number = if lua.is_integer(-1) {
            Number::Integer(lua.to_integer(-1).unwrap_or(0))
        } else {
            Number::Float(lua.to_number(-1).unwrap_or(0.0))
        };
        let expiry = new_expiry.unwrap_or(record.expiry);
        match dict.replace(&record, number, expiry) {
            Some(()) => Counted::Done,
            None => Counted::Corrupted,
        }
    })?;
    match result {
        Counted::Missing => Ok(Returns(0)),
        Counted::NoNumber => lua.fail("not a number"),
        Counted::Corrupted => lua.fail("corrupted number value"),
        Counted::Done => Ok(Returns(1)),
    }
}

/// `ttl(key)` -> seconds that are left, 0.0 for ever; none when it is missing.
fn ttl(lua: Lua, this: &Shared) -> Outcome {
    let key = lua.string(2)?;
    let now = monotonic();
    let Some(record) = this.locked(|dict| dict.get(key, now))? else {
        return Ok(Returns(0));
    };
    let left = match record.expiry {
        0 => 0,
        expiry => (expiry - now).max(0),
    };
    lua.push_integer(left);
    lua.push_integer(1_000_000_000);
    lua.divide();
    Ok(Returns(1))
}

/// `expire(key, exptime)` -> true; none when it is missing.
fn expire(lua: Lua, this: &Shared) -> Outcome {
    let key = lua.string(2)?;
    let now = monotonic();
    lua.number(3)?;
    let expiry = expiry(lua, 3, now)?.unwrap_or(0);
    let done = this.locked(|dict| dict.expire(key, expiry, now))?;
    found(lua, done)
}

/// Bytes of the length in front of a key.
const LENGTH: usize = size_of::<u32>();

/// `get_keys()` -> array.
fn get_keys(lua: Lua, this: &Shared) -> Outcome {
    lua.set_top(1);
    let now = monotonic();
    let mut room: &mut [u8] = &mut [];
    let (mut needed, mut count);
    loop {
        (needed, count) = this.locked(|dict| {
            let (mut at, mut count) = (0, 0);
            dict.each(now, &mut |record| {
                let start = at + LENGTH;
                at = start + record.key as usize;
                count += 1;
                // Each key behind its length, as far as there is room.
                if let Some((length, key)) = room
                    .get_mut(start - LENGTH..at)
                    .and_then(|part| part.split_first_chunk_mut())
                {
                    *length = record.key.to_ne_bytes();
                    if dict.key(record, key).is_none() {
                        key.fill(0);
                    }
                }
            });
            (at, count)
        })?;
        if needed <= room.len() {
            break;
        }
        lua.set_top(1);
        // There may be more of them at the second look.
        room = lua.push_zeros(needed + needed / 8);
    }
    lua.push_table(count, 0);
    let mut rest = room.get(..needed).unwrap_or_default();
    let mut index = 0;
    while let Some((length, keys)) = rest.split_first_chunk() {
        let Some((key, others)) = keys.split_at_checked(u32::from_ne_bytes(*length) as usize)
        else {
            break;
        };
        index += 1;
        lua.push_bytes(key);
        lua.raw_set_index(-2, index);
        rest = others;
    }
    Ok(Returns(1))
}

/// `flush_all()`
fn flush_all(_: Lua, this: &Shared) -> Outcome {
    this.locked(|dict| dict.clear())?;
    Ok(Returns(0))
}

/// `close()`
fn close(lua: Lua, this: &Shared) -> Outcome {
    this.close_now(lua);
    Ok(Returns(0))
}
