//! Cursors: what is loaded from where, and what stays in memory.

use crate::support::Router;
use std::io::ErrorKind;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::time::{Duration, Instant};
use uci::{Error, Kind, Value};

fn kind<T>(result: Result<T, Error>) -> Kind {
    result.err().expect("an error").kind()
}

#[test]
fn packages_are_loaded_once() {
    let router = Router::with("p", "config t s\noption o 1\n");
    let mut cursor = router.cursor();
    assert!(cursor.package("p").is_none() && !cursor.unload("p"));
    let get = |package: &uci::Package| {
        package
            .get("s", "o")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    assert_eq!(get(cursor.open("p").expect("p")).as_deref(), Some("1"));
    router.write("config/p", "config t s\noption o 2\n");
    assert_eq!(get(cursor.open("p").expect("p")).as_deref(), Some("1"));
    cursor
        .edit("p")
        .expect("p")
        .set("s", "o", "3")
        .expect("an edit");
    assert_eq!(get(cursor.package("p").expect("p")).as_deref(), Some("3"));
    // Other cursors know nothing of it; loading forgets it.
    assert_eq!(
        get(router.cursor().open("p").expect("p")).as_deref(),
        Some("2")
    );
    assert_eq!(get(cursor.load("p").expect("p")).as_deref(), Some("2"));
    assert!(cursor.unload("p") && !cursor.unload("p"));
}

#[test]
fn locks_are_waited_for_in_time() {
    let router = Router::with("p", "config t s\n\toption o 1\n");
    let file = std::fs::File::open(router.path("config/p")).expect("p");
    file.lock().expect("the lock");
    let mut cursor = router.cursor();
    cursor.set_lock_timeout(Some(Duration::from_millis(60)));
    let start = Instant::now();
    let error = cursor.load("p").err();
    assert!(
        matches!(&error, Some(Error::Io { error, .. }) if error.kind() == ErrorKind::TimedOut),
        "{error:?}"
    );
    assert!(start.elapsed() >= Duration::from_millis(60));
    // Who reads does not keep others from reading, but from writing.
    file.unlock().expect("no lock");
    file.lock_shared().expect("the lock");
    cursor.load("p").expect("p");
    cursor
        .edit("p")
        .expect("p")
        .set("s", "o", "2")
        .expect("an edit");
    assert_eq!(kind(cursor.commit("p")), Kind::Io);
    assert_eq!(router.read("config/p"), "config t s\n\toption o 1\n");
    // The lock comes while it is waited for; nothing was lost.
    cursor.set_lock_timeout(Some(Duration::from_secs(60)));
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(file);
    });
    assert_eq!(cursor.commit("p").expect("a commit").made, 1);
    assert_eq!(
        router.read("config/p"),
        "\nconfig t 's'\n\toption o '2'\n\n"
    );
    other.join().expect("a thread");
}

#[test]
fn errors_of_loading() {
    let router = Router::with("bad", "config t\n\toption o 'open\n");
    std::fs::create_dir(router.path("config/folder")).expect("a folder");
    let mut cursor = router.cursor();
    assert_eq!(kind(cursor.load("none")), Kind::NotFound);
    assert_eq!(kind(cursor.load("folder")), Kind::NotFound);
    for name in ["", "a b", "\u{fc}", "../config/bad", "a\0"] {
        assert_eq!(kind(cursor.load(name)), Kind::Invalid, "{name:?}");
    }
    let error = cursor.load("bad").err().expect("an error");
    let path = router.path("config/bad");
    assert_eq!(
        error.to_string(),
        format!(
            "{}: Parse error (EOF with unterminated ') at line 2, byte 16",
            path.display()
        )
    );
    cursor.set_config_dir("/nonexistent");
    assert_eq!(kind(cursor.list_configs()), Kind::NotFound);
    // Opening a pipe would wait for somebody to write to it.
    let made = std::process::Command::new("mkfifo")
        .arg(router.path("config/pipe"))
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    assert_eq!(kind(router.cursor().load("pipe")), Kind::NotFound);
}

