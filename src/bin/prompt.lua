-- The interactive prompt: each chunk runs in this coroutine, so it may block.
-- The scheduler reads the input, so other coroutines go on meanwhile. The
-- terminal is opened anew: other programs on it never see it non-blocking.
-- `on_stop(f)` has `f` asked whether to go on when the loop was stopped: yes after a SIGINT that interrupted a chunk.
local traceback, on_stop = ...
local file = require 'eco.internal.file'
local input = assert(eco.reader(file.open('/proc/self/fd/0', file.O_RDONLY | file.O_CLOEXEC) or 0))

local interrupted
on_stop(function()
    local again = interrupted
    interrupted = false
    return again
end)

local function ask(prompt)
    io.write(prompt)
    io.flush()
    local line
    repeat
        local piece, complete = input:readuntil('\n')
        if piece then line = (line or '') .. piece end
    until complete or not piece
    return line
end

local function complete(text)
    text = text:gsub('^=', 'return ')
    local chunk, err = load('return ' .. text, '=stdin')
    if chunk then return chunk end
    while true do
        chunk, err = load(text, '=stdin')
        if chunk or not err:find('<eof>$') then return chunk, err end
        local more = ask('>> ')
        if not more then return nil, err end
        text = text .. '\n' .. more
    end
end

local function report(ok, ...)
    if not ok then
        local message = ...
        if message:find('interrupted!\n', 1, true) then interrupted = true end
        io.stderr:write(message, '\n')
    elseif select('#', ...) > 0 then
        print(...)
    end
end

while true do
    local line = ask('> ')
    if not line then break end
    local chunk, err = complete(line)
    if chunk then
        report(xpcall(chunk, traceback))
    else
        io.stderr:write(err, '\n')
    end
end
print()
eco.unloop()
