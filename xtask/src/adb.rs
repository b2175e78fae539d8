//! The container of apk-tools 3: a tree of values with shared byte strings, its signatures, and files behind it.
//! Written as apk writes it; read as if every byte came from an enemy.

use crate::run::{fail, Result};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256, Sha512};
use std::collections::HashMap;

/// What a tree is of.
pub const PACKAGE: &[u8; 4] = b"pckg";
pub const INDEX: &[u8; 4] = b"indx";

/// A value of a tree: four bits of type above 28 of content.
pub type Value = u32;
/// Nothing; also an empty byte string, list or object.
pub const NULL: Value = 0;

const SMALL: u32 = 1;
const WORD: u32 = 2;
const LONG: u32 = 3;
const BLOB: u32 = 8;
const ARRAY: u32 = 0xd;
const OBJECT: u32 = 0xe;

/// Kinds of blocks.
const TREE: u32 = 0;
const SIGNATURE: u32 = 1;
const DATA: u32 = 2;

/// The most a container may unpack to.
const LARGEST: usize = 64 * 1024 * 1024;
/// Trees are not deeper.
const DEPTH: u32 = 16;

/// A tree under construction: children first, the root last.
pub struct Builder {
    bytes: Vec<u8>,
    /// Where each record begins, for equal ones share a place.
    records: HashMap<Vec<u8>, Vec<u32>>,
}

impl Builder {
    pub fn new() -> Builder {
        Builder {
            bytes: vec![0; 8],
            records: HashMap::new(),
        }
    }

    fn append(&mut self, record: &[u8], alignment: usize) -> u32 {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(alignment), 0);
        let place = self.bytes.len() as u32;
        self.bytes.extend_from_slice(record);
        place
    }

    fn place(&mut self, record: Vec<u8>, alignment: usize) -> u32 {
        let known = self.records.get(&record);
        let fits = |place: &&u32| (**place as usize).is_multiple_of(alignment);
        if let Some(place) = known.and_then(|places| places.iter().find(fits)) {
            return *place;
        }
        let place = self.append(&record, alignment);
        self.records.entry(record).or_default().push(place);
        place
    }

    /// A byte string.
    pub fn blob(&mut self, data: &[u8]) -> Value {
        let length = data.len();
        let (kind, prefix) = match length {
            0 => return NULL,
            1..=0xff => (BLOB, vec![length as u8]),
            0x100..=0xffff => (BLOB + 1, (length as u16).to_le_bytes().to_vec()),
            _ => (BLOB + 2, (length as u32).to_le_bytes().to_vec()),
        };
        let alignment = prefix.len();
        kind << 28 | self.place([&prefix, data].concat(), alignment)
    }

    pub fn number(&mut self, number: u64) -> Value {
        match u32::try_from(number) {
            Ok(number) if number < 1 << 28 => SMALL << 28 | number,
            Ok(number) => WORD << 28 | self.place(number.to_le_bytes().to_vec(), 4),
            Err(_) => LONG << 28 | self.place(number.to_le_bytes().to_vec(), 4),
        }
    }

    /// An object by its fields, or a list: apk gives both the same type.
    pub fn object(&mut self, values: &[Value]) -> Value {
        let used = values.iter().rposition(|value| *value != NULL);
        let Some(last) = used else { return NULL };
        let values = &values[..=last];
        let mut record = (values.len() as u32 + 1).to_le_bytes().to_vec();
        record.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        OBJECT << 28 | self.place(record, 4)
    }

    /// Room for a byte string that is filled in at the end, and where that is.
    pub fn room(&mut self, length: u8) -> (Value, usize) {
        let mut record = vec![0; usize::from(length) + 1];
        record[0] = length;
        let place = self.append(&record, 1);
        (BLOB << 28 | place, place as usize + 1)
    }

    /// The tree with its root.
    pub fn finish(mut self, root: Value) -> Vec<u8> {
        self.bytes[4..8].copy_from_slice(&root.to_le_bytes());
        self.bytes
    }
}

/// A tree that was read.
#[derive(Clone, Copy)]
pub struct Tree<'a>(pub &'a [u8]);

