-- The loader of lua-eco-full: a file of any of our modules stands for the one that holds all.

local folder = os.getenv('FULL')
package.preload['eco.cli'] = nil
package.path = folder .. '/?.lua'
package.cpath = folder .. '/?.so;' .. package.cpath

case('a name leads to its module', function()
    local cli, file = require 'eco.cli'
    T.eq(file, folder .. '/eco/cli.lua')
    T.eq(cli.parse_args({ { name = 'port', type = 'integer' } }, { '--port', '80' }).port, 80)
    T.eq(require 'eco.cli', cli)
end)

case('what is not in it is an error that names it', function()
    T.raises('luaopen_eco_encoding_other', require, 'eco.encoding.other')
end)

case('a missing file is an error that tells where it was looked for', function()
    package.cpath = folder .. '/absent/?.so'
    T.raises(folder .. '/absent/eco/full.so', require, 'eco.encoding.other')
end)
