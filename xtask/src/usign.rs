//! Signatures as usign and signify make them: Ed25519 with an eight-byte key id, in two lines of text.

use crate::run::{fail, folder_for, read_text, Result};
use crate::workspace;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha512};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Tells which key made a signature.
pub type KeyId = [u8; 8];

/// A key that signs.
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

/// A key that verifies.
#[derive(Debug)]
pub struct PublicKey {
    id: KeyId,
    key: VerifyingKey,
}

/// The feed's key: the file that ECO_FEED_KEY names, else one made here once for development.
pub fn feed_key() -> Result<SecretKey> {
    if let Some(file) = std::env::var_os("ECO_FEED_KEY") {
        return SecretKey::decode(&read_text(Path::new(&file))?);
    }
    let (secret_file, public_file) = (workspace::keys().join("feed.sec"), public_key_file());
    if secret_file.exists() {
        return SecretKey::decode(&read_text(&secret_file)?);
    }
    folder_for(&workspace::keys())?;
    let mut random = [0; 40];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let key = SecretKey::from_random(&random);
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .write(true)
        .create_new(true)
        .open(&secret_file)?
        .write_all(key.encode().as_bytes())?;
    std::fs::write(&public_file, key.public().encode())?;
    println!(
        "    made a development key, {}; set ECO_FEED_KEY to sign with another",
        secret_file.display()
    );
    Ok(key)
}

/// Where the public half of the development key is.
pub fn public_key_file() -> PathBuf {
    workspace::keys().join("feed.pub")
}

impl SecretKey {
    /// A key made of random bytes: its id, then its seed.
    pub fn from_random(random: &[u8; 40]) -> SecretKey {
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        id.copy_from_slice(&random[..8]);
        seed.copy_from_slice(&random[8..]);
        SecretKey {
            id,
            key: SigningKey::from_bytes(&seed),
        }
    }

    /// The text of a key file without pass phrase.
    pub fn encode(&self) -> String {
        let pair = self.key.to_keypair_bytes();
        let mut bytes = b"EdBK".to_vec();
        bytes.extend([0; 4]); // no rounds of key derivation
        bytes.extend([0; 16]); // so no salt
        bytes.extend(&Sha512::digest(pair)[..8]);
        bytes.extend(self.id);
        bytes.extend(pair);
        lines("lua-eco feed secret key", &bytes)
    }

    /// Reads a key file without pass phrase.
    pub fn decode(text: &str) -> Result<SecretKey> {
        let bytes = payload(text)?;
        let Ok(bytes) = <[u8; 104]>::try_from(bytes) else {
            return fail("not a usign secret key");
        };
        if !bytes.starts_with(b"EdBK") {
            return fail("not a usign secret key");
        }
        if bytes[4..8] != [0; 4] {
            return fail("the secret key has a pass phrase; use one without");
        }
        let (mut id, mut pair) = ([0; 8], [0; 64]);
        id.copy_from_slice(&bytes[32..40]);
        pair.copy_from_slice(&bytes[40..]);
        if Sha512::digest(pair)[..8] != bytes[24..32] {
            return fail("the secret key is damaged");
        }
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| "the secret key is damaged")?;
        Ok(SecretKey { id, key })
    }

    /// The half that verifies.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            id: self.id,
            key: self.key.verifying_key(),
        }
    }

    /// The text of a signature file.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut bytes = b"Ed".to_vec();
        bytes.extend(self.id);
        bytes.extend(self.key.sign(message).to_bytes());
        lines(&format!("signed by key {}", self.public().name()), &bytes)
    }
}

impl PublicKey {
    /// The key id in hexadecimal: its file name in /etc/opkg/keys.
    pub fn name(&self) -> String {
        crate::build::hex(&self.id)
    }

    /// The text of a key file.
    pub fn encode(&self) -> String {
        let mut bytes = b"Ed".to_vec();
        bytes.extend(self.id);
        bytes.extend(self.key.to_bytes());
        lines(&format!("lua-eco feed public key {}", self.name()), &bytes)
    }

    /// Reads a key file.
    pub fn decode(text: &str) -> Result<PublicKey> {
        let bytes = payload(text)?;
        let Some((id, key)) = split::<32>(&bytes) else {
            return fail("not a usign public key");
        };
        let key = VerifyingKey::from_bytes(&key).map_err(|_| "not a usign public key")?;
        Ok(PublicKey { id, key })
    }

