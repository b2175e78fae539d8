//! Bytes to Lua values.
//!
//! What is under way lies on Lua's stack, in the frame of a protected call.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use super::codec::Options;
use super::format::Problem;
use super::reader::{Builder, Reader};
use super::Shared;
use crate::lua::{ffi, Error, Lua};

/// What the protected call gets.
struct Call<'a, 'b> {
    decoder: Cell<Option<&'a mut Decoder<'b>>>,
    problem: Cell<Option<Problem>>,
}

struct Decoder<'a> {
    reader: Reader<'a>,
    shared: &'a [Shared],
    variables: Vec<Variable>,
}

/// Whose upvalue it was first.
struct Variable {
    object: u32,
    n: u8,
}

/// Pushes the values of a message; gives how many.
pub fn decode(
    lua: Lua,
    bytes: &[u8],
    shared: &[Shared],
    options: &Options,
) -> Result<c_int, Error> {
    if bytes.len() > options.limit {
        return Err(Problem::Long.into());
    }
    let mut decoder = Decoder {
        reader: Reader::new(bytes, options.depth, options.is_trusted)?,
        shared,
        variables: Vec::new(),
    };
    let count = c_int::try_from(decoder.reader.count()).map_err(|_| Problem::Long)?;
    let top = lua.top();
    let call = Call {
        decoder: Cell::new(Some(&mut decoder)),
        problem: Cell::new(None),
    };
    lua.protect(ffi::LUA_MULTRET, &call, |lua, call| {
        let Some(decoder) = call.decoder.take() else {
            return;
        };
        match decoder.run(lua) {
            Ok(()) => {}
            Err(Problem::Raised) => lua.raise(Error::raised()),
            Err(problem) => {
                call.problem.set(Some(problem));
                lua.set_top(0);
            }
        }
    })?;
    if let Some(problem) = call.problem.get() {
        lua.set_top(top);
        return Err(problem.into());
    }
    Ok(count)
}

impl Decoder<'_> {
    /// Leaves the values in the frame. May raise.
    fn run(&mut self, lua: Lua) -> Result<(), Problem> {
        if !lua.ensure((self.reader.count() as c_int).saturating_add(FRAME)) {
            return Err(Problem::Deep);
        }
        let refers = self.reader.refers();
        if refers {
            lua.push_table(0, 0);
        }
        let mut stack = Stack {
            lua,
            refers,
            shared: self.shared,
            variables: &mut self.variables,
        };
        self.reader.read(&mut stack)?;
        if refers {
            lua.remove(OBJECTS);
        }
        Ok(())
    }
}

/// Slots that what is open needs at most, those of a step in it included.
const FRAME: c_int = 24;

/// Slot of the table of objects by their numbers and 1, if there are references.
const OBJECTS: c_int = 1;

/// Builds on Lua's stack; what does may raise.
struct Stack<'a> {
    lua: Lua,
    refers: bool,
    shared: &'a [Shared],
    variables: &'a mut Vec<Variable>,
}

impl Stack<'_> {
    /// Notes the object on top.
    fn note(&self, object: u32) {
        if self.refers {
            self.lua.push_value(-1);
            self.lua.raw_set_index(OBJECTS, i64::from(object) + 1);
        }
    }

    fn room(&self) -> Result<(), Problem> {
        if self.lua.ensure(FRAME) {
            Ok(())
        } else {
            Err(Problem::Deep)
        }
    }

    /// Pushes a module, whose name is on top.
    fn require(&self) {
        let lua = self.lua;
        lua.push_global(c"require");
        lua.insert(-2);
        lua.call(1, 1);
    }
}

