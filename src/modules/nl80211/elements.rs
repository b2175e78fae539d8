//! Elements as fields of a network's table.

use std::ffi::CStr;

use crate::ieee80211::security::{authentication, cipher, Authentication, Security};
use crate::ieee80211::{self as ieee, Elements, Setup};
use crate::lua::{ffi, Lua, Outcome, Returns};
use crate::netlink::part;

/// `decode(bss, elements [, keep])`: sets the fields that the elements hold;
/// with `keep`, also `elems`: the payloads by their ids.
pub fn decode(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TTABLE)?;
    let data = lua.string(2)?;
    let keep = lua.to_bool(3);
    lua.set_top(3);
    lua.push_table(0, 0);
    for (id, payload) in Elements::new(data) {
        if keep {
            append(lua, 4, id.into(), payload);
        }
        lua.push_value(1);
        field(lua, id, payload);
        lua.set_top(4);
    }
    if keep {
        lua.set_field(1, c"elems");
    }
    Ok(Returns(0))
}

/// Appends bytes to the list at `key` of a table.
fn append(lua: Lua, table: i32, key: i64, bytes: &[u8]) {
    if lua.raw_get_index(table, key) != ffi::LUA_TTABLE {
        lua.pop(1);
        lua.push_table(1, 0);
        lua.push_value(-1);
        lua.raw_set_index(table, key);
    }
    lua.push_bytes(bytes);
    lua.raw_set_index(-2, lua.raw_len(-2) as i64 + 1);
    lua.pop(1);
}

/// Pushes the table in a field of the one on top, made if need be.
fn part_of(lua: Lua, name: &CStr) {
    if lua.get_field(-1, name) == ffi::LUA_TTABLE {
        return;
    }
    lua.pop(1);
    lua.push_table(0, 4);
    lua.push_value(-1);
    lua.set_field(-3, name);
}

/// Sets what an element tells in the table on top.
fn field(lua: Lua, id: u8, payload: &[u8]) -> Option<()> {
    match id {
        ieee::SSID | ieee::MESH_ID => lua.set_bytes(-1, c"ssid", payload),
        ieee::RSN => security(lua, c"rsn", payload, "CCMP", &["802.1X", "8021x"]),
        ieee::COUNTRY => country(lua, payload)?,
        ieee::BSS_LOAD => {
            let &[low, high, utilization, ..] = payload.first_chunk::<5>()?;
            part_of(lua, c"bss_load");
            let count = u16::from_le_bytes([low, high]);
            lua.set_integer(-1, c"station_count", count.into());
            lua.set_integer(-1, c"utilization", utilization.into());
            let capacity = part(payload, 3).map_or(0, u16::from_le_bytes);
            lua.set_integer(-1, c"admission_capacity", capacity.into());
        }
        ieee::HT_CAPABILITIES => {
            let capabilities = u16::from_le_bytes(part(payload, 0)?);
            let sets: [u8; 4] = part(payload, 3)?;
            part_of(lua, c"ht");
            lua.set_integer(-1, c"capabilities", capabilities.into());
            lua.set_bool(-1, c"width_40", capabilities & 2 != 0);
            lua.set_bool(-1, c"short_gi_20", capabilities & 0x20 != 0);
            lua.set_bool(-1, c"short_gi_40", capabilities & 0x40 != 0);
            let streams = sets.iter().rposition(|&set| set != 0);
            let streams = streams.map_or(0, |last| last as i64 + 1);
            lua.set_integer(-1, c"streams", streams);
        }
        ieee::HT_OPERATION => {
            let &[channel, second] = payload.first_chunk()?;
            part_of(lua, c"ht");
            lua.set_integer(-1, c"primary_channel", channel.into());
            let secondary: &[u8] = match second & 3 {
                1 => b"above",
                3 => b"below",
                _ => b"none",
            };
            lua.set_bytes(-1, c"secondary_channel", secondary);
        }
        ieee::VHT_CAPABILITIES => {
            let capabilities = u32::from_le_bytes(part(payload, 0)?);
            let map = u16::from_le_bytes(part(payload, 4)?);
            part_of(lua, c"vht");
            lua.set_integer(-1, c"capabilities", capabilities.into());
            lua.set_integer(-1, c"streams", ieee::streams(map).into());
        }
        ieee::VHT_OPERATION => {
            let &[width, first, second] = payload.first_chunk()?;
            part_of(lua, c"vht");
            // 802.11-2020, table 11-23: 80 with a second centre 8 away is 160.
            let apart = first.abs_diff(second);
            let width = match (width, second, apart) {
                (0, ..) => None,
                (1, 0, _) => Some("80"),
                (1, _, 8) | (2, ..) => Some("160"),
                (1, _, 17..) | (3, ..) => Some("80+80"),
                _ => Some("80"),
            };
            if let Some(width) = width {
                lua.set_bytes(-1, c"width", width.as_bytes());
            }
            lua.set_integer(-1, c"center_channel_1", first.into());
            lua.set_integer(-1, c"center_channel_2", second.into());
        }
        ieee::EXTENSION => extension(lua, payload)?,
        ieee::VENDOR_SPECIFIC => vendor(lua, payload)?,
        _ => {}
    }
    Some(())
}

