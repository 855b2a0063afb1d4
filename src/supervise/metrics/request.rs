// SPDX-License-Identifier: Apache-2.0
//! What is asked over HTTP: a path, of which there are three. Headers are passed over. Pure.

use httparse::{EMPTY_HEADER, Request, Status};

/// The longest request, with its headers.
const LONGEST: usize = 8192;
/// The most headers.
const HEADERS: usize = 64;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervise) struct Asked {
    pub(super) what: What,
    /// Without a body: HEAD.
    pub(super) head: bool,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `/metrics`
    Metrics,
    /// `/livez`
    Live,
    /// `/readyz`
    Ready,
    /// Another path.
    Nothing,
    /// Neither GET nor HEAD.
    OtherMethod,
    /// More than we take.
    TooLong,
    /// No HTTP/1.
    NoRequest,
}

/// What has come, once it is to be answered.
pub(super) fn whole(came: &[u8]) -> Option<Asked> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    let parsed = request.parse(&came[..came.len().min(LONGEST)]);
    let what = match parsed {
        Ok(Status::Partial) if came.len() < LONGEST => return None,
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => What::TooLong,
        Err(_) => What::NoRequest,
        Ok(Status::Complete(_)) => match (request.method, request.path.map(path)) {
            (Some("GET" | "HEAD"), Some("/metrics")) => What::Metrics,
            (Some("GET" | "HEAD"), Some("/livez")) => What::Live,
            (Some("GET" | "HEAD"), Some("/readyz")) => What::Ready,
            (Some("GET" | "HEAD"), _) => What::Nothing,
            (_, _) => What::OtherMethod,
        },
    };
    Some(Asked { what, head: request.method == Some("HEAD") })
}

/// Without what stands behind a question mark.
fn path(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// Whatever comes, in whatever parts: one answer at most, after a bounded number of bytes, and the same however it is
/// cut.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    let last = bytes.len().min(LONGEST);
    let mut ends = (0..=last).filter(|end| *end < 200 || end % 61 == 0 || *end == last);
    let first = ends.find_map(|end| Some((end, whole(&bytes[..end])?)));
    match first {
        None => assert!(bytes.len() < LONGEST),
        Some((end, asked)) => {
            assert!(end > 0);
            if asked.what != What::NoRequest && asked.what != What::TooLong {
                assert_eq!(whole(bytes), Some(asked));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Option<What> {
        law(text.as_bytes());
        whole(text.as_bytes()).map(|asked| asked.what)
    }

    #[test]
    fn a_path_is_found_and_all_else_refused() {
        for (text, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Some(What::Metrics)),
            ("GET /metrics?name[]=x HTTP/1.0\r\n\r\n", Some(What::Metrics)),
            ("HEAD /livez HTTP/1.1\r\n\r\n", Some(What::Live)),
            ("GET /readyz HTTP/1.1\r\n\r\nGET /metrics", Some(What::Ready)),
            ("GET /../etc/passwd HTTP/1.1\r\n\r\n", Some(What::Nothing)),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n", Some(What::OtherMethod)),
            ("\x16\x03\x01\x02", Some(What::NoRequest)),
            ("GET /metrics HTTP/2.0\r\n\r\n", Some(What::NoRequest)),
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n", None),
            ("", None),
        ] {
            assert_eq!(what(text), expected, "{text:?}");
        }
        assert!(whole(b"HEAD /livez HTTP/1.1\r\n\r\n").is_some_and(|asked| asked.head));
    }

    #[test]
    fn what_is_too_long_is_not_waited_for() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(LONGEST));
        assert_eq!(what(&long), Some(What::TooLong));
        let many = format!("GET /metrics HTTP/1.1\r\n{}", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(what(&many), Some(What::TooLong));
    }
}
