//! Saving, committing and reverting, by one process and by many.

use crate::support::{emulated, Router};
use std::os::unix::fs::symlink;
use uci::{Count, Kind, Value};

fn edited(router: &Router, value: &str) -> uci::Cursor {
    let mut cursor = router.cursor();
    cursor
        .edit("p")
        .expect("p")
        .set("s", "o", value)
        .expect("an edit");
    cursor
}

#[test]
fn save_appends_and_commit_empties() {
    let router = Router::with("p", "config t s # kept until something changes\n");
    let mut cursor = edited(&router, "1");
    assert!(!router.path("save").exists());
    cursor.save("p").expect("saved");
    cursor.save("p").expect("nothing to save");
    assert_eq!(router.read("save/p"), "p.s.o='1'\n");
    // Another cursor adds to it, and sees it.
    let mut other = router.cursor();
    assert_eq!(
        other
            .open("p")
            .expect("p")
            .get("s", "o")
            .and_then(Value::as_str),
        Some("1")
    );
    other
        .edit("p")
        .expect("p")
        .set("s", "q", "2")
        .expect("an edit");
    let count = other.commit("p").expect("committed");
    assert_eq!(
        count,
        Count {
            made: 2,
            ignored: 0
        }
    );
    assert_eq!(
        router.read("config/p"),
        "\nconfig t 's'\n\toption o '1'\n\toption q '2'\n\n"
    );
    assert_eq!(router.read("save/p"), "");
    assert!(router.litter("config", &["p"]).is_empty() && router.litter("save", &["p"]).is_empty());
}

#[test]
fn a_commit_without_changes_touches_nothing() {
    let text = "config  t   s # as it was\n";
    let router = Router::with("p", text);
    router.write("save/p", "p.none.o='v'\n");
    let count = router.cursor().commit("p").expect("committed");
    assert_eq!(
        count,
        Count {
            made: 0,
            ignored: 1
        }
    );
    assert_eq!(
        (router.read("config/p"), router.read("save/p")),
        (text.into(), "p.none.o='v'\n".into())
    );
    assert_eq!(
        router
            .cursor()
            .commit("none")
            .err()
            .map(|error| error.kind()),
        Some(Kind::NotFound)
    );
}

#[test]
fn a_configuration_that_was_removed() {
    let router = Router::with("p", "config t s\n");
    let mut cursor = edited(&router, "1");
    std::fs::remove_file(router.path("config/p")).expect("removed");
    cursor.commit("p").expect("committed");
    assert_eq!(
        (router.read("config/p"), router.read("save/p")),
        ("".into(), "p.s.o='1'\n".into())
    );
}

#[test]
fn links_are_followed_and_stay() {
    let router = Router::new();
    router.write("elsewhere/real", "config t s\n");
    symlink("../elsewhere/real", router.path("config/p")).expect("a link");
    edited(&router, "1").commit("p").expect("committed");
    assert!(router.path("config/p").is_symlink());
    assert_eq!(
        router.read("elsewhere/real"),
        "\nconfig t 's'\n\toption o '1'\n\n"
    );
    assert!(router.litter("elsewhere", &["real"]).is_empty());
}

#[test]
fn save_folders_that_are_none() {
    let router = Router::with("p", "config t s\n");
    router.write("save", "a file");
    let mut cursor = edited(&router, "1");
    assert_eq!(
        cursor.save("p").err().map(|error| error.kind()),
        Some(Kind::Io)
    );
    // The change is still there.
    std::fs::remove_file(router.path("save")).expect("removed");
    cursor.commit("p").expect("committed");
    assert!(router.read("config/p").contains("o '1'"));
    router.write("config/a.b", "config t s\n");
    cursor
        .edit("a.b")
        .expect("a.b")
        .set("s", "o", "1")
        .expect("an edit");
    assert_eq!(
        cursor.save("a.b").err().map(|error| error.kind()),
        Some(Kind::Invalid)
    );
}

