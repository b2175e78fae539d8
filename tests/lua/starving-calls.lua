-- For c/starve.c: calls that do not wait, on the main thread of plain Lua.

local eco, time, sync, channel, sys, file, hex, bufio, cli, socket

local function prepare()
    eco = require 'eco'
    time = require 'eco.time'
    sync = require 'eco.sync'
    channel = require 'eco.channel'
    sys = require 'eco.sys'
    file = require 'eco.file'
    hex = require 'eco.encoding.hex'
    bufio = require 'eco.bufio'
    cli = require 'eco.cli'
    socket = require 'eco.socket'
end

local function calls()
    assert(file.stat('/'))
    assert(file.writefile('starving', 'one\ntwo\n'))
    assert(file.readfile('starving'))
    for _ in file.dir('.') do end
    file.walk('.', function() end)
    local f<close> = assert(file.open('starving'))
    assert(f:read('l') == 'one')
    assert(f:readfull(3) == 'two')
    assert(f:stat())
    assert(bufio.new(f.fd))
    assert(file.inotify()):close()
    assert(not file.open('/absent'))
    assert(sys.getpwnam('root'))
    assert(sys.strerror(2))
    assert(not pcall(eco.sleep, -1))
    assert(not pcall(sys.exec))
    local process<close> = assert(sys.exec({ 'true', 'a', 'b' }, { 'A=1' }))
    assert(eco.reader(0))
    assert(eco.writer(1))
    assert(eco.io(1))
    local timer<close> = setmetatable({ timer = assert(time.at(100, print, 1, 2, 3)) }, { __close = function(self) self.timer:close() end })
    assert(sync.cond()):signal()
    sync.mutex():lock()
    sync.waitgroup():add(1)
    local ch = channel.new(3)
    ch:send({})
    assert(ch:recv())
    eco.run(function() end)
    eco.all()
    assert(hex.decode(hex.encode(('x'):rep(100))))
    assert(hex.dump(('x'):rep(100)))
    assert(cli.parse_args({ { name = 'a', type = 'array', default = { 'x' } } }, { '-a', 'y', '--', 'z' }) == nil or true)
    local server<close> = assert(socket.listen_tcp('127.0.0.1', 0, { reuseaddr = true }))
    assert(server:getsockname().port)
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    assert(a, b)
    a:close()
    b:close()
    assert(socket.udp()):close()
    sys.waitpid(process.pid)
end

return prepare, calls
