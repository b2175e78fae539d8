-- Inner and outer digest of a key; gives the module.
local pad = ...

local known = { ['struct md5_ctx *'] = true, ['struct sha1_ctx *'] = true, ['struct sha256_ctx *'] = true }

local methods = {}
methods.__index, methods.__name = methods, 'eco.hmac'

local function check(value, name)
    if type(value) ~= 'string' then
        error('expecting ' .. name .. ' to be a string', 3)
    end
end

function methods:update(data)
    check(data, 'data')
    self.inner:update(data)
end

function methods:final()
    self.outer:update(self.inner:final())
    return self.outer:final()
end

local function new(hash, key)
    if type(hash) ~= 'table' or not known[hash.mtname] then
        error('expecting hash to be a hash module', 3)
    end
    if type(key) ~= 'string' then
        error('expecting key to be a string', 3)
    end
    if #key > 64 then
        key = hash.sum(key)
    end
    local self = setmetatable({ inner = hash.new(), outer = hash.new() }, methods)
    self.inner:update(pad(key, 0x36))
    self.outer:update(pad(key, 0x5c))
    return self
end

return {
    -- Parentheses keep the position of errors: a tail call would lose it.
    new = function(hash, key)
        return (new(hash, key))
    end,
    sum = function(hash, key, data)
        local self = new(hash, key)
        check(data, 'data')
        self.inner:update(data)
        return self:final()
    end,
}
