-- Tells what happens in a folder while something else works in it.
--
--     eco examples/watch_folder.lua
--
-- It makes a folder of its own, prints each change to it, and removes it at the end.

local eco = require 'eco'
local file = require 'eco.file'

local names = {
    [file.IN_CREATE] = 'created',
    [file.IN_CLOSE_WRITE] = 'written',
    [file.IN_MOVED_FROM] = 'moved away',
    [file.IN_MOVED_TO] = 'moved here',
    [file.IN_DELETE] = 'deleted',
}

local mask = 0
for bit in pairs(names) do
    mask = mask | bit
end

local folder = os.tmpname()
os.remove(folder)
assert(file.mkdir(folder, 448))

local watcher<close> = assert(file.inotify())
assert(watcher:add(folder, mask))

eco.run(function()
    file.writefile(folder .. '/draft', 'some text')
    eco.sleep(0.05)
    file.rename(folder .. '/draft', folder .. '/final')
    eco.sleep(0.05)
    file.unlink(folder .. '/final')
end)

while true do
    local event = watcher:wait(0.2)
    if not event then break end
    print(file.basename(event.name), names[event.mask & mask])
end

file.rmdir(folder)
