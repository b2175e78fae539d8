-- For c/starve.c: modules being loaded for the first time.

local names = {
    'eco', 'eco.time', 'eco.sync', 'eco.channel', 'eco.sys', 'eco.file', 'eco.encoding.hex', 'eco.bufio', 'eco.log',
    'eco.cli', 'eco.socket', 'eco.encoding.base64', 'eco.encoding.json', 'eco.hash.md5', 'eco.hash.sha1',
    'eco.hash.sha256', 'eco.hash.hmac',
    'eco.uci', 'eco.mqtt',
    'eco.nl', 'eco.genl', 'eco.rtnl', 'eco.ip',
    'eco.hash.sha256', 'eco.hash.hmac', 'eco.uci', 'eco.ubus',
    'eco.nl', 'eco.genl', 'eco.rtnl', 'eco.ip', 'eco.nl80211',
    'eco.termios', 'eco.serial',
    'bit', 'asio',
}

local function load_all()
    for _, name in ipairs(names) do
        package.loaded[name] = nil
    end
    for _, name in ipairs(names) do
        assert(require(name))
    end
end

return function() end, load_all
