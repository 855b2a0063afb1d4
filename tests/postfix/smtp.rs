// SPDX-License-Identifier: Apache-2.0
//! An SMTP client that reads like the session it has. Every reply is awaited, within a limit.

use crate::scene::patience;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A session with smtpd.
pub(crate) struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and reads the greeting.
    pub(crate) fn connect(address: &str) -> Smtp {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        let limit = Some(patience());
        stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)).expect("a time-out can be set");
        let mut smtp = Smtp { stream: BufReader::new(stream) };
        let greeting = smtp.reply();
        assert!(greeting.starts_with("220 "), "{greeting}");
        smtp
    }

    /// Pretends to be another client: see Postfix's XCLIENT_README. smtpd greets anew.
    pub(crate) fn pose_as(self, address: &str) -> Smtp {
        self.say("EHLO localhost", "250").say(&format!("XCLIENT ADDR={address} NAME=[UNAVAILABLE]"), "220")
    }

    /// Says a line, and expects a reply that begins so.
    pub(crate) fn say(mut self, line: &str, expected: &str) -> Smtp {
        let reply = self.command(line);
        assert!(reply.starts_with(expected), "{line}\n{reply}");
        self
    }

    /// Says a line and returns the reply.
    pub(crate) fn command(&mut self, line: &str) -> String {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("smtpd reads");
        self.reply()
    }

    /// A reply, its lines joined.
    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            self.stream.read_line(&mut reply).expect("smtpd answers");
            assert!(reply.len() > start, "smtpd hung up after {reply:?}");
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return reply.trim_end().to_string();
            }
        }
    }
}
