//! `eco.hash.argon2`: passwords by Argon2id (RFC 9106), worked on by the pool, kept as PHC strings.
#![allow(unsafe_code)]

use std::ffi::{c_void, CStr};
use std::sync::{Arc, OnceLock};

use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::abi::{offload, Core, Offloaded, Step};
use crate::base64;
use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::system::random;

const SALT: usize = 16;
const HASH: usize = 32;
/// What a hash of others may have of each.
const LONGEST: usize = 64;
/// KiB and passes that a hash of others may cost.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 1000;

/// A hash's cost and salt, and how long it is.
#[derive(Clone, Copy)]
struct Recipe {
    memory: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; LONGEST],
    salt_length: usize,
    length: usize,
}

/// A password to be hashed, and then the hash.
struct Job {
    password: Vec<u8>,
    recipe: Recipe,
    /// What it is compared with; None has a string made of it.
    expected: Option<[u8; LONGEST]>,
    result: OnceLock<Result<[u8; LONGEST], &'static str>>,
}

impl Job {
    fn work(&self) -> Result<[u8; LONGEST], &'static str> {
        let recipe = &self.recipe;
        let params = Params::new(
            recipe.memory,
            recipe.passes,
            recipe.lanes,
            Some(recipe.length),
        )
        .or(Err("bad parameters"))?;
        let count = params.block_count();
        let mut blocks = Vec::<Block>::new();
        blocks
            .try_reserve_exact(count)
            .or(Err("not enough memory"))?;
        blocks.resize(count, Block::new());
        let mut hash = [0; LONGEST];
        let out = hash.get_mut(..recipe.length).unwrap_or_default();
        let salt = recipe.salt.get(..recipe.salt_length).unwrap_or_default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(&self.password, salt, out, &mut blocks)
            .or(Err("bad parameters"))?;
        Ok(hash)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        for byte in &mut self.password {
            // SAFETY: a byte of ours; the write is not left out because nothing reads it.
            unsafe { std::ptr::write_volatile(byte, 0) };
        }
    }
}

impl Offloaded for Arc<Job> {
    const NAME: &'static CStr = c"eco_argon2_job";

    fn finish(&self, lua: Lua) -> Step {
        match (self.result.get(), &self.expected) {
            (None, _) => Step::Pending,
            (Some(Err(message)), _) => {
                lua.push_nil();
                lua.push_str(message);
                Step::Done(2)
            }
            (Some(Ok(hash)), Some(expected)) => {
                // As long for every hash.
                let differs = hash
                    .iter()
                    .zip(expected)
                    .fold(0, |all, (a, b)| all | (a ^ b));
                lua.push_bool(differs == 0);
                Step::Done(1)
            }
            (Some(Ok(hash)), None) => {
                push_string(lua, &self.recipe, hash);
                Step::Done(1)
            }
        }
    }
}

unsafe extern "C" fn run(job: *mut c_void) {
    // SAFETY: `begin` gave a counted reference, which is not released yet.
    let job = unsafe { &*job.cast::<Job>() };
    let _ = job.result.set(job.work());
}

unsafe extern "C" fn release(job: *mut c_void) {
    // SAFETY: as above; nobody uses it any more.
    drop(unsafe { Arc::from_raw(job.cast::<Job>()) });
}

/// Hashes argument 1. May raise.
fn begin(lua: Lua, recipe: &Recipe, expected: Option<[u8; LONGEST]>) -> Outcome {
    let make = || {
        let mut password = Vec::new();
        let given = lua.bytes(1).unwrap_or_default();
        if password.try_reserve_exact(given.len()).is_err() {
            return Err(lua.out_of_memory());
        }
        password.extend_from_slice(given);
        let job = Arc::new(Job {
            password,
            recipe: *recipe,
            expected,
            result: OnceLock::new(),
        });
        let shared = Arc::into_raw(Arc::clone(&job)).cast_mut().cast();
        Ok((job, shared))
    };
    // SAFETY: the job is made for other threads, and holds itself until it is released.
    unsafe { offload(lua, make, run, release) }
}

/// Field `name` of the options, argument 2.
fn option(lua: Lua, name: &'static CStr, default: u32, low: u32, high: u32) -> Result<u32, Error> {
    if lua.is_none_or_nil(2) {
        return Ok(default);
    }
    lua.get_field(2, name);
    let value = lua.to_integer(-1);
    let absent = lua.is_none_or_nil(-1);
    lua.pop(1);
    if absent {
        return Ok(default);
    }
    value
        .and_then(|value| u32::try_from(value).ok())
        .filter(|value| (low..=high).contains(value))
        .ok_or_else(|| Error::argument(2, "option out of range"))
}

/// `hash(password [, options])` -> PHC string.
fn hash(lua: Lua) -> Outcome {
    lua.string(1)?;
    if !lua.is_none_or_nil(2) {
        lua.expect(2, ffi::LUA_TTABLE)?;
        lua.expect_options(2, "lanes memory passes");
    }
    let lanes = option(lua, c"lanes", 1, 1, 64)?;
    let mut recipe = Recipe {
        memory: option(lua, c"memory", 65536, 8 * lanes, MOST_MEMORY)?,
        passes: option(lua, c"passes", 2, 1, MOST_PASSES)?,
        lanes,
        salt: [0; LONGEST],
        salt_length: SALT,
        length: HASH,
    };
    if !random::secure(&mut recipe.salt[..SALT]) {
        return lua.fail("no random bytes");
    }
    begin(lua, &recipe, None)
}

