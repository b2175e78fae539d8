---@meta luv

---Luv: fibers, timers, files, streams, programs, threads, a codec.
---A failure is `false` and a message; here it is nil, for `assert` and `if` take that away from what is left.
---@class luv
---@field zmq luv.zmq of the package lua-eco-zmq
---@field stdin luv.Pipe? nil in threads
---@field stdout luv.Pipe?
---@field stderr luv.Pipe?
local luv = { fiber = {}, thread = {}, timer = {}, idle = {}, fs = {}, net = {}, pipe = {}, process = {}, codec = {} }

---@class luv.Fiber
local fiber = {}
---@class luv.Thread
local thread = {}
---@class luv.Timer
local timer = {}
---@class luv.Idle
local idle = {}
---@class luv.File
local file = {}
---@class luv.Stream
local stream = {}
---@class luv.Tcp: luv.Stream
local tcp = {}
---@class luv.Pipe: luv.Stream
local pipe = {}
---@class luv.Udp
local udp = {}
---@class luv.Process
local process = {}

---@return luv.Fiber|luv.Thread
function luv.self() end

---@async
---@param seconds number
---@return number seconds
function luv.sleep(seconds) end

---@return integer nanoseconds
function luv.hrtime() end

---@return integer bytes
function luv.mem_total() end

---@return integer bytes
function luv.mem_free() end

---@return { model: string, speed: integer, times: { user: integer, nice: integer, sys: integer, idle: integer, irq: integer } }[]
function luv.cpu_info() end

---@return { name: string, is_internal: boolean, address: string }[]
function luv.interface_addresses() end

---@param f function
---@param ... any
---@return luv.Fiber
function luv.fiber.create(f, ...) end

---`coroutine.yield`: gives its own arguments when the others have run.
---@async
function luv.fiber.yield(...) end

---@return luv.Fiber self
function fiber:ready() end

---@async
---@return any ... what its function returned
function fiber:join() end

---@param f function
---@param ... any
---@return luv.Thread
function luv.thread.spawn(f, ...) end

---@param f function
---@param ... any
---@return luv.Thread
function luv.thread.create(f, ...) end

---@async
---@return any ... what its function returned
function thread:join() end

---@return luv.Timer
function luv.timer.create() end

---@param delay? integer milliseconds
---@param interval? integer milliseconds; 0 for once
---@return 0
function timer:start(delay, interval) end

---@return 0
function timer:stop() end

---@return 0|-1
function timer:again() end

---@async
---@return 0
function timer:wait() end

---@return luv.Idle
function luv.idle.create() end

---@return 0
function idle:start() end

---@return 0
function idle:stop() end

---@async
---@return 0
function idle:wait() end

---@alias luv.Mode 'r'|'r+'|'w'|'w+'|'a'|'a+'

---@async
---@param path string
---@param mode luv.Mode
---@param perm? string|integer octal digits
---@return luv.File?
---@return string? message
---@return integer? number
function luv.fs.open(path, mode, perm) end

---@async
---@param path string
---@return 0?, string?, integer?
function luv.fs.unlink(path) end

---@async
---@param path string
---@return 0?, string?, integer?
function luv.fs.rmdir(path) end

---@async
---@param path string
---@param perm? string|integer octal digits
---@return 0?, string?, integer?
function luv.fs.mkdir(path, perm) end

---@async
---@param path string
---@return string[]?, string?, integer?
function luv.fs.readdir(path) end

---@async
---@param path string
---@return table?, string?, integer?
function luv.fs.stat(path) end

---@async
---@param path string
---@return table?, string?, integer?
function luv.fs.lstat(path) end

---@async
---@param path string
---@return string?, string?, integer?
function luv.fs.readlink(path) end

---@async
---@param from string
---@param to string
---@return 0?, string?, integer?
function luv.fs.rename(from, to) end

---@async
---@param from string
---@param to string
---@return 0?, string?, integer?
function luv.fs.link(from, to) end

---@async
---@param target string
---@param place string
---@param mode? luv.Mode
---@return 0?, string?, integer?
function luv.fs.symlink(target, place, mode) end

---@async
---@param path string
---@param mode string|integer octal digits
---@return 0?, string?, integer?
function luv.fs.chmod(path, mode) end

---@async
---@param path string
---@param uid integer
---@param gid integer
---@return 0?, string?, integer?
function luv.fs.chown(path, uid, gid) end

