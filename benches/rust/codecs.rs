//! Prints how many MB a second the crates `sha2` and `base64` do, called from Rust: digests of 1 MB, its text, and back.
//!
//!     cargo run --profile fast --example codecs --features interpreter,hash-sha256 -- sha256|encode|decode SECONDS

use std::hint::black_box;
use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD};
use nix::time::{clock_gettime, ClockId};
use sha2::{Digest, Sha256};

/// Processor time used so far, as Lua's `os.clock` gives it.
fn clock() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a clock");
    Duration::from(time).as_secs_f64()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let what = arguments.get(1).expect("what to do").as_str();
    let seconds: f64 = arguments
        .get(2)
        .expect("how long")
        .parse()
        .expect("a number");
    let data: Vec<u8> = (0..1_000_000_u32)
        .map(|index| (index * 167 % 251) as u8)
        .collect();
    let text = BASE64_STANDARD.encode(&data);
    let start = clock();
    let mut count = 0;
    while clock() - start < seconds {
        for _ in 0..10 {
            match what {
                "sha256" => drop(black_box(Sha256::digest(black_box(&data)))),
                "encode" => drop(black_box(BASE64_STANDARD.encode(black_box(&data)))),
                _ => drop(black_box(BASE64_STANDARD.decode(black_box(&text)))),
            }
        }
        count += 10;
    }
    println!("{:.1}", f64::from(count) / (clock() - start));
}
