-- Rules of a firewall in OpenWrt's configuration: listed, and one added.
--
--     eco examples/uci_rules.lua [FOLDER]
--
-- It works on FOLDER, where `/etc/config` would be the router's own; without one, on a folder made for it.

local uci = require 'eco.uci'
local file = require 'eco.file'

local folder, made = arg[1], false
if not folder or not file.access(folder .. '/firewall') then
    folder, made = os.tmpname(), true
    os.remove(folder)
    assert(file.mkdir(folder))
    assert(file.writefile(folder .. '/firewall', [[
config rule
	option name 'Allow-Ping'
	option proto 'icmp'
	option target 'ACCEPT'
]]))
end

local c<close> = uci.cursor(folder, folder .. '/.uci')

local known = false
c:foreach('firewall', 'rule', function(rule)
    print(rule['.index'], rule.name, rule.proto, rule.target)
    known = known or rule.name == 'Allow-SSH'
end)

if not known then
    local rule = assert(c:add('firewall', 'rule'))
    for option, value in pairs { name = 'Allow-SSH', proto = { 'tcp' }, dest_port = 22, target = 'ACCEPT' } do
        assert(c:set('firewall', rule, option, value))
    end
    assert(c:commit('firewall'))
    print('added', c:get('firewall.@rule[-1].name'), 'to', folder .. '/firewall')
end

if made then
    os.remove(folder .. '/firewall')
    os.remove(folder .. '/.uci/firewall')
    file.rmdir(folder .. '/.uci')
    file.rmdir(folder)
end
