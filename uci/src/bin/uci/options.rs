//! The options of the tool. They may stand before the command, behind it, and between its arguments.

use crate::input::Input;
use crate::Failure;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use uci::{Cursor, Style};

pub const USAGE: &str = "\
Usage: uci [<options>] <command> [<arguments>]

Commands:
	batch
	export     [<config>]
	import     [<config>]
	changes    [<config>]
	commit     [<config>]
	add        <config> <section-type>
	add_list   <config>.<section>.<option>=<string>
	del_list   <config>.<section>.<option>=<string>
	show       [<config>[.<section>[.<option>]]]
	get        <config>.<section>[.<option>]
	set        <config>.<section>[.<option>]=<value>
	delete     <config>.<section>[.<option>[=<position>]]
	rename     <config>.<section>[.<option>]=<name>
	revert     <config>[.<section>[.<option>]]
	reorder    <config>.<section>=<position>
	help

Options:
	-c <path>  folder of config files (default: /etc/config)
	-C <path>  folder of files that override them (default: /var/run/uci)
	-d <str>   what stands between the values of a list in show and get
	-f <file>  read <file> instead of standard input
	-m         when importing, change the existing config, as set and add do
	-n         name unnamed sections on export
	-N         don't name unnamed sections (default)
	-p <path>  add a folder to search for changes
	-P <path>  the same, save changes there, and commit nothing
	-t <path>  save changes there
	-q         print no error messages
	-s         stop at errors in config files (default)
	-S         pass over errors in config files
	-X         show unnamed sections by their generated names
";

/// What the options and the command line say.
pub struct Options {
    pub cursor: Cursor,
    pub delimiter: Vec<u8>,
    pub input: Input,
    pub merge: bool,
    /// Whether a commit leaves everything as it is.
    pub no_commit: bool,
    pub export_style: Style,
    pub quiet: bool,
    pub lenient: bool,
    pub generated_names: bool,
    /// The command and its arguments.
    pub words: Vec<Vec<u8>>,
}

impl Options {
    pub fn parse() -> Result<Options, Failure> {
        let mut options = Options {
            cursor: Cursor::new(),
            delimiter: b" ".to_vec(),
            input: Input::default(),
            merge: false,
            no_commit: false,
            export_style: Style {
                package_line: true,
                ..Style::default()
            },
            quiet: false,
            lenient: false,
            generated_names: false,
            words: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                lexopt::Arg::Value(word) => options.words.push(word.into_vec()),
                lexopt::Arg::Short(letter) => options.set(letter, &mut parser)?,
                lexopt::Arg::Long(_) => return Err(Failure::Option('-')),
            }
        }
        if options.words.is_empty() {
            return Err(Failure::Help);
        }
        Ok(options)
    }

    fn set(&mut self, letter: char, parser: &mut lexopt::Parser) -> Result<(), Failure> {
        match letter {
            'c' => self.cursor.set_config_dir(parser.value()?),
            'C' => self.cursor.set_override_dir(parser.value()?),
            'd' => self.delimiter = parser.value()?.as_bytes().to_vec(),
            'f' if self.input.is_file() => return Err(Failure::Text("Too many input files.")),
            'f' => self.input = Input::open(parser.value()?.into())?,
            'm' => self.merge = true,
            'n' => self.export_style.generated_names = true,
            'N' => self.export_style.generated_names = false,
            'p' => self.cursor.add_change_dir(parser.value()?),
            'P' | 't' => {
                let folder = parser.value()?;
                self.cursor.add_change_dir(&folder);
                self.cursor.set_save_dir(folder);
                self.no_commit |= letter == 'P';
            }
            'q' => self.quiet = true,
            's' | 'S' => {
                self.lenient = letter == 'S';
                self.cursor.set_strict(!self.lenient);
            }
            'X' => self.generated_names = true,
            _ => return Err(Failure::Option(letter)),
        }
        Ok(())
    }
}

impl From<lexopt::Error> for Failure {
    fn from(_: lexopt::Error) -> Failure {
        Failure::Argument
    }
}
