-- An object on OpenWrt's message bus, and everything that can be done with it.
--
--     eco examples/ubus_greeter.lua [SOCKET]
--
-- It needs the daemon `ubusd`, and to be run as root. On a development machine: `cargo build -p ubus`, then `ubusd -s SOCKET`.

local eco = require 'eco'
local ubus = require 'eco.ubus'

local con, problem = ubus.connect(arg[1])
if not con then
    print('no message bus here: ' .. problem)
    return
end

-- One connection offers an object.
local greeter = assert(con:add('greeter', {
    greet = { function(request, message)
        con:reply(request, { text = 'hello, ' .. (message.name or 'you') })
    end, { name = ubus.STRING } },
    wait = { function(request, message)
        eco.sleep(message.seconds)  -- others are served meanwhile
        con:reply(request, { slept = message.seconds })
    end, { seconds = ubus.DOUBLE } },
}))

-- Another one uses it.
local user = assert(ubus.connect(arg[1]))
print(assert(user:call('greeter', 'greet', { name = 'router' })).text)
print(user:call('greeter', 'greet', { name = 5 }))  -- nil  Invalid argument
print(user:call('greeter', 'wait', { seconds = 1 }, 0.1))  -- nil  timeout

for method, arguments in pairs(user:signatures('greeter')) do
    print(method, next(arguments))
end

assert(user:listen('greeter.*', function(name, message) print(name, message.count) end))
local subscription = assert(user:subscribe('greeter', function(method, message) print(method, message.count) end))
for count = 1, 3 do
    con:send('greeter.event', { count = count })
    con:notify(greeter, 'notification', { count = count })
end
eco.sleep(0.1)
user:unsubscribe(subscription)

user:close()
con:close()
