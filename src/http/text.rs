//! Writing text into a buffer without the machinery of `format!`.

/// Append: one call instead of the whole of `extend_from_slice` in every place.
#[inline(never)]
pub fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Append a number in decimal.
pub fn decimal(number: u32, out: &mut Vec<u8>) {
    let mut scale = 1_000_000_000;
    while scale > 0 {
        if number >= scale || scale == 1 {
            out.push(b'0' + (number / scale % 10) as u8);
        }
        scale /= 10;
    }
}
