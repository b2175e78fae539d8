-- The page of the example `conduit` in Chromium: somebody signs up, writes, and reads what others wrote. What it looked
-- like is in the folder that TEST_ARTEFACTS names, for people to look at.

local browsing = require 'browsing'
local conduiting = require 'conduiting'

local await = browsing.await
local EVIL = '<img src=x onerror="document.title=1">'

case('the page', function()
    local process, url = conduiting.start(T)
    browsing.browse(T, url .. '/register', function(tab)
        local function there(selector)
            await(function() return tab.value(('document.querySelector(%q) != null'):format(selector)) end)
        end
        local function fill(form, values)
            there('#' .. form)
            for name, value in pairs(values) do
                tab.value(('document.querySelector("#%s [name=%s]").value = %q'):format(form, name, value))
            end
            tab.value(('document.querySelector("#%s button").click()'):format(form))
        end
        local function text(selector)
            return tab.value(('document.querySelector(%q)?.textContent'):format(selector))
        end

        -- What is wrong is told.
        fill('register', { username = 'ann', email = 'ann@example.com', password = 'short' })
        await(function() return text('#problem') == 'password is too short (minimum is 8 characters)' end)
        fill('register', { username = 'ann', email = 'ann@example.com', password = 'a long password' })
        await(function() return text('#me') == 'ann' end)
        await(function() return text('#count') == '0 articles' end)

        -- What people write is text: no element, no script.
        tab.value('document.querySelector("nav a").click()')
        fill('new', { title = EVIL, description = EVIL, body = EVIL, tags = 'lua eco' })
        await(function() return text('h1') == EVIL end)
        T.eq(text('#text'), EVIL)
        fill('comment', { body = EVIL })
        await(function() return text('.comment .text') == EVIL end)
        T.eq(tab.value('document.images.length'), 0)
        T.eq(tab.value('document.title'), 'Conduit')
        tab.value('{ const script = document.createElement("script"); script.textContent = "document.title = 2"; document.body.append(script) }')
        T.eq(tab.value('document.title'), 'Conduit')
        tab.value('document.querySelector("#favorite").click()')
        await(function() return text('#favorite') == '♥ 1' end)
        tab.shoot('conduit.png')

        -- The list, by a tag; and who comes back is known.
        tab.value('document.querySelector("main .tag").click()')
        await(function() return tab.value('location.search') == '?tag=eco' and text('#count') == '1 articles' end)
        tab.call('Page.reload')
        await(function() return text('#me') == 'ann' and text('h2') == EVIL end)
        tab.value('document.querySelector("nav button").click()')
        await(function() return tab.value('document.querySelector("#me") == null') end)
        tab.value('document.querySelector("nav a").click()')
        fill('login', { email = 'ann@example.com', password = 'a long password' })
        await(function() return text('#me') == 'ann' end)
    end)
    conduiting.stop(process)
end)
