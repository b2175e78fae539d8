//! Files of pending changes: every sign, what is ignored, and how a series is replayed.

use uci::{changes, replay, Command, Package};

const START: &str = "config demo s1\noption foo x\nlist arr a\nlist arr b\nlist arr a\nconfig demo\nconfig demo s3\n";

fn after(lines: &[u8]) -> (String, usize, usize) {
    let mut package = Package::parse("p", START.as_bytes()).expect("a configuration");
    let count = replay(&mut package, lines);
    (
        String::from_utf8(package.to_text()).expect("text"),
        count.made,
        count.ignored,
    )
}

fn applied(lines: &str) -> String {
    let (text, made, ignored) = after(lines.as_bytes());
    assert_eq!((made, ignored), (lines.lines().count(), 0), "{lines:?}");
    text
}

fn ignored(lines: &[u8]) {
    let (text, made, count) = after(lines);
    assert_eq!(
        (made, count),
        (0, 1),
        "{:?}",
        String::from_utf8_lossy(lines)
    );
    assert_eq!(text, applied(""));
}

#[test]
fn every_sign() {
    assert!(applied("+p.cfg04a18a='demo'").ends_with("'s3'\n\nconfig demo\n\n"));
    assert!(applied("p.s4='demo'").ends_with("'s3'\n\nconfig demo 's4'\n\n"));
    assert!(applied("p.s1='other'").starts_with("\nconfig other 's1'\n\toption foo 'x'\n"));
    assert!(applied("p.s1.foo='v'").contains("'s1'\n\toption foo 'v'\n\tlist arr"));
    assert!(applied("p.s1.new='it'\\''s'").contains("arr 'a'\n\toption new 'it'\\''s'\n"));
    assert!(applied("p.s1.arr='v'").contains("foo 'x'\n\toption arr 'v'\n"));
    assert!(!applied("-p.s1").contains("s1"));
    assert!(!applied("-p.s1.foo").contains("foo"));
    assert!(applied("-p.s1.arr='0'").contains("\tlist arr 'b'\n\tlist arr 'a'\n"));
    assert_eq!(applied("-p.s1.arr='9'"), applied(""));
    assert_eq!(applied("-p.s1.arr='x'"), applied(""));
    assert_eq!(applied("-p.s1.arr='1x'"), applied("-p.s1.arr='1'"));
    assert!(!applied("-p.s1.arr=''").contains("arr"));
    assert!(!applied("-p.s1.foo='7'").contains("foo"));
    assert!(applied("@p.s1='new'").contains("config demo 'new'\n\toption foo"));
    assert!(applied("@p.cfg02a18a='new'").contains("config demo 'new'\n\nconfig demo 's3'"));
    assert!(applied("@p.s1.foo='bar'").contains("'s1'\n\toption bar 'x'\n"));
    assert!(applied("^p.s1='1'").starts_with("\nconfig demo\n\nconfig demo 's1'\n"));
    assert!(applied("^p.s1='99'").contains("'s3'\n\nconfig demo 's1'\n"));
    assert!(applied("^p.s3='-1'").starts_with("\nconfig demo 's3'\n"));
    assert!(applied("^p.s3='x'").starts_with("\nconfig demo 's3'\n"));
    assert!(applied("|p.s1.arr='x'").contains("arr 'a'\n\tlist arr 'x'\n"));
    assert!(applied("|p.s1.foo='y'").contains("'s1'\n\tlist foo 'x'\n\tlist foo 'y'\n"));
    assert!(applied("|p.s3.l=''").contains("'s3'\n\tlist l ''\n"));
    assert!(applied("~p.s1.arr='a'").contains("foo 'x'\n\tlist arr 'b'\n\nconfig"));
    assert_eq!(applied("~p.s1.arr='z'"), applied(""));
    assert!(!applied("p.s1.foo=''").contains("foo"));
    let (text, made, _) = after(b"p.s1.foo='two\nlines'\n");
    assert!(made == 1 && text.contains("option foo 'two\nlines'"));
}

