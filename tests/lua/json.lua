-- Module `eco.encoding.json`.

local json = require 'eco.encoding.json'
local eco = require 'eco'

-- Encodes what it decodes, with settings of its own.
local function again(text)
    local own = json.new()
    own.encode_escape_forward_slash(false)
    own.decode_array_with_array_mt(true)
    return own.encode((own.decode(text)))
end

case('decode', function()
    T.eq(json.decode(' {"a":[1,2.5,"x",true,false],"b":{"c":{}}} '),
        { a = { 1, 2.5, 'x', true, false }, b = { c = {} } })
    T.eq(json.decode('""'), '')
    T.eq(json.decode('[]'), {})
    T.eq(json.decode('null'), json.null)
    T.eq(json.decode('[null,1]')[1], json.null)
    T.eq(json.decode('{"a":1,"a":2}'), { a = 2 })
    T.eq(json.decode('{"1":"x"}'), { ['1'] = 'x' })
    T.eq(json.decode([["\u0041\u00e9\u20ac\ud83d\ude00\u0000\"\\\/\b\f\n\r\t"]]), 'Aé€😀\0"\\/\b\f\n\r\t')
    T.eq(json.decode('"' .. ('\\n'):rep(1000) .. '"'), ('\n'):rep(1000))
    T.eq(json.decode('"' .. ('x'):rep(100000) .. '"'), ('x'):rep(100000))
    T.eq(json.decode('"\xff\xfe"'), '\xff\xfe')
    T.eq(json.decode(12), 12)
    T.eq(select('#', json.decode('1')), 1)
    local many = json.decode('[' .. ('{"a":1,"b":[1,[2]],"c":3},'):rep(1000) .. '0]')
    T.eq(#many, 1001)
    T.eq(many[1000], { a = 1, b = { 1, { 2 } }, c = 3 })
    T.raises('string expected, got nil', json.decode, nil)
end)

case('numbers', function()
    for text, value in pairs {
        ['0'] = 0, ['-0'] = 0, ['-7'] = -7, ['9223372036854775807'] = math.maxinteger,
        ['-9223372036854775808'] = math.mininteger, ['9223372036854775808'] = 0x1p63, ['1.0'] = 1.0, ['1e2'] = 100.0,
        ['-2.5e-3'] = -0.0025, ['0.1'] = 0.1, ['1e400'] = math.huge, ['1e-400'] = 0.0, ['123456789012345678901234567890'] = 1.2345678901234568e29,
        ['3.141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117068'] = 3.141592653589793,
        ['0.30000000000000004'] = 0.30000000000000004, ['5e-324'] = 5e-324, ['1.7976931348623157e308'] = 1.7976931348623157e308,
        ['0x1F'] = 31, ['01'] = 1, ['+1'] = 1,
    } do
        T.eq(json.decode(text), value, text)
        T.eq(json.decode('[' .. text .. ']'), { value }, text)
    end
    T.eq(1 / json.decode('-0.0'), -math.huge)
    T.eq(json.decode('1' .. ('0'):rep(300) .. '.' .. ('0'):rep(300)), 1e300)
    T.eq(json.decode('-Infinity'), -math.huge)
    local nan = json.decode('NaN')
    assert(nan ~= nan)
    for value, text in pairs {
        [1] = '1', [-12] = '-12', [math.mininteger] = '-9223372036854775808', [2.5] = '2.5', [0.1] = '0.1', [0x1p53 - 1.0] = '9007199254740991',
        [1e20] = '1e+20', [1 / 3] = '0.33333333333333', [-1e-7] = '-1e-07',
    } do
        T.eq(json.encode(value), text)
    end
    T.eq(json.encode(3.0), '3')
    T.eq(json.encode(-0.0), '-0.0')
end)

case('floats come back, in any locale', function()
    local own = json.new()
    own.encode_number_precision(17)
    local locale = os.setlocale('de_DE.UTF-8') or os.setlocale('de_DE')
    for _ = 1, 2000 do
        local bits = math.random(0)
        local value = string.unpack('d', string.pack('j', bits))
        if value == value and value ~= math.huge and value ~= -math.huge then
            local text = own.encode(value)
            T.eq(own.decode('[' .. text .. ',1.5]')[1] == value, true, text)
        end
    end
    if locale then os.setlocale('C') end
    -- As the C library writes them, where that is short.
    for _ = 1, 2000 do
        local value = math.random(-10000000, 10000000) / 10 ^ math.random(0, 9)
        local text = ('%.14g'):format(value)
        T.eq(json.decode(json.encode(value)) + 0.0, json.decode(text) + 0.0)
        if math.abs(value) >= 1e-4 then T.eq(json.encode(value), text) end
    end
end)

case('encode', function()
    T.eq(json.encode({ 1, 'x', true, false, json.null }), '[1,"x",true,false,null]')
    T.eq(json.encode({ a = { b = { c = { 1, { 2 }, {} } } } }), '{"a":{"b":{"c":[1,[2],{}]}}}')
    T.eq(json.encode({}), '{}')
    T.eq(json.encode(nil), 'null')
    T.eq(json.encode(json.null), 'null')
    T.eq(json.encode('a/"\\\0\x7fé'), [["a\/\"\\\u0000\u007fé"]])
    T.eq(json.encode({ [1] = 1, [2] = 2, [4] = 4 }), '[1,2,null,4]')
    T.eq(json.encode({ [2.5] = 'x' }), '{"2.5":"x"}')
    T.eq(json.encode({ [-1] = 'x' }), '{"-1":"x"}')
    T.eq(json.encode({ [0] = 'x' }), '{"0":"x"}')
    T.eq(json.decode(json.encode({ 1, 2, x = 3 })), { ['1'] = 1, ['2'] = 2, x = 3 })
    T.eq(json.encode({ {}, { a = {} }, { {} } }), '[{},{"a":{}},[{}]]')
    T.eq(json.encode(('x'):rep(100000)), '"' .. ('x'):rep(100000) .. '"')
    T.raises('one value expected', json.encode)
    T.raises('one value expected', json.encode, 1, 2)
    for text in ([=[{"a":[1,2,{"b":null},"d/e"]} [] [[],[[]]] {} "x" 1.5 [{"k":[true,{"l":[]}]}]]=]):gmatch('%S+') do
        T.eq(again(text), text)
    end
end)

case('arrays and empty tables', function()
    T.eq(json.encode({ json.empty_array }), '[[]]')
    T.eq(json.encode(setmetatable({}, json.empty_array_mt)), '[]')
    T.eq(json.encode(setmetatable({ x = 1 }, json.empty_array_mt)), '{"x":1}')
    T.eq(json.encode(setmetatable({}, json.array_mt)), '[]')
    T.eq(json.encode(setmetatable({ 1, 2, x = 3 }, json.array_mt)), '[1,2]')
    local own = json.new()
    T.eq(own.array_mt == json.array_mt, true)
    T.eq(own.decode_array_with_array_mt(true), true)
    local value = own.decode('[[]]')
    T.eq(getmetatable(value) == json.array_mt and getmetatable(value[1]) == json.array_mt, true)
    T.eq(own.encode(value), '[[]]')
    T.eq(json.decode_array_with_array_mt(), false)
    T.eq(own.encode_empty_table_as_object(false), false)
    T.eq(own.encode({ {}, a = nil }), '[[]]')
end)

case('sparse arrays', function()
    T.fails('Cannot serialise table: excessively sparse array', json.encode({ [1] = 1, [1000] = 2 }))
    T.fails('excessively sparse array', json.encode({ [math.maxinteger] = 2 }))
    T.eq(json.encode({ [10] = 1 }), '[' .. ('null,'):rep(9) .. '1]')
    local own = json.new()
    T.eq({ own.encode_sparse_array() }, { false, 2, 10 })
    T.eq({ own.encode_sparse_array(true, 3, 4) }, { true, 3, 4 })
    T.eq(own.encode({ [10] = 1 }), '{"10":1}')
    T.eq(own.encode({ [9] = 1, [1] = 2, [5] = 3 }), '[2,null,null,null,3,null,null,null,1]')
    own.encode_sparse_array(false, 0)
    T.eq(own.encode({ [20] = 1 }), '[' .. ('null,'):rep(19) .. '1]')
    T.fails('excessively sparse array', own.encode({ [1 << 40] = 1 }))
end)

case('what has no text', function()
    T.fails('Cannot serialise function: type not supported', json.encode(print))
    T.fails('Cannot serialise userdata: type not supported', json.encode({ { x = io.stdout } }))
    T.fails('Cannot serialise thread: type not supported', json.encode({ coroutine.create(print) }))
    T.fails('Cannot serialise number: must not be NaN or Infinity', json.encode(0 / 0))
    T.fails('Cannot serialise number: must not be NaN or Infinity', json.encode({ math.huge }))
    T.fails('Cannot serialise table: table key must be a number or string', json.encode({ [true] = 1 }))
    local ring = {}
    ring[1] = ring
    T.fails('Cannot serialise, excessively nested', json.encode(ring))
    local own = json.new()
    T.eq(own.encode_invalid_numbers(true), true)
    T.eq(own.encode({ math.huge, -math.huge, 0 / 0 }), '[Infinity,-Infinity,NaN]')
    T.eq(own.encode_invalid_numbers('null'), 'null')
    T.eq(own.encode({ math.huge }), '[null]')
    T.eq(json.encode(1), '1', 'works after failures')
end)

case('depth', function()
    local function nested(depth) return ('['):rep(depth) .. (']'):rep(depth) end
    assert(json.decode(nested(1000)))
    T.fails('too many nested data structures at character 1001, line 1', json.decode(nested(1001)))
    local own = json.new()
    T.eq(own.decode_max_depth(3), 3)
    assert(own.decode(nested(3)) and own.decode('{"a":[{}]}'))
    T.fails('too many nested', own.decode(nested(4)))
    T.fails('too many nested', own.decode('{"a":[{"b":[]}]}'))
    T.eq(own.encode_max_depth(2), 2)
    T.eq(own.encode({ {} }), '[{}]')
    T.fails('excessively nested', own.encode({ { {} } }))
    -- Deeper than any native stack.
    own.decode_max_depth(100000)
    own.encode_max_depth(100000)
    local value = assert(own.decode(nested(100000)))
    own.encode_empty_table_as_object(false)
    T.eq(own.encode(value), nested(100000))
    own.decode_max_depth(0x7fffffff)
    local ok, message = own.decode(('['):rep(2000000))
    T.fails('too many nested', ok, message)
    T.raises('out of range', own.decode_max_depth, 0)
end)

case('errors tell what was expected and where', function()
    for text, message in pairs {
        [''] = 'Expected value but found the end at character 1, line 1',
        ['[1,\n2,\n]'] = 'Expected value but found array end at character 8, line 3',
        ['{"a"=1}'] = 'Expected colon but found invalid token at character 5, line 1',
        ['{"a":1,}'] = 'Expected object key string but found object end at character 8, line 1',
        ['[1 2]'] = 'Expected comma or array end but found number at character 4, line 1',
        ['[1] 2'] = 'Expected the end but found number at character 5, line 1',
        ['"abc'] = 'Expected value but found unterminated string at character 5, line 1',
        ['["\\ud800"]'] = 'Found invalid escape code at character 3, line 1',
        ['-'] = 'Expected value but found invalid number at character 1, line 1',
        ['1.2.3'] = 'Expected the end but found invalid token at character 4, line 1',
        ['0x'] = 'Expected value but found invalid number at character 1, line 1',
        ['0xffffffffffffffffff'] = 'Expected value but found invalid number at character 1, line 1',
        ['nul'] = 'Expected value but found invalid token at character 1, line 1',
    } do
        local value, problem, more = json.decode(text)
        T.eq({ value, problem, more }, { nil, message })
    end
    local own = json.new()
    T.eq(own.decode_invalid_numbers(false), false)
    for _, text in ipairs { 'NaN', '-Infinity', '0x10', '01', '+1' } do
        T.fails('Expected ', own.decode(text))
        assert(json.decode(text))
    end
end)

case('every truncation is refused, and nothing is left on the stack', function()
    local text = '{"a":[1,-2.5e1,"x\\n\\u00e9\\ud83d\\ude00",{}],"b":{"c":[[]],"d":null}}'
    for length = 0, #text - 1 do
        local value, message = json.decode(text:sub(1, length))
        T.eq(value, nil)
        assert(message:find('at character %d+, line 1$'), message)
    end
end)

case('settings', function()
    local own = json.new()
    for _, row in ipairs {
        { 'encode_max_depth', 1000, 5 }, { 'decode_max_depth', 1000, 5 }, { 'encode_number_precision', 14, 3 },
        { 'encode_keep_buffer', true, false }, { 'encode_invalid_numbers', false, 'null' }, { 'decode_invalid_numbers', true, false },
        { 'decode_array_with_array_mt', false, true }, { 'encode_escape_forward_slash', true, false },
        { 'encode_empty_table_as_object', true, false },
    } do
        local name, initial, other = table.unpack(row)
        T.eq(own[name](), initial, name)
        T.eq(own[name](other), other, name)
        T.eq(own[name](), other, name)
        T.eq(json[name](), initial, name)
        T.eq(own.new()[name](), initial, name)
        T.raises('bad argument #1', own[name], {})
        T.raises('bad argument #1', own[name], 'x')
        T.raises('bad argument #2', own[name], other, 1)
        T.eq(own[name](), other, name)
    end
    T.eq(own.encode_keep_buffer('on'), true)
    T.eq(own.encode_keep_buffer('off'), false)
    T.raises('out of range', own.encode_number_precision, 0)
    T.raises('out of range', own.encode_number_precision, 18)
    T.eq(own.encode({ 1 / 3, 'a/b' }), '[0.333,"a/b"]')
    T.raises('bad argument #2', own.encode_sparse_array, true, -1)
    T.eq(own.encode_sparse_array(), false)
    T.raises('bad argument #3', json.encode_sparse_array, nil, nil, 'x')
end)

case('finalisers may encode while another text is under way', function()
    local seen = 0
    local function garbage()
        setmetatable({}, { __gc = function() seen = seen + #assert(json.encode({ 1, { 2 } })) end })
    end
    local list = {}
    for i = 1, 2000 do list[i] = { i, tostring(i), { a = i / 7 } } end
    local expected = json.encode(list)
    for _ = 1, 20 do
        for _ = 1, 50 do garbage() end
        T.eq(json.encode(list) == expected, true)
        T.eq(json.encode(json.decode(expected)) == expected, true)
    end
    collectgarbage()
    assert(seen > 0)
end)

case('a text goes to a writer in pieces', function()
    local list = {}
    for i = 1, 300 do list[i] = { id = i, name = 'name ' .. i, list = { i, { i }, {} }, f = i / 8 } end
    for _, value in ipairs { list, 1, 'x', {}, { {} }, { { { { 1 } } } }, json.null, { a = 1 } } do
        local whole = json.encode(value)
        for _, size in ipairs { 1, 2, 7, 100, 4096, 1 << 20 } do
            local pieces = {}
            T.eq(json.encode_to(function(piece) pieces[#pieces + 1] = piece end, value, size), true)
            T.eq(table.concat(pieces) == whole, true)
            for i = 1, #pieces - 1 do
                assert(#pieces[i] >= size and #pieces[i] < size + 60, #pieces[i])
            end
        end
    end
    local deep = {}
    for _ = 1, 900 do deep = { deep, x = { deep } and 1 } end
    local pieces = {}
    assert(json.encode_to(function(piece) pieces[#pieces + 1] = piece end, deep, 10))
    T.eq(table.concat(pieces) == json.encode(deep), true)
end)

case('writers are objects, too, may wait, and may fail', function()
    local f<close> = assert(io.tmpfile())
    assert(json.encode_to(f, { 1, 2, 3 }))
    f:seek('set')
    T.eq(f:read('a'), '[1,2,3]')

    local socket = require 'eco.socket'
    local a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    local list = {}
    for i = 1, 100000 do list[i] = i end
    local text
    T.all(function()
        assert(json.encode_to(a, list))
        a:close()
    end, function()
        text = assert(b:read('a'))
        b:close()
    end)
    T.eq(text == json.encode(list), true)

    local calls = 0
    T.fails('enough', json.encode_to(function() calls = calls + 1 return nil, 'enough' end, list, 10))
    T.eq(calls, 1)
    T.fails('type not supported', json.encode_to(function() end, { ('x'):rep(50), print }, 10))
    T.raises('attempt to call a nil value', json.encode_to, {}, 1)
    T.raises('out of range', json.encode_to, print, 1, 0)
    -- A table that changes meanwhile: an error at worst.
    for _ = 1, 50 do
        local changing = {}
        for i = 1, 50 do changing['k' .. i] = { i } end
        local count = 0
        pcall(json.encode_to, function()
            count = count + 1
            if count == 100 then return nil, 'enough' end
            for key in pairs(changing) do changing[key] = nil break end
            for i = 1, 20 do changing[{}] = nil changing[math.random(0)] = i end
        end, changing, 20)
    end
end)

case('the manner of lua-cjson', function()
    local raising = json.new(true)
    T.eq(raising.decode('[1]'), { 1 })
    local _, message = pcall(load("local json = ... json.decode('[1')", '=here'), raising)
    T.eq(message, 'here:1: Expected comma or array end but found the end at character 3, line 1')
    T.raises('Cannot serialise function: type not supported', raising.encode, print)
    T.raises('Expected', raising.new().decode, '')
    T.fails('Expected', raising.new(false).decode(''))
end)
