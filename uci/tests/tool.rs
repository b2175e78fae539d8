//! The tool, as users' scripts call it: words, output, exit status.

use crate::support::{Router, Run};

const NETWORK: &str = "config interface 'lan'\n\toption proto 'static'\n\tlist dns '192.0.2.1'\n\tlist dns '192.0.2.2'\n\nconfig route\n\toption target 'it'\\''s'\n\nconfig route\n";

fn router() -> Router {
    Router::with("network", NETWORK)
}

#[test]
fn get() {
    let router = router();
    router
        .uci(&["get", "network.lan"])
        .stdout("interface\n")
        .ok();
    router
        .uci(&["get", "network.lan.proto"])
        .stdout("static\n")
        .ok();
    router
        .uci(&["get", "network.lan.dns"])
        .stdout("192.0.2.1 192.0.2.2\n")
        .ok();
    router
        .uci(&["-d", ",", "get", "network.lan.dns"])
        .stdout("192.0.2.1,192.0.2.2\n")
        .ok();
    router
        .uci(&["get", "network.@route[0].target"])
        .stdout("it's\n")
        .ok();
    router
        .uci(&["get", "network.@route[-1]"])
        .stdout("route\n")
        .ok();
    router
        .uci(&["get", "network.cfg026ae4.none"])
        .fails("Entry not found");
    for missing in [
        "network.wan",
        "network.lan.none",
        "network.@route[9]",
        "none.a.b",
        "network.wan.proto",
    ] {
        router.uci(&["get", missing]).fails("Entry not found");
        router.uci(&["-q", "get", missing]).status(1).ok();
    }
    router.uci(&["get", "network"]).ok();
    router
        .uci(&["get", "network.la-n.proto"])
        .fails("Invalid argument");
    router.uci(&["get", "network.lan.a.b"]).fails("Parse error");
    // Items with blanks are quoted.
    router.uci(&["add_list", "network.lan.dns=a b"]).ok();
    router
        .uci(&["get", "network.lan.dns"])
        .stdout("192.0.2.1 192.0.2.2 'a b'\n")
        .ok();
}

#[test]
fn show() {
    let router = router();
    let lan = "network.lan=interface\nnetwork.lan.proto='static'\nnetwork.lan.dns='192.0.2.1' '192.0.2.2'\n";
    let all = format!("{lan}network.@route[0]=route\nnetwork.@route[0].target='it'\\''s'\nnetwork.@route[1]=route\n");
    router.uci(&["show", "network"]).stdout(&all).ok();
    router.uci(&["show"]).stdout(&all).ok();
    router.uci(&["show", "network.lan"]).stdout(lan).ok();
    router
        .uci(&["show", "network.lan.proto"])
        .stdout("network.lan.proto='static'\n")
        .ok();
    router
        .uci(&["-d", ":", "show", "network.lan.dns"])
        .stdout("network.lan.dns='192.0.2.1':'192.0.2.2'\n")
        .ok();
    let name =
        String::from_utf8(router.uci(&["-X", "show", "network"]).output().stdout).expect("text");
    assert!(
        name.contains("\nnetwork.cfg02") && !name.contains('@'),
        "{name}"
    );
    let first = String::from_utf8(router.uci(&["show", "network.@route[0]"]).output().stdout)
        .expect("text");
    assert!(
        first.starts_with("network.cfg02") && first.ends_with(".target='it'\\''s'\n"),
        "{first}"
    );
    router
        .uci(&["show", "network.wan"])
        .fails("Entry not found");
    router.uci(&["show", "none"]).fails("Entry not found");
}

