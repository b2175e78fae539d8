//! The main job on real input: a Lua HTTP service, installed from our own packages, answers curl — on this machine's
//! processor, and as MIPS under emulation.

use crate::build::work_folder;
use crate::dlopen::{emulated, install};
use crate::run::{fail, output, step, Result};
use crate::stage::below;
use crate::table::Table;
use crate::target::Target;
use crate::{feed, setup, workspace};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// `cargo xtask demo`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    let table = Table::read()?;
    for arch in ["x86_64", "mipsel_24kc"] {
        if arch == "x86_64" && std::env::consts::ARCH != "x86_64" {
            println!("this machine is no x86_64: only the emulated part runs");
            continue;
        }
        serve(&table, &Target::read(arch)?)?;
    }
    println!("demo: both services answered");
    Ok(())
}

fn serve(table: &Table, target: &Target) -> Result<()> {
    feed::ipk(target)?;
    step(&format!(
        "{}: install our packages into a root of their own",
        target.arch
    ));
    let root = work_folder("demo")?.join(&target.arch);
    install(table, target, &root, |package| package.bundle.is_none())?;
    let example = workspace::root().join("examples/http_hello.lua");
    let example = example.to_string_lossy();
    let port = TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port()
        .to_string();
    let mut command = if target.arch == std::env::consts::ARCH {
        // The root is not this machine's, so the loader and the modules are named.
        let mut command = Command::new(below(&root, "/lib").join(&target.loader));
        command
            .arg(below(&root, "/usr/bin/eco"))
            .args([&example as &str, &port]);
        command.env(
            "LUA_CPATH",
            format!("{}/?.so", below(&root, &table.directory).display()),
        );
        step(&format!(
            "{}: eco examples/http_hello.lua, natively",
            target.arch
        ));
        command
    } else {
        step(&format!(
            "{}: eco examples/http_hello.lua, under {}",
            target.arch, target.qemu
        ));
        emulated(target, &root, &[&example, &port])
    };
    let service = Service::start(&mut command)?;
    service.wait_for(&port)?;
    let address = format!("http://127.0.0.1:{port}");
    curl(&["-i", &format!("{address}/")], "hello from eco")?;
    curl(&[&format!("{address}/time")], "\"time\":")?;
    curl(
        &["-d", "some text", &format!("{address}/echo")],
        "some text",
    )?;
    service.stop()
}

/// Runs curl, shows what is asked and answered, and insists on a text in the answer.
fn curl(arguments: &[&str], expected: &str) -> Result<()> {
    let shown: Vec<String> = arguments
        .iter()
        .map(|word| {
            if word.contains(' ') {
                format!("'{word}'")
            } else {
                (*word).to_string()
            }
        })
        .collect();
    println!("$ curl {}", shown.join(" "));
    let answer = output(
        Command::new("curl")
            .args(["-sS", "--fail", "--max-time", "20"])
            .args(arguments),
    )?;
    println!("{}", answer.trim_end());
    if !answer.contains(expected) {
        return fail(format!("the answer does not hold {expected:?}"));
    }
    Ok(())
}

/// A running interpreter, ended with this value.
struct Service {
    child: Child,
}

impl Service {
    fn start(command: &mut Command) -> Result<Service> {
        Ok(Service {
            child: command
                .spawn()
                .map_err(|error| format!("cannot start the service: {error}"))?,
        })
    }

    fn wait_for(&self, port: &str) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                return fail("the service does not listen");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("    listens on port {port} as process {}", self.child.id());
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            return fail(format!("the service ended by itself: {status}"));
        }
        self.child.kill()?;
        self.child.wait()?;
        println!("    stopped");
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
