-- Errors of the system in the words and by the numbers of libuv, as lunet and luv have them.

local sys = require 'eco.sys'

local texts, numbers = { eof = 'end of file', timeout = 'connection timed out' }, { eof = 1, timeout = 40, canceled = 59 }
for name, number, text in ([[
EACCES 3 permission denied
EAGAIN 4 resource temporarily unavailable
EADDRINUSE 5 address already in use
EADDRNOTAVAIL 6 address not available
EAFNOSUPPORT 7 address family not supported
EBADF 9 bad file descriptor
EBUSY 10 resource busy or locked
ECONNABORTED 11 software caused connection abort
ECONNREFUSED 12 connection refused
ECONNRESET 13 connection reset by peer
EHOSTUNREACH 16 host is unreachable
EINVAL 18 invalid argument
EISCONN 19 socket is already connected
EMFILE 20 too many open files
EMSGSIZE 21 message too long
ENETUNREACH 23 network is unreachable
ENFILE 24 file table overflow
ENOMEM 26 not enough memory
ENOTDIR 27 not a directory
EISDIR 28 illegal operation on a directory
ENOTCONN 31 socket is not connected
ENOTSOCK 32 socket operation on non-socket
ENOENT 34 no such file or directory
ENOSYS 35 function not implemented
EPIPE 36 broken pipe
ETIMEDOUT 40 connection timed out
EEXIST 47 file already exists
ESRCH 48 no such process
ENAMETOOLONG 49 name too long
EPERM 50 operation not permitted
ELOOP 51 too many symbolic links encountered
EXDEV 52 cross-device link not permitted
ENOTEMPTY 53 directory not empty
ENOSPC 54 no space left on device
EIO 55 i/o error
EROFS 56 read-only file system
ESPIPE 58 invalid seek
ECANCELED 59 operation canceled
]]):gmatch('(%w+) (%d+) ([^\n]+)') do
    local theirs = sys.strerror(sys[name])
    texts[theirs], numbers[theirs] = text, math.tointeger(number)
end

-- What this system says of an error, in those words.
local function text(message)
    return texts[message] or (tostring(message):gsub('^%u', string.lower))
end

-- The same as a number, -1 for others.
local function number(message)
    return numbers[message] or -1
end

return text, number
