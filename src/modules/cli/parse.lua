-- Whether an option of a type takes a value, and how the value is understood.
local converters = {
    string = function(text) return text end,
    array = function(text) return text end,
    number = function(text) return tonumber(text), 'a number' end,
    integer = function(text)
        local value = tonumber(text)
        return value and math.tointeger(value), 'an integer'
    end
}
local switches = { boolean = true, count = true }

local function is_text(value)
    return type(value) == 'string' and value ~= ''
end

-- A copy of an array default, or nil and what is wrong with it.
local function copy_array(option)
    local name, copy, last = option.name, {}, 0
    if type(option.default) ~= 'table' then
        return nil, ("option '%s' default must be an array table"):format(name)
    end
    for key in next, option.default do
        if math.type(key) ~= 'integer' or key < 1 then
            return nil, ("option '%s' default must be an array table"):format(name)
        end
        last = math.max(last, key)
    end
    for i = 1, last do
        local item = option.default[i]
        if item == nil then
            return nil, ("option '%s' default array must not contain holes"):format(name)
        elseif type(item) ~= 'string' then
            return nil, ("option '%s' default array item #%d must be a string"):format(name, i)
        end
        copy[i] = item
    end
    return copy
end

-- Checks the specification: options by name, by long and by short spelling,
-- and the result table with its defaults; or nil and a message.
local function read_spec(spec)
    if type(spec) ~= 'table' then return nil, 'spec must be a table' end
    local options, long, short, result = {}, {}, {}, {}
    for i = 1, #spec do
        local entry = spec[i]
        if type(entry) ~= 'table' then return nil, ('invalid option spec #%d'):format(i) end
        local name, kind = entry.name, entry.type
        if not is_text(name) then
            return nil, ("option spec #%d requires a non-empty 'name'"):format(i)
        end
        if kind == nil then kind = 'boolean' end
        if type(kind) ~= 'string' then
            return nil, ("option '%s' type must be a string or nil"):format(name)
        elseif not (converters[kind] or switches[kind]) then
            return nil, ("option '%s' has unsupported type '%s'"):format(name, kind)
        elseif options[name] then
            return nil, ("option name '%s' specified multiple times"):format(name)
        end
        local option = { name = name, kind = kind, convert = converters[kind], required = entry.required }
        local spelling, letter = entry.long, entry.short
        if spelling == nil then spelling = name end
        if not is_text(spelling) or spelling:find('=', 1, true) then
            return nil, ("option '%s' has invalid long name"):format(name)
        elseif long[spelling] then
            return nil, ("long option '%s' specified multiple times"):format(spelling)
        end
        if letter ~= nil then
            if type(letter) ~= 'string' or #letter ~= 1 then
                return nil, ("option '%s' short name must be one character"):format(name)
            elseif short[letter] then
                return nil, ("short option '-%s' specified multiple times"):format(letter)
            end
            short[letter] = option
        end
        options[i], options[name], long[spelling] = option, option, option
        if entry.default ~= nil then
            result[name] = entry.default
            if kind == 'array' then
                local copy, message = copy_array(entry)
                if not copy then return nil, message end
                result[name] = copy
            end
        elseif kind == 'boolean' then
            result[name] = false
        elseif kind == 'count' then
            result[name] = 0
        end
    end
    return options, long, short, result
end

-- The words to parse, or nil and a message.
local function read_words(argv)
    if argv == nil then argv = arg end
    if argv == nil then argv = {} end
    if type(argv) ~= 'table' then return nil, 'argv must be a table' end
    for i = 1, #argv do
        if type(argv[i]) ~= 'string' then return nil, ('argument #%d must be a string'):format(i) end
    end
    return argv
end

-- Notes one occurrence of an option; returns a message when it is wrong.
local function set(result, option, text)
    local name, kind = option.name, option.kind
    local before = result[name]
    if kind == 'count' then
        result[name] = (math.type(before) and before or 0) + 1
    elseif kind == 'array' then
        result[name] = before or {}
        table.insert(result[name], text)
    elseif option.seen then
        return ("option '%s' specified multiple times"):format(name)
    elseif kind == 'boolean' then
        result[name] = true
    else
        local value, expected = option.convert(text)
        if value == nil then return ("option '%s' expects %s"):format(name, expected) end
        result[name] = value
    end
    option.seen = true
end

local function parse_args(spec, argv)
    local options, long, short, result = read_spec(spec)
    if not options then return nil, long end
    local words, message = read_words(argv)
    if not words then return nil, message end
    -- An option called args keeps its key: the words are in the result itself then.
    local positionals = options.args and result or {}
    local at, last = 1, #words

    -- Gives the option its value: what is attached, else the next word.
    local function take(option, text)
        if option.convert and text == nil then
            text, at = words[at], at + 1
            if text == nil then return ("option '%s' requires a value"):format(option.name) end
        end
        return set(result, option, text)
    end

    local function take_long(word)
        local equals = word:find('=', 3, true)
        local option = long[word:sub(3, equals and equals - 1)]
        if not option then
            return ("unknown option '%s'"):format(word)
        elseif equals and not option.convert then
            return ("option '%s' does not take a value"):format(option.name)
        end
        return take(option, equals and word:sub(equals + 1))
    end

    local function take_bundle(word)
        for i = 2, #word do
            local letter = word:sub(i, i)
            local option = short[letter]
            if not option then return ("unknown option '-%s'"):format(letter) end
            local rest = option.convert and i < #word and word:sub(i + 1) or nil
            local failure = take(option, rest)
            if failure or option.convert then return failure end
        end
    end

    while at <= last do
        local word, failure = words[at], nil
        at = at + 1
        if word == '--' then
            table.move(words, at, last, #positionals + 1, positionals)
            break
        elseif word:sub(1, 2) == '--' then
            failure = take_long(word)
        elseif word:sub(1, 1) == '-' and word ~= '-' then
            failure = take_bundle(word)
        else
            positionals[#positionals + 1] = word
        end
        if failure then return nil, failure end
    end
    for _, option in ipairs(options) do
        if option.required and not option.seen then
            return nil, ("required option '%s' is missing"):format(option.name)
        end
    end
    if positionals ~= result then result.args = positionals end
    return result
end

return { parse_args = parse_args }
