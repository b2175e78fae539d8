//! musl's own loader for soft-float MIPS, which dynamic programs need under emulation: built once from the
//! distribution's source package.

use crate::run::{
    fail, find_program, folder_for, fresh_folder, output, read_text, run, step, write, Result,
};
use crate::target::Target;
use crate::toolchain::Pins;
use crate::workspace;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Puts the loader of a target below a root, as the firmware would have it.
pub fn install(target: &Target, root: &Path) -> Result<()> {
    let library = loader(target)?;
    crate::run::copy(&library, &root.join("lib/libc.so"))?;
    let link = root.join("lib").join(&target.loader);
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink("libc.so", link)?;
    Ok(())
}

/// The loader of a target, built where it does not exist yet. A build for the target must have been made before.
fn loader(target: &Target) -> Result<PathBuf> {
    if target.arch == "x86_64" {
        let system = PathBuf::from("/lib").join(&target.loader);
        return if system.exists() {
            Ok(system)
        } else {
            fail("musl is not installed: run `cargo xtask setup`")
        };
    }
    let clang_target = match target.arch.as_str() {
        "mipsel_24kc" => "mipsel-linux-gnu",
        "mips_24kc" => "mips-linux-gnu",
        other => return fail(format!("no recipe for the loader of {other}")),
    };
    let pins = Pins::read()?;
    let folder = workspace::tools().join("musl");
    let library = folder.join(format!("{}-{}.so", pins.musl.version, target.arch));
    if library.exists() {
        return Ok(library);
    }
    step(&format!(
        "{}: musl's loader, from the source package",
        target.arch
    ));
    let start = Instant::now();
    let source = source(&folder, &pins.musl.version)?;
    let build = folder.join(format!("build-{}", target.arch));
    fresh_folder(&build)?;
    let compiler = format!("clang --target={clang_target} -march=mips32r2 -msoft-float");
    let stubs = build.join("complex.c");
    // Only complex arithmetic, which nothing here uses, calls these two.
    write(
        &stubs,
        "void __mulsc3(void) { __builtin_trap(); }\nvoid __muldc3(void) { __builtin_trap(); }\n",
    )?;
    let object = build.join("complex-stubs.o");
    run(Command::new("sh").arg("-c").arg(format!(
        "{compiler} -Os -fPIC -c {} -o {}",
        stubs.display(),
        object.display()
    )))?;
    let builtins = compiler_builtins(target)?;
    let mut configure = Command::new(source.join("configure"));
    configure.current_dir(&build).stdout(Stdio::null());
    configure
        .arg(format!(
            "--target={}-linux-muslsf",
            clang_target.trim_end_matches("-linux-gnu")
        ))
        .arg("--disable-static");
    configure.env("CC", &compiler);
    configure
        .env("CFLAGS", "-Os -Wno-everything")
        .env("LDFLAGS", "-fuse-ld=lld -Wl,--hash-style=sysv");
    configure.env(
        "LIBCC",
        format!("{} {}", object.display(), builtins.display()),
    );
    run(&mut configure)?;
    run(Command::new("make")
        .current_dir(&build)
        .args(["-s", "-j2", "lib/libc.so"])
        .stdout(Stdio::null()))?;
    std::fs::copy(build.join("lib/libc.so"), &library)?;
    println!("    done in {:.1} s", start.elapsed().as_secs_f32());
    Ok(library)
}

/// The arithmetic that the processor lacks, from a build of Rust's std for the target.
fn compiler_builtins(target: &Target) -> Result<PathBuf> {
    let folder = workspace::ship_target()
        .join(&target.triple)
        .join("release/deps");
    let mut newest = None;
    for entry in
        std::fs::read_dir(&folder).map_err(|_| format!("build for {} first", target.arch))?
    {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("libcompiler_builtins-") && name.ends_with(".rlib") {
            let time = path.metadata()?.modified()?;
            newest = newest.max(Some((time, path)));
        }
    }
    match newest {
        Some((_, path)) => Ok(path),
        None => fail(format!(
            "no compiler_builtins in {}: std must be rebuilt for {}",
            folder.display(),
            target.arch
        )),
    }
}

/// The unpacked source package.
fn source(folder: &Path, version: &str) -> Result<PathBuf> {
    let unpacked = folder.join(format!(
        "musl-{}",
        version.split('-').next().unwrap_or(version)
    ));
    if unpacked.join("configure").exists() {
        return Ok(unpacked);
    }
    if find_program("apt-get").is_none() {
        return fail(
            "the sources of musl come from a Debian source package, and there is no apt-get",
        );
    }
    // Lists of our own: the system's sources stay as they are.
    folder_for(&folder.join("lists/partial"))?;
    let sources = folder.join("sources");
    fresh_folder(&sources)?;
    let mut copied = 0;
    for file in source_lists()? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = read_text(&file)?;
        if !text.contains("debian") {
            continue;
        }
        write(&sources.join(&name), wanting_sources(&text))?;
        copied += 1;
    }
    if copied == 0 {
        return fail("no Debian package sources are configured");
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
            .arg("-qq")
            .arg("-o")
            .arg(format!("Dir::Etc::sourceparts={}", sources.display()));
        command.args([
            "-o",
            "Dir::Etc::sourcelist=/dev/null",
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Acquire::Retries=3",
        ]);
        command
            .arg("-o")
            .arg(format!(
                "Dir::State::lists={}",
                folder.join("lists").display()
            ))
            .args(arguments);
        command
    };
    run(&mut apt(&["update"]))?;
    run(&mut apt(&["source", &format!("musl={version}")]))?;
    Ok(unpacked)
}

fn source_lists() -> Result<Vec<PathBuf>> {
    let text = output(Command::new("sh").arg("-c").arg("ls -1 /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true"))?;
    Ok(text.lines().map(PathBuf::from).collect())
}

/// A list of package sources that asks for source packages in place of binary ones.
fn wanting_sources(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("deb ") {
        Some(rest) => format!("deb-src {rest}\n"),
        None if line.starts_with("Types:") => "Types: deb-src\n".into(),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_source_lists_are_turned() {
        assert_eq!(
            wanting_sources("deb [a=b] x y z\n# deb\n"),
            "deb-src [a=b] x y z\n# deb\n"
        );
        assert_eq!(
            wanting_sources("Types: deb deb-src\nURIs: x\n\n"),
            "Types: deb-src\nURIs: x\n\n"
        );
    }
}
