-- What can be set, by variables of the environment.

local M = {}

-- `tcp://host:port` or `host:port`.
local function address(text)
    local host, port = text:gsub('^tcp://', ''):match('^(.*):(%d+)$')
    port = math.tointeger(port)
    if not port or port > 65535 or host == '' then return nil end
    return (host:gsub('^%[(.*)%]$', '%1'):gsub('^localhost$', '127.0.0.1')), port
end

function M.read()
    local listen = os.getenv('LUNET_LISTEN') or 'tcp://127.0.0.1:8080'
    local host, port = address(listen)
    if not host then return nil, 'Failed to listen: LUNET_LISTEN is no address: ' .. listen end
    local secret = os.getenv('CONDUIT_SECRET') or 'change-me-in-production-use-random-32-bytes'
    if secret == 'change-me-in-production' then
        io.stderr:write('warning: CONDUIT_SECRET is the one that everybody knows\n')
    end
    return {
        host = host, port = port,
        shown = ('tcp://%s:%d'):format(host, port),
        database = os.getenv('CONDUIT_DATABASE') or 'conduit.db',
        connections = math.max(1, math.tointeger(os.getenv('CONDUIT_CONNECTIONS')) or 4),
        -- Seconds that a connection stays open between two requests; 0 closes it after each.
        keepalive = tonumber(os.getenv('CONDUIT_KEEPALIVE')) or 0,
        secret = secret,
    }
end

return M
