// SPDX-License-Identifier: Apache-2.0
//! The messages between supervisor and launcher, one per datagram. Both ends are this program: a message that does not
//! decode is a bug.

use super::HostError;
use super::launcher::Reply;
use super::line::Purpose;
use super::report::SetupError;
use crate::plan::Step;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;

/// The longest message of a launcher that is ready, or not.
pub(super) const READY_LENGTH: usize = 4096;
/// Session number, user id, purpose.
pub(super) const REQUEST_LENGTH: usize = 13;
/// `(uid_t)-1`, which no process has: the session has the service's own ids.
const NO_USER: u32 = u32::MAX;
/// In the place of a session's number, which begins at one.
const MOVED: u64 = u64::MAX;
/// In the place of a request for a session: for another launcher, which serves the socket that travels beside it.
pub(super) const TWIN: [u8; REQUEST_LENGTH] = [u8::MAX; REQUEST_LENGTH];
/// Session number, process id, errno.
pub(super) const REPLY_LENGTH: usize = 16;

/// "Ready", or what went wrong.
pub(super) fn encode_ready(outcome: &Result<(), HostError>) -> Vec<u8> {
    let mut bytes = match outcome {
        Ok(()) => vec![b'+'],
        Err(error) => format!("-{}\0{}", error.doing, error.why).into_bytes(),
    };
    bytes.truncate(READY_LENGTH);
    bytes
}

/// The other side of [`encode_ready`]; nothing at all means that the launcher ended on its way.
pub(super) fn decode_ready(bytes: &[u8]) -> Result<(), HostError> {
    let died = || HostError {
        doing: "prepare the sandbox".into(),
        why: "the launcher ended without a word; a filter around this program may have killed it".into(),
    };
    match bytes.split_first() {
        Some((b'+', [])) => Ok(()),
        Some((b'-', text)) => {
            let text = String::from_utf8_lossy(text);
            let (doing, why) = text.split_once('\0').ok_or_else(died)?;
            Err(HostError { doing: doing.into(), why: why.into() })
        }
        _ => Err(died()),
    }
}

/// A request for a session. Cord and cgroup travel beside it.
pub(super) fn encode_request(session: u64, user: Option<u32>, purpose: Purpose) -> [u8; REQUEST_LENGTH] {
    let mut bytes = [0; REQUEST_LENGTH];
    bytes[..8].copy_from_slice(&session.to_le_bytes());
    bytes[8..12].copy_from_slice(&user.unwrap_or(NO_USER).to_le_bytes());
    bytes[12] = match purpose {
        Purpose::Session => 0,
        Purpose::Spare => 1,
        Purpose::SelfTest => 2,
    };
    bytes
}

/// The other side of [`encode_request`].
pub(super) fn decode_request(bytes: [u8; REQUEST_LENGTH]) -> (u64, Option<u32>, Purpose) {
    let [s0, s1, s2, s3, s4, s5, s6, s7, user @ .., purpose] = bytes;
    let user = u32::from_le_bytes(user);
    let purpose = match purpose {
        0 => Purpose::Session,
        1 => Purpose::Spare,
        // Nothing else is sent; and a self-test never executes anything.
        _ => Purpose::SelfTest,
    };
    (u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]), Some(user).filter(|user| *user != NO_USER), purpose)
}

/// The answer to a request. The pidfd travels beside it.
pub(super) fn encode_reply(session: u64, outcome: Result<Pid, Errno>) -> [u8; REPLY_LENGTH] {
    let (pid, errno) = outcome.map_or_else(|errno| (0, errno as i32), |pid| (pid.as_raw(), 0));
    let mut bytes = [0; REPLY_LENGTH];
    bytes[..8].copy_from_slice(&session.to_le_bytes());
    bytes[8..12].copy_from_slice(&pid.to_le_bytes());
    bytes[12..].copy_from_slice(&errno.to_le_bytes());
    bytes
}

