//! Saves changes for later, takes them back, or makes them part of the configuration.
//!
//! At every moment, whatever is killed and wherever the power fails, a configuration file is the old or the new one,
//! and a change that it does not hold is still pending. Locks are taken in one order: configuration, then changes.

use crate::change::{Change, Command};
use crate::cursor::{is_direct, name_of, same, Cursor, Loaded};
use crate::error::Error;
use crate::lookup::SectionKey;
use crate::name::{generated, is_package_name, is_recordable};
use crate::package::Package;
use crate::pending::{marker, Count, Pending};
use crate::store::{Access, Locked, Replacement, Stamp};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt};
use std::path::Path;

impl Cursor {
    /// Appends the unsaved changes of a package to its file in the save folder, where every cursor and every other
    /// process finds them. Sections added under a generated name that somebody else has taken meanwhile get another.
    ///
    /// A package that was addressed by its path is committed.
    ///
    /// # Errors
    /// As for [`Cursor::load`]; [`Error::Invalid`] if changes of a package of this name could not be read back. The
    /// changes stay unsaved then.
    pub fn save(&mut self, package: &str) -> Result<(), Error> {
        let index = self.index(package)?;
        let mut loaded = self.packages.swap_remove(index);
        let result = match is_direct(&loaded.address) {
            true => self.commit_direct(&loaded).map(|()| loaded.changes.clear()),
            false => self.save_loaded(&mut loaded),
        };
        self.packages.push(loaded);
        result
    }

    fn save_loaded(&self, loaded: &mut Loaded) -> Result<(), Error> {
        if loaded.changes.is_empty() {
            return Ok(());
        }
        let mut config =
            Locked::lock(self.path_of(&loaded.address), Access::Shared, self.patience)?;
        if self.stamps(&loaded.address) == loaded.stamps {
            loaded.plain = loaded.plain || self.is_plain(&loaded.address)?;
            if loaded.plain && self.append_to_known(loaded)? {
                return Ok(());
            }
        }
        if let Some(config) = &mut config {
            config.read()?;
        }
        let text = config.as_ref().map_or(&[][..], |config| &config.content);
        self.settle(&loaded.address, text)?;
        let mut saved = self.open_saved(loaded)?;
        saved.read()?;
        self.append_changes(loaded, text, &mut saved)
    }

    /// Writes the unsaved changes to a file that need not be read, because nobody has changed it since this cursor read it
    /// or wrote to it. False if somebody has, meanwhile.
    fn append_to_known(&self, loaded: &mut Loaded) -> Result<bool, Error> {
        let saved = self.open_saved(loaded)?;
        let Some(known) = loaded.stamps.last_mut() else {
            return Ok(false);
        };
        let stamp = Stamp::of(&saved.file).map_err(Error::io(&saved.path))?;
        let unchanged = match known {
            Some(known) => *known == stamp,
            None => stamp.length == 0,
        };
        if unchanged {
            let text = lines(loaded.package.name(), &loaded.changes);
            append_at(&saved, stamp.length, &text)?;
            loaded.changes.clear();
            *known = Stamp::of(&saved.file).ok();
        }
        Ok(unchanged)
    }

    /// Removes changes that a commit has left because it was killed when all was done but this. The comment behind them
    /// tells that the configuration holds them only until that changes.
    fn settle(&self, address: &str, config: &[u8]) -> Result<(), Error> {
        for folder in self.all_change_dirs() {
            let pending = self.read_pending(folder, address, config)?;
            if !pending.is_some_and(|pending| pending.has_done()) {
                continue;
            }
            if let Some(file) =
                Locked::open(folder.join(address), Access::Exclusive, self.patience)?
            {
                let pending = Pending::read(name_of(address), &file.content, config);
                if pending.has_done() {
                    file.keep(&pending.without(&file.content, |_| false))?;
                }
            }
        }
        Ok(())
    }

    /// Opens the file that changes are saved to; it and its folder are created if needed.
    fn open_saved(&self, loaded: &Loaded) -> Result<Locked, Error> {
        if !is_recordable(loaded.package.name()) {
            return Err(Error::Invalid { what: "package" });
        }
        if !self.save_dir().is_dir() {
            let mode = mode_of(self.config_dir()).unwrap_or(0o700);
            let created = DirBuilder::new().mode(mode).create(self.save_dir());
            if !self.save_dir().is_dir() {
                created.map_err(Error::io(self.save_dir()))?;
            }
        }
        let mode = mode_of(&self.config_dir().join(&*loaded.address)).unwrap_or(0o600);
        Locked::create(self.save_dir().join(&*loaded.address), mode, self.patience)
    }

