//! Properties of packets (version 5): what there is, where it may stand, and the
//! bytes of it.

use super::topic::is_text;
use super::{
    AUTH, CONNACK, CONNECT, DISCONNECT, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK,
    SUBSCRIBE, UNSUBACK,
};

/// The place of the properties of a will, beside the types of packets.
pub const WILL: u8 = 0;

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One byte, 0 or 1.
    Flag,
    /// Two bytes.
    Short,
    /// Four bytes.
    Long,
    /// One to four bytes, as in lengths.
    Variable,
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// A name and a value; any number of them.
    Pair,
}

/// A value of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u32),
    Bytes(&'a [u8]),
    Pair(&'a [u8], &'a [u8]),
}

/// A property there is.
#[derive(Clone, Copy)]
pub struct Property {
    pub id: u8,
    pub kind: Kind,
    /// Zero is no value of it.
    nonzero: bool,
    /// The types of packets that may have it, a bit for each.
    places: u16,
}

pub const USER: u8 = 38;
pub const SUBSCRIPTION: u8 = 11;
pub const ALIAS: u8 = 35;
pub const ALIAS_MAXIMUM: u8 = 34;
pub const RECEIVE_MAXIMUM: u8 = 33;
pub const PACKET_MAXIMUM: u8 = 39;
pub const SERVER_KEEPALIVE: u8 = 19;

const fn property(id: u8, kind: Kind, places: &[u8]) -> Property {
    let mut bits = 0;
    let mut place = 0;
    while place < places.len() {
        bits |= 1 << places[place];
        place += 1;
    }
    Property {
        id,
        kind,
        nonzero: matches!(id, SUBSCRIPTION | RECEIVE_MAXIMUM | ALIAS | PACKET_MAXIMUM),
        places: bits,
    }
}

/// Their names, in the order of [`PROPERTIES`].
pub const NAMES: &str = "payload_format_indicator message_expiry_interval content_type response_topic correlation_data \
    subscription_identifier session_expiry_interval assigned_client_identifier server_keep_alive authentication_method \
    authentication_data request_problem_information will_delay_interval request_response_information response_information \
    server_reference reason_string receive_maximum topic_alias_maximum topic_alias maximum_qos retain_available \
    user_properties maximum_packet_size wildcard_subscription_available subscription_identifier_available \
    shared_subscription_available";

/// All of them.
pub const PROPERTIES: &[Property] = &[
    property(1, Kind::Flag, &[PUBLISH, WILL]),
    property(2, Kind::Long, &[PUBLISH, WILL]),
    property(3, Kind::Text, &[PUBLISH, WILL]),
    property(8, Kind::Text, &[PUBLISH, WILL]),
    property(9, Kind::Binary, &[PUBLISH, WILL]),
    property(SUBSCRIPTION, Kind::Variable, &[PUBLISH, SUBSCRIBE]),
    property(17, Kind::Long, &[CONNECT, CONNACK, DISCONNECT]),
    property(18, Kind::Text, &[CONNACK]),
    property(SERVER_KEEPALIVE, Kind::Short, &[CONNACK]),
    property(21, Kind::Text, &[CONNECT, CONNACK, AUTH]),
    property(22, Kind::Binary, &[CONNECT, CONNACK, AUTH]),
    property(23, Kind::Flag, &[CONNECT]),
    property(24, Kind::Long, &[WILL]),
    property(25, Kind::Flag, &[CONNECT]),
    property(26, Kind::Text, &[CONNACK]),
    property(28, Kind::Text, &[CONNACK, DISCONNECT]),
    property(
        31,
        Kind::Text,
        &[
            CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH,
        ],
    ),
    property(RECEIVE_MAXIMUM, Kind::Short, &[CONNECT, CONNACK]),
    property(ALIAS_MAXIMUM, Kind::Short, &[CONNECT, CONNACK]),
    property(ALIAS, Kind::Short, &[PUBLISH]),
    property(36, Kind::Flag, &[CONNACK]),
    property(37, Kind::Flag, &[CONNACK]),
    Property {
        id: USER,
        kind: Kind::Pair,
        nonzero: false,
        places: 0xffff,
    },
    property(PACKET_MAXIMUM, Kind::Long, &[CONNECT, CONNACK]),
    property(40, Kind::Flag, &[CONNACK]),
    property(41, Kind::Flag, &[CONNACK]),
    property(42, Kind::Flag, &[CONNACK]),
];

