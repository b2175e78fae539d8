//! Commits, saves and imports that are killed at every system call, or whose system calls fail: configuration files are
//! the old or the new ones, and no change is lost or made twice.
//!
//! `strace` stops the tool; so these tests are for this machine alone.

use crate::support::{emulated, tool, Router};
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

const OLD: &str = "config demo 's1'\n\toption foo 'x'\n\tlist arr 'a'\n\tlist arr 'b'\n\tlist arr 'c'\n\nconfig demo\n\nconfig demo 's3'\n";
/// Every one of these does something else when it is made a second time.
const CHANGES: &str = "|p.s1.arr='d'\n-p.s1.arr='0'\n+p.cfg04a18a='demo'\np.cfg04a18a.o='it'\\''s\ntwo'\n^p.s3='0'\n@p.s1='s2'\n~p.s2.arr='c'\np.s1='demo'\n";
const NEW: &str = "\nconfig demo 's3'\n\nconfig demo 's2'\n\toption foo 'x'\n\tlist arr 'b'\n\tlist arr 'd'\n\nconfig demo\n\nconfig demo\n\toption o 'it'\\''s\ntwo'\n\nconfig demo 's1'\n\n";

/// A system call of a run: its name, and which one of that name it is, from 1.
type Call = (String, usize);

