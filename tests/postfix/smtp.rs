// SPDX-License-Identifier: Apache-2.0
//! An SMTP client that reads like the session it has. Every reply is awaited, within a limit.

use crate::scene::patience;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A session with smtpd.
pub(crate) struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and reads the greeting.
    pub(crate) fn connect(address: &str) -> Smtp {
        let (smtp, greeting) =
            Smtp::open(address, patience()).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        assert!(greeting.starts_with("220 "), "{greeting}");
        smtp
    }

    /// Connects and reads the greeting, whatever it is; no reply may take longer than this.
    pub(crate) fn open(address: &str, limit: Duration) -> io::Result<(Smtp, String)> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)))?;
        let mut smtp = Smtp { stream: BufReader::new(stream) };
        let greeting = smtp.reply()?;
        Ok((smtp, greeting))
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
        self.ask(line).unwrap_or_else(|error| panic!("{line}: smtpd does not answer: {error}"))
    }

    /// Says a line and returns the reply, if smtpd is there to say one.
    pub(crate) fn ask(&mut self, line: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// A reply, its lines joined.
    fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            if self.stream.read_line(&mut reply)? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, format!("it hung up after {reply:?}")));
            }
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return Ok(reply.trim_end().to_string());
            }
        }
    }
}
