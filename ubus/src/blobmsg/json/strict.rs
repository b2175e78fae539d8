//! JSON as RFC 8259 defines it: what is anything else is refused, with the place of the mistake.

use super::super::{Builder, TableBuf};
use crate::blob::BuildError;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Why text is no table.
#[derive(Debug)]
pub enum JsonError {
    /// Not JSON, or not an object.
    Syntax(serde_json::Error),
    /// JSON that no table can hold.
    Build(BuildError),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Syntax(error) => error.fmt(f),
            JsonError::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads one JSON object. Names that come again are kept, and integers beyond 64 bits become doubles.
///
/// ```
/// use ubus::blobmsg::{from_json, to_json, JsonStyle};
///
/// let table = from_json(br#"{ "up": true, "mtu": 1500, "list": [1, "x", null] }"#)?;
/// assert_eq!(
///     to_json(table.as_table(), JsonStyle::default())?,
///     br#"{"up":true,"mtu":1500,"list":[1,"x",null]}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_json(text: &[u8]) -> Result<TableBuf, JsonError> {
    let mut builder = Builder::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = reader
        .deserialize_map(Object(&mut builder))
        .and_then(|()| reader.end());
    match (builder.error(), read) {
        (Some(error), _) => Err(JsonError::Build(error)),
        (None, Err(error)) => Err(JsonError::Syntax(error)),
        (None, Ok(())) => builder.finish().map_err(JsonError::Build),
    }
}

/// The entries of an object, into the table that is open.
struct Object<'b>(&'b mut Builder);

/// One value, under a name.
struct Named<'b>(&'b mut Builder, &'b [u8]);

/// Stops at the first value that cannot be built.
fn check<E: serde::de::Error>(builder: &Builder) -> Result<(), E> {
    builder
        .error()
        .map_or(Ok(()), |error| Err(E::custom(error)))
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Named(self.0, name.as_bytes()))?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        check(self.0.null(self.1))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        check(self.0.bool(self.1, value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        check(self.0.int(self.1, value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        check(match i64::try_from(value) {
            Ok(value) => self.0.int(self.1, value),
            Err(_) => self.0.double(self.1, value as f64),
        })
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        check(self.0.double(self.1, value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        check(self.0.string(self.1, value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        check(self.0.open_array(self.1))?;
        while seq.next_element_seed(Named(self.0, b""))?.is_some() {}
        check(self.0.close())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        check(self.0.open_table(self.1))?;
        Object(self.0).visit_map(map)?;
        check(self.0.close())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Builder, Value};
    use super::super::*;
    use crate::blob::BuildError;

    fn printed(text: &str, style: JsonStyle) -> String {
        let table = from_json(text.as_bytes()).unwrap();
        String::from_utf8(to_json(table.as_table(), style).unwrap()).unwrap()
    }

    #[test]
    fn numbers_choose_the_type_that_holds_them() {
        let table = from_json(
            br#"{"a":2147483647,"b":2147483648,"c":-2147483648,"d":-2147483649,"e":1.5,"f":1e2,
                "g":9223372036854775807,"h":9223372036854775808,"i":-0,"j":1.0}"#,
        );
        let table = table.unwrap();
        let values: Vec<_> = table.iter().map(|entry| entry.value).collect();
        assert_eq!(
            values,
            [
                Value::Int32(i32::MAX),
                Value::Int64(2147483648),
                Value::Int32(i32::MIN),
                Value::Int64(-2147483649),
                Value::Double(1.5),
                Value::Double(100.0),
                Value::Int64(i64::MAX),
                Value::Double(9223372036854775808.0),
                Value::Double(-0.0),
                Value::Double(1.0),
            ]
        );
    }

    #[test]
    fn order_and_duplicates_are_kept() {
        let text = r#"{"z":1,"a":{"k":[],"e":{}},"z":null,"":[true,[false]]}"#;
        assert_eq!(printed(text, JsonStyle::default()), text);
    }

    #[test]
    fn indented_output_has_a_line_for_each_value() {
        let style = JsonStyle {
            indent: true,
            as_ubus: false,
        };
        let expected =
            "{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"d\": 0.5\n\t\t}\n\t],\n\t\"e\": {}\n}";
        assert_eq!(printed(r#"{"a":[1,{"d":0.5}],"e":{}}"#, style), expected);
        assert_eq!(printed("{}", style), "{}");
    }

    #[test]
    fn doubles_come_back_exactly() {
        for number in [
            0.1,
            1e300,
            -5e-324,
            f64::MAX,
            1.0,
            -0.0,
            123456789012345680.0,
        ] {
            let mut builder = Builder::new();
            builder.double("d", number);
            let table = builder.finish().unwrap();
            let text = to_json(table.as_table(), JsonStyle::default()).unwrap();
            assert_eq!(from_json(&text).unwrap(), table, "{number}");
        }
        let mut builder = Builder::new();
        builder.double("a", f64::NAN).double("b", f64::INFINITY);
        let text = to_json(builder.finish().unwrap().as_table(), JsonStyle::default());
        assert_eq!(text.unwrap(), br#"{"a":null,"b":null}"#);
    }

    #[test]
    fn text_is_escaped() {
        let text = r#"{"\"\\\n\r\t\u0001":"é/\u007f"}"#;
        assert_eq!(
            printed(text, JsonStyle::default()),
            "{\"\\\"\\\\\\n\\r\\t\\u0001\":\"é/\u{7f}\"}"
        );
        let mut builder = Builder::new();
        builder.string("s", b"\xff");
        let text = to_json(builder.finish().unwrap().as_table(), JsonStyle::default());
        assert_eq!(text.unwrap(), b"{\"s\":\"\xff\"}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "[]",
            "1",
            "{",
            "{}x",
            "{\"a\":}",
            "{\"a\":1,}",
            "{'a':1}",
            "\u{feff}{}",
        ] {
            assert!(
                matches!(from_json(text.as_bytes()), Err(JsonError::Syntax(_))),
                "{text}"
            );
        }
        assert!(matches!(
            from_json(b"{\"a\":\"\xff\"}"),
            Err(JsonError::Syntax(_))
        ));
    }

    #[test]
    fn what_no_table_can_hold_is_refused() {
        for text in [
            r#"{"a\u0000":1}"#,
            r#"{"a":"\u0000"}"#,
            r#"{"a":["\u0000", {}]}"#,
        ] {
            let error = from_json(text.as_bytes()).unwrap_err();
            assert!(matches!(error, JsonError::Build(BuildError::Nul)), "{text}");
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(from_json(deep.as_bytes()).is_err());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
        assert!(matches!(
            from_json(long.as_bytes()),
            Err(JsonError::Build(_))
        ));
    }
}
