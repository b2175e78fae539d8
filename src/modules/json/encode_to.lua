-- Writing to whom may have to wait; adds itself to the module.
local json, pieces = ...

-- See the native part for the places in it.
local function frames_of(value)
    return { [-1] = -1, [0] = 1, value }
end

function json.encode_to(writer, value, size)
    local write = writer
    if type(writer) ~= 'function' then
        write = function(piece)
            return writer:write(piece)
        end
    end
    local frames = frames_of(value)
    repeat
        local piece, more = pieces(frames, size or 4096)
        if not piece then
            return nil, more
        end
        local done, problem = write(piece)
        if not done and problem then
            return nil, problem
        end
    until not more
    return true
end
