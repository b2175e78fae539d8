//! A shared dictionary: no bytes in the memory lead outside of it or into a loop
//! without end, and after `clear` it works.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::shared::{Dict, Geometry, Kind, Number};
use lua_eco::system::map::Map;

const SIZE: u32 = 600;

/// Calls as the input says: what to do, a key, a length.
fn calls(dict: &Dict, script: &[u8]) {
    for call in script.chunks_exact(3) {
        let key = [b'a' + (call[1] & 15), b'x', b'y'];
        let key = &key[..1 + usize::from(call[1] >> 7) * 2];
        let now = i64::from(call[2] & 7);
        let expiry = i64::from(call[2] >> 5);
        match call[0] % 8 {
            0 | 1 => {
                let value = [call[2]; 255];
                let value = &value[..usize::from(call[2])];
                if dict.set(key, Kind::String, value, expiry, now).is_ok() {
                    let record = dict.get(key, 0).expect("what was just set");
                    let mut copy = vec![0; record.value as usize];
                    dict.value(&record, &mut copy).expect("its value");
                    assert_eq!(copy, value);
                }
            }
            2 => {
                let _ = dict.set(key, Kind::Integer, &[call[2]; 8], expiry, now);
            }
            3 => {
                dict.remove(key, now);
                assert!(dict.get(key, 0).is_none());
            }
            4 => {
                if let Some(record) = dict.get(key, now) {
                    let _ = dict.replace(&record, Number::Float(1.5), expiry);
                }
            }
            5 => {
                dict.expire(key, expiry, now);
            }
            6 => {
                let mut total = 0;
                dict.each(now, &mut |record| {
                    total += u64::from(record.length());
                    let mut room = vec![0; record.key as usize];
                    dict.key(record, &mut room).expect("a key within the memory");
                });
                assert!(total <= u64::from(SIZE));
            }
            _ => dict.clear(),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&split, rest)) = input.split_first() else {
        return;
    };
    let geometry = Geometry::new(SIZE);
    let map = Map::empty();
    map.open(-1, geometry.length() as usize).expect("memory");
    let (bytes, script) = rest.split_at(rest.len().min(usize::from(split) * 4));
    // The whole, magic included, may be foreign.
    map.write(0, &bytes[..bytes.len().min(map.len())]).expect("within");
    let _ = Geometry::read(&map);
    geometry.write(&map).expect("a header");
    assert_eq!(Geometry::read(&map), Ok(geometry));
    calls(&Dict::new(&map, geometry, &|_| true), script);
    let dict = Dict::new(&map, geometry, &|_| true);
    dict.clear();
    assert!(dict.set(b"key", Kind::String, b"value", 0, 0).is_ok());
    calls(&dict, script);
});
