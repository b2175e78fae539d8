//! The dictionary, for whoever holds its lock.

use super::record::{self, Kind, Record, DEAD};
use super::{
    mix, Geometry, ALLOCATED, CHANGING, END, HEADER, MOVE_DONE, MOVE_FROM, MOVE_LENGTH, MOVE_TO,
    NO_HASH, OVERHEAD, PATCH, PATCH_EXPIRY, PATCH_KIND, PATCH_VALUE,
};
use crate::system::map::Map;

/// There is no room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// The bytes contradict each other.
struct Corrupt;

/// Eight bytes and what they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    fn kind(self) -> Kind {
        match self {
            Number::Integer(_) => Kind::Integer,
            Number::Float(_) => Kind::Float,
        }
    }

    fn bytes(self) -> [u8; 8] {
        match self {
            Number::Integer(value) => value.to_ne_bytes(),
            Number::Float(value) => value.to_bits().to_ne_bytes(),
        }
    }
}

/// A dictionary whose lock is held.
pub struct Dict<'a> {
    map: &'a Map,
    geometry: Geometry,
    /// Gets memory for the area up to there; false when there is none.
    allocate: &'a dyn Fn(u32) -> bool,
}

/// A record and what points to it: the place in the map of a bucket or of a
/// record's `next`.
struct Found {
    record: Record,
    link: usize,
}

fn key_hash(key: &[u8]) -> u32 {
    mix(NO_HASH, key)
}

