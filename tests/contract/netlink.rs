//! Netlink: messages, and what the kernel does with them in a network of its own.

use crate::support::lua_file;

#[test]
fn netlink() {
    lua_file("netlink.lua").both();
}

#[test]
fn links_addresses_neighbours_routes_and_rules() {
    lua_file("ip.lua").limit(60).alone().both();
}

#[test]
fn wireless_devices_by_recorded_answers() {
    let mut script = lua_file("nl80211.lua");
    for (name, answers) in [
        ("interfaces", include_str!("../data/nl80211/interfaces")),
        ("open", include_str!("../data/nl80211/open")),
        ("wpa", include_str!("../data/nl80211/wpa")),
        ("wpa2", include_str!("../data/nl80211/wpa2")),
        ("wpa3", include_str!("../data/nl80211/wpa3")),
        ("stations", include_str!("../data/nl80211/stations")),
        ("frequencies", include_str!("../data/nl80211/frequencies")),
    ] {
        script = script.file(name, answers);
    }
    script.limit(60).both();
}