/// `verify(password, string)` -> whether it is that password's.
fn verify(lua: Lua) -> Outcome {
    lua.string(1)?;
    match parse(lua.string(2)?) {
        Some((recipe, expected)) => begin(lua, &recipe, Some(expected)),
        None => {
            let failed = lua.fail("not a hash of Argon2id")?;
            Core::of(lua).settle(lua, failed)
        }
    }
}

/// The parts of a PHC string of Argon2id, version 19.
fn parse(text: &[u8]) -> Option<(Recipe, [u8; LONGEST])> {
    let mut parts = text
        .strip_prefix(b"$argon2id$v=19$")?
        .split(|&byte| byte == b'$');
    let mut costs = parts.next()?.split(|&byte| byte == b',');
    let mut cost = |name: &[u8], most: u32| {
        let digits = costs.next()?.strip_prefix(name)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|&value| plain && value <= most)
    };
    let (memory, passes, lanes) = (
        cost(b"m=", MOST_MEMORY)?,
        cost(b"t=", MOST_PASSES)?,
        cost(b"p=", 64)?,
    );
    let (salt, salt_length) = decode(parts.next()?)?;
    let (hash, length) = decode(parts.next()?)?;
    if parts.next().is_some() || costs.next().is_some() || salt_length < 8 || length < 16 {
        return None;
    }
    let recipe = Recipe {
        memory,
        passes,
        lanes,
        salt,
        salt_length,
        length,
    };
    Some((recipe, hash))
}

/// What Base64 without padding stands for, and how long that is.
fn decode(text: &[u8]) -> Option<([u8; LONGEST], usize)> {
    let mut bytes = [0; LONGEST];
    let length = text.len() * 3 / 4;
    let whole = text.len() % 4 != 1 && !text.contains(&b'=');
    (whole && base64::decode(text, bytes.get_mut(..length)?)).then_some((bytes, length))
}

/// Pushes the PHC string. May raise.
fn push_string(lua: Lua, recipe: &Recipe, hash: &[u8; LONGEST]) {
    lua.push_str("$argon2id$v=19$m=");
    lua.push_integer(recipe.memory.into());
    lua.push_str(",t=");
    lua.push_integer(recipe.passes.into());
    lua.push_str(",p=");
    lua.push_integer(recipe.lanes.into());
    for bytes in [&recipe.salt[..SALT], &hash[..HASH]] {
        let mut text = [0; LONGEST * 2];
        base64::encode(bytes, &mut text);
        lua.push_str("$");
        lua.push_bytes(
            text.get(..(bytes.len() * 4).div_ceil(3))
                .unwrap_or_default(),
        );
    }
    lua.concat(10);
}

const FUNCTIONS: Functions = functions! { hash: function(hash), verify: function(verify) };

/// Opens `eco.hash.argon2`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.hash.argon2")?;
    lua.push_module(FUNCTIONS, core.pointer());
    Ok(Returns(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_strictly() {
        let salt = "c2FsdHNhbHQ";
        let hash = "AAAAAAAAAAAAAAAAAAAAAA";
        let good = format!("$argon2id$v=19$m=65536,t=2,p=1${salt}${hash}");
        let (recipe, expected) = parse(good.as_bytes()).unwrap();
        assert_eq!((recipe.memory, recipe.passes, recipe.lanes), (65536, 2, 1));
        assert_eq!(&recipe.salt[..recipe.salt_length], b"saltsalt");
        assert_eq!((recipe.length, expected), (16, [0; LONGEST]));
        for bad in [
            String::new(),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("m=65536", "m=+5536"),
            good.replace("m=65536", "m=4294967296"),
            good.replace("m=65536", "m=1048577"),
            good.replace("t=2", "t=1001"),
            good.replace("p=1", "p=65"),
            good.replace("p=1", "p=1,x=2"),
            good.replace(salt, "c2Fs"),
            good.replace(salt, "c2FsdHNhb"),
            good.replace(salt, "c2FsdHNhb!Q"),
            good.replace(salt, &"A".repeat(87)),
            good.replace(hash, "AAAA"),
            format!("{good}="),
            format!("{good}$"),
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn salt_and_cost_matter() {
        let mut recipe = Recipe {
            memory: 32,
            passes: 3,
            lanes: 4,
            salt: [2; LONGEST],
            salt_length: 16,
            length: 32,
        };
        let hash = |recipe: Recipe| {
            let job = Job {
                password: vec![1; 32],
                recipe,
                expected: None,
                result: OnceLock::new(),
            };
            job.work().map(|hash| hash[..4].to_vec())
        };
        let first = hash(recipe).unwrap();
        recipe.salt[0] = 3;
        assert_ne!(hash(recipe).unwrap(), first);
        recipe.memory = 1;
        assert_eq!(hash(recipe), Err("bad parameters"));
    }
}
