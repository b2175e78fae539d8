//! HTTP for Lua: `eco.http.url`, `eco.http.client` and `eco.http.server`. The protocol
//! itself is in [`crate::http`].

#[cfg(feature = "http-client")]
pub mod client;
#[cfg(feature = "http-server")]
pub mod server;
#[cfg(feature = "http-url")]
pub mod url;

/// Push a header name as it is looked up: in lower case. May raise.
#[cfg(any(feature = "http-client", feature = "http-server"))]
fn push_name(lua: crate::lua::Lua, name: &[u8]) {
    let mut room = [0; 48];
    match room.get_mut(..name.len()) {
        Some(short) => {
            short.copy_from_slice(name);
            short.make_ascii_lowercase();
            lua.push_bytes(short);
        }
        None => lua.push_filled(name.len(), &mut |long| {
            long.copy_from_slice(name);
            long.make_ascii_lowercase();
        }),
    }
}
