---@meta eco.http.url

---Splitting URLs and percent-encoding.
---@class eco.http.url
local url = {}

---The parts of a URL; nothing is decoded or lower-cased.
---@class eco.http.url.Parts
---@field scheme string
---@field user? string
---@field password? string
---@field host string        without brackets for IPv6
---@field port? integer
---@field raw_path string    path, parameters, query and fragment; starts with '/'
---@field path string
---@field params? string     after ';'
---@field query? string      after '?'
---@field frag? string       after '#'

---Every byte outside `A-Z a-z 0-9 _` becomes `%xx`.
---@param s string|number
---@return string escaped
---@return integer count of replacements
---@nodiscard
function url.escape(s) end

---`%XX` becomes a byte; malformed sequences and `+` stay.
---@param s string|number
---@return string unescaped
---@return integer count of replacements
---@nodiscard
function url.unescape(s) end

---@param text? string
---@return eco.http.url.Parts? parts
---@return 'invalid url'? problem
---@nodiscard
function url.parse(text) end

return url
