//! The daemon: its sockets, hostile clients, the library's client and the command against it.

mod bus;
mod client;
#[cfg(feature = "cli")]
mod command;
mod hostile;
#[path = "../../examples/own_bus.rs"]
mod own_bus;
mod program;
mod server;
