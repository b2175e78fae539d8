---@meta lunet.fs

---@class lunet.fs.stat
---@field dev integer
---@field mode integer
---@field nlink integer
---@field uid integer
---@field gid integer
---@field rdev integer
---@field ino integer
---@field size integer
---@field blksize integer
---@field blocks integer
---@field flags integer  0
---@field gen integer  0
---@field atim integer  seconds, as the next three
---@field mtim integer
---@field ctim integer
---@field birthtim integer

---@class lunet.fs.entry
---@field name string
---@field type 'file'|'dir'|'link'|'fifo'|'socket'|'char'|'block'|'unknown'

local fs = {}

---@param path string
---@param mode string
---@return integer? fd
---@return string? problem
---@return_overload nil, string
function fs.open(path, mode) end

---@param fd integer
---@return string? problem
function fs.close(fd) end

---@param fd integer
---@param length integer
---@return string? data  '' at the end
---@return string? problem
---@return_overload nil, string
function fs.read(fd, length) end

---@param fd integer
---@param data string|number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function fs.write(fd, data) end

---@param path string
---@return lunet.fs.stat?
---@return string? problem
---@return_overload nil, string
function fs.stat(path) end

---@param path string
---@return lunet.fs.entry[]?
---@return string? problem
---@return_overload nil, string
function fs.scandir(path) end

return fs
