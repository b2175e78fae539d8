-- Prints how many MB of JSON a second a module decodes or encodes: a document of 100 KB, of records as programs pass them.
--
--     lua5.4 benches/lua/json.lua MODULE decode|encode SECONDS

local json = require(arg[1])
local what, seconds = arg[2], tonumber(arg[3])

local records = {}
for i = 1, 390 do
    records[i] = {
        id = i * 7919, name = 'interface-' .. i, up = i % 3 ~= 0, address = ('192.168.%d.%d/24'):format(i % 256, i % 254),
        load = { i / 8, i * 0.37, i / 3 }, counters = { rx = i * 104729, tx = i * 1299709, errors = 0 },
        note = 'a "quoted" word,\na second line and 16 °C', tags = { 'lan', 'wifi', 'guest' },
    }
end
local text = json.encode(records)
assert(#text > 95000 and #text < 105000, #text)

local call, argument = json.decode, text
if what == 'encode' then
    call, argument = json.encode, records
end

local count, start = 0, os.clock()
repeat
    for _ = 1, 20 do
        call(argument)
    end
    count = count + 20
until os.clock() - start >= seconds
print(('%.2f'):format(count * #text / (os.clock() - start) / 1e6))
