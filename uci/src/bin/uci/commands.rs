//! The commands of the tool. Each change is saved at once, and each command sees the files as they are, in a batch too.

use crate::options::Options;
use crate::output::{self, Form};
use crate::Failure;
use std::io::Write;
use std::path::Path;
use uci::{Edit, Error, Lookup, Package, ParseError, Section, Statements, Value};

type Outcome = Result<(), Failure>;

/// What an address names.
enum Found<'a> {
    Package,
    Section(&'a Section),
    Option(&'a Section, &'a str, &'a Value),
}

/// How many words a command of a batch may have.
const WORDS: usize = 3;

/// The tool at work.
pub struct Tool {
    options: Options,
    /// What has not been printed yet.
    text: Vec<u8>,
    /// The package in memory that was addressed by its path: it would stand in the way of another of its name.
    direct: Option<String>,
}

impl Tool {
    pub fn new(options: Options) -> Tool {
        Tool {
            options,
            text: Vec::new(),
            direct: None,
        }
    }

    pub fn run(&mut self) -> Outcome {
        let words = std::mem::take(&mut self.options.words);
        match is_command(&words, b"batch") {
            true => self.batch(),
            false => self.command(&words),
        }
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
        match (&name.to_ascii_lowercase()[..], arguments) {
            (b"help", _) => {
                Failure::Help.report(false);
                Ok(())
            }
            (b"import", [] | [_]) => self.import(arguments.first()),
            (b"export", _) => self.each(arguments, Tool::export),
            (b"changes", _) => self.each(arguments, Tool::changes),
            (b"commit", _) => self.each(arguments, Tool::commit),
            (b"show", []) => self.each(&[], |tool, name| tool.show(name.as_bytes())),
            (b"show", [address]) => self.show(address),
            (b"get", [address]) => self.get(address),
            (b"add", [package, kind]) => self.add(package, kind).map_err(|failure| match failure {
                Failure::Uci(error) => Failure::Numbered(error),
                other => other,
            }),
            (b"revert", [address]) => self.revert(address),
            (b"set", [address]) => self.edit(address, set),
            (b"add_list", [address]) => self.edit(address, add_list),
            (b"del_list", [address]) => self.edit(address, del_list),
            (b"delete" | b"del", [address]) => self.edit(address, delete),
            (b"rename" | b"ren", [address]) => self.edit(address, rename),
            (b"reorder", [address]) => self.edit(address, reorder),
            _ => Err(Failure::Usage),
        }
    }

    /// Does something with the package that is given, or with all of them: then an error with one is told, and that is
    /// all there is to it.
    fn each(&mut self, arguments: &[Vec<u8>], job: fn(&mut Tool, &str) -> Outcome) -> Outcome {
        match arguments {
            [] => {
                for name in self.options.cursor.list_configs()? {
                    if let Err(failure) = job(self, &name) {
                        failure.report(self.options.quiet);
                    }
                }
                Ok(())
            }
            [address] => {
                let package = self.find(address)?.package;
                job(self, package)
            }
            _ => Err(Failure::Usage),
        }
    }

    /// A package as it is now. It is loaded, and the errors in it that are passed over are told, unless that has been done
    /// and nobody has changed its files since.
    fn open(&mut self, package: &str) -> Result<&Package, Error> {
        let cursor = &mut self.options.cursor;
        if let Some(other) = self.direct.take_if(|direct| direct != package) {
            cursor.unload(&other);
        }
        if package.starts_with(['/', '.']) && self.direct.is_none() {
            cursor.unload(package.rsplit('/').next().unwrap_or_default());
            self.direct = Some(package.to_owned());
        }
        if cursor.refresh(package)? {
            let errors = self.options.cursor.passed_over(package);
            self.warn(&self.options.cursor.path_of(package), errors);
        }
        self.options.cursor.open(package)
    }

    /// Reads an address, and opens its package: a missing one is told before a section that cannot be.
    fn find<'a>(&mut self, address: &'a [u8]) -> Result<Lookup<'a>, Error> {
        let lookup = Lookup::parse(address);
        if !matches!(lookup, Err(Error::Syntax)) {
            self.open(Lookup::package(address)?)?;
        }
        lookup
    }

    fn warn(&self, file: &Path, errors: &[ParseError]) {
        if !self.options.quiet {
            for &error in errors {
                let file = file.to_owned();
                let _ = writeln!(std::io::stderr(), "{}", Error::Parse { file, error });
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
        refuse_value(&self.find(address)?)?;
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
        let lookup = self.find(address)?;
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
        if self.options.no_commit {
            return Ok(());
        }
        let count = self.options.cursor.commit(name)?;
        if count.made > 0 && count.ignored > 0 && !self.options.quiet {
            let _ = writeln!(
                std::io::stderr(),
                "uci: {} pending changes of {name} did not apply and are gone",
                count.ignored
            );
        }
        // Sections without a name get new ones now.
        self.options.cursor.unload(name);
        Ok(())
    }

    fn revert(&mut self, address: &[u8]) -> Outcome {
        let lookup = self.find(address)?;
        refuse_value(&lookup)?;
        let key = lookup.section.map(|key| key.to_string());
        let cursor = &mut self.options.cursor;
        Ok(cursor.revert(lookup.package, key.as_deref(), lookup.option)?)
    }

    fn add(&mut self, package: &[u8], kind: &[u8]) -> Outcome {
        // The whole word is the name.
        let name = std::str::from_utf8(package).map_err(|_| Error::Invalid { what: "package" })?;
        self.open(name)?;
        let kind = std::str::from_utf8(kind).map_err(|_| Error::Invalid { what: "type" })?;
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
        let lookup = self.find(address)?;
        let key = lookup.section.map(|key| key.to_string());
        let mut edit = self.options.cursor.edit(lookup.package)?;
        change(&mut edit, &key.unwrap_or_default(), &lookup)?;
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
        if name.is_none() && self.options.merge {
            return Err(Failure::Usage);
        }
        let input = self.options.input.rest()?;
        let file = self.options.input.path().to_owned();
        let wrong = |error| Error::Parse {
            file: file.clone(),
            error,
        };
        let lenient = self.options.lenient;
        let (packages, errors) = match name {
            None if lenient => uci::import_leniently(&input).map_err(wrong)?,
            None => (uci::import(&input).map_err(wrong)?, Vec::new()),
            Some(name) => {
                // The whole word is the name.
                let name = std::str::from_utf8(name).unwrap_or_default();
                if !uci::name::is_package_name(name.as_bytes()) {
                    return Err(Error::Invalid { what: "package" }.into());
                }
                if self.options.merge && self.exists(name)? {
                    let mut edit = self.options.cursor.edit(name)?;
                    let errors = match lenient {
                        true => edit.merge_leniently(&input),
                        false => edit.merge(&input).map(|()| Vec::new()).map_err(wrong)?,
                    };
                    self.warn(&file, &errors);
                    return self.save(name);
                }
                let (package, errors) = match lenient {
                    true => Package::parse_leniently(name, &input),
                    false => (Package::parse(name, &input).map_err(wrong)?, Vec::new()),
                };
                (vec![package], errors)
            }
        };
        self.warn(&file, &errors);
        for package in &packages {
            self.options.cursor.replace(package)?;
        }
        Ok(())
    }

    /// Opens a package, if there is one.
    fn exists(&mut self, package: &str) -> Result<bool, Error> {
        match self.open(package) {
            Err(Error::NotFound { .. }) => Ok(false),
            other => other.map(|_| true),
        }
    }

    /// Runs the commands of the input, each as soon as its line is there. One that fails is reported, and the next one
    /// runs.
    fn batch(&mut self) -> Outcome {
        let mut lines = 0;
        while let Some(line) = self.options.input.line()? {
            for statement in Statements::new(&line) {
                let outcome = match statement {
                    Ok(words) if is_command(&words, b"exit") => return Ok(()),
                    Ok(words) => self.batch_command(words),
                    Err(error) => Err(Failure::Uci(Error::Parse {
                        file: self.options.input.path().to_owned(),
                        error: ParseError {
                            line: lines + error.line,
                            ..error
                        },
                    })),
                };
                if let Err(failure) = outcome {
                    let failure = match failure {
                        Failure::Usage => Failure::Text("Unknown command"),
                        other => other,
                    };
                    failure.report(self.options.quiet);
                }
                self.flush()?;
            }
            lines += line.iter().filter(|&&byte| byte == b'\n').count();
        }
        Ok(())
    }

    fn batch_command(&mut self, mut words: Vec<Vec<u8>>) -> Outcome {
        // An empty word is the end of a command.
        let end = words.iter().position(Vec::is_empty);
        words.truncate(end.unwrap_or(words.len()));
        match words.len() {
            0 => Ok(()),
            1..=WORDS => self.command(&words),
            _ => Err(Failure::Text("Too many arguments")),
        }
    }
}

fn is_command(words: &[Vec<u8>], name: &[u8]) -> bool {
    words
        .first()
        .is_some_and(|word| word.eq_ignore_ascii_case(name))
}

fn value<'a>(lookup: &Lookup<'a>) -> Result<&'a [u8], Error> {
    lookup.value.ok_or(Error::Invalid { what: "value" })
}

