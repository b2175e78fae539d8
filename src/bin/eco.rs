//! The `eco` interpreter: Lua 5.4 whose main chunk runs in a coroutine.
//!
//! The scheduler and the modules come from this binary when they are built in
//! (`eco-static`), otherwise from `eco.so` and its neighbours.
#![allow(unsafe_code)]

use std::ffi::{c_int, CStr, CString, OsString};
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use lua_eco::core::Core;
use lua_eco::lua::{ffi, function, Error, Lua, Outcome, Returns};

const PROMPT: &str = include_str!("prompt.lua");

/// What the command line asks for.
enum Action {
    Usage(bool),
    Version,
    /// `-e`: statements.
    Statement(OsString),
    /// A script and the position of its name in the arguments.
    Script(usize),
    /// `-`: a script on standard input.
    StandardInput(usize),
    Prompt,
}

/// Reads the options, getopt style: they stop at the first other word.
fn parse(arguments: &[OsString]) -> Result<Action, String> {
    let mut statement = None;
    let mut prompt = false;
    let mut index = 1;
    while let Some(argument) = arguments.get(index) {
        let word = argument.as_bytes();
        if word == b"--" {
            index += 1;
            break;
        }
        if word.len() < 2 || word[0] != b'-' {
            break;
        }
        index += 1;
        for (at, &option) in word.iter().enumerate().skip(1) {
            match option {
                b'h' => return Ok(Action::Usage(true)),
                b'v' => return Ok(Action::Version),
                b'i' => prompt = true,
                b'e' => {
                    let rest = &word[at + 1..];
                    statement = if rest.is_empty() {
                        index += 1;
                        Some(arguments.get(index - 1).ok_or("option requires an argument -- 'e'")?.clone())
                    } else {
                        Some(OsString::from_vec(rest.to_vec()))
                    };
                    break;
                }
                other => return Err(format!("invalid option -- '{}'", other as char)),
            }
        }
    }
    Ok(match (statement, arguments.get(index)) {
        (Some(statement), _) => Action::Statement(statement),
        (None, _) if prompt => Action::Prompt,
        (None, Some(name)) if name.as_bytes() == b"-" => Action::StandardInput(index),
        (None, Some(_)) => Action::Script(index),
        (None, None) if std::io::stdin().is_terminal() => Action::Prompt,
        (None, None) => Action::Usage(false),
    })
}

fn usage(program: &OsString) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(b"usage: ");
    let _ = stderr.write_all(program.as_bytes());
    let _ = stderr.write_all(
        b" [options] [script [args]].\n\
        Available options are:\n  \
        -e stat  execute string 'stat'\n  \
        -h       show this help\n  \
        -i       prompt for statements\n  \
        -v       show version information\n  \
        --       stop handling options\n  \
        -        execute stdin\n",
    );
}

/// Closes what the parent left open besides the standard streams.
fn close_inherited() {
    // SAFETY: nothing of ours is open yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    if closed == 0 {
        return;
    }
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<c_int> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: as above; the directory's own fd is closed already (EBADF).
        unsafe { libc::close(fd) };
    }
}

fn main() -> ExitCode {
    close_inherited();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let program = arguments.first().cloned().unwrap_or_else(|| "eco".into());
    let action = match parse(&arguments) {
        Ok(Action::Usage(asked)) => {
            usage(&program);
            return ExitCode::from(u8::from(!asked));
        }
        Ok(action) => action,
        Err(message) => {
            eprintln!("{}: {message}", program.to_string_lossy());
            usage(&program);
            return ExitCode::FAILURE;
        }
    };
    // A broken pipe is an error for the script, from its first line on.
    // SAFETY: no other thread runs yet.
    let _ = unsafe { nix::sys::signal::signal(nix::sys::signal::Signal::SIGPIPE, nix::sys::signal::SigHandler::SigIgn) };
    let job = (action, arguments);
    // SAFETY: a fresh state, closed below and used by nobody else; `start` runs
    // protected.
    unsafe {
        let state = ffi::luaL_newstate();
        if state.is_null() {
            eprintln!("eco: not enough memory");
            return ExitCode::FAILURE;
        }
        ffi::lua_pushcfunction(state, function(start));
        ffi::lua_pushlightuserdata(state, std::ptr::from_ref(&job).cast_mut().cast());
        let status = ffi::lua_pcall(state, 1, 0, 0);
        if status != ffi::LUA_OK {
            let message = Lua::new(state).to_bytes(-1).to_vec();
            let _ = std::io::stderr().write_all(&[message.as_slice(), b"\n"].concat());
        }
        ffi::lua_close(state);
        ExitCode::from(u8::from(status != ffi::LUA_OK))
    }
}

