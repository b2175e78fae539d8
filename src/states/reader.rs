//! Reads the bytes of a message, and tells a [`Builder`] what is in them.
//!
//! Bytes may come from anybody. What is told is well formed: objects and
//! variables that are referred to came before, tables and functions end, and
//! hints of how much follows add up to no more than there are bytes.

use super::format::{Problem, Tag, HEADER, REFERS, SHORT, SHORT_STRING, SMALL_INTEGER, VERSION};

type Done = Result<(), Problem>;

/// What values are made of, one after the other, each on top of those before:
/// a table or function is there from its beginning, and what belongs into it
/// comes on top of it.
pub trait Builder {
    fn nil(&mut self) -> Done;
    fn boolean(&mut self, value: bool) -> Done;
    fn integer(&mut self, value: i64) -> Done;
    fn float(&mut self, value: f64) -> Done;
    fn string(&mut self, value: &[u8]) -> Done;
    fn pointer(&mut self, value: u64) -> Done;
    /// The table of globals.
    fn globals(&mut self) -> Done;
    /// An object that was there before; nil while its hook has not made it.
    fn reference(&mut self, object: u32) -> Done;
    /// A table begins, of about so many elements and pairs; `object` is its number.
    fn table(&mut self, object: u32, elements: u32, pairs: u32) -> Done;
    /// The value on top is the element of the table below.
    fn element(&mut self, index: i64) -> Done;
    /// The two values on top are key and value of the table below.
    fn pair(&mut self) -> Done;
    /// A function begins.
    fn function(&mut self, object: u32, code: &[u8], upvalues: u8) -> Done;
    /// The value of upvalue `n` of the function on top, which is an object,
    /// will follow: the next variable.
    fn variable(&mut self, object: u32, n: u8) -> Done;
    /// The value on top is that of upvalue `n` of the function below.
    fn upvalue(&mut self, n: u8) -> Done;
    /// Upvalue `n` of the function on top is a variable that was there before.
    fn join(&mut self, n: u8, variable: u32) -> Done;
    /// The two values on top are a hook and what it makes an object of.
    fn hooked(&mut self, object: u32) -> Done;
    /// One of the objects beside the bytes.
    fn shared(&mut self, object: u32, place: u32) -> Done;
    fn module(&mut self, name: &[u8]) -> Done;
    fn member(&mut self, module: &[u8], name: &[u8]) -> Done;
}

/// Where the next value belongs.
#[derive(Clone, Copy, Debug)]
enum Frame {
    Element(i64),
    Key,
    Value,
    /// Upvalue `n`, which may be one more than there are.
    Upvalue {
        object: u32,
        n: u16,
        count: u8,
    },
    Hook(u32),
    Payload(u32),
}

/// A message that is read.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    frames: Vec<Frame>,
    /// How many values there are.
    count: usize,
    refers: bool,
    depth: usize,
    is_trusted: bool,
    objects: u32,
    variables: u32,
    /// How much of hints is believed.
    credit: usize,
}

