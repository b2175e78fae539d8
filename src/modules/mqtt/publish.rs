//! `link:publish`: a message from its arguments to the stream.

use super::link::{Link, Shared};
use super::properties;
use crate::lua::{ffi, Error, Lua, Outcome};
use crate::mqtt::properties::{Property, Value, ALIAS};
use crate::mqtt::topic::is_name;
use crate::mqtt::write::{Message, Refused};
use crate::mqtt::{Version, PUBLISH};

/// Topics that get an alias are no longer than this.
const LONGEST_ALIASED: usize = 1024;

/// `link:publish(topic, payload, qos, retain, properties, awaited)` -> serial (0
/// without a quality of service), whether there is more to see to; or nil and a
/// message.
pub fn publish(lua: Lua, link: &Link) -> Outcome {
    let shared = &link.shared;
    lua.set_top(7);
    let version = shared.session.borrow().version;
    if version == Version::V5 {
        properties::read(lua, 6, PUBLISH, &shared.scratch)?;
    } else if !lua.is_none_or_nil(6) {
        return Err("properties need version 5".into());
    }
    let (Some(topic), Some(payload)) = (lua.bytes(2), lua.bytes(3)) else {
        return Err("assertion failed! topic and payload must be strings".into());
    };
    if !is_name(topic) {
        return Err("expecting topic to be a valid topic name".into());
    }
    let qos = quality(lua)?;
    if !matches!(lua.type_of(5), ffi::LUA_TNIL | ffi::LUA_TBOOLEAN) {
        return Err("assertion failed! retain must be a boolean".into());
    }
    let mut message = Message {
        topic,
        payload,
        qos,
        retain: lua.to_bool(5),
        properties: &[],
    };
    if qos == 0 && shared.most_aliases.get() > 0 {
        match alias(shared, topic) {
            Err(refused) => return shared.refuse(lua, refused),
            Ok(true) => message.topic = &[],
            Ok(false) => {}
        }
    }
    let sent = {
        let scratch = shared.scratch.borrow();
        message.properties = &scratch;
        let mut outbox = shared.outbox.borrow_mut();
        let mut session = shared.session.borrow_mut();
        session.publish(outbox.buffer(), &message, lua.to_bool(7))
    };
    match sent {
        Ok(serial) => shared.sent(lua, serial, lua.to_bool(7)),
        Err(refused) => shared.refuse(lua, refused),
    }
}

/// The quality of service in argument 4.
fn quality(lua: Lua) -> Result<u8, Error> {
    if lua.is_none_or_nil(4) {
        return Ok(0);
    }
    match lua.to_integer(4) {
        Some(qos @ 0..=2) if lua.type_of(4) == ffi::LUA_TNUMBER => Ok(qos as u8),
        _ => Err("assertion failed! qos must be 0 or 1 or 2".into()),
    }
}

/// Adds the topic's alias to the properties, if it has or gets one; true if the
/// server knows it already.
fn alias(shared: &Shared, topic: &[u8]) -> Result<bool, Refused> {
    let mut aliases = shared.aliases.borrow_mut();
    let mut scratch = shared.scratch.borrow_mut();
    let found = aliases.iter().position(|known| known == topic);
    let place = match found {
        Some(place) => place,
        None if aliases.len() >= shared.most_aliases.get() || topic.len() > LONGEST_ALIASED => {
            return Ok(false)
        }
        None => {
            let mut copy = Vec::new();
            copy.try_reserve_exact(topic.len())
                .map_err(|_| Refused::Memory)?;
            copy.extend_from_slice(topic);
            aliases.try_reserve(1).map_err(|_| Refused::Memory)?;
            aliases.push(copy);
            aliases.len() - 1
        }
    };
    let number = Value::Number(place as u32 + 1);
    Property::find(ALIAS.into(), PUBLISH)
        .and_then(|property| property.put(&mut scratch, number))
        .ok_or(Refused::Memory)?;
    Ok(found.is_some())
}
