//! The command `ubus`: exactly what it prints, and how it ends.

use super::bus::{program, repeat, Bus, Folder, Owner, SOON};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use ubus::blobmsg::{Builder, Table, Type};
use ubus::client::{Client, Object};
use ubus::Status;

fn ubus(socket: &Path, arguments: &[&str]) -> Command {
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
}

#[test]
fn list_prints_methods_when_asked() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let objects = bus.client().lookup(None, SOON).unwrap();
    let expected = format!(
        "'demo' @{:08x}\n\t\"echo\":{{\"text\":\"String\",\"n\":\"Integer\"}}\n\
         \t\"types\":{{\"a\":\"Array\",\"t\":\"Table\",\"b\":\"Boolean\",\"d\":\"Double\",\"l\":\"Integer\",\"u\":\"(unknown)\"}}\n\
         \t\"twice\":{{}}\n\t\"fail\":{{\"status\":\"Integer\"}}\n\t\"silent\":{{}}\n\t\"notify\":{{}}\n'source' @{:08x}\n",
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
fn call_ends_with_the_status() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    for (number, text) in [
        (1, "Invalid command"),
        (5, "No response"),
        (13, "System error"),
        (77, "Unknown error: 77"),
        (-1, "Unknown error: -1"),
        (256, "Unknown error: 256"),
    ] {
        let message = format!("{{\"status\":{number}}}");
        let stderr = format!("Command failed: {text}\n");
        let code = if number == 256 { 1 } else { number & 0xff };
        says(&bus, &["call", "demo", "fail", &message], "", &stderr, code);
        says(
            &bus,
            &["-S", "call", "demo", "fail", &message],
            "",
            "",
            code,
        );
    }
    says(
        &bus,
        &["call", "nobody", "x"],
        "",
        "Command failed: Not found\n",
        4,
    );
    says(
        &bus,
        &["call", "demo", "x"],
        "",
        "Command failed: Method not found\n",
        3,
    );
    says(
        &bus,
        &["call", "demo", "echo", "{\"n\":\"x\"}"],
        "",
        "Command failed: Invalid argument\n",
        2,
    );
    says(
        &bus,
        &["-t", "0.05", "call", "demo", "silent"],
        "",
        "Command failed: Request timed out\n",
        7,
    );
}

#[test]
fn messages_that_are_no_json_objects_are_refused() {
    let bus = Bus::new();
    for message in ["", "x", "[]", "{", "{}x"] {
        for command in [
            &["call", "demo", "echo", message][..],
            &["send", "event", message],
        ] {
            let output = ubus(&bus.path(), command).output().unwrap();
            assert_eq!(output.status.code(), Some(255));
            assert!(output.stderr.starts_with(b"Failed to parse message data: "));
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn without_a_daemon_nothing_can_be_done() {
    let folder = Folder::new();
    for command in [&["list"][..], &["-S", "list"], &["monitor"]] {
        let output = ubus(&folder.socket(), command).output().unwrap();
        assert_eq!(output.status.code(), Some(255));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let start = format!(
            "Failed to connect to ubus at {}: ",
            folder.socket().display()
        );
        assert!(stderr.starts_with(&start), "{stderr}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let bus = Bus::new();
    for arguments in [
        &[][..],
        &["unknown"],
        &["call"],
        &["call", "demo"],
        &["call", "demo", "echo", "{}", "more"],
        &["list", "a", "b"],
        &["send"],
        &["subscribe"],
        &["wait_for"],
        &["monitor", "x"],
        &["-t", "soon", "list"],
        &["-t", "-1", "list"],
        &["-M", "x", "monitor"],
        &["-m", "x", "monitor"],
        &["-x", "list"],
    ] {
        let output = ubus(&bus.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stderr.starts_with(b"ubus: "));
        assert!(output.stdout.is_empty());
    }
    let output = ubus(&bus.path(), &["-h"]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"Usage: ubus"));
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
}

#[test]
fn subscribe_prints_notifications() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    says(
        &bus,
        &["subscribe", "source", "nobody"],
        "",
        "Command failed: Not found\n",
        4,
    );
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
    let status = waiting.child.wait().unwrap();
    let mut printed = String::new();
    waiting.lines.read_to_string(&mut printed).unwrap();
    assert_eq!((status.code(), printed.as_str()), (Some(0), ""));
    says(&bus, &["wait_for", "demo"], "", "", 0);
    says(
        &bus,
        &["-t", "0.05", "wait_for", "demo", "nobody"],
        "",
        "Command failed: Request timed out\n",
        7,
    );
}

#[test]
fn monitor_prints_messages() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut all = Running::new(&bus, &["monitor"]);
    let mut lookups = Running::new(&bus, &["-m", "lookup", "-M", "r", "monitor"]);
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
fn what_waits_ends_with_the_daemon() {
    let mut bus = Bus::new();
    let mut listen = Running::new(&bus, &["-S", "listen"]);
    let mut monitor = Running::new(&bus, &["-S", "monitor"]);
    let send = |client: &mut Client| client.send_event("probe", Table::default(), SOON).unwrap();
    repeat(&bus, send, || (listen.line(), monitor.line()));
    bus.stop();
    for mut running in [listen, monitor] {
        assert_eq!(running.child.wait().unwrap().code(), Some(10));
    }
}
