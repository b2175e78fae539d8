//! Reports what every package weighs on mipsel — in the ipk, in a squashfs and in memory — and fails when one is over its
//! budget.

use crate::build::work_folder;
use crate::run::{fail, fresh_folder, output, read, Arguments, Result};
use crate::stage::{below, entries, EntryKind};
use crate::table::{Budget, Table};
use crate::target::Target;
use crate::{build, feed, ipk, setup, workspace};
use std::path::Path;
use std::process::{Command, Stdio};

/// `cargo xtask size [LIBRARY…]`
pub fn command(arguments: &[String]) -> Result<()> {
    let names = Arguments::parse(arguments, &[])?.words;
    let target = Target::read("mipsel_24kc")?;
    let table = Table::read()?;
    let libraries = &table.libraries;
    let is_library = |name: &&String| libraries.iter().any(|library| library.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_library(name)) {
        return fail(format!("no library '{unknown}' in package/packages.toml"));
    }
    setup::ensure()?;
    let mut report = Report::default();
    if names.is_empty() {
        feed::ipk(&target)?;
    }
    let mut consumers = Vec::new();
    for library in libraries {
        if names.is_empty() || names.contains(&library.name) {
            consumers.push((library, build::consumer(&target, library)?));
        }
    }
    println!(
        "{:<20}{:>9}{:>8}{:>9}{:>8}{:>9}{:>9}",
        "mipsel_24kc, KB", "gzip", "budget", "xz", "budget", "text", "data"
    );
    if names.is_empty() {
        packages(&table, &target, &mut report)?;
    }
    for (library, file) in consumers {
        let bytes = read(&file)?;
        let weight = Weight {
            gzip: ipk::gzip(&bytes)?.len(),
            xz: xz(&file)?,
            loaded: loaded(&bytes)?,
        };
        let name = format!("{} ({})", library.name, library.consumer);
        report.row(&name, &weight, &library.budget);
    }
    if report.over.is_empty() {
        println!("all within budget");
        return Ok(());
    }
    fail(format!("over budget: {}", report.over.join(", ")))
}

/// What something weighs, in bytes.
struct Weight {
    /// In the ipk, which is its size.
    gzip: usize,
    /// Each file alone, as xz packs it.
    xz: usize,
    /// Loaded.
    loaded: Loaded,
}

/// The pages that a program or library fills in memory, in bytes: those that its users share, and those that each has for
/// itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Loaded {
    text: u64,
    data: u64,
}

/// Prints rows and remembers what is too heavy.
#[derive(Default)]
struct Report {
    over: Vec<String>,
}

impl Report {
    fn row(&mut self, name: &str, weight: &Weight, budget: &Budget) {
        let gzip = self.limited(name, weight.gzip, budget.gzip);
        let xz = self.limited(name, weight.xz, budget.xz);
        let Loaded { text, data } = weight.loaded;
        println!(
            "{name:<20}{gzip}{xz}{:>9}{:>9}",
            kilobytes(text),
            kilobytes(data)
        );
    }

    /// A figure beside its budget in KB.
    fn limited(&mut self, name: &str, bytes: usize, budget: f64) -> String {
        let is_over = bytes as f64 > budget * 1000.0;
        if is_over {
            self.over.push(name.to_string());
        }
        let mark = if is_over { "!" } else { "" };
        format!(
            "{:>9}{:>8}",
            kilobytes(bytes as u64),
            format!("{mark}{budget}")
        )
    }
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1000.0)
}

fn packages(table: &Table, target: &Target, report: &mut Report) -> Result<()> {
    let dist = workspace::dist().join(&target.arch);
    for package in &table.packages {
        let file = feed::file_name(table, package, &target.arch);
        let mut weight = Weight {
            gzip: read(&dist.join("ipk").join(file))?.len(),
            xz: 0,
            loaded: Loaded::default(),
        };
        for entry in entries(table, package) {
            if entry.kind == EntryKind::Executable {
                let file = below(&dist.join("root"), &entry.path);
                weight.xz += xz(&file)?;
                let more = loaded(&read(&file)?)?;
                weight.loaded.text += more.text;
                weight.loaded.data += more.data;
            }
        }
        report.row(&package.name, &weight, &package.budget);
    }
    // What a bundle holds is there already.
    let bundles = table
        .packages
        .iter()
        .filter(|package| package.bundle.is_some());
    let twice: Vec<String> = bundles
        .flat_map(|package| entries(table, package))
        .map(|entry| entry.path.trim_start_matches('/').to_string())
        .collect();
    let bytes = squashfs(&dist.join("root"), &twice)?;
    let figures = report.limited("squashfs", bytes, table.squashfs);
    println!("{:<20}{:>17}{figures}", "squashfs of all", "");
    let bytes = read(&dist.join("eco-static"))?.len() as u64;
    println!("{:<20}{:>9} as it is", "eco-static", kilobytes(bytes));
    Ok(())
}

