//! Keys of option tables: names that no option has are refused.
//!
//! Scripts of 4.x may hand over tables with fields of their own. Functions that
//! they know refuse only what is an option with a slip in it: one letter too
//! few, too many, another one, or two that changed places. Others refuse all
//! that they do not know.

use std::ffi::c_int;

use super::{ffi, Error, Lua, Outcome, Returns};

/// Shorter names are too close to words that scripts may use: `name` and `names`.
const SHORTEST: usize = 6;

/// What is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    Slips,
    Unknown,
}

/// True when one slip makes `key` of `name`.
fn is_slip(name: &[u8], key: &[u8]) -> bool {
    if name.len() < SHORTEST || name.len().abs_diff(key.len()) > 1 {
        return false;
    }
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = name.iter().zip(key).take_while(same).count();
    let (name, key) = (&name[head..], &key[head..]);
    let tail = (name.iter().rev().zip(key.iter().rev()))
        .take_while(same)
        .count();
    match (&name[..name.len() - tail], &key[..key.len() - tail]) {
        ([a, b], [c, d]) => a == d && b == c,
        (name, key) => name.len() <= 1 && key.len() <= 1,
    }
}

impl Lua {
    /// Pushes what is wrong with a key of the table at `index`, whose options
    /// have the `names`; false, and nothing pushed, when all are well. Keys that
    /// are no strings are no options. May raise.
    fn push_stray(self, index: c_int, names: &[u8], strictness: Strictness) -> bool {
        let words = || names.split(|&byte| byte == b' ');
        self.push_nil();
        while self.next(index) {
            self.pop(1);
            let Some(key) = self.bytes(-1) else { continue };
            if words().any(|name| name == key) {
                continue;
            }
            let meant = words().find(|name| is_slip(name, key));
            if meant.is_none() && strictness == Strictness::Slips {
                continue;
            }
            self.push_str("unknown option '");
            self.insert(-2);
            self.push_str("'");
            let mut count = 3;
            if let Some(meant) = meant {
                self.push_str(": is it '");
                self.push_bytes(meant);
                self.push_str("'?");
                count += 3;
            }
            self.concat(count);
            return true;
        }
        false
    }

    /// Refuses unknown keys of the option table that is argument `index`, for a
    /// function that owns nothing with a destructor.
    pub fn expect_options(self, index: c_int, names: &str) {
        if self.push_stray(index, names.as_bytes(), Strictness::Unknown) {
            self.raise_argument(index);
        }
    }
}

/// `options(table, names, position, function [, strict])`, for functions in Lua: raises at
/// the place in the script that called one of ours.
pub fn options(lua: Lua) -> Outcome {
    if lua.type_of(1) != ffi::LUA_TTABLE {
        return Ok(Returns(0));
    }
    let strictness = if lua.to_bool(5) {
        Strictness::Unknown
    } else {
        Strictness::Slips
    };
    if !lua.push_stray(1, lua.string(2)?, strictness) {
        return Ok(Returns(0));
    }
    let text = lua.top();
    // Ours are named after their modules, or have no lines.
    for level in 1..20 {
        lua.push_where(level);
        let place = lua.to_bytes(-1);
        if !place.is_empty() && !place.starts_with(b"eco.") {
            break;
        }
        lua.set_top(text);
    }
    if lua.top() == text {
        lua.push_str("");
    }
    lua.push_str("bad argument #");
    lua.push_value(3);
    lua.push_str(" to '");
    lua.push_value(4);
    lua.push_str("' (");
    lua.push_value(text);
    lua.push_str(")");
    lua.concat(8);
    Err(Error::raised())
}

#[cfg(test)]
mod tests {
    use super::is_slip;

    #[test]
    fn slips_of_one_letter() {
        for key in [
            "max_bdy",
            "max_bodyy",
            "max_bady",
            "max_boyd",
            "maxbody",
            "ax_body",
        ] {
            assert!(is_slip(b"max_body", key.as_bytes()), "{key}");
        }
        for key in [
            "max_body_size",
            "min_size",
            "body",
            "max_bd",
            "amx_boyd",
            "",
        ] {
            assert!(!is_slip(b"max_body", key.as_bytes()), "{key}");
        }
        assert!(!is_slip(b"names", b"name"));
    }
}
