// SPDX-License-Identifier: Apache-2.0
//! Whether a host's name is one, as Postfix sees it, and its words where it is not. See util/valid_hostname.c.
//! Pure.
#![forbid(unsafe_code)]

/// The longest label and the longest name.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 255;

/// Refuses what is no name of a host, with the warning that Postfix gives of it.
pub(super) fn check(name: &str) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("valid_hostname: {what}: {}", head(name)));
    if name.is_empty() {
        return Err("valid_hostname: empty hostname".to_string());
    }
    let (mut length, mut numeric) = (0, true);
    let bytes = name.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                length += 1;
                numeric &= byte.is_ascii_digit();
                if length > MAX_LABEL {
                    return refuse("hostname label too long");
                }
            }
            b'.' if length == 0 || next.is_none() => return refuse("misplaced delimiter"),
            b'.' => length = 0,
            b'-' if length == 0 || matches!(next, None | Some(b'.')) => return refuse("misplaced hyphen"),
            b'-' => {
                length += 1;
                numeric = false;
            }
            other => return refuse(&format!("invalid character {other}(decimal)")),
        }
    }
    if numeric {
        return refuse("numeric hostname");
    }
    if name.len() > MAX_NAME {
        return Err(format!("valid_hostname: bad length {} for {}...", name.len(), head(name)));
    }
    Ok(())
}

/// As much of it as Postfix quotes.
fn head(name: &str) -> &str {
    let end = (0..=name.len().min(100)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_refused_in_postfix_words() {
        let long = "x".repeat(64);
        let longer = format!("{}.x", vec!["y".repeat(63); 4].join("."));
        for (name, why) in [
            ("", "empty hostname".to_string()),
            (".x", "misplaced delimiter: .x".into()),
            ("x..y", "misplaced delimiter: x..y".into()),
            ("x.", "misplaced delimiter: x.".into()),
            ("-x", "misplaced hyphen: -x".into()),
            ("x-.y", "misplaced hyphen: x-.y".into()),
            ("x-", "misplaced hyphen: x-".into()),
            ("x y", "invalid character 32(decimal): x y".into()),
            ("ü", "invalid character 195(decimal): ü".into()),
            ("1.2", "numeric hostname: 1.2".into()),
            (&long, format!("hostname label too long: {long}")),
            (&longer, format!("bad length 257 for {}...", &longer[..100])),
        ] {
            assert_eq!(check(name), Err(format!("valid_hostname: {why}")), "{name}");
        }
    }

    #[test]
    fn names_may_have_digits_hyphens_and_underscores() {
        for name in ["mx", "mx.example.org", "a-b.c_d", "1.x", "1-2", "_"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }
}
