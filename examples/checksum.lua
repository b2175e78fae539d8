-- Digests of a file, or of this script, and a signature of them.
--
--     eco examples/checksum.lua /etc/hostname
--
-- It prints what md5sum, sha1sum and sha256sum print, and a keyed digest as Base64.

local base64 = require 'eco.encoding.base64'
local file = require 'eco.file'
local hex = require 'eco.encoding.hex'
local hmac = require 'eco.hash.hmac'
local sha256 = require 'eco.hash.sha256'

local path = arg[1] and file.access(arg[1]) and arg[1] or arg[0]
local f<close> = assert(file.open(path))

local contexts = {}
for _, name in ipairs { 'md5', 'sha1', 'sha256' } do
    contexts[#contexts + 1] = { name = name, ctx = require('eco.hash.' .. name).new() }
end

while true do
    local data = f:read(4096)
    if not data or data == '' then break end
    for _, digest in ipairs(contexts) do
        digest.ctx:update(data)
    end
end

local last = ''
for _, digest in ipairs(contexts) do
    last = hex.encode(digest.ctx:final())
    print(last .. '  ' .. path)
end
print(base64.encode(hmac.sum(sha256, 'a key', last)))
