//! What is done on a connection: requests, made by the loop, and answers, made by the thread that works.

use std::ffi::CStr;
use std::sync::Arc;

use crate::modules::sql::{Full, Rows, Value};
use crate::system::sqlite::{Column, Database, Failure, Statement, Watch};

/// Most rows and bytes that an iterator fetches at once.
const PAGE: usize = 256;
const PAGE_SIZE: usize = 64 * 1024;

/// Where a statement comes from.
pub enum Source {
    Text(Vec<u8>),
    /// It was prepared.
    Kept(u32),
}

/// What is wanted of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All rows.
    Rows,
    /// How many rows it changed.
    Changes,
    /// The first rows, and more later.
    Page,
}

pub enum Request {
    /// Opens a file, whose name ends with NUL.
    Open {
        path: Vec<u8>,
        read_only: bool,
    },
    Run(Source, Vec<Value>, Want),
    Prepare(Vec<u8>),
    Fetch(u32),
    Drop(u32),
    /// Begins the transaction of that number.
    Begin(Vec<u8>, u32),
    /// Ends the transaction: when this fails, by taking everything back.
    Finish(Vec<u8>),
    /// Nothing but what is due anyway.
    Tidy,
    Close,
}

pub enum Answer {
    Done,
    Opened,
    Rows(Rows),
    Changes(i64, i64),
    /// Rows, and the statement that has more of them, 0 for none.
    Page(Rows, u32),
    Kept(u32),
    Begun(u32),
}

pub type Worked = Result<Answer, Failure>;

impl From<Full> for Failure {
    fn from(full: Full) -> Failure {
        Failure::Known(full.text())
    }
}

impl Request {
    /// Does it. Results take `limit` bytes at most.
    pub fn perform(
        &self,
        database: &mut Option<Database>,
        watch: &Arc<Watch>,
        limit: usize,
    ) -> Worked {
        match self {
            Request::Open { path, read_only } => {
                let path = CStr::from_bytes_with_nul(path).or(Err(Failure::Known("bad path")))?;
                *database = Some(Database::open(path, *read_only, watch.clone())?);
                return Ok(Answer::Opened);
            }
            Request::Close => {
                *database = None;
                return Ok(Answer::Done);
            }
            _ => {}
        }
        let Some(database) = database else {
            return Err(Failure::Known("connection is closed"));
        };
        match self {
            Request::Run(source, parameters, want) => match source {
                Source::Text(sql) => run_text(database, sql, parameters, *want, limit),
                Source::Kept(number) => {
                    let mut statement = taken(database, *number)?;
                    let result = run(database, &mut statement, parameters, *want, limit);
                    statement.reset();
                    database.put_back(*number, statement);
                    result
                }
            },
            Request::Prepare(sql) => match database.prepare(sql)?.0 {
                Some(statement) => database.keep(statement).map(Answer::Kept),
                None => Err(Failure::Known("there is no statement")),
            },
            Request::Fetch(number) => {
                let mut statement = taken(database, *number)?;
                let (rows, more) = page(database, &mut statement, limit)?;
                if more {
                    database.put_back(*number, statement);
                }
                Ok(Answer::Page(rows, if more { *number } else { 0 }))
            }
            Request::Drop(number) => {
                drop(database.take(*number));
                Ok(Answer::Done)
            }
            Request::Begin(sql, number) => {
                execute(database, sql)?;
                Ok(Answer::Begun(*number))
            }
            Request::Finish(sql) => {
                let result = execute(database, sql);
                roll_back(database);
                result.map(|()| Answer::Done)
            }
            _ => Ok(Answer::Done),
        }
    }
}

/// Ends a transaction that was left open.
pub fn roll_back(database: &mut Database) {
    if database.in_transaction() {
        let _ = execute(database, b"ROLLBACK");
    }
}

fn taken(database: &mut Database, number: u32) -> Result<Statement, Failure> {
    database
        .take(number)
        .ok_or(Failure::Known("statement is closed"))
}

/// Runs the whole of some SQL for what it does.
fn execute(database: &mut Database, sql: &[u8]) -> Result<(), Failure> {
    run_text(database, sql, &[], Want::Changes, 0).map(drop)
}

