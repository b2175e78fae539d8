//! `cargo xtask …`: builds, packages, measures and tests lua-eco. One file per job; this one only chooses it.

mod adb;
mod annotations;
mod apk;
mod bench;
mod build;
mod check;
mod demo;
mod derive;
mod dlopen;
#[cfg(test)]
mod documents;
mod examples;
mod feed;
mod index;
mod install;
mod ipk;
mod link;
mod musl;
#[cfg(test)]
mod openwrt;
mod run;
mod sanitize;
mod setup;
mod shared;
mod size;
mod stage;
mod table;
mod target;
mod test;
mod toolchain;
#[cfg(test)]
mod upgrade;
mod usign;
mod version;
mod wifi;
mod workspace;

use run::Result;
use std::io::Write;

/// One subcommand: its name, what it takes, what it does.
struct Command {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    job: fn(&[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        arguments: "",
        help: "install what the builds need, by package name",
        job: setup::command,
    },
    Command {
        name: "demo",
        arguments: "",
        help: "serve HTTP from our own packages, natively and on emulated MIPS",
        job: demo::command,
    },
    Command {
        name: "test",
        arguments: "[--target ARCH [--library NAME]]",
        help: "run the tests here, or under emulation",
        job: test::command,
    },
    Command {
        name: "host",
        arguments: "",
        help: "build for this machine into target/dist/host",
        job: build::host_command,
    },
    Command {
        name: "build",
        arguments: "--arch ARCH",
        help: "build for a router into target/dist/ARCH",
        job: build::arch_command,
    },
    Command {
        name: "ipk",
        arguments: "--arch ARCH",
        help: "build the packages and the signed feed of a router",
        job: feed::ipk_command,
    },
    Command {
        name: "apk",
        arguments: "--arch ARCH",
        help: "build the packages and the feed of an architecture for apk",
        job: apk::command,
    },
    Command {
        name: "index",
        arguments: "--arch ARCH",
        help: "write the feed index anew and sign it",
        job: feed::index_command,
    },
    Command {
        name: "install",
        arguments: "--root DIR [--arch ARCH | --feed DIR] [--key FILE] PACKAGE…",
        help: "install packages from a feed into a directory",
        job: install::command,
    },
    Command {
        name: "size",
        arguments: "[LIBRARY…]",
        help: "sizes on mipsel beside their budgets, of all or of these libraries",
        job: size::command,
    },
    Command {
        name: "derive",
        arguments: "",
        help: "write what derives from the package list: package/lua-eco/packages.mk, the table of the README",
        job: derive::command,
    },
    Command {
        name: "bench",
        arguments: "[NAME…]",
        help: "run the benchmarks",
        job: bench::command,
    },
    Command {
        name: "examples",
        arguments: "",
        help: "run every example",
        job: examples::command,
    },
    Command {
        name: "check",
        arguments: "",
        help: "type-check for mipsel",
        job: check::mipsel_command,
    },
    Command {
        name: "features",
        arguments: "",
        help: "check every feature alone, and all together",
        job: check::features_command,
    },
    Command {
        name: "lint",
        arguments: "",
        help: "formatting, and clippy with warnings denied",
        job: check::lint_command,
    },
    Command {
        name: "annotations",
        arguments: "",
        help: "check examples, annotations and the Lua in documents as an editor does",
        job: annotations::command,
    },
    Command {
        name: "fuzz",
        arguments: "[SECONDS [TARGET...]]",
        help: "run every fuzz target, or those named, for a while",
        job: check::fuzz_command,
    },
    Command {
        name: "dlopen-test",
        arguments: "",
        help: "load every module into the dynamic eco on emulated mipsel",
        job: dlopen::command,
    },
    Command {
        name: "sanitize",
        arguments: "[FILTER…]",
        help: "run the tests with AddressSanitizer and a Lua that checks every use of its API",
        job: sanitize::command,
    },
    Command {
        name: "races",
        arguments: "",
        help: "run the tests of what threads share with ThreadSanitizer",
        job: sanitize::races,
    },
    Command {
        name: "wifi-test",
        arguments: "",
        help: "run eco.nl80211 in a virtual machine with two simulated radios",
        job: wifi::command,
    },
    Command {
        name: "shared-test",
        arguments: "",
        help: "run tests with the system's libraries for Lua and TLS",
        job: shared::command,
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(name) = arguments.first().filter(|name| !asks_for_help(name)) else {
        list();
        return;
    };
    let Some(command) = COMMANDS
        .iter()
        .find(|command| command.name == name.as_str())
    else {
        eprintln!("xtask: no command '{name}'; `cargo xtask` lists them");
        std::process::exit(2);
    };
    if arguments.iter().any(|word| asks_for_help(word)) {
        println!(
            "cargo xtask {}",
            format!("{name} {}", command.arguments).trim_end()
        );
        println!("  {}", command.help);
        return;
    }
    if command.arguments.is_empty() && arguments.len() > 1 {
        eprintln!("xtask {name}: takes no arguments");
        std::process::exit(2);
    }
    if let Err(error) = (command.job)(&arguments[1..]) {
        eprintln!("xtask {name}: {error}");
        std::process::exit(1);
    }
}

fn asks_for_help(word: &str) -> bool {
    matches!(word, "--help" | "-h" | "help")
}

fn list() {
    let mut text = String::from("cargo xtask COMMAND:\n");
    for command in COMMANDS {
        text += &format!("  {:<12}{}\n", command.name, command.help);
        if !command.arguments.is_empty() {
            text += &format!("  {:<12}  {} {}\n", "", command.name, command.arguments);
        }
    }
    // Whoever reads the beginning alone has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
