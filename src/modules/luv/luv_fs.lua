-- Files and what they are called by.

local I = ...

local file = require 'eco.file'

local native, want, integer, block, text, number = I.native, I.want, I.integer, I.block, I.text, I.number

local fs = {}
local File, new_file, type_of_files = I.class 'luv.file'

-- A failure is false, the words, the number.
local function result(value, ...)
    if value == nil then return false, text(...), number(...) end
    return value, ...
end

local function call(f, ...)
    return result(f(...))
end

-- A mode as the digits of an octal number.
local function octal(value, default, position, name)
    if value == nil and default then return default end
    if math.type(value) == 'float' then value = math.tointeger(value) end
    local digits = tostring(value)
    local mode = digits:find('^[0-7]+$') and tonumber(digits, 8)
    if mode and mode <= 4095 then return mode end
    error(("bad argument #%d to '%s' (octal number expected)"):format(position, name), 3)
end

local function id(value, position, name)
    local number = integer(value, nil, position, name)
    if number < -1 or number > 0xffffffff then
        error(("bad argument #%d to '%s' (out of range)"):format(position, name), 3)
    end
    return number
end

-- Seconds and nanoseconds.
local function moment(value, position, name)
    value = tonumber(want('number', value, position, name))
    if not value or value ~= value or value >= 2 ^ 53 or value <= -2 ^ 53 then
        error(("bad argument #%d to '%s' (out of range)"):format(position, name), 3)
    end
    local seconds = math.floor(value)
    return seconds, math.tointeger((value - seconds) * 1000000000 // 1)
end

local CREATE = file.O_CREAT
local FLAGS = {
    r = file.O_RDONLY, ['r+'] = file.O_RDWR,
    w = file.O_WRONLY | CREATE | file.O_TRUNC, ['w+'] = file.O_RDWR | CREATE | file.O_TRUNC,
    a = file.O_WRONLY | CREATE | file.O_APPEND, ['a+'] = file.O_RDWR | CREATE | file.O_APPEND,
}

local function flags(mode)
    return FLAGS[mode] or error(("Unknown file open flag: '%s'"):format(tostring(mode)), 3)
end

local function open(path, mode, perm)
    local fd, problem, errno = call(native.open, path, mode, perm)
    if not fd then return false, problem, errno end
    return new_file { fd = fd }
end

function fs.open(path, mode, perm)
    want('string', path, 1, 'open')
    return block(open, path, flags(mode), octal(perm, 420, 3, 'open'))
end

for name in ('unlink rmdir readdir stat lstat readlink'):gmatch('%w+') do
    local f = native[name]
    fs[name] = function(path)
        want('string', path, 1, name)
        return block(call, f, path)
    end
end

for name in ('rename link symlink'):gmatch('%w+') do
    local f = native[name]
    fs[name] = function(from, to, mode)
        want('string', from, 1, name)
        want('string', to, 2, name)
        -- Only `symlink` knows one.
        if mode ~= nil and name == 'symlink' then flags(mode) end
        return block(call, f, from, to)
    end
end

function fs.mkdir(path, perm)
    want('string', path, 1, 'mkdir')
    return block(call, native.mkdir, path, octal(perm, 511, 2, 'mkdir'))
end

-- On a path, or on the descriptor of a file.
local function chmod(where, mode)
    return block(call, native.chmod, where, octal(mode, nil, 2, 'chmod'))
end

local function chown(where, uid, gid)
    return block(call, native.chown, where, id(uid, 2, 'chown'), id(gid, 3, 'chown'))
end

local function utime(where, atime, mtime)
    local seconds, rest = moment(atime, 2, 'utime')
    return block(call, native.utime, where, seconds, rest, moment(mtime, 3, 'utime'))
end

for name, f in pairs { chmod = chmod, chown = chown, utime = utime } do
    fs[name] = function(path, ...)
        return f(tostring(want('string', path, 1, name)), ...)
    end
    File[name] = function(self, ...) return f(self.fd, ...) end
end

local function descriptor(value, position)
    if getmetatable(value) ~= type_of_files then
        error(("bad argument #%d to 'sendfile' (luv.file expected, got %s)"):format(position, type(value)), 3)
    end
    return value.fd
end

function fs.sendfile(to, from, offset, length)
    local target, source = descriptor(to, 1), descriptor(from, 2)
    return block(call, native.copy, target, source, math.max(0, integer(offset, 0, 3, 'sendfile')), integer(length, -1, 4, 'sendfile'))
end

function fs.cwd()
    local path, problem = native.cwd()
    return path or error(text(problem), 0)
end

function fs.chdir(path)
    local done, problem = native.chdir(want('string', path, 1, 'chdir'))
    if not done then error(text(problem), 0) end
end

function fs.exepath()
    return file.readlink('/proc/self/exe')
end

local function read(fd, length, offset)
    local data, problem, errno = call(native.read, fd, length, offset)
    if not data then return false, problem, errno end
    return #data, data
end

function File:read(length, offset)
    length, offset = integer(length, 4096, 1, 'read'), integer(offset, -1, 2, 'read')
    if length < 0 then error("bad argument #1 to 'read' (out of range)", 2) end
    return block(read, self.fd, math.min(length, 0x7fffffff), offset)
end

function File:write(data, offset)
    want('string', data, 1, 'write')
    return block(call, native.write, self.fd, data, math.max(0, integer(offset, 0, 2, 'write')))
end

function File:stat()
    return block(call, native.fstat, self.fd)
end

function File:sync()
    return block(call, native.sync, self.fd, 0)
end

function File:datasync()
    return block(call, native.sync, self.fd, 1)
end

function File:truncate(length)
    return block(call, native.truncate, self.fd, integer(length, 0, 1, 'truncate'))
end

function File:close()
    local fd = self.fd
    self.fd = -1
    return block(call, native.close, fd)
end

-- Gives the descriptor away.
function I.release(value)
    if getmetatable(value) ~= type_of_files then return nil end
    local fd = value.fd
    value.fd = -1
    return fd
end

function type_of_files:__gc()
    if self.fd >= 0 then
        file.close(self.fd)
        self.fd = -1
    end
end

I.luv.fs = I.library('luv_fs', fs)
