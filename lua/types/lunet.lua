---@meta lunet

local lunet = {}

---Runs a function as a coroutine, until it first waits.
---@param f fun()
function lunet.spawn(f) end

---@param ms number  cut to an integer
function lunet.sleep(ms) end

return lunet
