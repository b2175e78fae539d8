//! JSON: no input panics, and tables come back as they went, from text and from bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ubus::blobmsg::{from_json, to_json, JsonError, JsonStyle, Table};

const INDENTED: JsonStyle = JsonStyle {
    indent: true,
    as_ubus: false,
};

fuzz_target!(|input: &[u8]| {
    if let Ok(table) = from_json(input) {
        for style in [JsonStyle::default(), INDENTED] {
            let text = to_json(table.as_table(), style).unwrap();
            assert_eq!(from_json(&text).unwrap(), table);
        }
    }
    if let Ok(text) = to_json(Table::new(input), INDENTED) {
        if let Err(JsonError::Syntax(error)) = from_json(&text) {
            // JSON text is UTF-8, and readers bound its depth; nothing else is wrong with it.
            let deep = text.iter().filter(|byte| b"[{".contains(byte)).count() > 100;
            assert!(deep || std::str::from_utf8(&text).is_err(), "{error}");
        }
    }
});
