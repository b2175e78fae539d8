//! OpenWrt's message bus: the protocol of `ubusd` and its clients, without libubus and without I/O.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`blob`] | attributes, of which every message is made |
//! | [`blobmsg`] | named and typed values in attributes; JSON with the feature `json` |
//! | [`message`] | messages: header, attributes, limits |
//! | [`signature`] | methods and their arguments as the bus publishes them |
//! | [`ReceiveBuffer`], [`SendBuffer`] | between a stream and messages, with descriptors |
//! | [`Connection`] | a client's side of the bus: requests, objects, listeners, subscriptions |
//! | [`Status`] | how a request ended |

pub mod blob;
pub mod blobmsg;
#[cfg(feature = "client")]
pub mod client;
pub mod connection;
pub mod message;
pub mod monitor;
mod policy;
mod receive;
mod send;
pub mod signature;
#[cfg(feature = "client")]
pub mod socket;
mod status;
#[cfg(test)]
mod testing;

#[cfg(feature = "client")]
pub use client::Client;
pub use connection::{
    CallToken, Caller, Connection, Event, Handle, ProtocolError, Request, RequestError,
};
pub use monitor::Monitored;
pub use receive::{ReceiveBuffer, Received};
pub use send::{Piece, SendBuffer};
pub use status::Status;
