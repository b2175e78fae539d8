//! What stands behind the table: each function is the runtime's of the same
//! name, found through the table's address.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use super::runtime::Runtime;
use super::stream::{Reader, Stream, Writer};
use crate::abi::{
    table, Abi, Alarm, Callback, Cause, Clock, Core, Handle, Interest, Nanoseconds, Parked,
    ReadFunction, ReaderMethod, Token, Watch, WorkFunction, WriteFunction, WriterMethod, VERSION,
};
use crate::lua::{Lua, Outcome, Returns};

/// Makes the table of the functions named in it.
macro_rules! fill {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) $(-> $ret:ty)?;)*) => {
        /// The table every runtime starts with.
        pub const TABLE: Abi = Abi {
            version: VERSION,
            size: size_of::<Abi>() as u32,
            $($name: {
                unsafe extern "C-unwind" fn call(this: *const Abi $(, $arg: $type)*) $(-> $ret)? {
                    // SAFETY: every table is the first field of a runtime. Callers got
                    // it from a live state and pass live objects of that state.
                    unsafe { (*this.cast::<Runtime>()).$name($($arg),*) }
                }
                call
            },)*
        };
    };
}

table!(fill);

/// The outcome of a method called as the tail of a function that owns nothing:
/// errors are raised here.
fn returns(lua: Lua, outcome: Outcome) -> Returns {
    match outcome {
        Ok(returns) => returns,
        Err(error) => Returns(lua.end_with(error)),
    }
}

/// Handles are made from readers and writers; whoever has one keeps them
/// reachable.
impl Runtime {
    fn core(&self) -> Core {
        // SAFETY: a runtime begins with its table.
        unsafe { Core::from_table(ptr::from_ref(self).cast()) }
    }

    fn main_loop(&self, lua: Lua, arguments: c_int) -> c_int {
        self.run_main_loop(lua, arguments)
            .map_or_else(|errno| -(errno as c_int), |()| 0)
    }

    fn timeout(&self, lua: Lua, index: c_int) -> Nanoseconds {
        lua.stream_timeout(index)
    }

    fn new_reader(
        &self,
        lua: Lua,
        fd: c_int,
        read: Option<ReadFunction>,
        context: *mut c_void,
    ) -> Handle {
        Reader::push(lua, self.core(), fd, read, context).cast()
    }

    fn reader_at(&self, lua: Lua, index: c_int) -> Handle {
        lua.userdata::<Reader>(index)
            .map_or(ptr::null(), |reader| ptr::from_ref(reader).cast())
    }

    unsafe fn reader_call(
        &self,
        lua: Lua,
        reader: Handle,
        method: ReaderMethod,
        first: c_int,
    ) -> Returns {
        // SAFETY: as stated at the top.
        returns(
            lua,
            unsafe { &*reader.cast::<Reader>() }.call(lua, method, first),
        )
    }

    unsafe fn reader_lend(&self, reader: Handle, length: &mut usize) -> *const u8 {
        // SAFETY: as stated at the top.
        unsafe { &*reader.cast::<Reader>() }.lend(length)
    }

    unsafe fn reader_return(&self, reader: Handle) {
        // SAFETY: as stated at the top.
        unsafe { &*reader.cast::<Reader>() }.take_back();
    }

    unsafe fn reader_consume(&self, reader: Handle, count: usize) {
        // SAFETY: as stated at the top.
        unsafe { &*reader.cast::<Reader>() }.consume(count);
    }

    unsafe fn reader_fill(&self, reader: Handle, want: usize) -> isize {
        // SAFETY: as stated at the top.
        unsafe { &*reader.cast::<Reader>() }.fill_for(want)
    }

    fn new_writer(
        &self,
        lua: Lua,
        fd: c_int,
        write: Option<WriteFunction>,
        context: *mut c_void,
    ) -> Handle {
        Writer::push(lua, self.core(), fd, write, context).cast()
    }

    fn writer_at(&self, lua: Lua, index: c_int) -> Handle {
        lua.userdata::<Writer>(index)
            .map_or(ptr::null(), |writer| ptr::from_ref(writer).cast())
    }

    unsafe fn writer_call(
        &self,
        lua: Lua,
        writer: Handle,
        method: WriterMethod,
        first: c_int,
    ) -> Returns {
        // SAFETY: as stated at the top.
        returns(
            lua,
            unsafe { &*writer.cast::<Writer>() }.call(lua, method, first),
        )
    }

    unsafe fn writer_send(&self, writer: Handle, data: *const u8, length: usize) -> isize {
        // SAFETY: as stated at the top; the data is a slice of the caller's.
        unsafe { (*writer.cast::<Writer>()).send(std::slice::from_raw_parts(data, length)) }
    }

    unsafe fn writer_send_file(
        &self,
        writer: Handle,
        file: c_int,
        offset: &mut i64,
        length: usize,
    ) -> isize {
        // SAFETY: as stated at the top.
        unsafe { &*writer.cast::<Writer>() }.send_file(file, offset, length)
    }

    unsafe fn stream_cancel(&self, stream: Handle) {
        // SAFETY: as stated at the top; both begin with their stream.
        unsafe { &*stream.cast::<Stream>() }.cancel();
    }

    unsafe fn stream_close(&self, stream: Handle) {
        // SAFETY: as above.
        unsafe { &*stream.cast::<Stream>() }.close();
    }

    unsafe fn stream_busy(&self, stream: Handle) -> c_int {
        // SAFETY: as above.
        unsafe { &*stream.cast::<Stream>() }.busy()
    }

    unsafe fn stream_error(&self, lua: Lua, stream: Handle) {
        // SAFETY: as above.
        unsafe { &*stream.cast::<Stream>() }.push_error(lua);
    }

    unsafe fn stream_fd(&self, stream: Handle) -> c_int {
        // SAFETY: as above.
        unsafe { &*stream.cast::<Stream>() }.fd()
    }
}
