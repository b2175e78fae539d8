//! Pending changes: no input panics, and what replaying them leaves can be written and read. What an edit records
//! replays to what the edit saw.
//!
//! The input is a configuration, a NUL, and a file of pending changes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uci::{replay, Change, Command, Edit, Package};

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    let (text, changes) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let Ok(start) = Package::parse("p", text) else {
        return;
    };
    let mut package = start.clone();
    replay(&mut package, changes);
    readable(&package);

    // The same changes through an edit, which refuses some of them.
    let mut edited = start.clone();
    let mut recorded = Vec::new();
    for change in uci::changes("p", changes) {
        let mut edit = Edit::new(&mut edited, &mut recorded);
        let _ = make(&mut edit, &change);
    }
    readable(&edited);
    let mut lines = Vec::new();
    for change in &recorded {
        change.write("p", &mut lines);
    }
    assert_eq!(uci::changes("p", &lines), recorded);
    let mut replayed = start;
    let count = replay(&mut replayed, &lines);
    assert_eq!((count.made, count.ignored), (recorded.len(), 0));
    assert!(replayed == edited);
});

fn readable(package: &Package) {
    let text = package.to_text();
    let read = Package::parse("p", &text).expect("our own text");
    assert_eq!(read.to_text(), text);
}

fn make(edit: &mut Edit, change: &Change) -> Result<(), uci::Error> {
    let value = change.value().unwrap_or_default();
    let text = String::from_utf8_lossy(value);
    let number = text.parse().unwrap_or(usize::MAX);
    match (change.command(), change.option()) {
        (Command::Add, _) => edit.add_section(&text).map(|_| ()),
        (Command::Set, None) => edit.set_section(change.section(), &text),
        (Command::Set, Some(option)) if value.contains(&b' ') => {
            let items: Vec<&[u8]> = value.split(|&byte| byte == b' ').collect();
            edit.set_list(change.section(), option, &items)
        }
        (Command::Set, Some(option)) => edit.set(change.section(), option, value),
        (Command::Remove, None) => edit.remove_section(change.section()),
        (Command::Remove, Some(option)) if change.value().is_some() => {
            edit.remove_item(change.section(), option, number)
        }
        (Command::Remove, Some(option)) => edit.remove(change.section(), option),
        (Command::Rename, None) => edit.rename_section(change.section(), &text),
        (Command::Rename, Some(option)) => edit.rename(change.section(), option, &text),
        (Command::Reorder, _) => edit.reorder(change.section(), uci::leading_number(value).unwrap_or(0)),
        (Command::Append, option) => edit.append(change.section(), option.unwrap_or_default(), value),
        (Command::RemoveValue, option) => {
            edit.remove_value(change.section(), option.unwrap_or_default(), value)
        }
    }
}
