//! What is built is what is read, for any values; and JSON gives the same in both directions.

use proptest::prelude::*;
use ubus::blobmsg::{Builder, Table, TableBuf, Value};

/// A value of one's own.
#[derive(Clone, Debug)]
enum Tree {
    Null,
    Bool(bool),
    Int16(i16),
    Int(i64),
    Double(f64),
    Text(Vec<u8>),
    Array(Vec<Tree>),
    Table(Vec<(Vec<u8>, Tree)>),
}

fn text() -> impl Strategy<Value = Vec<u8>> + Clone {
    proptest::collection::vec(1..=255_u8, 0..20)
}

fn tree(text: impl Strategy<Value = Vec<u8>> + Clone + 'static) -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i16>().prop_map(Tree::Int16),
        any::<i64>().prop_map(Tree::Int),
        any::<i32>().prop_map(|number| Tree::Int(number.into())),
        proptest::num::f64::NORMAL.prop_map(Tree::Double),
        text.clone().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Tree::Array),
            proptest::collection::vec((text.clone(), inner), 0..6).prop_map(Tree::Table),
        ]
    })
}

fn add(builder: &mut Builder, name: &[u8], tree: &Tree) {
    match tree {
        Tree::Null => builder.null(name),
        Tree::Bool(value) => builder.bool(name, *value),
        Tree::Int16(value) => builder.int16(name, *value),
        Tree::Int(value) => builder.int(name, *value),
        Tree::Double(value) => builder.double(name, *value),
        Tree::Text(text) => builder.string(name, text),
        Tree::Array(values) => {
            builder.open_array(name);
            values.iter().for_each(|value| add(builder, b"", value));
            builder.close()
        }
        Tree::Table(entries) => {
            builder.open_table(name);
            entries
                .iter()
                .for_each(|(name, value)| add(builder, name, value));
            builder.close()
        }
    };
}

fn build(entries: &[(Vec<u8>, Tree)]) -> TableBuf {
    let mut builder = Builder::new();
    entries
        .iter()
        .for_each(|(name, value)| add(&mut builder, name, value));
    builder.finish().unwrap()
}

fn check(value: Value<'_>, tree: &Tree) {
    match tree {
        Tree::Null => assert_eq!(value, Value::Unspec(&[])),
        Tree::Bool(expected) => assert_eq!(value.as_bool(), Some(*expected)),
        Tree::Int16(expected) => assert_eq!(value, Value::Int16(*expected)),
        Tree::Int(expected) => assert_eq!(value.as_int(), Some(*expected)),
        Tree::Double(expected) => assert_eq!(value.as_double(), Some(*expected)),
        Tree::Text(expected) => assert_eq!(value.as_bytes(), Some(&expected[..])),
        Tree::Array(expected) => {
            let values: Vec<_> = value.as_array().unwrap().iter().collect();
            assert_eq!(values.len(), expected.len());
            values
                .into_iter()
                .zip(expected)
                .for_each(|(value, tree)| check(value, tree));
        }
        Tree::Table(expected) => check_table(value.as_table().unwrap(), expected),
    }
}

fn check_table(table: Table<'_>, expected: &[(Vec<u8>, Tree)]) {
    assert_eq!(table.iter().count(), expected.len());
    for (entry, (name, tree)) in table.iter().zip(expected) {
        assert_eq!(entry.name, name);
        check(entry.value, tree);
    }
}

proptest! {
    #[test]
    fn what_is_built_is_read(entries in proptest::collection::vec((text(), tree(text())), 0..8)) {
        let table = build(&entries);
        prop_assert_eq!(table.as_table().as_bytes().len() % 4, 0);
        check_table(table.as_table(), &entries);
    }

    #[test]
    fn every_truncation_is_a_beginning(entries in proptest::collection::vec((text(), tree(text())), 0..4)) {
        let bytes = build(&entries).into_bytes();
        let whole: Vec<_> = Table::new(&bytes).iter().collect();
        for length in 0..bytes.len() {
            let part: Vec<_> = Table::new(&bytes[..length]).iter().collect();
            prop_assert!(part.len() < whole.len() || whole.is_empty());
            prop_assert!(whole.starts_with(&part));
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let table = Table::new(&bytes);
        let _ = (format!("{table:?}"), table.walk().count());
    }
}

#[cfg(feature = "json")]
mod json {
    use super::*;
    use ubus::blobmsg::{from_json, to_json, JsonStyle};

    /// Text that JSON can carry.
    fn utf8() -> impl Strategy<Value = Vec<u8>> + Clone {
        proptest::collection::vec(
            any::<char>().prop_filter("an end", |sign| *sign != '\0'),
            0..10,
        )
        .prop_map(|signs| signs.into_iter().collect::<String>().into_bytes())
    }

    /// What becomes of a value on its way through JSON.
    fn plain(tree: &Tree) -> Tree {
        match tree {
            Tree::Int16(number) => Tree::Int((*number).into()),
            Tree::Array(values) => Tree::Array(values.iter().map(plain).collect()),
            Tree::Table(entries) => Tree::Table(plain_entries(entries)),
            other => other.clone(),
        }
    }

    fn plain_entries(entries: &[(Vec<u8>, Tree)]) -> Vec<(Vec<u8>, Tree)> {
        entries
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect()
    }

    fn style() -> impl Strategy<Value = JsonStyle> {
        any::<bool>().prop_map(|indent| JsonStyle {
            indent,
            as_ubus: false,
        })
    }

    proptest! {
        #[test]
        fn tables_come_back_from_json(
            entries in proptest::collection::vec((utf8(), tree(utf8())), 0..8),
            style in style(),
        ) {
            let text = to_json(build(&entries).as_table(), style).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            prop_assert!(value.is_object());
            check_table(from_json(&text).unwrap().as_table(), &plain_entries(&entries));
        }
    }
}