impl<'a> Tree<'a> {
    fn bytes(self, offset: usize, length: usize) -> Result<&'a [u8]> {
        let end = offset.checked_add(length);
        let found = end.and_then(|end| self.0.get(offset..end));
        Ok(found.ok_or("a value lies outside the tree")?)
    }

    fn word(self, offset: usize, alignment: usize) -> Result<u32> {
        if !offset.is_multiple_of(alignment) {
            return fail("a value is not aligned");
        }
        let bytes = self.bytes(offset, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The root, of a tree of version 0.
    pub fn root(self) -> Result<Value> {
        if self.0.len() < 16 || self.0[..4] != [0; 4] {
            return fail("no tree of version 0");
        }
        self.word(4, 4)
    }

    /// A byte string; empty for null.
    pub fn blob(self, value: Value) -> Result<&'a [u8]> {
        let (kind, offset) = (value >> 28, (value & 0x0fff_ffff) as usize);
        let (prefix, length) = match kind {
            _ if value == NULL => return Ok(&[]),
            BLOB => (1, usize::from(self.bytes(offset, 1)?[0])),
            9 if offset % 2 == 0 => {
                let bytes = self.bytes(offset, 2)?;
                (2, usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
            }
            10 => (4, self.word(offset, 4)? as usize),
            _ => return fail("a byte string was expected"),
        };
        self.bytes(offset + prefix, length)
    }

    /// A byte string that is text.
    pub fn text(self, value: Value) -> Result<&'a str> {
        Ok(std::str::from_utf8(self.blob(value)?).map_err(|_| "a text is not UTF-8")?)
    }

    /// A number; 0 for null.
    pub fn number(self, value: Value) -> Result<u64> {
        let (kind, content) = (value >> 28, value & 0x0fff_ffff);
        match kind {
            _ if value == NULL => Ok(0),
            SMALL => Ok(content.into()),
            WORD => Ok(self.word(content as usize, 4)?.into()),
            LONG => {
                let low = self.word(content as usize, 4)?;
                let high = self.word(content as usize + 4, 4)?;
                Ok(u64::from(high) << 32 | u64::from(low))
            }
            _ => fail("a number was expected"),
        }
    }

    /// The fields of an object, or the entries of a list; none for null.
    pub fn slots(self, value: Value) -> Result<Vec<Value>> {
        let (kind, offset) = (value >> 28, (value & 0x0fff_ffff) as usize);
        if value == NULL {
            return Ok(Vec::new());
        }
        if kind != OBJECT && kind != ARRAY {
            return fail("an object was expected");
        }
        let count = self.word(offset, 4)? as usize;
        let size = count.checked_mul(4).ok_or("an object is too long")?;
        if count < 2 || self.bytes(offset, size)?[size - 4..] == [0; 4] {
            return fail("an object that ends with nothing");
        }
        (1..count)
            .map(|slot| self.word(offset + slot * 4, 4))
            .collect()
    }

    /// Copies a value of any kind to another tree.
    pub fn copy(self, value: Value, to: &mut Builder, depth: u32) -> Result<Value> {
        match value >> 28 {
            _ if value == NULL => Ok(NULL),
            SMALL | WORD | LONG => Ok(to.number(self.number(value)?)),
            OBJECT | ARRAY if depth < DEPTH => {
                let mut copied = Vec::new();
                for slot in self.slots(value)? {
                    copied.push(self.copy(slot, to, depth + 1)?);
                }
                Ok(to.object(&copied))
            }
            _ => Ok(to.blob(self.blob(value)?)),
        }
    }
}

/// Field `number` of an object, counted from 1 as in the format's description.
pub fn field(slots: &[Value], number: usize) -> Value {
    slots.get(number - 1).copied().unwrap_or(NULL)
}

/// A container: what a package or an index consists of.
#[derive(Debug, PartialEq)]
pub struct Container {
    pub schema: [u8; 4],
    pub tree: Vec<u8>,
    /// Payloads of the signatures.
    pub signatures: Vec<Vec<u8>>,
    /// Folder, file (counted from 1) and content.
    pub data: Vec<(u32, u32, Vec<u8>)>,
}