fn refuse_value(lookup: &Lookup) -> Result<(), Error> {
    match lookup.value {
        None => Ok(()),
        Some(_) => Err(Error::Invalid { what: "value" }),
    }
}

/// The value as a name or a type: anything else cannot be one.
fn word<'a>(lookup: &Lookup<'a>) -> Result<&'a str, Error> {
    std::str::from_utf8(value(lookup)?).map_err(|_| Error::Invalid { what: "value" })
}

fn option<'a>(lookup: &Lookup<'a>) -> Result<&'a str, Error> {
    lookup.option.ok_or(Error::Invalid { what: "option" })
}

/// Where something is put, a missing section is a wrong argument.
fn misplaced(error: Error) -> Error {
    match error {
        Error::NotFound { what } => Error::Invalid { what },
        other => other,
    }
}

fn set(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    let set = match lookup.option {
        Some(option) => edit.set(section, option, value(lookup)?),
        None => edit.set_section(section, word(lookup)?),
    };
    set.map_err(misplaced)
}

fn add_list(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    let appended = edit.append(section, option(lookup)?, value(lookup)?);
    appended.map_err(misplaced)
}

fn del_list(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    let removed = edit.remove_value(section, option(lookup)?, value(lookup)?);
    removed.map_err(misplaced)
}

