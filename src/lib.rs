//! lua-eco: a coroutine runtime for Lua 5.4 on Linux.
//!
//! One crate, one cargo feature per Lua module; `package/packages.toml` says
//! which features make up which shared object. Start reading at
//! [`abi`] (what modules see of the scheduler) or [`lua`] (the border to Lua).

pub mod abi;
#[cfg(any(
    feature = "base64",
    feature = "websocket",
    feature = "hash-argon2",
    feature = "postgres"
))]
pub mod base64;
#[cfg(feature = "core")]
pub mod core;
#[cfg(feature = "gzip")]
pub mod deflate;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "gzip")]
pub mod gzip;
#[cfg(any(
    feature = "http-url",
    feature = "http-server",
    feature = "http-client",
    feature = "websocket"
))]
pub mod http;
#[cfg(feature = "nl80211")]
pub mod ieee80211;
#[cfg(feature = "json")]
pub mod json;
pub mod lua;
pub mod modules;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "netlink", feature = "ip", feature = "nl80211"))]
pub mod netlink;
#[cfg(feature = "node")]
pub mod node;
#[cfg(any(feature = "packet", feature = "net"))]
pub mod packet;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "shared")]
pub mod shared;
#[cfg(feature = "states")]
pub mod states;
pub mod system;
#[cfg(feature = "ssl")]
pub mod tls;
#[cfg(feature = "websocket")]
pub mod websocket;

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
    "dns" c"eco.dns" luaopen_eco_dns = modules::dns::open;
    "dns" c"eco.internal.dns" luaopen_eco_internal_dns = modules::dns::open_internal;
    "netlink" c"eco.nl" luaopen_eco_nl = modules::nl::open;
    "netlink" c"eco.internal.nl" luaopen_eco_internal_nl = modules::nl::open_internal;
    "netlink" c"eco.core.nl" luaopen_eco_core_nl = modules::nl::open_internal;
    "netlink" c"eco.genl" luaopen_eco_genl = modules::nl::open_genl;
    "netlink" c"eco.internal.genl" luaopen_eco_internal_genl = modules::nl::open_internal_genl;
    "netlink" c"eco.core.genl" luaopen_eco_core_genl = modules::nl::open_internal_genl;
    "netlink" c"eco.rtnl" luaopen_eco_rtnl = modules::nl::open_rtnl;
    "nl80211" c"eco.nl80211" luaopen_eco_nl80211 = modules::nl80211::open;
    "nl80211" c"eco.internal.nl80211" luaopen_eco_internal_nl80211 = modules::nl80211::open_internal;
    "nl80211" c"eco.core.nl80211" luaopen_eco_core_nl80211 = modules::nl80211::open_internal;
    "ip" c"eco.ip" luaopen_eco_ip = modules::ip::open;
    "net" c"eco.net" luaopen_eco_net = modules::net::open;
    "ssl" c"eco.ssl" luaopen_eco_ssl = modules::ssl::open;
    "log" c"eco.log" luaopen_eco_log = modules::log::open;
    "cli" c"eco.cli" luaopen_eco_cli = modules::cli::open;
    "base64" c"eco.encoding.base64" luaopen_eco_encoding_base64 = modules::base64::open;
    "gzip" c"eco.encoding.gzip" luaopen_eco_encoding_gzip = modules::gzip::open;
    "gzip" c"eco.internal.deflate" luaopen_eco_internal_deflate = modules::gzip::open_messages;
    "json" c"eco.encoding.json" luaopen_eco_encoding_json = modules::json::open;
    "hash-md5" c"eco.hash.md5" luaopen_eco_hash_md5 = modules::hash::open_md5;
    "hash-sha1" c"eco.hash.sha1" luaopen_eco_hash_sha1 = modules::hash::open_sha1;
    "hash-sha256" c"eco.hash.sha256" luaopen_eco_hash_sha256 = modules::hash::open_sha256;
    "hash-hmac" c"eco.hash.hmac" luaopen_eco_hash_hmac = modules::hash::hmac::open;
    "hash-argon2" c"eco.hash.argon2" luaopen_eco_hash_argon2 = modules::hash::argon2::open;
    "http-url" c"eco.http.url" luaopen_eco_http_url = modules::http::url::open;
    "ubus" c"eco.ubus" luaopen_eco_ubus = modules::ubus::open;
    "uci" c"eco.uci" luaopen_eco_uci = modules::uci::open;
    "websocket" c"eco.websocket" luaopen_eco_websocket = modules::websocket::open;
    "http-client" c"eco.http.client" luaopen_eco_http_client = modules::http::client::open;
    "http-server" c"eco.http.server" luaopen_eco_http_server = modules::http::server::open;
    "lunet" c"lunet" luaopen_lunet = modules::lunet::open;
    "lunet" c"lunet.internal.waits" luaopen_lunet_internal_waits = modules::lunet::open_waits;
    "lunet" c"lunet.socket" luaopen_lunet_socket = modules::lunet::open_socket;
    "lunet" c"lunet.udp" luaopen_lunet_udp = modules::lunet::open_udp;
    "lunet" c"lunet.fs" luaopen_lunet_fs = modules::lunet::open_fs;
    "lunet" c"lunet.signal" luaopen_lunet_signal = modules::lunet::open_signal;
    "lunet" c"lunet.internal.launcher" luaopen_lunet_internal_launcher = modules::lunet::open_launcher;
    "lunet" c"lunet.internal.trace" luaopen_lunet_internal_trace = modules::lunet::open_trace;
    "lunet" c"lunet.db" luaopen_lunet_db = modules::lunet::open_db;
    "sqlite3" c"eco.sqlite3" luaopen_eco_sqlite3 = modules::sqlite3::open;
    "sqlite3" c"lunet.sqlite3" luaopen_lunet_sqlite3 = modules::sqlite3::open_lunet;
    "sqlite3" c"lunet.sqlite3_tx" luaopen_lunet_sqlite3_tx = modules::sqlite3::open_lunet_tx;
    "mysql" c"eco.mysql" luaopen_eco_mysql = modules::mysql::open;
    "mysql" c"lunet.mysql" luaopen_lunet_mysql = modules::mysql::open_lunet;
    "mysql" c"lunet.mysql_tx" luaopen_lunet_mysql_tx = modules::mysql::open_transactions;
    "postgres" c"eco.postgres" luaopen_eco_postgres = modules::postgres::open;
    "postgres" c"lunet.postgres" luaopen_lunet_postgres = modules::postgres::open_lunet;
    "postgres" c"lunet.postgres_tx" luaopen_lunet_postgres_tx = modules::postgres::open_transactions;
    "packet" c"eco.packet" luaopen_eco_packet = modules::packet::open;
    "shared" c"eco.shared" luaopen_eco_shared = modules::shared::open;
    "mqtt" c"eco.mqtt" luaopen_eco_mqtt = modules::mqtt::open;
    "termios" c"eco.termios" luaopen_eco_termios = modules::termios::open;
    "serial" c"eco.serial" luaopen_eco_serial = modules::serial::open;
    "asio" c"asio" luaopen_asio = modules::asio::open;
    "asio" c"bit" luaopen_bit = modules::asio::bit::open;
    "asio" c"table.new" luaopen_table_new = modules::asio::open_table_new;
    "thread" c"eco.thread" luaopen_eco_thread = modules::thread::open;
    "node" c"node-lua" luaopen_node = modules::node::open;
    "luv" c"luv" luaopen_luv = modules::luv::open;
    "zmq" c"luv.zmq" luaopen_luv_zmq = modules::zmq::open;
    "ssh" c"eco.ssh" luaopen_eco_ssh = modules::ssh::open;
}
