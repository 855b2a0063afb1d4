// SPDX-License-Identifier: Apache-2.0
//! What this machine lacks or refuses, in words. For who runs the machine, not for who wrote the policy.

use nix::errno::Errno;

/// Something that this machine lacks or refuses, met while observing it or preparing a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing}: {why}")]
pub struct HostError {
    /// What was being done, to what.
    pub doing: String,
    /// The errno's text, or a longer explanation with a way out.
    pub why: String,
}

impl HostError {
    /// A refused system call.
    pub fn new(doing: impl Into<String>, errno: Errno) -> Self {
        HostError { doing: doing.into(), why: errno_text(errno) }
    }

    /// Something that the standard library does by several calls, or refuses by itself without any.
    pub fn of_library(doing: impl Into<String>, error: &std::io::Error) -> Self {
        let why = error.raw_os_error().map_or_else(|| error.to_string(), |errno| errno_text(Errno::from_raw(errno)));
        HostError { doing: doing.into(), why }
    }
}

/// The errno in the C library's words, which are those that operators know and search for; nix has words of its own
/// ("Try again", "Bad file number").
pub fn errno_text(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno as i32).to_string();
    // The library adds the number.
    text.rsplit_once(" (os error").map_or(text.clone(), |(words, _)| words.to_string())
}

/// Whether an errno says nothing about this host, since the next try may fare better. What met it is no fact: taken for
/// one, it would switch a layer off.
pub(super) fn is_passing(errno: Errno) -> bool {
    use Errno::{EAGAIN, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    [EAGAIN, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_has_the_words_of_the_c_library() {
        assert_eq!(errno_text(Errno::EAGAIN), "Resource temporarily unavailable");
        assert_eq!(errno_text(Errno::EBADF), "Bad file descriptor");
    }

    #[test]
    fn what_the_library_refuses_by_itself_is_no_success() {
        let said = |error| HostError::of_library("read x", &error).to_string();
        assert_eq!(said(std::io::Error::from_raw_os_error(2)), "cannot read x: No such file or directory");
        assert_eq!(said(std::io::Error::other("it is no text")), "cannot read x: it is no text");
    }
}
