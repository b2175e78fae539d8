-- Module `eco.encoding.hex`.

local hex = require 'eco.encoding.hex'

case('encode and decode', function()
    T.eq(hex.encode('\0\1\xfe\xff'), '0001feff')
    T.eq(hex.encode('abc', ':'), '61:62:63')
    T.eq(hex.encode('abc', '%'), '61%62%63')
    T.eq(select('#', hex.encode('x')), 1)
    T.eq(hex.encode(''), '')
    T.eq(hex.decode('0001feFF'), '\0\1\xfe\xff')
    T.eq(hex.decode(''), '')
    T.fails('input is malformed', hex.decode('0'))
    T.fails('input is malformed', hex.decode('0g'))
    T.fails('input is malformed', hex.decode(' 00'))
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    all = table.concat(all)
    T.eq(hex.decode(hex.encode(all)), all)
end)

case('dump', function()
    T.eq(hex.dump(''), '')
    local text = hex.dump('hello, world\n\x7f\x80more')
    local lines = {}
    for line in text:gmatch('[^\n]*\n') do lines[#lines + 1] = line end
    T.eq(#lines, 2)
    T.eq(lines[1], '00000000 68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 0a 7f 80 6d  |hello, world..\x80m\n')
    assert(lines[2]:find('^00000010 6f 72 65 .*|ore\n$'))
    T.eq(hex.dump('hello'), '00000000 68 65 6c 6c 6f                                    |hello\n')
    T.eq(hex.dump('0123456789abcdef'), '00000000 30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef\n')
    T.eq(hex.dump(('x'):rep(17)):sub(-62), '00000010 78' .. (' '):rep(48) .. '|x\n' )
    assert(hex.dump('\0\x1f\x7f\x80'):find('^00000000 00 1f 7f 80 .* |%.%.%.\x80\n$'))
    for length = 1, 50 do
        local _, count = hex.dump(('%\n'):rep(length)):gsub('\n', '')
        T.eq(count, (2 * length + 15) // 16)
    end
    T.raises("bad argument #1 to 'dump' (string expected, got nil)", hex.dump)
    T.raises('string expected, got number', hex.dump, 1)
end)
