//! Children, and the signals and descriptors they start with.

use crate::support::{emulated, raw, sanitized, skip, Script};

#[test]
fn starting_a_program_does_not_copy_a_large_parent() {
    if emulated() || sanitized() {
        skip("exec", "the emulator starts every child by fork");
        return;
    }
    raw(r#"
        local sys, time = require 'eco.sys', require 'eco.time'
        local ballast = {}
        for i = 1, 200 do ballast[i] = ('x'):rep(1 << 20) .. i end
        local function fastest(start)
            local times = {}
            for i = 1, 9 do
                local before = time.now()
                local finish = start()
                times[i] = time.now() - before
                finish()
            end
            return math.min(table.unpack(times))
        end
        local copied = fastest(function()
            local pid = sys.fork()
            if pid == 0 then sys.kill(sys.getpid(), sys.SIGKILL) end
            return function() while sys.waitpid(pid) ~= pid do end end
        end)
        local started = fastest(function()
            local process = assert(sys.exec('true'))
            return function() process:wait() end
        end)
        print(started < copied / 3 or ('%.4f of %.4f'):format(started, copied))
    "#)
    .stdout("true\n")
    .eco();
}

/// A shell command line with the interpreter in place of `ECO`.
fn shell(line: &str) -> Script {
    raw(&format!(
        "local eco = os.getenv('TEST_INTERPRETER'):gsub('\\n', ' ')
         os.execute((({line:?}):gsub('ECO', eco)))"
    ))
}

#[test]
fn standard_streams_that_are_closed_are_opened() {
    shell("ECO inner.lua <&- >&- 2>&-; cat found")
        .file(
            "inner.lua",
            "local file = require 'eco.file'
             local found = io.open('found', 'w')
             for fd = 0, 2 do found:write(file.readlink('/proc/self/fd/' .. fd), '\\n') end
             print('into nothing')
             found:close()",
        )
        .stdout("/dev/null\n/dev/null\n/dev/null\n")
        .eco();
}

#[test]
fn a_script_may_be_a_descriptor_of_the_parent() {
    shell("bash -c 'ECO <(echo \"print(1)\")'")
        .stdout("1\n")
        .eco();
}

#[test]
fn printing_to_a_closed_pipe_ends_the_program() {
    shell("ECO -e 'eco.sleep(0) while true do print(1) end' 2>message | true; grep -o 'Broken pipe' message")
        .stdout("Broken pipe\n")
        .limit(10)
        .eco();
}

/// Which of SIGHUP, SIGINT and SIGPIPE a child ignores, by what `grep` in it says.
const IGNORED: &str = "
    local command = 'grep SigIgn /proc/self/status'
    local function print_ignored(text) print(('%x'):format(tonumber(text:match('%x+$'), 16) & 0x1003)) end
";

#[test]
fn children_start_with_the_default_of_sigpipe() {
    for wait in ["", "eco.sleep(0)"] {
        raw(&format!(
            "{IGNORED} {wait}
             print_ignored(io.popen(command):read('l'))
             print_ignored(require 'eco.sys'.sh(command):sub(1, -2))
             os.execute('yes | head -1')"
        ))
        .stdout("0\n0\ny\n")
        .limit(10)
        .eco();
    }
}

#[test]
fn children_of_a_loop_in_plain_lua_start_with_the_default_of_sigpipe() {
    raw(&format!(
        "local eco = require 'eco' {IGNORED}
         eco.run(function()
             eco.sleep(0)
             print_ignored(io.popen(command):read('l'))
         end)
         eco.loop()"
    ))
    .stdout("0\n")
    .lua54();
}

#[test]
fn what_the_starter_ignores_stays_ignored() {
    if emulated() {
        skip(
            "signals",
            "the emulator handles what it was started to ignore",
        );
        return;
    }
    shell("trap '' PIPE INT HUP; ECO inner.lua")
        .file(
            "inner.lua",
            &format!("{IGNORED} eco.sleep(0) print_ignored(io.popen(command):read('l'))"),
        )
        .stdout("1003\n")
        .eco();
}

#[test]
fn output_that_memory_has_no_room_for_raises_in_the_caller() {
    if emulated() {
        skip("sh", "the emulator needs more memory than the limit leaves");
        return;
    }
    shell("ulimit -v 60000; ECO inner.lua")
        .file(
            "inner.lua",
            "local sys = require 'eco.sys'
             print(pcall(sys.sh, 'yes', 30, { max_output = 1 << 40 }))
             collectgarbage()
             print((sys.sh('echo usable')))",
        )
        .stdout("false\tnot enough memory\nusable\n\n")
        .eco();
}

#[test]
fn a_log_file_that_may_not_grow_ends_with_a_whole_record() {
    shell("ulimit -f 1; ECO inner.lua")
        .file(
            "inner.lua",
            "local log, file = require 'eco.log', require 'eco.file'
             log.set_path('log')
             for i = 1, 100 do log.info('record', i) end
             local text = file.readfile('log')
             assert(#text > 400 and text:find('record %d+\\n$'), text)
             -- There is room again.
             io.open('log', 'w'):close()
             log.info('last')
             text = file.readfile('log')
             assert(text:find('^%d+/%d+/%d+ '), text)
             for line in text:gmatch('[^\\n]*\\n') do assert(line:find('record %d+\\n$') or line:find('last'), line) end
             print('whole')",
        )
        .stdout("whole\n")
        .eco();
}

#[test]
fn a_huge_argument_of_the_log_is_cut_without_a_copy() {
    if emulated() {
        skip(
            "log",
            "the emulator needs more memory than the limit leaves",
        );
        return;
    }
    shell("ulimit -v 60000; ECO inner.lua")
        .file(
            "inner.lua",
            "local log = require 'eco.log'
             log.set_path('log')
             local text = ('x'):rep(7 << 20)
             for _ = 1, 2 do
                 text = text .. text
                 collectgarbage()
             end
             log.info(text)
             assert(#io.open('log'):read('a') < 9000)
             print('cut')",
        )
        .stdout("cut\n")
        .eco();
}

#[test]
fn a_raw_read_that_memory_has_no_room_for_raises() {
    if emulated() {
        skip(
            "read",
            "the emulator needs more memory than the limit leaves",
        );
        return;
    }
    shell("ulimit -v 60000; ECO inner.lua")
        .file(
            "inner.lua",
            "local file = require 'eco.file'
             local sparse = io.open('sparse', 'w')
             sparse:seek('set', 1 << 33)
             sparse:write('x')
             sparse:close()
             local fd = require 'eco.internal.file'.open('sparse')
             print(pcall(file.read, fd, 1 << 40))
             print(#file.read(fd, 100000))",
        )
        .stdout("false\tnot enough memory\n100000\n")
        .eco();
}

#[test]
fn a_command_of_sh_ends_with_its_script() {
    for end in [
        "os.exit(0)",
        "sys.kill(sys.getpid(), sys.SIGKILL)",
        "eco.unloop()",
    ] {
        // Nobody may wait for an orphan: a zombie is gone, too.
        shell("lives() { grep -q '^State:.[^ZX]' /proc/$(cat pid)/status 2>/dev/null; }; \
               (ECO inner.lua; true) 2>/dev/null; \
               for i in $(seq 200); do lives || break; sleep 0.05; done; lives || echo gone")
            .file(
                "inner.lua",
                &format!(
                    "local sys = require 'eco.sys'
                     eco.run(function() sys.sh('echo $$ > pid.new; mv pid.new pid; exec sleep 1000', 1000) end)
                     repeat eco.sleep(0.005) until io.open('pid')
                     {end}"
                ),
            )
            .stdout_has("gone\n")
            .limit(30)
            .eco();
    }
}
