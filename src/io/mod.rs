//! Non-blocking building blocks that modules share.

#[cfg(feature = "core")]
mod buffer;
#[cfg(any(feature = "time", feature = "sync", feature = "channel"))]
mod fields;
#[cfg(any(feature = "sync", feature = "channel"))]
mod queue;
#[cfg(feature = "core")]
mod reader;
#[cfg(feature = "core")]
mod stream;
#[cfg(feature = "core")]
mod wait;
#[cfg(feature = "core")]
mod writer;

#[cfg(feature = "core")]
pub use buffer::Buffer;
#[cfg(any(feature = "time", feature = "sync", feature = "channel"))]
pub use fields::push_method;
#[cfg(any(feature = "sync", feature = "channel"))]
pub use queue::{Owner, Queue, Waiter};
#[cfg(feature = "core")]
pub use reader::Reader;
#[cfg(feature = "core")]
pub use stream::Stream;
#[cfg(feature = "core")]
pub use wait::{is_ready, Io};
#[cfg(feature = "core")]
pub use writer::Writer;

use crate::core::{duration, Nanoseconds};
use crate::lua::{Error, Lua};
use std::ffi::c_int;

/// The timeout argument of stream operations: seconds at `index`; anything but
/// a positive number means for ever.
pub fn stream_timeout(lua: Lua, index: c_int) -> Nanoseconds {
    lua.to_number(index).map_or(0, duration)
}

/// The timeout argument of other waits: None is for ever, zero and less is
/// `Some(0)` and fails at once.
pub fn wait_timeout(
    lua: Lua,
    index: c_int,
    default: Option<Nanoseconds>,
) -> Result<Option<Nanoseconds>, Error> {
    if lua.is_none_or_nil(index) {
        return Ok(default);
    }
    lua.number(index).map(|seconds| Some(duration(seconds)))
}
