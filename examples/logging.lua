-- Logging to a file, with options of the command line.
--
--     eco examples/logging.lua
--     eco examples/logging.lua --level 7 --path /tmp/example.log hello
--
-- It prints what was logged.

local cli = require 'eco.cli'
local file = require 'eco.file'
local log = require 'eco.log'

local options, err = cli.parse_args {
    { name = 'level', short = 'l', type = 'integer', default = log.INFO },
    { name = 'path', type = 'string', default = os.tmpname() },
}

if not options then
    io.stderr:write(err, '\n')
    return os.exit(1)
end

log.set_ident('example')
log.set_level(options.level)
log.set_path(options.path)

log.info('words:', table.unpack(options.args))
log.debug('seen with --level 7 only')
log.set_flags(log.FLAG_LF | log.FLAG_FILE)
log.err('something failed', 42)

io.write((assert(file.readfile(options.path))))
os.remove(options.path)
