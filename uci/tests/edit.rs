//! Edits: what they do, what they refuse, and what they record.

use uci::{Change, Edit, Error, Kind, Package, Value};

const START: &str = "config demo s1\noption foo x\nlist arr a\nlist arr b\nconfig demo\noption k v\nconfig other s3\n";

/// Makes an edit and returns the text afterwards and the recorded lines.
fn edited(edit: impl FnOnce(&mut Edit) -> Result<(), Error>) -> Result<(String, String), Kind> {
    let mut package = Package::parse("p", START.as_bytes()).expect("a configuration");
    let start = package.clone();
    let mut changes: Vec<Change> = Vec::new();
    let result = edit(&mut Edit::new(&mut package, &mut changes));
    let mut lines = Vec::new();
    for change in &changes {
        change.write("p", &mut lines);
    }
    if let Err(error) = result {
        assert!(
            package == start && changes.is_empty(),
            "a failed edit changed something"
        );
        return Err(error.kind());
    }
    let mut replayed = start;
    uci::replay(&mut replayed, &lines);
    assert!(replayed == package, "a replay leads elsewhere");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ok((text(package.to_text()), text(lines)))
}

/// What an edit records.
fn lines(edit: impl FnOnce(&mut Edit) -> Result<(), Error>) -> String {
    edited(edit).expect("an edit").1
}

fn refused(edit: impl FnOnce(&mut Edit) -> Result<(), Error>) -> Kind {
    edited(edit).expect_err("an edit that is refused")
}

#[test]
fn what_is_recorded() {
    assert_eq!(lines(|edit| edit.set("s1", "foo", "y")), "p.s1.foo='y'\n");
    assert_eq!(
        lines(|edit| edit.set("@demo[-1]", "n", "it's")),
        "p.cfg02a18a.n='it'\\''s'\n"
    );
    assert_eq!(lines(|edit| edit.set("s1", "foo", "x")), "");
    assert_eq!(lines(|edit| edit.set("s1", "foo", "")), "-p.s1.foo\n");
    assert_eq!(lines(|edit| edit.set("s1", "none", "")), "");
    assert_eq!(lines(|edit| edit.set("s1", "arr", "a")), "p.s1.arr='a'\n");
    assert_eq!(
        lines(|edit| edit.set_section("s4", "demo")),
        "p.s4='demo'\n"
    );
    assert_eq!(lines(|edit| edit.set_section("s1", "demo")), "");
    assert_eq!(
        lines(|edit| edit.set_section("@[1]", "other")),
        "p.cfg02a18a='other'\n"
    );
    assert_eq!(lines(|edit| edit.set_section("s1", "")), "-p.s1\n");
    assert_eq!(lines(|edit| edit.set_section("s9", "")), "");
    assert_eq!(
        lines(|edit| edit
            .add_section("demo")
            .map(|name| assert_eq!(name, "cfg04a18a"))),
        "+p.cfg04a18a='demo'\n"
    );
    assert_eq!(
        lines(|edit| edit.set_list("s1", "arr", &["x", "y"])),
        "p.s1.arr='x'\n|p.s1.arr='y'\n"
    );
    assert_eq!(lines(|edit| edit.set_list("s1", "arr", &["a", "b"])), "");
    assert_eq!(
        lines(|edit| edit.set_list("s1", "arr", &["x"])),
        "-p.s1.arr\n|p.s1.arr='x'\n"
    );
    assert_eq!(
        lines(|edit| edit.set_list("s1", "new", &["x"])),
        "|p.s1.new='x'\n"
    );
    assert_eq!(
        lines(|edit| edit.set_list("s1", "foo", &["x", "y"])),
        "|p.s1.foo='y'\n"
    );
    assert_eq!(
        lines(|edit| edit.set_list("s1", "arr", &["", "y"])),
        "-p.s1.arr\n|p.s1.arr=''\n|p.s1.arr='y'\n"
    );
    assert_eq!(
        lines(|edit| edit.set_list("s1", "arr", &[""; 0])),
        "-p.s1.arr\n"
    );
    assert_eq!(
        lines(|edit| edit.append("s1", "arr", "a")),
        "|p.s1.arr='a'\n"
    );
    assert_eq!(
        lines(|edit| edit.remove_value("s1", "arr", "a")),
        "~p.s1.arr='a'\n"
    );
    assert_eq!(
        lines(|edit| edit.remove_value("s1", "arr", "z")),
        "~p.s1.arr='z'\n"
    );
    assert_eq!(lines(|edit| edit.remove_value("s1", "foo", "x")), "");
    assert_eq!(lines(|edit| edit.remove_value("s1", "none", "z")), "");
    assert_eq!(lines(|edit| edit.remove_section("@[0]")), "-p.s1\n");
    assert_eq!(lines(|edit| edit.remove("s1", "arr")), "-p.s1.arr\n");
    assert_eq!(
        lines(|edit| edit.remove_item("s1", "arr", 1)),
        "-p.s1.arr='1'\n"
    );
    assert_eq!(lines(|edit| edit.remove_item("s1", "arr", 2)), "");
    assert_eq!(
        lines(|edit| edit.remove_item("s1", "foo", 2)),
        "-p.s1.foo\n"
    );
    assert_eq!(
        lines(|edit| edit.rename_section("@[1]", "new")),
        "@p.cfg02a18a='new'\n"
    );
    assert_eq!(
        lines(|edit| edit.rename_section("s1", "s1")),
        "@p.s1='s1'\n"
    );
    assert_eq!(
        lines(|edit| edit.rename("s1", "foo", "bar")),
        "@p.s1.foo='bar'\n"
    );
    assert_eq!(
        lines(|edit| edit.rename("s1", "foo", "foo")),
        "@p.s1.foo='foo'\n"
    );
    assert_eq!(lines(|edit| edit.reorder("s1", 1)), "^p.s1='1'\n");
    assert_eq!(lines(|edit| edit.reorder("s1", 0)), "");
    assert_eq!(lines(|edit| edit.reorder("s1", 99)), "^p.s1='99'\n");
    assert_eq!(lines(|edit| edit.reorder("s3", -7)), "^p.s3='-7'\n");
    assert_eq!(lines(|edit| edit.reorder("s3", 99)), "");
    assert_eq!(lines(|edit| edit.reorder("s1", -7)), "");
}

