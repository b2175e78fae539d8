//! Wi-Fi on simulated radios: a virtual machine with the distribution's kernel, two radios of mac80211_hwsim, hostapd,
//! iw, and `eco` with the test script.

use crate::build::work_folder;
use crate::run::{
    copy, fail, find_program, folder_for, fresh_folder, output, run, step, write, Result,
};
use crate::toolchain::cargo;
use crate::{setup, workspace};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Modules of the kernel, each after those it needs; the last one makes the radios.
const MODULES: &[&str] = &[
    "net/rfkill/rfkill",
    "lib/crypto/libarc4",
    "net/wireless/cfg80211",
    "net/mac80211/mac80211",
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "crypto/ctr",
    "crypto/ccm",
    "crypto/cmac",
    "crypto/michael_mic",
    "net/llc/llc",
    "net/802/stp",
    "net/802/garp",
    "net/802/mrp",
    "net/8021q/8021q",
    "drivers/net/dummy",
    "drivers/net/wireless/mac80211_hwsim",
];

/// Seconds until the machine is given up: it boots in five on a quiet host, emulated.
const LIMIT: &str = "300";

/// `cargo xtask wifi-test`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    if std::env::consts::ARCH != "x86_64" {
        return fail("the virtual machine is one of x86_64");
    }
    let kernel = kernel()?;
    step("eco with every module");
    let mut build = cargo();
    let features = ["--features", "interpreter,all"];
    run(build
        .current_dir(workspace::root())
        .args(["build", "--quiet"])
        .args(features))?;
    let image = initial_ram(&kernel)?;
    step("a machine with two radios");
    // Not from this terminal, which it would change the settings of.
    let told = output(
        Command::new("timeout")
            .arg(LIMIT)
            .args([
                "qemu-system-x86_64",
                "-m",
                "256",
                "-nographic",
                "-no-reboot",
                "-kernel",
            ])
            .arg(find(&kernel.join("boot"), "vmlinuz-")?)
            .arg("-initrd")
            .arg(&image)
            .args(["-append", "console=ttyS0 quiet panic=-1"])
            .stdin(Stdio::null()),
    )?;
    let script = told.find("wifi-test: begins").unwrap_or(0);
    print!("{}", told[script..].replace('\r', ""));
    if !told.contains("all cases passed") {
        return fail("the script did not come to its end");
    }
    Ok(())
}

/// The distribution's kernel, unpacked beside the tools and installed nowhere.
fn kernel() -> Result<PathBuf> {
    let folder = workspace::tools().join("kernel");
    if folder.join("boot").exists() {
        return Ok(folder);
    }
    step("the distribution's kernel, without installing it");
    let about = output(Command::new("apt-cache").args(["depends", "linux-image-amd64"]))?;
    let package = about
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .ok_or("apt-cache does not tell which package linux-image-amd64 stands for")?;
    let download = work_folder("kernel")?;
    fresh_folder(&download)?;
    run(Command::new("apt-get")
        .current_dir(&download)
        .args(["download", "-qq", package]))?;
    let unpacked = download.join("unpacked");
    run(Command::new("dpkg-deb")
        .arg("-x")
        .arg(find(&download, "linux-image-")?)
        .arg(&unpacked))?;
    folder_for(&folder)?;
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::rename(&unpacked, &folder)
        .map_err(|error| format!("{}: {error}", folder.display()).into())
        .map(|()| folder)
}

/// The entry of a folder whose name begins like that.
fn find(folder: &Path, start: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder);
    let mut entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
    let found = entries.find_map(|entry| {
        let entry = entry.ok()?;
        let fits = entry.file_name().to_string_lossy().starts_with(start);
        fits.then(|| entry.path())
    });
    Ok(found.ok_or(format!("{} has no {start}…", folder.display()))?)
}

/// Packs what the machine consists of.
fn initial_ram(kernel: &Path) -> Result<PathBuf> {
    let folder = work_folder("wifi")?;
    let root = folder.join("root");
    fresh_folder(&root)?;
    for name in ["proc", "sys", "dev", "tmp"] {
        fresh_folder(&root.join(name))?;
    }
    let modules = find(&kernel.join("lib/modules"), "")?.join("kernel");
    let mut init = String::from(
        "#!/bin/busybox sh\nexport PATH=/bin\n/bin/busybox --install -s /bin\n\
         mount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\n",
    );
    for module in MODULES {
        let name = module.rsplit('/').next().unwrap_or(module);
        let file = format!("modules/{name}.ko");
        copy(&modules.join(format!("{module}.ko")), &root.join(&file))?;
        let radios = if name == "mac80211_hwsim" {
            " radios=2"
        } else {
            ""
        };
        init.push_str(&format!("insmod /{file}{radios}\n"));
    }
    init.push_str("ip link set lo up\necho wifi-test: begins\neco /wifi.lua 2>&1\npoweroff -f\n");
    write(&root.join("init"), init)?;
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(root.join("init"), executable)
        .map_err(|error| format!("init: {error}"))?;
    let script = workspace::root().join("tests/lua/wifi.lua");
    copy(&script, &root.join("wifi.lua"))?;
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
    let eco = workspace::cargo_target().join("debug/eco");
    for program in [Some(eco), system_program("hostapd"), system_program("iw")] {
        let program = program.ok_or("hostapd or iw is missing: run `cargo xtask setup`")?;
        with_libraries(&program, &root)?;
    }
    let image = folder.join("initial-ram.gz");
    let pack = "find . | cpio --quiet -o -H newc | gzip -1 > \"$1\"";
    run(Command::new("sh")
        .current_dir(&root)
        .args(["-ec", pack, "sh"])
        .arg(&image))?;
    Ok(image)
}

/// Programs for administrators are not always on the path.
fn system_program(name: &str) -> Option<PathBuf> {
    let elsewhere = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    find_program(name).or_else(|| elsewhere.into_iter().find(|path| path.exists()))
}

/// Copies a program to `bin/`, and the libraries it needs to where they are.
fn with_libraries(program: &Path, root: &Path) -> Result<()> {
    let name = program.file_name().unwrap_or_default();
    copy(program, &root.join("bin").join(name))?;
    for word in output(Command::new("ldd").arg(program))?.split_whitespace() {
        if let Some(inside) = word.strip_prefix('/') {
            copy(Path::new(word), &root.join(inside))?;
        }
    }
    Ok(())
}
