//! Contexts of node-lua, and the program that starts their scripts.

use crate::support::{lua_file, raw, Script};

#[test]
fn contexts_of_a_state() {
    lua_file("contexts.lua")
        .env("NODE_LUA_QUIET", "1")
        .stdout_has("[error] context:0x")
        .limit(120)
        .both();
}

/// The program with these arguments, in a folder with these files. Its lines about contexts are left out.
fn launch(arguments: &str, files: &[(&str, &str)]) -> Script {
    let script = raw(&format!(
        "local eco = os.getenv('TEST_INTERPRETER'):gsub('\\n', ' ')
         assert(io.open('launcher', 'w')):write(\"require 'node-lua' (arg)\"):close()
         local _, _, status = os.execute(eco .. ' launcher {arguments}')
         os.exit(status)"
    ));
    let script = script.env("NODE_LUA_QUIET", "1");
    files
        .iter()
        .fold(script, |script, (name, text)| script.file(name, text))
}

/// One file, in the form of calls that the engine ships.
fn shipped(text: &str) -> Script {
    launch("main.lua", &[("main.lua", text)]).env("NODE_LUA_API", "shipped")
}

const USED: &str = "Process used ";

#[test]
fn without_a_script() {
    launch("", &[])
        .stdout("Error: node-lua needs a lua file to be the entry!\n")
        .status(255)
        .eco();
}

#[test]
fn log_lines() {
    launch(
        "main.lua a 1",
        &[
            (
                "main.lua",
                "print(context.self, context.parent, context.name, context.winos, ...)
                 local child = context.create('child.lua', 2, 3.5)
                 context.wait(child)
                 context.wait(context.create('none.lua'))
                 context.wait(context.create('wrong.lua'))
                 local long = context.create('long.lua')
                 context.destroy(long, 'enough')
                 context.wait(long)
                 error('at the end', 0)",
            ),
            ("child.lua", "print(...) print(math.type(...), context.parent)"),
            ("wrong.lua", "not Lua"),
            ("long.lua", "context.suspend()"),
        ],
    )
    .env("NODE_LUA_QUIET", "")
    .stdout_has("[alert] context:0x00000001 init: main.lua a 1\n")
    .stdout_has("1\t0\tmain.lua a 1\tfalse\ta\t1\n")
    .stdout_has("[alert] context:0x00000002 init: child.lua 2 3.5\n2\t3.5\nnil\t1\n[alert] context:0x00000002 deinit: killed by context:0x00000002, lua context exit normally\n")
    .stdout_has("[alert] context:0x00000003 deinit: killed by context:0x00000003, fail to initialize lua context none.lua, cannot open none.lua")
    .stdout_has("deinit: killed by context:0x00000004, fail to initialize lua context wrong.lua, wrong.lua:1: ")
    .stdout_has("[alert] context:0x00000005 deinit: killed by context:0x00000001, enough\n")
    .stdout_has("[error] context:0x00000001 error: at the end\nstack traceback:\n")
    .stdout_has("[alert] context:0x00000001 deinit: killed by context:0x00000001, lua context exit normally\nProcess used 0.")
    .eco();
}

/// The two services of the sample: messages, a query, an end by force.
#[test]
fn a_service_and_its_sub_service() {
    let main = r#"
        print('main service create sub service:', 2)
        local child = context.create('test.lua', 2, 1)
        context.send(child, 1, 2, 3, 4, nil, true, false, 'hello', { 1 })
        context.send(child, 1, 2, 3, 4, nil, true, false, 'hello', { 1 })
        print('context.query', context.query(child, 'hello world'))
        context.destroy(child)
    "#;
    let test = r#"
        print('this is the child service : ', ...)
        local parent = context.parent
        print('context.recv blocking1: ', context.recv(parent))
        print('context.recv blocking2: ', context.recv(parent))
        local result = table.pack(context.recv(parent))
        print('context.recv blocking3:', result[1], result[2], result[3] > 0, unpack(result, 4))
        print('context.reply:', context.reply(result[2], result[3], 1, 2, 3, 'aaaa', {}) )
        context.suspend()
    "#;
    launch("main.lua", &[("main.lua", main), ("test.lua", test)])
        .env("NODE_LUA_API", "shipped")
        .stdout_has("main service create sub service:\t2\n")
        .stdout_has("this is the child service : \t2\t1\n")
        .stdout_has(
            "context.recv blocking1: \ttrue\t1\t-1\t1\t2\t3\t4\tnil\ttrue\tfalse\thello\ttable: 0x",
        )
        .stdout_has(
            "context.recv blocking2: \ttrue\t1\t-1\t1\t2\t3\t4\tnil\ttrue\tfalse\thello\ttable: 0x",
        )
        .stdout_has("context.recv blocking3:\ttrue\t1\ttrue\thello world\n")
        .stdout_has("context.reply:\ttrue\n")
        .stdout_has("context.query\ttrue\t1\t2\t3\taaaa\ttable: 0x")
        .stdout_has(USED)
        .eco();
}

/// Clients, a gate that takes connections, and an agent per connection that answers through the shared number.
#[test]
fn a_gate_with_agents() {
    let gate = r#"
        local count = 20
        local ok, listener = tcp.listen('127.0.0.1', 0)
        assert(ok, listener)
        -- The port is known to a socket only.
        local port = 40000 + os.time() % 20000
        repeat
            tcp.close(listener)
            port = port + 1
            ok, listener = tcp.listen('127.0.0.1', port)
        until ok
        for _ = 1, count do context.create('client.lua', port) end
        local kept = {}
        for i = 1, count do
            local ok, socket = tcp.accept(listener)
            assert(ok, socket)
            local options = { read_head_endian = 'L', read_head_bytes = 2, read_head_max = 65535,
                write_head_endian = 'L', write_head_bytes = 2, write_head_max = 65535 }
            socket:set_rwopt(options)
            socket:set_wshared(true)
            local agent = context.create('agent.lua', socket:fd())
            kept[socket] = true
            socket:read(function(ok, buffer)
                if ok then return context.send(agent, buffer) end
                context.destroy(agent)
                kept[socket] = nil
                socket:close()
            end)
        end
        tcp.close(listener)
    "#;
    let agent = r#"
        local fd = math.tointeger(tonumber(...))
        assert(tcp.fd_src(fd) == 1)
        while true do
            local ok, from, session, buffer = context.recv(context.parent)
            tcp.write(fd, buffer)
        end
    "#;
    let client = r#"
        local ok, socket = tcp.connect('127.0.0.1', ...)
        assert(ok, socket)
        socket:setopt { read_head_bytes = 2, write_head_bytes = 2 }
        for i = 1, 30 do
            socket:write('message ' .. i .. (' '):rep(i * 7))
            local ok, buffer = socket:read()
            assert(ok and tostring(buffer) == 'message ' .. i .. (' '):rep(i * 7), buffer)
        end
        socket:close()
    "#;
    launch(
        "gate.lua",
        &[
            ("gate.lua", gate),
            ("agent.lua", agent),
            ("client.lua", client),
        ],
    )
    .env("NODE_LUA_API", "shipped")
    .stdout_has(USED)
    .eco();
}

#[test]
fn blocking_calls_in_coroutines_of_the_script() {
    shipped(
        r#"
        local co = coroutine.create(function()
            local inner = coroutine.wrap(function()
                timer.sleep(0.01)
                coroutine.yield('yielding up')
                timer.sleep(0.01)
                return 'inner ends'
            end)
            coroutine.yield(inner())
            coroutine.yield(inner())
        end)
        print('coroutine.resume1', coroutine.resume(co))
        print(coroutine.status(co), coroutine.isyieldable())
        print('coroutine.resume2', coroutine.resume(co))
        print('coroutine.resume3', coroutine.resume(co))
        print('coroutine.resume4', coroutine.resume(co))
        print(pcall(coroutine.yield, 1))
        print(pcall(string.gsub, 'x', 'x', function() timer.sleep(1) end))
        print(pcall(string.gsub, 'x', 'x', function()
            local inner = coroutine.wrap(function() context.recv(0) end)
            inner()
        end))
        -- What waits is resumed by nobody else.
        local waits = coroutine.create(function() timer.sleep(0.02) return 'slept' end)
        local root = coroutine.running()
        context.run(function()
            print(coroutine.status(waits), coroutine.resume(waits))
            print(coroutine.resume(root))
            print(pcall(coroutine.close, waits))
        end)
        print(coroutine.resume(waits))
        print(pcall(coroutine.wrap(function() timer.sleep(0.001) error('raised', 0) end)))
        local sum = 0
        for i in coroutine.wrap(function() for i = 1, 3 do timer.sleep(0.001) coroutine.yield(i) end end) do sum = sum + i end
        print(sum)
        "#,
    )
    .stdout_has(
        "coroutine.resume1\ttrue\tyielding up\n\
         suspended\ttrue\n\
         coroutine.resume2\ttrue\tinner ends\n\
         coroutine.resume3\ttrue\n\
         coroutine.resume4\tfalse\tcannot resume dead coroutine\n\
         false\tattempt to yield from root coroutine\n\
         false\tmain.lua:18: attempt to yield across a C-call boundary\n\
         false\tmain.lua:20: attempt to yield across a C-call boundary\n\
         normal\tfalse\tcannot resume non-suspended coroutine\n\
         false\tcannot resume non-suspended coroutine\n\
         false\tcannot close a normal coroutine\n\
         true\tslept\n\
         false\traised\n\
         6\n",
    )
    .eco();
}

/// A context that computes delays nobody, though it hears of nothing itself.
#[test]
fn a_busy_context_delays_nobody() {
    launch(
        "main.lua",
        &[
            (
                "main.lua",
                "local busy = context.create('busy.lua')
                 for i = 1, 50 do
                     local echo = context.create('echo.lua')
                     assert(context.query(echo, i))
                 end
                 print('all have answered')
                 context.destroy(busy)
                 context.send(busy, 'stop')",
            ),
            // It ends by itself, in case that nobody else does.
            ("busy.lua", "local until_then = os.time() + 20 repeat until os.time() >= until_then or io.open('stop')"),
            ("echo.lua", "local _, from, session, n = context.recv(0) context.reply(from, session, n) if n == 50 then io.open('stop', 'w'):close() end"),
        ],
    )
    .env("NODE_LUA_API", "shipped")
    .stdout_has("all have answered\n")
    .eco();
}

#[test]
fn older_lua_is_taken_for_granted() {
    launch(
        "main.lua",
        &[
            (
                "main.lua",
                "print(unpack { 1, 2 })
                 print(loadstring 'return 3' (), math.pow(2, 3), table.maxn { 1, [7] = 2 })
                 print(bit32.band(0xff, 0x0f), bit32.bnot(0), bit32.lshift(1, 31), bit32.rshift(-1, 28), bit32.arshift(0x80000000, 4))
                 print(bit32.lrotate(0x80000001, 1), bit32.extract(0xabcd, 4, 8), bit32.replace(0, 5, 4, 4), bit32.btest(1, 2))
                 package.path = package.path .. ';./old_part.lua'
                 local m = require 'old.part'
                 print(m.answer(), old.part == m, m._NAME, m._PACKAGE, answer)
                 print(require 'context' == context, require 'tcp' == tcp, require 'node-lua'.udp == udp)
                 for name in pairs(tcp) do if name == 'listen6' then print(name) end end
                 print('8080' + '1')",
            ),
            (
                "old_part.lua",
                "module('old.part', package.seeall)
                 function answer() return tostring(42) end",
            ),
            ("path", ""),
        ],
    )
    .stdout_has(
        "1\t2\n3\t8.0\t7\n15\t4294967295\t2147483648\t15\t4160749568\n3\t188\t80\tfalse\n\
         42\ttrue\told.part\told.\tnil\ntrue\ttrue\ttrue\nlisten6\n8081\n",
    )
    .eco();
}

/// Whatever a context is at when it ends, others lose nothing and wake.
#[test]
fn ends_at_every_step() {
    launch(
        "main.lua",
        &[
            (
                "main.lua",
                r#"
        local steps = { 'at once', 'received', 'before replying', 'after replying', 'error', 'destroyed', 'asks back' }
        for round = 1, 5 do
            for i, step in ipairs(steps) do
                local child = context.create('child.lua', i)
                local woken
                context.wait(child, function(ok, errno) woken = ok and errno == 0 end)
                local result = table.pack(context.query(child, 'question'))
                if i == 4 then
                    assert(result[1] == true and result[2] == 'answer', step)
                else
                    assert(result[1] == false and (result[2] == 212 or result[2] == 210), step .. tostring(result[2]))
                end
                context.wait(child)
                timer.sleep(0.001)
                assert(woken, step)
                assert(select(2, context.send(child, 1)) == 210)
                assert(select(2, context.query(child, 1)) == 210)
                assert(select(2, context.reply(child, 1, 1)) == 210)
                local ok, errno = context.wait(child)
                assert(ok == false and errno == 210)
                local late
                context.wait(child, function(...) late = table.pack(...) end)
                timer.sleep(0.001)
                assert(late[1] == true and late[2] == 0 and late[3] == child)
            end
        end
        print('done')
                "#,
            ),
            (
                "child.lua",
                r#"
        local step = tonumber(...)
        if step == 1 then return end
        local _, from, session = context.recv(0)
        if step == 2 then return end
        if step == 3 then timer.sleep(0.001) return end
        if step == 4 then context.reply(from, session, 'answer') return end
        if step == 5 then error('wrong', 0) end
        if step == 6 then context.destroy(context.self, 'enough') context.suspend() end
        if step == 7 then context.timed_query(from, 0.01, 'and you?') end
                "#,
            ),
        ],
    )
    .env("NODE_LUA_API", "shipped")
    .stdout_has("done\n")
    .limit(60)
    .eco();
}

/// Contexts come and go, and leave no descriptor, timer or memory.
#[test]
fn nothing_is_left_behind() {
    launch(
        "main.lua",
        &[
            (
                "main.lua",
                r#"
        local function resident()
            local pages = io.open('/proc/self/statm'):read('a'):match('%d+ (%d+)')
            return tonumber(pages) * 4096
        end
        local function round()
            local all = {}
            for i = 1, 40 do all[i] = context.create('child.lua') end
            for i = 1, 40 do
                local ok, value = context.query(all[i], i)
                assert(ok and value == i)
                if i % 2 == 0 then context.destroy(all[i]) end
            end
            for i = 1, 40 do context.wait(all[i]) end
        end
        for _ = 1, 5 do round() end
        local before = resident()
        for _ = 1, 10 do round() end
        collectgarbage()
        local grown = resident() - before
        -- The sanitizer holds what is freed.
        assert(os.getenv('ECO_SANITIZED') or grown < 8e6, grown)
        print('flat')
                "#,
            ),
            (
                "child.lua",
                r#"
        local ok, listener = tcp.listens('/tmp/node-lua-' .. context.self)
        tcp.accept(listener, function() end)
        timer.timeout(1000, function() end)
        timer.loop(0.001, 0.001, function() end)
        local _, from, session, n = context.recv(0)
        context.reply(from, session, n)
        if n % 2 == 1 then context.destroy() end
                "#,
            ),
        ],
    )
    .env("NODE_LUA_API", "shipped")
    .stdout_has("flat\n")
    .limit(60)
    .eco();
}

/// A host whose contexts go on for ever ends all the same.
#[test]
fn a_host_takes_its_contexts_along() {
    raw("
        local node = require 'node-lua'
        local eco = require 'eco'
        assert(io.open('child.lua', 'w')):write([[
            setmetatable({}, { __gc = function() io.stderr:write('closed ') end })
            local _, from, session = context.recv(0)
            context.reply(from, session, 'here')
            context.suspend()
        ]]):close()
        eco.run(function()
            for _ = 1, 3 do
                local child = context.create('child.lua')
                print(context.query(child, 1))
            end
            os.exit(0, true)
        end)
        if not coroutine.isyieldable() then eco.loop() end
    ")
    .env("NODE_LUA_QUIET", "1")
    .env("NODE_LUA_API", "shipped")
    .stdout("true\there\ntrue\there\ntrue\there\n")
    .stderr_has("closed closed closed")
    .both();
}

#[test]
fn interrupted_programs_end() {
    raw("require 'node-lua' { 'main.lua' }")
        .file("main.lua", "print('begun') context.suspend()")
        .stdout_has("begun\n")
        .interrupt(300)
        .eco();
}
