//! Requests of a client. Memory is asked for fallibly.

use super::packet::{HEADER, WHOLE};
use super::value;

/// Why a request was not written; the buffer is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Memory,
    TooLarge,
}

pub const QUIT: u8 = 1;
pub const QUERY: u8 = 3;
pub const PREPARE: u8 = 0x16;
pub const EXECUTE: u8 = 0x17;
pub const CLOSE: u8 = 0x19;
pub const FETCH: u8 = 0x1c;

/// No longer request is written: servers take 1 GiB.
const LARGEST: usize = 1 << 30;

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parameter<'a> {
    Null,
    Integer(i64),
    Number(f64),
    Text(&'a [u8]),
}

/// Adds bytes to a request.
#[derive(Debug)]
pub struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.0
            .try_reserve(bytes.len())
            .map_err(|_| Refused::Memory)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// A text behind its length.
    pub fn text(&mut self, text: &[u8]) -> Result<(), Refused> {
        let length = (text.len() as u64).to_le_bytes();
        match text.len() {
            0..=250 => self.bytes(&length[..1])?,
            251..=0xffff => {
                self.bytes(&[0xfc])?;
                self.bytes(&length[..2])?;
            }
            0x1_0000..=0xff_ffff => {
                self.bytes(&[0xfd])?;
                self.bytes(&length[..3])?;
            }
            _ => {
                self.bytes(&[0xfe])?;
                self.bytes(&length)?;
            }
        }
        self.bytes(text)
    }
}

/// A packet, in as many parts as it needs, the first of which has that number;
/// or nothing at all. Gives the number of the next.
pub fn packet(
    out: &mut Vec<u8>,
    number: u8,
    write: impl FnOnce(&mut Body) -> Result<(), Refused>,
) -> Result<u8, Refused> {
    let start = out.len();
    let result = whole(out, start, number, write);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn whole(
    out: &mut Vec<u8>,
    start: usize,
    mut number: u8,
    write: impl FnOnce(&mut Body) -> Result<(), Refused>,
) -> Result<u8, Refused> {
    let mut body = Body(out);
    body.bytes(&[0; HEADER])?;
    write(&mut body)?;
    let length = out.len() - start - HEADER;
    if length > LARGEST {
        return Err(Refused::TooLarge);
    }
    // Room for the headers of the other parts, made from the last on.
    let more = length / WHOLE;
    out.try_reserve(more * HEADER)
        .map_err(|_| Refused::Memory)?;
    out.resize(out.len() + more * HEADER, 0);
    for part in (0..=more).rev() {
        let size = if part == more { length % WHOLE } else { WHOLE };
        let from = start + HEADER + part * WHOLE;
        let to = from + part * HEADER;
        out.copy_within(from..from + size, to);
        let size = (size as u32).to_le_bytes();
        let header = [size[0], size[1], size[2], number.wrapping_add(part as u8)];
        if let Some(place) = out.get_mut(to - HEADER..to) {
            place.copy_from_slice(&header);
        }
    }
    number = number.wrapping_add(more as u8).wrapping_add(1);
    Ok(number)
}

/// A command and what belongs to it.
pub fn command(out: &mut Vec<u8>, command: u8, text: &[u8]) -> Result<u8, Refused> {
    packet(out, 0, |body| {
        body.bytes(&[command])?;
        body.bytes(text)
    })
}

/// Executes a prepared statement, with a cursor at the server or without one.
pub fn execute<'a>(
    out: &mut Vec<u8>,
    id: u32,
    cursor: bool,
    count: usize,
    parameter: &dyn Fn(usize) -> Parameter<'a>,
) -> Result<u8, Refused> {
    packet(out, 0, |body| {
        body.bytes(&[EXECUTE])?;
        body.bytes(&id.to_le_bytes())?;
        body.bytes(&[u8::from(cursor), 1, 0, 0, 0])?;
        if count == 0 {
            return Ok(());
        }
        let mut bits = 0;
        for place in 0..count {
            if parameter(place) == Parameter::Null {
                bits |= 1 << (place % 8);
            }
            if place % 8 == 7 || place + 1 == count {
                body.bytes(&[bits])?;
                bits = 0;
            }
        }
        // Types follow.
        body.bytes(&[1])?;
        for place in 0..count {
            body.bytes(&[
                match parameter(place) {
                    Parameter::Null => value::NULL,
                    Parameter::Integer(_) => value::LONGLONG,
                    Parameter::Number(_) => value::DOUBLE,
                    Parameter::Text(_) => value::STRING,
                },
                0,
            ])?;
        }
        for place in 0..count {
            match parameter(place) {
                Parameter::Null => {}
                Parameter::Integer(value) => body.bytes(&value.to_le_bytes())?,
                Parameter::Number(value) => body.bytes(&value.to_le_bytes())?,
                Parameter::Text(text) => body.text(text)?,
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::packet::{front, join, Front};

    #[test]
    fn requests() {
        let mut out = Vec::new();
        assert_eq!(command(&mut out, QUERY, b"x"), Ok(1));
        assert_eq!(out, b"\x02\0\0\0\x03x");
        out.clear();
        let parameters = [
            Parameter::Null,
            Parameter::Integer(-2),
            Parameter::Number(1.0),
            Parameter::Text(b"ab"),
        ];
        execute(&mut out, 7, true, 4, &|place| parameters[place]).unwrap();
        assert_eq!(
            out,
            b"\x27\0\0\0\x17\x07\0\0\0\x01\x01\0\0\0\x01\x01\x06\0\x08\0\x05\0\xfe\0\
              \xfe\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\xf0\x3f\x02ab"
        );
        out.clear();
        execute(&mut out, 7, false, 0, &|_| Parameter::Null).unwrap();
        assert_eq!(out, b"\x0a\0\0\0\x17\x07\0\0\0\0\x01\0\0\0");
        out.clear();
        execute(&mut out, 1, false, 9, &|_| Parameter::Null).unwrap();
        assert_eq!(&out[14..17], b"\xff\x01\x01");
    }

    #[test]
    fn long_requests_are_cut_into_parts() {
        for length in [0, 1, WHOLE - 1, WHOLE, WHOLE + 1, 2 * WHOLE] {
            let text: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let mut out = b"before".to_vec();
            let next = packet(&mut out, 3, |body| body.bytes(&text)).unwrap();
            assert_eq!(usize::from(next), 4 + length / WHOLE);
            let mut whole = Vec::new();
            match front(&out[6..], usize::MAX, 3).unwrap() {
                Front::Packet { body, .. } => whole.extend_from_slice(body),
                Front::Parts { total, .. } => assert!(join(&out[6..6 + total], &mut whole)),
                other => panic!("{other:?}"),
            }
            assert!(whole == text, "{length}");
        }
    }

    #[test]
    fn texts_have_their_length() {
        let mut out = Vec::new();
        for length in [250, 251, 65535, 65536] {
            out.clear();
            packet(&mut out, 0, |body| body.text(&vec![b'x'; length])).unwrap();
            let text = crate::mysql::packet::Bytes(&out[4..]).text().unwrap();
            assert_eq!(text.len(), length);
        }
        let refused = packet(&mut out, 0, |_| Err(Refused::TooLarge));
        assert_eq!(refused, Err(Refused::TooLarge));
    }
}
