//! Configuration files: no input panics, what is read survives writing and reading, errors stand inside the text, and
//! what strict reading takes lenient reading takes without complaint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uci::{import, Package, Style};

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
    for package in import(input).unwrap_or_default() {
        assert!(import(&package.export()).is_ok_and(|read| read == [package]));
    }
});

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
