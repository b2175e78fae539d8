//! Links for routers: zig finds the start files and the C library, scripts of ours make what it links smaller.

use crate::run::{fail, find_program, output, run, write, Result};
use crate::target::Target;
use crate::toolchain::{zig, Pins};
use crate::workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The flags of the C compiler.
pub fn c_flags(target: &Target) -> Vec<String> {
    let root = workspace::root().to_string_lossy().into_owned();
    let flags = target.cflags.iter();
    flags.map(|flag| flag.replace("@ROOT@", &root)).collect()
}

/// Those of them that choose the machine, which is all that a linker and an assembler need.
fn machine_flags(target: &Target) -> Vec<&str> {
    let flags = target.cflags.iter().map(String::as_str);
    flags
        .filter(|flag| flag.starts_with("-m") && *flag != "-mllvm")
        .collect()
}

/// Writes the script that links for a target and returns its path.
///
/// A small build never unwinds, so the unwinder (40 KB) is replaced by stubs and the tables it would read are dropped.
pub fn linker(target: &Target, small: bool, fixed: bool) -> Result<PathBuf> {
    // Clones may share tools, but not this: it names files by their paths.
    let folder = workspace::cargo_target().join("link");
    let (mut replace, mut script) = (String::new(), String::new());
    if small {
        let discard = folder.join(format!("discard-{}.ld", target.arch));
        write_changed(&discard, &discard_script(target))?;
        let stubs = unwinder_stubs(target, &folder)?;
        replace = format!("-lgcc_s|-lunwind) argument='{}' ;;", stubs.display());
        script = format!("'-Wl,-T,{}'", discard.display());
    }
    let mut again = String::new();
    if small && (fixed || !target.linkflags.is_empty()) {
        let (lld, flags) = lld(target, fixed)?;
        let library = match fixed {
            true => c_library(target, &folder)?.display().to_string(),
            false => "&".into(),
        };
        again = LINK_AGAIN
            .replace("@LIBC@", &library)
            .replace("@LLD@", &lld)
            .replace("@FLAGS@", &flags.join(" "));
    }
    let text = LINKER
        .replace("@ARCH@", &target.arch)
        .replace("@ZIG@", &target.zig)
        .replace("@CFLAGS@", &machine_flags(target).join(" "))
        .replace("@REPLACE@", &replace)
        .replace("@SCRIPT@", &script)
        .replace("@AGAIN@", &again);
    let file = folder.join(format!(
        "zigcc-{}{}{}",
        target.arch,
        if small { "-small" } else { "" },
        if fixed { "-fixed" } else { "" }
    ));
    write_changed(&file, &text)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    Ok(file)
}

/// zig links musl statically into a program that does not ask for -dynamic.
const LINKER: &str = r#"#!/bin/sh
# Links for @ARCH@ with zig. ECO_LINK=static makes a static program of what the compiler links dynamically.
kind=-dynamic
for argument do
    shift
    case "$argument" in
        -shared|-static|-static-pie) kind= ;;
        -pie|-rdynamic|-Wl,-Bdynamic) [ "$ECO_LINK" = static ] && continue ;;
        @REPLACE@
    esac
    set -- "$@" "$argument"
done
[ "$ECO_LINK" = static ] && kind=-static
set -- zig cc -- -fno-sanitize=all -target @ZIG@ @CFLAGS@ "$@" $kind @SCRIPT@
@AGAIN@
exec cargo-zigbuild "$@"
"#;

/// zig calls its LLD with the start files and the C library that it made, but lets few options through: so its call is
/// repeated with another LLD, or with its own, and with more options.
const LINK_AGAIN: &str = r#"said=$(ZIG_VERBOSE_LINK=1 cargo-zigbuild "$@" 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
printf '%s\n' "$said" | grep -v -e '^ld\.lld ' -e '^ar ' >&2
call=$(printf '%s\n' "$said" | sed -n 's/^ld\.lld //p' | tail -n 1 | sed 's#[^ ]*/libc\.so#@LIBC@#')
[ -n "$call" ] || { echo 'zig did not tell how it links' >&2; exit 1; }
exec @LLD@ $call @FLAGS@"#;

