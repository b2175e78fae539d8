//! Luv, and the programs of its documents as they stand.

use crate::support::{lua_file, raw};

#[test]
fn states() {
    lua_file("luv-states.lua").limit(60).both();
}

#[test]
fn input_and_output() {
    lua_file("luv-io.lua").limit(60).both();
}

#[test]
fn echo_server() {
    raw(r#"luv = require 'luv'
-- The document's program, beside a client that ends it.
luv.fiber.create(function()
   local client = luv.net.tcp()
   for _ = 1, 1000 do
      if client:connect('127.0.0.1', 8080) then break end
      luv.sleep(0.01)
   end
   client:write('hello')
   print(client:read())
   io.stdout:flush()
   os.exit(0)
end):ready()

local main = luv.fiber.create(function()
   local server = luv.net.tcp()
   server:bind("127.0.0.1", 8080)
   server:listen()

   while true do
      local client = luv.net.tcp()
      server:accept(client)

      local child = luv.fiber.create(function()
         while true do
            local got, str = client:read()
            if got then
               client:write("you said: "..str)
            else
               client:close()
               break
            end
         end
      end)

      -- put it in the ready queue
      child:ready()
   end
end)

main:join()
"#)
    .stdout("15\tyou said: hello\n")
    .both();
}

#[test]
fn fibers() {
    raw(r#"luv = require 'luv'
local f1 = luv.fiber.create(function(mesg)
    print("inside fiber, mesg: ", mesg)

    local f2 = luv.fiber.create(function()
        print("in child")
        return "answer", 42
    end)

    local k, v = f2:join()  -- join gets return values
    print(k, v)             -- prints: answer, 42

end, "Hello World!")

f1:join()
"#)
    .stdout("inside fiber, mesg: \tHello World!\nin child\nanswer\t42\n")
    .both();
}

#[test]
fn timer() {
    raw(r#"local luv = require("luv")

local timer = luv.timer.create()
-- start after 1 second and repeat after 100ms
timer:start(1000, 100)
for i=1, 10 do
   -- the call to wait blocks here, but would schedule any
   -- ready fibers (if there were any)
   timer:wait()
   print("tick")
end
timer:stop()
"#)
    .stdout("tick\ntick\ntick\ntick\ntick\ntick\ntick\ntick\ntick\ntick\n")
    .both();
}

#[test]
fn idle_watcher() {
    raw(r#"local luv = require('luv')

local idle = luv.idle.create()
idle:start()

local idle_count = 0
local f1 = luv.fiber.create(function()
   while true do
      idle:wait()
      idle_count = idle_count + 1
   end
end)

f1:ready()

local timer = luv.timer.create()
timer:start(10, 10)

local f2 = luv.fiber.create(function()
   for i=1, 10 do
      print("TIMER NEXT:", timer:wait())
   end
   timer:stop()
end)

f2:join()
idle:stop()
print("IDLE COUNT:", idle_count)
assert(idle_count > 10)
"#)
    .stdout_has("TIMER NEXT:\t0\nTIMER NEXT:\t0\n")
    .stdout_has("TIMER NEXT:\t0\nIDLE COUNT:\t")
    .both();
}

#[test]
fn serialization_hook() {
    raw(r#"local luv = require("luv")

module("my.module", package.seeall)

Point = { } 
Point.__index = Point
Point.new = function()
   return setmetatable({ }, Point)
end
Point.move = function(self, x, y)
   self.x = x 
   self.y = y 
end
Point.__codec = function(self)
   return function(spec)
      local Point = require('my.module').Point
      return setmetatable(spec, Point)
   end, { x = self.x, y = self.y }
end


module("main", package.seeall)

local Point = require("my.module").Point
local obj = Point.new()
obj:move(1, 2)

local str = luv.codec.encode(obj)
local dec = luv.codec.decode(str)

assert(dec.x == 1 and dec.y == 2)
assert(type(dec.move) == 'function')
"#)
    .both();
}

/// The three streams beside `print`, which waits as before.
#[test]
fn standard_streams() {
    raw(r#"local luv = require 'luv'
io.write('first ')
luv.stdout:write('Hello World!\n')
local n, line = luv.stdin:read()
luv.stderr:write('thanks, you said:' .. n)
print(line)
print(luv.stdin:read())
"#)
    .stdin("a line\n")
    .stdout("first Hello World!\na line\n\nnil\n")
    .stderr_has("thanks, you said:7")
    .both();
}

/// More than a pipe holds, written by both.
#[test]
fn standard_output_goes_on_to_wait() {
    raw(r#"local luv = require 'luv'
local p = assert(io.popen(os.getenv('TEST_INTERPRETER'):gsub('\n', ' ') .. ' inner.lua', 'r'))
local total = 0
for piece in function() return p:read(4096) end do
    total = total + #piece
    luv.sleep(0.0001)
end
print(total, p:close())
"#)
    .file(
        "inner.lua",
        "local luv = require 'luv'
         local text = ('x'):rep(99999)
         for _ = 1, 3 do
             assert(luv.stdout:write(text) == 0)
             assert(io.write(text))
         end",
    )
    .stdout("599994\ttrue\texit\t0\n")
    .eco();
}

/// What is not joined ends with the script.
#[test]
fn the_program_ends_with_its_script() {
    raw(r#"local luv = require 'luv'
luv.fiber.create(function() luv.sleep(1000) end):ready()
luv.fiber.create(function() luv.net.udp():recv() end):ready()
luv.sleep(0.01)
luv.fiber.create(function() print 'never' end):ready()
print 'end'
"#)
    .stdout("end\n")
    .limit(10)
    .both();
}

/// Luv's waits and those of the scheduler in one script.
#[test]
fn a_script_waits_in_both_ways() {
    raw(r#"local luv, eco = require 'luv', require 'eco'
local function main()
    luv.sleep(0.001)
    eco.sleep(0.001)
    luv.sleep(0.001)
    eco.run(function() print(luv.fiber.create(function() luv.sleep(0.001) return 'fiber' end):join()) end)
    eco.sleep(0.02)
    print(luv.fiber.create(function() return 'end' end):join())
end
if coroutine.isyieldable() then main() else eco.run(main) eco.loop() end
"#)
    .stdout("fiber\nend\n")
    .limit(10)
    .both();
}

#[test]
fn what_nothing_can_end_is_an_error() {
    raw("local luv = require 'luv'
         print(pcall(function() return luv.timer.create():wait() end))
         print(luv.sleep(0.001))")
    .stdout("false\tdeadlock: nothing left to wait for\n0.001\n")
    .both();
}

#[test]
fn errors_of_fibers_come_out_of_the_scripts_wait() {
    raw("local luv = require 'luv'
         luv.fiber.create(function() luv.sleep(0.001) error({ 'mine' }) end):ready()
         local ok, err = pcall(luv.sleep, 10)
         print(ok, err[1], luv.sleep(0.001))
         luv.fiber.create(function() error('the end', 0) end):join()")
    .stdout("false\tmine\t0.001\n")
    .stderr_has("the end")
    .status(1)
    .both();
}

/// As a script that waits by the scheduler's own functions does.
#[test]
fn sigint_ends_a_script_that_waits() {
    raw("require 'luv'.sleep(1000) print 'never'")
        .interrupt(400)
        .limit(10)
        .eco();
}
