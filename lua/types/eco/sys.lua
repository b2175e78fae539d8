---@meta eco.sys

---Processes, signals, users, error numbers.
---@class eco.sys: eco.internal.sys
local sys = {}

---How a child ended: one of `exited` and `signaled` is set.
---@class eco.sys.Status
---@field exited? true
---@field signaled? true
---@field status integer  exit code, or number of the signal

---@class eco.sys.Process
---@field pid integer
---@field stdout_fd? integer        nil once closed
---@field stderr_fd? integer
---@field stdout_rd? eco.Reader
---@field stderr_rd? eco.Reader
local process = {}

---@async
---@param format 'a'|'l'|'L'|'*a'|'*l'|'*L'|integer
---@param timeout? number
---@return string? data
---@return string? problem  'eof', 'timeout', 'canceled' or an error
---@return_overload nil, string
function process:read_stdout(format, timeout) end

---@async
---@param format 'a'|'l'|'L'|'*a'|'*l'|'*L'|integer
---@param timeout? number
---@return string? data
---@return string? problem
---@return_overload nil, string
function process:read_stderr(format, timeout) end

---Waits for the end; the status is used up by those who wait then.
---@async
---@param timeout? number
---@return integer? pid
---@return eco.sys.Status|string status  or the problem
function process:wait(timeout) end

---@param signal integer
---@return true? sent
---@return string? problem
---@return_overload nil, string
function process:signal(signal) end

---@return true? sent
---@return string? problem
---@return_overload nil, string
function process:kill() end

---SIGTERM, after the timeout SIGKILL; waits for the end.
---@async
---@param timeout? number  3 by default
---@return integer? pid
---@return eco.sys.Status|string status  or the problem
function process:stop(timeout) end

---Closes the pipes; the child goes on.
function process:close() end

---@class eco.sys.Command: string[]
---@field group? boolean   a process group of its own, which signals reach
---@field timeout? number  seconds after which the group is ended
---@field stdin? integer|false   a descriptor, or the null device
---@field stdout? integer|false  in place of the pipe
---@field stderr? integer|false  in place of the pipe
---@field cwd? string
---@field session? boolean  it leads a session

---Starts a program. The table form takes an environment of 'KEY=VALUE' strings.
---@param program string|eco.sys.Command
---@param ... string|number|string[]
---@return eco.sys.Process? process
---@return string? problem
---@return_overload nil, string
function sys.exec(program, ...) end

---@class eco.sys.ShellOptions
---@field status? boolean      adds `nil, status` to the results
---@field max_output? integer  bytes of output kept, 16 MiB by default

---Runs a command to its end.
---@async
---@param cmd string|string[]
---@param timeout? number  30 by default
---@param options? boolean|eco.sys.ShellOptions  true stands for { status = true }
---@return string? stdout
---@return string? stderr
---@return string? problem  'timeout', 'too much output' or an error
---@return eco.sys.Status? status
function sys.sh(cmd, timeout, options) end

---Runs a function in a forked child.
---@param f fun()
---@param with_process? boolean
---@return integer? pid
---@return eco.sys.Process|string|nil process  when asked for, without streams; or the problem
function sys.spawn(f, with_process) end

---@class eco.sys.Listener
---@field signum integer
---@field sfd? integer  nil once closed
local listener = {}

---Ends the listener; the last one of a signal unblocks it.
function listener:close() end

---The same.
function listener:cancel() end

---Calls back for each delivery of a signal, in a coroutine of its own.
---@param signum integer
---@param callback fun(...)
---@param ... any  passed to the callback
---@return eco.sys.Listener? listener
---@return string? problem
---@return_overload nil, string
function sys.signal(signum, callback, ...) end

