//! The codec with Lua.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void, CStr};
use std::sync::Arc;

use super::codec::{self, Options};
use super::{Message, Share, Shareable, Shared};
use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns, UserData};

/// A state, with how many allocations it may still make.
struct State {
    lua: Lua,
    left: Box<Cell<usize>>,
}

unsafe extern "C" fn allocate(
    left: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the counter outlives the state; the block is of the C library.
    unsafe {
        let left = &*left.cast::<Cell<usize>>();
        if new == 0 {
            libc::free(block);
            return std::ptr::null_mut();
        }
        if block.is_null() || new > old {
            match left.get().checked_sub(1) {
                None => return std::ptr::null_mut(),
                Some(less) => left.set(less),
            }
        }
        libc::realloc(block, new)
    }
}

const TRUSTED: Options = Options::DEFAULT;
const STRANGER: Options = Options {
    is_trusted: false,
    ..TRUSTED
};
const NAMED: Options = Options {
    by_name: true,
    ..TRUSTED
};

const FUNCTIONS: Functions = functions! {
    encode: function(|lua: Lua| encode(lua, &TRUSTED)),
    decode: function(|lua: Lua| decode(lua, &TRUSTED)),
    encode_plain: function(|lua: Lua| encode(lua, &STRANGER)),
    decode_plain: function(|lua: Lua| decode(lua, &STRANGER)),
    encode_named: function(|lua: Lua| encode(lua, &NAMED)),
    decode_named: function(|lua: Lua| decode(lua, &NAMED)),
    encode_short: function(|lua: Lua| encode(lua, &Options { limit: 100, ..TRUSTED })),
    encode_shallow: function(|lua: Lua| encode(lua, &Options { depth: 3, ..TRUSTED })),
    copy: function(copy),
    counted: function(counted),
};

fn encode(lua: Lua, options: &Options) -> Outcome {
    let message = codec::encode(lua, 1, lua.top(), options)?;
    assert!(message.objects.is_empty(), "objects want a copy");
    lua.try_push_bytes(&message.bytes)?;
    Ok(Returns(1))
}

fn decode(lua: Lua, options: &Options) -> Outcome {
    let bytes = lua.string(1)?;
    let top = lua.top();
    let count = codec::decode_bytes(lua, bytes, options)?;
    assert_eq!(lua.top(), top + count);
    Ok(Returns(count))
}

/// `copy(...)` -> what passes of it.
fn copy(lua: Lua) -> Outcome {
    let top = lua.top();
    let message = codec::encode(lua, 1, top, &TRUSTED)?;
    assert_eq!(lua.top(), top);
    Ok(Returns(codec::decode(lua, &message, &TRUSTED)?))
}