fn strace(options: &[&str], output: &Path, router: &Router, words: &[&str]) -> ExitStatus {
    let folder = |name| router.path(name).into_os_string();
    Command::new("strace")
        .args(options)
        .arg("-o")
        .arg(output)
        .arg(tool())
        .args([
            "-c".into(),
            folder("config"),
            "-C".into(),
            folder("override"),
            "-t".into(),
            folder("save"),
        ])
        .args(words)
        .stdin(std::fs::File::open(router.path("input")).expect("input"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("strace, which `cargo xtask setup` installs")
}

/// A router before the run.
fn fresh(words: &[&str]) -> Router {
    let router = Router::with("p", OLD);
    router.write("save/p", CHANGES);
    let input = match words.contains(&"batch") {
        true => "set p.s3.o=v\nset p.s3.q=w\n",
        false => "package p\nconfig t imported\n",
    };
    router.write("input", input);
    router
}

/// All system calls of a run, in order, with the first at or after which the tool deals with our files.
fn calls(words: &[&str]) -> (Vec<Call>, usize) {
    let router = fresh(words);
    let log = router.path("log");
    assert!(strace(&[], &log, &router, words).success());
    let (mut counts, mut calls, mut first) = (HashMap::<String, usize>::new(), Vec::new(), None);
    for line in router.read("log").lines() {
        let Some((name, _)) = line.split_once('(') else {
            continue;
        };
        if first.is_none() && line.contains("/override/p") {
            first = Some(calls.len());
        }
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        calls.push((name.to_owned(), *count));
    }
    (calls, first.expect("the tool looks for our file"))
}

/// Lets every system call of a run go wrong once, and looks at what is left.
fn each(
    words: &[&str],
    how: &[&str],
    kills: bool,
    check: impl Fn(&Router, ExitStatus, &str),
) -> usize {
    let (calls, first) = calls(words);
    let mut runs = 0;
    for (name, number) in &calls[if kills { 0 } else { first }..] {
        if !kills && name == "close" {
            // An injected failure leaves the descriptor open, locks and all; the kernel never does.
            continue;
        }
        for how in how {
            let router = fresh(words);
            let inject = format!("inject={name}:{how}:when={number}");
            let trace = format!("trace={name}");
            let log = router.path("log");
            let status = strace(&["-f", "-e", &trace, "-e", &inject], &log, &router, words);
            // The first call starts the process, the last ends it.
            if kills && !["execve", "exit_group"].contains(&name.as_str()) {
                assert_eq!(status.signal(), Some(9), "{inject}");
            }
            check(&router, status, &inject);
            runs += 1;
        }
    }
    runs
}

/// What the tool sees from now on.
fn effective(router: &Router) -> String {
    let mut cursor = router.cursor();
    let package = cursor.open("p").expect("a configuration");
    String::from_utf8(package.to_text()).expect("text")
}

fn check_commit(router: &Router, status: ExitStatus, how: &str) {
    let config = router.read("config/p");
    assert!(config == OLD || config == NEW, "{how}: {config}");
    assert_eq!(effective(router), NEW, "{how}: {}", router.read("save/p"));
    if config == OLD {
        let saved = router.read("save/p");
        assert!(saved.starts_with(CHANGES), "{how}: {saved}");
        assert!(!status.success(), "{how}");
    }
    if status.success() {
        assert_eq!(router.read("save/p"), "", "{how}");
    }
    router.cursor().commit("p").expect("the next commit");
    assert_eq!(router.read("config/p"), NEW, "{how}");
    assert_eq!(router.read("save/p"), "", "{how}");
    let litter = [
        router.litter("config", &["p"]),
        router.litter("save", &["p"]),
    ]
    .concat();
    assert!(litter.is_empty(), "{how}: {litter:?}");
}

#[test]
fn a_commit_killed_at_every_system_call() {
    if emulated() {
        return;
    }
    let runs = each(&["commit", "p"], &["signal=KILL"], true, check_commit);
    println!("{runs} kills");
    assert!(runs > 60, "{runs}");
}

#[test]
fn a_commit_whose_system_calls_fail() {
    if emulated() {
        return;
    }
    let errors = ["error=EIO", "error=ENOSPC", "error=EINTR"];
    let runs = each(&["commit", "p"], &errors, false, check_commit);
    println!("{runs} failures");
    assert!(runs > 60, "{runs}");
}

#[test]
fn a_save_killed_or_failing_at_every_system_call() {
    if emulated() {
        return;
    }
    let line = "p.s3.o='v'\n";
    let check = |router: &Router, status: ExitStatus, how: &str| {
        let saved = router.read("save/p");
        let all = format!("{CHANGES}{line}");
        assert!(saved == CHANGES || saved == all, "{how}: {saved}");
        assert!(!status.success() || saved == all, "{how}");
        assert_eq!(router.read("config/p"), OLD, "{how}");
    };
    let words = ["set", "p.s3.o=v"];
    let kills = each(&words, &["signal=KILL"], true, check);
    let failures = each(
        &words,
        &["error=EIO", "error=ENOSPC", "error=EINTR"],
        false,
        check,
    );
    println!("{kills} kills, {failures} failures");
}

#[test]
fn a_revert_killed_or_failing_at_every_system_call() {
    if emulated() {
        return;
    }
    let left = CHANGES
        .replace("|p.s1.arr='d'\n-p.s1.arr='0'\n", "")
        .replace("p.s1='demo'\n", "")
        .replace("@p.s1='s2'\n", "");
    let check = |router: &Router, status: ExitStatus, how: &str| {
        let saved = router.read("save/p");
        assert!(saved == CHANGES || saved == left, "{how}: {saved}");
        assert!(!status.success() || saved == left, "{how}");
        assert_eq!(router.read("config/p"), OLD, "{how}");
    };
    let words = ["revert", "p.s1"];
    let kills = each(&words, &["signal=KILL"], true, check);
    let failures = each(&words, &["error=EIO", "error=ENOSPC"], false, check);
    println!("{kills} kills, {failures} failures");
}

#[test]
fn an_import_killed_or_failing_at_every_system_call() {
    if emulated() {
        return;
    }
    let new = "\nconfig t 'imported'\n\n";
    let check = |router: &Router, status: ExitStatus, how: &str| {
        let config = router.read("config/p");
        assert!(config == OLD || config == new, "{how}: {config}");
        assert!(!status.success() || config == new, "{how}");
        assert_eq!(router.read("save/p"), CHANGES, "{how}");
    };
    let kills = each(&["import"], &["signal=KILL"], true, check);
    let failures = each(&["import"], &["error=EIO", "error=ENOSPC"], false, check);
    println!("{kills} kills, {failures} failures");
}

/// The second line does not read again what the first has written.
#[test]
fn a_batch_killed_or_failing_at_every_system_call() {
    if emulated() {
        return;
    }
    let lines = ["p.s3.o='v'\n", "p.s3.q='w'\n"];
    let check = |router: &Router, status: ExitStatus, how: &str| {
        let saved = router.read("save/p");
        let made = saved.strip_prefix(CHANGES).expect("the changes of others");
        let all = lines.concat();
        assert!(
            ["", lines[0], lines[1], &all].contains(&made),
            "{how}: {saved}"
        );
        // A batch tells of a command that failed, and goes on.
        assert!(status.signal().is_none() || made != lines[1], "{how}");
        assert_eq!(router.read("config/p"), OLD, "{how}");
    };
    let kills = each(&["batch"], &["signal=KILL"], true, check);
    let failures = each(
        &["batch"],
        &["error=EIO", "error=ENOSPC", "error=EINTR"],
        false,
        check,
    );
    println!("{kills} kills, {failures} failures");
    assert!(kills > 60, "{kills}");
}

#[test]
fn a_merging_import_killed_or_failing_at_every_system_call() {
    if emulated() {
        return;
    }
    let line = "p.imported='t'\n";
    let check = |router: &Router, status: ExitStatus, how: &str| {
        let saved = router.read("save/p");
        let all = format!("{CHANGES}{line}");
        assert!(saved == CHANGES || saved == all, "{how}: {saved}");
        assert!(!status.success() || saved == all, "{how}");
        assert_eq!(router.read("config/p"), OLD, "{how}");
    };
    let words = ["-m", "import", "p"];
    let kills = each(&words, &["signal=KILL"], true, check);
    let failures = each(&words, &["error=EIO", "error=ENOSPC"], false, check);
    println!("{kills} kills, {failures} failures");
}
