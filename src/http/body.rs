//! Bodies by length, in chunks, or up to the end of the stream (RFC 9112, 6 and 7): says which bytes of
//! a buffer are framing and which are payload, and never copies any.

use super::percent::hex_digit;

/// Longest chunk size line, extensions included, and longest trailer.
const LINE: usize = 256;
const TRAILER: usize = 4096;

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    /// The end of the stream ends it: responses only.
    Close,
}

enum State {
    /// `left` counts the payload bytes of this body or chunk.
    Length,
    Size,
    Chunk,
    ChunkEnd,
    Trailer,
    /// Nothing but the end of the stream ends it.
    Open,
    Done,
}

/// Position inside one body.
pub struct Body {
    state: State,
    left: u64,
    trailer: usize,
    /// Payload bytes handed out so far.
    total: u64,
}

/// The chunk framing is broken; nothing after it can be trusted.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

impl Body {
    pub fn new(framing: Framing) -> Body {
        let (state, left) = match framing {
            Framing::Length(0) => (State::Done, 0),
            Framing::Length(left) => (State::Length, left),
            Framing::Chunked => (State::Size, 0),
            Framing::Close => (State::Open, u64::MAX),
        };
        Body {
            state,
            left,
            trailer: 0,
            total: 0,
        }
    }

    /// Nothing of this body is left in the stream.
    pub fn finished(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Bytes known to be left; a chunked body has at least one until its end was seen.
    pub fn remaining(&self) -> u64 {
        match self.state {
            State::Done => 0,
            _ => self.left.max(1),
        }
    }

    /// The exact number of payload bytes left, when the framing tells.
    pub fn exact(&self) -> Option<u64> {
        match self.state {
            State::Done | State::Length => Some(self.left),
            _ => None,
        }
    }

    /// The stream has ended: whether the body may end there.
    pub fn end(&mut self) -> bool {
        if matches!(self.state, State::Open) {
            (self.state, self.left) = (State::Done, 0);
        }
        self.finished()
    }

    /// The lines behind the last chunk are being read.
    pub fn in_trailer(&self) -> bool {
        matches!(self.state, State::Trailer)
    }

    /// Payload bytes of the current chunk that are left, or 0 when it has none.
    pub fn chunk(&self) -> u64 {
        match self.state {
            State::Chunk => self.left,
            _ => 0,
        }
    }

    /// Payload bytes taken so far.
    pub fn taken(&self) -> u64 {
        self.total
    }

    /// Step over framing at the start of `input`: returns how many bytes to drop
    /// and how many payload bytes follow them. No payload and not finished means
    /// that more input is needed.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, usize), Broken> {
        let mut skip = 0;
        loop {
            let rest = input.get(skip..).unwrap_or(b"");
            match self.state {
                State::Length | State::Chunk | State::Open => {
                    let payload = usize::try_from(self.left)
                        .unwrap_or(usize::MAX)
                        .min(rest.len());
                    return Ok((skip, payload));
                }
                State::Size => {
                    let Some(line) = line(rest, LINE)? else { break };
                    skip += line.len() + 2;
                    self.left = chunk_size(line)?;
                    self.state = if self.left == 0 {
                        State::Trailer
                    } else {
                        State::Chunk
                    };
                }
                State::ChunkEnd => {
                    let Some(line) = line(rest, 0)? else { break };
                    skip += line.len() + 2;
                    self.state = State::Size;
                }
                State::Trailer => {
                    let Some(line) = line(rest, TRAILER)? else {
                        break;
                    };
                    skip += line.len() + 2;
                    self.trailer += line.len();
                    if line.is_empty() {
                        self.state = State::Done;
                    } else if self.trailer > TRAILER || !line.contains(&b':') {
                        return Err(Broken);
                    }
                }
                State::Done => break,
            }
        }
        Ok((skip, 0))
    }

    /// `count` payload bytes of the last `step` have been used.
    pub fn take(&mut self, count: usize) {
        if !matches!(self.state, State::Open) {
            self.left = self.left.saturating_sub(count as u64);
        }
        self.total = self.total.saturating_add(count as u64);
        if self.left == 0 {
            match self.state {
                State::Length => self.state = State::Done,
                State::Chunk => self.state = State::ChunkEnd,
                _ => {}
            }
        }
    }
}

/// The line at the start of `input` without its CRLF, once it is there.
fn line(input: &[u8], limit: usize) -> Result<Option<&[u8]>, Broken> {
    let Some(end) = input.iter().take(limit + 2).position(|&byte| byte == b'\n') else {
        // A byte that cannot be part of what is awaited is refused at once.
        let hopeless = input.len() > limit + 1 || (limit == 0 && !matches!(input, b"" | b"\r"));
        return if hopeless { Err(Broken) } else { Ok(None) };
    };
    match input.get(..end).and_then(<[u8]>::split_last) {
        Some((b'\r', line)) if !line.contains(&b'\r') => Ok(Some(line)),
        _ => Err(Broken),
    }
}

