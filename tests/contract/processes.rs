//! Children, and the signals and descriptors they start with.

use crate::support::{emulated, raw, skip};

#[test]
fn starting_a_program_does_not_copy_a_large_parent() {
    if emulated() {
        skip("exec", "the emulator starts every child by fork");
        return;
    }
    raw(r#"
        local sys, time = require 'eco.sys', require 'eco.time'
        local ballast = {}
        for i = 1, 200 do ballast[i] = ('x'):rep(1 << 20) .. i end
        local function median(start)
            local times = {}
            for i = 1, 9 do
                local before = time.now()
                local finish = start()
                times[i] = time.now() - before
                finish()
            end
            table.sort(times)
            return times[5]
        end
        local copied = median(function()
            local pid = sys.fork()
            if pid == 0 then sys.kill(sys.getpid(), sys.SIGKILL) end
            return function() while sys.waitpid(pid) ~= pid do end end
        end)
        local started = median(function()
            local process = assert(sys.exec('true'))
            return function() process:wait() end
        end)
        print(started < copied / 3 or ('%.4f of %.4f'):format(started, copied))
    "#)
    .stdout("true\n")
    .eco();
}
