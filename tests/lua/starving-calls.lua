-- For c/starve.c: calls that do not wait, on the main thread of plain Lua.

local eco, time, sync, channel, sys, file, hex, bufio, cli, socket, base64, json, sha256, hmac, uci, termios, serial

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
    base64 = require 'eco.encoding.base64'
    json = require 'eco.encoding.json'
    sha256 = require 'eco.hash.sha256'
    hmac = require 'eco.hash.hmac'
    uci = require 'eco.uci'
    termios = require 'eco.termios'
    serial = require 'eco.serial'
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
    assert(base64.decode(base64.encode(('x'):rep(100))))
    assert(hmac.new(sha256, ('x'):rep(100)))
    assert(hmac.sum(sha256, 'x', 'y'))
    local text = '{"a":[1,2.5,"x\\n' .. ('\\u00e9'):rep(100) .. '",[{"b":null}],1e-300]}'
    local value = assert(json.decode(text))
    assert(json.encode(value))
    assert(json.encode_to(function() end, value, 5))
    assert(json.new().decode_max_depth(5))
    assert(not json.decode('[1'))
    assert(not json.encode(print))
    assert(file.writefile('starving_uci', "config a 'b'\n\toption c 'd'\n\tlist e 'f'\n"))
    local cursor<close> = uci.cursor('.', './saved')
    assert(cursor:get_all('starving_uci').b.c == 'd')
    assert(cursor:foreach('starving_uci', function(section) return assert(section.e[1] == 'f') end))
    assert(cursor:set('starving_uci', 'b', 'e', { 'f', 'g', 1 }))
    assert(not cursor:get('starving_uci.x.y'))
    assert(cursor:list_configs())
    assert(cli.parse_args({ { name = 'a', type = 'array', default = { 'x' } } }, { '-a', 'y', '--', 'z' }) == nil or true)
    local server<close> = assert(socket.listen_tcp('127.0.0.1', 0, { reuseaddr = true }))
    assert(server:getsockname().port)
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    assert(a, b)
    a:close()
    b:close()
    assert(socket.udp()):close()
    local device<close> = assert(serial.pty())
    local port<close> = assert(serial.open(device.path, { speed = 9600, flow = 'hardware' }))
    assert(port:configure { stop_bits = 2 })
    assert(port:settings().speed == 9600)
    assert(not port:lines())
    assert(port:pending() == 0)
    assert(not pcall(serial.open, device.path, { speed = 'x' }))
    assert(serial.list())
    local attr = assert(termios.tcgetattr(port.fd)):clone()
    assert(attr:set_speed(1200) and termios.tcsetattr(port.fd, termios.TCSANOW, attr))
    sys.waitpid(process.pid)
end

return prepare, calls