#[test]
fn positions_are_kept() {
    let (text, _) = edited(|edit| edit.set_list("s1", "foo", &["1", "2"])).expect("an edit");
    assert!(
        text.starts_with("\nconfig demo 's1'\n\tlist foo '1'\n\tlist foo '2'\n\tlist arr 'a'\n")
    );
    let (text, _) = edited(|edit| edit.reorder("s3", 0)).expect("an edit");
    assert!(text.starts_with("\nconfig other 's3'\n\nconfig demo 's1'\n"));
}

#[test]
fn what_is_refused() {
    use Kind::*;
    for (what, kind) in [
        ("", Invalid),
        ("a-b", Invalid),
        ("@demo", Invalid),
        ("@demo[x]", Invalid),
        ("@a b[0]", Invalid),
        ("@demo[9]", NotFound),
        ("none", NotFound),
    ] {
        assert_eq!(refused(|edit| edit.set(what, "o", "v")), kind, "{what:?}");
        assert_eq!(refused(|edit| edit.append(what, "o", "v")), kind);
        assert_eq!(refused(|edit| edit.remove_value(what, "o", "v")), kind);
        assert_eq!(refused(|edit| edit.set_list(what, "o", &["v"])), kind);
        assert_eq!(refused(|edit| edit.reorder(what, 1)), kind);
        assert_eq!(refused(|edit| edit.rename(what, "o", "v")), kind);
        if what != "none" {
            assert_eq!(refused(|edit| edit.set_section(what, "t")), Invalid);
        }
    }
    assert_eq!(refused(|edit| edit.remove_section("none")), NotFound);
    assert_eq!(refused(|edit| edit.remove_section("@demo[9]")), NotFound);
    assert_eq!(refused(|edit| edit.remove("none", "o")), NotFound);
    assert_eq!(refused(|edit| edit.remove("s1", "o")), NotFound);
    assert_eq!(refused(|edit| edit.remove_item("s1", "o", 0)), NotFound);
    assert_eq!(refused(|edit| edit.rename("s1", "o", "x")), NotFound);
    assert_eq!(refused(|edit| edit.rename_section("none", "x")), NotFound);
    assert_eq!(refused(|edit| edit.rename_section("s1", "s3")), Duplicate);
    assert_eq!(refused(|edit| edit.rename("s1", "foo", "arr")), Duplicate);
    assert_eq!(
        refused(|edit| edit.rename_section("s1", "cfg01a18a")),
        Invalid
    );
    assert_eq!(
        refused(|edit| edit.set_section("cfg09a18a", "demo")),
        Invalid
    );
    for name in ["", "a-b", "a.b", "\u{fc}"] {
        assert_eq!(refused(|edit| edit.set("s1", name, "v")), Invalid);
        assert_eq!(refused(|edit| edit.rename("s1", "foo", name)), Invalid);
        assert_eq!(refused(|edit| edit.rename_section("s1", name)), Invalid);
    }
    for value in ["\0", "a\x01", "\x1b["] {
        assert_eq!(refused(|edit| edit.set("s1", "foo", value)), Invalid);
        assert_eq!(refused(|edit| edit.append("s1", "foo", value)), Invalid);
        assert_eq!(
            refused(|edit| edit.set_list("s1", "foo", &["fine", value])),
            Invalid
        );
    }
    for kind in ["a b", "\u{fc}", "a\n"] {
        assert_eq!(refused(|edit| edit.set_section("s1", kind)), Invalid);
        assert_eq!(refused(|edit| edit.add_section(kind).map(|_| ())), Invalid);
    }
    assert_eq!(refused(|edit| edit.add_section("").map(|_| ())), Invalid);
}

/// A second section of a name cannot be named in a change.
#[test]
fn sections_that_cannot_be_told_apart() {
    let mut package =
        Package::parse("p", b"config t cfg02b619\nconfig t\n").expect("a configuration");
    let mut changes = Vec::new();
    let mut edit = Edit::new(&mut package, &mut changes);
    let error = edit.set("@t[1]", "o", "v").expect_err("two of a name");
    assert_eq!(error.kind(), Kind::Duplicate);
    edit.set("@t[0]", "o", "v").expect("the first");
    // Added sections get names that are free.
    assert_eq!(edit.add_section("t").expect("a name"), "cfg03b619");
}

#[test]
fn an_emptied_list_stays_until_the_next_load() {
    let mut package = Package::parse("p", START.as_bytes()).expect("a configuration");
    let mut changes = Vec::new();
    let mut edit = Edit::new(&mut package, &mut changes);
    edit.remove_item("s1", "arr", 0).expect("an item");
    edit.remove_item("s1", "arr", 0).expect("an item");
    assert_eq!(package.get("s1", "arr"), Some(&Value::List(Vec::new())));
    let read = Package::parse("p", &package.to_text()).expect("our own text");
    assert_eq!(read.get("s1", "arr"), None);
}