#[test]
fn changes_are_saved_listed_and_committed() {
    let router = router();
    router.uci(&["set", "network.lan.proto=dhcp"]).ok();
    router.uci(&["set", "network.wan=interface"]).ok();
    router.uci(&["add_list", "network.lan.dns=192.0.2.3"]).ok();
    router.uci(&["del_list", "network.lan.dns=192.0.2.1"]).ok();
    router.uci(&["delete", "network.@route[0].target"]).ok();
    router.uci(&["delete", "network.lan.dns=0"]).ok();
    router.uci(&["rename", "network.wan=up"]).ok();
    router.uci(&["rename", "network.lan.proto=kind"]).ok();
    router.uci(&["reorder", "network.up=0"]).ok();
    router
        .uci(&["add", "network", "demo"])
        .stdout("cfg05a18a\n")
        .ok();
    router.uci(&["set", "network.@demo[-1].text=it's"]).ok();
    let route = String::from_utf8(
        router
            .uci(&["-X", "show", "network.@route[0]"])
            .output()
            .stdout,
    )
    .expect("text");
    let route = route.split(['.', '=']).nth(1).expect("a name");
    let changes = format!(
        "network.lan.proto='dhcp'\nnetwork.wan='interface'\nnetwork.lan.dns+='192.0.2.3'\nnetwork.lan.dns-='192.0.2.1'\n-network.{route}.target\n-network.lan.dns\nnetwork.wan='up'\nnetwork.lan.proto='kind'\nnetwork.up='0'\nnetwork.cfg05a18a='demo'\nnetwork.cfg05a18a.text='it'\\''s'\n"
    );
    router.uci(&["changes"]).stdout(&changes).ok();
    router.uci(&["changes", "network"]).stdout(&changes).ok();
    assert_eq!(router.read("config/network"), NETWORK);
    router.uci(&["commit"]).ok();
    router.uci(&["changes"]).ok();
    let text = "\nconfig interface 'up'\n\nconfig interface 'lan'\n\toption kind 'dhcp'\n\tlist dns '192.0.2.3'\n\nconfig route\n\nconfig route\n\nconfig demo\n\toption text 'it'\\''s'\n\n";
    assert_eq!(router.read("config/network"), text);
    router
        .uci(&["export", "network"])
        .stdout(format!("package network\n{text}"))
        .ok();
    router
        .uci(&["-N", "export"])
        .stdout(format!("package network\n{text}"))
        .ok();
    let named = String::from_utf8(router.uci(&["-n", "export"]).output().stdout).expect("text");
    assert!(named.contains("\nconfig demo 'cfg05a18a'\n"), "{named}");
}

#[test]
fn revert() {
    let router = router();
    router.uci(&["set", "network.lan.a=1"]).ok();
    router.uci(&["set", "network.lan.b=2"]).ok();
    router
        .uci(&["add", "network", "demo"])
        .stdout("cfg04a18a\n")
        .ok();
    router.uci(&["revert", "network.lan.a"]).ok();
    router
        .uci(&["changes"])
        .stdout("network.lan.b='2'\nnetwork.cfg04a18a='demo'\n")
        .ok();
    router.uci(&["revert", "network.lan"]).ok();
    router.uci(&["revert", "network"]).ok();
    router.uci(&["changes"]).ok();
    router.uci(&["revert", "none"]).fails("Entry not found");
}

#[test]
fn what_is_refused() {
    let router = router();
    for (words, message) in [
        (&["set", "network.wan.proto=dhcp"][..], "Invalid argument"),
        (&["set", "network.lan"], "Invalid argument"),
        (&["set", "network=x"], "Invalid argument"),
        (&["set", "network.lan.a=\x01"], "Parse error"),
        (&["set", "network.w-n=interface"], "Invalid argument"),
        (&["set", "network.@route[7]=x"], "Invalid argument"),
        (&["set", "network.lan=a b"], "Invalid argument"),
        (&["delete", "network.wan"], "Entry not found"),
        (&["delete", "network.lan.none"], "Entry not found"),
        (&["delete", "network"], "Invalid argument"),
        (&["rename", "network.lan=a-b"], "Invalid argument"),
        (&["rename", "network.lan.none=a"], "Entry not found"),
        (&["rename", "network.lan.proto=dns"], "Duplicate entry"),
        (&["reorder", "network.lan.proto=1"], "Invalid argument"),
        (&["reorder", "network.wan=1"], "Entry not found"),
        (&["add_list", "network.lan=1"], "Invalid argument"),
        (&["commit", "none"], "Entry not found"),
        (&["export", "none"], "Entry not found"),
        (&["show", "../config/network"], "Parse error"),
    ] {
        router.uci(words).fails(message);
        router.uci(&[&["-q"], words].concat()).status(1).ok();
    }
    assert!(!router.path("save").exists());
    router.uci(&["set"]).word(b"network.lan.a=\xff\xfe").ok();
    router
        .uci(&["get", "network.lan.a"])
        .stdout(b"\xff\xfe\n")
        .ok();
    router
        .uci(&["set"])
        .word(b"network.l\xff=interface")
        .fails("Invalid argument");
}

#[test]
fn a_file_with_an_error() {
    let router = Router::with("bad", "config t s\nwrong\n\toption o 'v'\n");
    router.write("config/good", "config t\n");
    let file = router.path("config/bad");
    let message = format!(
        "{}: Parse error (invalid command) at line 2, byte 0",
        file.display()
    );
    let message = &message;
    router.uci(&["get", "bad.s.o"]).fails(message);
    router
        .uci(&["export"])
        .stdout("package good\n\nconfig t\n\n")
        .stderr(&format!("uci: {message}\n"))
        .ok();
    router
        .uci(&["-S", "get", "bad.s.o"])
        .stdout("v\n")
        .stderr(&format!("{message}\n"))
        .ok();
    router
        .uci(&["-S", "-q", "get", "bad.s.o"])
        .stdout("v\n")
        .ok();
    router.uci(&["-S", "-s", "get", "bad.s.o"]).fails(message);
}

