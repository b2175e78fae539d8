//! Status codes, their constant names and reason phrases, from one text.

use super::text::put;

const NAMES: &[u8] = b"\
100 CONTINUE
101 SWITCHING_PROTOCOLS
102 PROCESSING
200 OK
201 CREATED
202 ACCEPTED
203 NON_AUTHORITATIVE_INFORMATION
204 NO_CONTENT
205 RESET_CONTENT
206 PARTIAL_CONTENT
207 MULTI_STATUS
208 ALREADY_REPORTED
226 IM_USED
300 MULTIPLE_CHOICES
301 MOVED_PERMANENTLY
302 FOUND
303 SEE_OTHER
304 NOT_MODIFIED
305 USE_PROXY
307 TEMPORARY_REDIRECT
308 PERMANENT_REDIRECT
400 BAD_REQUEST
401 UNAUTHORIZED
402 PAYMENT_REQUIRED
403 FORBIDDEN
404 NOT_FOUND
405 METHOD_NOT_ALLOWED
406 NOT_ACCEPTABLE
407 PROXY_AUTHENTICATION_REQUIRED
408 REQUEST_TIMEOUT
409 CONFLICT
410 GONE
411 LENGTH_REQUIRED
412 PRECONDITION_FAILED
413 PAYLOAD_TOO_LARGE
414 URI_TOO_LONG
415 UNSUPPORTED_MEDIA_TYPE
416 RANGE_NOT_SATISFIABLE
417 EXPECTATION_FAILED
421 MISDIRECTED_REQUEST
422 UNPROCESSABLE_ENTITY
423 LOCKED
424 FAILED_DEPENDENCY
426 UPGRADE_REQUIRED
428 PRECONDITION_REQUIRED
429 TOO_MANY_REQUESTS
431 REQUEST_HEADER_FIELDS_TOO_LARGE
451 UNAVAILABLE_FOR_LEGAL_REASONS
500 INTERNAL_SERVER_ERROR
501 NOT_IMPLEMENTED
502 BAD_GATEWAY
503 SERVICE_UNAVAILABLE
504 GATEWAY_TIMEOUT
505 HTTP_VERSION_NOT_SUPPORTED
506 VARIANT_ALSO_NEGOTIATES
507 INSUFFICIENT_STORAGE
508 LOOP_DETECTED
510 NOT_EXTENDED
511 NETWORK_AUTHENTICATION_REQUIRED
";

/// Every known code with its constant name (without `STATUS_`).
pub fn all() -> impl Iterator<Item = (i64, &'static [u8])> {
    NAMES
        .split(|&byte| byte == b'\n')
        .filter_map(|line| match line {
            [a @ b'0'..=b'9', b, c, b' ', name @ ..] => {
                let digits = [a, b, c].map(|digit| i64::from(digit - b'0'));
                Some((digits[0] * 100 + digits[1] * 10 + digits[2], name))
            }
            _ => None,
        })
}

/// Append ` <reason>`, or nothing when the code has none.
pub fn write_reason(code: u16, out: &mut Vec<u8>) {
    if code == 200 {
        put(out, b" OK");
        return;
    }
    let Some((_, name)) = all().find(|&(known, _)| known == i64::from(code)) else {
        return;
    };
    let mut previous = b'_';
    out.push(b' ');
    let start = out.len();
    for &byte in name {
        out.push(match byte {
            b'_' => b' ',
            _ if previous == b'_' => byte,
            _ => byte.to_ascii_lowercase(),
        });
        previous = byte;
    }
    // Title case is wrong for the first word of these.
    let first: &[u8] = match code {
        203 => b"Non-",
        207 => b"Multi-",
        226 => b"IM",
        414 => b"URI",
        505 => b"HTTP",
        _ => return,
    };
    if let Some(slot) = out.get_mut(start..start + first.len()) {
        slot.copy_from_slice(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: u16) -> String {
        let mut out = Vec::new();
        write_reason(code, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn phrases() {
        for (code, text) in [
            (200, " OK"),
            (203, " Non-Authoritative Information"),
            (207, " Multi-Status"),
            (226, " IM Used"),
            (404, " Not Found"),
            (414, " URI Too Long"),
            (451, " Unavailable For Legal Reasons"),
            (505, " HTTP Version Not Supported"),
            (418, ""),
            (1000, ""),
        ] {
            assert_eq!(reason(code), text);
        }
    }

    #[test]
    fn fifty_nine_constants() {
        assert_eq!(all().count(), 59);
    }
}
