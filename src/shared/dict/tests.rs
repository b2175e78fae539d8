//! Against a plain map, and with an end after every change of the memory.

use super::*;
use std::collections::HashMap;

/// Values of a model: what a value is, its bytes, when it expires.
type Model = HashMap<Vec<u8>, (Kind, Vec<u8>, i64)>;

fn memory(size: u32) -> (Map, Geometry) {
    let geometry = Geometry::new(size);
    let map = Map::empty();
    map.open(-1, geometry.length() as usize).unwrap();
    geometry.write(&map).unwrap();
    assert_eq!(Geometry::read(&map), Ok(geometry));
    (map, geometry)
}

fn dict<'a>(map: &'a Map, geometry: Geometry) -> Dict<'a> {
    Dict::new(map, geometry, &|_| true)
}

fn value(dict: &Dict, key: &[u8], now: i64) -> Option<(Kind, Vec<u8>, i64)> {
    let record = dict.get(key, now)?;
    let mut bytes = vec![0; record.value as usize];
    dict.value(&record, &mut bytes).unwrap();
    Some((record.kind().unwrap(), bytes, record.expiry))
}

/// All that is there, by both ways to it.
fn contents(dict: &Dict, now: i64) -> Model {
    let mut keys = Vec::new();
    dict.each(now, &mut |record| {
        let mut key = vec![0; record.key as usize];
        dict.key(record, &mut key).unwrap();
        keys.push(key);
    });
    let count = keys.len();
    let all: Model = keys
        .into_iter()
        .map(|key| (key.clone(), value(dict, &key, now).unwrap()))
        .collect();
    assert_eq!(all.len(), count, "a key twice");
    all
}

/// Numbers that look random, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// One call at random; what the model is afterwards, if it is done.
fn step(dict: &Dict, model: &Model, random: &mut Random, now: i64) -> Model {
    let mut after = model.clone();
    let key = vec![b'a' + random.below(12) as u8; 1 + random.below(3) as usize * 40];
    let expiry = if random.below(3) == 0 {
        now + random.below(20) as i64
    } else {
        0
    };
    let exists = model.contains_key(&key);
    match random.below(10) {
        0 | 1 => {
            assert_eq!(dict.remove(&key, now), exists);
            after.remove(&key);
        }
        2 => {
            assert_eq!(dict.expire(&key, expiry, now), exists);
            if let Some(entry) = after.get_mut(&key) {
                entry.2 = expiry;
            }
        }
        3 if random.below(20) == 0 => {
            dict.clear();
            after.clear();
        }
        choice => {
            let (kind, bytes) = match choice {
                3 | 4 => (Kind::Integer, random.below(1 << 30).to_ne_bytes().to_vec()),
                5 => (Kind::Boolean, vec![1]),
                _ => (
                    Kind::String,
                    vec![random.below(256) as u8; random.below(90) as usize],
                ),
            };
            if dict.set(&key, kind, &bytes, expiry, now).is_ok() {
                after.insert(key, (kind, bytes, expiry));
            }
        }
    }
    after
}

fn expired(model: &mut Model, now: i64) {
    model.retain(|_, entry| entry.2 == 0 || now <= entry.2);
}

#[test]
fn agrees_with_a_plain_map() {
    for size in [60, 500, 2000, 20_000] {
        let (map, geometry) = memory(size);
        let (mut model, mut random) = (Model::new(), Random(size.into()));
        for now in 1..4000 {
            let dict = dict(&map, geometry);
            expired(&mut model, now);
            model = step(&dict, &model, &mut random, now);
            if now % 16 == 0 {
                assert_eq!(contents(&dict, now), model);
            }
        }
    }
}

