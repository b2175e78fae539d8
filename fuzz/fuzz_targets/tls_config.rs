//! Certificates, keys and settings of TLS: no input does more than fail.
#![no_main]

use std::ffi::CString;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use lua_eco::tls::{find, start, suite, Chain, Config, Named, Resumption, Settings};

const CERTIFICATE: &[u8] = include_bytes!("../../tests/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../tests/tls/server.key");

fuzz_target!(|input: &[u8]| {
    assert!(start());
    let (kind, text) = input.split_first().unwrap_or((&0, &[]));
    let mut settings = Settings::new(kind & 1 == 0);
    let mut chain = Chain::new().unwrap();
    if chain.add(text).is_some() && !chain.is_vacant() {
        match chain.with_key(KEY) {
            Ok(identity) => settings.identity = Some(Rc::new(identity)),
            Err(chain) => settings.authorities = Some(Rc::new(chain)),
        }
    }
    let mut chain = Chain::new().unwrap();
    chain.add(CERTIFICATE).unwrap();
    if let Ok(identity) = chain.with_key(text) {
        let identity = Rc::new(identity);
        for name in text.split(|&byte| byte == b'\n').take(8) {
            let name = name.to_ascii_lowercase().into_boxed_slice();
            settings.names.push(Named {
                name,
                identity: identity.clone(),
            });
        }
    }
    for word in text.split(|&byte| byte == b' ').take(8) {
        let Ok(name) = CString::new(word) else {
            continue;
        };
        match suite(&name) {
            0 => {}
            number => settings.suites.push(number),
        }
        let mut name = name.into_bytes_with_nul();
        name.truncate(255);
        if name.last() == Some(&0) && name.len() > 1 {
            settings.alpn.push(name.into_boxed_slice());
        }
    }
    find(&settings.names, text);
    settings.resumption = Resumption::new(u32::from(*kind), 4).map(Rc::new);
    Config::new(&settings);
});
