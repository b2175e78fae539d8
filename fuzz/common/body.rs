//! Bodies read as they come in, for the targets of HTTP.

use lua_eco::http::body::Body;

/// Payload and number of bytes used when the input comes in pieces, or `None`
/// when the framing is broken.
pub fn decode(body: &mut Body, input: &[u8], piece: usize) -> Option<(Vec<u8>, usize)> {
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
