//! What outlives a connection: messages under way in both directions, and their
//! numbers. Nothing is sent twice that was acknowledged, nothing is delivered
//! twice that has the quality of service 2.

use std::collections::VecDeque;

use super::write::{ack, Message, Refused};
use super::{Version, FAILURE, LONGEST, PUBACK, PUBCOMP, PUBREC, PUBREL, TOO_LARGE, UNKNOWN_ID};

/// Packets are numbered from 1 to this.
const IDS: u64 = 65535;

/// The bit of a PUBLISH that was sent before.
const DUP: u8 = 8;

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for room in the window.
    Queued,
    Puback,
    Pubrec,
    Pubcomp,
}

/// A message of ours that is not acknowledged.
struct Entry {
    /// Its place in the order of all; its packet's number follows from it.
    serial: u64,
    stage: Stage,
    qos: u8,
    /// Somebody waits for the end of it.
    awaited: bool,
    /// The packet, until it is not needed again.
    packet: Vec<u8>,
}

impl Entry {
    /// Sends the packet; what comes next is the peer's first answer to it.
    fn send(&mut self, out: &mut Vec<u8>) -> Result<(), Refused> {
        out.try_reserve(self.packet.len())
            .map_err(|_| Refused::Memory)?;
        out.extend_from_slice(&self.packet);
        self.stage = if self.qos == 1 {
            Stage::Puback
        } else {
            Stage::Pubrec
        };
        Ok(())
    }
}

/// The number of the packet with that serial.
fn id_of(serial: u64) -> u16 {
    ((serial - 1) % IDS) as u16 + 1
}

/// The end of a message that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub serial: u64,
    pub code: u8,
}

/// What is allowed.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Messages that are sent and not acknowledged.
    pub window: u16,
    /// Messages that are kept, those included.
    pub kept: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Messages of the peer that are not released; more end the connection.
    pub incoming: u16,
}

/// A message of the peer with a quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    New,
    /// It was delivered before.
    Again,
    TooMany,
}

pub struct Session {
    pub version: Version,
    pub limits: Limits,
    /// There is a connection that was accepted.
    online: bool,
    /// The window of this connection.
    window: u16,
    /// The largest packet the peer takes.
    pub largest: usize,
    /// Serial of the last packet that was numbered.
    last: u64,
    entries: VecDeque<Entry>,
    /// How many of them are queued, and how many are under way.
    queued: usize,
    flying: u16,
    /// Bytes of packets they hold.
    bytes: usize,
    /// Numbers of subscribe and unsubscribe requests without an answer.
    requests: Vec<u16>,
    /// Numbers of the peer's messages that are not released, a bit for each.
    incoming: Vec<u32>,
    incoming_count: u16,
    /// Ends that were not told yet.
    ends: VecDeque<End>,
}

impl Session {
    pub fn new(version: Version, limits: Limits) -> Session {
        Session {
            version,
            limits,
            online: false,
            window: limits.window,
            largest: LONGEST + 5,
            last: 0,
            entries: VecDeque::new(),
            queued: 0,
            flying: 0,
            bytes: 0,
            requests: Vec::new(),
            incoming: Vec::new(),
            incoming_count: 0,
            ends: VecDeque::new(),
        }
    }

    // ---- numbers -------------------------------------------------------------------

    /// Number of the last packet that was numbered, and how many were.
    pub fn last(&self) -> (u16, u64) {
        match self.last {
            0 => (0, 0),
            serial => (id_of(serial), serial),
        }
    }

    /// The next serial whose number is free.
    fn next(&mut self) -> Result<u64, Refused> {
        let start = self.last;
        while self.last - start < IDS {
            self.last += 1;
            let id = id_of(self.last);
            // Until the oldest one's turn comes again, no number can be taken.
            let oldest = self.entries.front().map_or(self.last, |entry| entry.serial);
            let taken = self.last - oldest >= IDS
                && self.entries.iter().any(|entry| id_of(entry.serial) == id);
            if !taken && !self.requests.contains(&id) {
                return Ok(self.last);
            }
        }
        Err(Refused::Full)
    }

