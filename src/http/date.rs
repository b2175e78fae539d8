//! HTTP dates (RFC 9110, 5.6.7) without the C library and its locales: written in
//! the preferred form, `Wdy, DD Mon YYYY HH:MM:SS GMT`, read in all three.

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

/// Seconds since 1970 of a date in any of the three forms; `now` tells the
/// century of years with two digits.
pub fn parse(text: &[u8], now: i64) -> Option<i64> {
    let mut words = text.split(|&byte| byte == b' ').filter(|w| !w.is_empty());
    let mut next = || words.next();
    let name = next()?;
    let (day, month, year, clock);
    if let Some(name) = name.strip_suffix(b",") {
        let date = next()?;
        if date.contains(&b'-') {
            // Sunday, 06-Nov-94 08:49:37 GMT
            let mut parts = date.split(|&byte| byte == b'-');
            day = parts.next()?;
            month = parts.next()?;
            let short = parts.next()?;
            if short.len() != 2 || parts.next().is_some() || name.len() < 6 {
                return None;
            }
            year = recent(number(short)?, now);
        } else {
            // Sun, 06 Nov 1994 08:49:37 GMT
            day = date;
            month = next()?;
            year = number(next().filter(|year| year.len() == 4)?)?;
            if name.len() != 3 {
                return None;
            }
        }
        clock = next()?;
        if day.len() != 2 || next()? != b"GMT" {
            return None;
        }
    } else {
        // Sun Nov  6 08:49:37 1994
        month = next()?;
        day = next()?;
        clock = next()?;
        year = number(next().filter(|year| year.len() == 4)?)?;
        if name.len() != 3 {
            return None;
        }
    }
    if next().is_some() || place(DAYS, name.get(..3)?).is_none() {
        return None;
    }
    let month = place(MONTHS, month)?;
    let day = number(day)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 => 28 + i64::from(leap),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    let (&[a, b, b':', c, d, b':', e, f], true) = (clock, (1..=length).contains(&day)) else {
        return None;
    };
    let (hour, minute, second) = (number(&[a, b])?, number(&[c, d])?, number(&[e, f])?);
    // A leap second may be told.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years begin in March here, so that leap days come last.
    let march = year - i64::from(month < 2);
    let days = (153 * ((month + 10) % 12) + 2) / 5 + day - 1 + 365 * march + march / 4
        - march / 100
        + march / 400;
    Some((days - 719_468) * 86400 + hour * 3600 + minute * 60 + second)
}

/// The year with these last digits that is not more than fifty years ahead.
fn recent(year: i64, now: i64) -> i64 {
    let this = i64::from((now.clamp(0, i64::from(u32::MAX)) as u32) / 31_556_952) + 1970;
    let year = this - this % 100 + year;
    match year > this + 50 {
        true => year - 100,
        false => year,
    }
}

/// Digits only, few of them.
fn number(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 4 {
        return None;
    }
    text.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Which of the three-letter names it is.
fn place(names: &[u8], name: &[u8]) -> Option<i64> {
    let at = names.chunks(3).position(|known| known == name)?;
    Some(at as i64)
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

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn all_three_forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut seconds = 0;
        while seconds < i64::from(u32::MAX) {
            assert_eq!(parse(&format(seconds), NOW), Some(seconds));
            seconds += 86_399 * 5;
        }
        assert_eq!(
            parse(b"Thu, 29 Feb 2024 00:00:60 GMT", NOW),
            Some(1_709_164_860)
        );
    }

    #[test]
    fn two_digits_are_of_this_century_or_the_last() {
        for (year, expected) in [("73", 2073), ("74", 1974), ("23", 2023), ("00", 2000)] {
            let text = format!("Friday, 01-Jan-{year} 00:00:00 GMT");
            let found = parse(text.as_bytes(), NOW).unwrap();
            let full = format!("Fri, 01 Jan {expected} 00:00:00 GMT");
            assert_eq!(found, parse(full.as_bytes(), NOW).unwrap(), "{year}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Wed, 29 Feb 2023 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 94",
            "784111777",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
        let text = b"Sunday, 06-Nov-94 08:49:37 GMT";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end], NOW), None);
        }
    }
}