impl Builder for Stack<'_> {
    fn nil(&mut self) -> Result<(), Problem> {
        self.lua.push_nil();
        Ok(())
    }

    fn boolean(&mut self, value: bool) -> Result<(), Problem> {
        self.lua.push_bool(value);
        Ok(())
    }

    fn integer(&mut self, value: i64) -> Result<(), Problem> {
        self.lua.push_integer(value);
        Ok(())
    }

    fn float(&mut self, value: f64) -> Result<(), Problem> {
        self.lua.push_number(value);
        Ok(())
    }

    fn string(&mut self, value: &[u8]) -> Result<(), Problem> {
        self.lua.push_bytes(value);
        Ok(())
    }

    fn pointer(&mut self, value: u64) -> Result<(), Problem> {
        let address = usize::try_from(value).map_err(|_| Problem::Bad)?;
        self.lua.push_pointer(address as *const c_void);
        Ok(())
    }

    fn globals(&mut self) -> Result<(), Problem> {
        self.lua
            .raw_get_index(ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        Ok(())
    }

    fn reference(&mut self, object: u32) -> Result<(), Problem> {
        self.lua.raw_get_index(OBJECTS, i64::from(object) + 1);
        Ok(())
    }

    fn table(&mut self, object: u32, elements: u32, pairs: u32) -> Result<(), Problem> {
        self.room()?;
        self.lua.push_table(elements as c_int, pairs as c_int);
        self.note(object);
        Ok(())
    }

    fn element(&mut self, index: i64) -> Result<(), Problem> {
        self.lua.raw_set_index(-2, index);
        Ok(())
    }

    fn pair(&mut self) -> Result<(), Problem> {
        self.lua.raw_set(-3);
        Ok(())
    }

    fn function(&mut self, object: u32, code: &[u8], upvalues: u8) -> Result<(), Problem> {
        self.room()?;
        if !self.lua.push_bytecode(code) {
            return Err(Problem::Chunk);
        }
        if self.lua.upvalue_count(-1) != upvalues {
            return Err(Problem::Chunk);
        }
        self.note(object);
        Ok(())
    }

    fn variable(&mut self, object: u32, n: u8) -> Result<(), Problem> {
        if self.refers {
            self.variables.try_reserve(1).map_err(|_| Problem::Memory)?;
            self.variables.push(Variable { object, n });
        }
        Ok(())
    }

    fn upvalue(&mut self, n: u8) -> Result<(), Problem> {
        self.lua.set_upvalue_of(-2, n);
        Ok(())
    }

    fn join(&mut self, n: u8, variable: u32) -> Result<(), Problem> {
        let found = self.variables.get(variable as usize).ok_or(Problem::Bad)?;
        let lua = self.lua;
        lua.raw_get_index(OBJECTS, i64::from(found.object) + 1);
        let joined = lua.join_upvalues((lua.top() - 1, n), (lua.top(), found.n));
        lua.pop(1);
        if joined {
            Ok(())
        } else {
            Err(Problem::Bad)
        }
    }

    fn hooked(&mut self, object: u32) -> Result<(), Problem> {
        let lua = self.lua;
        self.room()?;
        if lua.type_of(-2) == ffi::LUA_TSTRING {
            lua.push_value(-2);
            if lua.raw_get(ffi::LUA_REGISTRYINDEX) != ffi::LUA_TFUNCTION {
                lua.pop(1);
                self.globals()?;
                lua.push_value(-3);
                lua.raw_get(-2);
                lua.remove(-2);
            }
            if lua.type_of(-1) != ffi::LUA_TFUNCTION {
                lua.push_where(2);
                lua.push_str("failed to find a valid decoder for `");
                lua.push_value(-5);
                lua.push_str("'");
                lua.concat(4);
                return Err(Problem::Raised);
            }
            lua.replace(-3);
        } else if lua.type_of(-2) != ffi::LUA_TFUNCTION {
            return Err(Problem::Bad);
        }
        lua.call(1, 1);
        self.note(object);
        Ok(())
    }

    fn shared(&mut self, object: u32, place: u32) -> Result<(), Problem> {
        self.room()?;
        let shared = self.shared.get(place as usize).ok_or(Problem::Bad)?;
        shared.push(self.lua);
        self.note(object);
        Ok(())
    }

    fn module(&mut self, name: &[u8]) -> Result<(), Problem> {
        self.lua.push_bytes(name);
        self.require();
        Ok(())
    }

    fn member(&mut self, module: &[u8], name: &[u8]) -> Result<(), Problem> {
        let lua = self.lua;
        lua.push_bytes(module);
        self.require();
        if lua.type_of(-1) == ffi::LUA_TTABLE {
            lua.push_bytes(name);
            lua.raw_get(-2);
            lua.remove(-2);
        }
        if lua.type_of(-1) == ffi::LUA_TFUNCTION {
            return Ok(());
        }
        lua.push_where(2);
        lua.push_bytes(module);
        lua.push_str(" holds no function '");
        lua.push_bytes(name);
        lua.push_str("'");
        lua.concat(5);
        Err(Problem::Raised)
    }
}