/// Prepares the state and runs what was asked for; argument 1 points to it.
fn start(lua: Lua) -> Outcome {
    // SAFETY: `main` passes a pair that outlives the call.
    let (action, arguments) = unsafe { &*lua.to_userdata(1).cast::<(Action, Vec<OsString>)>() };
    // SAFETY: a fresh state; may raise with nothing droppable alive.
    unsafe {
        ffi::luaL_openlibs(lua.state());
        ffi::lua_gc(lua.state(), ffi::LUA_GCGEN, 0, 0);
    }
    preload(lua);
    add_search_path(lua)?;
    let core = Core::open(lua, "the interpreter")?;
    lua.require(c"eco");
    lua.set_global(c"eco");
    match action {
        Action::Version => {
            let version = concat!("Lua-eco ", env!("CARGO_PKG_VERSION"), "\n");
            let _ = std::io::stderr().write_all(&release());
            let _ = std::io::stderr().write_all(version.as_bytes());
            return Ok(Returns(0));
        }
        Action::Statement(text) => load_text(lua, text.as_bytes(), c"=(command line)")?,
        Action::Script(index) => {
            set_arguments(lua, arguments, *index);
            load_file(lua, Some(&arguments[*index]))?;
        }
        Action::StandardInput(index) => {
            set_arguments(lua, arguments, *index);
            load_file(lua, None)?;
        }
        Action::Prompt => lua.push_chunk(c"=prompt", PROMPT),
        Action::Usage(_) => return Ok(Returns(0)),
    }
    let passed = match action {
        Action::Script(index) | Action::StandardInput(index) => push_rest(lua, arguments, *index),
        _ => 0,
    };
    core.spawn(lua, passed);
    lua.pop(1);
    if let Err(errno) = core.main_loop(lua) {
        lua.push_errno(errno);
        return Err(Error::Raised);
    }
    Ok(Returns(0))
}

/// `Lua 5.4.x` and a newline, cut out of Lua's own identification
/// (`$LuaVersion: Lua 5.4.x  Copyright …`).
fn release() -> Vec<u8> {
    extern "C" {
        static lua_ident: [std::ffi::c_char; 1];
    }
    // SAFETY: Lua defines it as a C string constant.
    let ident = unsafe { CStr::from_ptr(std::ptr::addr_of!(lua_ident).cast()) };
    let text = ident.to_string_lossy();
    let start = text.find(": ").map_or(0, |at| at + 2);
    let name = text[start..].split("  ").next().unwrap_or_default();
    [name.as_bytes(), b"\n"].concat()
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

/// Adds the places our packages use to the search paths: beside the binary,
/// and where either generation of OpenWrt's Lua looks.
fn add_search_path(lua: Lua) -> Result<(), Error> {
    let mut roots = vec!["/usr".to_string(), "/usr/local".to_string()];
    if let Some(prefix) = prefix() {
        roots.retain(|root| *root != prefix);
        roots.insert(0, prefix);
    }
    lua.push_global(c"package");
    for (field, library, suffixes) in [
        (c"path", "share", &["?.lua", "?/init.lua"][..]),
        (c"path", "lib", &["?.lua", "?/init.lua"][..]),
        (c"cpath", "lib", &["?.so"][..]),
    ] {
        lua.get_field(-1, field);
        let mut path = String::from_utf8_lossy(lua.to_bytes(-1)).into_owned();
        for root in &roots {
            for suffix in suffixes {
                let entry = format!("{root}/{library}/lua/5.4/{suffix}");
                if !path.split(';').any(|known| known == entry) {
                    path.push(';');
                    path.push_str(&entry);
                }
            }
        }
        lua.pop(1);
        lua.try_push_bytes(path.as_bytes())?;
        drop(path);
        lua.set_field(-2, field);
    }
    lua.pop(1);
    Ok(())
}

/// The folder above the one the binary is in.
fn prefix() -> Option<String> {
    let binary = std::env::current_exe().ok()?;
    Some(binary.parent()?.parent()?.to_str()?.to_string())
}

/// Sets the global `arg`: the script is number 0.
fn set_arguments(lua: Lua, arguments: &[OsString], script: usize) {
    lua.push_table(arguments.len() as c_int, 0);
    for (index, argument) in arguments.iter().enumerate() {
        if index == 0 || index >= script {
            lua.push_bytes(argument.as_bytes());
            let place = if index == 0 { -1 } else { (index - script) as i64 };
            lua.raw_set_index(-2, place);
        }
    }
    lua.set_global(c"arg");
}

/// Pushes the script's arguments for its `...`; returns how many there are.
fn push_rest(lua: Lua, arguments: &[OsString], script: usize) -> c_int {
    let rest = &arguments[script + 1..];
    if !lua.ensure(rest.len() as c_int + 4) {
        return 0;
    }
    for argument in rest {
        lua.push_bytes(argument.as_bytes());
    }
    rest.len() as c_int
}

fn load_text(lua: Lua, text: &[u8], name: &CStr) -> Result<(), Error> {
    // SAFETY: text and name outlive the call.
    let status = unsafe {
        ffi::luaL_loadbufferx(lua.state(), text.as_ptr().cast(), text.len(), name.as_ptr(), std::ptr::null())
    };
    if status == ffi::LUA_OK {
        Ok(())
    } else {
        Err(Error::Raised)
    }
}

/// Loads a script, or standard input.
fn load_file(lua: Lua, name: Option<&OsString>) -> Result<(), Error> {
    let path = name.and_then(|name| CString::new(name.as_bytes()).ok());
    if let Some(name) = name {
        if let Err(error) = Path::new(name).metadata() {
            lua.push_bytes(b"cannot open ");
            lua.push_bytes(name.as_bytes());
            lua.push_bytes(b": ");
            lua.push_errno(nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0)));
            lua.concat(4);
            return Err(Error::Raised);
        }
    }
    // SAFETY: the path outlives the call.
    let status = unsafe {
        ffi::luaL_loadfilex(lua.state(), path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr()), std::ptr::null())
    };
    if status == ffi::LUA_OK {
        Ok(())
    } else {
        Err(Error::Raised)
    }
}
