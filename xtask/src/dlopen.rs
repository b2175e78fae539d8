//! Loads every module into the dynamic `eco` on emulated mipsel: installed from our own packages, started by musl's own loader.

use crate::build::work_folder;
use crate::run::{fail, fresh_folder, output, step, write, Result};
use crate::table::Table;
use crate::target::Target;
use crate::{feed, install, musl, setup, test, workspace};
use std::path::Path;
use std::process::Command;

/// `cargo xtask dlopen-test`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    let target = Target::read("mipsel_24kc")?;
    feed::ipk(&target)?;
    let table = Table::read()?;
    let root = work_folder("dlopen")?.join(&target.arch);
    install_everything(&table, &target, &root)?;
    step("mipsel_24kc: every module into the dynamic eco");
    let file = root.join("tmp/load.lua");
    write(&file, script(&table))?;
    let file = file.to_string_lossy();
    loads(&mut emulated(&target, &root, &[&file]))?;
    // The other place where routers look must work as well.
    for directory in &table.links {
        let mut command = emulated(&target, &root, &[&file]);
        command.env("LUA_CPATH", format!("{directory}/?.so"));
        loads(&mut command)?;
    }
    Ok(())
}

/// Runs the script, which must tell on standard output that it loaded everything: a program whose copies of the C
/// library's variables are mixed up writes to standard error.
fn loads(command: &mut Command) -> Result<()> {
    let told = output(command)?;
    print!("{told}");
    if !told.contains("modules loaded") {
        return fail("the script did not write to standard output");
    }
    Ok(())
}

/// Installs all packages of a target and its loader into a fresh root.
pub fn install_everything(table: &Table, target: &Target, root: &Path) -> Result<()> {
    fresh_folder(root)?;
    let packages: Vec<String> = table
        .packages
        .iter()
        .map(|package| package.name.clone())
        .collect();
    let feed = workspace::dist().join(&target.arch).join("ipk");
    install::install(root, &feed, &install::default_key(&feed), &packages)?;
    musl::install(target, root)
}

/// The installed interpreter with arguments, under emulation, seeing the root as its file system.
pub fn emulated(target: &Target, root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&target.qemu);
    test::processor(&mut command, target);
    command
        .arg("-L")
        .arg(root)
        .arg(root.join("usr/bin/eco"))
        .args(arguments);
    command
}

/// A script that requires every module, and lets an error pass through Rust code.
pub fn script(table: &Table) -> String {
    let mut script = String::from("local count = 0\n");
    for (_, module) in table.modules() {
        for name in &module.lua {
            script.push_str(&format!(
                "assert(require '{name}', '{name}'); count = count + 1\n"
            ));
        }
    }
    script.push_str(
        "local eco = require 'eco'\n\
         local ok, message = pcall(eco.run, 'not a function')\n\
         assert(not ok and type(message) == 'string', 'an error must pass')\n\
         print(count .. ' modules loaded; an error came through: ' .. message)\n",
    );
    script
}
