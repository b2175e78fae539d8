//! Why a connection ends: the codes of close frames (RFC 6455, 7.4) and what a
//! peer can do wrong.

/// Codes of our own close frames.
pub const PROTOCOL_ERROR: u16 = 1002;
pub const INVALID_DATA: u16 = 1007;
pub const TOO_BIG: u16 = 1009;
pub const NO_MEMORY: u16 = 1011;
/// What stands for a close frame without a code, and for no close frame at all.
pub const NO_CODE: u16 = 1005;
pub const ABNORMAL: u16 = 1006;

/// Whether a close frame may carry the code: those of the RFC and its registry,
/// and those of libraries and applications.
pub fn is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What the peer did wrong; nothing that comes after it can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    ReservedBits,
    ReservedData,
    ReservedControl,
    Unmasked,
    Masked,
    Length,
    LongLength,
    LongControl,
    FragmentedControl,
    TooBig,
    NoMessage,
    InMessage,
    ShortClose,
    CloseCode,
    Text,
    /// Not the peer's fault.
    Memory,
}

impl Violation {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Violation::ReservedBits => "bad RSV1, RSV2, or RSV3 bits",
            Violation::ReservedData => "reserved non-control frames",
            Violation::ReservedControl => "reserved control frames",
            Violation::Unmasked => "frame is not masked",
            Violation::Masked => "frame is masked",
            Violation::Length => "payload len too large",
            Violation::LongLength => "payload len in more bytes than needed",
            Violation::LongControl => "too long payload for control frame",
            Violation::FragmentedControl => "fragmented control frame",
            Violation::TooBig => "exceeding max payload len",
            Violation::NoMessage => "continuation frame without a message",
            Violation::InMessage => "message inside of another",
            Violation::ShortClose => "close frame with a body must carry a 2-byte status code",
            Violation::CloseCode => "bad status code in close frame",
            Violation::Text => "text is not UTF-8",
            Violation::Memory => "not enough memory",
        }
    }

    /// What the peer is told.
    pub fn code(self) -> u16 {
        match self {
            Violation::TooBig => TOO_BIG,
            Violation::Text => INVALID_DATA,
            Violation::Memory => NO_MEMORY,
            _ => PROTOCOL_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn codes_that_may_be_sent() {
        let valid: Vec<u16> = (0..=u16::MAX).filter(|&code| is_valid(code)).collect();
        let expected: Vec<u16> = [1000, 1001, 1002, 1003]
            .into_iter()
            .chain(1007..=1014)
            .chain(3000..=4999)
            .collect();
        assert_eq!(valid, expected);
    }
}
