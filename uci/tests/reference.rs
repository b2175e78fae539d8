//! The tool beside OpenWrt's, command by command: what is written, deleted, recorded and printed, and the exit status.
//! What is different on purpose is listed in `docs/differences.md`.

use crate::support::{Router, Run};
use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc;
use std::time::Duration;

const T: &str = "config a 'lan'\n\toption x '1'\n\tlist l 'p'\n\tlist l 'q r'\n\tlist l 's'\n\nconfig b\n\toption y '2'\n\nconfig b\n\nconfig c 'wan'\n";
const LINES: &str =
    "t.lan=a\nt.lan.x='1'\nt.lan.l='p' 'q r' 's'\nt.@b[0]=b\nt.@b[0].y='2'\nt.@b[1]=b\nt.wan=c\n";

fn router() -> Router {
    Router::with("t", T)
}

/// A command that succeeds, prints nothing, and records these lines.
fn records(words: &[&str], lines: &str) {
    let router = router();
    router.uci(words).ok();
    assert_eq!(router.read("save/t"), lines, "{words:?}");
    assert_eq!(router.read("config/t"), T, "{words:?}");
}

/// A command that fails and leaves everything as it is.
fn refused(words: &[&str], message: &str) {
    let router = router();
    router.uci(words).fails(message);
    assert!(!router.path("save/t").exists(), "{words:?}");
    assert_eq!(router.read("config/t"), T, "{words:?}");
}

#[test]
fn a_commit_with_a_folder_of_its_own_writes_nothing() {
    let router = router();
    router.uci(&["set", "t.lan.x=2"]).ok();
    for words in [&["commit"][..], &["commit", "t"]] {
        // What the earlier folder holds is seen, and so is the new one.
        for folder in ["save", "state"] {
            let folder = router.path(folder);
            let folder = folder.to_str().expect("text");
            router.uci(&[&["-P", folder], words].concat()).ok();
            router
                .uci(&["-P", folder, "changes"])
                .stdout("t.lan.x='2'\n")
                .ok();
        }
    }
    let state = router.path("state");
    let state = state.to_str().expect("text");
    router
        .uci(&["-P", state, "batch"])
        .stdin("set t.lan.x=3\ncommit\nget t.lan.x\n")
        .stdout("3\n")
        .ok();
    assert_eq!(router.read("state/t"), "t.lan.x='3'\n");
    assert_eq!(router.read("save/t"), "t.lan.x='2'\n");
    assert_eq!(router.read("config/t"), T);
    router
        .uci(&["-P", state, "commit", "none"])
        .fails("Entry not found");
}

#[test]
fn delete_with_a_value() {
    for address in [
        "t.lan=foo",
        "t.lan.l=foo",
        "t.lan.x=foo",
        "t.lan.l= ",
        "t.lan.l=-",
    ] {
        refused(&["delete", address], "Invalid argument");
    }
    records(&["delete", "t.lan.l="], "-t.lan.l\n");
    records(&["delete", "t.lan.l=1"], "-t.lan.l='1'\n");
    records(&["delete", "t.lan.l=1x"], "-t.lan.l='1'\n");
    records(&["delete", "t.lan.l=+1"], "-t.lan.l='1'\n");
    records(&["delete", "t.lan=5"], "-t.lan\n");
    records(&["delete", "t.lan="], "-t.lan\n");
    records(&["delete", "t.lan.x=5"], "-t.lan.x\n");
    records(&["delete", "t.lan.x="], "-t.lan.x\n");
    for address in ["t.lan.l=3", "t.lan.l=-1"] {
        let router = router();
        router.uci(&["delete", address]).ok();
        router.uci(&["changes"]).ok();
        router.uci(&["get", "t.lan.l"]).stdout("p 'q r' s\n").ok();
    }
    // Lines that OpenWrt's tool has recorded.
    let router = router();
    router.write("save/t", "-t.lan.l='1x'\n");
    router.uci(&["get", "t.lan.l"]).stdout("p s\n").ok();
}

