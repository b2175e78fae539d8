-- Module `eco.http.url`.

local url = require 'eco.http.url'

local function parsed(text)
    local parts = assert(url.parse(text))
    T.eq(parts.scheme, text:match('^%w+'))
    parts.scheme = nil
    return parts
end

case('escape and unescape give text and count', function()
    T.eq({ url.escape('aZ09_') }, { 'aZ09_', 0 })
    T.eq({ url.escape('a-b.c~/ \255') }, { 'a%2db%2ec%7e%2f%20%ff', 6 })
    T.eq({ url.escape(12) }, { '12', 0 })
    T.eq({ url.unescape('%41%4a%4A+%zz%') }, { 'AJJ+%zz%', 3 })
    T.eq({ url.unescape('') }, { '', 0 })
    T.raises('string expected', url.escape, {})
    T.raises('string expected', url.unescape)
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    all = table.concat(all):rep(100)
    T.eq((url.unescape((url.escape(all)))), all)
end)

case('parse', function()
    T.eq(parsed('http://a'), { host = 'a', path = '/', raw_path = '/' })
    T.eq(parsed('http://u:p@h:1/p;x=1?q=2#f'), {
        user = 'u', password = 'p', host = 'h', port = 1, path = '/p', params = 'x=1', query = 'q=2', frag = 'f',
        raw_path = '/p;x=1?q=2#f',
    })
    T.eq(parsed('http://[::1]:8/x'), { host = '::1', port = 8, path = '/x', raw_path = '/x' })
    T.eq(parsed('http://h?x=1'), { host = 'h', path = '/', query = 'x=1', raw_path = '/?x=1' })
    T.eq(parsed('HTTP://H/%41'), { host = 'H', path = '/%41', raw_path = '/%41' })
    T.eq(parsed('http://u@h/'), { user = 'u', host = 'h', path = '/', raw_path = '/' })
end)

case('an at sign behind the authority is text, an empty port is none', function()
    T.eq(parsed('http://h/a@b'), { host = 'h', path = '/a@b', raw_path = '/a@b' })
    T.eq(parsed('http://h:/x'), { host = 'h', path = '/x', raw_path = '/x' })
end)

case('IPv6 hosts and empty ports', function()
    T.eq(parsed('http://[fe80::1%25eth0]:/'), { host = 'fe80::1%25eth0', path = '/', raw_path = '/' })
    T.eq(parsed('http://u@[::1]:0'), { host = '::1', user = 'u', port = 0, path = '/', raw_path = '/' })
    T.eq(parsed('http://h:?q'), { host = 'h', path = '/', raw_path = '/?q', query = 'q' })
    for _, text in ipairs { 'http://[::1]8', 'http://[]', 'http://[::1]:x', 'http://::1/' } do
        T.fails('invalid url', url.parse(text))
    end
end)

case('blanks and control characters are in no URL', function()
    for _, byte in ipairs { '\0', '\t', '\n', '\r', ' ', '\27', '\127' } do
        for _, text in ipairs { 'http://h/a%sb', 'http://h%s/', '%shttp://h/', 'http://h/%s', 'http://u%s@h/', 'ht%stp://h/' } do
            T.fails('invalid url', url.parse((text:format(byte))))
        end
    end
end)

case('what is no URL', function()
    for _, text in ipairs { 'h/', 'http://', 'http:///x', '1http://x', '', 'http://h:port/', 'http://[::1' } do
        T.fails('invalid url', url.parse(text))
    end
    T.fails('invalid url', url.parse(nil))
    T.fails('invalid url', url.parse(false))
    T.raises('string expected', url.parse, {})
end)
