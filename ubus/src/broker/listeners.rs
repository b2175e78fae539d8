//! Who hears which events: an index of patterns, asked without looking at those that do not match.

use std::collections::BTreeMap;
use std::ops::Bound;

/// For each pattern the objects in the order of their coming.
type Index = BTreeMap<Vec<u8>, BTreeMap<u64, u32>>;

/// Patterns and the objects that wait for them. A final `*` stands for anything.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    exact: Index,
    prefixes: Index,
}

impl Listeners {
    /// Adds an object under a number that no other has under this pattern.
    pub fn insert(&mut self, pattern: &[u8], serial: u64, object: u32) {
        let (index, key) = self.place(pattern);
        let objects = index.entry(key.to_vec()).or_default();
        objects.insert(serial, object);
    }

    pub fn remove(&mut self, pattern: &[u8], serial: u64) {
        let (index, key) = self.place(pattern);
        if let Some(objects) = index.get_mut(key) {
            objects.remove(&serial);
            if objects.is_empty() {
                index.remove(key);
            }
        }
    }

    /// The objects that wait for an event, each once: those with the shortest patterns first, then those that came first.
    pub fn matching(&self, name: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        let mut add = |length: usize, objects: &BTreeMap<u64, u32>| {
            let all = objects.iter();
            found.extend(all.map(|(serial, object)| (*object, length, *serial)));
        };
        if let Some(objects) = self.exact.get(name) {
            add(name.len(), objects);
        }
        // All keys between a prefix of the name and the name start with that prefix, so the nearest key below either is one, or
        // shows how long the next one is at most.
        let mut left = Some(name);
        while let Some(upper) = left {
            let Some((key, objects)) = self
                .prefixes
                .range::<[u8], _>((Bound::Unbounded, Bound::Included(upper)))
                .next_back()
            else {
                break;
            };
            left = if upper.starts_with(key) {
                add(key.len(), objects);
                key.len()
                    .checked_sub(1)
                    .and_then(|length| upper.get(..length))
            } else {
                let common = key
                    .iter()
                    .zip(upper)
                    .take_while(|(one, other)| one == other);
                upper.get(..common.count())
            };
        }
        found.sort_unstable();
        found.dedup_by_key(|(object, ..)| *object);
        found.sort_unstable_by_key(|(_, length, serial)| (*length, *serial));
        found.into_iter().map(|(object, ..)| object).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    fn place<'p>(&mut self, pattern: &'p [u8]) -> (&mut Index, &'p [u8]) {
        match pattern.split_last() {
            Some((b'*', prefix)) => (&mut self.prefixes, prefix),
            _ => (&mut self.exact, pattern),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_by_name_or_by_prefix() {
        let mut listeners = Listeners::default();
        let patterns = [
            "a", "a*", "ab*", "*", "abd*", "ab", "b*", "abcd*", "a*b", "abc*",
        ];
        for (object, pattern) in (1..).zip(patterns) {
            listeners.insert(pattern.as_bytes(), object.into(), object);
        }
        let matching = |name: &str| listeners.matching(name.as_bytes());
        assert_eq!(matching("a"), [4, 1, 2]);
        assert_eq!(matching("ab"), [4, 2, 3, 6]);
        assert_eq!(matching("abce"), [4, 2, 3, 10]);
        assert_eq!(matching("abz"), [4, 2, 3]);
        assert_eq!(matching("abda"), [4, 2, 3, 5]);
        assert_eq!(matching("a*b"), [4, 2, 9]);
        assert_eq!(matching(""), [4]);
        assert_eq!(matching("c"), [4]);
        for (serial, pattern) in (1..).zip(patterns) {
            listeners.remove(pattern.as_bytes(), serial);
        }
        assert!(listeners.is_empty());
        assert!(listeners.matching(b"a").is_empty());
    }

    #[test]
    fn an_object_with_several_patterns_is_found_once() {
        let mut listeners = Listeners::default();
        for (serial, pattern, object) in [(1, "ab*", 7), (2, "*", 8), (3, "a*", 7), (4, "a*", 9)] {
            listeners.insert(pattern.as_bytes(), serial, object);
        }
        assert_eq!(listeners.matching(b"abc"), [8, 7, 9]);
        assert_eq!(listeners.matching(b"b"), [8]);
    }

    #[test]
    fn the_index_agrees_with_a_plain_search() {
        // All words of up to four letters of a small alphabet, every third one a pattern.
        let mut words = vec![Vec::new()];
        for at in 0..40 {
            for letter in *b"ab\xff" {
                let mut word: Vec<u8> = words.get(at).cloned().unwrap();
                word.push(letter);
                words.push(word);
            }
        }
        let mut listeners = Listeners::default();
        let chosen: Vec<(u32, &Vec<u8>)> =
            (0..).zip(&words).filter(|(at, _)| at % 3 == 0).collect();
        for (object, prefix) in &chosen {
            let pattern = [prefix.as_slice(), b"*"].concat();
            listeners.insert(&pattern, (*object).into(), *object);
        }
        for name in &words {
            let plain = chosen.iter().filter(|(_, prefix)| name.starts_with(prefix));
            let mut plain: Vec<_> = plain.collect();
            plain.sort_by_key(|(_, prefix)| prefix.len());
            let plain: Vec<u32> = plain.into_iter().map(|(object, _)| *object).collect();
            assert_eq!(listeners.matching(name), plain, "{name:?}");
        }
    }
}