#[test]
fn a_merging_import_is_pending() {
    let router = router();
    let text = "package other\nconfig a lan\n\toption x 9\n\toption x 9\n\toption y ''\n\tlist l z\nconfig b\n\toption q 1\nconfig n new\n\toption l 1\n\tlist l 2\n";
    router.uci(&["-m", "import", "t"]).stdin(text).ok();
    assert_eq!(router.read("config/t"), T);
    assert_eq!(
        router.read("save/t"),
        "t.lan.x='9'\n|t.lan.l='z'\n+t.cfg05b607='b'\nt.cfg05b607.q='1'\nt.new='n'\nt.new.l='1'\n|t.new.l='2'\n"
    );
    router.uci(&["revert", "t"]).ok();
    // All or nothing.
    for (text, message) in [
        (
            "config a lan\noption x 9\nconfig b lan\n",
            "section of different type overwrites prior section with same name) at line 3, byte 13",
        ),
        (
            "config a lan\noption x 9\nwrong\n",
            "invalid command) at line 3, byte 0",
        ),
        (
            "option x 9\n",
            "option/list command found before the first section) at line 1, byte 0",
        ),
        (
            "config a lan\noption x \x01\n",
            "invalid character in value) at line 2, byte 11",
        ),
        (
            "config a cfg09b606\n",
            "invalid character in name field) at line 1, byte 19",
        ),
    ] {
        router
            .uci(&["-m", "import", "t"])
            .stdin(text)
            .fails(&format!("Parse error ({message}"));
        assert_eq!(router.read("save/t"), "", "{text:?}");
        assert_eq!(router.read("config/t"), T, "{text:?}");
    }
    // A lenient one does what is right in it.
    router
        .uci(&["-S", "-m", "import", "t"])
        .stdin("config z lan\noption x 9 8\nwrong\n")
        .stderr("Parse error (section of different type overwrites prior section with same name) at line 1, byte 13\nParse error (too many arguments) at line 2, byte 13\nParse error (invalid command) at line 3, byte 0\n")
        .ok();
    assert_eq!(router.read("save/t"), "t.lan='z'\nt.lan.x='9'\n");
    // There is nothing to merge with.
    router
        .uci(&["-m", "import", "new"])
        .stdin("config a x\n")
        .ok();
    assert_eq!(router.read("config/new"), "\nconfig a 'x'\n\n");
    // A file that cannot be read is not replaced.
    router.write("config/bad", "wrong\n");
    let file = router.path("config/bad");
    router
        .uci(&["-m", "import", "bad"])
        .stdin("config a x\n")
        .fails(&format!(
            "{}: Parse error (invalid command) at line 1, byte 0",
            file.display()
        ));
    assert_eq!(router.read("config/bad"), "wrong\n");
}

#[test]
fn imports_that_write_nothing() {
    let router = router();
    for text in [
        "package t\nconfig k x\npackage t\nconfig k y\n",
        "package u\nconfig k x\npackage t\npackage u\n",
    ] {
        for lenient in [&[][..], &["-S"]] {
            router
                .uci(&[lenient, &["import"]].concat())
                .stdin(text)
                .fails("Duplicate entry");
        }
    }
    let nameless =
        "Parse error (attempting to import a file without a package name) at line 1, byte 0";
    router
        .uci(&["import"])
        .stdin("config k x\n")
        .fails(nameless);
    router
        .uci(&["-S", "import"])
        .stdin("config k x\n")
        .stderr(&format!("{nameless}\n"))
        .ok();
    let output = router
        .uci(&["-m", "import"])
        .stdin("package t\nconfig k x\n")
        .output();
    assert_eq!(output.status.code(), Some(255));
    assert!(output.stderr.starts_with(b"Usage: uci "));
    router
        .uci(&["import", "a b"])
        .stdin("config k x\n")
        .fails("Invalid argument");
    // A name is no address.
    router.uci(&["import", "t.lan"]).stdin("config k x\n").ok();
    assert_eq!(router.read("config/t.lan"), "\nconfig k 'x'\n\n");
    assert_eq!(router.read("config/t"), T);
    assert!(router.litter("config", &["t", "t.lan"]).is_empty());
    assert!(!router.path("save").exists());
}

/// It waited for a lock of its own.
#[test]
fn an_import_to_a_path() {
    let router = router();
    let path = router.path("direct");
    let address = path.to_str().expect("text");
    for merge in [&[][..], &["-m"]] {
        let output = router
            .uci(&[merge, &["import", address]].concat())
            .stdin("config k x\n")
            .output();
        assert!(output.status.success());
        assert_eq!(router.read("direct"), "\nconfig k 'x'\n\n");
    }
}

