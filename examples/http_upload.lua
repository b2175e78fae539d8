-- Takes form uploads of any size without holding them in memory, and answers
-- with what it got.
--
--     eco examples/http_upload.lua [port]        (8080 when not given)
--     curl -F name=eco -F image=@/bin/sh http://127.0.0.1:8080/upload
--
-- answers
--
--     name: 3 bytes
--     image (sh): ... bytes

local http = require 'eco.http.server'

local page = [[
<form action="/upload" method="post" enctype="multipart/form-data">
<input name="name"> <input type="file" name="image"> <button>upload</button>
</form>
]]

-- Gives one line for each part of the form.
local function receive(con, req)
    local lines, name, file, size = {}, '', nil, 0
    while true do
        local event, data = con:read_formdata(req, 30)
        if event == 'header' then
            if data[1] == 'content-disposition' then
                name = data[2]:match('[; ]name="([^"]*)"') or '?'
                file = data[2]:match('filename="([^"]*)"')
                size = 0
            end
        elseif event == 'body' then
            size = size + #data[1]
            if data[2] then
                lines[#lines + 1] = ('%s%s: %d bytes\n'):format(name, file and ' (' .. file .. ')' or '', size)
            end
        elseif event == 'end' then
            return lines
        else
            return nil, data
        end
    end
end

-- Forms are handed out piece by piece: how large they are does not matter here.
local options = { reuseaddr = true, max_body = math.huge }

local _, err = http.listen(nil, tonumber(arg and arg[1]) or 8080, options, function(con, req)
    if req.path ~= '/upload' then
        con:add_header('content-type', 'text/html')
        return con:send(page)
    end
    local lines, problem = receive(con, req)
    if not lines then
        return con:send_error(http.STATUS_BAD_REQUEST, nil, problem .. '\n')
    end
    con:add_header('content-type', 'text/plain')
    con:send(table.concat(lines))
end)

io.stderr:write(err, '\n')
os.exit(1)
