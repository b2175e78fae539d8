-- What of eco.internal.file needs no system call.
local internal = ...

-- struct inotify_event of linux/inotify.h, one after the other.
function internal.inotify_parse_event(bytes)
    local events, at = {}, 1
    while at <= #bytes do
        local whole, wd, mask, _, name, after = pcall(string.unpack, '=i4I4I4s4', bytes, at)
        if not whole then
            error('invalid inotify event buffer', 2)
        end
        name = name:match('^[^\0]+')
        events[#events + 1] = { wd = wd, mask = mask, name = name }
        at = after
    end
    return events
end
