---@meta eco.bufio

---Buffered reading for scripts of the README dialect.
---@class eco.bufio
local bufio = {}

---@class eco.bufio.Reader
local reader = {}

---What can be read ahead: readers, files, sockets, or a table of your own.
---@class eco.bufio.Source
---@field read2b fun(self: any, buffer: eco.Buffer, size: integer, timeout?: number): integer?, string?

---@class eco.bufio.Options
---@field size? integer      bytes read ahead, 4096 unless given
---@field eof_error? string  message at the end, 'eof' unless given

---Exactly `format` bytes, a line ('l', 'L') or the rest ('a').
---@async
---@param format integer|'l'|'L'|'a'|'*l'|'*L'|'*a'
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function reader:read(format, timeout) end

---The rest of the stream.
---@async
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function reader:readall(timeout) end

---A line, with its LF unless `skip`.
---@async
---@param timeout? number
---@param skip? boolean
---@return string? line
---@return string? problem
---@return_overload nil, string
function reader:readline(timeout, skip) end

---Exactly `count` bytes.
---@async
---@param count integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function reader:readfull(count, timeout) end

---Bytes before the needle and true, or a piece when it has not come yet.
---@async
---@param needle string
---@param timeout? number
---@return string? data
---@return true|string|nil found
function reader:readuntil(needle, timeout) end

---The next `count` bytes, which stay.
---@async
---@param count integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function reader:peek(count, timeout) end

---Drops `count` bytes.
---@async
---@param count integer
---@param timeout? number
---@return true? dropped
---@return string? problem
---@return_overload nil, string
function reader:discard(count, timeout) end

---@param source integer|eco.bufio.Source
---@param size? integer|eco.bufio.Options
---@return eco.bufio.Reader? reader
---@return string? problem
---@return_overload nil, string
function bufio.new(source, size) end

return bufio
