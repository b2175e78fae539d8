//! The modules of lunet, and the program that starts its scripts.

use crate::support::{lua_file, raw, Script};

#[test]
fn modules() {
    lua_file("lunet-modules.lua").limit(60).both();
}

/// The program, which `@` stands for, with these arguments, in a folder with `inner.lua`.
fn launch(arguments: &str, inner: &str) -> Script {
    raw(&format!(
        "local file = assert(io.open('inner.lua', 'w'))
         file:write({inner:?})
         file:close()
         local eco = os.getenv('TEST_INTERPRETER'):gsub('\\n', ' ')
         assert(io.open('lunet', 'w')):write(\"require 'lunet.internal.launcher' (arg)\"):close()
         local _, _, status = os.execute((({arguments:?}):gsub('@', function() return eco .. ' lunet' end)))
         os.exit(status)"
    ))
}

#[test]
fn wrong_command_lines() {
    launch("@", "")
        .status(1)
        .stderr_has("Usage: lunet [OPTIONS] <lua_file> [args...]")
        .stderr_has("--dangerously-skip-loopback-restriction")
        .eco();
    launch("@ --verbose-trace", "")
        .status(1)
        .stderr_has("flag ignored.\n")
        .stderr_has("Error: No script file specified.\n")
        .eco();
    launch("@ -x inner.lua", "")
        .status(1)
        .stderr_has("Unknown option: -x\n")
        .eco();
    launch("@ none.lua", "")
        .status(1)
        .stderr_has("Error: cannot open none.lua")
        .eco();
    launch("@ inner.lua", "not Lua")
        .status(1)
        .stderr_has("Error: inner.lua:1: ")
        .eco();
}

#[test]
fn scripts_run_until_nothing_is_left() {
    launch(
        "@ inner.lua a -b",
        "local lunet = require 'lunet'
         print(arg[0], arg[1], arg[2], ...)
         print(unpack { 1, 2 })
         print(loadstring 'return 3' ())
         lunet.spawn(function()
             lunet.sleep(10)
             print('late')
             __lunet_exit_code = 7
         end)
         print('main ends')",
    )
    .stdout("inner.lua\ta\t-b\ta\t-b\n1\t2\n3\nmain ends\nlate\n")
    .status(7)
    .eco();
}

#[test]
fn the_script_itself_is_no_coroutine() {
    launch("@ inner.lua", "require 'lunet.udp'.bind('127.0.0.1', 0)")
        .stderr_has("Error: udp.bind must be called from coroutine\n")
        .status(1)
        .eco();
    raw("print(pcall(require 'lunet'.sleep, 1))")
        .stdout("false\tlunet.sleep must be called from coroutine\n")
        .both();
}

#[test]
fn errors_of_coroutines_end_only_them() {
    launch(
        "@ inner.lua",
        "local lunet = require 'lunet'
         lunet.spawn(function() error('at once', 0) end)
         lunet.spawn(function() lunet.sleep(1) error('later', 0) end)
         coroutine.wrap(function() lunet.sleep(2) error('by hand', 0) end)()
         lunet.spawn(function() lunet.sleep(20) print('goes on') end)",
    )
    .stdout("goes on\n")
    .stderr_has("Coroutine error: at once\n[lunet] coroutine error: later\n[lunet] coroutine error: by hand\n")
    .eco();
}

#[test]
fn only_loopback_unless_it_is_asked_for() {
    let bind = "local lunet, socket = require 'lunet', require 'lunet.socket'
         lunet.spawn(function()
             local l, err
             for port = 42000, 42100 do
                 l, err = socket.listen('tcp', '0.0.0.0', port)
                 if l then socket.close(l) break end
             end
             print(l ~= nil, err)
         end)";
    launch("@ inner.lua", bind)
        .stdout("false\tbinding to non-loopback addresses requires --dangerously-skip-loopback-restriction flag\n")
        .eco();
    launch("@ --dangerously-skip-loopback-restriction inner.lua", bind)
        .stdout("true\tnil\n")
        .stderr_has(
            "WARNING: Loopback restriction disabled. Binding to public interfaces allowed.\n",
        )
        .eco();
}

#[test]
fn a_trace_tells_what_was_waited_for() {
    let script = "local lunet, udp, fs = require 'lunet', require 'lunet.udp', require 'lunet.fs'
         lunet.spawn(function()
             local h = udp.bind('127.0.0.1', 0)
             local host, port = udp.getsockname(h)
             udp.send(h, host, port, 'x')
             udp.recv(h)
             udp.close(h)
             lunet.sleep(1)
             fs.close(fs.open('inner.lua', 'r'))
         end)";
    launch("LUNET_TRACE=1 @ inner.lua", script)
        .stderr_has("[TRACE] Coroutine reference tracing initialized\n")
        .stderr_has("[TIMER_TRACE] SUMMARY: sleep=1 wake=1\n")
        .stderr_has("[FS_TRACE] SUMMARY: open=1 close=1 read=0 write=0 stat=0 scandir=0\n")
        .stderr_has("[UDP_TRACE] SUMMARY: binds=1 tx=1 rx=1\n")
        .stderr_has("All coroutine references properly balanced.\n")
        .stderr_has("[TRACE] Assertion passed at shutdown: all refs balanced\n")
        .eco();
    launch("LUNET_TRACE=verbose @ inner.lua", script)
        .stderr_has("[TRACE] COREF_ADD at inner.lua:6 (ref=")
        .stderr_has("[UDP_TRACE] BIND #1 127.0.0.1:0\n")
        .stderr_has("[UDP_TRACE] CLOSE (local: tx=1 rx=1) (global: tx=1 rx=1)\n")
        .eco();
}

#[test]
fn sqlite3() {
    lua_file("lunet-sqlite3.lua").limit(60).both();
}