#[test]
fn lists_of_packages() {
    let router = Router::with("b", "");
    for name in ["a", "C", "x.y", ".hidden", "a-1", "sp ace", "_"] {
        router.write(&format!("config/{name}"), "");
    }
    std::fs::create_dir(router.path("config/folder")).expect("a folder");
    symlink(router.path("config/a"), router.path("config/link")).expect("a link");
    assert_eq!(
        router.cursor().list_configs().expect("names"),
        ["C", "_", "a", "a-1", "b", "link"]
    );
    let empty = Router::new();
    assert_eq!(kind(empty.cursor().list_configs()), Kind::NotFound);
    empty.write("config/.x", "");
    assert!(empty.cursor().list_configs().expect("no names").is_empty());
}

#[test]
fn overrides_come_first() {
    let router = Router::with("p", "config t a\n");
    router.write("override/p", "config t b\n");
    let mut cursor = router.cursor();
    assert!(cursor.open("p").expect("p").section("b").is_some());
    cursor
        .edit("p")
        .expect("p")
        .set("b", "o", "v")
        .expect("an edit");
    cursor.commit("p").expect("a commit");
    assert_eq!(
        router.read("override/p"),
        "\nconfig t 'b'\n\toption o 'v'\n\n"
    );
    assert_eq!(router.read("config/p"), "config t a\n");
}

#[test]
fn change_folders_apply_in_order() {
    let router = Router::with("p", "config t s\n");
    for (folder, value) in [("first", "1"), ("second", "2"), ("save", "3")] {
        router.write(
            &format!("{folder}/p"),
            format!("p.s.o='{value}'\np.s.{folder}='x'\n"),
        );
    }
    let mut cursor = router.cursor();
    cursor.add_change_dir(router.path("first"));
    cursor.add_change_dir(router.path("second"));
    cursor.add_change_dir(router.path("first"));
    cursor.add_change_dir(router.path("save"));
    let package = cursor.open("p").expect("p");
    assert_eq!(
        package.to_text(),
        b"\nconfig t 's'\n\toption o '3'\n\toption first 'x'\n\toption second 'x'\n\toption save 'x'\n\n"
    );
    assert_eq!(cursor.changes("p").expect("changes").len(), 6);
    // A commit empties only the folder that changes are saved to.
    cursor.commit("p").expect("a commit");
    assert_eq!(router.read("save/p"), "");
    assert!(router.read("first/p").contains("p.s.o='1'"));
}

#[test]
fn direct_paths() {
    let router = Router::with("p", "config t s\n");
    let path = router.path("config/p");
    let address = path.to_str().expect("text");
    let mut cursor = router.cursor();
    router.write("save/p", "p.s.o='pending'\n");
    assert_eq!(cursor.load(address).expect("p").name(), "p");
    assert!(cursor.package("p").expect("p").get("s", "o").is_none());
    cursor
        .edit(address)
        .expect("p")
        .set("s", "o", "v")
        .expect("an edit");
    assert_eq!(kind(cursor.revert(address, None, None)), Kind::Invalid);
    cursor.save(address).expect("saving is committing");
    assert_eq!(
        router.read("config/p"),
        "\nconfig t 's'\n\toption o 'v'\n\n"
    );
    assert_eq!(router.read("save/p"), "p.s.o='pending'\n");
    let mut other = router.cursor();
    other.load("p").expect("p");
    assert_eq!(kind(other.load(address)), Kind::Duplicate);
}

#[test]
fn generated_names_persist_until_the_next_load() {
    let router = Router::with("p", "config t\nconfig t\n");
    let mut cursor = router.cursor();
    let mut edit = cursor.edit("p").expect("p");
    edit.remove_section("@t[0]").expect("a section");
    let name = edit.add_section("t").expect("a name");
    assert_eq!(name, "cfg03b619");
    edit.set(&name, "o", "v").expect("an edit");
    cursor.commit("p").expect("a commit");
    assert!(cursor.package("p").expect("p").section(&name).is_some());
    assert!(cursor.load("p").expect("p").section(&name).is_none());
    assert_eq!(
        cursor
            .package("p")
            .expect("p")
            .get("cfg02b619", "o")
            .and_then(Value::as_str),
        Some("v")
    );
}

