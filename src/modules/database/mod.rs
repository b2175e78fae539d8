//! What clients of database servers share: requests and answers over one stream,
//! parameters, and, in Lua, what scripts see: `database.lua`, which tells what a
//! driver gives, and lunet's names for it.

pub mod batch;
pub mod exchange;
pub mod parameter;