    /// Accepts a message only with this key's signature file for it.
    pub fn verify(&self, message: &[u8], signature: &str) -> Result<()> {
        let bytes = payload(signature)?;
        let Some((id, signature)) = split::<64>(&bytes) else {
            return fail("not a usign signature");
        };
        if id != self.id {
            return fail(format!(
                "signed by key {}, not by {}",
                crate::build::hex(&id),
                self.name()
            ));
        }
        match self
            .key
            .verify_strict(message, &Signature::from_bytes(&signature))
        {
            Ok(()) => Ok(()),
            Err(_) => fail("the signature does not match"),
        }
    }
}

fn lines(comment: &str, bytes: &[u8]) -> String {
    format!("untrusted comment: {comment}\n{}\n", STANDARD.encode(bytes))
}

fn payload(text: &str) -> Result<Vec<u8>> {
    let mut lines = text.lines();
    let comment = lines.next().unwrap_or_default();
    if !comment.starts_with("untrusted comment: ") {
        return fail("the first line is not an untrusted comment");
    }
    STANDARD
        .decode(lines.next().unwrap_or_default().trim())
        .map_err(|_| "the second line is not base64".into())
}

/// `Ed`, key id and the rest, when the length is exactly right.
fn split<const REST: usize>(bytes: &[u8]) -> Option<(KeyId, [u8; REST])> {
    let bytes = bytes.strip_prefix(b"Ed")?;
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    Some((*id, rest.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_random(&[byte; 40])
    }

    #[test]
    fn keys_survive_their_files() {
        let secret = SecretKey::decode(&key(7).encode()).unwrap();
        let public = PublicKey::decode(&secret.public().encode()).unwrap();
        public.verify(b"message", &secret.sign(b"message")).unwrap();
        assert_eq!(public.name(), "0707070707070707");
    }

    #[test]
    fn a_changed_message_or_another_key_is_refused() {
        let signature = key(7).sign(b"message");
        assert!(key(7).public().verify(b"massage", &signature).is_err());
        assert!(key(8).public().verify(b"message", &signature).is_err());
        let mut impostor = key(8);
        impostor.id = [7; 8];
        assert!(impostor.public().verify(b"message", &signature).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let secret = key(7);
        let signature = secret.sign(b"message");
        let bytes = payload(&signature).unwrap();
        for position in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[position / 8] ^= 1 << (position % 8);
            assert!(
                secret
                    .public()
                    .verify(b"message", &lines("", &damaged))
                    .is_err(),
                "bit {position}"
            );
        }
        for length in 0..bytes.len() {
            assert!(secret
                .public()
                .verify(b"message", &lines("", &bytes[..length]))
                .is_err());
        }
        for length in 0..signature.len() - 1 {
            assert!(secret
                .public()
                .verify(b"message", &signature[..length])
                .is_err());
        }
    }

    /// The other implementation of the format, where it is installed, must agree.
    #[test]
    fn signify_accepts_our_signatures() {
        let Some(signify) = crate::run::find_program("signify-openbsd") else {
            eprintln!("skipped: signify-openbsd is not installed");
            return;
        };
        let folder = std::env::temp_dir().join(format!("xtask-signify-{}", std::process::id()));
        let secret = key(7);
        crate::run::write(&folder.join("key"), secret.public().encode()).unwrap();
        crate::run::write(&folder.join("signature"), secret.sign(b"message")).unwrap();
        let verify = |message: &str| {
            crate::run::write(&folder.join("message"), message).unwrap();
            let mut command = std::process::Command::new(&signify);
            command.current_dir(&folder).args([
                "-V",
                "-q",
                "-p",
                "key",
                "-x",
                "signature",
                "-m",
                "message",
            ]);
            crate::run::output(&mut command).is_ok()
        };
        let (whole, damaged) = (verify("message"), verify("massage"));
        let _ = std::fs::remove_dir_all(&folder);
        assert!(whole && !damaged);
    }

    #[test]
    fn a_damaged_secret_key_is_refused() {
        let bytes = payload(&key(7).encode()).unwrap();
        for position in (0..bytes.len())
            .filter(|position| !(8..24).contains(position) && !(32..40).contains(position))
        {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(
                SecretKey::decode(&lines("", &damaged)).is_err(),
                "byte {position}"
            );
        }
    }
}
