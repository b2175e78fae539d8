-- eco.hash.argon2: strings of others, costs, and what is no hash.

local eco = require 'eco'
local argon2 = require 'eco.hash.argon2'

local CHEAP = { memory = 64, passes = 1 }

case('a hash of the reference implementation', function()
    local known = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    T.eq(argon2.verify('password', known), true)
end)

case('hashes are verified', function()
    local hash = assert(argon2.hash('secret', CHEAP))
    assert(hash:find('^%$argon2id%$v=19%$m=64,t=1,p=1%$[%w+/]+%$[%w+/]+$') and #hash == 94, hash)
    T.eq(argon2.verify('secret', hash), true)
    T.eq(argon2.verify('Secret', hash), false)
    T.eq(argon2.verify('', hash), false)
    assert(argon2.hash('secret', CHEAP) ~= hash)
    for _, password in ipairs { '', 'a\0b', ('x'):rep(100000), 5 } do
        T.eq(argon2.verify(password, assert(argon2.hash(password, { memory = 32, passes = 2, lanes = 4 }))), true)
    end
end)

case('what is no hash, and costs that are none', function()
    for _, text in ipairs { '', 'x', '$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
        '$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc' } do
        T.fails('not a hash', argon2.verify('x', text))
    end
    T.fails('bad parameters', argon2.verify('x', '$argon2id$v=19$m=1,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'))
    T.raises('out of range', argon2.hash, 'x', { memory = 7 })
    T.raises('out of range', argon2.hash, 'x', { passes = 0 })
    T.raises('out of range', argon2.hash, 'x', { lanes = 65 })
    T.raises('out of range', argon2.hash, 'x', { memory = 0.5 })
    T.raises('bad argument #1', argon2.hash)
    T.raises('bad argument #2', argon2.verify, 'x')
end)

case('others run meanwhile', function()
    local done, turns = false, 0
    T.all(function()
        assert(argon2.hash('secret', { memory = 8192, passes = 3 }))
        done = true
    end, function()
        repeat
            turns = turns + 1
            eco.sleep(0.001)
        until done
    end)
    assert(turns > 1, turns)
end)
