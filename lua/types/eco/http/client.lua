---@meta eco.http.client

---HTTP/1.1 client.
---@class eco.http.client
---@field max_idle integer  connections that all clients keep together while nobody uses them; 64
local client = {}

---Of a request, or as the defaults of a client.
---@class eco.http.client.Options
---@field headers? table<string, string|number>
---@field timeout? number            seconds for a head, a piece of a body, a piece of ours to be taken; 30
---@field max_time? number           seconds for all of it
---@field connect_timeout? number    5
---@field tls_timeout? number        15
---@field body_to_file? string|fun(piece: string)
---@field stream? boolean            the response comes before its body
---@field max_body? integer          16 MiB in memory
---@field max_head? integer          65536
---@field max_headers? integer       256
---@field redirects? integer         how many to follow; 0
---@field reuse? boolean|number      keep connections, for how many seconds
---@field max_idle? integer          connections kept while idle; 8
---@field user? string
---@field password? string
---@field expect_continue? boolean|number
---@field gzip? boolean              unpack compressed answers
---@field proxy? string              'http://host:port'
---@field unix? string               path of a socket
---@field ipv6? boolean
---@field nameservers? table
---@field mark? integer
---@field device? string
---@field ca? string
---@field cert? string
---@field key? string
---@field insecure? boolean
---@field ctx? any
---@field server_name? string

---@class eco.http.client.Response
---@field code integer
---@field status string
---@field headers table<string, string>  by names in lower case
---@field body? string
---@field url? string                     when redirects were followed
local response = {}

---With the option `stream`: the next bytes of the body; nil at its end.
---@param size? integer      at most; 4096
---@param timeout? number
---@return string? piece
---@return string? problem
function response:read(size, timeout) end

---With the option `stream`: ends it early.
function response:close() end

---@class eco.http.client.FileBody
---@field name string
---@field size integer

---@class eco.http.client.Form
---@field boundary string
---@field length integer
---@field contents table
---@field tail string
local form = {}

---@param name string
---@param value string
---@return true
function form:add(name, value) end

---@param name string
---@param path string
---@return true?
---@return string? problem
---@return_overload nil, string
function form:add_file(name, path) end

---@alias eco.http.client.Body string|eco.http.client.FileBody|eco.http.client.Form|fun(): string?, string?

---@class eco.http.client.Client
local object = {}

---@param method string
---@param url string
---@param body? eco.http.client.Body
---@param opts? eco.http.client.Options
---@return eco.http.client.Response?
---@return string? problem
---@return_overload nil, string
function object:request(method, url, body, opts) end

---@param url string
---@param opts? eco.http.client.Options
---@return eco.http.client.Response?
---@return string? problem
---@return_overload nil, string
function object:get(url, opts) end

---@param url string
---@param body? eco.http.client.Body
---@param opts? eco.http.client.Options
---@return eco.http.client.Response?
---@return string? problem
---@return_overload nil, string
function object:post(url, body, opts) end

---The stream of the last request.
---@return table? stream
---@return string? problem
---@return_overload nil, string
function object:sock() end

function object:close() end

---@param opts? eco.http.client.Options
---@return eco.http.client.Client
---@nodiscard
function client.new(opts) end

---@param method string
---@param url string
---@param body? eco.http.client.Body
---@param opts? eco.http.client.Options
---@return eco.http.client.Response?
---@return string? problem
---@return_overload nil, string
function client.request(method, url, body, opts) end

---@param url string
---@param opts? eco.http.client.Options
---@return eco.http.client.Response?
---@return string? problem
---@return_overload nil, string
function client.get(url, opts) end

---@param url string
---@param body? eco.http.client.Body
---@param opts? eco.http.client.Options
---@return eco.http.client.Response?
---@return string? problem
---@return_overload nil, string
function client.post(url, body, opts) end

---@param path string
---@return eco.http.client.FileBody?
---@return string? problem
---@return_overload nil, string
---@nodiscard
function client.body_with_file(path) end

---@return eco.http.client.Form
---@nodiscard
function client.form() end

return client
