//! An ordered list whose members are found by name in constant time, however many there are.
//!
//! Members keep their handle when others come, go or move. Of several members of one name the first in order is found.

use std::num::NonZeroU32;

/// What a member is called.
pub(crate) trait Named {
    fn name(&self) -> &str;
}

/// A member's handle. It stays valid until the member is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(NonZeroU32);

impl Id {
    /// The handle of the slot at an index. A list cannot reach 2^32 members: a file of them would not fit into memory.
    fn of(index: usize) -> Id {
        Id(NonZeroU32::MIN.saturating_add(index as u32))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Below this number of members walking is faster than hashing.
const SMALL: usize = 8;

/// The list.
#[derive(Clone)]
pub(crate) struct Sequence<T> {
    slots: Vec<Option<T>>,
    order: Order,
}

impl<T: Named> Sequence<T> {
    pub fn new() -> Sequence<T> {
        Sequence {
            slots: Vec::new(),
            order: Order::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.order.count
    }

    /// Appends a member.
    pub fn push(&mut self, member: T) -> Id {
        let id = self.order.append(hash(member.name()));
        match self.slots.get_mut(id.index()) {
            Some(slot) => *slot = Some(member),
            None => self.slots.push(Some(member)),
        }
        id
    }

    pub fn get(&self, id: Id) -> Option<&T> {
        self.slots.get(id.index())?.as_ref()
    }

    /// For changes that leave the name alone; see `rename`.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// The first member of this name.
    pub fn find(&self, name: &str) -> Option<Id> {
        self.order.find(hash(name), &|id| {
            self.get(id).is_some_and(|member| member.name() == name)
        })
    }

    /// The member with a handle that has just been found.
    pub fn at(&mut self, id: Id) -> &mut T {
        self.get_mut(id).expect("a member that was found")
    }

    pub fn remove(&mut self, id: Id) -> Option<T> {
        let member = self.slots.get_mut(id.index())?.take()?;
        self.order.remove(id);
        Some(member)
    }

    /// Lets `change` change a member, its name included.
    pub fn rename(&mut self, id: Id, change: impl FnOnce(&mut T)) {
        if let Some(member) = self.get_mut(id) {
            change(member);
            let hash = hash(member.name());
            self.order.rehash(id, hash);
        }
    }

    /// Moves a member to a position, counted without the member; too large means last.
    pub fn move_to(&mut self, id: Id, position: usize) {
        self.order.unlink(id);
        let next = self.order.iter().nth(position);
        self.order.link_before(id, next);
    }

    pub fn position(&self, id: Id) -> Option<usize> {
        self.order.iter().position(|other| other == id)
    }

    pub fn ids(&self) -> impl DoubleEndedIterator<Item = Id> + '_ {
        self.order.iter()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order.iter().filter_map(|id| self.get(id))
    }
}

impl<T: Named + PartialEq> PartialEq for Sequence<T> {
    fn eq(&self, other: &Sequence<T>) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// FNV-1a.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Where a member stands: between its neighbours, and in the chain of its bucket.
#[derive(Clone, Copy, Default)]
struct Links {
    previous: Option<Id>,
    next: Option<Id>,
    chained: Option<Id>,
    hash: u32,
}

/// The order and the index of a list, whatever its members are.
#[derive(Clone, Default)]
struct Order {
    links: Vec<Links>,
    first: Option<Id>,
    last: Option<Id>,
    /// Slots of removed members, linked by `next`.
    free: Option<Id>,
    count: usize,
    /// The heads of the chains; none while the list is small.
    buckets: Vec<Option<Id>>,
}

impl Order {
    fn links(&self, id: Id) -> Links {
        self.links.get(id.index()).copied().unwrap_or_default()
    }

    /// The first member in order that has this hash and is the right one.
    fn find(&self, hash: u32, is_right: &dyn Fn(Id) -> bool) -> Option<Id> {
        let matches = |id: &Id| self.links(*id).hash == hash && is_right(*id);
        if self.buckets.is_empty() {
            return self.iter().find(matches);
        }
        let mut right = self.chain(hash).filter(matches);
        let found = right.next()?;
        match right.next() {
            None => Some(found),
            Some(_) => self.iter().find(matches),
        }
    }

    fn append(&mut self, hash: u32) -> Id {
        let id = match self.free {
            Some(id) => {
                self.free = self.links(id).next;
                id
            }
            None => {
                self.links.push(Links::default());
                Id::of(self.links.len() - 1)
            }
        };
        self.links[id.index()].hash = hash;
        self.link_before(id, None);
        self.count += 1;
        if self.count > SMALL.max(self.buckets.len()) {
            self.build_index();
        } else {
            self.enter(id);
        }
        id
    }

    fn remove(&mut self, id: Id) {
        self.leave(id);
        self.unlink(id);
        self.count -= 1;
        self.links[id.index()].next = self.free;
        self.free = Some(id);
    }

    fn rehash(&mut self, id: Id, hash: u32) {
        self.leave(id);
        self.links[id.index()].hash = hash;
        self.enter(id);
    }

    fn unlink(&mut self, id: Id) {
        let Links { previous, next, .. } = self.links(id);
        *self.next_of(previous) = next;
        *self.previous_of(next) = previous;
    }

    fn link_before(&mut self, id: Id, next: Option<Id>) {
        let previous = *self.previous_of(next);
        *self.next_of(previous) = Some(id);
        *self.previous_of(next) = Some(id);
        let links = &mut self.links[id.index()];
        links.previous = previous;
        links.next = next;
    }

    /// What follows a member, or the head of the list.
    fn next_of(&mut self, id: Option<Id>) -> &mut Option<Id> {
        match id {
            Some(id) => &mut self.links[id.index()].next,
            None => &mut self.first,
        }
    }

    /// What stands before a member, or before the end of the list.
    fn previous_of(&mut self, id: Option<Id>) -> &mut Option<Id> {
        match id {
            Some(id) => &mut self.links[id.index()].previous,
            None => &mut self.last,
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn enter(&mut self, id: Id) {
        if !self.buckets.is_empty() {
            let bucket = self.bucket(self.links(id).hash);
            self.links[id.index()].chained = self.buckets[bucket].replace(id);
        }
    }

    fn leave(&mut self, id: Id) {
        if self.buckets.is_empty() {
            return;
        }
        let Links { chained, hash, .. } = self.links(id);
        let before = self
            .chain(hash)
            .find(|other| self.links(*other).chained == Some(id));
        match before {
            Some(before) => self.links[before.index()].chained = chained,
            None => {
                let bucket = self.bucket(hash);
                self.buckets[bucket] = chained;
            }
        }
    }

    fn build_index(&mut self) {
        let size = (self.count * 2).next_power_of_two();
        self.buckets = vec![None; size];
        let mut at = self.first;
        while let Some(id) = at {
            self.enter(id);
            at = self.links(id).next;
        }
    }

    /// All members whose hash falls into the same bucket.
    fn chain(&self, hash: u32) -> impl Iterator<Item = Id> + '_ {
        std::iter::successors(self.buckets[self.bucket(hash)], |id| {
            self.links(*id).chained
        })
    }

    fn iter(&self) -> Walk<'_> {
        Walk {
            order: self,
            front: self.first,
            back: self.last,
            left: self.count,
        }
    }
}

/// The handles in order.
struct Walk<'a> {
    order: &'a Order,
    front: Option<Id>,
    back: Option<Id>,
    left: usize,
}

impl Iterator for Walk<'_> {
    type Item = Id;

    fn next(&mut self) -> Option<Id> {
        self.left = self.left.checked_sub(1)?;
        let id = self.front?;
        self.front = self.order.links(id).next;
        Some(id)
    }
}

impl DoubleEndedIterator for Walk<'_> {
    fn next_back(&mut self) -> Option<Id> {
        self.left = self.left.checked_sub(1)?;
        let id = self.back?;
        self.back = self.order.links(id).previous;
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for String {
        fn name(&self) -> &str {
            self
        }
    }

    fn names(sequence: &Sequence<String>) -> Vec<&str> {
        let forward: Vec<&str> = sequence.iter().map(String::as_str).collect();
        let mut backward: Vec<&str> = sequence.iter().rev().map(String::as_str).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        assert_eq!(forward.len(), sequence.len());
        forward
    }

    fn sequence(names: &[&str]) -> Sequence<String> {
        let mut sequence = Sequence::new();
        for name in names {
            sequence.push(name.to_string());
        }
        sequence
    }

    #[test]
    fn small_lists_keep_their_order() {
        let mut list = sequence(&["a", "b", "c", "d"]);
        let b = list.find("b").unwrap();
        list.move_to(b, 0);
        assert_eq!(names(&list), ["b", "a", "c", "d"]);
        list.move_to(b, 2);
        assert_eq!(names(&list), ["a", "c", "b", "d"]);
        list.move_to(b, 99);
        assert_eq!(names(&list), ["a", "c", "d", "b"]);
        assert_eq!(list.position(b), Some(3));
        assert_eq!(list.remove(b).as_deref(), Some("b"));
        assert!(list.get(b).is_none() && list.find("b").is_none());
        assert!(list.remove(b).is_none());
        list.push("e".into());
        assert_eq!(names(&list), ["a", "c", "d", "e"]);
        assert_eq!(list.ids().next_back(), list.find("e"));
    }

    #[test]
    fn the_first_of_a_name_is_found() {
        for fill in [0, 100] {
            let mut list = sequence(&["x", "y", "x"]);
            for number in 0..fill {
                list.push(number.to_string());
            }
            let first = list.find("x").unwrap();
            assert_eq!(list.position(first), Some(0));
            list.move_to(first, 9);
            let second = list.find("x").unwrap();
            assert_ne!(first, second);
            assert_eq!(list.position(second), Some(1));
            list.remove(second);
            assert_eq!(list.find("x"), Some(first));
        }
    }

    /// Random changes, the same on a plain vector.
    #[test]
    fn agrees_with_a_vector() {
        let (mut list, mut model) = (Sequence::<String>::new(), Vec::<String>::new());
        let mut state = 1u32;
        let mut random = move |limit: usize| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as usize % limit
        };
        for step in 0..6000 {
            let name = format!("n{}", random(200));
            let at = model.iter().position(|other| *other == name);
            let id = list.find(&name);
            assert_eq!(id.and_then(|id| list.position(id)), at, "step {step}");
            match (random(4), id, at) {
                (0, Some(id), Some(at)) => {
                    list.remove(id);
                    model.remove(at);
                }
                (1, Some(id), Some(at)) => {
                    let to = random(model.len() + 2);
                    list.move_to(id, to);
                    let member = model.remove(at);
                    model.insert(to.min(model.len()), member);
                }
                (2, Some(id), Some(at)) => {
                    let new = format!("n{}", random(200));
                    list.rename(id, |member| *member = new.clone());
                    model[at] = new;
                }
                _ => {
                    list.push(name.clone());
                    model.push(name);
                }
            }
            assert_eq!(names(&list), model, "step {step}");
        }
    }
}
