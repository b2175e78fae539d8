//! OpenWrt's message bus: the protocol of `ubusd` and its clients, without libubus.
//!
//! | module | what it is |
//! | --- | --- |
//! | `broker`, `server` | the daemon's side without I/O, and its sockets, with the feature `broker` |
//! | [`Status`] | how a request ended |
//! | [`blob`] | attributes, of which every message is made |
//! | [`blobmsg`] | named and typed values in attributes; JSON with the features `json` and `lenient-json` |
//! | [`message`] | messages: header, attributes, limits |
//! | [`signature`] | methods and their arguments as the bus publishes them |
//! | [`monitor`] | copies of messages, for those who watch traffic |
//! | [`ReceiveBuffer`], [`SendBuffer`] | between a stream and messages, with descriptors |
//! | [`connection`] | a client's side of the bus without I/O: requests, objects, listeners, subscriptions |
//! | `socket`, `client` | a socket, and a client that waits, with the feature `client` |
//!
//! The rule of the layers: each uses those above it only, and none above `socket` does I/O or knows the time.
#![cfg_attr(feature = "client", doc = "", doc = include_str!("../README.md"))]

pub mod blob;
pub mod blobmsg;
#[cfg(feature = "broker")]
pub mod broker;
#[cfg(feature = "client")]
pub mod client;
pub mod connection;
pub mod message;
pub mod monitor;
mod policy;
mod receive;
mod send;
#[cfg(feature = "broker")]
pub mod server;
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
