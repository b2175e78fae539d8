//! HTTP dates in the preferred form of RFC 9110 (`Wdy, DD Mon YYYY HH:MM:SS GMT`),
//! without the C library and its locales.

const DAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// Length of every date text.
pub const LENGTH: usize = 29;

fn three(names: &[u8], index: i32) -> [u8; 3] {
    let start = index as usize * 3;
    match names.get(start..start + 3) {
        Some(&[a, b, c]) => [a, b, c],
        _ => *b"???",
    }
}

fn put(out: &mut [u8], at: usize, digits: usize, value: i32) {
    let mut value = value as u32;
    for slot in out.iter_mut().skip(at).take(digits).rev() {
        *slot = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Seconds since 1970 as text; years outside 1970..2106 show the nearest date.
pub fn format(seconds: i64) -> [u8; LENGTH] {
    // Enough until 2106, and much less code than 64-bit division.
    let seconds = seconds.clamp(0, i64::from(u32::MAX)) as u32;
    let days = (seconds / 86400) as i32;
    let clock = (seconds % 86400) as i32;

    // Days to civil date, in eras of 400 years that begin on 1 March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + i32::from(month < 2);

    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    out[0..3].copy_from_slice(&three(DAYS, days.rem_euclid(7)));
    out[8..11].copy_from_slice(&three(MONTHS, month));
    put(
        &mut out,
        5,
        2,
        day_of_year - (153 * march_month + 2) / 5 + 1,
    );
    put(&mut out, 12, 4, year.rem_euclid(10_000));
    put(&mut out, 17, 2, clock / 3600);
    put(&mut out, 20, 2, clock / 60 % 60);
    put(&mut out, 23, 2, clock % 60);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(format(seconds), text.as_bytes());
        }
        format(i64::MAX);
    }

    #[test]
    fn days_follow_each_other() {
        // One year after the other, the first of January moves by 365 or 366 days.
        let mut seconds = 0;
        for year in 1970..2105 {
            let text = String::from_utf8(format(seconds).to_vec()).unwrap();
            assert!(text.contains(&std::format!(" 01 Jan {year} ")), "{text}");
            let leap = year % 4 == 0 && year != 2100;
            seconds += 86400 * if leap { 366 } else { 365 };
        }
    }
}