/// The launcher goes on as this process. No session has the number.
pub(super) fn encode_moved(pid: Pid) -> [u8; REPLY_LENGTH] {
    encode_reply(MOVED, Ok(pid))
}

/// The other side of [`encode_reply`] and [`encode_moved`].
pub(super) fn decode_reply(bytes: &[u8], pidfd: Option<OwnedFd>) -> Option<Reply> {
    let bytes: [u8; REPLY_LENGTH] = bytes.try_into().ok()?;
    let session = u64::from_le_bytes(bytes[..8].try_into().ok()?);
    let pid = i32::from_le_bytes(bytes[8..12].try_into().ok()?);
    let number = i32::from_le_bytes(bytes[12..].try_into().ok()?);
    match (number, Errno::from_raw(number), pidfd) {
        (0, _, None) if pid > 0 && session == MOVED => Some(Reply::Moved { pid: Pid::from_raw(pid) }),
        (0, _, Some(pidfd)) if pid > 0 => Some(Reply::Launched { session, pid: Pid::from_raw(pid), pidfd }),
        (0, _, _) | (_, _, Some(_)) => None,
        (_, errno, None) if pid == 0 && errno as i32 == number => {
            Some(Reply::Failed { session, error: SetupError { step: Step::Clone, index: 0, errno } })
        }
        (_, _, None) => None,
    }
}

/// The answer whose pidfd did not fit under the limit on open files.
pub(super) fn decode_truncated(bytes: &[u8; REPLY_LENGTH]) -> Option<Reply> {
    let session = u64::from_le_bytes(bytes[..8].try_into().ok()?);
    let errno = i32::from_le_bytes(bytes[12..].try_into().ok()?);
    match i32::from_le_bytes(bytes[8..12].try_into().ok()?) {
        pid @ 1.. if errno == 0 => Some(Reply::OutOfReach { session, pid: Pid::from_raw(pid) }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_crosses_the_socket_whole() {
        let error = HostError { doing: "take up /usr".into(), why: "Permission denied".into() };
        assert_eq!(decode_ready(&encode_ready(&Err(error.clone()))), Err(error));
        assert_eq!(decode_ready(&encode_ready(&Ok(()))), Ok(()));
        assert!(decode_ready(b"").unwrap_err().why.contains("without a word"));
    }

    #[test]
    fn a_request_crosses_the_socket_whole() {
        for request in
            [(7, None, Purpose::Session), (u64::MAX, Some(61184), Purpose::Spare), (0, None, Purpose::SelfTest)]
        {
            assert_eq!(decode_request(encode_request(request.0, request.1, request.2)), request);
            assert_ne!(encode_request(request.0, request.1, request.2), TWIN);
        }
    }

    #[test]
    fn a_failed_clone_names_its_step() {
        let Some(Reply::Failed { session, error }) = decode_reply(&encode_reply(7, Err(Errno::EPERM)), None) else {
            panic!("not a failure");
        };
        assert_eq!((session, error.step, error.errno), (7, Step::Clone, Errno::EPERM));
        assert!(decode_reply(&encode_reply(7, Ok(Pid::from_raw(9))), None).is_none(), "no pidfd came with it");
        for bytes in [&b"short"[..], b"longer than a reply", &encode_reply(7, Err(Errno::UnknownErrno))] {
            assert!(decode_reply(bytes, None).is_none());
        }
    }

    #[test]
    fn an_answer_without_room_for_its_pidfd_names_whom_to_kill() {
        let Some(Reply::OutOfReach { session, pid }) = decode_truncated(&encode_reply(7, Ok(Pid::from_raw(9)))) else {
            panic!("not out of reach");
        };
        assert_eq!((session, pid), (7, Pid::from_raw(9)));
        assert!(decode_truncated(&encode_reply(7, Err(Errno::EPERM))).is_none(), "a failure carries no pidfd");
    }
}
