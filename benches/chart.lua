-- Draws a recorded run.      usage: chart.lua SUMMARY.tsv > docs/benchmarks.svg
-- One bar a figure: how far it goes beyond, or stays below, what is asked for. The line at 1 is the target.

local rows = {}
for line in assert(io.open(arg[1])):lines() do
    local row = {}
    for field in (line .. '\t'):gmatch('([^\t]*)\t') do row[#row + 1] = field end
    rows[#rows + 1] = {
        name = row[1], unit = row[2], ours = tonumber(row[3]), bare = tonumber(row[4]), ratio = tonumber(row[5]),
        sense = row[6], target = tonumber(row[7]),
    }
end

local label, bars, step = 330, 330, 34
local width, top = label + bars + 250, 70
local scale = bars / 1.6

local function escape(text)
    return (text:gsub('[&<>]', { ['&'] = '&amp;', ['<'] = '&lt;', ['>'] = '&gt;' }))
end

local function human(value)
    if value >= 1e6 then return ('%.1f M'):format(value / 1e6) end
    if value >= 1e4 then return ('%.0f k'):format(value / 1e3) end
    return ('%.4g'):format(value)
end

local out = {}
local function draw(...)
    out[#out + 1] = string.format(...)
end

local function panel(title, sense, y)
    draw('<text x="10" y="%d" class="title">%s</text>', y, escape(title))
    local first = y + 12
    y = y + 20
    for _, row in ipairs(rows) do
        if row.sense == sense then
            local share = row.ratio / row.target
            local good = sense == 'min' and share >= 1 or sense == 'max' and share <= 1
            draw('<text x="%d" y="%d" class="label">%s</text>', label - 8, y + 15, escape(row.name))
            draw('<rect x="%d" y="%d" width="%.1f" height="20" rx="2" class="%s"/>', label, y, math.min(share * scale, bars), good and 'met' or 'missed')
            local text
            if row.target == 1 then
                text = ('%s %s, at most %s'):format(human(row.ours), row.unit, human(row.bare))
            else
                text = ('%.2f, %s %.2f (%s %s)'):format(row.ratio, sense == 'min' and 'at least' or 'at most', row.target, human(row.ours), row.unit)
            end
            draw('<text x="%.1f" y="%d" class="value">%s</text>', label + math.min(share * scale, bars) + 6, y + 15, escape(text))
            y = y + step
        end
    end
    draw('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="target"/>', label + scale, first, label + scale, y - 6)
    return y + 24
end

local y = panel('Speed against a bare loop in C: longer is better, the line is the target', 'min', top)
y = panel('Cost: shorter is better, the line is the limit', 'max', y)

print(('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">'):format(width, y))
print([[<style>
rect.met { fill: #4a7fb5 } rect.missed { fill: #c0583f } line.target { stroke: #333; stroke-width: 1.5; stroke-dasharray: 5 3 }
.head { font-size: 18px; font-weight: bold } .title { font-weight: bold } .label { text-anchor: end } .value { fill: #555; font-size: 12px }
</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="30" class="head">lua-eco, measured</text>]])
print(table.concat(out, '\n'))
print('</svg>')
