//! A service for routers as `examples/linkwatch` shows it: its Lua, its page, and how procd runs it.

use crate::contract::openwrt::with_daemon;
use crate::support::{command, emulated, lua_file, sanitized, skip, workspace, Scratch, Script};
use std::path::Path;
use std::process::Command;

/// A script of a network of its own, beside a message bus, that knows where the service is.
fn beside_the_service(name: &str, run: impl FnOnce(Script)) {
    with_daemon(|folder| {
        let service = workspace().join("examples/linkwatch/linkwatch.lua");
        let script = lua_file(name)
            .limit(120)
            .alone()
            .env("UBUS_FOLDER", &folder.display().to_string())
            .env("LINKWATCH", &service.display().to_string());
        run(script);
    });
}

#[test]
fn the_service_watches_links() {
    beside_the_service("linkwatch.lua", Script::eco);
}

/// Whether pages can be looked at here; if not, the test of that name is skipped.
pub fn has_chromium(name: &str) -> bool {
    let chromium = Command::new("chromium").arg("--version").output();
    let found = chromium.is_ok_and(|output| output.status.success());
    if emulated() || sanitized() || !found {
        skip(
            name,
            "chromium is not installed, or the machine is emulated",
        );
        return false;
    }
    true
}

/// The folder for what pages looked like.
pub fn artefacts() -> String {
    let folder = workspace().join("target/tests");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.display().to_string()
}

/// The page in Chromium; what it looked like is in `target/tests/linkwatch.png`.
#[test]
fn its_page_is_live() {
    if has_chromium("linkwatch-browser.lua") {
        beside_the_service("linkwatch-browser.lua", |script| {
            script.env("TEST_ARTEFACTS", &artefacts()).eco();
        });
    }
}

/// A thousand agents over TLS in one process, and a broker that is restarted: nothing acknowledged is lost, everybody is back.
#[test]
fn a_fleet_outlives_its_broker() {
    if emulated() {
        skip("examples/fleet", "a broker of this machine takes part");
        return;
    }
    let simulation = workspace().join("examples/fleet/simulate.lua");
    let agents = if sanitized() { 50 } else { 1000 };
    command(&[
        &simulation.display().to_string(),
        &agents.to_string(),
        "2",
        "2",
    ])
    .descriptors(4096)
    .limit(240)
    .stdout_has(&format!("{agents} agents over TLS there"))
    .stdout_has("lost 0\n")
    .stdout_has(&format!(
        "agents back {agents} of {agents}, announced {agents}, commands answered"
    ))
    .eco();
}

fn text(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn its_init_script_is_made_from_the_template() {
    let made = text("openwrt/service.init")
        .replace("@NAME@", "linkwatch")
        .replace("@SCRIPT@", "/usr/share/linkwatch/linkwatch.lua");
    assert_eq!(text("examples/linkwatch/linkwatch.init"), made);
    assert!(!made.contains('@'));
}

/// What a router's rc.common and procd.sh do with an init script: the message that would go to procd is written down, a
/// line for each part. `$1` is the script, `$2` what is asked of it.
const ROUTER: &str = r#"
emit() { local name=$1; shift; printf '%s:' "$name"; [ $# -eq 0 ] || printf ' <%s>' "$@"; echo; }
config_load() { emit load "$@"; }
config_get_bool() { eval "$1=\${ENABLED:-$4}"; emit option "$2" "$3" "$4"; }
procd_open_instance() { emit instance "$@"; }
procd_set_param() {
    # By number, which `kill -l` of a router's shell tells; dash has no such option.
    case "$*" in
        'reload_signal HUP') emit param "$1" 1 ;;
        *) emit param "$@" ;;
    esac
}
procd_close_instance() { emit end; }
procd_add_reload_trigger() { emit trigger "$@"; }
service_triggers() { :; }
. "$1"
[ "$USE_PROCD" = 1 ] && [ "$START" -ge 1 ] || exit 9
type reload_service > /dev/null 2>&1 && exit 8
start_service
emit done
service_triggers
"#;

/// Runs an init script in a shell as a router would.
fn told_to_procd(shell: &[&str], script: &Path, enabled: &str) -> String {
    let mut command = Command::new(shell[0]);
    command
        .args(&shell[1..])
        .args(["-euc", ROUTER, "rc.common"])
        .arg(script);
    if !enabled.is_empty() {
        command.env("ENABLED", enabled);
    }
    let output = command.output().expect("a shell");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{shell:?}: {}: {errors}",
        output.status
    );
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn its_init_script_tells_procd_what_to_do() {
    let script = workspace().join("examples/linkwatch/linkwatch.init");
    let begin = "load: <linkwatch>\noption: <main> <enabled> <1>\n";
    let instance = "instance:\n\
        param: <command> </usr/bin/eco> </usr/share/linkwatch/linkwatch.lua>\n\
        param: <respawn> <3600> <5> <5>\n\
        param: <file> </etc/config/linkwatch>\n\
        param: <reload_signal> <1>\n\
        param: <stdout> <1>\n\
        param: <stderr> <1>\n\
        end:\n";
    let end = "done:\ntrigger: <linkwatch>\n";
    // A router's shell is that of busybox.
    for shell in [&["dash"][..], &["busybox", "sh"]] {
        if Command::new(shell[0])
            .args(["-c", "true"])
            .output()
            .is_err()
        {
            skip("the init script", &format!("{} is not installed", shell[0]));
            continue;
        }
        let checked = Command::new(shell[0])
            .args(&shell[1..])
            .arg("-n")
            .arg(&script)
            .output();
        assert!(checked.expect("a shell").status.success());
        assert_eq!(
            told_to_procd(shell, &script, ""),
            format!("{begin}{instance}{end}")
        );
        assert_eq!(told_to_procd(shell, &script, "0"), format!("{begin}{end}"));
    }
}

/// The configuration that comes with the service is one that it takes, with names for all that it knows.
#[test]
fn its_configuration_is_complete() {
    let scratch = Scratch::new();
    let config = text("examples/linkwatch/linkwatch.config");
    std::fs::write(scratch.0.join("linkwatch"), &config).expect("a file");
    crate::support::raw(
        "package.path = arg[1] .. '/?.lua;' .. package.path\n\
         local settings = assert(require 'settings'.load(arg[2]))\n\
         print(settings.listen, settings.port, settings.interval, settings.clients, settings.hosts['openwrt.lan'], settings.ignored.lo)",
    )
    .args(&[
        &workspace().join("examples/linkwatch").display().to_string(),
        &scratch.0.display().to_string(),
    ])
    .stdout("192.168.1.1\t8088\t1\t16\ttrue\ttrue\n")
    .eco();
    for name in text("examples/linkwatch/settings.lua")
        .split("section.")
        .skip(1)
    {
        let name: String = name
            .chars()
            .take_while(|letter| letter.is_alphanumeric())
            .collect();
        assert!(config.contains(&format!(" {name} ")), "{name}");
    }
}
