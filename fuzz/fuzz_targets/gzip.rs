//! Gzip: no input panics, what comes out does not depend on how the input was cut,
//! and what was packed unpacks to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::deflate::{self, End, Packer, Unpacker, TAIL};
use lua_eco::gzip::{Broken, Reader, Writer};

/// At most this much is unpacked.
const MOST: usize = 1 << 18;

fn unpack(input: &[u8], piece: usize, room: usize) -> Result<(Vec<u8>, bool), Broken> {
    let mut reader = Reader::default();
    let (mut data, mut out) = (Vec::new(), vec![0; room]);
    for part in input.chunks(piece) {
        let mut at = 0;
        loop {
            let (used, made) = reader.step(&part[at..], &mut out)?;
            at += used;
            data.extend_from_slice(&out[..made]);
            if data.len() > MOST || (at == part.len() && made < room) {
                break;
            }
            assert!(used > 0 || made > 0);
        }
    }
    data.truncate(MOST);
    Ok((data, reader.ended()))
}

/// A message of a WebSocket.
fn unpack_message(input: &[u8], piece: usize) -> Result<Vec<u8>, deflate::Broken> {
    let mut unpacker = Unpacker::default();
    let (mut data, mut held) = (Vec::new(), Vec::new());
    for part in input.chunks(piece) {
        held.extend_from_slice(part);
        loop {
            let (used, made) = unpacker.step(&held)?;
            let nothing = used == 0 && made.is_empty();
            data.extend_from_slice(made);
            held.drain(..used);
            if nothing || data.len() > MOST {
                break;
            }
        }
    }
    data.truncate(MOST);
    Ok(data)
}

fuzz_target!(|input: &[u8]| {
    let message = [input, &TAIL].concat();
    let whole = unpack_message(&message, message.len());
    for piece in [1, 7] {
        match (&whole, unpack_message(&message, piece)) {
            (Ok(data), Ok(other)) => assert_eq!(*data, other),
            (Ok(data), _) if data.len() >= MOST => {}
            (whole, other) => assert_eq!(whole.is_err(), other.is_err()),
        }
    }
    let (mut packer, mut message) = (Packer::new(6), Vec::new());
    packer.pack(input, End::Keep, &mut message).unwrap();
    message.extend_from_slice(&TAIL);
    assert_eq!(unpack_message(&message, 64).as_deref(), Ok(input));
    let whole = unpack(input, input.len().max(1), 4096);
    for (piece, room) in [(1, 4096), (7, 4096), (input.len().max(1), 61)] {
        let other = unpack(input, piece, room);
        match (&whole, &other) {
            // How much came out before the damage was seen may differ.
            (Ok((data, ended)), Ok(other)) if data.len() < MOST => assert_eq!((data, ended), (&other.0, &other.1)),
            (Ok((data, _)), _) if data.len() >= MOST => {}
            _ => assert_eq!(whole.is_err(), other.is_err()),
        }
    }
    let mut writer = Writer::new(input.first().copied().unwrap_or(6) % 10);
    let (mut packed, mut at, mut out) = (Vec::new(), 0, [0; 100]);
    while !writer.finished() {
        let end = input.len().min(at + 50);
        let (used, made) = writer.step(&input[at..end], &mut out, end == input.len());
        at += used;
        packed.extend_from_slice(&out[..made]);
    }
    assert_eq!(unpack(&packed, 64, 4096), Ok((input.to_vec(), true)));
});
