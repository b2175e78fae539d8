-- Programs, and what the machine is like.

local I = ...

local file = require 'eco.file'
local sys = require 'eco.sys'

local native, want, integer, block, text, luv = I.native, I.want, I.integer, I.block, I.text, I.luv

-- Programs

local Process, new_process = I.class 'luv.process'

local function run(command, environment, is_detached)
    local process, problem = sys.exec(command, environment)
    if not process then error(text(problem), 0) end
    local object = new_process { process = process }
    if is_detached then return object end
    local _, status = process:wait()
    if process.problem then
        return object, -1, 0
    elseif not status then
        return object, 0, 0
    elseif status.signaled then
        return object, 0, status.status
    end
    return object, status.status, 0
end

local function spawn(cmd, options)
    want('string', cmd, 1, 'spawn')
    options = options == nil and {} or want('table', options, 2, 'spawn')
    local command = { cmd, table.unpack(options) }
    for i = 2, #command do
        if type(command[i]) ~= 'string' and type(command[i]) ~= 'number' then
            error("bad argument #2 to 'spawn' (arguments must be strings)", 2)
        end
    end
    for _, name in ipairs { 'stdin', 'stdout', 'stderr' } do
        local stream = options[name]
        command[name] = false
        if stream ~= nil then
            command[name] = I.descriptor(stream) or error(("bad argument #2 to 'spawn' (%s is no open stream)"):format(name), 2)
        end
    end
    command.cwd = options.cwd and want('string', options.cwd, 2, 'spawn')
    command.session = options.detach == true
    local environment
    if options.env ~= nil then
        environment = {}
        for name, value in pairs(want('table', options.env, 2, 'spawn')) do
            environment[#environment + 1] = tostring(name) .. '=' .. tostring(value)
        end
    end
    return block(run, command, environment, command.session)
end

function Process:kill(signum)
    local done, problem = self.process:signal(integer(signum, sys.SIGTERM, 1, 'kill'))
    if not done then error(text(problem), 2) end
end

luv.process = I.library('luv_process', { spawn = spawn })

-- The machine

-- A number of kilobytes that the kernel tells of.
local function memory(name)
    local found = (file.readfile('/proc/meminfo') or ''):match(name .. ':%s*(%d+)')
    return (math.tointeger(found) or 0) * 1024
end

function luv.mem_total() return memory 'MemTotal' end
function luv.mem_free() return memory 'MemFree' end

-- Fields of processors differ between machines.
function luv.cpu_info()
    local info, stat = assert(file.readfile('/proc/cpuinfo')), assert(file.readfile('/proc/stat'))
    local models, speeds, shared = {}, {}, nil
    for line in info:gmatch('[^\n]+') do
        local name, value = line:match('^([^\t:]-)%s*:%s*(.*)$')
        if name == 'model name' or name == 'cpu model' then
            models[#models + 1] = value
        elseif name == 'Hardware' or name == 'machine' or name == 'system type' then
            shared = shared or value
        elseif name == 'cpu MHz' then
            speeds[#speeds + 1] = tonumber(value)
        end
    end
    local list = {}
    for number, numbers in stat:gmatch('cpu(%d+) ([^\n]*)') do
        local ticks = {}
        for tick in numbers:gmatch('%d+') do
            ticks[#ticks + 1] = math.tointeger(tick) * 10
        end
        local index = #list + 1
        local clock = file.readfile('/sys/devices/system/cpu/cpu' .. number .. '/cpufreq/cpuinfo_max_freq')
        list[index] = {
            model = models[index] or models[1] or shared or 'unknown',
            speed = math.floor(speeds[index] or clock and tonumber(clock) / 1000 or 0),
            times = { user = ticks[1], nice = ticks[2], sys = ticks[3], idle = ticks[4], irq = ticks[6] },
        }
    end
    return list
end

function luv.interface_addresses()
    local lines, problem = native.interfaces()
    if not lines then error(text(problem), 0) end
    local list = {}
    for name, internal, address in lines:gmatch('([^\n]+) ([01]) (%S+)\n') do
        list[#list + 1] = { name = name, is_internal = internal == '1', address = address }
    end
    return list
end
