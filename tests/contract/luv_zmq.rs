//! ØMQ for Luv, with the library of the machine.

use crate::support::{emulated, lua_file, raw, skip};

/// Whether the library is there for the interpreter; else says that `what` is not tested.
fn has_library(what: &str) -> bool {
    let found = ["/usr/lib", "/lib"].iter().any(|folder| {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return false;
        };
        let folders = entries.flatten().map(|entry| entry.path());
        let mut folders = folders.chain([folder.into()]);
        folders.any(|folder| folder.join("libzmq.so.5").exists())
    });
    if emulated() || !found {
        skip(what, "needs libzmq of this machine");
        return false;
    }
    true
}

#[test]
fn contexts_and_sockets() {
    if has_library("luv-zmq.lua") {
        lua_file("luv-zmq.lua").limit(120).both();
    }
}

/// The module says what is missing, and does not load.
#[test]
fn without_the_library_the_error_names_it() {
    if !emulated() {
        return;
    }
    raw("print(pcall(require, 'luv.zmq'))")
        .stdout_has("false\tluv.zmq needs the library libzmq (package libzmq)")
        .eco();
}

/// The document's program. The producer may be cut off by the end.
#[test]
fn two_threads() {
    if !has_library("the threads of ØMQ's example") {
        return;
    }
    raw(r#"luv = require 'luv'
local zmq = luv.zmq.create(1)
local prod = luv.thread.create(function()
   local pub = zmq:socket(luv.zmq.PAIR)
   pub:bind('inproc://#1')

   print("enter prod:")
   for i=1, 10 do
      pub:send("tick: "..i)
   end
   pub:send("STOP")
   assert(pub:recv() == "OK")
   pub:close()
end)

local cons = luv.thread.create(function()
   local sub = zmq:socket(luv.zmq.PAIR)
   sub:connect('inproc://#1')

   print("enter cons")
   while true do
      local msg = sub:recv()
      if msg == "STOP" then
         sub:send("OK")
         break
      end
   end
   sub:close()
end)

cons:join()
"#)
    .stdout_has("enter prod:\n")
    .stdout_has("enter cons\n")
    .both();
}

/// What a script has sent goes out when it ends, though who receives it comes later.
#[test]
fn the_end_of_a_script_waits_for_what_it_has_sent() {
    if !has_library("messages at the end of a script") {
        return;
    }
    raw(r#"local luv = require 'luv'
local file = require 'eco.file'
local name = 'ipc://' .. file.dirname(arg[0]) .. '/messages'
local sender = assert(io.popen(os.getenv('TEST_INTERPRETER'):gsub('\n', ' ') .. ' sender.lua ' .. name, 'r'))
assert(sender:read() == 'sent')
luv.sleep(0.1)
local pull = luv.zmq.create():socket(luv.zmq.PULL)
assert(pull:bind(name) == 0)
for i = 1, 10 do assert(pull:recv() == 'tick: ' .. i) end
print(sender:close())
"#)
    .file(
        "sender.lua",
        "local luv = require 'luv'
         local push = luv.zmq.create():socket(luv.zmq.PUSH)
         push:connect(...)
         for i = 1, 10 do push:send('tick: ' .. i) end
         push:close()
         print 'sent'
         io.stdout:flush()",
    )
    .stdout("true\texit\t0\n")
    .limit(20)
    .eco();
}

/// One whose messages nobody takes can be interrupted.
#[test]
fn sigint_ends_a_script_whose_messages_nobody_takes() {
    if !has_library("SIGINT at the end of a script") {
        return;
    }
    raw("local luv = require 'luv'
         local push = luv.zmq.create():socket(luv.zmq.PUSH)
         push:connect('ipc:///nowhere/at/all')
         push:send('x')
         push:close()")
    .interrupt(1000)
    .limit(10)
    .killed_by(libc::SIGINT)
    .eco();
}
