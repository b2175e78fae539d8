//! Random bytes of the kernel, for what others must not guess.
#![allow(unsafe_code)]

/// Fills `bytes`, at most 256 of them, without ever waiting: in the first
/// seconds after a router's start the kernel may have none yet, and then gives
/// those it would call insecure.
pub fn fill(bytes: &mut [u8]) {
    const INSECURE: u32 = 4;
    for flags in [libc::GRND_NONBLOCK, INSECURE] {
        // SAFETY: the kernel writes at most that many bytes. Up to 256 are
        // given whole or not at all.
        let given =
            unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), bytes.len(), flags) };
        if given == bytes.len() as libc::c_long {
            return;
        }
    }
    // A kernel before 5.6 at its very start.
    let mut state = crate::abi::monotonic() as u64;
    for byte in bytes {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        *byte = (state >> 56) as u8;
    }
}

/// Fills `bytes` with what the kernel calls secure; false when it has none yet, or refuses.
pub fn secure(mut bytes: &mut [u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the kernel writes at most that many bytes.
        let given = unsafe {
            libc::syscall(
                libc::SYS_getrandom,
                bytes.as_mut_ptr(),
                bytes.len(),
                libc::GRND_NONBLOCK,
            )
        };
        match usize::try_from(given) {
            Ok(given) => bytes = bytes.get_mut(given..).unwrap_or_default(),
            Err(_) if nix::errno::Errno::last() == nix::errno::Errno::EINTR => {}
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn secure_bytes_are_random() {
        let mut both = [[0; 1000]; 2];
        for bytes in &mut both {
            assert!(super::secure(bytes));
            assert!(bytes
                .rchunks(40)
                .all(|part| part.iter().any(|&byte| byte != 0)));
        }
        assert_ne!(both[0], both[1]);
    }

    #[test]
    fn bytes_are_random() {
        let mut both = [[0; 32]; 2];
        for bytes in &mut both {
            super::fill(bytes);
        }
        assert_ne!(both[0], both[1]);
        assert_ne!(both[0], [0; 32]);
    }
}
