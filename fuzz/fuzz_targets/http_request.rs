//! Request heads and bodies: no input panics, and the answer does not depend on
//! how the bytes were cut into packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::http::body::Body;
use lua_eco::http::head::{Limits, Scan, Scanner};
use lua_eco::http::request::{parse, slots};
use lua_eco::http::response::Response;
use lua_eco::http::target;

const LIMITS: Limits = Limits {
    request_line: 256,
    head: 1024,
    headers: 16,
};

/// Payload and number of bytes used, or `None` when the framing is broken.
fn decode(mut body: Body, input: &[u8], piece: usize) -> Option<(Vec<u8>, usize)> {
    let (mut start, mut payload) = (0, Vec::new());
    let mut end = 0;
    while end < input.len() {
        end = (end + piece).min(input.len());
        loop {
            let (skip, data) = body.step(&input[start..end]).ok()?;
            payload.extend_from_slice(&input[start + skip..start + skip + data]);
            start += skip + data;
            body.take(data);
            if data == 0 {
                break;
            }
        }
    }
    Some((payload, start))
}

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
    let mut room = slots();
    let Ok((request, headers)) = parse(&input[start..end], &mut room) else {
        return;
    };
    assert!(headers.len() <= LIMITS.headers);
    let (path, query) = target::split(request.target);
    assert!(path.len() + query.len() <= request.target.len());
    let _ = target::pairs(query).count();
    // What came in as a header can go out as one, or is refused.
    let mut response = Response::default();
    for header in headers {
        if response.set(header.name.as_bytes(), header.value).is_ok() {
            response.remove(header.name.as_bytes());
        }
    }
    assert!(response.headers.is_empty());
    let rest = &input[end..];
    let at_once = decode(Body::new(request.framing), rest, rest.len().max(1));
    let stepwise = decode(Body::new(request.framing), rest, 1);
    assert_eq!(at_once, stepwise);
});
