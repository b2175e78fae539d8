//! What the scheduler tells of its coroutines, asked or unasked.

use crate::support::{command, emulated, lua_file, raw, skip};

#[test]
fn tasks() {
    lua_file("tasks.lua").both();
}

/// While the loop sleeps, and while a coroutine keeps it from running.
#[test]
fn a_signal_has_them_listed() {
    let script = r#"
        local eco, sys, time = require 'eco', require 'eco.sys', require 'eco.time'
        assert(eco.dump_on(sys.SIGUSR2))
        eco.run(function() eco.sleep(1000) end)
        eco.run(function()
            os.execute('(sleep 0.05; kill -USR2 ' .. sys.getpid() .. ') &')
            eco.sleep(0.5)
            local stop = time.now() + 20
            local before = eco.dump
            local listed
            eco.dump = function() before() listed = true end
            os.execute('(sleep 0.05; kill -USR2 ' .. sys.getpid() .. ') &')
            while not listed and time.now() < stop do end
            print(listed)
            eco.unloop()
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#;
    raw(script)
        .stdout("true\n")
        .stderr_has("eco: 2 coroutines and timers\n  waiting   ")
        .stderr_has("timer in sleep for 0.")
        .stderr_has("\n  running   ")
        .both();
}

#[test]
fn the_interpreter_has_an_option_for_that() {
    for option in [&["--dump-on", "SIGUSR1"][..], &["--dump-on=USR1"]] {
        let script =
            "local sys = require 'eco.sys' sys.kill(sys.getpid(), sys.SIGUSR1) eco.sleep(0.01)";
        let words: Vec<&str> = option.iter().copied().chain(["-e", script]).collect();
        command(&words).stderr_has("eco: 1 coroutine").eco();
    }
    for wrong in [&["--dump-on"][..], &["--dump-on", "SIGKILL"], &["--dump"]] {
        command(wrong).stderr_has("usage: ").status(1).eco();
    }
}

#[test]
fn the_watchdog_tells_of_a_coroutine_while_it_runs() {
    if emulated() {
        skip(
            "the watchdog",
            "an emulator need not have timers of processor time",
        );
        return;
    }
    raw(r#"
        local eco, time = require 'eco', require 'eco.time'
        eco.run(function()
            eco.set_watchdog_timeout(20)
            -- The loop watches.
            eco.sleep(0)
            local told
            eco.set_panic_hook(function(message) told = told or message end)
            local stop = time.now() + 60
            local function never_waits()
                while not told and time.now() < stop do end
            end
            never_waits()
            print(told:match('run too long%(%d+ ms%) without yielding/dead %(>20 ms%), and still runs') ~= nil, told:find('never_waits') ~= nil)
            -- Its own hook stays.
            told = nil
            local count = 0
            debug.sethook(function() count = count + 1 end, '', 1000)
            stop = time.now() + 0.2
            never_waits()
            print(told, count > 0, debug.gethook() ~= nil)
            debug.sethook()
            eco.set_watchdog_timeout(0)
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("true\ttrue\nnil\ttrue\ttrue\n")
    .both();
}
