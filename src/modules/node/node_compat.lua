-- `bit32`, as Lua 5.2 had it.

local bit32 = bit32

local MASK = 0xffffffff

local function integer(x)
    return math.tointeger(x) or math.tointeger(x // 1) or error('number has no integer representation', 3)
end

local function fold(start, combine)
    return function(...)
        local result = start
        for i = 1, select('#', ...) do result = combine(result, integer((select(i, ...)))) end
        return result & MASK
    end
end

bit32.band = fold(MASK, function(a, b) return a & b end)
bit32.bor = fold(0, function(a, b) return a | b end)
bit32.bxor = fold(0, function(a, b) return a ~ b end)

function bit32.bnot(x)
    return ~integer(x) & MASK
end

function bit32.btest(...)
    return bit32.band(...) ~= 0
end

-- Lua shifts to the other side by less than nothing, and gives 0 for more than 63.
function bit32.lshift(x, n)
    x, n = integer(x) & MASK, integer(n)
    return x << n & MASK
end

function bit32.rshift(x, n)
    x, n = integer(x) & MASK, integer(n)
    return x >> n & MASK
end

function bit32.arshift(x, n)
    x, n = integer(x) & MASK, integer(n)
    if n <= 0 or x < 0x80000000 then return x >> n & MASK end
    return (x | ~MASK) // (1 << math.min(n, 62)) & MASK
end

function bit32.lrotate(x, n)
    x, n = integer(x) & MASK, integer(n) % 32
    return (x << n | x >> 32 - n) & MASK
end

function bit32.rrotate(x, n)
    return bit32.lrotate(x, -integer(n))
end

local function field(f, w)
    f, w = integer(f), integer(w or 1)
    if f < 0 then error('field cannot be negative', 3) end
    if w < 1 then error('width must be positive', 3) end
    if f + w > 32 then error('trying to access non-existent bits', 3) end
    return f, (1 << w) - 1
end

function bit32.extract(x, f, w)
    local shift, mask = field(f, w)
    return integer(x) >> shift & mask
end

function bit32.replace(x, v, f, w)
    local shift, mask = field(f, w)
    return (integer(x) & ~(mask << shift) | (integer(v) & mask) << shift) & MASK
end
