//! Request heads and bodies: no input panics, and the answer does not depend on
//! how the bytes were cut into packets.
#![no_main]

#[path = "../common/body.rs"]
mod body;

use body::decode;
use libfuzzer_sys::fuzz_target;
use lua_eco::http::body::Body;
use lua_eco::http::conditions::{Answer, Conditions, File};
use lua_eco::http::head::{Limits, Scan, Scanner};
use lua_eco::http::request::parse;
use lua_eco::http::response::Response;
use lua_eco::http::target;

const LIMITS: Limits = Limits {
    request_line: 256,
    head: 1024,
    headers: 16,
};

fuzz_target!(|input: &[u8]| {
    let whole = Scanner::default().scan(input, &LIMITS);
    let mut scanner = Scanner::default();
    let mut stepwise = Scan::Partial;
    for end in 0..=input.len() {
        stepwise = scanner.scan(&input[..end], &LIMITS);
        if stepwise != Scan::Partial {
            break;
        }
    }
    match (&whole, &stepwise) {
        (Scan::Complete { .. }, _) => assert_eq!(whole, stepwise),
        // The status may differ: what is wrong first depends on what is known.
        _ => assert_eq!(
            matches!(whole, Scan::Partial),
            matches!(stepwise, Scan::Partial)
        ),
    }
    let Scan::Complete { start, end } = whole else {
        return;
    };
    let Ok(request) = parse(&input[start..end]) else {
        return;
    };
    let headers: Vec<_> = request.fields.map(Result::unwrap).collect();
    assert!(headers.len() <= LIMITS.headers);
    let parts = &request.target;
    assert!(parts.path.len() + parts.query.len() <= request.raw_target.len() + 1);
    // The normal form of a path is its own, and stays below its root.
    let (mut normal, mut again) = (Vec::new(), Vec::new());
    if parts.path != b"*" && target::normalise(parts.path, &mut normal) {
        assert!(normal.starts_with(b"/") && !normal.contains(&0));
        assert!(!normal.windows(2).any(|two| two == b"//"));
        assert!(normal.split(|&byte| byte == b'/').all(|part| part != b".." && part != b"."));
        if !normal.contains(&b'%') {
            assert!(target::normalise(&normal, &mut again));
            assert_eq!(normal, again);
        }
        if target::is_normal(parts.path) {
            assert_eq!(normal, parts.path);
        }
    }
    // Conditions of any text are decided, and parts are parts.
    let field = |name: &str| {
        let found = headers.iter().find(|field| field.0.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|field| field.1)
    };
    let conditions = Conditions {
        if_match: field("if-match"),
        if_unmodified_since: field("if-unmodified-since"),
        if_none_match: field("if-none-match"),
        if_modified_since: field("if-modified-since"),
        if_range: field("if-range"),
        range: field("range"),
    };
    for size in [0, 1, 100] {
        let file = File { etag: b"\"a-b\"", modified: 784_111_777, size };
        if let Answer::Part { first, count } = conditions.decide(&file, false, 1_700_000_000) {
            assert!(count > 0 && first + count <= size);
        }
    }
    // What came in as a header can go out as one, or is refused.
    let mut response = Response::default();
    for header in &headers {
        let _ = response.set(header.0, header.1);
    }
    for header in &headers {
        response.remove(header.0);
    }
    assert!(response.headers.is_empty() && response.length.is_none());
    let rest = &input[end..];
    let at_once = decode(&mut Body::new(request.framing), rest, rest.len().max(1));
    let stepwise = decode(&mut Body::new(request.framing), rest, 1);
    assert_eq!(at_once, stepwise);
});
