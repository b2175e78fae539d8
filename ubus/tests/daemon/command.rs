//! The command `ubus`: exactly what it prints, and how it ends.

use super::bus::{program, repeat, Bus, Folder, Owner, SOON};
use nix::pty::openpty;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use ubus::blobmsg::{Builder, Table, Type};
use ubus::client::{Client, Object};
use ubus::Status;

fn ubus<A: AsRef<OsStr>>(socket: &Path, arguments: &[A]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_ubus"));
    command.arg("-s").arg(socket).args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a command prints and how it ends: standard output, standard error, exit status.
#[track_caller]
fn says(bus: &Bus, arguments: &[&str], stdout: &str, stderr: &str, code: i32) {
    let output = ubus(&bus.path(), arguments).output().unwrap();
    let found = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code(),
    );
    assert_eq!(
        found,
        (stdout.to_string(), stderr.to_string(), Some(code)),
        "{arguments:?}"
    );
}

/// A command that goes on until the test ends.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn new(bus: &Bus, arguments: &[&str]) -> Running {
        let mut child = ubus(&bus.path(), arguments)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the command has ended");
        line
    }
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Its exit status, and what it printed that was not read.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut printed = String::new();
        self.lines.read_to_string(&mut printed).unwrap();
        (self.child.wait().unwrap().code(), printed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An owner of two objects.
fn owner(bus: &Bus) -> Owner {
    Owner::new(bus, |client| {
        let source = client.add_object(Object::new("source"), SOON).unwrap();
        let demo = Object::new("demo")
            .method(
                "echo",
                &[("text", Type::String), ("n", Type::Int32)],
                |client, call| {
                    client.reply(call, call.data.as_table()).unwrap();
                    Status::OK
                },
            )
            .method(
                "types",
                &[
                    ("a", Type::Array),
                    ("t", Type::Table),
                    ("b", Type::Int8),
                    ("d", Type::Double),
                    ("l", Type::Int64),
                    ("u", Type::Unspec),
                ],
                |_, _| Status::OK,
            )
            .method("twice", &[], |client, call| {
                for number in 1..=2 {
                    let mut builder = Builder::new();
                    builder.int("part", number);
                    client
                        .reply(call, builder.finish().unwrap().as_table())
                        .unwrap();
                }
                Status::OK
            })
            .method("fail", &[("status", Type::Int32)], |_, call| {
                let status = call.data.get("status").and_then(|value| value.as_int());
                Status(status.unwrap_or(9) as i32)
            })
            .method("half", &[], |client, call| {
                client.reply(call, Table::default()).unwrap();
                Status::NO_DATA
            })
            .method("odd", &[], |client, call| {
                let mut builder = Builder::new();
                builder.open_table("t").close().open_array("a").close();
                builder
                    .double("nan", f64::NAN)
                    .double("inf", -f64::INFINITY);
                builder
                    .string("", "\u{8}/\u{c}")
                    .int16("i", -1)
                    .int8("b", 2);
                let data = builder.finish().unwrap();
                client.reply(call, data.as_table()).unwrap();
                Status::OK
            })
            .method("silent", &[], |_, call| {
                call.defer();
                Status::OK
            })
            .method("notify", &[], move |client, call| {
                client.notify(source, "tick", call.data.as_table()).unwrap();
                Status::OK
            });
        client.add_object(demo, SOON).unwrap();
    })
}

#[test]
fn list_prints_paths() {
    let bus = Bus::new();
    says(&bus, &["list"], "", "", 0);
    let _owner = owner(&bus);
    says(&bus, &["list"], "demo\nsource\n", "", 0);
    says(&bus, &["list", "demo"], "demo\n", "", 0);
    says(&bus, &["list", "s*"], "source\n", "", 0);
    says(&bus, &["-S", "-v", "list"], "demo\nsource\n", "", 0);
    says(
        &bus,
        &["list", "nobody"],
        "",
        "Command failed: Not found\n",
        4,
    );
    says(&bus, &["-S", "list", "nobody"], "", "", 4);
    says(
        &bus,
        &["list", ""],
        "",
        "Command failed: Invalid argument\n",
        2,
    );
}

#[test]
fn list_prints_methods_when_asked() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let objects = bus.client().lookup(None, SOON).unwrap();
    let expected = format!(
        "'demo' @{:08x}\n\t\"echo\":{{\"text\":\"String\",\"n\":\"Integer\"}}\n\
         \t\"types\":{{\"a\":\"Array\",\"t\":\"Table\",\"b\":\"Boolean\",\"d\":\"(unknown)\",\"l\":\"(unknown)\",\"u\":\"(unknown)\"}}\n\
         \t\"twice\":{{}}\n\t\"fail\":{{\"status\":\"Integer\"}}\n\t\"half\":{{}}\n\t\"odd\":{{}}\n\t\"silent\":{{}}\n\t\"notify\":{{}}\n'source' @{:08x}\n",
        objects[0].id, objects[1].id
    );
    says(&bus, &["-v", "list"], &expected, "", 0);
    says(&bus, &["list", "-v"], &expected, "", 0);
}

