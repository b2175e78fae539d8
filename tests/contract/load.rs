//! Many connections at once.

use crate::support::{emulated, lua, skip};

/// The hard limit of open descriptors.
fn descriptor_limit() -> u32 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(4));
    hard.map_or(1024, |word| word.parse().unwrap_or(u32::MAX))
}

const SERVER: &str = r#"
    local eco, socket = require 'eco', require 'eco.socket'
    local server = assert(socket.listen_tcp('127.0.0.1', 0))
    print(server:getsockname().port)
    io.stdout:flush()
    local total = tonumber(arg[1])
    for i = 1, total do
        local client = assert(server:accept())
        eco.run(function()
            while true do
                local line = client:read('L')
                if not line then break end
                assert(client:send(line))
            end
            client:close()
        end)
    end
"#;

#[test]
fn ten_thousand_connections() {
    let wanted = if emulated() { 1_000 } else { 10_000 };
    let limit = descriptor_limit();
    if limit < wanted + 100 {
        skip(
            "ten thousand connections",
            "the limit of open files is lower",
        );
        return;
    }
    lua(r#"
        local eco, socket, sys, time = require 'eco', require 'eco.socket', require 'eco.sys', require 'eco.time'
        local total = tonumber(os.getenv('TOTAL'))
        local words = { table.unpack(T.interpreter) }
        words[#words + 1] = 'server.lua'
        words[#words + 1] = tostring(total)
        local server<close> = assert(sys.exec(words))
        local port = assert(tonumber(server:read_stdout('l', 20)))
        local clients, group = {}, T.gather()
        -- A few connect at a time, so that the backlog suffices on any machine.
        local next_index = 0
        for _ = 1, 50 do
            group:run(function()
                while next_index < total do
                    next_index = next_index + 1
                    local i = next_index
                    clients[i] = assert(socket.connect_tcp('127.0.0.1', port))
                end
            end)
        end
        group:wait(60)
        T.eq(#clients, total)
        local group = T.gather()
        for round = 1, 2 do
            for i = 1, total do
                group:run(function()
                    assert(clients[i]:send(i .. ' in round ' .. round .. '\n'))
                    T.eq(clients[i]:read('l', 60), i .. ' in round ' .. round)
                end)
            end
            group:wait(60)
        end
        for _, client in ipairs(clients) do client:close() end
        local _, status = server:wait(30)
        T.eq(status, { exited = true, status = 0 }, server:read_stderr('a', 1))
    "#)
    .file("server.lua", SERVER)
    .env("TOTAL", &wanted.to_string())
    .descriptors(wanted + 100)
    .limit(120)
    .eco();
}
