//! A view of the configuration folder: packages are loaded once, changed in memory, then saved or committed.
//!
//! Nothing on the disk changes before `save`, `commit` or `revert`. Views are independent of each other; they meet, in
//! one process or in many, through file locks.

use crate::change::Change;
use crate::edit::Edit;
use crate::error::{Error, ParseError};
use crate::name::is_package_name;
use crate::package::Package;
use crate::pending::Pending;
use crate::store::{Access, Locked, Patience, Stamp};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where configuration files are, unless a cursor is told otherwise.
pub const CONFIG_DIR: &str = "/etc/config";
/// Where files are that take the place of those in the configuration folder.
pub const OVERRIDE_DIR: &str = "/var/run/uci";
/// Where pending changes are saved.
pub const SAVE_DIR: &str = "/tmp/.uci";

/// A view of the configuration.
///
/// Packages are addressed by name, or by a path that begins with `/` or `./`: such a file stands for itself, without
/// pending changes, and to save it is to commit it.
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("uci-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # std::fs::write(folder.join("network"), "config interface 'lan'\n\toption proto 'static'\n")?;
/// let mut cursor = uci::Cursor::new();
/// cursor.set_config_dir(&folder);
/// cursor.set_save_dir(folder.join("saved"));
///
/// let proto = cursor.open("network")?.get("lan", "proto").and_then(|value| value.as_str());
/// assert_eq!(proto, Some("static"));
///
/// cursor.edit("network")?.set("lan", "ipaddr", "192.0.2.1")?;
/// cursor.commit("network")?;
/// let text = std::fs::read_to_string(folder.join("network"))?;
/// assert_eq!(text, "\nconfig interface 'lan'\n\toption proto 'static'\n\toption ipaddr '192.0.2.1'\n\n");
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cursor {
    config_dir: PathBuf,
    override_dir: PathBuf,
    /// Searched for pending changes before the folder they are saved to.
    change_dirs: Vec<PathBuf>,
    save_dir: PathBuf,
    strict: bool,
    pub(crate) patience: Patience,
    pub(crate) packages: Vec<Loaded>,
}

/// A package in memory.
pub(crate) struct Loaded {
    /// What it was loaded as.
    pub address: Box<str>,
    pub package: Package,
    /// The changes that are not saved.
    pub changes: Vec<Change>,
    /// The errors that lenient reading passed over.
    pub passed_over: Vec<ParseError>,
    /// The files that this is read from, as they were, and as they are saved to since; empty where that is not known.
    pub stamps: Vec<Option<Stamp>>,
    /// Whether it is known that changes can be added to those that are saved as they are.
    pub plain: bool,
}

impl Default for Cursor {
    fn default() -> Cursor {
        Cursor::new()
    }
}

impl Cursor {
    /// A view of the system's folders.
    pub fn new() -> Cursor {
        Cursor {
            config_dir: CONFIG_DIR.into(),
            override_dir: OVERRIDE_DIR.into(),
            change_dirs: vec![SAVE_DIR.into()],
            save_dir: SAVE_DIR.into(),
            strict: true,
            patience: None,
            packages: Vec::new(),
        }
    }

    /// The folder of configuration files.
    pub fn config_dir(&self) -> &Path {
        &self.config_dir
    }

    /// Sets the folder of configuration files. What is loaded stays.
    pub fn set_config_dir(&mut self, folder: impl Into<PathBuf>) {
        self.config_dir = folder.into();
    }

    /// Sets the folder of files that take the place of those in the configuration folder.
    pub fn set_override_dir(&mut self, folder: impl Into<PathBuf>) {
        self.override_dir = folder.into();
    }

    /// The folder that changes are saved to.
    pub fn save_dir(&self) -> &Path {
        &self.save_dir
    }

    /// Sets the folder that changes are saved to. It is searched for pending changes as the last one.
    pub fn set_save_dir(&mut self, folder: impl Into<PathBuf>) {
        self.save_dir = folder.into();
    }

    /// Adds a folder to those that are searched for pending changes: after the system's, before the one they are saved
    /// to.
    pub fn add_change_dir(&mut self, folder: impl Into<PathBuf>) {
        let folder = folder.into();
        if !self.change_dirs.iter().any(|known| same(known, &folder)) {
            self.change_dirs.push(folder);
        }
    }

    /// Searches no folder for pending changes but the one they are saved to, and those that are added from now on.
    pub fn clear_change_dirs(&mut self) {
        self.change_dirs.clear();
    }

    /// Whether a file with an error is refused (at first), or read as far as it is right. What is passed over then is
    /// gone when the package is committed; see [`Cursor::passed_over`].
    pub fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// How long files that others have locked are waited for; for ever at first. What takes longer fails with
    /// [`Error::Io`] of the kind `TimedOut`.
    pub fn set_lock_timeout(&mut self, limit: Option<Duration>) {
        self.patience = limit;
    }

    /// The errors in a loaded package's file that lenient reading has passed over.
    pub fn passed_over(&self, package: &str) -> &[ParseError] {
        self.find(package)
            .map_or(&[], |index| &self.packages[index].passed_over)
    }

    /// The names of all packages in the configuration folder, sorted by their bytes. Folders and files with a dot in
    /// their name are none.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the folder is missing or has no entries at all.
    pub fn list_configs(&self) -> Result<Vec<String>, Error> {
        let (mut names, mut any) = (Vec::new(), false);
        for entry in fs::read_dir(&self.config_dir)
            .into_iter()
            .flatten()
            .flatten()
        {
            any = true;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_file = || fs::metadata(entry.path()).is_ok_and(|entry| entry.is_file());
            if is_package_name(name.as_bytes()) && !name.contains('.') && is_file() {
                names.push(name);
            }
        }
        names.sort_unstable();
        match any {
            true => Ok(names),
            false => Err(Error::NotFound {
                what: "configuration folder",
            }),
        }
    }

    /// Loads a package anew, pending changes included. What was changed and not saved is lost.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an impossible name, [`Error::NotFound`] without a regular file, [`Error::Parse`] for a file
    /// that is no configuration, [`Error::Duplicate`] if another file's package of this name is loaded, [`Error::Io`].
    pub fn load(&mut self, package: &str) -> Result<&Package, Error> {
        let index = self.load_at(package)?;
        Ok(&self.packages[index].package)
    }

    /// A package: as it is in memory, loaded if it is not.
    ///
    /// # Errors
    /// As for [`Cursor::load`].
    pub fn open(&mut self, package: &str) -> Result<&Package, Error> {
        let index = self.index(package)?;
        Ok(&self.packages[index].package)
    }

    /// A package that is loaded.
    pub fn package(&self, package: &str) -> Option<&Package> {
        Some(&self.packages[self.find(package)?].package)
    }

    /// Forgets a package and its unsaved changes; false if it was not loaded.
    pub fn unload(&mut self, package: &str) -> bool {
        let found = self.find(package);
        found.map(|index| self.packages.remove(index)).is_some()
    }

    /// Loads a package, unless that has been done here and, as far as the times and lengths of its files tell, nobody else
    /// has changed them since. Returns whether it was loaded: what was changed and not saved is lost then.
    ///
    /// # Errors
    /// As for [`Cursor::load`].
    pub fn refresh(&mut self, package: &str) -> Result<bool, Error> {
        // Before it is loaded: what changes meanwhile is a reason to load it again.
        let stamps = self.stamps(package);
        let known = self.find(package).map(|index| &self.packages[index]);
        if known.is_some_and(|loaded| loaded.stamps == stamps) {
            return Ok(false);
        }
        let index = self.load_at(package)?;
        self.packages[index].stamps = stamps;
        Ok(true)
    }

    /// Whether changes can be added to those that are saved with nothing to be put in order first.
    pub(crate) fn is_plain(&self, address: &str) -> Result<bool, Error> {
        let config = self.read_config(address)?;
        for folder in self.all_change_dirs() {
            if let Some(file) = self.open_pending(folder, address)? {
                let pending = Pending::read(address, &file.content, &config.content);
                if !pending.is_plain(&file.content) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Changes a package in memory; it is loaded if it is not.
    ///
    /// # Errors
    /// As for [`Cursor::load`].
    pub fn edit(&mut self, package: &str) -> Result<Edit<'_>, Error> {
        let index = self.index(package)?;
        let Loaded {
            package, changes, ..
        } = &mut self.packages[index];
        Ok(Edit::new(package, changes))
    }

    /// The changes of a package that are pending: saved ones, in the order in which they are made on loading, then those
    /// that are not saved.
    ///
    /// # Errors
    /// As for [`Cursor::load`].
    pub fn changes(&mut self, package: &str) -> Result<Vec<Change>, Error> {
        let index = self.index(package)?;
        let Loaded {
            address, changes, ..
        } = &self.packages[index];
        let mut all = Vec::new();
        if !is_direct(address) {
            let config = self.read_config(address)?;
            for folder in self.all_change_dirs() {
                if let Some(pending) = self.read_pending(folder, address, &config.content)? {
                    all.extend(pending.changes().cloned());
                }
            }
        }
        all.extend_from_slice(changes);
        Ok(all)
    }

    pub(crate) fn find(&self, package: &str) -> Option<usize> {
        self.packages
            .iter()
            .position(|loaded| *loaded.address == *package || loaded.package.name() == package)
    }

    pub(crate) fn index(&mut self, package: &str) -> Result<usize, Error> {
        match self.find(package) {
            Some(index) => Ok(index),
            None => self.load_at(package),
        }
    }

    pub(crate) fn load_at(&mut self, package: &str) -> Result<usize, Error> {
        if !is_package_name(package.as_bytes()) {
            return Err(Error::Invalid { what: "package" });
        }
        let address = match self.find(package) {
            Some(known) => self.packages.remove(known).address,
            None if self.find(name_of(package)).is_some() => {
                return Err(Error::Duplicate { what: "package" });
            }
            None => package.into(),
        };
        let loaded = self.read_package(address)?;
        self.packages.push(loaded);
        Ok(self.packages.len() - 1)
    }

    fn read_package(&self, address: Box<str>) -> Result<Loaded, Error> {
        let config = self.read_config(&address)?;
        let (mut package, passed_over) = self.parse(&address, &config.content)?;
        if !is_direct(&address) {
            for folder in self.all_change_dirs() {
                if let Some(pending) = self.read_pending(folder, &address, &config.content)? {
                    pending.apply(&mut package);
                }
            }
        }
        Ok(Loaded {
            address,
            package,
            changes: Vec::new(),
            passed_over,
            stamps: Vec::new(),
            plain: false,
        })
    }

    /// The files of a package as they are now: the configuration, then the pending changes of each folder.
    pub(crate) fn stamps(&self, address: &str) -> Vec<Option<Stamp>> {
        let mut stamps = vec![Stamp::at(&self.path_of(address))];
        if !is_direct(address) {
            let folders = self.all_change_dirs();
            stamps.extend(folders.map(|folder| Stamp::at(&folder.join(address))));
        }
        stamps
    }

    /// The file of a package.
    pub(crate) fn read_config(&self, address: &str) -> Result<Locked, Error> {
        let file = Locked::open(self.path_of(address), Access::Shared, self.patience)?;
        file.ok_or(Error::NotFound { what: "package" })
    }

    pub(crate) fn parse(
        &self,
        address: &str,
        text: &[u8],
    ) -> Result<(Package, Vec<ParseError>), Error> {
        let (mut package, mut passed_over) = (Package::new(name_of(address)), Vec::new());
        let errors = (!self.strict).then_some(&mut passed_over);
        match package.read(text, errors) {
            Ok(()) => Ok((package, passed_over)),
            Err(error) => Err(Error::Parse {
                file: self.path_of(address),
                error,
            }),
        }
    }

    /// The pending changes in a folder, if there is a file of them that may be read.
    pub(crate) fn read_pending(
        &self,
        folder: &Path,
        address: &str,
        configuration: &[u8],
    ) -> Result<Option<Pending>, Error> {
        let file = self.open_pending(folder, address)?;
        Ok(file.map(|file| Pending::read(name_of(address), &file.content, configuration)))
    }

    fn open_pending(&self, folder: &Path, address: &str) -> Result<Option<Locked>, Error> {
        match Locked::open(folder.join(address), Access::Shared, self.patience) {
            // Users who may read the configuration need not know about changes that are only pending.
            Err(Error::Io { error, .. }) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
            other => other,
        }
    }

    /// Where the file of a package is.
    pub fn path_of(&self, address: &str) -> PathBuf {
        if is_direct(address) {
            return address.into();
        }
        let override_path = self.override_dir.join(address);
        match fs::metadata(&override_path).is_ok_and(|file| file.is_file()) {
            true => override_path,
            false => self.config_dir.join(address),
        }
    }

    /// All folders that are searched for pending changes, in order.
    pub(crate) fn all_change_dirs(&self) -> impl Iterator<Item = &Path> {
        let others = self
            .change_dirs
            .iter()
            .filter(|folder| !same(folder, &self.save_dir));
        others.chain([&self.save_dir]).map(PathBuf::as_path)
    }
}

pub(crate) fn same(one: &Path, other: &Path) -> bool {
    one.as_os_str() == other.as_os_str()
}

/// Whether a package is addressed by its path.
pub(crate) fn is_direct(address: &str) -> bool {
    address.starts_with('/') || address.starts_with("./")
}

/// What the package at an address is called.
pub(crate) fn name_of(address: &str) -> &str {
    match is_direct(address) {
        true => {
            let slash = address.bytes().rposition(|byte| byte == b'/');
            &address[slash.map_or(0, |slash| slash + 1)..]
        }
        false => address,
    }
}
