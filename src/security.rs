// SPDX-License-Identifier: Apache-2.0
#![doc = include_str!("security.md")]

/// The page above. The integration tests hold its attempts against those that are made.
pub const PAGE: &str = include_str!("security.md");

#[cfg(test)]
mod tests {
    use super::PAGE;
    use std::path::{Path, PathBuf};

    /// Every Rust file below a directory of this package.
    fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => sources(&entry, into),
                false if entry.extension().is_some_and(|end| end == "rs") => into.push(entry),
                false => {}
            }
        }
    }

    fn has_test(text: &str, name: &str) -> bool {
        let (lines, start): (Vec<&str>, _) = (text.lines().map(str::trim).collect(), format!("fn {name}()"));
        lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&start))
    }

    #[test]
    fn every_test_that_the_page_names_is_there() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        ["src", "tests"].iter().for_each(|part| sources(&package.join(part), &mut files));
        let named: Vec<&str> = PAGE.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        let tests: Vec<&&str> = named.iter().filter(|word| !word.contains(' ')).collect();
        assert!(tests.len() > 40, "{tests:?}");
        for test in tests {
            let (place, name) = test.rsplit_once("::").unwrap();
            let place = place.trim_end_matches("::tests").replace("::", "/");
            let is_its = |file: &&PathBuf| file.with_extension("").to_string_lossy().contains(&format!("/{place}"));
            let found = files.iter().filter(is_its).any(|file| has_test(&std::fs::read_to_string(file).unwrap(), name));
            assert!(found, "{test} is no test");
        }
    }
}
