//! Why a client could not do what it was asked.

use crate::blob::BuildError;
use crate::connection::{ProtocolError, RequestError};
use crate::message::FrameError;
use crate::status::Status;
use std::fmt;
use std::io;

/// Why a client could not do what it was asked.
#[derive(Debug)]
pub enum ClientError {
    /// Whoever was asked refused.
    Status(Status),
    /// The time was over.
    Timeout,
    /// The daemon has closed the connection.
    Lost,
    /// The request could not be made.
    Request(RequestError),
    /// The system refused something, mostly to connect.
    Io(io::Error),
    /// What the other side sends is no message.
    Frame(FrameError),
    /// The other side is no daemon that one can talk to.
    Protocol(ProtocolError),
}

impl ClientError {
    /// The status to pass on to whoever waits for this.
    pub fn status(&self) -> Status {
        match self {
            ClientError::Status(status) => *status,
            ClientError::Timeout => Status::TIMEOUT,
            ClientError::Request(RequestError::Build(_)) => Status::INVALID_ARGUMENT,
            _ => Status::CONNECTION_FAILED,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Status(status) => status.fmt(f),
            ClientError::Timeout => f.write_str("no answer in time"),
            ClientError::Lost => f.write_str("connection lost"),
            ClientError::Request(error) => error.fmt(f),
            ClientError::Io(error) => error.fmt(f),
            ClientError::Frame(error) => error.fmt(f),
            ClientError::Protocol(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<Status> for ClientError {
    fn from(status: Status) -> ClientError {
        ClientError::Status(status)
    }
}

impl From<RequestError> for ClientError {
    fn from(error: RequestError) -> ClientError {
        ClientError::Request(error)
    }
}

impl From<BuildError> for ClientError {
    fn from(error: BuildError) -> ClientError {
        ClientError::Request(RequestError::Build(error))
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Io(error)
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> ClientError {
        ClientError::Frame(error)
    }
}

impl From<ProtocolError> for ClientError {
    fn from(error: ProtocolError) -> ClientError {
        ClientError::Protocol(error)
    }
}
