---@meta node-lua

---@class node-lua.socket: userdata
---@field read fun(self: node-lua.socket, timeout_or_callback?: number|function): boolean?, (node-lua.buffer|integer)?
---@field write fun(self: node-lua.socket, data: string|node-lua.buffer, callback_or_safety?: function|boolean): boolean?, integer?
---@field accept fun(self: node-lua.socket, timeout_or_callback?: number|function): boolean?, (node-lua.socket|integer)?
---@field set_rwopt fun(self: node-lua.socket, options: node-lua.options)
---@field setopt fun(self: node-lua.socket, options: node-lua.options)
---@field get_rwopt fun(self: node-lua.socket): node-lua.options
---@field set_nodelay fun(self: node-lua.socket, enable: boolean)
---@field set_wshared fun(self: node-lua.socket, enable: boolean)
---@field local_addr fun(self: node-lua.socket): string, boolean
---@field remote_addr fun(self: node-lua.socket): string
---@field local_port fun(self: node-lua.socket): integer
---@field remote_port fun(self: node-lua.socket): integer
---@field close fun(self: node-lua.socket): boolean
---@field is_closed fun(self: node-lua.socket): boolean
---@field fd fun(self: node-lua.socket): integer

---@class node-lua.options
---@field read_head_endian? 'L'|'B'
---@field read_head_bytes? 0|1|2|4
---@field read_head_max? integer
---@field write_head_endian? 'L'|'B'
---@field write_head_bytes? 0|1|2|4
---@field write_head_max? integer

---@class node-lua.buffer: userdata
---@operator len: integer
---@field append fun(self: node-lua.buffer, data: string|node-lua.buffer): boolean
---@field split fun(self: node-lua.buffer, count?: integer): node-lua.buffer
---@field remove fun(self: node-lua.buffer, position?: integer, count?: integer): integer
---@field clear fun(self: node-lua.buffer): boolean
---@field length fun(self: node-lua.buffer): integer
---@field unfill fun(self: node-lua.buffer): integer
---@field find fun(self: node-lua.buffer, text?: string): integer?
---@field tostring fun(self: node-lua.buffer): string
---@field valid fun(self: node-lua.buffer): boolean
---@field release fun(self: node-lua.buffer)
---@field pack fun(self: node-lua.buffer, format: string, ...: any): boolean
---@field unpack fun(self: node-lua.buffer, format: string, position?: integer): ...: any
---@field packsize fun(self: node-lua.buffer, format: string): integer

---@class node-lua.context
---@field self integer
---@field parent integer
---@field name string
---@field ncpu integer
---@field winos false
context = {}

---@param file string
---@param ... string|number
---@return integer handle
function context.create(file, ...) end

---@param handle? integer|string  or the reason, for the own context
---@param reason? string
function context.destroy(handle, reason) end

---@param handle integer
---@param ... any
---@return boolean ok
---@return integer? number
function context.send(handle, ...) end

---@param handle integer
---@param ... any  `value [, timeout [, callback]]`, or in the shipped form `... [, callback]`
---@return boolean ok
---@return any ...
function context.query(handle, ...) end

---@param handle integer
---@param timeout number
---@param ... any  the last one may be a callback
---@return boolean ok
---@return any ...
function context.timed_query(handle, timeout, ...) end

---@param handle integer
---@param session integer
---@param ... any
---@return boolean ok
---@return integer? number
function context.reply(handle, session, ...) end

---@param handle integer  0 for any
---@param timeout_or_callback? number|function
---@return boolean? ok
---@return any ...
function context.recv(handle, timeout_or_callback) end

---@param handle integer
---@param timeout_or_callback? number|function
---@param callback? function
---@return boolean? ok
---@return integer? number
function context.wait(handle, timeout_or_callback, callback) end

---@param number integer
---@return string
function context.strerror(number) end

---@return integer
function context.thread() end

---@param ... any
function context.log(...) end

---@param f function
---@param ... any
function context.run(f, ...) end

function context.suspend() end

---@param name? 'seed'|'shipped'
---@return 'seed'|'shipped'
function context.api(name) end

---@class node-lua.timer
timer = {}

---@param seconds number
function timer.sleep(seconds) end

---@param seconds number
---@param ... any  the last one is the callback
---@return integer number
function timer.timeout(seconds, ...) end

---@param first number
---@param interval number
---@param ... any  the last one is the callback
---@return integer? number
function timer.loop(first, interval, ...) end

---@param number integer
function timer.close(number) end

---@class node-lua.tcp
---@field [string] function
tcp = {}

---@class node-lua.udp
---@field [string] function
udp = {}

---@class node-lua.buffers
---@field [string] function
---@field new fun(what?: string|node-lua.buffer|integer, text?: string): node-lua.buffer
buffer = {}

return { context = context, timer = timer, tcp = tcp, udp = udp, buffer = buffer }
