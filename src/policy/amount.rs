// SPDX-License-Identifier: Apache-2.0
//! Times as Postfix writes them, and sizes in powers of 1024.
//! One spelling for each value: what could be read in two ways is refused with the spelling that cannot.

use std::time::Duration;

/// The longest time: Postfix's own time limits are C ints of seconds, and a sum of two still fits everywhere.
const LONGEST: u64 = i32::MAX as u64;

/// A time in Postfix's spelling: a number and `s`, `m`, `h`, `d` or `w`; without a letter, seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let (digits, unit) = split(text);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err("a time is a number and one of s, m, h, d, w, such as `5m`".to_owned()),
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)) {
        None if digits.is_empty() => Err("a time starts with a number, such as `5m`".to_owned()),
        Some(total) if total <= LONGEST => Ok(Duration::from_secs(total)),
        _ => Err(format!("the longest time is {LONGEST}s")),
    }
}

/// A size: a number and `K`, `M`, `G` or `T` (powers of 1024); without a letter, bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = split(text);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(size_spelling(digits, unit)),
    };
    if digits.is_empty() {
        return Err("a size starts with a number, such as `64M`".to_owned());
    }
    // Limits are signed in places (`RLIM_INFINITY` and file offsets), so the top bit stays free.
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(|| "this size is out of range".to_owned())
}

fn size_spelling(digits: &str, unit: &str) -> String {
    let letter = unit.chars().next().map(|c| c.to_ascii_uppercase());
    match letter {
        Some(letter) if "KMGT".contains(letter) && !digits.is_empty() => {
            format!("write `{digits}{letter}`: K, M, G and T are powers of 1024")
        }
        _ => "a size is a number and one of K, M, G, T (powers of 1024), such as `64M`".to_owned(),
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_with_a_strange_spelling_is_refused() {
        for (text, reason) in [
            ("", "a time starts with a number, such as `5m`"),
            ("s", "a time starts with a number, such as `5m`"),
            ("5 m", "a time is a number and one of s, m, h, d, w, such as `5m`"),
            ("5min", "a time is a number and one of s, m, h, d, w, such as `5m`"),
            ("1.5h", "a time is a number and one of s, m, h, d, w, such as `5m`"),
            ("-1", "a time is a number and one of s, m, h, d, w, such as `5m`"),
            ("2147483648", "the longest time is 2147483647s"),
            ("99999999999999999999s", "the longest time is 2147483647s"),
            ("99999999999999999w", "the longest time is 2147483647s"),
        ] {
            assert_eq!(time(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_time_is_read_as_postfix_reads_it() {
        for (text, seconds) in [("0", 0), ("7", 7), ("1000s", 1000), ("5m", 300), ("1h", 3600), ("1d", 86400)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(time("1w"), Ok(Duration::from_secs(604800)));
    }

    #[test]
    fn a_size_with_a_strange_spelling_is_refused() {
        for (text, reason) in [
            ("64m", "write `64M`: K, M, G and T are powers of 1024"),
            ("64MB", "write `64M`: K, M, G and T are powers of 1024"),
            ("64MiB", "write `64M`: K, M, G and T are powers of 1024"),
            ("", "a size starts with a number, such as `64M`"),
            ("M", "a size starts with a number, such as `64M`"),
            ("-1", "a size is a number and one of K, M, G, T (powers of 1024), such as `64M`"),
            ("64é", "a size is a number and one of K, M, G, T (powers of 1024), such as `64M`"),
            ("9223372036854775808", "this size is out of range"),
            ("99999999999T", "this size is out of range"),
        ] {
            assert_eq!(size(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_size_is_read_in_powers_of_1024() {
        for (text, bytes) in [("0", 0), ("1", 1), ("64K", 65536), ("16M", 16 << 20), ("1G", 1 << 30), ("2T", 2 << 40)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }
}
