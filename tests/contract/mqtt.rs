//! `eco.mqtt`: by bytes, and with the broker that people use.

use crate::support::{emulated, lua_file, raw, skip};

#[test]
fn by_bytes() {
    lua_file("mqtt.lua").limit(120).both();
}

#[test]
fn mosquitto() {
    if emulated() {
        return skip("mqtt-mosquitto.lua", "the machine is emulated");
    }
    lua_file("mqtt-mosquitto.lua").limit(120).eco();
}

#[test]
fn without_their_packages_tls_and_websockets_name_them() {
    raw(r#"
        local mqtt = require 'eco.mqtt'
        require 'eco.socket'
        package.preload['eco.ssl'], package.preload['eco.websocket'] = nil, nil
        package.cpath = ''
        for _, option in ipairs { 'ssl', 'websocket' } do
            local client = mqtt.new { [option] = true }
            client:on('error', function(problem) print(problem) end)
            client:run()
        end
    "#)
    .stdout_has("network: TLS needs the package lua-eco-ssl\nnetwork: WebSockets need the package lua-eco-websocket")
    .eco();
}
