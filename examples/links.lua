-- Links and their addresses, as the kernel tells them.
--
--     eco examples/links.lua
--
-- It prints a line for each link and each address. `eco examples/links.lua watch` then prints changes until Ctrl-C.

local ip = require 'eco.ip'

local function show(event, link)
    if event == 'overrun' then
        print('changes were lost')
        return
    end
    print(('%-4s %d: %s mtu %d %s'):format(event, link.ifindex, link.ifname, link.mtu or 0, link.up and 'up' or 'down'))
end

for _, link in ipairs(assert(ip.link.list())) do
    show('is', link)
    for _, address in ipairs(ip.address.get(link.ifname) or {}) do
        print(('        %s/%d %s'):format(address.address, address.prefix, address.scope))
    end
end

if ... == 'watch' then
    print(ip.link.monitor(show))
end
