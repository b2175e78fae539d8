//! Uncaught errors, the panic hook, the watchdog.

use crate::support::raw;

#[test]
fn an_uncaught_error_ends_the_process_with_two_tracebacks() {
    raw("local function inner() error('went wrong') end inner()")
        .stderr_has("script.lua:1: went wrong")
        .stderr_has("stack traceback:")
        .status(1)
        .eco();
}

#[test]
fn in_any_coroutine() {
    raw(r#"
        local eco = require 'eco'
        eco.run(function() eco.sleep(0.001) error('late') end)
        eco.run(function() eco.sleep(1000) end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stderr_has("late")
    .stderr_has("stack traceback:")
    .status(1)
    .limit(10)
    .both();
}

#[test]
fn pcall_around_run_does_not_catch() {
    raw("local eco = require 'eco' pcall(eco.run, function() error('inside') end) print('never')")
        .stderr_has("inside")
        .status(1)
        .both();
}

#[test]
fn pcall_inside_the_coroutine_does() {
    raw(r#"
        local eco = require 'eco'
        eco.run(function()
            print(pcall(function() eco.sleep(0.001) error('caught', 0) end))
            print(select('#', pcall(error)))
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("false\tcaught\n2\n")
    .both();
}

#[test]
fn error_values_of_any_type() {
    for value in ["nil", "{}", "true", "print", "42"] {
        raw(&format!("error({value})"))
            .stderr_has("stack traceback:")
            .status(1)
            .eco();
    }
}

#[test]
fn the_hook_gets_both_texts() {
    raw(r#"
        local eco = require 'eco'
        eco.set_panic_hook(function(a, b)
            assert(a:find('boom', 1, true) and a:find('stack traceback:', 1, true), a)
            assert(b:find('stack traceback:', 1, true), b)
            print('hook')
        end)
        eco.run(function() eco.sleep(0.001) error('boom') end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("hook\n")
    .status(1)
    .both();
}

#[test]
fn the_hook_may_choose_the_status() {
    raw("eco.set_panic_hook(function() os.exit(5) end) error('x')")
        .status(5)
        .eco();
}

#[test]
fn a_failing_hook() {
    raw("eco.set_panic_hook(function() error('hook failed') end) error('x')")
        .stderr_has("hook failed")
        .status(1)
        .eco();
    raw("eco.set_panic_hook(function() error('hook failed') end) eco.sleep(0.001) error('x')")
        .stderr_has("hook failed")
        .status(1)
        .eco();
}

#[test]
fn the_hook_field_of_old_scripts() {
    raw("eco.panic_hook = function(message) print(message:match('boom')) end error('boom')")
        .stdout("boom\n")
        .status(1)
        .eco();
}

#[test]
fn variables_are_closed_and_finalizers_run() {
    raw(r#"
        keep = setmetatable({}, { __gc = function() print('finalized') end })
        local guard<close> = setmetatable({}, { __close = function() print('closed') end })
        eco.sleep(0.001)
        error('x')
    "#)
    .stdout("closed\nfinalized\n")
    .stderr_has("x")
    .status(1)
    .eco();
}

#[test]
fn an_error_in_a_woken_user_made_coroutine() {
    raw(r#"
        local eco = require 'eco'
        eco.run(function()
            local co = coroutine.wrap(function() eco.sleep(0.001) error('inner failure') end)
            co()
            eco.sleep(1000)
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stderr_has("inner failure")
    .status(1)
    .limit(10)
    .both();
}

#[test]
fn the_watchdog_reports_and_goes_on() {
    raw(r#"
        local eco, time = require 'eco', require 'eco.time'
        eco.set_watchdog_timeout(20)
        local reports = {}
        eco.set_panic_hook(function(a) reports[#reports + 1] = a end)
        eco.run(function()
            eco.sleep(0)
            local stop = time.now() + 0.06
            while time.now() < stop do end
            eco.sleep(0)
            eco.set_watchdog_timeout(0)
            eco.sleep(0)
            stop = time.now() + 0.03
            while time.now() < stop do end
            eco.sleep(0)
            assert(#reports >= 1, #reports)
            assert(reports[1]:find('coroutine execution timeout: run too long%(%d+ ms%) without yielding/dead %(>20 ms%)'), reports[1])
            print('went on')
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("went on\n")
    .both();
}

#[test]
fn a_timer_callback_that_fails() {
    raw("require 'eco.time'.at(0.001, function() error('callback') end)")
        .stderr_has("callback")
        .status(1)
        .eco();
}
