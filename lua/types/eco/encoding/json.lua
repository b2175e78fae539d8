---@meta eco.encoding.json

---JSON text from Lua values and back.
---@class eco.encoding.json
---@field null lightuserdata  the value of `null`
---@field empty_array lightuserdata  is written `[]`
---@field empty_array_mt table  metatable of tables that are written `[]` when empty
---@field array_mt table  metatable of tables that are always arrays
local json = {}

---@param text string|number
---@return any value
---@return string? problem  what was expected, what was found, and where
---@nodiscard
function json.decode(text) end

---@param value any
---@return string? text
---@return string? problem
---@return_overload nil, string
---@nodiscard
function json.encode(value) end

---Writes the text in pieces.
---@param writer { write: fun(self, piece: string): any, string? } | fun(piece: string): any, string?
---@param value any  must not change meanwhile
---@param size? integer  about the length of a piece, 4096 unless given
---@return true?
---@return string? problem
---@return_overload nil, string
function json.encode_to(writer, value, size) end

---An instance with settings of its own.
---@param raises? boolean  whether `encode` and `decode` raise; as this instance unless given
---@return eco.encoding.json
---@nodiscard
function json.new(raises) end

---@param depth? integer
---@return integer
function json.encode_max_depth(depth) end

---@param depth? integer
---@return integer
function json.decode_max_depth(depth) end

---@param digits? integer  1 to 17
---@return integer
function json.encode_number_precision(digits) end

---@param convert? boolean|'on'|'off'  whether sparse arrays become objects
---@param ratio? integer  0: no array is sparse
---@param safe? integer  arrays up to this length are not sparse
---@return boolean convert
---@return integer ratio
---@return integer safe
function json.encode_sparse_array(convert, ratio, safe) end

---@param allow? boolean|'on'|'off'|'null'
---@return boolean|'null'
function json.encode_invalid_numbers(allow) end

---@param allow? boolean|'on'|'off'
---@return boolean
function json.decode_invalid_numbers(allow) end

---@param mark? boolean|'on'|'off'
---@return boolean
function json.decode_array_with_array_mt(mark) end

---@param object? boolean|'on'|'off'
---@return boolean
function json.encode_empty_table_as_object(object) end

---@param escape? boolean|'on'|'off'
---@return boolean
function json.encode_escape_forward_slash(escape) end

---@param keep? boolean|'on'|'off'
---@return boolean
function json.encode_keep_buffer(keep) end

return json