impl Property {
    /// The one of that number, if it may stand there.
    pub fn find(id: u32, place: u8) -> Option<&'static Property> {
        PROPERTIES
            .iter()
            .find(|property| u32::from(property.id) == id && property.is_for(place))
    }

    /// Each with its name.
    pub fn each() -> impl Iterator<Item = (&'static str, &'static Property)> {
        NAMES.split(' ').zip(PROPERTIES)
    }

    /// True when packets of that type may have it.
    pub fn is_for(&self, place: u8) -> bool {
        self.places >> (place & 15) & 1 != 0
    }

    /// True for a value it can have.
    pub fn allows(&self, value: Value) -> bool {
        match (self.kind, value) {
            (Kind::Flag, Value::Number(number)) => number <= 1,
            (Kind::Short, Value::Number(number)) => number <= 0xffff && self.is_set(number),
            (Kind::Long, Value::Number(number)) => self.is_set(number),
            (Kind::Variable, Value::Number(number)) => {
                number as usize <= super::LONGEST && self.is_set(number)
            }
            (Kind::Text, Value::Bytes(text)) => is_text(text),
            (Kind::Binary, Value::Bytes(bytes)) => bytes.len() <= 0xffff,
            (Kind::Pair, Value::Pair(name, value)) => is_text(name) && is_text(value),
            _ => false,
        }
    }

    fn is_set(&self, number: u32) -> bool {
        number != 0 || !self.nonzero
    }

    /// Adds one with its value, which it allows, to the bytes of properties.
    pub fn put(&self, out: &mut Vec<u8>, value: Value) -> Option<()> {
        let strings = match value {
            Value::Number(_) => 0,
            Value::Bytes(bytes) => bytes.len(),
            Value::Pair(name, value) => name.len() + value.len(),
        };
        out.try_reserve(strings + 8).ok()?;
        out.push(self.id);
        match value {
            Value::Number(number) => match self.kind {
                Kind::Flag => out.push(number as u8),
                Kind::Short => out.extend_from_slice(&(number as u16).to_be_bytes()),
                Kind::Long => out.extend_from_slice(&number.to_be_bytes()),
                _ => super::write::put_length(out, number as usize),
            },
            Value::Bytes(bytes) => put_string(out, bytes),
            Value::Pair(name, value) => {
                put_string(out, name);
                put_string(out, value);
            }
        }
        Some(())
    }
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Bytes that are taken from their front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `count` of them.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A string behind its length.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(usize::from(length))
    }

    /// A number in one to four bytes, the lowest first.
    pub fn variable(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn value(&mut self, kind: Kind) -> Option<Value<'a>> {
        Some(match kind {
            Kind::Flag => Value::Number(self.byte()?.into()),
            Kind::Short => Value::Number(self.short()?.into()),
            Kind::Long => Value::Number(u32::from_be_bytes(self.take(4)?.try_into().ok()?)),
            Kind::Variable => Value::Number(self.variable()?),
            Kind::Text | Kind::Binary => Value::Bytes(self.string()?),
            Kind::Pair => Value::Pair(self.string()?, self.string()?),
        })
    }

    /// The properties of a packet, behind their length.
    pub fn properties(&mut self, place: u8) -> Option<Properties<'a>> {
        let length = self.variable()?;
        let properties = Properties(self.take(length as usize)?);
        let mut rest = properties;
        let mut seen = 0_u64;
        while !rest.0.is_empty() {
            let (property, value) = rest.step()?;
            let bit = 1 << property.id;
            let once = property.id != USER && (property.id != SUBSCRIPTION || place != PUBLISH);
            if !property.is_for(place) || !property.allows(value) || once && seen & bit != 0 {
                return None;
            }
            seen |= bit;
        }
        Some(properties)
    }
}

