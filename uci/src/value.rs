//! What an option holds: one value, or a list of them.
//!
//! Values are bytes: files may hold text of any encoding, and what was read is written back as it was.

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of `option name 'value'`.
    Single(Box<[u8]>),
    /// Of `list name 'item'` lines. A list that edits have emptied is not written, so it is gone after the next load.
    List(Vec<Box<[u8]>>),
}

impl Value {
    /// The value, or nothing if this is a list.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Single(value) => Some(value),
            Value::List(_) => None,
        }
    }

    /// The value as text, or nothing if this is a list or not UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        matches!(self, Value::List(_))
    }

    /// The items of a list; a single value counts as one item.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let items = match self {
            Value::Single(value) => std::slice::from_ref(value),
            Value::List(items) => items,
        };
        items.iter().map(|item| &**item)
    }

    /// Adds an item; a single value becomes the first item of a list.
    pub(crate) fn push(&mut self, item: &[u8]) {
        if let Value::Single(value) = self {
            *self = Value::List(vec![std::mem::take(value)]);
        }
        if let Value::List(items) = self {
            items.push(item.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let mut value = Value::Single((*b"a").into());
        assert_eq!((value.as_str(), value.is_list()), (Some("a"), false));
        assert_eq!(value.items().collect::<Vec<_>>(), [b"a"]);
        value.push(b"\xff");
        assert_eq!((value.as_bytes(), value.as_str()), (None, None));
        assert!(value.is_list());
        assert_eq!(value.items().collect::<Vec<_>>(), [b"a", b"\xff"]);
        assert_eq!(Value::Single((*b"\xff").into()).as_str(), None);
    }
}
