//! What proves a password: MD5 as the manual tells, and SCRAM-SHA-256 (RFC 5802,
//! RFC 7677) without channel binding.

use digest::Digest;
use md5::Md5;
use sha2::Sha256;

use super::message::Malformed;
use crate::base64;

const BLOCK: usize = 64;

/// A digest of SHA-256.
pub type Hash = [u8; 32];

/// HMAC (RFC 2104) with SHA-256.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    let mut block = [0; BLOCK];
    let hashed: Hash;
    let key = if key.len() > BLOCK {
        hashed = Sha256::digest(key).into();
        &hashed[..]
    } else {
        key
    };
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let pass = |pad: u8, parts: &[&[u8]]| -> Hash {
        let mut digest = Sha256::new();
        digest.update(block.map(|byte| byte ^ pad));
        for part in parts {
            digest.update(part);
        }
        digest.finalize().into()
    };
    let inner = pass(0x36, parts);
    pass(0x5c, &[&inner])
}

/// The text `md5…` for a salt.
pub fn md5(user: &[u8], password: &[u8], salt: &[u8]) -> [u8; 35] {
    let stored = hex(Md5::new().chain_update(password).chain_update(user));
    let salted = hex(Md5::new().chain_update(stored).chain_update(salt));
    let mut text = *b"md5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    text[3..].copy_from_slice(&salted);
    text
}

fn hex(digest: Md5) -> [u8; 32] {
    let mut text = [0; 32];
    for (place, byte) in text.chunks_exact_mut(2).zip(digest.finalize()) {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
        place.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
    }
    text
}

/// What the server answers to a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Ours, and the server's behind it.
    pub nonce: &'a [u8],
    /// In base64.
    pub salt: &'a [u8],
    pub iterations: u32,
}

/// A salt is this long at most.
pub const SALT: usize = 128;

impl<'a> Challenge<'a> {
    /// Reads it; the nonce has to go on from ours.
    pub fn read(text: &'a [u8], ours: &[u8]) -> Result<Challenge<'a>, Malformed> {
        let mut attributes = text.split(|&byte| byte == b',');
        let mut next = |name: &[u8]| {
            attributes
                .next()
                .and_then(|attribute| attribute.strip_prefix(name))
                .ok_or(Malformed)
        };
        let (nonce, salt, iterations) = (next(b"r=")?, next(b"s=")?, next(b"i=")?);
        let iterations = super::message::integer(iterations)
            .and_then(|count| u32::try_from(count).ok())
            .filter(|&count| count > 0)
            .ok_or(Malformed)?;
        let fresh = nonce
            .strip_prefix(ours)
            .is_some_and(|rest| !rest.is_empty());
        if !fresh {
            return Err(Malformed);
        }
        Ok(Challenge {
            nonce,
            salt,
            iterations,
        })
    }

    /// The first round of the password's key.
    pub fn first_round(&self, password: &[u8]) -> Result<Hash, Malformed> {
        let mut salt = [0; SALT];
        let length = base64::decoded_length(self.salt).ok_or(Malformed)?;
        let salt = salt.get_mut(..length).ok_or(Malformed)?;
        if !base64::decode(self.salt, salt) {
            return Err(Malformed);
        }
        Ok(hmac(password, &[salt, &[0, 0, 0, 1]]))
    }
}

/// `count` rounds more: the last one, and the sum of all.
pub fn rounds(password: &[u8], last: &mut Hash, sum: &mut Hash, count: u32) {
    for _ in 0..count {
        *last = hmac(password, &[last]);
        for (place, byte) in sum.iter_mut().zip(&*last) {
            *place ^= byte;
        }
    }
}

/// A hash in base64.
pub type Text = [u8; 44];

fn text(hash: &Hash) -> Text {
    let mut text = [0; 44];
    base64::encode(hash, &mut text);
    text
}

/// The client's proof, and the signature that the server has to give. `parts`
/// are what both have said, with commas between them.
pub fn prove(key: &Hash, parts: &[&[u8]]) -> (Text, Text) {
    let client = hmac(key, &[b"Client Key"]);
    let stored = Sha256::digest(client);
    let mut proof = hmac(&stored, parts);
    for (place, byte) in proof.iter_mut().zip(client) {
        *place ^= byte;
    }
    let server = hmac(key, &[b"Server Key"]);
    (text(&proof), text(&hmac(&server, parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let hex = |hash: Hash| hash.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac(
                &[0xaa; 131],
                &[b"Test Using Larger Than Block-Size Key - Hash Key First"]
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn scram_is_that_of_rfc_7677() {
        let ours = b"rOprNGfwEbeRWgbNEkqO";
        let said = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let challenge = Challenge::read(said, ours).unwrap();
        let mut last = challenge.first_round(b"pencil").unwrap();
        let mut key = last;
        rounds(b"pencil", &mut last, &mut key, challenge.iterations - 1);
        let (proof, signature) = prove(
            &key,
            &[
                b"n=user,r=rOprNGfwEbeRWgbNEkqO,",
                said,
                b",c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            ],
        );
        assert_eq!(&proof, b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(&signature, b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn challenges_are_checked() {
        for bad in [
            "",
            "r=abc",
            "r=abcd,s=AAAA",
            "r=abcd,s=AAAA,i=",
            "r=abcd,s=AAAA,i=0",
            "r=abcd,s=AAAA,i=-1",
            "r=abcd,s=AAAA,i=4294967296",
            "r=abc,s=AAAA,i=1",
            "r=xbcd,s=AAAA,i=1",
            "s=AAAA,r=abcd,i=1",
        ] {
            assert!(Challenge::read(bad.as_bytes(), b"abc").is_err(), "{bad}");
        }
        let long = format!("r=abcd,s={},i=1", "AAAA".repeat(50));
        for bad in [&long, "r=abcd,s=A,i=1", "r=abcd,s=A??=,i=1"] {
            let challenge = Challenge::read(bad.as_bytes(), b"abc").unwrap();
            assert!(challenge.first_round(b"x").is_err(), "{bad}");
        }
    }

    #[test]
    fn md5_is_that_of_libpq() {
        assert_eq!(
            &md5(b"user", b"secret", &[1, 2, 3, 4])[..],
            format!(
                "md5{}",
                "0".repeat(0)
                    + &{
                        let inner = Md5::digest(b"secretuser")
                            .iter()
                            .map(|b| format!("{b:02x}"))
                            .collect::<String>();
                        let outer = Md5::new()
                            .chain_update(inner)
                            .chain_update([1, 2, 3, 4])
                            .finalize();
                        outer.iter().map(|b| format!("{b:02x}")).collect::<String>()
                    }
            )
            .as_bytes()
        );
    }
}
