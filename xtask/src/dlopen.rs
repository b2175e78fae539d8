//! Loads every module into the dynamic `eco` on emulated mipsel: installed from our own packages, started by musl's own loader.
//! From a package of its own, from the one that holds many, and with both there.

use crate::build::work_folder;
use crate::run::{fail, fresh_folder, output, step, write, Result};
use crate::table::{Bundle, Package, Table};
use crate::target::Target;
use crate::{feed, musl, setup, test, workspace};
use std::path::Path;
use std::process::Command;

/// `cargo xtask dlopen-test`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    let target = Target::read("mipsel_24kc")?;
    feed::ipk(&target)?;
    let table = Table::read()?;
    let work = work_folder("dlopen")?;
    let root = work.join(&target.arch);
    install(&table, &target, &root, |package| package.bundle.is_none())?;
    step("mipsel_24kc: every module into the dynamic eco");
    let modules = script(&table);
    loads(&target, &root, &modules, None)?;
    // The other place where routers look must work as well.
    for directory in &table.links {
        let path = format!("{directory}/?.so");
        loads(&target, &root, &modules, Some(("LUA_CPATH", &path)))?;
    }
    for package in &table.packages {
        if let Some(bundle) = &package.bundle {
            bundled(&table, &target, package, bundle, &work)?;
        }
    }
    Ok(())
}

/// The modules of a bundle: with nothing but what it depends on, and beside the packages of the same modules.
fn bundled(
    table: &Table,
    target: &Target,
    package: &Package,
    bundle: &Bundle,
    work: &Path,
) -> Result<()> {
    let root = work.join(&package.name);
    install(table, target, &root, |other| other.name == package.name)?;
    step(&format!("mipsel_24kc: {} alone", package.name));
    let is_base = |other: &Package| package.depends.contains(&other.name);
    let own = |other: &Package| other.name == package.name || is_base(other);
    let script = format!("{}{MAPPED}", requiring(table, own));
    let base = table.packages.iter().filter(|other| is_base(other));
    let base = base.flat_map(|other| &other.modules);
    let mut files: Vec<&str> = base.map(|module| module.file.as_str()).collect();
    files.push(&bundle.file);
    let files = files.join(" ");
    for folder in &bundle.folders {
        let script = format!(
            "package.path = '{folder}/?.lua'
{script}"
        );
        loads(target, &root, &script, Some(("EXPECTED", &files)))?;
    }
    loads(target, &root, &script, Some(("EXPECTED", &files)))?;

    let root = work.join(format!("{}-both", package.name));
    install(table, target, &root, |_| true)?;
    step(&format!(
        "mipsel_24kc: {} and every other package",
        package.name
    ));
    let everything = self::script(table);
    loads(target, &root, &everything, None)?;
    // Where Lua does not look for the loader, the other packages are found.
    let without = format!("package.path = ''\n{everything}");
    loads(target, &root, &without, None)?;
    // Modules of either meet.
    loads(target, &root, &format!("{MIXED}{everything}"), None)
}

/// Lua that fails unless, of our modules, exactly those files were loaded that EXPECTED names.
const MAPPED: &str = r#"
local mapped = {}
for line in io.lines '/proc/self/maps' do
    local file = line:match '/lua/5.4/(%S+%.so)$'
    if file then mapped[file] = true end
end
for file in os.getenv('EXPECTED'):gmatch '%S+' do
    assert(mapped[file], file .. ' was not loaded')
    mapped[file] = nil
end
assert(not next(mapped), next(mapped))
"#;

/// Lua that has every other module come from its own package.
const MIXED: &str = r#"
local search, single = package.searchers[2], false
table.insert(package.searchers, 2, function(name)
    if not name:find '^eco%.' then return end
    single = not single
    return (single and package.searchers[4] or search)(name)
end)
"#;

/// Runs a script with a variable in its environment. It must tell on standard output that it loaded everything: a program
/// whose copies of the C library's variables are mixed up writes to standard error.
fn loads(target: &Target, root: &Path, script: &str, variable: Option<(&str, &str)>) -> Result<()> {
    let file = root.join("tmp/load.lua");
    write(&file, script)?;
    let mut command = emulated(target, root, &[&file.to_string_lossy()]);
    command.envs(variable);
    let told = output(&mut command)?;
    print!("{told}");
    if !told.contains("modules loaded") {
        return fail("the script did not write to standard output");
    }
    Ok(())
}

/// Installs packages of a target, what they depend on, and its loader into a fresh root.
pub fn install(
    table: &Table,
    target: &Target,
    root: &Path,
    wanted: impl Fn(&Package) -> bool,
) -> Result<()> {
    fresh_folder(root)?;
    let packages = table.packages.iter().filter(|package| wanted(package));
    let packages: Vec<String> = packages.map(|package| package.name.clone()).collect();
    let feed = workspace::dist().join(&target.arch).join("ipk");
    crate::install::install(root, &feed, &crate::install::default_key(&feed), &packages)?;
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
    requiring(table, |package| package.bundle.is_none())
}

/// The same with the modules of some packages.
fn requiring(table: &Table, of: impl Fn(&Package) -> bool) -> String {
    let mut script = String::from("local count = 0\n");
    for (package, module) in table.modules().filter(|(package, _)| of(package)) {
        for name in &module.lua {
            // Libraries of the firmware are not in the root: the module names the one it misses.
            let loaded = if package.system.is_empty() {
                format!("assert(require '{name}', '{name}')")
            } else {
                format!("local found, err = pcall(require, '{name}') assert(found or err:find('needs the library', 1, true), err)")
            };
            script.push_str(&format!("do {loaded} end count = count + 1\n"));
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
