-- An object that answers calls with what they carry: `ubus_own.lua SOCKET`.

local ubus = require 'eco.ubus'

local con = assert(ubus.connect(arg[1]))
assert(con:add('lua', {
    echo = { function(request, message) con:reply(request, message) end, { text = ubus.STRING } },
}))
io.stdout:write('ready\n')
io.stdout:flush()
