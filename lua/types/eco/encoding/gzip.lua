---@meta eco.encoding.gzip

---Packs and unpacks gzip.
---@class eco.encoding.gzip
local gzip = {}

---A stream to be packed.
---@class eco.encoding.gzip.Compressor
local compressor = {}

---@param data string
---@return string packed  what is ready of it
function compressor:update(data) end

---@return string packed  the last of it
function compressor:finish() end

---A stream to be unpacked.
---@class eco.encoding.gzip.Decompressor
local decompressor = {}

---@param data string  packed bytes
function decompressor:write(data) end

---@param size? integer  at most; 16384
---@return string? data  empty when more input is needed
---@return string? problem
---@return_overload nil, string
function decompressor:read(size) end

---@return boolean  there was any input
function decompressor:started() end

---@return boolean  the input may end here
function decompressor:ended() end

---@param data string
---@param level? integer  0 to 9
---@return string packed
---@nodiscard
function gzip.compress(data, level) end

---@param data string
---@param limit? integer  64 MiB
---@return string? unpacked
---@return string? problem
---@return_overload nil, string
---@nodiscard
function gzip.decompress(data, limit) end

---@param level? integer  0 to 9
---@return eco.encoding.gzip.Compressor
---@nodiscard
function gzip.compressor(level) end

---@return eco.encoding.gzip.Decompressor
---@nodiscard
function gzip.decompressor() end

---@param source fun(): string?, string?  gives packed bytes
---@param size? integer
---@return fun(): string?, string?
---@nodiscard
function gzip.reader(source, size) end

return gzip
