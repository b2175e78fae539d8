//! The client/server protocol of MySQL and MariaDB, as their manuals give it:
//! packets taken apart where they lie, requests written, and the digests of
//! passwords. No I/O, no Lua.

pub mod packet;
pub mod password;
pub mod value;
pub mod write;
