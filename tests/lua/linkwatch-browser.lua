-- The page of the example `linkwatch` in Chromium. What it looked like is in the folder that TEST_ARTEFACTS names, for people
-- to look at.

local browsing = require 'browsing'
local eco = require 'eco'
local sys = require 'eco.sys'
local linkwatching = require 'linkwatching'

local await = browsing.await

-- Stations as `eco.nl80211` gives them; the names are what a stranger may choose.
local STATIONS = [[
local bytes = 0
package.preload['eco.nl80211'] = function()
    return {
        escape_ssid = function(ssid) return ssid end,
        get_interfaces = function() return { { ifname = 'phy0-ap0', ssid = '<img src=x onerror="document.title=1">' } } end,
        get_stations = function()
            bytes = bytes + 50000
            return { { mac = '02:00:00:00:00:07', signal = -58, connected_time = 77, rx_bytes = bytes, tx_bytes = 10 * bytes,
                rx_rate = { rate = 144.4 }, tx_rate = { rate = 286.8 } } }
        end,
    }
end
]]

local quiet = linkwatching.traffic()
linkwatching.daemon('start')

case('the page', function()
    local OPTIONS = "\toption interval '0.5'\n\tlist host 'localhost'\n\tlist ignore 'lo'\n"
    linkwatching.configure(T, OPTIONS)
    local service = linkwatching.start(T, STATIONS)
    linkwatching.ready(T, linkwatching.port)
    browsing.browse(T, ('http://127.0.0.1:%d/'):format(linkwatching.port), function(tab)
        await(function() return tab.value('document.getElementById("live")?.textContent') == 'live' end)
        -- Rates appear, and the drawing grows.
        await(function() return tab.value('document.querySelector("#links svg .out")?.points.numberOfItems > 5') end)
        local rows = tab.value('[...document.querySelectorAll("#links tr")].map(row => row.querySelector(".name").textContent)')
        table.sort(rows)
        T.eq(rows, { 'uplink', 'wan' })
        local sent = tab.value('[...document.querySelectorAll("#links tr")].find(row => row.textContent.includes("wan")).cells[4].firstChild.textContent')
        assert(sent:find('^[%d.]+ kbit/s$'), sent)
        T.eq(tab.value('document.querySelector("#stations .name").textContent'), '02:00:00:00:00:07')
        -- What strangers call things is text: no element, no script.
        assert(tab.value('document.body.textContent.includes(\'<b id="evil">fibre</b>\')'))
        assert(tab.value('document.body.textContent.includes("<img src=x")'))
        T.eq(tab.value('document.querySelectorAll("#evil, #stations img").length'), 0)
        T.eq(tab.value('document.title'), 'Links')
        -- Nor would the browser run what were put there.
        tab.value('{ const script = document.createElement("script"); script.textContent = "document.title = 2"; document.body.append(script) }')
        T.eq(tab.value('document.title'), 'Links')
        tab.shoot('linkwatch.png')

        -- The page stays when the service moves, and loses nothing.
        tab.value('window.before = document.querySelector("#links svg .out").points.numberOfItems; window.cuts = 0;'
            .. 'new MutationObserver(() => { if (live.textContent != "live") window.cuts++ }).observe(document.getElementById("live"), { childList: true })')
        linkwatching.configure(T, OPTIONS .. "\toption port '8099'\n\tlist ignore 'uplink'\n")
        service:signal(sys.SIGHUP)
        linkwatching.ready(T, 8099)
        await(function() return tab.value('document.querySelectorAll("#links tr").length') == 1 end)
        T.eq(tab.value('window.cuts'), 0)
        assert(tab.value('document.querySelector("#links svg .out").points.numberOfItems >= window.before'))

        -- When the service dies the page says so, and it comes back with the service.
        service:kill()
        service:wait(10)
        service:close()
        await(function() return tab.value('document.getElementById("live").textContent') == 'connecting' end)
        linkwatching.configure(T, OPTIONS)
        service = linkwatching.start(T, STATIONS)
        await(function() return tab.value('document.getElementById("live").textContent') == 'live' end)
        tab.shoot('linkwatch-again.png')
    end)
    service:kill()
    service:wait(10)
    service:close()
end)

linkwatching.daemon('stop')
quiet()
eco.sleep(0.05)
