//! The `eco` interpreter: Lua 5.4 whose main chunk runs in a coroutine.
//!
//! The scheduler and the modules come from this binary when they are built in
//! (`eco-static`), otherwise from `eco.so` and its neighbours. The start-up
//! code of Rust's std is left out: a C `main` needs none of it.
#![no_main]
#![allow(unsafe_code)]

use std::env::consts::ARCH;
use std::ffi::{c_char, c_int, CStr};
use std::os::fd::AsRawFd;

use lua_eco::abi::{Core, PROMPT};
use lua_eco::lua::{ffi, function, report, text, Error, Lua, Outcome, Returns};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// The words of the command line.
#[derive(Clone, Copy)]
struct Words(&'static [*const c_char]);

impl Words {
    fn get(self, index: usize) -> Option<&'static CStr> {
        // SAFETY: the system passes C strings that live as long as the process.
        self.0
            .get(index)
            .map(|word| unsafe { CStr::from_ptr(*word) })
    }

    /// The interpreter as typed.
    fn program(self) -> &'static CStr {
        self.get(0).unwrap_or(c"eco")
    }
}

/// What the command line asks for.
#[derive(Clone, Copy)]
enum Action {
    Usage,
    Version,
    /// `-e`: statements.
    Statement(&'static [u8]),
    /// The position of a script's name; `-` is standard input.
    Script(usize),
    Prompt,
}

/// Why a command line is refused.
enum Refusal {
    /// No script, and nobody to prompt.
    Nothing,
    UnknownOption(u8),
    /// `-e` without a statement.
    NoStatement,
    /// What is behind `--`.
    UnknownWord(&'static [u8]),
    /// `--dump-on` without the name of a signal.
    NoSignal,
}

/// What the options say besides.
#[derive(Clone, Copy, Default)]
struct Settings {
    /// `--dump-on`: 0 for no signal.
    dump_on: c_int,
}

/// Signals by name, with or without `SIG`: those that `--dump-on` takes.
const SIGNALS: &[(&[u8], c_int)] = &[
    (b"USR1", libc::SIGUSR1),
    (b"USR2", libc::SIGUSR2),
    (b"QUIT", libc::SIGQUIT),
    (b"HUP", libc::SIGHUP),
    (b"WINCH", libc::SIGWINCH),
];

fn signal_named(word: &[u8]) -> Option<c_int> {
    let name = word.strip_prefix(b"SIG").unwrap_or(word);
    SIGNALS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// Reads the options, getopt style: they stop at the first other word.
fn parse(words: Words, settings: &mut Settings) -> Result<Action, Refusal> {
    let mut statement = None;
    let mut prompt = false;
    let mut index = 1;
    while let Some(word) = words.get(index) {
        let Some((b'-', options)) = word.to_bytes().split_first() else {
            break;
        };
        if options.is_empty() {
            break;
        }
        index += 1;
        if options == b"-" {
            break;
        }
        if let Some(word) = options.strip_prefix(b"-") {
            let signal = match word.strip_prefix(b"dump-on") {
                Some([b'=', name @ ..]) => name,
                Some([]) => {
                    index += 1;
                    words.get(index - 1).ok_or(Refusal::NoSignal)?.to_bytes()
                }
                _ => return Err(Refusal::UnknownWord(word)),
            };
            settings.dump_on = signal_named(signal).ok_or(Refusal::NoSignal)?;
            continue;
        }
        let mut rest = options;
        while let Some((&option, after)) = rest.split_first() {
            rest = after;
            match option {
                b'h' => return Ok(Action::Usage),
                b'v' => return Ok(Action::Version),
                b'i' => prompt = true,
                b'e' => {
                    if rest.is_empty() {
                        rest = words.get(index).ok_or(Refusal::NoStatement)?.to_bytes();
                        index += 1;
                    }
                    statement = Some(rest);
                    break;
                }
                other => return Err(Refusal::UnknownOption(other)),
            }
        }
    }
    // SAFETY: asks about an fd number.
    let is_terminal = || unsafe { libc::isatty(libc::STDIN_FILENO) } != 0;
    match (statement, words.get(index)) {
        (Some(statement), _) => Ok(Action::Statement(statement)),
        (None, _) if prompt => Ok(Action::Prompt),
        (None, Some(_)) => Ok(Action::Script(index)),
        (None, None) if is_terminal() => Ok(Action::Prompt),
        (None, None) => Err(Refusal::Nothing),
    }
}

/// Writes to standard error, in one piece.
fn complain(parts: &[&[u8]]) {
    let text = parts.concat();
    // SAFETY: reads the text; a failure to complain is nobody's concern.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

fn usage(program: &CStr) {
    complain(&[
        b"usage: ",
        program.to_bytes(),
        b" [options] [script [args]].\n\
        Available options are:\n  \
        -e stat  execute string 'stat'\n  \
        -h       show this help\n  \
        -i       prompt for statements\n  \
        -v       show version information\n  \
        --dump-on SIG\n           list all coroutines when this signal comes\n  \
        --       stop handling options\n  \
        -        execute stdin\n",
    ]);
}

/// Two lines: Lua's release, cut out of its own identification
/// (`$LuaVersion: Lua 5.4.x  Copyright …`), and ours.
fn version() {
    extern "C" {
        static lua_ident: [c_char; 1];
    }
    // SAFETY: Lua defines it as a C string constant.
    let ident = unsafe { CStr::from_ptr(std::ptr::addr_of!(lua_ident).cast()) }.to_bytes();
    let name = ident.strip_prefix(b"$LuaVersion: ").unwrap_or(ident);
    let end = name
        .windows(2)
        .position(|pair| pair == b"  ")
        .unwrap_or(name.len());
    let ours = concat!("\nLua-eco ", env!("CARGO_PKG_VERSION"), "\n");
    complain(&[name.get(..end).unwrap_or_default(), ours.as_bytes()]);
}

/// Opens standard streams that the parent left closed on `/dev/null`: whatever
/// is opened next would take their place.
fn open_standard() {
    for fd in 0..3 {
        // SAFETY: numbers, and a path that ends with NUL. The lowest free
        // number is this one.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) < 0 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}

/// Closes what the parent left open besides the standard streams.
fn close_inherited() {
    // SAFETY: nothing of ours is open yet.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } == 0 {
        return;
    }
    // Before Linux 5.9. The folder's own fd is among those listed.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut folder) = Dir::open(c"/proc/self/fd", flags, Mode::empty()) else {
        return;
    };
    let own = folder.as_raw_fd();
    for entry in folder.iter().flatten() {
        let number = entry
            .file_name()
            .to_str()
            .ok()
            .and_then(|name| name.parse::<c_int>().ok());
        if let Some(fd) = number.filter(|fd| *fd > 2 && *fd != own) {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

extern "C" fn nothing(_: c_int) {}

/// `print(...)` as Lua has it, but that a closed pipe raises: a script that
/// does nothing but print would never end.
fn print(lua: Lua) -> Outcome {
    extern "C" {
        static stdout: *mut libc::FILE;
    }
    let mut done = true;
    let mut put = |bytes: &[u8]| {
        // SAFETY: the C library's stream, and bytes that are read only.
        done &=
            unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), stdout) } == bytes.len();
    };
    for index in 1..=lua.top() {
        lua.to_text(index);
        if index > 1 {
            put(b"\t");
        }
        put(lua.to_bytes(index));
    }
    put(b"\n");
    // SAFETY: as above.
    done &= unsafe { libc::fflush(stdout) } == 0;
    if !done && Errno::last() == Errno::EPIPE {
        return Err("cannot print: Broken pipe".into());
    }
    Ok(Returns(0))
}

/// # Safety
///
/// Called once, by the C library's start-up code.
#[no_mangle]
pub unsafe extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    open_standard();
    // SAFETY: by the contract of `main`.
    let words = Words(unsafe { std::slice::from_raw_parts(words, count.max(0) as usize) });
    let mut settings = Settings::default();
    let action = match parse(words, &mut settings) {
        Ok(Action::Usage) => {
            usage(words.program());
            return 0;
        }
        Ok(Action::Version) => {
            version();
            return 0;
        }
        Ok(action) => action,
        Err(refusal) => {
            let program = words.program().to_bytes();
            match refusal {
                Refusal::Nothing => {}
                Refusal::UnknownOption(option) => {
                    complain(&[program, b": invalid option -- '", &[option], b"'\n"]);
                }
                Refusal::NoStatement => {
                    complain(&[program, b": option requires an argument -- 'e'\n"])
                }
                Refusal::UnknownWord(word) => {
                    complain(&[program, b": unrecognized option '--", word, b"'\n"])
                }
                Refusal::NoSignal => complain(&[
                    program,
                    b": --dump-on takes SIGUSR1, SIGUSR2, SIGQUIT, SIGHUP or SIGWINCH\n",
                ]),
            }
            usage(words.program());
            return 1;
        }
    };
    let job = (action, words, settings);
    // SAFETY: no other thread runs yet. The state is fresh, closed below and
    // used by nobody else; `start` runs protected.
    unsafe {
        // A broken pipe is an error for the script, from its first line on, and
        // so is a file that may not grow. A handler is not inherited by
        // programs as "ignore" would be.
        let handler = nothing as extern "C" fn(c_int);
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            if libc::signal(signal, handler as libc::sighandler_t) == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_IGN);
            }
        }
        let state = ffi::luaL_newstate();
        if state.is_null() {
            complain(&[b"eco: not enough memory\n"]);
            return 1;
        }
        ffi::lua_pushcfunction(state, function(text));
        ffi::lua_pushcfunction(state, function(start));
        ffi::lua_pushlightuserdata(state, std::ptr::from_ref(&job).cast_mut().cast());
        let status = ffi::lua_pcall(state, 1, 0, 1);
        if status != ffi::LUA_OK {
            complain(&[Lua::new(state).to_bytes(-1), b"\n"]);
        }
        ffi::lua_close(state);
        c_int::from(status != ffi::LUA_OK)
    }
}

