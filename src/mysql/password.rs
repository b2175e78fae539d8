//! What proves a password to a server that keeps a digest of it.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// `mysql_native_password`: SHA-1 of the password, mixed with the salt and what
/// the server keeps.
pub fn native(password: &[u8], salt: &[u8]) -> [u8; 20] {
    let first = Sha1::digest(password);
    let kept = Sha1::digest(first);
    let mixed = Sha1::new().chain_update(salt).chain_update(kept).finalize();
    let mut proof: [u8; 20] = first.into();
    for (place, byte) in proof.iter_mut().zip(mixed) {
        *place ^= byte;
    }
    proof
}

/// `caching_sha2_password`, for a password that the server remembers.
pub fn caching_sha2(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let first = Sha256::digest(password);
    let kept = Sha256::digest(first);
    let mixed = Sha256::new()
        .chain_update(kept)
        .chain_update(salt)
        .finalize();
    let mut proof: [u8; 32] = first.into();
    for (place, byte) in proof.iter_mut().zip(mixed) {
        *place ^= byte;
    }
    proof
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8; 20] = b"abcdefghijklmnopqrst";

    #[test]
    fn a_server_with_the_digest_is_convinced() {
        let proof = native(b"secret", SALT);
        // What `PASSWORD('secret')` keeps.
        let kept = Sha1::digest(Sha1::digest(b"secret"));
        let mixed = Sha1::new().chain_update(SALT).chain_update(kept).finalize();
        let mut first = proof;
        first
            .iter_mut()
            .zip(mixed)
            .for_each(|(place, byte)| *place ^= byte);
        assert_eq!(Sha1::digest(first), kept);
        let hex: String = kept.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex, "14E65567ABDB5135D0CFD9A70B3032C179A49EE7");

        let proof = caching_sha2(b"secret", SALT);
        let kept = Sha256::digest(Sha256::digest(b"secret"));
        let mixed = Sha256::new()
            .chain_update(kept)
            .chain_update(SALT)
            .finalize();
        let mut first = proof;
        first
            .iter_mut()
            .zip(mixed)
            .for_each(|(place, byte)| *place ^= byte);
        assert_eq!(Sha256::digest(first), kept);
    }
}