/// Hex digits, then nothing or an extension; within a signed 64-bit integer.
fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let mut size = 0u64;
    for (at, &byte) in line.iter().enumerate() {
        match hex_digit(byte) {
            Some(digit) if size <= i64::MAX as u64 >> 4 => size = size << 4 | u64::from(digit),
            None if at > 0 && matches!(byte, b';' | b' ' | b'\t') => {
                let extension = line.get(at..).unwrap_or(b"").trim_ascii_start();
                return if extension.first() == Some(&b';') {
                    Ok(size)
                } else {
                    Err(Broken)
                };
            }
            _ => return Err(Broken),
        }
    }
    if line.is_empty() {
        return Err(Broken);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decode `input` given in pieces of `piece` bytes; the payload and what is left.
    fn decode(
        framing: Framing,
        input: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, Vec<u8>, bool), Broken> {
        let mut body = Body::new(framing);
        let (mut buffer, mut payload) = (Vec::new(), Vec::new());
        for part in input.chunks(piece) {
            buffer.extend_from_slice(part);
            loop {
                let (skip, data) = body.step(&buffer)?;
                buffer.drain(..skip);
                payload.extend(buffer.drain(..data));
                body.take(data);
                if data == 0 {
                    break;
                }
            }
        }
        assert_eq!(body.taken(), payload.len() as u64);
        Ok((payload, buffer, body.finished()))
    }

    const CHUNKED: &[u8] = b"5\r\nhello\r\n00a;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n";

    #[test]
    fn fixed_length() {
        for piece in 1..12 {
            let (payload, rest, finished) =
                decode(Framing::Length(5), b"helloGET /", piece).unwrap();
            assert_eq!(
                (&payload[..], &rest[..], finished),
                (&b"hello"[..], &b"GET /"[..], true)
            );
        }
        assert_eq!(Body::new(Framing::Length(7)).remaining(), 7);
        assert!(Body::new(Framing::Length(0)).finished());
    }

    #[test]
    fn chunks_in_any_pieces() {
        let mut input = CHUNKED.to_vec();
        input.extend_from_slice(b"next");
        for piece in 1..input.len() {
            let (payload, rest, finished) = decode(Framing::Chunked, &input, piece).unwrap();
            assert_eq!(
                (&payload[..], &rest[..], finished),
                (&b"hello0123456789"[..], &b"next"[..], true)
            );
        }
    }

    #[test]
    fn up_to_the_end_of_the_stream() {
        for piece in 1..6 {
            let mut body = Body::new(Framing::Close);
            for part in b"hello".chunks(piece) {
                assert_eq!(body.step(part), Ok((0, part.len())));
                body.take(part.len());
                assert!(!body.finished() && body.exact().is_none() && body.remaining() > 0);
            }
            assert!(body.end() && body.finished() && body.taken() == 5);
            assert_eq!((body.exact(), body.remaining()), (Some(0), 0));
        }
        // Others are cut off there.
        assert!(!Body::new(Framing::Length(1)).end() && !Body::new(Framing::Chunked).end());
        assert!(Body::new(Framing::Length(0)).end());
    }

    #[test]
    fn truncations_wait_for_more() {
        for end in 0..CHUNKED.len() {
            let (_, _, finished) = decode(Framing::Chunked, &CHUNKED[..end], 3).unwrap();
            assert!(!finished, "{end}");
        }
    }

    #[test]
    fn broken_chunks() {
        for bad in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 2\r\n",
            "1\n",
            "1\rx\r\n",
            "8000000000000000\r\n",
            "11111111111111111\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\naX",
            "0\r\nx\r\n\r\n",
            "0\r\na: b\n\r\n",
        ] {
            assert_eq!(
                decode(Framing::Chunked, bad.as_bytes(), 64),
                Err(Broken),
                "{bad:?}"
            );
        }
        let long = format!("1;{}", "x".repeat(LINE));
        assert_eq!(decode(Framing::Chunked, long.as_bytes(), 64), Err(Broken));
        let trailer = format!("0\r\n{}", "a: b\r\n".repeat(TRAILER));
        assert_eq!(
            decode(Framing::Chunked, trailer.as_bytes(), 64),
            Err(Broken)
        );
    }

    #[test]
    fn hostile_bytes_do_not_panic() {
        for at in 0..CHUNKED.len() {
            for byte in 0..=255 {
                let mut bytes = CHUNKED.to_vec();
                bytes[at] = byte;
                let _ = decode(Framing::Chunked, &bytes, 4);
            }
        }
    }
}