/// The properties of a packet, known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// None of them.
    pub const NONE: Properties<'static> = Properties(&[]);

    fn step(&mut self) -> Option<(&'static Property, Value<'a>)> {
        let mut bytes = Bytes(self.0);
        let id = bytes.variable()?;
        let property = PROPERTIES.iter().find(|one| u32::from(one.id) == id)?;
        let value = bytes.value(property.kind)?;
        self.0 = bytes.0;
        Some((property, value))
    }

    /// The number that is the value of the property of that kind.
    pub fn number(self, id: u8) -> Option<u32> {
        self.into_iter().find_map(|(property, value)| match value {
            Value::Number(number) if property.id == id => Some(number),
            _ => None,
        })
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'static Property, Value<'a>);

    fn next(&mut self) -> Option<(&'static Property, Value<'a>)> {
        self.step()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], place: u8) -> Option<Vec<(u8, Value<'_>)>> {
        let properties = Bytes(bytes).properties(place)?;
        Some(
            properties
                .map(|(property, value)| (property.id, value))
                .collect(),
        )
    }

    #[test]
    fn every_property_has_a_name_and_comes_back() {
        assert_eq!(NAMES.split(' ').count(), PROPERTIES.len());
        for (name, property) in Property::each() {
            let value = match property.kind {
                Kind::Flag => Value::Number(1),
                Kind::Short => Value::Number(0xfffe),
                Kind::Long => Value::Number(0xffff_fffe),
                Kind::Variable => Value::Number(268_435_455),
                Kind::Text | Kind::Binary => Value::Bytes(b"text"),
                Kind::Pair => Value::Pair(b"name", b"value"),
            };
            assert!(property.allows(value), "{name}");
            let mut bytes = vec![0];
            property.put(&mut bytes, value).unwrap();
            bytes[0] = bytes.len() as u8 - 1;
            for place in 0..16 {
                let expected = property.is_for(place).then(|| vec![(property.id, value)]);
                assert_eq!(read(&bytes, place), expected, "{name} in {place}");
            }
            let place = (0..16).find(|&place| property.is_for(place)).unwrap();
            for end in 1..bytes.len() {
                let mut cut = bytes[..end].to_vec();
                assert_eq!(read(&cut, place), None, "{name} cut to {end}");
                cut[0] = end as u8 - 1;
                assert_eq!(read(&cut, place).is_some(), end == 1, "{name} of {end}");
            }
            let mut twice = bytes.clone();
            twice.extend_from_slice(&bytes[1..]);
            twice[0] *= 2;
            let repeats = property.id == USER || property.id == SUBSCRIPTION && place == PUBLISH;
            assert_eq!(read(&twice, place).is_some(), repeats, "{name} twice");
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for (bytes, place) in [
            (&[2, 1, 2][..], PUBLISH),
            (&[3, 35, 0, 0], PUBLISH),
            (&[2, 11, 0], PUBLISH),
            (&[3, 33, 0, 0], CONNACK),
            (&[5, 39, 0, 0, 0, 0], CONNACK),
            (&[4, 3, 0, 1, 0xff], PUBLISH),
            (&[4, 3, 0, 1, 0], PUBLISH),
            (&[2, 36, 2], CONNACK),
            (&[1, 99], CONNACK),
            (&[5, 0x80, 0x80, 0x80, 0x80, 0x80], CONNACK),
            (&[0xff, 0xff, 0xff, 0xff, 0], CONNACK),
        ] {
            assert_eq!(read(bytes, place), None, "{bytes:?}");
        }
        assert_eq!(read(&[0], CONNACK), Some(vec![]));
        let numbers = Bytes(&[5, 11, 3, 11, 0x80, 1]).properties(PUBLISH).unwrap();
        assert_eq!(numbers.number(SUBSCRIPTION), Some(3));
        assert_eq!(numbers.number(ALIAS), None);
    }
}
