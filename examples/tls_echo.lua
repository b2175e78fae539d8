-- TLS on loopback: a server with a certificate made for this run, and a client that trusts it and no other.
--
--     eco examples/tls_echo.lua
--
-- The certificate and its authority belong to the example: everybody knows the key.

local eco = require 'eco'
local ssl = require 'eco.ssl'

local certificate = [[
-----BEGIN CERTIFICATE-----
MIIBoDCCAUegAwIBAgIJAJXNX8CB/vLBMAoGCCqGSM49BAMCMBkxFzAVBgNVBAMM
DlRlc3QgQXV0aG9yaXR5MCAXDTI2MTEyNzIxMzczMloYDzIxMjYxMTAzMjEzNzMy
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQUlmKG7HJ3GAST+M4qInIJ9QUBxVEPCPVgXj6ZUYKE7/Ad85E/daS+wsl4QgkZ
ZlUBqQVXTzUl41VwWYm1ha6po3sweTAJBgNVHRMEAjAAMCwGA1UdEQQlMCOCCWxv
Y2FsaG9zdIcEfwAAAYcQAAAAAAAAAAAAAAAAAAAAATAdBgNVHQ4EFgQUwy6/gu+O
s6V5aJeaBOYRu3V6N5wwHwYDVR0jBBgwFoAUEyWXzZVB1h3mxryTi96us1D0KG8w
CgYIKoZIzj0EAwIDRwAwRAIgO6zOBe4IPEpdBW7gUjKFGEjn+JhPj8tmI8LBObXj
zs8CIDFqx9HjkPAqhzJbYe6j7+5BAAsN6EUGK9xQ//eYTnkF
-----END CERTIFICATE-----
]]

local authority = [[
-----BEGIN CERTIFICATE-----
MIIBmTCCAT+gAwIBAgIUZEkQIhpy7T5VA5JWGoZ6+pIxtlowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBBdXRob3JpdHkwIBcNMjYxMTI3MjEzNzMxWhgPMjEy
NjExMDMyMTM3MzFaMBkxFzAVBgNVBAMMDlRlc3QgQXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEgOu4jJKifKPZXdMy/beNvoYRB9gmrOT/6q3KpDD4
R3VuchEWeaEVA5LGWC+i14Gh1J9DL03BH0liXYPM2qdcoKNjMGEwHQYDVR0OBBYE
FBMll82VQdYd5sa8k4verrNQ9ChvMB8GA1UdIwQYMBaAFBMll82VQdYd5sa8k4ve
rrNQ9ChvMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49
BAMCA0gAMEUCIQCLCInadT/+aNU/rKMZ8z0xZcZAtW7P730MgGzgx6+lWQIgGRbP
csFzGI8D9JgFLQ5k1NV4MEIfiN/AO+9wxw7TioI=
-----END CERTIFICATE-----
]]

local key = [[
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJ5BE9T6tm6RSlXqw
gNLllFWtZsis3yX1hX5g971e7FShRANCAAQUlmKG7HJ3GAST+M4qInIJ9QUBxVEP
CPVgXj6ZUYKE7/Ad85E/daS+wsl4QgkZZlUBqQVXTzUl41VwWYm1ha6p
-----END PRIVATE KEY-----
]]

local server = assert(ssl.listen('127.0.0.1', 0, { cert = certificate, key = key, alpn = { 'echo' } }))
local port = server.sock:getsockname().port

eco.run(function()
    while true do
        local c, err = server:accept()
        if c then
            eco.run(function()
                local line = c:read('L', 30)
                while line do
                    c:send(line)
                    line = c:read('L', 30)
                end
                c:close()
            end)
        elseif server.closed then
            break
        else
            print('refused: ' .. err)
        end
    end
end)

-- The name is what the certificate has to be for.
local options = { ca = authority, server_name = 'localhost', alpn = { 'echo' } }
local c = assert(ssl.connect('127.0.0.1', port, options))
print(c:version(), c:cipher(), c:alpn())
c:send('hello\n')
print(c:read('l', 5))

-- A later connection resumes this one.
options.session = c:session()
c:close()
local again<close> = assert(ssl.connect('127.0.0.1', port, options))
again:send('hello again\n')
print(again:read('l', 5))

-- Whom the authority does not vouch for is refused.
print(ssl.connect('127.0.0.1', port, { ca = authority, server_name = 'example.org' }))
server:close()
