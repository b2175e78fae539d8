-- Errors raised by native code, many times over: the memory in use stays what it was, Lua's and that of the C library.

local heap = require 'heap'
local eco = require 'eco'
local base64 = require 'eco.encoding.base64'
local bufio = require 'eco.bufio'
local channel = require 'eco.channel'
local cli = require 'eco.cli'
local file = require 'eco.file'
local gzip = require 'eco.encoding.gzip'
local hex = require 'eco.encoding.hex'
local hmac = require 'eco.hash.hmac'
local http = require 'eco.http.server'
local http_client = require 'eco.http.client'
local json = require 'eco.encoding.json'
local log = require 'eco.log'
local raw_file = require 'eco.internal.file'
local raw_socket = require 'eco.internal.socket'
local raw_sync = require 'eco.internal.sync'
local raw_sys = require 'eco.internal.sys'
local raw_time = require 'eco.internal.time'
local serial = require 'eco.serial'
local sha256 = require 'eco.hash.sha256'
local socket = require 'eco.socket'
local sync = require 'eco.sync'
local sys = require 'eco.sys'
local termios = require 'eco.termios'
local time = require 'eco.time'
local ubus = require 'eco.ubus'
local uci = require 'eco.uci'
local url = require 'eco.http.url'
local websocket = require 'eco.websocket'

