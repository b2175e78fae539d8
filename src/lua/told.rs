//! What `tostring` says of an object: the name of its kind, and in parentheses
//! what it holds.

use super::{function, Lua, Outcome, Returns};

/// A part of such a text.
pub enum Word<'a> {
    Text(&'a [u8]),
    Number(i64),
}

impl Lua {
    /// Ends `__tostring` with a text of these words. May raise.
    pub fn told(self, words: &[Word]) -> Outcome {
        let mut count = 0;
        for word in words {
            match *word {
                Word::Text(text) => self.push_bytes(text),
                Word::Number(number) => self.push_integer(number),
            }
            count += 1;
        }
        self.concat(count);
        Ok(Returns(1))
    }
}

/// `kind(metatable, name [, tell])` -> the metatable, for objects that are tables:
/// `tell(object)` gives what is between the parentheses.
pub fn kind(lua: Lua) -> Outcome {
    lua.set_top(3);
    lua.push_value(2);
    lua.set_field(1, c"__name");
    if lua.to_bool(3) {
        lua.push_closure(function(told), 2);
        lua.set_field(1, c"__tostring");
    }
    lua.set_top(1);
    Ok(Returns(1))
}

/// `__tostring` of such an object: upvalues are the name and `tell`.
fn told(lua: Lua) -> Outcome {
    lua.set_top(1);
    lua.push_value(Lua::upvalue(1));
    lua.push_str(" (");
    lua.push_value(Lua::upvalue(2));
    lua.push_value(1);
    lua.call(1, 1);
    lua.push_str(")");
    lua.concat(4);
    Ok(Returns(1))
}
