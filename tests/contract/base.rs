//! The base modules: time, sync, channel, sys, file, hex, log, cli and the README dialect's buffers.

use crate::support::{
    emulated, lua, lua_file, modules_folder, raw, sanitized, skip, workspace, Scratch,
};

#[test]
fn time() {
    lua_file("time.lua").both();
}

#[test]
fn sync() {
    lua_file("sync.lua").both();
}

#[test]
fn channel() {
    lua_file("channel.lua").both();
}

#[test]
fn sys() {
    lua_file("sys.lua").limit(60).both();
}

#[test]
fn file() {
    lua_file("file.lua").both();
}

#[test]
fn hex() {
    lua_file("hex.lua").both();
}

#[test]
fn log() {
    lua_file("log.lua").both();
}

#[test]
fn dates_after_2038() {
    lua_file("dates.lua").both();
}

#[test]
fn cli() {
    lua_file("cli.lua").both();
}

/// Numbers and names that fit nothing in the system.
#[test]
fn arguments() {
    lua_file("arguments.lua").both();
}

/// What scripts set in objects.
#[test]
fn fields() {
    lua_file("fields.lua").both();
}

/// What tostring says of objects.
#[test]
fn kinds() {
    lua_file("kinds.lua").both();
}

/// Keys of option tables.
#[test]
fn options() {
    lua_file("options.lua").both();
}

/// How many values each function gives.
#[test]
fn results() {
    lua_file("results.lua")
        .env("NODE_LUA_QUIET", "1")
        .limit(60)
        .both();
}

#[test]
fn bufio() {
    lua_file("bufio.lua").both();
}

#[test]
fn any_module_may_be_required_first() {
    for module in [
        "eco.time",
        "eco.sync",
        "eco.channel",
        "eco.sys",
        "eco.file",
        "eco.bufio",
        "eco.encoding.base64",
        "eco.encoding.hex",
        "eco.encoding.json",
        "eco.hash.hmac",
        "eco.hash.md5",
        "eco.hash.sha1",
        "eco.hash.sha256",
        "eco.internal.file",
        "eco.internal.sys",
        "eco.internal.time",
        "eco.internal.sync",
        "eco.log",
        "eco.cli",
        "eco.dns",
        "eco.internal.dns",
        "eco.net",
        "asio",
        "luv",
        "bit",
        "table.new",
    ] {
        raw(&format!(
            "assert(require '{module}'); assert(require 'eco' == package.loaded.eco)"
        ))
        .both();
    }
}

