-- For rust/messages.rs, which sets `what`, `seconds`, `encode` and `decode`.

-- 10 000 values: rows of an integer, a float, a short and a longer string, a boolean, a list.
local data = {}
for i = 1, 1000 do
    data[i] = { id = i * 7919, load = i / 7, name = 'host' .. i, note = ('some text of row %d, '):format(i):rep(2), up = i % 3 == 0, list = { i, -i, i / 2, 'x' } }
end

-- As source, the usual way.
local function write(value, out)
    if type(value) ~= 'table' then
        out[#out + 1] = ('%q'):format(value)
        return
    end
    out[#out + 1] = '{'
    for k, v in pairs(value) do
        out[#out + 1] = ('[%q]='):format(k)
        write(v, out)
        out[#out + 1] = ','
    end
    out[#out + 1] = '}'
end

local function source()
    local out = { 'return ' }
    write(data, out)
    return load(table.concat(out))()
end

local function codec()
    return decode(encode(data))
end

local call = what == 'codec' and codec or source
local back = call()
assert(#back == 1000 and back[1000].list[4] == 'x' and back[3].up and back[7].load == 1.0)
collectgarbage()

local count, start = 0, os.clock()
repeat
    call()
    count = count + 1
until os.clock() - start >= tonumber(seconds)
print(('%.1f'):format(count / (os.clock() - start)))