#[test]
fn changes_are_printed() {
    let router = router();
    let lines = "t.lan.x='5'\n@t.wan='up'\n^t.lan='1'\n-t.lan.l='1'\n|t.lan.l='w w'\n~t.lan.l='p'\n+t.cfg05b619='t'\n-t.up\n@t.lan.x='z'\n";
    router.write("save/t", lines);
    router
        .uci(&["changes"])
        .stdout("t.lan.x='5'\nt.wan='up'\nt.lan='1'\n-t.lan.l\nt.lan.l+='w w'\nt.lan.l-='p'\nt.cfg05b619='t'\n-t.up\nt.lan.x='z'\n")
        .ok();
}

#[test]
fn what_is_recorded() {
    records(&["reorder", "t.lan=99"], "^t.lan='99'\n");
    records(&["reorder", "t.wan=-3"], "^t.wan='-3'\n");
    records(&["reorder", "t.lan=2x"], "^t.lan='2'\n");
    records(&["reorder", "t.wan=x"], "^t.wan='0'\n");
    records(&["del_list", "t.lan.l=none"], "~t.lan.l='none'\n");
    records(&["del_list", "t.lan.l="], "~t.lan.l=''\n");
    records(&["rename", "t.lan=lan"], "@t.lan='lan'\n");
    records(&["rename", "t.lan.x=x"], "@t.lan.x='x'\n");
    records(&["rename", "t.@b[1]=named"], "@t.cfg03b607='named'\n");
    records(&["ren", "t.lan=k"], "@t.lan='k'\n");
    records(&["add_list", "t.lan.x=2"], "|t.lan.x='2'\n");
    records(&["set", "t.@b[0]=name"], "t.cfg02b607='name'\n");
    // Nothing to do.
    for words in [
        &["reorder", "t.lan=0"][..],
        &["reorder", "t.lan=-9"],
        &["reorder", "t.wan=99"],
        &["del_list", "t.lan.x=1"],
        &["del_list", "t.lan.none=1"],
        &["set", "t.lan.x=1"],
        &["set", "t.lan=a"],
        &["set", "t.none="],
        &["set", "t.lan.none="],
    ] {
        let router = router();
        router.uci(words).ok();
        assert!(!router.path("save/t").exists(), "{words:?}");
    }
}

/// A section without a name stays one when it gets another type, and keeps its place and its options.
#[test]
fn the_type_of_a_section_without_a_name() {
    let router = router();
    router.uci(&["set", "t.@b[0]=name"]).ok();
    router.uci(&["get", "t.@name[0].y"]).stdout("2\n").ok();
    router.uci(&["commit"]).ok();
    assert_eq!(
        router.read("config/t"),
        "\nconfig a 'lan'\n\toption x '1'\n\tlist l 'p'\n\tlist l 'q r'\n\tlist l 's'\n\nconfig name\n\toption y '2'\n\nconfig b\n\nconfig c 'wan'\n\n"
    );
}

#[test]
fn items_of_lists_are_quoted() {
    let router = Router::with("t", "config a s\nlist l a\nlist l 'b\tc'\nlist l \"it's\"\nlist l \"it's two\"\nlist l ''\nlist l 'x\ny'\nlist l 'p\x0cq'\noption o \"it's two\"\n");
    router
        .uci(&["get", "t.s.l"])
        .stdout("a 'b\tc' it's 'it'\\''s two'  'x\ny' p\x0cq\n")
        .ok();
    router.uci(&["get", "t.s.o"]).stdout("it's two\n").ok();
    router
        .uci(&["-d", "", "show", "t.s.l"])
        .stdout("t.s.l='a''b\tc''it'\\''s''it'\\''s two''''x\ny''p\x0cq'\n")
        .ok();
}

