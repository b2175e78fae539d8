-- Modules `eco.hash.md5`, `eco.hash.sha1`, `eco.hash.sha256`, `eco.hash.hmac`.

local eco = require 'eco'
local hex = require 'eco.encoding.hex'
local hmac = require 'eco.hash.hmac'
local sys = require 'eco.sys'

local hashes = {
    md5 = require 'eco.hash.md5', sha1 = require 'eco.hash.sha1', sha256 = require 'eco.hash.sha256',
}

local empty = {
    md5 = 'd41d8cd98f00b204e9800998ecf8427e',
    sha1 = 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
    sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
}

local abc = {
    md5 = '900150983cd24fb0d6963f7d28e17f72',
    sha1 = 'a9993e364706816aba3e25717850c26c9cd0d89d',
    sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
}

case('digests of strings', function()
    for name, hash in pairs(hashes) do
        T.eq(hex.encode(hash.sum('')), empty[name])
        T.eq(hex.encode(hash.sum('abc')), abc[name])
        T.eq(hash.sum(123), hash.sum('123'))
        T.eq(hash.mtname, 'struct ' .. name .. '_ctx *')
        T.raises('string expected, got no value', hash.sum)
    end
end)

case('digests of streams', function()
    local data = ('0123456789abcdef'):rep(20)
    for _, hash in pairs(hashes) do
        for step = 1, 130 do
            local ctx = hash.new()
            for at = 1, #data, step do
                T.eq(select('#', ctx:update(data:sub(at, at + step - 1))), 0)
            end
            T.eq(ctx:final(), hash.sum(data))
        end
        local ctx = hash.new()
        assert(tostring(ctx):find(hash.mtname, 1, true) == 1)
        ctx:update(12)
        ctx:update('3')
        T.eq(ctx:final(), hash.sum('123'))
        T.eq(ctx:final(), hash.sum(''), 'a context begins anew')
        T.raises('string expected, got table', ctx.update, ctx, {})
        T.raises(hash.mtname .. ' expected, got table', ctx.update, {}, 'x')
        T.raises(hash.mtname .. ' expected, got no value', ctx.final)
    end
    T.raises('expected', hashes.md5.new().update, hashes.sha1.new(), 'x')
end)

case('digests of every length around a block', function()
    local data = ('x'):rep(200)
    for name, hash in pairs(hashes) do
        local lines = {}
        for length = 50, 140 do lines[#lines + 1] = hex.encode(hash.sum(data:sub(1, length))) end
        local command = ("for i in $(seq 50 140); do head -c $i %s | %ssum | cut -d' ' -f1; done"):format(T.path('data'), name)
        assert(io.open(T.path('data'), 'w')):write(data):close()
        T.eq(table.concat(lines, '\n') .. '\n', (sys.sh(command)))
    end
end)

case('streams of more than 512 MiB', function()
    -- Their length in bits does not fit 32 bits.
    if T.emulated then return end
    local block = ('\0'):rep(1 << 20)
    for name, hash in pairs(hashes) do
        local ctx = hash.new()
        for _ = 1, 513 do
            ctx:update(block)
            eco.sleep(0)
        end
        T.eq(hex.encode(ctx:final()) .. '\n', (sys.sh(("head -c %d /dev/zero | %ssum | cut -d' ' -f1"):format(513 << 20, name))))
    end
end)

-- RFC 2202 and RFC 4231.
local keyed = {
    { 'md5', ('\x0b'):rep(16), 'Hi There', '9294727a3638bb1c13f48ef8158bfc9d' },
    { 'md5', 'Jefe', 'what do ya want for nothing?', '750c783e6ab0b503eaa86e310a5db738' },
    { 'md5', ('\xaa'):rep(80), 'Test Using Larger Than Block-Size Key - Hash Key First', '6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd' },
    { 'sha1', ('\x0b'):rep(20), 'Hi There', 'b617318655057264e28bc0b6fb378c8ef146be00' },
    { 'sha1', 'Jefe', 'what do ya want for nothing?', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79' },
    { 'sha1', ('\xaa'):rep(80), 'Test Using Larger Than Block-Size Key - Hash Key First', 'aa4ae5e15272d00e95705637ce8a3b55ed402112' },
    { 'sha256', ('\x0b'):rep(20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7' },
    { 'sha256', 'Jefe', 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' },
    { 'sha256', ('\xaa'):rep(131), 'Test Using Larger Than Block-Size Key - Hash Key First', '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54' },
    { 'sha256', '', '', 'b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad' },
}

case('keyed digests', function()
    for _, row in ipairs(keyed) do
        local hash, key, data, expected = hashes[row[1]], row[2], row[3], row[4]
        T.eq(hex.encode(hmac.sum(hash, key, data)), expected)
        local ctx = hmac.new(hash, key)
        for at = 1, #data do
            T.eq(select('#', ctx:update(data:sub(at, at))), 0)
        end
        T.eq(hex.encode(ctx:final()), expected)
    end
    -- At a block exactly, and one byte more.
    for _, hash in pairs(hashes) do
        T.eq(hmac.sum(hash, ('k'):rep(65), 'x'), hmac.sum(hash, hash.sum(('k'):rep(65)), 'x'))
        T.eq(hmac.sum(hash, ('k'):rep(63) .. '\0', 'x'), hmac.sum(hash, ('k'):rep(63), 'x'))
    end
end)

case('misuse of keyed digests', function()
    local md5 = hashes.md5
    for _, call in ipairs { hmac.new, hmac.sum } do
        for _, wrong in ipairs { {}, 'md5', { mtname = 'x' }, false } do
            T.raises('expecting hash to be a hash module', call, wrong, 'k', 'd')
        end
        T.raises('expecting hash to be a hash module', call)
        T.raises('expecting key to be a string', call, md5)
        T.raises('expecting key to be a string', call, md5, 1, 'x')
    end
    T.raises('expecting data to be a string', hmac.sum, md5, 'k')
    T.raises('expecting data to be a string', hmac.sum, md5, 'k', 1)
    local ctx = hmac.new(md5, 'k')
    T.raises('expecting data to be a string', ctx.update, ctx)
    T.raises('expecting data to be a string', ctx.update, ctx, 1)
    local _, message = pcall(load("local h, m = ... h.sum(m, 1, 'x')", '=here'), hmac, md5)
    T.eq(message, 'here:1: expecting key to be a string')
    _, message = pcall(load("local h, m = ... h.new(m, 1)", '=here'), hmac, md5)
    T.eq(message, 'here:1: expecting key to be a string')
    _, message = pcall(load("local c = ... c:update(1)", '=here'), ctx)
    T.eq(message, 'here:1: expecting data to be a string')
end)
