//! `con:send_file` and `con:serve_file`: files out by sendfile(2).

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

use super::conditional::{self, Range, Version};
use super::connection::{Connection, OPTIONS};
use super::exchange::{Exchange, Sending};
use super::pump::Goal;
use super::response::decimal;
use super::{date, mime, target};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Open for reading, without waiting for the other end of a FIFO.
fn open(path: &[u8]) -> Result<(File, Metadata), Errno> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(Path::new(std::ffi::OsStr::from_bytes(path)))
        .map_err(errno)?;
    let metadata = file.metadata().map_err(errno)?;
    Ok((file, metadata))
}

/// Have `count` bytes of the file at `offset` follow what is buffered.
fn attach(exchange: &mut Exchange, file: File, offset: u64, count: u64) {
    if exchange.response.begin_piece(count, &mut exchange.out) {
        exchange.file = Some(Sending {
            file,
            offset: offset as i64,
            left: count,
        });
    }
}

/// `con:send_file(path [, count [, offset]])`
pub fn send_file(lua: Lua, connection: &Connection) -> Outcome {
    let offset = lua.integer_or(4, 0)?;
    let count = lua.integer_or(3, i64::MAX)?;
    if offset < 0 {
        return Err("offset must be greater than or equal to 0".into());
    }
    connection.check_idle()?;
    let (file, metadata) = match open(lua.string(2)?) {
        Ok(opened) => opened,
        Err(errno) => return lua.fail_errno(errno),
    };
    if !metadata.is_file() {
        drop(file);
        return lua.fail("forbidden");
    }
    let offset = offset as u64;
    let count = metadata
        .len()
        .saturating_sub(offset)
        .min(count.max(0) as u64);
    connection.with(|exchange| {
        exchange.build(&connection.settings);
        attach(exchange, file, offset, count);
    })?;
    connection.start(lua, Goal::File, 0)
}

/// What `serve_file` found in the request.
struct Wanted<'a> {
    path: &'a [u8],
    method: &'a [u8],
    modified_since: &'a [u8],
    none_match: &'a [u8],
    range: &'a [u8],
    if_range: &'a [u8],
    accept_encoding: &'a [u8],
    document_root: &'a [u8],
    index: &'a [u8],
    gzip: bool,
}

/// What became of it.
enum Served {
    /// The response is prepared.
    Prepared,
    /// The file is attached.
    Attached,
    /// An empty response with this status ends the connection.
    Refused(u16),
    /// The file cannot be examined.
    Unknown(Errno, Vec<u8>),
}

/// `con:serve_file(req)`
pub fn serve_file(lua: Lua, connection: &Connection) -> Outcome {
    lua.set_top(2);
    lua.expect(2, ffi::LUA_TTABLE)?;
    connection.check_idle()?;
    if connection.with(|exchange| exchange.response.built)? {
        return Err("http head has been sent".into());
    }
    for name in [c"path", c"method", c"headers"] {
        lua.get_field(2, name);
    }
    lua.expect(5, ffi::LUA_TTABLE)?;
    for name in [
        c"if-modified-since",
        c"if-none-match",
        c"range",
        c"if-range",
        c"accept-encoding",
    ] {
        lua.get_field(5, name);
    }
    lua.get_user_value(1, OPTIONS);
    for name in [c"docroot", c"index", c"gzip"] {
        lua.get_field(11, name);
    }
    let text = |index| lua.bytes(index).unwrap_or(b"");
    let wanted = Wanted {
        path: text(3),
        method: text(4),
        modified_since: text(6),
        none_match: text(7),
        range: text(8),
        if_range: text(9),
        accept_encoding: text(10),
        document_root: text(12),
        index: text(13),
        gzip: lua.to_bool(14),
    };
    match connection.with(|exchange| prepare(connection, exchange, &wanted))? {
        Served::Prepared => {}
        Served::Attached => return connection.start(lua, Goal::File, 0),
        Served::Refused(status) => refuse(connection, status, b"")?,
        Served::Unknown(errno, path) => {
            lua.protect(1, &(path, errno), |lua, (path, errno)| {
                lua.push_str("stat \"");
                lua.push_bytes(path);
                lua.push_str("\" fail: ");
                lua.push_errno(*errno);
                lua.concat(4);
            })?;
            refuse(connection, 500, lua.to_bytes(-1))?;
        }
    }
    lua.push_bool(true);
    Ok(Returns(1))
}