#[test]
fn readme_dialect_under_plain_lua() {
    raw(r#"
        local eco, sys, time = require 'eco', require 'eco.sys', require 'eco.time'
        assert(_G.eco == nil)
        eco.run(function() time.sleep(0.01); io.write('one ') end)
        eco.run(function() time.sleep(0.03); io.write('two '); eco.unloop() end)
        sys.signal(sys.SIGUSR1, function() end)
        print(eco.loop())
    "#)
    .stdout("one two true\n")
    .lua54();
}

#[test]
fn objects_may_be_made_outside_coroutines() {
    raw(r#"
        local eco, sys, time, file = require 'eco', require 'eco.sys', require 'eco.time', require 'eco.file'
        local process = assert(sys.exec('sh', '-c', 'echo from child'))
        local timer = time.at(0.01, function() io.write('timer ') end)
        local f = assert(file.open('data'))
        assert(f:read('l') == 'first')
        eco.run(function()
            eco.sleep(0.001) -- The child may have ended by now; there is a coroutine to hook all the same.
            assert(process:read_stdout('l') == 'from child')
            assert(process:wait() == process.pid)
            io.write('child ')
        end)
        local seen = 0
        for _, co in ipairs(eco.all()) do
            debug.sethook(co, function() seen = seen + 1 end, 'l')
        end
        print(eco.loop(), seen > 0)
    "#)
    .file("data", "first\nsecond\n")
    .stdout_has("child ")
    .stdout_has("timer ")
    .stdout_has("true\ttrue\n")
    .lua54();
}

#[test]
fn blocking_outside_a_coroutine_raises_and_leaves_no_mark() {
    raw(r#"
        local eco, file = require 'eco', require 'eco.file'
        local ok, message = pcall(eco.sleep, 0)
        assert(not ok and message:find('attempt to yield from outside a coroutine', 1, true), message)
        os.execute('mkfifo fifo')
        local fd = require 'eco.internal.file'.open('fifo', file.O_RDWR | file.O_NONBLOCK)
        local reader = eco.reader(fd)
        ok, message = pcall(reader.read, reader, 1)
        assert(not ok and message:find('attempt to yield from outside a coroutine', 1, true), message)
        eco.run(function()
            local data, why = reader:read(1, 0.01)
            assert(data == nil and why == 'timeout')
            print('usable')
        end)
        assert(eco.loop())
    "#)
    .stdout("usable\n")
    .lua54();
}

#[test]
fn large_files_outside_coroutines() {
    raw(r#"
        local eco, file = require 'eco', require 'eco.file'
        local text = ('x'):rep(10000000)
        assert(file.open('large', file.O_WRONLY | file.O_CREAT, 420):write(text) == #text)
        assert(file.open('large'):read('a') == text)
        assert(file.open('large'):read(#text) == text)
    "#)
    .lua54();
}

#[test]
fn two_loops_one_after_the_other() {
    raw(r#"
        local eco = require 'eco'
        eco.unloop()
        for i = 1, 3 do
            eco.run(function() eco.sleep(0.002) io.write(i, ' ') end)
            assert(eco.loop() == true)
        end
        assert(eco.loop() == true)
        print('done')
    "#)
    .stdout("1 2 3 done\n")
    .lua54();
}

#[test]
fn leftovers_are_released_with_the_state() {
    // Waiting coroutines, open processes and armed timers at the end must not crash the closing state.
    raw(r#"
        local eco, sys, time, sync = require 'eco', require 'eco.sys', require 'eco.time', require 'eco.sync'
        local cond = sync.cond()
        eco.run(function() cond:wait() end)
        eco.run(function() eco.sleep(1000) end)
        time.at(1000, print)
        local process = sys.exec('sleep', '1000')
        eco.run(function() process:read_stdout('l') end)
        eco.run(function() process:wait() end)
        keep = setmetatable({}, { __gc = function() process:kill() print('closed') end })
        eco.run(function() eco.sleep(0.01) eco.unloop() end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("closed\n")
    .both();
}

#[test]
fn modules_refuse_nothing_when_loaded_twice() {
    lua(r#"
        for name in pairs(package.loaded) do
            if name:find('^eco%.') then package.loaded[name] = nil end
        end
        for _, name in ipairs { 'eco.time', 'eco.sys', 'eco.file', 'eco.sync', 'eco.channel' } do
            assert(require(name))
        end
        local time = require 'eco.time'
        local fired
        time.at(0.001, function() fired = true end)
        time.sleep(0.05)
        T.eq(fired, true)
    "#)
    .both();
}

/// The names that lead to the modules of the package `lua-eco-full`; whether all are in it is what `cargo xtask dlopen-test`
/// finds out.
#[test]
fn a_loader_leads_to_modules_in_another_file() {
    let module = modules_folder().join("eco/cli.so");
    if emulated() || sanitized() || !module.exists() {
        skip("full.lua", "there are no modules in files of their own");
        return;
    }
    let folder = Scratch::new();
    let loader = workspace().join("lua/full.lua");
    std::fs::create_dir_all(folder.0.join("eco/encoding")).expect("folders");
    for (target, name) in [
        (&module, "eco/full.so"),
        (&loader, "eco/cli.lua"),
        (&loader, "eco/encoding/other.lua"),
    ] {
        std::os::unix::fs::symlink(target, folder.0.join(name)).expect("a link");
    }
    lua_file("full.lua")
        .env("FULL", &folder.0.display().to_string())
        .both();
}
