//! Prints how many rows a second four threads select by their key with rusqlite, each on a connection of its own:
//! the yardstick of `eco.sqlite3`.
//!
//!     cargo run --profile fast --example sqlite --features interpreter,sqlite3 -- FILE SECONDS

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

const THREADS: u64 = 4;

fn work(file: PathBuf, seed: u64, time: Duration) -> rusqlite::Result<u64> {
    let connection = Connection::open(file)?;
    let mut statement = connection.prepare("select id, name, value from item where id = ?")?;
    let start = Instant::now();
    let mut count = 0;
    let mut id = seed;
    while start.elapsed() < time {
        for _ in 0..100 {
            id = (id * 1_103_515_245 + 12_345) % 10_000;
            let row = statement.query_row([id as i64 + 1], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, f64>(2)?,
                ))
            })?;
            assert_eq!(row.0, id as i64 + 1);
            count += 1;
        }
    }
    Ok(count)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().expect("a file"));
    let seconds: f64 = arguments
        .next()
        .map_or(1.0, |text| text.parse().expect("seconds"));
    let time = Duration::from_secs_f64(seconds);
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let file = file.clone();
            std::thread::spawn(move || work(file, seed, time).expect("rows"))
        })
        .collect();
    let count: u64 = threads
        .into_iter()
        .map(|thread| thread.join().expect("a thread"))
        .sum();
    println!("{:.0}", count as f64 / seconds);
}