/// How LLD is called, and the options of the target that it gets: zig's does not sort for the packer, and programs are not
/// sorted so, since Lua's functions that call each other would lie on many pages.
fn lld(target: &Target, fixed: bool) -> Result<(String, Vec<&str>)> {
    let found = find_program(&Pins::read()?.compiler.linker);
    let sorts = found.is_some() && !fixed;
    let flags = target.linkflags.iter().map(String::as_str);
    let flags = flags.filter(|flag| sorts || !flag.starts_with("--bp-"));
    let program = match found {
        Some(program) => program.display().to_string(),
        None => format!("'{}' ld.lld", zig().display()),
    };
    Ok((program, flags.collect()))
}

/// Sections that only an unwinder or a debugger reads.
const TABLES: &str = "*(.eh_frame) *(.gcc_except_table*) *(.ARM.exidx*) *(.ARM.extab*) *(.pdr) *(.comment) *(.data.DW.ref.*)";

/// The personality function of std, which only those tables name.
const PERSONALITY: &str =
    "*(.text.rust_eh_personality) *(.rodata*rust_eh_personality) *(.text._RNv*11personality*) *(.rodata._RNv*11personality*)";

/// The linker script that drops what a program that never unwinds does not need.
fn discard_script(target: &Target) -> String {
    // There the compiler moves what functions have in common to functions of its own, which would still name the dropped ones.
    let shares_code = ["aarch64", "riscv64"]
        .iter()
        .any(|processor| target.triple.starts_with(processor));
    let personality = if shares_code { "" } else { PERSONALITY };
    format!("SECTIONS {{ /DISCARD/ : {{\n{TABLES}\n{personality}\n}} }}\nINSERT AFTER .text;\n")
}

/// Names of the unwinder that std mentions; none is reached when panics abort at once.
const UNWINDER: &[&str] = &[
    "_Unwind_Backtrace",
    "_Unwind_DeleteException",
    "_Unwind_FindEnclosingFunction",
    "_Unwind_GetCFA",
    "_Unwind_GetDataRelBase",
    "_Unwind_GetIP",
    "_Unwind_GetIPInfo",
    "_Unwind_GetLanguageSpecificData",
    "_Unwind_GetRegionStart",
    "_Unwind_GetTextRelBase",
    "_Unwind_RaiseException",
    "_Unwind_Resume",
    "_Unwind_SetGR",
    "_Unwind_SetIP",
    "_Unwind_VRS_Get",
    "_Unwind_VRS_Set",
    "__aeabi_unwind_cpp_pr0",
    "__aeabi_unwind_cpp_pr1",
    "__gnu_unwind_frame",
];

fn unwinder_stubs(target: &Target, folder: &Path) -> Result<PathBuf> {
    let name = |ending: &str| folder.join(format!("unwinder-stubs-{}.{ending}", target.arch));
    let (source, object, archive) = (name("c"), name("o"), name("a"));
    // Hidden: the interpreter must not offer them to the libraries it loads.
    let text: String = UNWINDER
        .iter()
        .map(|name| format!("{STUB} {name}(void) {{ __builtin_trap(); }}\n"))
        .collect();
    if archive.exists() && std::fs::read_to_string(&source).is_ok_and(|old| old == text) {
        return Ok(archive);
    }
    write(&source, text)?;
    let mut compile = Command::new(zig());
    compile
        .args(["cc", "-target", &target.zig])
        .args(machine_flags(target));
    compile.args(["-Os", "-fPIC", "-ffunction-sections", "-fno-sanitize=all"]);
    run(compile.arg("-c").arg(&source).arg("-o").arg(&object))?;
    let mut pack = Command::new(zig());
    run(pack.args(["ar", "rcs"]).arg(&archive).arg(&object))?;
    Ok(archive)
}

const STUB: &str = "__attribute__((weak, visibility(\"hidden\"))) void";

