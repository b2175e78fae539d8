//! The commands of the tool. Each change is saved at once; a batch runs many commands over one view.

use crate::options::Options;
use crate::output::{self, Form};
use crate::Failure;
use std::io::{Read, Write};
use uci::{Edit, Error, Lookup, Package, ParseError, Section, Statements, Value};

type Outcome = Result<(), Failure>;

/// What an address names.
enum Found<'a> {
    Package,
    Section(&'a Section),
    Option(&'a Section, &'a str, &'a Value),
}

/// The tool at work.
pub struct Tool {
    options: Options,
    /// What has not been printed yet.
    text: Vec<u8>,
}

impl Tool {
    pub fn new(options: Options) -> Tool {
        Tool {
            options,
            text: Vec::new(),
        }
    }

    pub fn run(&mut self) -> Outcome {
        let words = std::mem::take(&mut self.options.words);
        self.command(&words)
    }

    /// Prints what commands had to say.
    pub fn flush(&mut self) -> Outcome {
        let mut output = std::io::stdout().lock();
        output.write_all(&self.text)?;
        output.flush()?;
        self.text.clear();
        Ok(())
    }

    fn command(&mut self, words: &[Vec<u8>]) -> Outcome {
        let (name, arguments) = words.split_first().ok_or(Failure::Usage)?;
        match (&name[..], arguments) {
            (b"batch", []) => self.batch(),
            (b"import", [] | [_]) => self.import(arguments.first()),
            (b"export", _) => self.each(arguments, Tool::export),
            (b"changes", _) => self.each(arguments, Tool::changes),
            (b"commit", _) => self.each(arguments, Tool::commit),
            (b"show", []) => self.each(&[], |tool, name| tool.show(name.as_bytes())),
            (b"show", [address]) => self.show(address),
            (b"get", [address]) => self.get(address),
            (b"add", [package, kind]) => self.add(package, kind),
            (b"revert", [address]) => self.revert(address),
            (b"set", [address]) => self.edit(address, set),
            (b"add_list", [address]) => self.edit(address, add_list),
            (b"del_list", [address]) => self.edit(address, del_list),
            (b"delete" | b"del", [address]) => self.edit(address, delete),
            (b"rename", [address]) => self.edit(address, rename),
            (b"reorder", [address]) => self.edit(address, reorder),
            _ => Err(Failure::Usage),
        }
    }

    /// Does something with the package that is given, or with all of them: then an error with one does not keep the
    /// others from their turn.
    fn each(&mut self, arguments: &[Vec<u8>], job: fn(&mut Tool, &str) -> Outcome) -> Outcome {
        match arguments {
            [] => {
                let mut last = Ok(());
                for name in self.options.cursor.list_configs()? {
                    if let Err(failure) = job(self, &name) {
                        if let Err(earlier) = std::mem::replace(&mut last, Err(failure)) {
                            earlier.report(self.options.quiet);
                        }
                    }
                }
                last
            }
            [address] => job(self, Lookup::parse(address)?.package),
            _ => Err(Failure::Usage),
        }
    }

    /// Loads a package, and tells which errors in it are passed over.
    fn open(&mut self, package: &str) -> Result<&Package, Error> {
        let known = self.options.cursor.package(package).is_some();
        self.options.cursor.open(package)?;
        if !known {
            self.warn(self.options.cursor.passed_over(package));
        }
        self.options.cursor.open(package)
    }

    fn warn(&self, errors: &[ParseError]) {
        if !self.options.quiet {
            for error in errors {
                let _ = writeln!(std::io::stderr(), "uci: {error}");
            }
        }
    }

    fn show(&mut self, address: &[u8]) -> Outcome {
        self.read(address, |form, package, found, text| match found {
            Found::Package => form.package(package, text),
            Found::Section(section) => form.section(package, section, section.name(), text),
            Found::Option(section, option, value) => {
                form.option(package, section.name(), option, value, text);
            }
        })
    }

    fn get(&mut self, address: &[u8]) -> Outcome {
        if Lookup::parse(address)?.section.is_none() {
            return Err(Error::Invalid { what: "section" }.into());
        }
        self.read(address, |form, _, found, text| match found {
            Found::Package => {}
            Found::Section(section) => {
                text.extend_from_slice(section.kind().as_bytes());
                text.push(b'\n');
            }
            Found::Option(_, _, value) => form.value(value, text),
        })
    }

    /// Finds what an address names and prints it.
    fn read(&mut self, address: &[u8], print: fn(&Form, &Package, Found, &mut Vec<u8>)) -> Outcome {
        let lookup = Lookup::parse(address)?;
        self.open(lookup.package)?;
        let options = &mut self.options;
        let form = Form {
            delimiter: &options.delimiter,
            generated_names: options.generated_names,
        };
        let package = options.cursor.open(lookup.package)?;
        let mut found = Found::Package;
        if let Some(key) = lookup.section {
            let section = package.section_at(&key);
            let section = section.ok_or(Error::NotFound { what: "section" })?;
            found = Found::Section(section);
            if let Some(option) = lookup.option {
                let value = section
                    .get(option)
                    .ok_or(Error::NotFound { what: "option" })?;
                found = Found::Option(section, option, value);
            }
        }
        print(&form, package, found, &mut self.text);
        Ok(())
    }

    fn export(&mut self, name: &str) -> Outcome {
        let style = self.options.export_style;
        let mut text = Vec::new();
        self.open(name)?.write(style, &mut text);
        self.text.append(&mut text);
        Ok(())
    }

    fn changes(&mut self, name: &str) -> Outcome {
        self.open(name)?;
        let changes = self.options.cursor.changes(name)?;
        for change in changes {
            output::change(name, &change, &mut self.text);
        }
        Ok(())
    }

    fn commit(&mut self, name: &str) -> Outcome {
        self.open(name)?;
        let count = self.options.cursor.commit(name)?;
        if count.made > 0 && count.ignored > 0 && !self.options.quiet {
            let _ = writeln!(
                std::io::stderr(),
                "uci: {} pending changes of {name} did not apply and are gone",
                count.ignored
            );
        }
        Ok(())
    }

    fn revert(&mut self, address: &[u8]) -> Outcome {
        let lookup = Lookup::parse(address)?;
        self.open(lookup.package)?;
        let key = lookup.section.map(|key| key.to_string());
        let cursor = &mut self.options.cursor;
        Ok(cursor.revert(lookup.package, key.as_deref(), lookup.option)?)
    }

    fn add(&mut self, package: &[u8], kind: &[u8]) -> Outcome {
        let name = Lookup::parse(package)?.package;
        let kind = std::str::from_utf8(kind).map_err(|_| Error::Invalid { what: "type" })?;
        self.open(name)?;
        let cursor = &mut self.options.cursor;
        cursor.edit(name)?.add_section(kind)?;
        self.save(name)?;
        // Saving may have given it another name.
        let package = self.options.cursor.open(name)?;
        let section = package.sections().next_back();
        let section = section.ok_or(Error::NotFound { what: "section" })?;
        self.text.extend_from_slice(section.name().as_bytes());
        self.text.push(b'\n');
        Ok(())
    }

    /// Changes what an address names.
    fn edit(
        &mut self,
        address: &[u8],
        change: fn(&mut Edit, &str, &Lookup) -> Result<(), Error>,
    ) -> Outcome {
        let lookup = Lookup::parse(address)?;
        self.open(lookup.package)?;
        let key = lookup.section.ok_or(Error::Invalid { what: "section" })?;
        let mut edit = self.options.cursor.edit(lookup.package)?;
        change(&mut edit, &key.to_string(), &lookup)?;
        self.save(lookup.package)
    }

    /// Saves; changes that cannot be saved do not stay for the next command of a batch.
    fn save(&mut self, package: &str) -> Outcome {
        let cursor = &mut self.options.cursor;
        cursor.save(package).map_err(|error| {
            cursor.unload(package);
            error.into()
        })
    }

    fn import(&mut self, name: Option<&Vec<u8>>) -> Outcome {
        let input = self.input()?;
        let wrong = |error| Error::Parse {
            file: self.options.file.clone().unwrap_or_default(),
            error,
        };
        let packages = match name {
            None => uci::import(&input).map_err(wrong)?,
            Some(address) => {
                let name = Lookup::parse(address)?.package;
                if self.options.lenient {
                    let (package, errors) = Package::parse_leniently(name, &input);
                    self.warn(&errors);
                    vec![package]
                } else {
                    vec![Package::parse(name, &input).map_err(wrong)?]
                }
            }
        };
        for package in &packages {
            match self.options.merge {
                true => self.options.cursor.merge(package)?,
                false => self.options.cursor.replace(package)?,
            }
        }
        Ok(())
    }

    /// Runs the commands of a text. A command that fails is reported, and the next one runs.
    fn batch(&mut self) -> Outcome {
        let input = self.input()?;
        for statement in Statements::new(&input) {
            let words = statement.map_err(|error| Error::Parse {
                file: self.options.file.clone().unwrap_or_default(),
                error,
            })?;
            if matches!(&words[..], [word] if word == b"exit" || word == b"quit") {
                return Ok(());
            }
            if words.first().is_some_and(|word| word == b"batch") {
                return Err(Failure::Usage);
            }
            if let Err(failure) = self.command(&words) {
                failure.report(self.options.quiet);
            }
            self.flush()?;
        }
        Ok(())
    }

    fn input(&self) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        match &self.options.file {
            Some(file) => text = std::fs::read(file)?,
            None => {
                std::io::stdin().lock().read_to_end(&mut text)?;
            }
        }
        Ok(text)
    }
}

