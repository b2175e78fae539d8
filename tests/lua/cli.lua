-- Module `eco.cli`.

local cli = require 'eco.cli'

local function parse(spec, ...)
    return cli.parse_args(spec, { ... })
end

local options = {
    { name = 'verbose', short = 'v', type = 'count' },
    { name = 'quiet', short = 'q' },
    { name = 'output', short = 'o', type = 'string', default = 'out' },
    { name = 'level', short = 'l', type = 'number' },
    { name = 'port', short = 'p', long = 'listen-port', type = 'integer' },
    { name = 'include', short = 'I', type = 'array', default = { 'base' } },
}

case('defaults', function()
    T.eq(parse(options), { verbose = 0, quiet = false, output = 'out', include = { 'base' }, args = {} })
    T.eq(parse {}, { args = {} })
end)

case('syntax', function()
    T.eq(parse(options, '-vvq', '-ofile', '-l', '1.5', '--listen-port=0x10', '-Ia', '--include', 'b', 'x', '-', '--', '-v'),
        { verbose = 2, quiet = true, output = 'file', level = 1.5, port = 16, include = { 'base', 'a', 'b' }, args = { 'x', '-', '-v' } })
    T.eq(parse(options, '-o=v').output, '=v')
    T.eq(parse(options, '-vo', '-x').output, '-x')
    T.eq(parse(options, '--output=').output, '')
    T.eq(parse(options, '-p', '8080.0').port, 8080)
    T.eq(math.type(parse(options, '-p', '8080.0').port), 'integer')
    T.eq(parse(options, 'word', '-q').args, { 'word' })
    T.eq(#options[6].default, 1)
end)

local function message(text, spec, ...)
    T.eq({ cli.parse_args(spec, { ... }) }, { nil, text })
end

case('messages about the command line', function()
    message("unknown option '--what=1'", options, '--what=1')
    message("unknown option '-x'", options, '-vx')
    message("option 'output' requires a value", options, '-o')
    message("option 'output' requires a value", options, '--output')
    message("option 'quiet' does not take a value", options, '--quiet=1')
    message("option 'port' expects an integer", options, '-p', '1.5')
    message("option 'port' expects an integer", options, '-p', 'x')
    message("option 'level' expects a number", options, '-l', 'x')
    message("option 'output' specified multiple times", options, '-oa', '-ob')
    message("option 'quiet' specified multiple times", options, '-qq')
    message("required option 'name' is missing", { { name = 'name', type = 'string', required = true, default = 'x' } })
    T.eq({ cli.parse_args({}, 1) }, { nil, 'argv must be a table' })
    T.eq({ cli.parse_args({}, { 'a', 2 }) }, { nil, 'argument #2 must be a string' })
end)

case('messages about the specification', function()
    T.eq({ cli.parse_args(1) }, { nil, 'spec must be a table' })
    message('invalid option spec #1', { 1 })
    message("option spec #1 requires a non-empty 'name'", { {} })
    message("option spec #2 requires a non-empty 'name'", { { name = 'a' }, { name = '' } })
    message("option 'a' type must be a string or nil", { { name = 'a', type = 1 } })
    message("option 'a' has unsupported type 'what'", { { name = 'a', type = 'what' } })
    message("option name 'a' specified multiple times", { { name = 'a' }, { name = 'a' } })
    message("long option 'x' specified multiple times", { { name = 'a', long = 'x' }, { name = 'b', long = 'x' } })
    message("short option '-s' specified multiple times", { { name = 'a', short = 's' }, { name = 'b', short = 's' } })
    message("option 'a' has invalid long name", { { name = 'a', long = 1 } })
    message("option 'a' short name must be one character", { { name = 'a', short = 'ab' } })
    message("option 'a' default must be an array table", { { name = 'a', type = 'array', default = 'x' } })
    message("option 'a' default array item #1 must be a string", { { name = 'a', type = 'array', default = { 1 } } })
    message("option 'a' default array must not contain holes", { { name = 'a', type = 'array', default = { 'x', nil, 'y' } } })
end)

case('the arguments of the script are the default', function()
    local saved = arg
    arg = { [0] = 'script', [-1] = 'eco', '-q', 'word' }
    T.eq(cli.parse_args { { name = 'quiet', short = 'q' } }, { quiet = true, args = { 'word' } })
    arg = nil
    T.eq(cli.parse_args {}, { args = {} })
    arg = saved
end)
