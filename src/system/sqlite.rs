//! SQLite as the pool uses it: one connection and its statements, worked on by one thread at a time.
//!
//! The connection is rusqlite's. Statements are not: rusqlite ends the process where memory runs out under a value or
//! a name in a database is not UTF-8, and takes SQL in UTF-8 only. What is not answered by SQLite with an error is
//! asked here in a way that is.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_void, CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{ffi, Connection, OpenFlags};

/// Statements that are kept ready, the one used last in front.
const RECENT: usize = 16;
/// Longest text of one.
const RECENT_TEXT: usize = 4096;
/// Steps of SQLite's machine between two looks at whether to go on.
const STEPS: c_int = 1000;
/// Levels that statements are nested in at most: what a thread's stack is good for.
const DEPTH: c_int = 100;

/// Why a call failed: SQLite's words, or ours.
#[derive(Debug)]
pub enum Failure {
    Said(Vec<u8>),
    Known(&'static str),
}

impl Failure {
    fn no_memory() -> Failure {
        Failure::Known("out of memory")
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// Tells a call that is under way to end: written by the loop, read by the thread that works.
#[derive(Default)]
pub struct Watch {
    /// The call that is worked on.
    running: AtomicU32,
    /// The call that is to end.
    stopped: AtomicU32,
    /// For how long another connection's lock is waited for, in milliseconds.
    patience: AtomicU32,
}

impl Watch {
    pub fn new(patience: u32) -> Watch {
        Watch {
            patience: AtomicU32::new(patience),
            ..Watch::default()
        }
    }

    /// Notes that work on the call begins, which has a number besides 0.
    pub fn begin(&self, call: u32) {
        self.running.store(call, Ordering::SeqCst);
    }

    /// Notes that it has ended.
    pub fn end(&self) {
        self.running.store(0, Ordering::SeqCst);
    }

    /// Ends the call if it is being worked on. One that is not is not disturbed.
    pub fn stop(&self, call: u32) {
        self.stopped.store(call, Ordering::SeqCst);
    }

    /// Ends the call that is being worked on.
    pub fn stop_running(&self) {
        self.stop(self.running.load(Ordering::SeqCst));
    }

    fn is_stopped(&self) -> bool {
        let running = self.running.load(Ordering::Relaxed);
        running != 0 && running == self.stopped.load(Ordering::Relaxed)
    }
}

/// Asked by SQLite every [`STEPS`]: whether to end.
unsafe extern "C" fn progress(watch: *mut c_void) -> c_int {
    // SAFETY: the connection holds the watch for as long as it can ask.
    c_int::from(unsafe { &*watch.cast::<Watch>() }.is_stopped())
}

/// Asked by SQLite when another connection holds a lock: whether to try again.
unsafe extern "C" fn busy(watch: *mut c_void, tries: c_int) -> c_int {
    // SAFETY: as above.
    let watch = unsafe { &*watch.cast::<Watch>() };
    let patience = watch.patience.load(Ordering::Relaxed);
    // 1, 2, 3 … 10 ms, then 10 ms each: no more is lost when it is to end.
    let tries = tries.max(0) as u64;
    let slept = if tries < 10 {
        tries * (tries + 1) / 2
    } else {
        55 + (tries - 10) * 10
    };
    if watch.is_stopped() || slept >= u64::from(patience) {
        return 0;
    }
    let pause = (tries + 1).min(10).min(u64::from(patience) - slept);
    std::thread::sleep(Duration::from_millis(pause));
    c_int::from(!watch.is_stopped())
}

/// A prepared statement of a connection that lives longer.
pub struct Statement(*mut ffi::sqlite3_stmt);

// SAFETY: SQLite's objects may go from thread to thread; one at a time uses a connection and what belongs to it.
unsafe impl Send for Statement {}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: it is finalised once, while its connection lives (see `Database`).
        unsafe { ffi::sqlite3_finalize(self.0) };
    }
}

/// A value of a row, which lives until the statement goes on.
pub enum Column<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Bytes(&'a [u8]),
}

impl Statement {
    pub fn parameters(&self) -> usize {
        // SAFETY: a live statement, here and below.
        unsafe { ffi::sqlite3_bind_parameter_count(self.0) as usize }
    }

    pub fn columns(&self) -> usize {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_column_count(self.0) as usize }
    }

    pub fn name(&self, column: usize) -> Result<&[u8]> {
        // SAFETY: the name lives until the statement is prepared anew or asked for the same name.
        unsafe {
            let name = ffi::sqlite3_column_name(self.0, column as c_int);
            if name.is_null() {
                return Err(Failure::no_memory());
            }
            Ok(CStr::from_ptr(name).to_bytes())
        }
    }

