//! The table itself: each entry finds the runtime behind the table and calls
//! the function of the same name.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use super::runtime::Runtime;
use super::stream::{Reader, Stream, Writer};
use crate::abi::{
    Abi, Alarm, Cause, Clock, Core, Handle, Interest, Nanoseconds, Parked, ReadFunction,
    ReaderMethod, WorkFunction, WriteFunction, WriterMethod, VERSION,
};
use crate::lua::{Lua, Outcome, State};

type This = *const Abi;

/// Defines an entry of the table. Sound because callers got the table from a
/// live state (see `Core::open`) and pass live objects of that state.
macro_rules! entries {
    ($($name:ident($this:ident $(, $arg:ident: $type:ty)*) $(-> $ret:ty)? = $body:expr;)*) => {
        $(
            unsafe extern "C-unwind" fn $name($this: This $(, $arg: $type)*) $(-> $ret)? {
                // Not every entry looks at it.
                let _ = $this;
                // SAFETY: as stated at the macro.
                unsafe { $body }
            }
        )*
    };
}

unsafe fn runtime<'a>(this: This) -> &'a Runtime {
    // SAFETY: every table is the first field of a runtime.
    unsafe { &*this.cast::<Runtime>() }
}

/// The code `Reader::call` turns back into an outcome. Errors are raised here:
/// these functions are called as the tail of a function that owns nothing.
unsafe fn code(lua: Lua, outcome: Outcome) -> c_int {
    match outcome {
        Ok(returns) => returns.0,
        Err(error) => lua.end_with(error),
    }
}

entries! {
    park(this, state: State, operation: *const Parked, fd: c_int, interest: Interest, timeout: Nanoseconds) -> c_int =
        runtime(this).park(Lua::new(state), &*operation, fd, interest, timeout);
    restart_timeout(this, operation: *const Parked, timeout: Nanoseconds) =
        runtime(this).restart_timeout(&*operation, timeout);
    change_interest(this, operation: *const Parked, fd: c_int, interest: Interest) -> c_int =
        runtime(this).change_interest(&*operation, fd, interest);
    wake(this, operation: *const Parked, cause: Cause) = runtime(this).wake(&*operation, cause);
    forget(this, operation: *const Parked) = runtime(this).forget(&*operation);
    is_parked(this, operation: *const Parked) -> bool = runtime(this).is_parked(&*operation);
    is_busy(this, fd: c_int, interest: Interest) -> bool = runtime(this).is_busy(fd, interest);
    may_be_ready(this, fd: c_int, interest: Interest) -> bool = runtime(this).may_be_ready(fd, interest);
    drained(this, fd: c_int, interest: Interest) = runtime(this).drained(fd, interest);
    fd_reset(this, fd: c_int) = runtime(this).fd_reset(fd);
    spend(this, state: State) -> bool = runtime(this).spend(Lua::new(state));
    spawn(this, state: State, arguments: c_int) = runtime(this).spawn(Lua::new(state), arguments);
    main_loop(this, state: State) -> c_int =
        runtime(this).run_main_loop(Lua::new(state)).map_or_else(|errno| -(errno as c_int), |()| 0);
    set_alarm(this, alarm: *const Alarm, clock: Clock, at: Nanoseconds) -> c_int =
        runtime(this).set_alarm(&*alarm, clock, at);
    clear_alarm(this, alarm: *const Alarm) = runtime(this).clear_alarm(&*alarm);
    hold(this, change: c_int) = runtime(this).hold(change);
    offload(this, state: State, operation: *const Parked, run: WorkFunction, release: WorkFunction, context: *mut c_void) -> c_int =
        runtime(this).offload(Lua::new(state), &*operation, run, release, context);
    new_reader(this, state: State, fd: c_int, read: Option<ReadFunction>, context: *mut c_void) -> Handle =
        Reader::push(Lua::new(state), Core::from_table(this), fd, read, context).cast();
    reader_at(this, state: State, index: c_int) -> Handle =
        Lua::new(state).userdata::<Reader>(index).map_or(std::ptr::null(), |reader| std::ptr::from_ref(reader).cast());
    reader_call(this, state: State, handle: Handle, method: ReaderMethod, first: c_int) -> c_int = {
        let lua = Lua::new(state);
        code(lua, reader(handle).call(lua, method, first))
    };
    reader_buffered(this, handle: Handle, length: *mut usize) -> *const u8 =
        reader(handle).buffered(&mut *length);
    reader_consume(this, handle: Handle, count: usize) = reader(handle).consume(count);
    reader_fill(this, handle: Handle, want: usize) -> isize = reader(handle).fill_for(want);
    new_writer(this, state: State, fd: c_int, write: Option<WriteFunction>, context: *mut c_void) -> Handle =
        Writer::push(Lua::new(state), Core::from_table(this), fd, write, context).cast();
    writer_at(this, state: State, index: c_int) -> Handle =
        Lua::new(state).userdata::<Writer>(index).map_or(std::ptr::null(), |writer| std::ptr::from_ref(writer).cast());
    writer_call(this, state: State, handle: Handle, method: WriterMethod, first: c_int) -> c_int = {
        let lua = Lua::new(state);
        code(lua, writer(handle).call(lua, method, first))
    };
    writer_send(this, handle: Handle, data: *const u8, length: usize) -> isize =
        writer(handle).send(std::slice::from_raw_parts(data, length));
    writer_send_file(this, handle: Handle, file: c_int, offset: *mut i64, length: usize) -> isize =
        writer(handle).send_file(file, &mut *offset, length);
    timeout(this, state: State, index: c_int) -> Nanoseconds =
        Lua::new(state).stream_timeout(index);
    stream_cancel(this, handle: Handle) = stream(handle).cancel();
    stream_close(this, handle: Handle) = stream(handle).close();
    stream_check(this, handle: Handle) -> c_int = stream(handle).busy();
    stream_error(this, state: State, handle: Handle) = stream(handle).push_error(Lua::new(state));
    stream_fd(this, handle: Handle) -> c_int = stream(handle).fd.get();
}

unsafe fn reader<'a>(handle: Handle) -> &'a Reader {
    // SAFETY: handles are made from readers; their owners keep them reachable.
    unsafe { &*handle.cast::<Reader>() }
}

unsafe fn stream<'a>(handle: Handle) -> &'a Stream {
    // SAFETY: as below; the stream is the first field of both.
    unsafe { &*handle.cast::<Stream>() }
}

unsafe fn writer<'a>(handle: Handle) -> &'a Writer {
    // SAFETY: handles are made from writers; their owners keep them reachable.
    unsafe { &*handle.cast::<Writer>() }
}

/// The table every runtime starts with.
pub const TABLE: Abi = Abi {
    version: VERSION,
    size: size_of::<Abi>() as u32,
    park,
    restart_timeout,
    change_interest,
    wake,
    forget,
    is_parked,
    is_busy,
    may_be_ready,
    drained,
    fd_reset,
    spend,
    spawn,
    main_loop,
    set_alarm,
    clear_alarm,
    hold,
    offload,
    new_reader,
    reader_at,
    reader_call,
    reader_buffered,
    reader_consume,
    reader_fill,
    new_writer,
    writer_at,
    writer_call,
    writer_send,
    writer_send_file,
    stream_cancel,
    stream_close,
    stream_check,
    stream_error,
    stream_fd,
    timeout,
};
