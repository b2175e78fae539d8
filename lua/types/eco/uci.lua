---@meta eco.uci

---OpenWrt's configuration.
---@class eco.uci
local uci = {}

---@param confdir? string  `/etc/config` unless given
---@param savedir? string  where pending changes are, `/tmp/.uci` unless given
---@return eco.uci.Cursor
---@nodiscard
function uci.cursor(confdir, savedir) end

---The table of a section, with its options by name.
---@class eco.uci.Section
---@field ['.name'] string
---@field ['.type'] string
---@field ['.anonymous'] boolean  whether the name is a generated one
---@field ['.index']? integer  its place among all sections, from 0
---@field [string] string|string[]

---A view of the configuration. Addresses are one word (`'network.lan.dns'`) or an argument for each part.
---@class eco.uci.Cursor
local cursor = {}

---@param package string
---@param section? string
---@param option? string
---@return (string|string[])? value  of an option; of a section its type
---@return string? name  of a section; or a message
function cursor:get(package, section, option) end

---@param package string
---@param section? string
---@param option? string
---@return (eco.uci.Section|table<string, eco.uci.Section>|string|string[])? value
---@return string? problem
function cursor:get_all(package, section, option) end

---@param package string
---@param kind? string  the type of the sections
---@return fun(): eco.uci.Section?
---@nodiscard
function cursor:each(package, kind) end

---@param package string
---@param kind? string  the type of the sections
---@param callback fun(section: eco.uci.Section): any?  may wait; `false` ends the walk
---@return boolean loaded
---@overload fun(self: eco.uci.Cursor, package: string, callback: fun(section: eco.uci.Section): any): boolean
function cursor:foreach(package, kind, callback) end

---@param package string
---@param kind string
---@return string? name  of the new section
---@return string? problem
---@return_overload nil, string
function cursor:add(package, kind) end

---@param package string
---@param section? string
---@param option? string  or the type of the section
---@param value? string|number|(string|number)[]
---@return boolean
---@return string? problem
function cursor:set(package, section, option, value) end

---@param package string
---@param section? string
---@param option? string
---@param name? string
---@return boolean
---@return string? problem
function cursor:rename(package, section, option, name) end

---@param package string
---@param section? string
---@param option? string
---@param item? integer  of a list, from 0
---@return boolean
---@return string? problem
function cursor:delete(package, section, option, item) end

---@param package string
---@param section? string
---@param place? integer|string  among all sections, from 0
---@return boolean
---@return string? problem
function cursor:reorder(package, section, place) end

---@param package string
---@return boolean
---@return string? problem
function cursor:load(package) end

---@param package string
---@return boolean was_loaded
function cursor:unload(package) end

---@param package string
---@return boolean
---@return string? problem
function cursor:save(package) end

---@param package string
---@return boolean
---@return string? problem
function cursor:commit(package) end

---@param package string
---@param section? string
---@param option? string
---@return boolean
---@return string? problem
function cursor:revert(package, section, option) end

---@return string[]|false names
---@return string? problem
---@nodiscard
function cursor:list_configs() end

---@return string
---@nodiscard
function cursor:get_confdir() end

---@return string
---@nodiscard
function cursor:get_savedir() end

---@param folder string
---@return boolean
---@return string? problem
function cursor:set_confdir(folder) end

---@param folder string
---@return boolean
---@return string? problem
function cursor:set_savedir(folder) end

function cursor:close() end

return uci
