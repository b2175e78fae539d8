//! A Lua state of its own, made after the one that asks for it: the same
//! libraries are found the same way.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::lua::{ffi, CFunction, Error, Lua, State};

/// What a new state takes over from its creator. Owns no Lua value.
#[derive(Default)]
pub struct Inheritance {
    path: Vec<u8>,
    cpath: Vec<u8>,
    /// Openers of modules by their names.
    preload: Vec<(Vec<u8>, CFunction)>,
    /// Scripts find `eco` without asking for it.
    has_global: bool,
}

impl Inheritance {
    /// That of the state at hand; None when there is no memory. Raises nothing,
    /// and leaves the stack as it was.
    pub fn of(lua: Lua) -> Option<Inheritance> {
        let top = lua.top();
        let made = Inheritance::read(lua);
        lua.set_top(top);
        made
    }

    fn read(lua: Lua) -> Option<Inheritance> {
        let mut made = Inheritance::default();
        if !lua.ensure(8) {
            return None;
        }
        let registry = ffi::LUA_REGISTRYINDEX;
        if raw_field(lua, registry, "_LOADED")? && raw_field(lua, -1, "package")? {
            let package = lua.top();
            for (name, place) in [("path", &mut made.path), ("cpath", &mut made.cpath)] {
                raw_field(lua, package, name)?;
                copy(lua.bytes(-1).unwrap_or_default(), place)?;
            }
        }
        if raw_field(lua, registry, "_PRELOAD")? {
            let table = lua.top();
            lua.push_nil();
            // The keys are the table's own, and nothing changes it meanwhile:
            // this raises nothing.
            while lua.next(table) {
                if let (Some(name), Some(function)) = (lua.bytes(-2), plain_function(lua)) {
                    let mut place = Vec::new();
                    copy(name, &mut place)?;
                    made.preload.try_reserve(1).ok()?;
                    made.preload.push((place, function));
                }
                lua.pop(1);
            }
        }
        lua.raw_get_index(registry, ffi::LUA_RIDX_GLOBALS as i64);
        made.has_global = raw_field(lua, -1, "eco")?;
        Some(made)
    }

    /// The opener of that module.
    pub fn preloaded(&self, name: &[u8]) -> Option<CFunction> {
        let is_it = |entry: &&(Vec<u8>, CFunction)| entry.0 == name;
        self.preload.iter().find(is_it).map(|entry| entry.1)
    }

    /// Gives it to a state that has the standard libraries. May raise.
    fn give(&self, lua: Lua) {
        lua.push_global(c"package");
        lua.set_bytes(-1, c"path", &self.path);
        lua.set_bytes(-1, c"cpath", &self.cpath);
        lua.get_field(ffi::LUA_REGISTRYINDEX, c"_PRELOAD");
        for (name, function) in &self.preload {
            lua.push_bytes(name);
            lua.push_closure(*function, 0);
            lua.raw_set(-3);
        }
        lua.pop(2);
        lua.require(c"eco");
        if self.has_global {
            lua.set_global(c"eco");
        } else {
            lua.pop(1);
        }
    }
}

/// Pushes a field without metamethods; false for nil, and None when there is no
/// memory for its name.
fn raw_field(lua: Lua, table: c_int, name: &str) -> Option<bool> {
    let table = lua.absolute(table);
    if lua.type_of(table) != ffi::LUA_TTABLE {
        lua.push_nil();
        return Some(false);
    }
    lua.try_push_bytes(name.as_bytes()).ok()?;
    Some(lua.raw_get(table) != ffi::LUA_TNIL)
}

fn copy(bytes: &[u8], place: &mut Vec<u8>) -> Option<()> {
    place.try_reserve_exact(bytes.len()).ok()?;
    place.extend_from_slice(bytes);
    Some(())
}

/// The C function on top, if it captures nothing.
fn plain_function(lua: Lua) -> Option<CFunction> {
    // SAFETY: looks at the value on top; what an upvalue pushes is popped.
    unsafe {
        let function = ffi::lua_tocfunction(lua.state(), -1)?;
        if ffi::lua_getupvalue(lua.state(), -1, 1).is_null() {
            return Some(function);
        }
        lua.pop(1);
    }
    None
}

/// Memory that a state may take.
struct Budget {
    limit: usize,
    used: usize,
}

/// Lua's allocator with a limit.
unsafe extern "C" fn allocate(
    context: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the context outlives its state, which one thread at a time uses.
    // Blocks come from the C library's allocator, as those of `luaL_newstate` do.
    unsafe {
        let budget = &mut *context.cast::<Budget>();
        let old = if block.is_null() { 0 } else { old };
        if new == 0 {
            budget.used = budget.used.saturating_sub(old);
            libc::free(block);
            return ptr::null_mut();
        }
        let used = budget.used.saturating_sub(old).saturating_add(new);
        // What shrinks is never refused.
        if new > old && used > budget.limit {
            return ptr::null_mut();
        }
        let moved = libc::realloc(block, new);
        if !moved.is_null() {
            budget.used = used;
        }
        moved
    }
}

/// A state that is closed when it is dropped.
pub struct OwnState {
    state: State,
    /// Freed after the state.
    budget: *mut Budget,
}

// SAFETY: a state may be used by any thread, one at a time.
unsafe impl Send for OwnState {}

impl OwnState {
    /// A new state that may take so many bytes, 0 for any number. None when there
    /// is no memory for it.
    pub fn new(limit: usize) -> Option<OwnState> {
        // SAFETY: a fresh state, which gets another allocator for the same
        // blocks before anything else is done with it.
        unsafe {
            let state = ffi::luaL_newstate();
            if state.is_null() {
                return None;
            }
            let mut made = OwnState {
                state,
                budget: ptr::null_mut(),
            };
            if limit > 0 {
                let used = ffi::lua_gc(state, ffi::LUA_GCCOUNT) as usize * 1024;
                made.budget = Box::into_raw(Box::new(Budget { limit, used }));
                ffi::lua_setallocf(state, allocate, made.budget.cast());
            }
            Some(made)
        }
    }

    pub fn lua(&self) -> Lua {
        // SAFETY: it lives as long as this value.
        unsafe { Lua::new(self.state) }
    }

    /// Opens the standard libraries and `eco`. An error value is on top if it fails.
    pub fn prepare(&self, inheritance: &Inheritance) -> Result<(), Error> {
        self.lua().protect(0, inheritance, |lua, inheritance| {
            lua.open_libraries();
            inheritance.give(lua);
        })
    }
}

impl Drop for OwnState {
    fn drop(&mut self) {
        // SAFETY: nobody uses the state any more, and after it the budget.
        unsafe {
            ffi::lua_close(self.state);
            if !self.budget.is_null() {
                drop(Box::from_raw(self.budget));
            }
        }
    }
}