---Plain functions and constants; reached through `eco.sys`.
---@class eco.internal.sys
---@field SIG_BLOCK integer
---@field SIG_UNBLOCK integer
---@field SIG_SETMASK integer
---@field PR_SET_PDEATHSIG 1
---@field E2BIG integer
---@field EACCES integer
---@field EADDRINUSE integer
---@field EADDRNOTAVAIL integer
---@field EADV integer
---@field EAFNOSUPPORT integer
---@field EAGAIN integer
---@field EALREADY integer
---@field EBADE integer
---@field EBADF integer
---@field EBADFD integer
---@field EBADMSG integer
---@field EBADR integer
---@field EBADRQC integer
---@field EBADSLT integer
---@field EBFONT integer
---@field EBUSY integer
---@field ECANCELED integer
---@field ECHILD integer
---@field ECHRNG integer
---@field ECOMM integer
---@field ECONNABORTED integer
---@field ECONNREFUSED integer
---@field ECONNRESET integer
---@field EDEADLK integer
---@field EDEADLOCK integer
---@field EDESTADDRREQ integer
---@field EDOM integer
---@field EDOTDOT integer
---@field EDQUOT integer
---@field EEXIST integer
---@field EFAULT integer
---@field EFBIG integer
---@field EHOSTDOWN integer
---@field EHOSTUNREACH integer
---@field EHWPOISON integer
---@field EIDRM integer
---@field EILSEQ integer
---@field EINPROGRESS integer
---@field EINTR integer
---@field EINVAL integer
---@field EIO integer
---@field EISCONN integer
---@field EISDIR integer
---@field EISNAM integer
---@field EKEYEXPIRED integer
---@field EKEYREJECTED integer
---@field EKEYREVOKED integer
---@field EL2HLT integer
---@field EL2NSYNC integer
---@field EL3HLT integer
---@field EL3RST integer
---@field ELHLT integer
---@field ELIBACC integer
---@field ELIBBAD integer
---@field ELIBEXEC integer
---@field ELIBMAX integer
---@field ELIBSCN integer
---@field ELNRNG integer
---@field ELNSYNC integer
---@field ELOOP integer
---@field ELRST integer
---@field EMEDIUMTYPE integer
---@field EMFILE integer
---@field EMLINK integer
---@field EMSGSIZE integer
---@field EMULTIHOP integer
---@field ENAMETOOLONG integer
---@field ENAVAIL integer
---@field ENETDOWN integer
---@field ENETRESET integer
---@field ENETUNREACH integer
---@field ENFILE integer
---@field ENOANO integer
---@field ENOBUFS integer
---@field ENOCSI integer
---@field ENODATA integer
---@field ENODEV integer
---@field ENOENT integer
---@field ENOEXEC integer
---@field ENOKEY integer
---@field ENOLCK integer
---@field ENOLINK integer
---@field ENOMEDIUM integer
---@field ENOMEM integer
---@field ENOMSG integer
---@field ENONET integer
---@field ENOPKG integer
---@field ENOPROTOOPT integer
---@field ENOSPC integer
---@field ENOSR integer
---@field ENOSTR integer
---@field ENOSYS integer
---@field ENOTBLK integer
---@field ENOTCONN integer
---@field ENOTDIR integer
---@field ENOTEMPTY integer
---@field ENOTNAM integer
---@field ENOTRECOVERABLE integer
---@field ENOTSOCK integer
---@field ENOTSUP integer
---@field ENOTTY integer
---@field ENOTUNIQ integer
---@field ENXIO integer
---@field EOPNOTSUPP integer
---@field EOVERFLOW integer
---@field EOWNERDEAD integer
---@field EPERM integer
---@field EPFNOSUPPORT integer
---@field EPIPE integer
---@field EPROTO integer
---@field EPROTONOSUPPORT integer
---@field EPROTOTYPE integer
---@field ERANGE integer
---@field EREMCHG integer
---@field EREMOTE integer
---@field EREMOTEIO integer
---@field ERESTART integer
---@field ERFKILL integer
---@field EROFS integer
---@field ESHUTDOWN integer
---@field ESOCKTNOSUPPORT integer
---@field ESPIPE integer
---@field ESRCH integer
---@field ESRMNT integer
---@field ESTALE integer
---@field ESTRPIPE integer
---@field ETIME integer
---@field ETIMEDOUT integer
---@field ETOOMANYREFS integer
---@field ETXTBSY integer
---@field EUCLEAN integer
---@field EUNATCH integer
---@field EUSERS integer
---@field EWOULDBLOCK integer
---@field EXDEV integer
---@field EXFULL integer
---@field SIGABRT integer
---@field SIGALRM integer
---@field SIGBUS integer
---@field SIGCHLD integer
---@field SIGCONT integer
---@field SIGFPE integer
---@field SIGHUP integer
---@field SIGILL integer
---@field SIGINT integer
---@field SIGIO integer
---@field SIGIOT integer
---@field SIGKILL integer
---@field SIGPIPE integer
---@field SIGPOLL integer
---@field SIGPROF integer
---@field SIGPWR integer
---@field SIGQUIT integer
---@field SIGSEGV integer
---@field SIGSTKFLT integer
---@field SIGSTOP integer
---@field SIGSYS integer
---@field SIGTERM integer
---@field SIGTRAP integer
---@field SIGTSTP integer
---@field SIGTTIN integer
---@field SIGTTOU integer
---@field SIGURG integer
---@field SIGUSR1 integer
---@field SIGUSR2 integer
---@field SIGVTALRM integer
---@field SIGWINCH integer
---@field SIGXCPU integer
---@field SIGXFSZ integer
local internal = {}

---Whole seconds since boot.
---@return integer
---@nodiscard
function internal.uptime() end

---@return integer
---@nodiscard
function internal.getpid() end

---@return integer
---@nodiscard
function internal.getppid() end

---Processors online.
---@return integer
---@nodiscard
function internal.get_nprocs() end

---@param number integer
---@return string
---@nodiscard
function internal.strerror(number) end

---@class eco.sys.User
---@field username string
---@field password string
---@field uid integer
---@field gid integer
---@field home string
---@field shell string

---@param name string
---@return eco.sys.User? user
---@return string? problem
---@return_overload nil, string
---@nodiscard
function internal.getpwnam(name) end

---@param pid integer
---@param signal integer
---@return true? sent
---@return string? problem
---@return_overload nil, string
function internal.kill(pid, signal) end

---Never blocks: `0, {}` while nothing changed.
---@param pid integer
---@return integer? pid
---@return eco.sys.Status|string status  or the problem
function internal.waitpid(pid) end

---@return integer? pid  0 in the child
---@return string? problem
---@return_overload nil, string
function internal.fork() end

---@param option 1
---@param argument integer
---@return true? done
---@return string? problem
---@return_overload nil, string
function internal.prctl(option, argument) end

---@param how integer
---@param ... integer  signals
---@return true? done
---@return string? problem
---@return_overload nil, string
function internal.sigprocmask(how, ...) end

---@param ... integer  signals
---@return integer? fd
---@return string? problem
---@return_overload nil, string
function internal.signalfd(...) end

return sys
