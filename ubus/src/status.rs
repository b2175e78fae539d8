//! Status numbers: how a request on the bus ended.
//!
//! A number this list does not know keeps its value.

use std::fmt;

/// How a request ended. Any 32-bit number travels; those below 14 have names.
///
/// ```
/// use ubus::Status;
///
/// assert_eq!(Status::NOT_FOUND.to_string(), "Not found");
/// assert_eq!(Status(-7).to_string(), "Unknown error: -7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub i32);

impl Status {
    /// It worked.
    pub const OK: Status = Status(0);
    /// The daemon does not know the type of message, or a system object the method.
    pub const INVALID_COMMAND: Status = Status(1);
    /// An argument is missing, or of the wrong type.
    pub const INVALID_ARGUMENT: Status = Status(2);
    /// The object has no such method.
    pub const METHOD_NOT_FOUND: Status = Status(3);
    /// No such object, path or subscription.
    pub const NOT_FOUND: Status = Status(4);
    /// There is no answer to give.
    pub const NO_DATA: Status = Status(5);
    /// The rules for the user of the connection forbid it.
    pub const PERMISSION_DENIED: Status = Status(6);
    /// The answer took too long.
    pub const TIMEOUT: Status = Status(7);
    /// The object cannot do this.
    pub const NOT_SUPPORTED: Status = Status(8);
    /// Anything else.
    pub const UNKNOWN_ERROR: Status = Status(9);
    /// There is no connection.
    pub const CONNECTION_FAILED: Status = Status(10);
    /// Memory ran out.
    pub const NO_MEMORY: Status = Status(11);
    /// The data of a message could not be read.
    pub const PARSE_ERROR: Status = Status(12);
    /// The system refused something.
    pub const SYSTEM_ERROR: Status = Status(13);

    /// Whether this is [`Status::OK`].
    pub fn is_ok(self) -> bool {
        self == Status::OK
    }

    /// The text of a known number, as users of the bus have always seen it.
    pub fn text(self) -> Option<&'static str> {
        usize::try_from(self.0)
            .ok()
            .and_then(|index| TEXTS.get(index))
            .copied()
    }
}

const TEXTS: [&str; 14] = [
    "Success",
    "Invalid command",
    "Invalid argument",
    "Method not found",
    "Not found",
    "No response",
    "Permission denied",
    "Request timed out",
    "Operation not supported",
    "Unknown error",
    "Connection failed",
    "Out of memory",
    "Parsing message data failed",
    "System error",
];

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "Unknown error: {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_number_has_its_text() {
        assert_eq!(Status::OK.to_string(), "Success");
        assert_eq!(Status::TIMEOUT.to_string(), "Request timed out");
        assert_eq!(
            Status::PARSE_ERROR.to_string(),
            "Parsing message data failed"
        );
        assert_eq!(Status::SYSTEM_ERROR.to_string(), "System error");
        assert!((0..14).all(|number| Status(number).text().is_some()));
    }

    #[test]
    fn unknown_numbers_keep_their_value() {
        assert_eq!(Status(14).to_string(), "Unknown error: 14");
        assert_eq!(Status(i32::MIN).to_string(), "Unknown error: -2147483648");
    }
}
