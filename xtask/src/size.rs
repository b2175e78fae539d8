//! Reports what every artefact weighs on mipsel and fails when a package is over its budget.

use crate::run::{fail, Result};
use crate::stage::below;
use crate::table::Table;
use crate::target::Target;
use crate::{build, setup, workspace};
use std::path::Path;

/// `cargo xtask size`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    let target = Target::read("mipsel_24kc")?;
    build::arch(&target)?;
    let table = Table::read()?;
    let dist = workspace::dist().join(&target.arch);
    let mut over = Vec::new();
    println!(
        "{:<24}{:>12}{:>14}",
        "mipsel_24kc, stripped", "KB", "budget KB"
    );
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
        check(&name, total, package.budget, &mut over);
        if let Some(program) = &package.program {
            let bytes = weight(&below(&dist.join("root"), &program.path))?;
            check(
                &format!("{} (dynamic)", program.path.trim_start_matches("/usr/bin/")),
                bytes,
                program.budget,
                &mut over,
            );
        }
    }
    row("eco-static", weight(&dist.join("eco-static"))?, None);
    if over.is_empty() {
        println!("all within budget");
        return Ok(());
    }
    fail(format!("over budget: {}", over.join(", ")))
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
