//! WebSocket (RFC 6455) as functions and state machines over bytes: no I/O and no
//! Lua. [`receiver`] makes frames and messages of what came in, [`outbox`] holds
//! what is to go out, [`handshake`] proves that the peer speaks the protocol.

pub mod close;
pub mod frame;
pub mod handshake;
pub mod outbox;
pub mod receiver;
pub mod utf8;
