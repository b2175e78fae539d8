# Written by `cargo xtask derive` from ../packages.toml.
# A module is file:features, an alias name:file.
ECO_RELEASE:=1
ECO_DIRECTORY:=/usr/lib/lua/5.4
ECO_LINKS:=/usr/local/lib/lua/5.4
ECO_ABI_SINCE:=5.0.0
ECO_FORMER:=lua-eco-base64 lua-eco-dns lua-eco-hmac lua-eco-ip lua-eco-md5 lua-eco-mqtt lua-eco-net lua-eco-netlink lua-eco-nl80211 lua-eco-packet lua-eco-sha1 lua-eco-sha256 lua-eco-shared lua-eco-ssh lua-eco-ssl lua-eco-termios lua-eco-ubus lua-eco-uci lua-eco-websocket
ECO_MODULES:=eco.so:base eco/cli.so:cli eco/log.so:log eco/socket.so:socket eco/http/server.so:http-server,http-url
ECO_ALIASES:=eco/http/url.so:eco/http/server.so
ECO_PACKAGES:=lua-eco lua-eco-cli lua-eco-log lua-eco-socket lua-eco-http
ECO_TITLE_lua-eco:=Coroutine runtime for Lua 5.4
ECO_FILES_lua-eco:=eco.so
ECO_PROGRAM_lua-eco:=eco
ECO_TITLE_lua-eco-cli:=Command-line options for lua-eco
ECO_NEEDS_lua-eco-cli:=lua-eco
ECO_FILES_lua-eco-cli:=eco/cli.so
ECO_TITLE_lua-eco-log:=Logging for lua-eco
ECO_NEEDS_lua-eco-log:=lua-eco
ECO_FILES_lua-eco-log:=eco/log.so
ECO_TITLE_lua-eco-socket:=Sockets for lua-eco
ECO_NEEDS_lua-eco-socket:=lua-eco
ECO_FILES_lua-eco-socket:=eco/socket.so
ECO_TITLE_lua-eco-http:=HTTP server and URLs for lua-eco
ECO_NEEDS_lua-eco-http:=lua-eco lua-eco-socket lua-eco-log
ECO_FILES_lua-eco-http:=eco/http/server.so
