-- `buffer`: what Lua's own functions do.

local I, native, methods = ...

local M = I.M.buffer
for name, value in pairs(native) do M[name] = value end

local pack, unpack, packsize = string.pack, string.unpack, string.packsize

function M.pack(b, fmt, ...)
    if not native.valid(b) then error('invalid lbuffer to pack', 2) end
    return native.append(b, pack(fmt, ...))
end

function M.unpack(b, fmt, pos)
    if not native.valid(b) then error('invalid lbuffer to unpack', 2) end
    return unpack(fmt, native.tostring(b), pos)
end

M.packsize = packsize

methods.pack, methods.unpack = M.pack, M.unpack
methods.packsize = function(_, fmt) return packsize(fmt) end