/// Prepares the state and runs what was asked for; argument 1 points to it.
fn start(lua: Lua) -> Outcome {
    // SAFETY: `main` passes a triple that outlives the call.
    let (action, words, settings) =
        unsafe { *lua.to_userdata(1).cast::<(Action, Words, Settings)>() };
    // SAFETY: a fresh state; may raise with nothing droppable alive.
    unsafe {
        ffi::luaL_openlibs(lua.state());
        ffi::lua_gc(lua.state(), ffi::LUA_GCGEN, 0, 0);
    }
    // The script may be a descriptor of the parent's.
    load(lua, action, words)?;
    close_inherited();
    preload(lua);
    add_search_path(lua)?;
    add_searcher(lua);
    lua.push_closure(function(print), 0);
    lua.set_global(c"print");
    let core = Core::open(lua, "the interpreter")?;
    lua.require(c"eco");
    if settings.dump_on != 0 {
        lua.get_field(-1, c"dump_on");
        lua.push_integer(i64::from(settings.dump_on));
        lua.call(1, 0);
    }
    lua.set_global(c"eco");
    let mut passed = 0;
    match action {
        Action::Script(index) => {
            set_arguments(lua, words, index);
            passed = push_rest(lua, words, index);
        }
        Action::Prompt => {
            lua.push_closure(function(report), 0);
            lua.push_closure(function(on_stop), 0);
            passed = 2;
        }
        _ => {}
    }
    loop {
        if let Err(errno) = core.main_loop(lua, passed) {
            lua.push_errno(errno);
            return Err(Error::raised());
        }
        // A prompt may have dealt with the signal that has stopped the loop.
        if lua.get_field(ffi::LUA_REGISTRYINDEX, PROMPT) != ffi::LUA_TFUNCTION {
            break;
        }
        lua.call(0, 1);
        if !lua.to_bool(-1) {
            break;
        }
        lua.pop(1);
        passed = -1;
    }
    Ok(Returns(0))
}

