---@meta eco.hash.hmac

---A digest module: eco.hash.md5, eco.hash.sha1 or eco.hash.sha256.
---@class eco.hash.digest
---@field mtname string  what its contexts are called
---@field sum fun(data: string|number): string
---@field new fun(): eco.hash.context

---A digest under way.
---@class eco.hash.context
local context = {}

---@param data string|number
function context:update(data) end

---The digest of all that was added; the context begins anew.
---@return string digest
function context:final() end

---A keyed digest under way, good for one.
---@class eco.hash.keyed
local keyed = {}

---@param data string
function keyed:update(data) end

---@return string digest
function keyed:final() end

---Keyed digests.
---@class eco.hash.hmac
local hmac = {}

---@param hash eco.hash.digest
---@param key string
---@param data string
---@return string digest
---@nodiscard
function hmac.sum(hash, key, data) end

---@param hash eco.hash.digest
---@param key string
---@return eco.hash.keyed
---@nodiscard
function hmac.new(hash, key) end

return hmac