    /// A value of the row that [`Database::step`] came to.
    pub fn value(&self, column: usize) -> Result<Column<'_>> {
        let column = column as c_int;
        // SAFETY: the type is asked for first, the pointer before the length; both stay until the next step.
        unsafe {
            let bytes = match ffi::sqlite3_column_type(self.0, column) {
                ffi::SQLITE_INTEGER => {
                    return Ok(Column::Integer(ffi::sqlite3_column_int64(self.0, column)))
                }
                ffi::SQLITE_FLOAT => {
                    return Ok(Column::Real(ffi::sqlite3_column_double(self.0, column)))
                }
                ffi::SQLITE_TEXT => ffi::sqlite3_column_text(self.0, column).cast::<u8>(),
                ffi::SQLITE_BLOB => ffi::sqlite3_column_blob(self.0, column).cast::<u8>(),
                _ => return Ok(Column::Null),
            };
            let length = ffi::sqlite3_column_bytes(self.0, column) as usize;
            if length == 0 {
                return Ok(Column::Bytes(&[]));
            }
            if bytes.is_null() {
                return Err(Failure::no_memory());
            }
            Ok(Column::Bytes(std::slice::from_raw_parts(bytes, length)))
        }
    }

    pub fn bind_null(&mut self, index: usize) -> c_int {
        // SAFETY: SQLite refuses what is no parameter of it.
        unsafe { ffi::sqlite3_bind_null(self.0, index as c_int) }
    }

    pub fn bind_integer(&mut self, index: usize, value: i64) -> c_int {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_bind_int64(self.0, index as c_int, value) }
    }

    pub fn bind_real(&mut self, index: usize, value: f64) -> c_int {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_bind_double(self.0, index as c_int, value) }
    }

    pub fn bind_text(&mut self, index: usize, value: &[u8]) -> c_int {
        // SAFETY: SQLite copies the bytes.
        unsafe {
            ffi::sqlite3_bind_text64(
                self.0,
                index as c_int,
                value.as_ptr().cast(),
                value.len() as u64,
                ffi::SQLITE_TRANSIENT(),
                ffi::SQLITE_UTF8 as u8,
            )
        }
    }

    /// Whether it has come to a row and not to its end.
    pub fn is_under_way(&self) -> bool {
        // SAFETY: a live statement.
        unsafe { ffi::sqlite3_stmt_busy(self.0) != 0 }
    }

    /// Makes it ready to run anew, with no parameters.
    pub fn reset(&mut self) {
        // SAFETY: a live statement; what failed has been told of.
        unsafe {
            ffi::sqlite3_reset(self.0);
            ffi::sqlite3_clear_bindings(self.0);
        }
    }
}

/// Statements under numbers of their own.
struct Kept {
    number: u32,
    statement: Statement,
}

/// A connection.
pub struct Database {
    /// Statements go before the connection does.
    kept: Vec<Kept>,
    recent: VecDeque<(Vec<u8>, Statement)>,
    number: u32,
    raw: *mut ffi::sqlite3,
    _connection: Connection,
    _watch: Arc<Watch>,
}

// SAFETY: as for statements; the pointer is the connection's own.
unsafe impl Send for Database {}

impl Database {
    /// Opens a file, `:memory:` or a URI.
    pub fn open(path: &CStr, read_only: bool, watch: Arc<Watch>) -> Result<Database> {
        let access = if read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let path = OsStr::from_bytes(path.to_bytes());
        let connection = Connection::open_with_flags(path, flags).map_err(opening)?;
        // SAFETY: the handle is used only while the connection lives; its handlers get the watch, which lives
        // longer; the options are as SQLite's header has them.
        let raw = unsafe {
            let raw = connection.handle();
            let context = Arc::as_ptr(&watch).cast_mut().cast::<c_void>();
            ffi::sqlite3_progress_handler(raw, STEPS, Some(progress), context);
            ffi::sqlite3_busy_handler(raw, Some(busy), context);
            // Builds differ in this; SQLite's own default is off.
            ffi::sqlite3_db_config(
                raw,
                ffi::SQLITE_DBCONFIG_ENABLE_FKEY,
                0 as c_int,
                null_mut::<c_int>(),
            );
            ffi::sqlite3_limit(raw, ffi::SQLITE_LIMIT_EXPR_DEPTH, DEPTH);
            ffi::sqlite3_limit(raw, ffi::SQLITE_LIMIT_COMPOUND_SELECT, DEPTH);
            raw
        };
        Ok(Database {
            kept: Vec::new(),
            recent: VecDeque::new(),
            number: 0,
            raw,
            _connection: connection,
            _watch: watch,
        })
    }

