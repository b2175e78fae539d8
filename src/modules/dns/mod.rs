//! `eco.dns` and `eco.internal.dns`: names to addresses without blocking.
//!
//! The order of waits (servers, retries, connections) is in `dns.lua`; messages
//! and files are read by [`crate::dns`].

use std::ffi::{c_int, CStr};

use crate::abi::{fair, monotonic, Core};
use crate::dns::files::{self, Setting};
use crate::dns::message::{self, Fields, Options, Problem, Strings, LONGEST_REQUEST};
use crate::dns::name::Name;
use crate::dns::{A, AAAA, CNAME, IN, MX, NS, PTR, SOA, SPF, SRV, TXT};
use crate::lua::{ffi, function, Constants, Error, Functions, Lua, Outcome, Returns};
use crate::system::random;
use crate::system::socket::{format_ip, parse_ip};
use crate::{constants, functions, lua_source};

const FUNCTIONS: Functions = functions! {
    parse_response: function(fair(parse_response)),
    request: function(request),
    matches: function(matches),
    lifetime: function(lifetime),
    hosts: function(fair(hosts)),
    resolv_conf: function(resolv_conf),
    now: function(now),
    turn: function(fair(turn)),
};

const CONSTANTS: Constants = constants! {
    TYPE_A = A;
    TYPE_NS = NS;
    TYPE_CNAME = CNAME;
    TYPE_SOA = SOA;
    TYPE_PTR = PTR;
    TYPE_MX = MX;
    TYPE_TXT = TXT;
    TYPE_AAAA = AAAA;
    TYPE_SRV = SRV;
    TYPE_SPF = SPF;
    CLASS_IN = IN;
    SECTION_AN = 1;
    SECTION_NS = 2;
    SECTION_AR = 3;
};

/// Registry field of `eco.internal.dns`, which `eco.dns` is made with.
const INTERNAL: &CStr = c"eco.internal.dns";

