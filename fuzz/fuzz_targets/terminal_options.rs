//! Option tables of `eco.serial` and attributes of `eco.termios`, of any values: calls answer or raise, and what was set
//! is what they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::lua::Lua;
use mlua::ffi;

thread_local! {
    static LUA: Lua = start();
}

/// A state with every module, and the function of the script in its first slot.
fn start() -> Lua {
    // SAFETY: a state of the thread's own that is never closed; what is pushed fits into the stack of a new one.
    let lua = unsafe {
        let state = ffi::luaL_newstate();
        ffi::luaL_openlibs(state);
        ffi::lua_getfield(state, ffi::LUA_REGISTRYINDEX, c"_PRELOAD".as_ptr());
        for (name, open) in lua_eco::MODULES {
            ffi::lua_pushcfunction(state, *open);
            ffi::lua_setfield(state, -2, name.as_ptr());
        }
        ffi::lua_settop(state, 0);
        Lua::new(state)
    };
    lua.push_chunk(c"=options", include_str!("../common/options.lua"));
    assert!(lua.try_call(0, 1), "{}", String::from_utf8_lossy(lua.to_bytes(-1)));
    lua
}

fuzz_target!(|input: &[u8]| {
    LUA.with(|lua| {
        lua.set_top(1);
        lua.push_value(1);
        lua.push_bytes(input);
        assert!(lua.try_call(1, 0), "{}", String::from_utf8_lossy(lua.to_bytes(-1)));
    });
});
