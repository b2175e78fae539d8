//! Methods of an object as the bus publishes them: a table per method, in it an argument name and a type number each.

use crate::blob::BuildError;
use crate::blobmsg::{Builder, Table, TableBuf, Value};

/// Methods read from a message.
///
/// ```
/// use ubus::blobmsg::Type;
/// use ubus::signature::{Signature, SignatureBuilder};
///
/// let mut builder = SignatureBuilder::new();
/// builder.method("echo").argument("text", Type::String.number());
/// builder.method("fail");
/// let methods = builder.finish()?;
///
/// let signature = Signature::new(methods.as_table());
/// let echo = signature.methods().next().unwrap();
/// assert_eq!(echo.name, b"echo");
/// assert_eq!(echo.arguments().next(), Some((&b"text"[..], 3)));
/// # Ok::<(), ubus::blob::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signature<'a> {
    table: Table<'a>,
}

/// One method and what it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method<'a> {
    /// Its name.
    pub name: &'a [u8],
    arguments: Table<'a>,
}

impl<'a> Signature<'a> {
    /// Reads a signature; what is not a method is left out.
    pub fn new(table: Table<'a>) -> Signature<'a> {
        Signature { table }
    }

    /// The methods in order.
    pub fn methods(self) -> impl Iterator<Item = Method<'a>> {
        self.table.iter().filter_map(|entry| {
            let arguments = entry.value.as_table()?;
            let name = entry.name;
            Some(Method { name, arguments })
        })
    }
}

impl<'a> Method<'a> {
    /// Names and type numbers, which may be none that [`crate::blobmsg::Type`] knows.
    pub fn arguments(self) -> impl Iterator<Item = (&'a [u8], u32)> {
        self.arguments.iter().filter_map(|entry| match entry.value {
            Value::Int32(number) => Some((entry.name, number as u32)),
            _ => None,
        })
    }
}

/// Writes methods and their arguments.
#[derive(Clone, Debug, Default)]
pub struct SignatureBuilder {
    builder: Builder,
    open: bool,
}

impl SignatureBuilder {
    /// No methods.
    pub fn new() -> SignatureBuilder {
        SignatureBuilder::default()
    }

    /// Adds a method; the arguments that follow are its own.
    pub fn method(&mut self, name: impl AsRef<[u8]>) -> &mut SignatureBuilder {
        if std::mem::replace(&mut self.open, true) {
            self.builder.close();
        }
        self.builder.open_table(name);
        self
    }

    /// Adds an argument of the method added last, with the number of its type.
    pub fn argument(&mut self, name: impl AsRef<[u8]>, number: u32) -> &mut SignatureBuilder {
        self.builder.id(name, number);
        self
    }

    /// The methods, for a message.
    pub fn finish(mut self) -> Result<TableBuf, BuildError> {
        if self.open {
            self.builder.close();
        }
        self.builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    #[test]
    fn methods_are_built_byte_for_byte() {
        let mut builder = SignatureBuilder::new();
        builder.method("echo").argument("text", 3).argument("n", 5);
        builder.method("fail");
        let expected = hex(
            "82000028 0004 6563686f 0000 85000010 0004 74657874 0000 00000003
             8500000c 0001 6e 00 00000005 8200000c 0004 6661696c 0000",
        );
        assert_eq!(builder.finish().unwrap().into_bytes(), expected);
        assert!(SignatureBuilder::new()
            .finish()
            .unwrap()
            .iter()
            .next()
            .is_none());
    }

    #[test]
    fn what_is_not_a_method_is_left_out() {
        let mut builder = Builder::new();
        builder.int("number", 1).open_table("good");
        builder.string("text", "x").id("odd", 77).close();
        let table = builder.finish().unwrap();
        let methods: Vec<_> = Signature::new(table.as_table()).methods().collect();
        assert_eq!(methods.len(), 1);
        assert_eq!(methods[0].name, b"good");
        assert!(methods[0].arguments().eq([(&b"odd"[..], 77)]));
    }
}
