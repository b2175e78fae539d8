-- Runs programs side by side, with a limit for each, and listens for a signal.
--
--     eco examples/processes.lua
--
-- It prints what the programs said, in the order they ended, and ends by itself.

local eco = require 'eco'
local sys = require 'eco.sys'

local commands = {
    { 'sh', '-c', 'sleep 0.1; echo slow' },
    { 'sh', '-c', 'echo quick' },
    { 'sh', '-c', 'echo failed >&2; exit 3' },
    { 'sleep', '100' },
    { 'no-such-program' },
}

local listener ---@type eco.sys.Listener
listener = assert(sys.signal(sys.SIGUSR1, function()
    print('every program has ended')
    listener:close()
end))

local running = #commands

local function run(command)
    local process<close> = assert(sys.exec(command))
    local pid, status = process:wait(0.3)
    if not pid then
        pid, status = process:stop()
    end
    local text = process:read_stdout('a') .. process:read_stderr('a')
    local how = status.exited and 'exited with' or 'was ended by signal'
    print(('%s %s %d: %s'):format(command[1], how, status.status, text:gsub('%s+$', '')))

    running = running - 1
    if running == 0 then
        sys.kill(sys.getpid(), sys.SIGUSR1)
    end
end

for _, command in ipairs(commands) do
    eco.run(run, command)
end
