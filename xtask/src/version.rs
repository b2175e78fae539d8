//! Versions as opkg orders them, and what packages say about those of others.

use crate::run::{fail, Result};
use std::cmp::Ordering;
use std::fmt;

/// Compares two versions: `[EPOCH:]VERSION[-REVISION]`, each part by runs of digits and of other characters.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    left.epoch
        .cmp(&right.epoch)
        .then_with(|| compare_part(left.version, right.version))
        .then_with(|| compare_part(left.revision, right.revision))
}

struct Parts<'a> {
    epoch: u64,
    version: &'a str,
    revision: &'a str,
}

impl Parts<'_> {
    fn of(text: &str) -> Parts<'_> {
        let (epoch, rest) = text.split_once(':').unwrap_or(("", text));
        let (version, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Parts {
            epoch: epoch.parse().unwrap_or(0),
            version,
            revision,
        }
    }
}

/// By turns a run without digits, by letters before other characters and `~` before everything, and a number.
fn compare_part<'a>(mut left: &'a str, mut right: &'a str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (words, numbers);
        (words, left, right) = split_off(left, right, |letter| !letter.is_ascii_digit());
        let longest = words.0.len().max(words.1.len());
        for index in 0..longest {
            let order = weight(words.0, index).cmp(&weight(words.1, index));
            if order.is_ne() {
                return order;
            }
        }
        (numbers, left, right) = split_off(left, right, |letter| letter.is_ascii_digit());
        let plain = |digits: &str| digits.trim_start_matches('0').to_string();
        let (one, two) = (plain(numbers.0), plain(numbers.1));
        let order = one.len().cmp(&two.len()).then(one.cmp(&two));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The runs of such letters at the beginnings of both, and what follows each.
fn split_off<'a>(
    left: &'a str,
    right: &'a str,
    belongs: impl Fn(char) -> bool + Copy,
) -> ((&'a str, &'a str), &'a str, &'a str) {
    let cut =
        |text: &'a str| text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()));
    let ((one, left), (two, right)) = (cut(left), cut(right));
    ((one, two), left, right)
}

fn weight(word: &str, index: usize) -> i32 {
    match word.as_bytes().get(index) {
        None => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => 256 + i32::from(*other),
    }
}

/// Which versions a relation means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    Any,
    Before,
    AtMost,
    Equal,
    AtLeast,
    After,
}

/// How they are written.
const SIGNS: &[(&str, Order)] = &[
    ("<<", Order::Before),
    ("<=", Order::AtMost),
    (">=", Order::AtLeast),
    (">>", Order::After),
    ("=", Order::Equal),
];

/// A package and some of its versions: `NAME` or `NAME (SIGN VERSION)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// The package.
    pub name: String,
    /// Which versions of it.
    pub order: Order,
    pub version: String,
}

impl Relation {
    /// A relation to some versions of a package.
    pub fn new(name: &str, order: Order, version: &str) -> Relation {
        Relation {
            name: name.to_string(),
            order,
            version: version.to_string(),
        }
    }

    /// Reads one.
    pub fn parse(text: &str) -> Result<Relation> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        if rest.is_empty() {
            return Ok(Relation::new(name, Order::Any, ""));
        }
        let inner = rest
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        let parts = SIGNS
            .iter()
            .find_map(|(sign, order)| Some((*order, inner?.strip_prefix(sign)?.trim())));
        match parts {
            Some((order, version)) if !version.is_empty() => {
                Ok(Relation::new(name, order, version))
            }
            _ => fail(format!("'{text}' is no relation of packages")),
        }
    }

    /// Reads a list of them, parted by commas.
    pub fn parse_list(text: &str) -> Result<Vec<Relation>> {
        let parts = text.split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(Relation::parse)
            .collect()
    }

    /// Whether it means this version.
    pub fn admits(&self, version: &str) -> bool {
        let order = compare(version, &self.version);
        match self.order {
            Order::Any => true,
            Order::Before => order.is_lt(),
            Order::AtMost => order.is_le(),
            Order::Equal => order.is_eq(),
            Order::AtLeast => order.is_ge(),
            Order::After => order.is_gt(),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match SIGNS.iter().find(|(_, order)| *order == self.order) {
            Some((sign, _)) => write!(out, "{} ({sign} {})", self.name, self.version),
            None => out.write_str(&self.name),
        }
    }
}

/// Relations as a control paragraph lists them.
pub fn list(relations: &[Relation]) -> String {
    let texts: Vec<String> = relations.iter().map(Relation::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_opkg_does() {
        let ordered = [
            "1.0~rc1", "1.0", "1.0-1", "1.0-2", "1.0-10", "1.0-r1", "1.0-r2", "1.0-r10", "1.0a",
            "1.0.1", "1.2", "1.10", "4.1.4-1", "4.1.4-r1", "5.0.0-1", "5.0.0-99", "5.0.0-r1",
            "5.0.1-r1", "1:0.1",
        ];
        for (index, low) in ordered.iter().enumerate() {
            assert_eq!(compare(low, low), Ordering::Equal);
            for high in &ordered[index + 1..] {
                assert_eq!(compare(low, high), Ordering::Less, "{low} {high}");
                assert_eq!(compare(high, low), Ordering::Greater, "{high} {low}");
            }
        }
        assert_eq!(compare("1.01", "1.1"), Ordering::Equal);
    }

    #[test]
    fn relations_are_read_and_written() {
        let text = "libc, a (>= 5.0.0-r1), b (<< 2), c (= 1), d (<= 1), e (>> 1)";
        let relations = Relation::parse_list(text).unwrap();
        assert_eq!(list(&relations), text);
        assert!(relations[0].admits("0"));
        assert!(relations[1].admits("5.0.0-r1") && !relations[1].admits("5.0.0-1"));
        assert!(relations[2].admits("1.9-r3") && !relations[2].admits("2"));
        assert!(relations[3].admits("1") && !relations[3].admits("1-1"));
        assert!(relations[4].admits("1") && !relations[4].admits("1.1"));
        assert!(relations[5].admits("1.1") && !relations[5].admits("1"));
    }

    #[test]
    fn broken_relations_are_refused() {
        for text in ["a (", "a (>= )", "a (1)", "a >= 1", "a (>= 1"] {
            assert!(Relation::parse(text).is_err(), "{text}");
        }
    }
}
