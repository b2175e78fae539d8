//! A tour: reads a configuration, changes it, and commits. It works in a folder of its own, as `cargo run --example tour`.

use std::error::Error;
use uci::{Cursor, Value};

pub fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("uci-tour-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("config"))?;
    std::fs::write(
        folder.join("config/network"),
        "config interface 'lan'\n\toption proto 'static'\n\tlist dns '192.0.2.1'\n\nconfig route\n\toption target '198.51.100.0/24'\n",
    )?;
    // On a router `Cursor::new()` is all.
    let mut cursor = Cursor::new();
    cursor.set_config_dir(folder.join("config"));
    cursor.set_save_dir(folder.join("saved"));

    // Reading borrows.
    let network = cursor.open("network")?;
    for section in network.sections() {
        println!("{} is a section of type {}", section.name(), section.kind());
        for entry in section.entries() {
            let items: Vec<_> = entry.value().items().map(String::from_utf8_lossy).collect();
            println!("  {} = {}", entry.name(), items.join(", "));
        }
    }
    assert_eq!(
        network.get("lan", "proto").and_then(Value::as_str),
        Some("static")
    );
    assert_eq!(network.sections_of("route").count(), 1);

    // Changes are made in memory. Sections go by name, or by type and position.
    let mut edit = cursor.edit("network")?;
    edit.append("lan", "dns", "192.0.2.2")?;
    let route = edit.add_section("route")?;
    edit.set(&route, "target", "203.0.113.0/24")?;
    edit.reorder("@route[-1]", 1)?;

    // Saved, they are seen by all; committed, they are part of the configuration.
    cursor.save("network")?;
    for change in cursor.changes("network")? {
        println!("pending: {:?} {}", change.command(), change.section());
    }
    cursor.commit("network")?;
    print!(
        "{}",
        std::fs::read_to_string(folder.join("config/network"))?
    );

    // What goes wrong is told by kind, and in words.
    if let Err(error) = cursor.open("wireless") {
        println!("{error}");
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
