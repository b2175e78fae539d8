//! MQTT 3.1.1 and 5 as a client speaks them: no I/O, no Lua.
//!
//! [`packet`] takes received bytes apart, [`mod@write`] puts packets together,
//! [`session`] knows what was sent, what is owed and what came twice; what is on
//! its way out waits in an [`outbox`].

pub mod outbox;
pub mod packet;
pub mod properties;
pub mod session;
pub mod topic;
pub mod write;

/// The version of the protocol, as CONNECT names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V4 = 4,
    V5 = 5,
}

/// Types of packets, the upper half of their first byte.
pub const CONNECT: u8 = 1;
pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const SUBSCRIBE: u8 = 8;
pub const SUBACK: u8 = 9;
pub const UNSUBSCRIBE: u8 = 10;
pub const UNSUBACK: u8 = 11;
pub const PINGREQ: u8 = 12;
pub const PINGRESP: u8 = 13;
pub const DISCONNECT: u8 = 14;
pub const AUTH: u8 = 15;

/// The largest length a packet can state.
pub const LONGEST: usize = 268_435_455;

/// From this reason code on something failed (version 5).
pub const FAILURE: u8 = 0x80;
/// The peer knows no message of that number (version 5).
pub const UNKNOWN_ID: u8 = 0x92;
/// A packet that the peer does not take (version 5).
pub const TOO_LARGE: u8 = 0x95;
