-- The program `lunet`: its options, the script, and the status it ends with.

local I = ...

local eco = require 'eco'

local SKIP = '--dangerously-skip-loopback-restriction'

local function fail(...)
    io.stderr:write(...)
    os.exit(1, true)
end

-- Runs the script that the arguments name; does not return.
return function(arguments)
    local first = 1
    while arguments[first] and arguments[first]:sub(1, 1) == '-' do
        local option = arguments[first]
        if option == SKIP then
            io.stderr:write('WARNING: Loopback restriction disabled. Binding to public interfaces allowed.\n')
            I.public = true
        elseif option == '--verbose-trace' then
            io.stderr:write('Note: verbose tracing is a compile-time option (LUNET_TRACE_VERBOSE); flag ignored.\n')
        else
            fail('Unknown option: ', option, '\n')
        end
        first = first + 1
    end
    if #arguments == 0 then
        fail('Usage: lunet [OPTIONS] <lua_file> [args...]\n\nOptions:\n  ', SKIP,
            '\n        Allow binding to any address, not only loopback\n  --verbose-trace\n        Ignored\n')
    elseif not arguments[first] then
        fail('Error: No script file specified.\n')
    end
    local script = arguments[first]
    local given = { [0] = script }
    for i = first + 1, #arguments do given[i - first] = arguments[i] end
    arg = given
    -- What scripts for LuaJIT take for granted.
    unpack, loadstring = unpack or table.unpack, loadstring or load
    I.main = coroutine.running()
    local chunk, err = loadfile(script)
    local ok = chunk ~= nil
    if ok then ok, err = pcall(chunk, table.unpack(given)) end
    if not ok then
        local told, text = pcall(tostring, err)
        fail('Error: ', told and text or '(error object is a ' .. type(err) .. ' value)', '\n')
    end
    eco.loop()
    local status = math.tointeger(__lunet_exit_code)
    if I.trace then I.trace.finish() end
    os.exit(status and status >= 0 and status or 0, true)
end