#[test]
fn call_prints_every_part_of_the_result() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let message = r#"{ "text": "hi", "list": [ 1, true, null, 0.5 ], "t": { "a": 4294967296 } }"#;
    let expected = "{\n\t\"text\": \"hi\",\n\t\"list\": [\n\t\t1,\n\t\ttrue,\n\t\tnull,\n\t\t0.500000\n\t],\n\t\"t\": {\n\t\t\"a\": 4294967296\n\t}\n}\n";
    says(&bus, &["call", "demo", "echo", message], expected, "", 0);
    let expected = "{\"text\":\"hi\",\"list\":[1,true,null,0.500000],\"t\":{\"a\":4294967296}}\n";
    says(
        &bus,
        &["-S", "call", "demo", "echo", message],
        expected,
        "",
        0,
    );
    says(
        &bus,
        &["call", "demo", "twice"],
        "{\n\t\"part\": 1\n}\n{\n\t\"part\": 2\n}\n",
        "",
        0,
    );
    says(&bus, &["call", "demo", "types"], "", "", 0);
}

#[test]
fn results_are_printed_as_they_always_were() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    says(
        &bus,
        &["call", "demo", "odd"],
        "{\n\t\"t\": {\n\t\t\n\t},\n\t\"a\": [\n\t\t\n\t],\n\t\"nan\": nan,\n\t\"inf\": -inf,\n\t\"\\b/\\u000c\",\n\t\"i\": -1,\n\t\"b\": true\n}\n",
        "",
        0,
    );
    says(
        &bus,
        &["-S", "call", "demo", "odd"],
        "{\"t\":{},\"a\":[],\"nan\":nan,\"inf\":-inf,\"\\b/\\u000c\",\"i\":-1,\"b\":true}\n",
        "",
        0,
    );
    says(&bus, &["call", "demo", "echo"], "{\n\t\n}\n", "", 0);
}

#[test]
fn what_came_before_a_failure_is_printed() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    says(
        &bus,
        &["call", "demo", "half"],
        "{\n\t\n}\n",
        "Command failed: ubus call demo half (No response)\n",
        251,
    );
}

#[test]
fn a_call_that_fails_is_named_with_its_status() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    for (number, text) in [
        (1, "Invalid command"),
        (2, "Invalid argument"),
        (5, "No response"),
        (13, "System error"),
        (77, "Unknown error: 77"),
        (-1, "Unknown error: -1"),
        (256, "Unknown error: 256"),
    ] {
        let message = format!("{{\"status\":{number}}}");
        let arguments = ["call", "demo", "fail", &message];
        let stderr = format!("Command failed: ubus call demo fail {message} ({text})\n");
        // 0 would say that all is well.
        let code = |status: i32| (status & 0xff).max(1);
        says(&bus, &arguments, "", &stderr, code(-number));
        let silent = [&["-S"], &arguments[..]].concat();
        says(&bus, &silent, "", "", code(number));
    }
    for (arguments, stdout, stderr, code) in [
        (
            &["call", "nobody", "x"][..],
            "",
            "Command failed: Not found\n",
            4,
        ),
        (&["-S", "call", "nobody", "x"], "", "", 4),
        (
            &["call", "", "x"],
            "",
            "Command failed: Invalid argument\n",
            2,
        ),
        (
            &["call", "demo", "nosuch"],
            "",
            "Command failed: ubus call demo nosuch (Method not found)\n",
            253,
        ),
        (
            &["call", "demo", "echo", "{'n':'x'}"],
            "",
            "Command failed: ubus call demo echo {'n':'x'} (Invalid argument)\n",
            254,
        ),
        (
            &["-t", "0.05", "call", "demo", "silent"],
            "",
            "Command failed: ubus call demo silent (Request timed out)\n",
            249,
        ),
        (
            &["-t", "-1", "call", "demo", "silent"],
            "",
            "Command failed: ubus call demo silent (Request timed out)\n",
            249,
        ),
    ] {
        says(&bus, arguments, stdout, stderr, code);
    }
}

