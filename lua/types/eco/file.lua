---@meta eco.file

---Files, folders, locks, and being told of changes.
---@class eco.file: eco.internal.file
local file = {}

---@class eco.file.Info
---@field type 'REG'|'DIR'|'LNK'|'CHR'|'BLK'|'FIFO'|'SOCK'|''
---@field mode integer
---@field size integer
---@field nlink integer
---@field uid integer
---@field gid integer
---@field ino integer
---@field dev integer
---@field atime integer
---@field mtime integer
---@field ctime integer
---@field atime_nsec integer
---@field mtime_nsec integer
---@field ctime_nsec integer

---@class eco.file.File: eco.bufio.Source
---@field fd integer  once closed it is -1
---@field rd eco.Reader
---@field wr eco.Writer
local object = {}

---@async
---@param format 'a'|'l'|'L'|'*a'|'*l'|'*L'|integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function object:read(format, timeout) end

---@async
---@param n integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function object:readfull(n, timeout) end

---@async
---@param needle string
---@param timeout? number
---@return string? data
---@return true|string|nil found  or the problem
function object:readuntil(needle, timeout) end

---@async
---@param buffer eco.Buffer
---@param n integer
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function object:read2b(buffer, n, timeout) end

---@async
---@param data string|number
---@param timeout? number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function object:write(data, timeout) end

---@param offset integer
---@param whence integer
---@return integer? offset
---@return string? problem
---@return_overload nil, string
function object:lseek(offset, whence) end

---@return eco.file.Info? info
---@return string? problem
---@return_overload nil, string
function object:stat() end

---@async
---@param operation integer
---@param timeout? number  for ever by default, 0 tries once
---@return true? locked
---@return string? problem
---@return_overload nil, string
function object:flock(operation, timeout) end

function object:close() end

---Opens a file. To write to a FIFO the coroutine waits until somebody reads it.
---@async
---@param path string
---@param flags? integer
---@param mode? integer  of a file it creates
---@return eco.file.File? file
---@return string? problem
---@return_overload nil, string
---@nodiscard
function file.open(path, flags, mode) end

---@param target eco.file.File|integer
---@return true? closed
---@return string? problem
---@return_overload nil, string
function file.close(target) end

---With an fd it never waits and fails with an error number.
---@param target eco.file.File|integer
---@param operation integer
---@param timeout? number
---@return true? locked
---@return string|integer|nil problem
function file.flock(target, operation, timeout) end

---@param path string
---@param format? 'a'|'l'|'L'|'*a'|'*l'|'*L'|integer
---@return string? data
---@return string? problem
---@return_overload nil, string
---@nodiscard
---@overload fun(path: string, format: 'n'|'*n'): number?, string?
function file.readfile(path, format) end

---@param path string
---@param data string|number
---@param append? boolean
---@return true? written
---@return string? problem
---@return_overload nil, string
function file.writefile(path, data, append) end

---@param path string
---@return true? done
---@return string? problem
---@return_overload nil, string
function file.rmdir(path) end

---@param path string
---@return true? done
---@return string? problem
---@return_overload nil, string
function file.unlink(path) end

---@param from string
---@param to string
---@return true? done
---@return string? problem
---@return_overload nil, string
function file.rename(from, to) end

---@param root string
---@param callback fun(path: string, name: string, info: eco.file.Info): false|integer|nil
function file.walk(root, callback) end

---@class eco.file.Event
---@field name string
---@field mask integer

---@class eco.file.Watcher
---@field fd integer  once closed it is -1
---@field watchs table<integer, string>
---@field overflows integer  how often the kernel dropped events
local watcher = {}

---@param path string
---@param mask? integer
---@return integer? watch
---@return string? problem
---@return_overload nil, string
function watcher:add(path, mask) end

---@param watch integer
---@return true? removed
---@return string? problem
---@return_overload nil, string
function watcher:del(watch) end

---@async
---@param timeout? number
---@return eco.file.Event? event
---@return string? problem
---@return_overload nil, string
function watcher:wait(timeout) end

function watcher:close() end

---@return eco.file.Watcher? watcher
---@return string? problem
---@return_overload nil, string
---@nodiscard
function file.inotify() end