impl<'a> Dict<'a> {
    /// Puts right what somebody left in the middle of a change.
    pub fn new(map: &'a Map, geometry: Geometry, allocate: &'a dyn Fn(u32) -> bool) -> Dict<'a> {
        let dict = Dict {
            map,
            geometry,
            allocate,
        };
        if map.load(CHANGING) != Some(0) {
            dict.recover();
        }
        dict
    }

    /// Where a place of the area is in the map. Beyond it for bad ones.
    fn place(&self, at: u32) -> usize {
        (self.geometry.area() + u64::from(at))
            .try_into()
            .unwrap_or(usize::MAX)
    }

    fn bucket(&self, hash: u32) -> usize {
        HEADER + 4 * (hash & (self.geometry.buckets - 1)) as usize
    }

    /// Where records end.
    fn end(&self) -> u32 {
        self.map.load(END).unwrap_or(0).min(self.geometry.size)
    }

    /// The record at a place, if there is one.
    fn record(&self, at: u32, end: u32) -> Option<Record> {
        let mut header = [0; OVERHEAD as usize];
        self.map.read(self.place(at), &mut header)?;
        Record::read(at, end, &header)
    }

    /// The record of a key, dead ones left out, expired ones not.
    fn search(&self, key: &[u8]) -> Result<Option<Found>, Corrupt> {
        let mut limit = self.end();
        let mut link = self.bucket(key_hash(key));
        loop {
            let next = self.map.load(link).ok_or(Corrupt)?;
            let Some(at) = next.checked_sub(1) else {
                return Ok(None);
            };
            // Each one is before the one that points to it: there is an end.
            let record = self.record(at, limit).ok_or(Corrupt)?;
            if !record.is_dead() && self.has_key(&record, key) {
                return Ok(Some(Found { record, link }));
            }
            limit = at;
            link = self.place(at + record::NEXT);
        }
    }

    fn has_key(&self, record: &Record, key: &[u8]) -> bool {
        record.key as usize == key.len() && self.map.holds(self.place(record.at + OVERHEAD), key)
    }

    fn find(&self, key: &[u8]) -> Option<Found> {
        self.search(key)
            .or_else(|Corrupt| {
                self.recover();
                self.search(key)
            })
            .unwrap_or(None)
    }

    /// The record of a key, if it has not expired.
    pub fn get(&self, key: &[u8], now: i64) -> Option<Record> {
        self.find(key)
            .map(|found| found.record)
            .filter(|record| record.is_live(now))
    }

    /// Copies a record's value, or as much as there is room for.
    pub fn value(&self, record: &Record, into: &mut [u8]) -> Option<()> {
        let length = into.len().min(record.value as usize);
        self.map
            .read(self.place(record.value_at()), &mut into[..length])
    }

    /// Calls for each record that counts, in the order of the area, with the
    /// place and length of its key for [`Dict::key`].
    pub fn each(&self, now: i64, take: &mut dyn FnMut(&Record)) {
        let (mut at, end) = (0, self.end());
        while at < end {
            let Some(record) = self.record(at, end) else {
                return;
            };
            if record.is_live(now) {
                take(&record);
            }
            at = record.end();
        }
    }

    /// Copies a record's key, of whose length `into` is.
    pub fn key(&self, record: &Record, into: &mut [u8]) -> Option<()> {
        self.map.read(self.place(record.at + OVERHEAD), into)
    }

    /// Sets a key. When there is no room, what it was stays.
    pub fn set(
        &self,
        key: &[u8],
        kind: Kind,
        value: &[u8],
        expiry: i64,
        now: i64,
    ) -> Result<(), NoMemory> {
        let mut old = self.find(key);
        if let Some(Found { record, .. }) = &old {
            if kind != Kind::String && record.value as usize == value.len() {
                return self.patch(record, kind, value, expiry).ok_or(NoMemory);
            }
        }
        let size = self.geometry.size;
        let length = u32::try_from(key.len() as u64 + value.len() as u64 + u64::from(OVERHEAD));
        let length = length.map_err(|_| NoMemory)?;
        let fits = |end: u32| end.checked_add(length).filter(|&new| new <= size);
        let mut end = self.end();
        if fits(end).is_none() {
            self.compact(now);
            old = self.find(key);
            end = self.end();
        }
        let new = fits(end).ok_or(NoMemory)?;
        if new > self.map.load(ALLOCATED).unwrap_or(0) {
            // In steps, and all that is left at the end.
            let step = new.saturating_add(1 << 14).min(size);
            let Some(got) = [step, new]
                .into_iter()
                .find(|&up_to| (self.allocate)(up_to))
            else {
                return Err(NoMemory);
            };
            self.map.store(ALLOCATED, got);
        }
        self.append(end, new, key, kind, value, expiry, old)
            .ok_or(NoMemory)
    }

    #[allow(clippy::too_many_arguments)]
    fn append(
        &self,
        at: u32,
        new_end: u32,
        key: &[u8],
        kind: Kind,
        value: &[u8],
        expiry: i64,
        old: Option<Found>,
    ) -> Option<()> {
        let map = self.map;
        map.store(CHANGING, 1)?;
        if let Some(Found { record, link }) = &old {
            map.store(*link, record.next)?;
        }
        let bucket = self.bucket(key_hash(key));
        let record = Record {
            at,
            next: map.load(bucket)?,
            kind: kind as u32,
            key: key.len() as u32,
            value: value.len() as u32,
            expiry,
        };
        map.write(self.place(at), &record.header())?;
        map.write(self.place(at + OVERHEAD), key)?;
        map.write(self.place(record.value_at()), value)?;
        map.store(END, new_end)?;
        map.store(bucket, at + 1)?;
        if let Some(Found { record, .. }) = &old {
            self.bury(record)?;
        }
        map.store(CHANGING, 0)
    }

    /// Marks a record as dead.
    fn bury(&self, record: &Record) -> Option<()> {
        self.map
            .store(self.place(record.at + record::KIND), record.kind | DEAD)
    }

    /// Changes value and expiry in place. A value of other length than eight
    /// and one is left alone.
    fn patch(&self, record: &Record, kind: Kind, value: &[u8], expiry: i64) -> Option<()> {
        let mut room = [0; 8];
        if let Some(place) = room.get_mut(..value.len()) {
            place.copy_from_slice(value);
        }
        let map = self.map;
        map.store(PATCH_KIND, kind as u32)?;
        map.write(PATCH_EXPIRY, &expiry.to_ne_bytes())?;
        map.write(PATCH_VALUE, &room)?;
        map.store(CHANGING, 1)?;
        map.store(PATCH, record.at + 1)?;
        self.finish_patch()?;
        map.store(CHANGING, 0)
    }

    /// Does what the note about a patch says, again if need be.
    fn finish_patch(&self) -> Option<()> {
        let map = self.map;
        if let Some(at) = map.load(PATCH)?.checked_sub(1) {
            let (mut expiry, mut value) = ([0; 8], [0; 8]);
            map.read(PATCH_EXPIRY, &mut expiry)?;
            map.read(PATCH_VALUE, &mut value)?;
            if let Some(record) = self.record(at, self.end()) {
                map.write(self.place(at + record::EXPIRY), &expiry)?;
                let kind = map.load(PATCH_KIND)?;
                map.store(self.place(at + record::KIND), kind)?;
                if kind != Kind::String as u32 {
                    let length = value.len().min(record.value as usize);
                    map.write(self.place(record.value_at()), &value[..length])?;
                }
            }
        }
        map.store(PATCH, 0)
    }

    /// Changes when a key expires; false if there is none.
    pub fn expire(&self, key: &[u8], expiry: i64, now: i64) -> bool {
        let Some(record) = self.get(key, now) else {
            return false;
        };
        let (mut value, kind) = ([0; 8], record.kind().unwrap_or(Kind::String));
        let length = (record.value as usize).min(8);
        let value = &mut value[..length];
        self.value(&record, value)
            .and_then(|()| self.patch(&record, kind, value, expiry))
            .is_some()
    }

    /// Replaces the number of a record that was just found.
    pub fn replace(&self, record: &Record, number: Number, expiry: i64) -> Option<()> {
        self.patch(record, number.kind(), &number.bytes(), expiry)
    }

    /// Removes a key; whether it was there.
    pub fn remove(&self, key: &[u8], now: i64) -> bool {
        let Some(Found { record, link }) = self.find(key) else {
            return false;
        };
        let map = self.map;
        let done = map
            .store(CHANGING, 1)
            .and_then(|()| map.store(link, record.next))
            .and_then(|()| self.bury(&record))
            .and_then(|()| map.store(CHANGING, 0));
        done.is_some() && record.is_live(now)
    }

    /// Removes all keys.
    pub fn clear(&self) {
        let map = self.map;
        map.store(CHANGING, 1);
        map.store(MOVE_LENGTH, 0);
        map.store(PATCH, 0);
        map.store(END, 0);
        self.rebuild();
    }

    /// Puts the records that count close together.
    fn compact(&self, now: i64) {
        self.map.store(CHANGING, 1);
        let (mut at, mut to) = (0, 0);
        let end = self.end();
        while at < end {
            let Some(record) = self.record(at, end) else {
                break;
            };
            let length = record.length();
            if record.is_live(now) {
                if at > to && self.shift(at, to, length).is_none() {
                    break;
                }
                to += length;
            }
            at += length;
        }
        self.map.store(END, to);
        self.rebuild();
    }

    /// Moves a record to the front, over dead ones; a dead one fills the place
    /// behind it.
    fn shift(&self, from: u32, to: u32, length: u32) -> Option<()> {
        self.map.store(MOVE_FROM, from)?;
        self.map.store(MOVE_TO, to)?;
        self.map.store(MOVE_DONE, 0)?;
        self.map.store(MOVE_LENGTH, length)?;
        self.finish_shift()
    }

    /// Does what the note about a move says, or the rest of it: pieces are no
    /// longer than the gap, so that each may be copied twice.
    fn finish_shift(&self) -> Option<()> {
        let map = self.map;
        let length = map.load(MOVE_LENGTH)?;
        let (from, to) = (map.load(MOVE_FROM)?, map.load(MOVE_TO)?);
        let mut done = map.load(MOVE_DONE)?;
        let is_good = to < from
            && from
                .checked_add(length)
                .is_some_and(|end| end <= self.end());
        if length > 0 && is_good && from - to >= OVERHEAD {
            while done < length {
                let piece = (length - done).min(from - to);
                map.copy(
                    self.place(from + done),
                    self.place(to + done),
                    piece as usize,
                )?;
                done += piece;
                map.store(MOVE_DONE, done)?;
            }
            let filler = Record {
                at: to + length,
                next: 0,
                kind: DEAD,
                key: 0,
                value: from - to - OVERHEAD,
                expiry: 0,
            };
            map.write(self.place(filler.at), &filler.header())?;
        }
        map.store(MOVE_LENGTH, 0)
    }

    /// Finishes what was begun, and builds the rest anew.
    fn recover(&self) {
        self.map.store(CHANGING, 1);
        let _ = self.finish_shift();
        let _ = self.finish_patch();
        self.rebuild();
    }

    /// Builds buckets and chains from the records. What is none ends the area.
    fn rebuild(&self) {
        let map = self.map;
        map.clear(HEADER, 4 * self.geometry.buckets as usize);
        let (mut at, end) = (0, self.end());
        while at < end {
            let Some(record) = self.record(at, end) else {
                map.store(END, at);
                break;
            };
            at = record.end();
            if !record.is_dead() && self.adopt(&record, end).is_none() {
                let _ = self.bury(&record);
            }
        }
        map.store(CHANGING, 0);
    }

    /// Puts a record into its bucket, in place of an earlier one of its key.
    fn adopt(&self, record: &Record, end: u32) -> Option<()> {
        let map = self.map;
        record.kind()?;
        // The hash of its key, and an earlier record of it.
        let mut hash = NO_HASH;
        let (key, mut room) = (self.place(record.at + OVERHEAD), [0; 64]);
        let mut done = 0;
        while done < record.key as usize {
            let piece = room.len().min(record.key as usize - done);
            map.read(key + done, &mut room[..piece])?;
            hash = mix(hash, &room[..piece]);
            done += piece;
        }
        let bucket = self.bucket(hash);
        let (mut link, mut limit) = (bucket, end);
        while let Some(at) = map.load(link)?.checked_sub(1) {
            let other = self.record(at, limit)?;
            if other.key == record.key && self.same_key(&other, record) {
                map.store(link, other.next)?;
                self.bury(&other)?;
                break;
            }
            limit = at;
            link = self.place(at + record::NEXT);
        }
        map.store(self.place(record.at + record::NEXT), map.load(bucket)?)?;
        map.store(bucket, record.at + 1)
    }

    fn same_key(&self, one: &Record, other: &Record) -> bool {
        let mut room = [0; 64];
        let mut done = 0;
        while done < one.key {
            let piece = (one.key - done).min(room.len() as u32);
            let part = &mut room[..piece as usize];
            let at = |record: &Record| self.place(record.at + OVERHEAD + done);
            if self.map.read(at(one), part).is_none() || !self.map.holds(at(other), part) {
                return false;
            }
            done += piece;
        }
        true
    }
}

#[cfg(test)]
mod tests;