    /// Writes the unsaved changes behind those that are saved.
    fn append_changes(
        &self,
        loaded: &mut Loaded,
        config: &[u8],
        saved: &mut Locked,
    ) -> Result<(), Error> {
        if loaded
            .changes
            .iter()
            .any(|change| change.command() == Command::Add)
        {
            let (mut now, _) = self.parse(&loaded.address, config)?;
            self.apply_all(&mut now, &loaded.address, config, Some(saved))?;
            rename_added(loaded, &now);
        }
        let text = lines(loaded.package.name(), &loaded.changes);
        append(saved, loaded.package.name(), &text)?;
        loaded.changes.clear();
        Ok(())
    }

    /// Makes the pending changes of all folders; those of the save folder have been read already.
    fn apply_all(
        &self,
        package: &mut Package,
        address: &str,
        config: &[u8],
        saved: Option<&Locked>,
    ) -> Result<Count, Error> {
        let mut count = Count::default();
        for folder in self.all_change_dirs() {
            let pending = match (same(folder, self.save_dir()), saved) {
                (true, Some(saved)) => Some(Pending::read(package.name(), &saved.content, config)),
                (true, None) => None,
                (false, _) => self.read_pending(folder, address, config)?,
            };
            if let Some(pending) = pending {
                count += pending.apply(package);
            }
        }
        Ok(count)
    }

    /// Makes all pending changes of a package part of its configuration file: those of this cursor, and what others have
    /// saved meanwhile. The file is read anew and replaced whole; it is not touched where no change applies.
    ///
    /// Changes that do not apply any more are dropped with the others, and counted in the result.
    ///
    /// # Errors
    /// As for [`Cursor::load`] and [`Cursor::save`]. Nothing is lost then: changes stay pending unless the file holds
    /// them.
    pub fn commit(&mut self, package: &str) -> Result<Count, Error> {
        let index = self.index(package)?;
        let mut loaded = self.packages.swap_remove(index);
        let result = match is_direct(&loaded.address) {
            true => self.commit_direct(&loaded).map(|()| Count {
                made: std::mem::take(&mut loaded.changes).len(),
                ignored: 0,
            }),
            false => self.commit_loaded(&mut loaded),
        };
        self.packages.push(loaded);
        result
    }

    fn commit_loaded(&self, loaded: &mut Loaded) -> Result<Count, Error> {
        let mut config = Locked::create(self.path_of(&loaded.address), 0o600, self.patience)?;
        config.read()?;
        let old = &config.content;
        self.settle(&loaded.address, old)?;
        let saved = if loaded.changes.is_empty() {
            let path = self.save_dir().join(&*loaded.address);
            Locked::open(path, Access::Exclusive, self.patience)?
        } else {
            let mut saved = self.open_saved(loaded)?;
            saved.read()?;
            self.append_changes(loaded, old, &mut saved)?;
            Some(saved)
        };

        let (mut package, passed_over) = self.parse(&loaded.address, old)?;
        let count = self.apply_all(&mut package, &loaded.address, old, saved.as_ref())?;
        let new = package.to_text();
        (loaded.package, loaded.passed_over) = (package, passed_over);
        if count.made == 0 {
            return Ok(count);
        }
        match saved.filter(|saved| !saved.content.is_empty()) {
            Some(saved) if new == *old => saved.set_len(0)?,
            Some(saved) => place(&config, &new, loaded.package.name(), saved)?,
            // Only other folders hold changes, and those are left alone.
            None if new == *old => {}
            None => config.replace(&new)?,
        }
        Ok(count)
    }

    fn commit_direct(&self, loaded: &Loaded) -> Result<(), Error> {
        let config = Locked::create(self.path_of(&loaded.address), 0o600, self.patience)?;
        config.replace(&loaded.package.to_text())
    }

    /// Takes pending changes back: those of a whole package, of a section, or of an option. Changes that are not saved
    /// are saved first, so that others of the package stay; those that other processes have saved are taken back, too.
    /// The package is loaded anew.
    ///
    /// # Errors
    /// As for [`Cursor::load`] and [`Cursor::save`]; [`Error::Invalid`] for a package that was addressed by its path.
    pub fn revert(
        &mut self,
        package: &str,
        section: Option<&str>,
        option: Option<&str>,
    ) -> Result<(), Error> {
        let index = self.index(package)?;
        let loaded = &self.packages[index];
        let address = loaded.address.clone();
        if is_direct(&address) {
            return Err(Error::Invalid { what: "package" });
        }
        let section = match section {
            None => None,
            Some(key) => {
                let id = loaded.package.find(&SectionKey::parse(key.as_bytes())?);
                let found = id.and_then(|id| loaded.package.sections.get(id));
                // A section that has been removed is still known by its name.
                Some(found.map_or(key, |section| section.name()).to_owned())
            }
        };
        self.save(&address)?;
        self.drop_changes(&address, section.as_deref(), option)?;
        self.load_at(&address).map(|_| ())
    }

