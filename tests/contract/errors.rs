//! Uncaught errors, the panic hook, the watchdog.

use crate::support::{lua, raw};

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

/// Error values and how every place that reports an error tells them.
const VALUES: [(&str, &str); 8] = [
    ("nil", "(error object is a nil value)"),
    ("{}", "(error object is a table value)"),
    ("true", "(error object is a boolean value)"),
    ("print", "(error object is a function value)"),
    ("42", "42"),
    (
        "setmetatable({}, { __tostring = function() return 'told by itself' end })",
        "told by itself",
    ),
    (
        "setmetatable({}, { __tostring = function() error('no') end })",
        "(error object is a table value)",
    ),
    (
        "setmetatable({}, { __tostring = function() return 1 end })",
        "(error object is a table value)",
    ),
];

#[test]
fn error_values_of_any_type() {
    for (value, text) in VALUES {
        raw(&format!(
            "local function inner() error({value}, 0) end inner()"
        ))
        .stderr_has(&format!("{text}\nstack traceback:"))
        .stderr_has("in local 'inner'")
        .status(1)
        .eco();
        raw(&format!(
            "require 'eco'.run(function() error({value}, 0) end)"
        ))
        .stderr_has(&format!("{text}\nstack traceback:"))
        .status(1)
        .both();
    }
}

#[test]
fn error_values_in_callbacks_and_hooks() {
    for (value, text) in VALUES {
        for source in [
            "require 'eco.time'.at(0.001, function() VALUE end)",
            "local sys = require 'eco.sys' sys.signal(sys.SIGUSR1, function() VALUE end)
             sys.kill(sys.getpid(), sys.SIGUSR1)",
            "eco._set_sigchld_hook(function() VALUE end)
             require 'eco.sys'.exec('true'):wait()",
            "eco.set_panic_hook(function() VALUE end) error('x')",
        ] {
            raw(&source.replace("VALUE", &format!("error({value}, 0)")))
                .stderr_has(text)
                .status(1)
                .eco();
        }
        raw(&format!(
            "eco.set_panic_hook(function(a) print(a) end) error({value}, 0)"
        ))
        .stdout_has(&format!("{text}\nstack traceback:"))
        .status(1)
        .eco();
    }
}

#[test]
fn error_values_of_http_handlers() {
    for (value, text) in VALUES {
        lua(&format!(
            r#"
            local eco, http, log = require 'eco', require 'eco.http.server', require 'eco.log'
            local socket = require 'eco.socket'
            log.set_path(T.path('log'))
            local listen_tcp, listener = socket.listen_tcp, nil
            socket.listen_tcp = function(...)
                listener = assert(listen_tcp(...))
                return listener
            end
            eco.run(http.listen, '127.0.0.1', 0, {{}}, function() error({value}, 0) end)
            local c = assert(socket.connect_tcp('127.0.0.1', listener:getsockname().port))
            c:send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
            assert(c:read('a', 5):find('^HTTP/1.1 500 '))
            c:close()
            listener:close()
            local text = assert(require 'eco.file'.readfile(T.path('log')))
            assert(text:find({text:?}, 1, true), text)
            assert(text:find('stack traceback:', 1, true), text)
            log.set_path('')
            "#
        ))
        .eco();
    }
}

#[test]
fn a_message_is_told_whole() {
    raw("error('one\\0two', 0)")
        .stderr_has("one\0two\nstack traceback:")
        .status(1)
        .eco();
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
fn the_watchdog_names_who_ran() {
    raw(r#"
        local eco, time = require 'eco', require 'eco.time'
        local reports = {}
        eco.set_panic_hook(function(message) reports[#reports + 1] = message end)
        local function takes_its_time()
            eco.yield()
            local stop = time.now() + 0.06
            while time.now() < stop do end
            -- The queue of those who are ready grows meanwhile.
            for _ = 1, 300 do eco.run(eco.yield) end
            eco.sleep(0.3)
        end
        eco.run(function()
            eco.sleep(0)
            eco.set_watchdog_timeout(20)
            eco.run(function()
                takes_its_time()
                eco.yield()
            end)
            eco.sleep(0.1)
            eco.set_watchdog_timeout(0)
            local named = 0
            for _, message in ipairs(reports) do
                if message:find('takes_its_time') then named = named + 1 end
            end
            print(named > 0)
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("true\n")
    .both();
}

#[test]
fn a_timer_callback_that_fails() {
    raw("require 'eco.time'.at(0.001, function() error('callback') end)")
        .stderr_has("callback")
        .status(1)
        .eco();
}
