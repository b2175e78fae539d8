-- All network interfaces as tables. The process is what is measured.     usage: links.lua COUNT

local ip = require 'eco.ip'

assert(#assert(ip.link.list()) >= tonumber(arg[1]))
