// SPDX-License-Identifier: Apache-2.0
//! A request over the control socket: one line, a JSON object. Pure.

use super::words::VERSION;
use serde::Deserialize;

/// The longest line.
pub(super) const LONGEST: usize = 4096;

/// What has come, once it is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::supervise) enum Whole {
    /// A line, without its end.
    Line(Vec<u8>),
    /// More than a line has.
    TooLong,
    /// A line, and more behind it.
    More,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// A page of services, those with larger numbers than this.
    Services {
        /// Zero for the first page.
        after: u64,
    },
    /// A page of sessions.
    Sessions {
        /// The same.
        after: u64,
    },
    /// That something is done.
    Order(Order),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// End a session now.
    Kill(u64),
    /// Accept nobody for a service.
    Pause(String),
    /// Accept again.
    Resume(String),
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "version")]
    _version: u64,
    ask: String,
    after: Option<u64>,
    session: Option<u64>,
    service: Option<String>,
}

/// Looked at first: another version may say other things.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// What has come of a request, if it is to be answered.
pub(super) fn whole(came: &[u8]) -> Option<Whole> {
    match came.iter().take(LONGEST + 1).position(|byte| *byte == b'\n') {
        Some(end) if end + 1 == came.len() => Some(Whole::Line(came[..end].to_vec())),
        Some(_) => Some(Whole::More),
        None if came.len() > LONGEST => Some(Whole::TooLong),
        None => None,
    }
}

/// Reads a line; the reason where it is no request.
pub(super) fn read(line: &[u8]) -> Result<Ask, String> {
    let Version { version } = serde_json::from_slice(line).map_err(|_| {
        format!("a request is a JSON object on one line, as {{\"version\":{VERSION},\"ask\":\"services\"}}")
    })?;
    if version != VERSION {
        return Err(format!("this supervisor speaks version {VERSION} of the protocol"));
    }
    let written: Written = serde_json::from_slice(line).map_err(|_| {
        "a request has `version`, `ask`, and nothing else but `after`, `session` or `service`".to_string()
    })?;
    let Written { ask, after, session, service, .. } = written;
    match (ask.as_str(), after, session, service) {
        ("services", after, None, None) => Ok(Ask::Services { after: after.unwrap_or(0) }),
        ("sessions", after, None, None) => Ok(Ask::Sessions { after: after.unwrap_or(0) }),
        ("kill", None, Some(session), None) => Ok(Ask::Order(Order::Kill(session))),
        ("pause", None, None, Some(service)) => Ok(Ask::Order(Order::Pause(service))),
        ("resume", None, None, Some(service)) => Ok(Ask::Order(Order::Resume(service))),
        ("services" | "sessions", ..) => Err("`services` and `sessions` take `after`, a number".to_string()),
        ("kill", ..) => Err("`kill` takes `session`, a number".to_string()),
        ("pause" | "resume", ..) => Err("`pause` and `resume` take `service`, a name".to_string()),
        _ => Err("`ask` is `services`, `sessions`, `kill`, `pause` or `resume`".to_string()),
    }
}

/// Whatever comes, in whatever parts: at most one answer, bounded memory, and a refusal is one clean line.
#[cfg(any(test, fuzzing))]
pub(crate) fn law(bytes: &[u8]) {
    let first = (0..=bytes.len()).find_map(|end| whole(&bytes[..end]));
    assert!(first.is_some() || bytes.len() <= LONGEST && !bytes.contains(&b'\n'));
    if let Some(Whole::Line(line)) = &first {
        assert!(line.len() <= LONGEST && !line.contains(&b'\n'));
    }
    let line = match first {
        Some(Whole::Line(line)) => line,
        Some(Whole::TooLong | Whole::More) | None => bytes.to_vec(),
    };
    if let Err(why) = read(&line) {
        crate::fuzz::assert_one_line(&why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_and_what_is_none_is_refused_in_words() {
        for (line, expected) in [
            (r#"{"version":1,"ask":"services"}"#, Ask::Services { after: 0 }),
            (r#"{"version":1,"ask":"sessions","after":7}"#, Ask::Sessions { after: 7 }),
            (r#"{"ask":"kill","version":1,"session":3}"#, Ask::Order(Order::Kill(3))),
            (r#"{"version":1,"ask":"pause","service":"a"}"#, Ask::Order(Order::Pause("a".into()))),
            (r#"{"version":1,"ask":"resume","service":"a"}"#, Ask::Order(Order::Resume("a".into()))),
        ] {
            assert_eq!(read(line.as_bytes()), Ok(expected), "{line}");
        }
        for (line, expected) in [
            ("", "a request is a JSON object"),
            ("status", "a request is a JSON object"),
            (r#"{"ask":"services"}"#, "a request is a JSON object"),
            (r#"{"version":2,"say":"everything"}"#, "speaks version 1"),
            (r#"{"version":1,"ask":"services","all":true}"#, "nothing else but"),
            (r#"{"version":1,"ask":"kill"}"#, "`kill` takes `session`"),
            (r#"{"version":1,"ask":"kill","session":-1}"#, "nothing else but"),
            (r#"{"version":1,"ask":"pause","session":1}"#, "`pause` and `resume` take `service`"),
            (r#"{"version":1,"ask":"reboot"}"#, "`ask` is `services`"),
        ] {
            let why = read(line.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{line}: {why}");
        }
    }

    #[test]
    fn a_line_is_whole_at_its_end_and_too_long_without_one() {
        assert_eq!(whole(b"abc"), None);
        assert_eq!(whole(b"abc\n"), Some(Whole::Line(b"abc".to_vec())));
        assert_eq!(whole(b"abc\nd"), Some(Whole::More));
        assert_eq!(whole(&[b'x'; LONGEST]), None);
        assert_eq!(whole(&[b'x'; LONGEST + 1]), Some(Whole::TooLong));
    }

    #[test]
    fn the_law_holds_of_what_is_deep_and_of_what_is_long() {
        law(&[b'['; 100_000]);
        law(&[br#"{"version":1,"ask":""#.as_slice(), &[b'x'; 5000]].concat());
        law(b"{\"version\":1,\"ask\":\"services\"}\n\n");
    }
}
