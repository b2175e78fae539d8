//! Makes embedded Lua smaller for the build script: what Lua does not read goes, line numbers stay.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every Lua file below a folder by its name, under which it is embedded: two of one name are an error.
pub fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(other) = found.insert(name.into_owned(), path.clone()) {
                let (one, two) = (other.display(), path.display());
                return Err(format!("two Lua files of one name: {one} and {two}"));
            }
        }
    }
    Ok(())
}

/// Drops comments, indentation, blanks at the ends of lines and those beside punctuation that needs none. Strings, long
/// ones included, are kept byte by byte.
pub fn strip(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut rest = source;
    // Whether blanks stand between what is kept and the rest.
    let mut blank = false;
    while let Some(first) = rest.chars().next() {
        if first == ' ' || first == '\t' || first == '\r' {
            blank = true;
            rest = &rest[1..];
            continue;
        }
        if let Some(comment) = rest.strip_prefix("--") {
            let length = match long_bracket(comment) {
                Some(length) => length,
                None => comment.find('\n').unwrap_or(comment.len()),
            };
            let lines = comment[..length].matches('\n').count();
            kept.extend(std::iter::repeat_n('\n', lines));
            blank = true;
            rest = &comment[length..];
            continue;
        }
        let before = kept.chars().next_back().unwrap_or('\n');
        if blank && needs_blank(before, first) {
            kept.push(' ');
        }
        blank = false;
        let length = match first {
            '\'' | '"' => quoted(rest, first),
            '[' => long_bracket(rest).unwrap_or(1),
            other => other.len_utf8(),
        };
        kept.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    kept
}

/// Whether two characters would read otherwise without a blank between them. It may say so of more than needed.
fn needs_blank(before: char, after: char) -> bool {
    let alone = |letter| matches!(letter, ',' | ';' | '(' | ')' | '{' | '}' | '\n');
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let assigned = (before == '=' && (word(after) || after == '\'' || after == '"'))
        || (after == '=' && (word(before) || before == ']'));
    !(alone(before) || alone(after) || assigned)
}

/// The length of the quoted string that a text begins with.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return position + 1;
        }
    }
    text.len()
}

/// The length of the long bracket that a text begins with, if it does.
fn long_bracket(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    inner[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    let opened = level + 2;
    Some(match text[opened..].find(&end) {
        Some(position) => opened + position + end.len(),
        None => text.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lua_does_not_read_goes() {
        assert_eq!(
            strip("-- one\n  x = 1 -- two\n\n\t--three\n  return x, { y = 2 }  \n"),
            "\nx=1\n\n\nreturn x,{y=2}\n"
        );
        assert_eq!(
            strip("a --[[ b\nc ]] = 1 --[==[ ]] ]==]\nb=2"),
            "a\n=1\nb=2"
        );
        assert_eq!(strip("a = b -- '\nc = d"), "a=b\nc=d");
    }

    #[test]
    fn long_strings_are_kept() {
        for text in [
            "x=[[\n  -- no comment\n    indented  \n]]",
            "x=[==[ ]] -- \n  ]==]",
            "x='--  not' y=\"[[  --\"",
            "x='\\'--  ' y=\"\\\\\"",
            "x='a\\\n   b'",
        ] {
            assert_eq!(strip(text), text);
            assert_eq!(strip(&format!("  {text} -- gone")), text);
        }
    }

    #[test]
    fn blanks_that_part_tokens_stay() {
        for text in [
            "return a - -b",
            "return 1 .. 'x'",
            "t[ [[x]] ]=1",
            "goto x return - - 1",
            "x= =1",
        ] {
            assert_eq!(strip(text), text);
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let mut found = BTreeMap::new();
        collect(
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
            &mut found,
        )
        .unwrap();
        assert!(found.len() > 5);
        for path in found.values() {
            let source = std::fs::read_to_string(path).unwrap();
            let stripped = strip(&source);
            assert_eq!(stripped.lines().count(), source.lines().count());
            assert_eq!(strip(&stripped), stripped);
        }
    }

    #[test]
    fn two_files_of_one_name_are_refused() {
        let folder = std::env::temp_dir().join(format!("eco-strip-{}", std::process::id()));
        for name in ["a", "b"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("same.lua"), "").unwrap();
        }
        let error = collect(&folder, &mut BTreeMap::new()).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            error.contains("a/same.lua") && error.contains("b/same.lua"),
            "{error}"
        );
    }
}