local here = setmetatable({}, { __tostring = function() error('no text') end })
local raising = json.new(true)
local cursor = uci.cursor('.', './saved')
local buffer, cond, mutex, group = eco.buffer(10), sync.cond(), sync.mutex(), sync.waitgroup()
local ch, timer = channel.new(1), time.timer(print)
local f = assert(file.open('/dev/null'))
local a, b = assert(socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
local tcp = assert(socket.tcp())
local watcher = assert(file.inotify())
local device = assert(serial.pty())
local attr = assert(termios.tcgetattr(device.fd))
local rd, wr, io = eco.reader(0), eco.writer(1), eco.io(0)

-- Function and arguments; all of them are wrong.
local calls = {
    { eco.run }, { eco.run, 'x' }, { eco.sleep, 'x' }, { eco.sleep, -1 }, { eco.sleep, here }, { eco.sleep },
    { eco.set_panic_hook, 'x' }, { eco.set_watchdog_timeout, 'x' }, { eco.set_watchdog_timeout, 5001 }, { eco.resume },
    { eco.resume, 'x' }, { eco.init }, { eco._init }, { eco._set_sigchld_hook, 'x' }, { eco.io, 'x' }, { eco.io, 1.5 },
    { eco.reader, {} }, { eco.reader, 0, 'x' }, { eco.writer, {} }, { eco.writer, 0, 'x' }, { eco.buffer, 0 },
    { eco.buffer, 'x' }, { buffer.pull }, { buffer.pull, rd }, { buffer.pull, buffer, 'x' }, { buffer.find, buffer, 0 },
    { buffer.index, buffer, {}, 'x' }, { buffer.data, buffer, 'x' }, { rd.read, rd, 'x' }, { rd.read, rd, 0 },
    { rd.read, wr, 'l' }, { rd.readfull, rd, 0 }, { rd.readuntil, rd, '' }, { rd.readuntil, rd },
    { rd.read2b, rd, rd, 1 }, { rd.read2b, rd, buffer, 0 }, { wr.write, wr }, { wr.write, wr, {} },
    { wr.sendfile, wr, 'x', -1, 1 }, { wr.sendfile, wr, 'x', 0, 0 }, { io.wait, io, 0 }, { io.wait, io, 'x' },
    { raw_time.timerfd_create, 'x' }, { raw_time.timerfd_settime }, { time.timer }, { time.at, 'x' }, { time.at, 1 },
    { time.at, -1, print }, { time.on, {} }, { timer.set, timer }, { timer.set, timer, -1 }, { timer.set, cond, 1 },
    { raw_sync.eventfd, 'x' }, { cond.wait, cond, 'x' }, { cond.wait, mutex }, { mutex.unlock, mutex },
    { mutex.lock, cond }, { group.add, group, -1 }, { group.done, group }, { group.add, group, 'x' },
    { group.wait, cond }, { channel.new, 'x' }, { ch.send, cond }, { ch.recv, ch, 'x' }, { ch.length },
    { raw_sys.strerror }, { raw_sys.strerror, 'x' }, { raw_sys.getpwnam }, { raw_sys.kill, 'x' }, { raw_sys.kill, 1 },
    { raw_sys.waitpid }, { raw_sys.prctl, 'x' }, { raw_sys.sigprocmask }, { raw_sys.signalfd }, { raw_sys.signalfd, 'x' },
    { raw_sys.exec }, { raw_sys.exec, {} }, { raw_sys.exec, here }, { raw_sys.exec, 'a\0b' }, { raw_sys.exec, 'true', {} },
    { raw_sys.exec, { 'true' }, 'x' }, { raw_sys.exec, { 'true' }, { {} } }, { sys.exec, { {} } }, { sys.sh }, { sys.spawn },
    { sys.signal, sys.SIGCHLD, print }, { sys.signal, sys.SIGUSR1 },
    { raw_file.open }, { raw_file.open, {} }, { raw_file.open, 'x', 'y' }, { raw_file.close, 'x' }, { raw_file.read, 0 },
    { raw_file.read, 0, 0 }, { raw_file.write, 1 }, { raw_file.write, 1, {} }, { raw_file.lseek, 0, 'x', 0 },
    { raw_file.access }, { raw_file.access, 'x', {} }, { raw_file.readlink, {} }, { raw_file.stat }, { raw_file.lstat, {} },
    { raw_file.fstat, 'x' }, { raw_file.statvfs }, { raw_file.mkdir, {} }, { raw_file.mkdir, 'x', -1 },
    { raw_file.chmod, 'x' }, { raw_file.chown, 'x', 'y' }, { raw_file.dirname }, { raw_file.basename, {} },
    { raw_file.flock, 'x', 1 }, { raw_file.flock, 0 }, { raw_file.dir }, { raw_file.dir, {} },
    { raw_file.inotify_add_watch, 0, {}, 1 }, { raw_file.inotify_rm_watch, 0, 'x' }, { f.read, f, 'x' },
    { f.write, f, {} }, { f.lseek, f, 'x', 0 }, { f.flock, f, 'x' }, { watcher.add, watcher }, { watcher.del, watcher },
    { file.open }, { file.walk }, { file.readfile }, { file.writefile, 'x' },
    { hex.encode }, { hex.encode, {} }, { hex.encode, 'x', {} }, { hex.decode, 1 }, { bufio.new, {} }, { bufio.new, 0, -1 },
    { log.set_level, 'x' }, { log.set_roll_size, -1 }, { log.set_path }, { log.set_ident, {} }, { log.log, 'x' },
    { base64.encode }, { base64.decode, {} }, { json.decode }, { json.encode }, { json.encode_max_depth, 0 },
    { json.encode_to, {}, 1 }, { raising.decode, '[1' }, { raising.encode, { {}, { print } } }, { sha256.sum }, { sha256.new().update, {} },
    { hmac.sum }, { hmac.new, sha256 },
    { ubus.connect, {} }, { ubus.strerror, {} }, { ubus.strerror, 1.5 },
    { gzip.compress }, { gzip.decompress, {} }, { gzip.compressor, 'x' }, { gzip.compressor, 10 },
    { gzip.compressor().update, {} }, { gzip.decompressor().read, gzip.decompressor(), 'x' }, { gzip.decompressor().write, gzip.decompressor() },
    { uci.cursor, {} }, { uci.cursor, 'a', 'b', 'c' }, { cursor.get, cursor }, { cursor.get, cursor, 'a', {} }, { cursor.set, cursor, 'a', 'b', 'c', {} },
    { cursor.set, cursor, 'a', 'b', 'c', { 'x', {} } }, { cursor.foreach, cursor, 'a' }, { cursor.set_confdir, cursor, {} },
    { cli.parse_args, 'x' }, { url.escape }, { url.unescape, {} }, { url.parse, {} }, { http.listen, {}, {} },
    { websocket.connect, {} }, { websocket.connect, 'ws://a', { max_payload_len = 'x' } }, { websocket.upgrade, {}, {}, { ping_interval = -1 } },
    { websocket.connect, 'ws://a', { headers = { ['a:'] = 1 } } },
    { http_client.request }, { http_client.get, {} },
    { http_client.get, 'http://127.0.0.1:1', { max_body = 'x' } }, { http_client.form().add, {} }, { http_client.body_with_file },
    { raw_socket.socket }, { raw_socket.socket, 'x', 1 }, { raw_socket.socketpair, 1, 'x' }, { raw_socket.inet_aton },
    { raw_socket.inet_pton, 0, 'x' }, { raw_socket.inet_pton, 2, {} }, { raw_socket.inet_ntop, 2, 'x' },
    { raw_socket.inet_ntop, 'x', 'y' }, { raw_socket.if_nametoindex, {} }, { raw_socket.if_indextoname, 'x' },
    { socket.connect_tcp, 'no where', 80 }, { tcp.bind, tcp, 'nowhere', 0 }, { tcp.bind, tcp, '127.0.0.1', 'x' },
    { tcp.connect, tcp, '127.0.0.1', {} }, { tcp.setoption, tcp, 'x', 1 }, { tcp.setoption, tcp, 'sndbuf', {} },
    { tcp.sock.setoption, tcp.sock, {}, {} }, { tcp.sock.getoption, tcp.sock, 'x' }, { tcp.accept, cond },
    { a.read, a, 'x' }, { a.readfull, a, 0 }, { a.send, a, {} }, { a.send, b.rd }, { a.recvfrom, a, 0 },
    { a.recvfrom, a, 'x' }, { a.sendto, a, 'x', {} }, { a.sendfile, a }, { tcp.mutex.unlock, tcp.mutex },
    { socket.listen_unix, ('x'):rep(200) },
    { termios.tcgetattr }, { termios.tcgetattr, here }, { termios.tcsetattr, 0, 0, here }, { termios.tcflush, 0 }, { termios.tcflow, 0, 'x' },
    { attr.set_flag, attr, 'x', 1 }, { attr.clr_flag, attr, {}, 1 }, { attr.set_cc, attr, 32, 0 }, { attr.set_speed, attr, 1.5 },
    { attr.clone, device }, { serial.open }, { serial.open, 'x', 1 }, { serial.open, 'x', { speed = 0 } }, { serial.open, 'x', { [here] = 1 } },
    { device.configure, device, { flow = here } }, { device.set_lines, device }, { device.wait_lines, device, 'x' },
    { device.send_break, device, 'x' }, { device.flush, device, 'x' }, { device.read, device, 'x' }, { device.write, device, {} },
}

local function used()
    collectgarbage()
    collectgarbage()
    return heap.used()
end

local function raise(times)
    local raised = 0
    for _ = 1, times do
        for i = 1, #calls do
            local call = calls[i]
            if not pcall(table.unpack(call)) then raised = raised + 1 end
        end
    end
    return raised
end

-- What is made once: traces in Lua's tables, interned texts, the C library's own.
local function warm(times)
    raise(times)
    used()
end

-- Some bytes come and go with the allocator's own ways; a lost box of 16 bytes would be more.
local ROUNDS, SLACK = 400, 4800

-- Nothing here waits, and nothing needs to.
eco.set_watchdog_timeout(0)

case('no kind of error loses anything', function()
    warm(20)
    local kinds = 0
    for _, call in ipairs(calls) do
        local raises = not pcall(table.unpack(call))
        kinds = kinds + (raises and 1 or 0)
        local grown
        -- A table of the allocator or of Lua that happens to grow does so once; what is lost is lost every time.
        for _ = 1, 3 do
            local before = used()
            for _ = 1, ROUNDS do pcall(table.unpack(call)) end
            grown = used() - before
            if grown < SLACK then break end
        end
        assert(grown < SLACK, ('%d bytes after %d errors: %s'):format(grown, ROUNDS, select(2, pcall(table.unpack(call)))))
    end
    assert(kinds >= 150, kinds)
end)

-- Messages about arguments are slow: Lua looks for the name of the function in every module.
case('a million errors lose nothing', function()
    warm(20)
    local before, raised = used(), 0
    while raised < 200000 do raised = raised + raise(100) end
    for _ = 1, 800000 do
        pcall(mutex.unlock, mutex)
    end
    local grown = used() - before
    assert(grown < 65536, ('%d bytes after %d errors'):format(grown, raised))
end)

f:close()
watcher:close()
a:close()
b:close()
tcp:close()
