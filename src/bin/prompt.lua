-- The interactive prompt: each chunk runs in this coroutine, so it may block.
-- Standard input is read by the scheduler, so other coroutines go on meanwhile.
local input = assert(eco.reader(0))

local function ask(prompt)
    io.write(prompt)
    io.flush()
    return input:read('L')
end

local function complete(text)
    local chunk, err = load('return ' .. text, '=stdin')
    if chunk then return chunk end
    while true do
        chunk, err = load(text, '=stdin')
        if chunk or not err:find("near <eof>", 1, true) then return chunk, err end
        local more = ask('>> ')
        if not more then return nil, err end
        text = text .. more
    end
end

local function report(ok, ...)
    if not ok then
        io.stderr:write(tostring((...)), '\n')
    elseif select('#', ...) > 0 then
        print(...)
    end
end

while true do
    local line = ask('> ')
    if not line then break end
    local chunk, err = complete(line)
    if chunk then
        report(xpcall(chunk, debug.traceback))
    else
        io.stderr:write(err, '\n')
    end
end
print()
eco.unloop()