fn block(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let size = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend((kind << 30 | size as u32).to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.resize(out.len() + size.next_multiple_of(8) - size, 0);
}

impl Container {
    pub fn new(schema: &[u8; 4], tree: Vec<u8>) -> Container {
        Container {
            schema: *schema,
            tree,
            signatures: Vec::new(),
            data: Vec::new(),
        }
    }

    /// The bytes as they are.
    pub fn plain(&self) -> Vec<u8> {
        let mut out = b"ADB.".to_vec();
        out.extend(self.schema);
        block(&mut out, TREE, &[&self.tree]);
        for signature in &self.signatures {
            block(&mut out, SIGNATURE, &[signature]);
        }
        for (folder, file, content) in &self.data {
            block(
                &mut out,
                DATA,
                &[&folder.to_le_bytes(), &file.to_le_bytes(), content],
            );
        }
        out
    }

    /// The bytes as packages and indexes are published: deflated.
    pub fn packed(&self) -> Result<Vec<u8>> {
        let plain = self.plain();
        let mut out = b"ADBd".to_vec();
        out.reserve(plain.len() + 1024);
        let mut deflate = Compress::new(Compression::best(), false);
        let ended = deflate.compress_vec(&plain, &mut out, FlushCompress::Finish)?;
        if ended != Status::StreamEnd {
            return fail("a container that does not get smaller");
        }
        Ok(out)
    }

    /// Takes a container apart, packed or plain.
    pub fn read(bytes: &[u8]) -> Result<Container> {
        let unpacked;
        let plain = match bytes.first_chunk() {
            Some(b"ADB.") => bytes,
            Some(b"ADBd") => {
                unpacked = inflate(&bytes[4..])?;
                &unpacked[..]
            }
            _ => return fail("no container of apk 3"),
        };
        let schema = plain.get(4..8).and_then(|bytes| bytes.first_chunk());
        let Some(schema) = schema.filter(|_| plain.starts_with(b"ADB.")) else {
            return fail("no container of apk 3");
        };
        let mut found = Container::new(schema, Vec::new());
        let mut rest = &plain[8..];
        let mut last = None;
        while !rest.is_empty() {
            let (kind, payload, after) = next_block(rest)?;
            match (kind, last) {
                (TREE, None) => found.tree = payload.to_vec(),
                (SIGNATURE, Some(TREE | SIGNATURE)) => found.signatures.push(payload.to_vec()),
                (DATA, Some(_)) => {
                    let (&[a, b, c, d, e, f, g, h], content) = payload
                        .split_first_chunk()
                        .ok_or("a file without its place")?;
                    let (folder, file) = (
                        u32::from_le_bytes([a, b, c, d]),
                        u32::from_le_bytes([e, f, g, h]),
                    );
                    found.data.push((folder, file, content.to_vec()));
                }
                _ => return fail("blocks in the wrong order"),
            }
            last = Some(kind);
            rest = after;
        }
        if last.is_none() {
            return fail("a container of nothing");
        }
        Ok(found)
    }

    /// Signs the tree.
    pub fn sign(&mut self, key: &SigningKey) -> Result<()> {
        let mut signature = vec![0, 4];
        signature.extend(key_id(key.verifying_key()));
        let message = self.message(&signature);
        let made: Signature = key
            .sign_prehash(&Sha512::digest(message))
            .map_err(|error| error.to_string())?;
        signature.extend(made.to_der().as_bytes());
        self.signatures.push(signature);
        Ok(())
    }

    /// Checks that one of the signatures is of this key.
    pub fn verify(&self, key: &VerifyingKey) -> Result<()> {
        for signature in &self.signatures {
            let Some((head, made)) = signature.split_at_checked(18) else {
                return fail("a signature is cut");
            };
            let made = Signature::from_der(made);
            if head[..2] != [0, 4] || head[2..] != key_id(key) || made.is_err() {
                continue;
            }
            let digest = Sha512::digest(self.message(head));
            if made.is_ok_and(|made| key.verify_prehash(&digest, &made).is_ok()) {
                return Ok(());
            }
        }
        fail("no signature of that key")
    }

    fn message(&self, head: &[u8]) -> Vec<u8> {
        [&self.schema[..], head, &Sha512::digest(&self.tree)].concat()
    }

    /// By which an index knows a package.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.tree).into()
    }
}

/// The first bytes of the digest of a public key's point.
fn key_id(key: &VerifyingKey) -> [u8; 16] {
    let digest = Sha512::digest(key.to_encoded_point(false).as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

fn next_block(bytes: &[u8]) -> Result<(u32, &[u8], &[u8])> {
    let head = bytes.first_chunk().ok_or("a block is cut")?;
    let word = u32::from_le_bytes(*head);
    let (kind, size) = (word >> 30, (word & 0x3fff_ffff) as usize);
    if kind == 3 {
        return fail("blocks of a gigabyte are not read");
    }
    let (payload, padded) = (
        bytes.get(4..size),
        bytes.get(size..size.next_multiple_of(8)),
    );
    match (payload, padded) {
        (Some(payload), Some(padding)) if padding.iter().all(|byte| *byte == 0) => {
            Ok((kind, payload, &bytes[size.next_multiple_of(8)..]))
        }
        _ => fail("a block is cut"),
    }
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut inflate = Decompress::new(false);
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(LARGEST) + 1024);
    loop {
        let before = (inflate.total_in(), out.len());
        let rest = &bytes[inflate.total_in() as usize..];
        let status = inflate
            .decompress_vec(rest, &mut out, FlushDecompress::Finish)
            .map_err(|error| format!("damaged: {error}"))?;
        match status {
            Status::StreamEnd if inflate.total_in() as usize == bytes.len() => return Ok(out),
            Status::StreamEnd => return fail("more bytes follow the packed data"),
            _ if out.len() > LARGEST => return fail("unpacks to more than 64 MB"),
            _ if out.len() == out.capacity() => out.reserve(out.len()),
            _ if before == (inflate.total_in(), out.len()) => {
                return fail("the packed data is cut")
            }
            _ => {}
        }
    }
}