/// For the prompt, `on_stop(f | nil)`: `f()` tells whether a loop that was stopped goes on.
fn on_stop(lua: Lua) -> Outcome {
    lua.set_top(1);
    lua.set_field(ffi::LUA_REGISTRYINDEX, PROMPT);
    Ok(Returns(0))
}

/// Pushes what is to be run, as a function.
fn load(lua: Lua, action: Action, words: Words) -> Result<(), Error> {
    match action {
        Action::Statement(text) => {
            // SAFETY: text and name outlive the call.
            check(unsafe {
                let name = c"=(command line)".as_ptr();
                ffi::luaL_loadbufferx(
                    lua.state(),
                    text.as_ptr().cast(),
                    text.len(),
                    name,
                    std::ptr::null(),
                )
            })
        }
        Action::Script(index) => {
            let name = words.get(index).filter(|name| *name != c"-");
            // SAFETY: the name outlives the call; null means standard input.
            check(unsafe {
                let name = name.map_or(std::ptr::null(), CStr::as_ptr);
                ffi::luaL_loadfilex(lua.state(), name, std::ptr::null())
            })
        }
        _ => {
            #[cfg(feature = "console")]
            lua.push_chunk(c"=console", lua_eco::lua_source!("console.lua"));
            #[cfg(not(feature = "console"))]
            lua.push_chunk(c"=prompt", lua_eco::lua_source!("prompt.lua"));
            Ok(())
        }
    }
}

/// The outcome of loading a chunk; the message is on top when it failed.
fn check(status: c_int) -> Result<(), Error> {
    if status == ffi::LUA_OK {
        Ok(())
    } else {
        Err(Error::raised())
    }
}

/// Registers the modules of this binary.
fn preload(lua: Lua) {
    lua.get_field(ffi::LUA_REGISTRYINDEX, c"_PRELOAD");
    for (name, open) in lua_eco::MODULES {
        lua.push_closure(*open, 0);
        lua.set_field(-2, name);
    }
    lua.pop(1);
}