/// Wherever a process ends, the next one finds what was before or what was to be.
#[test]
fn an_end_at_any_change_loses_nothing() {
    for size in [300, 900] {
        let (map, geometry) = memory(size);
        let (mut model, mut random) = (Model::new(), Random(7));
        let mut ended = 0;
        for now in 1..3000 {
            expired(&mut model, now);
            let mut whole = vec![0; map.len()];
            map.read(0, &mut whole).unwrap();
            let seed = random.0;
            let left = random.below(40) as usize;
            let mut own = Random(seed);
            // What a call that is cut off answers is of no account.
            map.changes_left.set(left);
            let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                step(&dict(&map, geometry), &model, &mut own, now)
            }));
            let was_cut = map.changes_left.get() == 0;
            map.changes_left.set(usize::MAX);
            let found = contents(&dict(&map, geometry), now);
            if was_cut {
                ended += 1;
                map.write(0, &whole).unwrap();
                let after = step(&dict(&map, geometry), &model, &mut Random(seed), now);
                assert!(found == model || found == after, "{now}: {left}");
                model = after;
            } else {
                model = cut.unwrap();
                assert_eq!(found, model);
            }
            random.below(1);
        }
        assert!(ended > 300, "{ended}");
    }
}

#[test]
fn space_is_counted_by_the_byte() {
    let (map, geometry) = memory(100);
    let dict = dict(&map, geometry);
    let set = |key: &[u8], length: usize| dict.set(key, Kind::String, &vec![b'x'; length], 0, 1);
    assert_eq!(set(b"key", 100 - 24 - 3 + 1), Err(NoMemory));
    assert_eq!(set(b"key", 100 - 24 - 3), Ok(()));
    assert_eq!(set(b"a", 0), Err(NoMemory));
    // The old one counts while the new one is made.
    assert_eq!(set(b"key", 1), Err(NoMemory));
    assert_eq!(value(&dict, b"key", 1).unwrap().1.len(), 73);
    assert!(dict.remove(b"key", 1));
    assert_eq!(set(b"a", 25), Ok(()));
    assert_eq!(set(b"b", 25), Ok(()));
    // A number is replaced where it is.
    dict.clear();
    assert_eq!(set(b"fill", 100 - 28 - 33), Ok(()));
    for number in 0..10_u64 {
        assert_eq!(
            dict.set(b"n", Kind::Integer, &number.to_ne_bytes(), 0, 1),
            Ok(())
        );
    }
}

#[test]
fn memory_that_is_not_there() {
    let (map, geometry) = memory(1000);
    let dict = Dict::new(&map, geometry, &|up_to| up_to <= 100);
    assert_eq!(dict.set(b"a", Kind::String, &[0; 50], 0, 1), Ok(()));
    assert_eq!(dict.set(b"b", Kind::String, &[0; 50], 0, 1), Err(NoMemory));
    assert_eq!(contents(&dict, 1).len(), 1);
}

#[test]
fn geometries_are_checked() {
    for size in [1, 255, 2048, 1 << 20, u32::MAX] {
        assert!(Geometry::new(size).length() < 3 * u64::from(size) + 1000);
    }
    let (map, geometry) = memory(1000);
    for (at, value) in [(0, 0), (8, 999), (8, 0), (12, 0), (12, 3), (12, 1 << 20)] {
        let old = map.load(at).unwrap();
        map.store(at, value);
        assert_eq!(Geometry::read(&map), Err(crate::shared::Problem::NoHeader));
        map.store(at, old);
    }
    assert_eq!(Geometry::read(&map), Ok(geometry));
    for length in [1, 8, 15, 16, 71] {
        map.open(-1, length).unwrap();
        assert_eq!(Geometry::read(&map), Err(crate::shared::Problem::TooSmall));
    }
}

/// Any bytes behind the header: no access outside, no loop without end, and a
/// dictionary that works afterwards.
#[test]
fn corrupt_memory_is_put_right() {
    let mut random = Random(3);
    for round in 0..300 {
        let (map, geometry) = memory(700);
        let first = dict(&map, geometry);
        for key in 0..10_u8 {
            first
                .set(&[key + 1], Kind::String, &[key; 20], 0, 1)
                .unwrap();
        }
        for _ in 0..1 + round % 30 {
            let at = 16 + random.below(map.len() as u64 - 16) as usize;
            map.write(at, &[random.below(256) as u8]);
        }
        let second = dict(&map, geometry);
        for key in 0..12_u8 {
            let _ = second
                .get(&[key], 1)
                .map(|record| second.value(&record, &mut [0; 30]));
            let _ = second.remove(&[key], 1);
        }
        second.clear();
        assert_eq!(second.set(b"again", Kind::String, b"yes", 0, 1), Ok(()));
        assert_eq!(contents(&second, 1).len(), 1);
    }
}