/// An element whose id is the first byte of its payload.
fn extension(lua: Lua, payload: &[u8]) -> Option<()> {
    let (&id, payload) = payload.split_first()?;
    match id {
        ieee::HE_CAPABILITIES => {
            let widths: u8 = *payload.get(6)?;
            // MAC capabilities of 6 bytes, PHY capabilities of 11, then the map for 80 MHz.
            let map = u16::from_le_bytes(part(payload, 17)?);
            part_of(lua, c"he");
            lua.set_bool(-1, c"width_40", widths & 2 != 0);
            lua.set_bool(-1, c"width_80", widths & 4 != 0);
            lua.set_bool(-1, c"width_160", widths & 8 != 0);
            lua.set_integer(-1, c"streams", ieee::streams(map).into());
        }
        ieee::HE_OPERATION => {
            let color = *payload.get(3)?;
            part_of(lua, c"he");
            lua.set_integer(-1, c"bss_color", i64::from(color & 0x3f));
        }
        ieee::EHT_OPERATION => lua.set_bool(-1, c"eht", true),
        _ => {}
    }
    Some(())
}

/// Country, environment, and the channels allowed with their power in dBm.
fn country(lua: Lua, payload: &[u8]) -> Option<()> {
    let &[first, second, environment] = payload.first_chunk()?;
    part_of(lua, c"country");
    lua.set_bytes(-1, c"code", &[first, second]);
    let environment: &[u8] = match environment {
        b'I' => b"indoor",
        b'O' => b"outdoor",
        _ => b"any",
    };
    lua.set_bytes(-1, c"environment", environment);
    lua.push_table(0, 0);
    let mut count = 0;
    for &[channel, channels, power] in payload.get(3..)?.as_chunks().0 {
        // From 201 on these are classes of operation.
        if channel < 201 && channel != 0 {
            lua.push_table(0, 3);
            lua.set_integer(-1, c"first_channel", channel.into());
            lua.set_integer(-1, c"channels", channels.into());
            lua.set_integer(-1, c"max_power", i64::from(power as i8));
            count += 1;
            lua.raw_set_index(-2, count);
        }
    }
    lua.set_field(-2, c"channels");
    Some(())
}

fn vendor(lua: Lua, payload: &[u8]) -> Option<()> {
    let &[first, second, third, kind] = payload.first_chunk()?;
    let oui = [first, second, third];
    let content = &payload[4..];
    match (oui, kind) {
        ([0x00, 0x50, 0xf2], 1) => security(lua, c"wpa", content, "TKIP", &["PSK"]),
        ([0x00, 0x50, 0xf2], 4) => setup(lua, content),
        _ => {}
    }
    part_of(lua, c"vendors");
    lua.push_table(0, 3);
    lua.push_hardware_address(&oui);
    lua.set_field(-2, c"oui");
    lua.set_integer(-1, c"type", kind.into());
    if let Some(name) = ieee::vendor(oui) {
        lua.set_bytes(-1, c"name", name.as_bytes());
    }
    lua.raw_set_index(-2, lua.raw_len(-2) as i64 + 1);
    Some(())
}

/// What Wi-Fi Protected Setup tells of the device.
fn setup(lua: Lua, content: &[u8]) {
    part_of(lua, c"wps");
    for (kind, value) in Setup(content) {
        let name = match kind {
            0x1011 => c"device_name",
            0x1021 => c"manufacturer",
            0x1023 => c"model_name",
            0x1024 => c"model_number",
            0x1042 => c"serial_number",
            0x1044 => {
                lua.set_bool(-1, c"configured", value == [2]);
                continue;
            }
            _ => continue,
        };
        lua.set_bytes(-1, name, value);
    }
    lua.pop(1);
}

/// Sets `field` to what an RSN or WPA element says.
fn security(lua: Lua, field: &CStr, payload: &[u8], pairwise: &'static str, ways: &[&str]) {
    let Some(found) = Security::parse(payload) else {
        return;
    };
    lua.push_table(0, 4);
    lua.set_integer(-1, c"version", found.version.into());
    let group = found.group.map_or(Some(pairwise), cipher);
    if let Some(group) = group {
        lua.set_bytes(-1, c"group_cipher", group.as_bytes());
    }
    lua.push_table(0, 2);
    match found.pairwise {
        None => member(lua, pairwise),
        Some(suites) => suites
            .iter()
            .filter_map(|suite| cipher(*suite))
            .for_each(|name| member(lua, name)),
    }
    lua.set_field(-2, c"pair_ciphers");
    lua.push_table(0, 2);
    match found.authentication {
        Authentication::Unknown => {}
        Authentication::Default => ways.iter().for_each(|name| member(lua, name)),
        Authentication::Suites(suites) => suites
            .iter()
            .filter_map(|suite| authentication(*suite))
            .for_each(|name| member(lua, name)),
    }
    lua.set_field(-2, c"auth_suites");
    lua.set_field(-2, field);
}

/// Makes a name a member of the set on top.
fn member(lua: Lua, name: &str) {
    lua.push_str(name);
    lua.push_bool(true);
    lua.raw_set(-3);
}
