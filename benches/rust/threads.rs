//! Yardsticks of threads: a bare channel that carries the bytes of small messages,
//! and two threads that wake each other by eventfds.
//!
//!     cargo run --profile fast --example threads --features interpreter -- messages|round-trips

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use nix::sys::eventfd::EventFd;

/// As long as a message of an integer, nine characters and true.
const LENGTH: usize = 18;

fn messages() -> f64 {
    let count = 1_000_000_u64;
    let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(1000);
    let start = Instant::now();
    let sending = thread::spawn(move || {
        for n in 0..count {
            let mut message = vec![0; LENGTH];
            message[..8].copy_from_slice(&n.to_le_bytes());
            sender.send(message).expect("a receiver");
        }
    });
    let mut seen = 0;
    while let Ok(message) = receiver.recv() {
        seen += u64::from(message.len() == LENGTH);
    }
    sending.join().expect("an end");
    assert_eq!(seen, count);
    count as f64 / start.elapsed().as_secs_f64()
}

fn round_trips() -> f64 {
    let count = 100_000;
    let (asked, answered) = (
        EventFd::new().expect("a descriptor"),
        EventFd::new().expect("a descriptor"),
    );
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..count {
                asked.read().expect("a question");
                answered.write(1).expect("room");
            }
        });
        for _ in 0..count {
            asked.write(1).expect("room");
            answered.read().expect("an answer");
        }
    });
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn main() {
    let rate = match std::env::args().nth(1).as_deref() {
        Some("messages") => messages(),
        Some("round-trips") => round_trips(),
        _ => panic!("usage: threads messages|round-trips"),
    };
    println!("{rate:.3}");
}
