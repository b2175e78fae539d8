-- A page in Chromium that talks WebSocket and server-sent events to `eco`. The screenshot is a file that TEST_ARTEFACTS
-- names, for people to look at.

local eco = require 'eco'
local file = require 'eco.file'
local log = require 'eco.log'
local sys = require 'eco.sys'
local websocket = require 'eco.websocket'
local wire = require 'wire'

log.set_path(T.path('log'))
log.err('the log opens its file')

local PAGE = [[
<!doctype html><meta charset="utf-8"><title>eco</title>
<style>body { font: 16px sans-serif; margin: 2em } li.bad { color: red }</style>
<h1>eco and a browser</h1><ol id="list"></ol>
<script>
const told = []
const tell = text => {
    told.push(text)
    const item = document.createElement('li')
    item.textContent = text
    document.getElementById('list').append(item)
}
const talk = () => new Promise(done => {
    const socket = new WebSocket('ws://' + location.host + '/socket', ['soap', 'chat'])
    socket.binaryType = 'arraybuffer'
    const large = 'ü'.repeat(100000), bytes = new Uint8Array(70000).map((_, at) => at * 7)
    const steps = ['hallo', '', large, bytes.buffer]
    let at = 0
    socket.onopen = () => { tell('open ' + socket.protocol + socket.extensions); socket.send(steps[0]) }
    socket.onmessage = ({ data }) => {
        const sent = steps[at]
        const same = typeof sent == 'string' ? data === sent
            : data.byteLength == sent.byteLength && new Uint8Array(data).every((byte, place) => byte == bytes[place])
        tell('message ' + at + ' ' + (same ? 'same' : 'differs'))
        at++
        at < steps.length ? socket.send(steps[at]) : socket.close(4321, 'thanks')
    }
    socket.onerror = () => tell('error')
    socket.onclose = event => { tell('close ' + event.code + ' ' + event.reason + ' ' + event.wasClean); done() }
})
const refused = () => new Promise(done => {
    const socket = new WebSocket('ws://' + location.host + '/large')
    socket.onopen = () => socket.send('x'.repeat(100000))
    socket.onclose = event => { tell('refused ' + event.code); done() }
})
const listen = () => new Promise(done => {
    const source = new EventSource('/events')
    source.onmessage = event => tell('event ' + event.lastEventId + ' ' + JSON.stringify(event.data))
    source.addEventListener('tick', event => {
        tell('tick ' + event.lastEventId + ' ' + event.data)
        if (event.data == 'last') { source.close(); done() }
    })
})
talk().then(refused).then(listen).then(() => fetch('/told', { method: 'POST', body: told.join('\n') }))
</script>
<img src="/done" width="1" height="1" alt="">
]]

case('a page', function()
    local told, sockets, streams = nil, {}, 0
    local function handler(con, req)
        if req.path == '/socket' or req.path == '/large' then
            local ws = assert(websocket.upgrade(con, req, { protocols = 'chat', max_payload_len = req.path == '/socket' and 1 << 20 or nil }))
            local data, kind, code, reason
            repeat
                data, kind, code, reason = ws:recv(30)
                if data then ws['send_' .. kind](ws, data) end
            until not data
            sockets[req.path] = { kind, code, reason }
        elseif req.path == '/events' then
            streams = streams + 1
            local last = req.headers['last-event-id']
            if not last then
                con:send_event { retry = 50 }
                con:send_event { id = 7, data = 'two\nlines' }
                -- The browser comes again where it was cut off.
                return false
            end
            con:send_event { comment = 'again' }
            con:send_event { id = last + 1, event = 'tick', data = 'first' }
            con:send_event { event = 'tick', data = 'last' }
        elseif req.path == '/told' then
            told = con:read_body()
        elseif req.path == '/done' then
            -- The page is not complete before this is: then the screenshot is taken.
            T.await(function() return told end)
            con:send_error(404)
        elseif req.path == '/' then
            con:add_header('content-type', 'text/html')
            con:send(PAGE)
        else
            con:send_error(404)
        end
    end
    wire.serve(handler, function(port)
        local shot = os.getenv('TEST_ARTEFACTS') .. '/websocket.png'
        os.remove(shot)
        local process = assert(sys.exec('chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
            '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
            '--user-data-dir=' .. T.path('profile'), '--window-size=800,600', '--screenshot=' .. shot, ('http://127.0.0.1:%d/'):format(port)))
        local errors
        eco.run(function() errors = process:read_stderr('a', 60) end)
        process:wait(60)
        process:close()
        T.eq(told, table.concat({
            'open chat', 'message 0 same', 'message 1 same', 'message 2 same', 'message 3 same', 'close 4321  true', 'refused 1009',
            'event 7 "two\\nlines"', 'tick 8 first', 'tick 8 last',
        }, '\n'), errors)
        T.eq(sockets, { ['/socket'] = { 'closed', 4321, 'thanks' }, ['/large'] = { 'exceeding max payload len' } })
        T.eq(streams, 2)
        assert(file.readfile(shot):find('^\x89PNG'))
    end)
end)
log.set_path('')