/// How many bytes xz makes of a file.
fn xz(file: &Path) -> Result<usize> {
    let mut command = Command::new("xz");
    command.args(["-9e", "--check=crc32", "--stdout"]).arg(file);
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return fail(format!("xz failed: {}", output.status));
    }
    Ok(output.stdout.len())
}

/// How many bytes a squashfs of a folder without some paths fills, packed as OpenWrt's firmware is.
fn squashfs(folder: &Path, without: &[String]) -> Result<usize> {
    let work = work_folder("size")?;
    fresh_folder(&work)?;
    let image = work.join("image");
    let mut command = Command::new("mksquashfs");
    command.arg(folder).arg(&image);
    command.args(["-comp", "xz", "-b", "256k", "-all-root", "-no-progress"]);
    if !without.is_empty() {
        command.arg("-e").args(without);
    }
    output(&mut command)?;
    // The image is padded to blocks; its head says how much of it is used.
    match read(&image)?.get(40..48) {
        Some(field) => Ok(field
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))),
        None => fail("mksquashfs made no image"),
    }
}

/// Reads the segments of an ELF file.
fn loaded(bytes: &[u8]) -> Result<Loaded> {
    match Elf::open(bytes).and_then(|elf| elf.loaded()) {
        Some(loaded) => Ok(loaded),
        None => fail("not a whole ELF file"),
    }
}

/// An ELF file of either width and byte order.
struct Elf<'a> {
    bytes: &'a [u8],
    wide: bool,
    big_endian: bool,
}

/// Segments are loaded in pages of this size.
const PAGE: u64 = 4096;
const LOAD: u64 = 1;
const WRITABLE: u64 = 2;

impl Elf<'_> {
    fn open(bytes: &[u8]) -> Option<Elf<'_>> {
        let head = bytes.strip_prefix(b"\x7fELF")?;
        Some(Elf {
            bytes,
            wide: *head.first()? == 2,
            big_endian: *head.get(1)? == 2,
        })
    }

    fn number(&self, at: usize, size: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(size)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match self.big_endian {
            true => field.iter().fold(0, add),
            false => field.iter().rev().fold(0, add),
        })
    }

    fn loaded(&self) -> Option<Loaded> {
        let place = |narrow, wide| if self.wide { wide } else { narrow };
        let word = place(4, 8);
        let table = self.number(place(0x1c, 0x20), word)?;
        let size = self.number(place(0x2a, 0x36), 2)?;
        let count = self.number(place(0x2c, 0x38), 2)?;
        let mut loaded = Loaded::default();
        for index in 0..count {
            let at = usize::try_from(table.checked_add(index * size)?).ok()?;
            let field = |offset: usize, size| self.number(at.checked_add(offset)?, size);
            if field(0, 4)? != LOAD {
                continue;
            }
            let start = field(place(8, 16), word)?;
            let end = start.checked_add(field(place(20, 40), word)?)?;
            let pages = end.div_ceil(PAGE).checked_mul(PAGE)? - start / PAGE * PAGE;
            if field(place(24, 4), 4)? & WRITABLE != 0 {
                loaded.data += pages;
            } else {
                loaded.text += pages;
            }
        }
        Some(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of 32 bits with a segment of code and one of data.
    fn file() -> Vec<u8> {
        let mut words = [0u32; 29];
        words[0] = u32::from_le_bytes(*b"\x7fELF");
        words[1] = 0x0101_0101;
        words[7] = 52;
        words[10] = 32 << 16;
        words[11] = 2;
        words[13..21].copy_from_slice(&[1, 0, 0x1000, 0, 0, 0x1001, 5, 0]);
        words[21..29].copy_from_slice(&[1, 0, 0x3ff0, 0, 0, 0x20, 6, 0]);
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn segments_are_counted_in_pages() {
        let expected = Loaded {
            text: 0x2000,
            data: 0x2000,
        };
        assert_eq!(loaded(&file()).unwrap(), expected);
        let own = loaded(&read(&std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(own.text > 100_000 && own.data > PAGE, "{own:?}");
    }

    #[test]
    fn a_cut_file_is_refused() {
        let bytes = file();
        for length in 0..bytes.len() - 4 {
            assert!(loaded(&bytes[..length]).is_err(), "{length}");
        }
    }
}
