//! Whether the arguments of a call are what its method says it takes.
//!
//! What a method does not name is ignored, and an argument may be missing or null. A number may have another width if its value
//! fits, and may be whole where a double is expected; booleans and numbers do not mix. An empty list passes for an empty table and
//! the other way round, since not every sender can tell them apart.

use crate::blobmsg::{Table, Type, Value};
use crate::signature::Method;

/// Whether no argument contradicts the method.
pub fn accepts(method: Method<'_>, data: Table<'_>) -> bool {
    data.iter().all(|entry| {
        let mut declared = method.arguments();
        match declared.find(|(name, _)| *name == entry.name) {
            Some((_, number)) => matches(number, entry.value),
            None => true,
        }
    })
}

/// Whether a value passes for a type number; one without a meaning asks for nothing.
fn matches(number: u32, value: Value<'_>) -> bool {
    let is_empty = match value {
        Value::Unspec(_) => return true,
        Value::Array(array) => array.entries().next().is_none(),
        Value::Table(table) => table.is_empty(),
        _ => false,
    };
    let whole = match value {
        Value::Int8(_) => None,
        value => value.as_int(),
    };
    match Type::from_number(number) {
        None | Some(Type::Unspec) => true,
        Some(Type::Array | Type::Table) if is_empty => true,
        Some(Type::Int64) => whole.is_some(),
        Some(Type::Int32) => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
        Some(Type::Int16) => whole.is_some_and(|whole| i16::try_from(whole).is_ok()),
        // Beyond 53 bits a double no longer tells whole numbers apart.
        Some(Type::Double) => match whole {
            Some(whole) => whole.unsigned_abs() <= 1 << 53,
            None => value.kind() == Type::Double,
        },
        Some(kind) => value.kind() == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobmsg::Builder;
    use crate::signature::{Signature, SignatureBuilder};

    fn check(kind: Type, add: fn(&mut Builder) -> &mut Builder) -> bool {
        let mut signature = SignatureBuilder::new();
        signature.method("m").argument("a", kind.number());
        let signature = signature.finish().unwrap();
        let mut builder = Builder::new();
        add(&mut builder);
        let data = builder.finish().unwrap();
        let method = Signature::new(signature.as_table()).methods().next();
        accepts(method.unwrap(), data.as_table())
    }

    #[test]
    fn types_must_match() {
        assert!(check(Type::String, |b| b.string("a", "x")));
        assert!(!check(Type::String, |b| b.int("a", 1)));
        assert!(!check(Type::Int32, |b| b.string("a", "1")));
        assert!(check(Type::Int8, |b| b.bool("a", true)));
        assert!(!check(Type::Int8, |b| b.int("a", 1)));
        assert!(!check(Type::Int32, |b| b.bool("a", true)));
        assert!(check(Type::Table, |b| b
            .open_table("a")
            .int("k", 1)
            .close()));
        assert!(!check(Type::Table, |b| b
            .open_array("a")
            .int("", 1)
            .close()));
    }

    #[test]
    fn numbers_may_have_any_width_that_holds_them() {
        assert!(check(Type::Int64, |b| b.int16("a", -1)));
        assert!(check(Type::Int16, |b| b.int64("a", -32768)));
        assert!(!check(Type::Int16, |b| b.int32("a", 32768)));
        assert!(!check(Type::Int32, |b| b.int64("a", 1 << 31)));
        assert!(check(Type::Double, |b| b.int64("a", -(1 << 53))));
        assert!(!check(Type::Double, |b| b.int64("a", i64::MIN)));
        assert!(!check(Type::Int32, |b| b.double("a", 1.0)));
    }

    #[test]
    fn what_is_missing_null_unknown_or_empty_passes() {
        assert!(check(Type::String, |b| b));
        assert!(check(Type::String, |b| b.null("a")));
        assert!(check(Type::String, |b| b.int("other", 1)));
        assert!(check(Type::Unspec, |b| b.int("a", 1)));
        assert!(check(Type::Table, |b| b.open_array("a").close()));
        assert!(check(Type::Array, |b| b.open_table("a").close()));
        assert!(!check(Type::String, |b| b.open_table("a").close()));
    }

    #[test]
    fn every_argument_of_a_name_is_checked() {
        assert!(!check(Type::String, |b| b.int("a", 1).string("a", "x")));
    }
}
