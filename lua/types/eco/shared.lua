---@meta eco.shared

---A dictionary in memory that processes share.
---@class eco.shared.dict
local dict = {}

---@param key string|number
---@param value string|number|boolean
---@param exptime? number  seconds; 0 and less is for ever
---@return true?
---@return string? problem
---@return_overload nil, string
function dict:set(key, value, exptime) end

---@param key string|number
---@return string|number|boolean|nil value
---@return string? problem
---@nodiscard
function dict:get(key) end

---@param key string|number
---@return boolean? was_there
---@return string? problem
---@return_overload nil, string
function dict:del(key) end

---@param key string|number
---@param delta number
---@param exptime? number  seconds; the time stays as it is without
---@return number?
---@return string? problem
---@return_overload nil, string
function dict:incr(key, delta, exptime) end

---@param key string|number
---@return number? seconds  0.0 is for ever
---@return string? problem
---@return_overload nil, string
---@nodiscard
function dict:ttl(key) end

---@param key string|number
---@param exptime number
---@return true?
---@return string? problem
---@return_overload nil, string
function dict:expire(key, exptime) end

---@return string[]?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function dict:get_keys() end

function dict:flush_all() end

function dict:close() end

---Dictionaries that processes share.
---@class eco.shared
local shared = {}

---@param name string
---@param size integer  bytes
---@return eco.shared.dict?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function shared.new(name, size) end

---@param name string
---@return eco.shared.dict?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function shared.get(name) end

return shared
