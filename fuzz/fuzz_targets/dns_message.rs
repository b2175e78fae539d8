//! DNS: no bytes panic, what is read is bounded, and a request answers nothing
//! but itself; the files of hosts and servers likewise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::dns::files::{hosts, resolv_conf};
use lua_eco::dns::message::{
    answers, lifetime, matches, request, Fields, Options, Strings, LONGEST_REQUEST,
};
use lua_eco::dns::name::Name;

/// Checks what a record gives.
struct Check;

impl Fields for Check {
    fn address(&mut self, bytes: &[u8]) {
        assert!(bytes.len() == 4 || bytes.len() == 16);
    }
    fn number(&mut self, field: &'static str, _: u32) {
        assert!(!field.is_empty());
    }
    fn name(&mut self, _: &'static str, name: &Name) {
        name_is_clean(name);
    }
    fn strings(&mut self, _: &'static str, strings: Strings<'_>) {
        assert!(strings.map(<[u8]>::len).all(|length| length <= 255));
    }
    fn bytes(&mut self, _: &'static str, _: &[u8]) {}
}

fn name_is_clean(name: &Name) {
    assert!(name.text().iter().all(|&byte| byte > b' ' && byte != 0x7f));
    assert!(
        name.text().len() <= 1016 && !name.text().ends_with(b".") || name.text().ends_with(b"\\.")
    );
}

fuzz_target!(|input: &[u8]| {
    let id = input
        .first_chunk()
        .map_or(0, |bytes| u16::from_be_bytes(*bytes));
    let mut name = Name::new();
    if let Ok(mut records) = answers(input, id) {
        let (mut count, mut whole) = (0, true);
        while let Some(record) = records.next(&mut name) {
            let Ok(record) = record else {
                whole = false;
                break;
            };
            name_is_clean(&name);
            whole &= record.read(&mut name, &mut Check).is_ok();
            count += 1;
        }
        // The shortest record has eleven bytes.
        assert!(!whole || count * 11 <= input.len());
    }
    assert!(lifetime(input) <= 86400);

    let options = Options {
        id,
        recurse: true,
        extended: input.len() % 2 == 0,
    };
    let mut room = [0; LONGEST_REQUEST];
    if let Some(length) = request(input, 1, options, &mut room) {
        let mut reply = room;
        assert!(matches(&room[..length], &reply[..length]).is_err());
        reply[2] |= 0x80;
        assert!(matches(&room[..length], &reply[..length]).is_ok());
        assert!(answers(&reply[..length], id).is_ok());
    }
    if let Some((first, rest)) = input.split_at_checked(input.len() / 2) {
        let _ = matches(first, rest);
    }

    hosts(
        input,
        b"router",
        &mut |address| assert!(!address.is_empty()),
    );
    resolv_conf(input, &mut |_| {});
});
