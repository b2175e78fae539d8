//! The builder all integration tests use: a script, where it runs, and what must come out.

pub mod broker;
mod native;
mod outcome;
mod script;
mod target;

pub use native::build_host;
pub use script::{command, lua, lua_file, raw, Script};
pub use target::{
    emulated, folder_of_tests, interpreter, module_path, modules_folder, namespaces, sanitized,
    skip, workspace,
};

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of its own for one run; removed when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "eco-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a scratch folder");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
