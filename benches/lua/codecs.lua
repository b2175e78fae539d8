-- Prints how many MB a second the modules do: digests of 1 MB, its Base64 text, and back.
--
--     lua5.4 benches/lua/codecs.lua sha256|encode|decode SECONDS

local base64 = require 'eco.encoding.base64'
local sha256 = require 'eco.hash.sha256'

local seconds = tonumber(arg[2])
local bytes = {}
for i = 0, 250 do
    bytes[i + 1] = string.char(i * 167 % 251)
end
local data = table.concat(bytes):rep(4000):sub(1, 1000000)

local call, argument = sha256.sum, data
if arg[1] == 'encode' then
    call = base64.encode
elseif arg[1] == 'decode' then
    call, argument = base64.decode, base64.encode(data)
end

local count, start = 0, os.clock()
repeat
    for _ = 1, 10 do
        call(argument)
    end
    count = count + 10
until os.clock() - start >= seconds
print(('%.1f'):format(count / (os.clock() - start)))