---@async
---@param path string
---@param atime number
---@param mtime number
---@return 0?, string?, integer?
function luv.fs.utime(path, atime, mtime) end

---@async
---@param to luv.File
---@param from luv.File
---@param offset? integer
---@param length? integer
---@return integer?, string?, integer?
function luv.fs.sendfile(to, from, offset, length) end

---@return string
function luv.fs.cwd() end

---@param path string
function luv.fs.chdir(path) end

---@return string
function luv.fs.exepath() end

---@async
---@param length? integer
---@param offset? integer
---@return integer? count
---@return string data
function file:read(length, offset) end

---@async
---@param data string
---@param offset? integer
---@return integer?, string?, integer?
function file:write(data, offset) end

---@async
---@return table?, string?, integer?
function file:stat() end

---@async
---@return 0?, string?, integer?
function file:sync() end

---@async
---@return 0?, string?, integer?
function file:datasync() end

---@async
---@param length? integer
---@return 0?, string?, integer?
function file:truncate(length) end

---@async
---@param mode string|integer octal digits
---@return 0?, string?, integer?
function file:chmod(mode) end

---@async
---@param uid integer
---@param gid integer
---@return 0?, string?, integer?
function file:chown(uid, gid) end

---@async
---@param atime number
---@param mtime number
---@return 0?, string?, integer?
function file:utime(atime, mtime) end

---@async
---@return 0?, string?, integer?
function file:close() end

---@return luv.Tcp
function luv.net.tcp() end

---@return luv.Udp
function luv.net.udp() end

---@async
---@param node string?
---@param service? string
---@param hints? { family?: 'INET'|'INET6', socktype?: 'STREAM'|'DGRAM', protocol?: 'TCP'|'UDP' }
---@return string? address
---@return integer|string port or what went wrong
function luv.net.getaddrinfo(node, service, hints) end

---@return luv.Pipe
function luv.pipe.create(...) end

---@param backlog? integer
function stream:listen(backlog) end

---@async
---@param client luv.Stream unused, of the same kind
---@return luv.Stream? self
---@return luv.Stream|string client or what went wrong
function stream:accept(client) end

---@async
---@param length? integer
---@return integer? count nil at the end
---@return string? data or what went wrong
function stream:read(length) end

---@async
---@param data string
---@return (0|-1)?
---@return string? problem
function stream:write(data) end

---@async
---@return 0|-1|luv.Stream
---@return string? problem
function stream:shutdown() end

---@return luv.Stream self
function stream:close() end

---@return boolean
function stream:readable() end

---@return boolean
function stream:writable() end

---@return boolean done
---@return string? problem
function stream:start() end

---@return boolean done
---@return string? problem
function stream:stop() end

---@param host string an address of IPv4
---@param port integer|number
---@return 0|-1
---@return string? problem
function tcp:bind(host, port) end

---@async
---@param host string an address of IPv4
---@param port integer|number
---@return luv.Tcp? self
---@return string host or what went wrong
function tcp:connect(host, port) end

---@return { family: integer, address: string, port: integer }
function tcp:getsockname() end

---@return { family: integer, address: string, port: integer }
function tcp:getpeername() end

---@param enable boolean
---@return 0|-1
---@return string? problem
function tcp:nodelay(enable) end

---@param enable boolean
---@param seconds? integer
---@return 0|-1
---@return string? problem
function tcp:keepalive(enable, seconds) end

---@param from integer|luv.File
function pipe:open(from) end

---@param path string
function pipe:bind(path) end

---@async
---@param path string
---@return luv.Pipe? self
---@return string path or what went wrong
function pipe:connect(path) end

---@param host string
---@param port integer|number
function udp:bind(host, port) end

---@async
---@param host string
---@param port integer|number
---@param data string
---@return 0?
---@return string? problem
function udp:send(host, port, data) end

---@async
---@return string? data
---@return string host or what went wrong
---@return integer? port
function udp:recv() end

---@param group string
---@param interface string?
---@param what 'join'|'leave'
---@return 0?
---@return string? problem
function udp:membership(group, interface, what) end

---@return luv.Udp self
function udp:close() end

---@async
---@param cmd string
---@param options? table
---@return luv.Process
---@return integer? status -1 if it could not be run
---@return integer? signal
function luv.process.spawn(cmd, options) end

---@param signal? integer
function process:kill(signal) end

---@param ... any
---@return string
function luv.codec.encode(...) end

---@param bytes string
---@return any ...
function luv.codec.decode(bytes) end

return luv