#[test]
fn lenient_cursors_tell_what_they_pass_over() {
    let router = Router::with("p", "config t s\nwrong\noption o v\n");
    let mut cursor = router.cursor();
    cursor.set_strict(false);
    assert!(cursor.open("p").expect("p").get("s", "o").is_some());
    assert_eq!(cursor.passed_over("p").len(), 1);
}

#[test]
fn modes_of_new_files() {
    let router = Router::with("p", "config t s\n");
    let mode = |name: &str| {
        std::fs::metadata(router.path(name))
            .expect("a file")
            .permissions()
            .mode()
            & 0o7777
    };
    let set = |name: &str, mode| {
        std::fs::set_permissions(router.path(name), PermissionsExt::from_mode(mode))
            .expect("a mode");
    };
    set("config", 0o750);
    set("config/p", 0o640);
    let mut cursor = router.cursor();
    cursor
        .edit("p")
        .expect("p")
        .set("s", "o", "v")
        .expect("an edit");
    cursor.save("p").expect("saved");
    assert_eq!((mode("save"), mode("save/p")), (0o750, 0o640));
    cursor.commit("p").expect("committed");
    assert_eq!(mode("config/p"), 0o640);
    cursor
        .replace(&uci::Package::new("new"))
        .expect("a new package");
    assert_eq!(mode("config/new"), 0o600);
    assert_eq!(router.read("config/new"), "\n");
}

/// What nobody else has touched need not be read again.
#[test]
fn a_package_is_loaded_again_when_somebody_else_has_changed_its_files() {
    let router = Router::with("p", "config t s\n");
    let set = |cursor: &mut uci::Cursor, value: &str| {
        let mut edit = cursor.edit("p").expect("p");
        edit.set("s", "o", value).expect("an edit");
        cursor.save("p").expect("saved");
    };
    let mut cursor = router.cursor();
    cursor.add_change_dir(router.path("first"));
    assert!(cursor.refresh("p").expect("p"));
    assert!(!cursor.refresh("p").expect("p"));
    set(&mut cursor, "1");
    assert!(!cursor.refresh("p").expect("p"));
    set(&mut cursor, "2");
    assert!(!cursor.refresh("p").expect("p"));
    // What is not saved stays as long as nothing is loaded.
    cursor
        .edit("p")
        .expect("p")
        .set("s", "x", "1")
        .expect("an edit");
    assert!(!cursor.refresh("p").expect("p"));
    assert!(cursor.package("p").expect("p").get("s", "x").is_some());
    assert_eq!(router.read("save/p"), "p.s.o='1'\np.s.o='2'\n");
    // Somebody else saves: what we save next does not hide it.
    set(&mut router.cursor(), "3");
    set(&mut cursor, "4");
    assert!(cursor.refresh("p").expect("p"));
    assert_eq!(
        router.read("save/p"),
        "p.s.o='1'\np.s.o='2'\np.s.o='3'\np.s.x='1'\np.s.o='4'\n"
    );
    for change in [
        &|| router.write("first/p", "p.s.first='x'\n"),
        &|| router.write("config/p", "config t s\nconfig t\n"),
        &|| router.write("override/p", "config t s\n"),
        &|| std::fs::remove_file(router.path("override/p")).expect("removed"),
        &|| router.cursor().revert("p", None, None).expect("reverted"),
    ] as [&dyn Fn(); 5]
    {
        cursor.refresh("p").expect("p");
        assert!(!cursor.refresh("p").expect("p"));
        change();
        assert!(cursor.refresh("p").expect("p"));
    }
    // The remains of a writer that was killed are looked at again, and replaced.
    router.write("save/p", "p.s.o='1'\np.s.o='torn");
    assert!(cursor.refresh("p").expect("p"));
    assert!(!cursor.refresh("p").expect("p"));
    set(&mut cursor, "2");
    assert_eq!(router.read("save/p"), "p.s.o='1'\np.s.o='2'\n");
    assert!(cursor.refresh("p").expect("p"));
    assert!(!cursor.refresh("p").expect("p"));
    cursor.commit("p").expect("committed");
    assert!(cursor.refresh("p").expect("p"));
    // Loading alone does not look at this.
    cursor.load("p").expect("p");
    assert!(cursor.refresh("p").expect("p"));
}