fn run_text(
    database: &mut Database,
    sql: &[u8],
    parameters: &[Value],
    want: Want,
    limit: usize,
) -> Worked {
    let (first, mut rest) = database.prepare_recent(sql)?;
    let Some(mut statement) = first else {
        return Ok(match want {
            Want::Rows => Answer::Rows(Rows::new(limit)),
            Want::Page => Answer::Page(Rows::new(limit), 0),
            Want::Changes => changes(database),
        });
    };
    let mut result = run(database, &mut statement, parameters, want, limit)?;
    if let Answer::Page(_, more @ 0) = &mut result {
        if statement.is_under_way() {
            *more = database.keep(statement)?;
            return Ok(result);
        }
    }
    if rest.trim_ascii().is_empty() {
        database.keep_recent(sql, statement);
        return Ok(result);
    }
    drop(statement);
    if want != Want::Changes || !parameters.is_empty() {
        return Ok(result);
    }
    while !rest.is_empty() {
        let (next, behind) = database.prepare(rest)?;
        rest = behind;
        if let Some(mut statement) = next {
            result = run(database, &mut statement, &[], want, limit)?;
        }
    }
    Ok(result)
}

/// Runs a statement that is ready.
fn run(
    database: &Database,
    statement: &mut Statement,
    parameters: &[Value],
    want: Want,
    limit: usize,
) -> Worked {
    bind(database, statement, parameters)?;
    match want {
        Want::Changes => {
            while database.step(statement)? {}
            Ok(changes(database))
        }
        Want::Page => page(database, statement, limit).map(|(rows, _)| Answer::Page(rows, 0)),
        Want::Rows => {
            let mut rows = Rows::new(limit);
            let mut more = database.step(statement)?;
            name_columns(statement, &mut rows)?;
            while more {
                add_row(statement, &mut rows)?;
                more = database.step(statement)?;
            }
            Ok(Answer::Rows(rows))
        }
    }
}

fn changes(database: &Database) -> Answer {
    Answer::Changes(database.changes(), database.last_insert_id())
}

fn bind(
    database: &Database,
    statement: &mut Statement,
    parameters: &[Value],
) -> Result<(), Failure> {
    let (given, expected) = (parameters.len(), statement.parameters());
    if given > 0 && given != expected {
        let text = format!("parameter count mismatch: got {given}, expected {expected}");
        return Err(Failure::Said(text.into_bytes()));
    }
    for (index, value) in (1..).zip(parameters) {
        let code = match value {
            Value::Null => statement.bind_null(index),
            Value::Boolean(value) => statement.bind_integer(index, i64::from(*value)),
            Value::Integer(value) => statement.bind_integer(index, *value),
            Value::Real(value) => statement.bind_real(index, *value),
            Value::Text(value) => statement.bind_text(index, value),
        };
        database.check(code)?;
    }
    Ok(())
}

/// After the first step: the statement was compiled anew if tables have changed meanwhile.
fn name_columns(statement: &Statement, rows: &mut Rows) -> Result<(), Failure> {
    for column in 0..statement.columns() {
        rows.column(statement.name(column)?)?;
    }
    Ok(())
}

fn add_row(statement: &Statement, rows: &mut Rows) -> Result<(), Failure> {
    for column in 0..statement.columns() {
        match statement.value(column)? {
            Column::Null => rows.null(),
            Column::Integer(value) => rows.integer(value),
            Column::Real(value) => rows.real(value),
            Column::Bytes(value) => rows.text(value),
        }?;
    }
    rows.end_row();
    Ok(())
}

/// The next rows, and whether there may be more.
fn page(
    database: &Database,
    statement: &mut Statement,
    limit: usize,
) -> Result<(Rows, bool), Failure> {
    let mut rows = Rows::new(limit);
    let mut more = database.step(statement)?;
    name_columns(statement, &mut rows)?;
    while more {
        add_row(statement, &mut rows)?;
        if rows.len() == PAGE || rows.size() > PAGE_SIZE {
            break;
        }
        more = database.step(statement)?;
    }
    Ok((rows, more))
}
