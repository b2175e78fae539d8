//! Lua source inside the binary: stripped by the build script, compiled when its module is loaded.

/// The Lua source file of that name, wherever it is in `src/`: the build script refuses two of one name. For
/// [`Lua::push_chunk`](super::Lua::push_chunk).
#[macro_export]
macro_rules! lua_source {
    ($file:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $file))
    };
}

#[cfg(test)]
#[path = "strip.rs"]
mod strip;
