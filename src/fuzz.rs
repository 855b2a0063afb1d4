// SPDX-License-Identifier: Apache-2.0
//! What the fuzzers try: every reader of bytes from outside, and the laws that must hold of each whatever the bytes
//! are. Compiled for tests and fuzzers only. The fuzzer itself is the crate in tests/fuzz; what it has found once is a
//! file there, and every such file is tried by the tests of this one.

/// What a fuzzer tries; panics where a law does not hold.
pub type Law = fn(&[u8]);

/// Every law by its name, which is also the name of its directory of inputs.
pub const LAWS: &[(&str, Law)] = &[
    ("policy", |bytes| text(bytes, crate::policy::laws::file)),
    ("assignment", |bytes| text(bytes, crate::policy::laws::assignment)),
    ("amount", |bytes| text(bytes, crate::plan::laws::amount)),
    ("plan", |bytes| text(bytes, crate::sandbox::laws::plan)),
    ("master-cf", |bytes| text(bytes, crate::postfix::laws::master_cf)),
    ("options", |bytes| text(bytes, crate::postfix::laws::options)),
    ("main-cf", |bytes| text(bytes, crate::postfix::laws::main_cf)),
    ("passing", crate::postfix::laws::passing),
    ("environment", |bytes| text(bytes, crate::postfix::laws::environment)),
    ("record", crate::sandbox::laws::record),
    ("address", |bytes| text(bytes, crate::front::laws::address)),
    ("import", |bytes| text(bytes, crate::front::laws::import)),
    ("merge", |bytes| text(bytes, crate::front::laws::merge)),
    ("host", |bytes| text(bytes, crate::host::laws::files)),
    ("stderr", crate::supervise::stderr_law),
    ("proxy", crate::supervise::proxy_law),
    ("inherited", |bytes| text(bytes, crate::supervise::inherited_law)),
    ("control", crate::supervise::control_law),
    ("metrics", crate::supervise::metrics_law),
    ("audit", crate::supervise::audit_law),
    ("log", |bytes| text(bytes, crate::log::laws::line)),
];

/// Every reader of text gets it as the program does: what is not UTF-8 was refused or replaced before.
fn text(bytes: &[u8], law: fn(&str)) {
    law(&String::from_utf8_lossy(bytes));
}

/// Whether what is slow is done for these bytes as well: always in tests, for one input in eight in a fuzzer, which
/// tries a million more in that time.
pub(crate) fn thoroughly(bytes: &[u8]) -> bool {
    !cfg!(fuzzing) || hash(bytes) >> 61 == 0
}

/// FNV-1a: any choice that follows from the bytes alone.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Fails if `text` could write a second line into a log, or speak to a terminal.
pub(crate) fn assert_one_line(text: &str) {
    assert!(!text.is_empty() && !text.contains(char::is_control), "no clean line: {text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    fn corpus() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
    }

    #[test]
    fn every_law_has_inputs_and_every_input_a_law() {
        let entries = std::fs::read_dir(corpus()).unwrap().flatten();
        let directories: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert_eq!(directories, LAWS.iter().map(|(name, _)| (*name).to_string()).collect());
    }

    #[test]
    fn every_law_holds_of_every_committed_input() {
        for (name, law) in LAWS {
            let files: Vec<_> = std::fs::read_dir(corpus().join(name)).unwrap().flatten().collect();
            assert!(!files.is_empty(), "{name}");
            for file in files {
                eprintln!("{}", file.path().display());
                law(&std::fs::read(file.path()).unwrap());
            }
        }
    }
}
