//! Messages between Lua states: no bytes panic, what a builder is told is well formed, hints add up to no more than there
//! are bytes, and strangers send no code.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::states::format::Problem;
use lua_eco::states::reader::{Builder, Reader};

/// What lies on the stack.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Table { elements: i64, has_pairs: bool },
    Function { upvalues: u8, done: u8 },
}

struct Stack {
    kinds: Vec<Kind>,
    hints: usize,
    objects: u32,
    variables: u32,
    is_trusted: bool,
    length: usize,
}

type Done = Result<(), Problem>;

impl Stack {
    fn push(&mut self) -> Done {
        self.kinds.push(Kind::Plain);
        Ok(())
    }

    fn pop(&mut self) {
        match self.kinds.pop() {
            Some(Kind::Function { upvalues, done }) => assert_eq!(upvalues, done),
            kind => assert!(kind.is_some()),
        }
    }

    fn object(&mut self, object: u32) {
        // Hooks have numbers, too, from their beginning on.
        assert!(object >= self.objects);
        self.objects = object + 1;
    }

    fn code(&mut self) -> Done {
        assert!(self.is_trusted);
        self.push()
    }

    fn upvalue_is_done(&mut self, n: u8) {
        match self.kinds.last_mut() {
            Some(Kind::Function { done, .. }) => {
                *done += 1;
                assert_eq!(*done, n);
            }
            _ => panic!("an upvalue of no function"),
        }
    }
}

impl Builder for Stack {
    fn nil(&mut self) -> Done {
        self.push()
    }
    fn boolean(&mut self, _: bool) -> Done {
        self.push()
    }
    fn integer(&mut self, _: i64) -> Done {
        self.push()
    }
    fn float(&mut self, _: f64) -> Done {
        self.push()
    }
    fn string(&mut self, _: &[u8]) -> Done {
        self.push()
    }
    fn pointer(&mut self, _: u64) -> Done {
        self.code()
    }
    fn globals(&mut self) -> Done {
        self.code()
    }
    fn reference(&mut self, object: u32) -> Done {
        assert!((object as usize) < self.length);
        self.push()
    }
    fn table(&mut self, object: u32, elements: u32, pairs: u32) -> Done {
        self.object(object);
        self.hints += elements as usize + pairs as usize;
        self.kinds.push(Kind::Table {
            elements: 0,
            has_pairs: false,
        });
        Ok(())
    }
    fn element(&mut self, index: i64) -> Done {
        self.pop();
        match self.kinds.last_mut() {
            Some(Kind::Table {
                elements,
                has_pairs: false,
            }) => {
                *elements += 1;
                assert_eq!(*elements, index);
            }
            _ => panic!("an element of no table"),
        }
        Ok(())
    }
    fn pair(&mut self) -> Done {
        self.pop();
        self.pop();
        match self.kinds.last_mut() {
            Some(Kind::Table { has_pairs, .. }) => *has_pairs = true,
            _ => panic!("a pair of no table"),
        }
        Ok(())
    }
    fn function(&mut self, object: u32, _: &[u8], upvalues: u8) -> Done {
        assert!(self.is_trusted);
        self.object(object);
        self.kinds.push(Kind::Function { upvalues, done: 0 });
        Ok(())
    }
    fn variable(&mut self, object: u32, n: u8) -> Done {
        assert!(object < self.objects);
        self.variables += 1;
        match self.kinds.last() {
            Some(Kind::Function { done, upvalues }) => assert!(done + 1 == n && n <= *upvalues),
            _ => panic!("a variable of no function"),
        }
        Ok(())
    }
    fn upvalue(&mut self, n: u8) -> Done {
        self.pop();
        self.upvalue_is_done(n);
        Ok(())
    }
    fn join(&mut self, n: u8, variable: u32) -> Done {
        assert!(variable < self.variables);
        self.upvalue_is_done(n);
        Ok(())
    }
    fn hooked(&mut self, object: u32) -> Done {
        assert!((object as usize) < self.length);
        self.pop();
        self.pop();
        self.code()
    }
    fn shared(&mut self, object: u32, _: u32) -> Done {
        self.object(object);
        self.push()
    }
    fn module(&mut self, _: &[u8]) -> Done {
        self.code()
    }
    fn member(&mut self, _: &[u8], _: &[u8]) -> Done {
        self.code()
    }
}

fuzz_target!(|input: &[u8]| {
    for is_trusted in [false, true] {
        let Ok(mut reader) = Reader::new(input, 100, is_trusted) else {
            continue;
        };
        let mut stack = Stack {
            kinds: Vec::new(),
            hints: 0,
            objects: 0,
            variables: 0,
            is_trusted,
            length: input.len(),
        };
        let result = reader.read(&mut stack);
        assert!(stack.hints <= input.len());
        if result.is_ok() {
            assert_eq!(stack.kinds.len(), reader.count());
        }
    }
});
