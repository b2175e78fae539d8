//! The interpreter: command line, start-up, exit status.

use crate::support::{command, emulated, interpreter, module_path, raw, skip, Scratch};
use std::process::Command;

#[test]
fn help() {
    command(&["-h"])
        .stderr_has("usage: ")
        .stderr_has(" [options] [script [args]].")
        .stderr_has("Available options are:")
        .stderr_has("-e stat")
        .stderr_has("-v")
        .eco();
}

#[test]
fn version() {
    command(&["-v"])
        .stderr_has("Lua 5.4.")
        .stderr_has("\nLua-eco 5.0.0\n")
        .eco();
    command(&["-ve", "print(1)"])
        .stderr_has("Lua-eco")
        .stdout("")
        .eco();
}

#[test]
fn unknown_options() {
    command(&["-x"]).stderr_has("usage: ").status(1).eco();
    command(&["-e"]).stderr_has("usage: ").status(1).eco();
}

#[test]
fn a_statement() {
    command(&["-e", "print(arg, eco == require 'eco', 'x' == nil)"])
        .stdout("nil\ttrue\tfalse\n")
        .eco();
    command(&["-e", "eco.sleep(0.01) print('slept')", "ignored"])
        .stdout("slept\n")
        .eco();
    command(&["-eprint(1)"]).stdout("1\n").eco();
    command(&["-e", "syntax error here"])
        .stderr_has("syntax error")
        .status(1)
        .eco();
}

#[test]
fn a_script_and_its_arguments() {
    raw("print(arg[0], #arg, arg[1], arg[2], arg[-1] ~= nil, ...)")
        .args(&["one", "-e"])
        .stdout("script.lua\t2\tone\t-e\ttrue\tone\t-e\n")
        .eco();
    raw("#!/usr/bin/env eco\nprint('second line')")
        .stdout("second line\n")
        .eco();
    raw("return 1, 2, error").eco();
}

#[test]
fn double_dash_ends_options() {
    command(&["--", "-e"])
        .file("-e", "print('the file named -e')")
        .stdout("the file named -e\n")
        .eco();
}

#[test]
fn standard_input() {
    command(&["-"])
        .stdin("print('from', 'stdin', ...)")
        .args(&["a"])
        .stdout("from\tstdin\ta\n")
        .eco();
    command(&["-"])
        .stdin("eco.sleep(0.01) print(#arg)")
        .args(&["a", "b"])
        .stdout("2\n")
        .eco();
    command(&["-"])
        .stdin("oops oops")
        .stderr_has("syntax error")
        .status(1)
        .eco();
}

#[test]
fn a_prompt_runs_blocking_calls() {
    command(&["-i"])
        .stdin("x = 20\neco.sleep(0.01) print('slept')\nx + 1\nx * 2\nerror('oops', 0)\nprint('still here')\n")
        .stdout_has("slept")
        .stdout_has("21")
        .stdout_has("40")
        .stdout_has("still here")
        .stderr_has("")
        .eco();
}

#[test]
fn precompiled_chunks() {
    raw(r#"
        local f = assert(io.open('chunk', 'wb'))
        f:write(string.dump(function() print('compiled') end))
        f:close()
        os.exit(os.execute(os.getenv('TEST_INTERPRETER'):gsub('\n', ' ') .. ' chunk') and 0 or 1)
    "#)
    .stdout("compiled\n")
    .eco();
}

#[test]
fn missing_and_broken_scripts() {
    command(&["absent.lua"])
        .stderr_has("cannot open absent.lua")
        .status(1)
        .eco();
    raw("\n\nx = = 1")
        .stderr_has("script.lua:3:")
        .status(1)
        .eco();
    command(&["."]).stderr_has("").status(1).eco();
}

#[test]
fn exit_status() {
    raw("os.exit(7)").status(7).eco();
    raw("eco.sleep(0.001) os.exit(8, true)").status(8).eco();
    raw("eco.run(function() eco.sleep(0.001) os.exit(9) end)")
        .status(9)
        .eco();
    raw("eco.run(function() eco.sleep(1000) end) eco.sleep(0.001) eco.unloop()").eco();
}

#[test]
fn finalizers_run_at_the_end() {
    raw("keep = setmetatable({}, { __gc = function() print('finalized') end }) eco.sleep(0.001)")
        .stdout("finalized\n")
        .eco();
}

#[test]
fn the_collector_is_generational() {
    raw("print(collectgarbage('incremental'))")
        .stdout("generational\n")
        .eco();
}

#[test]
fn inherited_descriptors_are_closed() {
    raw(r#"
        os.execute('exec 5</dev/null 9</dev/null; ' .. os.getenv('TEST_INTERPRETER'):gsub('\n', ' ') .. ' inner.lua')
    "#)
    .file(
        "inner.lua",
        "local file = require 'eco.file'
         for _, fd in ipairs { 5, 9 } do
             local target = file.readlink('/proc/self/fd/' .. fd)
             assert(target ~= '/dev/null', fd)
         end
         print('closed')",
    )
    .stdout("closed\n")
    .eco();
}

#[test]
fn the_environment_finds_lua_modules() {
    raw("print(require('mine').value)")
        .env("LUA_PATH", "./?.lua")
        .file("mine.lua", "return { value = 42 }")
        .stdout("42\n")
        .eco();
    raw("eco.sleep(0) local ok = pcall(require, 'absent') print(ok)")
        .stdout("false\n")
        .eco();
}

#[test]
fn standard_libraries_are_open() {
    raw("print(string and table and math and io and os and debug and utf8 and coroutine and package and 'all')")
        .stdout("all\n")
        .eco();
}

#[test]
fn a_broken_pipe_is_an_error_not_death() {
    raw(r#"
        eco.sleep(0)
        local file = require 'eco.file'
        local internal = require 'eco.internal.file'
        os.execute('mkfifo fifo')
        local input = internal.open('fifo', file.O_RDONLY | file.O_NONBLOCK)
        local output = internal.open('fifo', file.O_WRONLY | file.O_NONBLOCK)
        file.close(input)
        print(eco.writer(output):write('x'))
    "#)
    .stdout("nil\tBroken pipe\n")
    .eco();
}

/// In a `bin` it looks beside that; elsewhere anybody may have put anything there.
#[test]
fn modules_beside_the_program() {
    if emulated() {
        skip("modules beside the program", "the emulator is the program");
        return;
    }
    let scratch = Scratch::new();
    for (folder, is_searched) in [("bin", true), ("other", false)] {
        let folder = scratch.0.join(folder);
        std::fs::create_dir(&folder).expect("a folder");
        let program = folder.join("eco");
        let original = &interpreter()[0];
        std::fs::hard_link(original, &program)
            .or_else(|_| std::fs::copy(original, &program).map(drop))
            .expect("a copy");
        let output = Command::new(&program)
            .env_clear()
            .env("LUA_CPATH", module_path() + ";;")
            .args(["-e", "print(package.path) print(package.cpath)"])
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let own = format!("{}/lib/lua/5.4/?.so", scratch.0.display());
        assert_eq!(text.contains(&own), is_searched, "{text}");
        assert!(text.contains("/usr/lib/lua/5.4/?.so"), "{text}");
    }
}
