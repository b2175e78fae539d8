//! Properties that hold for all packages and all series of changes.

use proptest::collection::vec;
use proptest::prelude::*;
use uci::{Change, Edit, Package};

/// Section and option names of which few are different, so that they meet.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", "[A-Za-z0-9_]{1,12}"]
}

fn kind() -> impl Strategy<Value = String> {
    prop_oneof!["[t-v]", "[!-~]{1,6}"]
}

/// Values that may be set.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let odd = vec(
        any::<u8>().prop_filter("no control characters", |byte| {
            uci::name::is_value(&[*byte])
        }),
        0..20,
    );
    prop_oneof![
        "[xy]".prop_map(String::into_bytes),
        "['\"\\\\#; \n\r\ta-z]{0,10}".prop_map(String::into_bytes),
        odd
    ]
}

/// One edit, and what it is done to by number.
#[derive(Clone, Debug)]
enum Step {
    Add(String),
    Section(String, String),
    Set(usize, String, Vec<u8>),
    List(usize, String, Vec<Vec<u8>>),
    Append(usize, String, Vec<u8>),
    RemoveValue(usize, String, Vec<u8>),
    RemoveItem(usize, usize, usize),
    Remove(usize, Option<usize>),
    Rename(usize, Option<usize>, String),
    Reorder(usize, i32),
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0..8usize;
    prop_oneof![
        kind().prop_map(Step::Add),
        (name(), kind()).prop_map(|(name, kind)| Step::Section(name, kind)),
        (number(), name(), value()).prop_map(|(at, name, value)| Step::Set(at, name, value)),
        (number(), name(), vec(value(), 0..4))
            .prop_map(|(at, name, items)| Step::List(at, name, items)),
        (number(), name(), value()).prop_map(|(at, name, value)| Step::Append(at, name, value)),
        (number(), name(), value())
            .prop_map(|(at, name, value)| Step::RemoveValue(at, name, value)),
        (number(), number(), number())
            .prop_map(|(at, option, item)| Step::RemoveItem(at, option, item)),
        (number(), proptest::option::of(number()))
            .prop_map(|(at, option)| Step::Remove(at, option)),
        (number(), proptest::option::of(number()), name())
            .prop_map(|(at, option, name)| Step::Rename(at, option, name)),
        (number(), -2..9i32).prop_map(|(at, to)| Step::Reorder(at, to)),
    ]
}

/// Makes a step, if there is what it is for. Refusals are fine.
fn make(edit: &mut Edit, step: &Step) {
    let section = |edit: &Edit, at: usize| {
        let count = edit.package().len().max(1);
        format!("@[{}]", at % count)
    };
    let option = |edit: &Edit, section: &str, at: usize| {
        let section = edit.package().section(section)?;
        let count = section.entries().count().max(1);
        Some(section.entries().nth(at % count)?.name().to_owned())
    };
    let _ = match step {
        Step::Add(kind) => edit.add_section(kind).map(|_| ()),
        Step::Section(name, kind) => edit.set_section(name, kind),
        Step::Set(at, name, value) => edit.set(&section(edit, *at), name, value),
        Step::List(at, name, items) => edit.set_list(&section(edit, *at), name, items),
        Step::Append(at, name, value) => edit.append(&section(edit, *at), name, value),
        Step::RemoveValue(at, name, value) => edit.remove_value(&section(edit, *at), name, value),
        Step::RemoveItem(at, which, item) => {
            let section = section(edit, *at);
            let name = option(edit, &section, *which).unwrap_or_default();
            edit.remove_item(&section, &name, *item)
        }
        Step::Remove(at, None) => edit.remove_section(&section(edit, *at)),
        Step::Remove(at, Some(which)) => {
            let section = section(edit, *at);
            let name = option(edit, &section, *which).unwrap_or_default();
            edit.remove(&section, &name)
        }
        Step::Rename(at, None, name) => edit.rename_section(&section(edit, *at), name),
        Step::Rename(at, Some(which), new) => {
            let section = section(edit, *at);
            let name = option(edit, &section, *which).unwrap_or_default();
            edit.rename(&section, &name, new)
        }
        Step::Reorder(at, to) => edit.reorder(&section(edit, *at), *to),
    };
}

