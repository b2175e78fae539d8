-- Random digits that nobody guesses.

local hex = require 'eco.encoding.hex'

local M = {}

-- So many bytes in hexadecimal digits.
function M.hex(count)
    local file = assert(io.open('/dev/urandom', 'rb'))
    local bytes = file:read(count)
    file:close()
    return (hex.encode(bytes))
end

return M