/// Opens `eco.dns`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.dns")?;
    lua.push_chunk(c"=eco.dns", lua_source!("dns.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_value(-1);
    lua.set_field(ffi::LUA_REGISTRYINDEX, INTERNAL);
    lua.push_table(0, 24);
    lua.set_constants(CONSTANTS);
    lua.call(2, 1);
    Ok(Returns(1))
}

/// Opens `eco.internal.dns`. May raise.
pub fn open_internal(lua: Lua) -> Outcome {
    lua.require(c"eco.dns");
    lua.get_field(ffi::LUA_REGISTRYINDEX, INTERNAL);
    Ok(Returns(1))
}

/// Nothing but fairness.
fn turn(_: Lua) -> Outcome {
    Ok(Returns(0))
}

/// Milliseconds of the monotonic clock.
fn now(lua: Lua) -> Outcome {
    lua.push_integer(monotonic() / 1_000_000);
    Ok(Returns(1))
}

/// `request(name, type, recurse, extended)` -> bytes with a random id; nothing
/// for what is no name.
fn request(lua: Lua) -> Outcome {
    let (name, kind) = (lua.string(1)?, lua.within(2, 0, u16::MAX.into())?);
    let mut id = [0; 2];
    random::fill(&mut id);
    let options = Options {
        id: u16::from_ne_bytes(id),
        recurse: lua.to_bool(3),
        extended: lua.to_bool(4),
    };
    let mut room = [0; LONGEST_REQUEST];
    let Some(length) = message::request(name, kind as u16, options, &mut room) else {
        return Ok(Returns(0));
    };
    lua.push_bytes(room.get(..length).unwrap_or_default());
    Ok(Returns(1))
}

/// Ends a call with nil and what is wrong. May raise.
fn refuse(lua: Lua, problem: Problem) -> Outcome {
    lua.push_nil();
    let (text, number) = problem.parts();
    lua.push_bytes(text);
    if let Some((number, rest)) = number {
        lua.push_integer(number.into());
        lua.push_bytes(rest);
        lua.concat(3);
    }
    Ok(Returns(2))
}

/// `matches(request, reply)` -> true, or nil and why not.
fn matches(lua: Lua) -> Outcome {
    match message::matches(lua.string(1)?, lua.string(2)?) {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(problem) => refuse(lua, problem),
    }
}

/// `lifetime(reply)` -> seconds.
fn lifetime(lua: Lua) -> Outcome {
    lua.push_integer(message::lifetime(lua.string(1)?).into());
    Ok(Returns(1))
}

/// `parse_response(reply, id [, age])` -> records, or nil and what is wrong.
/// A reply that was kept for `age` seconds has that much less to live.
fn parse_response(lua: Lua) -> Outcome {
    let (reply, id) = (lua.string(1)?, lua.integer(2)?);
    let age = lua.integer_or(3, 0)?.clamp(0, u32::MAX.into()) as u32;
    let id = u16::try_from(id).map_err(|_| Error::argument(2, "out of range"))?;
    match push_records(lua, reply, id, age) {
        Ok(()) => Ok(Returns(1)),
        Err(problem) => refuse(lua, problem),
    }
}

fn push_records(lua: Lua, reply: &[u8], id: u16, age: u32) -> Result<(), Problem> {
    let mut answers = message::answers(reply, id)?;
    lua.push_table(1, 0);
    let mut name = Name::new();
    let mut index = 0;
    while let Some(record) = answers.next(&mut name) {
        let record = record?;
        lua.push_table(0, 8);
        lua.set_bytes(-1, c"name", name.text());
        for (field, value) in [
            (c"section", 1),
            (c"type", record.kind.into()),
            (c"class", record.class.into()),
            (c"ttl", record.ttl.saturating_sub(age)),
        ] {
            lua.set_integer(-1, field, value.into());
        }
        record.read(&mut name, &mut Table(lua))?;
        index += 1;
        lua.raw_set_index(-2, index);
    }
    Ok(())
}

/// The table on top of the stack, which gets the data of a record.
struct Table(Lua);

impl Fields for Table {
    fn address(&mut self, bytes: &[u8]) {
        let mut ip = [0; 16];
        for (place, byte) in ip.iter_mut().zip(bytes) {
            *place = *byte;
        }
        format_ip(family(bytes.len()), &ip, |text| self.bytes("address", text));
    }

    fn number(&mut self, field: &'static str, value: u32) {
        self.0.push_str(field);
        self.0.push_integer(value.into());
        self.0.raw_set(-3);
    }

    fn name(&mut self, field: &'static str, name: &Name) {
        self.bytes(field, name.text());
    }

    fn strings(&mut self, field: &'static str, mut strings: Strings<'_>) {
        let first = strings.next().unwrap_or_default();
        let Some(second) = strings.next() else {
            return self.bytes(field, first);
        };
        self.0.push_str(field);
        self.0.push_table(2, 0);
        for (index, string) in [first, second].into_iter().chain(strings).enumerate() {
            self.0.push_bytes(string);
            self.0.raw_set_index(-2, index as i64 + 1);
        }
        self.0.raw_set(-3);
    }

    fn bytes(&mut self, field: &'static str, bytes: &[u8]) {
        self.0.push_str(field);
        self.0.push_bytes(bytes);
        self.0.raw_set(-3);
    }
}

const fn family(length: usize) -> c_int {
    if length == 4 {
        libc::AF_INET
    } else {
        libc::AF_INET6
    }
}

/// `hosts(text, name, lists)`: appends the addresses of a host to `lists[1]`
/// (IPv4) and `lists[28]` (IPv6), in their order.
fn hosts(lua: Lua) -> Outcome {
    let (text, name) = (lua.string(1)?, lua.string(2)?);
    lua.expect(3, ffi::LUA_TTABLE)?;
    files::hosts(text, name, &mut |address| {
        let mut ip = [0; 16];
        for (family, kind) in [(libc::AF_INET, A), (libc::AF_INET6, AAAA)] {
            if parse_ip(family, address, &mut ip) {
                lua.raw_get_index(3, kind.into());
                if lua.type_of(-1) == ffi::LUA_TTABLE {
                    lua.push_bytes(address);
                    lua.raw_set_index(-2, lua.raw_len(-2) as i64 + 1);
                }
                lua.pop(1);
            }
        }
    });
    Ok(Returns(0))
}

/// `resolv_conf(text)` -> the arrays `nameserver` and `search`, and `options` by name.
fn resolv_conf(lua: Lua) -> Outcome {
    let text = lua.string(1)?;
    lua.set_top(1);
    lua.push_table(0, 3);
    for field in [c"nameserver", c"search", c"options"] {
        lua.push_table(0, 0);
        lua.set_field(2, field);
    }
    lua.get_field(2, c"options");
    files::resolv_conf(text, &mut |setting| match setting {
        Setting::NameServer(address) => append(lua, c"nameserver", address),
        Setting::Domain(domain) => append(lua, c"search", domain),
        Setting::Search => {
            lua.push_table(0, 0);
            lua.set_field(2, c"search");
        }
        Setting::Choice(name, value) => {
            lua.push_bytes(name);
            match value {
                Some(value) => lua.push_integer(value.into()),
                None => lua.push_bool(true),
            }
            lua.raw_set(3);
        }
    });
    lua.set_top(2);
    Ok(Returns(1))
}

/// Appends to an array of the table at 2. May raise.
fn append(lua: Lua, field: &CStr, bytes: &[u8]) {
    lua.get_field(2, field);
    lua.push_bytes(bytes);
    lua.raw_set_index(-2, lua.raw_len(-2) as i64 + 1);
    lua.pop(1);
}
