//! The scheduler: order, timers, handles, nested loops, fork.

use crate::support::{lua, lua_file, raw};

#[test]
fn scheduler() {
    lua_file("scheduler.lua").limit(60).both();
}

#[test]
fn handles() {
    lua_file("handles.lua").both();
}

#[test]
fn coroutines_that_end_while_they_wait() {
    lua_file("ended.lua").limit(240).both();
}

#[test]
fn a_loop_does_not_wait_for_the_dead() {
    raw(r#"
        -- Not ours: an end that nobody tells the scheduler of.
        local close = coroutine.close
        local eco, sync, time = require 'eco', require 'eco.sync', require 'eco.time'
        local sys = require 'eco.sys'
        local processes = {}
        local function process()
            processes[#processes + 1] = sys.exec('sleep', '1000')
            return processes[#processes]
        end
        local waits = {
            function() eco.sleep(1000) end,
            function() sync.cond():wait(1000) end,
            function() process():read_stdout(1) end,
            function() process():wait() end,
        }
        for _, wait in ipairs(waits) do
            for _, closes in ipairs { close, coroutine.close } do
                local co = eco.run(wait)
                eco.run(function() eco.sleep(0.001) closes(co) end)
            end
        end
        local departed = coroutine.wrap(function() eco.sleep(1000) coroutine.yield() end)
        departed()
        eco.run(function() eco.sleep(0.001) departed() end)
        if not coroutine.isyieldable() then assert(eco.loop()) end
        for _, process in ipairs(processes) do process:kill() end
        print('idle')
    "#)
    .stdout("idle\n")
    .limit(10)
    .lua54();
}

#[test]
fn a_nested_loop_returns_when_idle() {
    raw(r#"
        local eco = require 'eco'
        eco.run(function() eco.sleep(0.01) io.write('slept ') end)
        print(eco.loop())
    "#)
    .stdout("slept true\n")
    .both();
}

#[test]
fn unloop_of_a_nested_loop_ends_the_outer_one_too() {
    raw(r#"
        local eco = require 'eco'
        eco.run(function() eco.sleep(0.01) eco.unloop() end)
        eco.run(function() eco.sleep(1000) print('never') end)
        eco.loop()
        print('after the loop')
    "#)
    .stdout("after the loop\n")
    .limit(10)
    .eco();
}

#[test]
fn parked_coroutines_do_not_keep_the_loop() {
    raw(r#"
        local eco = require 'eco'
        eco.run(function() coroutine.yield() print('never') end)
        eco.run(function() require 'eco.sync'.cond():wait() print('never') end)
        eco.run(function() require 'eco.channel'.new():recv() print('never') end)
        eco.run(function() eco.sleep(0.001) print('last') end)
        if not coroutine.isyieldable() then print(eco.loop()) end
    "#)
    .stdout_has("last\n")
    .limit(10)
    .both();
}

#[test]
fn the_loop_waits_for_timers_processes_and_listeners() {
    raw(r#"
        local eco, sys, time = require 'eco', require 'eco.sys', require 'eco.time'
        time.at(0.02, function()
            io.write('timer ')
            local listener
            listener = sys.signal(sys.SIGUSR1, function()
                io.write('signal ')
                listener:close()
                local process = sys.exec('sh', '-c', 'sleep 0.02; exit 7')
                eco.run(function()
                    local _, status = process:wait()
                    print(status.status)
                end)
            end)
            os.execute('(sleep 0.02; kill -USR1 ' .. sys.getpid() .. ') &')
        end)
        collectgarbage()
        collectgarbage()
        if not coroutine.isyieldable() then assert(eco.loop()) end
    "#)
    .stdout("timer signal 7\n")
    .limit(10)
    .both();
}

#[test]
fn a_script_ends_while_its_coroutines_go_on() {
    raw(r#"
        eco.run(function() for i = 1, 3 do eco.sleep(0.002) io.write(i, ' ') end end)
        io.write('main ends ')
    "#)
    .stdout("main ends 1 2 3 ")
    .eco();
}

#[test]
fn a_forked_child_has_a_scheduler_of_its_own() {
    lua(r#"
        local eco, sys, file, time = require 'eco', require 'eco.sys', require 'eco.file', require 'eco.time'
        local socket = require 'eco.socket'
        local server<close> = assert(socket.listen_tcp('127.0.0.1', 0))
        local port = server:getsockname().port
        local ticks = 0
        local ticker = eco.run(function() while true do eco.sleep(0.002) ticks = ticks + 1 end end)
        -- Waits of the parent are registered while the child lives.
        local accepted
        eco.run(function() accepted = server:accept(20) end)
        eco.sleep(0.01)
        local pid = sys.spawn(function()
            local before = ticks
            local c = assert(socket.connect_tcp('127.0.0.1', port))
            assert(c:send('from child ' .. eco.count() .. '\n'))
            eco.sleep(0.02)
            assert(ticks == before, 'a coroutine of the parent ran in the child')
            assert(c:send('end\n'))
            c:close()
        end)
        local deadline = time.now() + 10 * T.slow
        while not accepted and time.now() < deadline do eco.sleep(0.001) end
        T.eq(accepted:read('l', 10), 'from child 1')
        T.eq(accepted:read('l', 10), 'end')
        accepted:close()
        while sys.kill(pid, 0) and time.now() < deadline do eco.sleep(0.002) end
        coroutine.close(ticker)
    "#)
    .both();
}

#[test]
fn garbage_may_be_collected_at_any_moment() {
    // Every step of a busy script under an aggressive collector.
    lua(r#"
        collectgarbage('incremental', 10, 10000)
        local eco, sync, channel, time = require 'eco', require 'eco.sync', require 'eco.channel', require 'eco.time'
        local ch, cond, mutex = channel.new(2), sync.cond(), sync.mutex()
        local group = T.gather()
        local sum = 0
        for i = 1, 20 do
            group:run(function()
                for j = 1, 20 do
                    ch:send(j)
                    eco.sleep(j % 3 == 0 and 0.0005 or 0)
                    mutex:lock()
                    eco.yield()
                    mutex:unlock()
                    cond:signal(j)
                    collectgarbage('step')
                end
            end)
            group:run(function()
                for _ = 1, 20 do
                    local value = ch:recv()
                    sum = sum + value
                    collectgarbage('step')
                end
            end)
            group:run(function()
                for _ = 1, 5 do cond:wait(0.01) collectgarbage() end
            end)
        end
        for i = 1, 50 do time.at(i / 10000, function() collectgarbage('step') end) end
        group:wait(20)
        T.eq(sum, 20 * 210)
        collectgarbage(T.plain and 'incremental' or 'generational')
    "#)
    .both();
}

#[test]
fn calls_that_return_at_once_let_others_run() {
    lua_file("fairness.lua").limit(180).eco();
}
