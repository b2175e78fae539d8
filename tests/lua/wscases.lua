-- What an end of a WebSocket that echoes must do, case by case: the substance of the Autobahn test suite's sections 1 to 7
-- and 9. Each case has what is sent (frames, or bytes), and what must come back.

local M = {}

local TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
local FIN = 0x80

local function text(data) return { FIN | TEXT, data } end
local function binary(data) return { FIN | BINARY, data } end
local function ping(data) return { FIN | PING, data or '' } end
local function pong(data) return { FIN | PONG, data or '' } end
local function first(opcode, data) return { opcode, data or '' } end
local function more(data) return { 0, data or '' } end
local function last(data) return { FIN, data or '' } end
local function close(code, reason) return { FIN | CLOSE, code and string.pack('>I2', code) .. (reason or '') or '' } end

local function case(name, frames, expected, ending, extra)
    local it = extra or {}
    it.name, it.frames, it.expected, it.ending = name, frames, expected, ending
    M[#M + 1] = it
end

-- Cases that end well end with a close frame of ours: the answer to that is 1000.
local function echoed(name, frames, expected, extra)
    frames[#frames + 1] = close(1000)
    case(name, frames, expected, 1000, extra)
end

-- 1: sizes.
for _, size in ipairs { 0, 125, 126, 127, 128, 65535, 65536 } do
    echoed('1.1 text of ' .. size, { text(('*'):rep(size)) }, { text(('*'):rep(size)) })
    echoed('1.2 binary of ' .. size, { binary(('\xfe'):rep(size)) }, { binary(('\xfe'):rep(size)) })
end
echoed('1.1.8 text in chops', { text(('*'):rep(65536)) }, { text(('*'):rep(65536)) }, { chop = 997 })
echoed('1.2.8 binary in chops', { binary(('\xfe'):rep(65536)) }, { binary(('\xfe'):rep(65536)) }, { chop = 997 })

-- 2: pings and pongs.
echoed('2.1 empty ping', { ping() }, { pong() })
echoed('2.2 ping', { ping('Hello, world!') }, { pong('Hello, world!') })
echoed('2.3 binary ping', { ping('\0\xff\xfe\xfd\xfc\xfb\0\xff') }, { pong('\0\xff\xfe\xfd\xfc\xfb\0\xff') })
echoed('2.4 ping of 125', { ping(('\xfe'):rep(125)) }, { pong(('\xfe'):rep(125)) })
case('2.5 ping of 126', { ping(('\xfe'):rep(126)) }, {}, 1002)
echoed('2.6 ping byte by byte', { ping(('\xfe'):rep(125)) }, { pong(('\xfe'):rep(125)) }, { chop = 1 })
echoed('2.7 unasked pong', { pong() }, {})
echoed('2.8 unasked pong with payload', { pong('unsolicited') }, {})
echoed('2.9 unasked pong, then ping', { pong('unsolicited'), ping('ping') }, { pong('ping') })
do
    local pings, pongs = {}, {}
    for i = 1, 10 do
        pings[i], pongs[i] = ping('payload-' .. i), pong('payload-' .. i)
    end
    echoed('2.10 ten pings', pings, pongs)
    pings = {}
    for i = 1, 10 do pings[i] = ping('payload-' .. i) end
    echoed('2.11 ten pings byte by byte', pings, pongs, { chop = 1 })
end

-- 3: reserved bits.
for rsv = 1, 7 do
    local bits = rsv << 4
    case('3 text with RSV ' .. rsv, { text('Hello'), { FIN | bits | TEXT, 'x' } }, { text('Hello') }, 1002)
    case('3 binary with RSV ' .. rsv, { { FIN | bits | BINARY, '\xff' } }, {}, 1002, { chop = 1 })
    case('3 ping with RSV ' .. rsv, { text('Hello'), { FIN | bits | PING, '' } }, { text('Hello') }, 1002)
    case('3 close with RSV ' .. rsv, { { FIN | bits | CLOSE, '' } }, {}, 1002)
end

-- 4: reserved opcodes.
for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
    case('4 opcode ' .. opcode, { { FIN | opcode, '' } }, {}, 1002)
    case('4 opcode ' .. opcode .. ' behind a message', { text('Hello'), { FIN | opcode, 'x' }, ping() }, { text('Hello') }, 1002)
end

-- 5: fragments.
case('5.1 ping in fragments', { { PING, 'a' }, last('b') }, {}, 1002)
case('5.2 pong in fragments', { { PONG, 'a' }, last('b') }, {}, 1002)
for _, chop in ipairs { 0, 1 } do
    local how = { chop = chop > 0 and chop or nil }
    local function with() return { chop = how.chop } end
    echoed('5.3 text in two fragments', { first(TEXT, 'fragment1'), last('fragment2') }, { text('fragment1fragment2') }, with())
    echoed('5.6 ping between', { first(TEXT, 'fragment1'), ping('ping'), last('fragment2') }, { pong('ping'), text('fragment1fragment2') }, with())
    case('5.9 continuation of nothing, final', { last('x'), text('Hello') }, {}, 1002, with())
    case('5.12 continuation of nothing', { more('x'), text('Hello') }, {}, 1002, with())
    case('5.15 continuation behind a message', { first(TEXT, 'a'), last('b'), more('c'), text('d') }, { text('ab') }, 1002, with())
    case('5.18 a message in another', { first(TEXT, 'a'), text('b') }, {}, 1002, with())
    echoed('5.19 five fragments, two pings', {
        first(TEXT, '1'), more('2'), ping('one'), more('3'), more('4'), ping('two'), last('5'),
    }, { pong('one'), pong('two'), text('12345') }, with())
    echoed('5 empty fragments', { first(BINARY), more(), more(), last() }, { binary('') }, with())
end

-- 6: UTF-8.
local long = 'Hello-µ@ßöäüàá-UTF-8!!'
echoed('6.1 empty text', { text('') }, { text('') })
echoed('6.1 empty fragments', { first(TEXT), more(), last() }, { text('') })
echoed('6.1 one fragment that is not empty', { first(TEXT), more('middle'), last() }, { text('middle') })
echoed('6.2 text', { text(long) }, { text(long) })
echoed('6.2 in two fragments', { first(TEXT, long:sub(1, 8)), last(long:sub(9)) }, { text(long) })
do
    local frames = {}
    for i = 1, #long do frames[i] = { i == 1 and TEXT or 0, long:sub(i, i) } end
    frames[#frames + 1] = last()
    echoed('6.2 in fragments of a byte', frames, { text(long) })
end
local bad = 'κόσμε\xed\xa0\x80edited'
case('6.3 invalid', { text(bad) }, {}, 1007)
case('6.3 invalid, in fragments', { first(TEXT, bad:sub(1, 12)), last(bad:sub(13)) }, {}, 1007)
-- Fail as soon as it is known: nothing else is sent.
case('6.4 fails in a fragment', { first(TEXT, 'κόσμε'), more('\xf4\x90\x80\x80') }, {}, 1007, { early = true })
case('6.4 fails in a frame that is not finished', { first(TEXT, 'κόσμε'), more('\xf4\x90\x80\x80edited') }, {}, 1007, { cut = 8, early = true })
for _, valid in ipairs {
    'κόσμε', '\0', '\xc2\x80', '\xe0\xa0\x80', '\xf0\x90\x80\x80', '\x7f', '\xdf\xbf', '\xef\xbf\xbf', '\xf4\x8f\xbf\xbf', '\xed\x9f\xbf',
    '\xee\x80\x80', '\xef\xbf\xbd', '\xef\xbf\xbe', '\xf0\x9f\xbf\xbe', '\xf0\x9f\xbf\xbf', '\xf3\xbf\xbf\xbf',
} do
    echoed('6 valid ' .. valid:gsub('.', function(c) return ('%02x'):format(c:byte()) end), { text(valid) }, { text(valid) })
end
for _, invalid in ipairs {
    '\xf8\x88\x80\x80\x80', '\xfc\x84\x80\x80\x80\x80', '\xf7\xbf\xbf\xbf', '\xfb\xbf\xbf\xbf\xbf', '\xfd\xbf\xbf\xbf\xbf\xbf', '\xf4\x90\x80\x80',
    '\x80', '\xbf', '\x80\xbf', '\x80\xbf\x80', '\xc0 ', '\xe0 ', '\xf0 ', '\xf8 ', '\xfc ', '\xc0', '\xe0\x80', '\xf0\x80\x80', '\xdf', '\xef\xbf',
    '\xf7\xbf\xbf', '\xfe', '\xff', '\xfe\xfe\xff\xff', '\xc0\xaf', '\xe0\x80\xaf', '\xf0\x80\x80\xaf', '\xf8\x80\x80\x80\xaf', '\xc1\xbf', '\xe0\x9f\xbf',
    '\xf0\x8f\xbf\xbf', '\xc0\x80', '\xe0\x80\x80', '\xed\xa0\x80', '\xed\xad\xbf', '\xed\xae\x80', '\xed\xaf\xbf', '\xed\xb0\x80', '\xed\xbf\xbf',
    '\xed\xa0\x80\xed\xb0\x80', '\xed\xaf\xbf\xed\xbf\xbf', '\xce', '\xce\xba\xe1', '\xce\xba\xe1\xbd',
} do
    case('6 invalid ' .. invalid:gsub('.', function(c) return ('%02x'):format(c:byte()) end), { text(invalid) }, {}, 1007)
end

-- 7: closing.
case('7.1.1 message, then close', { text('Hello'), close(1000) }, { text('Hello') }, 1000)
case('7.1.2 two closes', { close(1000), close(1000) }, {}, 1000)
case('7.1.3 ping behind close', { close(1000), ping() }, {}, 1000)
case('7.1.4 text behind close', { close(1000), text('Hello') }, {}, 1000)
case('7.1.5 close in a message', { first(TEXT, 'a'), close(1000), last('b') }, {}, 1000)
case('7.1.6 large message, then close', { text(('B'):rep(1 << 18)), close(1000), ping() }, { text(('B'):rep(1 << 18)) }, 1000, { large = true })
case('7.3.1 close without payload', { close() }, {}, 1005)
case('7.3.2 close of a byte', { { FIN | CLOSE, 'a' } }, {}, 1002)
case('7.3.3 close with a code', { close(1000) }, {}, 1000)
case('7.3.4 close with a reason', { close(1000, 'Hello World!') }, {}, 1000)
case('7.3.5 the longest reason', { close(1000, ('*'):rep(123)) }, {}, 1000)
case('7.3.6 a longer reason', { close(1000, ('*'):rep(124)) }, {}, 1002)
case('7.5.1 a reason that is not UTF-8', { close(1000, 'κόσμε\xed\xa0\x80') }, {}, 1007)
for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999 } do
    case('7.7 code ' .. code, { close(code) }, {}, code)
end
for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999 } do
    case('7.9 code ' .. code, { close(code) }, {}, 1002)
end
for _, code in ipairs { 5000, 65535 } do
    case('7.13 code ' .. code, { close(code) }, {}, 1002)
end

-- 9: large messages.
for _, size in ipairs { 1 << 16, 1 << 18, 1 << 20, 4 << 20 } do
    echoed('9.1 text of ' .. size, { text(('*'):rep(size)) }, { text(('*'):rep(size)) }, { large = true })
    echoed('9.2 binary of ' .. size, { binary(('\xfe'):rep(size)) }, { binary(('\xfe'):rep(size)) }, { large = true })
end
for _, piece in ipairs { 256, 4096, 65536 } do
    local frames = {}
    for i = 1, (1 << 20) // piece do frames[i] = { i == 1 and TEXT or 0, ('*'):rep(piece) } end
    frames[#frames + 1] = last()
    echoed('9.3 fragments of ' .. piece, frames, { text(('*'):rep(1 << 20)) }, { large = true })
    echoed('9.5 in chops of ' .. piece, { text(('*'):rep(1 << 20)) }, { text(('*'):rep(1 << 20)) }, { large = true, chop = piece })
end
for _, size in ipairs { 0, 16, 256, 4096 } do
    local frames, expected = {}, {}
    for i = 1, 300 do
        frames[i] = text(('*'):rep(size))
        expected[i] = frames[i]
    end
    echoed('9.7 300 messages of ' .. size, frames, expected, { large = true })
end

return M
