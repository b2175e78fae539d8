-- Files, worked on by other threads.

local I = ...

local file = require 'eco.file'

local native = I.native
local M = {}

local MODES = {
    r = 0, w = file.O_CREAT | file.O_TRUNC, a = file.O_CREAT | file.O_APPEND, x = file.O_CREAT | file.O_EXCL,
}

local function pair(value, err)
    if value == nil then return nil, I.text(err) end
    return value, nil
end

local function is_path(path)
    return type(path) == 'string' or type(path) == 'number'
end

-- What the kernel would say of a name that ends early.
local function bad_path(path)
    return tostring(path):find('\0', 1, true) and 'invalid argument'
end

local function descriptor(fd)
    fd = I.integer(fd)
    return fd and fd >= 0 and fd <= 0x7fffffff and fd or -1
end

function M.open(path, mode)
    local co = I.enter('fs.open')
    if not is_path(path) or type(mode) ~= 'string' then return nil, 'fs.open requires path and mode' end
    local flags = MODES[mode:sub(1, 1)]
    if not flags then return nil, 'fs.open invalid mode' end
    if bad_path(path) then return nil, bad_path(path) end
    if mode:find('+', 1, true) then
        flags = flags | file.O_RDWR
    elseif mode:sub(1, 1) ~= 'r' then
        flags = flags | file.O_WRONLY
    end
    return pair(I.call(co, native.open, path, flags, 420))
end

function M.close(fd)
    local co = I.enter('fs.close')
    if type(fd) ~= 'number' then return 'fs.close requires 1 integer fd' end
    local _, err = I.call(co, native.close, descriptor(fd))
    return err and I.text(err) or nil
end

function M.read(fd, length)
    local co = I.enter('fs.read')
    length = I.integer(length)
    if type(fd) ~= 'number' or not length or length < 0 then return nil, 'fs.read requires fd and length' end
    return pair(I.call(co, native.read, descriptor(fd), math.min(length, 0x7fffffff)))
end

function M.write(fd, data)
    local co = I.enter('fs.write')
    if type(data) == 'number' then data = tostring(data) end
    if type(fd) ~= 'number' or type(data) ~= 'string' then return nil, 'fs.write requires fd and data' end
    return pair(I.call(co, native.write, descriptor(fd), data))
end

function M.stat(path)
    local co = I.enter('fs.fstat')
    if not is_path(path) then return nil, 'fs.fstat requires path' end
    if bad_path(path) then return nil, bad_path(path) end
    return pair(I.call(co, native.stat, path))
end

function M.scandir(path)
    local co = I.enter('fs.scandir')
    if not is_path(path) then return nil, 'fs.scandir requires path' end
    if bad_path(path) then return nil, bad_path(path) end
    return pair(I.call(co, native.scan, path))
end

if I.trace then
    I.trace.count('FS', M, { 'open', 'close', 'read', 'write', 'stat', 'scandir' })
end

return M
