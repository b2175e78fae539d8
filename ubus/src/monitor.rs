//! Copies of messages, as the daemon sends them to those who watch its traffic.

use crate::blob::{Attr, Attrs};
use crate::message::Kind;

/// Numbers of the attributes of a copy.
pub mod id {
    /// Id of the client the message came from or went to: 32 bits.
    pub const CLIENT: u8 = 0;
    /// Peer of the message: 32 bits.
    pub const PEER: u8 = 1;
    /// One byte: whether the daemon sent it.
    pub const SEND: u8 = 2;
    /// Sequence number of the message: 32 bits.
    pub const SEQ: u8 = 3;
    /// Type of the message: 32 bits.
    pub const KIND: u8 = 4;
    /// What the message held.
    pub const DATA: u8 = 5;
}

/// One copied message.
///
/// ```
/// use ubus::blob::{Attrs, Builder};
/// use ubus::{message::Kind, Monitored};
///
/// let mut builder = Builder::new();
/// builder.u32(0, 0xdb858420).u32(1, 0).u8(2, 1).u32(3, 7).u32(4, 0).bytes(5, &[]);
/// let bytes = builder.finish()?;
/// let copy = Monitored::read(Attrs::new(&bytes)).unwrap();
/// assert_eq!((copy.client, copy.sent, copy.seq, copy.kind), (0xdb858420, true, 7, Kind::HELLO));
/// # Ok::<(), ubus::blob::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Monitored<'a> {
    /// Id of the client the message came from or went to.
    pub client: u32,
    /// Peer of the message.
    pub peer: u32,
    /// Whether the daemon sent it.
    pub sent: bool,
    /// Sequence number of the message.
    pub seq: u16,
    /// What the message was for.
    pub kind: Kind,
    /// What it held.
    pub body: Attrs<'a>,
}

impl<'a> Monitored<'a> {
    /// Reads a copy, unless something is missing or out of range.
    pub fn read(attrs: Attrs<'a>) -> Option<Monitored<'a>> {
        let last = |id| attrs.filter(|attr: &Attr<'a>| attr.id() == id).last();
        let number = |id| last(id).and_then(Attr::as_u32);
        Some(Monitored {
            client: number(id::CLIENT)?,
            peer: number(id::PEER)?,
            sent: last(id::SEND)?.as_u8()? != 0,
            seq: number(id::SEQ)?.try_into().ok()?,
            kind: Kind(number(id::KIND)?.try_into().ok()?),
            body: last(id::DATA)?.children(),
        })
    }
}
