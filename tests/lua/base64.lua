-- Module `eco.encoding.base64`.

local base64 = require 'eco.encoding.base64'

case('encode and decode', function()
    for data, text in pairs {
        [''] = '', f = 'Zg==', fo = 'Zm8=', foo = 'Zm9v', foob = 'Zm9vYg==', ['\0\xff\xfe'] = 'AP/+', ['\xfb\xef\xbe'] = '++++',
    } do
        T.eq(base64.encode(data), text)
        T.eq(base64.decode(text), data)
    end
    T.eq(base64.encode(15), 'MTU=')
    T.eq(base64.decode(1234), '\xd7\x6d\xf8')
    T.eq(select('#', base64.encode('x')), 1)
    T.eq(select('#', base64.decode('eA==')), 1)
    T.eq(base64.decode('Zh=='), 'f')
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    all = table.concat(all):rep(1000)
    for cut = 0, 3 do
        T.eq(base64.decode(base64.encode(all:sub(1, -1 - cut))), all:sub(1, -1 - cut))
    end
end)

case('what is none', function()
    for _, text in ipairs {
        'A', 'AA', 'AAA', 'A===', '====', 'AA=A', 'AA==AAAA', 'AAA\n', 'AAAA\n', ' AAA', 'AA-_', 'AA\xc3\xa9', 'AAA\0',
    } do
        T.fails('input is malformed', base64.decode(text))
    end
    T.raises('string expected, got nil', base64.encode, nil)
    T.raises('string expected, got table', base64.decode, {})
end)
