//! The integration tests: Lua scripts run in the real interpreter, and a part of them in the distribution's `lua5.4`.
//!
//! One binary, so that the suite links once. What each folder holds:
//!
//! - `support/`: the builder that runs a script and states its expected output, and the Lua prelude it puts in front;
//! - `contract/`: one Rust file per topic, each test a sentence;
//! - `lua/`: the longer scripts, one per topic, made of `case('what must hold', function() … end)`;
//! - `c/`: C programs that play a hostile host, and C modules that scripts load.
//!
//! To add a topic: write `contract/<topic>.rs`, list it in `contract/mod.rs`, and say in each test
//! `lua("… inline Lua …").both()` or `lua_file("<topic>.lua").eco()`. Scripts made by `lua` and `lua_file` run behind
//! the prelude (`support/prelude.lua` lists its helpers) and are checked for leaked file descriptors, coroutines,
//! registry slots and timers; `raw` runs a script exactly as it stands, `command` the bare interpreter with arguments.
//!
//! What is tested is found through the environment:
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `ECO_BIN` | the interpreter | `target/dist/host/bin/eco`, else the one that cargo has built |
//! | `ECO_LIB` | the folder of `eco.so` and `eco/*.so` | `target/dist/host/lib/lua/5.4` |
//! | `ECO_RUNNER` | an emulator to put in front; `ECO_BIN` is then a static interpreter | none |
//! | `ECO_SANITIZED` | `ECO_BIN` watches its own memory and holds every module (`cargo xtask sanitize`): it is the only host | none |
//!
//! Under an emulator, tests that need the stock `lua5.4` or real-time speed say that they skip.

mod contract;
mod support;