fn edited(start: &Package, steps: &[Step]) -> (Package, Vec<Change>) {
    let (mut package, mut changes) = (start.clone(), Vec::new());
    for step in steps {
        make(&mut Edit::new(&mut package, &mut changes), step);
    }
    (package, changes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What an edit made can be written and read. Generated names and lists without items do not outlive that, so the
    /// package is read once before it is compared.
    #[test]
    fn export_is_undone_by_import(steps in vec(step(), 0..30)) {
        let (package, _) = edited(&Package::new("p"), &steps);
        let read = Package::parse("p", &package.to_text()).expect("our own text");
        prop_assert_eq!(read.to_text(), package.to_text());
        prop_assert!(uci::import(&read.export()).is_ok_and(|again| again == [read]));
    }

    /// From any package a, recorded changes lead to the b that the edit made of it.
    #[test]
    fn replay_leads_to_what_was_edited(before in vec(step(), 0..20), steps in vec(step(), 0..30)) {
        let (a, _) = edited(&Package::new("p"), &before);
        let a = Package::parse("p", &a.to_text()).expect("our own text");
        let (b, changes) = edited(&a, &steps);
        let mut lines = Vec::new();
        for change in &changes {
            change.write("p", &mut lines);
        }
        prop_assert_eq!(&uci::changes("p", &lines), &changes);
        let mut replayed = a;
        let count = uci::replay(&mut replayed, &lines);
        prop_assert_eq!((count.made, count.ignored), (changes.len(), 0));
        prop_assert!(replayed == b);
    }

    /// No text makes the reader fail in another way than by an error.
    #[test]
    fn any_text_is_read_or_refused(text in "(config|option|list|package|c|o| |\t|\n|\r|'|\"|\\\\|#|;|a|b|\u{0}|\u{fc}){0,40}") {
        let (package, errors) = Package::parse_leniently("p", text.as_bytes());
        let strict = Package::parse("p", text.as_bytes());
        prop_assert_eq!(strict.is_ok(), errors.is_empty());
        prop_assert!(Package::parse("p", &package.to_text()).is_ok_and(|read| read == package));
    }

    /// Text that comes in pieces is split into the statements that the whole has.
    #[test]
    fn lines_of_pieces_have_the_statements_of_the_whole(
        pieces in vec("(a| |\t|\n|\r|'|\"|\\\\|#|;|\\\\\r\n|\\\\\n){0,12}", 0..8)
    ) {
        let whole = pieces.concat();
        let (mut end, mut line, mut lines) = (uci::LineEnd::default(), Vec::new(), Vec::new());
        for piece in &pieces {
            let mut rest = piece.as_bytes();
            while let Some(length) = end.find(rest) {
                line.extend_from_slice(&rest[..length]);
                lines.push(std::mem::take(&mut line));
                rest = &rest[length..];
            }
            line.extend_from_slice(rest);
        }
        lines.push(line);
        prop_assert_eq!(lines.concat(), whole.as_bytes());
        let words = |text: &[u8]| -> Vec<_> {
            uci::Statements::new(text).map(|words| words.map_err(|error| error.reason)).collect()
        };
        let split: Vec<_> = lines.iter().flat_map(|line| words(line)).collect();
        prop_assert_eq!(split, words(whole.as_bytes()));
    }

    /// What a text adds to a package, it adds to its pending changes.
    #[test]
    fn merged_texts_are_recorded(before in vec(step(), 0..20), added in vec(step(), 0..20)) {
        let (a, _) = edited(&Package::new("p"), &before);
        let a = Package::parse("p", &a.to_text()).expect("our own text");
        let (text, _) = edited(&Package::new("other"), &added);
        let (mut merged, mut changes) = (a.clone(), Vec::new());
        let result = Edit::new(&mut merged, &mut changes).merge(&text.export());
        let mut expected = a.clone();
        match expected.merge(&text.export()) {
            Ok(()) => {
                prop_assert!(result.is_ok());
                prop_assert_eq!(merged.to_text(), expected.to_text());
            }
            Err(error) => {
                prop_assert_eq!(result, Err(error));
                prop_assert!(merged == a && changes.is_empty());
            }
        }
        let mut lines = Vec::new();
        for change in &changes {
            change.write("p", &mut lines);
        }
        let mut replayed = a;
        prop_assert_eq!(uci::replay(&mut replayed, &lines).ignored, 0);
        prop_assert!(replayed == merged);
    }
}
