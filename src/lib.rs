//! lua-eco: a coroutine runtime for Lua 5.4 on Linux.
//!
//! One crate, one cargo feature per Lua module; `package/packages.toml` says
//! which features make up which shared object. Start reading at
//! [`abi`] (what modules see of the scheduler) or [`lua`] (the border to Lua).

pub mod abi;
#[cfg(feature = "base64")]
pub mod base64;
#[cfg(feature = "core")]
pub mod core;
#[cfg(any(feature = "http-url", feature = "http-server"))]
pub mod http;
#[cfg(feature = "json")]
pub mod json;
pub mod lua;
pub mod modules;
pub mod system;

use std::ffi::CStr;

use lua::CFunction;

/// Declares the modules of a build: feature, name in Lua, exported symbol,
/// function that pushes the module.
macro_rules! modules {
    ($($feature:literal $name:literal $symbol:ident = $open:expr;)*) => {
        $(
            /// Opens the module of that name.
            ///
            /// # Safety
            ///
            /// Called by Lua's `require` with a live state.
            #[cfg(feature = $feature)]
            #[allow(unsafe_code)]
            #[no_mangle]
            pub unsafe extern "C-unwind" fn $symbol(state: lua::State) -> std::ffi::c_int {
                const OPEN: CFunction = lua::function($open);
                // SAFETY: Lua called us as it would call `OPEN` itself.
                unsafe { OPEN(state) }
            }
        )*

        /// Every module of this build, for `package.preload`.
        pub const MODULES: &[(&CStr, CFunction)] = &[
            $(
                #[cfg(feature = $feature)]
                ($name, $symbol),
            )*
        ];
    };
}

modules! {
    "core" c"eco" luaopen_eco = modules::eco::open;
    "time" c"eco.time" luaopen_eco_time = modules::time::open;
    "time" c"eco.internal.time" luaopen_eco_internal_time = modules::time::open_internal;
    "sync" c"eco.sync" luaopen_eco_sync = modules::sync::open;
    "sync" c"eco.internal.sync" luaopen_eco_internal_sync = modules::sync::open_internal;
    "channel" c"eco.channel" luaopen_eco_channel = modules::channel::open;
    "sys" c"eco.sys" luaopen_eco_sys = modules::sys::open;
    "sys" c"eco.internal.sys" luaopen_eco_internal_sys = modules::sys::open_internal;
    "file" c"eco.file" luaopen_eco_file = modules::file::open;
    "file" c"eco.internal.file" luaopen_eco_internal_file = modules::file::open_internal;
    "bufio" c"eco.bufio" luaopen_eco_bufio = modules::bufio::open;
    "hex" c"eco.encoding.hex" luaopen_eco_encoding_hex = modules::hex::open;
    "core" c"eco.internal.socket" luaopen_eco_internal_socket = modules::socket_stub::open;
    "socket" c"eco.socket" luaopen_eco_socket = modules::socket::open;
    "log" c"eco.log" luaopen_eco_log = modules::log::open;
    "cli" c"eco.cli" luaopen_eco_cli = modules::cli::open;
    "base64" c"eco.encoding.base64" luaopen_eco_encoding_base64 = modules::base64::open;
    "json" c"eco.encoding.json" luaopen_eco_encoding_json = modules::json::open;
    "hash-md5" c"eco.hash.md5" luaopen_eco_hash_md5 = modules::hash::open_md5;
    "hash-sha1" c"eco.hash.sha1" luaopen_eco_hash_sha1 = modules::hash::open_sha1;
    "hash-sha256" c"eco.hash.sha256" luaopen_eco_hash_sha256 = modules::hash::open_sha256;
    "hash-hmac" c"eco.hash.hmac" luaopen_eco_hash_hmac = modules::hash::hmac::open;
    "http-url" c"eco.http.url" luaopen_eco_http_url = modules::http::url::open;
    "http-server" c"eco.http.server" luaopen_eco_http_server = modules::http::server::open;
}
