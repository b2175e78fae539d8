//! Large and hostile inputs: nothing takes time that grows with the square of their size.

use crate::support::{emulated, Router};
use std::time::{Duration, Instant};
use uci::{Edit, Package};

/// Generous: what grows with the square takes minutes.
const LIMIT: Duration = Duration::from_secs(40);

fn size() -> usize {
    if emulated() {
        10_000
    } else {
        100_000
    }
}

/// Runs a job and checks how long it took.
fn quickly(what: &str, job: impl FnOnce()) {
    within(LIMIT, what, job);
}

fn within(limit: Duration, what: &str, job: impl FnOnce()) {
    let start = Instant::now();
    job();
    let took = start.elapsed();
    println!("{what}: {} ms", took.as_millis());
    assert!(took < limit, "{what} took {took:?}");
}

#[test]
fn many_sections() {
    let mut text = String::new();
    for number in 0..size() {
        text.push_str(&format!("\nconfig t 's{number}'\n\toption o '{number}'\n"));
    }
    text.push('\n');
    let mut package = Package::new("p");
    quickly("loading", || {
        package = Package::parse("p", text.as_bytes()).expect("a configuration")
    });
    quickly("looking up by name", || {
        for number in 0..size() {
            let found = package
                .get(&format!("s{number}"), "o")
                .and_then(|value| value.as_str());
            assert_eq!(found, Some(number.to_string().as_str()));
        }
    });
    assert_eq!(package.to_text(), text.as_bytes());
    let mut changes = Vec::new();
    quickly("editing and removing", || {
        let mut edit = Edit::new(&mut package, &mut changes);
        for number in 0..size() {
            let name = format!("s{number}");
            edit.set(&name, "o", "new").expect("an edit");
            if number % 2 == 0 {
                edit.remove_section(&name).expect("a section");
            }
        }
    });
    assert_eq!(package.len(), size() / 2);
    let mut lines = Vec::new();
    for change in &changes {
        change.write("p", &mut lines);
    }
    let mut replayed = Package::parse("p", text.as_bytes()).expect("a configuration");
    quickly("replaying", || {
        assert_eq!(uci::replay(&mut replayed, &lines).ignored, 0)
    });
    assert!(replayed == package);
}

#[test]
fn long_lists_many_options_and_long_names() {
    let mut text = String::from("config t s\n");
    for number in 0..size() {
        text.push_str(&format!("list l {number}\noption o{number} x\n"));
    }
    let long = "n".repeat(size());
    text.push_str(&format!("option {long} '{long}'\nconfig {long} {long}\n"));
    quickly("loading", || {
        let package = Package::parse("p", text.as_bytes()).expect("a configuration");
        assert_eq!(
            package.get("s", "l").map(|value| value.items().len()),
            Some(size())
        );
        assert_eq!(
            package.get("s", &long).and_then(|value| value.as_str()),
            Some(&*long)
        );
        assert!(Package::parse("p", &package.to_text()).is_ok_and(|read| read == package));
    });
    quickly("removing from a list", || {
        let lines = format!("{}~p.s.l='x'\n", "|p.s.l='x'\n".repeat(size()));
        let mut package = Package::parse("p", b"config t s\n").expect("a configuration");
        assert_eq!(uci::replay(&mut package, lines.as_bytes()).ignored, 0);
    });
}

#[test]
fn hostile_texts() {
    for piece in [
        "'",
        "\"",
        "\\",
        "\\\n",
        ";",
        "#\n",
        "config t\n",
        "config t;",
        "''",
        "o a b\n",
        " ",
        "\r\n",
        "\u{0}",
    ] {
        let text = piece.repeat(size());
        quickly(&format!("{piece:?}"), || {
            let (package, _) = Package::parse_leniently("p", text.as_bytes());
            let _ = package.to_text();
            let _ = uci::changes("p", text.as_bytes());
            let _ = uci::Lookup::parse(text.as_bytes());
        });
    }
}

/// Every line is saved as it comes, and the next one sees it; yet no line reads again what the others have saved.
#[test]
fn batches_of_3000_lines() {
    let limit = match emulated() {
        true => LIMIT,
        false => Duration::from_secs(3),
    };
    let many = "config k\n\toption a 'x'\n\tlist l 'y'\n".repeat(2000);
    for others in ["", &many] {
        for (what, line, lines, saved) in [
            ("new options", "set p.s.oN=N\n", 3000, 3000),
            ("one option", "set p.s.o=N\n", 3000, 3000),
            (
                "sections",
                "add p t\nset p.@t[-1].o=N\nadd_list p.@t[-1].l=N\n",
                1000,
                3000,
            ),
            (
                "answers",
                "set p.sN=t\nset p.sN.o=v\nget p.sN.o\n",
                1000,
                2000,
            ),
        ] {
            let router = Router::with("p", format!("config t s\n{others}"));
            let text: String = (1..=lines)
                .map(|number| line.replace('N', &number.to_string()))
                .collect();
            let run = router.uci(&["batch"]).stdin(text);
            within(
                limit,
                &format!("{what}, {} bytes of others", others.len()),
                || {
                    let output = run.output();
                    assert!(output.status.success() && output.stderr.is_empty());
                },
            );
            assert_eq!(router.read("save/p").lines().count(), saved, "{what}");
        }
    }
}