/// Writes only what differs: cargo looks at the time of a linker's change.
fn write_changed(file: &Path, text: &str) -> Result<()> {
    if std::fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write(file, text)
}

/// A C library to link programs against that are loaded at one address.
///
/// They hold the C library's variables themselves (copy relocations), and a linker takes variables at one address for
/// one. In zig's stand-in for musl all have the same: standard error would be standard output.
fn c_library(target: &Target, folder: &Path) -> Result<PathBuf> {
    let name = |ending: &str| folder.join(format!("libc-{}.{ending}", target.arch));
    let (program, source, library) = (name("c"), name("s"), name("so"));
    write(&program, "int main(void) { return 0; }\n")?;
    let mut probe = Command::new(zig());
    probe
        .env("ZIG_VERBOSE_LINK", "1")
        .args(["cc", "-target", &target.zig, "-dynamic"]);
    let probe = probe
        .args(machine_flags(target))
        .arg(&program)
        .arg("-o")
        .arg(name("probe"));
    let said = probe.output()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let calls = said.lines().rev().find(|line| line.starts_with("ld.lld "));
    let words = calls.into_iter().flat_map(str::split_whitespace);
    let Some(theirs) = words.rev().find(|word| word.ends_with("/libc.so")) else {
        return fail(format!(
            "zig did not tell which C library it links:\n{said}"
        ));
    };
    let text = stand_in(&output(Command::new("readelf").args([
        "--dyn-syms",
        "-W",
        theirs,
    ]))?);
    if library.exists() && std::fs::read_to_string(&source).is_ok_and(|old| old == text) {
        return Ok(library);
    }
    write(&source, text)?;
    let mut link = Command::new(zig());
    link.args(["cc", "-target", &target.zig])
        .args(machine_flags(target));
    link.args(["-shared", "-nostdlib", "-Wl,-soname,libc.so"]);
    run(link.arg(&source).arg("-o").arg(&library))?;
    Ok(library)
}

/// The assembler text of a library with the symbols that `readelf --dyn-syms` lists: each variable has a place of its own,
/// but for the names that musl gives to one.
fn stand_in(symbols: &str) -> String {
    let mut functions = String::from(".text\n");
    let mut variables: Vec<(&str, &str, &str)> = Vec::new();
    for line in symbols.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, size, kind, _, _, section, name] = words[..] else {
            continue;
        };
        if section == "UND" {
            continue;
        }
        match kind {
            "FUNC" => {
                functions.push_str(&format!(".globl {name}\n.type {name},@function\n{name}:\n"))
            }
            "OBJECT" => variables.push((place(name), name, size)),
            _ => {}
        }
    }
    variables.sort();
    let mut text = functions + ".long 0\n.data\n";
    for (position, (place, name, size)) in variables.iter().enumerate() {
        if position == 0 || variables[position - 1].0 != *place {
            text.push_str(".zero 16\n.balign 16\n");
        }
        text.push_str(&format!(
            ".globl {name}\n.type {name},@object\n.size {name},{size}\n{name}:\n"
        ));
    }
    text + ".zero 256\n"
}

/// What musl's names of one variable have in common.
fn place(name: &str) -> &str {
    match name.trim_start_matches('_') {
        "program_invocation_name" => "progname_full",
        "program_invocation_short_name" => "progname",
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_c_library_have_places_of_their_own() {
        let line = |kind: &str, name: &str| {
            format!("  1: 0003eb30     4 {kind}  GLOBAL DEFAULT   13 {name}\n")
        };
        let names = ["stdin", "stdout", "__environ", "environ"];
        let listed: String = names.iter().map(|name| line("OBJECT", name)).collect();
        let text = stand_in(&(listed + &line("FUNC", "puts")));
        let labels: Vec<&str> = text
            .lines()
            .filter(|line| line.ends_with(':') || line.starts_with(".zero"))
            .collect();
        let room = ".zero 16";
        assert_eq!(
            labels,
            [
                "puts:",
                room,
                "__environ:",
                "environ:",
                room,
                "stdin:",
                room,
                "stdout:",
                ".zero 256"
            ]
        );
    }
}
