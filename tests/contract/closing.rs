//! States that close: what still runs then, and what other states keep.

use crate::support::{build_host, emulated, lua, modules_folder, raw, sanitized, skip, Scratch};
use std::process::Command;

#[test]
fn a_state_that_is_closing_refuses() {
    // The value with the finaliser is older than the scheduler, so it is finalised last.
    raw(r#"
        local function finalise(self)
            local eco, time, sync, channel = self.eco, self.time, self.sync, self.channel
            local function refuses(f, ...)
                local ok, message = pcall(f, ...)
                assert(not ok and tostring(message):find('the Lua state is closing', 1, true), tostring(message))
            end
            local function work() end
            refuses(eco.run, work)
            refuses(eco.count)
            refuses(eco.all)
            refuses(eco.loop)
            refuses(eco.unloop)
            refuses(eco.set_panic_hook, work)
            refuses(eco.set_watchdog_timeout, 100)
            refuses(eco.io, 0)
            refuses(eco.reader, 0)
            refuses(eco.writer, 1)
            refuses(eco.buffer)
            refuses(eco._resume, coroutine.create(work))
            refuses(time.at, 1, work)
            refuses(time.on, 1, work)
            refuses(time.timer, work)
            refuses(sync.cond)
            refuses(sync.mutex)
            refuses(sync.waitgroup)
            refuses(channel.new)
            refuses(self.file.open, '/dev/null')
            refuses(self.sys.exec, 'true')
            refuses(self.socket.listen_tcp, '127.0.0.1', 0)
            for _, f in ipairs { eco.sleep, eco.yield, self.file.sync, function() self.late:recv() end } do
                refuses(coroutine.wrap(f), 0)
            end
            -- Made while the state was closing already, it will not be finalised.
            assert(self.late:send('x') and self.late:recv() == 'x')
            assert(select(2, self.timer:set(1)) ~= nil)
            -- Finalised, so they are nothing any more.
            assert(not pcall(function() self.parked:wait() end))
            assert(not pcall(self.late.recv, self.early))
            refuses(require, 'eco')
            refuses(require, 'eco.http.server')
            print('refused')
        end
        local old = setmetatable({}, { __gc = function(self) print(select(2, pcall(finalise, self))) end })
        local eco = require 'eco'
        for _, name in ipairs { 'time', 'sync', 'channel', 'file', 'sys', 'socket' } do
            old[name] = require('eco.' .. name)
        end
        old.eco, old.early, old.parked = eco, old.channel.new(), old.sync.cond()
        package.loaded.eco = nil
        -- Younger than the scheduler: finalised before it.
        late = setmetatable({}, { __gc = function()
            old.late = old.channel.new()
            old.timer = old.time.timer(print)
        end })
        eco.run(function() old.parked:wait() end)
        eco.run(function() old.file.sync() end)
        eco.run(function() eco.sleep(0.001) end)
        eco.run(function() eco.sleep(100) end)
        eco.run(function() eco.sleep(0.01) eco.unloop() end)
        assert(eco.loop())
    "#)
    .env("MALLOC_PERTURB_", "165")
    .stdout("refused\n\n")
    .lua54();
}

#[test]
fn an_exit_that_closes_the_state_from_inside_the_loop() {
    raw(r#"
        keep = setmetatable({}, { __gc = function()
            print(pcall(require 'eco'.run, print))
        end })
        local eco = require 'eco'
        eco.run(function() eco.sleep(0.001) os.exit(7, true) end)
        eco.run(function() eco.sleep(1000) end)
        eco.loop()
    "#)
    .stdout_has("the Lua state is closing")
    .status(7)
    .lua54();
}

#[test]
fn closing_handlers_may_end_and_collect_other_coroutines() {
    raw(r#"
        local eco, threads, closed = require 'eco', {}, 0
        for i = 1, 100 do
            threads[i] = eco.run(function()
                local handler<close> = setmetatable({}, { __close = function()
                    closed = closed + 1
                    if i == 50 then
                        for j, co in pairs(threads) do
                            if j ~= i and coroutine.status(co) == 'suspended' then coroutine.close(co) end
                            threads[j] = nil
                        end
                        eco.count()
                        collectgarbage()
                        collectgarbage()
                        eco.run(function() eco.sleep(1) end)
                        if closed == 100 then io.stderr:write('all closed\n') end
                    end
                end })
                eco.sleep(1000)
            end)
        end
        eco.run(function() eco.sleep(0.001) error('boom') end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .env("MALLOC_PERTURB_", "165")
    .stderr_has("all closed")
    .status(1)
    .limit(10)
    .both();
}

#[test]
fn a_panic_hook_may_drop_the_failed_coroutine() {
    raw(r#"
        local eco = require 'eco'
        eco.set_panic_hook(function(message)
            print(message:match('boom'))
            eco.count()
            collectgarbage()
            collectgarbage()
        end)
        eco.run(function()
            local handler<close> = setmetatable({}, { __close = function() print('closed') end })
            eco.sleep(0.001)
            error('boom')
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .env("MALLOC_PERTURB_", "165")
    .stdout("boom\nclosed\n")
    .status(1)
    .limit(10)
    .both();
}

#[test]
fn a_forked_child_has_signals_of_its_own() {
    lua(r#"
        local eco, sys, time = require 'eco', require 'eco.sys', require 'eco.time'
        local interrupted = false
        local pid, process = sys.spawn(function()
            -- Ends this loop, and no other.
            sys.kill(sys.getpid(), sys.SIGINT)
            eco.sleep(20)
            os.exit(3)
        end, true)
        local _, status = process:wait(10 * T.slow)
        T.eq(status and status.status, 0)
        eco.sleep(0.01)
    "#)
    .both();
}

/// A process with two Lua states in two threads, made by `tests/c/threads.c`.
#[test]
fn two_states_in_two_threads_share_signals() {
    if emulated() || sanitized() {
        skip("threads.c", "the C host is not built for what is tested");
        return;
    }
    let scratch = Scratch::new();
    let output = Command::new(build_host("threads", &scratch.0))
        .env("LUA_CPATH", format!("{}/?.so", modules_folder().display()))
        .current_dir(&scratch.0)
        .output()
        .expect("the C host");
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