impl<'a> Reader<'a> {
    /// Looks at the header. Values may be nested `depth` deep; what only
    /// trusted senders may send is refused from others.
    pub fn new(bytes: &'a [u8], depth: usize, is_trusted: bool) -> Result<Reader<'a>, Problem> {
        let (&[version, flags], rest) = bytes.split_first_chunk::<HEADER>().ok_or(Problem::Bad)?;
        let mut reader = Reader {
            rest,
            frames: Vec::new(),
            count: 0,
            refers: flags & REFERS != 0,
            depth,
            is_trusted,
            objects: 0,
            variables: 0,
            credit: rest.len(),
        };
        reader.count = reader.length()?;
        if version != VERSION || flags & !REFERS != 0 {
            return Err(Problem::Bad);
        }
        Ok(reader)
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether values refer to objects or variables before them.
    pub fn refers(&self) -> bool {
        self.refers
    }

    /// Reads every value, and that nothing follows. The builder may leave by a
    /// jump; the reader is of no use then.
    pub fn read(&mut self, builder: &mut impl Builder) -> Done {
        for _ in 0..self.count {
            self.value(builder)?;
        }
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Problem::Bad)
        }
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        let (&byte, rest) = self.rest.split_first().ok_or(Problem::Bad)?;
        self.rest = rest;
        Ok(byte)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Problem> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Problem::Bad)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Problem> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Problem::Bad);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Problem::Bad)
    }

    /// A count of things that follow, a byte each at least.
    fn length(&mut self) -> Result<usize, Problem> {
        let length = usize::try_from(self.number()?).map_err(|_| Problem::Bad)?;
        if length > self.rest.len() {
            return Err(Problem::Bad);
        }
        Ok(length)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> Result<u32, Problem> {
        let number = u32::try_from(self.number()?).map_err(|_| Problem::Bad)?;
        if number >= limit || !self.refers {
            return Err(Problem::Bad);
        }
        Ok(number)
    }

    /// As much of a hint as the bytes justify.
    fn hint(&mut self, wanted: usize) -> u32 {
        let most = self.credit.min(i32::MAX as usize);
        let granted = wanted.min(most);
        self.credit -= granted;
        granted as u32
    }

    fn next_object(&mut self) -> Result<u32, Problem> {
        let object = self.objects;
        self.objects = object.checked_add(1).ok_or(Problem::Long)?;
        Ok(object)
    }

    fn enter(&mut self, frame: Frame) -> Done {
        if self.frames.len() >= self.depth {
            return Err(Problem::Deep);
        }
        self.frames.try_reserve(1).map_err(|_| Problem::Memory)?;
        self.frames.push(frame);
        Ok(())
    }

    fn only_trusted(&self) -> Done {
        if self.is_trusted {
            Ok(())
        } else {
            Err(Problem::Refused)
        }
    }

    /// Reads one value with all that is in it.
    fn value(&mut self, builder: &mut impl Builder) -> Done {
        if !self.begin(builder, false)? {
            return Ok(());
        }
        while let Some(frame) = self.frames.last_mut() {
            let next = self.rest.first().copied();
            let is_key = match *frame {
                Frame::Element(_) | Frame::Key if next == Some(Tag::End as u8) => {
                    self.rest = self.rest.get(1..).unwrap_or_default();
                    self.leave(builder)?;
                    continue;
                }
                Frame::Element(_) if next == Some(Tag::Pairs as u8) => {
                    self.rest = self.rest.get(1..).unwrap_or_default();
                    *frame = Frame::Key;
                    continue;
                }
                Frame::Upvalue { n, count, .. } if n > count.into() => {
                    self.leave(builder)?;
                    continue;
                }
                Frame::Upvalue { n, .. } if next == Some(Tag::Variable as u8) => {
                    self.rest = self.rest.get(1..).unwrap_or_default();
                    let variable = self.below(self.variables)?;
                    builder.join(n as u8, variable)?;
                    self.advance();
                    continue;
                }
                Frame::Upvalue { object, n, .. } => {
                    self.variables = self.variables.checked_add(1).ok_or(Problem::Long)?;
                    builder.variable(object, n as u8)?;
                    false
                }
                Frame::Key => true,
                _ => false,
            };
            if !self.begin(builder, is_key)? {
                self.store(builder)?;
            }
        }
        Ok(())
    }

    /// The upvalue of the innermost frame is settled.
    fn advance(&mut self) {
        if let Some(Frame::Upvalue { n, .. }) = self.frames.last_mut() {
            *n += 1;
        }
    }

    /// The table or function of the innermost frame is complete.
    fn leave(&mut self, builder: &mut impl Builder) -> Done {
        self.frames.pop();
        self.store(builder)
    }

    /// The value on top is complete.
    fn store(&mut self, builder: &mut impl Builder) -> Done {
        while let Some(frame) = self.frames.last_mut() {
            match frame {
                Frame::Element(index) => {
                    builder.element(*index)?;
                    *index += 1;
                }
                Frame::Key => *frame = Frame::Value,
                Frame::Value => {
                    builder.pair()?;
                    *frame = Frame::Key;
                }
                Frame::Upvalue { n, .. } => {
                    builder.upvalue(*n as u8)?;
                    self.advance();
                }
                Frame::Hook(object) => *frame = Frame::Payload(*object),
                Frame::Payload(object) => {
                    builder.hooked(*object)?;
                    self.frames.pop();
                    continue;
                }
            }
            return Ok(());
        }
        Ok(())
    }

    /// Reads a tag and what it says; true if more belongs to the value.
    fn begin(&mut self, builder: &mut impl Builder, is_key: bool) -> Result<bool, Problem> {
        let byte = self.byte()?;
        if byte >= SMALL_INTEGER {
            builder.integer((byte & SHORT).into())?;
            return Ok(false);
        }
        if byte >= SHORT_STRING {
            let bytes = self.bytes((byte & SHORT).into())?;
            builder.string(bytes)?;
            return Ok(false);
        }
        match Tag::of(byte).ok_or(Problem::Bad)? {
            Tag::End | Tag::Pairs | Tag::Variable => return Err(Problem::Bad),
            Tag::Nil if is_key => return Err(Problem::Bad),
            Tag::Nil => builder.nil()?,
            Tag::False => builder.boolean(false)?,
            Tag::True => builder.boolean(true)?,
            Tag::Integer => {
                let bits = self.number()?;
                builder.integer((bits >> 1) as i64 ^ -((bits & 1) as i64))?;
            }
            Tag::Float => {
                let (bytes, rest) = self.rest.split_first_chunk().ok_or(Problem::Bad)?;
                self.rest = rest;
                let value = f64::from_le_bytes(*bytes);
                if is_key && value.is_nan() {
                    return Err(Problem::Bad);
                }
                builder.float(value)?;
            }
            Tag::String => {
                let bytes = self.string()?;
                builder.string(bytes)?;
            }
            Tag::Table => {
                let pairs = match self.byte()? {
                    0 => 0,
                    power => 1_usize.checked_shl(u32::from(power) - 1).unwrap_or(0),
                };
                let elements = usize::try_from(self.number()?).unwrap_or(usize::MAX);
                let (elements, pairs) = (self.hint(elements), self.hint(pairs));
                let object = self.next_object()?;
                self.enter(Frame::Element(1))?;
                builder.table(object, elements, pairs)?;
                return Ok(true);
            }
            Tag::Reference => {
                let object = self.below(self.objects)?;
                builder.reference(object)?;
            }
            Tag::Globals => {
                self.only_trusted()?;
                builder.globals()?;
            }
            Tag::Pointer => {
                self.only_trusted()?;
                let value = self.number()?;
                builder.pointer(value)?;
            }
            Tag::Function => {
                self.only_trusted()?;
                let count = u8::try_from(self.number()?).map_err(|_| Problem::Bad)?;
                let (length, rest) = self.rest.split_first_chunk().ok_or(Problem::Bad)?;
                self.rest = rest;
                let code = self.bytes(u32::from_le_bytes(*length) as usize)?;
                let object = self.next_object()?;
                self.enter(Frame::Upvalue {
                    object,
                    n: 1,
                    count,
                })?;
                builder.function(object, code, count)?;
                return Ok(true);
            }
            Tag::Hook => {
                self.only_trusted()?;
                let object = self.next_object()?;
                self.enter(Frame::Hook(object))?;
                return Ok(true);
            }
            Tag::Shared => {
                let place = u32::try_from(self.number()?).map_err(|_| Problem::Bad)?;
                let object = self.next_object()?;
                builder.shared(object, place)?;
            }
            Tag::Module => {
                self.only_trusted()?;
                let name = self.string()?;
                builder.module(name)?;
            }
            Tag::Member => {
                self.only_trusted()?;
                let (module, name) = (self.string()?, self.string()?);
                builder.member(module, name)?;
            }
        }
        Ok(false)
    }

    fn string(&mut self) -> Result<&'a [u8], Problem> {
        let length = self.length()?;
        self.bytes(length)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::format::Writer;
    use super::*;

    /// A value as a tree, objects by their numbers.
    #[derive(Clone, Debug, PartialEq)]
    enum Value {
        Nil,
        Boolean(bool),
        Integer(i64),
        Float(u64),
        String(Vec<u8>),
        Pointer(u64),
        Globals,
        Reference(u32),
        Table(Vec<Value>, Vec<(Value, Value)>),
        Function(Vec<u8>, Vec<Upvalue>),
        Hook(Box<(Value, Value)>),
        Shared(u32),
        Module(Vec<u8>),
        Member(Vec<u8>, Vec<u8>),
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Upvalue {
        Value(Value),
        Variable(u32),
    }

    /// Builds trees.
    #[derive(Default)]
    struct Trees {
        stack: Vec<Value>,
        hinted: usize,
    }

    impl Trees {
        fn push(&mut self, value: Value) -> Done {
            self.stack.push(value);
            Ok(())
        }

        fn pop(&mut self) -> Value {
            self.stack.pop().unwrap()
        }
    }

    impl Builder for Trees {
        fn nil(&mut self) -> Done {
            self.push(Value::Nil)
        }
        fn boolean(&mut self, value: bool) -> Done {
            self.push(Value::Boolean(value))
        }
        fn integer(&mut self, value: i64) -> Done {
            self.push(Value::Integer(value))
        }
        fn float(&mut self, value: f64) -> Done {
            self.push(Value::Float(value.to_bits()))
        }
        fn string(&mut self, value: &[u8]) -> Done {
            self.push(Value::String(value.to_vec()))
        }
        fn pointer(&mut self, value: u64) -> Done {
            self.push(Value::Pointer(value))
        }
        fn globals(&mut self) -> Done {
            self.push(Value::Globals)
        }
        fn reference(&mut self, object: u32) -> Done {
            self.push(Value::Reference(object))
        }
        fn table(&mut self, _: u32, elements: u32, pairs: u32) -> Done {
            self.hinted += elements as usize + pairs as usize;
            self.push(Value::Table(Vec::new(), Vec::new()))
        }
        fn element(&mut self, index: i64) -> Done {
            let value = self.pop();
            match self.stack.last_mut() {
                Some(Value::Table(elements, pairs)) => {
                    elements.push(value);
                    assert_eq!((elements.len() as i64, pairs.len()), (index, 0));
                }
                other => panic!("element of {other:?}"),
            }
            Ok(())
        }
        fn pair(&mut self) -> Done {
            let (value, key) = (self.pop(), self.pop());
            match self.stack.last_mut() {
                Some(Value::Table(_, pairs)) => pairs.push((key, value)),
                other => panic!("pair of {other:?}"),
            }
            Ok(())
        }
        fn function(&mut self, _: u32, code: &[u8], _: u8) -> Done {
            self.push(Value::Function(code.to_vec(), Vec::new()))
        }
        fn variable(&mut self, _: u32, n: u8) -> Done {
            match self.stack.last() {
                Some(Value::Function(_, upvalues)) => assert_eq!(upvalues.len() + 1, n.into()),
                other => panic!("upvalue of {other:?}"),
            }
            Ok(())
        }
        fn upvalue(&mut self, n: u8) -> Done {
            let value = self.pop();
            match self.stack.last_mut() {
                Some(Value::Function(_, upvalues)) => {
                    upvalues.push(Upvalue::Value(value));
                    assert_eq!(upvalues.len(), n.into());
                }
                other => panic!("upvalue of {other:?}"),
            }
            Ok(())
        }
        fn join(&mut self, n: u8, variable: u32) -> Done {
            match self.stack.last_mut() {
                Some(Value::Function(_, upvalues)) => {
                    upvalues.push(Upvalue::Variable(variable));
                    assert_eq!(upvalues.len(), n.into());
                }
                other => panic!("upvalue of {other:?}"),
            }
            Ok(())
        }
        fn hooked(&mut self, _: u32) -> Done {
            let (payload, hook) = (self.pop(), self.pop());
            self.push(Value::Hook(Box::new((hook, payload))))
        }
        fn shared(&mut self, _: u32, place: u32) -> Done {
            self.push(Value::Shared(place))
        }
        fn module(&mut self, name: &[u8]) -> Done {
            self.push(Value::Module(name.to_vec()))
        }
        fn member(&mut self, module: &[u8], name: &[u8]) -> Done {
            self.push(Value::Member(module.to_vec(), name.to_vec()))
        }
    }

    fn write(writer: &mut Writer, value: &Value) {
        let named = |writer: &mut Writer, name: &[u8]| {
            writer.number(name.len() as u64).unwrap();
            writer.put(name)
        };
        match value {
            Value::Nil => writer.tag(Tag::Nil),
            Value::Boolean(value) => writer.boolean(*value),
            Value::Integer(value) => writer.integer(*value),
            Value::Float(bits) => writer.float(f64::from_bits(*bits)),
            Value::String(value) => writer.string(value),
            Value::Pointer(value) => writer.tagged(Tag::Pointer, *value),
            Value::Globals => writer.tag(Tag::Globals),
            Value::Reference(object) => writer.tagged(Tag::Reference, (*object).into()),
            Value::Shared(place) => writer.tagged(Tag::Shared, (*place).into()),
            Value::Table(elements, pairs) => {
                let place = writer.table(elements.len()).unwrap();
                for element in elements {
                    write(writer, element);
                }
                if !pairs.is_empty() {
                    writer.tag(Tag::Pairs).unwrap();
                }
                for (key, value) in pairs {
                    write(writer, key);
                    write(writer, value);
                }
                writer.pairs(place, pairs.len() as u32);
                writer.tag(Tag::End)
            }
            Value::Function(code, upvalues) => {
                let place = writer.function(upvalues.len() as u8).unwrap();
                writer.put(code).unwrap();
                writer.length(place).unwrap();
                for upvalue in upvalues {
                    match upvalue {
                        Upvalue::Value(value) => write(writer, value),
                        Upvalue::Variable(variable) => {
                            writer.tagged(Tag::Variable, (*variable).into()).unwrap()
                        }
                    }
                }
                Ok(())
            }
            Value::Hook(both) => {
                writer.tag(Tag::Hook).unwrap();
                write(writer, &both.0);
                write(writer, &both.1);
                Ok(())
            }
            Value::Module(name) => {
                writer.tag(Tag::Module).unwrap();
                named(writer, name)
            }
            Value::Member(module, name) => {
                writer.tag(Tag::Member).unwrap();
                named(writer, module).unwrap();
                named(writer, name)
            }
        }
        .unwrap();
    }

    fn message(values: &[Value], refers: bool) -> Vec<u8> {
        let mut writer = Writer::new(usize::MAX, values.len()).unwrap();
        for value in values {
            write(&mut writer, value);
        }
        writer.finish(refers)
    }

    fn read(bytes: &[u8], depth: usize, is_trusted: bool) -> Result<Trees, Problem> {
        let mut trees = Trees::default();
        let mut reader = Reader::new(bytes, depth, is_trusted)?;
        reader.read(&mut trees)?;
        assert_eq!(trees.stack.len(), reader.count());
        assert!(
            trees.hinted <= bytes.len(),
            "{} of {}",
            trees.hinted,
            bytes.len()
        );
        Ok(trees)
    }

    fn value() -> impl Strategy<Value = Value> {
        let bytes = || vec(any::<u8>(), 0..80);
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            (-70..70_i64).prop_map(Value::Integer),
            any::<u64>().prop_map(Value::Float),
            bytes().prop_map(Value::String),
            any::<u64>().prop_map(Value::Pointer),
            Just(Value::Globals),
            (0..9_u32).prop_map(Value::Shared),
            bytes().prop_map(Value::Module),
            (bytes(), bytes()).prop_map(|(module, name)| Value::Member(module, name)),
        ];
        leaf.prop_recursive(6, 200, 12, move |inner| {
            // Keys are neither nil nor NaN, as the writer's are not.
            let key = inner.clone().prop_filter("no key", |key| match key {
                Value::Nil => false,
                Value::Float(bits) => !f64::from_bits(*bits).is_nan(),
                _ => true,
            });
            prop_oneof![
                (vec(inner.clone(), 0..12), vec((key, inner.clone()), 0..12))
                    .prop_map(|(elements, pairs)| Value::Table(elements, pairs)),
                (bytes(), vec(inner.clone().prop_map(Upvalue::Value), 0..12))
                    .prop_map(|(code, upvalues)| Value::Function(code, upvalues)),
                (inner.clone(), inner).prop_map(|both| Value::Hook(Box::new(both))),
            ]
        })
    }

    fn runs(cases: u32) -> ProptestConfig {
        ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(cases)
        }
    }

    proptest! {
        #![proptest_config(runs(300))]

        #[test]
        fn what_is_written_is_read(values in vec(value(), 0..4)) {
            let trees = read(&message(&values, false), 100, true).unwrap();
            prop_assert_eq!(trees.stack, values);
        }

        /// No beginning of a message is one.
        #[test]
        fn cut_messages_are_refused(values in vec(value(), 1..3)) {
            let bytes = message(&values, false);
            for length in 0..bytes.len() {
                prop_assert!(read(&bytes[..length], 100, true).is_err(), "{}", length);
            }
        }

        #[test]
        fn changed_bytes_are_read_or_refused(
            values in vec(value(), 1..3),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            is_trusted in any::<bool>(),
        ) {
            let mut bytes = message(&values, true);
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = read(&bytes, 20, is_trusted);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, 20, true);
            let tagged: Vec<u8> = bytes.iter().map(|byte| byte % 24).collect();
            let _ = read(&[&[VERSION, REFERS, 1], &tagged[..]].concat(), 20, true);
        }
    }

    #[test]
    fn references_are_to_what_came_before() {
        let table = Value::Table(vec![Value::Reference(0), Value::Shared(7)], Vec::new());
        let values = [table, Value::Reference(1)];
        assert_eq!(
            read(&message(&values, true), 9, false).unwrap().stack,
            values
        );
        // A header without the flag, and an object that there is not.
        let refused = |values: &[Value], refers| {
            let result = read(&message(values, refers), 9, true);
            assert_eq!(result.err(), Some(Problem::Bad), "{values:?}");
        };
        refused(&values, false);
        refused(&[Value::Reference(0)], true);
        let upvalues = |upvalues: Vec<Upvalue>| Value::Function(b"code".to_vec(), upvalues);
        let one = upvalues(vec![Upvalue::Value(Value::Nil), Upvalue::Variable(0)]);
        let values = [one, upvalues(vec![Upvalue::Variable(0)])];
        assert_eq!(
            read(&message(&values, true), 9, true).unwrap().stack,
            values
        );
        refused(&[upvalues(vec![Upvalue::Variable(0)])], true);
        refused(&values, false);
    }

    #[test]
    fn functions_have_up_to_255_upvalues() {
        for count in [0, 1, 254, 255] {
            let upvalues = vec![Upvalue::Value(Value::Nil); count];
            let values = [Value::Function(b"code".to_vec(), upvalues), Value::Nil];
            assert_eq!(
                read(&message(&values, false), 9, true).unwrap().stack,
                values
            );
        }
    }

    #[test]
    fn strangers_send_no_code() {
        let nothing = || Box::new((Value::String(b"f".to_vec()), Value::Nil));
        for value in [
            Value::Globals,
            Value::Pointer(0),
            Value::Function(Vec::new(), Vec::new()),
            Value::Hook(nothing()),
            Value::Module(b"os".to_vec()),
            Value::Member(b"os".to_vec(), b"exit".to_vec()),
        ] {
            let bytes = message(&[Value::Table(vec![value.clone()], Vec::new())], false);
            assert!(read(&bytes, 9, true).is_ok(), "{value:?}");
            assert_eq!(
                read(&bytes, 9, false).err(),
                Some(Problem::Refused),
                "{value:?}"
            );
        }
    }

    #[test]
    fn depth_has_its_limit() {
        let nested = |depth| {
            let mut value = Value::Nil;
            for _ in 0..depth {
                value = Value::Table(vec![value], Vec::new());
            }
            message(&[value], false)
        };
        assert!(read(&nested(5), 5, true).is_ok());
        assert_eq!(read(&nested(6), 5, true).err(), Some(Problem::Deep));
    }

    #[test]
    fn hints_ask_for_no_more_than_the_bytes_hold() {
        // Tables in tables, each of which claims to be huge.
        let mut bytes = vec![VERSION, 0, 1];
        for _ in 0..1000 {
            bytes.extend([Tag::Table as u8, 31, 0xff, 0xff, 0xff, 0x7f]);
        }
        bytes.extend([Tag::End as u8; 1000]);
        assert!(read(&bytes, 2000, true).is_ok());
        // More values than there are bytes.
        assert_eq!(read(&[VERSION, 0, 2, 2], 9, true).err(), Some(Problem::Bad));
        for header in [
            &[][..],
            &[VERSION],
            &[VERSION, 0],
            &[2, 0, 0],
            &[VERSION, 2, 0],
        ] {
            assert_eq!(read(header, 9, true).err(), Some(Problem::Bad));
        }
        // Numbers that do not fit.
        let long = [&[VERSION, 0, 1, Tag::Integer as u8][..], &[0xff; 9], &[2]].concat();
        assert_eq!(read(&long, 9, true).err(), Some(Problem::Bad));
        let most = [&[VERSION, 0, 1, Tag::Integer as u8][..], &[0xff; 9], &[1]].concat();
        assert_eq!(
            read(&most, 9, true).unwrap().stack,
            [Value::Integer(i64::MIN)]
        );
    }

    /// What a builder refuses ends the reading at once.
    #[test]
    fn problems_of_the_builder_end_it() {
        thread_local!(static LEFT: Cell<u32> = const { Cell::new(0) });
        struct Failing(Trees);
        macro_rules! failing {
            ($($name:ident($($arg:ident: $type:ty),*);)*) => {
                impl Builder for Failing {
                    $(fn $name(&mut self $(, $arg: $type)*) -> Done {
                        match LEFT.get().checked_sub(1) {
                            None => return Err(Problem::Memory),
                            Some(left) => LEFT.set(left),
                        }
                        self.0.$name($($arg),*)
                    })*
                }
            };
        }
        failing! {
            nil(); boolean(value: bool); integer(value: i64); float(value: f64); string(value: &[u8]);
            pointer(value: u64); globals(); reference(object: u32); table(object: u32, elements: u32, pairs: u32);
            element(index: i64); pair(); function(object: u32, code: &[u8], upvalues: u8); variable(object: u32, n: u8);
            upvalue(n: u8); join(n: u8, variable: u32); hooked(object: u32); shared(object: u32, place: u32);
            module(name: &[u8]); member(module: &[u8], name: &[u8]);
        }
        let pair = (Value::Boolean(true), Value::Float(0));
        let values = [
            Value::Table(vec![Value::Nil, Value::Reference(0)], vec![pair]),
            Value::Function(
                b"code".to_vec(),
                vec![Upvalue::Value(Value::Globals), Upvalue::Variable(0)],
            ),
            Value::Hook(Box::new((Value::Module(Vec::new()), Value::Shared(0)))),
        ];
        let bytes = message(&values, true);
        for count in 0.. {
            LEFT.set(count);
            let mut builder = Failing(Trees::default());
            match Reader::new(&bytes, 9, true).unwrap().read(&mut builder) {
                Ok(()) => {
                    assert!(count > 10);
                    break;
                }
                Err(problem) => assert_eq!((problem, LEFT.get()), (Problem::Memory, 0)),
            }
        }
    }
}