    /// A number for a subscribe or unsubscribe request.
    pub fn request(&mut self) -> Result<(u16, u64), Refused> {
        if self.requests.len() >= self.limits.kept {
            return Err(Refused::Full);
        }
        self.requests.try_reserve(1).map_err(|_| Refused::Memory)?;
        let serial = self.next()?;
        self.requests.push(id_of(serial));
        Ok((id_of(serial), serial))
    }

    /// Such a request was answered, or never sent; false if there is none.
    pub fn answered(&mut self, id: u16) -> bool {
        match self.requests.iter().position(|&request| request == id) {
            Some(place) => {
                self.requests.remove(place);
                true
            }
            None => false,
        }
    }

    // ---- outgoing ------------------------------------------------------------------

    /// Takes a message: adds it to what is to be sent, or keeps it until it may
    /// be. Gives its serial, 0 without a quality of service.
    pub fn publish(
        &mut self,
        out: &mut Vec<u8>,
        message: &Message,
        awaited: bool,
    ) -> Result<u64, Refused> {
        let size = message.size(self.version);
        if size > self.largest {
            return Err(Refused::TooLarge);
        }
        if message.qos == 0 {
            message.put(out, self.version, 0)?;
            return Ok(0);
        }
        if !self.has_room() {
            return Err(Refused::Full);
        }
        self.entries.try_reserve(1).map_err(|_| Refused::Memory)?;
        let mut packet = Vec::new();
        packet
            .try_reserve_exact(size + 5)
            .map_err(|_| Refused::Memory)?;
        let sends = self.online && self.queued == 0 && self.flying < self.window;
        if sends {
            out.try_reserve(size).map_err(|_| Refused::Memory)?;
        }
        let serial = self.next()?;
        message.put(&mut packet, self.version, id_of(serial))?;
        self.bytes += packet.len();
        if sends {
            out.extend_from_slice(&packet);
            self.flying += 1;
        } else {
            self.queued += 1;
        }
        self.entries.push_back(Entry {
            serial,
            stage: match message.qos {
                _ if !sends => Stage::Queued,
                1 => Stage::Puback,
                _ => Stage::Pubrec,
            },
            qos: message.qos,
            awaited,
            packet,
        });
        Ok(serial)
    }

    /// Takes back a message that could not be sent.
    pub fn withdraw(&mut self, serial: u64) {
        let Some(place) = self.entries.iter().position(|entry| entry.serial == serial) else {
            return;
        };
        if let Some(entry) = self.entries.remove(place) {
            self.bytes -= entry.packet.len();
            if entry.stage == Stage::Queued {
                self.queued -= 1;
            } else {
                self.flying -= 1;
            }
        }
    }