#[test]
fn import() {
    let router = router();
    router
        .uci(&["import"])
        .stdin("package a\nconfig t x\npackage network\nconfig u y\n")
        .ok();
    assert_eq!(router.read("config/a"), "\nconfig t 'x'\n\n");
    assert_eq!(router.read("config/network"), "\nconfig u 'y'\n\n");
    router
        .uci(&["-m", "import", "a"])
        .stdin("package other\nconfig t x\nlist l 1\nconfig t\n")
        .ok();
    assert_eq!(router.read("config/a"), "\nconfig t 'x'\n\n");
    router.uci(&["commit", "a"]).ok();
    assert_eq!(
        router.read("config/a"),
        "\nconfig t 'x'\n\tlist l '1'\n\nconfig t\n\n"
    );
    router
        .uci(&["-m", "import", "a"])
        .stdin("config u x\n")
        .fails("Parse error (section of different type overwrites prior section with same name) at line 1, byte 11");
    router.uci(&["import"]).stdin("config t\n").fails(
        "Parse error (attempting to import a file without a package name) at line 1, byte 0",
    );
    router.write("text", "config t z\n");
    let file = router.path("text");
    router
        .uci(&["-f", file.to_str().expect("text"), "import", "a"])
        .ok();
    assert_eq!(router.read("config/a"), "\nconfig t 'z'\n\n");
    let exported = router.uci(&["export"]).output().stdout;
    router.uci(&["import"]).stdin(&exported).ok();
    router.uci(&["export"]).stdout(exported).ok();
}

#[test]
fn batch() {
    let router = router();
    let text = "# a comment\nset network.lan.proto='st a'\\''tic'; get network.lan.proto\ndelete network.none\nadd network demo\nset network.@demo[-1].a=\"1\n2\"\ncommit network\nexit\nset network.lan.proto=never\n";
    router
        .uci(&["batch"])
        .stdin(text)
        .stdout("st a'tic\ncfg04a18a\n")
        .stderr("uci: Entry not found\n")
        .ok();
    assert!(router
        .read("config/network")
        .contains("\toption proto 'st a'\\''tic'\n"));
    assert!(router
        .read("config/network")
        .ends_with("\nconfig demo\n\toption a '1\n2'\n\n"));
    router
        .uci(&["batch"])
        .stdin("set network.lan.a=1\nset network.lan.b='open\n")
        .stderr("uci: Parse error (EOF with unterminated ') at line 2, byte 24\n")
        .ok();
    router.uci(&["get", "network.lan.a"]).stdout("1\n").ok();
}

#[test]
fn changes_that_do_not_apply_any_more() {
    let router = router();
    router.write("save/network", "network.lan.a='1'\nnetwork.gone.a='2'\n");
    router
        .uci(&["commit", "network"])
        .stderr("uci: 1 pending changes of network did not apply and are gone\n")
        .ok();
    assert!(router.read("config/network").contains("option a '1'"));
}

#[test]
fn folders_of_changes() {
    let router = router();
    let state = router.path("state");
    let state = state.to_str().expect("text");
    router.uci(&["-P", state, "set", "network.lan.up=1"]).ok();
    assert_eq!(router.read("state/network"), "network.lan.up='1'\n");
    router
        .uci(&["get", "network.lan.up"])
        .fails("Entry not found");
    router
        .uci(&["-p", state, "get", "network.lan.up"])
        .stdout("1\n")
        .ok();
    router.uci(&["-P", state, "revert", "network.lan"]).ok();
    router
        .uci(&["-P", state, "get", "network.lan.up"])
        .fails("Entry not found");
}

/// `uci export | head -1` says nothing but that line.
#[test]
fn output_that_nobody_reads() {
    let router = Router::with("large", "config t\n".repeat(20_000));
    let output = router.uci(&["export"]).unread();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
}

#[test]
fn usage() {
    for words in [
        &["nonsense"][..],
        &["get"],
        &["get", "a", "b"],
        &["set"],
        &["add", "a"],
    ] {
        let output = Run::bare(words).output();
        assert_eq!(output.status.code(), Some(255), "{words:?}");
        assert!(output.stderr.starts_with(b"Usage: uci "), "{words:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn direct_paths() {
    let router = router();
    let path = router.path("config/network");
    let address = format!("{}.lan.proto", path.to_str().expect("text"));
    if address[..address.len() - 10].contains('.') {
        // A dot ends the path in an address.
        return;
    }
    router.uci(&["get", &address]).stdout("static\n").ok();
    router.uci(&["set", &format!("{address}=dhcp")]).ok();
    assert!(router
        .read("config/network")
        .contains("option proto 'dhcp'"));
}