fn value<'a>(lookup: &Lookup<'a>) -> Result<&'a [u8], Error> {
    lookup.value.ok_or(Error::Invalid { what: "value" })
}

/// The value as a name or a type: anything else cannot be one.
fn word<'a>(lookup: &Lookup<'a>) -> Result<&'a str, Error> {
    std::str::from_utf8(value(lookup)?).map_err(|_| Error::Invalid { what: "value" })
}

fn option<'a>(lookup: &Lookup<'a>) -> Result<&'a str, Error> {
    lookup.option.ok_or(Error::Invalid { what: "option" })
}

fn set(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    match lookup.option {
        Some(option) => edit.set(section, option, value(lookup)?),
        None => edit.set_section(section, word(lookup)?),
    }
}

fn add_list(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    edit.append(section, option(lookup)?, value(lookup)?)
}

fn del_list(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    edit.remove_value(section, option(lookup)?, value(lookup)?)
}

fn delete(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    match (lookup.option, lookup.value) {
        (None, _) => edit.remove_section(section),
        (Some(option), None) => edit.remove(section, option),
        // What is no position names no item.
        (Some(option), Some(_)) => {
            let position = word(lookup)?.parse().unwrap_or(usize::MAX);
            edit.remove_item(section, option, position)
        }
    }
}

fn rename(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    match lookup.option {
        Some(option) => edit.rename(section, option, word(lookup)?),
        None => edit.rename_section(section, word(lookup)?),
    }
}

fn reorder(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    if lookup.option.is_some() {
        return Err(Error::Invalid { what: "option" });
    }
    edit.reorder(section, uci::position(value(lookup)?))
}
