// SPDX-License-Identifier: Apache-2.0
//! How Postfix splits text: names from values, and lists into words.
//! Pure; the rules and the complaints are those of `split_nameval`, `mystrtokq` and `extpar` (Postfix 3.7, src/util).
#![forbid(unsafe_code)]

/// What separates the words of a parameter that is a list.
pub const COMMA_OR_BLANK: &[char] = &[',', ' ', '\t', '\r', '\n'];

/// isspace(3) in the C locale, which is the locale of Postfix daemons.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Splits `name = value` at the first `=`; blanks around both are dropped, the value may be empty.
pub fn split_name_value(text: &str) -> Result<(&str, &str), &'static str> {
    let text = text.trim_start_matches(is_space);
    if text.is_empty() || text.starts_with('=') {
        return Err("missing attribute name");
    }
    let end = text.find(|c| is_space(c) || c == '=').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(value) = rest.trim_start_matches(is_space).strip_prefix('=') else {
        return Err("missing '=' after attribute name");
    };
    Ok((name, value.trim_matches(is_space)))
}

/// Splits a list at `separators`, but not inside braces; a word that is `{ text }` stands for the trimmed text.
pub fn split_list(text: &str, separators: &[char]) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(separators);
    while !rest.is_empty() {
        let (word, after) = take_word(rest, separators);
        words.push(without_braces(word)?.to_string());
        rest = after.trim_start_matches(separators);
    }
    Ok(words)
}

/// The first word and what follows it.
pub(super) fn take_word<'a>(text: &'a str, separators: &[char]) -> (&'a str, &'a str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            c if depth == 0 && separators.contains(&c) => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}

/// The text inside a pair of braces that encloses all of `word`; a word that does not start with one stays as it is.
pub fn without_braces(word: &str) -> Result<&str, String> {
    let Some(inner) = word.strip_prefix('{') else { return Ok(word) };
    match closing_brace(inner) {
        None => Err(format!("missing '}}' in \"{word}\"")),
        Some(end) if end + 1 < inner.len() => Err(format!("syntax error after '}}' in \"{word}\"")),
        Some(end) => Ok(inner[..end].trim_matches(is_space)),
    }
}

/// Where the brace is that closes the one before `text`.
pub(super) fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The part of a path after its last slash.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_equals_sign_is_refused_in_postfix_words() {
        for (text, complaint) in [
            ("", "missing attribute name"),
            ("  ", "missing attribute name"),
            (" = x", "missing attribute name"),
            ("foo", "missing '=' after attribute name"),
            ("foo bar = x", "missing '=' after attribute name"),
        ] {
            assert_eq!(split_name_value(text), Err(complaint), "{text:?}");
        }
    }

    #[test]
    fn names_and_values_lose_the_blanks_around_them() {
        for (text, name, value) in [
            ("a=b", "a", "b"),
            (" a \t= b c \r\n", "a", "b c"),
            ("a=", "a", ""),
            ("a==b", "a", "=b"),
            ("127.0.0.1:25_time_limit = 3", "127.0.0.1:25_time_limit", "3"),
        ] {
            assert_eq!(split_name_value(text), Ok((name, value)), "{text:?}");
        }
    }

    #[test]
    fn unbalanced_braces_are_refused_in_postfix_words() {
        for (text, complaint) in [
            ("{ a", "missing '}' in \"{ a\""),
            ("x { a }b y", "syntax error after '}' in \"{ a }b\""),
            ("{a}{b}", "syntax error after '}' in \"{a}{b}\""),
        ] {
            assert_eq!(split_list(text, COMMA_OR_BLANK), Err(complaint.to_string()), "{text:?}");
        }
    }

    #[test]
    fn lists_are_split_at_commas_and_blanks_outside_braces() {
        for (text, words) in [
            ("", &[] as &[&str]),
            (" , ,", &[]),
            ("TZ MAIL_CONFIG,LANG", &["TZ", "MAIL_CONFIG", "LANG"]),
            ("A=1 { B = two words } C", &["A=1", "B = two words", "C"]),
            ("{}", &[""]),
            ("p{q r}s t", &["p{q r}s", "t"]),
            ("a} b", &["a}", "b"]),
        ] {
            assert_eq!(split_list(text, COMMA_OR_BLANK).unwrap(), words, "{text:?}");
        }
    }
}
