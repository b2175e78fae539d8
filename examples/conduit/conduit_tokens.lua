-- Tokens of sessions: JSON Web Tokens (RFC 7519) with HS256.

local base64 = require 'eco.encoding.base64'
local hmac = require 'eco.hash.hmac'
local json = require 'eco.encoding.json'
local sha256 = require 'eco.hash.sha256'

local LIFETIME = 7 * 24 * 3600

local M = {}
local key ---@type string

-- 32 bytes are made of a secret of any length.
function M.configure(secret)
    key = secret:sub(1, 32)
    key = key .. ('\0'):rep(32 - #key)
end

local function encode(bytes)
    return (base64.encode(bytes):gsub('[+/=]', { ['+'] = '-', ['/'] = '_', ['='] = '' }))
end

local function decode(text)
    if not text:find('^[%w_-]*$') then return nil end
    text = text:gsub('[-_]', { ['-'] = '+', _ = '/' })
    return base64.decode(text .. ('='):rep(-#text % 4))
end

local HEADER = encode('{"alg":"HS256","typ":"JWT"}')

local function sign(text)
    return encode(hmac.sum(sha256, key, text))
end

-- Takes as long wherever they differ.
local function same(a, b)
    if #a ~= #b then return false end
    local difference = 0
    for i = 1, #a do difference = difference | a:byte(i) ~ b:byte(i) end
    return difference == 0
end

function M.make(user_id)
    local now = os.time()
    local text = HEADER .. '.' .. encode(json.encode { user_id = user_id, iat = now, exp = now + LIFETIME })
    return text .. '.' .. sign(text)
end

-- The user's id, or nil for any token that is none of ours or too old.
function M.read(token)
    local head, payload, signature = token:match('^([^.]+)%.([^.]+)%.([^.]+)$')
    if not head or not same(signature, sign(head .. '.' .. payload)) then return nil end
    head, payload = decode(head), decode(payload)
    head, payload = head and json.decode(head), payload and json.decode(payload)
    if type(head) ~= 'table' or head.alg ~= 'HS256' or type(payload) ~= 'table' then return nil end
    if math.type(payload.exp) ~= 'integer' or payload.exp <= os.time() then return nil end
    return math.type(payload.user_id) == 'integer' and payload.user_id or nil
end

return M
