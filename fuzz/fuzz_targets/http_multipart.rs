//! Forms: no input panics, and the parts do not depend on how the bytes were cut
//! into packets. The first line of the input is the content type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::http::multipart::{Event, Multipart};

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Header(Vec<u8>, Vec<u8>),
    Body(Vec<u8>),
    End,
    Failed(&'static str),
}

fn parts(content_type: &[u8], input: &[u8], piece: usize) -> Option<Vec<Part>> {
    let mut form = Multipart::new(content_type)?;
    let (mut parts, mut body) = (Vec::new(), Vec::new());
    let (mut start, mut end) = (0, 0);
    while end < input.len() {
        end = (end + piece).min(input.len());
        loop {
            let (used, event) = form.next(&input[start..end]);
            start += used;
            match event {
                Event::More => break,
                Event::Header(name, value) => parts.push(Part::Header(name.into(), value.into())),
                Event::Body(data, done) => {
                    body.extend_from_slice(data);
                    if done {
                        parts.push(Part::Body(std::mem::take(&mut body)));
                    }
                }
                Event::End => {
                    parts.push(Part::End);
                    return Some(parts);
                }
                Event::Failed(why) => {
                    parts.push(Part::Failed(why));
                    return Some(parts);
                }
            }
        }
    }
    Some(parts)
}

fuzz_target!(|input: &[u8]| {
    let line = input.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (content_type, rest) = input.split_at(line);
    let rest = rest.get(1..).unwrap_or(b"");
    let at_once = parts(content_type, rest, rest.len().max(1));
    assert_eq!(at_once, parts(content_type, rest, 1));
    assert_eq!(at_once, parts(content_type, rest, 7));
});
