//! One file per topic of the contract.

mod base;
mod closing;
mod codecs;
mod documents;
mod errors;
mod faults;
mod http;
mod interpreter;
mod load;
mod memory;
mod network;
mod processes;
mod scheduler;
mod signals;