#[test]
fn what_is_missing() {
    for words in [
        &["rename", "t.none.x=y"][..],
        &["rename", "t.lan.none=y"],
        &["rename", "t.none=y"],
        &["rename", "t.none"],
        &["reorder", "t.none=1"],
        &["reorder", "t.none.x=1"],
        &["reorder", "t.lan"],
        &["reorder", "t=1"],
        &["delete", "t.none"],
        &["delete", "t.none.x"],
        &["delete", "t.lan.none"],
        &["delete", "t.@b[9]"],
        &["get", "t.none"],
        &["show", "t.lan.none"],
        &["get", "none.la-n.x"],
        &["set", "none.lan.x=1"],
    ] {
        refused(words, "Entry not found");
    }
    for words in [
        &["set", "t.none.x=1"][..],
        &["set", "t.none.x="],
        &["set", "t.@b[9].x=1"],
        &["set", "t.@b[9]=x"],
        &["set", "t.lan"],
        &["set", "t=x"],
        &["add_list", "t.none.l=1"],
        &["del_list", "t.none.l=1"],
        &["add_list", "t.lan.l"],
        &["rename", "t.lan"],
        &["rename", "t=x"],
        &["delete", "t"],
        &["get", "t.lan=a"],
        &["revert", "t.lan=a"],
    ] {
        refused(words, "Invalid argument");
    }
    for address in ["t.lan.a.b", "t.lan.a-b", "t.lan.", ".lan", "=1", "t x.lan"] {
        refused(&["set", &format!("{address}=1")], "Parse error");
    }
    // What is not there can be reverted.
    for address in ["t.none", "t.@b[9]", "t.lan.none"] {
        router().uci(&["revert", address]).ok();
    }
}

#[test]
fn a_broken_file_among_others() {
    let router = router();
    router.write("config/bad", "config a lan\nwrong\n");
    router.write("save/t", "t.lan.x='5'\n");
    let file = router.path("config/bad");
    let message = format!(
        "{}: Parse error (invalid command) at line 2, byte 0",
        file.display()
    );
    let told = format!("uci: {message}\n");
    let lines = LINES.replace("x='1'", "x='5'");
    router.uci(&["show"]).stdout(&lines).stderr(&told).ok();
    router.uci(&["-q", "show"]).stdout(&lines).ok();
    router
        .uci(&["changes"])
        .stdout("t.lan.x='5'\n")
        .stderr(&told)
        .ok();
    let text = format!("package t\n\n{}\n", T.replace("x '1'", "x '5'"));
    router.uci(&["export"]).stdout(text).stderr(&told).ok();
    router.uci(&["commit"]).stderr(&told).ok();
    assert!(router.read("config/t").contains("option x '5'"));
    for command in ["show", "export", "changes", "commit"] {
        router.uci(&[command, "bad"]).fails(&message);
    }
    router.uci(&["add", "bad", "a"]).fails_with(5, &message);
    router
        .uci(&["add", "none", "a"])
        .fails_with(3, "Entry not found");
    router
        .uci(&["add", "t.lan", "a"])
        .fails_with(3, "Entry not found");
    router
        .uci(&["add", "t", "a b"])
        .fails_with(2, "Invalid argument");
    // What is passed over is told without the tool's name.
    router
        .uci(&["-S", "get", "bad.lan"])
        .stdout("a\n")
        .stderr(&format!("{message}\n"))
        .ok();
}

#[test]
fn a_package_is_something_to_get() {
    router().uci(&["get", "t"]).ok();
    router().uci(&["get", "none"]).fails("Entry not found");
}

#[test]
fn usage() {
    let told = |words: &[&str], status, first: &str| {
        let output = Run::bare(words).output();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words:?}");
        assert!(
            text.starts_with(&format!("{first}Usage: uci ")),
            "{words:?}: {text}"
        );
        assert!(output.stdout.is_empty());
    };
    told(&[], 0, "");
    told(&["-q"], 0, "");
    told(&["help"], 0, "");
    told(&["HELP", "me"], 0, "");
    told(&["-Z"], 0, "uci: invalid option -- 'Z'\n");
    told(&["show", "-Z"], 0, "uci: invalid option -- 'Z'\n");
    told(&["--help"], 0, "uci: invalid option -- '-'\n");
    told(&["-c"], 0, "uci: option requires an argument\n");
    for words in [
        &["nonsense"][..],
        &["quit"],
        &["exit"],
        &["sho"],
        &["show", "a", "b"],
        &["commit", "a", "b"],
    ] {
        told(words, 255, "");
    }
}