---Plain functions and constants; reached through `eco.file`.
---@class eco.internal.file
---@field SKIP 1
---@field IN_ACCESS integer
---@field IN_ALL_EVENTS integer
---@field IN_ATTRIB integer
---@field IN_CLOSE integer
---@field IN_CLOSE_NOWRITE integer
---@field IN_CLOSE_WRITE integer
---@field IN_CREATE integer
---@field IN_DELETE integer
---@field IN_DELETE_SELF integer
---@field IN_ISDIR integer
---@field IN_MODIFY integer
---@field IN_MOVE integer
---@field IN_MOVED_FROM integer
---@field IN_MOVED_TO integer
---@field IN_MOVE_SELF integer
---@field IN_OPEN integer
---@field IN_Q_OVERFLOW integer
---@field LOCK_EX integer
---@field LOCK_SH integer
---@field LOCK_UN integer
---@field O_APPEND integer
---@field O_CLOEXEC integer
---@field O_CREAT integer
---@field O_DIRECTORY integer
---@field O_EXCL integer
---@field O_NOCTTY integer
---@field O_NOFOLLOW integer
---@field O_NONBLOCK integer
---@field O_RDONLY integer
---@field O_RDWR integer
---@field O_SYNC integer
---@field O_TRUNC integer
---@field O_WRONLY integer
---@field SEEK_CUR integer
---@field SEEK_END integer
---@field SEEK_SET integer
---@field S_IRGRP integer
---@field S_IROTH integer
---@field S_IRUSR integer
---@field S_IRWXG integer
---@field S_IRWXO integer
---@field S_IRWXU integer
---@field S_ISGID integer
---@field S_ISUID integer
---@field S_ISVTX integer
---@field S_IWGRP integer
---@field S_IWOTH integer
---@field S_IWUSR integer
---@field S_IXGRP integer
---@field S_IXOTH integer
---@field S_IXUSR integer
local internal = {}

---@param fd integer
---@param n integer
---@return string? data  '' at the end
---@return string? problem
---@return_overload nil, string
function internal.read(fd, n) end

---@param fd integer
---@param data string|number
---@return integer? count
---@return string? problem
---@return_overload nil, string
function internal.write(fd, data) end

---@param fd integer
---@param offset integer
---@param whence integer
---@return integer? offset
---@return string? problem
---@return_overload nil, string
function internal.lseek(fd, offset, whence) end

---@param path string
---@param mode? string  of 'r', 'w', 'x'
---@return boolean
---@nodiscard
function internal.access(path, mode) end

---@param path string
---@return string? target
---@return string? problem
---@return_overload nil, string
---@nodiscard
function internal.readlink(path) end

---@param path string
---@return eco.file.Info? info
---@return string? problem
---@return_overload nil, string
---@nodiscard
function internal.stat(path) end

---@param path string
---@return eco.file.Info? info
---@return string? problem
---@return_overload nil, string
---@nodiscard
function internal.lstat(path) end

---@param fd integer
---@return eco.file.Info? info
---@return string? problem
---@return_overload nil, string
---@nodiscard
function internal.fstat(fd) end

---@param path string
---@return number? total  KiB
---@return number|string available  or the problem
---@return number? used
---@nodiscard
function internal.statvfs(path) end

---@param path string
---@param uid? integer
---@param gid? integer
---@return true? done
---@return string? problem
---@return_overload nil, string
function internal.chown(path, uid, gid) end

---@param path string
---@param mode integer
---@return true? done
---@return string? problem
---@return_overload nil, string
function internal.chmod(path, mode) end

---@param path string
---@param mode? integer
---@return true? done
---@return string? problem
---@return_overload nil, string
function internal.mkdir(path, mode) end

---@param path string
---@return string
---@nodiscard
function internal.dirname(path) end

---@param path string
---@return string
---@nodiscard
function internal.basename(path) end

---@param path string
---@return fun(state: userdata): string?, eco.file.Info?
---@return userdata state
---@return nil
---@return userdata closing
---@return string? problem
function internal.dir(path) end

---Writes everything to disk.
---@async
function internal.sync() end

---@return integer? fd
---@return string? problem
---@return_overload nil, string
function internal.inotify_init() end

---@param fd integer
---@param path string
---@param mask integer
---@return integer? watch
---@return string? problem
---@return_overload nil, string
function internal.inotify_add_watch(fd, path, mask) end

---@param fd integer
---@param watch integer
---@return true? removed
---@return string? problem
---@return_overload nil, string
function internal.inotify_rm_watch(fd, watch) end

---@param bytes string
---@return { wd: integer, mask: integer, name?: string }[]
function internal.inotify_parse_event(bytes) end

return file