fn refuse(connection: &Connection, status: u16, content: &[u8]) -> Result<(), Error> {
    connection.with(|exchange| {
        let response = &mut exchange.response;
        response.code = i64::from(status);
        // A fixed header is always sound.
        let _ = response.set(b"connection", b"close");
        if content.is_empty() {
            response.set_number(b"content-length", 0);
        }
        exchange.build(&connection.settings);
        exchange.piece(content);
    })
}

fn prepare(connection: &Connection, exchange: &mut Exchange, wanted: &Wanted) -> Served {
    let mut path = wanted.document_root.to_vec();
    let root = path.len();
    if !target::normalise(wanted.path, &mut path) {
        return Served::Refused(403);
    }
    if path.get(root..) == Some(b"/") {
        path.extend_from_slice(wanted.index);
    }
    let content_type = mime::content_type(&path);
    let compressible = wanted.gzip && mime::suffix(&path) != b"gz";
    let mut opened = Err(Errno::ENOENT);
    let mut compressed = false;
    if compressible && conditional::accepts_gzip(wanted.accept_encoding) {
        path.extend_from_slice(b".gz");
        opened = open(&path);
        compressed = matches!(&opened, Ok((_, metadata)) if metadata.is_file());
        path.truncate(path.len() - 3);
    }
    if !compressed {
        opened = open(&path);
    }
    let (file, metadata) = match opened {
        Ok(opened) => opened,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Served::Refused(404),
        Err(Errno::EACCES | Errno::EPERM | Errno::ENXIO) => return Served::Refused(403),
        Err(errno) => return Served::Unknown(errno, path),
    };
    if !metadata.is_file() {
        return Served::Refused(403);
    }
    let response = &mut exchange.response;
    // The values set below hold no line ends, so they are always sound.
    let head_only = wanted.method == b"HEAD";
    if !head_only && wanted.method != b"GET" {
        let _ = response.set(b"allow", b"GET, HEAD");
        return Served::Refused(405);
    }

    let size = metadata.len();
    let mut etag = Vec::with_capacity(48);
    let version = Version {
        inode: metadata.ino(),
        size,
        seconds: metadata.mtime(),
        nanoseconds: metadata.mtime_nsec(),
    };
    conditional::write_etag(&version, &mut etag);
    let modified = date::format(version.seconds);
    let _ = response.set(b"etag", &etag);
    let _ = response.set(b"last-modified", &modified);
    if compressible {
        let _ = response.set(b"vary", b"accept-encoding");
    }
    let unchanged = if wanted.none_match.is_empty() {
        date::parse(wanted.modified_since).is_some_and(|since| since >= version.seconds)
    } else {
        conditional::matches(wanted.none_match, &etag)
    };
    if unchanged {
        response.code = 304;
        exchange.build(&connection.settings);
        return Served::Prepared;
    }

    let _ = response.set(b"content-type", content_type.as_bytes());
    let _ = response.set(b"accept-ranges", b"bytes");
    if compressed {
        let _ = response.set(b"content-encoding", b"gzip");
    }
    let current =
        wanted.if_range.is_empty() || wanted.if_range == etag || wanted.if_range == modified;
    let range = match current {
        true => conditional::range(wanted.range, size),
        false => Range::Whole,
    };
    let (offset, count) = match range {
        Range::Whole => (0, size),
        Range::Part(first, count) => {
            response.code = 206;
            let mut value = b"bytes ".to_vec();
            decimal(first, &mut value);
            value.push(b'-');
            decimal(first + count - 1, &mut value);
            value.push(b'/');
            decimal(size, &mut value);
            let _ = response.set(b"content-range", &value);
            (first, count)
        }
        Range::Unsatisfiable => {
            response.code = 416;
            let mut value = b"bytes */".to_vec();
            decimal(size, &mut value);
            let _ = response.set(b"content-range", &value);
            response.remove(b"content-type");
            response.set_number(b"content-length", 0);
            exchange.build(&connection.settings);
            return Served::Prepared;
        }
    };
    response.set_number(b"content-length", count);
    exchange.build(&connection.settings);
    attach(exchange, file, offset, count);
    match head_only || exchange.file.is_none() {
        true => Served::Prepared,
        false => Served::Attached,
    }
}