/// A thing that is shared.
struct Thing(&'static str);

struct Handle(Arc<Thing>);

impl UserData for Handle {
    const NAME: &'static CStr = c"test.thing";
    const METHODS: Functions = functions! {
        name: crate::lua::method(|lua: Lua, this: &Handle| {
            lua.push_str(this.0.0);
            Ok(Returns(1))
        }),
    };
}

impl Share for Thing {
    const NAME: &'static CStr = c"thing";

    fn push(this: &Arc<Thing>, lua: Lua) {
        let slot = lua.reserve::<Handle>(0, std::ptr::null());
        slot.fill(Handle(Arc::clone(this)));
    }
}

impl Shareable for Handle {
    fn shared(&self) -> Option<Shared> {
        (self.0 .0 != "closed").then(|| Shared::new(Arc::clone(&self.0)))
    }
}

thread_local!(static THINGS: [Arc<Thing>; 2] = [Arc::new(Thing("open")), Arc::new(Thing("closed"))]);

fn thing(place: usize) -> Arc<Thing> {
    THINGS.with(|things| Arc::clone(&things[place]))
}

/// `counted(n)` -> a handle of thing n.
fn counted(lua: Lua) -> Outcome {
    let place = lua.within(1, 0, 1)? as usize;
    lua.share::<Handle>(std::ptr::null());
    let slot = lua.reserve::<Handle>(0, std::ptr::null());
    slot.fill(Handle(thing(place)));
    Ok(Returns(1))
}

impl State {
    fn new() -> State {
        let left = Box::new(Cell::new(usize::MAX));
        let data = std::ptr::from_ref::<Cell<usize>>(&left).cast_mut().cast();
        // SAFETY: a new state, which is closed before the counter goes.
        let lua = unsafe {
            let state = ffi::lua_newstate(allocate, data);
            ffi::luaL_openlibs(state);
            Lua::new(state)
        };
        for (name, function) in FUNCTIONS.each() {
            lua.push_bytes(name);
            lua.push_closure(function, 0);
            lua.raw_get_index(ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
            lua.insert(-3);
            lua.raw_set(-3);
            lua.pop(1);
        }
        State { lua, left }
    }

    /// Runs a chunk that gives one value, and leaves that; or gives the message.
    fn try_run(&self, text: &str) -> Result<(), String> {
        let lua = self.lua;
        lua.push_chunk(c"=test", text);
        if lua.try_call(0, 1) {
            return Ok(());
        }
        let message = String::from_utf8_lossy(lua.to_bytes(-1)).into_owned();
        lua.pop(1);
        Err(message)
    }

    fn run(&self, text: &str) {
        self.try_run(text)
            .unwrap_or_else(|message| panic!("{message}\n{text}"));
        self.lua.pop(1);
    }

    /// The message a chunk ends with.
    fn error(&self, text: &str) -> String {
        self.try_run(text).expect_err(text)
    }

    /// The message of the value of an expression.
    fn message(&self, text: &str) -> Message {
        self.try_run(&format!("return {text}")).unwrap();
        let message = codec::encode(self.lua, -1, 1, &TRUSTED);
        self.lua.pop(1);
        message.map_err(|_| "not encoded").unwrap()
    }

    /// Sets global `it` to the value of a message.
    fn receive(&self, message: &Message) {
        let count = codec::decode(self.lua, message, &TRUSTED);
        assert_eq!(count.map_err(|_| "not decoded"), Ok(1));
        self.lua.set_global(c"it");
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.left.set(usize::MAX);
        // SAFETY: nothing uses the state any more.
        unsafe { ffi::lua_close(self.lua.state()) };
    }
}

#[test]
fn plain_values_come_back() {
    State::new().run(
        "local values = table.pack(nil, true, false, 0, 63, 64, -1, 1 << 62, math.mininteger, math.maxinteger,
            0.0, -0.0, 1.5, 1 / 0, -1 / 0, 2^53, '', 'a', ('x'):rep(63), ('x'):rep(64), ('\\0\\xff'):rep(5000), nil)
        for _, pair in ipairs { { encode, decode }, { encode_plain, decode_plain } } do
            local back = table.pack(pair[2](pair[1](table.unpack(values, 1, values.n))))
            assert(back.n == values.n, back.n)
            for i = 1, values.n do
                assert(rawequal(back[i], values[i]) and math.type(back[i]) == math.type(values[i]), i)
            end
            assert(1 / back[12] < 0)
        end
        local nan = copy(0 / 0)
        assert(nan ~= nan)
        assert(select('#', copy()) == 0)
        assert(select('#', copy(nil, nil)) == 2)",
    );
}

#[test]
fn tables_keep_their_shape() {
    State::new().run(
        "local function same(a, b)
            if type(a) ~= 'table' then return rawequal(a, b) end
            for k, v in pairs(a) do if not same(v, b[k]) then return false, k end end
            for k in pairs(b) do if a[k] == nil then return false, k end end
            return true
        end
        local holes = { 1, nil, 3, nil, nil, 6 }
        local backwards = {}
        for i = 100, 1, -1 do backwards[i] = i end
        local mixed = { 1, 2, 3, x = 1, [-1] = 2, [0] = 3, [2.5] = 4, [true] = 5, [math.maxinteger] = 6, y = { z = {} } }
        local sparse = { [1] = 1, [1000000] = 2 }
        for i, value in ipairs { {}, { 1 }, { {} }, holes, backwards, mixed, sparse, { { { { {} } } } } } do
            assert(same(value, copy(value)), i)
        end
        -- Tables and functions as keys.
        local key = { 'key' }
        local back = copy { [key] = { [{ {} }] = 1 }, key = key }
        assert(type(back[back.key]) == 'table' and next((next(back[back.key]))) == 1)
        local f = function() return 7 end
        for k, v in pairs(copy { [f] = f }) do assert(k == v and k() == 7) end
        -- Identity, across values.
        local t = {}
        t.self, t[1], t[t] = t, { t }, t
        local a, b = copy(t, t)
        assert(a == b and a.self == a and a[1][1] == a and a[a] == a and a ~= t)
        local x = { 1 }
        local l = copy { x, x, { x } }
        assert(l[1] == l[2] and l[3][1] == l[1])
        assert(getmetatable(copy(setmetatable({}, { __index = t }))) == nil)",
    );
}

/// Whether Lua checks itself: then it copies its stack at every call.
fn is_slow() -> bool {
    std::env::var_os("ECO_SANITIZED").is_some()
}

#[test]
fn long_lists_are_no_matter_of_the_c_stack() {
    let length = if is_slow() { 3000 } else { 90000 };
    State::new().run(&format!(
        "local list
        for i = 1, {length} do list = {{ next = list, i = i }} end
        local back, count = copy(list), 0
        while back do
            count = count + 1
            assert(back.i == {length} + 1 - count)
            back = back.next
        end
        assert(count == {length})"
    ));
}

#[test]
fn depth_and_length_have_limits() {
    let state = State::new();
    if !is_slow() {
        state.run(
            "local list
            for i = 1, 110000 do list = { next = list } end
            local ok, message = pcall(copy, list)
            assert(not ok and message:find('nested too deep'), message)",
        );
    }
    state.run(
        "local ok, message = pcall(encode_shallow, { { { {} } } })
        assert(not ok and message:find('nested too deep'), message)
        encode_shallow { { {} } }
        ok, message = pcall(encode_short, ('x'):rep(97))
        assert(not ok and message:find('too long'), message)
        assert(#encode_short(('x'):rep(95)) == 100)",
    );
}

#[test]
fn functions_bring_their_upvalues() {
    State::new().run(
        "local n, none, t = 1, nil, { 5 }
        local function count() n = n + 1; return n, none, t[1] end
        local f = copy(count)
        local a, b, c = f()
        assert(a == 2 and b == nil and c == 5 and n == 1)
        assert(select(1, f()) == 3)
        -- The same one, twice.
        local p, q = copy(count, count)
        assert(p == q)
        -- Variables stay shared, also where a function is in a variable of its own.
        local function get() return n end
        local both = copy { count, get }
        both[1]()
        assert(both[2]() == 2 and n == 1)
        local function factorial(i) return i < 2 and 1 or i * factorial(i - 1) end
        assert(copy(factorial)(10) == 3628800)
        local even, odd
        function even(i) return i == 0 or odd(i - 1) end
        function odd(i) return i ~= 0 and even(i - 1) end
        local e, o = copy(even, odd)
        assert(e(10) and o(9) and not e(7))
        do
            local cell = {}
            local holder = { set = function(v) cell = v end, get = function() return cell end }
            cell.holder = holder
            local back = copy(holder)
            assert(back.get().holder == back)
            back.set(3)
            assert(back.get() == 3)
        end
        -- The globals are those of whoever calls.
        x = 'global'
        assert(copy(function() return x end)() == 'global')
        assert(copy(_G) == _G)
        local env = { y = 9 }
        assert(copy(load('return y', 'chunk', 't', env))() == 9)
        -- What a function says of itself is kept.
        local ok, message = pcall(copy(function() error('here') end))
        assert(message:find('^test:%d+: here'), message)
        -- As many upvalues as there can be.
        local text = {}
        for i = 1, 200 do text[i] = ('local v%d = %d'):format(i, i) end
        text[#text + 1] = 'return function() return 0'
        for i = 1, 200 do text[#text + 1] = '+ v' .. i end
        text[#text + 1] = 'end'
        assert(copy(load(table.concat(text, ' ', 1, 200) .. ' ' .. table.concat(text, ' ', 201))())() == 20100)",
    );
}

#[test]
fn functions_work_in_another_state() {
    let (first, second) = (State::new(), State::new());
    second.run("where = 'second'");
    let message = first.message(
        "(function()
            where = 'first'
            local n = 0
            return { up = function() n = n + 1 return n, where end, get = function() return n end, globals = _G }
        end)()",
    );
    second.receive(&message);
    second.run(
        "local n, place = it.up()
        assert(n == 1 and place == 'second' and it.get() == 1 and it.globals == _G)
        it.up()
        assert(it.get() == 2)",
    );
    // A message is good for any number of receivers.
    first.receive(&message);
    first.run("local n, place = it.up() assert(n == 1 and place == 'first')");
}

#[test]
fn modules_and_what_they_hold_pass_by_name() {
    State::new().run(
        "local insert, own = table.insert, { 1 }
        package.loaded.own = own
        local f = function(t) insert(t, math.pi); return t, own end
        local ok, message = pcall(encode, f)
        assert(not ok and message:find(\"attempt to persist a C function 'insert'\", 1, true), message)
        local g = decode_named(encode_named(f))
        local t, module = g {}
        assert(t[1] == math.pi and module == own)
        -- Data is copied all the same.
        assert(decode_named(encode_named(own)) ~= own)
        assert(decode_named(encode_named(print)) == print)
        local bytes = encode_named(f)
        package.loaded.own, package.preload.own = nil, nil
        ok, message = pcall(decode_named, bytes)
        assert(not ok and message:find(\"module 'own' not found\", 1, true), message)
        package.loaded.odd = { f = coroutine.wrap(print) }
        bytes = encode_named(package.loaded.odd.f)
        package.loaded.odd = { f = 1 }
        ok, message = pcall(decode_named, bytes)
        assert(not ok and message:find(\"odd holds no function 'f'\", 1, true), message)
        package.loaded.odd = nil
        ok, message = pcall(encode_named, coroutine.wrap(print))
        assert(not ok and message:find(\"attempt to persist a C function '(null)'\", 1, true), message)",
    );
}

#[test]
fn hooks_make_what_replaces_the_object() {
    let state = State::new();
    state.run(
        "local meta = {}
        function meta.__codec(obj)
            return function(payload) return { made = payload, from = where } end, obj.data
        end
        where = 'here'
        local shared = { 1 }
        local obj = setmetatable({ data = { 'payload', shared } }, meta)
        local list = copy { obj, obj, shared, { obj } }
        assert(list[1] == list[2] and list[4][1] == list[1])
        assert(list[1].made[1] == 'payload' and list[1].from == 'here' and list[1].data == nil)
        -- References into the payload, and past it.
        assert(list[1].made[2] == list[3])
        -- By name: from the globals; the registry comes first.
        function rebuild(payload) return payload and payload * 2 end
        local by_name = setmetatable({}, { __codec = function() return 'rebuild', 21 end })
        assert(copy(by_name) == 42)
        debug.getregistry().rebuild = function(payload) return payload * 3 end
        assert(copy(by_name) == 63)
        debug.getregistry().rebuild = nil
        -- Nothing, and something that stands for it twice.
        local none = setmetatable({}, { __codec = function() return 'rebuild', nil end })
        assert(select('#', copy(none, none)) == 2 and copy(none) == nil)
        -- Hooks in payloads.
        local outer = setmetatable({}, { __codec = function() return 'rebuild2', { by_name, by_name } end })
        function rebuild2(payload) return payload[1] + payload[2] end
        assert(copy(outer) == 84)
        local as_key = copy { [by_name] = by_name }
        assert(as_key[42] == 42)
        -- Temporary payloads are kept apart.
        local many = {}
        for i = 1, 300 do
            many[i] = setmetatable({}, { __codec = function()
                collectgarbage()
                return 'identity', { { i } }
            end })
        end
        function identity(payload) return payload end
        for i, payload in ipairs(copy(many)) do assert(payload[1][1] == i) end",
    );
    let cases = [
        (
            "copy(setmetatable({}, { __codec = function() return 'no.such', 1 end }))",
            "failed to find a valid decoder for `no.such'",
        ),
        (
            "copy(setmetatable({}, { __codec = function() return {}, 1 end }))",
            "__codec must return either a function or a string",
        ),
        (
            "copy(setmetatable({}, { __codec = function() end }))",
            "__codec must return either a function or a string",
        ),
        (
            "copy(setmetatable({}, { __codec = function(obj) return 'rebuild', { obj } end }))",
            "__codec payload refers to",
        ),
        (
            "copy(setmetatable({}, { __codec = function() error('own') end }))",
            "test:1: own",
        ),
        (
            "copy(setmetatable({}, { __codec = 5 }))",
            "attempt to call a number value",
        ),
        (
            "coroutine.wrap(copy)(setmetatable({}, { __codec = coroutine.yield }))",
            "attempt to yield across a C-call boundary",
        ),
        (
            "copy { [setmetatable({}, { __codec = function() return 'rebuild', nil end })] = 1 }",
            "index is nil",
        ),
    ];
    for (text, expected) in cases {
        let message = state.error(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn what_does_not_pass_is_named() {
    let state = State::new();
    let cases = [
        (
            "encode(coroutine.create(print))",
            "cannot encode a `thread'",
        ),
        ("encode { { x = io.stdout } }", "cannot encode userdata"),
        (
            "encode(print)",
            "test:1: attempt to persist a C function 'print'",
        ),
        (
            "encode { f = coroutine.wrap(print) }",
            "attempt to persist a C function '(null)'",
        ),
        ("encode_plain(function() end)", "untrusted"),
        ("encode_plain(_G)", "untrusted"),
        (
            "encode_plain(setmetatable({}, { __codec = print }))",
            "untrusted",
        ),
        ("decode_plain(encode(function() end))", "untrusted"),
        ("decode()", "bad argument #1"),
        ("decode {}", "bad argument #1"),
        ("decode ''", "bad code"),
        ("decode 'hello'", "bad code"),
        ("decode(encode(1) .. 'x')", "bad code"),
        // Bytecode that is none.
        (
            "local s = encode(function() end) decode((s:gsub('\\27Lua', '\\27Luo')))",
            "failed to load chunk",
        ),
    ];
    for (text, expected) in cases {
        let message = state.error(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn things_are_shared_and_counted() {
    let before = Arc::strong_count(&thing(0));
    let message = {
        let state = State::new();
        state.run("local t = counted(0) local a, b = copy(t, { t }) assert(a == b[1] and a:name() == 'open')");
        let error = state.error("copy(counted(1))");
        assert!(error.contains("cannot encode userdata"), "{error}");
        state.message("(function() local t = counted(0) return { t, t, counted(0) } end)()")
    };
    assert_eq!(message.objects.len(), 2);
    assert_eq!(message.objects[0].name(), c"thing");
    assert_eq!(Arc::strong_count(&thing(0)), before + 2);
    {
        let other = State::new();
        other.receive(&message);
        other.run("assert(it[1] == it[2] and it[1] ~= it[3] and it[3]:name() == 'open')");
        assert_eq!(Arc::strong_count(&thing(0)), before + 4);
        // Bytes without their objects.
        let bytes = Message {
            bytes: message.bytes.clone(),
            objects: Vec::new(),
        };
        assert!(codec::decode(other.lua, &bytes, &TRUSTED).is_err());
    }
    assert_eq!(Arc::strong_count(&thing(0)), before + 2);
    let clone = message.objects[0].clone();
    drop(message);
    assert_eq!(Arc::strong_count(&thing(0)), before + 1);
    drop(clone);
    assert_eq!(Arc::strong_count(&thing(0)), before);
}

/// A message of everything there is.
const EVERYTHING: &str = "(function()
    local n, t = 1, { 1, 2, { x = 'y' }, [5.5] = true }
    t.t = t
    local f = function() n = n + 1 return n, t, string.format end
    return { f, function() return n end, t, 'text', -5, 2.5, false, ('long'):rep(30), _G,
        setmetatable({}, { __codec = function() return 'tostring', t end }) }
end)()";

#[test]
fn no_beginning_of_a_message_is_one() {
    let state = State::new();
    let message = state.message(EVERYTHING);
    for length in 0..message.bytes.len() {
        let top = state.lua.top();
        let result = codec::decode_bytes(state.lua, &message.bytes[..length], &TRUSTED);
        assert!(result.is_err(), "{length}");
        state.lua.set_top(top);
    }
    state.receive(&message);
}

#[test]
fn changed_messages_of_strangers_do_no_harm() {
    let state = State::new();
    let bytes = state
        .message(
            "{ 1, 2, { x = 'y', [1.5] = {}, [true] = { {}, 'longer text' } }, -7, ('z'):rep(70) }",
        )
        .bytes;
    for place in 0..bytes.len() {
        for byte in 0..=u8::MAX {
            let mut changed = bytes.clone();
            changed[place] = byte;
            let top = state.lua.top();
            let _ = codec::decode_bytes(state.lua, &changed, &STRANGER);
            state.lua.set_top(top);
        }
    }
}

#[test]
fn memory_that_runs_out_is_an_error_and_nothing_is_lost() {
    let before = Arc::strong_count(&thing(0));
    {
        let state = State::new();
        let lua = state.lua;
        let text = EVERYTHING.replace("return { f,", "return { counted(0), f,");
        state.try_run(&format!("return {text}")).unwrap();
        let mut failures = 0;
        for left in 0.. {
            let top = lua.top();
            state.left.set(left);
            let message = codec::encode(lua, top, 1, &TRUSTED);
            let done = message.and_then(|message| codec::decode(lua, &message, &TRUSTED));
            state.left.set(usize::MAX);
            match done {
                Ok(count) => {
                    assert_eq!((count, lua.top()), (1, top + 1));
                    break;
                }
                Err(_) => failures += 1,
            }
            lua.set_top(top);
            // SAFETY: a full collection of a live state.
            unsafe { ffi::lua_gc(lua.state(), ffi::LUA_GCCOLLECT, 0) };
            assert_eq!(Arc::strong_count(&thing(0)), before + 1, "{left}");
        }
        assert!(failures > 20, "{failures}");
    }
    assert_eq!(Arc::strong_count(&thing(0)), before);
}

/// The error of a problem has its words, on top or in itself.
#[test]
fn errors_leave_the_stack_as_it_was() {
    let state = State::new();
    let lua = state.lua;
    lua.push_integer(1);
    state.try_run("return io.stdout").unwrap();
    let result: Result<_, Error> = codec::encode(lua, -2, 2, &TRUSTED);
    let message = result.err().and_then(Error::message);
    assert_eq!(message, Some(&b"cannot encode userdata"[..]));
    assert_eq!(lua.top(), 2);
    let result = codec::decode_bytes(lua, b"\x01\x00\x02\x02", &TRUSTED);
    assert!(result.is_err());
    assert_eq!(lua.top() as c_int, 2);
}