    /// What SQLite says of the last call, which gave `code`.
    pub fn failure(&self, code: c_int) -> Failure {
        // SAFETY: the text lives until the next call.
        let text = unsafe {
            let text = if ffi::sqlite3_errcode(self.raw) & 0xff == code & 0xff {
                ffi::sqlite3_errmsg(self.raw)
            } else {
                ffi::sqlite3_errstr(code)
            };
            if text.is_null() {
                return Failure::no_memory();
            }
            CStr::from_ptr(text).to_bytes()
        };
        let mut copy = Vec::new();
        if copy.try_reserve_exact(text.len()).is_err() {
            return Failure::no_memory();
        }
        copy.extend_from_slice(text);
        Failure::Said(copy)
    }

    /// The code of a call on a statement as a result.
    pub fn check(&self, code: c_int) -> Result<()> {
        match code {
            ffi::SQLITE_OK => Ok(()),
            code => Err(self.failure(code)),
        }
    }

    /// Compiles the first statement of some SQL: None when there is none before its end. Then, the text behind it.
    pub fn prepare<'a>(&self, sql: &'a [u8]) -> Result<(Option<Statement>, &'a [u8])> {
        let length =
            c_int::try_from(sql.len()).or(Err(Failure::Known("string or blob too big")))?;
        let (mut raw, mut tail) = (null_mut(), null::<c_char>());
        // SAFETY: the text is as long as stated; where it ends is written to `tail`, inside it.
        let (code, read) = unsafe {
            let start = sql.as_ptr().cast::<c_char>();
            let code = ffi::sqlite3_prepare_v2(self.raw, start, length, &mut raw, &mut tail);
            let read = if tail.is_null() {
                sql.len()
            } else {
                tail.offset_from(start) as usize
            };
            (code, read)
        };
        self.check(code)?;
        let statement = (!raw.is_null()).then_some(Statement(raw));
        Ok((statement, sql.get(read..).unwrap_or_default()))
    }

    /// The first statement of some SQL, which may be one that was used before; and the text behind it.
    pub fn prepare_recent<'a>(&mut self, sql: &'a [u8]) -> Result<(Option<Statement>, &'a [u8])> {
        let found = self.recent.iter().position(|(text, _)| text == sql);
        match found.and_then(|position| self.recent.remove(position)) {
            Some((_, statement)) => Ok((Some(statement), &[])),
            None => self.prepare(sql),
        }
    }

    /// Takes a statement back that is the whole of some SQL.
    pub fn keep_recent(&mut self, sql: &[u8], mut statement: Statement) {
        statement.reset();
        if sql.len() > RECENT_TEXT {
            return;
        }
        let mut text = Vec::new();
        if text.try_reserve_exact(sql.len()).is_err() || self.recent.try_reserve(1).is_err() {
            return;
        }
        text.extend_from_slice(sql);
        self.recent.truncate(RECENT - 1);
        self.recent.push_front((text, statement));
    }

    /// Runs a statement to its next row: false at its end.
    pub fn step(&self, statement: &mut Statement) -> Result<bool> {
        // SAFETY: a live statement of this connection.
        match unsafe { ffi::sqlite3_step(statement.0) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => Err(self.failure(code)),
        }
    }

    /// Keeps a statement under a number.
    pub fn keep(&mut self, statement: Statement) -> Result<u32> {
        self.kept.try_reserve(1).or(Err(Failure::no_memory()))?;
        self.number = self.number.wrapping_add(1).max(1);
        self.kept.push(Kept {
            number: self.number,
            statement,
        });
        Ok(self.number)
    }

    /// Takes out the statement of that number; [`Database::put_back`] keeps it again.
    pub fn take(&mut self, number: u32) -> Option<Statement> {
        let position = self.kept.iter().position(|kept| kept.number == number)?;
        Some(self.kept.swap_remove(position).statement)
    }

    /// Keeps it under the same number: there is room, since it was there before.
    pub fn put_back(&mut self, number: u32, statement: Statement) {
        self.kept.push(Kept { number, statement });
    }

    /// Rows that the last statement changed which changes any.
    pub fn changes(&self) -> i64 {
        // SAFETY: a live connection, here and below.
        i64::from(unsafe { ffi::sqlite3_changes(self.raw) })
    }

    pub fn last_insert_id(&self) -> i64 {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_last_insert_rowid(self.raw) }
    }

    pub fn in_transaction(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_get_autocommit(self.raw) == 0 }
    }
}

