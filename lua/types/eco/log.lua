---@meta eco.log

---Records with a level, to a file, the terminal or the system log. No function
---returns anything.
---@class eco.log
---@field EMERG 0
---@field ALERT 1
---@field CRIT 2
---@field ERR 3
---@field WARNING 4
---@field NOTICE 5
---@field INFO 6
---@field DEBUG 7
---@field FLAG_LF 1    end records with LF
---@field FLAG_FILE 2  add the name of the script and the line
---@field FLAG_PATH 4  the same with the script's folders
local log = {}

---@alias eco.log.Value string|number|boolean|nil

---Logs at level DEBUG.
---@param ... eco.log.Value
function log.debug(...) end

---Logs at level INFO.
---@param ... eco.log.Value
function log.info(...) end

---Logs at level NOTICE.
---@param ... eco.log.Value
function log.notice(...) end

---Logs at level WARNING.
---@param ... eco.log.Value
function log.warn(...) end

---Logs at level ERR.
---@param ... eco.log.Value
function log.err(...) end

---Logs at any level.
---@param level integer
---@param ... eco.log.Value
function log.log(level, ...) end

---Drops records with a larger number.
---@param level integer
function log.set_level(level) end

---@param mask integer  sum of FLAG_…
function log.set_flags(mask) end

---@param name string  cut at 31 bytes
function log.set_ident(name) end

---Logs to a file; a path that cannot be used is refused in silence.
---@param path string  '' for the terminal or the system log
function log.set_path(path) end

---Puts the file aside before the next record when it is that large.
---@param bytes integer  0 for never; raises below 0
function log.set_roll_size(bytes) end

---@param n integer  files put aside that are kept; 10 for anything below 1
function log.set_roll_count(n) end

return log
