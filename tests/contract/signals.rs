//! Signals at good and bad moments.

use crate::support::{command, raw};

#[test]
fn sigint_ends_the_loop_quietly() {
    raw(r#"
        keep = setmetatable({}, { __gc = function() print('finalized') end })
        local sys = require 'eco.sys'
        os.execute('(sleep 0.05; kill -INT ' .. sys.getpid() .. ') &')
        eco.run(function() eco.sleep(1000) end)
    "#)
    .stdout("finalized\n")
    .limit(10)
    .eco();
}

#[test]
fn sigint_while_busy_is_not_lost() {
    // The signal comes between two waits, never during one.
    raw(r#"
        local sys = require 'eco.sys'
        eco.sleep(0)
        sys.kill(sys.getpid(), sys.SIGINT)
        eco.sleep(1000)
        print('never')
    "#)
    .limit(10)
    .eco();
}

#[test]
fn sigint_to_a_listener_does_not_stop_the_loop() {
    raw(r#"
        local eco, sys = require 'eco', require 'eco.sys'
        local listener, heard
        listener = sys.signal(sys.SIGINT, function() print('heard') heard = true listener:close() end)
        os.execute('(sleep 0.02; kill -INT ' .. sys.getpid() .. ') &')
        eco.run(function()
            repeat eco.sleep(0.01) until heard
            -- Turns of the loop behind it.
            for _ = 1, 5 do eco.sleep(0.01) end
            print('end')
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("heard\nend\n")
    .limit(20)
    .both();
}

#[test]
fn sigint_ends_the_loop_of_plain_lua() {
    raw(r#"
        local eco, sys = require 'eco', require 'eco.sys'
        os.execute('(sleep 0.05; kill -INT ' .. sys.getpid() .. ') &')
        eco.run(function() eco.sleep(1000) end)
        print(eco.loop())
    "#)
    .stdout("true\n")
    .limit(10)
    .lua54();
}

#[test]
fn sigterm_keeps_its_default() {
    raw("local sys = require 'eco.sys' eco.sleep(0) sys.kill(sys.getpid(), sys.SIGTERM) eco.sleep(1000)")
        .killed_by(15)
        .limit(10)
        .eco();
}

#[test]
fn dispositions_are_restored_after_the_loop() {
    raw(r#"
        local eco, sys = require 'eco', require 'eco.sys'
        eco.run(function() eco.sleep(0.001) end)
        eco.loop()
        sys.kill(sys.getpid(), sys.SIGINT)
        local stop = os.time() + 3
        while os.time() < stop do end
        print('never')
    "#)
    // The handler of lua5.4 itself is in force again.
    .stderr_has("interrupted!")
    .status(1)
    .limit(10)
    .lua54();
}

#[test]
fn stopping_and_continuing_changes_no_wait() {
    raw(r#"
        local eco, sys, time = require 'eco', require 'eco.sys', require 'eco.time'
        os.execute('(sleep 0.02; kill -STOP ' .. sys.getpid() .. '; sleep 0.05; kill -CONT ' .. sys.getpid() .. ') &')
        local process = sys.exec('sh', '-c', 'sleep 0.15; echo line')
        local line, message = process:read_stdout('l', 20)
        assert(line == 'line', message)
        local start = time.now()
        eco.sleep(0.05)
        assert(time.now() - start >= 0.0499)
        assert(process:wait(20))
    "#)
    .limit(30)
    .eco();
}

#[test]
fn a_child_stopped_and_continued_is_not_taken_for_dead() {
    raw(r#"
        local sys = require 'eco.sys'
        local process = sys.exec('sleep', '0.2')
        process:signal(sys.SIGSTOP or 19)
        local pid, message = process:wait(0.05)
        assert(pid == nil and message == 'timeout', message)
        process:signal(sys.SIGCONT)
        local _, status = process:wait(20)
        assert(status.exited and status.status == 0)
    "#)
    .limit(30)
    .eco();
}

#[test]
fn sigint_interrupts_a_coroutine_that_does_not_wait() {
    for before in ["", "eco.sleep(0)"] {
        raw(&format!("{before}\nwhile true do end"))
            .interrupt(300)
            .stderr_has("interrupted!\nstack traceback:\n\tscript.lua:2: in main chunk")
            .status(1)
            .limit(10)
            .eco();
    }
    raw("local eco = require 'eco'\neco.run(function() eco.sleep(0) while true do end end)\neco.loop()")
        .interrupt(300)
        .stderr_has("interrupted!")
        .status(1)
        .limit(10)
        .lua54();
}

#[test]
fn sigint_ends_what_catches_the_interruption() {
    raw(r#"
        print(pcall(function() while true do end end))
        eco.sleep(1000)
    "#)
    .interrupt(300)
    .stdout("false\tinterrupted!\n")
    .limit(10)
    .eco();
}

#[test]
fn sigint_interrupts_a_statement_at_the_prompt() {
    command(&["-i"])
        .stdin("while true do end\nprint('goes on')\n=6 * 7\n")
        .interrupt(500)
        .stderr_has("interrupted!\nstack traceback:")
        .stdout_has("goes on")
        .stdout_has("42")
        .limit(10)
        .eco();
}

#[test]
fn a_second_sigint_ends_what_cannot_be_interrupted() {
    // A coroutine of the script's own hides from the first.
    raw(r#"
        local sys = require 'eco.sys'
        os.execute('(for i in 1 2 3; do sleep 0.7; kill -INT ' .. sys.getpid() .. '; done) &')
        eco.sleep(0)
        coroutine.wrap(function() while true do end end)()
    "#)
    .killed_by(2)
    .limit(20)
    .eco();
}
