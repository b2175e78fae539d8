//! Lua states in threads.

use crate::support::{lua_file, raw};

#[test]
fn thread() {
    lua_file("thread.lua").limit(180).both();
}

#[test]
fn a_program_that_ends_ends_its_threads() {
    raw(r#"
        local thread, eco = require 'eco.thread', require 'eco'
        eco.run(function()
            local ready = thread.channel()
            for _ = 1, 3 do
                assert(thread.spawn(function()
                    local handler<close> = setmetatable({}, { __close = function() io.stderr:write('closed\n') end })
                    ready:send(true)
                    eco.sleep(1000)
                end))
                ready:recv()
            end
            assert(thread.spawn(function()
                ready:send(true)
                while true do end
            end))
            ready:recv()
            print('ends')
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("ends\n")
    .stderr_has("closed\nclosed\nclosed\n")
    .limit(10)
    .both();
}

#[test]
fn an_error_that_nobody_is_told_of_goes_to_standard_error() {
    raw(r#"
        local thread, eco = require 'eco.thread', require 'eco'
        eco.run(function()
            local gone = thread.channel()
            assert(thread.spawn({ name = 'lonely' }, function()
                gone:close()
                error('nobody asks', 0)
            end))
            gone:recv()
            -- Its end cannot be waited for any more.
            collectgarbage()
            collectgarbage()
            for _ = 1, 100 do eco.sleep(0.01) end
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stderr_has("thread lonely: nobody asks")
    .limit(20)
    .both();
}

#[test]
fn sigint_ends_the_loops_of_all_threads() {
    raw(r#"
        local thread, eco, sys = require 'eco.thread', require 'eco', require 'eco.sys'
        local ready, t = thread.channel()
        eco.run(function()
            t = assert(thread.spawn(function()
                ready:send(true)
                eco.sleep(1000)
            end))
            ready:recv()
            -- By then the loop here runs, too.
            eco.sleep(0.01)
            sys.kill(sys.getpid(), sys.SIGINT)
            eco.sleep(1000)
        end)
        if not coroutine.isyieldable() then eco.loop() end
    "#)
    .stdout("")
    .limit(10)
    .both();
}