/// Adds a searcher of modules behind the others. A static program loads no
/// shared objects: it comes before what looks for them.
fn add_searcher(lua: Lua) {
    lua.push_chunk(c"=cjson", lua_eco::lua_source!("cjson.lua"));
    if cfg!(target_feature = "crt-static") {
        lua.push_integer(3);
        lua.call(1, 0);
    } else {
        lua.call(0, 0);
    }
}

/// Adds the places our packages use to the search paths: beside the binary,
/// and where either generation of OpenWrt's Lua looks. What the environment
/// names comes first, then what belongs to this very binary.
fn add_search_path(lua: Lua) -> Result<(), Error> {
    lua.try_push_bytes(prefix().as_deref().unwrap_or(b"/usr"))?;
    lua.push_global(c"package");
    for (field, variables, places) in [
        (c"path", [c"LUA_PATH_5_4", c"LUA_PATH"], SOURCES),
        (c"cpath", [c"LUA_CPATH_5_4", c"LUA_CPATH"], LIBRARIES),
    ] {
        lua.get_field(-1, field);
        let (own, known) = (lua.to_bytes(-3), lua.to_bytes(-1));
        // SAFETY: reads the environment, which nothing changes here.
        let is_set = |name: &&CStr| unsafe { !libc::getenv(name.as_ptr()).is_null() };
        let is_chosen = variables.iter().any(is_set);
        let mut path = Vec::new();
        if is_chosen {
            path.extend_from_slice(known);
        }
        push_entries(&mut path, own, places);
        if !is_chosen {
            path.push(b';');
            path.extend_from_slice(known);
        }
        push_entries(&mut path, b"/usr", places);
        push_entries(&mut path, b"/usr/local", places);
        if cfg!(all(feature = "console", target_env = "gnu")) && field == c"cpath" {
            // Where Debian has modules in C, too.
            let root = [b"/usr/lib/", ARCH.as_bytes(), b"-linux-gnu"].concat();
            push_entries(&mut path, &root, &[b"/lua/5.4/?.so"]);
        }
        lua.try_push_bytes(&path)?;
        drop(path);
        lua.set_field(-3, field);
        lua.pop(1);
    }
    lua.pop(2);
    Ok(())
}

/// Where modules in Lua are below a root, and where shared objects are.
const SOURCES: &[&[u8]] = &[
    b"/share/lua/5.4/?.lua",
    b"/share/lua/5.4/?/init.lua",
    b"/lib/lua/5.4/?.lua",
    b"/lib/lua/5.4/?/init.lua",
];
const LIBRARIES: &[&[u8]] = &[b"/lib/lua/5.4/?.so"];

/// Appends entries to a search path, but for those that are there already.
fn push_entries(path: &mut Vec<u8>, root: &[u8], places: &[&[u8]]) {
    for place in places {
        let entry = [root, place].concat();
        if path.split(|&byte| byte == b';').any(|known| known == entry) {
            continue;
        }
        if !path.is_empty() {
            path.push(b';');
        }
        path.extend_from_slice(&entry);
    }
}

/// The folder above the one the binary is in, if that is a `bin`: another that holds
/// a program, such as /tmp, is nobody's to put modules beside.
fn prefix() -> Option<Vec<u8>> {
    // `std::env` would do, and weigh 3 KB.
    let mut path = vec![0; libc::PATH_MAX as usize];
    // SAFETY: writes at most as many bytes as there is room for.
    let length = unsafe {
        let name = c"/proc/self/exe".as_ptr();
        libc::readlink(name, path.as_mut_ptr().cast(), path.len())
    };
    path.truncate(usize::try_from(length).ok()?);
    path.truncate(path.iter().rposition(|&byte| byte == b'/')?);
    path.ends_with(b"/bin").then(|| {
        path.truncate(path.len() - b"/bin".len());
        path
    })
}

/// Sets the global `arg`: the script is number 0, the interpreter -1.
fn set_arguments(lua: Lua, words: Words, script: usize) {
    lua.push_table((words.0.len() - script) as c_int, 2);
    lua.push_bytes(words.program().to_bytes());
    lua.raw_set_index(-2, -1);
    let mut index = script;
    while let Some(word) = words.get(index) {
        lua.push_bytes(word.to_bytes());
        lua.raw_set_index(-2, (index - script) as i64);
        index += 1;
    }
    lua.set_global(c"arg");
}

/// Pushes the script's arguments for its `...`; returns how many there are.
fn push_rest(lua: Lua, words: Words, script: usize) -> c_int {
    let count = (words.0.len() - script - 1) as c_int;
    if !lua.ensure(count + 4) {
        return 0;
    }
    let mut index = script + 1;
    while let Some(word) = words.get(index) {
        lua.push_bytes(word.to_bytes());
        index += 1;
    }
    count
}