    fn drop_changes(
        &self,
        address: &str,
        section: Option<&str>,
        option: Option<&str>,
    ) -> Result<(), Error> {
        let config = self.read_config(address)?;
        let Some(saved) = Locked::open(
            self.save_dir().join(address),
            Access::Exclusive,
            self.patience,
        )?
        else {
            return Ok(());
        };
        let dropped = |change: &Change| {
            section.is_none_or(|section| section == change.section())
                && (option.is_none() || option == change.option())
        };
        let pending = Pending::read(name_of(address), &saved.content, &config.content);
        saved.keep(&pending.without(&saved.content, dropped))
    }

    /// Puts a package in the place of its configuration file, whatever that holds. Pending changes stay pending.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an impossible name, [`Error::Io`].
    pub fn replace(&mut self, package: &Package) -> Result<(), Error> {
        let address = package.name();
        if !is_package_name(address.as_bytes()) {
            return Err(Error::Invalid { what: "package" });
        }
        let mut config = Locked::create(self.path_of(address), 0o600, self.patience)?;
        if !is_direct(address) {
            config.read()?;
            self.settle(address, &config.content)?;
        }
        config.replace(&package.to_text())?;
        self.unload(address);
        Ok(())
    }
}

/// The lines of changes in the file of pending changes of a package.
fn lines(package: &str, changes: &[Change]) -> Vec<u8> {
    let mut text = Vec::new();
    for change in changes {
        change.write(package, &mut text);
    }
    text
}

/// Adds text to a file of pending changes. If that fails, the file is as it was.
fn append(saved: &mut Locked, package: &str, text: &[u8]) -> Result<(), Error> {
    let end = Pending::read(package, &saved.content, b"").end(&saved.content);
    let mut added = Vec::new();
    if end > 0 && saved.content[end - 1] != b'\n' {
        added.push(b'\n');
    }
    added.extend_from_slice(text);
    let written = append_at(saved, end as u64, &added);
    saved.content.truncate(end);
    if written.is_ok() {
        saved.content.append(&mut added);
    }
    written
}

/// The same, where the text is known to end.
fn append_at(saved: &Locked, end: u64, text: &[u8]) -> Result<(), Error> {
    let written = saved.file.write_all_at(text, end);
    let length = if written.is_ok() { text.len() } else { 0 };
    let cut = saved.set_len(end as usize + length);
    written.map_err(Error::io(&saved.path)).and(cut)
}

/// Replaces a configuration by one that holds all saved changes, which do not count from that moment on.
fn place(config: &Locked, new: &[u8], package: &str, mut saved: Locked) -> Result<(), Error> {
    let replacement =
        Replacement::prepare(&config.path, &config.file, new).map_err(Error::io(&config.path))?;
    let length = saved.content.len();
    let renamed = append(&mut saved, package, &marker(new))
        .and_then(|()| saved.file.sync_data().map_err(Error::io(&saved.path)))
        .and_then(|()| replacement.rename().map_err(Error::io(&config.path)));
    match renamed {
        Ok(renamed) => {
            renamed.sync().map_err(Error::io(&config.path))?;
            saved.set_len(0)
        }
        Err(error) => {
            let _ = saved.set_len(length);
            Err(error)
        }
    }
}

fn mode_of(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

/// Gives new names to sections that were added under generated names that sections of `now` have, in memory and in the
/// unsaved changes.
fn rename_added(loaded: &mut Loaded, now: &Package) {
    let Loaded {
        package, changes, ..
    } = loaded;
    for at in 0..changes.len() {
        let old = changes[at].section.clone();
        if changes[at].command() != Command::Add || now.sections.find(&old).is_none() {
            continue;
        }
        let kind = String::from_utf8_lossy(changes[at].value().unwrap_or_default()).into_owned();
        let mut number = package.created.max(now.created);
        let new = loop {
            number = number.wrapping_add(1);
            let name = generated(number, &kind);
            if now.sections.find(&name).is_none() && package.sections.find(&name).is_none() {
                break name;
            }
        };
        for change in &mut changes[at..] {
            if change.section == old {
                change.section = new.as_str().into();
            }
        }
        if let Some(id) = package.sections.find(&old) {
            package
                .sections
                .rename(id, |section| section.name = new.as_str().into());
        }
        package.created = number;
    }
}
