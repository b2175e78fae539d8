//! The grammar of configuration files: words, statements, errors and their places, and the canonical form.

use uci::{Package, ParseError, Reason, Value};

fn parse(text: &str) -> Package {
    Package::parse("p", text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn error(text: &str) -> (Reason, usize, usize) {
    match Package::parse("p", text.as_bytes()) {
        Ok(_) => panic!("{text:?} is no error"),
        Err(ParseError { reason, line, byte }) => (reason, line, byte),
    }
}

/// The value of option `o` of the first section.
fn value(text: &str) -> Option<String> {
    let package = parse(text);
    let section = package.sections().next().expect("a section");
    section
        .get("o")
        .map(|value| String::from_utf8_lossy(value.as_bytes().expect("one")).into())
}

#[test]
fn words_and_quotes() {
    for (written, read) in [
        ("option o v", "v"),
        (" \t\x0b\x0c\roption\to\t \x0b\x0c\r v \x0b\r", "v"),
        ("o o 'a'\"b\"c", "abc"),
        ("option o a\\ b", "a b"),
        ("option o \\'\\\"\\#\\;", "'\"#;"),
        ("option o a\\\nb", "ab"),
        ("option o a\\\r\nb", "ab"),
        ("option o a\\", "a"),
        ("option o 'a\\n\"#; b'", "a\\n\"#; b"),
        ("option o 'a\nb\r\nc'", "a\nb\r\nc"),
        ("option o \"a\\n\\\"'b\"", "an\"'b"),
        ("option o \"a\\\nb\\\r\nc\nd\"", "abc\nd"),
        ("option o a#b", "a"),
        ("option o a # b", "a"),
        ("option o 'a'#b", "a"),
        ("option o v\r", "v"),
        ("option 'o' v", "v"),
        ("option \"o\"\\\n v", "v"),
        ("option o \u{fc}\u{2713}", "\u{fc}\u{2713}"),
        ("option o \x01\x7f", "\x01\x7f"),
    ] {
        let text = format!("config t\n{written}\n");
        let last = written.ends_with('\\');
        let text = if last {
            text.trim_end().to_owned()
        } else {
            text
        };
        assert_eq!(value(&text).as_deref(), Some(read), "{written:?}");
    }
}

/// The line goes on, but the argument does not.
#[test]
fn a_joined_line_that_begins_with_a_blank() {
    assert_eq!(value("config t\noption o a\\\n\n").as_deref(), Some("a"));
    assert_eq!(value("config t\noption o\\\n v\n").as_deref(), Some("v"));
    assert_eq!(
        error("config t\noption o a\\\n b\n").0,
        Reason::SurplusArgument
    );
}

#[test]
fn separators() {
    let package =
        parse("config t n ; option a b; option c 'd';option e \"f\" ; list l ''; o g h#;");
    let section = package.section("n").expect("n");
    let names: Vec<&str> = section.entries().map(|entry| entry.name()).collect();
    assert_eq!(names, ["a", "c", "e", "l", "g"]);
    assert_eq!(section.get("l"), Some(&Value::List(vec![(*b"").into()])));
    assert_eq!(error("config t ; option a b\n").0, Reason::SurplusArgument);
    assert_eq!(error("config t; option a b\n").0, Reason::SurplusArgument);
    assert_eq!(
        error("config t n\noption a ; x\n").0,
        Reason::SurplusArgument
    );
    assert_eq!(error("config t n ;;\n").0, Reason::UnknownCommand);
}

#[test]
fn comments_and_empty_lines() {
    let package = parse("\n \t\r\n# a 'comment\n  #another\nconfig t # c\n#\n\n\noption o v");
    assert_eq!(package.get("@t[0]", "o").and_then(Value::as_str), Some("v"));
    assert!(parse("").is_empty() && parse("\n").is_empty() && parse("# x").is_empty());
}

#[test]
fn statements() {
    let package = parse(
        "package other-1\nconfig t s\noption a 1\noption b 2\nlist l x\nconfig u\nconfig t s\n\
         option a 3\noption b ''\noption b\nlist l ''\nlist l x\nlist b y\noption l z\nlist n\n",
    );
    assert_eq!(package.name(), "p");
    let names: Vec<&str> = package.sections().map(|section| section.name()).collect();
    assert_eq!(names, ["s", "cfg02b61a"]);
    let entries: Vec<(&str, String)> = package
        .section("s")
        .expect("s")
        .entries()
        .map(|entry| {
            (
                entry.name(),
                format!(
                    "{:?}",
                    entry
                        .value()
                        .items()
                        .map(String::from_utf8_lossy)
                        .collect::<Vec<_>>()
                ),
            )
        })
        .collect();
    let expected = [
        ("a", r#"["3"]"#),
        ("b", r#"["2", "y"]"#),
        ("l", r#"["z"]"#),
        ("n", r#"[""]"#),
    ];
    assert_eq!(
        entries,
        expected.map(|(name, items)| (name, items.to_owned()))
    );
    let is_list = |name| package.get("s", name).is_some_and(Value::is_list);
    assert!(is_list("b") && !is_list("l") && !is_list("a") && is_list("n"));
}

#[test]
fn places_of_errors() {
    use Reason::*;
    for (text, expected) in [
        ("foo bar\n", (UnknownCommand, 1, 0)),
        ("config\n", (UnknownCommand, 1, 0)),
        ("config", (ConfigWithoutName, 0, 0)),
        ("config t n x\n", (SurplusArgument, 1, 13)),
        ("config t n x#c\n", (SurplusArgument, 1, 12)),
        ("config #c\n", (MissingArgument, 1, 7)),
        ("config t n\noption a 'x\ny\n", (OpenSingleQuote, 3, 14)),
        ("config t n\noption a \"x\ny\n", (OpenDoubleQuote, 3, 14)),
        ("package", (PackageWithoutName, 0, 0)),
        ("p", (PackageWithoutName, 0, 0)),
        ("config t\noption", (OptionWithoutName, 1, 0)),
        ("config t\n list", (OptionWithoutName, 1, 1)),
        ("config t\nl", (OptionWithoutName, 1, 0)),
        ("foo", (UnknownCommand, 0, 0)),
        ("config t\n  foo\n", (UnknownCommand, 2, 2)),
        ("config\r\n", (UnknownCommand, 1, 0)),
        ("'config' t\n", (UnknownCommand, 1, 0)),
        ("\u{feff}config t\n", (UnknownCommand, 1, 0)),
        ("config ''\n", (MissingArgument, 1, 10)),
        ("package \n", (MissingArgument, 1, 9)),
        ("config t\noption ''\n", (MissingArgument, 2, 10)),
        ("package a.b\n", (BadName, 1, 12)),
        ("config t a-b\n", (BadName, 1, 13)),
        ("config t\noption a-b c\n", (BadName, 2, 11)),
        ("config 'a b'\n", (BadType, 1, 13)),
        ("config \u{fc}\n", (BadType, 1, 10)),
        ("option a b\n", (NoSection, 1, 0)),
        ("\t list a b\n", (NoSection, 1, 2)),
        ("option", (NoSection, 0, 0)),
        ("config t n\nconfig u n\n", (TypeConflict, 2, 11)),
        ("config t n\noption a \\\nb c\n", (SurplusArgument, 3, 14)),
        ("config t\noption a \\\r\nb c\n", (SurplusArgument, 3, 14)),
        (
            "config t\noption a \"b\\\nc\" d\noption a b c\n",
            (SurplusArgument, 3, 17),
        ),
        ("config t\noption a b\0c\n", (NulByte, 2, 10)),
        ("#\0\n", (NulByte, 1, 1)),
    ] {
        assert_eq!(error(text), expected, "{text:?}");
    }
    let mut texts = Vec::new();
    for reason in [
        UnknownCommand,
        PackageWithoutName,
        ConfigWithoutName,
        OptionWithoutName,
        MissingArgument,
        BadName,
        BadType,
        SurplusArgument,
        NoSection,
        TypeConflict,
        OpenSingleQuote,
        OpenDoubleQuote,
    ] {
        texts.push(reason.text());
    }
    assert_eq!(
        texts,
        [
            "invalid command",
            "package without name",
            "config without name",
            "option without name",
            "insufficient arguments",
            "invalid character in name field",
            "invalid character in type field",
            "too many arguments",
            "option/list command found before the first section",
            "section of different type overwrites prior section with same name",
            "EOF with unterminated '",
            "EOF with unterminated \"",
        ]
    );
}

/// Nothing of a text with an error is kept, unless it is read leniently.
#[test]
fn lenient_reading_keeps_what_is_right() {
    let text = b"config t a\noption x 1\nbad\noption y 2\nconfig t 'b-c'\noption z 3\nconfig t d\noption w 'open\n";
    let (package, errors) = Package::parse_leniently("p", text);
    assert_eq!(
        package.to_text(),
        b"\nconfig t 'a'\n\toption x '1'\n\toption y '2'\n\nconfig t 'd'\n\n"
    );
    let reasons: Vec<Reason> = errors.iter().map(|error| error.reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::UnknownCommand,
            Reason::BadName,
            Reason::NoSection,
            Reason::OpenSingleQuote
        ]
    );
}

/// An empty argument too many ends the statement, as `;` does.
#[test]
fn an_empty_argument_too_many() {
    let package = parse("config a lan ''\noption x 1 \"\"\nlist l 1 '' option y 2\n");
    let names: Vec<&str> = package
        .section("lan")
        .expect("lan")
        .entries()
        .map(|entry| entry.name())
        .collect();
    assert_eq!(names, ["x", "l", "y"]);
    assert_eq!(parse("package p ''\nconfig a '' ''\n").len(), 1);
    assert_eq!(
        error("config a lan '' ''\n"),
        (Reason::UnknownCommand, 1, 16)
    );
    assert_eq!(error("config a '' x\n"), (Reason::SurplusArgument, 1, 14));
}

/// What strict reading would take of a statement is kept, however it goes on.
#[test]
fn lenient_reading_loses_nothing_that_is_right() {
    for (text, kept, reasons) in [
        (
            "config a lan x\noption x 1 2\nlist l 1 2\n",
            "\nconfig a 'lan'\n\toption x '1'\n\tlist l '1'\n\n",
            &[Reason::SurplusArgument; 3][..],
        ),
        (
            "config a lan\noption x 1 2 option y 3\n",
            "\nconfig a 'lan'\n\toption x '1'\n\toption y '3'\n\n",
            &[Reason::SurplusArgument],
        ),
        (
            "config a lan\noption x 1\nconfig b lan\noption y 2\n",
            "\nconfig b 'lan'\n\toption x '1'\n\toption y '2'\n\n",
            &[Reason::TypeConflict],
        ),
        (
            "option x 'a\nconfig b'\nconfig a lan\n",
            "\nconfig a 'lan'\n\n",
            &[Reason::NoSection],
        ),
    ] {
        let (package, errors) = Package::parse_leniently("p", text.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&package.to_text()),
            kept,
            "{text:?}"
        );
        let found: Vec<Reason> = errors.iter().map(|error| error.reason).collect();
        assert_eq!(found, reasons, "{text:?}");
        assert_eq!(error(text).0, reasons[0]);
    }
}

#[test]
fn canonical_form() {
    let text = "\nconfig demo 's1'\n\toption foo 'it'\\''s'\n\tlist arr 'x'\n\tlist arr 'y'\n\nconfig demo\n\toption k 'two\nlines'\n\n";
    let package = parse(text);
    assert_eq!(package.to_text(), text.as_bytes());
    assert_eq!(package.export(), [b"package p\n", text.as_bytes()].concat());
    assert_eq!(parse("").to_text(), b"\n");
    assert_eq!(parse("").export(), b"package p\n\n");
}

/// Types that would be read as something else are quoted.
#[test]
fn odd_types_survive() {
    for kind in ["a#b", "a;b", "a'b", "a\"b", "a\\b", "'", "#"] {
        let mut quoted = Vec::new();
        uci::quote(kind.as_bytes(), &mut quoted);
        let text = [b"config ", &quoted[..], b" n\n\toption a 'b'\n"].concat();
        let package = Package::parse("p", &text).expect("an odd type");
        assert_eq!(package.section("n").expect("n").kind(), kind);
        let again = Package::parse("p", &package.to_text()).expect("our own text");
        assert!(again == package, "{kind}");
    }
    assert_eq!(
        parse("config wifi-iface\n").to_text(),
        b"\nconfig wifi-iface\n\n"
    );
}

#[test]
fn a_given_name_that_looks_generated() {
    // The second section is called like the first one is by chance.
    let package = parse("config t\noption a 1\nconfig u cfg01b619\noption a 2\n");
    assert_eq!(package.len(), 2);
    assert_eq!(
        package.get("cfg01b619", "a").and_then(Value::as_str),
        Some("1")
    );
    assert!(parse(&String::from_utf8(package.to_text()).expect("text")) == package);
}

#[test]
fn import_tells_packages_apart() {
    let text = b"package a\nconfig t x\npackage b\nconfig t x\noption o 1\n";
    let packages = uci::import(text).expect("two");
    let names: Vec<&str> = packages.iter().map(Package::name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(packages[0].get("x", "o"), None);
    assert_eq!(packages[1].get("x", "o").and_then(Value::as_str), Some("1"));
    let reason = |text: &[u8]| uci::import(text).err().map(|error| error.reason);
    assert_eq!(reason(b"config t\n"), Some(Reason::NoPackage));
    assert_eq!(reason(b"package a\noption o 1\n"), Some(Reason::NoSection));
    // Options do not go on in another package.
    assert_eq!(
        reason(b"package a\nconfig t\npackage b\noption o 1\n"),
        Some(Reason::NoSection)
    );
    assert_eq!(
        reason(b"package a\npackage b\npackage a\n"),
        Some(Reason::PackageTwice)
    );
    assert!(uci::import(b"\n").is_ok_and(|packages| packages.is_empty()));
    let (packages, errors) =
        uci::import_leniently(b"config t\npackage a\noption o 1\nconfig t\n").expect("one");
    assert_eq!((packages.len(), packages[0].len()), (1, 1));
    let reasons: Vec<Reason> = errors.iter().map(|error| error.reason).collect();
    assert_eq!(reasons, [Reason::NoPackage, Reason::NoSection]);
    assert!(uci::import_leniently(b"package a\npackage a\n").is_err());
}

/// Every truncation is read or refused, and what is read can be written.
#[test]
fn truncated_texts() {
    let text = b"package n\nconfig interface 'lan' # c\n\toption proto \"st\\atic\" ; option x y\\\nz\n\tlist dns '1\n2'\nc r\r\n";
    for end in 0..text.len() {
        if let Ok(package) = Package::parse("p", &text[..end]) {
            assert!(Package::parse("p", &package.to_text()).is_ok_and(|read| read == package));
        }
        for byte in [b'\'', b'"', b'\\', b'#', b';', b'\n', 0, 0xff] {
            let mut odd = text.to_vec();
            odd[end] = byte;
            let _ = Package::parse("p", &odd);
            let (package, _) = Package::parse_leniently("p", &odd);
            assert!(Package::parse("p", &package.to_text()).is_ok());
        }
    }
}
