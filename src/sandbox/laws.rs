// SPDX-License-Identifier: Apache-2.0
//! What must hold of every filter that is compiled, and of every record that comes up a cord or from a launcher. For
//! tests and fuzzers only.

use super::denied::{self, Denied};
use super::launcher::Reply;
use super::report::Record;
use super::{filter, wire};

/// Whatever a policy plans, its filter can be compiled.
pub(crate) fn plan(text: &str) {
    if let Some(filter) = crate::plan::laws::plan(text).and_then(|plan| plan.filter) {
        filter::compile(&filter).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What is read is what would be written, and everything else is nothing.
pub(crate) fn record(bytes: &[u8]) {
    if let Some(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
    if let Some(denied) = Denied::decode(bytes) {
        assert_eq!(denied.encode(&mut [0; denied::LONGEST]), bytes);
    }
    let ready = wire::decode_ready(bytes);
    assert_eq!(wire::decode_ready(&wire::encode_ready(&ready)), ready);
    assert_eq!(ready.is_ok(), bytes == b"+");
    match wire::decode_reply(bytes, None) {
        None => {}
        Some(Reply::Failed { session, error }) => {
            assert_eq!(wire::encode_reply(session, Err(error.errno)), bytes);
        }
        Some(Reply::Moved { pid }) => assert_eq!(wire::encode_moved(pid), bytes),
        Some(Reply::Launched { .. } | Reply::OutOfReach { .. } | Reply::Closed) => {
            panic!("launched without a pidfd, or closed with a message")
        }
    }
    match bytes.try_into().ok().and_then(wire::decode_truncated) {
        None => {}
        Some(Reply::OutOfReach { session, pid }) => {
            assert_eq!(wire::encode_reply(session, Ok(pid)), bytes);
        }
        Some(_) => panic!("what came without its pidfd is nothing else"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    const ALLOWED: &[&str] =
        &["default", "io", "files", "memory", "process", "signals", "socket", "ptrace", "network-client", "all"];
    const DENIED: &[&str] = &["ptrace", "kill", "files-write"];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn every_choice_of_calls_can_be_compiled(
            allow in subsequence(ALLOWED, 0..=ALLOWED.len()),
            deny in subsequence(DENIED, 0..=DENIED.len()),
            on_deny in select(&["errno", "kill", "report", "report-all"][..]),
        ) {
            let text = format!(
                "version = 1\nextends = [\"strict\"]\n[command]\nuser = \"nobody\"\n\
                 [syscalls]\nallow = {allow:?}\ndeny = {deny:?}\non-deny = \"{on_deny}\"\n"
            );
            prop_assert!(crate::policy::laws::policy(&text).is_ok(), "{text}");
            super::plan(&text);
        }
    }
}
