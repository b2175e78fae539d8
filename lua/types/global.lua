---@meta _

---What the interpreter sets; under `lua5.4` it is `local eco = require 'eco'`.
---@type eco
eco = nil
