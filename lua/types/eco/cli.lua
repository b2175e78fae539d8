---@meta eco.cli

---The options of a script.
---@class eco.cli
local cli = {}

---@class eco.cli.Option
---@field name string
---@field short? string  one character
---@field long? string   the name unless given
---@field type? 'boolean'|'string'|'number'|'integer'|'count'|'array'
---@field default? any
---@field required? boolean

---Parses the words of a command line. Does not raise for bad input.
---@param spec eco.cli.Option[]
---@param argv? string[]  the global `arg` unless given
---@return table<string, any>? options  a key for each option, and `args`: the other words
---@return string? problem
---@return_overload nil, string
function cli.parse_args(spec, argv) end

return cli
