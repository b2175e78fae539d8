//! Addresses: no input panics, the parts are parts of the input, and a section that is found is the one that was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uci::name::{is_name, is_type, is_value};
use uci::{Lookup, Package, SectionKey};

const TEXT: &[u8] = b"config a x\nconfig a\nconfig b\noption o 1\nconfig b y\nconfig a.b\nconfig c]\n";

fuzz_target!(|input: &[u8]| {
    let Ok(lookup) = Lookup::parse(input) else {
        return;
    };
    assert!(input.starts_with(lookup.package.as_bytes()) && is_type(lookup.package.as_bytes()));
    assert!(lookup.option.is_none_or(|option| is_name(option.as_bytes())));
    assert!(lookup.option.is_none() || lookup.section.is_some());
    if let Some(value) = lookup.value {
        assert!(input.ends_with(value) && is_value(value));
    }
    let package = Package::parse("p", TEXT).expect("a configuration");
    match lookup.section {
        None => assert!(!lookup.package[2.min(lookup.package.len())..].contains('.')),
        Some(SectionKey::Name(name)) => {
            assert!(is_name(name.as_bytes()));
            assert!(package.section(name).is_none_or(|section| section.name() == name));
        }
        Some(SectionKey::Nth { kind, index }) => {
            let key = format!("@{}[{index}]", kind.unwrap_or_default());
            let found = package.section(&key);
            let mut expected: Vec<_> = package
                .sections()
                .filter(|section| kind.is_none_or(|kind| section.kind() == kind))
                .collect();
            if index < 0 {
                expected.reverse();
            }
            let position = if index < 0 { -(index + 1) } else { index };
            let expected = expected.get(position as usize).map(|section| section.name());
            assert_eq!(found.map(|section| section.name()), expected);
        }
    }
});