#[test]
fn revert() {
    let lines = "p.a.x='1'\n# note\np.a.y='1'\nwhat is this\np.b.x='2\n3'\n+p.cfg03b619='t'\n";
    for (section, option, left) in [
        (None, None, "# note\nwhat is this\n"),
        (
            Some("a"),
            None,
            "# note\nwhat is this\np.b.x='2\n3'\n+p.cfg03b619='t'\n",
        ),
        (
            Some("@t[0]"),
            Some("y"),
            "p.a.x='1'\n# note\nwhat is this\np.b.x='2\n3'\n+p.cfg03b619='t'\n",
        ),
        (
            Some("b"),
            Some("x"),
            "p.a.x='1'\n# note\np.a.y='1'\nwhat is this\n+p.cfg03b619='t'\n",
        ),
        (Some("c"), None, lines),
    ] {
        let router = Router::with("p", "config t a\nconfig t b\n");
        router.write("save/p", lines);
        let mut cursor = router.cursor();
        cursor.revert("p", section, option).expect("reverted");
        assert_eq!(router.read("save/p"), left);
        assert!(router.litter("save", &["p"]).is_empty());
    }
    let router = Router::with("p", "config t s\n");
    let mut cursor = edited(&router, "1");
    cursor
        .edit("p")
        .expect("p")
        .set("s", "q", "2")
        .expect("an edit");
    cursor.revert("p", Some("s"), Some("o")).expect("reverted");
    assert_eq!(router.read("save/p"), "p.s.q='2'\n");
    assert!(cursor.package("p").expect("p").get("s", "o").is_none());
    cursor.revert("p", None, None).expect("reverted");
    assert_eq!(router.read("save/p"), "");
}

/// What a killed writer left does not swallow what is saved later.
#[test]
fn remains_of_a_killed_save() {
    for (left, expected) in [
        ("p.s.a='1'\np.s.b='to", "p.s.a='1'\np.s.o='v'\n"),
        ("p.s.a='1'\np.s.b=\"to\nrn", "p.s.a='1'\np.s.o='v'\n"),
        ("p.s.a='1'", "p.s.a='1'\np.s.o='v'\n"),
        ("#commi", "#commi\np.s.o='v'\n"),
    ] {
        let router = Router::with("p", "config t s\n");
        router.write("save/p", left);
        edited(&router, "v").save("p").expect("saved");
        assert_eq!(router.read("save/p"), expected);
    }
}

/// The state that a commit leaves if it is killed after it has put the new file in place.
#[test]
fn changes_that_the_configuration_holds_do_not_count() {
    let router = Router::with("p", "config t s\nlist l a\n");
    router.write("save/p", "|p.s.l='b'\n+p.cfg02b619='t'\n-p.s.l='0'\n");
    let lines = router.read("save/p");
    router.cursor().commit("p").expect("committed");
    let new = router.read("config/p");
    assert_eq!(new, "\nconfig t 's'\n\tlist l 'b'\n\nconfig t\n\n");
    // The same comment as a commit writes.
    let hash = new.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let killed = format!("{lines}#committed {:x}-{hash:016x}\n", new.len());
    let text = |router: &Router| {
        let mut cursor = router.cursor();
        String::from_utf8(cursor.open("p").expect("p").to_text()).expect("text")
    };
    router.write("save/p", &killed);
    assert_eq!(text(&router), new);
    assert!(router.cursor().changes("p").expect("changes").is_empty());
    router.cursor().commit("p").expect("committed");
    assert_eq!(router.read("config/p"), new);
    // The next one to save removes them first.
    edited(&router, "v").save("p").expect("saved");
    assert_eq!(router.read("save/p"), "p.s.o='v'\n");
    // So does the next one to replace the configuration, whatever folder it saves to.
    for save in [true, false] {
        router.write("save/p", &killed);
        let mut cursor = router.cursor();
        if !save {
            cursor.add_change_dir(router.path("save"));
            cursor.set_save_dir(router.path("other"));
        }
        let mut package = cursor.load("p").expect("p").clone();
        cursor.replace(&package).expect("replaced");
        package.merge(b"config t more\n").expect("a package");
        cursor.replace(&package).expect("replaced");
        assert_eq!(router.read("save/p"), "", "{save}");
        router.write("config/p", &new);
    }
    // What others have added meanwhile counts, and stays when the rest is removed.
    router.write("save/p", format!("{killed}p.s.o='w'\n"));
    router
        .cursor()
        .replace(&uci::Package::parse("p", new.as_bytes()).expect("a package"))
        .expect("replaced");
    assert_eq!(router.read("save/p"), "p.s.o='w'\n");
    router.write("save/p", format!("{killed}p.s.o='w'\n"));
    router.cursor().commit("p").expect("committed");
    assert_eq!(
        router.read("config/p"),
        "\nconfig t 's'\n\tlist l 'b'\n\toption o 'w'\n\nconfig t\n\n"
    );
    assert_eq!(router.read("save/p"), "");
    // With another configuration nothing has been committed yet.
    router.write("config/p", "config t s\nlist l a\n");
    router.write("save/p", &killed);
    assert_eq!(text(&router), new);
}

