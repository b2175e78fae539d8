//! Configuration files: no input panics, what is read survives writing and reading, errors stand inside the text, and
//! what strict reading takes lenient reading takes without complaint. Merged, a text is the same package; line by line,
//! it has the same words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uci::{import, import_leniently, replay, Edit, LineEnd, Package, Reason, Statements, Style};

fuzz_target!(|input: &[u8]| {
    let lenient = Package::parse_leniently("fuzz", input);
    match Package::parse("fuzz", input) {
        Ok(package) => {
            assert!(lenient.1.is_empty() && lenient.0 == package);
            written(&package);
        }
        Err(error) => {
            let lines = input.iter().filter(|&&byte| byte == b'\n').count();
            assert!(error.line <= lines && error.byte <= input.len());
            assert_eq!(lenient.1.first(), Some(&error));
            written(&lenient.0);
        }
    }
    match import(input) {
        Ok(packages) => {
            assert!(import_leniently(input).is_ok_and(|read| read == (packages.clone(), Vec::new())));
            for package in packages {
                assert!(import(&package.export()).is_ok_and(|read| read == [package]));
            }
        }
        Err(error) => match import_leniently(input) {
            Ok((_, errors)) => assert_eq!(errors.first(), Some(&error)),
            Err(error) => assert_eq!(error.reason, Reason::PackageTwice),
        },
    }
    merged(input, &lenient.0);
    lines(input);
});

/// Changes that a text stands for lead to what the text is. Sections that are called by generated names are the ones that
/// have them; where a text is read, they are others.
fn merged(input: &[u8], lenient: &Package) {
    let (mut merged, mut changes) = (Package::new("fuzz"), Vec::new());
    let result = Edit::new(&mut merged, &mut changes).merge(input);
    assert!(result.is_ok() || merged.is_empty() && changes.is_empty());
    let generated = |name: &str| name.starts_with("cfg");
    let odd = |reason| [Reason::BadName, Reason::BadValue].contains(&reason);
    if !lenient.sections().any(|section| !section.is_anonymous() && generated(section.name())) {
        match (result, Package::parse("fuzz", input)) {
            (Ok(()), Ok(read)) => assert_eq!(merged.to_text(), read.to_text()),
            (Err(error), Err(other)) => assert!(odd(error.reason) || error == other),
            (result, _) => assert!(result.is_err_and(|error| odd(error.reason))),
        }
    }
    let errors = Edit::new(&mut merged, &mut changes).merge_leniently(input);
    assert!(errors.len() <= input.len());
    let mut lines = Vec::new();
    for change in &changes {
        change.write("fuzz", &mut lines);
    }
    let mut replayed = Package::new("fuzz");
    let count = replay(&mut replayed, &lines);
    assert_eq!((count.made, count.ignored), (changes.len(), 0));
    assert!(replayed == merged);
}

fn lines(input: &[u8]) {
    let words = |text: &[u8]| -> Vec<_> {
        Statements::new(text).map(|words| words.map_err(|error| error.reason)).collect()
    };
    let (mut end, mut rest, mut split) = (LineEnd::default(), input, Vec::new());
    while let Some(length) = end.find(rest) {
        split.extend(words(&rest[..length]));
        rest = &rest[length..];
    }
    split.extend(words(rest));
    assert_eq!(split, words(input));
}

/// Its text is read as the same package; with generated names in it, at least as no more sections.
fn written(package: &Package) {
    let text = package.to_text();
    let read = Package::parse("fuzz", &text).expect("our own text");
    assert_eq!(read.to_text(), text);
    assert!(read == *package);
    let mut named = Vec::new();
    let style = Style { generated_names: true, ..Style::default() };
    package.write(style, &mut named);
    assert!(Package::parse("fuzz", &named).map_or(true, |read| read.len() <= package.len()));
}