    /// True when a message more may be taken.
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.limits.kept && self.bytes < self.limits.bytes
    }

    /// Messages that are not acknowledged.
    pub fn kept(&self) -> usize {
        self.entries.len()
    }

    /// True while the message is not acknowledged.
    pub fn holds(&self, serial: u64) -> bool {
        self.entries.iter().any(|entry| entry.serial == serial)
    }

    /// Nobody waits for that message any more.
    pub fn ignore(&mut self, serial: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.serial == serial) {
            entry.awaited = false;
        }
        self.ends.retain(|end| end.serial != serial);
    }

    /// The first message behind that serial that waits for a packet of that type:
    /// its number and serial.
    pub fn waiting(&self, kind: u8, after: u64) -> Option<(u16, u64)> {
        let start = self.entries.partition_point(|entry| entry.serial <= after);
        self.entries.iter().skip(start).find_map(|entry| {
            let waits = match entry.stage {
                Stage::Queued => return None,
                Stage::Puback => PUBACK,
                Stage::Pubrec => PUBREC,
                Stage::Pubcomp => PUBCOMP,
            };
            (waits == kind).then(|| (id_of(entry.serial), entry.serial))
        })
    }

    /// The first number behind that one of a message of the peer's that was not
    /// released.
    pub fn unreleased(&self, after: u16) -> Option<u16> {
        (after..=u16::MAX).skip(1).find(|&id| self.is_incoming(id))
    }

    /// Sends what is queued while the window has room.
    fn pump(&mut self, out: &mut Vec<u8>) -> Result<(), Refused> {
        if self.queued == 0 {
            return Ok(());
        }
        let mut place = 0;
        while let Some(entry) = self.entries.get_mut(place) {
            if self.flying >= self.window || self.queued == 0 {
                break;
            }
            place += 1;
            if entry.stage != Stage::Queued {
                continue;
            }
            if entry.packet.len() > self.largest {
                // The peer takes less than the one it was made for.
                place -= 1;
                self.queued -= 1;
                self.end(place, TOO_LARGE)?;
                continue;
            }
            entry.send(out)?;
            self.queued -= 1;
            self.flying += 1;
        }
        Ok(())
    }

    /// The message at that place has ended.
    fn end(&mut self, place: usize, code: u8) -> Result<(), Refused> {
        let Some(entry) = self.entries.get(place) else {
            return Ok(());
        };
        if entry.awaited {
            self.ends.try_reserve(1).map_err(|_| Refused::Memory)?;
            self.ends.push_back(End {
                serial: entry.serial,
                code,
            });
        }
        self.bytes -= entry.packet.len();
        self.entries.remove(place);
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
        Ok(())
    }

    /// The end of a message that was waited for, if one has come.
    pub fn next_end(&mut self) -> Option<End> {
        self.ends.pop_front()
    }

    /// PUBACK, PUBREC or PUBCOMP came.
    pub fn acknowledged(
        &mut self,
        out: &mut Vec<u8>,
        kind: u8,
        id: u16,
        code: u8,
    ) -> Result<(), Refused> {
        let found = self.entries.iter().position(|entry| {
            id_of(entry.serial) == id
                && match entry.stage {
                    Stage::Queued => false,
                    Stage::Puback => kind == PUBACK,
                    Stage::Pubrec => kind == PUBREC,
                    Stage::Pubcomp => kind == PUBCOMP || kind == PUBREC,
                }
        });
        let Some(place) = found else {
            if kind == PUBREC && self.version == Version::V5 && code < FAILURE {
                return ack(out, PUBREL, id, UNKNOWN_ID);
            }
            return Ok(());
        };
        if kind == PUBREC && code < FAILURE {
            ack(out, PUBREL, id, 0)?;
            if let Some(entry) = self.entries.get_mut(place) {
                entry.stage = Stage::Pubcomp;
                self.bytes -= entry.packet.len();
                entry.packet = Vec::new();
            }
            return Ok(());
        }
        self.end(place, code)?;
        self.flying -= 1;
        self.pump(out)
    }

    // ---- incoming ------------------------------------------------------------------

    fn is_incoming(&self, id: u16) -> bool {
        let word = self.incoming.get(usize::from(id / 32));
        word.is_some_and(|word| word >> (id % 32) & 1 != 0)
    }

    /// A message of the peer with quality of service 2 came.
    pub fn arrived(&mut self, id: u16) -> Result<Arrival, Refused> {
        if self.is_incoming(id) {
            return Ok(Arrival::Again);
        }
        if self.incoming_count >= self.limits.incoming {
            return Ok(Arrival::TooMany);
        }
        let place = usize::from(id / 32);
        if place >= self.incoming.len() {
            let more = place + 1 - self.incoming.len();
            self.incoming
                .try_reserve(more)
                .map_err(|_| Refused::Memory)?;
            self.incoming.resize(place + 1, 0);
        }
        if let Some(word) = self.incoming.get_mut(place) {
            *word |= 1 << (id % 32);
        }
        self.incoming_count += 1;
        Ok(Arrival::New)
    }

    /// PUBREL came, or the message was refused: its number is free; false if it
    /// was free before.
    pub fn released(&mut self, id: u16) -> bool {
        if !self.is_incoming(id) {
            return false;
        }
        if let Some(word) = self.incoming.get_mut(usize::from(id / 32)) {
            *word &= !(1 << (id % 32));
        }
        self.incoming_count -= 1;
        true
    }

    // ---- connections ---------------------------------------------------------------

    /// A connection was accepted: what is under way is sent again.
    ///
    /// Where the peer knows the session, by the letter. Where it does not,
    /// messages that it may not have got are sent as new ones, and those that it
    /// said it got are done.
    pub fn resume(&mut self, out: &mut Vec<u8>, present: bool, window: u16) -> Result<(), Refused> {
        self.window = self.limits.window.min(window).max(1);
        self.online = true;
        if !present {
            self.incoming = Vec::new();
            self.incoming_count = 0;
        }
        self.flying = 0;
        self.queued = 0;
        let mut place = 0;
        while let Some(entry) = self.entries.get_mut(place) {
            match entry.stage {
                Stage::Pubcomp if !present => {
                    self.end(place, 0)?;
                    continue;
                }
                Stage::Pubcomp => self.flying = self.flying.saturating_add(1),
                stage => {
                    let sent = stage != Stage::Queued;
                    if let Some(first) = entry.packet.first_mut() {
                        if !present {
                            *first &= !DUP;
                        } else if sent {
                            *first |= DUP;
                        }
                    }
                    entry.stage = Stage::Queued;
                    self.queued += 1;
                }
            }
            place += 1;
        }
        // In the order they were sent in.
        let mut flying = 0;
        for place in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(place) else {
                break;
            };
            if entry.stage == Stage::Pubcomp {
                ack(out, PUBREL, id_of(entry.serial), 0)?;
            } else if self.flying < self.window && entry.packet.len() <= self.largest {
                entry.send(out)?;
                self.flying += 1;
                flying += 1;
            }
        }
        self.queued -= flying;
        self.pump(out)
    }

    /// The connection has ended: requests without an answer get none.
    pub fn disconnected(&mut self) {
        self.requests = Vec::new();
        self.online = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::packet::{parse, Header, Packet};
    use crate::mqtt::properties::Properties;

    const LIMITS: Limits = Limits {
        window: 2,
        kept: 4,
        bytes: 1000,
        incoming: 3,
    };

    fn session(version: Version) -> Session {
        let mut session = Session::new(version, LIMITS);
        session.resume(&mut Vec::new(), false, u16::MAX).unwrap();
        session
    }

    fn publish(session: &mut Session, out: &mut Vec<u8>, qos: u8) -> Result<u64, Refused> {
        let message = Message {
            topic: b"t",
            payload: b"p",
            qos,
            retain: false,
            properties: &[],
        };
        session.publish(out, &message, true)
    }

    /// What was sent: type, number, and whether again.
    fn sent(version: Version, out: &mut Vec<u8>) -> Vec<(u8, u16, bool)> {
        let bytes = std::mem::take(out);
        let mut rest = &bytes[..];
        let mut packets = Vec::new();
        while let Some(header) = Header::read(rest).unwrap() {
            let body = &rest[header.size..header.total()];
            packets.push(match parse(version, header, body).unwrap() {
                Packet::Publish(publish) => (3, publish.id, publish.dup),
                Packet::Ack { kind, id, code, .. } => (kind, id, code != 0),
                other => panic!("{other:?}"),
            });
            rest = &rest[header.total()..];
        }
        packets
    }

    fn ends(session: &mut Session) -> Vec<(u64, u8)> {
        std::iter::from_fn(|| session.next_end())
            .map(|end| (end.serial, end.code))
            .collect()
    }

    #[test]
    fn the_window_opens_with_acknowledgements() {
        let (mut session, mut out) = (session(Version::V4), Vec::new());
        for serial in 1..=4 {
            assert_eq!(publish(&mut session, &mut out, 1), Ok(serial));
        }
        assert_eq!(publish(&mut session, &mut out, 1), Err(Refused::Full));
        assert_eq!(publish(&mut session, &mut out, 0), Ok(0));
        assert_eq!(
            sent(Version::V4, &mut out),
            [(3, 1, false), (3, 2, false), (3, 0, false)]
        );
        session.acknowledged(&mut out, PUBACK, 2, 0).unwrap();
        assert_eq!(sent(Version::V4, &mut out), [(3, 3, false)]);
        // Not sent yet, unknown, of the wrong kind.
        for (kind, id) in [(PUBACK, 4), (PUBACK, 9), (PUBREC, 1), (PUBCOMP, 1)] {
            session.acknowledged(&mut out, kind, id, 0).unwrap();
        }
        assert!(out.is_empty());
        session.acknowledged(&mut out, PUBACK, 1, 0).unwrap();
        assert_eq!(sent(Version::V4, &mut out), [(3, 4, false)]);
        assert_eq!(ends(&mut session), [(2, 0), (1, 0)]);
        assert_eq!(session.kept(), 2);
    }

    #[test]
    fn quality_of_service_2_outwards() {
        let (mut session, mut out) = (session(Version::V5), Vec::new());
        publish(&mut session, &mut out, 2).unwrap();
        out.clear();
        session.acknowledged(&mut out, PUBREC, 1, 0).unwrap();
        session.acknowledged(&mut out, PUBREC, 1, 0).unwrap();
        assert_eq!(sent(Version::V5, &mut out), [(PUBREL, 1, false); 2]);
        assert!(ends(&mut session).is_empty());
        session.acknowledged(&mut out, PUBCOMP, 1, 0).unwrap();
        assert_eq!(ends(&mut session), [(1, 0)]);
        // Of unknown ones the peer learns that they are.
        session.acknowledged(&mut out, PUBREC, 1, 0).unwrap();
        assert_eq!(sent(Version::V5, &mut out), [(PUBREL, 1, true)]);
        // A refusal ends it.
        publish(&mut session, &mut out, 2).unwrap();
        out.clear();
        session.acknowledged(&mut out, PUBREC, 2, 0x97).unwrap();
        assert!(out.is_empty());
        assert_eq!(ends(&mut session), [(2, 0x97)]);
    }

    #[test]
    fn a_known_session_goes_on() {
        let (mut session, mut out) = (session(Version::V4), Vec::new());
        for qos in [2, 1, 1, 2] {
            publish(&mut session, &mut out, qos).unwrap();
        }
        session.acknowledged(&mut out, PUBREC, 1, 0).unwrap();
        assert_eq!(session.arrived(7), Ok(Arrival::New));
        out.clear();
        session.disconnected();
        session.resume(&mut out, true, u16::MAX).unwrap();
        assert_eq!(
            sent(Version::V4, &mut out),
            [(PUBREL, 1, false), (3, 2, true)]
        );
        assert_eq!(session.arrived(7), Ok(Arrival::Again));
        session.acknowledged(&mut out, PUBCOMP, 1, 0).unwrap();
        session.acknowledged(&mut out, PUBACK, 2, 0).unwrap();
        // Never sent before: not marked.
        assert_eq!(sent(Version::V4, &mut out), [(3, 3, false), (3, 4, false)]);
        // A smaller window of the next peer.
        session.resume(&mut out, true, 1).unwrap();
        assert_eq!(sent(Version::V4, &mut out), [(3, 3, true)]);
        session.acknowledged(&mut out, PUBACK, 3, 0).unwrap();
        assert_eq!(sent(Version::V4, &mut out), [(3, 4, true)]);
    }

    #[test]
    fn without_a_connection_messages_wait() {
        let (mut session, mut out) = (Session::new(Version::V4, LIMITS), Vec::new());
        publish(&mut session, &mut out, 1).unwrap();
        publish(&mut session, &mut out, 2).unwrap();
        assert!(out.is_empty());
        session.resume(&mut out, true, u16::MAX).unwrap();
        assert_eq!(sent(Version::V4, &mut out), [(3, 1, false), (3, 2, false)]);
        session.disconnected();
        publish(&mut session, &mut out, 1).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn a_lost_session_begins_anew() {
        let (mut session, mut out) = (session(Version::V4), Vec::new());
        for qos in [2, 1, 2] {
            publish(&mut session, &mut out, qos).unwrap();
        }
        session.acknowledged(&mut out, PUBREC, 1, 0).unwrap();
        session.arrived(7).unwrap();
        out.clear();
        session.resume(&mut out, false, u16::MAX).unwrap();
        assert_eq!(sent(Version::V4, &mut out), [(3, 2, false), (3, 3, false)]);
        assert_eq!(ends(&mut session), [(1, 0)]);
        assert_eq!(session.arrived(7), Ok(Arrival::New));
    }

    #[test]
    fn what_the_next_peer_does_not_take_ends() {
        let (mut session, mut out) = (session(Version::V5), Vec::new());
        publish(&mut session, &mut out, 1).unwrap();
        out.clear();
        session.largest = 5;
        session.resume(&mut out, true, 10).unwrap();
        assert!(out.is_empty());
        assert_eq!(ends(&mut session), [(1, TOO_LARGE)]);
        assert_eq!(publish(&mut session, &mut out, 0), Err(Refused::TooLarge));
    }

    #[test]
    fn the_peers_messages_are_counted_once() {
        let mut session = session(Version::V4);
        for id in [1, 65535, 32] {
            assert_eq!(session.arrived(id), Ok(Arrival::New));
            assert_eq!(session.arrived(id), Ok(Arrival::Again));
        }
        assert_eq!(session.arrived(2), Ok(Arrival::TooMany));
        assert_eq!(
            [0, 1, 32, 65535].map(|id| session.unreleased(id)),
            [Some(1), Some(32), Some(65535), None]
        );
        assert!(session.released(65535));
        assert!(!session.released(65535));
        assert!(!session.released(9999));
        assert_eq!(session.arrived(2), Ok(Arrival::New));
    }

    #[test]
    fn numbers_in_use_are_not_used_again() {
        let (mut session, mut out) = (session(Version::V4), Vec::new());
        publish(&mut session, &mut out, 1).unwrap();
        let (request, _) = session.request().unwrap();
        assert_eq!(request, 2);
        for serial in 3..=65535 {
            assert_eq!(publish(&mut session, &mut out, 1), Ok(serial));
            out.clear();
            session
                .acknowledged(&mut out, PUBACK, serial as u16, 0)
                .unwrap();
            session.next_end();
        }
        // 1 and 2 are still under way.
        publish(&mut session, &mut out, 1).unwrap();
        assert_eq!(session.last(), (3, 65538));
        assert!(session.answered(2));
        assert!(!session.answered(2));
    }

    #[test]
    fn bytes_that_are_kept_are_bounded() {
        let mut session = session(Version::V4);
        session.limits.kept = 100;
        let message = Message {
            topic: b"t",
            payload: &[0; 600],
            qos: 1,
            retain: true,
            properties: &[],
        };
        let mut out = Vec::new();
        assert_eq!(session.publish(&mut out, &message, false), Ok(1));
        assert_eq!(session.publish(&mut out, &message, false), Ok(2));
        assert_eq!(
            session.publish(&mut out, &message, false),
            Err(Refused::Full)
        );
        session.acknowledged(&mut out, PUBACK, 1, 0).unwrap();
        assert!(session.has_room());
        assert_eq!(ends(&mut session), []);
        assert!(Properties::NONE.is_empty());
    }
}
