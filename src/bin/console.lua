-- The prompt of a machine with a keyboard: a line editor with history and completion, values shown with what they hold. Each
-- chunk runs in a coroutine of its own, so it may wait and be cancelled; the scheduler reads the keys, so other coroutines go
-- on meanwhile, and an error in one of them is shown. Where standard input is no terminal, lines are read as they come.
--
-- `on_stop(f)` has `f` asked whether to go on when the loop was stopped, by SIGINT above all.

local traceback, on_stop = ...
local file = require 'eco.file'
local raw = require 'eco.internal.file'

local has_termios, termios = pcall(require, 'eco.termios')
local input = assert(eco.reader(raw.open('/proc/self/fd/0', file.O_RDONLY | file.O_CLOEXEC) or 0))
local saved = has_termios and os.getenv('TERM') ~= 'dumb' and termios.tcgetattr(0) or nil

-- ---- the terminal ------------------------------------------------------------------------

local is_raw = false

local function cook()
    if is_raw then termios.tcsetattr(0, termios.TCSADRAIN, saved) end
    is_raw = false
end

local function uncook()
    local attr = saved:clone()
    attr:clr_flag('l', termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    attr:clr_flag('i', termios.IXON | termios.ICRNL)
    attr:set_cc(termios.VMIN, 1)
    attr:set_cc(termios.VTIME, 0)
    is_raw = termios.tcsetattr(0, termios.TCSADRAIN, attr)
end

local exit = os.exit
os.exit = function(...)
    cook()
    return exit(...)
end

local function put(...)
    io.stdout:write(...)
    io.stdout:flush()
end

local function width()
    local pipe = io.popen('stty size 2>/dev/null')
    -- A signal may interrupt it.
    local told = pipe and pipe:read('a') or ''
    local columns = tonumber(told:match('^%d+ (%d+)')) or 0
    if pipe then pipe:close() end
    -- Some terminals do not know.
    return columns > 0 and math.max(columns, 20) or 80
end

-- ---- history -----------------------------------------------------------------------------

local LONGEST = 1000
local history = {}
local history_path = os.getenv('ECO_HISTORY')
    or os.getenv('HOME') and os.getenv('HOME') .. '/.eco_history'

local function load_history()
    local lines = history_path and io.open(history_path)
    if not lines then return end
    for line in lines:lines() do history[#history + 1] = line end
    lines:close()
    if #history > LONGEST then
        table.move(history, #history - LONGEST + 1, #history, 1)
        for n = #history, LONGEST + 1, -1 do history[n] = nil end
        file.writefile(history_path, table.concat(history, '\n') .. '\n')
    end
end

local function remember(line)
    if line == '' or line == history[#history] then return end
    history[#history + 1] = line
    -- Nobody else's business: what is typed may be a password.
    local flags = file.O_WRONLY | file.O_APPEND | file.O_CREAT
    local out = history_path and file.open(history_path, flags, tonumber('600', 8))
    if out then
        out:write(line .. '\n')
        out:close()
    end
end

-- ---- completion --------------------------------------------------------------------------

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]]):gmatch('%a+') do
    KEYWORDS[word] = true
end

-- The tables where `value.name` is looked for.
local function holders(value)
    local found, seen = {}, {}
    while value ~= nil and not seen[value] and #found < 10 do
        seen[value] = true
        if type(value) == 'table' then found[#found + 1] = value end
        local meta = debug.getmetatable(value)
        if type(meta) ~= 'table' then break end
        local index = rawget(meta, '__index')
        -- Objects whose fields are computed have their methods beside that function.
        if type(index) == 'function' then index = type(value) == 'userdata' and meta or nil end
        value = index
    end
    return found
end

local function lookup(value, key)
    for _, holder in ipairs(holders(value)) do
        local held = rawget(holder, key)
        if held ~= nil then return held end
    end
end

-- What the word before the cursor may become: its beginning, and the names it may end in.
local function candidates(before)
    local path, mark, start = before:match('([%a_][%w_.:]*)([.:])([%w_]*)$')
    local value, words = _G, {}
    if path then
        for name in path:gmatch('[%w_]+') do value = lookup(value, name) end
    else
        start = before:match('[%a_][%w_]*$') or ''
        for word in pairs(KEYWORDS) do words[word] = true end
    end
    for _, holder in ipairs(holders(value)) do
        for key, held in next, holder do
            local is_name = type(key) == 'string' and key:find('^[%a_][%w_]*$')
            local hidden = is_name and key:sub(1, 1) == '_' and start:sub(1, 1) ~= '_'
            if is_name and not hidden and (mark ~= ':' or type(held) == 'function') then words[key] = true end
        end
    end
    local found = {}
    for word in pairs(words) do
        if word:sub(1, #start) == start then found[#found + 1] = word end
    end
    table.sort(found)
    return start, found
end

local function common(words)
    local first, last = words[1], words[#words]
    local n = 0
    while n < #first and first:byte(n + 1) == last:byte(n + 1) do n = n + 1 end
    return first:sub(1, n)
end

-- ---- the line editor ---------------------------------------------------------------------

-- The next byte; nothing when the input ends or is cancelled, or within that time.
local bytes = ''
local function byte(timeout)
    if bytes == '' then
        local got, problem = input:read(256, timeout)
        -- What was typed before the terminal changed its mode begins with an end.
        if problem == 'eof' then got, problem = input:read(256, timeout) end
        if not got then return nil, problem end
        bytes = got
    end
    local first = bytes:sub(1, 1)
    bytes = bytes:sub(2)
    return first
end

local ESCAPES = {
    ['[A'] = '\16', ['[B'] = '\14', ['[C'] = '\6', ['[D'] = '\2', ['[H'] = '\1', ['[F'] = '\5', ['OA'] = '\16', ['OB'] = '\14',
    ['OC'] = '\6', ['OD'] = '\2', ['OH'] = '\1', ['OF'] = '\5', ['[1~'] = '\1', ['[4~'] = '\5', ['[7~'] = '\1', ['[8~'] = '\5',
    ['[3~'] = 'delete', ['[1;5C'] = 'forward', ['[1;5D'] = 'backward', ['b'] = 'backward', ['f'] = 'forward',
}

-- A character, a control character, or the name of a key; '' for one that has no meaning here.
local function key()
    local first, problem = byte()
    if not first then return nil, problem end
    if first == '\27' then
        local rest = byte(0.1) or ''
        if rest == '[' or rest == 'O' then
            repeat
                local more = byte(0.1) or '~'
                rest = rest .. more
            until more:find('[%a~]') or #rest > 16
        end
        return ESCAPES[rest] or ''
    end
    local length = utf8.len(first) and 1 or first >= '\xf0' and 4 or first >= '\xe0' and 3 or 2
    while #first < length do
        local more = byte(0.1)
        if not more then return '' end
        first = first .. more
    end
    return utf8.len(first) and first or ''
end

-- What is being edited: characters left and right of the cursor, the last one first in `right`.
local line, columns_now

local function show()
    local columns = columns_now - utf8.len(line.prompt) - 1
    local left, right = table.concat(line.left), {}
    for n = #line.right, 1, -1 do right[#right + 1] = line.right[n] end
    local skipped = math.max(#line.left - columns, 0)
    if skipped > 0 then left = table.concat(line.left, '', skipped + 1) end
    local room = columns - (#line.left - skipped)
    local rest = table.concat(right, '', 1, math.min(#right, room))
    local back = math.min(#right, room)
    put('\r', line.prompt, left, rest, '\27[K', back > 0 and ('\27[%dD'):format(back) or '')
end

-- Shows something above the line that is being edited.
local function above(text)
    if line then
        put('\r\27[K', text)
        show()
    else
        io.stderr:write(text)
    end
end

local function characters(text)
    local list = {}
    for _, code in utf8.codes(text, true) do list[#list + 1] = utf8.char(code) end
    return list
end

local function set(text)
    line.left, line.right = utf8.len(text) and characters(text) or {}, {}
end

local function text_of()
    local right = {}
    for n = #line.right, 1, -1 do right[#right + 1] = line.right[n] end
    return table.concat(line.left) .. table.concat(right)
end

local function left_one()
    line.right[#line.right + 1] = table.remove(line.left)
end

local function right_one()
    line.left[#line.left + 1] = table.remove(line.right)
end

local function leave_word()
    while #line.left > 0 and not line.left[#line.left]:find('[%w_]') do left_one() end
    while #line.left > 0 and line.left[#line.left]:find('[%w_]') do left_one() end
end

local function browse(step)
    local at = line.at + step
    if at < 1 or at > #history + 1 then return end
    if line.at == #history + 1 then line.own = text_of() end
    line.at = at
    set(history[at] or line.own)
end

local function complete_word(again)
    local start, found = candidates(table.concat(line.left))
    if #found == 0 then return end
    local more = common(found):sub(#start + 1)
    for _, character in ipairs(characters(more)) do line.left[#line.left + 1] = character end
    if more == '' and #found > 1 and again then
        put('\n', table.concat(found, '  ', 1, math.min(#found, 200)), '\n')
    end
end

local EDIT = {
    ['\1'] = function() while #line.left > 0 do left_one() end end,
    ['\2'] = function() if #line.left > 0 then left_one() end end,
    ['\5'] = function() while #line.right > 0 do right_one() end end,
    ['\6'] = function() if #line.right > 0 then right_one() end end,
    ['\8'] = function() table.remove(line.left) end,
    ['\11'] = function() line.right = {} end,
    ['\12'] = function() put('\27[H\27[2J') end,
    ['\14'] = function() browse(1) end,
    ['\16'] = function() browse(-1) end,
    ['\21'] = function() line.left = {} end,
    ['\23'] = function()
        local kept = #line.right
        leave_word()
        for n = #line.right, kept + 1, -1 do line.right[n] = nil end
    end,
    delete = function() table.remove(line.right) end,
    backward = leave_word,
    forward = function()
        while #line.right > 0 and not line.right[#line.right]:find('[%w_]') do right_one() end
        while #line.right > 0 and line.right[#line.right]:find('[%w_]') do right_one() end
    end,
}
EDIT['\127'] = EDIT['\8']

-- A line; nil at the end of the input, false when it was cancelled.
local function edit(prompt)
    line = { prompt = prompt, left = {}, right = {}, at = #history + 1, own = '' }
    columns_now = width()
    uncook()
    local result
    local before
    show()
    while result == nil do
        local pressed, problem = key()
        if not pressed then
            result = problem == 'canceled' and 'cancel' or 'end'
        elseif pressed == '\r' or pressed == '\n' then
            result = 'line'
        elseif pressed == '\3' then
            result = 'cancel'
        elseif pressed == '\4' then
            if #line.left + #line.right == 0 then
                result = 'end'
            else
                EDIT.delete()
            end
        elseif pressed == '\9' then
            complete_word(before == '\9')
        elseif EDIT[pressed] then
            EDIT[pressed]()
        elseif pressed ~= '' and pressed:byte() >= 32 then
            line.left[#line.left + 1] = pressed
        end
        before = pressed
        if result == nil and bytes == '' then show() end
    end
    show()
    local text = text_of()
    line = nil
    cook()
    put(result == 'cancel' and '^C\n' or '\n')
    if result == 'line' then
        remember(text)
        return text
    end
    if result == 'cancel' then return false end
end

-- The same where there is no terminal.
local function ask(prompt)
    put(prompt)
    local text
    repeat
        local piece, complete = input:readuntil('\n')
        if piece then text = (text or '') .. piece end
    until complete or not piece
    return text
end

local read = saved and edit or ask

-- ---- values ------------------------------------------------------------------------------

local DEEPEST, MOST = 4, 60

local function show_key(name)
    if type(name) == 'string' and name:find('^[%a_][%w_]*$') and not KEYWORDS[name] then return name end
    return '[' .. (type(name) == 'string' and ('%q'):format(name) or tostring(name)) .. ']'
end

local function by_kind(a, b)
    if type(a) ~= type(b) then return type(a) < type(b) end
    if type(a) == 'number' or type(a) == 'string' then return a < b end
    return tostring(a) < tostring(b)
end

-- A value with what it holds, as far as that is not too much.
local function render(value, depth, seen)
    if type(value) == 'string' then
        return depth == 0 and value or (('%q'):format(value):gsub('\\\n', '\\n'))
    end
    local meta = debug.getmetatable(value)
    if type(value) ~= 'table' or type(meta) == 'table' and meta.__tostring then return tostring(value) end
    if seen[value] or depth >= DEEPEST then return seen[value] and '<above>' or '{…}' end
    seen[value] = true
    local parts, count = {}, 0
    for n, item in ipairs(value) do
        if n > MOST then break end
        parts[n], count = render(item, depth + 1, seen), n
    end
    local names = {}
    for name in next, value do
        if not (math.type(name) == 'integer' and name >= 1 and name <= count) then names[#names + 1] = name end
    end
    table.sort(names, by_kind)
    for n, name in ipairs(names) do
        if #parts >= MOST then
            parts[#parts + 1] = ('… %d more'):format(#names - n + 1)
            break
        end
        parts[#parts + 1] = show_key(name) .. ' = ' .. render(rawget(value, name), depth + 1, seen)
    end
    seen[value] = nil
    local flat = table.concat(parts, ', ')
    if #flat + depth * 2 < 76 and not flat:find('\n', 1, true) then
        return #parts == 0 and '{}' or '{ ' .. flat .. ' }'
    end
    local indent = ('  '):rep(depth + 1)
    return '{\n' .. indent .. table.concat(parts, ',\n' .. indent) .. '\n' .. ('  '):rep(depth) .. '}'
end

-- ---- chunks ------------------------------------------------------------------------------

-- The chunk that runs, and whether SIGINT has ended one.
local running, interrupted
local prompt = coroutine.running()

on_stop(function()
    if interrupted then
        interrupted = nil
        return true
    end
    if running then
        -- It waits, or the loop would not be asked; its to-be-closed variables run.
        local ended, problem = coroutine.close(running)
        if not ended then io.stderr:write(tostring(problem), '\n') end
        running = nil
        io.stderr:write('interrupted\n')
        eco.resume(prompt)
        return true
    end
    if line then input:cancel() end
    return line ~= nil
end)

-- An error in another coroutine: the loop goes on.
eco.set_panic_hook(function(message)
    above(message .. '\n')
    return true
end)

local function call(chunk)
    local results
    running = eco.run(function()
        local got = table.pack(xpcall(chunk, traceback))
        results, running = got, nil
        -- The loop is going to stop for the same signal.
        interrupted = not got[1] and got[2]:find('interrupted!\n', 1, true) ~= nil or nil
        if coroutine.status(prompt) == 'suspended' then eco.resume(prompt) end
    end)
    if results then
        running = nil
    else
        coroutine.yield()
    end
    if not results then return end
    if not results[1] then
        io.stderr:write(results[2], '\n')
    elseif results.n > 1 then
        local shown = {}
        for n = 2, results.n do shown[n - 1] = render(results[n], 0, {}) end
        print(table.concat(shown, '\t'))
    end
end

-- The chunk of a line, and of those that complete it; false when it was cancelled.
local function compile(text)
    text = text:gsub('^=', 'return ')
    local chunk, problem = load('return ' .. text, '=stdin')
    if chunk then return chunk end
    while true do
        chunk, problem = load(text, '=stdin')
        if chunk or not problem:find('<eof>$') then return chunk, problem end
        local more = read('>> ')
        if not more then return more, problem end
        text = text .. '\n' .. more
    end
end

load_history()
while true do
    local text = read('> ')
    if text == nil then break end
    if text then
        local chunk, problem = compile(text)
        if chunk then
            call(chunk)
        elseif chunk == nil then
            io.stderr:write(problem, '\n')
        end
    end
end
if not saved then print() end
on_stop(nil)
eco.unloop()