#[test]
fn words_in_capitals_and_options_behind_them() {
    let router = router();
    router.uci(&["SHOW", "t"]).stdout(LINES).ok();
    router.uci(&["Get", "t.wan"]).stdout("c\n").ok();
    router
        .uci(&["get", "-d", "|", "t.lan.l"])
        .stdout("p|'q r'|s\n")
        .ok();
    router.uci(&["get", "t.none", "-q"]).status(1).ok();
    router.uci(&["get", "--", "t.wan"]).stdout("c\n").ok();
    router
        .uci(&["show", "t.@b[1]", "-X"])
        .stdout("t.cfg03b607=b\n")
        .ok();
    router
        .uci(&["BATCH"])
        .stdin("GET t.wan\nExit\n")
        .stdout("c\n")
        .ok();
}

#[test]
fn files_to_read_from() {
    let router = router();
    router
        .uci(&["-f", "/nonexistent", "show"])
        .fails("I/O error: /nonexistent: No such file or directory (os error 2)");
    router
        .uci(&["-f", "/dev/null", "-f", "/dev/null", "show"])
        .stderr("Too many input files.\n")
        .status(1)
        .ok();
    router.write("commands", "get t.wan\nget t.lan.x\nget 'open\n");
    let file = router.path("commands");
    let file = file.to_str().expect("text");
    router
        .uci(&["-f", file, "batch"])
        .stdout("c\n1\n")
        .stderr(&format!(
            "uci: {file}: Parse error (EOF with unterminated ') at line 3, byte 10\n"
        ))
        .ok();
}

#[test]
fn a_batch_goes_on() {
    for (text, stdout, stderr) in [
        ("batch\nget t.wan\n", "c\n", "Unknown command\n"),
        ("quit\nget t.wan\n", "c\n", "Unknown command\n"),
        (
            "nonsense\nget\nget t.wan\n",
            "c\n",
            "Unknown command\nUnknown command\n",
        ),
        ("get a b\nget t.wan\n", "c\n", "Unknown command\n"),
        ("get -q t.wan\nget t.wan\n", "c\n", "Unknown command\n"),
        ("get a b c\nget t.wan\n", "c\n", "Too many arguments\n"),
        (
            "get ''\n'' get t.lan\nget t.wan\n",
            "c\n",
            "Unknown command\n",
        ),
        ("get t.wan\nexit now\nget t.wan\n", "c\n", ""),
        ("add none a\nget t.wan", "c\n", "uci: Entry not found\n"),
        (
            "get t.wan\nget 't.lan\nget t.wan\n",
            "c\n",
            "uci: Parse error (EOF with unterminated ') at line 3, byte 21\n",
        ),
        ("# c\n\n;\nget t.wan # c\nget \\\nt.wan#c\n", "c\nc\n", ""),
        (
            "set t.wan.o='two\nlines'; get t.wan.o\n",
            "two\nlines\n",
            "",
        ),
    ] {
        router()
            .uci(&["batch"])
            .stdin(text)
            .stdout(stdout)
            .stderr(stderr)
            .ok();
        router()
            .uci(&["-q", "batch"])
            .stdin(text)
            .stdout(stdout)
            .ok();
    }
    let output = router().uci(&["batch"]).stdin("help\nget t.wan\n").output();
    assert!(output.status.success() && output.stderr.starts_with(b"Usage: uci "));
    assert_eq!(output.stdout, b"c\n");
}

/// What follows an import is its text.
#[test]
fn a_batch_that_imports() {
    let router = router();
    router
        .uci(&["batch"])
        .stdin("set t.lan.x=2\nimport u\nconfig k 'x'\nget t.wan\n")
        .stderr("uci: Parse error (invalid command) at line 2, byte 0\n")
        .ok();
    router
        .uci(&["batch"])
        .stdin("get t.wan\nimport u\nconfig k 'x'\n")
        .stdout("c\n")
        .ok();
    assert_eq!(router.read("config/u"), "\nconfig k 'x'\n\n");
}