/// Without the name of the file, which rusqlite adds.
fn opening(error: rusqlite::Error) -> Failure {
    let rusqlite::Error::SqliteFailure(error, _) = error else {
        return Failure::Known("unable to open database file");
    };
    // SAFETY: texts of codes live for ever.
    let text = unsafe { CStr::from_ptr(ffi::sqlite3_errstr(error.extended_code)) };
    Failure::Known(text.to_str().unwrap_or("unable to open database file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> (Database, Arc<Watch>) {
        let watch = Arc::new(Watch::new(0));
        let database = Database::open(c":memory:", false, watch.clone()).unwrap();
        (database, watch)
    }

    fn whole(database: &Database, sql: &str) -> Statement {
        database.prepare(sql.as_bytes()).unwrap().0.unwrap()
    }

    fn said<T>(result: Result<T>) -> String {
        match result.err().unwrap() {
            Failure::Said(text) => String::from_utf8(text).unwrap(),
            Failure::Known(text) => text.into(),
        }
    }

    #[test]
    fn statements_are_taken_one_by_one() {
        let (mut database, _) = memory();
        let (first, rest) = database.prepare(b"select 1; select 2").unwrap();
        assert!(first.is_some());
        assert_eq!(rest, b" select 2");
        assert!(database.prepare(b" -- nothing").unwrap().0.is_none());
        assert_eq!(
            said(database.prepare(b"selct")),
            "near \"selct\": syntax error"
        );
        let statement = whole(&database, "select ?");
        let number = database.keep(statement).unwrap();
        let statement = database.take(number).unwrap();
        assert!(database.take(number).is_none());
        database.put_back(number, statement);
        assert!(database.take(number).is_some());
    }

    #[test]
    fn values_come_as_they_were_bound() {
        let (database, _) = memory();
        let mut statement = whole(&database, "select ?, ?, ?, ?, x'0001', ''");
        assert_eq!((statement.parameters(), statement.columns()), (4, 6));
        assert_eq!(statement.bind_null(1), 0);
        assert_eq!(statement.bind_integer(2, i64::MIN), 0);
        assert_eq!(statement.bind_real(3, 0.5), 0);
        assert_eq!(statement.bind_text(4, b"a\0b"), 0);
        assert_ne!(statement.bind_null(5), 0);
        assert!(database.step(&mut statement).unwrap());
        assert!(matches!(statement.value(0), Ok(Column::Null)));
        assert!(matches!(statement.value(1), Ok(Column::Integer(i64::MIN))));
        assert!(matches!(statement.value(2), Ok(Column::Real(value)) if value == 0.5));
        assert!(matches!(statement.value(3), Ok(Column::Bytes(b"a\0b"))));
        assert!(matches!(statement.value(4), Ok(Column::Bytes(b"\0\x01"))));
        assert!(matches!(statement.value(5), Ok(Column::Bytes(b""))));
        assert!(!database.step(&mut statement).unwrap());
    }

    #[test]
    fn a_call_is_stopped_and_the_next_one_is_not() {
        const ENDLESS: &str =
            "with recursive n(i) as (values(1) union all select i + 1 from n) select count(*) from n";
        let (database, watch) = memory();
        watch.stop(1);
        watch.begin(1);
        assert_eq!(
            said(database.step(&mut whole(&database, ENDLESS))),
            "interrupted"
        );
        watch.end();
        watch.begin(2);
        assert!(database.step(&mut whole(&database, "select 1")).unwrap());
        watch.stop_running();
        assert_eq!(
            said(database.step(&mut whole(&database, ENDLESS))),
            "interrupted"
        );
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let (database, _) = memory();
        for (open, close) in [("(", ")"), ("not ", ""), ("(select ", ")"), ("abs(", ")")] {
            let sql = format!("select {}1{}", open.repeat(5000), close.repeat(5000));
            assert!(database.prepare(sql.as_bytes()).is_err(), "{open}");
        }
        let sql = format!("select 1{}", " union all select 1".repeat(5000));
        assert!(database.prepare(sql.as_bytes()).is_err());
        let sql = format!(
            "select * from {}(select 1){}",
            "(select * from ".repeat(90),
            ")".repeat(90)
        );
        let _ = database.prepare(sql.as_bytes());
    }

    #[test]
    fn the_name_of_a_file_is_not_told() {
        let watch = Arc::new(Watch::new(0));
        let error = said(Database::open(c"/nowhere/secret.db", false, watch));
        assert_eq!(error, "unable to open database file");
    }
}
