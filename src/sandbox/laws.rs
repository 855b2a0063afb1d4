// SPDX-License-Identifier: Apache-2.0
//! What must hold of every record that comes up a cord or from a launcher. For tests and fuzzers only.

use super::launcher::Reply;
use super::report::Record;
use super::wire;

/// What is read is what would be written, and everything else is nothing.
pub(crate) fn record(bytes: &[u8]) {
    if let Some(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
    let ready = wire::decode_ready(bytes);
    assert_eq!(wire::decode_ready(&wire::encode_ready(&ready)), ready);
    assert_eq!(ready.is_ok(), bytes == b"+");
    match wire::decode_reply(bytes, None) {
        None => {}
        Some(Reply::Failed { session, error }) => {
            assert_eq!(wire::encode_reply(session, Err(error.errno)), bytes);
        }
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
