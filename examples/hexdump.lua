-- A hex dump of a file, or of this script.
--
--     eco examples/hexdump.lua /etc/hostname
--
-- It prints the first 64 bytes.

local bufio = require 'eco.bufio'
local file = require 'eco.file'
local hex = require 'eco.encoding.hex'

local path = arg[1] and file.access(arg[1]) and arg[1] or arg[0]
local f<close> = assert(file.open(path))
local b = assert(bufio.new(f))

io.write(hex.dump(b:read(64) or b:readall() or ''))