/// What a command says on a terminal, and how it ends.
fn says_on_terminal(bus: &Bus, arguments: &[&str]) -> (String, Option<i32>) {
    let terminal = openpty(None, None).unwrap();
    let mut command = ubus(&bus.path(), arguments);
    command.stderr(terminal.slave);
    let status = command.status().unwrap();
    drop(command);
    let mut said = Vec::new();
    // Its end is an error.
    let _ = std::fs::File::from(terminal.master).read_to_end(&mut said);
    (String::from_utf8(said).unwrap(), status.code())
}

#[test]
fn on_a_terminal_a_failure_is_short() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    for (arguments, text, code) in [
        (&["call", "demo", "nosuch"][..], "Method not found", 3),
        (
            &["call", "demo", "echo", "{"],
            "Parsing message data failed",
            12,
        ),
        (&["call", "nobody", "x"], "Not found", 4),
    ] {
        let said = format!("Command failed: {text}\r\n");
        assert_eq!(says_on_terminal(&bus, arguments), (said, Some(code)));
    }
}

#[test]
fn messages_may_be_what_scripts_write() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let deep = |depth| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    for (message, result) in [
        ("{'text':'it'}", r#"{"text":"it"}"#),
        ("{\"text\":\"one\n\ttwo\"}", r#"{"text":"one\n\ttwo"}"#),
        ("{\"l\":[1,2,],}", r#"{"l":[1,2]}"#),
        ("/* a */{\"a\":1, // b\n \"b\":2}", r#"{"a":1,"b":2}"#),
        (
            "{\"a\":True,\"b\":FALSE,\"c\":Null,\"d\":NaN,\"e\":-Infinity}",
            r#"{"a":true,"b":false,"c":null,"d":nan,"e":-inf}"#,
        ),
        ("{\"a\":1} trailing", r#"{"a":1}"#),
        ("{\"a\":\"\\ud800\"}", "{\"a\":\"\u{fffd}\"}"),
        ("{\"a\":1,\"b\":2,\"a\":3}", r#"{"a":3,"b":2}"#),
        (
            "{\"a\":99999999999999999999,\"b\":-99999999999999999999}",
            r#"{"a":9223372036854775807,"b":-9223372036854775808}"#,
        ),
        (&deep(31), &deep(31)),
    ] {
        let stdout = format!("{result}\n");
        says(
            &bus,
            &["-S", "call", "demo", "echo", message],
            &stdout,
            "",
            0,
        );
    }
    // Nor need text be UTF-8.
    let message = OsStr::from_bytes(b"{\"text\":\"\xff\"}");
    let arguments = ["-S", "call", "demo", "echo"].map(OsStr::new);
    let mut command = ubus(&bus.path(), &[&arguments[..], &[message]].concat());
    assert_eq!(command.output().unwrap().stdout, b"{\"text\":\"\xff\"}\n");
    says(&bus, &["send", "event", "{'a':1,}"], "", "", 0);

    for message in ["", "x", "[]", "{", "1", "null", "{a:1}", &deep(32)] {
        let call = ["call", "demo", "echo", message];
        let text = "Parsing message data failed";
        let stderr = format!("Command failed: ubus call demo echo {message} ({text})\n");
        says(&bus, &call, "", &stderr, 244);
        says(&bus, &[&["-S"], &call[..]].concat(), "", "", 12);
        let send = ["send", "event", message];
        says(&bus, &send, "", &format!("Command failed: {text}\n"), 12);
        says(&bus, &[&["-S"], &send[..]].concat(), "", "", 12);
    }
}

#[test]
fn a_path_of_several_objects_means_the_last() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let stdout = "{\"text\":\"hi\"}\n";
    says(
        &bus,
        &["-S", "call", "d*", "echo", "{\"text\":\"hi\"}"],
        stdout,
        "",
        0,
    );
    let stderr = "Command failed: ubus call * echo (Method not found)\n";
    says(&bus, &["call", "*", "echo"], "", stderr, 253);
    let mut running = Running::new(&bus, &["subscribe", "*"]);
    let notify = |client: &mut Client| {
        client
            .call("demo", "notify", Table::default(), SOON)
            .unwrap();
    };
    assert_eq!(
        repeat(&bus, notify, || running.line()),
        "{ \"tick\": {} }\n"
    );
}

#[test]
fn without_a_daemon_nothing_can_be_done() {
    let folder = Folder::new();
    for command in [&["list"][..], &["monitor"], &["unknown"], &["call"]] {
        let output = ubus(&folder.socket(), command).output().unwrap();
        assert_eq!(output.status.code(), Some(255));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "Failed to connect to ubus\n"
        );
        let output = ubus(&folder.socket(), &[&["-S"], command].concat())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(255));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn options_and_words_that_make_no_sense_are_refused() {
    let bus = Bus::new();
    for (code, arguments) in [
        (1, &[][..]),
        (1, &["-M", "x", "monitor"]),
        (1, &["-m", "x", "monitor"]),
        (1, &["-m", "monitor", "monitor"]),
        (1, &["-x", "list"]),
        (1, &["-t"]),
        (254, &["unknown"]),
        (254, &["-S", "unknown"]),
        (254, &["call"]),
        (254, &["call", "demo"]),
        (254, &["call", "demo", "echo", "{}", "more"]),
        (254, &["list", "a", "b"]),
        (254, &["send"]),
        (254, &["send", "a", "{}", "b"]),
        (254, &["wait_for"]),
    ] {
        let output = ubus(&bus.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("Usage: ubus"), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    let text = "You need to specify an object to subscribe to\n";
    says(&bus, &["subscribe"], "", text, 255);
    says(&bus, &["-S", "subscribe"], "", "", 255);
    let output = ubus(&bus.path(), &["-h"]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"Usage: ubus"));
    // A time is what a text begins with.
    for time in ["", "soon", "5x", " 5", "+5", "1.5.5"] {
        says(&bus, &["-t", time, "list"], "", "", 0);
    }
}

#[test]
fn listen_prints_events() {
    let bus = Bus::new();
    let mut all = Running::new(&bus, &["listen"]);
    let mut some = Running::new(&bus, &["listen", "a.*", "b"]);
    // Each hears once it has printed something.
    for (running, probe) in [(&mut all, "probe"), (&mut some, "b")] {
        let send = |client: &mut Client| client.send_event(probe, Table::default(), SOON).unwrap();
        let line = repeat(&bus, send, || running.line());
        assert_eq!(line, format!("{{ \"{probe}\": {{}} }}\n"));
    }
    says(
        &bus,
        &["send", "a.b", r#"{"x": [1, {"y": "z"}]}"#],
        "",
        "",
        0,
    );
    says(&bus, &["send", "a.\"q\""], "", "", 0);
    bus.client()
        .send_event("other", Table::default(), SOON)
        .unwrap();
    for running in [&mut some, &mut all] {
        let mut line = || loop {
            let line = running.line();
            let is_probe = ["probe", "b"]
                .iter()
                .any(|name| line.starts_with(&format!("{{ \"{name}\":")));
            if !is_probe {
                return line;
            }
        };
        assert_eq!(line(), "{ \"a.b\": {\"x\":[1,{\"y\":\"z\"}]} }\n");
        assert_eq!(line(), "{ \"a.\\\"q\\\"\": {} }\n");
    }
    assert_eq!(all.line(), "{ \"other\": {} }\n");
    says(
        &bus,
        &["send", "ubus.x"],
        "",
        "Command failed: Permission denied\n",
        6,
    );
    says(&bus, &["-t", "0.05", "listen"], "", "", 0);
    says(
        &bus,
        &["listen", "a", ""],
        "",
        "Error while registering for event '': Permission denied\n",
        255,
    );
    says(&bus, &["-S", "listen", ""], "", "", 255);
}

#[test]
fn an_event_of_several_patterns_is_printed_once() {
    let bus = Bus::new();
    let mut running = Running::new(&bus, &["listen", "*", "a*", "a.b", "a.b"]);
    let send = |client: &mut Client| {
        client.send_event("probe", Table::default(), SOON).unwrap();
    };
    repeat(&bus, send, || running.line());
    says(&bus, &["send", "a.b"], "", "", 0);
    says(&bus, &["send", "end"], "", "", 0);
    let lines: Vec<String> = std::iter::repeat_with(|| running.line())
        .filter(|line| !line.contains("probe"))
        .take(2)
        .collect();
    assert_eq!(lines, ["{ \"a.b\": {} }\n", "{ \"end\": {} }\n"]);
}

#[test]
fn subscribe_prints_notifications() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    for (paths, text) in [
        (["source", "nobody"], "'source': Not found"),
        (["nobody", "source"], "'nobody': Not found"),
        (["source", ""], "'source': Invalid argument"),
    ] {
        let stderr = format!("Error while registering for event {text}\n");
        says(
            &bus,
            &[&["subscribe"], &paths[..]].concat(),
            "",
            &stderr,
            255,
        );
        says(
            &bus,
            &[&["-S", "subscribe"], &paths[..]].concat(),
            "",
            "",
            255,
        );
    }
    let mut running = Running::new(&bus, &["subscribe", "source"]);
    let mut builder = Builder::new();
    builder.int("n", 1);
    let data = builder.finish().unwrap();
    let notify = |client: &mut Client| {
        client
            .call("demo", "notify", data.as_table(), SOON)
            .unwrap();
    };
    let line = repeat(&bus, notify, || running.line());
    assert_eq!(line, "{ \"tick\": {\"n\":1} }\n");
}

#[test]
fn wait_for_waits_for_all() {
    let bus = Bus::new();
    let mut waiting = Running::new(&bus, &["wait_for", "demo", "source", "demo"]);
    assert!(waiting.child.try_wait().unwrap().is_none());
    let _owner = owner(&bus);
    assert_eq!(waiting.end(), (Some(0), String::new()));
    says(&bus, &["wait_for", "demo"], "", "", 0);
    says(&bus, &["-t", "0", "wait_for", "demo", "source"], "", "", 0);
    let late = "Command failed: Request timed out\n";
    says(
        &bus,
        &["-t", "0.05", "wait_for", "demo", "nobody"],
        "",
        late,
        7,
    );
    says(&bus, &["-t", "0", "wait_for", "nobody"], "", late, 7);
    // A path is nothing but itself.
    says(&bus, &["-t", "0.05", "wait_for", "d*"], "", late, 7);
    says(&bus, &["-S", "-t", "-1", "wait_for", "*"], "", "", 7);
}

#[test]
fn monitor_prints_messages() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut all = Running::new(&bus, &["monitor"]);
    let mut lookups = Running::new(&bus, &["-m", "lookup", "-M", "received", "monitor", "x"]);
    let first = all.line();
    assert!(
        first.starts_with("-> ") && first.ends_with(" #00000003         status: {\"status\":0}\n"),
        "{first}"
    );
    let look = |client: &mut Client| drop(client.lookup(Some("demo"), SOON).unwrap());
    let line = repeat(&bus, look, || lookups.line());
    let (start, rest) = line.split_at("<- 12345678".len());
    assert_eq!(rest, " #00000000         lookup: {\"objpath\":\"demo\"}\n");
    let id = start.strip_prefix("<- ").unwrap();
    let greeted = format!("-> {id} #{id}          hello: {{}}\n");
    while all.line() != greeted {}
    says(&bus, &["-t", "0.05", "-m", "ping", "monitor"], "", "", 0);
}

#[test]
fn monitor_prints_fields_in_their_order() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut calls = Running::new(&bus, &["-m", "invoke", "-M", "t", "monitor"]);
    let mut builder = Builder::new();
    builder.int("n", 1);
    let data = builder.finish().unwrap();
    let call =
        |client: &mut Client| drop(client.call("demo", "echo", data.as_table(), SOON).unwrap());
    let line = repeat(&bus, call, || calls.line());
    let (_, fields) = line.split_once("invoke: {\"objid\":").unwrap();
    let (_, fields) = fields.split_once(',').unwrap();
    let expected = "\"method\":\"echo\",\"data\":{\"n\":1},\"user\":\"root\",\"group\":\"root\"}\n";
    assert_eq!(fields, expected);

    let mut subscriptions = Running::new(&bus, &["-m", "subscribe", "monitor"]);
    let subscribe = |client: &mut Client| {
        let handle = client.subscribe("source", false, SOON, |_, _| Status::OK);
        client.remove(handle.unwrap(), SOON).unwrap();
    };
    let line = repeat(&bus, subscribe, || subscriptions.line());
    let (_, fields) = line.split_once("subscribe: {\"objid\":").unwrap();
    assert!(!fields.contains(','), "{fields}");
}

#[test]
fn what_goes_on_ends_with_the_daemon() {
    let mut bus = Bus::new();
    let _client = bus.client();
    let mut listen = Running::new(&bus, &["-S", "listen"]);
    let mut monitor = Running::new(&bus, &["-S", "monitor"]);
    let send = |client: &mut Client| client.send_event("probe", Table::default(), SOON).unwrap();
    repeat(&bus, send, || (listen.line(), monitor.line()));
    let mut wait = Running::new(&bus, &["-S", "wait_for", "nobody"]);
    // It hears of new objects when it looks for those that are there.
    while !monitor.line().contains("lookup: {}") {}
    bus.stop();
    assert_eq!(listen.end().0, Some(0));
    assert_eq!(monitor.end().0, Some(0));
    assert_eq!(wait.end().0, Some(7));
}

#[test]
fn a_call_fails_with_the_daemon() {
    let mut bus = Bus::new();
    let owner = owner(&bus);
    let mut monitor = Running::new(&bus, &["-m", "invoke", "-M", "t", "monitor"]);
    let probe = |client: &mut Client| {
        drop(
            client
                .call("demo", "twice", Table::default(), SOON)
                .unwrap(),
        )
    };
    repeat(&bus, probe, || monitor.line());
    let call = ubus(&bus.path(), &["call", "demo", "silent"])
        .spawn()
        .unwrap();
    while !monitor.line().contains("silent") {}
    owner.abandon();
    bus.stop();
    let output = call.wait_with_output().unwrap();
    assert_eq!(
        (
            String::from_utf8_lossy(&output.stderr).as_ref(),
            output.status.code()
        ),
        (
            "Command failed: ubus call demo silent (Connection failed)\n",
            Some(246)
        )
    );
}

#[test]
fn what_goes_on_ends_well_when_it_is_told_to() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let act = |client: &mut Client| {
        client.send_event("probe", Table::default(), SOON).unwrap();
        client
            .call("demo", "notify", Table::default(), SOON)
            .unwrap();
    };
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        for command in [&["listen"][..], &["subscribe", "source"], &["monitor"]] {
            let mut running = Running::new(&bus, command);
            repeat(&bus, act, || running.line());
            running.signal(signal);
            assert_eq!(running.end().0, Some(0), "{command:?} {signal}");
        }
    }
    if std::env::var_os("ECO_RUNNER").is_some() {
        // The emulator handles what it was started to ignore.
        return;
    }
    // What its starter has it ignore stays ignored.
    let command = ubus(&bus.path(), &["listen"]);
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' INT; exec \"$@\"", "sh"]);
    ignoring.arg(command.get_program()).args(command.get_args());
    let mut child = ignoring.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut running = Running { child, lines };
    repeat(&bus, act, || running.line());
    running.signal(Signal::SIGINT);
    repeat(
        &bus,
        |client| client.send_event("after", Table::default(), SOON).unwrap(),
        || {
            while !running.line().contains("after") {}
        },
    );
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
}
