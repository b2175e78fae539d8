//! Response heads and bodies: no input panics, and the answer does not depend on
//! how the bytes were cut into packets.
#![no_main]

#[path = "../common/body.rs"]
mod body;

use libfuzzer_sys::fuzz_target;
use lua_eco::http::body::{Body, Framing};
use lua_eco::http::reply::{parse, tidy, Asked, Limits, Scan, Scanner};

const LIMITS: Limits = Limits {
    head: 1024,
    headers: 16,
};

/// Payload, number of bytes used and whether the body is complete, or `None`
/// when the framing is broken.
fn decode(framing: Framing, input: &[u8], piece: usize) -> Option<(Vec<u8>, usize, bool)> {
    let mut body = Body::new(framing);
    let (payload, used) = body::decode(&mut body, input, piece)?;
    assert_eq!(body.taken(), payload.len() as u64);
    Some((payload, used, body.end()))
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
    assert_eq!(whole, stepwise);
    let Scan::Complete(end) = whole else {
        return;
    };
    let (mut head, mut again) = (Vec::new(), Vec::new());
    tidy(&input[..end], &mut head);
    tidy(&head, &mut again);
    assert_eq!(head, again);
    for asked in [Asked::Head, Asked::Connect, Asked::Other] {
        let Ok(reply) = parse(&head, asked) else {
            continue;
        };
        assert!((100..1000).contains(&reply.status) && reply.minor < 2);
        assert!(reply.fields.map(Result::unwrap).count() <= LIMITS.headers);
        assert!(reply.framing != Framing::Close || reply.close);
        assert!(asked != Asked::Head || reply.framing == Framing::Length(0));
        let rest = &input[end..];
        let at_once = decode(reply.framing, rest, rest.len().max(1));
        for piece in [1, 3] {
            assert_eq!(at_once, decode(reply.framing, rest, piece));
        }
    }
});
