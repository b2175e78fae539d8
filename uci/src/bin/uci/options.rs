//! The options of the tool. They come before the command; what follows it is its own.

use crate::Failure;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
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

Options:
	-c <path>  folder of config files (default: /etc/config)
	-C <path>  folder of files that override them (default: /var/run/uci)
	-d <str>   what stands between the values of a list in show and get
	-f <file>  read <file> instead of standard input
	-m         when importing, merge with the existing config
	-n         name unnamed sections on export
	-N         don't name unnamed sections (default)
	-p <path>  add a folder to search for changes
	-P <path>  the same, and save changes there
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
    pub file: Option<PathBuf>,
    pub merge: bool,
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
            file: None,
            merge: false,
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
                lexopt::Arg::Value(command) => {
                    options.words.push(command.into_vec());
                    options
                        .words
                        .extend(parser.raw_args()?.map(OsString::into_vec));
                }
                lexopt::Arg::Short(letter) => options.set(letter, &mut parser)?,
                lexopt::Arg::Long(_) => return Err(Failure::Usage),
            }
        }
        if options.words.is_empty() {
            return Err(Failure::Usage);
        }
        Ok(options)
    }

    fn set(&mut self, letter: char, parser: &mut lexopt::Parser) -> Result<(), Failure> {
        match letter {
            'c' => self.cursor.set_config_dir(parser.value()?),
            'C' => self.cursor.set_override_dir(parser.value()?),
            'd' => self.delimiter = parser.value()?.as_bytes().to_vec(),
            'f' => self.file = Some(parser.value()?.into()),
            'm' => self.merge = true,
            'n' => self.export_style.generated_names = true,
            'N' => self.export_style.generated_names = false,
            'p' => self.cursor.add_change_dir(parser.value()?),
            'P' | 't' => {
                let folder = parser.value()?;
                if letter == 'P' {
                    self.cursor.add_change_dir(&folder);
                }
                self.cursor.set_save_dir(folder);
            }
            'q' => self.quiet = true,
            's' | 'S' => {
                self.lenient = letter == 'S';
                self.cursor.set_strict(!self.lenient);
            }
            'X' => self.generated_names = true,
            _ => return Err(Failure::Usage),
        }
        Ok(())
    }
}

impl From<lexopt::Error> for Failure {
    fn from(_: lexopt::Error) -> Failure {
        Failure::Usage
    }
}