#[test]
fn what_is_ignored() {
    for line in [
        "q.s1.foo='v'",
        "pp.s1.foo='v'",
        "p='v'",
        "p.='demo'",
        "p.@demo[0].foo='v'",
        "p.s-1.foo='v'",
        "p.s1.f-o='v'",
        "p.s1.foo.x='v'",
        "p.s1.foo",
        "+p.cfg04a18a",
        "@p.s1",
        "@p.s1='a-b'",
        "@p.s1=''",
        "@p.s1='s3'",
        "@p.s1='cfg09a18a'",
        "@p.s1.foo='arr'",
        "^p.s1.foo='1'",
        "^p.s1",
        "|p.s1='x'",
        "~p.s1='x'",
        "p.s1.foo='a\x01b'",
        "p.s1.foo='v' ",
        "p.s1.foo='v'\r",
        "p.s1.foo='v';",
        "p.s1.foo='v' x",
        "p.none.foo='v'",
        "-p.none",
        "-p.s1.none",
        "@p.s1.none='x'",
        "~p.s1.none='x'",
        "p.s9='a b'",
        "p.cfg09a18a='demo'",
        "p.s1='a b'",
        "+p.s9=''",
        "p.s1.foo='torn",
        "p.s1.foo=\"torn",
        "x",
        "+",
    ] {
        ignored(line.as_bytes());
        if !line.contains("torn") {
            ignored([line.as_bytes(), b"\n"].concat().as_slice());
        }
    }
    ignored(b"p.s1.foo='\0'\n");
    let (_, made, ignored) = after(b"\n# a comment\n  \n#p.s1.foo='v'\n");
    assert_eq!((made, ignored), (0, 0));
}

/// Quoting follows the rules of configuration files.
#[test]
fn lines_are_arguments() {
    let read = |line: &str| changes("p", line.as_bytes());
    for line in [
        "p.s1.foo='v'\n",
        "p.s1.foo=v",
        "'p.s1.foo=v'\n",
        "p.s1.f\"oo=v\"\n",
        " p.s1.foo=\\v\n",
    ] {
        let [change] = &read(line)[..] else {
            panic!("{line:?}");
        };
        assert_eq!(
            (change.command(), change.section()),
            (Command::Set, "s1"),
            "{line:?}"
        );
        assert_eq!(
            (change.option(), change.value()),
            (Some("foo"), Some(&b"v"[..])),
            "{line:?}"
        );
    }
    let all = "+p.a='t'\np.a='t'\np.a.o='x=y'\n-p.a\n-p.a.o\n-p.a.o='0'\n@p.a='b'\n@p.a.o='q'\n^p.a='1'\n|p.a.l='it'\\''s\n2'\n~p.a.l=''\n";
    let mut written = Vec::new();
    for change in changes("p", all.as_bytes()) {
        change.write("p", &mut written);
    }
    assert_eq!(String::from_utf8(written).expect("text"), all);
}

/// A section added under a name that another has by now keeps to itself.
#[test]
fn a_series_sees_its_own_sections() {
    let (text, made, ignored) = after(
        b"+p.cfg02a18a='demo'\np.cfg02a18a.mine='1'\n+p.cfg02a18a='x'\np.cfg02a18a.mine='2'\n@p.cfg02a18a='y'\np.cfg02a18a.mine='3'\n-p.cfg02a18a\np.cfg02a18a.mine='4'\n",
    );
    assert_eq!((made, ignored), (8, 0));
    assert!(
        text.ends_with("\nconfig x 'y'\n\toption mine '2'\n\n"),
        "{text}"
    );
    assert!(
        text.contains("\nconfig demo\n\toption mine '4'\n"),
        "{text}"
    );
}

#[test]
fn truncated_files() {
    let file = b"+p.cfg04a18a='demo'\np.cfg04a18a.foo='it'\\''s'\n-p.s1.arr='0'\n|p.s1.arr='two\nlines'\n^p.s3='0'\n";
    for end in 0..file.len() {
        let (text, ..) = after(&file[..end]);
        assert!(Package::parse("p", text.as_bytes()).is_ok());
    }
}
