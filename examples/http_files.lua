-- Serves the files of a folder.
--
--     eco examples/http_files.lua [port [folder]]        (8080 and . when not given)
--     curl http://127.0.0.1:8080/README.md
--     curl -r 0-99 http://127.0.0.1:8080/README.md       the first hundred bytes
--
-- Files go out by sendfile(2), with entity tags, dates and byte ranges. A
-- client that takes gzip gets README.md.gz where there is one.

local http = require 'eco.http.server'

local options = {
    reuseaddr = true,
    docroot = arg and arg[2] or '.',
    gzip = true,
}

local _, err = http.listen(nil, tonumber(arg and arg[1]) or 8080, options, function(con, req)
    return con:serve_file(req)
end)

io.stderr:write(err, '\n')
os.exit(1)
