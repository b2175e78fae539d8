//! Elements of 802.11: whatever a station sends, nothing panics and nothing is read beyond it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::ieee80211::security::{authentication, cipher, Authentication, Security};
use lua_eco::ieee80211::{streams, Elements, Setup};

fuzz_target!(|input: &[u8]| {
    let mut total = 0;
    for (id, payload) in Elements::new(input) {
        total += 2 + payload.len();
        assert!(total <= input.len());
        if let Some(found) = Security::parse(payload) {
            found.group.map(cipher);
            assert!(found.pairwise.unwrap_or_default().len() * 4 <= payload.len());
            if let Authentication::Suites(suites) = found.authentication {
                suites.iter().for_each(|suite| drop(authentication(*suite)));
            }
        }
        let told: usize = Setup(payload).map(|(_, value)| 4 + value.len()).sum();
        assert!(told <= payload.len());
        assert!(streams(u16::from(id) << 8 | payload.len() as u16) <= 8);
    }
});
