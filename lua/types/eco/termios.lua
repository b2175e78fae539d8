---@meta eco.termios

---Attributes of a terminal; nothing reaches it until `termios.tcsetattr`.
---@class eco.termios.Attr
local attr = {}

---@alias eco.termios.Kind 'i'|'o'|'c'|'l'|string  the first letter counts

---@param kind eco.termios.Kind
---@param mask integer
function attr:set_flag(kind, mask) end

---@param kind eco.termios.Kind
---@param mask integer
function attr:clr_flag(kind, mask) end

---@param kind eco.termios.Kind
---@return integer flags
---@nodiscard
function attr:get_flag(kind) end

---@param index integer  a `V…` constant
---@param value integer
function attr:set_cc(index, value) end

---@param index integer
---@return integer value
---@nodiscard
function attr:get_cc(index) end

---@return integer code  a `B…` constant
---@nodiscard
function attr:get_ispeed() end

---@return integer code
---@nodiscard
function attr:get_ospeed() end

---@param code integer  0 leaves the speed as it is
---@return true?
---@return string? problem
---@return_overload nil, string
function attr:set_ispeed(code) end

---@param code integer
---@return true?
---@return string? problem
---@return_overload nil, string
function attr:set_ospeed(code) end

---@param speed integer  code or bauds
---@return true?
---@return string? problem
---@return_overload nil, string
function attr:set_speed(speed) end

---@return eco.termios.Attr
---@nodiscard
function attr:clone() end

---Terminals, as `termios.h` has them.
---@class eco.termios
---@field B0 integer
---@field B1000000 integer
---@field B110 integer
---@field B115200 integer
---@field B1152000 integer
---@field B1200 integer
---@field B134 integer
---@field B150 integer
---@field B1500000 integer
---@field B1800 integer
---@field B19200 integer
---@field B200 integer
---@field B2000000 integer
---@field B230400 integer
---@field B2400 integer
---@field B2500000 integer
---@field B300 integer
---@field B3000000 integer
---@field B3500000 integer
---@field B38400 integer
---@field B4000000 integer
---@field B460800 integer
---@field B4800 integer
---@field B50 integer
---@field B500000 integer
---@field B57600 integer
---@field B576000 integer
---@field B600 integer
---@field B75 integer
---@field B921600 integer
---@field B9600 integer
---@field BRKINT integer
---@field BSDLY integer
---@field CBAUD integer
---@field CBAUDEX integer
---@field CIBAUD integer
---@field CLOCAL integer
---@field CMSPAR integer
---@field CRDLY integer
---@field CREAD integer
---@field CRTSCTS integer
---@field CS5 integer
---@field CS6 integer
---@field CS7 integer
---@field CS8 integer
---@field CSIZE integer
---@field CSTOPB integer
---@field ECHO integer
---@field ECHOCTL integer
---@field ECHOE integer
---@field ECHOK integer
---@field ECHOKE integer
---@field ECHONL integer
---@field ECHOPRT integer
---@field FFDLY integer
---@field FLUSHO integer
---@field HUPCL integer
---@field ICANON integer
---@field ICRNL integer
---@field IEXTEN integer
---@field IGNBRK integer
---@field IGNCR integer
---@field IGNPAR integer
---@field IMAXBEL integer
---@field INLCR integer
---@field INPCK integer
---@field ISIG integer
---@field ISTRIP integer
---@field IUCLC integer
---@field IUTF8 integer
---@field IXANY integer
---@field IXOFF integer
---@field IXON integer
---@field NLDLY integer
---@field NOFLSH integer
---@field OCRNL integer
---@field OFDEL integer
---@field OFILL integer
---@field OLCUC integer
---@field ONLCR integer
---@field ONLRET integer
---@field ONOCR integer
---@field OPOST integer
---@field PARENB integer
---@field PARMRK integer
---@field PARODD integer
---@field PENDIN integer
---@field TABDLY integer
---@field TCIFLUSH integer
---@field TCIOFF integer
---@field TCIOFLUSH integer
---@field TCION integer
---@field TCOFLUSH integer
---@field TCOOFF integer
---@field TCOON integer
---@field TCSADRAIN integer
---@field TCSAFLUSH integer
---@field TCSANOW integer
---@field TOSTOP integer
---@field VDISCARD integer
---@field VEOF integer
---@field VEOL integer
---@field VEOL2 integer
---@field VERASE integer
---@field VINTR integer
---@field VKILL integer
---@field VLNEXT integer
---@field VMIN integer
---@field VQUIT integer
---@field VREPRINT integer
---@field VSTART integer
---@field VSTOP integer
---@field VSUSP integer
---@field VTDLY integer
---@field VTIME integer
---@field VWERASE integer
---@field XCASE integer
local termios = {}

---@param fd integer
---@return eco.termios.Attr?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function termios.tcgetattr(fd) end

---@param fd integer
---@param action integer  `TCSANOW`, `TCSADRAIN` or `TCSAFLUSH`
---@param attributes eco.termios.Attr
---@return true?
---@return string? problem
---@return_overload nil, string
function termios.tcsetattr(fd, action, attributes) end

---@param fd integer
---@param selector integer  `TCIFLUSH`, `TCOFLUSH` or `TCIOFLUSH`
---@return true?
---@return string? problem
---@return_overload nil, string
function termios.tcflush(fd, selector) end

---@param fd integer
---@param action integer  `TCOOFF`, `TCOON`, `TCIOFF` or `TCION`
---@return true?
---@return string? problem
---@return_overload nil, string
function termios.tcflow(fd, action) end

return termios
