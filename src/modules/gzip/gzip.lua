-- What is made of compressors and decompressors: whole strings, and functions that read.

local M = ...

-- Bytes that are packed, or unpacked, until others have their turn.
local STEP = 65536

function M.compress(data, level)
    assert(type(data) == 'string', 'string expected')
    local compressor, all = M.compressor(level), {}
    for start = 1, #data, STEP do
        all[#all + 1] = compressor:update(data:sub(start, start + STEP - 1))
    end
    all[#all + 1] = compressor:finish()
    return table.concat(all)
end

function M.reader(source, size)
    local decompressor = M.decompressor()
    return function()
        while true do
            local data, err = decompressor:read(size)
            if not data then
                return nil, err
            elseif data ~= '' then
                return data
            end
            local more, problem = source()
            if more then
                decompressor:write(more)
            elseif problem ~= nil then
                return nil, problem
            elseif decompressor:ended() or not decompressor:started() then
                return nil
            else
                return nil, 'input is cut off'
            end
        end
    end
end

function M.decompress(data, limit)
    assert(type(data) == 'string', 'string expected')
    limit = limit or 64 << 20
    local start, total, all = 1, 0, {}
    local next_piece = M.reader(function()
        local piece = start <= #data and data:sub(start, start + STEP - 1) or nil
        start = start + STEP
        return piece
    end, STEP)
    while true do
        local piece, err = next_piece()
        if err then
            return nil, err
        elseif not piece then
            break
        end
        all[#all + 1] = piece
        total = total + #piece
        if total > limit then
            return nil, 'more than the limit'
        end
    end
    if data == '' then
        return nil, 'input is cut off'
    end
    return table.concat(all)
end

return M