/// Names that are generated are counted anew after a commit, and others may change files between two lines.
#[test]
fn a_batch_sees_files_as_they_are() {
    let router = router();
    router
        .uci(&["batch"])
        .stdin("delete t.@b[0]\nset t.cfg03b607.z=1\ncommit\n-X show t\nget t.cfg03b607\nget t.cfg02b607.z\nadd t b\ncommit t\nget t.cfg04b607\nget t.cfg03b607\n")
        .stdout("1\ncfg04b607\nb\n")
        .stderr("Unknown command\nuci: Entry not found\nuci: Entry not found\n")
        .ok();
}

/// Waits for a line that the tool prints; a tool that waits for the end of its input prints none.
fn next(lines: &mpsc::Receiver<String>) -> String {
    lines
        .recv_timeout(Duration::from_secs(20))
        .expect("an answer before the end of the input")
}

#[test]
fn a_batch_answers_each_line_as_it_comes() {
    let router = router();
    let mut child = router.uci(&["batch"]).start();
    let mut input = child.stdin.take().expect("its input");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut say = |text: &str| input.write_all(text.as_bytes()).expect("a reader");
    say("get t.wan\n");
    assert_eq!(next(&lines), "c");
    // Half a line is none, and nor is one whose quotes are open.
    say("set t.wan.o='a");
    say("\nb'\nget t.wan.o\n");
    assert_eq!((next(&lines), next(&lines)), ("a".into(), "b".into()));
    assert_eq!(router.read("save/t"), "t.wan.o='a\nb'\n");
    // Others change the files meanwhile.
    router.uci(&["set", "t.wan.o=by another"]).ok();
    say("get t.wan.o\nset t.wan.p=1\n");
    assert_eq!(next(&lines), "by another");
    say("get t.wan.p\n");
    assert_eq!(next(&lines), "1");
    router.uci(&["revert", "t.wan.o"]).ok();
    router.uci(&["add", "t", "b"]).stdout("cfg05b607\n").ok();
    say("add t b\nget t.wan.o\nget t.wan.p\n");
    assert_eq!(
        (next(&lines), next(&lines)),
        ("cfg06b607".into(), "1".into())
    );
    router.uci(&["commit"]).ok();
    say("changes\nget t.wan.p\n");
    assert_eq!(next(&lines), "1");
    router.write("config/t", "config a lan\n");
    router.write("override/t", "config a wan\noption p over\n");
    say("get t.wan.p\n");
    assert_eq!(next(&lines), "over");
    std::fs::remove_file(router.path("override/t")).expect("removed");
    say("show t\nget t.wan\nexit\n");
    assert_eq!(next(&lines), "t.lan=a");
    assert!(child.wait().expect("its end").success());
    reader.join().expect("the reader");
}

/// Packages of one name in two places do not take each other's place.
#[test]
fn a_batch_with_paths() {
    let router = router();
    router.write("t", "config other o\n");
    let path = router.path("t");
    let path = path.to_str().expect("text");
    if path.contains('.') {
        // A dot ends the path in an address.
        return;
    }
    router
        .uci(&["batch"])
        .stdin(format!(
            "get t.wan\nget {path}.o\nset {path}.o.x=1\nget t.wan\nget {path}.o.x\nset t.wan.x=2\n"
        ))
        .stdout("c\nother\nc\n1\n")
        .ok();
    assert_eq!(router.read("t"), "\nconfig other 'o'\n\toption x '1'\n\n");
    assert_eq!(router.read("save/t"), "t.wan.x='2'\n");
}

/// Nothing that one of them says is lost, and sections do not become one.
#[test]
fn batches_at_the_same_time() {
    let router = router();
    let runs = ["one", "two", "three"].map(|who| {
        let lines = (0..100).map(|number| {
            format!("set t.lan.{who}{number}=v\nadd t k\nset t.@k[-1].o={who}{number}\n")
        });
        let run = router.uci(&["batch"]).stdin(lines.collect::<String>());
        std::thread::spawn(move || run.output())
    });
    for run in runs {
        let output = run.join().expect("its output");
        assert!(output.status.success() && output.stderr.is_empty());
    }
    router.uci(&["commit"]).ok();
    let text = router.read("config/t");
    assert_eq!(text.matches("\nconfig k\n").count(), 300);
    for who in ["one", "two", "three"] {
        for number in 0..100 {
            assert!(text.contains(&format!("\toption {who}{number} 'v'\n")));
        }
    }
}
