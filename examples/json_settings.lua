-- Settings as JSON: read, changed, written back piece by piece.
--
--     eco examples/json_settings.lua [FILE]
--
-- It prints the settings with one more entry.

local json = require 'eco.encoding.json'
local file = require 'eco.file'

json.encode_escape_forward_slash(false)

local path = arg[1] and file.access(arg[1]) and arg[1]
local text = path and assert(file.readfile(path)) or '{"interfaces":[{"name":"lan","mtu":1500}]}'
local settings = assert(json.decode(text))
settings.interfaces = settings.interfaces or {}
table.insert(settings.interfaces, { name = 'guest', mtu = 1400, vlans = json.empty_array })

assert(json.encode_to(io.stdout, settings))
print()
