-- Writes a recorded run into the README.      usage: figures.lua RECORD README.md
-- RECORD is a folder with summary.tsv and, if `cargo xtask size` was kept there, sizes.txt.

local record, path = arg[1], arg[2]

local function human(value)
    if value >= 1e6 then return ('%.1f M'):format(value / 1e6) end
    if value >= 1e4 then return ('%.0f k'):format(value / 1e3) end
    return ('%.4g'):format(value)
end

local out = { '| figure | measured | of a yardstick in C, or limit | asked for |', '| --- | --- | --- | --- |' }
for line in assert(io.open(record .. '/summary.tsv')):lines() do
    local name, unit, ours, bare, ratio, sense, target = line:match('^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)')
    local asked = (sense == 'min' and 'at least ' or 'at most ') .. target
    if sense == 'max' and tonumber(target) == 1 then
        ratio, asked = '', ('at most %s %s'):format(human(tonumber(bare)), unit)
    end
    out[#out + 1] = ('| %s | %s %s | %s | %s |'):format(name:gsub("^[^ ]+%(%)", '`%0`'), human(tonumber(ours)), unit, ratio, asked)
end

local sizes = io.open(record .. '/sizes.txt')
if sizes then
    for line in sizes:lines() do
        local name, gzip, gzip_budget, xz, xz_budget = line:match('^(%S.-)%s%s+([%d.]+)%s+([%d.]+)%s+([%d.]+)%s+([%d.]+)%s')
        local all, budget = line:match('^squashfs of all%s+([%d.]+)%s+([%d.]+)$')
        if name then
            out[#out + 1] = ('| %s on mipsel, by gzip and by xz | %s KB, %s KB | | at most %s KB, %s KB |'):format(name, gzip, xz, gzip_budget, xz_budget)
        elseif all then
            out[#out + 1] = ('| a squashfs of all packages, mipsel | %s KB | | at most %s KB |'):format(all, budget)
        end
    end
end
out[#out + 1] = ''
out[#out + 1] = ('From the run in `%s`; medians.'):format(record)

local text = assert(io.open(path)):read('a')
local first, last = text:find('<!%-%- figures:[^\n]*\n.-<!%-%- /figures %-%->')
assert(first, path .. ' has no place for figures')
local opening = text:sub(first, last):match('^[^\n]*\n')
local file = assert(io.open(path, 'w'))
file:write(text:sub(1, first - 1), opening, table.concat(out, '\n'), '\n<!-- /figures -->', text:sub(last + 1))
file:close()
