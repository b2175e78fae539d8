//! Reports what every artefact weighs on mipsel and fails when a package or a library is over its budget.

use crate::run::{fail, Result};
use crate::stage::below;
use crate::table::Table;
use crate::target::Target;
use crate::{build, setup, workspace};
use std::path::Path;

/// `cargo xtask size [LIBRARY…]`
pub fn command(names: &[String]) -> Result<()> {
    setup::ensure()?;
    let target = Target::read("mipsel_24kc")?;
    let table = Table::read()?;
    if let Some(unknown) = names
        .iter()
        .find(|name| table.libraries.iter().all(|library| &library.name != *name))
    {
        return fail(format!("no library '{unknown}' in package/packages.toml"));
    }
    let whole = names.is_empty();
    if whole {
        build::arch(&target)?;
    }
    let mut consumers = Vec::new();
    for library in &table.libraries {
        if whole || names.contains(&library.name) {
            consumers.push((library, weight(&build::consumer(&target, library)?)?));
        }
    }
    let mut over = Vec::new();
    println!(
        "{:<24}{:>12}{:>14}",
        "mipsel_24kc, stripped", "KB", "budget KB"
    );
    if whole {
        packages(&table, &target, &mut over)?;
    }
    for (library, bytes) in consumers {
        let name = format!("{} ({})", library.name, library.consumer);
        check(&name, bytes, library.budget, &mut over);
    }
    if over.is_empty() {
        println!("all within budget");
        return Ok(());
    }
    fail(format!("over budget: {}", over.join(", ")))
}

fn packages(table: &Table, target: &Target, over: &mut Vec<String>) -> Result<()> {
    let dist = workspace::dist().join(&target.arch);
    for package in &table.packages {
        let mut total = 0;
        for module in &package.modules {
            let bytes = weight(&below(
                &dist.join("root"),
                &format!("{}/{}", table.directory, module.file),
            ))?;
            total += bytes;
            if package.modules.len() > 1 {
                row(&format!("  {}", module.file), bytes, None);
            }
        }
        let name = match package.modules.as_slice() {
            [module] => module.file.clone(),
            _ => format!("{} together", package.name),
        };
        check(&name, total, package.budget, over);
        if let Some(program) = &package.program {
            let bytes = weight(&below(&dist.join("root"), &program.path))?;
            check(
                &format!("{} (dynamic)", program.path.trim_start_matches("/usr/bin/")),
                bytes,
                program.budget,
                over,
            );
        }
    }
    row("eco-static", weight(&dist.join("eco-static"))?, None);
    Ok(())
}

fn weight(file: &Path) -> Result<u64> {
    Ok(file
        .metadata()
        .map_err(|error| format!("{}: {error}", file.display()))?
        .len())
}

fn check(name: &str, bytes: u64, budget: u64, over: &mut Vec<String>) {
    row(name, bytes, Some(budget));
    if bytes > budget * 1000 {
        over.push(name.to_string());
    }
}

fn row(name: &str, bytes: u64, budget: Option<u64>) {
    let weight = format!("{:.1}", bytes as f64 / 1000.0);
    let limit = match budget {
        Some(budget) if bytes > budget * 1000 => format!("{budget} OVER"),
        Some(budget) => budget.to_string(),
        None => String::new(),
    };
    println!("{name:<24}{weight:>12}{limit:>14}");
}