fn delete(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    let item = match lookup.value {
        None | Some(b"") => None,
        // What is no position names nothing.
        Some(value) => {
            let position = uci::leading_number(value).ok_or(Error::Invalid { what: "value" })?;
            Some(usize::try_from(position).unwrap_or(usize::MAX))
        }
    };
    match (lookup.option, item) {
        (None, _) => edit.remove_section(section),
        (Some(option), None) => edit.remove(section, option),
        (Some(option), Some(position)) => edit.remove_item(section, option, position),
    }
}

/// Checks that what is to be changed exists.
fn find(edit: &Edit, lookup: &Lookup) -> Result<(), Error> {
    let key = lookup.section.ok_or(Error::Invalid { what: "section" })?;
    let section = edit.package().section_at(&key);
    let section = section.ok_or(Error::NotFound { what: "section" })?;
    match lookup.option.map(|option| section.get(option)) {
        Some(None) => Err(Error::NotFound { what: "option" }),
        _ => Ok(()),
    }
}

fn rename(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    find(edit, lookup)?;
    match lookup.option {
        Some(option) => edit.rename(section, option, word(lookup)?),
        None => edit.rename_section(section, word(lookup)?),
    }
}

fn reorder(edit: &mut Edit, section: &str, lookup: &Lookup) -> Result<(), Error> {
    let place = match lookup.section {
        Some(_) => lookup.value,
        None => None,
    };
    let place = place.ok_or(Error::NotFound { what: "position" })?;
    find(edit, lookup)?;
    if lookup.option.is_some() {
        return Err(Error::Invalid { what: "option" });
    }
    edit.reorder(section, uci::leading_number(place).unwrap_or(0))
}
