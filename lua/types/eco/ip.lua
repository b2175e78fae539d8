---@meta eco.ip

---Links, addresses, neighbours, routes and rules. Failures are `nil, message`; `docs/ip.md` lists the fields.
---@class eco.ip
---@field link eco.ip.Links
---@field address eco.ip.Addresses
---@field neigh eco.ip.Neighbours
---@field route eco.ip.Routes
---@field rule eco.ip.Rules
local ip = {}

---@alias eco.ip.Callback fun(event: 'new'|'del'|'overrun', record: table?): boolean?, any

---@class eco.ip.Links
---@field get fun(dev: string): table?, string?
---@field list fun(): table[]?, string?
---@field set fun(dev: string, attrs: table?): true?, string?
---@field add fun(name: string, attrs: table): true?, string?
---@field del fun(dev: string): true?, string?
---@field monitor fun(cb: eco.ip.Callback, timeout: number?): true?, any

---@class eco.ip.Addresses
---@field get fun(dev: string?): table[]?, string?
---@field add fun(dev: string, addr: table): true?, string?
---@field del fun(dev: string, addr: table): true?, string?
---@field monitor fun(cb: eco.ip.Callback, timeout: number?): true?, any

---@class eco.ip.Neighbours
---@field get fun(dev: string?): table[]?, string?
---@field add fun(dev: string, entry: table): true?, string?
---@field del fun(dev: string, entry: table): true?, string?
---@field monitor fun(cb: eco.ip.Callback, timeout: number?): true?, any

---@class eco.ip.Routes
---@field get fun(filter: table?): table[]?, string?
---@field lookup fun(address: string, options: { from: string?, mark: integer? }?): table?, string?
---@field add fun(route: table): true?, string?
---@field del fun(route: table): true?, string?
---@field monitor fun(cb: eco.ip.Callback, timeout: number?): true?, any

---@class eco.ip.Rules
---@field get fun(family: integer?): table[]?, string?
---@field add fun(rule: table): true?, string?
---@field del fun(rule: table): true?, string?
---@field monitor fun(cb: eco.ip.Callback, timeout: number?): true?, any

return ip
