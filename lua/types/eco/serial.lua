---@meta eco.serial

---@class eco.serial.Found
---@field name string
---@field path string
---@field bus? string
---@field driver? string
---@field vendor_id? integer
---@field product_id? integer
---@field manufacturer? string
---@field product? string
---@field serial_number? string
---@field interface? integer
---@field by_id? string

---@class eco.serial.Settings
---@field speed integer
---@field data_bits 5|6|7|8
---@field parity 'none'|'even'|'odd'|'mark'|'space'
---@field stop_bits 1|2
---@field flow 'none'|'hardware'|'software'

---@class eco.serial.Changes
---@field speed? integer
---@field data_bits? 5|6|7|8
---@field parity? 'none'|'even'|'odd'|'mark'|'space'
---@field stop_bits? 1|2
---@field flow? 'none'|'hardware'|'software'

---@class eco.serial.Options: eco.serial.Changes
---@field exclusive? boolean  true by default
---@field dtr? boolean
---@field rts? boolean

---@class eco.serial.Lines
---@field cts boolean
---@field dsr boolean
---@field dcd boolean
---@field ri boolean
---@field dtr boolean
---@field rts boolean

---@class eco.serial.Counters
---@field received integer
---@field sent integer
---@field frame integer
---@field parity integer
---@field overrun integer
---@field buffer_overrun integer
---@field breaks integer
---@field cts integer
---@field dsr integer
---@field dcd integer
---@field ri integer

---@alias eco.serial.Input 'cts'|'dsr'|'dcd'|'ri'

---@class eco.serial.Port: eco.bufio.Source
---@field fd integer  once closed it is -1
---@field rd eco.Reader
---@field wr eco.Writer
---@field path string
---@field exclusive boolean
local port = {}

---@async
---@param format 'a'|'l'|'L'|'*a'|'*l'|'*L'|integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function port:read(format, timeout) end

---@async
---@param n integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function port:readfull(n, timeout) end

---@async
---@param needle string
---@param timeout? number
---@return string? data
---@return true|string|nil found  or the problem
function port:readuntil(needle, timeout) end

---@async
---@param buffer eco.Buffer
---@param n integer
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function port:read2b(buffer, n, timeout) end

---@async
---@param data string|number
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function port:write(data, timeout) end

---@return eco.serial.Settings?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function port:settings() end

---@param options? eco.serial.Changes
---@return true?
---@return string? problem
---@return_overload nil, string
function port:configure(options) end

---@return eco.serial.Lines?
---@return string? problem
---@return_overload nil, string
function port:lines() end

---@param lines { dtr?: boolean, rts?: boolean }
---@return true?
---@return string? problem
---@return_overload nil, string
function port:set_lines(lines) end

---@async
---@param names? eco.serial.Input|eco.serial.Input[]  all by default
---@param timeout? number
---@return eco.serial.Lines?
---@return table<eco.serial.Input, integer>|string edges  how often each has changed, or the problem
function port:wait_lines(names, timeout) end

---@async
---@param seconds? number  0.25 by default
---@return true?
---@return string? problem
---@return_overload nil, string
function port:send_break(seconds) end

---@async
---@param timeout? number
---@return true?
---@return string? problem
---@return_overload nil, string
function port:drain(timeout) end

---@param what? 'input'|'output'|'both'
---@return true?
---@return string? problem
---@return_overload nil, string
function port:flush(what) end

---@return integer? unread
---@return integer|string unsent  or the problem
---@nodiscard
function port:pending() end

---@return eco.serial.Counters?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function port:counters() end

function port:close() end

---Serial ports.
---@class eco.serial
local serial = {}

---@param path string
---@param options? eco.serial.Options
---@return eco.serial.Port?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function serial.open(path, options) end

---The device's end of a line whose other end is the terminal `path` of the port.
---@return eco.serial.Port?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function serial.pty() end

---@param root? string  stands for `/`
---@return eco.serial.Found[]
---@nodiscard
function serial.list(root) end

return serial
