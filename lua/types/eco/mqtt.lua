---@meta eco.mqtt

---An MQTT client, versions 3.1.1 and 5.
---@class eco.mqtt
---@field QOS0 integer
---@field QOS1 integer
---@field QOS2 integer
---@field SUBACK_FAILURE integer
---@field CONNACK_ACCEPTED integer
---@field CONNACK_REFUSED_PROTOCOL_VERSION integer
---@field CONNACK_REFUSED_IDENTIFIER_REJECTED integer
---@field CONNACK_REFUSED_SERVER_UNAVAILABLE integer
---@field CONNACK_REFUSED_BAD_USER_NAME_OR_PASSWORD integer
---@field CONNACK_REFUSED_NOT_AUTHORIZED integer
local mqtt = {}

---@class eco.mqtt.Will
---@field topic string
---@field payload string
---@field qos? integer
---@field retain? boolean
---@field properties? table version 5

---@class eco.mqtt.Options
---@field ipaddr? string an address, or a name with `lua-eco-dns`
---@field port? integer|number
---@field version? 4|5
---@field id? string
---@field keepalive? integer seconds, at least 5
---@field clean_session? boolean
---@field username? string
---@field password? string
---@field will? eco.mqtt.Will
---@field ssl? boolean
---@field ca? string
---@field cert? string
---@field key? string
---@field insecure? boolean
---@field mark? integer
---@field device? string
---@field reconnect? boolean|{ min?: number, max?: number }
---@field max_inflight? integer
---@field max_pending? integer
---@field max_pending_bytes? integer
---@field max_packet_size? integer
---@field connect_timeout? number
---@field ping_timeout? number
---@field properties? table version 5
---@field topic_aliases? integer version 5

---@class eco.mqtt.Message
---@field topic string
---@field payload string
---@field qos integer
---@field dup boolean
---@field retain boolean
---@field properties? table version 5

---@class eco.mqtt.Result
---@field rc integer
---@field topic string

---@class eco.mqtt.Filter
---@field topic string
---@field qos? integer
---@field no_local? boolean version 5
---@field retain_as_published? boolean version 5
---@field retain_handling? 0|1|2 version 5

---Topics, and how they are asked for.
---@class eco.mqtt.Filters
---@field [integer] string|eco.mqtt.Filter
---@field wait? true|number seconds for the broker's answer
---@field properties? table version 5

---@class eco.mqtt.Client
---@field opts eco.mqtt.Options
---@field connected? boolean
---@field sock? table
---@field mid integer
---@field tx_seq integer
local client = {}

---@param options? eco.mqtt.Options
---@return eco.mqtt.Client
---@nodiscard
function mqtt.new(options) end

---@param name string
---@param value any
function client:set(name, value) end

---@param event 'conack'|'publish'|'suback'|'unsuback'|'error'|'disconnect'|'auth'
---@param handler fun(data: any, client: eco.mqtt.Client)
---@overload fun(self, handlers: table<string, fun(data: any, client: eco.mqtt.Client)>)
function client:on(event, handler) end

---Connects and handles packets until the connection ends.
function client:run() end

---@param topic string
---@param payload string
---@param qos? integer
---@param retain? boolean
---@param options? { wait?: true|number, properties?: table }
---@return true?
---@return string? error
---@return_overload nil, string
function client:publish(topic, payload, qos, retain, options) end

---@param topic string
---@param qos? integer
---@param ... string|integer further topics, each with its qos
---@return true?
---@return string? error
---@overload fun(self, list: eco.mqtt.Filters): true|eco.mqtt.Result[]|nil, string?
function client:subscribe(topic, qos, ...) end

---@param topic string
---@param ... string
---@return true?
---@return string? error
---@overload fun(self, list: eco.mqtt.Filters): true|eco.mqtt.Result[]|nil, string?
function client:unsubscribe(topic, ...) end

---@param code? integer version 5
---@param properties? table version 5
---@return integer|true|nil
---@return string? error
function client:disconnect(code, properties) end

---@param code? integer
---@param properties? table
---@return true?
---@return string? error
---@return_overload nil, string
function client:auth(code, properties) end

function client:close() end

return mqtt
