//! Writing text into a buffer without the machinery of `format!`.

/// Append: one call instead of the whole of `extend_from_slice` in every place.
#[inline(never)]
pub fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Append a number in decimal. Powers are subtracted: 64-bit division is a
/// function of its own on 32-bit machines.
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    const POWERS: [u64; 19] = {
        let mut powers = [1; 19];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    let mut rest = number;
    let length = out.len();
    for &power in POWERS.iter().rev() {
        if rest < power && out.len() == length && power > 1 {
            continue;
        }
        let mut digit = 0;
        while rest >= power {
            rest -= power;
            digit += 1;
        }
        out.push(b'0' + digit);
    }
}

/// Append a number in lower-case hex.
pub fn put_hex(out: &mut Vec<u8>, number: u64) {
    let mut shift = (number | 1).ilog2() & !3;
    loop {
        let digit = (number >> shift) as u8 & 15;
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' - 10 + digit
        });
        match shift {
            0 => break,
            _ => shift -= 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for number in [
            0,
            1,
            9,
            10,
            15,
            16,
            255,
            65535,
            u64::from(u32::MAX),
            1 << 32,
            i64::MAX as u64,
        ] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
            out.clear();
            put_hex(&mut out, number);
            assert_eq!(out, format!("{number:x}").as_bytes());
        }
    }
}
