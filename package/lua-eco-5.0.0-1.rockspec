-- From a clone: luarocks --lua-version 5.4 make package/lua-eco-5.0.0-1.rockspec
rockspec_format = '3.0'
package = 'lua-eco'
version = '5.0.0-1'
source = {
    url = 'git+https://github.com/lua-eco/lua-eco.git',
    tag = 'v5.0.0',
}
description = {
    summary = 'Coroutine runtime for Lua 5.4 on Linux',
    detailed = [[
Scripts that look blocking and wait for thousands of sockets, timers, files and processes at once, with modules for HTTP, TLS, DNS,
MQTT, WebSocket, netlink and more. Built from source: it needs Rust 1.89 or later, a C compiler and make.]],
    homepage = 'https://github.com/lua-eco/lua-eco',
    license = 'MIT',
}
supported_platforms = { 'linux' }
dependencies = { 'lua >= 5.4, < 5.5' }
build = {
    type = 'make',
    build_target = 'host',
    install_variables = {
        BINDIR = '$(BINDIR)',
        LIBDIR = '$(LIBDIR)',
        DATADIR = '$(PREFIX)',
        ECO = '/usr/bin/env eco',
        COPY = 'cp -RL',
    },
}
