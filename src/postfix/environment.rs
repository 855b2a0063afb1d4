// SPDX-License-Identifier: Apache-2.0
//! The environment that spawn(8) gives a command: the names of `export_environment`, then its own search path.
//! Pure: the daemon's own environment comes from the caller.
#![forbid(unsafe_code)]

use super::words::{COMMA_OR_BLANK, split_list, split_name_value};
use std::collections::BTreeMap;

/// `_PATH_DEFPATH` of glibc's paths.h. spawn(8) sets it last, whatever was exported.
const SEARCH_PATH: &str = "/usr/bin:/bin";

/// A value of `export_environment` that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum EnvironmentError {
    #[error("export_environment: {0}")]
    List(String),
    #[error("clean_env: {why} in: {word}")]
    Word { why: &'static str, word: String },
}

/// What the command gets, in order. `own` is the daemon's environment; names that it lacks are left out.
pub fn exported(list: &str, own: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut environment = Vec::new();
    for word in split_list(list, COMMA_OR_BLANK).map_err(EnvironmentError::List)? {
        if word.contains('=') {
            let pair = split_name_value(&word).map_err(|why| EnvironmentError::Word { why, word: word.clone() })?;
            set(&mut environment, pair.0, pair.1);
        } else if let Some(value) = own.get(&word) {
            set(&mut environment, &word, value);
        }
    }
    set(&mut environment, "PATH", SEARCH_PATH);
    Ok(environment)
}

/// setenv(3): a name that is there keeps its place.
fn set(environment: &mut Vec<(String, String)>, name: &str, value: &str) {
    match environment.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value.to_string(),
        None => environment.push((name.to_string(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(list: &str) -> Result<String, String> {
        let own = [("TZ", "UTC"), ("LANG", "C"), ("PATH", "/sbin"), ("SECRET", "x")];
        let own = own.map(|(name, value)| (name.to_string(), value.to_string())).into();
        let environment = exported(list, &own).map_err(|error| error.to_string())?;
        Ok(environment.iter().map(|(name, value)| format!("{name}={value};")).collect())
    }

    #[test]
    fn a_bad_list_is_refused_in_postfix_words() {
        for (list, complaint) in [
            ("TZ { A = b", "export_environment: missing '}' in \"{ A = b\""),
            ("TZ =b", "clean_env: missing attribute name in: =b"),
            ("{ A b = c }", "clean_env: missing '=' after attribute name in: A b = c"),
        ] {
            assert_eq!(export(list), Err(complaint.to_string()), "{list}");
        }
    }

    #[test]
    fn only_what_is_named_is_exported_and_the_path_is_always_the_default() {
        for (list, environment) in [
            ("", "PATH=/usr/bin:/bin;"),
            ("LANG TZ,MAIL_CONFIG", "LANG=C;TZ=UTC;PATH=/usr/bin:/bin;"),
            ("PATH A=1 {B = two words} A=2 C=", "PATH=/usr/bin:/bin;A=2;B=two words;C=;"),
        ] {
            assert_eq!(export(list).as_deref(), Ok(environment), "{list}");
        }
    }
}