/// Two who add a section at the same time both get one of their own.
#[test]
fn added_sections_do_not_meet() {
    let router = Router::with("p", "config t\n");
    let (mut one, mut two) = (router.cursor(), router.cursor());
    for (cursor, value) in [(&mut one, "1"), (&mut two, "2")] {
        let mut edit = cursor.edit("p").expect("p");
        let name = edit.add_section("t").expect("a name");
        assert_eq!(name, "cfg02b619");
        edit.set(&name, "o", value).expect("an edit");
    }
    one.save("p").expect("saved");
    two.save("p").expect("saved");
    assert_eq!(
        router.read("save/p"),
        "+p.cfg02b619='t'\np.cfg02b619.o='1'\n+p.cfg03b619='t'\np.cfg03b619.o='2'\n"
    );
    assert_eq!(
        two.package("p")
            .expect("p")
            .get("cfg03b619", "o")
            .and_then(Value::as_str),
        Some("2")
    );
    // The same across a commit.
    let mut three = router.cursor();
    let name = three
        .edit("p")
        .expect("p")
        .add_section("t")
        .expect("a name");
    one.edit("p")
        .expect("p")
        .set_section("named", "t")
        .expect("an edit");
    one.commit("p").expect("committed");
    three
        .edit("p")
        .expect("p")
        .set(&name, "o", "3")
        .expect("an edit");
    three.commit("p").expect("committed");
    let text = router.read("config/p");
    assert_eq!(text.matches("option o").count(), 3, "{text}");
}

/// Processes that change, save and commit side by side: every change of every one is in the file at the end.
#[test]
fn processes_commit_in_parallel() {
    let (processes, rounds) = if emulated() { (3, 3) } else { (6, 12) };
    let router = Router::with("p", "config t s\n");
    std::thread::scope(|scope| {
        for process in 0..processes {
            let router = &router;
            scope.spawn(move || {
                for round in 0..rounds {
                    router
                        .uci(&["set", &format!("p.s.o{process}_{round}=x")])
                        .ok();
                    router
                        .uci(&["add_list", &format!("p.s.all={process}.{round}")])
                        .ok();
                    let name = router.uci(&["add", "p", "u"]).output().stdout;
                    assert!(name.starts_with(b"cfg"), "{name:?}");
                    router.uci(&["commit", "p"]).ok();
                }
            });
        }
    });
    let mut cursor = router.cursor();
    let package = cursor.open("p").expect("p");
    let section = package.section("s").expect("s");
    for process in 0..processes {
        for round in 0..rounds {
            assert!(section.get(&format!("o{process}_{round}")).is_some());
        }
    }
    let mut items: Vec<&[u8]> = section.get("all").expect("a list").items().collect();
    items.sort_unstable();
    items.dedup();
    assert_eq!(items.len(), processes * rounds);
    assert_eq!(
        section.get("all").expect("a list").items().len(),
        processes * rounds
    );
    assert_eq!(package.sections_of("u").count(), processes * rounds);
    assert_eq!(router.read("save/p"), "");
    assert!(router.litter("config", &["p"]).is_empty());
}
