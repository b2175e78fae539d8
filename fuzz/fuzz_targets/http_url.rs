//! URLs: no input panics, the parts are parts of the input, and escaping is
//! undone by unescaping.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::http::percent::{escape, unescape};
use lua_eco::http::url::parse;

fuzz_target!(|input: &[u8]| {
    let (mut escaped, mut back) = (Vec::new(), Vec::new());
    let count = escape(input, &mut escaped);
    assert_eq!(unescape(&escaped, &mut back), count);
    assert_eq!(back, input);
    let _ = unescape(input, &mut Vec::new());

    if let Some(url) = parse(input) {
        assert!(!url.host.is_empty() && !url.host.contains(&b'/'));
        assert!(!input.iter().any(|&byte| byte <= b' ' || byte == 0x7f));
        assert!(input.ends_with(url.rest));
        assert!(url.rest.starts_with(url.path));
        assert!(url.path.is_empty() || url.path.starts_with(b"/"));
        assert!(url.port.is_none_or(|port| port >= 0));
        assert!(url.password.is_none() || url.user.is_some());
    }
});
